//! What is compared between plans: a subquery's column, the columns of a UNION, the keys of a join, whole rows.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema};
use datafusion::error::Result;
use datafusion::logical_expr::logical_plan::{Distinct, Projection, Union};
use datafusion::logical_expr::{Expr, ExprSchemable, Join, JoinConstraint, LogicalPlan, Subquery};

use super::types::{Common, Purpose};

/// Nodes that compare what is no expression of theirs.
pub(super) fn rewrite(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Union(union) => rewrite_union(union),
        LogicalPlan::Join(join) => rewrite_join(join),
        LogicalPlan::Distinct(Distinct::All(input)) => {
            let commons = columns(&input).map(|data_type| Common::of(&[data_type], Purpose::Comparison));
            let (input, changed) = converted(&input, &commons.collect::<Vec<_>>())?;
            Ok(Transformed::new_transformed(LogicalPlan::Distinct(Distinct::All(input)), changed))
        }
        other => Ok(Transformed::no(other)),
    }
}

/// Brings a value and the column of a subquery that it is compared with to one type.
pub(super) fn make_alike_with(expr: &mut Expr, subquery: &mut Subquery, schema: &DFSchema) -> Result<bool> {
    let (Ok(value), Some(column)) = (expr.get_type(schema), columns(&subquery.subquery).next()) else {
        return Ok(false);
    };
    let Some(common) = Common::of(&[value.clone(), column], Purpose::Comparison) else { return Ok(false) };
    if common.converts(&value) {
        *expr = common.converted(std::mem::take(expr), &value);
    }
    let (plan, _) = converted(&subquery.subquery, &[Some(common)])?;
    subquery.subquery = plan;
    Ok(true)
}

fn rewrite_union(union: Union) -> Result<Transformed<LogicalPlan>> {
    let width = union.schema.fields().len();
    if union.inputs.iter().any(|input| input.schema().fields().len() != width) {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    let commons = (0..width).map(|column| {
        let types = union.inputs.iter().map(|input| input.schema().field(column).data_type().clone());
        Common::of(&types.collect::<Vec<_>>(), Purpose::Choice)
    });
    let commons = commons.collect::<Vec<_>>();
    let mut changed = false;
    let mut inputs = Vec::with_capacity(union.inputs.len());
    for input in &union.inputs {
        let (input, converted) = converted(input, &commons)?;
        changed |= converted;
        inputs.push(input);
    }
    // Its own types are those of its first part, which may have changed.
    let stale = inputs
        .first()
        .is_some_and(|first| !columns(first).eq(union.schema.fields().iter().map(|f| f.data_type().clone())));
    if !changed && !stale {
        return Ok(Transformed::no(LogicalPlan::Union(union)));
    }
    Ok(Transformed::yes(LogicalPlan::Union(Union::try_new_with_loose_types(inputs)?)))
}

/// The keys of `USING`, of a natural join, of EXCEPT and INTERSECT.
fn rewrite_join(mut join: Join) -> Result<Transformed<LogicalPlan>> {
    let mut changed = false;
    for (left, right) in &mut join.on {
        let (Ok(first), Ok(second)) = (left.get_type(join.left.schema()), right.get_type(join.right.schema())) else {
            continue;
        };
        let Some(common) = Common::of(&[first.clone(), second.clone()], Purpose::Comparison) else { continue };
        for (key, data_type) in [(left, first), (right, second)] {
            if common.converts(&data_type) {
                *key = common.converted(std::mem::take(key), &data_type);
            }
        }
        changed = true;
    }
    if changed {
        // The keys of the other constraint are columns.
        join.join_constraint = JoinConstraint::On;
    }
    Ok(Transformed::new_transformed(LogicalPlan::Join(join), changed))
}

fn columns(plan: &LogicalPlan) -> impl Iterator<Item = DataType> {
    plan.schema().fields().iter().map(|field| field.data_type().clone())
}

/// A plan with some of its columns, which keep their names, in other types; tells whether there are any.
fn converted(plan: &Arc<LogicalPlan>, commons: &[Option<Common>]) -> Result<(Arc<LogicalPlan>, bool)> {
    let mut changed = false;
    let mut expressions = Vec::new();
    for (index, data_type) in columns(plan).enumerate() {
        let (qualifier, field) = plan.schema().qualified_field(index);
        let column = Expr::Column(Column::from((qualifier, field)));
        expressions.push(match commons.get(index).and_then(Option::as_ref) {
            Some(common) if common.converts(&data_type) => {
                changed = true;
                common.converted(column, &data_type).alias_qualified(qualifier.cloned(), field.name())
            }
            _ => column,
        });
    }
    if !changed {
        return Ok((plan.clone(), false));
    }
    Ok((Arc::new(LogicalPlan::Projection(Projection::try_new(expressions, plan.clone())?)), true))
}
