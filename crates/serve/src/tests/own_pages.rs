//! The portal's own pages, and what every answer with data says of licence and terms.

use axum::body::Body;
use http::{Method, Request, StatusCode};
use portico_model::dataset::DatasetMetadata;
use portico_model::name::DatasetName;
use portico_model::policy::{Role, Scope};
use serde_json::{Value, json};

use super::staff::token;
use crate::site::SiteSettings;
use crate::testing::{Answered, World};

const NAMES: [&str; 4] = ["principles", "terms", "licences", "handbook"];
const LICENSE: &str = "<https://spdx.org/licenses/CC-BY-4.0.html>; rel=\"license\"";
const TERMS: &str = "<https://data.town.example/terms>; rel=\"terms-of-service\"";

async fn send(world: &World, method: &str, uri: &str, token: &str, body: &Value) -> Answered {
    let request = Request::builder().method(method).uri(uri).header("authorization", format!("Bearer {token}"));
    let request = request.header("content-type", "application/json");
    let sent = if method == "PUT" { body.to_string() } else { String::new() };
    world.send(request.body(Body::from(sent)).unwrap()).await
}

fn links(answer: &Answered) -> Vec<&str> {
    answer.headers.get_all("link").iter().map(|value| value.to_str().unwrap()).collect()
}

#[tokio::test]
async fn a_new_portal_has_principles_terms_licences_and_a_handbook() {
    let world = World::new().await;
    let list = world.get("/api/pages").await.json();
    let names: Vec<&str> =
        list["pages"].as_array().unwrap().iter().map(|page| page["name"].as_str().unwrap()).collect();
    assert_eq!(names, NAMES);
    let start = world.get("/").await;
    for name in NAMES {
        let page = world.get(&format!("/{name}")).await;
        assert_eq!((page.status, page.header("content-type")), (StatusCode::OK, "text/html; charset=utf-8"), "{name}");
        assert_eq!(page.header("content-security-policy"), start.header("content-security-policy"), "{name}");
        assert!(page.text().matches("<h1>").count() == 1 && page.text().contains("</li>"), "{}", page.text());
        assert!(start.text().contains(&format!("href=\"/{name}\"")), "{name} is not linked");
        let document = world.get(&format!("/api/pages/{name}")).await.json();
        assert_eq!((&document["version"], &document["updated_at"]), (&json!(0), &Value::Null));
        assert!(document["text"].as_str().unwrap().len() > 1000);
    }
    assert!(world.get("/terms").await.text().contains("without warranty of any kind"));
    assert_eq!(world.get("/api/pages/nothing").await.status, StatusCode::NOT_FOUND);
    assert_eq!(world.get("/terms?x=1").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn what_the_team_writes_is_public_at_once_and_no_change_is_lost() {
    let world = World::new().await;
    let editor = token(&world, Role::OpenData, Scope::All).await;
    let uri = "/api/staff/pages/terms";
    let said = |text: &str, version: i64| json!({ "title": "Our terms", "text": text, "version": version });
    let first = send(&world, "PUT", uri, &editor, &said("As it **is**.\r\n\r\n<script>x</script>", 0)).await;
    assert_eq!(first.status, StatusCode::OK, "{}", first.text());
    let page = world.get("/terms").await;
    assert!(page.text().contains("<h1>Our terms</h1>") && page.text().contains("As it <strong>is</strong>."));
    assert!(!page.text().contains("<script>"));
    let told = world.get("/api/pages/terms").await.json();
    assert_eq!((&told["version"], &told["text"]), (&json!(1), &json!("As it **is**.\n\n<script>x</script>")));
    // Another editor has read the version before: nothing is written over. The same again is no change.
    let other = send(&world, "PUT", uri, &editor, &said("Another.", 0)).await;
    assert_eq!((other.status, &other.json()["code"]), (StatusCode::CONFLICT, &json!("conflict")));
    let again = send(&world, "PUT", uri, &editor, &said("As it **is**.\n\n<script>x</script>", 0)).await;
    assert_eq!((again.status, &again.json()["version"]), (StatusCode::OK, &json!(1)));
    let stale = send(&world, "DELETE", &format!("{uri}?version=7"), &editor, &Value::Null).await;
    assert_eq!(stale.status, StatusCode::CONFLICT);
    for _ in 0..2 {
        let reset = send(&world, "DELETE", &format!("{uri}?version=1"), &editor, &Value::Null).await;
        assert_eq!((reset.status, &reset.json()["version"]), (StatusCode::OK, &json!(2)), "{}", reset.text());
    }
    assert!(world.get("/terms").await.text().contains("without warranty of any kind"));
    let history = send(&world, "GET", uri, &editor, &Value::Null).await.json()["history"].clone();
    let line = |line: &Value| (line["version"].as_i64().unwrap(), line["default"].as_bool().unwrap());
    let lines: Vec<_> = history.as_array().unwrap().iter().map(line).collect();
    assert_eq!(lines, [(2, true), (1, false), (0, true)]);
    assert_eq!(history[1]["updated_by"], "open-data");
    let old = send(&world, "GET", &format!("{uri}?version=1"), &editor, &Value::Null).await.json();
    assert_eq!(old["title"], "Our terms");
    for version in ["3", "-1", "x"] {
        let none = send(&world, "GET", &format!("{uri}?version={version}"), &editor, &Value::Null).await;
        assert!(none.status.is_client_error(), "{version}");
    }
    world.site.store.catalog.verify_audit().await.unwrap();
    let log = world.site.store.catalog.audit(None, 0, 1_000).await.unwrap();
    let of_pages = log.iter().filter(|entry| entry.action.starts_with("page.")).map(|entry| entry.action.as_str());
    assert_eq!(of_pages.collect::<Vec<_>>(), ["page.written", "page.reset"]);
}

#[tokio::test]
async fn a_text_that_is_none_for_a_page_is_refused() {
    let world = World::new().await;
    let editor = token(&world, Role::Admin, Scope::All).await;
    let limit = usize::try_from(world.site.limits.pages.page_bytes).unwrap();
    for (title, text) in [
        ("", "x".to_owned()),
        ("t", " \n".to_owned()),
        ("two\nlines", "x".to_owned()),
        (&"t".repeat(201), "x".to_owned()),
        ("t", "x".repeat(limit + 1)),
        ("t", "a\u{0}b".to_owned()),
    ] {
        let body = json!({ "title": title, "text": text, "version": 0 });
        let refused = send(&world, "PUT", "/api/staff/pages/handbook", &editor, &body).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{title:?}");
    }
    let body = json!({ "title": "t", "text": "x".repeat(limit), "version": 0 });
    assert_eq!(send(&world, "PUT", "/api/staff/pages/handbook", &editor, &body).await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_answer_with_data_says_its_licence_and_terms() {
    let settings = SiteSettings { public_url: Some("https://data.town.example".into()), ..SiteSettings::default() };
    let metadata = DatasetMetadata {
        license: "CC-BY-4.0".into(),
        ..DatasetMetadata::named(DatasetName::parse("street-trees").unwrap())
    };
    let world = World::with(settings, metadata).await;
    for uri in [
        "/datasets/street-trees.csv",
        "/datasets/street-trees.csv.gz",
        "/datasets/street-trees.parquet",
        "/datasets/street-trees.ndjson?where=height%3E1&limit=2",
        "/datasets/street-trees/versions/1.arrow",
        "/datasets/street-trees/versions/2/parts/0.parquet",
        "/sql?q=SELECT+*+FROM+street_trees&format=csv",
        "/sql?q=SELECT+a.species+FROM+street_trees+a,+%22street_trees@1%22+b",
    ] {
        for method in [Method::GET, Method::HEAD] {
            let answer = world.ask(method.clone(), uri, &[]).await;
            assert_eq!(answer.status, StatusCode::OK, "{method} {uri}");
            let said = links(&answer);
            assert!(said[0].ends_with("rel=\"cite-as\""), "{method} {uri}: {said:?}");
            assert_eq!(said[1..], [LICENSE, TERMS], "{method} {uri}");
        }
    }
    let tag = world.get("/datasets/street-trees.csv").await.header("etag").to_owned();
    let unchanged = world.ask(Method::GET, "/datasets/street-trees.csv", &[("if-none-match", &tag)]).await;
    assert_eq!((unchanged.status, links(&unchanged).len()), (StatusCode::NOT_MODIFIED, 3));
    for uri in ["/api/datasets/street-trees", "/api/datasets/street-trees/versions/1"] {
        let record = world.get(uri).await.json();
        assert_eq!(record["license"]["id"], "CC-BY-4.0", "{uri}");
        assert_eq!(record["terms"], "https://data.town.example/terms", "{uri}");
    }
}

#[tokio::test]
async fn a_licence_that_is_no_identifier_is_no_link_and_own_terms_come_first() {
    let metadata = DatasetMetadata {
        license: "see <our> terms".into(),
        terms: "Ask the harbour master.".into(),
        ..DatasetMetadata::named(DatasetName::parse("street-trees").unwrap())
    };
    let world = World::with(SiteSettings::default(), metadata).await;
    let file = world.get("/datasets/street-trees.csv").await;
    assert_eq!(links(&file)[1..], ["</terms>; rel=\"terms-of-service\""]);
    assert_eq!(world.get("/api/datasets/street-trees").await.json()["terms"], "Ask the harbour master.");
    assert!(world.get("/datasets/street-trees").await.text().contains("Ask the harbour master."));
}
