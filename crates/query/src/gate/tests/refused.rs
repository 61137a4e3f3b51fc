use super::*;
use ProblemKind::{FunctionNotAllowed, InvalidSql, NotFound, QueryTooComplex, StatementNotAllowed, TooLarge};

/// Statements and clauses that change something, tell something or lock something.
const NOT_QUERIES: &[&str] = &[
    "COPY (SELECT 1) TO '/tmp/x.csv'",
    "COPY trees TO 'x.parquet' STORED AS PARQUET",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/x.csv'",
    "EXPLAIN COPY (SELECT 1) TO '/tmp/x.csv'",
    "EXPLAIN INSERT INTO d VALUES (1)",
    "CREATE TABLE t AS SELECT 1",
    "CREATE EXTERNAL TABLE t STORED AS CSV LOCATION '/etc/passwd'",
    "SELECT 1 INTO t",
    "CREATE VIEW v AS SELECT 1",
    "CREATE FUNCTION f(int) RETURNS int RETURN $1",
    "INSERT INTO d VALUES(1)",
    "UPDATE d SET a=1",
    "DELETE FROM d",
    "TRUNCATE TABLE d",
    "MERGE INTO d USING e ON true WHEN MATCHED THEN DELETE",
    "WITH x AS (SELECT 1) INSERT INTO d SELECT * FROM x",
    "WITH x AS (SELECT 1) UPDATE d SET a = 1",
    "WITH x AS (SELECT 1) DELETE FROM d",
    "SELECT * FROM (INSERT INTO d VALUES (1)) AS x",
    "SET datafusion.execution.batch_size=1",
    "RESET datafusion.execution.batch_size",
    "SET TIME ZONE 'x'",
    "PREPARE p AS SELECT 1",
    "EXECUTE p(1)",
    "DEALLOCATE p",
    "SELECT 1; DROP TABLE d",
    "SELECT 1;;SELECT 2",
    "SHOW ALL",
    "SHOW datafusion.runtime.temp_directory",
    "SHOW FUNCTIONS",
    "SHOW CREATE TABLE t",
    "SHOW DATABASES",
    "SHOW TABLES FROM information_schema",
    "SHOW",
    "EXPLAIN ANALYZE SELECT 1",
    "EXPLAIN VERBOSE SELECT 1",
    "EXPLAIN (ANALYZE) SELECT 1",
    "EXPLAIN FORMAT JSON SELECT 1",
    "EXPLAIN EXPLAIN SELECT 1",
    "EXPLAIN SHOW TABLES",
    "DESCRIBE SELECT 1",
    "WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT * FROM r) SELECT * FROM r",
    "SELECT * FROM d FOR UPDATE",
    "SELECT * FROM d FOR SHARE",
    "SELECT * FROM d TABLESAMPLE BERNOULLI (10)",
    "SELECT * FROM d PIVOT (sum(a) FOR b IN (1, 2))",
    "SELECT TOP 5 * FROM d",
    "SELECT * FROM d LIMIT 5 BY a",
    "SELECT * FROM d SETTINGS max_threads = 4",
    "SELECT * FROM d FORMAT CSV",
    "SELECT a FROM d GROUP BY a WITH ROLLUP",
    "SELECT a FROM d |> WHERE a > 1",
    "SELECT * FROM d MATCH_RECOGNIZE (PATTERN (A) DEFINE A AS true)",
    "SELECT * FROM d FETCH FIRST 5 ROWS WITH TIES",
    "TABLE d",
    "SELECT a FROM d EXCEPT ALL SELECT a FROM e",
    "SELECT a FROM d INTERSECT ALL SELECT a FROM e",
    "SELECT a FROM d MINUS ALL SELECT a FROM e",
    "BEGIN",
    "COMMIT",
    "USE public",
    "ATTACH 'x.db' AS x",
    "PRAGMA table_info(d)",
    "CALL f()",
    "KILL 1",
    "VACUUM",
    "GRANT SELECT ON d TO x",
    "LOAD DATA INPATH 'x' INTO TABLE d",
    "INSTALL httpfs",
    "COMMENT ON TABLE d IS 'x'",
    "ANALYZE TABLE d COMPUTE STATISTICS",
];

#[test]
fn what_is_not_a_query_is_refused_with_its_kind() {
    for sql in NOT_QUERIES {
        let problem = refuse(sql, StatementNotAllowed);
        assert!(problem.detail.len() < 200 && problem.detail.ends_with('.'), "{sql}: {}", problem.detail);
    }
    assert_eq!(
        refuse("INSERT INTO d VALUES(1)", StatementNotAllowed).detail,
        "INSERT changes data; Portico answers read-only queries."
    );
}

#[test]
fn one_statement_with_its_semicolon_and_remarks_is_one_statement() {
    for sql in ["SELECT 1;", "SELECT 1 ; ; ", "SELECT 1 /* */ ; -- ", "\u{feff}SELECT 1", ";SELECT 1"] {
        assert!(gate(sql).is_ok(), "{sql}");
    }
}

#[test]
fn text_that_is_no_statement_is_refused_with_its_place() {
    for sql in
        ["", " ", ";", "-- only a remark", "SELECT 1\0", "SELECT 'abc", "SELECT /* abc", "SELECT $$abc", "SELECT \"abc"]
    {
        refuse(sql, InvalidSql);
    }
    assert_eq!(refuse("SELEC 1", InvalidSql).position, Some(Position { line: 1, column: 1 }));
    assert_eq!(
        refuse("SELECT a\nFROM t WHERE", InvalidSql).detail,
        "Expected an expression, found the end of the statement."
    );
    assert_eq!(refuse("SELECT a\nFROM t\n  GROUP HAVING", InvalidSql).position, Some(Position { line: 3, column: 3 }));
    refuse("SELECT \u{202e}1", InvalidSql);
    refuse("SELECT 1 1", InvalidSql);
    refuse(&format!("SELECT '{}'", "x".repeat(70_000)), TooLarge);
}

#[test]
fn frames_count_no_more_rows_than_there_can_be() {
    for (units, bound) in [
        ("ROWS", "18446744073709551614 FOLLOWING"),
        ("ROWS", "9223372036854775808 FOLLOWING"),
        ("GROUPS", "18446744073709551615 FOLLOWING"),
        ("ROWS", "99999999999999999999999999 FOLLOWING"),
    ] {
        let problem = refuse(
            &format!("SELECT sum(a) OVER (ORDER BY a {units} BETWEEN CURRENT ROW AND {bound}) FROM d"),
            InvalidSql,
        );
        assert!(problem.detail.contains("UNBOUNDED"), "{problem}");
    }
    let whole = "SELECT sum(a) OVER (ORDER BY a ROWS BETWEEN 1 PRECEDING AND 9223372036854775807 FOLLOWING) FROM d";
    assert!(gate(whole).is_ok());
}

#[test]
fn names_of_files_are_names_of_nothing() {
    for sql in [
        "SELECT * FROM '/etc/passwd'",
        r#"SELECT * FROM "/proc/self/environ""#,
        "SELECT * FROM 'file:///etc/passwd'",
        "SELECT * FROM 's3://b/x.parquet'",
        r#"SELECT * FROM "http://169.254.169.254/latest/meta-data""#,
        "SELECT * FROM pg_catalog.pg_tables",
        "SELECT * FROM other_catalog.secret.t",
        r#"SELECT * FROM "..".".."."t""#,
        "SELECT * FROM information_schema.views",
        "SELECT * FROM information_schema.df_settings",
        r#"SELECT * FROM "trees@0""#,
        r#"SELECT * FROM "trees@03""#,
        r#"SELECT * FROM "trees@99999999999""#,
        r#"SELECT * FROM "trees@-1""#,
        r#"SELECT * FROM "trees@2@3""#,
        r#"SELECT * FROM "Trees""#,
        r#"SELECT * FROM "bus-stops""#,
        "DESCRIBE information_schema.tables",
        "SELECT * FROM t FOR VERSION AS OF 2.5",
    ] {
        let problem = refuse(sql, NotFound);
        assert!(problem.detail.starts_with("There is no dataset \""), "{}", problem.detail);
    }
    let problem = refuse("SELECT 1\nFROM \"/etc/passwd\"", NotFound);
    assert_eq!(problem.position, Some(Position { line: 2, column: 6 }));
}

#[test]
fn versions_belong_after_the_name_of_a_dataset() {
    for sql in [
        "SELECT a FOR VERSION AS OF 2",
        "SELECT a FROM t WHERE b VERSION AS OF 2",
        r#"SELECT * FROM "t@1" FOR VERSION AS OF 2"#,
        "SELECT * FROM (SELECT 1) FOR VERSION AS OF 2",
        "SELECT * FROM t FOR VERSION AS OF 'x'",
        "SELECT * FROM t AS OF TIMESTAMP '2020-01-01'",
    ] {
        refuse(sql, InvalidSql);
    }
    refuse("SELECT * FROM t AS x FOR VERSION AS OF 2", InvalidSql);
}

#[test]
fn functions_that_tell_or_swell_are_refused() {
    for sql in [
        "SELECT input_file_name() FROM d",
        "SELECT INPUT_FILE_NAME() FROM d",
        r#"SELECT "version"()"#,
        "SELECT file_row_index() FROM d",
        "SELECT version()",
        "SELECT arrow_metadata(c) FROM d",
        "SELECT arrow_cast(1, 'FixedSizeBinary(2000000000)')",
        "SELECT generate_series(1,9876543210)",
        "SELECT unnest(range(1,300000000))",
        "SELECT * FROM range(1, n)",
        "SELECT * FROM range(1, length('x'))",
        "SELECT no_such_function(a) FROM d",
        "SELECT array_transform([1], 2)",
        "SELECT cast_to_type(a, 1) FROM d",
        "SELECT * FROM generate_series(1, 100000000)",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM parquet_metadata('x')",
        "SELECT * FROM d, LATERAL unnest_it(d.a)",
        "SELECT pg_catalog.version()",
        "SELECT * FROM TREES()",
    ] {
        refuse(sql, FunctionNotAllowed);
    }
    for sql in [
        "SELECT array_agg(a) OVER () FROM d",
        "SELECT string_agg(name,',') OVER (ORDER BY a) FROM d",
        "SELECT median(a) OVER w FROM d WINDOW w AS (ORDER BY a)",
        "SELECT array_agg(a) OVER (ORDER BY b ROWS BETWEEN 2000 PRECEDING AND CURRENT ROW) FROM d",
    ] {
        refuse(sql, QueryTooComplex);
    }
}

#[test]
fn clauses_that_the_engine_would_ignore_are_refused() {
    for sql in [
        "SELECT a FROM t PREWHERE b = 1",
        "SELECT a FROM t CONNECT BY PRIOR a = b",
        "SELECT * ILIKE '%x%' FROM t",
        "SELECT * RENAME (a AS b) FROM t",
        "SELECT ARRAY(SELECT 1)",
        "SELECT quantile(0.5)(a) FROM t",
        "SELECT a FROM t SORT BY a",
        "SELECT a FROM t LATERAL VIEW explode(a) x AS y",
        "SELECT a::JSON FROM t",
        "SELECT CAST(a AS ENUM('x')) FROM t",
        "SELECT a RLIKE 'x' FROM t",
        "SELECT a -> 'x' FROM t",
        "SELECT a:b FROM t",
        "SELECT * FROM t WITH (NOLOCK)",
        "SELECT * FROM t CROSS APPLY (SELECT 1) AS x",
        "SELECT * FROM t ASOF JOIN u MATCH_CONDITION (t.a >= u.a)",
        "SELECT * FROM JSON_TABLE('{}', '$' COLUMNS (a INT PATH '$')) AS x",
    ] {
        let problem = gate(sql).expect_err(sql);
        assert!(matches!(problem.kind, StatementNotAllowed | InvalidSql), "{sql}: {problem}");
    }
}

#[test]
fn what_is_no_count_of_rows_or_no_number_at_all_is_refused_with_its_place() {
    for (rows, clause) in [
        ("LIMIT 18446744073709551615", "LIMIT"),
        ("LIMIT 18446744073709551616", "LIMIT"),
        ("LIMIT 9223372036854775808", "LIMIT"),
        ("LIMIT -1", "LIMIT"),
        ("LIMIT 1e3", "LIMIT"),
        ("LIMIT 2.5", "LIMIT"),
        ("OFFSET -1", "OFFSET"),
        ("LIMIT 5 OFFSET 9223372036854775808", "OFFSET"),
        ("LIMIT 9223372036854775808, 5", "OFFSET"),
        ("FETCH FIRST 9223372036854775808 ROWS ONLY", "LIMIT"),
    ] {
        let problem = refuse(&format!("SELECT a FROM d {rows}"), InvalidSql);
        assert!(problem.detail.starts_with(&format!("{clause} takes a whole number from 0 to")), "{rows}: {problem}");
        assert!(problem.position.is_some(), "{rows}");
    }
    for rows in
        ["LIMIT 0", "LIMIT 9223372036854775807 OFFSET 9223372036854775807", "LIMIT $1", "LIMIT NULL", "LIMIT -0"]
    {
        gate(&format!("SELECT a FROM d {rows}")).unwrap();
    }
    let problem = refuse("SELECT 1, 1e400", InvalidSql);
    assert_eq!(problem.position.map(|position| position.column), Some(11));
    refuse("SELECT a FROM d WHERE b < -1e309", InvalidSql);
}

#[test]
fn a_name_longer_than_any_that_is_stored_is_refused_before_it_is_planned() {
    let name = |bytes: usize| "x".repeat(bytes);
    gate(&format!("SELECT {} FROM d", name(4_096))).unwrap();
    for sql in [format!("SELECT {} FROM d", name(4_097)), format!("SELECT a AS \"{}\" FROM d", name(20_000))] {
        let problem = refuse(&sql, QueryTooComplex);
        assert!(problem.detail.contains("bytes in one name; the limit is 4096"), "{problem}");
    }
}

#[test]
fn what_others_take_for_a_power_is_no_exclusive_or() {
    let problem = refuse("SELECT 2 ^ 10", ProblemKind::StatementNotAllowed);
    assert!(problem.detail.contains("power(a, b)"), "{problem}");
}
