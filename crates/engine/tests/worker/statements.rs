//! Statements that random ones have found to break the worker, or to be answered wrongly.

use std::time::Instant;

use portico_model::problem::ProblemKind;

use crate::city::City;

/// A calculation and what it gives, after a SELECT.
const ANSWERS: &[(&str, &str)] = &[
    // The engine adds the lengths up for the room that it takes, and panics when they are negative together.
    ("count(lpad(note, id - 990)), max(length(lpad(note, id - 990))) FROM \"permits@3\"", "900,9"),
    ("count(rpad(note, id - 990, 'xy')), max(length(rpad(note, id - 990, 'xy'))) FROM \"permits@3\"", "900,9"),
    ("lpad('x', -1), rpad('x', -5, 'y')", ","),
    // The next whole number has a digit more.
    ("ceil(CAST('99.94' AS DECIMAL(4, 2))), floor(CAST('-99.94' AS DECIMAL(4, 2)))", "100,-100"),
    ("ceil(CAST('-99.94' AS DECIMAL(4, 2))), floor(CAST('99.94' AS DECIMAL(4, 2)))", "-99,99"),
    ("ceil(CAST('0.5' AS DECIMAL(1, 1))), floor(CAST('-0.5' AS DECIMAL(1, 1)))", "1,-1"),
    ("ceil(CAST('7' AS DECIMAL(38, 0))), ceil(CAST(NULL AS DECIMAL(4, 2)))", "7,"),
    ("ceil(CAST('1.5' AS DECIMAL(50, 2))) = 2, ceil(1.5), floor(-1.5)", "true,2.0,-2.0"),
    ("count(*) FROM \"permits@3\" WHERE ceil(cost) = 5 AND floor(cost) = 4", "99"),
    ("sum(ceil(cost)), min(floor(-cost)) FROM \"permits@3\"", "5490,-10"),
    ("count(*) FROM (SELECT * FROM (VALUES (true), (false), (NULL)) v(f)) WHERE CAST(NOT f AS INT) = 1", "1"),
    ("CAST(f = FALSE AS INT) FROM (VALUES (true)) v(f) ORDER BY 1", "0"),
    (
        "CAST(NOT f AS VARCHAR) AS a, TRY_CAST(NOT f AS INT) AS b, CAST(NOT f AS DOUBLE) AS c FROM (VALUES (CAST(NULL AS BOOLEAN))) v(f)",
        ",,",
    ),
    // Days beside moments, in all years.
    (
        "TIMESTAMP(6) '9999-12-31T10:00:00' > DATE '2024-01-01', DATE '2024-01-02' <= TIMESTAMP(6) '2024-01-01T10:00:00'",
        "true,false",
    ),
    ("DATE '9999-12-31' BETWEEN TIMESTAMP(6) '2024-01-01T10:00:00' AND now()", "false"),
    (
        "now() < TIMESTAMP(6) '9999-12-31T10:00:00', DATE '9999-12-31' IN (now(), TIMESTAMP(6) '9999-12-31T00:00:00')",
        "true,true",
    ),
    (
        "count(*) FROM \"permits@3\" WHERE issued < TIMESTAMP(6) '9999-12-31T10:00:00' AND issued >= DATE '2019-04-15'",
        "990",
    ),
    ("count(*) FROM \"permits@3\" WHERE issued IN (NULL, CAST('2019-04-15T00:00:00' AS TIMESTAMP(6)))", "10"),
    (
        "date_trunc('month', TIMESTAMP(6) '9999-12-31T10:00:00'), date_trunc('year', DATE '9999-12-31')",
        "9999-12-01T00:00:00,9999-01-01T00:00:00",
    ),
    ("date_trunc('week', DATE '2024-05-05'), date_trunc('day', NULL)", "2024-04-29T00:00:00,"),
    (
        "DATE '2024-01-01' + INTERVAL '10 hours', INTERVAL '1 day 1 minute' + DATE '2024-01-01'",
        "2024-01-01T10:00:00,2024-01-02T00:01:00",
    ),
    (
        "DATE '2024-01-01' - INTERVAL '1 second', DATE '2024-01-31' + INTERVAL '1 month'",
        "2023-12-31T23:59:59,2024-02-29",
    ),
    // Floats beside decimals.
    (
        "CAST(1e30 AS DOUBLE) > CAST('0.5' AS DECIMAL(2, 1)), CAST('NaN' AS DOUBLE) = CAST('0.5' AS DECIMAL(2, 1))",
        "true,false",
    ),
    (
        "1e-17 > CAST('0' AS DECIMAL(2, 1)), 0.5 BETWEEN CAST('0.1' AS DECIMAL(2, 1)) AND 1, 0.5 IN (CAST('0.5' AS DECIMAL(2, 1)))",
        "true,true,true",
    ),
    ("count(*) FROM \"permits@3\" WHERE score >= CAST('499.5' AS DECIMAL(4, 1)) OR score = cost", "2"),
    // One length for many texts is one value, and may be negative, too.
    ("max(length(lpad(note, (SELECT min(id) - 994 FROM \"permits@3\"), 'xy'))) FROM \"permits@3\"", "0"),
    // A list of a column of nulls is a list for each row.
    ("[n, n] FROM (SELECT NULL AS n, id FROM \"permits@3\") WHERE id < 20", "[null,null]"),
    // A set with a column twice, as ROLLUP and CUBE give.
    (
        "count(*), count(b) FROM (SELECT borough AS b FROM \"permits@3\" p GROUP BY GROUPING SETS ((p.borough, borough), (borough), ()))",
        "11,10",
    ),
    // Windows by what has an order and no distances.
    (
        "max(v) OVER (ORDER BY v), rank() OVER (ORDER BY v DESC) FROM (SELECT make_time(1, 2, id % 3) AS v FROM \"permits@3\") ORDER BY v DESC",
        "01:02:02,1",
    ),
    (
        "sum(id) OVER (ORDER BY v), count(*) OVER (PARTITION BY v ORDER BY v) FROM (SELECT CAST(borough AS BYTEA) AS v, id FROM \"permits@3\" WHERE id < 10) ORDER BY v",
        "5,2",
    ),
    (
        "count(*) OVER (ORDER BY v RANGE BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING) FROM (SELECT INTERVAL '1 day' AS v FROM \"permits@3\" WHERE id < 3)",
        "3",
    ),
    // LATERAL below a window and beside another subquery.
    (
        "(SELECT max(id) FROM \"permits@3\"), l.m, row_number() OVER (ORDER BY p.id) FROM \"permits@3\" p \
         CROSS JOIN LATERAL (SELECT max(q.id) AS m FROM \"permits@3\" q WHERE q.id = p.id) l ORDER BY p.id",
        "999,0,1",
    ),
    (
        "l.m, sum(l.m) OVER (ORDER BY p.id DESC) FROM \"permits@3\" p LEFT JOIN LATERAL (SELECT count(*) AS m FROM \
         \"permits@3\" q WHERE q.id = p.id) l ON TRUE WHERE (SELECT min(id) FROM \"permits@3\") = 0 ORDER BY p.id",
        "1,1000",
    ),
    // A filter that shows other columns than it reads, below a projection that has some of them.
    (
        "b.note, b.cost + b.id, b.score FROM \"permits@3\" a RIGHT JOIN \"permits@3\" b ON b.id = a.id + 998 \
         WHERE a.note IS NULL AND b.id > 0 ORDER BY b.id",
        "SECRET-1,1.01,0.5",
    ),
    // What a column is told of is not told of what was calculated from it.
    (
        "NOT CAST(p.id AS BOOLEAN) FROM \"permits@3\" p WHERE length(concat(p.note, p.borough)) > 0 AND p.cost = 9.91",
        "false",
    ),
    ("NOT CAST(p.id AS BOOLEAN), -p.cost FROM \"permits@3\" AS p WHERE p.cost = 9.91", "false,-9.91"),
    // What a join has seen is told to the column that it is of, and to none of the same name.
    (
        "a.id FROM (SELECT id FROM \"permits@3\" WHERE id < 300) a JOIN \"permits@3\" b ON b.id % 100 = a.id % 100 \
         JOIN (SELECT id FROM \"permits@3\" WHERE id BETWEEN 100 AND 299) c ON c.id = b.id \
         WHERE a.id IN (SELECT coalesce(5, 5) FROM \"permits@3\" WHERE id < 10) ORDER BY a.id, b.id, c.id",
        "5",
    ),
    // Bounds of a column say nothing of a condition that denies it inside a conversion.
    ("count(*) FROM \"permits@3\" WHERE CAST(NOT (id > 5) AS INT) = 1", "6"),
    ("count(*) FROM (SELECT id > 5 AS f FROM \"permits@3\") WHERE CAST(NOT f AS INT) IN (1, 2)", "6"),
];

#[tokio::test]
async fn what_random_statements_found_is_answered_right() {
    let city = City::new();
    let mut wrong = Vec::new();
    for (calculation, expected) in ANSWERS {
        let sql = format!("SELECT {calculation}");
        let given = match city.ask(&city.order(&sql)).await {
            Ok(collected) => String::from_utf8(collected.bytes).unwrap().lines().nth(1).unwrap_or_default().to_owned(),
            Err(problem) => problem.to_string(),
        };
        if given.replace('"', "") != *expected {
            wrong.push(format!("{sql} gives {given}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn types_that_do_not_fit_together_are_the_statements_fault() {
    let city = City::new();
    for condition in [
        "substr([1, 2], 2, 0) IS NULL",
        "md5(note, note) = 'x'",
        "sha384(issued) LIKE '%b%'",
        "id BETWEEN TIMESTAMP '2024-01-01T00:00:00' AND id",
        "id BETWEEN 0 AND [1, 2]",
        "0 BETWEEN id AND x'00ff'",
        "date_trunc(id, 1, issued)",
        "lower()",
        "extract(dow FROM id) = 1",
        "length(struct(id)) IS NOT NULL",
        "dot_product([1.0], [[1.0], NULL]) = 1",
        "cosine_distance([[1], NULL], [1.0, 0.0]) > id",
        "array_distance([[1.0]], [[1.0]]) > id",
        "array_scale([[1.0]], 2.0) IS NULL",
        "array_normalize([[1.0]]) IS NULL",
        "array_add([[id]], [[id]]) IS NULL",
    ] {
        let problem = city.refused(&format!("SELECT count(*) FROM \"permits@3\" WHERE {condition}")).await;
        assert_eq!(problem.kind, ProblemKind::InvalidSql, "{condition}: {problem}");
    }
}

#[tokio::test]
async fn refusals_of_windows_speak_of_windows() {
    let city = City::new();
    for (list, says) in [
        ("grouping(note) OVER (ORDER BY id)", "without OVER"),
        ("count(*) OVER (ORDER BY CAST(note AS BYTEA) RANGE BETWEEN 1 PRECEDING AND CURRENT ROW)", "ROWS or GROUPS"),
        ("max(map(['a'], [id])) OVER (ORDER BY id)", "min and max"),
    ] {
        let problem = city.refused(&format!("SELECT {list} FROM \"permits@3\"")).await;
        assert_eq!(problem.kind, ProblemKind::InvalidSql, "{list}: {problem}");
        assert!(problem.detail.contains(says), "{list}: {problem}");
    }
}

#[tokio::test]
async fn lists_of_what_has_no_order_have_no_least_and_no_greatest() {
    let city = City::new();
    for list in ["max(list_zip([1, 2], [3, 4]))", "min(map_entries(map(['a'], [id])))"] {
        let problem = city.refused(&format!("SELECT {list} FROM \"permits@3\"")).await;
        assert_eq!(problem.kind, ProblemKind::InvalidSql, "{list}: {problem}");
        assert_eq!(problem.detail, "min and max do not take values of this type.", "{list}");
    }
}

#[tokio::test]
async fn a_case_of_many_branches_is_planned_at_once() {
    let city = City::new();
    let case = |branches: usize| {
        let branches = (0..branches).map(|n| format!("WHEN note = 'SECRET-{n}' THEN {n} ")).collect::<String>();
        format!("CASE {branches}ELSE -1 END")
    };
    let began = Instant::now();
    for branches in [3, 400] {
        let case = case(branches);
        assert_eq!(city.lines(&format!("SELECT id FROM \"permits@3\" WHERE {case} = 2")).await, ["2"]);
        assert_eq!(
            city.lines(&format!("SELECT count(*) FROM \"permits@3\" WHERE -1 <> {case}")).await,
            [if branches == 3 { "2" } else { "360" }]
        );
        let derived = format!("SELECT c FROM (SELECT {case} AS c FROM \"permits@3\") AS t WHERE c = 1");
        assert_eq!(city.lines(&derived).await, ["1"]);
    }
    let header = city.csv(&format!("SELECT {} = 2 FROM \"permits@3\" LIMIT 1", case(20))).await;
    assert!(header.contains("CASE WHEN note ="), "{header}");
    // It took minutes; the bound is generous because the build is not optimised.
    assert!(began.elapsed().as_secs() < 30, "{:?}", began.elapsed());
}
