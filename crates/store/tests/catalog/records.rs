//! Purges, counts and reports in the catalog, on every database.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portico_model::name::VersionRef;
use portico_model::policy::VersionState;
use portico_store::{
    Catalog, CatalogMoment, CommentRecord, CommentState, Erasure, Needles, NoticeRecord, PageText, PurgeReport,
    ReportRecord, StoreError, UseCount, month_of,
};

use crate::sample::{NOW, metadata, name, release, released};
use crate::{World, approved, worlds};

const CANARY: &str = "canary-in-a-statistic";

fn second() -> VersionRef {
    VersionRef { dataset: name("trees"), version: 2 }
}

/// Two versions, of which the second has a canary in its statistics.
async fn two_versions(world: &World) {
    for (id, number) in [("01A", 1), ("01B", 2)] {
        approved(&world.catalog, "trees", id).await;
        let mut file = released(&format!("ROOT/{id}.part.parquet"), id.as_bytes());
        if number == 2 {
            file.columns[1].max = Some(portico_model::manifest::StatisticValue::Text(CANARY.into()));
        }
        let record = release(id, "trees", number, i64::from(number), vec![file]);
        world.catalog.release(&record, "operator", NOW).await.unwrap();
    }
}

#[tokio::test]
async fn a_purged_version_is_a_tombstone_and_the_database_has_forgotten_the_rest() {
    for world in worlds().await {
        two_versions(&world).await;
        let catalog = &world.catalog;
        let needles = Needles::new([CANARY]).unwrap();
        assert!(catalog.search(&needles).await.unwrap() > 0, "{}", world.name);
        let early = catalog.ask_purge(&second(), "It leaks.", "ana", NOW).await;
        assert!(matches!(early, Err(StoreError::Conflict { .. })), "{}: {early:?}", world.name);
        catalog.withdraw(&second(), "It leaks.", "ana", NOW).await.unwrap();
        let erasure = Erasure {
            revisions: Vec::new(),
            metadata: None,
            report: PurgeReport { log_entries: 3, ..PurgeReport::default() },
            holder: "p".into(),
        };
        assert!(matches!(catalog.confirm_purge(&second(), "bo", NOW).await, Err(StoreError::NotFound { .. })));
        let asked = catalog.ask_purge(&second(), "It leaks.", "ana", NOW).await.unwrap();
        assert_eq!(catalog.ask_purge(&second(), "Again.", "eve", NOW + 1).await.unwrap(), asked);
        let unconfirmed = catalog.erase_version(&second(), &erasure, NOW).await;
        assert!(matches!(unconfirmed, Err(StoreError::Conflict { .. })), "{}", world.name);
        let confirmed = catalog.confirm_purge(&second(), "bo", NOW + 2).await.unwrap();
        assert_eq!(catalog.confirm_purge(&second(), "eve", NOW + 3).await.unwrap(), confirmed);
        // Under somebody else's lease nothing happens.
        catalog.lease(&name("trees"), "another", NOW, 1_000).await.unwrap();
        assert!(catalog.erase_version(&second(), &erasure, NOW).await.is_err(), "{}", world.name);
        catalog.lease(&name("trees"), "p", NOW + 2_000, 1_000).await.unwrap();
        for at_ms in [NOW + 4, NOW + 5] {
            let erased = catalog.erase_version(&second(), &erasure, at_ms).await.unwrap();
            assert_eq!((erased.erased_ms, erased.report), (Some(NOW + 4), Some(erasure.report.clone())));
        }
        catalog.wipe().await.unwrap();
        assert_eq!(catalog.search(&needles).await.unwrap(), 0, "{}", world.name);
        let done = catalog.finish_purge(&second(), &erasure.report, NOW + 6).await.unwrap();
        assert_eq!(catalog.purge(&second()).await.unwrap(), Some(done.clone()));
        assert_eq!(catalog.purges(None).await.unwrap(), [done]);
        let record = world.another().await.version(&name("trees"), 2).await.unwrap().unwrap();
        assert_eq!((record.state, record.manifest.files.len()), (VersionState::Purged, 0), "{}", world.name);
        assert_eq!(record.withdrawn_reason.as_deref(), Some("It leaks."));
        catalog.withdraw(&second(), "Again.", "ana", NOW).await.unwrap();
        let summaries = catalog.versions(&name("trees")).await.unwrap();
        assert_eq!((summaries[0].state, summaries[0].rows), (VersionState::Purged, 0), "{}", world.name);
        catalog.verify_audit().await.unwrap();
    }
}

#[tokio::test]
async fn withdrawals_are_heard_of_once() {
    for world in worlds().await {
        two_versions(&world).await;
        let other = world.another().await;
        let (seen, withdrawn) = other.withdrawn_after(0).await.unwrap();
        assert_eq!(withdrawn, [], "{}", world.name);
        world.catalog.withdraw(&second(), "It leaks.", "ana", NOW).await.unwrap();
        let (later, withdrawn) = other.withdrawn_after(seen).await.unwrap();
        assert_eq!((withdrawn, later), (vec![second()], seen + 1), "{}", world.name);
        assert_eq!(other.withdrawn_after(later).await.unwrap(), (later, Vec::new()));
        assert_eq!(other.newest_withdrawn(&name("trees")).await.unwrap(), None);
        let first = VersionRef { version: 1, ..second() };
        world.catalog.withdraw(&first, "It leaks.", "ana", NOW).await.unwrap();
        assert_eq!(other.newest_withdrawn(&name("trees")).await.unwrap().unwrap().version, second());
        assert_eq!(other.newest_withdrawn(&name("parks")).await.unwrap(), None);
    }
}

#[tokio::test]
async fn counts_add_up_and_a_batch_counts_once() {
    for world in worlds().await {
        two_versions(&world).await;
        let count = |version, column: &str, uses| UseCount {
            month: month_of(NOW),
            dataset: name("trees"),
            version,
            protocol: "sql".into(),
            format: "json".into(),
            column: column.into(),
            uses,
        };
        let batch = [count(1, "", 3), count(1, "kind", 2), count(2, "", 1)];
        for id in ["a", "a", "b"] {
            world.catalog.add_uses(id, &batch, NOW).await.unwrap();
        }
        let sums = [count(1, "", 6), count(1, "kind", 4), count(2, "", 2)];
        assert_eq!(world.catalog.uses("2023-11", "2023-11", false).await.unwrap(), sums, "{}", world.name);
        world.catalog.withdraw(&second(), "It leaks.", "ana", NOW).await.unwrap();
        assert_eq!(world.catalog.uses("2023-11", "2023-11", false).await.unwrap(), sums[..2], "{}", world.name);
        assert_eq!(world.catalog.uses("2023-11", "2023-11", true).await.unwrap(), sums, "{}", world.name);
        if world.name == "file" {
            world.tamper("UPDATE use_count SET uses = 1000 WHERE name = 'kind'").await;
            let read = world.catalog.uses("2023-11", "2023-11", false).await;
            assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{read:?}");
        }
    }
}

#[tokio::test]
async fn a_large_batch_leaves_room_for_others_and_counts_once() {
    for world in worlds().await {
        two_versions(&world).await;
        let count = |number: usize| UseCount {
            month: month_of(NOW),
            dataset: name("trees"),
            version: 1,
            protocol: "sql".into(),
            format: "json".into(),
            column: format!("column_{number:04}"),
            uses: 2,
        };
        let batch: Vec<UseCount> = (0..450).map(count).collect();
        // The third transaction fails: the two before it have ended, and anybody could have written in between.
        let begun = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&begun);
        let interrupted = world.catalog.interrupted_by(Arc::new(move |moment| {
            let fails = moment == CatalogMoment::Begin && counted.fetch_add(1, Ordering::SeqCst) == 2;
            Box::pin(async move {
                match fails {
                    true => Err(StoreError::Unavailable { what: "the catalog", source: "cut off".into() }),
                    false => Ok(()),
                }
            })
        }));
        let failed = interrupted.add_uses("a", &batch, NOW).await;
        assert!(matches!(failed, Err(StoreError::Unavailable { .. })), "{}: {failed:?}", world.name);
        assert_eq!(world.catalog.uses("2023-11", "2023-11", true).await.unwrap(), batch[..400], "{}", world.name);
        for _ in 0..2 {
            world.catalog.add_uses("a", &batch, NOW).await.unwrap();
            assert_eq!(world.catalog.uses("2023-11", "2023-11", true).await.unwrap(), batch, "{}", world.name);
        }
    }
}

#[tokio::test]
async fn a_damaged_row_keeps_no_other_back() {
    for world in worlds().await.into_iter().filter(|world| world.name != "memory") {
        let catalog = &world.catalog;
        two_versions(&world).await;
        catalog.put_dataset(&metadata("parks"), "steward", NOW).await.unwrap();
        let notice = |id: &str| NoticeRecord {
            id: id.to_owned(),
            created_ms: NOW,
            way: "mail".to_owned(),
            to: "steward@city.example".to_owned(),
            kind: "late".to_owned(),
            dataset: name("trees"),
            revision: None,
            reasons: vec![CANARY.to_owned()],
            attempts: 0,
        };
        for (dataset, id) in [("parks", "n1"), ("trees", "n2")] {
            catalog.declare_source(&name(dataset), ("digest", "{}", false), "ana", NOW).await.unwrap();
            let seen = catalog.refresh(&name(dataset)).await.unwrap().unwrap();
            assert!(catalog.note_late(&seen, &[notice(id)]).await.unwrap(), "{}", world.name);
        }
        world.tamper("UPDATE notice SET seal = 'x' WHERE id = 'n1'").await;
        world.tamper("UPDATE refresh SET seal = 'x' WHERE dataset = 'parks'").await;
        assert_eq!(catalog.resting_refreshes().await.unwrap(), [name("parks"), name("trees")], "{}", world.name);
        assert!(matches!(catalog.refresh(&name("parks")).await, Err(StoreError::Corrupt { .. })));
        let taken = catalog.take_notices(NOW, 1_000).await.unwrap();
        assert_eq!(taken, [notice("n2")], "{}", world.name);
        // The damaged one stays where it is.
        assert_eq!(catalog.take_notices(NOW + 999, 1_000).await.unwrap(), [], "{}", world.name);
        // Purges are found by what names them.
        catalog.withdraw(&second(), "It leaks.", "ana", NOW).await.unwrap();
        catalog.ask_purge(&second(), "It leaks.", "ana", NOW).await.unwrap();
        world.tamper("UPDATE purge SET seal = 'x'").await;
        assert_eq!(catalog.open_purges().await.unwrap(), [second()], "{}", world.name);
        assert!(matches!(catalog.purge(&second()).await, Err(StoreError::Corrupt { .. })), "{}", world.name);
        assert_eq!(catalog.withdrawn_ms(&second()).await.unwrap(), Some(NOW), "{}", world.name);
        let first = VersionRef { version: 1, ..second() };
        assert_eq!(catalog.withdrawn_ms(&first).await.unwrap(), None, "{}", world.name);
    }
}

#[tokio::test]
async fn a_published_report_stays_and_comments_have_one_state() {
    for world in worlds().await {
        let catalog = &world.catalog;
        let draft = ReportRecord {
            year: 2026,
            drafted_ms: NOW,
            drafted_by: "ana".into(),
            sections: Vec::new(),
            recommendations: "More.".into(),
            opens_ms: None,
            closes_ms: None,
            published_by: None,
        };
        catalog.put_report(&draft, "ana", NOW).await.unwrap();
        let better = ReportRecord { recommendations: "Much more.".into(), ..draft };
        catalog.put_report(&better, "ana", NOW).await.unwrap();
        let published = ReportRecord { opens_ms: Some(NOW), closes_ms: Some(NOW + 1), ..better.clone() };
        for _ in 0..2 {
            catalog.put_report(&published, "cy", NOW).await.unwrap();
        }
        let late = catalog.put_report(&better, "ana", NOW).await;
        assert!(matches!(late, Err(StoreError::Conflict { .. })), "{}: {late:?}", world.name);
        assert_eq!(catalog.reports().await.unwrap(), [published]);
        let comment = |id: &str| CommentRecord {
            id: id.into(),
            year: 2026,
            at_ms: NOW,
            name: String::new(),
            text: "Well done.".into(),
            findings: Vec::new(),
            state: CommentState::Held,
            moderated_by: None,
            reason: None,
        };
        catalog.insert_comment(&comment("01A"), 2).await.unwrap();
        catalog.insert_comment(&comment("01B"), 2).await.unwrap();
        assert!(matches!(catalog.insert_comment(&comment("01C"), 2).await, Err(StoreError::Conflict { .. })));
        let accepted = (CommentState::Accepted, None);
        let seen = catalog.moderate_comment("01A", accepted, "ana", NOW).await.unwrap();
        assert_eq!(catalog.moderate_comment("01A", accepted, "bo", NOW).await.unwrap(), seen);
        assert!(matches!(catalog.moderate_comment("01Z", accepted, "bo", NOW).await, Err(StoreError::NotFound { .. })));
        assert_eq!(catalog.comments(2026, Some(CommentState::Accepted), 10).await.unwrap(), [seen], "{}", world.name);
        assert_eq!(catalog.comments(2026, None, 10).await.unwrap().len(), 2);
        catalog.verify_audit().await.unwrap();
    }
}

#[tokio::test]
async fn a_page_says_what_was_written_last_and_keeps_what_it_said() {
    for world in worlds().await {
        let catalog = &world.catalog;
        let said = |text: &str| Some(PageText { title: "Terms".into(), text: text.into() });
        assert_eq!(catalog.page("terms").await.unwrap(), None, "{}", world.name);
        let first = catalog.put_page("terms", (said("one"), 0), 3, ("ana", NOW)).await.unwrap();
        assert_eq!((first.number, first.by.as_str(), first.at_ms), (1, "ana", NOW));
        // Said twice it is said once; what somebody else has written meanwhile is not written over.
        assert_eq!(catalog.put_page("terms", (said("one"), 0), 3, ("bo", NOW + 1)).await.unwrap(), first);
        let late = catalog.put_page("terms", (said("two"), 0), 3, ("bo", NOW)).await;
        assert!(matches!(late, Err(StoreError::Conflict { .. })), "{}: {late:?}", world.name);
        let (one, other) = tokio::join!(
            catalog.put_page("terms", (said("two"), 1), 3, ("bo", NOW)),
            catalog.put_page("terms", (said("three"), 1), 3, ("cy", NOW)),
        );
        assert!(one.is_ok() != other.is_ok(), "{}: {one:?} {other:?}", world.name);
        catalog.put_page("terms", (None, 2), 3, ("ana", NOW)).await.unwrap();
        catalog.put_page("terms", (said("four\u{0}"), 3), 3, ("ana", NOW)).await.unwrap();
        catalog.put_page("handbook", (said("five"), 0), 3, ("ana", NOW)).await.unwrap();
        let numbers: Vec<i64> =
            catalog.page_history(Some("terms")).await.unwrap().iter().map(|page| page.number).collect();
        assert_eq!(numbers, [4, 3, 2], "{}", world.name);
        assert_eq!(catalog.page("terms").await.unwrap().unwrap().said, said("four\u{0}"), "{}", world.name);
        assert_eq!(catalog.page_history(None).await.unwrap().len(), 4, "{}", world.name);
        catalog.verify_audit().await.unwrap();
        if world.name == "file" {
            world.tamper("UPDATE page SET number = 9 WHERE number = 3").await;
            let read = catalog.page("terms").await;
            assert!(matches!(read, Err(StoreError::Corrupt { .. })), "{read:?}");
        }
    }
}

/// What the kernel knows of this process's locks on a file.
fn locks_on(path: &std::path::Path) -> Vec<String> {
    use std::os::unix::fs::MetadataExt as _;
    let (inode, process) = (std::fs::metadata(path).unwrap().ino().to_string(), std::process::id().to_string());
    let all = std::fs::read_to_string("/proc/locks").unwrap();
    let ours = all.lines().filter(|lock| {
        let words: Vec<&str> = lock.split_whitespace().collect();
        words.get(4) == Some(&process.as_str()) && words.get(5).and_then(|file| file.rsplit(':').next()) == Some(&inode)
    });
    // Without their numbers, which change.
    ours.map(|lock| lock.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")).collect()
}

#[tokio::test]
async fn a_search_leaves_the_locks_of_the_database_where_they_are() {
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("catalog.sqlite");
    let catalog = Catalog::open(&format!("sqlite://{}", file.display())).await.unwrap();
    catalog.put_dataset(&metadata("trees"), "steward", NOW).await.unwrap();
    let before = locks_on(&file);
    assert!(!before.is_empty(), "whoever has the database open holds a lock on it");
    for _ in 0..2 {
        catalog.search(&Needles::new(["nowhere to be found"]).unwrap()).await.unwrap();
        assert_eq!(locks_on(&file), before);
    }
}
