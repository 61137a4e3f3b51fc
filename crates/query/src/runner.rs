//! Takes a question through the queue to a worker: what answers and exports have in common.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::ipc::writer::StreamWriter;
use arrow_schema::{ArrowError, DataType, Field, Schema};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use portico_model::limits::Limits;
use portico_model::order::{Envelope, Explanation, OrderTable, Output, VirtualTable, Work, WorkLimits, WorkOrder};
use portico_model::policy::Action;
use portico_model::problem::{Problem, ProblemKind};
use portico_store::{Store, StoreError};

use crate::answer::{PinnedTable, Question};
use crate::queue::{Queue, Turn};
use crate::uses::Uses;
use crate::watch::Watch;
use crate::workers::{Effort, WorkerAnswer, Workers};

/// The table that an `EXPLAIN` statement's rows are read from.
const PLAN_TABLE: &str = "explained plan";
/// Reads them.
const PLAN_SQL: &str = "SELECT plan_type, plan FROM \"explained plan\"";

/// The store, the queue and the workers.
pub(crate) struct Runner {
    pub(crate) store: Store,
    pub(crate) workers: Workers,
    pub(crate) queue: Queue,
    pub(crate) limits: Limits,
    /// What is withdrawn while it is read.
    pub(crate) watch: Watch,
    /// What is used.
    pub(crate) uses: Uses,
}

impl Runner {
    /// Waits for a turn and runs the question until its first bytes are here. The turn is to be held as long as
    /// the answer.
    pub(crate) async fn run(&self, question: &Question) -> Result<(WorkerAnswer, Arc<Turn>), Problem> {
        self.workers.check(&question.pinned.sql, &question.ask.parameters)?;
        let (block, wait) = (&question.ask.caller.address_block, question.pinned.queue_wait);
        let mut turn = Arc::new(match wait {
            Some(wait) => self.queue.enter_within(block, wait).await?,
            None => self.queue.enter(block).await?,
        });
        let started = std::time::Instant::now();
        let outcome = loop {
            tokio::select! {
                biased;
                outcome = self.on_worker(question, &turn) => break outcome,
                () = turn.called_back() => {}
            }
            // Nothing of the answer has been seen yet, so it can be begun anew.
            drop(turn);
            turn = Arc::new(self.queue.enter_again(block, wait).await?);
        };
        turn.begin();
        metrics::histogram!("portico_first_byte_seconds").record(started.elapsed().as_secs_f64());
        let outcome_code = outcome.as_ref().map_or_else(|problem| problem.kind.code(), |_| "begun");
        metrics::counter!("portico_questions_total", "outcome" => outcome_code).increment(1);
        Ok((outcome?, turn))
    }

    /// An `EXPLAIN` statement is two pieces of work: the plan, and its rows in the form asked for.
    async fn on_worker(&self, question: &Question, turn: &Arc<Turn>) -> Result<WorkerAnswer, Problem> {
        let mut order = self.order(question).await?;
        let asked = question.ask.work;
        if question.pinned.work != Work::Explain || asked == Work::Explain {
            return self.workers.run(&order, question.pinned.effort, turn).await;
        }
        let explanation = match asked {
            Work::Answer => {
                order.work = Work::Explain;
                let mut answer = self.workers.run(&order, Effort::Scan, turn).await?;
                answer.feed.next().await?;
                answer.head.explanation.take().unwrap_or_default()
            }
            Work::Describe | Work::Explain => Explanation::default(),
        };
        order.work = asked;
        order.sql = PLAN_SQL.to_owned();
        order.tables = Vec::new();
        order.parameters.clear();
        order.virtual_tables = vec![plan_table(&explanation).map_err(|error| {
            tracing::error!(%error, "a plan could not be written as a table");
            Problem::internal()
        })?];
        self.workers.run(&order, Effort::Scan, turn).await
    }

    async fn order(&self, question: &Question) -> Result<WorkOrder, Problem> {
        let limits = &self.limits.query;
        let own_ms = question.ask.timeout_ms.unwrap_or(u64::MAX);
        // Whoever opens files has a turn already, and others wait for it: a storage that says nothing is not waited for
        // longer than a worker would be.
        let within = Duration::from_millis(limits.first_byte_ms);
        let opening = async {
            let mut tables = Vec::with_capacity(question.pinned.tables.len());
            for table in &question.pinned.tables {
                tables.push(self.open(table, question).await?);
            }
            Ok(tables)
        };
        let tables = tokio::time::timeout(within, opening).await.unwrap_or_else(|_| Err(silent("The storage")))?;
        Ok(WorkOrder {
            question_id: question.query_id.clone(),
            work: question.ask.work,
            sql: question.pinned.sql.clone(),
            tables,
            virtual_tables: question.pinned.virtual_tables.clone(),
            parameters: question.ask.parameters.clone(),
            stored_order: question.pinned.stored_order,
            output: Output {
                kind: question.ask.kind,
                options: question.ask.options.clone(),
                envelope: Envelope { query_id: question.query_id.clone(), versions: question.versions.clone() },
            },
            limits: WorkLimits {
                first_byte_ms: limits.first_byte_ms.min(own_ms),
                total_ms: limits.total_ms.min(own_ms),
                memory_bytes: limits.pool_memory_bytes,
                spill_bytes: limits.spill_bytes,
                answer_bytes: limits.answer_bytes,
                // Rows are limited by bytes and by what a format can hold, which its encoder knows.
                answer_rows: u64::MAX,
                row_bytes: limits.flight_row_bytes,
            },
        })
    }

    /// Opens a version for a worker; nothing opens without the decision that lets it be read.
    async fn open(&self, table: &PinnedTable, question: &Question) -> Result<OrderTable, Problem> {
        let manifest = &table.record.manifest;
        check_grant(table)?;
        let mut access = Vec::with_capacity(manifest.files.len());
        for file in &manifest.files {
            access.push(self.store.storage.access(file).await.map_err(|error| store_problem(&error))?);
        }
        Ok(OrderTable {
            name: table.name.clone(),
            manifest: manifest.as_ref().clone(),
            access,
            part: question.ask.part,
        })
    }
}

/// A grant opens the version it was given for, and only for reading.
pub(crate) fn check_grant(table: &PinnedTable) -> Result<(), Problem> {
    let version = &table.record.manifest.version;
    let fits = table.grant.action() == Action::Read && table.grant.version().as_ref() == Some(version);
    if fits {
        return Ok(());
    }
    tracing::error!(version = %version, "a version was to be opened with a grant for something else");
    Err(Problem::internal())
}

/// The problem of who waited for a part of the store that says nothing.
pub(crate) fn silent(part: &str) -> Problem {
    tracing::warn!(part, "it says nothing");
    let detail = format!("{part} does not answer. Try again in a moment.");
    Problem::new(ProblemKind::Unavailable, detail).retry_after(5)
}

/// What a failure of the store means to a client: whatever it says beyond its kind stays in the log.
pub(crate) fn store_problem(error: &StoreError) -> Problem {
    let kind = error.kind();
    let source = std::error::Error::source(error).map(ToString::to_string);
    tracing::warn!(%error, source, "the store failed");
    match kind {
        ProblemKind::Unavailable => {
            Problem::new(kind, "The storage does not answer. Try again in a moment.").retry_after(5)
        }
        ProblemKind::RangeNotSatisfiable => Problem::new(kind, "The range lies outside the file."),
        ProblemKind::NotFound => Problem::not_found("such file"),
        _ => Problem::internal(),
    }
}

fn plan_table(explanation: &Explanation) -> Result<VirtualTable, ArrowError> {
    let estimate =
        format!("files: {}\nrow groups: {}\nbytes: {}", explanation.files, explanation.row_groups, explanation.bytes);
    let rows = [
        ("logical_plan", explanation.logical_plan.as_str()),
        ("physical_plan", explanation.physical_plan.as_str()),
        ("estimate", estimate.as_str()),
    ];
    let schema = Arc::new(Schema::new(vec![
        Field::new("plan_type", DataType::Utf8, false),
        Field::new("plan", DataType::Utf8, false),
    ]));
    let types: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.0)));
    let plans: ArrayRef = Arc::new(StringArray::from_iter_values(rows.iter().map(|row| row.1)));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![types, plans])?;
    let mut writer = StreamWriter::try_new(Vec::new(), &schema)?;
    writer.write(&batch)?;
    let ipc = writer.into_inner()?;
    Ok(VirtualTable { name: PLAN_TABLE.to_owned(), ipc_base64: STANDARD.encode(ipc) })
}
