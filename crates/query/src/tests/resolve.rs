//! Names, versions and our own tables over a catalog in memory.

use std::io::Cursor;

use arrow::array::{Array, RecordBatch, StringArray};
use arrow::ipc::reader::StreamReader;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portico_model::dataset::{ColumnDescription, DatasetMetadata};
use portico_model::limits::StatementLimits;
use portico_model::name::{DatasetName, VersionRef};
use portico_model::order::VirtualTable;
use portico_model::policy::Principal;
use portico_model::problem::{Position, Problem, ProblemKind};

use super::portal::{NOW_MS, Portal, ask, export};
use crate::gate;
use crate::resolve::{Resolved, resolve};

async fn resolved(portal: &Portal, sql: &str) -> Result<Resolved, Problem> {
    let parsed = gate::parse(sql, &StatementLimits::default())?;
    resolve(&portal.store, parsed, &Principal::Anonymous, NOW_MS).await
}

async fn problem(portal: &Portal, sql: &str) -> Problem {
    match resolved(portal, sql).await {
        Ok(resolved) => panic!("{sql} is {}", resolved.gated.sql),
        Err(problem) => problem,
    }
}

fn rows(table: &VirtualTable) -> RecordBatch {
    let bytes = STANDARD.decode(&table.ipc_base64).unwrap();
    StreamReader::try_new(Cursor::new(bytes), None).unwrap().next().unwrap().unwrap()
}

fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
    let column = batch.column_by_name(column).unwrap().as_any().downcast_ref::<StringArray>().unwrap();
    column.iter().map(|value| value.unwrap_or("-").to_owned()).collect()
}

async fn unreleased(portal: &Portal, name: &str) {
    let metadata = DatasetMetadata::named(DatasetName::parse(name).unwrap());
    portal.store.catalog.put_dataset(&metadata, "s", NOW_MS).await.unwrap();
}

#[tokio::test]
async fn hidden_equals_missing_word_for_word() {
    let portal = Portal::new(|_| ()).await;
    unreleased(&portal, "draft").await;
    for (hidden, missing) in [
        ("SELECT * FROM draft", "SELECT * FROM ghost"),
        ("DESCRIBE draft", "DESCRIBE ghost"),
        ("SELECT * FROM \"draft@1\"", "SELECT * FROM \"ghost@1\""),
        ("SELECT 1 FROM trees, draft FOR VERSION AS OF 2", "SELECT 1 FROM trees, ghost FOR VERSION AS OF 2"),
        ("EXPLAIN SELECT * FROM draft", "EXPLAIN SELECT * FROM ghost"),
    ] {
        let (hidden, missing) = (problem(&portal, hidden).await, problem(&portal, missing).await);
        assert_eq!(hidden.detail.replace("draft", "ghost"), missing.detail);
        assert_eq!((hidden.kind, hidden.position), (ProblemKind::NotFound, missing.position));
    }
    let path = problem(&portal, "SELECT * FROM \"/etc/passwd\"").await;
    assert_eq!(path.detail, "There is no dataset \"/etc/passwd\".");
    let shown = resolved(&portal, "SHOW TABLES").await.unwrap();
    assert_eq!(texts(&rows(&shown.virtual_tables[0]), "table_name"), ["trees"]);
    let mut exports = Vec::new();
    for name in ["draft", "ghost"] {
        let dataset = DatasetName::parse(name).unwrap();
        let mut request = export("a", "x");
        request.dataset = dataset;
        exports.push(portal.questions.export(&request).await.err().unwrap());
    }
    assert_eq!(exports[0].detail.replace("draft", "ghost"), exports[1].detail);
}

#[tokio::test]
async fn the_first_name_that_is_not_there_is_named() {
    let portal = Portal::new(|_| ()).await;
    let first = problem(&portal, "SELECT 1 FROM trees JOIN one ON true\nUNION SELECT 2 FROM two").await;
    assert_eq!(first.detail, "There is no dataset \"one\".");
    assert_eq!(first.position, Some(Position { line: 1, column: 26 }));
}

#[tokio::test]
async fn versions_are_the_current_one_or_the_one_asked_for() {
    let portal = Portal::new(|_| ()).await;
    portal.release("trees", 2, &[b"another file"]).await;
    let names = async |sql: &str| {
        let tables = resolved(&portal, sql).await.unwrap().tables;
        tables.into_iter().map(|table| table.name).collect::<Vec<_>>()
    };
    assert_eq!(names("SELECT * FROM trees").await, ["trees@2"]);
    assert_eq!(names("SELECT * FROM trees FOR VERSION AS OF 1").await, ["trees@1"]);
    assert_eq!(names("SELECT 1 FROM trees a, trees b, public.trees c").await, ["trees@2"]);
    assert_eq!(names("SELECT 1 FROM trees a, \"trees@1\" b, \"trees@2\" c").await, ["trees@1", "trees@2"]);
    assert_eq!(names("SELECT 1").await, Vec::<String>::new());
    assert_eq!(problem(&portal, "SELECT * FROM \"trees@3\"").await.kind, ProblemKind::NotFound);
}

#[tokio::test]
async fn withdrawn_version_is_gone_and_says_why() {
    let portal = Portal::new(|_| ()).await;
    portal.release("trees", 2, &[b"another file"]).await;
    let version = VersionRef { dataset: DatasetName::parse("trees").unwrap(), version: 1 };
    portal.store.catalog.withdraw(&version, "It named people.", "c", NOW_MS).await.unwrap();
    let gone = problem(&portal, "SELECT * FROM \"trees@1\"").await;
    assert_eq!(gone.kind, ProblemKind::Withdrawn);
    assert_eq!(gone.detail, "Version 1 of \"trees\" was withdrawn. It named people.");
    assert!(gone.position.is_some());
    assert!(resolved(&portal, "SELECT * FROM trees").await.is_ok());
}

#[tokio::test]
async fn our_own_tables_list_what_is_published() {
    let portal = Portal::new(|_| ()).await;
    portal.release("bus-stops", 1, &[b"stops"]).await;
    let all = resolved(
        &portal,
        "SELECT * FROM information_schema.tables, information_schema.columns, information_schema.schemata",
    )
    .await
    .unwrap();
    let names: Vec<&str> = all.virtual_tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["information_schema.tables", "information_schema.columns", "information_schema.schemata"]);
    let tables = rows(&all.virtual_tables[0]);
    assert_eq!(texts(&tables, "table_name"), ["bus_stops", "trees"]);
    assert_eq!(texts(&tables, "table_schema"), ["public", "public"]);
    let columns = rows(&all.virtual_tables[1]);
    assert_eq!(texts(&columns, "table_name"), ["bus_stops", "bus_stops", "trees", "trees"]);
    assert_eq!(texts(&columns, "data_type"), ["VARCHAR", "BIGINT", "VARCHAR", "BIGINT"]);
    assert_eq!(texts(&columns, "column_type"), ["text", "int64", "text", "int64"]);
    assert_eq!(texts(&rows(&all.virtual_tables[2]), "schema_name"), ["public", "information_schema"]);
    assert!(all.gated.volatile);
    assert!(resolved(&portal, "SELECT * FROM trees").await.unwrap().virtual_tables.is_empty());
}

#[tokio::test]
async fn describe_holds_the_columns_of_its_version_alone() {
    let portal = Portal::new(|_| ()).await;
    portal.release("bus-stops", 1, &[b"stops"]).await;
    let mut metadata = DatasetMetadata::named(DatasetName::parse("trees").unwrap());
    let (name, title) = ("height".to_owned(), "Height in feet".to_owned());
    metadata.columns = vec![ColumnDescription { name, title, ..ColumnDescription::default() }];
    portal.store.catalog.put_dataset(&metadata, "s", NOW_MS).await.unwrap();
    for sql in ["DESCRIBE trees", "SHOW COLUMNS FROM \"trees@1\""] {
        let described = resolved(&portal, sql).await.unwrap();
        let columns = rows(&described.virtual_tables[0]);
        assert_eq!(texts(&columns, "column_name"), ["species", "height"]);
        assert_eq!(texts(&columns, "column_title"), ["-", "Height in feet"]);
        assert_eq!(described.tables.len(), 1, "the answer names the version");
    }
}

#[tokio::test]
async fn wildcards_over_too_many_columns_are_refused() {
    let portal = Portal::new(|_| ()).await;
    let stars = vec!["*"; 400].join(", ");
    assert!(resolved(&portal, &format!("SELECT {stars} FROM trees")).await.is_ok());
    let tables: Vec<String> = (0..60).map(|n| format!("trees t{n}")).collect();
    let wide = problem(&portal, &format!("SELECT {stars} FROM {}", tables.join(", "))).await;
    assert_eq!(wide.kind, ProblemKind::QueryTooComplex);
}

#[tokio::test]
async fn every_entry_point_goes_through_the_one_gate() {
    let portal = Portal::new(|_| ()).await;
    let mut before = gate::passes();
    let mut moved = || {
        let now = gate::passes();
        std::mem::replace(&mut before, now) < now
    };
    for sql in ["DROP TABLE trees", "COPY trees TO 'x'", "SELECT 1; SELECT 2", "SET x = 1", "SELECT 1 INTO t"] {
        let mut statement = ask("a", "x");
        statement.sql = sql.to_owned();
        let refused = portal.questions.gate(&statement).await.err().unwrap();
        assert_eq!(refused.kind, ProblemKind::StatementNotAllowed, "{sql}");
        assert!(moved());
    }
    for filter in
        ["1 = 1; DROP TABLE trees", "height IN (SELECT 1)", "input_file_name() = 'x'", "true) UNION (SELECT 1"]
    {
        let mut request = export("a", "x");
        request.filter = Some(filter.to_owned());
        assert!(portal.questions.export(&request).await.is_err(), "{filter}");
        assert!(moved());
        (request.filter, request.order) = (None, Some(filter.to_owned()));
        assert!(portal.questions.export(&request).await.is_err(), "{filter}");
        assert!(moved());
    }
}
