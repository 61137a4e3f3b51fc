//! A column of a batch as text or JSON: its type is looked at once, then each row is a match and a write.

use std::ops::Range;

use arrow::array::{
    Array, BinaryViewArray, FixedSizeBinaryArray, GenericBinaryArray, GenericStringArray, StringViewArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{IntervalDayTime, IntervalMonthDayNano, i256};
use arrow_schema::{Field, TimeUnit};
use portico_model::wkb::{self, WkbError};

use crate::spell::{number, time};

mod build;
mod json;

/// One column, ready to be written row by row.
pub(crate) struct Cells<'a> {
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

/// What kind of value a column holds, for those that treat kinds apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Nothing but nulls.
    Null,
    /// `true` and `false`.
    Boolean,
    /// Digits.
    Number,
    /// Dates, times and timestamps.
    Moment,
    /// Text.
    Text,
    /// Everything else, whose text may need quotes.
    Other,
}

enum Values<'a> {
    Null,
    Boolean(&'a BooleanBuffer),
    Int8(&'a [i8]),
    Int16(&'a [i16]),
    Int32(&'a [i32]),
    Int64(&'a [i64]),
    UInt8(&'a [u8]),
    UInt16(&'a [u16]),
    UInt32(&'a [u32]),
    UInt64(&'a [u64]),
    Float16(Vec<f32>),
    Float32(&'a [f32]),
    Float64(&'a [f64]),
    Decimal32(&'a [i32], i8),
    Decimal64(&'a [i64], i8),
    Decimal128(&'a [i128], i8),
    Decimal256(&'a [i256], i8),
    Date32(&'a [i32]),
    Date64(&'a [i64]),
    Time32(&'a [i32], TimeUnit),
    Time64(&'a [i64], TimeUnit),
    Timestamp {
        ticks: &'a [i64],
        unit: TimeUnit,
        utc: bool,
    },
    Duration(&'a [i64], TimeUnit),
    Months(&'a [i32]),
    DayTime(&'a [IntervalDayTime]),
    MonthDayNano(&'a [IntervalMonthDayNano]),
    Text(Text<'a>),
    Binary(Bytes<'a>),
    Geometry(Bytes<'a>),
    List(Ranges<'a>, Box<Cells<'a>>),
    /// Each member with its name as a JSON string and a colon.
    Struct(Vec<(Vec<u8>, Cells<'a>)>),
    Map(&'a [i32], Box<(Cells<'a>, Cells<'a>)>),
    /// Dictionaries and runs: the row of the values for each row.
    Through(Vec<usize>, Box<Cells<'a>>),
    Union {
        members: Vec<(i8, Cells<'a>)>,
        type_ids: &'a [i8],
        offsets: Option<&'a [i32]>,
    },
}

#[derive(Clone, Copy)]
enum Text<'a> {
    Small(&'a GenericStringArray<i32>),
    Large(&'a GenericStringArray<i64>),
    View(&'a StringViewArray),
}

impl<'a> Text<'a> {
    fn at(self, row: usize) -> &'a str {
        match self {
            Self::Small(array) => array.value(row),
            Self::Large(array) => array.value(row),
            Self::View(array) => array.value(row),
        }
    }
}

enum Bytes<'a> {
    Small(&'a GenericBinaryArray<i32>),
    Large(&'a GenericBinaryArray<i64>),
    View(&'a BinaryViewArray),
    Fixed(&'a FixedSizeBinaryArray),
}

impl<'a> Bytes<'a> {
    fn at(&self, row: usize) -> &'a [u8] {
        match self {
            Self::Small(array) => array.value(row),
            Self::Large(array) => array.value(row),
            Self::View(array) => array.value(row),
            Self::Fixed(array) => array.value(row),
        }
    }
}

/// Where the items of each row's list lie.
enum Ranges<'a> {
    Small(&'a [i32]),
    Large(&'a [i64]),
    Fixed(usize),
    SmallView(&'a [i32], &'a [i32]),
    LargeView(&'a [i64], &'a [i64]),
}

impl Ranges<'_> {
    fn at(&self, row: usize) -> Range<usize> {
        match self {
            Self::Small(offsets) => index(offsets[row])..index(offsets[row + 1]),
            Self::Large(offsets) => index(offsets[row])..index(offsets[row + 1]),
            Self::Fixed(length) => row * length..(row + 1) * length,
            Self::SmallView(offsets, sizes) => index(offsets[row])..index(offsets[row]) + index(sizes[row]),
            Self::LargeView(offsets, sizes) => index(offsets[row])..index(offsets[row]) + index(sizes[row]),
        }
    }
}

/// An offset as Arrow has checked it: never negative, never beyond memory.
fn index(offset: impl TryInto<usize>) -> usize {
    offset.try_into().unwrap_or_default()
}

impl<'a> Cells<'a> {
    /// Looks at a column. `field` says whether binary is a geometry.
    pub(crate) fn new(array: &'a dyn Array, field: &Field) -> Self {
        Self { nulls: array.nulls().filter(|nulls| nulls.null_count() > 0), values: build::values(array, field) }
    }

    /// What kind of values these are.
    pub(crate) fn shape(&self) -> Shape {
        match &self.values {
            Values::Null => Shape::Null,
            Values::Boolean(_) => Shape::Boolean,
            Values::Int8(_) | Values::Int16(_) | Values::Int32(_) | Values::Int64(_) => Shape::Number,
            Values::UInt8(_) | Values::UInt16(_) | Values::UInt32(_) | Values::UInt64(_) => Shape::Number,
            Values::Float16(_) | Values::Float32(_) | Values::Float64(_) => Shape::Number,
            Values::Decimal32(..) | Values::Decimal64(..) | Values::Decimal128(..) | Values::Decimal256(..) => {
                Shape::Number
            }
            Values::Date32(_) | Values::Date64(_) | Values::Time32(..) | Values::Time64(..) => Shape::Moment,
            Values::Timestamp { .. } => Shape::Moment,
            Values::Text(_) => Shape::Text,
            Values::Through(_, inner) => inner.shape(),
            _ => Shape::Other,
        }
    }

    /// Whether the row has no value.
    #[inline]
    pub(crate) fn is_null(&self, row: usize) -> bool {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return true;
        }
        match &self.values {
            Values::Null => true,
            Values::Through(rows, inner) => inner.is_null(rows[row]),
            Values::Union { .. } => self.member(row).is_none_or(|(cells, row)| cells.is_null(row)),
            _ => false,
        }
    }

    /// The text of a row that is not null, in a column of [`Shape::Text`].
    #[inline]
    pub(crate) fn text(&self, row: usize) -> Option<&'a str> {
        match &self.values {
            Values::Text(text) => Some(text.at(row)),
            Values::Through(rows, inner) => inner.text(rows[row]),
            _ => None,
        }
    }

    /// All the text of the column in one piece, where it lies so; nulls may add to it.
    pub(crate) fn whole_text(&self) -> Option<&'a [u8]> {
        match &self.values {
            Values::Text(Text::Small(array)) => {
                let offsets = array.value_offsets();
                array.value_data().get(index(*offsets.first()?)..index(*offsets.last()?))
            }
            Values::Text(Text::Large(array)) => {
                let offsets = array.value_offsets();
                array.value_data().get(index(*offsets.first()?)..index(*offsets.last()?))
            }
            _ => None,
        }
    }

    /// Days since 1970 and nanoseconds of the day, for dates, times (on day zero) and timestamps.
    pub(crate) fn moment(&self, row: usize) -> Option<(i64, i64)> {
        let (seconds, nanos) = match &self.values {
            Values::Date32(days) => return Some((i64::from(days[row]), 0)),
            Values::Date64(millis) => split(millis[row], TimeUnit::Millisecond),
            Values::Time32(ticks, unit) => split(i64::from(ticks[row]), *unit),
            Values::Time64(ticks, unit) => split(ticks[row], *unit),
            Values::Timestamp { ticks, unit, .. } => split(ticks[row], *unit),
            Values::Through(rows, inner) => return inner.moment(rows[row]),
            _ => return None,
        };
        let in_day = seconds.rem_euclid(time::DAY_SECONDS);
        Some((seconds.div_euclid(time::DAY_SECONDS), in_day * 1_000_000_000 + nanos))
    }

    /// Appends the row's value as plain text, without quotes. The row is not null.
    #[inline]
    pub(crate) fn write_text(&self, row: usize, out: &mut Vec<u8>) -> Result<(), WkbError> {
        match &self.values {
            Values::Null => {}
            Values::Boolean(values) => out.extend_from_slice(if values.value(row) { b"true" } else { b"false" }),
            Values::Int8(values) => number::integer(out, values[row]),
            Values::Int16(values) => number::integer(out, values[row]),
            Values::Int32(values) => number::integer(out, values[row]),
            Values::Int64(values) => number::integer(out, values[row]),
            Values::UInt8(values) => number::integer(out, values[row]),
            Values::UInt16(values) => number::integer(out, values[row]),
            Values::UInt32(values) => number::integer(out, values[row]),
            Values::UInt64(values) => number::integer(out, values[row]),
            Values::Float16(values) => number::float(out, values[row]),
            Values::Float32(values) => number::float(out, values[row]),
            Values::Float64(values) => number::float(out, values[row]),
            Values::Decimal32(values, scale) => number::decimal128(out, i128::from(values[row]), *scale),
            Values::Decimal64(values, scale) => number::decimal128(out, i128::from(values[row]), *scale),
            Values::Decimal128(values, scale) => number::decimal128(out, values[row], *scale),
            Values::Decimal256(values, scale) => number::decimal(out, &values[row].to_string(), *scale),
            Values::Date32(days) => time::date(out, i64::from(days[row])),
            Values::Text(text) => out.extend_from_slice(text.at(row).as_bytes()),
            Values::Timestamp { ticks, unit, utc } => {
                let (seconds, nanos) = split(ticks[row], *unit);
                time::timestamp(out, seconds, nanos, *utc);
            }
            Values::Through(rows, inner) => return inner.write_text(rows[row], out),
            _ => return self.write_rare_text(row, out),
        }
        Ok(())
    }

    /// The types that few tables have.
    fn write_rare_text(&self, row: usize, out: &mut Vec<u8>) -> Result<(), WkbError> {
        match &self.values {
            Values::Date64(millis) => {
                let (seconds, nanos) = split(millis[row], TimeUnit::Millisecond);
                if seconds.rem_euclid(time::DAY_SECONDS) == 0 && nanos == 0 {
                    time::date(out, seconds.div_euclid(time::DAY_SECONDS));
                } else {
                    time::timestamp(out, seconds, nanos, false);
                }
            }
            Values::Time32(ticks, unit) => {
                let (seconds, nanos) = split(i64::from(ticks[row]), *unit);
                time::time(out, seconds, nanos);
            }
            Values::Time64(ticks, unit) => {
                let (seconds, nanos) = split(ticks[row], *unit);
                time::time(out, seconds, nanos);
            }
            Values::Duration(ticks, unit) => {
                let (mut seconds, nanos) = split(ticks[row], *unit);
                // Whole days are taken off towards zero, so that all parts have one sign.
                let borrowed = i64::from(seconds < 0 && nanos > 0);
                let days = (seconds + borrowed) / time::DAY_SECONDS;
                seconds -= days * time::DAY_SECONDS;
                time::interval(out, 0, days, seconds, nanos);
            }
            Values::Months(months) => time::interval(out, i64::from(months[row]), 0, 0, 0),
            Values::DayTime(values) => {
                let value = values[row];
                let (seconds, nanos) = split(i64::from(value.milliseconds), TimeUnit::Millisecond);
                time::interval(out, 0, i64::from(value.days), seconds, nanos);
            }
            Values::MonthDayNano(values) => {
                let value = values[row];
                let (seconds, nanos) = split(value.nanoseconds, TimeUnit::Nanosecond);
                time::interval(out, i64::from(value.months), i64::from(value.days), seconds, nanos);
            }
            Values::Binary(bytes) => number::hex(out, bytes.at(row)),
            Values::Geometry(bytes) => {
                let mut wkt = String::new();
                wkb::to_wkt(bytes.at(row), &mut wkt)?;
                out.extend_from_slice(wkt.as_bytes());
            }
            Values::Union { .. } => {
                if let Some((cells, row)) = self.member(row) {
                    cells.write_text(row, out)?;
                }
            }
            _ => self.write_json(row, out)?,
        }
        Ok(())
    }

    /// The member of a union that holds the row's value, and the row in it.
    fn member(&self, row: usize) -> Option<(&Cells<'a>, usize)> {
        let Values::Union { members, type_ids, offsets } = &self.values else { return None };
        let id = type_ids[row];
        let (_, cells) = members.iter().find(|(member, _)| *member == id)?;
        Some((cells, offsets.map_or(row, |offsets| index(offsets[row]))))
    }
}

/// Whole seconds, rounded down, and the nanoseconds on top.
fn split(ticks: i64, unit: TimeUnit) -> (i64, i64) {
    match unit {
        TimeUnit::Second => (ticks, 0),
        TimeUnit::Millisecond => (ticks.div_euclid(1_000), ticks.rem_euclid(1_000) * 1_000_000),
        TimeUnit::Microsecond => (ticks.div_euclid(1_000_000), ticks.rem_euclid(1_000_000) * 1_000),
        TimeUnit::Nanosecond => (ticks.div_euclid(1_000_000_000), ticks.rem_euclid(1_000_000_000)),
    }
}
