//! The type that values are compared in, and how they get there.

use arrow::datatypes::{DataType, IntervalUnit, TimeUnit};
use datafusion::common::DFSchema;
use datafusion::logical_expr::{Expr, ExprSchemable, cast};

use crate::functions::span;

/// A timestamp as it is stored.
const STORED: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);
/// A length of time as it is compared.
const LENGTH: DataType = DataType::Duration(TimeUnit::Microsecond);

/// What is brought to one type.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Values that are compared with one another.
    Comparison,
    /// Values of which one is the answer.
    Choice,
}

/// Makes a day a timestamp; tells whether it was one.
pub(super) fn make_moment(expr: &mut Expr, schema: &DFSchema) -> bool {
    let is_day = matches!(expr.get_type(schema), Ok(DataType::Date32));
    if is_day {
        *expr = cast(std::mem::take(expr), STORED);
    }
    is_day
}

/// Brings values to one type, where the engine would choose one that some of them do not fit.
pub(super) fn make_alike(values: &mut [&mut Expr], schema: &DFSchema, purpose: Purpose) -> bool {
    convert(values, schema, |types| Common::of(types, purpose))
}

/// Brings times of a day to the finest unit of them, which the engine has no comparison for when it reads a statement.
pub(super) fn make_times_alike(values: &mut [&mut Expr], schema: &DFSchema) -> bool {
    convert(values, schema, times)
}

fn convert(values: &mut [&mut Expr], schema: &DFSchema, common: impl FnOnce(&[DataType]) -> Option<Common>) -> bool {
    let types = values.iter().map_while(|expr| expr.get_type(schema).ok()).collect::<Vec<_>>();
    if types.len() < values.len() {
        return false;
    }
    let Some(common) = common(&types) else { return false };
    for (expr, data_type) in values.iter_mut().zip(types) {
        if common.converts(&data_type) {
            **expr = common.converted(std::mem::take(*expr), &data_type);
        }
    }
    true
}

/// Makes an interval the length of time that it is counted as; tells whether it was one.
pub(super) fn make_length(expr: &mut Expr, schema: &DFSchema) -> bool {
    let is_interval = matches!(expr.get_type(schema), Ok(DataType::Interval(_)));
    if is_interval {
        *expr = span::length(std::mem::take(expr));
    }
    is_interval
}

/// The type of all, and which of the others are converted to it.
pub(super) struct Common {
    data_type: DataType,
    needs: fn(&DataType) -> bool,
}

impl Common {
    /// `None` where the engine's own choice is right.
    pub(super) fn of(types: &[DataType], purpose: Purpose) -> Option<Self> {
        moments(types).or_else(|| lengths(types, purpose)).or_else(|| times(types)).or_else(|| floats(types))
    }

    /// Whether values of a type are converted.
    pub(super) fn converts(&self, data_type: &DataType) -> bool {
        !data_type.is_null() && *data_type != self.data_type && (self.needs)(data_type)
    }

    /// A value of this other type in the type of all.
    pub(super) fn converted(&self, expr: Expr, data_type: &DataType) -> Expr {
        match data_type {
            DataType::Interval(_) => span::length(expr),
            text if text.is_string() && self.data_type == LENGTH => {
                span::length(cast(expr, DataType::Interval(IntervalUnit::MonthDayNano)))
            }
            _ => cast(expr, self.data_type.clone()),
        }
    }
}

fn moments(types: &[DataType]) -> Option<Common> {
    let is_moment = |data_type: &DataType| matches!(data_type, DataType::Timestamp(_, None));
    let is_time = |data_type: &DataType| *data_type == DataType::Date32 || data_type.is_null() || is_moment(data_type);
    (types.iter().all(is_time) && types.iter().any(is_moment) && differ(types))
        .then_some(Common { data_type: STORED, needs: |_| true })
}

/// Whether there is more than one type, nulls apart.
fn differ(types: &[DataType]) -> bool {
    let mut types = types.iter().filter(|data_type| !data_type.is_null());
    let first = types.next();
    types.any(|other| Some(other) != first)
}

/// Durations beside intervals, and intervals that are compared: a day has 24 hours, a month 30 days.
fn lengths(types: &[DataType], purpose: Purpose) -> Option<Common> {
    let is_interval = |data_type: &DataType| matches!(data_type, DataType::Interval(_));
    let is_duration = |data_type: &DataType| matches!(data_type, DataType::Duration(_));
    let fits = |data_type: &DataType| {
        is_interval(data_type)
            || is_duration(data_type)
            || data_type.is_null()
            || purpose == Purpose::Comparison && data_type.is_string()
    };
    let mixed =
        types.iter().any(is_duration) && !types.iter().all(|data_type| is_duration(data_type) || data_type.is_null());
    let compared = purpose == Purpose::Comparison && types.iter().any(is_interval);
    (types.iter().all(fits) && (mixed || compared)).then_some(Common { data_type: LENGTH, needs: |_| true })
}

/// Times of a day of different units, in the finest of them.
fn times(types: &[DataType]) -> Option<Common> {
    let unit = |data_type: &DataType| match data_type {
        DataType::Time32(TimeUnit::Second) => Some(0),
        DataType::Time32(_) => Some(1),
        DataType::Time64(TimeUnit::Microsecond) => Some(2),
        DataType::Time64(_) => Some(3),
        _ => None,
    };
    let finest = types.iter().max_by_key(|data_type| unit(data_type)).filter(|finest| unit(finest).is_some())?;
    let all = types.iter().all(|data_type| data_type.is_null() || unit(data_type).is_some());
    (all && differ(types)).then(|| Common { data_type: finest.clone(), needs: |_| true })
}

fn floats(types: &[DataType]) -> Option<Common> {
    let is_number = |data_type: &DataType| data_type.is_numeric() || data_type.is_null();
    let mixed = types.iter().any(DataType::is_floating) && types.iter().any(DataType::is_decimal);
    (mixed && types.iter().all(is_number))
        .then_some(Common { data_type: DataType::Float64, needs: DataType::is_decimal })
}
