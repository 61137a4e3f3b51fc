//! The pool with real processes: this very test program, started as a worker through a small script.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use portico_model::limits::QueryLimits;
use portico_model::problem::{Problem, ProblemKind};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;

use super::fake::Fake;
use super::workers::{collect, order, turn};
use crate::queue::Queue;
use crate::workers::{Effort, Launcher, Workers};

const SOCKET: &str = "PORTICO_TEST_SOCKET";

/// Wall time of a question that another limit is to end, however busy the machine is.
const PATIENCE_MS: u64 = 60_000;

/// What the started process runs; without the variable it is a test that has nothing to do.
#[test]
fn serve_as_a_worker() {
    #[allow(clippy::disallowed_methods, reason = "the script below tells this process what it is by the environment")]
    let Ok(socket) = std::env::var(SOCKET) else { return };
    std::thread::spawn(|| {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = UnixListenerStream::new(UnixListener::bind(socket).unwrap());
        let service = FlightServiceServer::new(Fake::default());
        Server::builder().add_service(service).serve_with_incoming(listener).await.unwrap();
    });
}

struct Site {
    scratch: tempfile::TempDir,
    workers: Workers,
}

fn start(count: u64, change: impl FnOnce(&mut QueryLimits)) -> Site {
    let scratch = tempfile::tempdir().unwrap();
    let program = scratch.path().join("program");
    let test = std::env::current_exe().unwrap();
    let script = format!(
        "#!/bin/sh\n[ \"$1 $2 $4\" = 'worker --socket --scratch' ] || exit 9\n{SOCKET}=\"$3\" exec '{}' --exact \
         tests::processes::serve_as_a_worker --nocapture\n",
        test.display()
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut limits =
        QueryLimits { workers: count, spare_workers: 0, queue_wait_ms: PATIENCE_MS, ..QueryLimits::default() };
    change(&mut limits);
    let launcher =
        Launcher::Process { program, scratch: scratch.path().join("workers"), released: None, log_level: None };
    Site { workers: Workers::start(launcher, &limits), scratch }
}

/// Who answered, and at which priority, as the system tells it.
#[cfg(target_os = "linux")]
async fn asked(workers: &Workers, heavy: bool) -> (u32, i32) {
    let queue = Queue::new(&QueryLimits::default(), 1);
    let turn = if heavy { queue.enter_again("a", None).await } else { queue.enter("a").await };
    let answer = workers.run(&order("do:pid", PATIENCE_MS, PATIENCE_MS), Effort::Scan, &Arc::new(turn.unwrap())).await;
    let pid = String::from_utf8(collect(answer.unwrap()).await.unwrap()).unwrap();
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let nice = stat.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap();
    (pid.parse().unwrap(), nice.parse().unwrap())
}

async fn run(workers: &Workers, sql: &str, effort: Effort) -> Result<Vec<u8>, Problem> {
    collect(workers.run(&order(sql, PATIENCE_MS, PATIENCE_MS), effort, &turn().await).await?).await
}

async fn pid(workers: &Workers) -> u32 {
    String::from_utf8(run(workers, "do:pid", Effort::Scan).await.unwrap()).unwrap().parse().unwrap()
}

fn kill(pid: u32) {
    assert!(std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

#[tokio::test]
async fn a_process_answers_again_and_again() {
    let site = start(1, |_| ());
    let first = pid(&site.workers).await;
    assert_eq!(run(&site.workers, "do:chunks:2:3", Effort::Scan).await.unwrap(), b"aaabbb");
    assert_eq!(pid(&site.workers).await, first);
    // Its scratch directory is there while it lives and gone when it is gone.
    let dirs = || std::fs::read_dir(site.scratch.path().join("workers")).unwrap().count();
    assert_eq!(dirs(), 1);
    site.workers.stop();
    wait_until(|| dirs() == 0).await;
}

/// Waits for what must come, for as long as a busy machine may take.
async fn wait_until(come: impl Fn() -> bool) {
    let waited = std::time::Instant::now();
    while !come() {
        assert!(waited.elapsed() < Duration::from_millis(PATIENCE_MS), "it does not come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The question ends with the problem, and its worker with it.
async fn check_overstepping(site: &Site, sql: &str, effort: Effort, expect: ProblemKind) {
    let before = pid(&site.workers).await;
    let problem = run(&site.workers, sql, effort).await.unwrap_err();
    assert_eq!(problem.kind, expect, "{sql}: {problem}");
    assert_ne!(pid(&site.workers).await, before, "{sql}");
}

#[tokio::test]
async fn what_oversteps_is_killed_and_told_why() {
    // No limit on processor time here: first touching memory takes a lot of it on some machines, and so may dying.
    let site = start(1, |limits| {
        limits.worker_memory_bytes = 64 << 20;
        limits.pool_memory_bytes = 1 << 20;
        limits.cpu_ms = PATIENCE_MS;
    });
    for (sql, expect) in [
        ("do:eat:200", ProblemKind::QueryMemory),
        ("do:abort", ProblemKind::QueryMemory),
        ("do:allocate", ProblemKind::QueryMemory),
        ("do:overflow", ProblemKind::QueryTooComplex),
    ] {
        check_overstepping(&site, sql, Effort::Scan, expect).await;
    }
}

#[tokio::test]
async fn what_computes_for_too_long_is_killed_and_told_why() {
    // Enough for the questions between, which an unoptimised worker answers, and little at a low priority.
    let site = start(1, |limits| limits.cpu_ms = 300);
    for effort in [Effort::Work, Effort::Scan] {
        check_overstepping(&site, "do:burn", effort, ProblemKind::QueryTimeout).await;
    }
}

#[tokio::test]
async fn a_statement_that_ends_worker_after_worker_is_refused() {
    let site = start(1, |_| ());
    for _ in 0..2 {
        check_overstepping(&site, "do:abort", Effort::Work, ProblemKind::QueryMemory).await;
    }
    let alive = pid(&site.workers).await;
    let refused = run(&site.workers, "do:abort", Effort::Work).await.unwrap_err();
    assert_eq!(refused.kind, ProblemKind::QueryMemory);
    assert!(refused.detail.contains("2 times"), "{refused}");
    assert_eq!(pid(&site.workers).await, alive);
}

#[tokio::test]
async fn a_statement_whose_workers_are_killed_is_tried_twice_and_no_more() {
    let site = start(1, |_| ());
    for _ in 0..2 {
        // Killed by something that leaves no trace, as the kernel does when memory runs out.
        let problem = run(&site.workers, "do:killed", Effort::Work).await.unwrap_err();
        assert_eq!(problem.kind, ProblemKind::Unavailable, "{problem}");
    }
    let problem = run(&site.workers, "do:killed", Effort::Work).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::QueryMemory, "{problem}");
}

#[tokio::test]
async fn a_panic_ends_the_question_and_not_the_worker() {
    let site = start(1, |_| ());
    let before = pid(&site.workers).await;
    let problem = run(&site.workers, "do:panic", Effort::Work).await.unwrap_err();
    assert_eq!(problem.kind, ProblemKind::Internal, "{problem}");
    assert_eq!(pid(&site.workers).await, before);
}

#[tokio::test]
async fn a_worker_killed_from_outside_costs_nobody_an_answer() {
    let site = start(2, |_| ());
    // It hangs for long enough to be killed in the middle.
    let (workers, hanging) = (&site.workers, order("do:hang", 3_000, 3_000));
    let victim = pid(workers).await;
    // The worker used last is used next: the hanging question has the victim.
    let own = turn().await;
    let (outcome, ()) = tokio::join!(workers.run(&hanging, Effort::Scan, &own), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        kill(victim);
        assert_eq!(run(workers, "do:chunks:1:2", Effort::Scan).await.unwrap(), b"aa");
    });
    // It was tried again on another worker, where it hung as before.
    assert_eq!(outcome.err().unwrap().kind, ProblemKind::QueryTimeout);
    // One that dies while idle is replaced as well.
    let idle = pid(workers).await;
    kill(idle);
    for _ in 0..5 {
        assert_ne!(pid(workers).await, idle);
    }
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn heavy_questions_keep_to_workers_of_a_low_priority() {
    let usual = rustix::process::getpriority_process(None).unwrap();
    let low = usual.max(15);
    // One of the three may stay at a low priority.
    let site = start(2, |limits| limits.spare_workers = 1);
    let workers = &site.workers;
    while workers.ready() < 3 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (first, priority) = asked(workers, true).await;
    assert_eq!(priority, low);
    let (quick, priority) = asked(workers, false).await;
    assert_eq!((quick == first, priority), (false, usual));
    assert_eq!(asked(workers, true).await, (first, low), "it is used again");
    kill(first);
    wait_until(|| workers.ready() == 2).await;
    wait_until(|| workers.ready() == 3).await;
    // The next one was lowered before it had a question: another heavy one finds it, and the others are as they were.
    let (second, priority) = asked(workers, true).await;
    assert_eq!((second == first || second == quick, priority), (false, low));
    for _ in 0..3 {
        assert_eq!(asked(workers, false).await, (quick, usual));
    }
}

#[tokio::test]
#[cfg(target_os = "linux")]
async fn no_more_workers_than_meant_stay_at_a_low_priority() {
    let site = start(2, |_| ());
    let usual = rustix::process::getpriority_process(None).unwrap();
    for _ in 0..3 {
        asked(&site.workers, true).await;
        wait_until(|| site.workers.ready() == 2).await;
        assert_eq!(asked(&site.workers, false).await.1, usual);
    }
}

#[tokio::test]
async fn a_question_that_goes_on_after_it_was_given_up_is_killed() {
    let site = start(1, |_| ());
    let before = pid(&site.workers).await;
    // Its first bytes say that it has begun to burn.
    let burning = order("do:begin-burn", PATIENCE_MS, PATIENCE_MS);
    drop(site.workers.run(&burning, Effort::Scan, &turn().await).await.unwrap());
    assert_ne!(pid(&site.workers).await, before);
}

#[tokio::test]
async fn workers_end_with_their_server() {
    let site = start(1, |_| ());
    let pid = pid(&site.workers).await;
    let process = PathBuf::from(format!("/proc/{pid}"));
    assert!(process.exists());
    drop(site);
    wait_until(|| !process.exists()).await;
}
