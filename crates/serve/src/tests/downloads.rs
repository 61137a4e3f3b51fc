//! Bulk downloads: headers, ranges, conditions.

use http::{Method, StatusCode};

use crate::testing::{Answered, World};

const PARQUET: &str = "/datasets/street-trees/versions/2.parquet";
const CSV: &str = "/datasets/street-trees/versions/2.csv";

#[tokio::test]
async fn a_whole_version_is_the_stored_file() {
    let world = World::new().await;
    let file = world.get(PARQUET).await;
    assert_eq!((file.status, file.text()), (StatusCode::OK, "the second file"));
    assert_eq!(file.header("content-type"), "application/vnd.apache.parquet");
    assert_eq!(file.header("content-length"), "15");
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"street-trees-v2.parquet\"");
    assert_eq!(file.header("last-modified"), "Tue, 14 Nov 2023 22:13:20 GMT");
    assert_eq!(file.header("accept-ranges"), "bytes");
    assert!(file.header("repr-digest").starts_with("sha-256=:") && file.header("repr-digest").ends_with("=:"));
    assert_eq!(file.header("content-location"), PARQUET);
    assert_eq!(file.header("link"), format!("<{PARQUET}>; rel=\"cite-as\""));
    assert_eq!((file.header("x-portico-version"), file.header("x-portico-rows")), ("2", "2000"));
    assert_eq!(file.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(file.header("x-content-type-options"), "nosniff");
    assert!(file.header("etag").starts_with('"') && file.header("etag").ends_with('"'));
}

#[tokio::test]
async fn the_current_version_revalidates_and_says_where_it_stays() {
    let world = World::new().await;
    let current = world.get("/datasets/street-trees.parquet").await;
    assert_eq!(current.text(), "the second file");
    assert_eq!(current.header("cache-control"), "public, no-cache");
    assert_eq!(current.header("content-location"), PARQUET);
    let part = world.get("/datasets/street-trees/versions/1/parts/0.parquet").await;
    assert_eq!((part.status, part.text()), (StatusCode::OK, "the first file"));
    for missing in
        ["/datasets/street-trees/versions/1/parts/1.parquet", "/datasets/street-trees/versions/1/parts/00.parquet"]
    {
        assert_eq!(world.get(missing).await.status, StatusCode::NOT_FOUND, "{missing}");
    }
}

#[tokio::test]
async fn one_range_is_served_of_stored_and_of_made_files() {
    let world = World::new().await;
    let range = async |uri: &str, range: &str| {
        let part = world.ask(Method::GET, uri, &[("range", range)]).await;
        (part.status.as_u16(), part.header("content-range").to_owned(), part.text().to_owned())
    };
    assert_eq!(range(PARQUET, "bytes=4-9").await, (206, "bytes 4-9/15".into(), "second".into()));
    assert_eq!(range(PARQUET, "bytes=-4").await, (206, "bytes 11-14/15".into(), "file".into()));
    assert_eq!(range(PARQUET, "bytes=-99").await, (206, "bytes 0-14/15".into(), "the second file".into()));
    assert_eq!(range(PARQUET, "bytes=0-0,2-3").await, (200, String::new(), "the second file".into()));
    assert_eq!(range(CSV, "bytes=2-").await, (206, "bytes 2-5/6".into(), "1\n2\n".into()));
    assert_eq!(range(CSV, "bytes=0-262143").await, (206, "bytes 0-5/6".into(), "a\n1\n2\n".into()));
    let outside = world.ask(Method::GET, CSV, &[("range", "bytes=6-")]).await;
    assert_eq!((outside.status.as_u16(), outside.header("content-range")), (416, "bytes */6"));
    assert_eq!(outside.json()["code"], "range_not_satisfiable");
}

#[tokio::test]
async fn head_says_what_get_sends() {
    let world = World::new().await;
    for uri in [PARQUET, CSV, "/datasets/street-trees.csv?select=species&limit=2"] {
        let head = world.ask(Method::HEAD, uri, &[]).await;
        assert_eq!((head.status, head.text()), (StatusCode::OK, ""), "{uri}");
        let get = world.get(uri).await;
        assert_eq!(head.header("content-length"), get.text().len().to_string(), "{uri}");
        for name in ["etag", "content-type", "accept-ranges", "content-disposition", "last-modified"] {
            assert_eq!(head.header(name), get.header(name), "{uri} {name}");
        }
    }
}

#[tokio::test]
async fn what_the_client_has_is_not_sent_again() {
    let world = World::new().await;
    let etag = world.get(CSV).await.header("etag").to_owned();
    let again = world.ask(Method::GET, CSV, &[("if-none-match", &etag)]).await;
    assert_eq!((again.status, again.text()), (StatusCode::NOT_MODIFIED, ""));
    assert_eq!(again.header("etag"), etag);
    let date = "Tue, 14 Nov 2023 22:13:20 GMT";
    assert_eq!(world.ask(Method::GET, CSV, &[("if-modified-since", date)]).await.status, StatusCode::NOT_MODIFIED);
    let other = world.ask(Method::GET, CSV, &[("if-match", "\"other\"")]).await;
    assert_eq!(other.status, StatusCode::PRECONDITION_FAILED);
    assert_ne!(world.get("/datasets/street-trees/versions/1.csv").await.header("etag"), etag);
    assert_ne!(world.get(&format!("{CSV}?header=false")).await.header("etag"), etag);
}

#[tokio::test]
async fn a_resumed_transfer_never_mixes_files() {
    let world = World::new().await;
    let etag = world.get(CSV).await.header("etag").to_owned();
    let resumed = world.ask(Method::GET, CSV, &[("range", "bytes=4-"), ("if-range", &etag)]).await;
    assert_eq!((resumed.status, resumed.text()), (StatusCode::PARTIAL_CONTENT, "2\n"));
    let stale = world.ask(Method::GET, CSV, &[("range", "bytes=4-"), ("if-range", "\"stale\"")]).await;
    assert_eq!((stale.status, stale.text()), (StatusCode::OK, "a\n1\n2\n"));
}

#[tokio::test]
async fn an_export_that_fails_is_a_problem_or_a_broken_transfer() {
    let world = World::new().await;
    let first = world.get("/datasets/street-trees.csv?where=species+%3D+'first'").await;
    assert_eq!((first.status.as_u16(), first.json()["code"].as_str()), (422, Some("query_failed")));
    let later = world.get("/datasets/street-trees.csv?where=species+%3D+'later'").await;
    assert!(later.status.as_u16() == 422 || later.body.is_none(), "{later:?}");
    let long = world.get("/datasets/street-trees.csv?where=species+%3D+'long'").await;
    assert_eq!(long.text().len(), 300_000);
}

#[tokio::test]
async fn bad_requests_are_told_what_is_wrong() {
    let world = World::new().await;
    let problem = async |uri: &str| {
        let refused = world.get(uri).await;
        assert_eq!(refused.header("content-type"), "application/problem+json", "{uri}");
        assert!(refused.header("etag").is_empty() && refused.header("last-modified").is_empty());
        (refused.status.as_u16(), refused.json()["code"].as_str().unwrap().to_owned())
    };
    assert_eq!(problem("/datasets/street-trees.csv?rows=5").await, (400, "invalid_request".into()));
    assert_eq!(problem("/datasets/street-trees.csv?select=nothing").await, (400, "unknown_column".into()));
    assert_eq!(problem("/datasets/street-trees.exe").await.0, 404);
    assert_eq!(problem("/datasets/street-trees/versions/9.csv").await.0, 404);
    assert_eq!(problem("/datasets/street-trees/versions/01.csv").await.0, 404);
    assert_eq!(problem("/datasets/street-trees.geojson").await.0, 406);
    assert_eq!(problem("/datasets/%2e%2e%2f%2e%2e%2fetc%2fpasswd").await.0, 404);
    assert_eq!(problem("/datasets/..%5c..%5cx.csv").await.0, 404);
}

#[tokio::test]
async fn hidden_equals_missing() {
    let world = World::new().await;
    for (hidden, missing) in [
        ("/datasets/secret-plan.csv", "/datasets/absent-plan.csv"),
        ("/datasets/secret-plan/versions/1.csv", "/datasets/absent-plan/versions/1.csv"),
        ("/datasets/secret-plan/versions/1/parts/0.parquet", "/datasets/absent-plan/versions/1/parts/0.parquet"),
        ("/datasets/secret-plan", "/datasets/absent-plan"),
        ("/api/datasets/secret-plan", "/api/datasets/absent-plan"),
        ("/api/datasets/secret-plan/versions/1", "/api/datasets/absent-plan/versions/1"),
        ("/api/datasets/secret-plan/changes?from=1", "/api/datasets/absent-plan/changes?from=1"),
    ] {
        let (mut hidden, mut missing) = (world.get(hidden).await, world.get(missing).await);
        for answered in [&mut hidden, &mut missing] {
            answered.headers.remove("x-request-id");
        }
        assert_eq!((hidden.status, &hidden.headers), (StatusCode::NOT_FOUND, &missing.headers));
        // The words of the request are repeated, and the id is another each time; nothing else differs.
        let words = |answered: &Answered, name: &str| {
            let mut body = answered.json();
            body.as_object_mut().unwrap().remove("instance");
            body.to_string().replace(name, "NAME").replace(&name.replace('-', "_"), "NAME")
        };
        let (hidden, missing) = (words(&hidden, "secret-plan"), words(&missing, "absent-plan"));
        assert_eq!(hidden, missing);
    }
}

#[tokio::test]
async fn withdrawn_version_is_gone() {
    let world = World::new().await;
    world.withdraw(1, "It held names.").await;
    for uri in [
        "/datasets/street-trees/versions/1.csv",
        "/datasets/street-trees/versions/1.parquet",
        "/datasets/street-trees/versions/1/parts/0.parquet",
        "/datasets/street-trees/versions/1",
        "/api/datasets/street-trees/versions/1",
    ] {
        let gone = world.get(uri).await;
        assert_eq!(gone.status, StatusCode::GONE, "{uri}");
        assert!(gone.text().contains("It held names."), "{uri}: {}", gone.text());
    }
    assert_eq!(world.get("/datasets/street-trees.csv").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_long_condition_is_in_no_header() {
    let world = World::new().await;
    let of = async |brackets: usize| {
        let condition = format!("species+%3D+'{}'", "[".repeat(brackets));
        world.get(&format!("/datasets/street-trees.csv?where={condition}")).await
    };
    let (short, long) = (of(100).await, of(5_000).await);
    assert_eq!((short.status, long.status), (StatusCode::OK, StatusCode::OK), "{}", long.text());
    assert!(short.header("content-location").contains("%5B") && short.header("link").contains("cite-as"));
    assert_eq!((long.header("content-location"), long.header("link").contains("cite-as")), ("", false));
    let bytes: usize = long.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    assert!(bytes < 8 * 1024, "{bytes}");
}
