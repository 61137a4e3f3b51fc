//! Reads values as the data dictionary declares them. What does not fit is a violation, never a guess.

use arrow::datatypes::{DataType, TimeUnit};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

use crate::cell::{Cell, Kind};
use crate::dictionary::{Dictionary, Field, FieldType};
use crate::infer::number;
use crate::infer::temporal::{DAY_US, DateForm, Order, Temporal, in_years, temporal};
use crate::reading::Value;

mod dressing;
pub(crate) mod wkt;

pub(crate) use dressing::Dressing;

/// A column's declared type and how its values are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Declared {
    data_type: FieldType,
    format: Option<String>,
    dressing: Option<Dressing>,
    true_values: Vec<String>,
    false_values: Vec<String>,
}

impl Declared {
    /// What the field declares; `None` when it leaves the type to the values. A format without a type tells the type.
    pub(crate) fn of(field: &Field) -> Option<Self> {
        let data_type = field.data_type.or_else(|| field.format.as_deref().map(type_of_format))?;
        Some(Self {
            data_type,
            format: field.format.clone(),
            dressing: Dressing::of(field),
            true_values: field.true_values.clone(),
            false_values: field.false_values.clone(),
        })
    }

    /// The type of the column in Arrow.
    pub(crate) fn data_type(&self) -> DataType {
        match self.data_type {
            FieldType::Text => DataType::Utf8,
            FieldType::Integer => DataType::Int64,
            FieldType::Decimal { precision, scale } => {
                DataType::Decimal128(precision, i8::try_from(scale).unwrap_or(i8::MAX))
            }
            FieldType::Number => DataType::Float64,
            FieldType::Boolean => DataType::Boolean,
            FieldType::Date => DataType::Date32,
            FieldType::Time => DataType::Time64(TimeUnit::Microsecond),
            FieldType::Timestamp => DataType::Timestamp(TimeUnit::Microsecond, None),
            FieldType::TimestampUtc => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            FieldType::Geometry => DataType::Binary,
        }
    }

    /// Whether the column holds geometries.
    pub(crate) fn is_geometry(&self) -> bool {
        self.data_type == FieldType::Geometry
    }

    /// The type's name as dictionaries write it.
    pub(crate) fn type_name(&self) -> String {
        self.data_type.to_string()
    }

    /// The value of a cell that is not null; `None` when it violates the type.
    pub(crate) fn value(&self, cell: Cell<'_>) -> Option<Value> {
        let bytes = cell.bytes;
        if cell.kind == Kind::Wkb {
            return self.is_geometry().then(|| Value::Wkb(bytes.to_vec()));
        }
        match self.data_type {
            FieldType::Text => Some(Value::Text(bytes.to_vec())),
            FieldType::Integer => {
                let value = self.undressed(bytes, |bytes| number::scaled(bytes, 19, 0))?;
                i64::try_from(value).ok().map(Value::Integer)
            }
            FieldType::Decimal { precision, scale } => {
                self.undressed(bytes, |bytes| number::scaled(bytes, precision, scale)).map(Value::Decimal)
            }
            FieldType::Number => self.undressed(bytes, number::float).map(Value::Float),
            FieldType::Boolean => self.boolean(bytes).map(Value::Boolean),
            FieldType::Date => self.date(cell).map(Value::Date),
            FieldType::Time => self.time(cell).map(Value::Time),
            FieldType::Timestamp => self.timestamp(cell, false).map(Value::Timestamp),
            FieldType::TimestampUtc => self.timestamp(cell, true).map(Value::Timestamp),
            FieldType::Geometry => wkt::geometry(bytes).map(Value::Wkb),
        }
    }

    fn undressed<T>(&self, bytes: &[u8], read: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        let mut scratch = Vec::new();
        match &self.dressing {
            Some(dressing) => read(dressing.undress(bytes, &mut scratch)?),
            None => read(bytes.trim_ascii()),
        }
    }

    fn boolean(&self, bytes: &[u8]) -> Option<bool> {
        let says = |values: &[String], usual: &[&str]| {
            let own = values.iter().any(|value| value.as_bytes() == bytes);
            own || (values.is_empty() && usual.iter().any(|value| value.as_bytes() == bytes))
        };
        if says(&self.true_values, &["true", "True", "TRUE", "1"]) {
            return Some(true);
        }
        says(&self.false_values, &["false", "False", "FALSE", "0"]).then_some(false)
    }

    /// The declared format, which moments of a workbook do not have.
    fn format_of(&self, cell: Cell<'_>) -> Option<&str> {
        self.format.as_deref().filter(|_| cell.kind != Kind::Moment)
    }

    fn date(&self, cell: Cell<'_>) -> Option<i32> {
        if let Some(format) = self.format_of(cell) {
            let text = std::str::from_utf8(cell.bytes).ok()?;
            let date = NaiveDate::parse_from_str(text, format);
            let date = date.or_else(|_| NaiveDateTime::parse_from_str(text, format).map(|moment| moment.date()));
            return date.ok().map(|date| date.to_epoch_days());
        }
        let value = iso(cell.bytes)?;
        (value.form.date.is_some() && value.time_us == 0).then(|| value.days(Order::MonthFirst))?
    }

    fn time(&self, cell: Cell<'_>) -> Option<i64> {
        if let Some(format) = self.format_of(cell) {
            let time = NaiveTime::parse_from_str(std::str::from_utf8(cell.bytes).ok()?, format).ok()?;
            let micros = i64::from(time.nanosecond() / 1000).min(999_999);
            return Some(i64::from(time.num_seconds_from_midnight()) * 1_000_000 + micros);
        }
        let value = temporal(cell.bytes)?;
        (value.form.date.is_none() && value.time_us < DAY_US && !value.finer).then_some(value.time_us)
    }

    fn timestamp(&self, cell: Cell<'_>, utc: bool) -> Option<i64> {
        self.moment(cell, utc).filter(|moment| in_years(*moment))
    }

    fn moment(&self, cell: Cell<'_>, utc: bool) -> Option<i64> {
        if let Some(format) = self.format_of(cell) {
            let text = std::str::from_utf8(cell.bytes).ok()?;
            if utc && let Ok(moment) = DateTime::parse_from_str(text, format) {
                return Some(moment.timestamp_micros());
            }
            let moment = NaiveDateTime::parse_from_str(text, format);
            let moment = moment.ok().or_else(|| NaiveDate::parse_from_str(text, format).ok()?.and_hms_opt(0, 0, 0))?;
            return Some(moment.and_utc().timestamp_micros());
        }
        let value = iso(cell.bytes).filter(|value| !value.finer)?;
        let zone_fits = value.form.zoned == utc || (utc && cell.kind == Kind::Moment);
        (value.form.date.is_some() && zone_fits).then(|| value.moment_us(Order::MonthFirst))?
    }
}

/// A date or timestamp of ISO 8601.
fn iso(bytes: &[u8]) -> Option<Temporal> {
    temporal(bytes).filter(|value| value.form.date == Some(DateForm::YearFirst(b'-')) && !value.form.half_days)
}

fn type_of_format(format: &str) -> FieldType {
    let has = |letters: &[&str]| letters.iter().any(|letter| format.contains(letter));
    let day = has(&["%d", "%e", "%j", "%D", "%F", "%x", "%c", "%s"]);
    let hour = has(&["%H", "%I", "%k", "%l", "%T", "%R", "%r", "%X", "%c", "%s"]);
    let zone = has(&["%z", "%:z", "%#z", "%+", "%s"]);
    match (day, hour, zone) {
        (_, true, true) => FieldType::TimestampUtc,
        (true, true, false) => FieldType::Timestamp,
        (false, true, false) => FieldType::Time,
        (_, false, _) => FieldType::Date,
    }
}

/// The spellings of null in one column, besides the empty field.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nulls(Vec<Vec<u8>>);

impl Nulls {
    pub(crate) fn new(everywhere: &[String], dictionary: Option<&Dictionary>, field: Option<&Field>) -> Self {
        let own = field.and_then(|field| field.missing_values.as_ref());
        let from_dictionary = own.or(dictionary.map(|dictionary| &dictionary.missing_values));
        let spellings = everywhere.iter().chain(from_dictionary.into_iter().flatten());
        Self(spellings.filter(|text| !text.is_empty()).map(|text| text.clone().into_bytes()).collect())
    }

    pub(crate) fn is_null(&self, bytes: &[u8]) -> bool {
        bytes.is_empty() || (!self.0.is_empty() && self.0.iter().any(|null| null == bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(field: &Field, text: &str) -> Option<Value> {
        Declared::of(field).unwrap().value(Cell { bytes: text.as_bytes(), kind: Kind::Bare })
    }

    fn typed(data_type: FieldType) -> Field {
        Field { data_type: Some(data_type), ..Field::named("x") }
    }

    #[test]
    fn declared_types_are_kept_to() {
        let check = |data_type, text: &str, expect: Option<Value>| {
            assert_eq!(value(&typed(data_type), text), expect, "{text:?}");
        };
        check(FieldType::Integer, "007", Some(Value::Integer(7)));
        check(FieldType::Integer, "5.0", Some(Value::Integer(5)));
        check(FieldType::Integer, "5.5", None);
        check(FieldType::Decimal { precision: 4, scale: 2 }, "1.5", Some(Value::Decimal(150)));
        check(FieldType::Decimal { precision: 4, scale: 2 }, "1.555", None);
        check(FieldType::Decimal { precision: 4, scale: 2 }, "100", None);
        check(FieldType::Number, "1e3", Some(Value::Float(1000.0)));
        check(FieldType::Number, "inf", None);
        check(FieldType::Boolean, "1", Some(Value::Boolean(true)));
        check(FieldType::Boolean, "yes", None);
        check(FieldType::Date, "1970-01-02", Some(Value::Date(1)));
        check(FieldType::Date, "1/2/1970", None);
        check(FieldType::Time, "00:01", Some(Value::Time(60_000_000)));
        check(FieldType::Time, "24:01", None);
        check(FieldType::Timestamp, "1970-01-01 00:00:01", Some(Value::Timestamp(1_000_000)));
        check(FieldType::Timestamp, "1970-01-01T00:00:01Z", None);
        check(FieldType::TimestampUtc, "1970-01-01T01:00:00+01:00", Some(Value::Timestamp(0)));
        check(FieldType::Text, "x", Some(Value::Text(b"x".to_vec())));
        check(FieldType::Geometry, "nonsense", None);
    }

    #[test]
    fn formats_resolve_what_typing_leaves() {
        let check = |format: &str, text: &str, expect: Option<Value>| {
            let field = Field { format: Some(format.to_owned()), ..Field::named("x") };
            assert_eq!(value(&field, text), expect, "{text:?}");
        };
        check("%d/%m/%Y", "02/01/1970", Some(Value::Date(1)));
        check("%d-%b-%y", "02-Jan-70", Some(Value::Date(1)));
        check("%Y%m%d", "19700102", Some(Value::Date(1)));
        check("%d.%m.%Y %H:%M", "01.01.1970 00:01", Some(Value::Timestamp(60_000_000)));
        check("%H.%M", "00.01", Some(Value::Time(60_000_000)));
        check("%d/%m/%Y", "31/31/1970", None);
    }

    #[test]
    fn null_is_what_was_declared() {
        let dictionary = Dictionary { missing_values: vec!["NA".into(), String::new()], ..Dictionary::default() };
        let nulls = Nulls::new(&["-".to_owned()], Some(&dictionary), None);
        for (text, expect) in [("", true), ("NA", true), ("-", true), ("na", false), ("x", false)] {
            assert_eq!(nulls.is_null(text.as_bytes()), expect, "{text:?}");
        }
    }
}
