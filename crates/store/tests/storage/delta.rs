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
        let second = DeltaCommit { schema: Arc::new(Schema::new(fields)), ..commit("r2", vec![wide]) };
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
                let (mut lost, mut known) = (0, None);
                for round in 0..rounds {
                    let id = format!("w{writer}-{round}");
                    let wanted = DeltaCommit { after: known, ..commit(&id, vec![file(&id)]) };
                    won.push(loop {
                        match storage.commit_version("ROOT", &wanted).await {
                            Ok(version) => break (version, id),
                            Err(StoreError::Conflict { .. }) => lost += 1,
                            Err(error) => panic!("{error:?}"),
                        }
                    });
                    // As a catalog would name it.
                    known = won.last().map(|(version, _)| *version);
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

/// The same, by somebody who knows of a version of the log.
fn after(version: i64, commit: DeltaCommit) -> DeltaCommit {
    DeltaCommit { after: Some(version), ..commit }
}

/// Changes every action of an entry in place; those that become null go.
fn change_entry(table: &std::path::Path, number: i64, change: impl Fn(&mut serde_json::Value)) {
    let entry = table.join(format!("_delta_log/{number:020}.json"));
    let mut text = String::new();
    for line in std::fs::read_to_string(&entry).unwrap().lines() {
        let mut action = serde_json::from_str(line).unwrap();
        change(&mut action);
        if !action.is_null() {
            text.push_str(&format!("{action}\n"));
        }
    }
    std::fs::write(&entry, text).unwrap();
}

/// Takes out of an entry what the table is, as entries were once.
fn without_table(action: &mut serde_json::Value) {
    if action.get("metaData").or(action.get("protocol")).is_some() {
        *action = serde_json::Value::Null;
    }
}

/// The files and columns of a version, as the library reads it.
async fn read(table: &std::path::Path, version: i64) -> (Vec<String>, Vec<String>) {
    let url = url::Url::from_directory_path(table).unwrap();
    let read = deltalake_core::open_table_with_version(url, u64::try_from(version).unwrap()).await.unwrap();
    let snapshot = read.snapshot().unwrap();
    let columns = snapshot.schema().fields().map(|field| field.name().clone()).collect();
    let mut files: Vec<_> =
        read.get_file_uris().unwrap().map(|uri| uri.rsplit('/').next().unwrap().to_owned()).collect();
    files.sort();
    (files, columns)
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

/// A commit of one file with columns of other names.
fn other_columns(txn: &str, file_name: &str, columns: [&str; 2]) -> DeltaCommit {
    let fields: Vec<_> = columns.into_iter().zip([DataType::Int64, DataType::Utf8]).collect();
    let fields: Vec<_> = fields.into_iter().map(|(name, data_type)| Field::new(name, data_type, true)).collect();
    DeltaCommit { schema: Arc::new(Schema::new(fields)), ..commit(txn, vec![file(file_name)]) }
}

#[tokio::test]
async fn a_known_version_of_the_log_changes_no_answer() {
    for Backend { name, storage, .. } in backends().await {
        for (number, id) in ["r0", "r1", "r2", "r3"].iter().enumerate() {
            let number = i64::try_from(number).unwrap();
            let wanted = after(number - 1, commit(id, vec![file(id)]));
            // The first one knows of a version that is none.
            assert_eq!(storage.commit_version("ROOT", &wanted).await.unwrap(), number, "{name}");
            for known in [Some(number - 1), Some(0).filter(|_| number > 0), Some(number + 5), None] {
                let again = DeltaCommit { after: known, ..wanted.clone() };
                assert_eq!(storage.commit_version("ROOT", &again).await.unwrap(), number, "{name}: {known:?}");
            }
            assert_eq!(storage.delta_version("ROOT").await.unwrap(), Some(number), "{name}");
        }
        for (number, id) in ["r0", "r1", "r2", "r3"].iter().enumerate() {
            let files = storage.delta_files("ROOT", Some(i64::try_from(number).unwrap())).await.unwrap();
            assert_eq!(files.iter().map(|file| &file.path).collect::<Vec<_>>(), [&format!("ROOT/{id}.parquet")]);
        }
        let two = storage.commit_version("ROOT", &after(3, commit("r4", vec![file("r3"), file("r4")]))).await.unwrap();
        assert_eq!((two, storage.delta_files("ROOT", None).await.unwrap().len()), (4, 2), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn entries_of_other_programs_and_of_earlier_releases_are_taken_into_account() {
    let (_directory, storage, table) = on_disk();
    storage.commit_version("ROOT", &commit("r0", vec![file("r0")])).await.unwrap();
    storage.commit_version("ROOT", &after(0, commit("r1", vec![file("r1")]))).await.unwrap();
    // As they were made once: what the table is stands in the first entry alone, and its housekeeping is not spoken of.
    change_entry(&table, 1, without_table);
    change_entry(&table, 0, |action| {
        if let Some(configuration) = action.pointer_mut("/metaData/configuration").and_then(|one| one.as_object_mut()) {
            configuration.remove("delta.enableExpiredLogCleanup").unwrap();
        }
    });
    storage.commit_version("ROOT", &after(1, commit("r2", vec![file("r2")]))).await.unwrap();
    assert_eq!(read(&table, 1).await, (texts(&["r1.parquet"]), texts(&["id", "kind"])));
    assert_eq!(read(&table, 2).await, (texts(&["r2.parquet"]), texts(&["id", "kind"])));
    // Another program adds a file.
    let add = serde_json::json!({ "path": "stray.parquet", "partitionValues": {}, "size": 9, "modificationTime": NOW, "dataChange": true });
    let info = serde_json::json!({ "timestamp": NOW, "operation": "WRITE", "engineInfo": "another" });
    let stray =
        serde_json::json!({ "add": add }).to_string() + "\n" + &serde_json::json!({ "commitInfo": info }).to_string();
    std::fs::write(table.join(format!("_delta_log/{:020}.json", 3)), stray).unwrap();
    assert_eq!(read(&table, 3).await.0, texts(&["r2.parquet", "stray.parquet"]));
    assert_eq!(storage.commit_version("ROOT", &after(2, commit("r4", vec![file("r4")]))).await.unwrap(), 4);
    assert_eq!(read(&table, 4).await.0, texts(&["r4.parquet"]));
    // And makes checkpoints, of a table that says by now that its entries stay.
    checkpoint(&table, 4).await;
    assert_eq!(storage.commit_version("ROOT", &after(4, commit("r5", vec![file("r5")]))).await.unwrap(), 5);
    for (number, name) in [(0, "r0"), (1, "r1"), (2, "r2"), (4, "r4"), (5, "r5")] {
        assert_eq!(read(&table, number).await.0, [format!("{name}.parquet")], "{number}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_goes_on_after_purges_and_every_version_keeps_its_columns() {
    for as_once in [false, true] {
        purged_one_after_another(as_once).await;
    }
}

/// `as_once`: where two versions have the same columns, only the first says so.
async fn purged_one_after_another(as_once: bool) {
    let (_directory, storage, table) = on_disk();
    let columns = [["a", "oldest"], ["a", "secret"], ["a", "secret"], ["a", "c"], ["a", "newest"]];
    for (number, columns) in (0..).zip(columns) {
        let wanted = other_columns(&format!("R{number}.{number}"), &format!("R{number}.0-x"), columns);
        assert_eq!(storage.commit_version("ROOT", &after(number - 1, wanted)).await.unwrap(), number);
    }
    if as_once {
        change_entry(&table, 2, without_table);
    }
    let purge = async |revision: &str| storage.redact_delta("ROOT", &[revision.to_owned()]).await.unwrap();
    // One of two with a column, then the other, then the newest, then the first.
    purge("R1").await;
    assert_eq!(read(&table, 2).await, (texts(&["R2.0-x.parquet"]), texts(&["a", "secret"])));
    for revision in ["R2", "R4", "R0"] {
        purge(revision).await;
    }
    for number in [0, 1, 2, 4] {
        assert_eq!(read(&table, number).await.0, [""; 0], "{number}");
        let entry = std::fs::read_to_string(table.join(format!("_delta_log/{number:020}.json"))).unwrap();
        assert!(["oldest", "secret", "newest"].iter().all(|name| !entry.contains(name)), "{as_once}: {entry}");
    }
    assert_eq!(read(&table, 3).await, (texts(&["R3.0-x.parquet"]), texts(&["a", "c"])));
    for (number, columns) in [(5, ["a", "c"]), (6, ["a", "d"])] {
        let wanted = other_columns(&format!("R{number}.{number}"), &format!("R{number}.0-x"), columns);
        assert_eq!(storage.commit_version("ROOT", &after(number - 1, wanted)).await.unwrap(), number);
        assert_eq!(read(&table, number).await, (vec![format!("R{number}.0-x.parquet")], texts(&columns)));
    }
}
