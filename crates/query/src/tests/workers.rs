//! The pool with workers in this process.

use std::sync::Arc;
use std::time::Duration;

use portico_model::format::{Compression, FileKind, Format};
use portico_model::limits::QueryLimits;
use portico_model::order::{Envelope, Output, OutputOptions, Work, WorkLimits, WorkOrder};
use portico_model::problem::{Problem, ProblemKind};

use super::fake::Fake;
use crate::answer::AnswerChunk;
use crate::queue::{Queue, Turn};
use crate::workers::{Effort, WorkerAnswer, Workers};

pub(super) fn order(sql: &str, first_byte_ms: u64, total_ms: u64) -> WorkOrder {
    WorkOrder {
        question_id: "q".into(),
        work: Work::Answer,
        sql: sql.into(),
        tables: Vec::new(),
        virtual_tables: Vec::new(),
        parameters: Default::default(),
        stored_order: false,
        output: Output {
            kind: FileKind { format: Format::Csv, compression: Compression::None },
            options: OutputOptions::default(),
            envelope: Envelope::default(),
        },
        limits: WorkLimits {
            first_byte_ms,
            total_ms,
            memory_bytes: 1 << 20,
            spill_bytes: 1 << 20,
            answer_bytes: 1 << 20,
            answer_rows: u64::MAX,
            row_bytes: 1 << 20,
        },
    }
}

/// A turn of a queue of its own.
pub(super) async fn turn() -> Arc<Turn> {
    Arc::new(Queue::new(&QueryLimits::default(), 1).enter("a").await.unwrap())
}

pub(super) async fn collect(mut answer: WorkerAnswer) -> Result<Vec<u8>, Problem> {
    let mut all = Vec::new();
    loop {
        match answer.feed.next().await? {
            AnswerChunk::Bytes(bytes) => all.extend_from_slice(&bytes),
            AnswerChunk::Message(message) => all.extend_from_slice(&message.data_body),
            AnswerChunk::Tail(_) => return Ok(all),
        }
    }
}

fn pool(count: u64) -> (Fake, Workers) {
    let fake = Fake::default();
    let limits = QueryLimits { workers: count, spare_workers: 0, queue_wait_ms: 2_000, ..QueryLimits::default() };
    let workers = Workers::start(fake.launcher(), &limits);
    (fake, workers)
}

async fn run(workers: &Workers, sql: &str) -> Result<Vec<u8>, Problem> {
    collect(workers.run(&order(sql, 5_000, 5_000), Effort::Work, &turn().await).await?).await
}

async fn check(sql: &str, expect: Result<&[u8], ProblemKind>) {
    let (_, workers) = pool(1);
    let seen = run(&workers, sql).await.map_err(|problem| problem.kind);
    assert_eq!(seen.as_deref(), expect.as_ref().map(|bytes| *bytes), "{sql}");
    // Whatever happened, the next question is served.
    assert_eq!(run(&workers, "do:chunks:1:3").await.unwrap(), b"aaa", "after {sql}");
}

#[tokio::test]
async fn answers_come_whole_or_not_at_all() {
    check("do:chunks:3:2", Ok(b"aabbcc")).await;
    check("do:chunks:0:0", Ok(b"")).await;
    check("do:problem", Err(ProblemKind::QueryFailed)).await;
    check("do:late-problem", Err(ProblemKind::AnswerTooLarge)).await;
}

#[tokio::test]
async fn a_missing_tail_is_an_error() {
    let (_, workers) = pool(1);
    let long = order("do:no-tail:100000", 5_000, 5_000);
    let mut answer = workers.run(&long, Effort::Scan, &turn().await).await.unwrap();
    assert!(matches!(answer.feed.next().await, Ok(AnswerChunk::Bytes(_))));
    assert!(answer.feed.next().await.is_err());
    // Nothing of a short one has been sent yet.
    assert!(workers.run(&order("do:no-tail:5", 5_000, 5_000), Effort::Scan, &turn().await).await.is_err());
}

#[tokio::test]
async fn problems_before_the_first_byte_are_told_at_once() {
    let (_, workers) = pool(1);
    let problem = workers.run(&order("do:problem", 5_000, 5_000), Effort::Work, &turn().await).await.err().unwrap();
    assert_eq!((problem.kind, problem.detail.as_str()), (ProblemKind::QueryFailed, "so the worker says"));
}

#[tokio::test]
async fn a_message_that_no_worker_of_ours_sends_is_not_read() {
    for flight in [false, true] {
        let (fake, workers) = pool(1);
        let mut long = order("do:chunks:1:67108864", 5_000, 5_000);
        if flight {
            long.output.kind.format = Format::Flight;
        }
        let problem = match workers.run(&long, Effort::Scan, &turn().await).await {
            Ok(answer) => collect(answer).await.unwrap_err(),
            Err(problem) => problem,
        };
        assert_eq!(problem.kind, ProblemKind::Internal, "{problem}");
        // It was asked once, and another worker is in its place.
        assert_eq!(fake.orders().len(), 1);
        long.sql = "do:chunks:1:16777216".to_owned();
        let whole = collect(workers.run(&long, Effort::Scan, &turn().await).await.unwrap()).await.unwrap();
        assert_eq!((whole.len(), fake.connections()), (16 << 20, 2));
    }
}

#[tokio::test]
async fn nothing_of_an_unknown_failure_is_told() {
    let (_, workers) = pool(1);
    let problem = run(&workers, "do:no-words").await.unwrap_err();
    assert!(!problem.detail.contains("secret"), "{problem}");
}

#[tokio::test]
async fn a_lost_worker_is_replaced_once_for_one_question() {
    let (fake, workers) = pool(1);
    assert_eq!(run(&workers, "do:lost:1").await.unwrap(), b"aaaaa");
    assert_eq!(fake.orders().len(), 2);
    // Lost after its first bytes: a short answer is held until it is whole.
    let (fake, workers) = pool(1);
    assert_eq!(run(&workers, "do:lost-late:1").await.unwrap(), b"aaaaa");
    assert_eq!(fake.orders().len(), 2);
    let (fake, workers) = pool(1);
    assert_eq!(run(&workers, "do:lost:2").await.unwrap_err().kind, ProblemKind::Unavailable);
    assert_eq!(fake.orders().len(), 2);
}

#[tokio::test]
async fn deadlines_hold_and_the_worker_is_replaced() {
    let (fake, workers) = pool(1);
    let first = workers.run(&order("do:hang", 60, 5_000), Effort::Scan, &turn().await).await.err().unwrap();
    assert_eq!(first.kind, ProblemKind::QueryTimeout);
    let answer = workers.run(&order("do:begin-hang", 60, 150), Effort::Scan, &turn().await).await.unwrap();
    assert_eq!(collect(answer).await.unwrap_err().kind, ProblemKind::QueryTimeout);
    assert_eq!(run(&workers, "do:chunks:1:1").await.unwrap(), b"a");
    assert_eq!(fake.connections(), 3);
}

#[tokio::test]
async fn a_question_that_is_given_up_frees_its_worker() {
    let (fake, workers) = pool(1);
    let hanging = order("do:hang", 5_000, 5_000);
    assert!(
        tokio::time::timeout(Duration::from_millis(20), workers.run(&hanging, Effort::Scan, &turn().await))
            .await
            .is_err()
    );
    drop(workers.run(&order("do:begin-hang", 5_000, 5_000), Effort::Scan, &turn().await).await.unwrap());
    assert_eq!(run(&workers, "do:chunks:1:1").await.unwrap(), b"a");
    assert_eq!(fake.connections(), 1);
}

#[tokio::test]
async fn one_question_at_a_time_per_worker() {
    let (fake, workers) = pool(1);
    let stepping = order("do:steps:2:1", 5_000, 5_000);
    let own = turn().await;
    let first = workers.run(&stepping, Effort::Scan, &own);
    let second = run(&workers, "do:chunks:1:1");
    tokio::pin!(first, second);
    assert!(tokio::time::timeout(Duration::from_millis(20), &mut first).await.is_err());
    assert!(tokio::time::timeout(Duration::from_millis(20), &mut second).await.is_err());
    assert_eq!(fake.orders().len(), 1);
    fake.step(2);
    assert_eq!(collect(first.await.unwrap()).await.unwrap(), b"ab");
    assert_eq!(second.await.unwrap(), b"a");
}

#[tokio::test]
async fn without_workers_questions_are_told_to_come_back() {
    let limits = QueryLimits { workers: 1, spare_workers: 0, queue_wait_ms: 20, ..QueryLimits::default() };
    let nobody = crate::workers::Launcher::Connect(std::sync::Arc::new(|| Box::pin(async { Err("nobody".into()) })));
    let workers = Workers::start(nobody, &limits);
    let problem = run(&workers, "do:chunks:1:1").await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Unavailable);
    assert!(problem.retry_after_s.is_some());
    assert!(!workers.wait_ready(Duration::from_millis(1)).await);
}

#[tokio::test]
async fn flight_answers_begin_with_their_schema() {
    let (_, workers) = pool(1);
    let mut order = order("do:chunks:1:4", 5_000, 5_000);
    order.output.kind.format = Format::Flight;
    let mut answer = workers.run(&order, Effort::Scan, &turn().await).await.unwrap();
    assert_eq!(answer.schema.fields().len(), 1);
    let AnswerChunk::Message(schema) = answer.feed.next().await.unwrap() else { panic!("no schema") };
    assert!(schema.app_metadata.is_empty() && !schema.data_header.is_empty());
    assert!(matches!(answer.feed.next().await, Ok(AnswerChunk::Message(message)) if message.data_body == "aaaa"));
    assert!(matches!(answer.feed.next().await, Ok(AnswerChunk::Tail(tail)) if tail.rows == 1));
}
