//! Use is counted by month and nothing else, arrives once, and small numbers are not told.

use portico_model::dataset::Requirement;
use portico_model::name::DatasetName;
use portico_store::{Catalog, UseCount, month_of};
use serde_json::Value;

use crate::world::{NOW_MS, World};

const MONTH_MS: i64 = 31 * 24 * 60 * 60 * 1000;

async fn counted(world: &World) -> Vec<(String, String, String, u64)> {
    world.questions.flush_uses(NOW_MS).await.unwrap();
    let counts = world.store.catalog.uses("0000-00", "9999-99", true).await.unwrap();
    counts.into_iter().map(|count| (count.protocol, count.format, count.column, count.uses)).collect()
}

fn row(protocol: &str, format: &str, column: &str, uses: u64) -> (String, String, String, u64) {
    (protocol.to_owned(), format.to_owned(), column.to_owned(), uses)
}

#[tokio::test(flavor = "multi_thread")]
async fn downloads_and_questions_are_counted_with_the_columns_that_they_name() {
    let world = World::new().await;
    world.publish("trees", "f.csv", b"tree_id,species,height\n1,Oak,3\n2,Ash,4\n").await;
    for _ in 0..3 {
        world.get("/datasets/trees.csv").await;
    }
    world.get_with("/datasets/trees.csv", &[("range", "bytes=5-9")]).await;
    world.get("/datasets/trees.parquet").await;
    world.rows("SELECT species FROM trees WHERE height > 3 AND species <> 'tree_id'").await;
    world.rows("SELECT * FROM trees").await;
    assert_eq!(world.get("/sql?q=SELECT+1+FROM+nowhere").await.status, 404);
    let expected = [
        row("download", "csv", "", 3),
        row("download", "parquet", "", 1),
        row("sql", "csv", "", 2),
        row("sql", "csv", "height", 1),
        row("sql", "csv", "species", 1),
    ];
    assert_eq!(counted(&world).await, expected);
    // Nothing new: nothing is added.
    assert_eq!(counted(&world).await, expected);
    let told = world.get("/api/usage").await.json();
    let uses: Vec<&Value> = told["usage"].as_array().unwrap().iter().map(|row| &row["uses"]).collect();
    assert_eq!(uses.len(), 5);
    assert!(uses.iter().all(|uses| *uses == "<10"), "{uses:?}");
    assert_eq!(world.get("/api/usage?from=2026-1").await.status, 400);
}

#[tokio::test]
async fn a_batch_arrives_once_however_often_it_is_sent() {
    let world = World::new().await;
    world.publish("trees", "f.csv", b"tree_id\n1\n").await;
    let count = UseCount {
        month: month_of(NOW_MS),
        dataset: DatasetName::parse("trees").unwrap(),
        version: 1,
        protocol: "sql".into(),
        format: "json".into(),
        column: String::new(),
        uses: 7,
    };
    let catalog: &Catalog = &world.store.catalog;
    for batch in ["one", "one", "two", "one"] {
        catalog.add_uses(batch, std::slice::from_ref(&count), NOW_MS).await.unwrap();
    }
    assert_eq!(catalog.uses("2026-01", "2026-01", false).await.unwrap()[0].uses, 14);
    assert!(catalog.uses("2026-02", "2026-12", false).await.unwrap().is_empty());
    assert!(world.get("/api/usage").await.text().contains("\"14\""));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dataset_usage_is_released_when_a_month_is_over() {
    let world = World::new().await;
    world.publish("trees", "f.csv", b"tree_id,species\n1,Oak\n").await;
    for _ in 0..12 {
        world.get("/datasets/trees.csv").await;
    }
    world.rows("SELECT species FROM trees").await;
    world.questions.flush_uses(NOW_MS).await.unwrap();
    let publisher = world.publisher.clone().with_own_steward("records@city.example").requiring(&Requirement::ALL);
    assert_eq!(world.publisher.refresh_usage(NOW_MS + MONTH_MS).await.unwrap(), None, "nobody answers for it");
    assert_eq!(publisher.refresh_usage(NOW_MS).await.unwrap(), None, "the month is not over");
    let released = publisher.refresh_usage(NOW_MS + MONTH_MS).await.unwrap().unwrap();
    assert_eq!(released.to_string(), "usage@1");
    assert_eq!(publisher.refresh_usage(NOW_MS + MONTH_MS + 1).await.unwrap(), None, "nothing is new");
    let rows =
        world.rows("SELECT dataset, protocol, uses, uses_at_least FROM usage ORDER BY protocol, column_name").await;
    assert_eq!(rows, "trees,download,12,12\ntrees,sql,<10,1\ntrees,sql,<10,1\n");
    // A dataset of somebody else's is left alone.
    let elsewhere = World::new().await;
    elsewhere.publish("usage", "f.csv", b"kwh\n1\n").await;
    elsewhere.publish("trees", "f.csv", b"tree_id\n1\n").await;
    elsewhere.get("/datasets/trees.csv").await;
    elsewhere.questions.flush_uses(NOW_MS).await.unwrap();
    let publisher = elsewhere.publisher.clone().with_own_steward("records@city.example");
    assert!(publisher.refresh_usage(NOW_MS + MONTH_MS).await.is_err());
}
