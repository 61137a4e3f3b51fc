//! The types of columnar files brought down to those that are released.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveArray, StringArray, StringBuilder};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Date64Type, Decimal128Type, Field, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampNanosecondType,
};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::json_text::{json_text, shown};
use crate::cell::{Cell, Kind};
use crate::declared::{Declared, Nulls};
use crate::reading::{Building, Reading};

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// What is done to the arrays of one column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Step {
    /// Nothing.
    Keep,
    /// A cast that loses nothing but, for nanoseconds, what is said in a finding.
    Cast(DataType),
    /// Nanoseconds to the microsecond that they are in, before 1970 as after it.
    Floor(DataType),
    /// Milliseconds at midnight to days.
    Days,
    /// JSON text of a list, map or union.
    Json,
    /// The value as Arrow shows it: intervals and durations.
    Shown,
}

/// The type that a column is released as, and the step to it.
pub(crate) fn plan(data_type: &DataType) -> (DataType, Step) {
    use DataType as T;
    let cast = |target: DataType| (target.clone(), Step::Cast(target));
    match data_type {
        T::Boolean
        | T::Int8
        | T::Int16
        | T::Int32
        | T::Int64
        | T::UInt8
        | T::UInt16
        | T::UInt32
        | T::UInt64
        | T::Float32
        | T::Float64
        | T::Utf8
        | T::Binary
        | T::Date32
        | T::Time64(TimeUnit::Microsecond)
        | T::Timestamp(TimeUnit::Microsecond, None) => (data_type.clone(), Step::Keep),
        T::Float16 => cast(T::Float32),
        T::LargeUtf8 | T::Utf8View | T::Null => cast(T::Utf8),
        T::LargeBinary | T::BinaryView | T::FixedSizeBinary(_) => cast(T::Binary),
        T::Timestamp(TimeUnit::Nanosecond, zone) => {
            let target = T::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| "UTC".into()));
            (target.clone(), Step::Floor(target))
        }
        T::Date64 | T::Timestamp(_, None) => cast(T::Timestamp(TimeUnit::Microsecond, None)),
        T::Timestamp(TimeUnit::Microsecond, Some(zone)) if zone.as_ref() == "UTC" => (data_type.clone(), Step::Keep),
        T::Timestamp(_, Some(_)) => cast(T::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))),
        T::Time32(_) | T::Time64(_) => cast(T::Time64(TimeUnit::Microsecond)),
        T::Decimal128(_, scale) if *scale >= 0 => (data_type.clone(), Step::Keep),
        T::Decimal32(precision, scale)
        | T::Decimal64(precision, scale)
        | T::Decimal128(precision, scale)
        | T::Decimal256(precision, scale) => {
            let wider = i16::from(*precision) - i16::from((*scale).min(0));
            match u8::try_from(wider).ok().filter(|wider| *wider <= 38) {
                Some(wider) => cast(T::Decimal128(wider, (*scale).max(0))),
                None => cast(T::Utf8),
            }
        }
        T::Dictionary(_, values) => cast(plan(values).0),
        T::RunEndEncoded(_, values) => cast(plan(values.data_type()).0),
        T::Interval(_) | T::Duration(_) => (T::Utf8, Step::Shown),
        T::List(_)
        | T::LargeList(_)
        | T::FixedSizeList(..)
        | T::ListView(_)
        | T::LargeListView(_)
        | T::Map(..)
        | T::Union(..)
        | T::Struct(_) => (T::Utf8, Step::Json),
    }
}

/// A column of the file: structs are gone, and their members named `a.b`.
#[derive(Clone, Debug)]
pub(crate) struct Flat {
    pub(crate) name: String,
    pub(crate) field: Arc<Field>,
    pub(crate) array: ArrayRef,
}

/// The batch's columns without structs. A null struct makes all of its members null.
pub(crate) fn flatten(batch: &RecordBatch) -> Vec<Flat> {
    let schema = batch.schema();
    let mut flat = Vec::new();
    for (field, array) in schema.fields().iter().zip(batch.columns()) {
        push_flat(field.name().clone(), field, array, &mut flat);
    }
    flat
}

fn push_flat(name: String, field: &Arc<Field>, array: &ArrayRef, out: &mut Vec<Flat>) {
    match array.as_struct_opt() {
        Some(members) => {
            let (fields, arrays) = members.flatten();
            for (field, array) in fields.iter().zip(&arrays) {
                push_flat(format!("{name}.{}", field.name()), field, array, out);
            }
        }
        None => out.push(Flat { name, field: Arc::clone(field), array: Arc::clone(array) }),
    }
}

/// Levels of nesting of a type.
pub(crate) fn depth(data_type: &DataType) -> u64 {
    let within = match data_type {
        DataType::Struct(fields) => fields.iter().map(|field| depth(field.data_type())).max().unwrap_or(0),
        DataType::List(field)
        | DataType::LargeList(field)
        | DataType::FixedSizeList(field, _)
        | DataType::ListView(field)
        | DataType::LargeListView(field)
        | DataType::Map(field, _) => depth(field.data_type()),
        DataType::Union(fields, _) => fields.iter().map(|(_, field)| depth(field.data_type())).max().unwrap_or(0),
        DataType::Dictionary(_, values) => depth(values),
        _ => return 0,
    };
    within + 1
}

/// Takes the step. The number of nulls grows where a value does not fit the type.
pub(crate) fn convert(array: &ArrayRef, step: &Step) -> Result<ArrayRef, ArrowError> {
    Ok(match step {
        Step::Keep => Arc::clone(array),
        Step::Cast(target) => cast_with_options(array, target, &CastOptions { safe: true, ..CastOptions::default() })?,
        Step::Floor(target) => {
            let nanos = array.as_primitive_opt::<TimestampNanosecondType>();
            let nanos = nanos.ok_or_else(|| ArrowError::CastError("not nanoseconds".to_owned()))?;
            let micros = nanos.unary::<_, TimestampMicrosecondType>(|nanos| nanos.div_euclid(1_000));
            Arc::new(micros.with_data_type(target.clone()))
        }
        Step::Days => {
            let moments = array.as_primitive_opt::<Date64Type>();
            let moments = moments.ok_or_else(|| ArrowError::CastError("not milliseconds".to_owned()))?;
            let days = |ms: i64| i32::try_from(ms.div_euclid(DAY_MS)).ok().filter(|_| ms.rem_euclid(DAY_MS) == 0);
            Arc::new(moments.unary_opt::<_, Date32Type>(days))
        }
        Step::Json => Arc::new(json_text(array)?),
        Step::Shown => {
            let mut builder = StringBuilder::with_capacity(array.len(), array.len() * 12);
            for row in 0..array.len() {
                if array.is_null(row) {
                    builder.append_null();
                } else {
                    builder.append_value(shown(array.as_ref(), row)?);
                }
            }
            Arc::new(builder.finish())
        }
    })
}

/// How many values have digits beyond the microsecond.
pub(crate) fn finer_than_micros(array: &ArrayRef) -> u64 {
    let finer = |values: &mut dyn Iterator<Item = Option<i64>>| {
        crate::cell::wide(values.flatten().filter(|value| value % 1_000 != 0).count())
    };
    match array.data_type() {
        DataType::Timestamp(TimeUnit::Nanosecond, _) => {
            finer(&mut array.as_primitive::<TimestampNanosecondType>().iter())
        }
        DataType::Time64(TimeUnit::Nanosecond) => finer(&mut array.as_primitive::<Time64NanosecondType>().iter()),
        _ => 0,
    }
}

/// 0001-01-01 and 9999-12-31, in days since 1970-01-01.
const FIRST_DAY: i32 = -719_162;
const LAST_DAY: i32 = 2_932_896;
/// The first and the last moment of the same days, in microseconds.
const FIRST_MOMENT: i64 = -62_135_596_800_000_000;
const LAST_MOMENT: i64 = 253_402_300_799_999_999;
/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;

/// The places of dates and moments before year 1 or after 9999: few programs can show them. The array is one of released
/// types.
pub(crate) fn beyond_years(array: &ArrayRef) -> Vec<usize> {
    let days =
        array.as_primitive_opt::<Date32Type>().map(|days| places(days, |day| !(FIRST_DAY..=LAST_DAY).contains(&day)));
    let moments = || {
        let moments = array.as_primitive_opt::<TimestampMicrosecondType>()?;
        Some(places(moments, |moment| !(FIRST_MOMENT..=LAST_MOMENT).contains(&moment)))
    };
    days.or_else(moments).unwrap_or_default()
}

/// The places of times of day before 0:00, or at 24:00 and later.
pub(crate) fn beyond_day(array: &ArrayRef) -> Vec<usize> {
    let times = array.as_primitive_opt::<Time64MicrosecondType>();
    times.map(|times| places(times, |time| !(0..DAY_US).contains(&time))).unwrap_or_default()
}

fn places<T: ArrowPrimitiveType>(array: &PrimitiveArray<T>, wanted: impl Fn(T::Native) -> bool) -> Vec<usize> {
    array.iter().enumerate().filter(|(_, value)| value.is_some_and(&wanted)).map(|(row, _)| row).collect()
}

/// Whether a column of dates in milliseconds holds nothing but midnights, as Arrow wants it.
pub(crate) fn is_days(array: &ArrayRef) -> bool {
    let moments = array.as_primitive_opt::<Date64Type>();
    moments.is_some_and(|moments| moments.iter().flatten().all(|ms| ms.rem_euclid(DAY_MS) == 0))
}

/// Binary values as text; `None` when one is not UTF-8.
pub(crate) fn binary_as_text(array: &ArrayRef) -> Option<StringArray> {
    StringArray::try_from_binary(array.as_binary_opt::<i32>()?.clone()).ok()
}

/// The values as the data dictionary declares them, and the places of those that violate it.
pub(crate) fn declare(
    array: &ArrayRef,
    declared: &Arc<Declared>,
    nulls: &Nulls,
) -> Result<(ArrayRef, Vec<usize>), ArrowError> {
    if *array.data_type() == declared.data_type() && array.data_type() != &DataType::Utf8 {
        return Ok((Arc::clone(array), Vec::new()));
    }
    let mut building = Building::new(&Reading::Declared(Arc::clone(declared)), array.len());
    let mut violations = Vec::new();
    let texts = array.as_string_opt::<i32>();
    for row in 0..array.len() {
        if array.is_null(row) {
            building.push_null();
            continue;
        }
        let text = match texts {
            Some(texts) => texts.value(row).to_owned(),
            None => shown(array.as_ref(), row)?,
        };
        if nulls.is_null(text.as_bytes()) {
            building.push_null();
            continue;
        }
        let cell = Cell { bytes: text.as_bytes(), kind: Kind::Bare };
        if declared.value(cell).is_none() {
            violations.push(row);
        }
        building.push(cell).map_err(|error| ArrowError::CastError(error.to_string()))?;
    }
    let values = building.finish(0).map_err(|error| ArrowError::CastError(error.to_string()))?;
    Ok((values, violations))
}

/// Whether a decimal column holds a value of more digits than its type has.
pub(crate) fn decimals_fit(array: &ArrayRef) -> bool {
    match array.data_type() {
        DataType::Decimal128(precision, _) => {
            array.as_primitive::<Decimal128Type>().validate_decimal_precision(*precision).is_ok()
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int64Array, StructArray, TimestampNanosecondArray};
    use arrow::buffer::NullBuffer;
    use arrow::datatypes::{Fields, Schema};

    #[test]
    fn types_come_down_to_those_that_are_released() {
        let check = |from: DataType, expect: DataType| assert_eq!(plan(&from).0, expect, "{from}");
        check(DataType::Int8, DataType::Int8);
        check(DataType::LargeUtf8, DataType::Utf8);
        check(DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::LargeUtf8)), DataType::Utf8);
        check(DataType::Timestamp(TimeUnit::Nanosecond, None), DataType::Timestamp(TimeUnit::Microsecond, None));
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        check(DataType::Timestamp(TimeUnit::Second, Some("+05:00".into())), utc);
        check(DataType::Decimal256(38, 2), DataType::Decimal128(38, 2));
        check(DataType::Decimal256(50, 2), DataType::Utf8);
        check(DataType::Decimal128(10, -2), DataType::Decimal128(12, 0));
        check(DataType::Null, DataType::Utf8);
    }

    #[test]
    fn a_null_struct_has_null_members() {
        let fields = Fields::from(vec![Field::new("b", DataType::Int64, true)]);
        let members: ArrayRef = Arc::new(Int64Array::from(vec![1, 2]));
        let nulls = NullBuffer::from(vec![true, false]);
        let array: ArrayRef = Arc::new(StructArray::new(fields.clone(), vec![members], Some(nulls)));
        let schema = Schema::new(vec![Field::new("a", DataType::Struct(fields), true)]);
        let batch = RecordBatch::try_new(Arc::new(schema), vec![array]).unwrap();
        let flat = flatten(&batch);
        assert_eq!(flat.first().unwrap().name, "a.b");
        assert_eq!(flat.first().unwrap().array.null_count(), 1);
    }

    #[test]
    fn nanoseconds_before_1970_go_to_the_microsecond_that_they_are_in() {
        let array: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![-999, -1_000, 1_999]));
        let (_, step) = plan(array.data_type());
        let micros = convert(&array, &step).unwrap();
        assert_eq!(micros.as_primitive::<TimestampMicrosecondType>().values(), &[-1, -1, 1]);
        let zoned = DataType::Timestamp(TimeUnit::Nanosecond, Some("+01:00".into()));
        let (released, step) = plan(&zoned);
        let array: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![-1]).with_timezone("+01:00"));
        assert_eq!(convert(&array, &step).unwrap().data_type(), &released);
    }

    #[test]
    fn nanoseconds_are_counted_before_they_go() {
        let array: ArrayRef = Arc::new(TimestampNanosecondArray::from(vec![1_000, 1_001]));
        assert_eq!(finer_than_micros(&array), 1);
    }
}
