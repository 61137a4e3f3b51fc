//! The pool with real processes: this very test program, started as a worker through a small script.

use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use arrow_flight::flight_service_server::FlightServiceServer;
use portico_model::limits::QueryLimits;
use portico_model::problem::{Problem, ProblemKind};
use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;

use super::fake::Fake;
use super::workers::{collect, order};
use crate::workers::{Effort, Launcher, Workers};

const SOCKET: &str = "PORTICO_TEST_SOCKET";

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
    let mut limits = QueryLimits { workers: count, queue_wait_ms: 20_000, ..QueryLimits::default() };
    change(&mut limits);
    let launcher = Launcher::Process { program, scratch: scratch.path().join("workers"), log_level: None };
    Site { workers: Workers::start(launcher, &limits), scratch }
}

async fn run(workers: &Workers, sql: &str, effort: Effort) -> Result<Vec<u8>, Problem> {
    collect(workers.run(&order(sql, 10_000, 10_000), effort).await?).await
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
    for _ in 0..200 {
        if dirs() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the scratch directory is still there");
}

#[tokio::test]
async fn what_oversteps_is_killed_and_told_why() {
    let site = start(1, |limits| {
        limits.worker_memory_bytes = 64 << 20;
        limits.pool_memory_bytes = 1 << 20;
        limits.cpu_ms = 200;
    });
    for (sql, effort, expect) in [
        ("do:eat:200", Effort::Scan, ProblemKind::QueryMemory),
        ("do:burn", Effort::Work, ProblemKind::QueryTimeout),
        ("do:burn", Effort::Scan, ProblemKind::QueryTimeout),
        ("do:abort", Effort::Scan, ProblemKind::QueryMemory),
        ("do:allocate", Effort::Scan, ProblemKind::QueryMemory),
        ("do:overflow", Effort::Scan, ProblemKind::QueryTooComplex),
    ] {
        let before = pid(&site.workers).await;
        let problem = run(&site.workers, sql, effort).await.unwrap_err();
        assert_eq!(problem.kind, expect, "{sql}: {problem}");
        assert_ne!(pid(&site.workers).await, before, "{sql}");
    }
}

#[tokio::test]
async fn a_worker_killed_from_outside_costs_nobody_an_answer() {
    let site = start(2, |_| ());
    let (workers, hanging) = (&site.workers, order("do:hang", 700, 700));
    let victim = pid(workers).await;
    // The worker used last is used next: the hanging question has the victim.
    let (outcome, ()) = tokio::join!(workers.run(&hanging, Effort::Scan), async {
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
async fn a_question_that_goes_on_after_it_was_given_up_is_killed() {
    let site = start(1, |_| ());
    let before = pid(&site.workers).await;
    let burning = order("do:burn", 10_000, 10_000);
    let given_up = tokio::time::timeout(Duration::from_millis(50), site.workers.run(&burning, Effort::Work)).await;
    assert!(given_up.is_err());
    assert_ne!(pid(&site.workers).await, before);
}

#[tokio::test]
async fn workers_end_with_their_server() {
    let site = start(1, |_| ());
    let pid = pid(&site.workers).await;
    assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
    drop(site);
    for _ in 0..200 {
        if !std::path::Path::new(&format!("/proc/{pid}")).exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the worker is still there");
}
