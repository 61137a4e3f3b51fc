//! What the public asks for: read before it is shown, and answered.

use std::collections::BTreeSet;

use axum::body::Body;
use http::{Request, StatusCode};
use portico_model::policy::Role;
use serde_json::{Value, json};

use super::Member;
use crate::world::{NOW_MS, Reply, World};

async fn ask_for(world: &World, body: Value) -> Reply {
    let request = Request::post("/api/requests").header("content-type", "application/json");
    world.send(request.body(Body::from(body.to_string())).unwrap()).await
}

/// The id of the only request, or of the first.
async fn id_of_first(world: &World) -> String {
    world.publisher.requests(&world.operator, NOW_MS).await.unwrap().last().unwrap().id.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_strangers_write_is_read_before_it_is_shown() {
    let world = World::new().await;
    let odette = Member::new(&world, "odette", Role::OpenData).await;
    let asked = json!({ "title": "Where trees fell", "details": "For my thesis", "contact": "me@home.example" });
    let received = ask_for(&world, asked.clone()).await;
    assert_eq!(received.status, StatusCode::CREATED, "{}", received.text());
    let id = id_of_first(&world).await;
    // Sent twice, it is one; and the answer does not say so.
    assert_eq!(ask_for(&world, asked).await.json(), received.json());
    assert_eq!(world.publisher.requests(&world.operator, NOW_MS).await.unwrap().len(), 1);
    let public = async || world.get("/api/requests").await.text() + &world.get("/requests").await.text();
    assert!(!public().await.contains("trees fell"));
    for bad in [
        json!({}),
        json!({ "title": "  " }),
        json!({ "title": "x".repeat(201) }),
        json!({ "title": "x", "contact": "nobody" }),
        json!({ "title": "x", "votes": 1 }),
    ] {
        assert_eq!(ask_for(&world, bad.clone()).await.problem(), "invalid_request", "{bad}");
    }

    let path = format!("requests/{id}");
    odette.fine("POST", "inventory/import", "name,title\nfallen-trees,Fallen Trees\n".into()).await;
    let answer = json!({ "status": "planned", "dataset": "fallen-trees", "shown": true, "answer": "In May" });
    odette.fine("PUT", &path, answer.clone()).await;
    odette.fine("PUT", &path, answer).await;
    let seen = public().await;
    assert!(seen.contains("Where trees fell") && seen.contains("In May") && !seen.contains("home.example"), "{seen}");
    // A dataset that the public does not know of is not named by a request either.
    assert!(!seen.contains("fallen-trees"), "{seen}");
    odette.fine("PUT", "inventory/datasets/fallen-trees", json!({ "listed": true })).await;
    assert!(public().await.contains("fallen-trees"));
    odette.fine("PUT", "inventory/datasets/fallen-trees", json!({ "public_title": "Damage" })).await;
    assert!(!public().await.contains("fallen-trees"));
    let line = odette.fine("GET", "inventory", Value::Null).await["datasets"][0].clone();
    assert_eq!((line["requests"].as_u64(), line["urgency"].as_u64()), (Some(1), Some(5)));
    assert_eq!(odette.fine("GET", "requests", Value::Null).await["requests"][0]["contact"], "me@home.example");
    // The department is corrected, and the log knows by whom.
    assert_eq!(odette.fine("PUT", &path, json!({ "department": " Parks " })).await["department"], "Parks");
    assert_eq!(odette.fine("PUT", &path, json!({})).await["department"], "Parks");
    let log = world.store.catalog.audit(None, 0, 100).await.unwrap();
    let last = log.iter().rfind(|entry| entry.action == "request.answered").unwrap();
    assert!(last.principal == "odette" && last.detail.contains("\"corrected\":[\"department\"]"), "{}", last.detail);
    let forgotten = odette.fine("PUT", &path, json!({ "delete_contact": true })).await;
    assert_eq!(forgotten["contact"], "");
    for bad in [json!({ "status": "declined", "answer": "" }), json!({ "dataset": "no-such" })] {
        assert_eq!(odette.refused("PUT", &path, bad.clone()).await, (400, "invalid_request".into()), "{bad}");
    }
    let unknown = "requests/01ARZ3NDEKTSV4RRFFQ69G5FAV";
    assert_eq!(odette.refused("PUT", unknown, json!({})).await, (404, "not_found".into()));

    // What is personal is found, and not shown before it is taken out.
    ask_for(&world, json!({ "title": "My file", "details": "my SSN is 219-09-1234" })).await;
    let all = world.publisher.requests(&world.operator, NOW_MS).await.unwrap();
    let path = format!("requests/{}", all.iter().find(|request| request.title == "My file").unwrap().id);
    let shown = odette.ask("PUT", &path, json!({ "shown": true })).await;
    assert_eq!((shown.status.as_u16(), shown.problem()), (422, "release_blocked".into()));
    assert!(shown.text().contains("us_ssn") && !shown.text().contains("219-09"));
    assert!(!public().await.contains("My file"));
    odette.fine("PUT", &path, json!({ "shown": true, "details": "my file" })).await;
    assert!(public().await.contains("My file"));
    odette.fine("PUT", &path, json!({ "shown": false })).await;
    assert!(!public().await.contains("My file"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_of_the_page_is_read() {
    let world = World::new().await;
    let page = world.get("/requests").await;
    assert!(page.text().contains("<form class=\"request\" action=\"/requests\" method=\"post\">"));
    let form = |text: &'static str| {
        let request = Request::post("/requests").header("content-type", "application/x-www-form-urlencoded");
        request.body(Body::from(text)).unwrap()
    };
    let sent = world.send(form("title=Bus+delays+%26+more&details=&department=&contact=")).await;
    assert_eq!(
        (sent.status, sent.header("location")),
        (StatusCode::SEE_OTHER, "https://data.example/requests?received=true")
    );
    assert!(world.get("/requests?received=true").await.text().contains("Thank you"));
    let kept = world.publisher.requests(&world.operator, NOW_MS).await.unwrap();
    assert_eq!((kept.len(), kept[0].title.as_str()), (1, "Bus delays & more"));
    assert_eq!(world.send(form("title=")).await.problem(), "invalid_request");
    assert_eq!(world.send(form("title=x&admin=true")).await.problem(), "invalid_request");
    let json = Request::post("/requests").header("content-type", "application/json");
    let json = world.send(json.body(Body::from(r#"{"title":"x"}"#)).unwrap()).await;
    assert_eq!(json.problem(), "unsupported_media_type");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_screening_says_of_a_request_is_for_staff_alone() {
    let world = World::new().await;
    let odette = Member::new(&world, "odette", Role::OpenData).await;
    ask_for(&world, json!({ "title": "Crashes", "details": "As at 1204 Maple Street" })).await;
    let path = format!("requests/{}", id_of_first(&world).await);
    let seen = odette.fine("PUT", &path, json!({ "shown": true })).await;
    let rules: Vec<&str> = seen["findings"].as_array().unwrap().iter().map(|rule| rule.as_str().unwrap()).collect();
    assert!(!rules.is_empty(), "{seen}");
    let public = world.get("/api/requests").await;
    let keys: Vec<String> = public.json()["requests"][0].as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        keys.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        BTreeSet::from(["answer", "dataset", "department", "details", "id", "received", "status", "title"])
    );
    let everything = public.text() + &world.get("/requests").await.text();
    assert!(rules.iter().all(|rule| !everything.contains(rule)), "{everything}");
    let shown = world.publisher.shown_requests().await.unwrap();
    assert!(shown.len() == 1 && shown[0].findings.is_empty() && shown[0].contact.is_empty());
}
