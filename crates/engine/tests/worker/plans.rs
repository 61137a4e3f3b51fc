//! What may be planned, and what is told of a plan.

use portico_model::order::{Explanation, Work};
use portico_model::problem::ProblemKind;

use crate::city::City;

#[tokio::test]
async fn only_queries_are_planned() {
    let city = City::new();
    let refused = [
        "SET datafusion.execution.batch_size = 1",
        "SHOW ALL",
        "EXPLAIN SELECT 1",
        r#"EXPLAIN ANALYZE SELECT * FROM "permits@3""#,
        r#"COPY "permits@3" TO 'x.csv'"#,
        r#"CREATE TABLE t AS SELECT * FROM "permits@3""#,
        "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
        r#"INSERT INTO "permits@3" SELECT * FROM "permits@3""#,
        r#"DELETE FROM "permits@3""#,
        r#"DROP TABLE "permits@3""#,
        r#"DESCRIBE "permits@3""#,
        "PREPARE p AS SELECT 1",
        "BEGIN",
    ];
    for sql in refused {
        let problem = city.refused(sql).await;
        let kinds = [ProblemKind::StatementNotAllowed, ProblemKind::InvalidSql];
        assert!(kinds.contains(&problem.kind), "{sql}: {problem}");
    }
    let recursive = "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n) SELECT * FROM n";
    let problem = city.refused(recursive).await;
    assert!([ProblemKind::StatementNotAllowed, ProblemKind::InvalidSql].contains(&problem.kind), "{problem}");
}

#[tokio::test]
async fn only_tables_of_the_order_exist() {
    let city = City::new();
    for table in [
        "'/etc/passwd'",
        "\"/proc/self/environ\"",
        "\"file:///etc/passwd\"",
        "\"http://169.254.169.254/latest/meta-data\"",
        "information_schema.df_settings",
        "information_schema.tables",
        "pg_catalog.pg_tables",
        "permits",
        "read_csv('/etc/passwd')",
        "list_files('/')",
    ] {
        let problem = city.refused(&format!("SELECT * FROM {table}")).await;
        let kinds = [ProblemKind::NotFound, ProblemKind::InvalidSql, ProblemKind::FunctionNotAllowed];
        assert!(kinds.contains(&problem.kind), "{table}: {problem}");
    }
}

#[tokio::test]
async fn functions_that_tell_too_much_are_not_offered() {
    let city = City::new();
    for call in [
        "input_file_name()",
        "file_row_index()",
        "version()",
        "arrow_metadata(id)",
        "arrow_cast(id, 'FixedSizeBinary(2000000000)')",
        "cast_to_type(id, 1)",
        "union_tag(id)",
        "no_such(id)",
    ] {
        let problem = city.refused(&format!(r#"SELECT {call} FROM "permits@3""#)).await;
        assert_eq!(problem.kind, ProblemKind::FunctionNotAllowed, "{call}: {problem}");
    }
}

#[tokio::test]
async fn unknown_columns_are_named_with_their_neighbours() {
    let city = City::new();
    let problem = city.refused(r#"SELECT burough FROM "permits@3""#).await;
    assert_eq!(problem.kind, ProblemKind::UnknownColumn);
    assert_eq!(problem.detail, "There is no column burough here. Did you mean borough?");
    let problem = city.refused(r#"SELECT id FROM "permits@3" WHERE nothing_like_it = 1"#).await;
    assert!(problem.detail.contains("There are: borough, cost, id"), "{problem}");
}

#[tokio::test]
async fn names_of_any_length_are_refused_as_short_ones_are() {
    let city = City::new();
    let name = "x".repeat(20_000);
    let problem = city.refused(&format!(r#"SELECT {name} FROM "permits@3""#)).await;
    assert_eq!((problem.kind, problem.about), (ProblemKind::UnknownColumn, None));
    let mut order = city.order(&format!(r#"SELECT repeat('y', 40000) AS {name} FROM "permits@3""#));
    order.output = crate::city::output(portico_model::format::Format::Xlsx);
    assert_eq!(city.ask(&order).await.unwrap_err().kind, ProblemKind::AnswerTooLarge);
}

#[tokio::test]
async fn errors_tell_no_value_of_the_data() {
    let city = City::new();
    for (sql, says) in [
        (r#"SELECT sum(CAST(note AS INT)) FROM "permits@3""#, "could not be converted to int32"),
        (r#"SELECT id FROM "permits@3" WHERE CAST(note AS BIGINT) > 0"#, "could not be converted to int64"),
        (r#"SELECT CAST(note AS DATE) FROM "permits@3""#, "could not be converted"),
        (r#"SELECT 1 / (id - 7) FROM "permits@3""#, "divided by zero"),
        (r#"SELECT (SELECT note FROM "permits@3") AS x"#, "more than one row"),
        (r#"SELECT CAST(note AS TIMESTAMP) FROM "permits@3""#, "could not be converted"),
    ] {
        let problem = city.refused(sql).await;
        assert_eq!(problem.kind, ProblemKind::QueryFailed, "{sql}: {problem}");
        assert!(problem.detail.contains(says), "{sql}: {problem}");
        assert!(!problem.detail.contains("SECRET"), "{sql}: {problem}");
    }
}

#[tokio::test]
async fn a_plan_is_told_without_paths() {
    let city = City::new();
    let sql = r#"SELECT borough, count(*) FROM "permits@3" WHERE id < 150 GROUP BY borough ORDER BY 2"#;
    let explanation = explain(&city, sql).await;
    let scan = "Scan permits@3 files=1 row_groups=2/5 columns=[";
    assert!(explanation.physical_plan.contains(scan), "{}", explanation.physical_plan);
    assert!(explanation.physical_plan.contains("filter="), "{}", explanation.physical_plan);
    assert!(explanation.logical_plan.contains("TableScan: permits@3"), "{}", explanation.logical_plan);
    assert_eq!((explanation.files, explanation.row_groups), (1, 2));
    assert!(explanation.bytes > 0);
    let text = format!("{explanation:?}");
    let directory = city.directory().to_str().unwrap();
    for secret in [directory, "parquet", "/tmp", "portico://"] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
}

#[tokio::test]
async fn the_estimate_counts_columns_and_row_groups_that_would_be_read() {
    let city = City::new();
    let narrow = explain(&city, r#"SELECT sum(id) FROM "permits@3""#).await;
    let wide = explain(&city, r#"SELECT * FROM "permits@3""#).await;
    assert_eq!((wide.files, wide.row_groups), (2, 10));
    assert_eq!(narrow.row_groups, 10);
    assert!(narrow.bytes * 2 < wide.bytes, "{} {}", narrow.bytes, wide.bytes);
    // Exact statistics answer it: no scan is left.
    let counted = explain(&city, r#"SELECT count(*), max(id) FROM "permits@3""#).await;
    assert_eq!((counted.files, counted.row_groups, counted.bytes), (0, 0, 0));
    // The rows are sorted by id: nothing is left to sort.
    let sorted = explain(&city, r#"SELECT id, note FROM "permits@3" ORDER BY id"#).await;
    assert!(!sorted.physical_plan.contains("SortExec"), "{}", sorted.physical_plan);
}

async fn explain(city: &City, sql: &str) -> Explanation {
    let mut order = city.order(sql);
    order.work = Work::Explain;
    city.ask(&order).await.unwrap().head.explanation.unwrap()
}
