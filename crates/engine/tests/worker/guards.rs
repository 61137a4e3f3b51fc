//! Conditions: what is compared is what was written, and what rules a row out guards the rest from it.

use portico_model::problem::ProblemKind;

use crate::city::City;

/// A condition and for how many of the permits it is true.
const TRUE_FOR: &[(&str, &str)] = &[
    // Days between days.
    ("issued - DATE '2019-04-14' > 30", "690"),
    ("issued - DATE '2019-04-14' BETWEEN 10 AND 19", "100"),
    ("CAST(CAST(issued AS TIMESTAMP) AS DATE) - issued = 0", "1000"),
    ("7 < issued - DATE '2019-04-14' AND id < 500", "420"),
    // Conversions that several values survive as one, or some do not.
    ("CAST(cost AS INT) = 5", "100"),
    ("CAST(cost AS INT) <> 5", "900"),
    ("CAST(cost AS INT) IN (5, 6)", "200"),
    ("CAST(cost AS INT) BETWEEN 5 AND 5", "100"),
    ("5 = CAST(cost AS BIGINT)", "100"),
    ("CAST(cost AS DECIMAL(10, 1)) = CAST('5.5' AS DECIMAL(10, 1))", "10"),
    ("CAST(cost AS DECIMAL(12, 4)) = CAST('5.5' AS DECIMAL(12, 4))", "1"),
    ("TRY_CAST(id AS TINYINT) > 100", "27"),
    ("TRY_CAST(id AS TINYINT) <> 5", "127"),
    ("TRY_CAST(id AS DECIMAL(2, 0)) <> 5", "99"),
    ("TRY_CAST(5000000000 AS INT) > 5", "0"),
    ("CAST(id AS DECIMAL(22, 2)) = 5", "1"),
    // Guards.
    ("id <> 0 AND 10 / id >= 1", "10"),
    ("10 / id >= 1 AND id <> 0", "10"),
    ("id = 0 OR 10 / id >= 1", "11"),
    ("NOT (id = 0 OR 10 / id < 1)", "10"),
    ("id <> 0 AND id <> 5 AND 10 / id >= 1 AND 10 / (id - 5) >= 1", "5"),
    ("CASE WHEN id <> 0 THEN 10 / id >= 1 END", "10"),
    ("CASE WHEN id = 0 THEN false WHEN 10 / id >= 1 THEN true ELSE false END", "10"),
    ("CASE WHEN id = 0 THEN 1 WHEN 10 / id >= 1 THEN 2 ELSE 3 END = 2", "10"),
    ("note NOT LIKE 'SECRET%' AND CAST(note AS INT) > 5", "0"),
    ("id < 10 AND id * 1000000000000000000 >= 0", "10"),
    ("id > 990 AND borough = 'Bronx' AND 10 / id = 0", "1"),
    // NULL and false stay apart.
    ("(note LIKE 'SECRET%' AND 10 / (id + 1) >= 0) IS NULL", "100"),
    ("(note LIKE 'SECRET%' AND 10 / (id + 1) < 0) IS NULL", "0"),
    ("(note NOT LIKE 'SECRET%' OR 10 / (id + 1) >= 0) IS NULL", "0"),
    ("(note NOT LIKE 'SECRET%' OR 10 / (id + 1) < 0) IS NULL", "100"),
];

/// The same, wherever they stand.
const STATEMENTS: &[(&str, &str)] = &[
    (r#"SELECT count(*) FROM (SELECT CAST(cost AS INT) AS c FROM "permits@3") WHERE c = 5"#, "100"),
    (
        r#"WITH d AS (SELECT issued - DATE '2019-04-14' AS n FROM "permits@3") SELECT count(*) FROM d WHERE n > 30"#,
        "690",
    ),
    (r#"SELECT count(*) FROM (SELECT * FROM "permits@3" WHERE id <> 0) WHERE 10 / id >= 1"#, "10"),
    (r#"SELECT count(*) FILTER (WHERE id <> 0 AND 10 / id >= 1) FROM "permits@3""#, "10"),
    (r#"SELECT sum(CASE WHEN id = 0 OR 10 / id >= 1 THEN 1 ELSE 0 END) FROM "permits@3""#, "11"),
    (r#"SELECT count(*) FROM "permits@3" GROUP BY id <> 0 AND 10 / id >= 1 ORDER BY 1 LIMIT 1"#, "10"),
    ("SELECT TRY_CAST(5000000000 AS INT) > 5", ""),
    (
        "SELECT sum(v) OVER (ORDER BY v ROWS BETWEEN CURRENT ROW AND 9223372036854775807 FOLLOWING) AS s FROM (VALUES (1), (2)) t(v) ORDER BY s LIMIT 1",
        "2",
    ),
    ("SELECT array_agg(k ORDER BY x) FROM (SELECT 1 AS k, [2] AS x UNION ALL SELECT 2, [1]) t", "[2,1]"),
    (
        "SELECT count(*) FROM generate_series(TIMESTAMP '2024-01-01T00:00:00', TIMESTAMP '2024-01-02T00:00:00', INTERVAL '6 hours')",
        "5",
    ),
];

/// What has no answer, and how that is said.
const REFUSED: &[(&str, ProblemKind, &str)] = &[
    ("SELECT CAST(5000000000 AS INT) > 5", ProblemKind::QueryFailed, "could not be converted"),
    (
        r#"SELECT count(*) FROM "permits@3" WHERE CAST(id + 5000000000 AS INT) > 5"#,
        ProblemKind::QueryFailed,
        "could not be converted",
    ),
    (r#"SELECT count(*) FROM "permits@3" WHERE 10 / id >= 1"#, ProblemKind::QueryFailed, "divided by zero"),
    (
        "SELECT sum(v) OVER (ORDER BY v ROWS BETWEEN CURRENT ROW AND 18446744073709551614 FOLLOWING) FROM (VALUES (1), (2)) t(v)",
        ProblemKind::InvalidSql,
        "UNBOUNDED",
    ),
    (
        "SELECT sum(v) OVER (ORDER BY v GROUPS BETWEEN 18446744073709551615 PRECEDING AND CURRENT ROW) FROM (VALUES (1), (2)) t(v)",
        ProblemKind::InvalidSql,
        "UNBOUNDED",
    ),
    (r#"SELECT nth_value(note, 0) FROM "permits@3""#, ProblemKind::InvalidSql, "counts from 1"),
    (
        "SELECT array_agg(k ORDER BY x) FROM (SELECT 1 AS k, [[1]] AS x UNION ALL SELECT 2, [[2]]) t",
        ProblemKind::InvalidSql,
        "cannot sort by",
    ),
    (
        "SELECT string_agg(k, ',' ORDER BY x) FROM (SELECT 'a' AS k, [{'a': 1}] AS x UNION ALL SELECT 'b', [{'a': 2}]) t",
        ProblemKind::InvalidSql,
        "cannot sort by",
    ),
    (
        "SELECT generate_series(TIMESTAMP '2024-01-01T00:00:00', TIMESTAMP '2024-02-01T00:00:00', INTERVAL '1 month -28 days')",
        ProblemKind::QueryFailed,
        "one direction",
    ),
    (
        "SELECT count(*) FROM generate_series(DATE '2024-01-01', DATE '2024-02-01', INTERVAL '1 month -28 days')",
        ProblemKind::QueryFailed,
        "one direction",
    ),
];

async fn answer(city: &City, sql: &str) -> String {
    match city.ask(&city.order(sql)).await {
        Ok(collected) => {
            let csv = String::from_utf8(collected.bytes).unwrap();
            csv.lines().nth(1).unwrap_or_default().trim_matches('"').to_owned()
        }
        Err(problem) => problem.to_string(),
    }
}

#[tokio::test]
async fn conditions_are_true_for_the_rows_that_they_name() {
    let city = City::new();
    let conditions = TRUE_FOR
        .iter()
        .map(|(condition, rows)| (format!(r#"SELECT count(*) FROM "permits@3" WHERE {condition}"#), *rows));
    let statements = STATEMENTS.iter().map(|(sql, rows)| ((*sql).to_owned(), *rows));
    let mut wrong = Vec::new();
    for (sql, expected) in conditions.chain(statements) {
        let given = answer(&city, &sql).await;
        if given != expected {
            wrong.push(format!("{sql} gives {given}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn what_has_no_answer_is_refused_in_words() {
    let city = City::new();
    let mut wrong = Vec::new();
    for (sql, kind, says) in REFUSED {
        match city.ask(&city.order(sql)).await {
            Err(problem) if problem.kind == *kind && problem.detail.contains(says) => {}
            Err(problem) => wrong.push(format!("{sql}: {problem}")),
            Ok(collected) => wrong.push(format!("{sql}: {}", String::from_utf8_lossy(&collected.bytes))),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn a_guard_still_leaves_out_row_groups() {
    let city = City::new();
    let mut order = city.order(r#"SELECT count(note) FROM "permits@3" WHERE id < 150 AND 10 / id >= 0 AND id <> 0"#);
    order.work = portico_model::order::Work::Explain;
    let explanation = city.ask(&order).await.unwrap().head.explanation.unwrap();
    assert_eq!((explanation.files, explanation.row_groups), (1, 2), "{}", explanation.physical_plan);
    let mut order = city.order(r#"SELECT count(note) FROM "permits@3" WHERE CAST(id AS DECIMAL(22, 2)) < 150"#);
    order.work = portico_model::order::Work::Explain;
    let explanation = city.ask(&order).await.unwrap().head.explanation.unwrap();
    assert_eq!((explanation.files, explanation.row_groups), (1, 2), "{}", explanation.physical_plan);
}
