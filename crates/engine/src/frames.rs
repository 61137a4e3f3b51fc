//! Windows over what has an order and no distances: times of a day, intervals, bytes and structures.
//!
//! `ORDER BY` alone means a frame in RANGE, which the engine has for numbers, texts and dates only, even where it ends at
//! the current row and no distance is asked for. There GROUPS is the same. And a frame that counts more rows than there can
//! be is refused: the engine adds without a look at the end of its numbers.

use arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, WindowFrame, WindowFrameBound, WindowFrameUnits};
use datafusion::optimizer::AnalyzerRule;
use portico_model::problem::{Problem, ProblemKind};

/// The rule. It comes before the one that settles types.
#[derive(Debug)]
pub(crate) struct Frames;

impl AnalyzerRule for Frames {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(rewrite_node)?.data)
    }

    fn name(&self) -> &str {
        "frames"
    }
}

fn rewrite_node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    if !matches!(plan, LogicalPlan::Window(_)) {
        return Ok(Transformed::no(plan));
    }
    let schema = merge_schema(&plan.inputs());
    let names = NamePreserver::new_for_projection();
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        Ok(expr.transform_up(|expr| rewrite(expr, &schema))?.update_data(|expr| name.restore(expr)))
    })?
    .map_data(LogicalPlan::recompute_schema)
}

fn rewrite(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let Expr::WindowFunction(mut call) = expr else { return Ok(Transformed::no(expr)) };
    let WindowFrame { units, start_bound, end_bound, .. } = &call.params.window_frame;
    if is_beyond_all_rows(start_bound) || is_beyond_all_rows(end_bound) {
        let detail = format!("A window frame counts at most {} rows. UNBOUNDED takes all rows.", i64::MAX);
        return Err(DataFusionError::External(Box::new(Problem::new(ProblemKind::InvalidSql, detail))));
    }
    let first = call.params.order_by.first().and_then(|sort| sort.expr.get_type(schema).ok());
    let counted = *units == WindowFrameUnits::Range
        && has_no_distance(start_bound)
        && has_no_distance(end_bound)
        && first.is_some_and(|data_type| has_no_distances(&data_type));
    if counted {
        let (start, end) = (start_bound.clone(), end_bound.clone());
        call.params.window_frame = WindowFrame::new_bounds(WindowFrameUnits::Groups, start, end);
    }
    Ok(Transformed::new_transformed(Expr::WindowFunction(call), counted))
}

/// Whether a frame ends so far away that the engine cannot add it to the place of a row.
fn is_beyond_all_rows(bound: &WindowFrameBound) -> bool {
    match bound {
        WindowFrameBound::Preceding(ScalarValue::UInt64(Some(rows)))
        | WindowFrameBound::Following(ScalarValue::UInt64(Some(rows))) => i64::try_from(*rows).is_err(),
        _ => false,
    }
}

/// Whether a frame ends where no distance is measured: at the current row, or nowhere.
fn has_no_distance(bound: &WindowFrameBound) -> bool {
    match bound {
        WindowFrameBound::CurrentRow => true,
        WindowFrameBound::Preceding(distance) | WindowFrameBound::Following(distance) => distance.is_null(),
    }
}

fn has_no_distances(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Time32(_)
            | DataType::Time64(_)
            | DataType::Interval(_)
            | DataType::Duration(_)
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
            | DataType::FixedSizeBinary(_)
            | DataType::Struct(_)
            | DataType::Map(..)
    )
}
