//! Calls that would make gigabytes of a few bytes: refused before they allocate, by name and with the limit, in
//! whatever way they are written.

use portico_model::order::ParameterValue;
use portico_model::problem::ProblemKind;

use crate::city::{City, with};

/// Statements and what the refusal names.
const REFUSED: &[(&str, &str)] = &[
    // Constants, which are folded while planning.
    ("SELECT length(repeat(repeat('x', 1000000), 2000))", "repeat would make a value of more than 1048576 bytes"),
    ("SELECT repeat('x', 1000000) || repeat('y', 100000)", "|| would make"),
    ("SELECT 'a' || lpad('x', 2000000000)", "lpad would make"),
    ("SELECT [repeat('x', 600000), repeat('y', 600000)]", "make_array would make"),
    ("SELECT [repeat('x', 600000)] || [repeat('y', 600000)]", "array_concat would make"),
    ("SELECT overlay(repeat('x', 1000000) PLACING repeat('y', 1000000) FROM 1)", "overlay would make"),
    ("SELECT md5(repeat('x', 1000000000))", "repeat would make"),
    ("SELECT {'a': repeat('x', 600000), 'b': repeat('y', 600000)}", "named_struct would make"),
    // Columns: the sum over the rows that are worked on together counts.
    (
        r#"SELECT max(length(concat(s, s, s, s, s, s, s, s))) FROM (SELECT repeat(note, 10000) AS s FROM "permits@3")"#,
        "concat would make more than 67108864 bytes",
    ),
    (
        r#"SELECT max(length(s || s || s || s || s || s || s || s)) FROM (SELECT repeat(note, 10000) AS s FROM "permits@3")"#,
        "|| would make more than 67108864 bytes",
    ),
    (r#"SELECT id FROM "permits@3" WHERE length(repeat(note, id * 1000000)) > 0"#, "repeat would make a value"),
    (
        r#"SELECT count(*) FROM "permits@3" GROUP BY array_repeat(note, id * 1000000)"#,
        "array_repeat would make a value",
    ),
    (
        r#"SELECT count(n) FROM (SELECT unnest(range(0, 100000 + id)) AS n FROM "permits@3")"#,
        "range would make more than",
    ),
    // Patterns.
    (r#"SELECT id FROM "permits@3" WHERE note ~ note"#, "~ takes its pattern as a literal"),
    (r#"SELECT id FROM "permits@3" WHERE 'x' !~* (note || 'x')"#, "!~* takes its pattern as a literal"),
    (r#"SELECT id FROM "permits@3" WHERE note SIMILAR TO note"#, "SIMILAR TO takes its pattern as a literal"),
    (r#"SELECT regexp_like(note, note) FROM "permits@3""#, "regexp_like takes its pattern and flags as literals"),
    (r#"SELECT id FROM "permits@3" WHERE note ~ '(a{1000}){1000}'"#, "The pattern of ~ is too large when compiled"),
    ("SELECT regexp_like('a', '(a{1000}){1000}')", "The pattern of regexp_like is too large when compiled"),
    ("SELECT regexp_like('a', '(')", "The pattern of regexp_like is not a valid regular expression"),
    ("SELECT regexp_count('a', repeat('a', 300))", "regexp_count takes a pattern of at most 256 bytes"),
    ("SELECT to_char(DATE '2024-01-01', 'YYYY-MM-DD')", "to_char takes a format of fields such as '%Y-%m-%d'"),
    ("SELECT to_char(DATE '2024-01-01', repeat('%c', 200))", "to_char takes a format of at most 256 bytes"),
];

#[tokio::test]
async fn what_would_explode_is_refused_by_name() {
    let city = City::new();
    for (sql, says) in REFUSED {
        let problem = city.refused(sql).await;
        assert!(problem.detail.contains(says), "{sql}: {problem}");
        assert!(!problem.detail.contains("SECRET"), "{sql}: {problem}");
        let kinds = [ProblemKind::QueryFailed, ProblemKind::FunctionNotAllowed];
        assert!(kinds.contains(&problem.kind), "{sql}: {problem}");
    }
}

#[tokio::test]
async fn what_is_within_bounds_is_answered() {
    let city = City::new();
    for (sql, answer) in [
        ("SELECT length(repeat('x', 1048576))", "1048576"),
        ("SELECT length(replace(repeat('ab', 500000), 'b', 'bb')) IS NULL OR true", "true"),
        // Two matches only: what there could be at most would be too much.
        ("SELECT length(replace(repeat('x', 100000) || 'yy', 'y', repeat('z', 1000)))", "102000"),
        ("SELECT length(regexp_replace(repeat('x', 100000) || 'yy', 'y', repeat('z', 1000), 'g'))", "102000"),
        ("SELECT CASE WHEN 1 > 2 THEN repeat('x', 2000000000) ELSE 'y' END", "y"),
        ("SELECT repeat(NULL, 2000000000)", ""),
        ("SELECT repeat('x', -5)", ""),
        (r#"SELECT sum(length(repeat(note, 100))) FROM "permits@3""#, "890100"),
        (r#"SELECT count(*) FROM "permits@3" WHERE note ~ '^SECRET-1[0-9]$'"#, "9"),
        (r#"SELECT count(*) FROM "permits@3" WHERE regexp_like(note, '^secret-1[0-9]$', 'i')"#, "9"),
        (r#"SELECT count(*) FROM "permits@3" WHERE note LIKE borough || '%'"#, "0"),
    ] {
        let csv = city.csv(sql).await;
        assert_eq!(csv.lines().nth(1).unwrap_or_default().trim_matches('"'), answer, "{sql}");
    }
}

#[tokio::test]
async fn parameters_are_bounded_as_literals_are() {
    let city = City::new();
    let order = with(city.order("SELECT length(repeat('x', $1))"), "1", ParameterValue::Int(2_000_000_000));
    let problem = city.ask(&order).await.unwrap_err();
    assert!(problem.detail.contains("repeat would make a value"), "{problem}");
    let order = city.order(r#"SELECT count(*) FROM "permits@3" WHERE note ~ $1"#);
    let order = with(order, "1", ParameterValue::Text("^SECRET-1[0-9]$".into()));
    assert_eq!(city.ask(&order).await.unwrap().bytes, b"count(*)\n9\n");
}

#[tokio::test]
async fn a_large_constant_beside_rows_is_worked_on_in_small_batches() {
    let city = City::new();
    let mut order =
        city.order(r#"SELECT length(c) FROM (SELECT id, repeat('x', 1000000) AS c FROM "permits@3") WHERE id < 500"#);
    order.output = crate::city::output(portico_model::format::Format::Flight);
    let large = r#"SELECT id, repeat('x', 1000000) AS c FROM "permits@3" WHERE id < 100"#;
    let mut large = city.order(large);
    large.output = order.output.clone();
    let collected = city.ask(&large).await.unwrap();
    assert_eq!(collected.tail.rows, 100);
    let widest = collected.messages.iter().map(|message| message.data_body.len()).max().unwrap();
    assert!(widest <= 4 * 1024 * 1024, "{widest}");
    assert_eq!(city.ask(&order).await.unwrap().tail.rows, 500);
}
