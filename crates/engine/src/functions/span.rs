//! The length of an interval: what it is compared by.
//!
//! The engine compares intervals by their months, then by their days, then by the rest, so that 25 hours are less than
//! a day. Plans are rewritten to compare lengths, in which a day has 24 hours and a month 30 days.

use std::sync::Arc;

use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{
    DataType, DurationMicrosecondType, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use portico_model::problem::ProblemKind;

use super::bounded::refused;

const DAY_MICROS: i64 = 86_400_000_000;
const MONTH_DAYS: i64 = 30;

/// The function. It is in no registry: plans are rewritten to it.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Span(Signature);

/// The length of an interval, in microseconds.
pub(crate) fn length(interval: Expr) -> Expr {
    let func = Arc::new(ScalarUDF::from(Span(Signature::any(1, Volatility::Immutable))));
    Expr::ScalarFunction(ScalarFunction { func, args: vec![interval] })
}

fn micros(interval: IntervalMonthDayNano) -> Result<i64> {
    if interval.nanoseconds % 1_000 != 0 {
        return Err(refused(ProblemKind::QueryFailed, "An interval finer than a microsecond cannot be compared."));
    }
    let days = i64::from(interval.months) * MONTH_DAYS + i64::from(interval.days);
    let micros = days.checked_mul(DAY_MICROS).and_then(|days| days.checked_add(interval.nanoseconds / 1_000));
    micros.ok_or_else(|| {
        refused(ProblemKind::QueryFailed, "Overflow: an interval of more than 292,000 years cannot be compared.")
    })
}

impl ScalarUDFImpl for Span {
    fn name(&self) -> &str {
        "length_of_interval"
    }

    /// That of the interval, which keeps its name.
    fn schema_name(&self, args: &[Expr]) -> Result<String> {
        Ok(args.first().map(|interval| interval.schema_name().to_string()).unwrap_or_default())
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Duration(TimeUnit::Microsecond))
    }

    fn is_strict(&self) -> bool {
        true
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [intervals] = args.args.as_slice() else {
            return Err(DataFusionError::Internal("an interval has one length".to_owned()));
        };
        let constant = matches!(intervals, ColumnarValue::Scalar(_));
        let intervals = intervals.to_array(if constant { 1 } else { args.number_rows })?;
        let intervals = cast(&intervals, &DataType::Interval(IntervalUnit::MonthDayNano))?;
        let lengths = intervals
            .as_primitive::<IntervalMonthDayNanoType>()
            .try_unary::<_, DurationMicrosecondType, DataFusionError>(micros)?;
        if constant {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&lengths, 0)?));
        }
        Ok(ColumnarValue::Array(Arc::new(lengths)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_24_hours_and_a_month_30_days() {
        let of = |months, days, nanos| micros(IntervalMonthDayNano::new(months, days, nanos));
        assert_eq!(of(0, 0, 25 * 3_600_000_000_000).unwrap(), 25 * 3_600_000_000);
        assert_eq!(of(1, -30, 1_000).unwrap(), 1);
        assert_eq!(of(0, 7, -1_000).unwrap(), 7 * DAY_MICROS - 1);
        assert!(of(i32::MAX, 0, 0).is_err());
        assert!(of(0, 0, 1).is_err());
    }
}
