//! What is asked, the question it becomes once it is gated and pinned, and the answer.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use arrow_flight::FlightData;
use arrow_schema::SchemaRef;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use portico_model::format::FileKind;
use portico_model::name::VersionNumber;
use portico_model::order::{AnswerHead, AnswerTail, OutputOptions, ParameterValue, TablePart, VirtualTable, Work};
use portico_model::policy::{Grant, Principal};
use portico_model::problem::{Problem, ProblemKind};
use portico_store::VersionRecord;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::queue::Turn;
use crate::workers::{Effort, Feed};

/// How far a reader may fall behind the slowest rate in all before its answer is broken off: a laptop that
/// changes networks recovers within it.
const READER_SLACK: Duration = Duration::from_secs(30);

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The IPv4 address or IPv6 /64 that the caller's limits are counted for.
    pub address_block: String,
    /// As whom.
    pub principal: Principal,
}

/// A statement as it comes in, with everything that decides its answer.
#[derive(Clone, Debug)]
pub struct Ask {
    /// The statement.
    pub sql: String,
    /// Values for `$1` (key `1`) or `$name` (key `name`).
    pub parameters: BTreeMap<String, ParameterValue>,
    /// The form of the answer.
    pub kind: FileKind,
    /// How text formats are spelt.
    pub options: OutputOptions,
    /// Who asks.
    pub caller: Caller,
    /// The caller's own limit of wall time, in milliseconds; it only ever lowers the operator's.
    pub timeout_ms: Option<u64>,
    /// Whether to run it, describe it or explain it.
    pub work: Work,
    /// The longest statement that this entry point takes, in bytes.
    pub text_bytes_max: u64,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
    /// Read only this part of the one table that the statement names.
    pub part: Option<TablePart>,
}

/// A statement that passed the gate, on fixed versions: nothing has run yet, but its answer has a name.
#[derive(Clone, Debug)]
pub struct Question {
    /// Public id: names the question to `cancel`, unguessable.
    pub query_id: String,
    /// Opaque strong tag of the answer's bytes, without quotes: over statement, parameters, versions and form.
    pub etag: String,
    /// The version used of each dataset, by SQL name.
    pub versions: BTreeMap<String, VersionNumber>,
    /// The statement on those versions: asks the same again for ever.
    pub pinned_sql: String,
    /// Whether the same question has the same answer: `false` for `random()`, `now()` and their like.
    pub cacheable: bool,
    pub(crate) ask: Ask,
    pub(crate) pinned: Pinned,
}

/// What a worker will be told of a question.
#[derive(Clone, Debug)]
pub(crate) struct Pinned {
    /// The statement as the gate printed it.
    pub(crate) sql: String,
    /// The versions it names.
    pub(crate) tables: Vec<PinnedTable>,
    /// Small tables of ours.
    pub(crate) virtual_tables: Vec<VirtualTable>,
    /// Plain scan or not.
    pub(crate) effort: Effort,
    /// Run, describe or explain.
    pub(crate) work: Work,
    /// Keep the rows in stored order.
    pub(crate) stored_order: bool,
    /// How long it waits in the queue, where not as long as everybody.
    pub(crate) queue_wait: Option<Duration>,
}

/// A version that a statement names, with the proof that it may be opened.
#[derive(Clone, Debug)]
pub(crate) struct PinnedTable {
    /// The identifier in the gated statement.
    pub(crate) name: String,
    /// The version.
    pub(crate) record: Arc<VersionRecord>,
    /// The decision to let it be read.
    pub(crate) grant: Grant,
}

/// A question's answer: its schema, and its bytes as they come.
pub struct Answer {
    /// Columns, and for `Describe` and `Explain` all there is.
    pub head: AnswerHead,
    /// The answer's schema.
    pub schema: SchemaRef,
    /// The bytes. It always ends in a `Tail` or in an `Err`, and an `Err` means: break the transfer.
    /// Dropping it stops the work.
    pub body: BoxStream<'static, Result<AnswerChunk, Problem>>,
    /// The question's public id.
    pub query_id: String,
    /// Its tag.
    pub etag: String,
    /// The version used of each dataset, by SQL name.
    pub versions: BTreeMap<String, VersionNumber>,
    /// The statement on those versions.
    pub pinned_sql: String,
    /// Whether the same question has the same answer.
    pub cacheable: bool,
    /// The form of the bytes.
    pub kind: FileKind,
}

/// A piece of an answer.
#[derive(Clone, Debug)]
pub enum AnswerChunk {
    /// Encoded bytes, for every format but `Flight`.
    Bytes(Bytes),
    /// An IPC message, for `Flight`: the schema first, then batches.
    Message(FlightData),
    /// The answer is complete.
    Tail(AnswerTail),
}

impl AnswerChunk {
    /// Bytes of the chunk that go out.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let length = match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Message(message) => message.data_header.len() + message.data_body.len(),
            Self::Tail(_) => 0,
        };
        u64::try_from(length).unwrap_or(u64::MAX)
    }
}

/// The questions under way, so that their callers can cancel them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running {
    entries: Arc<Mutex<HashMap<String, Entry>>>,
}

#[derive(Debug)]
struct Entry {
    address_block: String,
    cancelled: CancellationToken,
}

/// A question's entry among those under way; it leaves when dropped.
#[derive(Debug)]
pub(crate) struct Registered {
    running: Running,
    query_id: String,
    pub(crate) cancelled: CancellationToken,
}

impl Running {
    pub(crate) fn register(&self, query_id: &str, caller: &Caller) -> Registered {
        let cancelled = CancellationToken::new();
        let entry = Entry { address_block: caller.address_block.clone(), cancelled: cancelled.clone() };
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).insert(query_id.to_owned(), entry);
        Registered { running: self.clone(), query_id: query_id.to_owned(), cancelled }
    }

    pub(crate) fn cancel(&self, query_id: &str, caller: &Caller) -> bool {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(entry) = entries.get(query_id).filter(|entry| entry.address_block == caller.address_block) else {
            return false;
        };
        entry.cancelled.cancel();
        true
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.running.entries.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.query_id);
    }
}

/// The problem of a question that its caller cancelled.
pub(crate) fn cancelled() -> Problem {
    Problem::new(ProblemKind::QueryCancelled, "The query was cancelled by its caller.")
}

/// Moves an answer from its worker to its reader: holds the turn until the worker is free, notices a reader that
/// went away or reads too slowly, and a caller that cancels.
pub(crate) fn deliver(
    feed: Feed,
    turn: Arc<Turn>,
    registered: Registered,
    reader_bytes_per_s: u64,
) -> BoxStream<'static, Result<AnswerChunk, Problem>> {
    // Two chunks on the way keep both sides busy; more would only be memory.
    let (sender, receiver) = mpsc::channel(2);
    let patience = Patience::new(reader_bytes_per_s, READER_SLACK);
    tokio::spawn(pump(feed, turn, registered, sender, patience));
    stream::unfold(Some(receiver), |receiver| async move {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Ok(chunk @ (AnswerChunk::Bytes(_) | AnswerChunk::Message(_)))) => Some((Ok(chunk), Some(receiver))),
            Some(last) => Some((last, None)),
            // The pump was ended from outside, as when the server stops: never let that look complete.
            None => Some((Err(Problem::new(ProblemKind::Unavailable, "The answer was broken off.")), None)),
        }
    })
    .boxed()
}

type ChunkSender = mpsc::Sender<Result<AnswerChunk, Problem>>;

async fn pump(mut feed: Feed, turn: Arc<Turn>, registered: Registered, sender: ChunkSender, mut patience: Patience) {
    loop {
        let next = tokio::select! {
            biased;
            () = registered.cancelled.cancelled() => Err(cancelled()),
            () = sender.closed() => {
                metrics::counter!("portico_answers_total", "outcome" => "reader_left").increment(1);
                return;
            }
            next = feed.next() => next,
        };
        if let Ok(chunk @ (AnswerChunk::Bytes(_) | AnswerChunk::Message(_))) = next {
            let bytes = chunk.bytes();
            metrics::counter!("portico_answer_bytes_total").increment(bytes);
            let handed = tokio::select! {
                () = registered.cancelled.cancelled() => Handed::Cancelled,
                handed = patience.hand(&sender, chunk, bytes) => handed,
            };
            let (outcome, last) = match handed {
                Handed::Taken => continue,
                Handed::Left => ("reader_left", None),
                Handed::TooSlow => ("reader_too_slow", Some(too_slow())),
                Handed::Cancelled => ("cancelled", Some(cancelled())),
            };
            metrics::counter!("portico_answers_total", "outcome" => outcome).increment(1);
            // The worker is free from here on; the reader learns of the end when it reads on.
            drop((feed, turn, registered));
            if let Some(problem) = last {
                let _ = sender.send(Err(problem)).await;
            }
            return;
        }
        let outcome = match &next {
            Ok(_) => "complete",
            Err(problem) => problem.kind.code(),
        };
        metrics::counter!("portico_answers_total", "outcome" => outcome).increment(1);
        drop((feed, turn, registered));
        let _ = sender.send(next).await;
        return;
    }
}

fn too_slow() -> Problem {
    Problem::new(ProblemKind::QueryTimeout, "The answer was read too slowly, and another query needed the worker.")
}

/// What became of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handed {
    Taken,
    Left,
    TooSlow,
    Cancelled,
}

/// How slowly a reader may read: it may fall behind the slowest rate by the slack, in all.
struct Patience {
    bytes_per_s: u64,
    slack: Duration,
    behind: Duration,
}

impl Patience {
    fn new(bytes_per_s: u64, slack: Duration) -> Self {
        Self { bytes_per_s, slack, behind: Duration::ZERO }
    }

    async fn hand(&mut self, sender: &ChunkSender, chunk: AnswerChunk, bytes: u64) -> Handed {
        let due = match self.bytes_per_s {
            0 => Duration::from_secs(u64::from(u32::MAX)),
            rate => Duration::from_millis(bytes.saturating_mul(1000) / rate),
        };
        let started = Instant::now();
        let allowed = due + self.slack.saturating_sub(self.behind);
        let handed = match tokio::time::timeout(allowed, sender.send(Ok(chunk))).await {
            Ok(Ok(())) => Handed::Taken,
            Ok(Err(_)) => Handed::Left,
            Err(_) => Handed::TooSlow,
        };
        let took = started.elapsed();
        self.behind = (self.behind + took).saturating_sub(due);
        handed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(block: &str) -> Caller {
        Caller { address_block: block.to_owned(), principal: Principal::Anonymous }
    }

    fn chunk(bytes: usize) -> AnswerChunk {
        AnswerChunk::Bytes(Bytes::from(vec![0; bytes]))
    }

    #[test]
    fn only_the_same_caller_cancels_and_only_while_it_runs() {
        let running = Running::default();
        let registered = running.register("q1", &caller("a"));
        assert!(!running.cancel("q1", &caller("b")));
        assert!(!running.cancel("q2", &caller("a")));
        assert!(!registered.cancelled.is_cancelled());
        assert!(running.cancel("q1", &caller("a")));
        assert!(registered.cancelled.is_cancelled());
        drop(registered);
        assert!(!running.cancel("q1", &caller("a")));
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_too_slow_and_one_that_left_is_noticed() {
        let (sender, receiver) = mpsc::channel(1);
        let mut patience = Patience::new(1_000_000, Duration::from_millis(5));
        assert_eq!(patience.hand(&sender, chunk(10), 10).await, Handed::Taken);
        assert_eq!(patience.hand(&sender, chunk(10), 10).await, Handed::TooSlow);
        drop(receiver);
        assert_eq!(patience.hand(&sender, chunk(10), 10).await, Handed::Left);
    }

    #[tokio::test]
    async fn a_reader_at_the_slowest_rate_is_never_too_slow() {
        let (sender, _receiver) = mpsc::channel(100);
        let mut patience = Patience::new(1, Duration::ZERO);
        for _ in 0..50 {
            assert_eq!(patience.hand(&sender, chunk(1), 1).await, Handed::Taken);
            assert_eq!(patience.behind, Duration::ZERO);
        }
    }
}
