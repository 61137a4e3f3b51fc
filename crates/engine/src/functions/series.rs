//! How long a series of numbers, days or moments would be, as a list and as a table.

use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, IntervalMonthDayNanoType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};

use datafusion::catalog::{TableFunction, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{ColumnarValue, Expr};
use portico_model::problem::ProblemKind;

use super::bounded::refused;
use super::sizes::Argument;

/// Rows of a series in a FROM. They are made as they are read; joined with others they are work.
const ROWS_MAX: u64 = 1_000_000;

const DAY_NANOS: i128 = 86_400_000_000_000;
/// The shortest month.
const MONTH_NANOS: i128 = 28 * DAY_NANOS;

/// A function that makes a table, behind a bound.
#[derive(Debug)]
struct BoundedSeries(Arc<TableFunction>);

/// The function as it is registered.
pub(super) fn bounded(stock: Arc<TableFunction>) -> Arc<TableFunction> {
    let name = stock.name().to_owned();
    Arc::new(TableFunction::new(name, Arc::new(BoundedSeries(stock))))
}

impl TableFunctionImpl for BoundedSeries {
    fn call_with_args(&self, args: TableFunctionArgs) -> Result<Arc<dyn TableProvider>> {
        let arguments = args.exprs().iter().map(|expr| match expr {
            Expr::Literal(value, _) => Argument::of(&ColumnarValue::Scalar(value.clone())),
            _ => {
                let detail = format!("{} in a FROM takes constants only.", self.0.name());
                Err(refused(ProblemKind::FunctionNotAllowed, detail))
            }
        });
        let arguments = arguments.collect::<Result<Vec<_>>>()?;
        check_steps(self.0.name(), &arguments, 1)?;
        if length(&arguments, 0) > ROWS_MAX {
            let detail = format!("{} in a FROM makes at most {ROWS_MAX} rows.", self.0.name());
            return Err(refused(ProblemKind::QueryFailed, detail));
        }
        let exprs = args.exprs().iter().map(in_nanoseconds).collect::<Result<Vec<_>>>()?;
        self.0.create_table_provider_with_args(TableFunctionArgs::new(&exprs, args.session()))
    }
}

/// A moment in the unit that the engine's tables of moments are made in.
fn in_nanoseconds(expr: &Expr) -> Result<Expr> {
    match expr {
        Expr::Literal(value, metadata) => match value.data_type() {
            DataType::Timestamp(unit, zone) if unit != TimeUnit::Nanosecond => {
                let value = value.cast_to(&DataType::Timestamp(TimeUnit::Nanosecond, zone))?;
                Ok(Expr::Literal(value, metadata.clone()))
            }
            _ => Ok(expr.clone()),
        },
        _ => Ok(expr.clone()),
    }
}

/// Refuses steps that lead forwards and backwards, such as a month less 28 days: a series of them may never arrive.
pub(super) fn check_steps(name: &str, arguments: &[Argument], rows: usize) -> Result<()> {
    let [_, _, step] = arguments else { return Ok(()) };
    let Some(intervals) = step.array().as_primitive_opt::<IntervalMonthDayNanoType>() else { return Ok(()) };
    let to_and_fro = |row: usize| {
        let interval = intervals.value(row);
        let signs = [i64::from(interval.months), i64::from(interval.days), interval.nanoseconds].map(i64::signum);
        signs.contains(&1) && signs.contains(&-1)
    };
    if (0..rows.min(intervals.len())).any(|row| intervals.is_valid(row) && to_and_fro(row)) {
        let detail = format!("{name} takes a step whose months, days and hours lead in one direction.");
        return Err(refused(ProblemKind::QueryFailed, detail));
    }
    Ok(())
}

/// Values of a row's series, its last one included whether it belongs to it or not.
pub(super) fn length(arguments: &[Argument], row: usize) -> u64 {
    let place = |argument: &Argument| moment(argument, row);
    let (start, stop, step) = match arguments {
        [stop] => (Some(0), place(stop), Some(1)),
        [start, stop] => (place(start), place(stop), Some(1)),
        [start, stop, step] => (place(start), place(stop), moment(step, row)),
        _ => return 0,
    };
    match (start, stop, step) {
        (Some(start), Some(stop), Some(step)) if step != 0 => {
            let steps = (stop - start) / step;
            if steps < 0 { 0 } else { u64::try_from(steps).unwrap_or(u64::MAX).saturating_add(1) }
        }
        // A null makes a null; a step of nothing is refused by the function.
        _ => 0,
    }
}

/// A number, or a place in time in nanoseconds.
fn moment(argument: &Argument, row: usize) -> Option<i128> {
    let array = argument.array();
    let row = if array.len() == 1 { 0 } else { row };
    if row >= array.len() || array.is_null(row) {
        return None;
    }
    match array.data_type() {
        DataType::Int64 => Some(i128::from(argument.integer(row))),
        DataType::Date32 => Some(i128::from(array.as_primitive::<Date32Type>().value(row)) * DAY_NANOS),
        DataType::Timestamp(unit, _) => Some(match unit {
            TimeUnit::Second => i128::from(array.as_primitive::<TimestampSecondType>().value(row)) * 1_000_000_000,
            TimeUnit::Millisecond => {
                i128::from(array.as_primitive::<TimestampMillisecondType>().value(row)) * 1_000_000
            }
            TimeUnit::Microsecond => i128::from(array.as_primitive::<TimestampMicrosecondType>().value(row)) * 1_000,
            TimeUnit::Nanosecond => i128::from(array.as_primitive::<TimestampNanosecondType>().value(row)),
        }),
        DataType::Interval(_) => {
            // Of another kind of interval the shortest is assumed.
            let Some(intervals) = array.as_primitive_opt::<IntervalMonthDayNanoType>() else { return Some(1) };
            let interval = intervals.value(row);
            Some(
                i128::from(interval.months) * MONTH_NANOS
                    + i128::from(interval.days) * DAY_NANOS
                    + i128::from(interval.nanoseconds),
            )
        }
        DataType::Null => None,
        // As if it were a step of the smallest kind.
        _ => Some(1),
    }
}
