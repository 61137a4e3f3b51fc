//! The catalog as JSON, and what the service says of itself.

use std::sync::Arc;

use http::{Method, StatusCode};
use portico_model::dataset::DatasetMetadata;
use portico_model::limits::Limits;
use portico_model::name::DatasetName;

use crate::site::SiteSettings;
use crate::testing::{NOW_MS, World};

#[tokio::test]
async fn the_catalog_lists_what_is_released() {
    let world = World::new().await;
    let list = world.get("/api/datasets").await.json();
    assert_eq!((list["total"].as_u64(), list["pages"].as_u64()), (Some(1), Some(1)));
    let first = &list["datasets"][0];
    assert_eq!((first["name"].as_str(), first["rows"].as_u64()), (Some("street-trees"), Some(2000)));
    assert_eq!(first["updated"], "2023-11-14T22:13:20Z");
    assert_eq!(world.get("/api/datasets?q=trees").await.json()["total"], 1);
    assert_eq!(world.get("/api/datasets?q=secret").await.json()["total"], 0);
    assert_eq!(world.get("/api/datasets?format=geojson").await.json()["total"], 0);
    assert_eq!(world.get("/api/datasets?format=xlsx").await.json()["total"], 1);
    assert_eq!(world.get("/api/datasets?page=99").await.json()["datasets"].as_array().unwrap().len(), 0);
    assert_eq!(world.get("/api/datasets?pages=2").await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_dataset_has_columns_figures_and_versions() {
    let world = World::new().await;
    let answer = world.get("/api/datasets/street-trees").await;
    let body = answer.json();
    assert_eq!((body["current_version"].as_u64(), body["sql_name"].as_str()), (Some(2), Some("street_trees")));
    assert_eq!(body["columns"][0]["description"], "What grows there");
    assert_eq!(body["columns"][1]["type"], "int64");
    assert_eq!(body["columns"][1]["profile"]["nulls"], 500);
    assert_eq!(body["versions"][0]["version"], 2);
    let again = world.ask(Method::GET, "/api/datasets/street-trees", &[("if-none-match", answer.header("etag"))]).await;
    assert_eq!(again.status, StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn a_version_has_a_manifest_without_paths_or_people() {
    let world = World::new().await;
    let answer = world.get("/api/datasets/street-trees/versions/1").await;
    let body = answer.json();
    assert_eq!(body["files"][0]["url"], "/datasets/street-trees/versions/1/parts/0.parquet");
    assert_eq!(body["files"][0]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!((body["current"].as_bool(), body["rows"].as_u64()), (Some(false), Some(1000)));
    assert!(!answer.text().contains("cio-of-the-city") && !answer.text().contains("\"path\""));
    let versions = world.get("/api/datasets/street-trees/versions").await.json();
    assert_eq!(versions["versions"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn versions_come_a_page_at_a_time() {
    let metadata = DatasetMetadata::named(DatasetName::parse("street-trees").unwrap());
    let mut limits = Limits::default();
    limits.http.page_rows = 1;
    let world = World::built(SiteSettings::default(), metadata, limits, Arc::new(|| NOW_MS)).await;
    let dataset = world.get("/api/datasets/street-trees").await.json();
    assert_eq!((dataset["versions"].as_array().unwrap().len(), dataset["versions_total"].as_u64()), (1, Some(2)));
    assert_eq!(dataset["versions"][0]["version"], 2);
    assert_eq!(dataset["versions_url"], "/api/datasets/street-trees/versions");
    let page = world.get("/api/datasets/street-trees/versions?page=2").await.json();
    assert_eq!((page["versions"][0]["version"].as_u64(), page["pages"].as_u64()), (Some(1), Some(2)));
    assert_eq!((page["versions"].as_array().unwrap().len(), page["next"].is_null()), (1, true));
    let past = world.get("/api/datasets/street-trees/versions?page=9").await.json();
    assert_eq!((past["versions"].as_array().unwrap().len(), past["total"].as_u64()), (0, Some(2)));
    assert_eq!(world.get("/api/datasets/street-trees/versions?page=0").await.status, StatusCode::BAD_REQUEST);
    assert!(world.get("/datasets/street-trees").await.text().contains("And 1 older ones"));
}

#[tokio::test]
async fn changes_are_told_as_far_as_they_are_known() {
    let world = World::new().await;
    let changes = world.get("/api/datasets/street-trees/changes").await.json();
    assert_eq!((changes["from"]["version"].as_u64(), changes["to"]["version"].as_u64()), (Some(1), Some(2)));
    assert_eq!(changes["rows_difference"], 1000);
    assert_eq!(changes["columns"]["unchanged"], 2);
    assert_eq!(changes["figures"][0]["nulls"]["to"], 500);
    let back = world.get("/api/datasets/street-trees/changes?from=2&to=1").await.json();
    assert_eq!(back["rows_difference"], -1000);
    let first = world.get("/api/datasets/street-trees/changes?to=1").await;
    assert_eq!(first.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn the_service_says_how_it_is() {
    let world = World::new().await;
    assert_eq!(world.get("/healthz").await.text(), "ok\n");
    assert!(world.site.questions.workers().wait_ready(std::time::Duration::from_secs(5)).await);
    assert_eq!(world.get("/readyz").await.status, StatusCode::OK);
    let limits = world.get("/api/limits").await.json();
    assert_eq!(limits["query"]["running_per_address"], 2);
    assert!(limits["query"]["workers"].is_null() && limits["query"]["pool_memory_bytes"].is_null());
    assert!(world.get("/robots.txt").await.text().contains("Disallow: /sql"));
}
