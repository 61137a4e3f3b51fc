//! The answer of one worker as it comes: the head, chunks, the tail, or why there is none.
//!
//! Message 1 carries the head, for Flight with the schema message; then come chunks of encoded bytes or IPC
//! messages; the last message carries the tail. A stream that ends without a tail is not an answer.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt;
use std::sync::Arc;
use std::time::Duration;

use arrow::ipc::convert::{try_schema_from_flatbuffer_bytes, try_schema_from_ipc_buffer};
use arrow_flight::{FlightData, Ticket};
use arrow_schema::{Schema, SchemaRef};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use portico_model::order::{AnswerHead, AnswerTail, WorkOrder};
use portico_model::problem::{Problem, ProblemKind};
use tokio::time::Instant;
use tonic::{Code, Status, Streaming};

use super::lease::Lease;
use super::pool::End;
use super::process::LastWords;
use super::watcher::needs_memory;
use crate::answer::AnswerChunk;

/// How long the end of a process whose connection broke is waited for: its last words included, on a machine that has
/// better things to do. What it says decides what the asker is told, so it is worth waiting for.
const END_WAIT: Duration = Duration::from_secs(10);
/// How long the rest of a short answer is waited for once its first chunk is here: what is calculated is there by then, and
/// whoever reads a long answer does not notice.
const HELD: Duration = Duration::from_millis(20);
/// Bytes from which an answer is a long one, of which nothing is waited for.
const HELD_BYTES: u64 = 64 * 1024;
/// How long what a process sent before its end may take to arrive.
const DRAIN: Duration = Duration::from_millis(100);

const SIGILL: i32 = 4;
const SIGABRT: i32 = 6;
const SIGBUS: i32 = 7;
const SIGKILL: i32 = 9;
const SIGSEGV: i32 = 11;
const SIGTERM: i32 = 15;
const SIGXCPU: i32 = 24;
const SIGXFSZ: i32 = 25;

/// What a worker sends for one order. The first chunk is here already, and all of a short answer.
pub struct WorkerAnswer {
    /// Columns, schema, and for `Describe` and `Explain` all there is to say.
    pub head: AnswerHead,
    /// The answer's schema.
    pub schema: SchemaRef,
    /// The chunks and the tail.
    pub feed: Feed,
}

/// The chunks of one answer. Dropping it before the tail gives the question up.
pub struct Feed {
    ready: VecDeque<AnswerChunk>,
    stream: Streaming<FlightData>,
    lease: Option<Lease>,
    question_id: String,
}

/// Why an answer did not come.
pub(super) enum Failure {
    /// The worker was lost through no fault of the statement: another may be asked.
    Lost(Problem),
    /// The problem that the asker is told.
    Problem(Problem),
}

impl Failure {
    pub(super) fn into_problem(self) -> Problem {
        match self {
            Self::Lost(problem) | Self::Problem(problem) => problem,
        }
    }
}

/// What a worker sent, nothing at its end, or how the stream broke.
type Heard = Result<Option<FlightData>, Status>;

/// Gives the order to the worker and waits for the head and the first chunk, and for a moment for what comes after it.
pub(super) async fn open(lease: Lease, order: &WorkOrder) -> Result<WorkerAnswer, Failure> {
    let ticket = serde_json::to_vec(order).map_err(|error| {
        tracing::error!(%error, "an order could not be written");
        Failure::Problem(Problem::internal())
    })?;
    let mut client = lease.client();
    let opened = tokio::select! {
        opened = client.do_get(Ticket { ticket: ticket.into() }) => opened,
        _ = lease.ended() => Err(Status::unavailable("ended")),
    };
    let stream = match opened {
        Ok(response) => response.into_inner(),
        Err(status) => return Err(explain(lease, Some(&status)).await),
    };
    let mut feed = Feed { ready: VecDeque::new(), stream, lease: Some(lease), question_id: order.question_id.clone() };
    let Some(first) = feed.receive().await? else { return Err(feed.broken("no head").await) };
    let Ok(head) = serde_json::from_slice::<AnswerHead>(&first.app_metadata) else {
        return Err(feed.broken("a head that is none").await);
    };
    let Some(schema) = read_schema(&head.schema_ipc_base64) else {
        return Err(feed.broken("a schema that is none").await);
    };
    if !first.data_header.is_empty() {
        feed.ready.push_back(AnswerChunk::Message(FlightData { app_metadata: Bytes::new(), ..first }));
    }
    let chunk = feed.pull().await?;
    feed.gather(chunk).await?;
    Ok(WorkerAnswer { head, schema: Arc::new(schema), feed })
}

impl Feed {
    /// The next chunk; the last one is the tail. Not to be called after the tail or an error.
    ///
    /// # Errors
    /// The problem that ended the answer: what was sent until then is not an answer.
    pub async fn next(&mut self) -> Result<AnswerChunk, Problem> {
        match self.ready.pop_front() {
            Some(chunk) => Ok(chunk),
            None => self.pull().await.map_err(Failure::into_problem),
        }
    }

    /// Takes what comes right after the first chunk, while nobody has been sent anything: of a short answer that is all of
    /// it, so that a worker that is lost meanwhile costs nobody an answer.
    async fn gather(&mut self, first: AnswerChunk) -> Result<(), Failure> {
        let until = Instant::now() + HELD;
        let (mut next, mut held) = (Some(first), 0);
        while let Some(chunk) = next {
            held += chunk.bytes();
            let over = matches!(chunk, AnswerChunk::Tail(_)) || held >= HELD_BYTES;
            self.ready.push_back(chunk);
            next = if over { None } else { self.pull_until(until).await? };
        }
        Ok(())
    }

    async fn pull(&mut self) -> Result<AnswerChunk, Failure> {
        let heard = self.hear().await;
        self.chunk(heard).await
    }

    /// The next chunk, if it comes in time.
    async fn pull_until(&mut self, until: Instant) -> Result<Option<AnswerChunk>, Failure> {
        match tokio::time::timeout_at(until, self.hear()).await {
            Ok(heard) => self.chunk(heard).await.map(Some),
            Err(_) => Ok(None),
        }
    }

    async fn chunk(&mut self, heard: Heard) -> Result<AnswerChunk, Failure> {
        let Some(message) = self.understood(heard).await? else { return Err(self.broken("no tail").await) };
        if let Some(lease) = &self.lease {
            lease.assignment.begin();
        }
        if !message.data_header.is_empty() {
            return Ok(AnswerChunk::Message(message));
        }
        if message.app_metadata.is_empty() {
            return Ok(AnswerChunk::Bytes(message.data_body));
        }
        let Ok(tail) = serde_json::from_slice::<AnswerTail>(&message.app_metadata) else {
            return Err(self.broken("a tail that is none").await);
        };
        // Only the end of the stream says that the worker has nothing to add.
        if self.receive().await?.is_some() {
            return Err(self.broken("more after the tail").await);
        }
        if let Some(lease) = self.lease.take() {
            lease.finish();
        }
        Ok(AnswerChunk::Tail(tail))
    }

    async fn receive(&mut self) -> Result<Option<FlightData>, Failure> {
        let heard = self.hear().await;
        self.understood(heard).await
    }

    /// What the worker sends next. Waiting for it may be given up: nothing is lost by that.
    async fn hear(&mut self) -> Heard {
        let Some(lease) = &self.lease else { return Ok(None) };
        tokio::select! {
            received = self.stream.message() => received,
            // What it sent before its end may still be on the way.
            _ = lease.ended() => match tokio::time::timeout(DRAIN, self.stream.message()).await {
                Ok(received) => received,
                Err(_) => Err(Status::unavailable("ended")),
            },
        }
    }

    async fn understood(&mut self, heard: Heard) -> Result<Option<FlightData>, Failure> {
        match heard {
            Ok(message) => Ok(message),
            Err(status) => match self.lease.take() {
                Some(lease) => Err(explain(lease, Some(&status)).await),
                None => Err(Failure::Problem(Problem::internal())),
            },
        }
    }

    /// The worker did not keep to the protocol.
    async fn broken(&mut self, what: &'static str) -> Failure {
        tracing::error!(question = %self.question_id, what, "a worker's answer is broken");
        match self.lease.take() {
            Some(lease) => explain(lease, None).await,
            None => Failure::Problem(Problem::internal()),
        }
    }
}

/// Finds out why there is no answer: what the worker says, what the watcher decided, or how the process ended.
async fn explain(lease: Lease, status: Option<&Status>) -> Failure {
    if let Some(problem) = lease.verdict() {
        return Failure::Problem(problem);
    }
    if let Some(problem) = status.and_then(|status| serde_json::from_slice::<Problem>(status.details()).ok()) {
        if problem.kind == ProblemKind::Internal {
            // A panic, or a plan that broke a promise: the worker lives on, and its log says which.
            metrics::counter!("portico_worker_faults_total").increment(1);
        }
        return Failure::Problem(problem);
    }
    if status.is_some_and(|status| status.code() == Code::OutOfRange) {
        // A worker of ours refuses such an answer itself. This one lives on, and must not.
        tracing::error!("a worker announced a message that is longer than any may be");
        lease.retire();
        return Failure::Problem(Problem::internal());
    }
    if !lease.is_process() {
        lease.retire();
        return Failure::Lost(lost());
    }
    let end = tokio::select! {
        end = tokio::time::timeout(END_WAIT, lease.ended()) => end.ok().flatten(),
        // Only the stream broke: there is no end to wait for.
        () = lease.answers() => None,
    };
    if let Some(problem) = lease.verdict() {
        return Failure::Problem(problem);
    }
    match end {
        Some(end) => end_means(&end, lease.memory_limit_bytes()),
        None => {
            tracing::error!(code = ?status.map(Status::code), "a worker failed without saying why");
            lease.retire();
            Failure::Problem(Problem::internal())
        }
    }
}

/// What the end of a process means that the watcher did not end.
pub(super) fn end_means(end: &End, memory_limit_bytes: u64) -> Failure {
    let memory = || Failure::Problem(needs_memory(memory_limit_bytes));
    let stack = || {
        Failure::Problem(Problem::new(
            ProblemKind::QueryTooComplex,
            "The query is nested too deeply to be planned. Split it, or make its expressions shorter.",
        ))
    };
    let Some(status) = end.status else { return Failure::Lost(lost()) };
    match (status.signal(), end.last_words) {
        (_, LastWords::Stack) => stack(),
        (_, LastWords::Memory) | (Some(SIGABRT), LastWords::None) => memory(),
        (Some(SIGSEGV | SIGBUS), _) => stack(),
        // The kernel's own killer takes the largest process; anybody else's kill is not the statement's fault.
        (Some(SIGKILL), _) if end.memory_bytes > memory_limit_bytes / 2 => memory(),
        (Some(SIGKILL | SIGTERM), _) => Failure::Lost(lost()),
        (Some(SIGXCPU), _) => Failure::Problem(Problem::new(
            ProblemKind::QueryTimeout,
            "The query used more processor time than one query may have.",
        )),
        (Some(SIGXFSZ), _) => Failure::Problem(Problem::new(
            ProblemKind::QueryMemory,
            "The query needs more temporary disk space than one query may have.",
        )),
        (Some(SIGILL), _) => Failure::Problem(Problem::internal()),
        (None, _) if status.success() => Failure::Lost(lost()),
        _ => Failure::Problem(Problem::internal()),
    }
}

fn lost() -> Problem {
    Problem::new(ProblemKind::Unavailable, "The process that ran the query ended before its answer did. Try again.")
        .retry_after(1)
}

/// Reads an IPC schema message, with or without its length in front.
fn read_schema(base64: &str) -> Option<Schema> {
    let bytes = STANDARD.decode(base64).ok()?;
    if bytes.starts_with(&[0xff; 4]) {
        try_schema_from_ipc_buffer(&bytes).ok()
    } else {
        try_schema_from_flatbuffer_bytes(&bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::ExitStatus;

    fn check(raw_status: i32, last_words: LastWords, memory_bytes: u64, expect: Result<ProblemKind, ()>) {
        let end = End { status: Some(ExitStatus::from_raw(raw_status)), memory_bytes, last_words };
        let seen = match end_means(&end, 1000) {
            Failure::Problem(problem) => Ok(problem.kind),
            Failure::Lost(_) => Err(()),
        };
        assert_eq!(seen, expect, "{end:?}");
    }

    #[test]
    fn the_end_of_a_process_tells_whose_fault_it_was() {
        check(SIGABRT, LastWords::Memory, 0, Ok(ProblemKind::QueryMemory));
        check(SIGABRT, LastWords::None, 0, Ok(ProblemKind::QueryMemory));
        check(SIGABRT, LastWords::Stack, 0, Ok(ProblemKind::QueryTooComplex));
        check(SIGSEGV, LastWords::None, 0, Ok(ProblemKind::QueryTooComplex));
        check(SIGKILL, LastWords::None, 900, Ok(ProblemKind::QueryMemory));
        check(SIGKILL, LastWords::None, 100, Err(()));
        check(SIGXCPU, LastWords::None, 0, Ok(ProblemKind::QueryTimeout));
        check(0, LastWords::None, 0, Err(()));
        check(101 << 8, LastWords::None, 0, Ok(ProblemKind::Internal));
    }
}
