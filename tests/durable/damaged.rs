//! One row is damaged: what it is about waits, and nothing else does.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use portico_model::limits::Limits;
use portico_model::name::{DatasetName, VersionRef};
use portico_model::policy::VersionState;
use portico_store::{Catalog, Storage, Store, UseCount};
use sqlx::{AssertSqlSafe, Connection as _};

use super::refreshes::{declaration, with_place};
use super::{LATER_MS, Road, operator, trees};
use crate::world::{NOW_MS, World};

fn named(text: &str) -> DatasetName {
    DatasetName::parse(text).unwrap()
}

async fn open(directory: &Path) -> Store {
    let storage = Storage::open("memory:///", &BTreeMap::new()).unwrap();
    let catalog = Catalog::open(&format!("sqlite://{}/catalog.sqlite", directory.display())).await.unwrap();
    Store { storage, catalog }
}

/// A statement that no program of ours would make.
async fn tamper(directory: &Path, sql: &str) {
    let url = format!("sqlite://{}/catalog.sqlite", directory.display());
    let mut connection = sqlx::AnyConnection::connect(&url).await.unwrap();
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    assert!(done.rows_affected() > 0, "{sql}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_sources_are_read_and_the_other_releases_happen() {
    let scratch = tempfile::tempdir().unwrap();
    let store = open(scratch.path()).await;
    std::fs::create_dir(scratch.path().join("place")).unwrap();
    let publish = with_place(store.clone(), scratch.path());
    let one = trees(scratch.path(), "1", 30, 1);
    let next = trees(&scratch.path().join("place"), "next.csv", 31, 2);
    let long_ago = UNIX_EPOCH + Duration::from_millis(u64::try_from(NOW_MS - 60_000).unwrap());
    std::fs::File::options().write(true).open(&next).unwrap().set_modified(long_ago).unwrap();
    // The first of both by name is the one that is damaged.
    for dataset in ["bus-stops", "street-trees"] {
        Road::new(&publish, dataset, &one).go(NOW_MS).await.unwrap();
        let source = publish.declare_source(&operator(), &named(dataset), &declaration(), NOW_MS).await.unwrap();
        publish.approve_source(&operator(), &named(dataset), &source.record.digest, NOW_MS).await.unwrap();
    }
    tamper(scratch.path(), "UPDATE refresh SET seal = 'x' WHERE dataset = 'bus-stops'").await;
    let read = publish.refresh_due(NOW_MS).await.unwrap().unwrap();
    assert_eq!(
        (read.dataset, read.run.outcome.as_str()),
        (named("street-trees"), "released"),
        "{:?}",
        read.run.reasons
    );
    assert_eq!(publish.refresh_due(NOW_MS).await.unwrap(), None);
    assert_eq!(publish.note_late(LATER_MS).await.unwrap(), 0);

    for (dataset, mark) in [("bus-stops", 3), ("street-trees", 4)] {
        let file = trees(scratch.path(), &mark.to_string(), 32, mark);
        let id = Road::new(&publish, dataset, &file).stage(NOW_MS).await.unwrap();
        let screened = publish.screen(&operator(), &id, NOW_MS, |_| {}).await.unwrap();
        publish.approve(&operator(), &id, &screened.digest.unwrap(), NOW_MS).await.unwrap();
        publish.schedule(&operator(), &id, (NOW_MS + 60_000, None), NOW_MS).await.unwrap();
    }
    tamper(scratch.path(), "UPDATE schedule SET seal = 'x' WHERE dataset = 'bus-stops'").await;
    let due = publish.release_due(NOW_MS + 60_000).await.unwrap();
    assert_eq!(due.released, [VersionRef { dataset: named("street-trees"), version: 3 }], "{:?}", due.failed);
    assert_eq!(store.catalog.current_version(&named("bus-stops")).await.unwrap().unwrap().version.version, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawal_does_not_wait_for_the_counts_of_use() {
    let scratch = tempfile::tempdir().unwrap();
    let world = World::over(open(scratch.path()).await, Limits::default()).await;
    let version = world.publish("trees", "f.csv", b"tree_id,species\n1,Oak\n").await;
    let count = UseCount {
        month: "2025-11".to_owned(),
        dataset: version.dataset.clone(),
        version: version.version,
        protocol: "sql".to_owned(),
        format: "csv".to_owned(),
        column: "species".to_owned(),
        uses: 12,
    };
    world.store.catalog.add_uses("one", &[count], NOW_MS).await.unwrap();
    let publisher = world.publisher.clone().with_own_steward("records@city.example");
    let usage = publisher.refresh_usage(NOW_MS).await.unwrap().unwrap();
    let state = async |version: &VersionRef| {
        world.store.catalog.version(&version.dataset, version.version).await.unwrap().unwrap().state
    };
    tamper(scratch.path(), "UPDATE use_count SET uses = uses + 1").await;
    publisher.withdraw(&world.operator, &version, "It named people.", NOW_MS + 1).await.unwrap();
    assert_eq!((state(&version).await, state(&usage).await), (VersionState::Withdrawn, VersionState::Released));
    // Done again when the counts can be read, it withdraws what names its columns; what came since is left alone.
    tamper(scratch.path(), "UPDATE use_count SET uses = uses - 1").await;
    let newer = publisher.refresh_usage(NOW_MS + 2).await;
    publisher.withdraw(&world.operator, &version, "It named people.", NOW_MS + 3).await.unwrap();
    assert_eq!(state(&usage).await, VersionState::Withdrawn);
    if let Ok(Some(newer)) = newer {
        assert_eq!(state(&newer).await, VersionState::Released);
    }
}
