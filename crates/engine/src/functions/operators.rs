//! Operators that the engine does not have when it reads a statement: an interval times a whole number, and comparisons of
//! times of a day of different units.

use arrow::datatypes::{DataType, IntervalUnit};
use datafusion::common::DFSchema;
use datafusion::error::Result;
use datafusion::logical_expr::planner::{ExprPlanner, PlannerResult, RawBinaryExpr};
use datafusion::logical_expr::{Expr, ExprSchemable, cast};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use portico_model::problem::ProblemKind;

use crate::alike::make_times_alike;

use super::arithmetic::{Checked, Operation};
use super::bounded::refused;

/// What plans them.
#[derive(Debug)]
pub(super) struct Operators;

impl ExprPlanner for Operators {
    fn plan_binary_op(&self, mut expr: RawBinaryExpr, schema: &DFSchema) -> Result<PlannerResult<RawBinaryExpr>> {
        if expr.op == BinaryOperator::Multiply
            && let Some(product) = product(&expr.left, &expr.right, schema)?
        {
            return Ok(PlannerResult::Planned(product));
        }
        if matches!(
            expr.op,
            BinaryOperator::Eq
                | BinaryOperator::NotEq
                | BinaryOperator::Lt
                | BinaryOperator::LtEq
                | BinaryOperator::Gt
                | BinaryOperator::GtEq
        ) {
            make_times_alike(&mut expr.left, &mut expr.right, schema);
        }
        Ok(PlannerResult::Original(expr))
    }
}

fn product(left: &Expr, right: &Expr, schema: &DFSchema) -> Result<Option<Expr>> {
    let interval = DataType::Interval(IntervalUnit::MonthDayNano);
    let (Ok(first), Ok(second)) = (left.get_type(schema), right.get_type(schema)) else { return Ok(None) };
    let (span, number, factor) = match (first, second) {
        (DataType::Interval(_), factor) if factor.is_numeric() => (left, right, factor),
        (factor, DataType::Interval(_)) if factor.is_numeric() => (right, left, factor),
        _ => return Ok(None),
    };
    if !factor.is_integer() {
        let detail =
            "An interval is multiplied by whole numbers only. Write it in a smaller unit: 90 * INTERVAL '1 minute'.";
        return Err(refused(ProblemKind::InvalidSql, detail));
    }
    let (span, number) = (cast(span.clone(), interval.clone()), cast(number.clone(), DataType::Int64));
    Ok(Some(Checked::between(Operation::Multiply, interval, span, number)))
}
