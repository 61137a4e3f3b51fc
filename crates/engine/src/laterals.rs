//! LATERAL as a join that shows the columns which it had.
//!
//! The engine makes a join of it that has more columns: what the two sides are joined by, and what tells that nothing
//! matched. A window above it that is built anew then finds more columns than it knows, and the question is refused.

use datafusion::common::tree_node::Transformed;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use datafusion::optimizer::decorrelate_lateral_join::DecorrelateLateralJoin;
use datafusion::optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

/// The engine's rule, with the columns of before.
#[derive(Debug, Default)]
pub(crate) struct Laterals(DecorrelateLateralJoin);

impl OptimizerRule for Laterals {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(&self, plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
        let shown = plan.schema().clone();
        let rewritten = self.0.rewrite(plan, config)?;
        if !rewritten.transformed || rewritten.data.schema().fields().len() == shown.fields().len() {
            return Ok(rewritten);
        }
        let columns = shown.columns().into_iter().map(Expr::Column);
        rewritten.map_data(|plan| LogicalPlanBuilder::from(plan).project(columns)?.build())
    }
}
