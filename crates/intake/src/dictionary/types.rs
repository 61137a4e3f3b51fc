//! How the types of a dictionary are written.

use std::fmt;
use std::str::FromStr;

use super::{DECIMAL_PRECISION_MAX, FieldType};

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("text"),
            Self::Integer => f.write_str("integer"),
            Self::Decimal { precision, scale } => write!(f, "decimal({precision},{scale})"),
            Self::Number => f.write_str("number"),
            Self::Boolean => f.write_str("boolean"),
            Self::Date => f.write_str("date"),
            Self::Time => f.write_str("time"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::TimestampUtc => f.write_str("timestamp_utc"),
            Self::Geometry => f.write_str("geometry"),
        }
    }
}

impl FromStr for FieldType {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "text" => Ok(Self::Text),
            "integer" => Ok(Self::Integer),
            "number" => Ok(Self::Number),
            "boolean" => Ok(Self::Boolean),
            "date" => Ok(Self::Date),
            "time" => Ok(Self::Time),
            "timestamp" => Ok(Self::Timestamp),
            "timestamp_utc" => Ok(Self::TimestampUtc),
            "geometry" => Ok(Self::Geometry),
            other => decimal(other).ok_or_else(|| {
                format!(
                    "there is no type {other:?}; it is one of text, integer, decimal(precision,scale) with at most \
                     {DECIMAL_PRECISION_MAX} digits, number, boolean, date, time, timestamp, timestamp_utc, geometry"
                )
            }),
        }
    }
}

fn decimal(text: &str) -> Option<FieldType> {
    let (precision, scale) = text.strip_prefix("decimal(")?.strip_suffix(')')?.split_once(',')?;
    let (precision, scale) = (precision.trim().parse::<u8>().ok()?, scale.trim().parse::<u8>().ok()?);
    let fits = (1..=DECIMAL_PRECISION_MAX).contains(&precision) && scale <= precision;
    fits.then_some(FieldType::Decimal { precision, scale })
}

impl From<FieldType> for String {
    fn from(field_type: FieldType) -> Self {
        field_type.to_string()
    }
}

impl TryFrom<String> for FieldType {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
