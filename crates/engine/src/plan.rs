//! From an order to something that runs, on a thread of its own with a deep stack.
//!
//! Planning recurses over syntax trees of strangers; the gates bound their depth, the stack is the margin. A panic
//! while planning ends the question, not the worker.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::source_as_provider;
use datafusion::error::Result;
use datafusion::execution::TaskContext;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan, SortExpr};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::Statement as SqlStatement;
use portico_model::order::{Explanation, Work, WorkOrder};
use portico_model::problem::Problem;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::files::ReleasedFiles;
use crate::headers::Headers;
use crate::service::Core;
use crate::session::{Session, Thrift};
use crate::table::ReleasedTable;
use crate::{explain, functions, gate, guards, output, parameters, problem};

/// Stack of the planning thread: what the gates let through has been planned with a tenth of it.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// What planning gives.
pub(crate) struct Planned {
    /// The answer's schema, plain.
    pub(crate) schema: arrow::datatypes::SchemaRef,
    /// What is left to do.
    pub(crate) rest: Rest,
}

/// What is left to do after planning.
pub(crate) enum Rest {
    /// Run the plan.
    Run(Execution),
    /// Nothing: the parameters' schema was asked for.
    Describe(arrow::datatypes::SchemaRef),
    /// Nothing: the plan was asked for.
    Explain(Explanation),
}

/// A plan that can be run once.
pub(crate) struct Execution {
    pub(crate) plan: Arc<dyn ExecutionPlan>,
    pub(crate) context: Arc<TaskContext>,
    pub(crate) files: Arc<ReleasedFiles>,
}

/// Plans an order.
///
/// # Errors
/// Whatever is wrong with the statement, as the client may see it.
pub(crate) async fn plan(core: &Arc<Core>, order: &Arc<WorkOrder>, thrift: Thrift) -> Result<Planned, Problem> {
    let (sender, receiver) = oneshot::channel();
    let (core, order, handle) = (core.clone(), order.clone(), Handle::current());
    let span = tracing::Span::current();
    let work = move || {
        let _entered = span.enter();
        let attempt = AssertUnwindSafe(|| {
            handle.block_on(async {
                let session = core.template.session(&order, thrift, core.files(), &core.footers)?;
                plan_in(&session, &order).await
            })
        });
        let planned = match catch_unwind(attempt) {
            Ok(planned) => planned.map_err(|error| problem::of(&error, &order.limits)),
            Err(_) => {
                tracing::error!("planning panicked");
                Err(Problem::internal())
            }
        };
        // Nobody listens when the question was given up meanwhile.
        let _ = sender.send(planned);
    };
    let thread = std::thread::Builder::new().name("plan".to_owned()).stack_size(STACK_BYTES).spawn(work);
    if let Err(error) = thread {
        tracing::error!(%error, "no thread to plan on");
        return Err(Problem::internal());
    }
    receiver.await.unwrap_or_else(|_| Err(Problem::internal()))
}

async fn plan_in(session: &Session, order: &WorkOrder) -> Result<Planned> {
    let state = &session.state;
    let dialect = state.config_options().sql_parser.dialect;
    let mut statement = state.sql_to_statement(&order.sql, &dialect)?;
    let query = match &mut statement {
        Statement::Statement(statement) => match statement.as_mut() {
            SqlStatement::Query(query) => Some(query),
            _ => None,
        },
        _ => None,
    };
    let headers = Headers::take(query.ok_or_else(|| gate::refusal("Anything but a query"))?);
    let plan = state.statement_to_plan(statement).await?;
    gate::check(&plan)?;
    if order.work == Work::Describe {
        let parameters = parameters::schema(&plan)?;
        // Values that are there settle the types that depend on theirs, as they will when the statement is run.
        let plan = if order.parameters.is_empty() { plan } else { parameters::bind(plan, &order.parameters)? };
        // Types settle when the plan is analysed; a parameter without a value may keep it from being optimised.
        let analysed = state.optimize(&plan).unwrap_or(plan);
        let schema = headers.name(&output::plain_schema(analysed.schema().as_arrow()));
        return Ok(Planned { schema, rest: Rest::Describe(parameters) });
    }
    let plan = guards::guarded(state.optimize(&parameters::bind(plan, &order.parameters)?)?)?;
    functions::check_closed(&plan, state)?;
    keep_useful_orders(&plan)?;
    let state = with_rows_together(state, functions::rows_together(&plan)?);
    let state = state.as_ref();
    let physical = state.query_planner().create_physical_plan(&plan, state).await?;
    let schema = headers.name(&output::plain_schema(&physical.schema()));
    let rest = match order.work {
        Work::Explain => Rest::Explain(explain::explain(session, &plan, &physical).await?),
        Work::Answer | Work::Describe => {
            Rest::Run(Execution { plan: physical, context: state.task_ctx(), files: session.files.clone() })
        }
    };
    Ok(Planned { schema, rest })
}

/// The session with smaller batches, where it needs them.
fn with_rows_together(state: &SessionState, rows: Option<usize>) -> Cow<'_, SessionState> {
    match rows {
        None => Cow::Borrowed(state),
        Some(rows) => {
            let mut smaller = state.clone();
            *smaller.config_mut() = state.config().clone().with_batch_size(rows);
            Cow::Owned(smaller)
        }
    }
}

/// Tells the tables that are sorted or windowed by their own sort key to keep and declare it.
fn keep_useful_orders(plan: &LogicalPlan) -> Result<()> {
    plan.apply_with_subqueries(|node| {
        match node {
            LogicalPlan::Sort(sort) => keep_order(&sort.input, leading_column(&sort.expr)),
            LogicalPlan::Window(window) => {
                for expression in &window.window_expr {
                    if let Expr::WindowFunction(function) = expression.clone().unalias() {
                        let parameters = &function.params;
                        let leading = match parameters.partition_by.first() {
                            Some(expression) => expression.try_as_col().map(|column| column.name.clone()),
                            None => leading_column(&parameters.order_by),
                        };
                        keep_order(&window.input, leading);
                    }
                }
            }
            _ => {}
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(())
}

fn leading_column(order: &[SortExpr]) -> Option<String> {
    order.first().and_then(|first| first.expr.try_as_col()).map(|column| column.name.clone())
}

/// Follows a chain of nodes that keep order down to a table.
fn keep_order(plan: &LogicalPlan, leading: Option<String>) {
    let Some(leading) = leading else { return };
    match plan {
        LogicalPlan::TableScan(scan) => {
            let Ok(provider) = source_as_provider(&scan.source) else { return };
            if let Some(table) = provider.downcast_ref::<ReleasedTable>()
                && table.sorted_by() == Some(leading.as_str())
            {
                table.keep_order();
            }
        }
        LogicalPlan::Projection(node) => keep_order(&node.input, Some(leading)),
        LogicalPlan::Filter(node) => keep_order(&node.input, Some(leading)),
        LogicalPlan::Limit(node) => keep_order(&node.input, Some(leading)),
        LogicalPlan::SubqueryAlias(node) => keep_order(&node.input, Some(leading)),
        _ => {}
    }
}
