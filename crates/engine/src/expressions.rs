//! Expressions of data dictionaries: one value for each row of a file, computed while the file is read.
//!
//! ```text
//! text ─▶ parse ─▶ only scalar, only what depends on the row alone ─▶ analyse, simplify (the rules of questions) ─▶ check ─▶ compute
//! ```
//!
//! They are planned as questions are: the same parser, the same reviewed functions behind their bounds, the same checked
//! operators, the same words for errors, which quote no value. What a question may do beyond that is refused: subqueries,
//! aggregates, windows, parameters, and functions whose answer depends on the clock or on chance, since what is approved
//! has to come out the same every time. Nothing here wants a runtime or starts a thread: a reader has neither.

use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{DataType, Schema, TimeUnit};
use datafusion::common::DFSchema;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{EmptyRelation, Expr, ExprSchemable, LogicalPlan, Projection, Volatility, cast};
use datafusion::optimizer::OptimizerRule;
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::sql::sqlparser::ast::{ExprWithAlias, Query, Visit, Visitor};
use portico_model::order::WorkLimits;
use portico_model::problem::{Problem, ProblemKind};

use crate::cases::LongCases;
use crate::{functions, gate, problem, session};

/// A session without tables: that an expression is computed needs no memory pool, no files and no threads.
static SESSION: LazyLock<SessionState> = LazyLock::new(|| {
    let mut config = session::config(1, 0);
    config.options_mut().sql_parser.collect_spans = true;
    SessionStateBuilder::new_from_existing(session::planning_state()).with_config(config).build()
});

/// Nothing of an expression is limited here but by the functions' own bounds; the reader that computes it is.
const UNLIMITED: WorkLimits = WorkLimits {
    first_byte_ms: u64::MAX,
    total_ms: u64::MAX,
    memory_bytes: u64::MAX,
    spill_bytes: u64::MAX,
    answer_bytes: u64::MAX,
    row_bytes: u64::MAX,
    answer_rows: u64::MAX,
};

/// An expression over the rows of one schema.
#[derive(Debug)]
pub struct Expression {
    computed: Arc<dyn PhysicalExpr>,
    data_type: DataType,
}

impl Expression {
    /// Whether the text is an expression, whatever columns there are.
    ///
    /// # Errors
    /// A problem that says what is wrong, and at which line and column.
    pub fn parse(text: &str) -> Result<(), Problem> {
        parsed(text).map(|_| ()).map_err(|error| placed(text, problem::of(&error, &UNLIMITED)))
    }

    /// An expression over these columns. Names that are not quoted are lower-case, as in questions.
    ///
    /// # Errors
    /// A problem that says what is wrong: no expression, a column that there is not, types that do not go together, a
    /// function that is not on offer, or anything whose result is not of the row alone.
    pub fn new(text: &str, schema: &Schema) -> Result<Self, Problem> {
        planned(text, schema).map_err(|error| problem::of(&error, &UNLIMITED))
    }

    /// The type of its values, one of those that released files have.
    #[must_use]
    pub const fn data_type(&self) -> &DataType {
        &self.data_type
    }

    /// The values for the rows of a batch of the schema.
    ///
    /// # Errors
    /// A problem that tells what could not be computed, such as a division by zero, and no value.
    pub fn compute(&self, batch: &RecordBatch) -> Result<ArrayRef, Problem> {
        let values = self.computed.evaluate(batch).and_then(|values| values.into_array(batch.num_rows()));
        values.map_err(|error| problem::of(&error, &UNLIMITED))
    }
}

/// The parser tells the place of what it stops at, but not where the text ends.
fn placed(text: &str, mut problem: Problem) -> Problem {
    if problem.detail.ends_with("found: EOF") {
        let last = text.lines().last().unwrap_or_default();
        let (line, column) = (text.lines().count().max(1), last.chars().count() + 1);
        problem.detail.push_str(&format!(" at Line: {line}, Column: {column}"));
    }
    problem
}

fn planned(text: &str, schema: &Schema) -> Result<Expression> {
    let plain = Schema::new(schema.fields().clone());
    let columns = Arc::new(DFSchema::try_from(plain)?);
    let state: &SessionState = &SESSION;
    let expression = state.create_logical_expr_from_sql_expr(parsed(text)?, &columns)?;
    check(&expression)?;
    let plan = over(&columns, expression)?;
    let plan = state.analyzer().execute_and_check(plan, state.config_options(), |_, _| {})?;
    let expression = expression_of(LongCases.rewrite(plan, state)?.data)?;
    // Some functions are nothing but other words for what they are simplified to.
    let context =
        SimplifyContext::builder().with_schema(columns.clone()).with_config_options(state.config_options().clone());
    let expression = ExprSimplifier::new(context.build()).simplify(expression)?;
    let data_type = expression.get_type(&columns)?;
    let released = released(&data_type)?;
    let expression = if released == data_type { expression } else { cast(expression, released.clone()) };
    let plan = over(&columns, expression)?;
    gate::check(&plan)?;
    functions::check_closed(&plan, state)?;
    let computed = state.create_physical_expr(expression_of(plan)?, &columns)?;
    Ok(Expression { computed, data_type: released })
}

fn parsed(text: &str) -> Result<ExprWithAlias> {
    let dialect = SESSION.config_options().sql_parser.dialect;
    let parsed = SESSION.sql_to_expr_with_alias(text, &dialect)?;
    if parsed.alias.is_some() {
        return Err(refused("An expression has no AS: the column is named by its field."));
    }
    match parsed.expr.visit(&mut Subqueries) {
        ControlFlow::Continue(()) => Ok(parsed),
        ControlFlow::Break(()) => {
            Err(refused("A subquery cannot stand here: an expression is of one row of the file."))
        }
    }
}

/// Looks for queries within an expression.
struct Subqueries;

impl Visitor for Subqueries {
    type Break = ();

    fn pre_visit_query(&mut self, _: &Query) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

/// A plan of one column of this expression, named so that no rule can take it for another.
fn over(columns: &Arc<DFSchema>, expression: Expr) -> Result<LogicalPlan> {
    let rows = LogicalPlan::EmptyRelation(EmptyRelation { produce_one_row: false, schema: columns.clone() });
    Ok(LogicalPlan::Projection(Projection::try_new(vec![expression.alias("value")], Arc::new(rows))?))
}

fn expression_of(plan: LogicalPlan) -> Result<Expr> {
    match plan {
        LogicalPlan::Projection(mut projection) if projection.expr.len() == 1 => {
            Ok(projection.expr.remove(0).unalias_nested().data)
        }
        _ => Err(DataFusionError::Internal("an expression became another plan".to_owned())),
    }
}

/// Refuses what is not of one row, and what would not come out the same tomorrow.
fn check(expression: &Expr) -> Result<()> {
    let mut outside = None;
    expression.apply(|part| {
        outside = match part {
            Expr::AggregateFunction(_) | Expr::GroupingSet(_) => Some("An aggregate cannot stand here"),
            Expr::WindowFunction(_) => Some("A window function cannot stand here"),
            Expr::Unnest(_) => Some("UNNEST cannot stand here"),
            Expr::Placeholder(_) => Some("A parameter cannot stand here"),
            Expr::ScalarVariable(..) => Some("A variable cannot stand here"),
            Expr::ScalarFunction(call) if call.func.signature().volatility != Volatility::Immutable => {
                Some("A function of the clock or of chance cannot stand here")
            }
            _ => None,
        };
        Ok(if outside.is_some() { TreeNodeRecursion::Stop } else { TreeNodeRecursion::Continue })
    })?;
    match outside {
        None => Ok(()),
        Some(what) => {
            Err(refused(&format!("{what}: an expression is computed from one row of the file, and from nothing else.")))
        }
    }
}

/// The type that released files have for values of this one.
fn released(computed: &DataType) -> Result<DataType> {
    Ok(match computed {
        DataType::Boolean | DataType::Int64 | DataType::Float64 | DataType::Utf8 | DataType::Date32 => computed.clone(),
        DataType::Decimal128(_, scale) if *scale >= 0 => computed.clone(),
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) if *scale >= 0 => {
            DataType::Decimal128(*precision, *scale)
        }
        DataType::UInt64 => DataType::Decimal128(20, 0),
        integer if integer.is_integer() => DataType::Int64,
        float if float.is_floating() => DataType::Float64,
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Microsecond),
        DataType::Timestamp(_, None) => DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(_, Some(_)) => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        DataType::Null => {
            return Err(refused("The expression is null in every row. CAST(NULL AS type) says of which type."));
        }
        _ => {
            return Err(refused(
                "The values of the expression are of a type that columns do not have, such as a list or an interval: CAST \
                 makes it text or a number.",
            ));
        }
    })
}

fn refused(detail: &str) -> DataFusionError {
    DataFusionError::External(Box::new(Problem::new(ProblemKind::InvalidRequest, detail)))
}

#[cfg(test)]
mod tests;
