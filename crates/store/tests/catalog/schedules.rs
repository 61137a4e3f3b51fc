//! Schedules: of what is approved, released when due, and by nobody twice.

use portico_model::revision::RevisionState;
use portico_store::{ScheduleRecord, StoreError};

use crate::sample::{NOW, name, release, released};
use crate::{approved, worlds};

const DUE: i64 = NOW + 1_000;

fn plan(id: &str, release_at_ms: i64) -> ScheduleRecord {
    ScheduleRecord {
        revision: id.to_owned(),
        dataset: name("trees"),
        release_at_ms,
        next_try_ms: Some(release_at_ms),
        tries: 0,
        announced: false,
        scheduled_by: "odette".to_owned(),
        scheduled_ms: NOW,
        failure: None,
    }
}

fn digest(record: &portico_store::RevisionRecord) -> String {
    record.approved_digest.clone().unwrap()
}

#[tokio::test]
async fn a_scheduled_revision_is_released_when_it_is_due_and_not_before() {
    for world in worlds().await {
        let catalog = &world.catalog;
        let record = approved(catalog, "trees", "01R").await;
        let unlike = catalog.schedule(&plan("01R", DUE), "another", 9, NOW).await;
        assert!(matches!(unlike, Err(StoreError::Conflict { .. })), "{} {unlike:?}", world.name);
        let full = catalog.schedule(&plan("01R", DUE), &digest(&record), 0, NOW).await;
        assert!(matches!(full, Err(StoreError::Conflict { .. })), "{} {full:?}", world.name);
        catalog.schedule(&plan("01R", DUE), &digest(&record), 9, NOW).await.unwrap();
        let rows = catalog.verify_audit().await.unwrap();
        catalog.schedule(&plan("01R", DUE), &digest(&record), 9, NOW).await.unwrap();
        assert_eq!(catalog.verify_audit().await.unwrap(), rows, "a second time nothing happens");
        assert_eq!(world.another().await.schedules().await.unwrap(), [plan("01R", DUE)], "{}", world.name);

        let file = released("ROOT/01R.parquet", b"01R");
        let release = release("01R", "trees", 1, 0, vec![file]);
        for early in [
            catalog.release(&release, "operator", DUE).await,
            catalog.release_scheduled(&release, "the clock", DUE - 1).await,
        ] {
            assert!(matches!(early, Err(StoreError::Conflict { .. })), "{} {early:?}", world.name);
        }
        catalog.release_scheduled(&release, "the clock", DUE).await.unwrap();
        assert_eq!(catalog.schedules().await.unwrap(), []);
        assert_eq!(catalog.revision("01R").await.unwrap().unwrap().state, RevisionState::Released);
    }
}

#[tokio::test]
async fn a_schedule_is_entered_and_left_through_the_calendar_alone() {
    for world in worlds().await {
        let catalog = &world.catalog;
        let record = approved(catalog, "trees", "01R").await;
        let mut by_hand = record.clone();
        by_hand.state = RevisionState::Scheduled;
        let refused = catalog.update_revision(RevisionState::Approved, &by_hand, "eve", NOW).await;
        assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{} {refused:?}", world.name);
        catalog.schedule(&plan("01R", DUE), &digest(&record), 9, NOW).await.unwrap();
        let refused = catalog.update_revision(RevisionState::Scheduled, &record, "eve", NOW).await;
        assert!(matches!(refused, Err(StoreError::Invalid { .. })), "{} {refused:?}", world.name);
        catalog.unschedule("01R", "not yet", "odette", NOW).await.unwrap();
        catalog.unschedule("01R", "not yet", "odette", NOW).await.unwrap();
        assert_eq!(catalog.revision("01R").await.unwrap().unwrap().state, RevisionState::Approved);
        // A release on its way by the clock does not happen any more.
        let release = release("01R", "trees", 1, 0, vec![released("ROOT/01R.parquet", b"01R")]);
        let late = catalog.release_scheduled(&release, "the clock", DUE).await;
        assert!(matches!(late, Err(StoreError::Conflict { .. })), "{} {late:?}", world.name);
    }
}

#[tokio::test]
async fn one_server_takes_a_try() {
    for world in worlds().await {
        let catalog = &world.catalog;
        let record = approved(catalog, "trees", "01R").await;
        catalog.schedule(&plan("01R", DUE), &digest(&record), 9, NOW).await.unwrap();
        let seen = plan("01R", DUE);
        assert!(catalog.take_try(&seen, Some(DUE + 60)).await.unwrap());
        assert!(!world.another().await.take_try(&seen, Some(DUE + 60)).await.unwrap(), "{}", world.name);
        catalog.note_failure("01R", ("conflict", "somebody is at work"), "the clock", DUE).await.unwrap();
        let after = catalog.schedule_of("01R").await.unwrap().unwrap();
        assert_eq!((after.tries, after.next_try_ms), (1, Some(DUE + 60)));
        assert_eq!(after.failure.as_deref(), Some("somebody is at work"));
    }
}

#[tokio::test]
async fn a_damaged_schedule_is_not_believed() {
    for world in worlds().await.into_iter().filter(|world| world.name != "memory") {
        let catalog = &world.catalog;
        let record = approved(catalog, "trees", "01R").await;
        catalog.schedule(&plan("01R", DUE), &digest(&record), 9, NOW).await.unwrap();
        world.tamper("UPDATE schedule SET release_at_ms = release_at_ms - 1").await;
        for damaged in [catalog.schedules().await.map(drop), catalog.schedule_of("01R").await.map(drop)] {
            assert!(matches!(damaged, Err(StoreError::Corrupt { .. })), "{} {damaged:?}", world.name);
        }
        // Others are not kept back by it, and its dataset is.
        let other = approved(catalog, "parks", "01P").await;
        let parks = ScheduleRecord { dataset: name("parks"), ..plan("01P", DUE) };
        catalog.schedule(&parks, &digest(&other), 9, NOW).await.unwrap();
        let (sound, held_up) = catalog.sound_schedules().await.unwrap();
        assert_eq!(sound, [parks], "{}", world.name);
        assert!(!held_up.is_empty() && held_up.iter().all(|held| *held == name("trees")), "{held_up:?}");
    }
}

#[tokio::test]
async fn a_schedule_is_in_backups() {
    let world = worlds().await.remove(0);
    let record = approved(&world.catalog, "trees", "01R").await;
    world.catalog.schedule(&plan("01R", DUE), &digest(&record), 9, NOW).await.unwrap();
    let open = || portico_store::Storage::open("memory://", &std::collections::BTreeMap::new()).unwrap();
    let (storage, kept) = (open(), open());
    // A backup reads every file that an open revision names.
    let local = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(local.path(), "01R").unwrap();
    assert_eq!(storage.put_staged(&record.staged.path, local.path()).await.unwrap(), record.staged);
    let store = portico_store::Store { storage, catalog: world.catalog.clone() };
    store.backup(&kept, NOW, &mut |_| {}).await.unwrap();
    let catalog = portico_store::Catalog::open("sqlite::memory:").await.unwrap();
    let restored = portico_store::Store { storage: open(), catalog };
    let done = restored.restore(&kept, None, ("odette", DUE), &mut |_| {}).await.unwrap();
    assert_eq!(done.rested.releases, [("01R".to_owned(), name("trees"))]);
    // It is there, and waits for people.
    let [waiting] = restored.catalog.schedules().await.unwrap().try_into().unwrap();
    assert!(waiting.failure.as_deref().unwrap().contains("restored"), "{waiting:?}");
    let same = ScheduleRecord { next_try_ms: Some(DUE), failure: None, ..waiting.clone() };
    assert_eq!((waiting.next_try_ms, same), (None, plan("01R", DUE)));
    let audit = restored.catalog.audit(None, 0, 100).await.unwrap();
    let last = audit.last().unwrap();
    assert_eq!((last.action.as_str(), last.principal.as_str(), last.at_ms), ("portal.restored", "odette", DUE));
    assert!(last.detail.contains(&done.copy.stamp) && last.detail.contains("01R"), "{}", last.detail);
    assert_eq!(restored.catalog.verify_audit().await.unwrap(), last.sequence);
    // Scheduled anew it is tried again.
    restored.catalog.schedule(&plan("01R", DUE + 9), &digest(&record), 9, DUE).await.unwrap();
    assert_eq!(restored.catalog.schedules().await.unwrap(), [plan("01R", DUE + 9)]);
}
