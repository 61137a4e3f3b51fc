//! Operands of different types, brought to one that holds them all before the engine settles for one that does not.
//!
//! It compares a day with a timestamp in nanoseconds, which end in 2262: a permit that is valid until 9999-12-31 would
//! make every such question fail. Both become microseconds, the unit of stored timestamps, which spans all years. It
//! compares a float with a decimal as a decimal of 15 digits on either side, where large floats and NaN fail and no file
//! can be left out: both become floats. And it drops the hours of an interval that is added to a day.

use arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{Between, BinaryExpr, InList, ScalarFunction};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator, cast};
use datafusion::optimizer::AnalyzerRule;

/// A timestamp as it is stored.
const STORED: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);

/// The rule. It comes before the one that settles types.
#[derive(Debug)]
pub(crate) struct Alike;

impl AnalyzerRule for Alike {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(rewrite_node)?.data)
    }

    fn name(&self) -> &str {
        "alike"
    }
}

fn rewrite_node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = merge_schema(&plan.inputs());
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        Ok(expr.transform_up(|expr| Ok(rewrite(expr, &schema)))?.update_data(|expr| name.restore(expr)))
    })?
    .map_data(LogicalPlan::recompute_schema)
}

fn rewrite(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let (mut left, mut right) = (*left, *right);
            let changed = match op {
                Operator::Plus | Operator::Minus => {
                    has_hours(&right) && make_moment(&mut left, schema)
                        || op == Operator::Plus && has_hours(&left) && make_moment(&mut right, schema)
                }
                _ if op.supports_propagation() => make_alike(&mut [&mut left, &mut right], schema),
                _ => false,
            };
            let expr = Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) });
            Transformed::new_transformed(expr, changed)
        }
        Expr::Between(Between { mut expr, negated, mut low, mut high }) => {
            let changed = make_alike(&mut [&mut *expr, &mut *low, &mut *high], schema);
            Transformed::new_transformed(Expr::Between(Between { expr, negated, low, high }), changed)
        }
        Expr::InList(InList { mut expr, mut list, negated }) => {
            let mut all = std::iter::once(&mut *expr).chain(&mut list).collect::<Vec<_>>();
            let changed = make_alike(&mut all, schema);
            Transformed::new_transformed(Expr::InList(InList { expr, list, negated }), changed)
        }
        Expr::ScalarFunction(ScalarFunction { func, mut args }) if func.name() == "date_trunc" => {
            let changed = args.get_mut(1).is_some_and(|day| make_moment(day, schema));
            Transformed::new_transformed(Expr::ScalarFunction(ScalarFunction { func, args }), changed)
        }
        other => Transformed::no(other),
    }
}

/// Whether an interval has a part that is no whole day.
fn has_hours(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) => interval.nanoseconds != 0,
        Expr::Literal(ScalarValue::IntervalDayTime(Some(interval)), _) => interval.milliseconds != 0,
        _ => false,
    }
}

/// Makes a day a timestamp; tells whether it was one.
fn make_moment(expr: &mut Expr, schema: &DFSchema) -> bool {
    let is_day = matches!(expr.get_type(schema), Ok(DataType::Date32));
    if is_day {
        *expr = cast(std::mem::take(expr), STORED);
    }
    is_day
}

/// Brings what is compared to one type, where the engine would choose one that some of the values do not fit.
fn make_alike(compared: &mut [&mut Expr], schema: &DFSchema) -> bool {
    let types = compared.iter().map_while(|expr| expr.get_type(schema).ok()).collect::<Vec<_>>();
    if types.len() < compared.len() {
        return false;
    }
    let Some((common, needs)) = common_type(&types) else { return false };
    for (expr, data_type) in compared.iter_mut().zip(types) {
        if needs(&data_type) {
            **expr = cast(std::mem::take(*expr), common.clone());
        }
    }
    true
}

/// Whether a value of this type is converted.
type Needs = fn(&DataType) -> bool;

/// The type, and which of the others are converted to it.
fn common_type(types: &[DataType]) -> Option<(DataType, Needs)> {
    let is_moment = |data_type: &DataType| matches!(data_type, DataType::Timestamp(_, None));
    let is_time = |data_type: &DataType| *data_type == DataType::Date32 || data_type.is_null() || is_moment(data_type);
    if types.iter().all(is_time) && types.iter().any(is_moment) && types.iter().any(|data_type| *data_type != STORED) {
        return Some((STORED, |data_type| *data_type != STORED && !data_type.is_null()));
    }
    let is_number = |data_type: &DataType| data_type.is_numeric() || data_type.is_null();
    let mixed = types.iter().any(DataType::is_floating) && types.iter().any(DataType::is_decimal);
    (mixed && types.iter().all(is_number)).then_some((DataType::Float64, DataType::is_decimal))
}
