//! The functions that statements may call, registered in this one place.
//!
//! A session starts without any and is given what [`reviewed`] names; the record of the review, a row for every name
//! with its class, its bound and a statement that shows it, is `functions.toml`. What could make much out of little
//! stands behind a bound ([`bounded`]), what could wrap around is checked or exact ([`arithmetic`], [`exact`]), and
//! the last step of analysis ([`rewrite`]) sees to it that no plan calls anything else.

mod arithmetic;
mod bounded;
mod bounds;
mod exact;
mod narrowed;
mod operators;
mod parts;
mod pattern;
mod reviewed;
mod rewrite;
mod series;
mod sizes;
pub(crate) mod span;
#[cfg(test)]
mod tests;
mod truncated;
mod whole;

use std::sync::Arc;

use datafusion::catalog::TableFunction;
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionStateDefaults;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{AggregateUDF, Expr, LogicalPlan, ScalarUDF, WindowFunctionDefinition, WindowUDF};

use arithmetic::Checked;
use bounded::Bounded;
use bounds::{BATCH_BYTES_MAX, Bound};
use narrowed::Narrowed;

/// Bytes of a constant that is not counted: lists of numbers and words are long and not repeated.
const CONSTANT_BYTES_SMALL: usize = 1_024;
/// Bytes of all other constants of a plan that are no concern: 64 MiB of them in a batch of rows.
const CONSTANT_BYTES_FREE: u64 = BATCH_BYTES_MAX / 8_192;

/// The functions on offer.
pub(crate) struct Functions {
    scalar: Vec<Arc<ScalarUDF>>,
    aggregate: Vec<Arc<AggregateUDF>>,
    window: Vec<Arc<WindowUDF>>,
    table: Vec<Arc<TableFunction>>,
}

impl Functions {
    /// All that has been reviewed, of what the engine has.
    pub(crate) fn offered() -> Self {
        let mut scalar = SessionStateDefaults::default_scalar_functions();
        scalar.retain(|function| reviewed::SCALAR.contains(&function.name()));
        let mut aggregate = SessionStateDefaults::default_aggregate_functions();
        aggregate.retain(|function| reviewed::AGGREGATE.contains(&function.name()));
        let mut window = SessionStateDefaults::default_window_functions();
        window.retain(|function| reviewed::WINDOW.contains(&function.name()));
        let mut table = SessionStateDefaults::default_table_functions();
        table.retain(|function| reviewed::TABLE.contains(&function.name()));
        Self {
            scalar: scalar
                .into_iter()
                .map(whole::whole)
                .map(truncated::truncated)
                .map(parts::parts)
                .map(bounded::bounded)
                .collect(),
            aggregate: aggregate.into_iter().map(exact::exact).collect(),
            window,
            table: table.into_iter().map(series::bounded).collect(),
        }
    }

    /// Gives a session these functions and no others, and the rule that keeps plans to them.
    pub(crate) fn register(self, builder: SessionStateBuilder) -> SessionStateBuilder {
        let mut planners = SessionStateDefaults::default_expr_planners();
        planners.insert(0, Arc::new(operators::Operators));
        builder
            .with_scalar_functions(self.scalar)
            .with_aggregate_functions(self.aggregate)
            .with_window_functions(self.window)
            .with_table_function_list(self.table)
            .with_expr_planners(planners)
            .with_analyzer_rule(Arc::new(rewrite::OurFunctions))
    }
}

/// Whether this is the name of a function on offer, aliases apart.
pub(crate) fn is_offered(name: &str) -> bool {
    [reviewed::SCALAR, reviewed::AGGREGATE, reviewed::WINDOW, reviewed::TABLE].iter().any(|names| names.contains(&name))
}

/// Functions that have no result for some values of the types that they take.
const PARTIAL: &[&str] = &["chr", "date_bin", "decode", "factorial", "gcd", "lcm", "make_date", "make_time", "power"];

/// Whether a call may have no result for some row: a calculation that may leave its type, a conversion, or a function that
/// reads what is written in a text.
pub(crate) fn can_fail(call: &ScalarFunction, schema: &DFSchema) -> bool {
    let function = call.func.inner();
    if let Some(checked) = function.downcast_ref::<Checked>() {
        return checked.can_fail(&call.args, schema);
    }
    if let Some(narrowed) = function.downcast_ref::<Narrowed>() {
        return narrowed.is_strict_about_values();
    }
    let name = call.func.name();
    name.starts_with("to_") && name != "to_hex" || PARTIAL.contains(&name)
}

/// Checks that a plan, as it is going to run, calls nothing but what its session has registered.
///
/// # Errors
/// [`DataFusionError::Internal`]: a rule of the optimiser has written a call of its own.
pub(crate) fn check_closed(plan: &LogicalPlan, state: &SessionState) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| match unregistered(part, state) {
                Some(name) => Err(DataFusionError::Internal(format!("a plan calls {name}, which is not registered"))),
                None => Ok(TreeNodeRecursion::Continue),
            })
        })
    })?;
    Ok(())
}

/// How many rows may be worked on together so that the constants of a plan, which are repeated for every row, stay
/// within the bound of a batch; `None` where that is no concern.
pub(crate) fn rows_together(plan: &LogicalPlan) -> Result<Option<usize>> {
    let mut bytes = 0_u64;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Expr::Literal(value, _) = part
                    && value.size() > CONSTANT_BYTES_SMALL
                {
                    bytes = bytes.saturating_add(u64::try_from(value.size()).unwrap_or(u64::MAX));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok((bytes > CONSTANT_BYTES_FREE).then(|| usize::try_from(BATCH_BYTES_MAX / bytes).unwrap_or(1).max(1)))
}

/// The name of a function that is not registered in this form.
fn unregistered<'e>(expr: &'e Expr, state: &SessionState) -> Option<&'e str> {
    match expr {
        Expr::ScalarFunction(call) => {
            let name = call.func.name();
            let is_bounded = Bound::of(name).is_none() || call.func.inner().is::<Bounded>();
            let registered = state.scalar_functions().contains_key(name) && is_bounded;
            let inner = call.func.inner();
            let ours = inner.is::<Checked>() || inner.is::<Narrowed>() || inner.is::<span::Span>();
            (!registered && !ours).then_some(name)
        }
        // None is registered: what they take, a lambda, is not in the dialect that statements are read in.
        Expr::HigherOrderFunction(call) => Some(call.func.name()),
        Expr::AggregateFunction(call) => unregistered_aggregate(&call.func, state),
        Expr::WindowFunction(call) => match &call.fun {
            WindowFunctionDefinition::AggregateUDF(function) => unregistered_aggregate(function, state),
            WindowFunctionDefinition::WindowUDF(function) => {
                (!state.window_functions().contains_key(function.name())).then_some(function.name())
            }
        },
        _ => None,
    }
}

fn unregistered_aggregate<'e>(function: &'e AggregateUDF, state: &SessionState) -> Option<&'e str> {
    let registered = state.aggregate_functions().get(function.name());
    registered.is_none_or(|registered| registered.as_ref() != function).then_some(function.name())
}
