//! Delta commits: one version a release, one winner of a race, the same answer to the same question.

use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, TimeUnit};
use portico_store::{DeltaCommit, StoreError};

use crate::sample::{NOW, commit, released};
use crate::{Backend, backends};

fn file(name: &str) -> portico_model::manifest::ReleasedFile {
    released(&format!("ROOT/{name}.parquet"), name.as_bytes())
}

#[tokio::test]
async fn a_release_replaces_the_files_of_the_one_before() {
    for Backend { name, storage, .. } in backends().await {
        assert_eq!(storage.delta_version("ROOT").await.unwrap(), None, "{name}");
        assert!(matches!(storage.delta_files("ROOT", None).await, Err(StoreError::NotFound { .. })));
        assert_eq!(storage.commit_version("ROOT", &commit("r1", vec![file("a"), file("b")])).await.unwrap(), 0);
        assert_eq!(storage.commit_version("ROOT", &commit("r2", vec![file("c")])).await.unwrap(), 1, "{name}");
        assert_eq!(storage.commit_version("ROOT", &commit("r3", vec![file("c"), file("d")])).await.unwrap(), 2);
        for (version, expected) in [(Some(0), vec!["a", "b"]), (Some(1), vec!["c"]), (None, vec!["c", "d"])] {
            let files = storage.delta_files("ROOT", version).await.unwrap();
            let paths: Vec<_> = files.iter().map(|file| file.path.clone()).collect();
            let expected: Vec<_> = expected.iter().map(|name| format!("ROOT/{name}.parquet")).collect();
            assert_eq!(paths, expected, "{name} {version:?}");
        }
        assert!(storage.delta_files("ROOT", Some(3)).await.is_err(), "{name}");
        assert_eq!(storage.delta_version("ROOT").await.unwrap(), Some(2));
        assert_eq!(storage.list_released().await.unwrap(), [], "{name}: the log is no data file");
    }
}

#[tokio::test]
async fn a_retry_finds_its_own_commit() {
    for Backend { name, storage, .. } in backends().await {
        let (one, two) = (commit("r1", vec![file("a")]), commit("r2", vec![file("b")]));
        assert_eq!(storage.commit_version("ROOT", &one).await.unwrap(), 0);
        assert_eq!(storage.commit_version("ROOT", &one).await.unwrap(), 0, "{name}");
        assert_eq!(storage.commit_version("ROOT", &two).await.unwrap(), 1);
        assert_eq!(storage.commit_version("ROOT", &one).await.unwrap(), 0, "{name}");
        assert_eq!(storage.delta_version("ROOT").await.unwrap(), Some(1), "{name}");
    }
}

#[tokio::test]
async fn statistics_are_those_of_the_manifest() {
    for Backend { storage, .. } in backends().await {
        storage.commit_version("ROOT", &commit("r1", vec![file("a")])).await.unwrap();
        let files = storage.delta_files("ROOT", None).await.unwrap();
        let statistics: serde_json::Value = serde_json::from_str(files[0].statistics.as_deref().unwrap()).unwrap();
        assert_eq!(statistics["numRecords"], 10);
        assert_eq!(statistics["minValues"], serde_json::json!({ "id": 1, "kind": "ash" }));
        assert_eq!(statistics["maxValues"], serde_json::json!({ "id": 10, "kind": "yew" }));
        assert_eq!(statistics["nullCount"], serde_json::json!({ "id": 0, "kind": 0 }));
    }
}

#[tokio::test]
async fn a_later_version_may_have_another_schema() {
    for Backend { name, storage, .. } in backends().await {
        storage.commit_version("ROOT", &commit("r1", vec![file("a")])).await.unwrap();
        let types = [
            DataType::Timestamp(TimeUnit::Microsecond, None),
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            DataType::Time64(TimeUnit::Microsecond),
            DataType::Decimal128(38, 10),
            DataType::Date32,
            DataType::Boolean,
            DataType::Binary,
            DataType::UInt64,
        ];
        let fields: Vec<_> =
            types.iter().enumerate().map(|(index, one)| Field::new(format!("c{index}"), one.clone(), true)).collect();
        let mut wide = file("b");
        wide.columns = vec![Default::default(); types.len()];
        let second =
            DeltaCommit { txn: "r2".into(), schema: Arc::new(Schema::new(fields)), files: vec![wide], now_ms: NOW };
        assert_eq!(storage.commit_version("ROOT", &second).await.unwrap(), 1, "{name}");
        assert_eq!(storage.commit_version("ROOT", &commit("r3", vec![file("a2")])).await.unwrap(), 2, "{name}");
        assert_eq!(storage.delta_files("ROOT", Some(1)).await.unwrap()[0].path, "ROOT/b.parquet");
    }
}

#[tokio::test]
async fn files_of_another_dataset_are_refused() {
    for Backend { storage, .. } in backends().await {
        for path in ["OTHER/a.parquet", "ROOTS/a.parquet", "a.parquet"] {
            let refused = storage.commit_version("ROOT", &commit("r1", vec![released(path, b"a")])).await;
            assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{path}");
        }
        assert_eq!(storage.delta_version("ROOT").await.unwrap(), None);
    }
}

/// Commits of each writer, if somebody asks for more than there is time for every day: `PORTICO_RACE_ROUNDS`.
#[allow(clippy::disallowed_methods, reason = "a test asks how long it may take")]
fn rounds(usual: i64) -> i64 {
    std::env::var("PORTICO_RACE_ROUNDS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_racing_writers_make_contiguous_versions() {
    for Backend { name, storage, .. } in backends().await {
        // The directory has the long race; it is the same elsewhere, and a Python server takes its time.
        let rounds = rounds(if name == "disk" { 4 } else { 1 });
        let mut writers = tokio::task::JoinSet::new();
        for writer in 0..8 {
            let storage = storage.clone();
            writers.spawn(async move {
                let mut won = Vec::new();
                let mut lost = 0;
                for round in 0..rounds {
                    let id = format!("w{writer}-{round}");
                    let wanted = commit(&id, vec![file(&id)]);
                    won.push(loop {
                        match storage.commit_version("ROOT", &wanted).await {
                            Ok(version) => break (version, id),
                            Err(StoreError::Conflict { .. }) => lost += 1,
                            Err(error) => panic!("{error:?}"),
                        }
                    });
                }
                (won, lost)
            });
        }
        let mut won = Vec::new();
        let mut lost = 0;
        for (versions, conflicts) in writers.join_all().await {
            won.extend(versions);
            lost += conflicts;
        }
        won.sort();
        let versions: Vec<_> = won.iter().map(|(version, _)| *version).collect();
        assert_eq!(versions, (0..8 * rounds).collect::<Vec<i64>>(), "{name}");
        for (version, id) in [won.first().unwrap(), won.last().unwrap()] {
            let files = storage.delta_files("ROOT", Some(*version)).await.unwrap();
            assert_eq!(files.iter().map(|one| one.path.clone()).collect::<Vec<_>>(), [format!("ROOT/{id}.parquet")]);
        }
        eprintln!("{name}: {} commits, {lost} conflicts", won.len());
    }
}

#[tokio::test]
async fn the_commit_path_writes_no_checkpoints() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    let storage = portico_store::Storage::open(&url, &crate::sample::no_options()).unwrap();
    for version in 0..25 {
        let id = format!("r{version}");
        storage.commit_version("ROOT", &commit(&id, vec![file(&id)])).await.unwrap();
    }
    let log = std::fs::read_dir(directory.path().join("released/ROOT/_delta_log")).unwrap();
    let names: Vec<_> = log.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.len(), 25);
    assert!(names.iter().all(|name| name.ends_with(".json")), "{names:?}");
}

/// A directory, and the table that is made in it.
fn on_disk() -> (tempfile::TempDir, portico_store::Storage, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("file://{}", directory.path().display());
    let storage = portico_store::Storage::open(&url, &crate::sample::no_options()).unwrap();
    let table = directory.path().join("released/ROOT");
    (directory, storage, table)
}

/// What another program does with a table that it may write to: a checkpoint, and its housekeeping if the table allows it.
/// All entries are two months old.
async fn checkpoint(table: &std::path::Path, version: u64) {
    use deltalake_core::protocol::checkpoints::create_checkpoint_from_table_url_and_cleanup;
    for entry in std::fs::read_dir(table.join("_delta_log")).unwrap() {
        let entry = std::fs::File::options().write(true).open(entry.unwrap().path()).unwrap();
        let modified = entry.metadata().unwrap().modified().unwrap();
        entry.set_modified(modified - std::time::Duration::from_secs(60 * 24 * 60 * 60)).unwrap();
    }
    let url = url::Url::from_directory_path(table).unwrap();
    create_checkpoint_from_table_url_and_cleanup(url, version, None, None).await.unwrap();
    assert!(table.join(format!("_delta_log/{version:020}.checkpoint.parquet")).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn old_entries_outlive_the_checkpoints_of_other_programs() {
    let (_directory, storage, table) = on_disk();
    for id in ["r0", "r1", "r2"] {
        storage.commit_version("ROOT", &commit(id, vec![file(id)])).await.unwrap();
    }
    checkpoint(&table, 1).await;
    assert_eq!(storage.commit_version("ROOT", &commit("r3", vec![file("r3")])).await.unwrap(), 3);
    for number in 0..4 {
        assert!(table.join(format!("_delta_log/{number:020}.json")).exists(), "{number}");
        let files = storage.delta_files("ROOT", Some(number)).await.unwrap();
        assert_eq!(files[0].path, format!("ROOT/r{number}.parquet"));
    }
}
