//! `IN (SELECT …)`, `EXISTS`, `ANY` and `ALL`, where they filter and where they are a value.
//!
//! The engine makes joins of them where they filter, and cannot run them elsewhere. As values they become counts, which
//! it can, with the three answers that SQL wants: true, false and unknown. What is compared with a subquery's column
//! gets into the subquery's plan, where a column of the same table would be taken for the subquery's own: the subquery
//! has an alias of ours.

use std::sync::Arc;

use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{Column, DFSchema, ExprSchema, ScalarValue};
use datafusion::error::{DataFusionError, Result};
use datafusion::functions_aggregate::count::count_all;
use datafusion::logical_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Operator, Subquery, lit, not, when};
use datafusion::optimizer::AnalyzerRule;
use portico_model::problem::{Problem, ProblemKind};

/// What a subquery's column is qualified with; no table has such a name.
const ALIAS: &str = "__compared";

/// The rule.
#[derive(Debug)]
pub(crate) struct SubqueriesAsValues;

impl AnalyzerRule for SubqueriesAsValues {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(rewrite_node)?.data)
    }

    fn name(&self) -> &str {
        "subqueries_as_values"
    }
}

fn rewrite_node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let filters = match &plan {
        LogicalPlan::Projection(_) | LogicalPlan::Aggregate(_) | LogicalPlan::Window(_) => false,
        LogicalPlan::Filter(_) | LogicalPlan::Join(_) => true,
        _ => return Ok(Transformed::no(plan)),
    };
    let schema = merge_schema(&plan.inputs());
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        let rewritten =
            expr.transform_up(|expr| if filters { rewrite_filter(expr) } else { rewrite_value(expr, &schema) })?;
        Ok(rewritten.update_data(|expr| name.restore(expr)))
    })?
    .map_data(LogicalPlan::recompute_schema)
}

/// `ANY` and `ALL` as what the engine has a join for.
fn rewrite_filter(expr: Expr) -> Result<Transformed<Expr>> {
    let Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }) = expr else {
        return Ok(Transformed::no(expr));
    };
    let among = |negated| Expr::InSubquery(InSubquery { expr: expr.clone(), subquery: subquery.clone(), negated });
    let filter = match (op, quantifier) {
        (Operator::Eq, SetQuantifier::Any) => among(false),
        (Operator::NotEq, SetQuantifier::All) => among(true),
        (op, quantifier) => {
            let subquery = subquery.with_plan(Arc::new(aliased(&subquery)?.build()?));
            Expr::SetComparison(SetComparison { expr, subquery, op, quantifier })
        }
    };
    Ok(Transformed::yes(filter))
}

fn aliased(subquery: &Subquery) -> Result<LogicalPlanBuilder> {
    LogicalPlanBuilder::from(subquery.subquery.as_ref().clone()).alias(ALIAS)
}

/// Any of them as a value.
fn rewrite_value(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let value = match expr {
        Expr::Exists(Exists { subquery, negated }) => negated_if(negated, exists(&subquery)?),
        Expr::InSubquery(InSubquery { expr, subquery, negated }) => {
            negated_if(negated, among(*expr, &subquery, schema)?)
        }
        Expr::SetComparison(SetComparison { expr, subquery, op, quantifier }) => match (op, quantifier) {
            (Operator::Eq, SetQuantifier::Any) => among(*expr, &subquery, schema)?,
            (Operator::NotEq, SetQuantifier::All) => not(among(*expr, &subquery, schema)?),
            (op, quantifier) => {
                let detail = format!(
                    "{op} {quantifier} (SELECT …) stands in WHERE only. As a value, compare with min or max: \
                     x > (SELECT min(y) …)."
                );
                return Err(DataFusionError::External(Box::new(Problem::new(ProblemKind::InvalidSql, detail))));
            }
        },
        other => return Ok(Transformed::no(other)),
    };
    Ok(Transformed::yes(value))
}

fn negated_if(negated: bool, value: Expr) -> Expr {
    if negated { not(value) } else { value }
}

fn exists(subquery: &Subquery) -> Result<Expr> {
    let rows = LogicalPlanBuilder::from(subquery.subquery.as_ref().clone());
    // One row answers it; beside outer columns a limit would stand in the way of a join.
    let rows = if subquery.outer_ref_columns.is_empty() { rows.limit(0, Some(1))? } else { rows };
    Ok(count(rows, subquery)?.gt(lit(0_i64)))
}

/// Whether a value is among a subquery's: unknown when it is not, and one of them or the value itself is null.
fn among(value: Expr, subquery: &Subquery, schema: &DFSchema) -> Result<Expr> {
    let rows = aliased(subquery)?;
    let column = Expr::Column(Column::from(rows.schema().qualified_field(0)));
    let outer = as_outer(value.clone(), schema)?;
    let equal = count(rows.clone().filter(outer.eq(column.clone()))?, subquery)?;
    let nulls = count(rows.clone().filter(column.is_null())?, subquery)?;
    let any = count(rows, subquery)?;
    let unknown = nulls.gt(lit(0_i64)).or(value.is_null().and(any.gt(lit(0_i64))));
    when(equal.gt(lit(0_i64)), lit(true)).when(unknown, lit(ScalarValue::Boolean(None))).otherwise(lit(false))
}

/// How many rows there are.
fn count(rows: LogicalPlanBuilder, subquery: &Subquery) -> Result<Expr> {
    let plan = rows.aggregate(Vec::<Expr>::new(), vec![count_all()])?.build()?;
    let outer_ref_columns = plan.all_out_ref_exprs();
    Ok(Expr::ScalarSubquery(Subquery { subquery: Arc::new(plan), outer_ref_columns, spans: subquery.spans.clone() }))
}

/// An expression as a subquery sees it.
fn as_outer(expr: Expr, schema: &DFSchema) -> Result<Expr> {
    let outer = expr.transform_up(|expr| match expr {
        Expr::Column(column) => {
            let field = Arc::clone(schema.field_from_column(&column)?);
            Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(outer.data)
}
