//! Workers as the server starts them: this program's own processes, confined.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use portico_model::format::{Compression, FileKind, Format};
use portico_model::limits::QueryLimits;
use portico_model::order::{
    Envelope, FileAccess, MeasureState, OrderTable, Output, OutputOptions, Work, WorkLimits, WorkOrder,
};
use portico_model::problem::Problem;
use portico_query::AnswerChunk;
use portico_query::queue::Queue;
use portico_query::workers::{Effort, Launcher, Workers};

use crate::world::World;

async fn workers(scratch: &Path, released: PathBuf) -> Workers {
    let limits = QueryLimits { workers: 1, spare_workers: 0, ..QueryLimits::default() };
    let program = PathBuf::from(env!("CARGO_BIN_EXE_portico"));
    let launcher =
        Launcher::Process { program, scratch: scratch.to_owned(), released: Some(released), log_level: None };
    let workers = Workers::start(launcher, &limits);
    assert!(workers.wait_ready(Duration::from_secs(60)).await);
    workers
}

async fn order(world: &World, sql: &str, access: impl Fn(FileAccess) -> FileAccess) -> WorkOrder {
    let version = world.publish("street-trees", "trees.csv", b"tree_id,species\n1,Oak\n2,Ash\n").await;
    let record = world.store.catalog.version(&version.dataset, version.version).await.unwrap().unwrap();
    let mut files = Vec::new();
    for file in &record.manifest.files {
        files.push(access(world.store.storage.access(file).await.unwrap()));
    }
    let manifest = record.manifest.as_ref().clone();
    WorkOrder {
        question_id: "q".to_owned(),
        work: Work::Answer,
        sql: sql.to_owned(),
        tables: vec![OrderTable { name: "trees".to_owned(), manifest, access: files, part: None }],
        virtual_tables: Vec::new(),
        parameters: Default::default(),
        stored_order: false,
        output: Output {
            kind: FileKind { format: Format::Csv, compression: Compression::None },
            options: OutputOptions::default(),
            envelope: Envelope::default(),
        },
        limits: WorkLimits {
            first_byte_ms: 60_000,
            total_ms: 60_000,
            memory_bytes: 256 << 20,
            spill_bytes: 1 << 30,
            answer_bytes: 1 << 30,
            answer_rows: u64::MAX,
            row_bytes: 1 << 24,
        },
    }
}

async fn run(workers: &Workers, order: &WorkOrder) -> Result<String, Problem> {
    let turn = Arc::new(Queue::new(&QueryLimits::default(), 1).enter("a").await?);
    let mut answer = workers.run(order, Effort::Scan, &turn).await?;
    let mut text = Vec::new();
    loop {
        match answer.feed.next().await? {
            AnswerChunk::Bytes(bytes) => text.extend_from_slice(&bytes),
            AnswerChunk::Message(_) => panic!("CSV has no messages"),
            AnswerChunk::Tail(_) => return Ok(String::from_utf8(text).unwrap()),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confined_worker_answers_and_says_what_confines_it() {
    let world = World::new().await;
    let scratch = tempfile::tempdir().unwrap();
    let released = world.store.storage.released_directory().unwrap();
    let workers = workers(scratch.path(), released).await;
    let order = order(&world, "select species, count(*) from trees group by 1 order by 1", |file| file).await;
    assert!(run(&workers, &order).await.unwrap().ends_with("\nAsh,1\nOak,1\n"));
    assert!(workers.measures().len() > 5, "{:?}", workers.measures());
    let held =
        |word: &str| workers.measures().iter().any(|one| one.what.contains(word) && one.state == MeasureState::InForce);
    for (line, measure) in [("NoNewPrivs:\t1", "privileges"), ("Seccomp:\t2", "system calls")] {
        for status in statuses(scratch.path()) {
            assert_eq!(status.lines().any(|found| found == line), held(measure), "{line}\n{status}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_outside_the_released_ones_cannot_be_read_even_if_an_order_names_it() {
    let world = World::new().await;
    let (scratch, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let released = world.store.storage.released_directory().unwrap();
    let workers = workers(scratch.path(), released).await;
    // The very bytes that the manifest names, so that nothing but the place is wrong.
    let moved = |file| {
        let FileAccess::Path(path) = file else { panic!("a local file") };
        let copy = outside.path().join("copy");
        std::fs::copy(path, &copy).unwrap();
        FileAccess::Path(copy.display().to_string())
    };
    let order = order(&world, "select * from trees", moved).await;
    let outcome = run(&workers, &order).await;
    if workers.measures().iter().any(|one| one.what.starts_with("files") && one.state == MeasureState::InForce) {
        outcome.unwrap_err();
    } else {
        println!("skipped: this kernel does not confine files");
    }
}

/// `/proc/<pid>/task/*/status` of the worker whose scratch directory lies in `scratch`.
fn statuses(scratch: &Path) -> Vec<String> {
    let mark = scratch.display().to_string();
    let mut processes = std::fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let is_worker = |path: &PathBuf| {
        std::fs::read_to_string(path.join("cmdline")).is_ok_and(|line| line.contains("worker") && line.contains(&mark))
    };
    let worker = processes.find(is_worker).unwrap();
    let tasks = std::fs::read_dir(worker.join("task")).unwrap().flatten();
    let found: Vec<_> = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("status")).ok()).collect();
    assert!(found.len() > 2, "a worker has threads");
    found
}
