//! Limits and allowed values as values of a column's type.

use arrow_schema::{DataType, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

use crate::dictionary::Field;

/// A value in the unit that its column is stored in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Limit {
    /// Whole numbers, unscaled decimals, days and microseconds.
    Exact(i128),
    /// Floats, and limits that lie between two values of an exact column.
    Float(f64),
}

/// Reads a limit for a column of this type; `None` when the text is no value of it.
pub(super) fn parse(text: &str, data_type: &DataType, field: &Field) -> Option<Limit> {
    let text = text.trim();
    let format = field.format.as_deref();
    match data_type {
        DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::UInt8
        | DataType::UInt16
        | DataType::UInt32
        | DataType::UInt64 => number(text, 0, field),
        DataType::Decimal128(_, scale) => number(text, *scale, field),
        DataType::Float32 | DataType::Float64 => {
            plain(text, field).parse().ok().filter(|n: &f64| !n.is_nan()).map(Limit::Float)
        }
        DataType::Date32 => date(text, format).map(|date| Limit::Exact(days(date).into())),
        DataType::Time64(TimeUnit::Microsecond) => time(text, format).map(|time| Limit::Exact(micros_of(time).into())),
        DataType::Timestamp(TimeUnit::Microsecond, None) => {
            moment(text, format).map(|moment| Limit::Exact(moment.and_utc().timestamp_micros().into()))
        }
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => DateTime::parse_from_rfc3339(text)
            .ok()
            .or_else(|| DateTime::parse_from_str(text, format?).ok())
            .map(|moment| moment.timestamp_micros())
            .or_else(|| moment(text, format).map(|moment| moment.and_utc().timestamp_micros()))
            .map(|micros| Limit::Exact(micros.into())),
        _ => None,
    }
}

/// A number without the separators and signs that the field declares.
fn plain(text: &str, field: &Field) -> String {
    let skipped = |character: char| Some(character) == field.thousands || Some(character) == field.currency;
    let mark = |character: char| if Some(character) == field.decimal_mark { '.' } else { character };
    text.chars().filter(|character| !skipped(*character)).map(mark).collect::<String>().trim().to_owned()
}

fn number(text: &str, scale: i8, field: &Field) -> Option<Limit> {
    let text = plain(text, field);
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let fraction = fraction.trim_end_matches('0');
    let places = usize::try_from(scale).unwrap_or(0);
    let exact = (scale >= 0 && fraction.len() <= places)
        .then(|| format!("{whole}{fraction}{}", "0".repeat(places - fraction.len())).parse::<i128>().ok())
        .flatten();
    exact.map(Limit::Exact).or_else(|| {
        let float = text.parse::<f64>().ok().filter(|number| !number.is_nan())?;
        Some(Limit::Float(float * 10_f64.powi(i32::from(scale))))
    })
}

fn date(text: &str, format: Option<&str>) -> Option<NaiveDate> {
    let iso = NaiveDate::parse_from_str(text, "%Y-%m-%d").ok();
    iso.or_else(|| NaiveDate::parse_from_str(text, format?).ok())
}

fn time(text: &str, format: Option<&str>) -> Option<NaiveTime> {
    let iso = ["%H:%M:%S%.f", "%H:%M"].into_iter().find_map(|iso| NaiveTime::parse_from_str(text, iso).ok());
    iso.or_else(|| NaiveTime::parse_from_str(text, format?).ok())
}

fn moment(text: &str, format: Option<&str>) -> Option<NaiveDateTime> {
    let iso = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M"]
        .into_iter()
        .find_map(|iso| NaiveDateTime::parse_from_str(text, iso).ok());
    iso.or_else(|| NaiveDateTime::parse_from_str(text, format?).ok())
        .or_else(|| date(text, format).and_then(|date| date.and_hms_opt(0, 0, 0)))
}

fn days(date: NaiveDate) -> i64 {
    (date - NaiveDate::default()).num_days()
}

fn micros_of(time: NaiveTime) -> i64 {
    i64::from(time.num_seconds_from_midnight()) * 1_000_000 + i64::from(time.nanosecond() / 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_values_of_the_columns_type() {
        let check = |text: &str, data_type: DataType, expect: Option<Limit>| {
            let field = Field { thousands: Some(','), format: Some("%d/%m/%Y".into()), ..Field::named("a") };
            assert_eq!(parse(text, &data_type, &field), expect, "{text} {data_type}");
        };
        check("1,000", DataType::Int64, Some(Limit::Exact(1_000)));
        check("0.5", DataType::Int64, Some(Limit::Float(0.5)));
        check("12.50", DataType::Decimal128(10, 2), Some(Limit::Exact(1_250)));
        check("-0.05", DataType::Decimal128(10, 2), Some(Limit::Exact(-5)));
        check("1e3", DataType::Decimal128(10, 2), Some(Limit::Float(100_000.0)));
        check("1970-01-02", DataType::Date32, Some(Limit::Exact(1)));
        check("02/01/1970", DataType::Date32, Some(Limit::Exact(1)));
        check("00:00:01", DataType::Time64(TimeUnit::Microsecond), Some(Limit::Exact(1_000_000)));
        check("1970-01-01T00:00:01", DataType::Timestamp(TimeUnit::Microsecond, None), Some(Limit::Exact(1_000_000)));
        let utc = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
        check("1970-01-01T01:00:00+01:00", utc.clone(), Some(Limit::Exact(0)));
        check("1970-01-01", utc, Some(Limit::Exact(0)));
        check("abc", DataType::Int64, None);
        check("1", DataType::Utf8, None);
    }
}
