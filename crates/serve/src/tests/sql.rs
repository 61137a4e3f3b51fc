//! SQL over HTTP.

use axum::body::Body;
use http::{Method, Request, StatusCode};

use crate::testing::{Answered, World};

async fn post(world: &World, content_type: &str, body: &str) -> Answered {
    let request = Request::builder().method(Method::POST).uri("/sql").header("content-type", content_type);
    world.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

#[tokio::test]
async fn an_answer_names_its_versions_and_its_citation() {
    let world = World::new().await;
    let answer = world.get("/sql?q=SELECT+*+FROM+street_trees&format=csv").await;
    assert_eq!((answer.status, answer.text()), (StatusCode::OK, "a\n1\n2\n"));
    assert_eq!(answer.header("content-type"), "text/csv; charset=utf-8");
    assert_eq!(answer.header("content-length"), "6");
    assert_eq!(answer.header("x-portico-versions"), "street_trees@2");
    assert_eq!(answer.header("x-portico-query-id").len(), 26);
    assert_eq!(answer.header("cache-control"), "public, no-cache");
    assert_eq!(answer.header("vary"), "accept-encoding");
    let link = answer.header("link");
    let url = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"cite-as\"")).unwrap();
    assert!(url.starts_with("/sql?q=") && url.contains("street_trees%402") && url.ends_with("format=csv"), "{url}");
    // The citation asks the same question: its tag is the same.
    assert_eq!(world.get(url).await.header("etag"), answer.header("etag"));
}

#[tokio::test]
async fn what_the_client_has_does_not_run_again() {
    let world = World::new().await;
    // It would fail if it ran.
    let uri = "/sql?q=SELECT+*+FROM+street_trees+WHERE+species+%3D+'first'";
    assert_eq!(world.get(uri).await.status, StatusCode::UNPROCESSABLE_ENTITY);
    let head = world.ask(Method::HEAD, uri, &[]).await;
    assert_eq!(head.status, StatusCode::OK);
    let again = world.ask(Method::GET, uri, &[("if-none-match", head.header("etag"))]).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn the_format_is_negotiated() {
    let world = World::new().await;
    let uri = "/sql?q=SELECT+1";
    let format = async |accept: &str| {
        let answer = world.ask(Method::GET, uri, &[("accept", accept)]).await;
        (answer.status.as_u16(), answer.header("content-type").to_owned())
    };
    assert_eq!(format("*/*").await, (200, "application/json".into()));
    assert_eq!(format("text/csv").await, (200, "text/csv; charset=utf-8".into()));
    assert_eq!(format("application/vnd.apache.arrow.stream").await.1, "application/vnd.apache.arrow.stream");
    assert_eq!(format("image/png").await, (406, "application/problem+json".into()));
    assert_eq!(world.get(uri).await.header("vary"), "accept, accept-encoding");
}

#[tokio::test]
async fn text_is_compressed_on_its_way() {
    let world = World::new().await;
    let uri = "/sql?q=SELECT+*+FROM+street_trees&format=csv";
    let plain = world.get(uri).await;
    let gzip = world.ask(Method::GET, uri, &[("accept-encoding", "gzip")]).await;
    assert_eq!(gzip.header("content-encoding"), "gzip");
    assert_ne!(gzip.header("etag"), plain.header("etag"));
    let zstd = world.ask(Method::GET, uri, &[("accept-encoding", "gzip, zstd")]).await;
    assert_eq!(zstd::stream::decode_all(zstd.body.as_deref().unwrap()).unwrap(), b"a\n1\n2\n");
    let arrow = world.ask(Method::GET, "/sql?q=SELECT+1&format=arrow", &[("accept-encoding", "gzip")]).await;
    assert_eq!(arrow.header("content-encoding"), "");
}

#[tokio::test]
async fn bodies_are_statements_or_json() {
    let world = World::new().await;
    assert_eq!(post(&world, "application/sql", "SELECT 1").await.status, StatusCode::OK);
    let json = r#"{"sql": "SELECT * FROM street_trees WHERE height > $1", "params": [3], "format": "csv"}"#;
    let answer = post(&world, "application/json", json).await;
    assert_eq!((answer.status, answer.text()), (StatusCode::OK, "a\n1\n2\n"));
    assert!(answer.header("link").contains("p1=3"), "{}", answer.header("link"));
    assert_eq!(post(&world, "text/html", "SELECT 1").await.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(post(&world, "text/plain", &"x".repeat(2 << 20)).await.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn problems_say_where() {
    let world = World::new().await;
    let wrong = world.get("/sql?q=SELEC+1").await;
    assert_eq!(wrong.status, StatusCode::BAD_REQUEST);
    assert_eq!(wrong.header("content-type"), "application/problem+json");
    let body = wrong.json();
    assert_eq!(body["status"], 400);
    assert_eq!(body["instance"], wrong.header("x-request-id"));
    assert_eq!(body["type"], format!("/docs/problems#{}", body["code"].as_str().unwrap()));
    let unknown = world.get("/sql?q=SELECT+*+FROM+secret_plan").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert!(unknown.header("etag").is_empty());
    for refused in ["DROP+TABLE+street_trees", "SELECT+1;SELECT+2"] {
        assert_eq!(world.get(&format!("/sql?q={refused}")).await.status, StatusCode::BAD_REQUEST, "{refused}");
    }
    let later = world.get("/sql?q=SELECT+*+FROM+street_trees+WHERE+species='later'&format=csv").await;
    assert!(later.status == StatusCode::UNPROCESSABLE_ENTITY || later.body.is_none(), "{later:?}");
}

#[tokio::test]
async fn a_plan_is_explained_and_nothing_runs() {
    let world = World::new().await;
    let answer = world.get("/sql/explain?q=SELECT+*+FROM+street_trees").await;
    assert_eq!(answer.status, StatusCode::OK);
    let body = answer.json();
    assert_eq!(body["plan"]["logical"], "TableScan");
    assert_eq!(body["estimate"]["files"], 1);
    assert_eq!(body["versions"]["street_trees"], 2);
}

#[tokio::test]
async fn only_a_running_query_is_cancelled() {
    let world = World::new().await;
    let unknown = world.ask(Method::DELETE, "/sql/01hf7yat000000000000000000", &[]).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
}
