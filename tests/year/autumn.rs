//! September and October: permits that name people are withdrawn while fifty strangers download them, and two people have
//! every byte of them removed.

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::{City, id};
use crate::records::purge::{forms, holding};
use crate::records::withdraw::{limits, noise};
use crate::world::World;

/// Stand in the leak and nowhere else: cells, and the column that holds them.
const CELLS: [&str; 3] = ["canary-alpha-5521", "canary-omega-9923", "Zürich-canary-77"];
const COLUMN: &str = "canary_column_name";
const REASON: &str = "It named the applicants.";

const PATHS: [&str; 5] = [
    "/datasets/permits.csv",
    "/datasets/permits.parquet",
    "/datasets/permits/versions/2/parts/0.parquet",
    "/datasets/permits/versions/2.ndjson",
    "/sql?q=SELECT+*+FROM+permits&format=csv",
];

/// So many permits that a download of them takes its time, with the applicants.
fn leak() -> Vec<u8> {
    let text = String::from_utf8(noise(60_000)).unwrap();
    let mut lines = text.lines();
    let mut leak = format!("{},{COLUMN}\n", lines.next().unwrap());
    for (row, line) in lines.enumerate() {
        leak.extend([line, ",", CELLS[row % CELLS.len()], "\n"]);
    }
    leak.into_bytes()
}

async fn released(city: &City, bytes: &[u8]) {
    let screened = city.screened(&city.people.ana, "permits", bytes).await;
    city.approved(&city.people.ana, &screened).await;
    city.step(&city.people.odette, id(&screened), "release", Value::Null).await;
}

/// Downloads that have begun: where, and what is still to come.
async fn opened(servers: &[&World], count: usize) -> Vec<(&'static str, Body)> {
    let mut open = Vec::new();
    for number in 0..count {
        // Of questions only a few run at once.
        let path = if number < 4 { PATHS[4] } else { PATHS[number % 4] };
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = servers[number % servers.len()].router().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let mut body = answer.into_body();
        assert!(!body.frame().await.unwrap().unwrap().into_data().unwrap().is_empty(), "{path}");
        open.push((path, body));
    }
    open
}

pub(super) async fn september_permits_are_withdrawn_under_fifty_downloads(city: &City) {
    city.on("2026-09-01T09:00Z");
    released(city, b"tree_id,note\n1,felled\n2,trimmed\n").await;
    released(city, &leak()).await;
    let other = World::over(city.world.store.clone(), limits()).await;
    // Somebody has had them before; what was made for them is kept.
    assert_eq!(city.world.get("/datasets/permits.csv").await.status, StatusCode::OK);
    let open = opened(&[&city.world, &other], 50).await;

    other.set_clock(city.on("2026-09-14T09:00Z"));
    let withdraw = "datasets/permits/versions/2/withdraw";
    assert_eq!(city.refused(&city.people.ana, "POST", withdraw, json!({ "reason": REASON })).await.0, 403);
    city.fine(&city.people.odette, "POST", withdraw, json!({ "reason": REASON })).await;
    for (path, mut body) in open {
        let end = loop {
            match body.frame().await {
                Some(Ok(_)) => {}
                Some(Err(_)) => break "cut",
                None => break "whole",
            }
        };
        assert_eq!(end, "cut", "{path}");
    }
    for server in [&city.world, &other] {
        for path in PATHS.into_iter().filter(|path| path.contains("/versions/2")) {
            let gone = server.get(path).await;
            assert_eq!((gone.status, gone.text().contains(REASON)), (StatusCode::GONE, true), "{path}");
        }
        let pinned = server.sql("SELECT * FROM \"permits@2\"", "csv").await;
        assert_eq!((pinned.status, pinned.text().contains(REASON)), (StatusCode::GONE, true));
        // The one before is current again.
        assert_eq!(server.rows("SELECT count(*) FROM permits").await, "2\n");
    }
}

pub(super) async fn october_two_people_purge_them_and_every_byte_is_searched(city: &City) {
    city.on("2026-10-05T09:00Z");
    let needles: Vec<Vec<u8>> = CELLS.into_iter().chain([COLUMN]).flat_map(forms).collect();
    let before = holding(city.place.path(), &needles);
    assert!(before.iter().any(|path| path.ends_with(".parquet")), "{before:?}");
    assert!(before.iter().any(|path| path.contains("_delta_log")), "{before:?}");
    assert!(before.iter().any(|path| path.starts_with("catalog.sqlite")), "{before:?}");

    let people = &city.people;
    let purge = "datasets/permits/versions/2/purge";
    let asked = json!({ "reason": "It names people.", "confirm": "permits@2" });
    assert_eq!(city.refused(&people.ana, "POST", purge, asked.clone()).await.0, 403);
    let request = city.fine(&people.odette, "POST", purge, asked.clone()).await;
    assert_eq!(request["state"], "asked");
    assert_eq!(city.fine(&people.odette, "POST", purge, asked).await["state"], "asked", "one person is one person");
    assert!(!holding(city.place.path(), &needles).is_empty());
    let done = city.fine(&people.cy, "POST", purge, json!({ "confirm": "permits@2" })).await;
    let told = (done["state"].as_str(), done["asked_by"].as_str(), done["confirmed_by"].as_str());
    assert_eq!(told, (Some("purged"), Some("odette"), Some("cy")));

    assert_eq!(holding(city.place.path(), &needles), [""; 0]);
    assert_eq!(holding(city.scratch(), &needles), [""; 0], "nor where the server works");
    let gone = city.world.get("/datasets/permits/versions/2.csv").await;
    assert_eq!((gone.status, gone.text().contains(REASON)), (StatusCode::GONE, true), "its record stays");
    assert_eq!(city.world.rows("SELECT count(*) FROM \"permits@1\"").await, "2\n");
    // And the road goes on, under the next number.
    released(city, b"tree_id,note\n1,felled\n2,trimmed\n3,moved\n").await;
    assert_eq!(city.current("permits").await.version.version, 3);
    assert_eq!(city.world.get("/datasets/permits.csv").await.text().lines().count(), 4);
}
