//! From an Arrow array to [`Values`], by its type.

use arrow::array::{Array, ArrowPrimitiveType, AsArray, OffsetSizeTrait, RunArray};
use arrow::datatypes::{
    Date32Type, Date64Type, Decimal32Type, Decimal64Type, Decimal128Type, Decimal256Type, DurationMicrosecondType,
    DurationMillisecondType, DurationNanosecondType, DurationSecondType, Float16Type, Float32Type, Float64Type,
    Int8Type, Int16Type, Int32Type, Int64Type, IntervalDayTimeType, IntervalMonthDayNanoType, IntervalYearMonthType,
    RunEndIndexType, Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType,
    TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_schema::{DataType, Field, Fields, IntervalUnit, TimeUnit};

use super::{Bytes, Cells, Ranges, Text, Values};
use crate::spell::text::json_string;
use crate::types::is_geometry;

/// The values of a column. Every type of Arrow is one of these.
pub(super) fn values<'a>(array: &'a dyn Array, field: &Field) -> Values<'a> {
    match array.data_type() {
        DataType::Null => Values::Null,
        DataType::Boolean => Values::Boolean(array.as_boolean().values()),
        DataType::Int8 => Values::Int8(native::<Int8Type>(array)),
        DataType::Int16 => Values::Int16(native::<Int16Type>(array)),
        DataType::Int32 => Values::Int32(native::<Int32Type>(array)),
        DataType::Int64 => Values::Int64(native::<Int64Type>(array)),
        DataType::UInt8 => Values::UInt8(native::<UInt8Type>(array)),
        DataType::UInt16 => Values::UInt16(native::<UInt16Type>(array)),
        DataType::UInt32 => Values::UInt32(native::<UInt32Type>(array)),
        DataType::UInt64 => Values::UInt64(native::<UInt64Type>(array)),
        DataType::Float16 => Values::Float16(native::<Float16Type>(array).iter().map(|half| half.to_f32()).collect()),
        DataType::Float32 => Values::Float32(native::<Float32Type>(array)),
        DataType::Float64 => Values::Float64(native::<Float64Type>(array)),
        DataType::Decimal32(_, scale) => Values::Decimal32(native::<Decimal32Type>(array), *scale),
        DataType::Decimal64(_, scale) => Values::Decimal64(native::<Decimal64Type>(array), *scale),
        DataType::Decimal128(_, scale) => Values::Decimal128(native::<Decimal128Type>(array), *scale),
        DataType::Decimal256(_, scale) => Values::Decimal256(native::<Decimal256Type>(array), *scale),
        DataType::Utf8 => Values::Text(Text::Small(array.as_string())),
        DataType::LargeUtf8 => Values::Text(Text::Large(array.as_string())),
        DataType::Utf8View => Values::Text(Text::View(array.as_string_view())),
        DataType::Binary => binary(Bytes::Small(array.as_binary()), field),
        DataType::LargeBinary => binary(Bytes::Large(array.as_binary()), field),
        DataType::BinaryView => binary(Bytes::View(array.as_binary_view()), field),
        DataType::FixedSizeBinary(_) => Values::Binary(Bytes::Fixed(array.as_fixed_size_binary())),
        DataType::Date32
        | DataType::Date64
        | DataType::Time32(_)
        | DataType::Time64(_)
        | DataType::Timestamp(..)
        | DataType::Duration(_)
        | DataType::Interval(_) => moments(array),
        DataType::List(item) => list::<i32>(array, item),
        DataType::LargeList(item) => list::<i64>(array, item),
        DataType::ListView(item) => {
            let list = array.as_list_view::<i32>();
            let ranges = Ranges::SmallView(list.value_offsets(), list.value_sizes());
            Values::List(ranges, Box::new(Cells::new(list.values().as_ref(), item)))
        }
        DataType::LargeListView(item) => {
            let list = array.as_list_view::<i64>();
            let ranges = Ranges::LargeView(list.value_offsets(), list.value_sizes());
            Values::List(ranges, Box::new(Cells::new(list.values().as_ref(), item)))
        }
        DataType::FixedSizeList(item, length) => {
            let values = array.as_fixed_size_list().values().as_ref();
            Values::List(Ranges::Fixed(super::index(*length)), Box::new(Cells::new(values, item)))
        }
        DataType::Struct(fields) => members(array, fields),
        DataType::Map(..) => map(array),
        DataType::Dictionary(..) => dictionary(array, field),
        DataType::RunEndEncoded(ends, item) => runs(array, ends, item),
        DataType::Union(fields, _) => {
            let union = array.as_union();
            let members = fields.iter().map(|(id, field)| (id, Cells::new(union.child(id).as_ref(), field))).collect();
            Values::Union { members, type_ids: union.type_ids(), offsets: union.offsets().map(AsRef::as_ref) }
        }
    }
}

fn native<T: ArrowPrimitiveType>(array: &dyn Array) -> &[T::Native] {
    array.as_primitive::<T>().values()
}

fn binary<'a>(bytes: Bytes<'a>, field: &Field) -> Values<'a> {
    if is_geometry(field) { Values::Geometry(bytes) } else { Values::Binary(bytes) }
}

/// What counts from a beginning in some unit.
fn moments(array: &dyn Array) -> Values<'_> {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    match array.data_type() {
        DataType::Date32 => Values::Date32(native::<Date32Type>(array)),
        DataType::Date64 => Values::Date64(native::<Date64Type>(array)),
        DataType::Time32(Second) => Values::Time32(native::<Time32SecondType>(array), Second),
        DataType::Time32(_) => Values::Time32(native::<Time32MillisecondType>(array), Millisecond),
        DataType::Time64(Nanosecond) => Values::Time64(native::<Time64NanosecondType>(array), Nanosecond),
        DataType::Time64(_) => Values::Time64(native::<Time64MicrosecondType>(array), Microsecond),
        DataType::Timestamp(unit, zone) => {
            let ticks = match unit {
                Second => native::<TimestampSecondType>(array),
                Millisecond => native::<TimestampMillisecondType>(array),
                Microsecond => native::<TimestampMicrosecondType>(array),
                Nanosecond => native::<TimestampNanosecondType>(array),
            };
            Values::Timestamp { ticks, unit: *unit, utc: zone.is_some() }
        }
        DataType::Duration(unit) => {
            let ticks = match unit {
                Second => native::<DurationSecondType>(array),
                Millisecond => native::<DurationMillisecondType>(array),
                Microsecond => native::<DurationMicrosecondType>(array),
                Nanosecond => native::<DurationNanosecondType>(array),
            };
            Values::Duration(ticks, *unit)
        }
        DataType::Interval(IntervalUnit::YearMonth) => Values::Months(native::<IntervalYearMonthType>(array)),
        DataType::Interval(IntervalUnit::DayTime) => Values::DayTime(native::<IntervalDayTimeType>(array)),
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            Values::MonthDayNano(native::<IntervalMonthDayNanoType>(array))
        }
        _ => Values::Null,
    }
}

fn list<'a, O: OffsetSizeTrait + Offsets>(array: &'a dyn Array, item: &Field) -> Values<'a> {
    let list = array.as_list::<O>();
    Values::List(O::ranges(list.value_offsets()), Box::new(Cells::new(list.values().as_ref(), item)))
}

/// The two widths of a list's offsets.
trait Offsets: Sized {
    fn ranges(offsets: &[Self]) -> Ranges<'_>;
}

impl Offsets for i32 {
    fn ranges(offsets: &[Self]) -> Ranges<'_> {
        Ranges::Small(offsets)
    }
}

impl Offsets for i64 {
    fn ranges(offsets: &[Self]) -> Ranges<'_> {
        Ranges::Large(offsets)
    }
}

fn members<'a>(array: &'a dyn Array, fields: &Fields) -> Values<'a> {
    let columns = array.as_struct().columns();
    let member = |(field, column): (&arrow_schema::FieldRef, &'a arrow::array::ArrayRef)| {
        let mut name = Vec::new();
        json_string(&mut name, field.name());
        name.push(b':');
        (name, Cells::new(column.as_ref(), field))
    };
    Values::Struct(fields.iter().zip(columns).map(member).collect())
}

fn map(array: &dyn Array) -> Values<'_> {
    let map = array.as_map();
    let entries = map.entries();
    match (entries.fields().first(), entries.fields().get(1)) {
        (Some(key), Some(item)) => {
            let pair = (Cells::new(map.keys().as_ref(), key), Cells::new(map.values().as_ref(), item));
            Values::Map(map.value_offsets(), Box::new(pair))
        }
        _ => Values::Null,
    }
}

fn dictionary<'a>(array: &'a dyn Array, field: &Field) -> Values<'a> {
    let dictionary = array.as_any_dictionary();
    let values = dictionary.values();
    // Without values every key is null.
    if values.is_empty() {
        return Values::Null;
    }
    let field = field.clone().with_data_type(values.data_type().clone());
    Values::Through(dictionary.normalized_keys(), Box::new(Cells::new(values.as_ref(), &field)))
}

fn runs<'a>(array: &'a dyn Array, ends: &Field, item: &Field) -> Values<'a> {
    match ends.data_type() {
        DataType::Int16 => through(array.as_run::<Int16Type>(), item),
        DataType::Int32 => through(array.as_run::<Int32Type>(), item),
        _ => through(array.as_run::<Int64Type>(), item),
    }
}

fn through<'a, R: RunEndIndexType>(array: &'a RunArray<R>, item: &Field) -> Values<'a> {
    let rows = (0..array.len()).map(|row| array.get_physical_index(row)).collect();
    Values::Through(rows, Box::new(Cells::new(array.values().as_ref(), item)))
}
