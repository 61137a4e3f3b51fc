//! A portal is lost and comes back: from a directory, to another kind of storage, with what was still on its way.

use std::collections::BTreeMap;
use std::path::Path;

use portico_model::limits::Limits;
use portico_model::revision::RevisionState;
use portico_store::{Catalog, CopyEvent, Storage, Store, StoreError};

use super::{Road, operator, publisher, trees, wrong};
use crate::world::{NOW_MS, World};

/// Who restores, and when.
const BY: (&str, i64) = ("operator", NOW_MS);

fn disk(directory: &Path, name: &str) -> Storage {
    Storage::open(&format!("file://{}/{name}", directory.display()), &BTreeMap::new()).unwrap()
}

async fn empty(directory: &Path, name: &str) -> Store {
    let catalog = Catalog::open(&format!("sqlite://{}/{name}.sqlite", directory.display())).await.unwrap();
    Store { storage: disk(directory, name), catalog }
}

fn steward() -> portico_publish::Holder {
    use portico_model::policy::{Role, Scope};
    portico_publish::Holder { name: "ana".to_owned(), roles: vec![Role::Steward], scope: Scope::All }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_portal_comes_back_whole() {
    let scratch = tempfile::tempdir().unwrap();
    let store = empty(scratch.path(), "portal").await;
    let publish = publisher(store.clone(), scratch.path());
    let files = [1, 2, 3, 4].map(|mark| trees(scratch.path(), &mark.to_string(), 30 * mark, mark));
    for file in &files[..2] {
        Road::new(&publish, "street-trees", file).go(NOW_MS).await.unwrap();
    }
    let open = Road::new(&publish, "street-trees", &files[2]).stage(NOW_MS).await.unwrap();
    publish.screen(&operator(), &open, NOW_MS, |_| {}).await.unwrap();
    let holder = steward();
    let (roles, scope) = (holder.roles.clone(), holder.scope.clone());
    let wanted = portico_publish::TokenRequest { name: holder.name.clone(), roles, scope, days: 1 };
    let (text, token) = publish.create_token(&operator(), wanted, 1, NOW_MS).await.unwrap();
    let life = portico_publish::SessionLife { hours: 8, idle_minutes: 60 };
    let (session, _) = publish.begin_session(holder, "u-1".to_owned(), life, NOW_MS).await.unwrap();
    let kept = disk(scratch.path(), "kept");
    let mut total = 0;
    let first = store
        .backup(&kept, NOW_MS, &mut |event| {
            if let CopyEvent::Total(bytes) = event {
                total = bytes
            }
        })
        .await;
    let first = first.unwrap();
    assert_eq!((first.copied_files, first.bytes), (first.files, total));
    // The next copies what is new only: a file of a third version, and its entry of the log.
    Road::new(&publish, "bus-stops", &files[3]).go(NOW_MS).await.unwrap();
    let second = store.backup(&kept, NOW_MS + 1, &mut |_| {}).await.unwrap();
    assert_eq!((second.files, second.copied_files), (first.files + 2, 2));

    let again = empty(scratch.path(), "again").await;
    let restored = again.restore(&kept, None, BY, &mut |_| {}).await.unwrap();
    assert_eq!((restored.copy.stamp.as_str(), restored.copy.rows), (second.stamp.as_str(), second.rows));
    assert_eq!(wrong(&again).await, [""; 0]);
    // One row more: that it was restored.
    assert_eq!(again.catalog.verify_audit().await.unwrap(), store.catalog.verify_audit().await.unwrap() + 1);
    let world = World::over(again.clone(), Limits::default()).await;
    assert_eq!(world.rows("select count(*), min(mark) from street_trees").await, "60,2\n");
    assert_eq!(world.publisher.identify(text.reveal(), NOW_MS).await.unwrap().map(|found| found.id), Some(token.id));
    // Nobody is signed in at a portal that came back.
    assert!(world.publisher.session(&session, NOW_MS).await.unwrap().is_none());
    assert_eq!(world.rows("select count(*), min(mark) from \"street_trees@1\"").await, "30,1\n");
    assert_eq!(world.rows("select count(*), min(mark) from bus_stops").await, "120,4\n");
    // What was on its way goes on from where it was.
    let publish = publisher(again.clone(), scratch.path());
    assert_eq!(publish.revision(&operator(), &open, NOW_MS).await.unwrap().state, RevisionState::Screened);
    let mut road = Road { id: Some(open), ..Road::new(&publish, "street-trees", &files[2]) };
    assert_eq!(road.go(NOW_MS).await.unwrap(), 3);
    assert_eq!(world.rows("select count(*), min(mark) from street_trees").await, "90,3\n");
    assert_eq!(wrong(&again).await, [""; 0]);

    // From a bucket and to a bucket it is the same.
    if let (Some(bucket), Some(other)) = (super::races::s3(), super::races::s3()) {
        let moved = Store { storage: other, ..empty(scratch.path(), "moved").await };
        moved.restore(&kept, None, BY, &mut |_| {}).await.unwrap();
        assert_eq!(wrong(&moved).await, [""; 0]);
        moved.backup(&bucket, NOW_MS, &mut |_| {}).await.unwrap();
        let home = empty(scratch.path(), "home").await;
        home.restore(&bucket, None, BY, &mut |_| {}).await.unwrap();
        assert_eq!(wrong(&home).await, [""; 0]);
    }

    // An older backup is there as well, and nothing is ever restored over something.
    let older = Store {
        storage: Storage::open("memory:///", &BTreeMap::new()).unwrap(),
        ..empty(scratch.path(), "older").await
    };
    older.restore(&kept, Some(&first.stamp), BY, &mut |_| {}).await.unwrap();
    assert_eq!(wrong(&older).await, [""; 0]);
    let (datasets, _) =
        older.catalog.datasets(&portico_store::DatasetFilter { limit: 9, ..Default::default() }).await.unwrap();
    assert_eq!(datasets.len(), 1);
    let refused = older.restore(&kept, None, BY, &mut |_| {}).await;
    assert!(matches!(refused, Err(StoreError::Conflict { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_or_unfinished_backup_restores_nothing() {
    let scratch = tempfile::tempdir().unwrap();
    let store = empty(scratch.path(), "portal").await;
    let publish = publisher(store.clone(), scratch.path());
    Road::new(&publish, "street-trees", &trees(scratch.path(), "1", 30, 1)).go(NOW_MS).await.unwrap();
    let kept = disk(scratch.path(), "kept");
    let empty_place = empty(scratch.path(), "again").await;
    let nothing = empty_place.restore(&kept, None, BY, &mut |_| {}).await;
    assert!(matches!(nothing, Err(StoreError::NotFound { .. })), "{nothing:?}");
    let done = store.backup(&kept, NOW_MS, &mut |_| {}).await.unwrap();
    let mut harmed = 0;
    let mut open = vec![scratch.path().join("kept")];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let whole = std::fs::read(&path).unwrap();
            let mut bytes = whole.clone();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            let again = empty(scratch.path(), &format!("again{harmed}")).await;
            let refused = again.restore(&kept, None, BY, &mut |_| {}).await;
            let is_refused = matches!(refused, Err(StoreError::Corrupt { .. } | StoreError::NotFound { .. }));
            assert!(is_refused, "{}: {refused:?}", path.display());
            assert_eq!(again.catalog.verify_audit().await.unwrap(), 0, "nothing is restored");
            std::fs::write(&path, whole).unwrap();
            harmed += 1;
            // Begun again with a backup that is sound, it goes on.
            again.restore(&kept, None, BY, &mut |_| {}).await.unwrap();
            assert_eq!(wrong(&again).await, [""; 0], "{}", path.display());
        }
    }
    assert_eq!(harmed, done.files + 3);
    // A portal that is damaged itself is not backed up as if it were sound.
    let file = store.storage.list_released().await.unwrap().remove(0);
    std::fs::write(scratch.path().join("portal/released").join(&file.path), b"PAR1").unwrap();
    let elsewhere = disk(scratch.path(), "elsewhere");
    let refused = store.backup(&elsewhere, NOW_MS, &mut |_| {}).await;
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
    let nothing = empty_place.restore(&elsewhere, None, BY, &mut |_| {}).await;
    assert!(matches!(nothing, Err(StoreError::NotFound { .. })), "{nothing:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_undid_since_the_backup_does_not_come_back_by_itself() {
    let scratch = tempfile::tempdir().unwrap();
    let store = empty(scratch.path(), "portal").await;
    std::fs::create_dir(scratch.path().join("place")).unwrap();
    let with_place = |store: Store| super::refreshes::with_place(store, scratch.path());
    let publish = with_place(store.clone());
    let files = [1, 2, 3].map(|mark| trees(scratch.path(), &mark.to_string(), 30, mark));
    Road::new(&publish, "street-trees", &files[0]).go(NOW_MS).await.unwrap();
    let id = Road::new(&publish, "street-trees", &files[1]).stage(NOW_MS).await.unwrap();
    let screened = publish.screen(&operator(), &id, NOW_MS, |_| {}).await.unwrap();
    publish.approve(&operator(), &id, &screened.digest.unwrap(), NOW_MS).await.unwrap();
    publish.schedule(&operator(), &id, (NOW_MS + 60_000, None), NOW_MS).await.unwrap();
    Road::new(&publish, "bus-stops", &files[2]).go(NOW_MS).await.unwrap();
    let stops = portico_model::name::DatasetName::parse("bus-stops").unwrap();
    let declaration = super::refreshes::declaration();
    let source = publish.declare_source(&operator(), &stops, &declaration, NOW_MS).await.unwrap();
    publish.approve_source(&operator(), &stops, &source.record.digest, NOW_MS).await.unwrap();
    let kept = disk(scratch.path(), "kept");
    store.backup(&kept, NOW_MS, &mut |_| {}).await.unwrap();
    // Since then somebody has stopped both; the backup does not know.
    publish.unschedule(&operator(), &id, "not yet", NOW_MS).await.unwrap();
    publish.pause_source(&operator(), &stops, true, NOW_MS).await.unwrap();

    let again = empty(scratch.path(), "again").await;
    let restored = again.restore(&kept, None, BY, &mut |_| {}).await.unwrap();
    assert_eq!(restored.rested.sources, std::slice::from_ref(&stops));
    assert_eq!(restored.rested.releases.len(), 1);
    assert_eq!(wrong(&again).await, [""; 0]);
    let publish = with_place(again.clone());
    let later = super::LATER_MS;
    let due = publish.release_due(later).await.unwrap();
    assert!(due.released.is_empty() && due.failed.is_empty() && due.next_ms.is_none(), "{due:?}");
    assert_eq!(publish.refresh_due(later).await.unwrap(), None);
    // People say again that it shall be.
    publish.schedule(&operator(), &id, (later + 1, None), later).await.unwrap();
    assert_eq!(publish.release_due(later + 1).await.unwrap().released.len(), 1);
    publish.pause_source(&operator(), &stops, false, later).await.unwrap();
    assert!(publish.source(&operator(), &stops, later).await.unwrap().refresh.next_ms.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_that_is_discarded_meanwhile_is_left_out_and_a_released_file_never() {
    let scratch = tempfile::tempdir().unwrap();
    let store = empty(scratch.path(), "portal").await;
    let publish = publisher(store.clone(), scratch.path());
    let files = [1, 2].map(|mark| trees(scratch.path(), &mark.to_string(), 30, mark));
    Road::new(&publish, "street-trees", &files[0]).go(NOW_MS).await.unwrap();
    let open = Road::new(&publish, "street-trees", &files[1]).stage(NOW_MS).await.unwrap();
    publish.screen(&operator(), &open, NOW_MS, |_| {}).await.unwrap();
    let kept = disk(scratch.path(), "kept");
    // When the catalog is copied, and the files are not yet.
    let done = store
        .backup(&kept, NOW_MS, &mut |event| {
            if matches!(event, CopyEvent::Total(_)) {
                let discarding = async { publish.discard(&operator(), &open, NOW_MS).await.unwrap() };
                tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(discarding));
            }
        })
        .await
        .unwrap();
    assert!(done.left_out.len() > 1 && done.left_out.iter().all(|path| path.contains(&open)), "{done:?}");
    let again = empty(scratch.path(), "again").await;
    let restored = again.restore(&kept, None, BY, &mut |_| {}).await.unwrap();
    assert_eq!((restored.copy.files, restored.copy.bytes), (done.files, done.bytes));
    // The restored portal has the revision without its files, and says so.
    let found = wrong(&again).await;
    assert_eq!(found.len(), done.left_out.len(), "{found:?}");
    assert!(found.iter().all(|wrong| wrong.contains(&open)), "{found:?}");
    let publish = publisher(again.clone(), scratch.path());
    publish.discard(&operator(), &open, NOW_MS).await.unwrap();
    assert_eq!(wrong(&again).await, [""; 0]);

    let file = store.storage.list_released().await.unwrap().remove(0).path;
    let elsewhere = disk(scratch.path(), "elsewhere");
    let refused = store
        .backup(&elsewhere, NOW_MS, &mut |event| {
            if matches!(event, CopyEvent::Total(_)) {
                std::fs::remove_file(scratch.path().join("portal/released").join(&file)).unwrap();
            }
        })
        .await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_catalog_is_not_taken_for_that_of_a_storage_with_releases() {
    let scratch = tempfile::tempdir().unwrap();
    let store = empty(scratch.path(), "portal").await;
    let kept = disk(scratch.path(), "kept");
    // A portal that has just begun may be backed up and comes back.
    assert!(!store.lacks_its_catalog().await.unwrap());
    let nothing = store.backup(&kept, NOW_MS - 1, &mut |_| {}).await.unwrap();
    assert_eq!(nothing.files, 0);
    let first = empty(scratch.path(), "first").await;
    assert_eq!(first.restore(&kept, None, BY, &mut |_| {}).await.unwrap().copy.stamp, nothing.stamp);
    let publish = publisher(store.clone(), scratch.path());
    Road::new(&publish, "street-trees", &trees(scratch.path(), "1", 30, 1)).go(NOW_MS).await.unwrap();
    assert!(!store.lacks_its_catalog().await.unwrap());
    let whole = store.backup(&kept, NOW_MS, &mut |_| {}).await.unwrap();
    let other = Catalog::open("sqlite::memory:").await.unwrap();
    let lost = Store { storage: store.storage.clone(), catalog: other };
    assert!(lost.lacks_its_catalog().await.unwrap());
    // Made all the same, by another program, it is not the one that is restored.
    let hollow = lost.backup(&kept, NOW_MS + 1, &mut |_| {}).await.unwrap();
    assert_eq!(hollow.files, 0);
    let again = empty(scratch.path(), "again").await;
    let restored = again.restore(&kept, None, BY, &mut |_| {}).await.unwrap();
    assert_eq!(restored.copy.stamp, whole.stamp);
    assert_eq!(wrong(&again).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_storage_that_is_ahead_of_the_catalog_a_revision_is_released_as_it_was_screened_last() {
    let scratch = tempfile::tempdir().unwrap();
    let store = empty(scratch.path(), "portal").await;
    let publish = publisher(store.clone(), scratch.path());
    let files = [1, 2].map(|mark| trees(scratch.path(), &mark.to_string(), 30, mark));
    Road::new(&publish, "street-trees", &files[0]).go(NOW_MS).await.unwrap();
    let id = Road::new(&publish, "street-trees", &files[1]).stage(NOW_MS).await.unwrap();
    let kept = disk(scratch.path(), "kept");
    store.backup(&kept, NOW_MS, &mut |_| {}).await.unwrap();
    let mut road = Road { id: Some(id.clone()), ..Road::new(&publish, "street-trees", &files[1]) };
    assert_eq!(road.go(NOW_MS).await.unwrap(), 2);
    // The catalog is lost, the storage is not. The revision is read otherwise this time.
    let catalog = empty(scratch.path(), "again").await.catalog;
    let again = Store { storage: store.storage.clone(), catalog };
    again.restore(&kept, None, BY, &mut |_| {}).await.unwrap();
    let publish = publisher(again.clone(), scratch.path());
    let mut options = portico_publish::ReadOptions::named("trees.csv");
    options.null_values = vec!["Elm".to_owned()];
    let amendment = portico_publish::Amendment { metadata: None, options: Some(options) };
    publish.amend(&operator(), &id, amendment, NOW_MS).await.unwrap();
    let mut road = Road { id: Some(id), ..Road::new(&publish, "street-trees", &files[1]) };
    assert_eq!(road.go(NOW_MS).await.unwrap(), 2);
    assert_eq!(wrong(&again).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_rots_in_a_backup_is_found_and_mended_within_a_month() {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let scratch = tempfile::tempdir().unwrap();
    let store = empty(scratch.path(), "portal").await;
    let publish = publisher(store.clone(), scratch.path());
    Road::new(&publish, "street-trees", &trees(scratch.path(), "1", 30, 1)).go(NOW_MS).await.unwrap();
    let kept = disk(scratch.path(), "kept");
    store.backup(&kept, NOW_MS, &mut |_| {}).await.unwrap();
    let file = store.storage.list_released().await.unwrap().remove(0).path;
    let file = scratch.path().join("kept/released").join(file);
    let whole = std::fs::read(&file).unwrap();
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 1;
    std::fs::write(&file, damaged).unwrap();
    let mut copied = 0;
    for day in 1..=29 {
        copied += store.backup(&kept, NOW_MS + day * DAY_MS, &mut |_| {}).await.unwrap().copied_files;
    }
    assert_eq!((copied, std::fs::read(&file).unwrap() == whole), (1, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_backup_brings_nothing_purged_back_into_a_storage_that_was_kept() {
    let scratch = tempfile::tempdir().unwrap();
    let store = empty(scratch.path(), "portal").await;
    let publish = publisher(store.clone(), scratch.path());
    for mark in [1, 2] {
        let file = trees(scratch.path(), &mark.to_string(), 30, mark);
        Road::new(&publish, "street-trees", &file).go(NOW_MS).await.unwrap();
    }
    let kept = disk(scratch.path(), "kept");
    store.backup(&kept, NOW_MS, &mut |_| {}).await.unwrap();
    let first = portico_model::name::VersionRef { dataset: super::faults::street_trees(), version: 1 };
    store.catalog.withdraw(&first, "It named people.", "cio", NOW_MS).await.unwrap();
    publish.purge(&operator(), &first, ("It named people.", "street-trees@1"), NOW_MS).await.unwrap();
    let left = store.storage.list_released().await.unwrap();
    assert_eq!(left.len(), 1);
    let catalog = empty(scratch.path(), "again").await.catalog;
    let again = Store { storage: store.storage.clone(), catalog };
    let refused = again.restore(&kept, None, BY, &mut |_| {}).await;
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
    assert_eq!(again.storage.list_released().await.unwrap(), left);
}
