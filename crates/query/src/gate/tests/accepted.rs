use super::*;
use crate::gate::InformationTable;
use portico_model::order::Work;

#[test]
fn datasets_become_versions_and_keep_their_names_for_columns() {
    accept("SELECT * FROM trees", r#"SELECT * FROM "trees@3" AS trees"#);
    accept("select trees.a from TREES;", r#"SELECT trees.a FROM "trees@3" AS TREES"#);
    accept("SELECT t.a FROM trees t", r#"SELECT t.a FROM "trees@3" t"#);
    accept("SELECT t.a FROM trees AS t", r#"SELECT t.a FROM "trees@3" AS t"#);
    accept("SELECT a FROM public.trees", r#"SELECT a FROM "trees@3" AS trees"#);
    accept("SELECT a FROM portico.public.trees AS x", r#"SELECT a FROM "trees@3" AS x"#);
    accept(
        "SELECT public.trees.a, public.trees.* FROM public.trees",
        r#"SELECT trees.a, trees.* FROM "trees@3" AS trees"#,
    );
    accept(
        "SELECT portico.public.trees.a, count(public.trees.b) FROM portico.public.trees, public.bus_stops",
        r#"SELECT trees.a, count(public.trees.b) FROM "trees@3" AS trees, "bus_stops@3" AS bus_stops"#,
    );
    accept(r#"SELECT "trees".a FROM "trees""#, r#"SELECT "trees".a FROM "trees@3" AS "trees""#);
    accept("SELECT `trees`.a FROM `trees`", r#"SELECT `trees`.a FROM "trees@3" AS "trees""#);
}

#[test]
fn the_place_of_an_unknown_name_is_found_in_the_text() {
    let place =
        |sql: &str| crate::gate::placed(Problem::new(ProblemKind::UnknownColumn, "…").about("hight"), sql).position;
    assert_eq!(place("SELECT 'hight',\n  t.Hight FROM trees"), Some(Position { line: 2, column: 5 }));
    assert_eq!(place("SELECT HIGHT, hight FROM trees"), Some(Position { line: 1, column: 15 }));
    assert_eq!(place("SELECT other FROM trees"), None);
}

#[test]
fn versions_are_asked_for_in_two_spellings() {
    accept(r#"SELECT "trees@2".a FROM "trees@2""#, "=");
    accept(r#"SELECT public."trees@2".a FROM public."trees@2""#, r#"SELECT "trees@2".a FROM "trees@2""#);
    accept("SELECT trees.a FROM trees FOR VERSION AS OF 2", r#"SELECT trees.a FROM "trees@2" AS trees"#);
    accept("SELECT a FROM trees VERSION AS OF 2 AS t", r#"SELECT a FROM "trees@2" AS t"#);
    accept("SELECT a FROM public.trees for version as of 2 t", r#"SELECT a FROM "trees@2" t"#);
    accept("SELECT public.trees.a FROM public.trees FOR VERSION AS OF 2", r#"SELECT trees.a FROM "trees@2" AS trees"#);
    let gated = accept(
        r#"SELECT * FROM trees JOIN "trees@2" USING (id) JOIN "trees@3" AS x USING (id)"#,
        r#"SELECT * FROM "trees@3" AS trees JOIN "trees@2" USING(id) JOIN "trees@3" AS x USING(id)"#,
    );
    assert_eq!(gated.tables.iter().map(ToString::to_string).collect::<Vec<_>>(), ["trees@2", "trees@3"]);
    let text = "SELECT * FROM trees@2";
    accept(text, r#"SELECT * FROM "trees@2""#);
}

#[test]
fn common_table_expressions_shadow_by_scope() {
    let gated = accept("WITH trees AS (SELECT 1 AS a) SELECT * FROM trees", "=");
    assert!(gated.tables.is_empty());
    accept(
        "WITH trees AS (SELECT * FROM trees) SELECT * FROM trees",
        r#"WITH trees AS (SELECT * FROM "trees@3" AS trees) SELECT * FROM trees"#,
    );
    accept(
        "SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) AS x, a",
        r#"SELECT * FROM (WITH a AS (SELECT 1) SELECT * FROM a) AS x, "a@3" AS a"#,
    );
    accept("WITH A AS (SELECT 1), b AS (SELECT * FROM a) SELECT * FROM b WHERE EXISTS (SELECT 1 FROM a)", "=");
    accept("WITH a AS (SELECT 1) SELECT * FROM public.a", r#"WITH a AS (SELECT 1) SELECT * FROM "a@3" AS a"#);
}

#[test]
fn a_common_table_expression_cannot_stand_in_for_a_version() {
    refuse(r#"WITH "trees@3" AS (SELECT 1) SELECT * FROM trees"#, ProblemKind::InvalidSql);
    refuse(r#"WITH "information_schema.tables" AS (SELECT 1) SELECT 1"#, ProblemKind::InvalidSql);
}

#[test]
fn our_own_statements_are_rewritten() {
    let gated = gate("SHOW TABLES").unwrap();
    assert!(gated.sql.contains(r#"FROM "information_schema.tables" AS tables"#), "{}", gated.sql);
    assert!(gated.pinned_sql.contains("FROM information_schema.tables AS tables"), "{}", gated.pinned_sql);
    assert_eq!(gated.information, [InformationTable::Tables]);
    assert!(gated.volatile);
    assert!(gate("SHOW TABLES LIKE '%o''k%'").unwrap().sql.contains("WHERE table_name LIKE '%o''k%'"));
    assert!(gate("SHOW TABLES FROM public").is_ok());

    for sql in ["DESCRIBE trees", "DESC trees", "SHOW COLUMNS FROM trees", "SHOW COLUMNS IN public.trees"] {
        let gated = gate(sql).unwrap();
        assert_eq!(gated.describes.unwrap().to_string(), "trees@3", "{sql}");
        assert_eq!(gated.pinned_sql, r#"DESCRIBE "trees@3""#, "{sql}");
        assert_eq!(gated.information, [InformationTable::Columns]);
    }
    for sql in [r#"DESCRIBE "trees@2""#, "DESCRIBE trees FOR VERSION AS OF 2"] {
        assert_eq!(gate(sql).unwrap().describes.unwrap().to_string(), "trees@2", "{sql}");
    }
    for sql in ["DESCRIBE trees", "SHOW TABLES", "SHOW COLUMNS FROM trees LIKE 'a%'", "EXPLAIN SELECT * FROM trees"] {
        let pinned = gate(sql).unwrap().pinned_sql;
        let again = gate(&pinned).unwrap();
        assert_eq!(again.pinned_sql, pinned);
    }

    let gated = accept("EXPLAIN SELECT a FROM trees", r#"SELECT a FROM "trees@3" AS trees"#);
    assert_eq!((gated.work, gated.pinned_sql.as_str()), (Work::Explain, r#"EXPLAIN SELECT a FROM "trees@3" AS trees"#));
    accept(
        "SELECT tables.table_name, information_schema.tables.table_type FROM information_schema.tables",
        r#"SELECT tables.table_name, tables.table_type FROM "information_schema.tables" AS tables"#,
    );
    accept("SELECT * FROM portico.information_schema.columns c", r#"SELECT * FROM "information_schema.columns" c"#);
}

#[test]
fn rollup_and_cube_are_written_out() {
    for (written, planned) in [
        ("ROLLUP (a, a)", "GROUPING SETS ((a, a), (a), ())"),
        ("ROLLUP ((a, b), c)", "GROUPING SETS ((a, b, c), (a, b), ())"),
        ("CUBE (a, b)", "GROUPING SETS ((a, b), (a), (b), ())"),
        ("CUBE (a, (b, c)), ROLLUP (d)", "GROUPING SETS ((a, b, c), (a), (b, c), ()), GROUPING SETS ((d), ())"),
    ] {
        let select = |groups: &str, table: &str| format!("SELECT count(*) FROM {table} GROUP BY {groups}");
        accept(&select(written, "trees"), &select(planned, r#""trees@3" AS trees"#));
    }
}

#[test]
fn what_analysts_write_passes() {
    for sql in [
        "SELECT a, count(*) FILTER (WHERE b > 1) AS n FROM t GROUP BY a HAVING count(*) > 2 \
         ORDER BY n DESC NULLS LAST LIMIT 10 OFFSET 5",
        "SELECT row_number() OVER (PARTITION BY a ORDER BY b DESC) AS r FROM t QUALIFY r = 1",
        "SELECT sum(x) OVER w FROM t WINDOW w AS (ORDER BY y ROWS BETWEEN 3 PRECEDING AND CURRENT ROW)",
        "SELECT a FROM t UNION ALL SELECT a FROM u INTERSECT SELECT a FROM v EXCEPT SELECT a FROM w ORDER BY 1",
        "SELECT * FROM t CROSS JOIN LATERAL (SELECT max(u.x) FROM u WHERE u.id = t.id) AS m",
        "SELECT a, b, sum(c) FROM t GROUP BY GROUPING SETS ((a, b), (a), ())",
        "SELECT a, b, sum(c) FROM t GROUP BY CUBE (a, b), ROLLUP (c)",
        "SELECT CAST(a AS DECIMAL(10,2)), b::DATE, TRY_CAST(c AS BIGINT), \
         DATE '2020-01-01' + INTERVAL '1' MONTH FROM t",
        "SELECT extract(YEAR FROM d), date_trunc('month', d), d AT TIME ZONE 'America/New_York' FROM t",
        "SELECT CASE WHEN a > 1 THEN 'x' ELSE 'y' END, CASE a WHEN 1 THEN 2 END FROM t",
        "SELECT a FROM t WHERE b IN (1, 2, 3) AND c NOT IN (SELECT c FROM u) \
         AND EXISTS (SELECT 1 FROM v WHERE v.x = t.x)",
        "SELECT a FROM t WHERE b LIKE '%x\\%' ESCAPE '\\' OR c ~ '^a' OR d IS NOT DISTINCT FROM e OR f BETWEEN 1 AND 2",
        "SELECT DISTINCT ON (a) a, b FROM t ORDER BY a, b",
        "SELECT * EXCLUDE (a) FROM t",
        "SELECT * EXCEPT (a, b) FROM t",
        "SELECT t.* REPLACE (a + 1 AS a) FROM t",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM t",
        "SELECT string_agg(a, ',' ORDER BY b) FROM t GROUP BY ALL",
        "SELECT [1, 2, 3][1], array_length([1, 2]), unnest([1, 2])",
        "SELECT * FROM UNNEST([1, 2, 3]) AS u(x)",
        "SELECT * FROM (VALUES (1, 'a'), (2, 'b')) AS v(n, s)",
        "VALUES (1), (2)",
        "SELECT 1 AS \"select\", -1, - a, NOT NOT b, +1, 1e10, .5, X'ff', TRUE, NULL FROM t",
        "SELECT a FROM t WHERE b = $1 AND c = $name",
        "(SELECT 1) UNION (SELECT 2) LIMIT 1",
        "SELECT substring(a FROM 1 FOR 2), trim(BOTH ' ' FROM a), position('a' IN b), \
         overlay(a PLACING 'x' FROM 1 FOR 2) FROM t",
        "SELECT current_date, CURRENT_TIMESTAMP, now()",
        "SELECT a FROM t NATURAL JOIN u LEFT JOIN v USING (a) FULL OUTER JOIN w ON w.a = v.a \
         LEFT SEMI JOIN x ON x.a = w.a",
        "SELECT a FROM ((t JOIN u ON t.a = u.a) JOIN v ON v.a = u.a)",
        "SELECT a = ANY(SELECT b FROM u), a > ALL(SELECT b FROM u) FROM t",
        "SELECT (a, b) IN ((1, 2), (3, 4)) FROM t",
        "SELECT a IS TRUE, b IS NOT UNKNOWN, c || 'x' || d, e % 2, f << 1 FROM t",
        "SELECT * FROM generate_series(1, 10) AS g(n)",
        "SELECT * FROM generate_series(DATE '2024-01-01', DATE '2024-12-31', INTERVAL '1' DAY) AS g(d)",
        "SELECT unnest(generate_series(a, b, INTERVAL '1' DAY)) FROM t",
        "SELECT first_value(a) IGNORE NULLS OVER (ORDER BY b) FROM t",
        "SELECT array_agg(a) OVER (ORDER BY b ROWS BETWEEN 10 PRECEDING AND 10 FOLLOWING) FROM t",
        "SELECT a AS \"Größe in m\", \"b c\" FROM t -- a remark\n /* another */ ;",
        "FROM t SELECT a",
        "FROM t",
        "SELECT a FROM t FETCH FIRST 5 ROWS ONLY",
        "SELECT a FROM t OFFSET 10 ROWS FETCH NEXT 5 ROWS ONLY",
        "SELECT a FROM t LIMIT 5, 10",
        "SELECT a, FROM t",
        "SELECT ALL a FROM t",
        "SELECT a FROM t MINUS SELECT a FROM u",
    ] {
        if let Err(problem) = gate(sql) {
            panic!("{sql}\n{problem} {:?}", problem.position);
        }
    }
}

#[test]
fn spellings_become_those_of_the_engine() {
    accept("SELECT a FROM t FETCH FIRST 5 ROWS ONLY", r#"SELECT a FROM "t@3" AS t LIMIT 5"#);
    accept("FROM t", r#"SELECT * FROM "t@3" AS t"#);
    accept("SELECT - -1, -(-1), + - 1", "SELECT -(-1), -(-1), +(-1)");
    accept("SELECT $$it's$$, E'a\\nb', N'x', U&'\\0041'", "SELECT 'it''s', 'a\nb', 'x', 'A'");
    accept(
        "SELECT CAST(a AS CHARACTER VARYING(3)), b::INT64 FROM t",
        r#"SELECT CAST(a AS VARCHAR(3)), b::BIGINT FROM "t@3" AS t"#,
    );
    accept("SELECT /*+ HINT(x) */ 1", "SELECT 1");
    accept("SELECT a FROM t MINUS SELECT 1", r#"SELECT a FROM "t@3" AS t EXCEPT SELECT 1"#);
}

#[test]
fn quotes_in_literals_read_back_the_same() {
    for sql in [
        r"SELECT 'a\'' OR 1=1 --'",
        r"SELECT 'a''''b', '''', '''''', '\''', '\\''', 'x\'",
        r"SELECT 1 WHERE 'a' LIKE '\''' ESCAPE '''' ",
        r"SELECT DATE '''', INTERVAL '1''' DAY",
        r#"SELECT a AS "x'y", 'it''s' FROM t"#,
    ] {
        let gated = gate(sql).unwrap_or_else(|problem| panic!("{sql}: {problem}"));
        assert_eq!(gate(&gated.sql).unwrap().sql, gated.sql);
    }
    accept(r"SELECT 'a\'' OR 1=1 --'", "=");
}

#[test]
fn parameters_are_named_once_and_in_order() {
    let gated = gate("SELECT $2, $1, $name, $2, $10").unwrap();
    assert_eq!(gated.parameters, ["1", "2", "10", "name"]);
    let gated = accept("SELECT a FROM t WHERE b = ? AND c < ?", r#"SELECT a FROM "t@3" AS t WHERE b = $1 AND c < $2"#);
    assert_eq!(gated.parameters, ["1", "2"]);
    refuse("SELECT ?, $1", ProblemKind::InvalidSql);
    refuse("SELECT :name", ProblemKind::InvalidSql);
}

#[test]
fn plain_scans_and_volatile_answers_are_told_apart() {
    for sql in
        ["SELECT a, b + 1 FROM t WHERE a > 2 LIMIT 5", "SELECT * FROM (SELECT a FROM t) AS x", "SELECT upper(a) FROM t"]
    {
        assert!(gate(sql).unwrap().plain_scan, "{sql}");
    }
    for sql in [
        "SELECT a FROM t ORDER BY a",
        "SELECT count(*) FROM t",
        "SELECT a FROM t GROUP BY a",
        "SELECT DISTINCT a FROM t",
        "SELECT a FROM t, u",
        "SELECT a FROM t JOIN u ON t.a = u.a",
        "SELECT a FROM t UNION SELECT a FROM u",
        "SELECT rank() OVER (ORDER BY a) FROM t",
        "SELECT a FROM t WHERE a IN (SELECT a FROM u)",
    ] {
        assert!(!gate(sql).unwrap().plain_scan, "{sql}");
    }
    for sql in [
        "SELECT now()",
        "SELECT random() FROM t",
        "SELECT CURRENT_DATE",
        "SELECT a FROM t WHERE d > current_timestamp",
        "SELECT uuid()",
    ] {
        assert!(gate(sql).unwrap().volatile, "{sql}");
    }
    assert!(!gate("SELECT now FROM t").unwrap().volatile);
}

#[test]
fn every_pass_is_counted() {
    let before = crate::gate::passes();
    let _ = gate("SELECT 1");
    let _ = gate("DROP TABLE t");
    assert!(crate::gate::passes() >= before + 2);
}

#[test]
fn whole_numbers_beyond_64_bits_stay_exact() {
    accept("SELECT 18446744073709551615, -9223372036854775808, 1e300, 0.1", "=");
    accept("SELECT 18446744073709551616", "SELECT CAST('18446744073709551616' AS DECIMAL(38,0))");
    accept("SELECT -9223372036854775809", "SELECT -CAST('9223372036854775809' AS DECIMAL(38,0))");
    accept(
        "SELECT a > 000123456789012345678901234567890 FROM trees",
        "SELECT a > CAST('123456789012345678901234567890' AS DECIMAL(38,0)) FROM \"trees@3\" AS trees",
    );
    accept("SELECT 100000000000000000000000000000000000000", "=");
}

#[test]
fn a_float_of_more_bits_than_a_real_is_a_double() {
    accept("SELECT CAST(16777217 AS FLOAT(53))", "SELECT CAST(16777217 AS DOUBLE PRECISION)");
    accept("SELECT CAST(1 AS FLOAT(24)), CAST(1 AS FLOAT)", "=");
}
