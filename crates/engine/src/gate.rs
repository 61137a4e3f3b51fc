//! The plan gate: the second, independent check of what a statement does.
//!
//! The server's gate works on the syntax tree; this one on the plan that came of it. Both name what is allowed and
//! have no catch-all arm, so that a new kind of node stops the build until somebody has judged it.

use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::{MemTable, source_as_provider};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_table::generate_series::GenerateSeriesTable;
use datafusion::logical_expr::{Expr, LogicalPlan, TableScan};
use portico_model::problem::{Problem, ProblemKind};

use crate::table::ReleasedTable;

/// Checks a plan and every plan inside its expressions.
///
/// # Errors
/// A [`Problem`] inside [`DataFusionError::External`] when the plan is anything but a read-only query over the
/// order's tables.
pub(crate) fn check(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        check_node(node)?;
        node.apply_expressions(|expression| {
            expression.apply(|part| {
                check_expression(part)?;
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

fn check_node(node: &LogicalPlan) -> Result<()> {
    match node {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::Window(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Sort(_)
        | LogicalPlan::Join(_)
        | LogicalPlan::Union(_)
        | LogicalPlan::EmptyRelation(_)
        | LogicalPlan::Subquery(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Limit(_)
        | LogicalPlan::Values(_)
        | LogicalPlan::Distinct(_)
        | LogicalPlan::Unnest(_) => Ok(()),
        LogicalPlan::TableScan(scan) => check_scan(scan),
        LogicalPlan::Repartition(_) => refuse("DISTRIBUTE BY"),
        LogicalPlan::Statement(_) => refuse("SET, PREPARE and transactions"),
        LogicalPlan::Explain(_) => refuse("EXPLAIN inside a statement"),
        LogicalPlan::Analyze(_) => refuse("EXPLAIN ANALYZE"),
        LogicalPlan::Extension(_) => refuse("That operation"),
        LogicalPlan::Dml(_) => refuse("INSERT, UPDATE and DELETE"),
        LogicalPlan::Ddl(_) => refuse("CREATE, ALTER and DROP"),
        LogicalPlan::Copy(_) => refuse("COPY"),
        LogicalPlan::DescribeTable(_) => refuse("DESCRIBE inside a statement"),
        LogicalPlan::RecursiveQuery(_) => refuse("WITH RECURSIVE"),
    }
}

fn check_scan(scan: &TableScan) -> Result<()> {
    let provider = source_as_provider(&scan.source)?;
    let is_table = provider.is::<ReleasedTable>() || provider.is::<MemTable>();
    // Made by the functions that are registered for it, which keep it short.
    if is_table || provider.is::<GenerateSeriesTable>() { Ok(()) } else { refuse("Reading anything but datasets") }
}

fn check_expression(expression: &Expr) -> Result<()> {
    match expression {
        Expr::ScalarVariable(..) => refuse("Variables"),
        Expr::Alias(_)
        | Expr::Column(_)
        | Expr::Literal(..)
        | Expr::BinaryExpr(_)
        | Expr::Like(_)
        | Expr::SimilarTo(_)
        | Expr::Not(_)
        | Expr::IsNotNull(_)
        | Expr::IsNull(_)
        | Expr::IsTrue(_)
        | Expr::IsFalse(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNotFalse(_)
        | Expr::IsNotUnknown(_)
        | Expr::Negative(_)
        | Expr::Between(_)
        | Expr::Case(_)
        | Expr::Cast(_)
        | Expr::TryCast(_)
        | Expr::ScalarFunction(_)
        | Expr::AggregateFunction(_)
        | Expr::WindowFunction(_)
        | Expr::InList(_)
        | Expr::Exists(_)
        | Expr::InSubquery(_)
        | Expr::SetComparison(_)
        | Expr::ScalarSubquery(_)
        | Expr::GroupingSet(_)
        | Expr::Placeholder(_)
        | Expr::OuterReferenceColumn(..)
        | Expr::Unnest(_) => Ok(()),
        // The server's gate lets no lambda through either.
        Expr::HigherOrderFunction(_) | Expr::Lambda(_) | Expr::LambdaVariable(_) => refuse("A lambda function"),
        #[expect(deprecated, reason = "the match names every variant")]
        Expr::Wildcard { .. } => Ok(()),
    }
}

fn refuse(what: &str) -> Result<()> {
    Err(refusal(what))
}

/// The error of a refused construct.
pub(crate) fn refusal(what: &str) -> DataFusionError {
    let detail = format!("{what} cannot be used here: only read-only queries over published datasets are served.");
    DataFusionError::External(Box::new(Problem::new(ProblemKind::StatementNotAllowed, detail)))
}
