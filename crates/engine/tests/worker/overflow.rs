//! Calculations at the edge of their types: the right answer, in a wider type where there is one, or an error; never a
//! number that has wrapped around.

use portico_model::problem::ProblemKind;

use crate::city::City;

/// Ends as an overflow.
const OVERFLOW: &str = "overflow";
const MAX: &str = "9223372036854775807";

/// A calculation and what it gives, after a SELECT.
const CASES: &[(&str, &str)] = &[
    // Operators on constants.
    ("9223372036854775807 + 1", OVERFLOW),
    ("-9223372036854775807 - 2", OVERFLOW),
    ("9223372036854775807 * 2", OVERFLOW),
    ("-(-9223372036854775807 - 1)", OVERFLOW),
    ("4611686018427387904 * 2", OVERFLOW),
    ("4611686018427387904 * -2", "-9223372036854775808"),
    ("9223372036854775806 + 1", MAX),
    ("(-9223372036854775807 - 1) / -1", OVERFLOW),
    ("(-9223372036854775807 - 1) % -1", "0"),
    // Narrow types keep their width, and their end.
    ("CAST(127 AS TINYINT) + CAST(1 AS TINYINT)", OVERFLOW),
    ("CAST(-128 AS TINYINT) - CAST(1 AS TINYINT)", OVERFLOW),
    ("-CAST(-128 AS TINYINT)", OVERFLOW),
    ("CAST(32767 AS SMALLINT) * CAST(2 AS SMALLINT)", OVERFLOW),
    ("CAST(2147483647 AS INT) + CAST(1 AS INT)", OVERFLOW),
    ("CAST(65536 AS INT) * CAST(65536 AS INT)", OVERFLOW),
    ("CAST(2147483647 AS INT) + CAST(1 AS BIGINT)", "2147483648"),
    ("CAST(0 AS INT UNSIGNED) - CAST(1 AS INT UNSIGNED)", OVERFLOW),
    ("CAST(255 AS TINYINT UNSIGNED) + CAST(1 AS TINYINT UNSIGNED)", OVERFLOW),
    ("CAST(18446744073709551615 AS BIGINT UNSIGNED) + CAST(1 AS BIGINT UNSIGNED)", OVERFLOW),
    // Functions.
    ("abs(-9223372036854775807 - 1)", OVERFLOW),
    ("abs(CAST(-128 AS TINYINT))", OVERFLOW),
    ("factorial(20)", "2432902008176640000"),
    ("factorial(21)", OVERFLOW),
    ("lcm(9223372036854775807, 2)", OVERFLOW),
    ("gcd(-9223372036854775807 - 1, 0)", OVERFLOW),
    ("round(9223372036854775807)", MAX),
    // Conversions.
    ("CAST(300 AS TINYINT)", "converted"),
    ("CAST(-1 AS INT UNSIGNED)", "converted"),
    ("CAST(3000000000 AS INT)", "converted"),
    ("CAST('9223372036854775808' AS BIGINT)", "converted"),
    ("CAST(1e30 AS BIGINT)", "converted"),
    ("CAST(12345 AS DECIMAL(3, 0))", "converted"),
    ("TRY_CAST(300 AS TINYINT)", ""),
    ("CAST(9223372036854775807 AS DECIMAL(38, 0)) + 1", "9223372036854775808"),
    // Decimals.
    (
        "CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0)) + CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0))",
        OVERFLOW,
    ),
    ("CAST('99999999999999999999999999999999999999' AS DECIMAL(38, 0)) * 10", OVERFLOW),
    ("CAST('9999999999.99' AS DECIMAL(12, 2)) * CAST('9999999999.99' AS DECIMAL(12, 2))", "99999999999800000000.0001"),
    ("-CAST('-99999999999999999999999999999999999999' AS DECIMAL(38, 0))", "99999999999999999999999999999999999999"),
    // Dates and times.
    ("DATE '9999-12-31' + INTERVAL '300000' YEAR", OVERFLOW),
    ("TIMESTAMP '2262-04-11T00:00:00' + INTERVAL '1' YEAR", OVERFLOW),
    ("TIMESTAMP '2262-04-11T00:00:00' - TIMESTAMP '1677-09-22T00:00:00'", OVERFLOW),
    ("to_timestamp_seconds(9223372036854775807) IS NOT NULL", "true"),
    // Columns.
    (r#"id + 9223372036854775000 FROM "permits@3""#, OVERFLOW),
    (r#"id * id * id * id * id * id * id FROM "permits@3""#, OVERFLOW),
    (r#"-(id - 9223372036854775807 - 10) FROM "permits@3""#, OVERFLOW),
    (r#"count(*) FROM "permits@3" WHERE id + 9223372036854775807 > 0"#, OVERFLOW),
    (r#"count(*) FROM "permits@3" GROUP BY id * 9223372036854775807"#, OVERFLOW),
    (r#"id - 9223372036854775807 FROM "permits@3" WHERE id = 0"#, "-9223372036854775807"),
    (r#"id FROM "permits@3" ORDER BY id * 9223372036854775807"#, OVERFLOW),
    // Sums.
    ("sum(v) FROM (VALUES (9223372036854775807), (1)) t(v)", OVERFLOW),
    ("sum(v) FROM (VALUES (9223372036854775807), (1), (-1)) t(v)", MAX),
    ("sum(v) FROM (VALUES (-9223372036854775807), (-2)) t(v)", OVERFLOW),
    ("sum(DISTINCT v) FROM (VALUES (9223372036854775807), (1), (1)) t(v)", OVERFLOW),
    (
        "sum(DISTINCT v), count(DISTINCT w) FROM (VALUES (9223372036854775807, 1), (1, 2), (-1, 2)) t(v, w)",
        "9223372036854775807,2",
    ),
    ("max(s) FROM (SELECT sum(v) OVER () AS s FROM (VALUES (9223372036854775807), (1)) t(v))", OVERFLOW),
    (
        "max(s) FROM (SELECT sum(v) OVER (ORDER BY v ROWS BETWEEN 1 PRECEDING AND CURRENT ROW) AS s FROM (VALUES (9223372036854775807), (9223372036854775806)) t(v))",
        OVERFLOW,
    ),
    (r#"sum(id + 9223372036854770000) FROM "permits@3" WHERE id < 2"#, OVERFLOW),
    (r#"sum(id * 100000000000000) FROM "permits@3""#, OVERFLOW),
    (r#"max(s) FROM (SELECT borough, sum(id * 100000000000000) AS s FROM "permits@3" GROUP BY borough)"#, OVERFLOW),
    (r#"sum(CAST(id AS DECIMAL(38, 0)) * 100000000000000) FROM "permits@3""#, "49950000000000000000"),
    ("sum(CAST(v AS BIGINT UNSIGNED)) FROM (VALUES ('18446744073709551615'), ('1')) t(v)", OVERFLOW),
    (
        "sum(CAST(v AS DECIMAL(38, 0))) FROM (VALUES ('99999999999999999999999999999999999999'), ('99999999999999999999999999999999999999')) t(v)",
        OVERFLOW,
    ),
    ("sum(CAST(v AS DECIMAL(38, 0))) FROM (VALUES ('99999999999999999999999999999999999999'), ('1')) t(v)", OVERFLOW),
    ("sum(v) FROM (VALUES (1), (NULL)) t(v)", "1"),
    ("sum(CAST(NULL AS BIGINT)) FROM (VALUES (1)) t(v)", ""),
    // Averages.
    ("avg(v) FROM (VALUES (9223372036854775807), (9223372036854775807)) t(v)", "9.223372036854776e+18"),
    ("avg(DISTINCT v) FROM (VALUES (9223372036854775807), (1), (1)) t(v)", "4.611686018427388e+18"),
    ("avg(v) FROM (VALUES (9007199254740993), (-9007199254740992)) t(v)", "0.5"),
    ("avg(CAST(v AS DECIMAL(38, 0))) FROM (VALUES ('99999999999999999999999999999999999999')) t(v)", OVERFLOW),
    ("avg(v) FROM (VALUES (1), (2), (NULL)) t(v)", "1.5"),
    // Sums and averages of times: together they are beyond 64 bits, the average is not.
    (
        r#"avg(a - b) FROM (SELECT TIMESTAMP '2024-01-01T00:00:00' AS a, TIMESTAMP '1924-01-01T00:00:00' AS b FROM "permits@3")"#,
        "P36525D",
    ),
    (
        r#"sum(a - b) FROM (SELECT TIMESTAMP '2024-01-01T00:00:00' AS a, TIMESTAMP '1924-01-01T00:00:00' AS b FROM "permits@3")"#,
        OVERFLOW,
    ),
];

#[tokio::test]
async fn nothing_wraps_around() {
    let city = City::new();
    let mut wrong = Vec::new();
    for (calculation, expected) in CASES {
        let sql = format!("SELECT {calculation}");
        let given = match city.ask(&city.order(&sql)).await {
            Ok(collected) => {
                let csv = String::from_utf8(collected.bytes).unwrap();
                csv.lines().nth(1).unwrap_or_default().trim_matches('"').to_owned()
            }
            Err(problem) => {
                assert_eq!(problem.kind, ProblemKind::QueryFailed, "{sql}: {problem}");
                let detail = problem.detail.to_lowercase();
                let overflow = detail.contains("overflow") || detail.contains("left the range");
                if overflow { OVERFLOW.to_owned() } else { detail }
            }
        };
        let as_expected = given == *expected || *expected == "converted" && given.contains("could not be converted");
        if !as_expected {
            wrong.push(format!("{sql} gives {given}, not {expected}"));
        }
    }
    assert!(CASES.len() >= 60);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn sums_and_averages_keep_their_types_and_their_nulls() {
    let city = City::new();
    let sql = r#"SELECT sum(id) AS a, avg(id) AS b, sum(cost) AS c, avg(cost) AS d, sum(score) AS e, -id AS f FROM "permits@3" GROUP BY id"#;
    let collected = city.ask(&city.order(sql)).await.unwrap();
    let types = collected.head.columns.iter().map(|column| column.data_type.as_str()).collect::<Vec<_>>();
    assert_eq!(types, ["int64", "float64", "decimal(20,2)", "decimal(14,6)", "float64", "int64"]);
    let groups = city.lines(
        r#"SELECT borough, sum(id) FILTER (WHERE id > 5000), avg(id) FILTER (WHERE id < 10), sum(CASE WHEN id < 5 THEN id END)
           FROM "permits@3" GROUP BY borough"#,
    );
    assert_eq!(
        groups.await,
        ["Bronx,,2.5,0", "Brooklyn,,3.5,1", "Manhattan,,4.5,2", "Queens,,5.5,3", "Staten Island,,6.5,4"]
    );
}

#[tokio::test]
async fn columns_of_calculations_keep_their_names() {
    let city = City::new();
    let csv = city
        .csv(r#"SELECT id + 1, id * 2 - id, -id, borough || 'x', sum(id * 2) OVER () FROM "permits@3" LIMIT 1"#)
        .await;
    assert_eq!(csv.lines().next().unwrap(), "id + 1,id * 2 - id,-id,borough || 'x',sum(id * 2) OVER ()");
}
