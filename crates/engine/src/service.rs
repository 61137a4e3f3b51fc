//! The worker's Flight service: `DoGet` with an order in the ticket, and the action `ping`, which answers with a
//! [`WorkerReport`]. Nothing else.
//!
//! Planning and running happen on a runtime of their own, so that the connection, the clocks and the cancellation
//! answer while the plan computes. When the client's stream is dropped or a limit of time is passed, everything
//! that belongs to the question is aborted; the server kills a worker that does not stop.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, Result as ActionResult, SchemaResult, Ticket,
};
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, Stream, StreamExt};
use portico_model::order::{Measure, WorkOrder, WorkerReport};
use portico_model::problem::{Problem, ProblemKind};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Sleep};
use tonic::{Code, Request, Response, Status, Streaming};
use tracing::Instrument;

use crate::error::EngineError;
use crate::files::{ReleasedFiles, remote};
use crate::footers::Footers;
use crate::run::Job;
use crate::session::Template;
use crate::settings::WorkerSettings;
use crate::verify::Verifier;
use crate::{problem, run};

/// Bytes of a message in either direction: an order names every file of its versions, a row may be large.
pub const MESSAGE_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Messages that wait for the connection.
const MESSAGES_AHEAD: usize = 4;
/// Stack of the threads that run plans: evaluating expressions recurses too.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of a name that is told for the place in the statement; a longer one is left out.
const ABOUT_BYTES: usize = 200;
/// Characters of a text that are told: written as JSON they are at most 6,000 bytes.
const DETAIL_CHARS: usize = 1_000;

/// Threads that wait for files: each partition reads one at a time, merges of spill files read some tens.
const BLOCKING_THREADS: usize = 64;

/// The Flight service of a worker.
pub struct Worker {
    core: Arc<Core>,
}

/// What lives as long as the process.
pub(crate) struct Core {
    pub(crate) template: Arc<Template>,
    pub(crate) footers: Footers,
    verifier: Arc<Verifier>,
    client: reqwest::Client,
    running: Arc<AtomicU64>,
    measures: Vec<Measure>,
    runtime: Background,
}

/// Counts a question as running for as long as any of its tasks has it.
pub(crate) struct Running(Arc<AtomicU64>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A runtime that may be dropped anywhere: its tasks end when they next wait.
struct Background(Option<Runtime>);

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Core {
    /// The files of a new order: none yet.
    pub(crate) fn files(&self) -> ReleasedFiles {
        ReleasedFiles::new(self.verifier.clone(), self.client.clone())
    }

    fn begin(&self) -> Arc<Running> {
        self.running.fetch_add(1, Ordering::Relaxed);
        Arc::new(Running(self.running.clone()))
    }
}

/// The service of a worker that nothing confines, with threads of its own for computing.
///
/// # Errors
/// When the system gives no threads or no client for signed URLs can be made.
pub fn service(settings: WorkerSettings) -> Result<FlightServiceServer<Worker>, EngineError> {
    confined_service(settings, Vec::new())
}

/// As [`service`], for a process that `measures` confine.
pub(crate) fn confined_service(
    settings: WorkerSettings,
    measures: Vec<Measure>,
) -> Result<FlightServiceServer<Worker>, EngineError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(settings.threads.max(1))
        .max_blocking_threads(BLOCKING_THREADS)
        .thread_stack_size(STACK_BYTES)
        .thread_name("compute")
        .enable_all()
        .build()
        .map_err(|source| EngineError::Setup { what: "its threads", source })?;
    let core = Core {
        footers: Footers::new(settings.footer_cache_bytes),
        verifier: Arc::new(Verifier::new()),
        client: remote::client()?,
        running: Arc::default(),
        measures,
        runtime: Background(Some(runtime)),
        template: Arc::new(Template::new(settings)),
    };
    Ok(FlightServiceServer::new(Worker { core: Arc::new(core) })
        .max_decoding_message_size(MESSAGE_BYTES_MAX)
        .max_encoding_message_size(MESSAGE_BYTES_MAX))
}

impl Worker {
    fn begin(&self, order: WorkOrder) -> Result<Answering, Status> {
        let limits = order.limits;
        let now = Instant::now();
        let span = tracing::info_span!("question", id = %order.question_id);
        let (sender, receiver) = mpsc::channel(MESSAGES_AHEAD);
        let Some(runtime) = &self.core.runtime.0 else { return Err(status(&Problem::internal())) };
        let job = Job {
            core: self.core.clone(),
            order: Arc::new(order),
            started: std::time::Instant::now(),
            running: self.core.begin(),
        };
        let task = runtime.spawn(run::work(job, sender).instrument(span));
        let first = now + Duration::from_millis(limits.first_byte_ms.min(limits.total_ms));
        Ok(Answering {
            receiver,
            task: Some(task),
            deadline: Box::pin(tokio::time::sleep_until(first)),
            limit_ms: limits.first_byte_ms.min(limits.total_ms),
            total: Some((now + Duration::from_millis(limits.total_ms), limits.total_ms)),
        })
    }
}

/// The messages of an answer as they come, with the clocks of its order. Dropping it ends the work.
struct Answering {
    receiver: mpsc::Receiver<Result<FlightData, Problem>>,
    task: Option<JoinHandle<()>>,
    deadline: Pin<Box<Sleep>>,
    limit_ms: u64,
    /// The second deadline, once the first message is there.
    total: Option<(Instant, u64)>,
}

impl Answering {
    fn end(&mut self) {
        self.receiver.close();
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.end();
    }
}

impl Stream for Answering {
    type Item = Result<FlightData, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.task.is_none() {
            return Poll::Ready(None);
        }
        // The clock first: a client that reads for ever must not outrun it.
        if self.deadline.as_mut().poll(context).is_ready() {
            let problem = problem::timeout(self.limit_ms);
            self.end();
            return Poll::Ready(Some(Err(status(&problem))));
        }
        match self.receiver.poll_recv(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(message))) => {
                if let Some((instant, limit_ms)) = self.total.take() {
                    self.deadline.as_mut().reset(instant);
                    self.limit_ms = limit_ms;
                }
                Poll::Ready(Some(Ok(message)))
            }
            Poll::Ready(Some(Err(problem))) => {
                self.end();
                Poll::Ready(Some(Err(status(&problem))))
            }
            Poll::Ready(None) => {
                let Some(task) = self.task.as_mut() else { return Poll::Ready(None) };
                match task.poll_unpin(context) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Ok(())) => {
                        self.task = None;
                        Poll::Ready(None)
                    }
                    Poll::Ready(Err(_)) => {
                        tracing::error!("the work panicked");
                        self.task = None;
                        Poll::Ready(Some(Err(status(&Problem::internal()))))
                    }
                }
            }
        }
    }
}

/// A problem as a gRPC status: its code, the problem's code as message, and the problem as JSON in the details. They are
/// headers, of which a connection takes 16 KiB: what a statement wrote at length is not repeated at length.
fn status(problem: &Problem) -> Status {
    let mut told = problem.clone();
    told.about = told.about.filter(|name| name.len() <= ABOUT_BYTES);
    if let Some((end, _)) = told.detail.char_indices().nth(DETAIL_CHARS) {
        told.detail.truncate(end);
        told.detail.push('…');
    }
    let problem = &told;
    let code = match problem.kind {
        ProblemKind::QueryMemory | ProblemKind::AnswerTooLarge => Code::ResourceExhausted,
        ProblemKind::QueryTimeout => Code::DeadlineExceeded,
        ProblemKind::QueryCancelled => Code::Cancelled,
        ProblemKind::NotFound => Code::NotFound,
        ProblemKind::Unavailable => Code::Unavailable,
        ProblemKind::Internal => Code::Internal,
        _ => Code::InvalidArgument,
    };
    let details = serde_json::to_vec(problem).unwrap_or_default();
    Status::with_details(code, problem.kind.code(), Bytes::from(details))
}

#[tonic::async_trait]
impl FlightService for Worker {
    type HandshakeStream = BoxStream<'static, Result<HandshakeResponse, Status>>;
    type ListFlightsStream = BoxStream<'static, Result<FlightInfo, Status>>;
    type DoGetStream = BoxStream<'static, Result<FlightData, Status>>;
    type DoPutStream = BoxStream<'static, Result<PutResult, Status>>;
    type DoExchangeStream = BoxStream<'static, Result<FlightData, Status>>;
    type DoActionStream = BoxStream<'static, Result<ActionResult, Status>>;
    type ListActionsStream = BoxStream<'static, Result<ActionType, Status>>;

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let order = serde_json::from_slice::<WorkOrder>(&request.into_inner().ticket).map_err(|error| {
            tracing::error!(%error, "an order could not be read");
            status(&Problem::new(ProblemKind::InvalidRequest, "The order is not well formed."))
        })?;
        Ok(Response::new(self.begin(order)?.boxed()))
    }

    async fn do_action(&self, request: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        if request.into_inner().r#type == "ping" {
            let running = self.core.running.load(Ordering::Relaxed);
            let report = WorkerReport { running, measures: self.core.measures.clone() };
            let body = serde_json::to_vec(&report).map_err(|_| status(&Problem::internal()))?.into();
            Ok(Response::new(stream::iter([Ok(ActionResult { body })]).boxed()))
        } else {
            Err(Status::unimplemented("there is only ping"))
        }
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        Err(Status::unimplemented("handshake"))
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(Status::unimplemented("list_flights"))
    }

    async fn get_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        Err(Status::unimplemented("get_flight_info"))
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        Err(Status::unimplemented("poll_flight_info"))
    }

    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        Err(Status::unimplemented("get_schema"))
    }

    async fn do_put(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        Err(Status::unimplemented("do_put"))
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(Status::unimplemented("do_exchange"))
    }

    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        Err(Status::unimplemented("list_actions"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_fits_into_headers_whatever_a_statement_wrote() {
        for piece in ["x", "é", "\u{1}", "\u{1F600}", "\""] {
            let long = piece.repeat(100_000);
            let problem = Problem::new(ProblemKind::UnknownColumn, long.clone()).about(&long);
            let status = status(&problem);
            assert!(status.details().len() < 8 * 1024, "{piece:?}: {}", status.details().len());
            let told = serde_json::from_slice::<Problem>(status.details()).unwrap();
            assert_eq!((told.kind, told.about), (ProblemKind::UnknownColumn, None));
            assert_eq!(told.detail.chars().count(), DETAIL_CHARS + 1);
        }
        let short = Problem::new(ProblemKind::UnknownColumn, "There is no column hight here.").about("hight");
        assert_eq!(serde_json::from_slice::<Problem>(status(&short).details()).unwrap(), short);
    }
}
