//! Files are read in a process of their own, the real one: what it may use, and what is left when it ends.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use portico_model::finding::Finding;
use portico_model::limits::{IntakeLimits, Limits};
use portico_model::problem::ProblemKind;
use portico_model::revision::RevisionState;
use portico_publish::{Progress, PublishError, Publisher};

use crate::world::{NOW_MS, World};

fn limited(change: impl FnOnce(&mut IntakeLimits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits.intake);
    limits
}

/// A table that takes a while.
fn long_table(rows: u32) -> Vec<u8> {
    let mut text = String::from("id,name,amount\n");
    for row in 0..rows {
        text.push_str(&format!("{row},name {row},{row}.25\n"));
    }
    text.into_bytes()
}

async fn refusal(limits: Limits, bytes: &[u8]) -> (World, String, PublishError) {
    let world = World::with(limits).await;
    let staged = world.stage("long", "long.csv", bytes, "").await;
    let error = world.publisher.screen(&world.operator, &staged.id, NOW_MS, |_| {}).await.unwrap_err();
    (world, staged.id, error)
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_out_of_memory_is_a_refusal_and_the_revision_may_be_screened_again() {
    let (world, id, error) =
        refusal(limited(|intake| intake.reader_memory_bytes = 1 << 20), &long_table(150_000)).await;
    assert!(error.to_string().contains("reader_memory_bytes = 1048576"), "{error}");
    assert_eq!(error.kind(), ProblemKind::TooLarge);
    assert!(is_empty(&world.intake()));
    let revision = world.publisher.revision(&world.operator, &id, NOW_MS).await.unwrap();
    assert_eq!(revision.state, RevisionState::Staged);

    let program = env!("CARGO_BIN_EXE_portico").into();
    let generous = Publisher::new(world.store.clone(), IntakeLimits::default(), program, world.intake());
    let screened = generous.screen(&world.operator, &id, NOW_MS, |_| {}).await.unwrap();
    assert_eq!(screened.state, RevisionState::Screened);
    assert_eq!(screened.profile.unwrap().rows, 150_000);
    assert!(is_empty(&world.intake()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_out_of_time_is_a_refusal() {
    let (world, _, error) = refusal(limited(|intake| intake.reader_wall_ms = 1), b"a\n1\n").await;
    assert!(error.to_string().contains("reader_wall_ms = 1"), "{error}");
    assert!(is_empty(&world.intake()));
    let few = limited(|intake| {
        intake.reader_cpu_ms = 1;
        intake.reader_cpu_ms_per_mib = 1;
    });
    let (world, _, error) = refusal(few, &long_table(800_000)).await;
    assert!(error.to_string().contains("of processor time than the limit reader_cpu_ms"), "{error}");
    assert!(is_empty(&world.intake()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_is_not_there_is_our_fault_and_not_the_files() {
    let world = World::new().await;
    let staged = world.stage("t", "t.csv", b"a\n1\n", "").await;
    let missing =
        Publisher::new(world.store.clone(), IntakeLimits::default(), "/nowhere/portico".into(), world.intake());
    let error = missing.screen(&world.operator, &staged.id, NOW_MS, |_| {}).await.unwrap_err();
    assert_eq!(error.kind(), ProblemKind::Internal);
}

#[tokio::test(flavor = "multi_thread")]
async fn progress_reaches_whoever_waits() {
    let world = World::new().await;
    let staged = world.stage("long", "long.csv", &long_table(150_000), "").await;
    let (sender, receiver) = std::sync::mpsc::channel();
    let report = move |progress| sender.send(progress).unwrap();
    world.publisher.screen(&world.operator, &staged.id, NOW_MS, report).await.unwrap();
    let seen: Vec<Progress> = receiver.into_iter().collect();
    assert!(seen.iter().any(|progress| matches!(progress, Progress::Writing(_, 150_000))), "{seen:?}");
}

fn parquet(name: &str, column: ArrayRef, properties: Option<WriterProperties>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter([(name, column)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), properties).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_float_column_with_infinities_is_released() {
    let world = World::new().await;
    let values = Float64Array::from(vec![1.5, f64::INFINITY, f64::NEG_INFINITY]);
    world.publish("floats", "floats.parquet", &parquet("x", Arc::new(values), None)).await;
    assert_eq!(world.rows("select count(*) from floats where x > 1e300").await, "1\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_file_says_of_itself_is_not_published() {
    let pair = |key: &str| KeyValue::new(key.to_owned(), "{\"columns\":{\"canary-7351\":{}}}".to_owned());
    let said = WriterProperties::builder()
        .set_key_value_metadata(Some(["pandas", "geo", "org.apache.spark", "canary-7351"].map(pair).to_vec()))
        .set_created_by("canary-7351".to_owned());
    let file = parquet("street", Arc::new(StringArray::from(vec!["Elm", "Oak"])), Some(said.build()));
    let holds = |bytes: &[u8]| bytes.windows(11).any(|window| window == b"canary-7351");
    assert!(holds(&file));
    let world = World::new().await;
    world.publish("streets", "streets.parquet", &file).await;
    for path in
        ["/datasets/streets.parquet", "/datasets/streets.arrow", "/datasets/streets.csv", "/api/datasets/streets"]
    {
        let reply = world.get(path).await;
        assert_eq!(reply.status, http::StatusCode::OK, "{path}");
        assert!(!holds(&reply.body), "{path}");
    }
}

#[allow(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "hostile files are made byte by byte, from small numbers"
)]
#[path = "../crates/intake/tests/hostile/samples.rs"]
mod samples;

/// The most that any reader has used: memory of its own, and all that is resident.
struct Peak {
    stop: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<(u64, u64)>,
}

impl Peak {
    fn watch() -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut peak = (0, 0);
            while !stopped.load(Ordering::Relaxed) {
                for status in readers() {
                    let field = |name: &str| {
                        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
                        line.split_whitespace().nth(1)?.parse::<u64>().ok()
                    };
                    peak = (peak.0.max(field("RssAnon").unwrap_or(0)), peak.1.max(field("VmHWM").unwrap_or(0)));
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            peak
        });
        Self { stop, thread }
    }

    fn mib(self) -> (u64, u64) {
        self.stop.store(true, Ordering::Relaxed);
        let (own, resident) = self.thread.join().unwrap();
        (own / 1024, resident / 1024)
    }
}

/// `/proc/<pid>/status` of the readers that this process has started.
fn readers() -> Vec<String> {
    let read = |path: PathBuf| std::fs::read_to_string(path).unwrap_or_default();
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let children = tasks.map(|task| read(task.path().join("children"))).collect::<Vec<_>>().join(" ");
    let each = children.split_whitespace().map(|pid| Path::new("/proc").join(pid));
    each.filter(|process| read(process.join("cmdline")).contains("reader"))
        .map(|process| read(process.join("status")))
        .collect()
}

/// Whether all that there is is to be tried, however long it takes: `PORTICO_HOSTILE=full`.
#[allow(clippy::disallowed_methods, reason = "a test is told by its environment how long it may take")]
fn is_full() -> bool {
    std::env::var("PORTICO_HOSTILE").is_ok_and(|value| value == "full")
}

/// Every hostile file through the jail. `PORTICO_HOSTILE=full` makes them of the sizes that the default limits are for,
/// and prints what each took; otherwise limits and files are small, and every other one is taken.
#[tokio::test(flavor = "multi_thread")]
async fn every_hostile_file_is_refused_or_told_and_nothing_is_left() {
    let full = is_full();
    let limits = if full {
        Limits::default()
    } else {
        limited(|intake| {
            intake.cell_bytes = 256 << 10;
            intake.row_bytes = 4 << 20;
            intake.footer_bytes = 256 << 10;
            intake.memory_bytes = 32 << 20;
        })
    };
    let world = World::with(limits.clone()).await;
    let (mut faults, mut slowest, mut largest) = (Vec::new(), Duration::ZERO, 0);
    // All of them are read without the jail by the tests of `intake`.
    for sample in samples::all(&limits.intake).into_iter().step_by(if full { 1 } else { 2 }) {
        let staged = world.stage("hostile", sample.file, &sample.bytes, "").await;
        let peak = full.then(Peak::watch);
        let started = Instant::now();
        let outcome = world.publisher.screen(&world.operator, &staged.id, NOW_MS, |_| {}).await;
        let took = started.elapsed();
        let (own, resident) = peak.map_or((0, 0), Peak::mib);
        (slowest, largest) = (slowest.max(took), largest.max(own));
        let rules = |findings: &[Finding]| findings.iter().map(|finding| finding.rule.clone()).collect::<Vec<_>>();
        let seen = match &outcome {
            Ok(revision) => format!("{} {:?}", revision.state.as_str(), rules(&revision.findings)),
            Err(error) => format!("refused: {error}"),
        };
        if full {
            let (name, size, ms) = (sample.name, sample.bytes.len(), took.as_millis());
            println!("{name:45} {size:>10} B {ms:>6} ms {own:>5} MiB own {resident:>5} MiB resident  {seen}");
        }
        let fits = match (sample.expect, &outcome) {
            (samples::Expect::Refused(words), Err(error)) => {
                error.to_string().contains(words) && error.kind() != ProblemKind::Internal
            }
            (samples::Expect::Finding(rule), Ok(revision)) => rules(&revision.findings).iter().any(|seen| seen == rule),
            (samples::Expect::Blocked(rule), Ok(revision)) => {
                revision.state == RevisionState::Blocked && rules(&revision.findings).iter().any(|seen| seen == rule)
            }
            (samples::Expect::Rows(rows), Ok(revision)) => revision.profile.as_ref().unwrap().rows == rows,
            _ => false,
        };
        if !fits || !is_empty(&world.intake()) {
            faults.push(format!("{}: {:?}, but {seen}", sample.name, sample.expect));
        }
    }
    println!("slowest {slowest:?}, largest {largest} MiB");
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// The files of the corpus, real ones and broken ones: each is read, or refused for a reason that is not ours. Every
/// eighth of them, or all with `PORTICO_HOSTILE=full`.
#[tokio::test(flavor = "multi_thread")]
async fn every_edge_file_is_read_or_refused() {
    #[allow(clippy::disallowed_methods, reason = "a test is told by its environment where the corpus is")]
    let Ok(corpus) = std::env::var("PORTICO_CORPUS") else {
        println!("skipped: PORTICO_CORPUS is not set");
        return;
    };
    let unpacked = tempfile::tempdir().unwrap();
    for archive in std::fs::read_dir(Path::new(&corpus).join("edge")).unwrap() {
        let mut unpack = std::process::Command::new("tar");
        unpack.arg("-xzf").arg(archive.unwrap().path()).arg("-C").arg(unpacked.path());
        assert!(unpack.status().unwrap().success());
    }
    let mut open = vec![unpacked.path().to_owned(), Path::new(&corpus).join("geo")];
    let mut files = Vec::new();
    while let Some(path) = open.pop() {
        if path.is_dir() {
            open.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            files.push(path);
        }
    }
    files.sort();
    let world = World::new().await;
    let (mut read, mut refused) = (0, 0);
    // All of them are read without the jail by the tests of `intake`.
    for path in files.iter().step_by(if is_full() { 1 } else { 8 }) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let staged = world.stage("edge", name, &std::fs::read(path).unwrap(), "").await;
        match world.publisher.screen(&world.operator, &staged.id, NOW_MS, |_| {}).await {
            Ok(_) => read += 1,
            Err(error) => {
                assert!(error.kind() != ProblemKind::Internal && !error.to_string().is_empty(), "{name}: {error:?}");
                refused += 1;
            }
        }
        assert!(is_empty(&world.intake()), "{name}");
    }
    println!("{read} files are read, {refused} refused");
    assert!(read > 25 && refused > 5, "{read} read, {refused} refused");
}
