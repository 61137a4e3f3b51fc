//! Takes projections out of filters before the engine's rule moves any about.
//!
//! A filter that has taken in a projection shows other columns than its condition reads. The engine's rule takes the ones
//! for the others when it moves a second projection below such a filter, and finds another column of the same name and
//! number, or none. Here the two become one, above a filter that shows what it reads; the rule takes that in again.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::error::Result;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::projection_pushdown::ProjectionPushdown;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::{FilterExec, FilterExecBuilder};
use datafusion::physical_plan::projection::{ProjectionExec, ProjectionExpr, all_columns, update_expr};

/// The engine's rule, on plans whose filters have no projections.
#[derive(Debug)]
pub(crate) struct ProjectionsApart(ProjectionPushdown);

impl ProjectionsApart {
    pub(crate) fn new() -> Self {
        Self(ProjectionPushdown::new())
    }
}

impl PhysicalOptimizerRule for ProjectionsApart {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        self.0.optimize(plan.transform_up(apart).data()?, config)
    }

    fn name(&self) -> &str {
        "ProjectionsApart"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

fn apart(node: Arc<dyn ExecutionPlan>) -> Result<Transformed<Arc<dyn ExecutionPlan>>> {
    if let Some(filter) = node.downcast_ref::<FilterExec>()
        && let Some(shown) = filter.projection()
    {
        let whole = Arc::new(FilterExecBuilder::from(filter).apply_projection(None)?.build()?);
        let schema = whole.schema();
        let columns = shown.iter().map(|&index| {
            let name = schema.field(index).name();
            ProjectionExpr::new(Arc::new(Column::new(name, index)), name.clone())
        });
        return Ok(Transformed::yes(Arc::new(ProjectionExec::try_new(columns.collect::<Vec<_>>(), whole)?)));
    }
    match together(&node)? {
        Some(one) => Ok(Transformed::yes(one)),
        None => Ok(Transformed::no(node)),
    }
}

/// A projection of a projection of mere columns of a filter, as one.
fn together(node: &Arc<dyn ExecutionPlan>) -> Result<Option<Arc<dyn ExecutionPlan>>> {
    let Some(outer) = node.downcast_ref::<ProjectionExec>() else { return Ok(None) };
    let Some(inner) = outer.input().downcast_ref::<ProjectionExec>() else { return Ok(None) };
    if !inner.input().is::<FilterExec>() || !all_columns(inner.expr()) {
        return Ok(None);
    }
    let mut expressions = Vec::with_capacity(outer.expr().len());
    for ProjectionExpr { expr, alias } in outer.expr() {
        let Some(expr): Option<Arc<dyn PhysicalExpr>> = update_expr(expr, inner.expr(), true)? else { return Ok(None) };
        expressions.push(ProjectionExpr::new(expr, alias.clone()));
    }
    // What fields are told of is the outer one's: the expressions alone would pass on what their columns are told of.
    let projection = ProjectionExec::try_new_with_schema_metadata(expressions, inner.input().clone(), &outer.schema())?;
    Ok(Some(Arc::new(projection)))
}
