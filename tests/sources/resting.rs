//! Sources that are not what was approved, and those that are not read.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_pointed_elsewhere_is_approved_again() {
    let mut office = Office::new().await;
    let source = office.declare(&daily()).await;
    office.approve(&source).await;
    office.drop(&trees(101));
    assert_eq!(office.refresh(NOW_MS).await.outcome, "released");
    // The operator gives the name to another directory, in which there is something that is like it.
    office.place = tempfile::tempdir().unwrap();
    let fetcher = Fetcher::new(FetchSettings::default(), Default::default());
    let elsewhere = sources(office.place.path(), fetcher, NoticeSettings::default());
    office.publisher = office.world.publisher.clone().with_sources(elsewhere);
    office.drop(&trees(102));
    let next = office.source().await.refresh.next_ms.unwrap();
    let run = office.refresh(next).await;
    assert_eq!((run.outcome.as_str(), run.reasons.len()), ("held", 1), "{:?}", run.reasons);
    assert!(run.reasons[0].contains("approved again"), "{:?}", run.reasons);
    let path = office.place.path().to_string_lossy().into_owned();
    let told = format!("{:?} {:?}", office.source().await, office.world.store.catalog.audit(None, 0, 1_000).await);
    assert!(!told.contains(&path), "{told}");
    assert_eq!(office.rows().await, "101\n");
    // The same declaration, approved for what it stands for now.
    office.approve(&source).await;
    office.approve(&source).await;
    let approvals = office.world.store.catalog.audit(None, 0, 1_000).await.unwrap();
    assert_eq!(approvals.iter().filter(|entry| entry.action == "source.approved").count(), 2);
    office.drop(&trees(103));
    assert_eq!(office.refresh(next).await.outcome, "released");
    assert_eq!(office.rows().await, "103\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_pauses_a_source_is_told_when_it_is_late() {
    let webhook_url = "https://hooks.city.example/portico".to_owned();
    let notices = NoticeSettings { webhook_url, ..NoticeSettings::default() };
    let office = Office::with(Fetcher::new(FetchSettings::default(), Default::default()), notices).await;
    let declaration = Declaration { tolerance: Tolerance { late_hours: Some(48), ..Tolerance::default() }, ..daily() };
    let source = office.declare(&declaration).await;
    office.approve(&source).await;
    office.drop(&trees(101));
    assert_eq!(office.refresh(NOW_MS).await.outcome, "released");
    let late = NOW_MS + 48 * HOUR_MS + 1;
    assert_eq!(office.publisher.note_late(late).await.unwrap(), 0, "it is read, and tells of itself");
    office.publisher.pause_source(&steward(), &dataset(), true, NOW_MS).await.unwrap();
    assert!(office.publisher.refresh_due(late).await.unwrap().is_none());
    assert_eq!(office.publisher.note_late(late - 1).await.unwrap(), 0);
    assert_eq!(office.publisher.note_late(late).await.unwrap(), 1);
    assert_eq!(office.publisher.note_late(late + DAY_MS).await.unwrap(), 0, "once is enough");
    let told = office.world.store.catalog.take_notices(late, HOUR_MS).await.unwrap();
    let [notice] = told.as_slice() else { panic!("{told:?}") };
    assert_eq!(notice.kind, "late");
    assert!(notice.reasons.iter().any(|reason| reason.contains("is paused")), "{notice:?}");
    // It goes on, and is told of again once it is late again.
    office.publisher.pause_source(&steward(), &dataset(), false, late).await.unwrap();
    office.publisher.run_source(&steward(), &dataset(), late).await.unwrap();
    assert_eq!(office.refresh(late).await.outcome, "unchanged");
    office.publisher.pause_source(&steward(), &dataset(), true, late).await.unwrap();
    assert_eq!(office.publisher.note_late(late + 48 * HOUR_MS).await.unwrap(), 0);
    assert_eq!(office.publisher.note_late(late + 48 * HOUR_MS + 1).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_after_a_withdrawn_version_is_held() {
    let office = Office::new().await;
    let source = office.declare(&daily()).await;
    office.approve(&source).await;
    office.drop(&trees(101));
    assert_eq!(office.refresh(NOW_MS).await.version, Some(2));
    let second = portico_model::name::VersionRef { dataset: dataset(), version: 2 };
    office.publisher.withdraw(&office.world.operator, &second, "It named people.", NOW_MS).await.unwrap();
    assert_eq!(office.rows().await, "100\n");
    // One row more, and nothing else: like the first version it is, and like the one that was withdrawn.
    office.drop(&trees(102));
    let next = office.source().await.refresh.next_ms.unwrap();
    let run = office.refresh(next).await;
    assert_eq!((run.outcome.as_str(), run.reasons.len()), ("held", 1), "{:?}", run.reasons);
    assert!(run.reasons[0].contains("was withdrawn"), "{:?}", run.reasons);
    assert_eq!(office.rows().await, "100\n");
    // Once people have let a version through, the source goes on by itself.
    let id = run.revision.unwrap();
    let digest = office.publisher.revision(&steward(), &id, next).await.unwrap().digest.unwrap();
    office.publisher.recommend(&steward(), &id, (&digest, ""), next).await.unwrap();
    office.publisher.approve(&cio(), &id, &digest, next).await.unwrap();
    office.publisher.release(&cio(), &id, next).await.unwrap();
    office.drop(&trees(103));
    let run = office.refresh(office.source().await.refresh.next_ms.unwrap()).await;
    assert_eq!((run.outcome.as_str(), run.version), ("released", Some(4)), "{:?}", run.reasons);
}
