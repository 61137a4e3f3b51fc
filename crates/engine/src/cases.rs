//! Keeps a CASE of many branches as it was written.
//!
//! Compared with a literal (`CASE WHEN a THEN 1 WHEN b THEN 2 … END = 2`), the optimiser moves the comparison into the
//! branches, and writes the CASE of yes and no that it then has out as AND and OR, in which each branch denies all
//! before it: of a few hundred branches it makes a hundred thousand terms, and plans for a minute. With few branches
//! that is what lets a scan skip files. With many, the CASE is given an operand (`CASE TRUE WHEN a …`), which says the
//! same, and which those rules leave alone.

use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::error::Result;
use datafusion::logical_expr::expr::BinaryExpr;
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::{Expr, LogicalPlan, Operator, lit};
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

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
        let names = NamePreserver::new(&plan);
        plan.map_expressions(|expr| {
            let name = names.save(&expr);
            Ok(expr.transform_down(|expr| Ok(kept(expr)))?.update_data(|expr| name.restore(expr)))
        })
    }
}

fn kept(expr: Expr) -> Transformed<Expr> {
    let Expr::BinaryExpr(BinaryExpr { left, op: op @ (Operator::Eq | Operator::NotEq), right }) = expr else {
        return Transformed::no(expr);
    };
    let (left, changed_left) = with_operand(*left);
    let (right, changed_right) = with_operand(*right);
    let expr = Expr::BinaryExpr(BinaryExpr { left: Box::new(left), op, right: Box::new(right) });
    if changed_left || changed_right { Transformed::yes(expr) } else { Transformed::no(expr) }
}

fn with_operand(expr: Expr) -> (Expr, bool) {
    match expr {
        Expr::Case(mut case) if case.expr.is_none() && case.when_then_expr.len() > BRANCHES_WRITTEN_OUT => {
            case.expr = Some(Box::new(lit(true)));
            (Expr::Case(case), true)
        }
        other => (other, false),
    }
}
