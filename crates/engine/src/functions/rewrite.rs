//! The last step of analysing a plan, before anything is folded or simplified: every call becomes one of ours.
//!
//! The engine's planners write calls of its own functions for syntax (`SUBSTRING … FROM`, `[1, 2]`, `||` on lists):
//! they are replaced by what is registered under the same name, or refused. Operators that could go wrong become
//! [`Checked`], on whole numbers and on decimals of the widest type. Types are settled by then, parameters are bound.

use std::sync::Arc;

use arrow::datatypes::{DECIMAL128_MAX_PRECISION, DECIMAL256_MAX_PRECISION, DataType};
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::{Transformed, TreeNode};
use datafusion::common::{DFSchema, ScalarValue};
use datafusion::error::Result;
use datafusion::logical_expr::expr::{AggregateFunction, BinaryExpr, Cast, Like, ScalarFunction, TryCast};
use datafusion::logical_expr::expr_rewriter::NamePreserver;
use datafusion::logical_expr::type_coercion::binary::BinaryTypeCoercer;
use datafusion::logical_expr::utils::merge_schema;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Operator, cast};
use datafusion::optimizer::AnalyzerRule;
use portico_model::problem::ProblemKind;

use super::arithmetic::{Checked, Operation};
use super::bounded::{bounded, refused};
use super::narrowed::Narrowed;
use super::parts::parts;
use super::pattern;

/// Centroids of an approximate percentile: its memory, and its exactness, grow with them.
const CENTROIDS_MAX: i128 = 10_000;

/// The rule.
#[derive(Debug)]
pub(crate) struct OurFunctions;

impl AnalyzerRule for OurFunctions {
    fn analyze(&self, plan: LogicalPlan, _: &ConfigOptions) -> Result<LogicalPlan> {
        Ok(plan.transform_up_with_subqueries(rewrite_node)?.data)
    }

    fn name(&self) -> &str {
        "our_functions"
    }
}

fn rewrite_node(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let schema = merge_schema(&plan.inputs());
    let names = NamePreserver::new(&plan);
    plan.map_expressions(|expr| {
        let name = names.save(&expr);
        Ok(expr.transform_up(|expr| rewrite(expr, &schema))?.update_data(|expr| name.restore(expr)))
    })?
    .map_data(LogicalPlan::recompute_schema)
}

fn rewrite(expr: Expr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    Ok(match expr {
        Expr::ScalarFunction(call) => {
            let func = bounded(parts(call.func.clone()));
            if Arc::ptr_eq(&func, &call.func) {
                Transformed::no(Expr::ScalarFunction(call))
            } else {
                Transformed::yes(Expr::ScalarFunction(ScalarFunction { func, args: call.args }))
            }
        }
        Expr::BinaryExpr(binary) => rewrite_operator(binary, schema)?,
        Expr::Negative(operand) => match type_of(&operand, schema)? {
            integer if integer.is_signed_integer() => Transformed::yes(Checked::sign(integer, *operand)),
            _ => Transformed::no(Expr::Negative(operand)),
        },
        Expr::Cast(Cast { expr, field }) => match narrowed(&expr, field.data_type(), false, schema)? {
            Some(narrowed) => Transformed::yes(narrowed),
            None => Transformed::no(Expr::Cast(Cast { expr, field })),
        },
        Expr::TryCast(TryCast { expr, field }) => match narrowed(&expr, field.data_type(), true, schema)? {
            Some(narrowed) => Transformed::yes(narrowed),
            None => Transformed::no(Expr::TryCast(TryCast { expr, field })),
        },
        Expr::SimilarTo(like) => {
            check_pattern("SIMILAR TO", &like.pattern)?;
            Transformed::no(Expr::SimilarTo(Like { ..like }))
        }
        Expr::AggregateFunction(aggregate) => {
            check_centroids(&aggregate)?;
            check_order(&aggregate, schema)?;
            Transformed::no(Expr::AggregateFunction(aggregate))
        }
        other => Transformed::no(other),
    })
}

fn rewrite_operator(binary: BinaryExpr, schema: &DFSchema) -> Result<Transformed<Expr>> {
    let BinaryExpr { left, op, right } = binary;
    if matches!(op, Operator::RegexMatch | Operator::RegexIMatch | Operator::RegexNotMatch | Operator::RegexNotIMatch) {
        check_pattern(&op.to_string(), &right)?;
    }
    let Some(operation) = Checked::operation(op) else {
        return Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })));
    };
    if operation == Operation::Concat {
        let data_type =
            Expr::BinaryExpr(BinaryExpr { left: left.clone(), op, right: right.clone() }).get_type(schema)?;
        return Ok(Transformed::yes(Checked::between(operation, data_type, *left, *right)));
    }
    if operation == Operation::Minus && [&left, &right].iter().all(|side| is_day(side, schema)) {
        // Days between two days. The engine compares them, as a duration, with a number, and fails.
        let (left, right) = (cast(*left, DataType::Int64), cast(*right, DataType::Int64));
        return Ok(Transformed::yes(Checked::between(operation, DataType::Int64, left, right)));
    }
    // Operands of integers have been brought to one type, the result's. The cheaper one is asked.
    let (near, far) = if is_leaf(&right) { (&right, &left) } else { (&left, &right) };
    let data_type = type_of(near, schema)?;
    if data_type.is_integer() && type_of(far, schema)? == data_type {
        return Ok(Transformed::yes(Checked::between(operation, data_type, *left, *right)));
    }
    // Decimals become wider with each operation, up to the widest type, which has room for more digits than it may have.
    if data_type.is_decimal() {
        let (first, second) = (type_of(&left, schema)?, type_of(&right, schema)?);
        if let Ok(result) = BinaryTypeCoercer::new(&first, &op, &second).get_result_type()
            && matches!(
                result,
                DataType::Decimal128(DECIMAL128_MAX_PRECISION, _) | DataType::Decimal256(DECIMAL256_MAX_PRECISION, _)
            )
        {
            return Ok(Transformed::yes(Checked::between(operation, result, *left, *right)));
        }
    }
    Ok(Transformed::no(Expr::BinaryExpr(BinaryExpr { left, op, right })))
}

fn is_day(expr: &Expr, schema: &DFSchema) -> bool {
    matches!(type_of(expr, schema), Ok(DataType::Date32))
}

fn narrowed(operand: &Expr, to: &DataType, lenient: bool, schema: &DFSchema) -> Result<Option<Expr>> {
    if !(to.is_integer() || to.is_decimal()) {
        return Ok(None);
    }
    Ok(Narrowed::of(operand, &type_of(operand, schema)?, to, lenient))
}

fn is_leaf(expr: &Expr) -> bool {
    matches!(expr, Expr::Literal(..) | Expr::Column(_) | Expr::Cast(_))
}

/// The type of an expression, without going down where it is known on top: chains of operators are long.
fn type_of(expr: &Expr, schema: &DFSchema) -> Result<DataType> {
    if let Expr::ScalarFunction(call) = expr
        && let Some(checked) = call.func.inner().downcast_ref::<Checked>()
    {
        return Ok(checked.data_type().clone());
    }
    expr.get_type(schema)
}

fn literal(expr: &Expr) -> Option<&ScalarValue> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        Expr::Cast(cast) => literal(&cast.expr),
        Expr::Alias(alias) => literal(&alias.expr),
        _ => None,
    }
}

/// A pattern beside an operator is a literal, or a parameter that is not bound yet.
fn check_pattern(name: &str, pattern: &Expr) -> Result<()> {
    match pattern {
        Expr::Placeholder(_) => Ok(()),
        Expr::Cast(cast) => check_pattern(name, &cast.expr),
        _ => match literal(pattern) {
            Some(value) => pattern::check_scalar(name, value, None),
            None => {
                let detail = format!("{name} takes its pattern as a literal, not from a column or calculation.");
                Err(refused(ProblemKind::FunctionNotAllowed, detail))
            }
        },
    }
}

fn check_centroids(aggregate: &AggregateFunction) -> Result<()> {
    let place = match aggregate.func.name() {
        "approx_percentile_cont" => 2,
        "approx_percentile_cont_with_weight" => 3,
        _ => return Ok(()),
    };
    let Some(centroids) = aggregate.params.args.get(place) else { return Ok(()) };
    let number = literal(centroids).and_then(|value| value.cast_to(&DataType::Int64).ok());
    match number {
        Some(ScalarValue::Int64(Some(number))) if i128::from(number) <= CENTROIDS_MAX => Ok(()),
        _ if matches!(centroids, Expr::Placeholder(_)) => Ok(()),
        _ => {
            let name = aggregate.func.name();
            let detail = format!("{name} takes a literal number of centroids of at most {CENTROIDS_MAX}.");
            Err(refused(ProblemKind::QueryFailed, detail))
        }
    }
}

/// The engine merges what several threads have sorted, and cannot compare what is nested in something nested.
fn check_order(aggregate: &AggregateFunction, schema: &DFSchema) -> Result<()> {
    for sort in &aggregate.params.order_by {
        let nested_twice = match type_of(&sort.expr, schema)? {
            DataType::List(field) | DataType::LargeList(field) | DataType::FixedSizeList(field, _) => {
                field.data_type().is_nested()
            }
            DataType::Struct(fields) => fields.iter().any(|field| field.data_type().is_nested()),
            DataType::Map(..) => true,
            _ => false,
        };
        if nested_twice {
            let name = aggregate.func.name();
            let detail =
                format!("{name} cannot sort by lists of lists, lists of structures or maps. ORDER BY a part of them.");
            return Err(refused(ProblemKind::InvalidSql, detail));
        }
    }
    Ok(())
}
