//! `date_trunc` of stored timestamps, in all years: the engine's own goes through nanoseconds, which end in 2262.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, FieldRef, TimeUnit, TimestampMicrosecondType};
use chrono::{DateTime, Datelike, NaiveDate, NaiveTime};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::sort_properties::{ExprProperties, SortProperties};
use datafusion::logical_expr::{
    ColumnarValue, Documentation, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
};
use portico_model::problem::ProblemKind;

use super::bounded::refused;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;

/// The function, with its own arithmetic for microseconds without a zone.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Truncated(Arc<ScalarUDF>);

/// The function as it is registered.
pub(super) fn truncated(stock: Arc<ScalarUDF>) -> Arc<ScalarUDF> {
    if stock.name() == "date_trunc" { Arc::new(ScalarUDF::from(Truncated(stock))) } else { stock }
}

/// What a moment is cut down to.
#[derive(Clone, Copy)]
enum Unit {
    /// Of so many microseconds.
    Even(i64),
    Week,
    Month,
    Quarter,
    Year,
}

impl Unit {
    fn of(name: &str) -> Option<Self> {
        Some(match name.to_lowercase().as_str() {
            "microsecond" => Self::Even(1),
            "millisecond" => Self::Even(1_000),
            "second" => Self::Even(SECOND),
            "minute" => Self::Even(60 * SECOND),
            "hour" => Self::Even(3_600 * SECOND),
            "day" => Self::Even(DAY),
            "week" => Self::Week,
            "month" => Self::Month,
            "quarter" => Self::Quarter,
            "year" => Self::Year,
            _ => return None,
        })
    }

    /// The beginning of the unit that a moment is in; `None` for one that no calendar has.
    fn cut(self, micros: i64) -> Option<i64> {
        let months = match self {
            Self::Even(unit) => return micros.checked_sub(micros.rem_euclid(unit)),
            Self::Week => {
                // The first day of all was a Thursday.
                let days = micros.div_euclid(DAY);
                return days.checked_sub((days + 3).rem_euclid(7))?.checked_mul(DAY);
            }
            Self::Month => 1,
            Self::Quarter => 3,
            Self::Year => 12,
        };
        let date = DateTime::from_timestamp_micros(micros)?.date_naive();
        let first = NaiveDate::from_ymd_opt(date.year(), date.month0() / months * months + 1, 1)?;
        Some(first.and_time(NaiveTime::MIN).and_utc().timestamp_micros())
    }
}

fn text(unit: &ColumnarValue) -> Option<&str> {
    match unit {
        ColumnarValue::Scalar(scalar) => scalar.try_as_str().flatten(),
        ColumnarValue::Array(_) => None,
    }
}

impl ScalarUDFImpl for Truncated {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn aliases(&self) -> &[String] {
        self.0.aliases()
    }

    fn signature(&self) -> &Signature {
        self.0.signature()
    }

    fn return_type(&self, arg_types: &[DataType]) -> Result<DataType> {
        self.0.return_type(arg_types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        self.0.return_field_from_args(args)
    }

    fn is_strict(&self) -> bool {
        self.0.is_strict()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [unit, moments] = args.args.as_slice() else { return self.0.invoke_with_args(args) };
        let stored = moments.data_type() == DataType::Timestamp(TimeUnit::Microsecond, None);
        let Some(unit) = text(unit).and_then(Unit::of).filter(|_| stored) else { return self.0.invoke_with_args(args) };
        let cut = |micros: i64| {
            let detail = "date_trunc was given a moment that no calendar has.";
            unit.cut(micros).ok_or_else(|| refused(ProblemKind::QueryFailed, detail))
        };
        match moments {
            ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(moment, zone)) => {
                let moment = moment.map(cut).transpose()?;
                Ok(ColumnarValue::Scalar(ScalarValue::TimestampMicrosecond(moment, zone.clone())))
            }
            ColumnarValue::Array(array) => {
                let moments = array.as_primitive::<TimestampMicrosecondType>();
                let moments = moments.try_unary::<_, TimestampMicrosecondType, _>(cut)?;
                Ok(ColumnarValue::Array(Arc::new(moments)))
            }
            ColumnarValue::Scalar(_) => self.0.invoke_with_args(args),
        }
    }

    fn output_ordering(&self, inputs: &[ExprProperties]) -> Result<SortProperties> {
        self.0.output_ordering(inputs)
    }

    fn documentation(&self) -> Option<&Documentation> {
        self.0.documentation()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_of_all_years_are_cut() {
        let micros = |text: &str| text.parse::<DateTime<chrono::Utc>>().unwrap().timestamp_micros();
        for (unit, moment, expected) in [
            ("week", "2024-05-05T23:59:59.999999Z", "2024-04-29T00:00:00Z"),
            ("week", "1969-12-28T12:00:00Z", "1969-12-22T00:00:00Z"),
            ("month", "9999-12-31T23:59:59Z", "9999-12-01T00:00:00Z"),
            ("QUARTER", "0001-08-17T01:00:00Z", "0001-07-01T00:00:00Z"),
            ("year", "1582-10-15T00:00:00Z", "1582-01-01T00:00:00Z"),
            ("hour", "1969-12-31T23:59:59.999999Z", "1969-12-31T23:00:00Z"),
            ("millisecond", "1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999Z"),
            ("day", "9999-12-31T23:59:59Z", "9999-12-31T00:00:00Z"),
        ] {
            let cut = Unit::of(unit).unwrap().cut(micros(moment));
            assert_eq!(cut, Some(micros(expected)), "{unit} of {moment}");
        }
        assert_eq!(Unit::Year.cut(i64::MAX), None);
        assert_eq!(Unit::Week.cut(i64::MIN), None);
        assert!(Unit::of("century").is_none());
    }
}
