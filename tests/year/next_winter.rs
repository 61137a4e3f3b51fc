//! The winter after: use is told, the year is reported, the public has its say for thirty days, and the books are right.

use axum::body::Body;
use http::{Request, StatusCode};
use serde_json::{Value, json};

use super::{City, hire};
use crate::world::Reply;

/// When the report is published, and when its comments close: thirty days, to the millisecond.
const OPENS: &str = "2027-01-15T12:00:00Z";
const CLOSES: &str = "2027-02-14T12:00:00Z";

pub(super) async fn january_tokens_are_a_year_old_and_use_is_told(city: &mut City) {
    city.world.questions.flush_uses(city.on("2026-11-30T23:59:59Z")).await.unwrap();
    city.on("2026-12-15T09:00Z");
    for _ in 0..12 {
        assert_eq!(city.world.get("/datasets/street-trees.csv").await.status, StatusCode::OK);
    }
    city.world.questions.flush_uses(city.on("2026-12-31T23:59:59Z")).await.unwrap();
    let now_ms = city.on("2027-01-08T09:00Z");
    // Everybody's token was for a year.
    let people = hire(&city.world, now_ms).await;
    let former = std::mem::replace(&mut city.people, people);
    for old in [former.ana, former.odette, former.cy] {
        assert_eq!(city.refused(&old, "GET", "whoami", Value::Null).await, (401, "unauthenticated".into()));
    }
    assert_eq!(city.fine(&city.people.ana, "GET", "whoami", Value::Null).await["name"], "ana");

    let usage = city.background().refresh_usage(now_ms).await.unwrap().unwrap();
    assert_eq!(usage.to_string(), "usage@1");
    let told = "SELECT uses FROM usage WHERE dataset = 'street-trees' AND protocol = 'download' AND format = 'csv' \
                AND month = '2026-12' AND column_name IS NULL ORDER BY version DESC LIMIT 1";
    assert_eq!(city.world.rows(told).await, "12\n");
    // A few are not told: they may be one person.
    let few = "SELECT DISTINCT uses FROM usage WHERE dataset = 'budget'";
    assert_eq!(city.world.rows(few).await, "<10\n");
    assert_eq!(city.world.rows("SELECT count(*) FROM usage WHERE version = 2 AND dataset = 'permits'").await, "0\n");
}

pub(super) async fn january_the_report_is_frozen(city: &City) {
    city.on("2027-01-11T09:00Z");
    let people = &city.people;
    let said = json!({ "recommendations": "Ask the keepers.\nPublish the benches." });
    assert_eq!(city.refused(&people.ana, "POST", "reports/2026/draft", said.clone()).await.0, 403);
    let drafted = city.fine(&people.odette, "POST", "reports/2026/draft", said).await;
    let rows = |title: &str| {
        let sections = drafted["sections"].as_array().unwrap();
        sections.iter().find(|section| section["title"] == title).unwrap()["rows"].clone()
    };
    let withdrawn = json!([["2026-09-14", "permits", "2", "purged", "It named the applicants."]]);
    assert_eq!(rows("Withdrawals"), withdrawn);
    let supply = rows("Supply by department");
    let parks = supply.as_array().unwrap().iter().find(|row| row[0] == "Parks").unwrap();
    assert_eq!(parks[1], "4", "trees, a budget, visits, permits: {parks}");
    assert_eq!(city.world.get("/reports/2026").await.status, StatusCode::NOT_FOUND, "a draft is nobody's business");

    city.on(OPENS);
    assert_eq!(city.refused(&people.odette, "POST", "reports/2026/publish", json!({})).await.0, 403);
    city.fine(&people.cy, "POST", "reports/2026/publish", json!({})).await;
    assert_eq!(city.refused(&people.odette, "POST", "reports/2026/draft", json!({})).await, (409, "conflict".into()));
    let page = city.world.get("/reports/2026").await.text();
    assert!(page.contains("<p>Publish the benches.</p>") && page.contains("It named the applicants."));
    let public = city.world.get("/api/reports/2026").await.json();
    assert_eq!((public["open_to_comment"].as_bool(), &public["sections"]), (Some(true), &drafted["sections"]));
}

async fn comment(city: &City, text: &str) -> Reply {
    let request = Request::post("/api/reports/2026/comments").header("content-type", "application/json");
    let body = json!({ "name": "A reader", "text": text }).to_string();
    city.world.send(request.body(Body::from(body)).unwrap()).await
}

pub(super) async fn february_comments_close_on_day_thirty(city: &City) {
    let closes_ms = city.world.publisher.moment(CLOSES).unwrap();
    city.on("2027-01-20T18:00Z");
    let good = comment(city, "More benches, please.").await;
    assert_eq!((good.status, good.json()["state"].as_str()), (StatusCode::ACCEPTED, Some("held")));
    let bad = comment(city, "My number is 219-09-9999, call me.").await.json();
    let cy = &city.people.cy;
    let held = city.fine(cy, "GET", "reports/2026/comments", Value::Null).await;
    assert!(held.to_string().contains("us_ssn"), "{held}");
    assert!(!city.world.get("/reports/2026").await.text().contains("benches, please"));
    let moderate = async |id: &Value, word: Value| {
        city.fine(cy, "POST", &format!("comments/{}/moderate", id.as_str().unwrap()), word).await
    };
    moderate(&good.json()["id"], json!({ "accept": true })).await;
    moderate(&bad["id"], json!({ "reject": "It holds a number." })).await;
    let page = city.world.get("/reports/2026").await.text();
    assert!(page.contains("More benches, please.") && !page.contains("219-09"));

    city.world.set_clock(closes_ms - 1);
    assert_eq!(comment(city, "In the last moment.").await.status, StatusCode::ACCEPTED);
    assert_eq!(city.background().refresh_report_comments(closes_ms - 1).await.unwrap(), None);
    city.world.set_clock(closes_ms);
    assert_eq!(comment(city, "Too late.").await.problem(), "conflict");
    assert_eq!(city.world.get("/api/reports/2026").await.json()["open_to_comment"], false);
    let released = city.background().refresh_report_comments(closes_ms).await.unwrap().unwrap();
    assert_eq!(released.to_string(), "report-comments@1");
    let rows = city.world.rows("SELECT report_year, signed_as, comment FROM report_comments").await;
    assert_eq!(rows, "2026,A reader,\"More benches, please.\"\n");
}

/// Who did what, as the log has it, of one dataset.
async fn told(city: &City, dataset: &str) -> Vec<String> {
    let path = format!("audit?dataset={dataset}&limit=1000");
    let audit = city.fine(&city.people.ana, "GET", &path, Value::Null).await;
    let said =
        |entry: &Value| format!("{} {}", entry["principal"].as_str().unwrap(), entry["action"].as_str().unwrap());
    audit["entries"].as_array().unwrap().iter().map(said).collect()
}

pub(super) async fn the_books_are_right(city: &City) {
    city.on("2027-02-15T09:00Z");
    let budget = told(city, "budget").await;
    let expected = [
        "ana dataset.created",
        "ana revision.staged",
        "ana revision.screened",
        "ana revision.submitted",
        "ana revision.recommended",
        "cy revision.approved",
        "odette revision.scheduled",
        "the clock version.released",
    ];
    assert_eq!(budget, expected);
    let permits = told(city, "permits").await;
    for step in ["odette version.withdrawn", "odette version.purge_asked", "cy version.purge_confirmed"] {
        assert_eq!(permits.iter().filter(|said| *said == step).count(), 1, "{permits:?}");
    }
    // Nobody who was refused is in it.
    let trees = told(city, "street-trees").await;
    assert!(trees.contains(&"cy revision.returned".to_owned()) && !trees.contains(&"bo revision.approved".to_owned()));

    let (good, verified) = city.portico(&["audit", "verify"]);
    assert!(good && verified.contains("every link holds"), "{verified}");
    let (good, scrubbed) = city.portico(&["scrub"]);
    assert!(good, "{scrubbed}");
    assert!(city.world.store.catalog.verify_audit().await.unwrap() > 50);
}
