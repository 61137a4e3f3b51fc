//! Remedies over the values of one column.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryBuilder, Float64Array, Int64Array, StringArray, StringBuilder,
    new_null_array,
};
use arrow::compute::cast;
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
};
use arrow_schema::{ArrowError, DataType, Field};
use chrono::{Datelike as _, NaiveDate};
use portico_model::wkb;
use serde_json::Value;

use super::Remedy;
use super::apply::RemedyError;
use super::pseudonym::{Keyed, PseudonymKey};
use super::rows::as_text;
use crate::profile::convert::count;
use crate::profile::print::type_name;
use crate::screen::{Finder, RuleSet};

const DAYS_BEFORE_1970: i32 = 719_163;
const DAY_US: i64 = 86_400_000_000;

/// A remedy ready for one column.
pub(super) struct Convert {
    data_type: DataType,
    how: How,
}

enum How {
    Year,
    Month,
    Round(u8),
    /// By ten to this power.
    RoundDecimal(i128),
    RoundGeometry(u8),
    Bands(i64),
    Prefix(usize),
    Pseudonym(Box<Keyed>),
    Redact(Option<Box<Finder>>),
    Empty,
}

impl Convert {
    pub(super) fn new(
        remedy: Remedy,
        field: &Field,
        rules: &RuleSet,
        key: Option<&PseudonymKey>,
    ) -> Result<Self, RemedyError> {
        let has = field.data_type();
        let temporal = matches!(has, DataType::Date32 | DataType::Timestamp(TimeUnit::Microsecond, _));
        let geometry = *has == DataType::Binary;
        let float = matches!(has, DataType::Float32 | DataType::Float64);
        let wrong = |wants| {
            let (column, has) = (field.name().clone(), type_name(field));
            Err(RemedyError::Type { column, remedy, wants, has })
        };
        let (data_type, how) = match remedy {
            Remedy::Year if temporal => (DataType::Int64, How::Year),
            Remedy::Month if temporal => (DataType::Utf8, How::Month),
            Remedy::Year | Remedy::Month => return wrong("dates or times"),
            Remedy::Round(decimals) if float => (has.clone(), How::Round(decimals)),
            Remedy::Round(decimals) if geometry => (has.clone(), How::RoundGeometry(decimals)),
            Remedy::Round(decimals) => match has {
                DataType::Decimal128(precision, scale) => {
                    let kept = i8::try_from(decimals).unwrap_or(i8::MAX).min(*scale);
                    (DataType::Decimal128(*precision, kept), rounded_decimal(*scale, decimals))
                }
                _ => return wrong("numbers with decimals, or a geometry"),
            },
            Remedy::Bands(width) if has.is_numeric() => (DataType::Utf8, How::Bands(i64::from(width))),
            Remedy::Bands(_) => return wrong("numbers"),
            Remedy::Prefix(characters) if *has == DataType::Utf8 => {
                (DataType::Utf8, How::Prefix(usize::try_from(characters).unwrap_or(usize::MAX)))
            }
            Remedy::Redact if *has == DataType::Utf8 => {
                (DataType::Utf8, How::Redact(Finder::new(field, rules, None).map(Box::new)))
            }
            Remedy::Prefix(_) | Remedy::Redact => return wrong("text"),
            Remedy::Pseudonym if geometry => return wrong("texts, numbers or dates"),
            Remedy::Pseudonym => {
                let keyed = key.and_then(PseudonymKey::keyed).ok_or(RemedyError::NoKey)?;
                (DataType::Utf8, How::Pseudonym(Box::new(keyed)))
            }
            Remedy::Empty => (has.clone(), How::Empty),
        };
        Ok(Self { data_type, how })
    }

    pub(super) fn data_type(&self) -> DataType {
        self.data_type.clone()
    }

    /// What the remedy leaves, and how many values it concerned.
    pub(super) fn apply(&mut self, array: &ArrayRef) -> Result<(ArrayRef, u64), ArrowError> {
        let values = count(array.len() - array.logical_null_count());
        let left: ArrayRef = match &mut self.how {
            How::Year => {
                let year = |date: NaiveDate| i64::from(date.year());
                Arc::new(dates(array).into_iter().map(|date| date.map(year)).collect::<Int64Array>())
            }
            How::Month => {
                let month = |date: NaiveDate| format!("{:04}-{:02}", date.year(), date.month());
                Arc::new(dates(array).into_iter().map(|date| date.map(month)).collect::<StringArray>())
            }
            How::Round(decimals) => round(array, *decimals)?,
            How::RoundDecimal(unit) => {
                let (unit, decimals) = (*unit, array.as_primitive::<Decimal128Type>());
                let rounded = decimals.unary::<_, Decimal128Type>(|value| round_to(value, unit) / unit);
                Arc::new(rounded.with_data_type(self.data_type.clone()))
            }
            How::RoundGeometry(decimals) => round_geometries(array, *decimals),
            How::Bands(width) => bands(array, *width)?,
            How::Prefix(characters) => {
                let first = |text: &str| text.chars().take(*characters).collect::<String>();
                let texts = array.as_string::<i32>();
                Arc::new(texts.iter().map(|text| text.map(first)).collect::<StringArray>())
            }
            How::Pseudonym(keyed) => pseudonyms(array, keyed)?,
            How::Redact(None) => return Ok((ArrayRef::clone(array), 0)),
            How::Redact(Some(finder)) => return Ok(redacted(array, finder)),
            How::Empty => new_null_array(&self.data_type, array.len()),
        };
        Ok((left, values))
    }
}

/// The day of each value.
fn dates(array: &ArrayRef) -> Vec<Option<NaiveDate>> {
    let day = |days: i32| days.checked_add(DAYS_BEFORE_1970).and_then(NaiveDate::from_num_days_from_ce_opt);
    if let Some(days) = array.as_primitive_opt::<Date32Type>() {
        return days.iter().map(|days| days.and_then(day)).collect();
    }
    match array.as_primitive_opt::<TimestampMicrosecondType>() {
        Some(times) => {
            let days = |us: i64| i32::try_from(us.div_euclid(DAY_US)).ok().and_then(day);
            times.iter().map(|us| us.and_then(days)).collect()
        }
        None => vec![None; array.len()],
    }
}

fn rounded_decimal(scale: i8, decimals: u8) -> How {
    let beyond = i16::from(scale).saturating_sub(i16::from(decimals));
    How::RoundDecimal(u32::try_from(beyond).ok().and_then(|places| 10_i128.checked_pow(places)).unwrap_or(1))
}

/// The nearest multiple; halves go away from zero.
fn round_to(value: i128, unit: i128) -> i128 {
    let rest = value % unit;
    let cut = value - rest;
    if rest.abs() * 2 < unit { cut } else { cut.checked_add(unit * rest.signum()).unwrap_or(cut) }
}

fn round(array: &ArrayRef, decimals: u8) -> Result<ArrayRef, ArrowError> {
    if *array.data_type() == DataType::Float32 {
        let wide = cast(array, &DataType::Float64)?;
        let rounded = floats(&wide, decimals);
        return cast(&rounded, &Float32Type::DATA_TYPE);
    }
    Ok(Arc::new(floats(array, decimals)))
}

fn floats(array: &ArrayRef, decimals: u8) -> Float64Array {
    array.as_primitive::<Float64Type>().unary::<_, Float64Type>(|value| decimal(value, decimals))
}

/// A number with so many decimals, spelt as such: adding a half and dividing leaves digits behind that tell.
fn decimal(value: f64, decimals: u8) -> f64 {
    if value.is_finite() { format!("{value:.*}", usize::from(decimals)).parse().unwrap_or(0.0) } else { value }
}

/// A geometry that cannot be read becomes null, since it cannot be rounded either.
fn round_geometries(array: &ArrayRef, decimals: u8) -> ArrayRef {
    let mut rounded = BinaryBuilder::new();
    for geometry in array.as_binary::<i32>() {
        rounded.append_option(geometry.and_then(|geometry| round_geometry(geometry, decimals)));
    }
    Arc::new(rounded.finish())
}

fn round_geometry(geometry: &[u8], decimals: u8) -> Option<Vec<u8>> {
    let mut text = String::new();
    wkb::to_geojson(geometry, &mut text).ok()?;
    let mut geojson: Value = serde_json::from_str(&text).ok()?;
    round_numbers(&mut geojson, decimals);
    wkb::from_geojson(&geojson).ok()
}

/// What is read is at most [`wkb::DEPTH_MAX`] deep.
fn round_numbers(value: &mut Value, decimals: u8) {
    match value {
        Value::Number(number) => {
            if let Some(float) = number.as_f64() {
                *value = Value::from(decimal(float, decimals));
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| round_numbers(value, decimals)),
        Value::Object(values) => values.values_mut().for_each(|value| round_numbers(value, decimals)),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn bands(array: &ArrayRef, width: i64) -> Result<ArrayRef, ArrowError> {
    let whole = match array.data_type() {
        data_type if data_type.is_integer() => cast(array, &DataType::Int64)?,
        _ => {
            let floats = cast(array, &DataType::Float64)?;
            let floors = floats.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::floor);
            cast(&floors, &DataType::Int64)?
        }
    };
    let band = |value: i64| {
        let low = value.div_euclid(width).saturating_mul(width);
        let high = low.saturating_add(width - 1);
        if low == high { low.to_string() } else { format!("{low} to {high}") }
    };
    let whole = whole.as_primitive::<Int64Type>();
    Ok(Arc::new(whole.iter().map(|value| value.map(band)).collect::<StringArray>()))
}

fn pseudonyms(array: &ArrayRef, keyed: &Keyed) -> Result<ArrayRef, ArrowError> {
    let texts = as_text(array)?;
    let mut left = StringBuilder::new();
    let mut pseudonym = String::new();
    for text in &texts {
        match text {
            Some(text) => {
                keyed.pseudonym(text.as_bytes(), &mut pseudonym);
                left.append_value(&pseudonym);
            }
            None => left.append_null(),
        }
    }
    Ok(Arc::new(left.finish()))
}

fn redacted(array: &ArrayRef, finder: &mut Finder) -> (ArrayRef, u64) {
    let texts = array.as_string::<i32>();
    let mut changed = 0;
    let mut left = StringBuilder::with_capacity(texts.len(), texts.value_data().len());
    for text in texts {
        match text.map(|text| (text, finder.redact(text))) {
            None => left.append_null(),
            Some((text, None)) => left.append_value(text),
            Some((_, Some(text))) => {
                changed += 1;
                left.append_value(text);
            }
        }
    }
    (Arc::new(left.finish()), changed)
}
