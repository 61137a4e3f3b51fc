//! A condition that guards another: `days <> 0 AND 10 / days >= 1`.
//!
//! The engine evaluates both sides of AND and OR for every row unless one side has settled nearly all of them, and
//! the conditions of a WHERE in an order of its own. What can fail then fails on rows that another condition has ruled
//! out. Here, when everything else is settled, what can fail is put into a CASE, where it is evaluated for those rows
//! only that the conditions which cannot fail let through. Those stay beside it as they were, so that they go on leaving
//! out files and row groups.

use arrow::datatypes::DataType;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{BinaryExpr, Case, Cast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::{
    conjunction, disjunction, merge_schema, split_binary_owned, split_conjunction_owned,
};
use datafusion::logical_expr::{Expr, ExprSchemable, Filter, LogicalPlan, Operator, lit};

use crate::functions;

/// The plan with what can fail behind what guards it. To be called when no rule comes after it.
pub(crate) fn guarded(plan: LogicalPlan) -> Result<LogicalPlan> {
    Ok(plan
        .transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Filter(filter) => guarded_filter(filter),
            LogicalPlan::TableScan(_) => Ok(Transformed::no(plan)),
            other => {
                let schema = merge_schema(&other.inputs());
                let names = NamePreserver::new(&other);
                other.map_expressions(|expr| {
                    let name = names.save(&expr);
                    Ok(within(expr, &schema)?.update_data(|expr| name.restore(expr)))
                })
            }
        })?
        .data)
}

/// Whether an expression may have no value for some row of good data.
pub(crate) fn can_fail(expr: &Expr, schema: &DFSchema) -> bool {
    let mut fails = false;
    // Nothing in it returns an error.
    let _ = expr.apply(|part| {
        fails = fails_itself(part, schema);
        Ok(if fails { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    });
    fails
}

fn fails_itself(expr: &Expr, schema: &DFSchema) -> bool {
    match expr {
        Expr::BinaryExpr(BinaryExpr { op: Operator::Divide | Operator::Modulo, right, .. }) => !is_divisor(right),
        Expr::Cast(Cast { expr, field }) => {
            let to = field.data_type();
            let from = expr.get_type(schema);
            from.is_ok_and(|from| {
                from.is_string() && !to.is_string() && !to.is_binary()
                    || from.is_floating() && (to.is_integer() || to.is_decimal())
            })
        }
        Expr::ScalarFunction(call) => functions::can_fail(call, schema),
        _ => false,
    }
}

/// Whether something can be divided by this whatever it is.
fn is_divisor(expr: &Expr) -> bool {
    match expr {
        Expr::Literal(value, _) => {
            value.is_null() || value.cast_to(&DataType::Float64).is_ok_and(|value| value != 0.0_f64.into())
        }
        Expr::Cast(Cast { expr, .. }) => is_divisor(expr),
        Expr::Alias(alias) => is_divisor(&alias.expr),
        _ => false,
    }
}

/// Whether an expression may stand in two places: it gives the same in both, and asks no other query.
fn may_be_repeated(expr: &Expr) -> bool {
    let asks = |part: &Expr| {
        Ok(matches!(part, Expr::ScalarSubquery(_) | Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_)))
    };
    !expr.is_volatile() && !expr.exists(asks).unwrap_or(true)
}

/// The conditions of a WHERE, of which only rows remain for which all are true.
fn guarded_filter(filter: Filter) -> Result<Transformed<LogicalPlan>> {
    let schema = filter.input.schema().clone();
    if !can_fail(&filter.predicate, &schema) {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    let conditions = split_conjunction_owned(filter.predicate);
    let conditions = conditions.into_iter().map(|condition| Ok(within(condition, &schema)?.data));
    let conditions = conditions.collect::<Result<Vec<_>>>()?;
    let (risky, mut safe): (Vec<_>, Vec<_>) =
        conditions.into_iter().partition(|condition| can_fail(condition, &schema) && may_be_repeated(condition));
    let guards = safe.iter().filter(|condition| !can_fail(condition, &schema) && may_be_repeated(condition));
    // Alone it guards nothing.
    let guard = conjunction(guards.cloned()).filter(|_| !risky.is_empty());
    let steps = guard.into_iter().chain(risky).rev();
    safe.extend(steps.reduce(|then, when| case(when, then, lit(false))));
    let predicate = conjunction(safe).unwrap_or_else(|| lit(true));
    Ok(Transformed::yes(LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?)))
}

/// Joins conditions by AND, or by OR.
type Join = fn(Vec<Expr>) -> Option<Expr>;

/// AND and OR anywhere in an expression, NULL or not.
fn within(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    if !can_fail(&expr, schema) {
        return Ok(Transformed::no(expr));
    }
    let (op, joined): (Operator, Join) = match &expr {
        Expr::BinaryExpr(BinaryExpr { op: Operator::And, .. }) => (Operator::And, conjunction),
        Expr::BinaryExpr(BinaryExpr { op: Operator::Or, .. }) => (Operator::Or, disjunction),
        _ => return expr.map_children(|child| within(child, schema)),
    };
    let operands = split_binary_owned(expr, op).into_iter().map(|operand| Ok(within(operand, schema)?.data));
    let operands = operands.collect::<Result<Vec<_>>>()?;
    let guards_itself = |operand: &Expr| !can_fail(operand, schema) && may_be_repeated(operand);
    let (safe, others): (Vec<_>, Vec<_>) = operands.into_iter().partition(guards_itself);
    let mut steps = joined(safe).into_iter().chain(others).collect::<Vec<_>>();
    let Some(mut result) = steps.pop() else { return Ok(Transformed::no(lit(op == Operator::And))) };
    while let Some(guard) = steps.pop() {
        let both = |guard: Expr, result: Expr| {
            Expr::BinaryExpr(BinaryExpr { left: Box::new(guard), op, right: Box::new(result) })
        };
        result = match (op, may_be_repeated(&guard)) {
            (_, false) => both(guard, result),
            (Operator::And, true) => {
                let settled = Expr::IsFalse(Box::new(guard.clone()));
                case(settled, lit(false), both(guard, result))
            }
            (_, true) => case(guard.clone(), lit(true), both(guard, result)),
        };
    }
    Ok(Transformed::yes(result))
}

fn case(when: Expr, then: Expr, otherwise: Expr) -> Expr {
    Expr::Case(Case::new(None, vec![(Box::new(when), Box::new(then))], Some(Box::new(otherwise))))
}
