//! A CASE where the engine would do better with one.
//!
//! [`LongCases`]: compared with a literal (`CASE WHEN a THEN 1 WHEN b THEN 2 … END = 2`), the optimiser moves the comparison into the
//! branches, and writes the CASE of yes and no that it then has out as AND and OR, in which each branch denies all
//! before it: of a few hundred branches it makes a hundred thousand terms, and plans for a minute. With few branches
//! that is what lets a scan skip files. With many, the CASE is given an operand (`CASE TRUE WHEN a …`), which says the
//! same, and which those rules leave alone. So does one of any length whose branches can fail: written out, each would be
//! evaluated for rows that a branch before it has taken.
//!
//! [`ConvertedDenials`]: of `CAST(NOT f AS INT) = 1` the engine makes `f = NOT 1` when it looks whether a file may hold
//! such rows, and fails on it. A denial that is converted becomes `CASE f WHEN TRUE THEN 0 WHEN FALSE THEN 1 END`.

use arrow::datatypes::DataType;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{BinaryExpr, Case, Cast, TryCast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator, case, lit};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use crate::guards::can_fail;

/// Branches up to which the optimiser may write a CASE out.
const BRANCHES_WRITTEN_OUT: usize = 16;

/// The rule. It comes before the one that simplifies expressions, in every round.
#[derive(Debug)]
pub(crate) struct LongCases;

impl OptimizerRule for LongCases {
    fn name(&self) -> &str {
        "long_cases"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let has_case = |expr: &Expr| expr.exists(|part| Ok(matches!(part, Expr::Case(case) if case.expr.is_none())));
        if !plan.expressions().iter().any(|expr| has_case(expr).unwrap_or(true)) {
            return Ok(Transformed::no(plan));
        }
        let schema = merge_schema(&plan.inputs());
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_down(|expr| Ok(kept(expr, &schema)))?.update_data(|expr| name.restore(expr)))
        })
    }
}

/// The rule. It comes after those that make a denial of `f = FALSE`.
#[derive(Debug)]
pub(crate) struct ConvertedDenials;

impl OptimizerRule for ConvertedDenials {
    fn name(&self) -> &str {
        "converted_denials"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        Some(ApplyOrder::BottomUp)
    }

    fn rewrite(&self, plan: LogicalPlan, _: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_down(as_case)?.update_data(|expr| name.restore(expr)))
        })
    }
}

fn as_case(expr: Expr) -> Result<Transformed<Expr>> {
    let (operand, data_type) = match &expr {
        Expr::Cast(Cast { expr, field }) | Expr::TryCast(TryCast { expr, field }) => (expr, field.data_type()),
        _ => return Ok(Transformed::no(expr)),
    };
    let Expr::Not(denied) = &**operand else { return Ok(Transformed::no(expr)) };
    let converted = |value: bool| ScalarValue::from(value).cast_to(data_type);
    let (Ok(no), Ok(yes)) = (converted(false), converted(true)) else { return Ok(Transformed::no(expr)) };
    let case = case(*denied.clone()).when(lit(true), lit(no)).when(lit(false), lit(yes)).end()?;
    Ok(Transformed::yes(case))
}

fn kept(expr: Expr, schema: &DFSchema) -> Transformed<Expr> {
    match expr {
        Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Eq | Operator::NotEq), right }) => {
            let (left, changed_left) = with_operand(*left, schema);
            let (right, changed_right) = with_operand(*right, schema);
            let expr = Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) });
            Transformed::new_transformed(expr, changed_left || changed_right)
        }
        Expr::Case(case)
            if case.expr.is_none()
                && branch_can_fail(&case, schema)
                && matches!(Expr::Case(case.clone()).get_type(schema), Ok(DataType::Boolean)) =>
        {
            Transformed::yes(Expr::Case(Case { expr: Some(Box::new(lit(true))), ..case }))
        }
        other => Transformed::no(other),
    }
}

fn with_operand(expr: Expr, schema: &DFSchema) -> (Expr, bool) {
    match expr {
        Expr::Case(mut case)
            if case.expr.is_none()
                && (case.when_then_expr.len() > BRANCHES_WRITTEN_OUT || branch_can_fail(&case, schema)) =>
        {
            case.expr = Some(Box::new(lit(true)));
            (Expr::Case(case), true)
        }
        other => (other, false),
    }
}

/// Whether something in a CASE can fail that is not evaluated for every row.
fn branch_can_fail(case: &Case, schema: &DFSchema) -> bool {
    let conditions = case.when_then_expr.iter().skip(1).map(|(when, _)| when);
    let results = case.when_then_expr.iter().map(|(_, then)| then).chain(&case.else_expr);
    conditions.chain(results).any(|expr| can_fail(expr, schema))
}

#[cfg(test)]
mod tests {
    use datafusion::logical_expr::{cast, col, not, try_cast};

    use super::*;

    #[test]
    fn a_converted_denial_becomes_a_case() {
        for denial in [cast(not(col("f")), DataType::Int32), try_cast(not(col("f")), DataType::Utf8)] {
            let rewritten = as_case(denial).unwrap();
            assert!(rewritten.transformed && matches!(rewritten.data, Expr::Case(_)), "{}", rewritten.data);
        }
        assert!(!as_case(cast(col("f"), DataType::Int32)).unwrap().transformed);
        assert!(!as_case(not(col("f"))).unwrap().transformed);
    }

    #[test]
    fn short_cases_are_left_alone() {
        let long = |branches: i64| {
            let branches = (0..branches).map(|n| (Box::new(col("a").eq(lit(n))), Box::new(lit(n)))).collect();
            Expr::Case(datafusion::logical_expr::Case::new(None, branches, None)).eq(lit(3_i64))
        };
        let schema = DFSchema::empty();
        assert!(!kept(long(16), &schema).transformed);
        assert!(kept(long(17), &schema).transformed);
        assert!(!kept(kept(long(17), &schema).data, &schema).transformed);
    }
}
