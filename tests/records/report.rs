//! The annual report: numbers that do not change, thirty days for comment to the millisecond, comments that somebody reads
//! before everybody does.

use axum::body::Body;
use http::{Request, StatusCode};
use portico_model::data_request::RequestStatus;
use portico_model::dataset::Requirement;
use portico_model::limits::RequestLimits;
use portico_model::policy::{Role, Scope};
use portico_publish::{COMMENT_MS, PublishError, RequestAnswer, TokenRequest};
use portico_store::CommentState;
use serde_json::{Value, json};

use crate::world::{NOW_MS, Reply, World};

async fn post(world: &World, token: &str, path: &str, body: Value) -> Reply {
    let mut request = Request::post(path).header("content-type", "application/json");
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    world.send(request.body(Body::from(body.to_string())).unwrap()).await
}

async fn token(world: &World, role: Role) -> String {
    let request = TokenRequest { name: role.as_str().into(), roles: vec![role], scope: Scope::All, days: 1 };
    world.publisher.create_token(&world.operator, request, 1, NOW_MS).await.unwrap().0.reveal().to_owned()
}

fn table<'a>(report: &'a Value, title: &str) -> Vec<&'a Value> {
    let sections = report["sections"].as_array().unwrap();
    let section = sections.iter().find(|section| section["title"] == title).unwrap();
    assert!(!section["definition"].as_str().unwrap().is_empty());
    section["rows"].as_array().unwrap().iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_is_drafted_frozen_and_read_by_everybody() {
    let world = World::new().await;
    world.publish("trees", "f.csv", b"tree_id,species\n1,Oak\n2,Ash\n").await;
    let second = world.publish("trees", "f.csv", b"tree_id,species\n1,Oak\n2,Ash\n3,Elm\n").await;
    world.publisher.withdraw(&world.operator, &second, "It was the wrong file.", NOW_MS).await.unwrap();
    let (team, cio) = (token(&world, Role::OpenData).await, token(&world, Role::Cio).await);
    for title in ["Benches", "Potholes"] {
        assert_eq!(post(&world, "", "/api/requests", json!({ "title": title })).await.status, StatusCode::CREATED);
    }
    let asked = world.publisher.requests(&world.operator, NOW_MS).await.unwrap();
    let answer = RequestAnswer { status: Some(RequestStatus::Published), ..RequestAnswer::default() };
    let limits = RequestLimits::default();
    world.publisher.answer_request(&world.operator, &asked[0].id, answer, &limits, NOW_MS).await.unwrap();
    let steward = token(&world, Role::Steward).await;
    let draft = "/api/staff/reports/2026/draft";
    assert_eq!(post(&world, &steward, draft, json!({})).await.status, StatusCode::FORBIDDEN);
    let said = json!({ "recommendations": "Publish more.\nAnd sooner." });
    let drafted = post(&world, &team, draft, said).await;
    assert_eq!(drafted.status, StatusCode::OK, "{}", drafted.text());
    let drafted = drafted.json();
    assert_eq!(table(&drafted, "Supply by department"), [&json!(["no department", "1", "2", "2"])]);
    assert_eq!(table(&drafted, "Files that departments brought"), [&json!(["csv", "2"])]);
    let withdrawn = json!(["2026-01-02", "trees", "2", "withdrawn", "It was the wrong file."]);
    assert_eq!(table(&drafted, "Withdrawals"), [&withdrawn]);
    let requests = table(&drafted, "Requests of the public");
    let count = |status: &str| requests.iter().find(|row| row[0] == status).unwrap()[1].clone();
    assert_eq!((count("received"), count("answered, of all"), count("all")), (json!("1"), json!("1"), json!("2")));
    assert!(!drafted["sections"].to_string().contains("Potholes"));
    // A draft is nobody's business.
    for path in ["/reports/2026", "/api/reports/2026", "/reports/abcd"] {
        assert_eq!(world.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let publish = "/api/staff/reports/2026/publish";
    assert_eq!(post(&world, &team, publish, json!({})).await.status, StatusCode::FORBIDDEN);
    assert_eq!(post(&world, &cio, publish, json!({})).await.status, StatusCode::OK);
    assert_eq!(post(&world, &cio, publish, json!({})).await.status, StatusCode::OK);
    assert_eq!(post(&world, &team, draft, json!({})).await.problem(), "conflict");
    let page = world.get("/reports/2026").await;
    assert_eq!(page.status, StatusCode::OK);
    for text in ["<p>Publish more.</p>", "It was the wrong file.", "open to comment until", "<form"] {
        assert!(page.text().contains(text), "{text}");
    }
    let public = world.get("/api/reports/2026").await.json();
    assert_eq!((public["open_to_comment"].as_bool(), &public["sections"]), (Some(true), &drafted["sections"]));
    assert_eq!(world.get("/api/reports").await.json()["reports"][0]["year"], 2026);
}

#[tokio::test(flavor = "multi_thread")]
async fn comment_ends_after_thirty_days_to_the_millisecond() {
    let world = World::new().await;
    let (publisher, operator) = (&world.publisher, &world.operator);
    publisher.draft_report(operator, 2025, (None, Vec::new()), NOW_MS).await.unwrap();
    let opens_ms = NOW_MS + 5;
    let comment = async |at_ms: i64| publisher.comment(2025, ("", "Well done."), at_ms).await;
    assert!(matches!(comment(opens_ms).await, Err(PublishError::Store(_))), "a draft takes none");
    let published = publisher.publish_report(operator, 2025, opens_ms).await.unwrap();
    assert_eq!(published.closes_ms, Some(opens_ms + 30 * 86_400_000));
    assert!(matches!(comment(opens_ms - 1).await, Err(PublishError::CommentClosed)));
    for at_ms in [opens_ms, opens_ms + 1, opens_ms + COMMENT_MS - 1] {
        assert_eq!(comment(at_ms).await.unwrap().state, CommentState::Held);
    }
    for at_ms in [opens_ms + COMMENT_MS, opens_ms + COMMENT_MS + 1] {
        assert!(matches!(comment(at_ms).await, Err(PublishError::CommentClosed)));
    }
    // Published again it does not open again.
    let again = publisher.publish_report(operator, 2025, opens_ms + COMMENT_MS).await.unwrap();
    assert_eq!(again, published);
}

#[tokio::test(flavor = "multi_thread")]
async fn comments_are_read_before_they_are_shown_and_become_a_dataset() {
    let world = World::new().await;
    let publisher = world.publisher.clone().with_own_steward("records@city.example").requiring(&Requirement::ALL);
    let operator = &world.operator;
    publisher.draft_report(operator, 2025, (None, Vec::new()), NOW_MS).await.unwrap();
    publisher.publish_report(operator, 2025, NOW_MS).await.unwrap();
    let path = "/api/reports/2025/comments";
    let good = post(&world, "", path, json!({ "name": "A reader", "text": "More trees, please." })).await;
    assert_eq!((good.status, good.json()["state"].as_str()), (StatusCode::ACCEPTED, Some("held")));
    let bad = post(&world, "", path, json!({ "text": "My number is 219-09-9999, call me." })).await.json();
    assert_eq!(post(&world, "", path, json!({ "text": "x".repeat(4001) })).await.problem(), "invalid_request");
    assert_eq!(post(&world, "", path, json!({ "text": " " })).await.problem(), "invalid_request");
    assert_eq!(post(&world, "", "/api/reports/2024/comments", json!({ "text": "x" })).await.problem(), "not_found");
    let form = Request::post(path).header("content-type", "application/x-www-form-urlencoded");
    let sent = world.send(form.body(Body::from("name=&text=From+the+page%21")).unwrap()).await;
    assert_eq!((sent.status, sent.header("location")), (StatusCode::SEE_OTHER, "/reports/2025?thanks"));
    let foreign = Request::post(path)
        .header("content-type", "application/x-www-form-urlencoded")
        .header("origin", "https://elsewhere.example");
    assert_eq!(world.send(foreign.body(Body::from("text=x")).unwrap()).await.problem(), "forbidden");

    let held = publisher.comments(operator, 2025, NOW_MS).await.unwrap();
    assert_eq!(held.len(), 3);
    let flagged = held.iter().find(|comment| comment.id == bad["id"]).unwrap();
    assert!(flagged.findings.iter().any(|finding| finding.rule == "us_ssn"), "{flagged:?}");
    assert!(!world.get("/reports/2025").await.text().contains("More trees"));
    let cio = token(&world, Role::Cio).await;
    let moderate = async |id: &Value, body: Value| {
        let path = format!("/api/staff/comments/{}/moderate", id.as_str().unwrap());
        post(&world, &cio, &path, body).await
    };
    assert_eq!(moderate(&bad["id"], json!({ "reject": "" })).await.problem(), "invalid_request");
    assert_eq!(moderate(&bad["id"], json!({})).await.problem(), "invalid_request");
    assert_eq!(moderate(&bad["id"], json!({ "reject": "It names a number." })).await.status, StatusCode::OK);
    assert_eq!(moderate(&good.json()["id"], json!({ "accept": true })).await.json()["state"], "accepted");
    let page = world.get("/reports/2025").await.text();
    assert!(page.contains("More trees, please.") && !page.contains("219-09") && !page.contains("From the page"));

    assert_eq!(publisher.refresh_report_comments(NOW_MS + COMMENT_MS - 1).await.unwrap(), None);
    let released = publisher.refresh_report_comments(NOW_MS + COMMENT_MS).await.unwrap().unwrap();
    assert_eq!(released.to_string(), "report-comments@1");
    assert_eq!(publisher.refresh_report_comments(NOW_MS + COMMENT_MS + 1).await.unwrap(), None);
    let rows = world.rows("SELECT report_year, signed_as, comment FROM report_comments").await;
    assert_eq!(rows, "2025,A reader,\"More trees, please.\"\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_network_says_so_much_in_an_hour() {
    let mut limits = portico_model::limits::Limits::default();
    limits.http.comments_per_hour = 2;
    let world = World::with(limits).await;
    world.publisher.draft_report(&world.operator, 2025, (None, Vec::new()), NOW_MS).await.unwrap();
    world.publisher.publish_report(&world.operator, 2025, NOW_MS).await.unwrap();
    let path = "/api/reports/2025/comments";
    for expected in [StatusCode::ACCEPTED, StatusCode::ACCEPTED, StatusCode::TOO_MANY_REQUESTS] {
        assert_eq!(post(&world, "", path, json!({ "text": "Again." })).await.status, expected);
    }
}
