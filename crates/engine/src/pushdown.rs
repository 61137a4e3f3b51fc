//! Moves filters into the scans right below them, and nowhere else.
//!
//! The engine's own rule moves a filter by the names of its columns through whatever lies between. Through a join whose
//! sides were swapped, and have columns of one name, it finds the wrong one and rows are lost or made up. What may pass
//! a join has passed it in the logical plan already, by the tables' names.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode, TreeNodeRecursion};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::physical_optimizer::filter_pushdown::FilterPushdown;
use datafusion::physical_optimizer::projection_pushdown::ProjectionPushdown;
use datafusion::physical_optimizer::{PhysicalOptimizerRule, optimizer::PhysicalOptimizer};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::repartition::RepartitionExec;

use crate::projections::ProjectionsApart;

/// The engine's rules for physical plans, with [`FiltersIntoScans`] in the place of the first rule that moves filters, and
/// [`WhatWasSeen`] in that of the second. [`ProjectionsApart`] stands in the places of the rule that moves projections.
pub(crate) fn rules() -> Vec<Arc<dyn PhysicalOptimizerRule + Send + Sync>> {
    let (filters, projections) = (FilterPushdown::new(), ProjectionPushdown::new());
    let seen = FilterPushdown::new_post_optimization();
    let mut rules = PhysicalOptimizer::new().rules;
    for rule in &mut rules {
        if rule.name() == filters.name() {
            *rule = Arc::new(FiltersIntoScans);
        } else if rule.name() == seen.name() {
            *rule = Arc::new(WhatWasSeen(FilterPushdown::new_post_optimization()));
        } else if rule.name() == projections.name() {
            *rule = Arc::new(ProjectionsApart::new());
        }
    }
    rules
}

/// The engine's rule, on a filter and the scan below it.
#[derive(Debug)]
struct FiltersIntoScans;

impl PhysicalOptimizerRule for FiltersIntoScans {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        plan.transform_down(|node| {
            if node.is::<FilterExec>() && lies_on_a_scan(&node) {
                let moved = FilterPushdown::new().optimize(node, config)?;
                return Ok(Transformed::new(moved, true, TreeNodeRecursion::Jump));
            }
            Ok(Transformed::no(node))
        })
        .data()
    }

    fn name(&self) -> &str {
        "FiltersIntoScans"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether nothing but filters and repartitions that keep the columns as they are lies between a node and one scan.
fn lies_on_a_scan(node: &Arc<dyn ExecutionPlan>) -> bool {
    let Some(below) = node.children().first().copied() else { return false };
    let keeps_columns = match below.downcast_ref::<FilterExec>() {
        Some(filter) => filter.projection().is_none(),
        None => below.is::<RepartitionExec>(),
    };
    below.is::<DataSourceExec>() || (keeps_columns && lies_on_a_scan(below))
}

/// The engine's rule that lets a join, a top-k or an aggregate tell the scans below what it has seen. It, too, goes by the
/// names of columns: it is left out where a step of the plan has several of one name, of which it would take the first.
#[derive(Debug)]
struct WhatWasSeen(FilterPushdown);

impl PhysicalOptimizerRule for WhatWasSeen {
    fn optimize(&self, plan: Arc<dyn ExecutionPlan>, config: &ConfigOptions) -> Result<Arc<dyn ExecutionPlan>> {
        if plan.exists(|node| Ok(has_twins(node)))? {
            return Ok(plan);
        }
        self.0.optimize(plan, config)
    }

    fn name(&self) -> &str {
        "WhatWasSeen"
    }

    fn schema_check(&self) -> bool {
        true
    }
}

/// Whether two columns of a step have one name.
fn has_twins(node: &Arc<dyn ExecutionPlan>) -> bool {
    let schema = node.schema();
    let mut names = HashSet::new();
    schema.fields().iter().any(|field| !names.insert(field.name().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rules_that_move_filters_and_projections_are_replaced() {
        let names = rules().iter().map(|rule| rule.name().to_owned()).collect::<Vec<_>>();
        for (ours, stock) in [
            ("FiltersIntoScans", FilterPushdown::new().name()),
            ("WhatWasSeen", FilterPushdown::new_post_optimization().name()),
            ("ProjectionsApart", ProjectionPushdown::new().name()),
        ] {
            assert!(names.iter().any(|name| name == ours), "{names:?}");
            assert!(!names.iter().any(|name| name == stock), "{names:?}");
        }
        assert_eq!(names.len(), PhysicalOptimizer::new().rules.len());
    }
}
