//! Releases and withdrawals: all at once, once, and for everybody at the same time.

use std::sync::Arc;

use portico_model::dataset::DatasetMetadata;
use portico_model::name::VersionRef;
use portico_model::policy::VersionState;
use portico_model::revision::RevisionState;
use portico_store::{DatasetFilter, ReleaseRecord, StoreError};

use crate::sample::{NOW, name, release, released};
use crate::{World, approved, worlds};

fn version(number: u32) -> VersionRef {
    VersionRef { dataset: name("trees"), version: number }
}

fn record(revision_id: &str, number: u32, delta_version: i64) -> ReleaseRecord {
    let file = released(&format!("ROOT/{revision_id}.parquet"), revision_id.as_bytes());
    release(revision_id, "trees", number, delta_version, vec![file])
}

async fn trees(world: &World) -> Option<u32> {
    world.catalog.dataset(&name("trees")).await.unwrap().unwrap().current
}

#[tokio::test]
async fn a_release_moves_everything_at_once_and_only_once() {
    for world in worlds().await {
        let catalog = &world.catalog;
        approved(catalog, "trees", "01R").await;
        assert_eq!(catalog.next_version(&name("trees")).await.unwrap(), 1);
        let first = record("01R", 1, 0);
        let working = DatasetMetadata { title: "Said meanwhile".into(), ..first.metadata.clone() };
        catalog.put_dataset(&working, "steward", NOW + 1).await.unwrap();
        assert_eq!(catalog.release(&first, "operator", NOW + 5).await.unwrap(), version(1), "{}", world.name);
        let rows = catalog.verify_audit().await.unwrap();
        assert_eq!(catalog.release(&first, "operator", NOW + 9).await.unwrap(), version(1), "{}", world.name);
        assert_eq!(catalog.release(&record("01R", 7, 9), "operator", NOW + 9).await.unwrap(), version(1));
        assert_eq!(catalog.verify_audit().await.unwrap(), rows, "a second time nothing happens");

        let dataset = catalog.dataset(&name("trees")).await.unwrap().unwrap();
        assert_eq!((dataset.current, dataset.updated_ms), (Some(1), NOW + 5));
        assert_eq!(dataset.metadata, first.metadata);
        let revision = catalog.revision("01R").await.unwrap().unwrap();
        assert_eq!((revision.state, revision.version), (RevisionState::Released, Some(1)));
        assert_eq!(catalog.version_of_revision("01R").await.unwrap(), Some(version(1)));
        let read = world.another().await.version(&name("trees"), 1).await.unwrap().unwrap();
        assert_eq!(read, first.version, "{}", world.name);
        let last = catalog.audit(None, rows - 1, 1).await.unwrap().remove(0);
        assert_eq!(
            (last.action.as_str(), last.version, last.principal.as_str()),
            ("version.released", Some(1), "operator")
        );
        let public = DatasetFilter { limit: 10, ..DatasetFilter::default() };
        assert_eq!(catalog.datasets(&public).await.unwrap().1, 1);
    }
}

#[tokio::test]
async fn a_refused_release_leaves_no_trace() {
    for world in worlds().await {
        let catalog = &world.catalog;
        approved(catalog, "trees", "01R").await;
        approved(catalog, "parks", "03R").await;
        catalog.insert_revision(&crate::revision("02R", "trees")).await.unwrap();
        let rows = catalog.verify_audit().await.unwrap();
        let mut other_name = record("01R", 1, 0);
        other_name.metadata.name = name("parks");
        let mut other_rows = record("01R", 1, 0);
        Arc::make_mut(&mut other_rows.version.manifest).rows += 1;
        for (case, wanted) in [
            (record("01R", 2, 0), "conflict"),
            (record("02R", 1, 0), "conflict"),
            (record("09R", 1, 0), "not found"),
            (record("03R", 1, 0), "invalid"),
            (other_name, "invalid"),
            (other_rows, "invalid"),
        ] {
            let refused = catalog.release(&case, "operator", NOW).await.unwrap_err();
            let kind = match refused {
                StoreError::Conflict { .. } => "conflict",
                StoreError::NotFound { .. } => "not found",
                StoreError::Invalid { .. } => "invalid",
                _ => "other",
            };
            assert_eq!(kind, wanted, "{}: {refused:?}", world.name);
        }
        assert_eq!(trees(&world).await, None);
        assert_eq!(catalog.versions(&name("trees")).await.unwrap(), []);
        assert_eq!(catalog.verify_audit().await.unwrap(), rows);
        assert_eq!(catalog.revision("01R").await.unwrap().unwrap().state, RevisionState::Approved);
    }
}

#[tokio::test]
async fn older_versions_stay_readable_and_are_kept_in_memory() {
    for world in worlds().await {
        let catalog = &world.catalog;
        for (number, id) in [(1, "01R"), (2, "02R"), (3, "03R")] {
            approved(catalog, "trees", id).await;
            catalog.release(&record(id, number, i64::from(number)), "operator", NOW).await.unwrap();
        }
        assert_eq!(trees(&world).await, Some(3));
        let numbers: Vec<_> = catalog.versions(&name("trees")).await.unwrap().iter().map(|one| one.version).collect();
        assert_eq!(numbers, [3, 2, 1]);
        let (one, again) =
            (catalog.version(&name("trees"), 1).await.unwrap(), catalog.version(&name("trees"), 1).await.unwrap());
        assert!(Arc::ptr_eq(&one.unwrap().manifest, &again.unwrap().manifest), "{}", world.name);
        assert_eq!(catalog.version(&name("trees"), 4).await.unwrap(), None);
        assert_eq!(catalog.version(&name("parks"), 1).await.unwrap(), None);
        assert_eq!(catalog.current_version(&name("parks")).await.unwrap(), None);
        assert_eq!(catalog.current_version(&name("trees")).await.unwrap().unwrap().version, version(3));
        let paths = catalog.released_paths(&name("trees")).await.unwrap();
        assert_eq!(paths.len(), 3);
        assert!(paths.contains("ROOT/02R.parquet"));
    }
}

#[tokio::test]
async fn whoever_dies_right_after_a_release_keeps_nobody_waiting() {
    for world in worlds().await {
        let catalog = &world.catalog;
        approved(catalog, "trees", "01R").await;
        approved(catalog, "trees", "02R").await;
        catalog.lease(&name("trees"), "01R", NOW, 1_000).await.unwrap();
        assert!(catalog.lease(&name("trees"), "02R", NOW, 1_000).await.is_err(), "{}", world.name);
        catalog.release(&record("01R", 1, 0), "operator", NOW).await.unwrap();
        catalog.lease(&name("trees"), "02R", NOW + 1, 1_000).await.unwrap();
    }
}

#[tokio::test]
async fn a_commit_that_others_have_passed_is_not_released() {
    for world in worlds().await {
        let catalog = &world.catalog;
        approved(catalog, "trees", "01R").await;
        approved(catalog, "trees", "02R").await;
        catalog.release(&record("02R", 1, 1), "operator", NOW).await.unwrap();
        let refused = catalog.release(&record("01R", 2, 0), "operator", NOW).await;
        assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{}: {refused:?}", world.name);
        catalog.release(&record("01R", 2, 2), "operator", NOW).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_racing_releases_make_contiguous_versions() {
    for world in worlds().await {
        let mut racing = tokio::task::JoinSet::new();
        for index in 0..8 {
            let id = format!("{index:02}R");
            approved(&world.catalog, "trees", &id).await;
            let catalog = world.another().await;
            racing.spawn(async move {
                loop {
                    let next = catalog.next_version(&name("trees")).await.unwrap();
                    match catalog.release(&record(&id, next, i64::from(next)), "operator", NOW).await {
                        Ok(version) => break version.version,
                        Err(StoreError::Conflict { .. }) => {}
                        Err(error) => panic!("{error:?}"),
                    }
                }
            });
        }
        let mut numbers = racing.join_all().await;
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=8).collect::<Vec<_>>(), "{}", world.name);
        assert_eq!(trees(&world).await, Some(8));
        world.catalog.verify_audit().await.unwrap();
    }
}

#[tokio::test]
async fn a_withdrawn_version_is_gone_for_every_program_at_once() {
    for world in worlds().await {
        let (catalog, other) = (&world.catalog, world.another().await);
        for (number, id) in [(1, "01R"), (2, "02R")] {
            approved(catalog, "trees", id).await;
            catalog.release(&record(id, number, i64::from(number)), "operator", NOW).await.unwrap();
        }
        let seen = other.current_version(&name("trees")).await.unwrap().unwrap();
        crate::assert_state(&seen, VersionState::Released, version(2));
        catalog.withdraw(&version(2), "It named people.", "cio", NOW).await.unwrap();
        let rows = catalog.verify_audit().await.unwrap();
        catalog.withdraw(&version(2), "Again.", "cio", NOW).await.unwrap();
        assert_eq!(catalog.verify_audit().await.unwrap(), rows);
        let seen = other.version(&name("trees"), 2).await.unwrap().unwrap();
        crate::assert_state(&seen, VersionState::Withdrawn, version(2));
        assert_eq!(seen.withdrawn_reason.as_deref(), Some("It named people."), "{}", world.name);
        assert_eq!(other.current_version(&name("trees")).await.unwrap().unwrap().version, version(1));
        catalog.withdraw(&version(1), "So did this.", "cio", NOW).await.unwrap();
        assert_eq!(trees(&world).await, None);
        let public = DatasetFilter { limit: 10, ..DatasetFilter::default() };
        assert_eq!(other.datasets(&public).await.unwrap().1, 0, "{}", world.name);
        assert_eq!(catalog.next_version(&name("trees")).await.unwrap(), 3, "a number is never used again");
        assert!(matches!(catalog.withdraw(&version(9), "x", "cio", NOW).await, Err(StoreError::NotFound { .. })));
    }
}
