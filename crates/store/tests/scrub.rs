//! The scrub says what is wrong, and of what; each kind of fault once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(unreachable_pub, dead_code, reason = "the samples are shared with other suites")]

use std::path::{Path, PathBuf};

use portico_model::revision::RevisionState;
use portico_store::{Catalog, ScrubEvent, SpooledFile, Storage, Store};
use sqlx::{AssertSqlSafe, Connection};
use tempfile::TempDir;

#[path = "support/sample.rs"]
mod sample;

use sample::{NOW, bytes, commit, local, metadata, name, no_options, release, released, revision};

/// A portal on disk: two versions, an open revision, a finished export.
struct Portal {
    directory: TempDir,
    store: Store,
}

impl Portal {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let storage = Storage::open(&format!("file://{}/storage", directory.path().display()), &no_options()).unwrap();
        let catalog = Catalog::open(&url(directory.path())).await.unwrap();
        let portal = Self { directory, store: Store { storage, catalog } };
        let dataset = portal.store.catalog.put_dataset(&metadata("trees"), "steward", NOW).await.unwrap();
        for (number, id) in [(1, "01R"), (2, "02R"), (3, "03R")] {
            portal.revision(&dataset.root, number, id).await;
        }
        let export = portal.local("export", 9);
        portal.store.storage.spool_put("a.csv", &export, SpooledFile::default()).await.unwrap();
        portal
    }

    fn local(&self, file: &str, seed: u8) -> PathBuf {
        local(self.directory.path(), file, &bytes(seed, 5_000))
    }

    /// Two become versions, the third stays open.
    async fn revision(&self, root: &str, number: u32, id: &str) {
        let Store { storage, catalog } = &self.store;
        let seed = u8::try_from(number).unwrap();
        let staged = storage.put_staged(id, &self.local("upload", seed)).await.unwrap();
        let mut record = revision(id, "trees");
        record.staged = staged.clone();
        catalog.insert_revision(&record).await.unwrap();
        if number == 3 {
            return;
        }
        for (expected, next) in
            [(RevisionState::Staged, RevisionState::Screened), (RevisionState::Screened, RevisionState::Approved)]
        {
            record.state = next;
            catalog.update_revision(expected, &record, "cio", NOW).await.unwrap();
        }
        let path = storage.release_staged(root, id, &staged).await.unwrap();
        let files = vec![released(&path, &bytes(seed, 5_000))];
        let delta_version = storage.commit_version(root, &commit(id, files.clone())).await.unwrap();
        catalog.release(&release(id, "trees", number, delta_version, files), "operator", NOW).await.unwrap();
        storage.remove_staged(&staged).await.unwrap();
    }

    /// The files whose path holds `part`, in order.
    fn files(&self, part: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![self.directory.path().join("storage")];
        while let Some(next) = open.pop() {
            for entry in std::fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else if path.display().to_string().contains(part) {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }

    /// A statement that no program of ours would make.
    async fn tamper(&self, sql: &str) {
        let mut connection = sqlx::AnyConnection::connect(&url(self.directory.path())).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    async fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let (mut total, mut read) = (0, 0);
        let seen = self
            .store
            .scrub(&mut |event| match event {
                ScrubEvent::Total(bytes) => total = bytes,
                ScrubEvent::Read(bytes) => read += bytes,
                ScrubEvent::Wrong(found) => wrong.push(format!("{}: {}", found.about, found.how)),
            })
            .await
            .unwrap();
        assert_eq!(seen.wrong, u64::try_from(wrong.len()).unwrap());
        assert!(total <= 10_000 && seen.bytes == read);
        wrong
    }
}

fn url(directory: &Path) -> String {
    format!("sqlite://{}/catalog.sqlite", directory.display())
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

fn assert_said(wrong: &[String], about: &str, how: &str) {
    let said = wrong.iter().any(|said| said.starts_with(about) && said.contains(how));
    assert!(said, "{about}: {how}: {wrong:?}");
}

#[tokio::test]
async fn a_sound_portal_has_nothing_wrong() {
    let portal = Portal::new().await;
    assert_eq!(portal.wrong().await, [""; 0]);
    let seen = portal.store.scrub(&mut |_| {}).await.unwrap();
    assert_eq!((seen.datasets, seen.versions, seen.files, seen.audit_rows), (1, 2, 4, 10));
}

#[tokio::test]
async fn files_that_are_damaged_missing_or_cut_are_named() {
    let portal = Portal::new().await;
    let parquet = portal.files(".parquet");
    flip(&parquet[0]);
    assert_said(&portal.wrong().await, "trees version 1, file 0", "its digest is not the recorded one");
    std::fs::remove_file(&parquet[0]).unwrap();
    assert_said(&portal.wrong().await, "trees version 1, file 0", "no such released file");
    std::fs::write(&parquet[1], b"short").unwrap();
    assert_said(&portal.wrong().await, "trees version 2, file 0", "its size is not the recorded one");
    assert_eq!(portal.wrong().await.len(), 2);
}

#[tokio::test]
async fn what_lies_in_staging_and_in_the_spool_is_read_too() {
    let portal = Portal::new().await;
    flip(&portal.files("staging/03R")[0]);
    assert_said(&portal.wrong().await, "revision 03R of trees", "its digest is not the recorded one");
    std::fs::remove_file(&portal.files("staging/03R")[0]).unwrap();
    assert_said(&portal.wrong().await, "revision 03R of trees", "no such staged file");
    flip(&portal.files("spool/files")[0]);
    assert_said(&portal.wrong().await, "a finished export", "its digest is not the recorded one");
    flip(&portal.files("spool/records")[0]);
    assert_said(&portal.wrong().await, "a finished export", "its record does not read");
}

#[tokio::test]
async fn a_delta_log_that_is_gone_damaged_or_says_something_else_is_seen() {
    let portal = Portal::new().await;
    let entry = portal.files("_delta_log")[1].clone();
    let text = std::fs::read_to_string(&entry).unwrap();
    std::fs::write(&entry, text.replace("\"size\":5000", "\"size\":5001")).unwrap();
    assert_said(&portal.wrong().await, "trees version 2", "holds other files");
    for (said, instead, how) in [
        (r#"\"yew\""#, r#"\"yaw\""#, "other statistics of a file"),
        (r#"\"numRecords\":10"#, r#"\"numRecords\":11"#, "other statistics of a file"),
        (r#"\"name\":\"kind\""#, r#"\"name\":\"kins\""#, "other columns"),
        (r#""minReaderVersion":1"#, r#""minReaderVersion":9"#, "Delta log"),
        (r#"{"remove":"#, r#"{"removed":"#, "holds other files"),
    ] {
        assert!(text.contains(said), "{said}: {text}");
        std::fs::write(&entry, text.replace(said, instead)).unwrap();
        assert_said(&portal.wrong().await, "trees version 2", how);
    }
    std::fs::write(&entry, text.split_at(text.len() / 2).0).unwrap();
    assert!(!portal.wrong().await.is_empty());
    std::fs::remove_file(&entry).unwrap();
    assert_said(&portal.wrong().await, "trees version 2", "Delta");
}

#[tokio::test]
async fn records_that_were_forged_are_seen() {
    for (harm, about, how) in [
        (
            "INSERT INTO use_count (month, dataset, version, protocol, format, name, uses, seal) \
             VALUES ('2026-01', 'trees', 1, 'sql', 'json', '', 7, 'forged')",
            "the counts of use",
            "seal",
        ),
        ("INSERT INTO report (year, record, seal) VALUES (2026, '{}', 'forged')", "the reports", "seal"),
        (
            "INSERT INTO purge (dataset, version, record, seal) VALUES ('trees', 1, '{}', 'forged')",
            "the purges",
            "seal",
        ),
    ] {
        let portal = Portal::new().await;
        portal.tamper(harm).await;
        assert_said(&portal.wrong().await, about, how);
    }
}

#[tokio::test]
async fn rows_that_were_changed_are_seen_and_not_believed() {
    for (harm, about, how) in [
        (
            "UPDATE version SET manifest = replace(manifest, '5000', '5001') WHERE version = 2",
            "trees version 2",
            "manifest",
        ),
        ("UPDATE version SET delta_version = 0 WHERE version = 2", "trees", "seal"),
        ("UPDATE version SET state = 'withdrawn' WHERE version = 2", "trees", "seal"),
        ("UPDATE dataset SET current_version = 1", "trees", "seal"),
        ("UPDATE dataset SET metadata = replace(metadata, 'trees', 'treez')", "trees", "seal"),
        ("UPDATE dataset SET search_text = 'something else'", "trees", "not found by what its metadata say"),
        ("INSERT INTO dataset_keyword (dataset, keyword) VALUES ('trees', 'x')", "trees", "not found by"),
        ("UPDATE revision SET record = replace(record, 'trees.csv', 'treez.csv') WHERE id = '03R'", "trees", "seal"),
        ("UPDATE audit SET principal = 'nobody' WHERE seq = 4", "the audit log", "does not fit"),
        ("DELETE FROM audit WHERE seq = 10", "the audit log", "does not fit"),
        ("PRAGMA foreign_keys = OFF; DELETE FROM version WHERE version = 1", "trees", "missing or another's"),
    ] {
        let portal = Portal::new().await;
        portal.tamper(harm).await;
        assert_said(&portal.wrong().await, about, how);
        if about != "the audit log" && !harm.contains("search_text") && !harm.contains("keyword") {
            let trees = name("trees");
            let catalog = Catalog::open(&url(portal.directory.path())).await.unwrap();
            let read = (
                catalog.dataset(&trees).await.is_ok(),
                catalog.version(&trees, 2).await.is_ok(),
                catalog.versions(&trees).await.is_ok(),
                catalog.revision("03R").await.is_ok(),
            );
            assert_ne!(read, (true, true, true, true), "{harm}");
        }
    }
}

#[tokio::test]
async fn releases_whose_rows_are_gone_are_known_to_the_audit_log() {
    for (harm, how) in [
        ("DELETE FROM version WHERE version = 2", "knows the release of version 2, and there is no such row"),
        ("DELETE FROM version", "knows the release of version 2, and there is no such row"),
        ("DELETE FROM dataset", "knows releases of it, and there is no such dataset"),
    ] {
        let portal = Portal::new().await;
        portal.tamper(&format!("PRAGMA foreign_keys = OFF; {harm}")).await;
        assert_said(&portal.wrong().await, "trees", how);
    }
}

#[tokio::test]
async fn a_page_of_the_catalog_that_is_damaged_is_seen() {
    let portal = Portal::new().await;
    portal.store.catalog.close().await;
    let file = portal.directory.path().join("catalog.sqlite");
    let whole = std::fs::read(&file).unwrap();
    let mut seen = 0;
    // The head of every page but the first, which nothing opens without.
    for page in (4_096..whole.len()).step_by(4_096) {
        let mut bytes = whole.clone();
        bytes[page + 3] ^= 0b101;
        std::fs::write(&file, bytes).unwrap();
        let Ok(catalog) = Catalog::open(&url(portal.directory.path())).await else {
            seen += 1;
            continue;
        };
        let store = Store { storage: portal.store.storage.clone(), catalog };
        match store.scrub(&mut |_| {}).await {
            Ok(scrubbed) => seen += usize::from(scrubbed.wrong > 0),
            Err(_) => seen += 1,
        }
        store.catalog.close().await;
    }
    assert_eq!(seen, whole.len() / 4_096 - 1);
}
