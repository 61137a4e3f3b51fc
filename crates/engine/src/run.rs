//! From an order to the messages of its answer.
//!
//! ```text
//! plan ─▶ partitions ─▶ pump (own task: next batch, made plain) ─▶ ≤2 batches ─▶ encode ─▶ ≤4 messages ─▶ gRPC
//! ```
//!
//! Each arrow holds little and blocks when it is full, so a slow client slows the scan down to its own speed and
//! memory stays bounded. A question that runs out of memory before its first message is tried once more with a plan
//! that needs less of it and takes longer. The first message carries the head and leaves only when there are bytes to follow it: a
//! failure before that is a clean problem. The last carries the tail; an answer without one is not complete.

mod body;
mod slices;

use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::{FlightData, IpcMessage, SchemaAsIpc};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use datafusion::physical_plan::{SendableRecordBatchStream, execute_stream};
use futures::StreamExt;
use portico_model::format::Format;
use portico_model::order::{AnswerColumn, AnswerHead, AnswerTail, WorkLimits, WorkOrder, message_bytes_max};
use portico_model::problem::{Problem, ProblemKind};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::plan::{self, Execution, Planned, Rest};
use crate::service::{Core, Running};
use crate::session::Thrift;
use crate::{output, problem};
use body::Body;
use slices::slices;

/// Batches that wait between the plan and the encoder.
const BATCHES_AHEAD: usize = 2;
/// Bytes that a slice of a batch holds at most before it is encoded; one row may be more.
const SLICE_BYTES: usize = 1024 * 1024;
/// Encoded bytes that are sent at once, when rows keep coming.
const FLUSH_BYTES: usize = 256 * 1024;
/// How long encoded bytes wait for company when rows come slowly.
const LINGER: std::time::Duration = std::time::Duration::from_millis(50);

/// Where the messages of one answer go.
pub(crate) type Out = mpsc::Sender<Result<FlightData, Problem>>;

/// Why an answer ends before its tail.
enum Stop {
    Failed(Problem),
    /// The plan panicked before any message was sent.
    Panicked,
    /// As `Failed`, after messages have been sent.
    Broken(Problem),
    /// The client has gone.
    Gone,
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Failed(problem)
    }
}

/// One question under way.
pub(crate) struct Job {
    /// What lives as long as the process.
    pub(crate) core: Arc<Core>,
    /// What was asked.
    pub(crate) order: Arc<WorkOrder>,
    /// When it was asked.
    pub(crate) started: Instant,
    /// Held by every task of the question.
    pub(crate) running: Arc<Running>,
}

/// Does the work of an order and sends its messages.
pub(crate) async fn work(job: Job, out: Out) {
    match attempt(&job, &out).await {
        Ok(tail) => tracing::info!(rows = tail.rows, bytes = tail.bytes, elapsed_ms = tail.elapsed_ms, "answered"),
        Err(Stop::Failed(problem) | Stop::Broken(problem)) => {
            tracing::info!(code = problem.kind.code(), elapsed_ms = job.elapsed_ms(), "not answered");
            // The client may have gone, too.
            let _ = out.send(Err(problem)).await;
        }
        Err(Stop::Panicked) => {
            tracing::info!(elapsed_ms = job.elapsed_ms(), "not answered: the plan panicked");
            let _ = out.send(Err(Problem::internal())).await;
        }
        Err(Stop::Gone) => tracing::info!(elapsed_ms = job.elapsed_ms(), "given up by the client"),
    }
}

impl Job {
    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

async fn attempt(job: &Job, out: &Out) -> Result<AnswerTail, Stop> {
    match attempt_with(job, out, Thrift::Fast).await {
        // Nothing has been sent: what did not fit may still be answered, slower. So may what broke: some operators
        // read their input a second time when it does not fit, which only a plan of one partition lets them.
        Err(Stop::Failed(problem)) if problem.kind == ProblemKind::QueryMemory => once_more(job, out).await,
        Err(Stop::Panicked) => once_more(job, out).await,
        ended => ended,
    }
}

async fn once_more(job: &Job, out: &Out) -> Result<AnswerTail, Stop> {
    tracing::info!(elapsed_ms = job.elapsed_ms(), "once more, frugally");
    attempt_with(job, out, Thrift::Frugal).await
}

async fn attempt_with(job: &Job, out: &Out, thrift: Thrift) -> Result<AnswerTail, Stop> {
    let planned = plan::plan(&job.core, &job.order, thrift).await?;
    let head = head(&planned)?;
    let mut outlet = Outlet::new(out.clone(), &head, &planned.schema, &job.order)?;
    let Planned { schema, rest } = planned;
    let tail = match rest {
        Rest::Run(execution) => match answer(execution, &schema, job, &mut outlet).await {
            Err(Stop::Failed(problem)) if outlet.head.is_none() => return Err(Stop::Broken(problem)),
            Err(Stop::Panicked) if outlet.head.is_none() => return Err(Stop::Broken(Problem::internal())),
            answered => answered?,
        },
        Rest::Describe(_) | Rest::Explain(_) => AnswerTail { rows: 0, bytes: 0, elapsed_ms: job.elapsed_ms() },
    };
    outlet.finish(tail).await?;
    Ok(tail)
}

async fn answer(execution: Execution, schema: &SchemaRef, job: &Job, outlet: &mut Outlet) -> Result<AnswerTail, Stop> {
    let order = &job.order;
    let limits = order.limits;
    let files = execution.files.clone();
    let stream = execute_stream(execution.plan, execution.context).map_err(|error| problem::of(&error, &limits))?;
    let (sender, mut batches) = mpsc::channel(BATCHES_AHEAD);
    let mut pump = Aborting(tokio::spawn(pump(stream, schema.clone(), limits, sender, job.running.clone())));
    let mut body = Body::new(&order.output, schema)?;
    let row_bytes = if order.output.kind.format == Format::Flight { size(limits.row_bytes) } else { usize::MAX };
    let mut rows = 0_u64;
    let mut waiting = false;
    loop {
        let next = if waiting { tokio::time::timeout(LINGER, batches.recv()).await } else { Ok(batches.recv().await) };
        let batch = match next {
            Err(_) => {
                outlet.send_all(body.take()).await?;
                waiting = false;
                continue;
            }
            Ok(None) => break,
            Ok(Some(batch)) => batch?,
        };
        rows += u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
        if rows > limits.answer_rows {
            return Err(too_many_rows(&limits).into());
        }
        for (slice, bytes) in slices(&batch, SLICE_BYTES.min(row_bytes)) {
            if bytes > row_bytes {
                return Err(row_too_long(&limits).into());
            }
            body.write(&slice)?;
            if body.waiting_bytes() >= FLUSH_BYTES {
                outlet.send_all(body.take()).await?;
            }
        }
        waiting = body.waiting_bytes() > 0;
    }
    // The pump ends its channel when it is done, and when it panics.
    if (&mut pump.0).await.is_err() {
        tracing::error!("the plan panicked");
        return Err(Stop::Panicked);
    }
    if let Err(error) = files.settled().await {
        // Its footer was taken before the verdict, and must not be believed of a file that is put in its place.
        job.core.footers.forget();
        return Err(problem::internal(&error).into());
    }
    let elapsed_ms = job.elapsed_ms();
    while !body.finish_part(elapsed_ms)? {
        outlet.send_all(body.take()).await?;
    }
    outlet.send_all(body.take()).await?;
    tracing::debug!(bytes_read = files.bytes_read(), "read from storage");
    Ok(AnswerTail { rows, bytes: outlet.bytes, elapsed_ms: job.elapsed_ms() })
}

/// Pulls batches out of the plan and makes them plain, ahead of the encoder.
async fn pump(
    mut stream: SendableRecordBatchStream,
    schema: SchemaRef,
    limits: WorkLimits,
    out: mpsc::Sender<Result<RecordBatch, Problem>>,
    _running: Arc<Running>,
) {
    while let Some(next) = stream.next().await {
        let plain = next.and_then(|batch| Ok(output::flatten(&batch, &schema)?));
        let message = plain.map_err(|error| problem::of(&error, &limits));
        let failed = message.is_err();
        if out.send(message).await.is_err() || failed {
            return;
        }
    }
}

/// Sends messages, the head before the first, and counts bytes against the order's limit.
struct Outlet {
    out: Out,
    head: Option<FlightData>,
    bytes: u64,
    limits: WorkLimits,
}

impl Outlet {
    fn new(out: Out, head: &AnswerHead, schema: &Schema, order: &WorkOrder) -> Result<Self, Stop> {
        let metadata = serde_json::to_vec(head).map_err(|error| problem::internal(&error))?;
        let mut message = match order.output.kind.format {
            Format::Flight => FlightData::from(SchemaAsIpc::new(schema, &IpcWriteOptions::default())),
            _ => FlightData::default(),
        };
        message.app_metadata = metadata.into();
        check_length(&message, &order.limits)?;
        Ok(Self { out, head: Some(message), bytes: 0, limits: order.limits })
    }

    async fn send_all(&mut self, messages: Vec<FlightData>) -> Result<(), Stop> {
        for message in messages {
            check_length(&message, &self.limits)?;
            let bytes = message.data_body.len() + message.data_header.len();
            self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
            if self.bytes > self.limits.answer_bytes {
                return Err(too_many_bytes(&self.limits).into());
            }
            self.send(message).await?;
        }
        Ok(())
    }

    async fn finish(mut self, tail: AnswerTail) -> Result<(), Stop> {
        let metadata = serde_json::to_vec(&tail).map_err(|error| problem::internal(&error))?;
        self.send(FlightData { app_metadata: metadata.into(), ..FlightData::default() }).await
    }

    async fn send(&mut self, message: FlightData) -> Result<(), Stop> {
        if let Some(head) = self.head.take() {
            self.out.send(Ok(head)).await.map_err(|_| Stop::Gone)?;
        }
        self.out.send(Ok(message)).await.map_err(|_| Stop::Gone)
    }
}

/// A task that is aborted when nobody waits for it any more.
struct Aborting<T>(JoinHandle<T>);

impl<T> Drop for Aborting<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn head(planned: &Planned) -> Result<AnswerHead, Problem> {
    let columns = planned.schema.fields().iter().map(|field| AnswerColumn {
        name: field.name().clone(),
        data_type: portico_encode::type_name(field.data_type(), Some(field)),
    });
    let (parameters, explanation) = match &planned.rest {
        Rest::Run(_) => (None, None),
        Rest::Describe(parameters) => (Some(schema_ipc(parameters)?), None),
        Rest::Explain(explanation) => (None, Some(explanation.clone())),
    };
    Ok(AnswerHead {
        columns: columns.collect(),
        schema_ipc_base64: schema_ipc(&planned.schema)?,
        parameters_ipc_base64: parameters,
        explanation,
    })
}

/// A schema as an encapsulated IPC message (the form that `FlightInfo.schema` has), base64.
fn schema_ipc(schema: &Schema) -> Result<String, Problem> {
    let message = IpcMessage::try_from(SchemaAsIpc::new(schema, &IpcWriteOptions::default()));
    let message = message.map_err(|error| problem::internal(&error))?;
    Ok(BASE64_STANDARD.encode(&message.0))
}

/// A message that is longer than its row and all that frames it: with columns beyond number, or a description of them or
/// of the plan that is.
fn check_length(message: &FlightData, limits: &WorkLimits) -> Result<(), Problem> {
    let bytes = message.app_metadata.len() + message.data_header.len() + message.data_body.len();
    let bytes_max = message_bytes_max(limits.row_bytes);
    if bytes <= size(bytes_max) {
        return Ok(());
    }
    Err(Problem::new(
        ProblemKind::AnswerTooLarge,
        format!(
            "One piece of the answer, or the description of its columns, has more than {bytes_max} bytes. Ask for fewer columns."
        ),
    ))
}

fn row_too_long(limits: &WorkLimits) -> Problem {
    Problem::new(
        ProblemKind::AnswerTooLarge,
        format!(
            "A row of the answer has more than the {} bytes that one may have over Flight. Ask for fewer columns or \
             shorter values, or take the answer as a file.",
            limits.row_bytes
        ),
    )
}

fn size(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

fn too_many_rows(limits: &WorkLimits) -> Problem {
    Problem::new(
        ProblemKind::AnswerTooLarge,
        format!("The answer has more than {} rows. Filter more or add a LIMIT.", limits.answer_rows),
    )
}

fn too_many_bytes(limits: &WorkLimits) -> Problem {
    Problem::new(
        ProblemKind::AnswerTooLarge,
        format!("The answer has more than {} bytes. Filter more or add a LIMIT.", limits.answer_bytes),
    )
}
