//! Files are read in a process of their own, the real one: what it may use, and what is left when it ends.

use std::path::Path;

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

#[tokio::test(flavor = "multi_thread")]
async fn a_float_column_with_infinities_is_released() {
    let world = World::new().await;
    let values = arrow::array::Float64Array::from(vec![1.5, f64::INFINITY, f64::NEG_INFINITY]);
    let batch = arrow::array::RecordBatch::try_from_iter([("x", std::sync::Arc::new(values) as _)]).unwrap();
    let mut bytes = Vec::new();
    let mut writer = parquet::arrow::ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    world.publish("floats", "floats.parquet", &bytes).await;
    assert_eq!(world.rows("select count(*) from floats where x > 1e300").await, "1\n");
}
