//! Operands of different types, brought to one that holds them all before the engine settles for one that does not.
//!
//! It compares a day with a timestamp in nanoseconds, which end in 2262: a permit that is valid until 9999-12-31 would
//! make every such question fail. Both become microseconds, the unit of stored timestamps, which spans all years. It
//! compares a float with a decimal as a decimal of 15 digits on either side, where large floats and NaN fail and no file
//! can be left out: both become floats. It compares lengths of time by their months, then their days, then the rest:
//! they become durations. It has no comparison for times of different units: they become the finest. And it drops the
//! hours of an interval that is added to a day.

mod plans;
mod types;

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{
    AggregateFunction, Between, BinaryExpr, Case, InList, InSubquery, ScalarFunction, SetComparison, WindowFunction,
};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator, cast};
use datafusion::optimizer::AnalyzerRule;

use types::{Purpose, make_alike, make_length, make_moment};

/// Brings two times of a day, that an operator stands between, to one unit.
pub(crate) fn make_times_alike(left: &mut Expr, right: &mut Expr, schema: &DFSchema) {
    types::make_times_alike(&mut [left, right], schema);
}

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
    let orders = matches!(plan, LogicalPlan::Sort(_) | LogicalPlan::Aggregate(_));
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let mut rewritten = expr.transform_up(|expr| rewrite(expr, &schema))?;
        if orders && !matches!(rewritten.data, Expr::AggregateFunction(_) | Expr::Alias(_)) {
            rewritten.transformed |= make_length(&mut rewritten.data, &schema);
        }
        Ok(rewritten.update_data(|expr| name.restore(expr)))
    })?
    .map_data(LogicalPlan::recompute_schema)?
    .transform_data(plans::rewrite)
}

fn rewrite(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    use Purpose::Comparison;
    Ok(match expr {
        Expr::BinaryExpr(binary) => rewrite_operator(binary, schema),
        Expr::Between(Between { mut expr, negated, mut low, mut high }) => {
            let changed = make_alike(&mut [&mut *expr, &mut *low, &mut *high], schema, Comparison);
            Transformed::new_transformed(Expr::Between(Between { expr, negated, low, high }), changed)
        }
        Expr::InList(InList { mut expr, mut list, negated }) => {
            let mut all = std::iter::once(&mut *expr).chain(&mut list).collect::<Vec<_>>();
            let changed = make_alike(&mut all, schema, Comparison);
            Transformed::new_transformed(Expr::InList(InList { expr, list, negated }), changed)
        }
        Expr::InSubquery(InSubquery { mut expr, mut subquery, negated }) => {
            let changed = plans::make_alike_with(&mut expr, &mut subquery, schema)?;
            Transformed::new_transformed(Expr::InSubquery(InSubquery { expr, subquery, negated }), changed)
        }
        Expr::SetComparison(mut set) => {
            let SetComparison { expr, subquery, .. } = &mut set;
            let changed = plans::make_alike_with(expr, subquery, schema)?;
            Transformed::new_transformed(Expr::SetComparison(set), changed)
        }
        Expr::Case(case) => rewrite_case(case, schema),
        Expr::ScalarFunction(call) => rewrite_call(call, schema),
        Expr::AggregateFunction(call) => rewrite_aggregate(call, schema),
        Expr::WindowFunction(call) => rewrite_window(call, schema),
        other => Transformed::no(other),
    })
}

fn rewrite_operator(binary: BinaryExpr, schema: &DFSchema) -> Transformed<Expr> {
    let BinaryExpr { left, op, right } = binary;
    let (mut left, mut right) = (*left, *right);
    let mut changed = match op {
        Operator::Plus | Operator::Minus => {
            has_hours(&right, schema) && make_moment(&mut left, schema)
                || op == Operator::Plus && has_hours(&left, schema) && make_moment(&mut right, schema)
        }
        _ if op.supports_propagation() => make_alike(&mut [&mut left, &mut right], schema, Purpose::Comparison),
        _ => false,
    };
    if matches!(op, Operator::Plus | Operator::Minus | Operator::Multiply | Operator::Divide | Operator::Modulo) {
        changed |= make_signed(&mut left, &right, schema) || make_signed(&mut right, &left, schema);
    }
    let expr = Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) });
    Transformed::new_transformed(expr, changed)
}

/// Whether this is a count of the engine's, which are unsigned, and not written as one in the statement.
fn is_count(expr: &Expr, schema: &DFSchema) -> bool {
    !matches!(expr, Expr::Literal(..) | Expr::Cast(_) | Expr::TryCast(_))
        && matches!(expr.get_type(schema), Ok(DataType::UInt64))
}

/// Makes a count beside a whole number one, too: together they would become decimals.
fn make_signed(expr: &mut Expr, other: &Expr, schema: &DFSchema) -> bool {
    let changed = is_count(expr, schema) && other.get_type(schema).is_ok_and(|other| other.is_signed_integer());
    if changed {
        *expr = cast(std::mem::take(expr), DataType::Int64);
    }
    changed
}

fn rewrite_case(mut case: Case, schema: &DFSchema) -> Transformed<Expr> {
    let mut changed = false;
    if let Some(operand) = &mut case.expr {
        let whens = case.when_then_expr.iter_mut().map(|(when, _)| &mut **when);
        let mut compared = std::iter::once(&mut **operand).chain(whens).collect::<Vec<_>>();
        changed |= make_alike(&mut compared, schema, Purpose::Comparison);
    }
    let thens = case.when_then_expr.iter_mut().map(|(_, then)| &mut **then);
    let mut chosen = thens.chain(case.else_expr.as_deref_mut()).collect::<Vec<_>>();
    changed |= make_alike(&mut chosen, schema, Purpose::Choice);
    Transformed::new_transformed(Expr::Case(case), changed)
}

fn rewrite_call(mut call: ScalarFunction, schema: &DFSchema) -> Transformed<Expr> {
    let alike = |args: &mut [Expr], purpose| make_alike(&mut args.iter_mut().collect::<Vec<_>>(), schema, purpose);
    let changed = match call.func.name() {
        "date_trunc" => call.args.get_mut(1).is_some_and(|day| make_moment(day, schema)),
        "coalesce" | "nvl" | "make_array" => alike(&mut call.args, Purpose::Choice),
        "nvl2" => call.args.get_mut(1..).is_some_and(|args| alike(args, Purpose::Choice)),
        "greatest" | "least" | "nullif" => alike(&mut call.args, Purpose::Comparison),
        _ => false,
    };
    Transformed::new_transformed(Expr::ScalarFunction(call), changed)
}

fn rewrite_aggregate(mut call: AggregateFunction, schema: &DFSchema) -> Transformed<Expr> {
    let params = &mut call.params;
    let mut changed = false;
    if params.distinct || matches!(call.func.name(), "min" | "max") {
        changed |= make_lengths(params.args.iter_mut(), schema);
    }
    changed |= make_lengths(params.order_by.iter_mut().map(|sort| &mut sort.expr), schema);
    Transformed::new_transformed(Expr::AggregateFunction(call), changed)
}

fn rewrite_window(mut call: Box<WindowFunction>, schema: &DFSchema) -> Transformed<Expr> {
    let mut changed = false;
    let params = &mut call.params;
    if params.distinct || matches!(call.fun.name(), "min" | "max") {
        changed |= make_lengths(params.args.iter_mut(), schema);
    }
    changed |= make_lengths(params.partition_by.iter_mut(), schema);
    changed |= make_lengths(params.order_by.iter_mut().map(|sort| &mut sort.expr), schema);
    Transformed::new_transformed(Expr::WindowFunction(call), changed)
}

fn make_lengths<'e>(exprs: impl Iterator<Item = &'e mut Expr>, schema: &DFSchema) -> bool {
    exprs.fold(false, |changed, expr| make_length(expr, schema) | changed)
}

/// Whether an interval has, or may have, a part that is no whole day.
fn has_hours(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::Literal(ScalarValue::IntervalMonthDayNano(Some(interval)), _) => interval.nanoseconds != 0,
        Expr::Literal(ScalarValue::IntervalDayTime(Some(interval)), _) => interval.milliseconds != 0,
        Expr::Literal(..) => false,
        _ => matches!(expr.get_type(schema), Ok(DataType::Interval(_) | DataType::Duration(_))),
    }
}
