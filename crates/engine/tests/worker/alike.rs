//! Operands of different types: the right answer, or a refusal.

use crate::city::City;

/// What is asked after a SELECT, and the first line of the answer, or a part of the refusal.
pub(crate) type Case = (&'static str, &'static str);

pub(crate) async fn check(cases: &[Case]) {
    let city = City::new();
    let mut wrong = Vec::new();
    for (asked, expected) in cases {
        let sql = format!("SELECT {asked}");
        let (given, right) = match city.ask(&city.order(&sql)).await {
            Ok(collected) => {
                let csv = String::from_utf8(collected.bytes).unwrap();
                let line = csv.lines().nth(1).unwrap_or_default().trim_matches('"').to_owned();
                let right = line == *expected;
                (line, right)
            }
            Err(problem) => {
                let right = !expected.is_empty() && problem.detail.contains(expected);
                (problem.to_string(), right)
            }
        };
        if !right {
            wrong.push(format!("{sql} gives {given}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Requests that were open for 10 hours, 25 hours, 8 days, 40 days.
macro_rules! requests {
    ($asked:literal, $rest:literal) => {
        concat!(
            $asked,
            " FROM (SELECT CAST(b AS TIMESTAMP(6)) AS opened, CAST(e AS TIMESTAMP(6)) AS closed FROM (VALUES \
             ('2024-01-01T00:00:00', '2024-01-01T10:00:00'), ('2024-01-01T00:00:00', '2024-01-02T01:00:00'), \
             ('2024-01-01T00:00:00', '2024-01-09T00:00:00'), ('2024-01-01T00:00:00', '2024-02-10T00:00:00')) v(b, e)) r ",
            $rest
        )
    };
}

#[tokio::test]
async fn lengths_of_time_are_compared_by_their_length() {
    check(&[
        (requests!("count(*)", "WHERE closed - opened > INTERVAL '7 days'"), "2"),
        (requests!("count(*)", "WHERE INTERVAL '1 day' > closed - opened"), "1"),
        (requests!("count(*)", "WHERE closed - opened BETWEEN INTERVAL '1 day' AND INTERVAL '1 month'"), "2"),
        (requests!("count(*)", "WHERE closed - opened IN (INTERVAL '25 hours', INTERVAL '192 hours')"), "2"),
        (requests!("count(*)", "WHERE closed - opened > '7 days'"), "2"),
        (requests!("count(*) FILTER (WHERE closed - opened >= INTERVAL '1 month 10 days')", ""), "1"),
        (requests!("count(CASE WHEN closed - opened < INTERVAL '26 hours' THEN 1 END)", ""), "2"),
        (requests!("count(*)", "HAVING avg(closed - opened) > INTERVAL '2 days'"), "4"),
        (requests!("count(*)", "WHERE now() - opened > INTERVAL '30 days'"), "4"),
        (requests!("count(*)", "WHERE closed - opened IN (SELECT INTERVAL '8 days')"), "1"),
        ("INTERVAL '25 hours' > INTERVAL '1 day', INTERVAL '30 days' = INTERVAL '1 month'", "true,true"),
        ("INTERVAL '1 day' IS DISTINCT FROM INTERVAL '24 hours'", "false"),
        (
            "max(i) = INTERVAL '25 hours', min(i) FROM (VALUES (INTERVAL '25 hours'), (INTERVAL '1 day')) t(i)",
            "true,P1D",
        ),
        ("n FROM (VALUES (INTERVAL '25 hours', 2), (INTERVAL '1 day', 1)) t(i, n) ORDER BY i", "1"),
        ("i, count(*) FROM (VALUES (INTERVAL '24 hours'), (INTERVAL '1 day')) t(i) GROUP BY i", "P1D,2"),
        ("count(*) FROM (SELECT DISTINCT i FROM (VALUES (INTERVAL '24 hours'), (INTERVAL '1 day')) t(i))", "1"),
        ("count(DISTINCT i) FROM (VALUES (INTERVAL '24 hours'), (INTERVAL '1 day')) t(i)", "1"),
        ("greatest(INTERVAL '25 hours', INTERVAL '1 day') = INTERVAL '25 hours'", "true"),
        ("row_number() OVER (ORDER BY i) FROM (VALUES (INTERVAL '25 hours'), (INTERVAL '1 day')) t(i)", "1"),
        ("INTERVAL '300000 years' > INTERVAL '1 day'", "Overflow"),
    ])
    .await;
}

#[tokio::test]
async fn times_of_different_units_are_compared() {
    check(&[
        (
            "count(*) FROM (SELECT make_time(h, 30, 0) AS t FROM (VALUES (5), (6)) s(h)) b WHERE t > TIME '06:00:00'",
            "1",
        ),
        ("make_time(6, 30, 0) BETWEEN TIME '06:00:00' AND TIME '06:30:00.000000001'", "true"),
        ("make_time(6, 30, 0) = TIME '06:30:00.000000001'", "false"),
        ("make_time(6, 30, 0) IN (TIME '06:30:00', NULL)", "true"),
        ("CASE WHEN true THEN make_time(6, 30, 0) ELSE TIME '07:00:00' END", "06:30:00"),
        ("count(*) FROM (SELECT make_time(6, 30, 0) AS t) a JOIN (SELECT TIME '06:30:00' AS t) b USING (t)", "1"),
    ])
    .await;
}

#[tokio::test]
async fn a_day_plus_what_may_have_hours_is_a_moment() {
    check(&[
        ("DATE '2024-01-01' + (INTERVAL '10 hours' + INTERVAL '1 hour')", "2024-01-01T11:00:00"),
        ("DATE '2024-01-01' + i FROM (VALUES (INTERVAL '10 hours')) t(i)", "2024-01-01T10:00:00"),
        ("DATE '2024-01-01' - CASE WHEN true THEN INTERVAL '1 hour' END", "2023-12-31T23:00:00"),
        ("DATE '2024-01-01' + INTERVAL '1 month'", "2024-02-01"),
    ])
    .await;
}

#[tokio::test]
async fn an_interval_is_multiplied() {
    check(&[
        ("DATE '2024-01-01' + 3 * INTERVAL '1 hour'", "2024-01-01T03:00:00"),
        ("TIMESTAMP '2024-01-01T00:00:00' + INTERVAL '1 day' * n FROM (VALUES (3)) t(n)", "2024-01-04T00:00:00"),
        ("INTERVAL '1 day' * 3 = INTERVAL '72 hours'", "true"),
        ("INTERVAL '1 day' * 9000000000", "left the range"),
        ("INTERVAL '1 day' * 1.5", "whole numbers only"),
    ])
    .await;
}

#[tokio::test]
async fn a_choice_of_decimals_and_floats_is_a_float() {
    check(&[
        ("coalesce(CAST(NULL AS DECIMAL(10, 2)), 1e-20)", "1e-20"),
        ("CASE WHEN false THEN CAST('1.5' AS DECIMAL(10, 2)) ELSE 1e-20 END", "1e-20"),
        ("greatest(CAST('0' AS DECIMAL(10, 2)), 1e-20), least(CAST('1' AS DECIMAL(10, 2)), 1e-20)", "1e-20,1e-20"),
        ("nullif(1e-20, CAST('0' AS DECIMAL(10, 2)))", "1e-20"),
        ("max(v) FROM (SELECT CAST('0' AS DECIMAL(10, 2)) AS v UNION ALL SELECT 1e-20)", "1e-20"),
        ("[CAST('0' AS DECIMAL(10, 2)), 1e-20][2]", "1e-20"),
        ("count(*) FROM (VALUES (1e-20)) t(v) WHERE v IN (SELECT CAST('0' AS DECIMAL(10, 2)))", "0"),
        ("count(*) FROM (SELECT 1e-20 AS v) a JOIN (SELECT CAST('0' AS DECIMAL(10, 2)) AS v) b USING (v)", "0"),
        ("coalesce(CAST(NULL AS TIMESTAMP(6)), DATE '9999-12-31')", "9999-12-31T00:00:00"),
        ("greatest(CAST('2024-01-01' AS TIMESTAMP(6)), DATE '9999-12-31')", "9999-12-31T00:00:00"),
        (
            "max(v) FROM (SELECT CAST('2024-01-01' AS TIMESTAMP(6)) AS v UNION ALL SELECT DATE '9999-12-31')",
            "9999-12-31T00:00:00",
        ),
        ("CAST('9999-12-31' AS TIMESTAMP(6)) IN (SELECT DATE '9999-12-31')", "true"),
    ])
    .await;
}

#[tokio::test]
async fn counts_are_divided_as_whole_numbers() {
    check(&[
        ("max(page) FROM (SELECT (row_number() OVER (ORDER BY id) - 1) / 10 AS page FROM \"permits@3\")", "99"),
        ("cardinality([1, 2, 3]) / 2, array_length([1, 2, 3]) * -1", "1,-3"),
        ("CAST(18446744073709551615 AS BIGINT UNSIGNED) - 1", "18446744073709551614"),
    ])
    .await;
}
