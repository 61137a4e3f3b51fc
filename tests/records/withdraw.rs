//! A withdrawal is everywhere within seconds, also by another server and in the middle of an answer.

use std::fmt::Write as _;

use axum::body::Body;
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use portico_model::limits::Limits;
use portico_publish::Suspicion;
use tower::ServiceExt as _;

use crate::world::{NOW_MS, World};

/// Rows that no compression makes small: a download of them comes in many pieces.
pub(crate) fn noise(rows: u64) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let mut text = "tree_id,note\n".to_owned();
    for row in 0..rows {
        write!(text, "{row}").unwrap();
        text.push(',');
        for _ in 0..4 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            write!(text, "{state:016x}").unwrap();
        }
        text.push('\n');
    }
    text.into_bytes()
}

/// Many questions at once, and none that outlives a withdrawal.
pub(crate) fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.query.withdrawal_ms = 0;
    limits.query.workers = 8;
    limits.query.running_per_address = 8;
    limits
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_downloads_under_way_are_cut_by_another_servers_withdrawal() {
    let world = World::with(limits()).await;
    let version = world.publish("trees", "f.csv", &noise(60_000)).await;
    let other = World::over(world.store.clone(), limits()).await;
    // Made once, so that some read what is spooled.
    assert_eq!(world.get("/datasets/trees.csv").await.status, StatusCode::OK);
    let paths = [
        "/datasets/trees.csv",
        "/datasets/trees.parquet",
        "/datasets/trees/versions/1/parts/0.parquet",
        "/datasets/trees/versions/1.ndjson",
        "/sql?q=SELECT+*+FROM+trees&format=csv",
    ];
    let mut open = Vec::new();
    for number in 0..50 {
        // Of questions only a few run at once.
        let path = if number < 4 { paths[4] } else { paths[number % 4] };
        let request = Request::get(path).body(Body::empty()).unwrap();
        let answer = world.router().oneshot(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let mut body = answer.into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(!first.is_empty(), "{path}");
        open.push((path, body, first.len()));
    }
    other.publisher.withdraw(&other.operator, &version, "It named people.", NOW_MS).await.unwrap();
    for (path, mut body, mut seen) in open {
        let end = loop {
            match body.frame().await {
                Some(Ok(frame)) => seen += frame.into_data().map_or(0, |data| data.len()),
                Some(Err(_)) => break "cut",
                None => break "whole",
            }
        };
        assert_eq!(end, "cut", "{path} after {seen} bytes");
    }
    for server in [&world, &other] {
        for path in paths.into_iter().chain(["/datasets/trees/versions/1", "/api/datasets/trees/versions/1"]) {
            let gone = server.get(path).await;
            assert_eq!(gone.status, StatusCode::GONE, "{path}");
            assert!(gone.text().contains("It named people."), "{path}: {}", gone.text());
        }
        let pinned = server.get("/sql?q=SELECT+*+FROM+%22trees%401%22").await;
        assert_eq!((pinned.status, pinned.text().contains("It named people.")), (StatusCode::GONE, true));
        assert!(!server.get("/api/datasets").await.text().contains("\"trees\""));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn older_versions_with_the_same_leak_are_found() {
    let world = World::new().await;
    let plots = |name: &str, rows: u64| {
        let mut text = format!("tree_id,species,{name}\n");
        for row in 0..rows {
            writeln!(text, "{row},Oak,plot {}", 100 + row).unwrap();
        }
        text.into_bytes()
    };
    world.publish("trees", "f.csv", b"tree_id,species\n1,Oak\n2,Ash\n").await;
    world.publish("trees", "f.csv", &plots("code", 30)).await;
    world.publish("trees", "f.csv", &plots("plot", 30)).await;
    let last = world.publish("trees", "f.csv", &plots("code", 31)).await;
    let found = async |column: Option<&str>, screen| {
        let suspicion = Suspicion { column: column.map(str::to_owned), screen };
        let affected = world.publisher.affected(&world.operator, &last, &suspicion, NOW_MS).await.unwrap();
        affected.iter().map(|version| version.version).collect::<Vec<_>>()
    };
    assert_eq!(found(Some("CODE"), false).await, [2]);
    assert_eq!(found(Some("species"), false).await, [3, 2, 1]);
    assert_eq!(found(None, false).await, [0; 0]);
    // By its figures, under another name.
    let second = portico_model::name::VersionRef { version: 2, ..last.clone() };
    let suspicion = Suspicion { column: Some("code".to_owned()), screen: false };
    let by = world.publisher.affected(&world.operator, &second, &suspicion, NOW_MS).await.unwrap();
    assert_eq!(by.iter().map(|version| version.version).collect::<Vec<_>>(), [4, 3]);
    let unknown = Suspicion { column: Some("nope".to_owned()), screen: false };
    assert!(world.publisher.affected(&world.operator, &last, &unknown, NOW_MS).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_files_of_older_versions_are_screened_anew() {
    let world = World::new().await;
    let mut text = "tree_id,remark\n".to_owned();
    for row in 0..40 {
        writeln!(text, "{row},{:03}-{:02}-{:04}", 212 + row, 11 + row, 1_000 + row * 7).unwrap();
    }
    let declared = "[[field]]\nname = \"remark\"\ntreatment = \"public\"\nreason = \"a mistake\"\n";
    let leak = world.screen("trees", "f.csv", text.as_bytes(), declared).await;
    let first = world.release(&leak).await;
    world.publish("trees", "f.csv", b"tree_id,species\n1,Oak\n2,Ash\n").await;
    let second = portico_model::name::VersionRef { version: 2, ..first };
    for (screen, expected) in [(false, 0), (true, 1)] {
        let suspicion = Suspicion { column: None, screen };
        let affected = world.publisher.affected(&world.operator, &second, &suspicion, NOW_MS).await.unwrap();
        assert_eq!(affected.len(), expected, "{affected:?}");
    }
}
