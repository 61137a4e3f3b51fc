//! Releases at a time that was set: public at the second, and not before, wherever the public looks.

use arrow_flight::FlightDescriptor;
use arrow_flight::flight_service_client::FlightServiceClient;
use http::StatusCode;
use portico_model::problem::ProblemKind;
use portico_model::revision::RevisionState;
use portico_publish::Revision;

use crate::world::{NOW_MS, World};

pub(crate) const BUDGET: &[u8] = b"line,amount\nCanaryRoads,10\nCanaryParks,20\n";
/// When staff decide; the world's own clock stands at the time of the release.
const BEFORE_MS: i64 = NOW_MS - 60_000;

/// A revision of a dataset that nobody knows yet, approved.
async fn approved(world: &World, dataset: &str, bytes: &[u8]) -> Revision {
    let screened = world.screen(dataset, "budget.csv", bytes, "").await;
    let digest = screened.digest.clone().unwrap();
    world.publisher.approve(&world.operator, &screened.id, &digest, BEFORE_MS).await.unwrap()
}

async fn scheduled(world: &World, dataset: &str, bytes: &[u8], at_ms: i64, announced: Option<bool>) -> Revision {
    let id = approved(world, dataset, bytes).await.id;
    world.publisher.schedule(&world.operator, &id, (at_ms, announced), BEFORE_MS).await.unwrap()
}

/// All that the public may look at, and whether any of it tells of the dataset.
pub(crate) async fn tells(world: &World) -> Vec<String> {
    let mut told = Vec::new();
    for path in [
        "/",
        "/calendar",
        "/calendar.ics",
        "/api/calendar",
        "/api/datasets",
        "/api/datasets/budget",
        "/api/datasets/budget/versions",
        "/datasets/budget",
        "/datasets/budget.csv",
        "/datasets/budget.parquet",
        "/datasets/budget/versions/1.csv",
        "/robots.txt",
        "/openapi.json",
    ] {
        let text = world.get(path).await.text_lossy();
        if text.contains("The budget") || text.contains("Canary") {
            told.push(path.to_owned());
        }
    }
    for sql in ["select * from budget", "show tables", "select table_name from information_schema.tables"] {
        let text = world.sql(sql, "csv").await.text_lossy();
        if text.contains("Canary") || (sql != "select * from budget" && text.contains("budget")) {
            told.push(sql.to_owned());
        }
    }
    let mut flight = FlightServiceClient::new(world.router());
    if flight.get_flight_info(FlightDescriptor::new_path(vec!["budget".to_owned()])).await.is_ok() {
        told.push("flight".to_owned());
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_scheduled_is_public_at_its_second_and_not_before() {
    let world = World::new().await;
    let revision = scheduled(&world, "budget", BUDGET, NOW_MS, None).await;
    assert_eq!(revision.state, RevisionState::Scheduled);
    for early in [BEFORE_MS, NOW_MS - 1] {
        let due = world.publisher.release_due(early).await.unwrap();
        assert!(due.released.is_empty() && due.failed.is_empty());
        assert_eq!(due.next_ms, Some(NOW_MS));
        assert_eq!(tells(&world).await, [""; 0]);
    }
    // Nobody makes it public by hand, either, before the schedule is lifted.
    let by_hand = world.publisher.release(&world.operator, &revision.id, NOW_MS - 1).await.unwrap_err();
    assert_eq!(by_hand.kind(), ProblemKind::Conflict, "{by_hand}");
    let due = world.publisher.release_due(NOW_MS).await.unwrap();
    assert_eq!((due.released.len(), due.next_ms), (1, None));
    assert!(tells(&world).await.len() >= 9, "{:?}", tells(&world).await);
    let version = world.store.catalog.current_version(&due.released[0].dataset).await.unwrap().unwrap();
    assert_eq!(version.released_ms, NOW_MS);
    // Again is nothing.
    assert!(world.publisher.release_due(NOW_MS + 1).await.unwrap().released.is_empty());
    let audit = world.store.catalog.audit(None, 0, 100).await.unwrap();
    let last: Vec<_> = audit.iter().rev().take(2).map(|row| (row.principal.as_str(), row.action.as_str())).collect();
    assert_eq!(last, [("the clock", "version.released"), ("operator", "revision.scheduled")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_calendar_shows_what_is_announced_and_nothing_else() {
    let world = World::new().await;
    scheduled(&world, "budget", BUDGET, NOW_MS + 1_000, None).await;
    assert_eq!(world.get("/api/calendar").await.json()["entries"], serde_json::json!([]));
    let id = scheduled(&world, "trees", b"a\n1\n", NOW_MS + 2_000, Some(true)).await.id;
    let entries = world.get("/api/calendar").await.json()["entries"].clone();
    assert_eq!(entries.as_array().unwrap().len(), 1);
    assert_eq!((entries[0]["dataset"].as_str(), entries[0]["title"].as_str()), (Some("trees"), Some("The trees")));
    assert_eq!((entries[0]["late"].as_bool(), entries[0]["url"].as_str()), (Some(false), None));
    assert_eq!(entries[0]["expected"], "2026-01-02T03:04:07Z");
    assert!(world.get("/calendar").await.text().contains("The trees"));
    let feed = world.get("/calendar.ics").await;
    assert_eq!(feed.header("content-type"), "text/calendar; charset=utf-8");
    assert!(feed.text().contains("\r\nSUMMARY:The trees is released\r\n"), "{}", feed.text());
    // An announcement is of the time and the name; the data are as hidden as any.
    assert_eq!(world.get("/datasets/trees.csv").await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.get("/api/datasets/trees").await.status, StatusCode::NOT_FOUND);
    world.publisher.unschedule(&world.operator, &id, "not yet", NOW_MS).await.unwrap();
    assert_eq!(world.get("/api/calendar").await.json()["entries"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_moved_or_lifted_is_not_released_at_the_old_time() {
    let world = World::new().await;
    let publisher = &world.publisher;
    let id = scheduled(&world, "budget", BUDGET, NOW_MS, None).await.id;
    // The same again is the same; another time moves it.
    let rows = world.store.catalog.verify_audit().await.unwrap();
    publisher.schedule(&world.operator, &id, (NOW_MS, None), BEFORE_MS).await.unwrap();
    assert_eq!(world.store.catalog.verify_audit().await.unwrap(), rows);
    publisher.schedule(&world.operator, &id, (NOW_MS + 5_000, None), BEFORE_MS).await.unwrap();
    assert!(publisher.release_due(NOW_MS + 4_999).await.unwrap().released.is_empty());
    let unsaid = publisher.unschedule(&world.operator, &id, " ", NOW_MS).await.unwrap_err();
    assert_eq!(unsaid.kind(), ProblemKind::InvalidRequest);
    for _ in 0..2 {
        let lifted = publisher.unschedule(&world.operator, &id, "the council has not met", NOW_MS).await.unwrap();
        assert_eq!(lifted.state, RevisionState::Approved);
    }
    assert!(publisher.release_due(NOW_MS + 9_000).await.unwrap().released.is_empty());
    for bad in [NOW_MS, NOW_MS - 1, i64::MAX] {
        let refused = publisher.schedule(&world.operator, &id, (bad, None), NOW_MS).await.unwrap_err();
        assert_eq!(refused.kind(), ProblemKind::InvalidRequest, "{bad}");
    }
    publisher.schedule(&world.operator, &id, (NOW_MS + 9_000, None), NOW_MS).await.unwrap();
    publisher.discard(&world.operator, &id, NOW_MS).await.unwrap();
    assert!(publisher.release_due(NOW_MS + 9_000).await.unwrap().released.is_empty());
    assert_eq!(tells(&world).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_late_is_released_in_the_order_of_its_time() {
    let world = World::new().await;
    scheduled(&world, "budget", b"line,amount\nCanaryLater,2\n", NOW_MS - 1_000, None).await;
    scheduled(&world, "budget", b"line,amount\nCanaryEarlier,1\n", NOW_MS - 2_000, None).await;
    let due = world.publisher.release_due(NOW_MS + 86_400_000).await.unwrap();
    let numbers: Vec<u32> = due.released.iter().map(|version| version.version).collect();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(world.rows("select line from budget").await, "CanaryLater\n");
    assert_eq!(world.rows("select line from \"budget@1\"").await, "CanaryEarlier\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_fails_is_tried_again_and_stays_visibly_late() {
    let world = World::new().await;
    let first = scheduled(&world, "budget", BUDGET, NOW_MS - 2, Some(true)).await;
    scheduled(&world, "budget", b"line,amount\nCanaryLater,2\n", NOW_MS - 1, None).await;
    // Somebody else is at work on the dataset, for ever.
    let catalog = &world.store.catalog;
    catalog.lease(&first.dataset, "somebody", NOW_MS - 10, i64::MAX / 2).await.unwrap();
    let limits = portico_model::limits::ScheduleLimits { tries: 3, ..Default::default() };
    let publisher = world.publisher.clone().with_schedule_limits(limits);
    let mut now_ms = NOW_MS;
    for next_after_ms in [Some(60_000), Some(120_000), None] {
        let due = publisher.release_due(now_ms).await.unwrap();
        assert_eq!((due.released.len(), due.failed.len()), (0, 1), "the second waits for the first");
        assert_eq!(due.next_ms, next_after_ms.map(|wait| now_ms + wait));
        let before = publisher.release_due(now_ms + 1).await.unwrap();
        assert!(before.failed.is_empty());
        now_ms = due.next_ms.unwrap_or(now_ms);
    }
    let waiting = publisher.scheduled(&world.operator, now_ms).await.unwrap();
    assert_eq!(waiting[0].schedule.tries, 3);
    assert!(waiting[0].schedule.failure.as_ref().unwrap().contains("under way"), "{:?}", waiting[0].schedule);
    assert_eq!(world.get("/api/calendar").await.json()["entries"][0]["late"], true);
    assert_eq!(tells(&world).await, ["/calendar", "/calendar.ics", "/api/calendar"]);
    // People set it anew.
    catalog.end_lease(&first.dataset, "somebody").await.unwrap();
    let again = now_ms + 1_000;
    publisher.schedule(&world.operator, &first.id, (again, None), now_ms).await.unwrap();
    assert_eq!(publisher.release_due(again).await.unwrap().released.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_servers_release_it_once() {
    let world = World::new().await;
    let id = scheduled(&world, "budget", BUDGET, NOW_MS, None).await.id;
    let other = world.publisher.clone();
    let (one, two) = tokio::join!(world.publisher.release_due(NOW_MS), other.release_due(NOW_MS));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.released.len() + two.released.len(), 1);
    assert!(one.failed.is_empty() && two.failed.is_empty());
    let audit = world.store.catalog.audit(None, 0, 100).await.unwrap();
    assert_eq!(audit.iter().filter(|row| row.action == "version.released").count(), 1);
    assert_eq!(world.publisher.revision(&world.operator, &id, NOW_MS).await.unwrap().state, RevisionState::Released);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_that_is_not_refreshed_in_time_is_late() {
    const FORTY_DAYS_MS: i64 = 40 * 24 * 60 * 60 * 1000;
    let world = World::new().await;
    let id = approved(&world, "trees", b"a\n1\n").await.id;
    let version = world.publisher.release(&world.operator, &id, NOW_MS - FORTY_DAYS_MS).await.unwrap();
    let record = world.store.catalog.dataset(&version.dataset).await.unwrap().unwrap();
    for (frequency, expected) in [
        ("R/P1M", Some(("2025-12-23T03:04:05Z", true))),
        ("P1Y", Some(("2026-11-23T03:04:05Z", false))),
        ("irregular", None),
    ] {
        let update_frequency = frequency.to_owned();
        let metadata = portico_model::dataset::DatasetMetadata { update_frequency, ..record.metadata.clone() };
        world.store.catalog.put_dataset(&metadata, "operator", NOW_MS).await.unwrap();
        let document = world.get("/api/calendar").await.json();
        let entry = &document["entries"][0];
        let Some((expected, late)) = expected else {
            assert!(entry.is_null(), "{document}");
            continue;
        };
        assert_eq!((entry["expected"].as_str(), entry["late"].as_bool()), (Some(expected), Some(late)), "{frequency}");
        assert_eq!((entry["kind"].as_str(), entry["title"].as_str()), (Some("refresh"), Some("The trees")));
        assert_eq!(entry["url"], "https://data.example/datasets/trees");
    }
}
