//! Values and types as text, as exports show them.

use arrow_schema::{DataType, Field};
use chrono::{DateTime, NaiveDate, NaiveTime};

/// How the numbers behind a column are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Print {
    /// A number without a fraction.
    Whole,
    /// A number in units of ten to the minus this.
    Decimal(i8),
    /// A 64-bit float.
    Float,
    /// A 32-bit float that was widened.
    Single,
    /// Days since 1970-01-01.
    Date,
    /// Microseconds since midnight.
    Time,
    /// Microseconds since 1970-01-01 on a local clock.
    Timestamp,
    /// Microseconds since 1970-01-01 in UTC.
    TimestampUtc,
}

impl Print {
    pub(crate) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Decimal128(_, scale) => Self::Decimal(*scale),
            DataType::Float64 => Self::Float,
            DataType::Float16 | DataType::Float32 => Self::Single,
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            DataType::Timestamp(_, None) => Self::Timestamp,
            DataType::Timestamp(_, Some(_)) => Self::TimestampUtc,
            _ => Self::Whole,
        }
    }

    /// What a unit of the stored number is worth.
    pub(crate) fn unit(self) -> f64 {
        match self {
            Self::Decimal(scale) => 10_f64.powi(-i32::from(scale)),
            Self::Whole
            | Self::Float
            | Self::Single
            | Self::Date
            | Self::Time
            | Self::Timestamp
            | Self::TimestampUtc => 1.0,
        }
    }

    /// A stored whole number as text; out of the calendar, the number itself.
    pub(crate) fn whole(self, number: i64) -> String {
        let shown =
            match self {
                Self::Date => i32::try_from(number)
                    .ok()
                    .and_then(|days| days.checked_add(DAYS_BEFORE_1970))
                    .and_then(NaiveDate::from_num_days_from_ce_opt)
                    .map(|date| date.format("%Y-%m-%d").to_string()),
                Self::Time => {
                    let seconds = u32::try_from(number.div_euclid(MICROS)).ok();
                    let nanos = u32::try_from(number.rem_euclid(MICROS) * 1_000).ok();
                    seconds
                        .zip(nanos)
                        .and_then(|(seconds, nanos)| NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos))
                        .map(|time| time.format("%H:%M:%S%.f").to_string())
                }
                Self::Timestamp => DateTime::from_timestamp_micros(number)
                    .map(|moment| moment.format("%Y-%m-%dT%H:%M:%S%.f").to_string()),
                Self::TimestampUtc => DateTime::from_timestamp_micros(number)
                    .map(|moment| moment.format("%Y-%m-%dT%H:%M:%S%.fZ").to_string()),
                Self::Whole | Self::Decimal(_) | Self::Float | Self::Single => None,
            };
        shown.unwrap_or_else(|| number.to_string())
    }

    /// A stored wide number as text, with every digit of its scale.
    pub(crate) fn wide(self, number: i128) -> String {
        let scale = if let Self::Decimal(scale) = self { scale } else { 0 };
        let Ok(scale) = usize::try_from(scale) else {
            let zeros = if number == 0 { 0 } else { usize::from(scale.unsigned_abs()) };
            return format!("{number}{}", "0".repeat(zeros));
        };
        let sign = if number < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", number.unsigned_abs(), width = scale + 1);
        match digits.split_at_checked(digits.len() - scale) {
            Some((whole, fraction)) if scale > 0 => format!("{sign}{whole}.{fraction}"),
            _ => format!("{sign}{digits}"),
        }
    }

    /// A float in the fewest digits that read back to it.
    pub(crate) fn float(self, number: f64) -> String {
        if self == Self::Single {
            // A widened float has the digits of a narrow one: those of the nearest decimal that reads back to it.
            let narrow = (1..=9)
                .map(|digits| format!("{number:.*e}", digits - 1))
                .find_map(|text| text.parse::<f32>().ok().filter(|narrow| f64::from(*narrow) == number));
            return narrow.map_or_else(|| format!("{number:?}"), |narrow| format!("{narrow:?}"));
        }
        format!("{number:?}")
    }
}

const DAYS_BEFORE_1970: i32 = 719_163;
const MICROS: i64 = 1_000_000;

/// The public name of a column's type.
pub(crate) fn type_name(field: &Field) -> String {
    let geometry = field.metadata().contains_key("ARROW:extension:name");
    match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".to_owned(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
            if geometry { "geometry" } else { "binary" }.to_owned()
        }
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => format!("decimal({precision},{scale})"),
        DataType::Date32 | DataType::Date64 => "date".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "time".to_owned(),
        DataType::Timestamp(_, None) => "timestamp".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp_utc".to_owned(),
        other => other.to_string().to_ascii_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_as_exports_show_them() {
        let check = |print: Print, number: i64, text: &str| assert_eq!(print.whole(number), text);
        check(Print::Whole, -5, "-5");
        check(Print::Date, 19_783, "2024-03-01");
        check(Print::Time, 32_700_250_000, "09:05:00.250");
        check(Print::Timestamp, 1_709_296_496_000_000, "2024-03-01T12:34:56");
        check(Print::TimestampUtc, 1_709_296_496_120_000, "2024-03-01T12:34:56.120Z");
        assert_eq!(Print::Decimal(2).wide(-5), "-0.05");
        assert_eq!(Print::Decimal(2).wide(123_450), "1234.50");
        assert_eq!(Print::Decimal(0).wide(12), "12");
        assert_eq!(Print::Decimal(-2).wide(12), "1200");
        assert_eq!(Print::Float.float(1.0), "1.0");
        assert_eq!(Print::Float.float(1e300), "1e300");
        assert_eq!(Print::Single.float(f64::from(0.1_f32)), "0.1");
    }
}
