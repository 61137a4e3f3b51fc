//! The catalog contract: every test runs on SQLite in memory and in a file and, where `PORTICO_TEST_POSTGRES`
//! names a server (such as `postgres://postgres@127.0.0.1:5433/postgres`), on PostgreSQL in a database of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(unreachable_pub, dead_code, reason = "the samples are shared with other suites")]

use std::sync::Arc;

use portico_model::name::VersionRef;
use portico_model::policy::VersionState;
use portico_model::revision::RevisionState;
use portico_store::{Catalog, DatasetFilter, RevisionRecord, StoreError};
use sqlx::{AssertSqlSafe, Connection};
use tempfile::TempDir;

#[path = "catalog/inventory.rs"]
mod inventory;
#[path = "catalog/records.rs"]
mod records;
#[path = "catalog/releases.rs"]
mod releases;
#[path = "support/sample.rs"]
mod sample;
#[path = "catalog/schedules.rs"]
mod schedules;
#[path = "catalog/signin.rs"]
mod signin;
#[path = "catalog/tokens.rs"]
mod tokens;

use sample::{NOW, metadata, name, revision, server};

pub(crate) struct World {
    pub(crate) name: &'static str,
    pub(crate) catalog: Catalog,
    pub(crate) url: String,
    directory: Option<TempDir>,
}

impl World {
    /// A second program with the same catalog; memory has only one.
    pub(crate) async fn another(&self) -> Catalog {
        if self.name == "memory" { self.catalog.clone() } else { Catalog::open(&self.url).await.unwrap() }
    }

    /// A statement that no program of ours would make.
    pub(crate) async fn tamper(&self, sql: &str) {
        let mut connection = sqlx::AnyConnection::connect(&self.url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    }
}

pub(crate) async fn worlds() -> Vec<World> {
    let memory = "sqlite::memory:".to_owned();
    let catalog = Catalog::open(&memory).await.unwrap();
    let mut found = vec![World { name: "memory", catalog, url: memory, directory: None }];
    let directory = tempfile::tempdir().unwrap();
    let file = format!("sqlite://{}/new/catalog.sqlite", directory.path().display());
    let catalog = Catalog::open(&file).await.unwrap();
    found.push(World { name: "file", catalog, url: file, directory: Some(directory) });
    if let Some(url) = postgres().await {
        let catalog = Catalog::open(&url).await.unwrap();
        found.push(World { name: "PostgreSQL", catalog, url, directory: None });
    }
    found
}

/// A new database on the server.
async fn postgres() -> Option<String> {
    let server = server("PORTICO_TEST_POSTGRES", "PostgreSQL")?;
    sqlx::any::install_default_drivers();
    let database = format!("portico_{}", ulid::Ulid::new().to_string().to_lowercase());
    let mut connection = sqlx::AnyConnection::connect(&server).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {database}"))).execute(&mut connection).await.unwrap();
    let mut url = url::Url::parse(&server).unwrap();
    url.set_path(&database);
    Some(url.into())
}

/// Puts a dataset and a revision of it that is approved.
pub(crate) async fn approved(catalog: &Catalog, dataset: &str, id: &str) -> RevisionRecord {
    catalog.put_dataset(&metadata(dataset), "steward", NOW).await.unwrap();
    let mut record = revision(id, dataset);
    catalog.insert_revision(&record).await.unwrap();
    record.approved_digest = Some("d".repeat(64));
    for (expected, next) in
        [(RevisionState::Staged, RevisionState::Screened), (RevisionState::Screened, RevisionState::Approved)]
    {
        record.state = next;
        catalog.update_revision(expected, &record, "cio", NOW).await.unwrap();
    }
    record
}

fn filter() -> DatasetFilter {
    DatasetFilter { limit: 100, include_unreleased: true, ..DatasetFilter::default() }
}

async fn found(catalog: &Catalog, filter: &DatasetFilter) -> Vec<String> {
    let (records, _) = catalog.datasets(filter).await.unwrap();
    records.iter().map(|record| record.metadata.name.to_string()).collect()
}

#[tokio::test]
async fn a_dataset_is_made_once_and_described_again() {
    for world in worlds().await {
        let catalog = &world.catalog;
        catalog.ping().await.unwrap();
        assert_eq!(catalog.dataset(&name("trees")).await.unwrap(), None);
        let made = catalog.put_dataset(&metadata("trees"), "steward", NOW).await.unwrap();
        let again = catalog.put_dataset(&metadata("trees"), "steward", NOW + 1).await.unwrap();
        assert_eq!(made, again, "{}", world.name);
        assert_eq!((made.current, made.created_ms, made.updated_ms), (None, NOW, NOW));
        assert!(!made.root.contains("trees"));
        let mut other = metadata("trees");
        other.description = "Baum\0 and \u{1F333}".into();
        other.keywords = vec!["Green".into(), "green ".into(), "\0".into()];
        let changed = catalog.put_dataset(&other, "steward", NOW + 2).await.unwrap();
        assert_eq!((changed.root.as_str(), changed.updated_ms), (made.root.as_str(), NOW + 2));
        assert_eq!(changed.metadata, other, "{}", world.name);
        assert_eq!(world.another().await.dataset(&name("trees")).await.unwrap(), Some(changed));
        let actions: Vec<_> = catalog.audit(None, 0, 100).await.unwrap().into_iter().map(|e| e.action).collect();
        assert_eq!(actions, ["dataset.created", "dataset.described"]);
    }
}

#[tokio::test]
async fn datasets_are_found_by_words_department_and_keyword() {
    for world in worlds().await {
        let catalog = &world.catalog;
        for (dataset, title, department, keywords) in [
            ("building-permits", "Building Permits", "Public Works", vec!["Permits", "construction"]),
            ("parks", "Parks & Écoles", "Parks", vec!["green"]),
            ("budget", "Budget 100% spent", "Finance", vec!["money"]),
            ("bus-stops", "Bus stops", "public works", vec!["transit", "permits"]),
        ] {
            let mut one = metadata(dataset);
            one.title = title.into();
            one.department = department.into();
            one.keywords = keywords.into_iter().map(Into::into).collect();
            catalog.put_dataset(&one, "steward", NOW).await.unwrap();
        }
        let text = |text: &str| DatasetFilter { text: Some(text.into()), ..filter() };
        for (asked, expected) in [
            (filter(), vec!["budget", "building-permits", "bus-stops", "parks"]),
            (text("PERMITS"), vec!["building-permits", "bus-stops"]),
            (text("permits  works build"), vec!["building-permits"]),
            (text("école"), vec!["parks"]),
            (text("building_permits"), vec!["building-permits"]),
            (text("100%"), vec!["budget"]),
            (text("0% s"), vec!["budget"]),
            (text("_"), vec!["building-permits", "bus-stops"]),
            (text("%"), vec!["budget"]),
            (text("\\"), vec![]),
            (text("x' OR '1'='1"), vec![]),
            (text("   "), vec!["budget", "building-permits", "bus-stops", "parks"]),
            (text(&"long ".repeat(10_000)), vec![]),
            (text(&"x".repeat(100_000)), vec![]),
            (
                DatasetFilter { department: Some("PUBLIC works".into()), ..filter() },
                vec!["building-permits", "bus-stops"],
            ),
            (DatasetFilter { keyword: Some("Permits".into()), ..filter() }, vec!["building-permits", "bus-stops"]),
            (DatasetFilter { keyword: Some("permit".into()), ..filter() }, vec![]),
            (DatasetFilter { offset: 1, limit: 2, ..filter() }, vec!["building-permits", "bus-stops"]),
            (DatasetFilter { include_unreleased: false, ..filter() }, vec![]),
        ] {
            assert_eq!(found(catalog, &asked).await, expected, "{} {asked:?}", world.name);
        }
        let (_, total) = catalog.datasets(&DatasetFilter { limit: 1, ..filter() }).await.unwrap();
        assert_eq!(total, 4);
        let facets = catalog.facets(&filter()).await.unwrap();
        assert_eq!(
            facets.departments.first().map(|(name, count)| (name.to_lowercase(), *count)),
            Some(("public works".into(), 2))
        );
        assert_eq!(facets.keywords.first(), Some(&("permits".to_owned(), 2)), "{}", world.name);
        let facets = catalog.facets(&text("parks")).await.unwrap();
        assert_eq!(facets.keywords, [("green".to_owned(), 1)], "{}", world.name);
    }
}

#[tokio::test]
async fn a_revision_moves_only_from_the_state_that_was_seen() {
    for world in worlds().await {
        let catalog = &world.catalog;
        let mut record = revision("01R", "trees");
        assert!(matches!(catalog.insert_revision(&record).await, Err(StoreError::NotFound { .. })));
        catalog.put_dataset(&metadata("trees"), "steward", NOW).await.unwrap();
        catalog.insert_revision(&record).await.unwrap();
        catalog.insert_revision(&record).await.unwrap();
        let taken = RevisionRecord { file_name: "other.csv".into(), ..record.clone() };
        assert!(matches!(catalog.insert_revision(&taken).await, Err(StoreError::Conflict { .. })));

        record.state = RevisionState::Blocked;
        catalog.update_revision(RevisionState::Staged, &record, "steward", NOW).await.unwrap();
        let late = catalog.update_revision(RevisionState::Staged, &record, "steward", NOW).await;
        assert!(matches!(late, Err(StoreError::Conflict { .. })), "{}: {late:?}", world.name);
        // How it is read changes with the state `Staged` alone: a step that began before comes to nothing.
        let before = record.clone();
        record.options_json = "{\"sheet\":\"2\"}".into();
        let unsaid = catalog.update_revision(RevisionState::Blocked, &record, "steward", NOW).await;
        assert!(matches!(unsaid, Err(StoreError::Conflict { .. })), "{}: {unsaid:?}", world.name);
        record.state = RevisionState::Staged;
        catalog.update_revision(RevisionState::Blocked, &record, "steward", NOW).await.unwrap();
        let late = catalog.update_revision(RevisionState::Staged, &before, "steward", NOW).await;
        assert!(matches!(late, Err(StoreError::Conflict { .. })), "{}: {late:?}", world.name);
        record.state = RevisionState::Blocked;
        catalog.update_revision(RevisionState::Staged, &record, "steward", NOW).await.unwrap();
        assert_eq!(catalog.revision("01R").await.unwrap(), Some(record.clone()), "{}", world.name);
        for state in [RevisionState::Approved, RevisionState::Released] {
            let refused = RevisionRecord { state, ..record.clone() };
            let refused = catalog.update_revision(RevisionState::Blocked, &refused, "cio", NOW).await;
            assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{state:?}");
        }
        let unknown = RevisionRecord { id: "02R".into(), ..record.clone() };
        let unknown = catalog.update_revision(RevisionState::Blocked, &unknown, "cio", NOW).await;
        assert!(matches!(unknown, Err(StoreError::NotFound { .. })));
        let mut newer = revision("02R", "trees");
        newer.created_ms += 1;
        catalog.insert_revision(&newer).await.unwrap();
        let ids: Vec<_> = catalog.revisions(&name("trees")).await.unwrap().into_iter().map(|one| one.id).collect();
        assert_eq!(ids, ["02R", "01R"]);
        assert_eq!(catalog.revision("03R").await.unwrap(), None);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_eight_who_decide_at_once_one_wins() {
    for world in worlds().await {
        let mut record = revision("01R", "trees");
        world.catalog.put_dataset(&metadata("trees"), "steward", NOW).await.unwrap();
        world.catalog.insert_revision(&record).await.unwrap();
        let mut racing = tokio::task::JoinSet::new();
        for index in 0..8 {
            let catalog = world.another().await;
            record.state = if index % 2 == 0 { RevisionState::Screened } else { RevisionState::Discarded };
            record.created_by = format!("racer {index}");
            let record = record.clone();
            racing.spawn(async move { catalog.update_revision(RevisionState::Staged, &record, "racer", NOW).await });
        }
        let outcomes = racing.join_all().await;
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1, "{}: {outcomes:?}", world.name);
        let conflicts = outcomes.iter().filter(|outcome| matches!(outcome, Err(StoreError::Conflict { .. })));
        assert_eq!(conflicts.count(), 7, "{}: {outcomes:?}", world.name);
        assert_eq!(world.catalog.verify_audit().await.unwrap(), 3);
    }
}

#[tokio::test]
async fn the_audit_log_shows_what_was_changed_in_it() {
    for world in worlds().await {
        approved(&world.catalog, "trees", "01R").await;
        world.catalog.put_dataset(&metadata("parks"), "a \"name\"\0", NOW).await.unwrap();
        assert_eq!(world.catalog.verify_audit().await.unwrap(), 5, "{}", world.name);
        let of_trees = world.catalog.audit(Some(&name("trees")), 0, 100).await.unwrap();
        let actions: Vec<_> = of_trees.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(actions, ["dataset.created", "revision.staged", "revision.screened", "revision.approved"]);
        assert_eq!(world.catalog.audit(None, 2, 2).await.unwrap().len(), 2);
        if world.name == "memory" {
            continue;
        }
        for (harm, repair) in [
            ("UPDATE audit SET principal = 'x' WHERE seq = 4", "UPDATE audit SET principal = 'cio' WHERE seq = 4"),
            ("UPDATE audit SET seq = 9 WHERE seq = 3", "UPDATE audit SET seq = 3 WHERE seq = 9"),
            ("UPDATE audit_end SET seq = 4", "UPDATE audit_end SET seq = 5"),
            ("DELETE FROM audit WHERE seq = 5", ""),
        ] {
            assert_eq!(world.catalog.verify_audit().await.unwrap(), 5, "{}", world.name);
            world.tamper(harm).await;
            let seen = world.catalog.verify_audit().await;
            assert!(matches!(seen, Err(StoreError::Corrupt { .. })), "{} {harm}: {seen:?}", world.name);
            if !repair.is_empty() {
                world.tamper(repair).await;
            }
        }
    }
}

#[tokio::test]
async fn a_lease_is_one_holders_until_it_runs_out() {
    for world in worlds().await {
        let (one, two, trees) = (&world.catalog, world.another().await, name("trees"));
        one.lease(&trees, "one", NOW, 1_000).await.unwrap();
        one.lease(&trees, "one", NOW + 500, 1_000).await.unwrap();
        assert!(matches!(two.lease(&trees, "two", NOW + 1_200, 1_000).await, Err(StoreError::Conflict { .. })));
        two.lease(&name("parks"), "two", NOW, 1_000).await.unwrap();
        two.end_lease(&trees, "two").await.unwrap();
        assert!(two.lease(&trees, "two", NOW + 1_200, 1_000).await.is_err(), "{}", world.name);
        two.lease(&trees, "two", NOW + 1_500, 1_000).await.unwrap();
        two.end_lease(&trees, "two").await.unwrap();
        one.lease(&trees, "one", NOW + 1_501, 1_000).await.unwrap();
        // It is prolonged only by who had it all the time, even when it ran out and was given back.
        one.renew(&trees, "one", NOW + 1_600, 900_000).await.unwrap();
        assert!(two.lease(&trees, "two", NOW + 900_000, 1_000).await.is_err(), "{}", world.name);
        one.renew(&trees, "one", NOW + 50_000, 900_000).await.unwrap();
        two.lease(&trees, "two", NOW + 902_000, 1_000).await.unwrap();
        assert!(matches!(one.renew(&trees, "one", NOW + 902_000, 1_000).await, Err(StoreError::Conflict { .. })));
        two.end_lease(&trees, "two").await.unwrap();
        assert!(one.renew(&trees, "one", NOW + 999_000, 1_000).await.is_err(), "{}", world.name);
        assert!(one.renew(&name("parks"), "one", NOW, 1_000).await.is_err(), "{}", world.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_that_start_at_once_make_the_tables_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut urls = vec![format!("sqlite://{}/catalog.sqlite", directory.path().display())];
    urls.extend(postgres().await);
    for url in urls {
        let mut opening = tokio::task::JoinSet::new();
        for _ in 0..6 {
            let url = url.clone();
            opening.spawn(async move { Catalog::open(&url).await });
        }
        let opened: Vec<_> = opening.join_all().await.into_iter().map(Result::unwrap).collect();
        opened[0].put_dataset(&metadata("trees"), "steward", NOW).await.unwrap();
        assert!(opened[5].dataset(&name("trees")).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn a_catalog_survives_its_program_and_a_newer_one_is_refused() {
    for world in worlds().await {
        if world.name == "memory" {
            continue;
        }
        world.catalog.put_dataset(&metadata("trees"), "steward", NOW).await.unwrap();
        world.catalog.close().await;
        let again = Catalog::open(&world.url).await.unwrap();
        assert!(again.dataset(&name("trees")).await.unwrap().is_some());
        again.close().await;
        world.tamper("INSERT INTO catalog_step (step) VALUES (999)").await;
        assert!(matches!(Catalog::open(&world.url).await, Err(StoreError::Unsupported { .. })), "{}", world.name);
    }
}

#[tokio::test]
async fn sqlite_keeps_what_it_answered_through_a_power_cut() {
    let world = worlds().await.remove(1);
    world.catalog.put_dataset(&metadata("trees"), "steward", NOW).await.unwrap();
    let log = world.directory.as_ref().unwrap().path().join("new/catalog.sqlite-wal");
    assert!(log.exists(), "a write-ahead log");
}

#[tokio::test]
async fn a_catalog_that_is_not_there_says_so_without_its_address() {
    let refused = Catalog::open("postgres://nobody:secret@127.0.0.1:1/none").await.unwrap_err();
    assert!(matches!(refused, StoreError::Unavailable { .. }), "{refused:?}");
    assert!(!refused.to_string().contains("secret") && !refused.to_string().contains("127.0.0.1"));
    assert!(matches!(Catalog::open("mysql://host/db").await, Err(StoreError::Invalid { .. })));
}

#[allow(clippy::needless_pass_by_value, reason = "reads better at the call")]
pub(crate) fn assert_state(version: &portico_store::VersionRecord, state: VersionState, of: VersionRef) {
    assert_eq!((version.state, &version.version), (state, &of));
    assert!(Arc::strong_count(&version.manifest) >= 1);
}
