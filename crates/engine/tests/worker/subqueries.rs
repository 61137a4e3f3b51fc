//! Subqueries as values, beside others and in a FROM.

use portico_model::problem::ProblemKind;

use crate::city::City;

/// Statements and the rows that they give.
const ANSWERED: &[(&str, &str)] = &[
    (r#"SELECT 'Bronx' = ANY(SELECT borough FROM "permits@3")"#, "true"),
    (r#"SELECT 'x' = ANY(SELECT borough FROM "permits@3")"#, "false"),
    (r#"SELECT 'x' <> ALL(SELECT borough FROM "permits@3")"#, "true"),
    (r#"SELECT 'x' = ANY(SELECT note FROM "permits@3") IS NULL"#, "true"),
    (r#"SELECT NULL = ANY(SELECT note FROM "permits@3" WHERE id < 0)"#, "false"),
    (r#"SELECT EXISTS (SELECT 1 FROM "permits@3")"#, "true"),
    (r#"SELECT NOT EXISTS (SELECT 1 FROM "permits@3" WHERE id < 0)"#, "true"),
    (r#"SELECT 5 IN (SELECT id FROM "permits@3"), 5 NOT IN (SELECT id FROM "permits@3")"#, "true,false"),
    (r#"SELECT CASE WHEN EXISTS (SELECT 1 FROM "permits@3") THEN 1 ELSE 2 END"#, "1"),
    (
        r#"SELECT id, borough = ANY(SELECT borough FROM "permits@3" WHERE id = 0) FROM "permits@3" WHERE id < 2 ORDER BY id"#,
        "0,true\n1,false",
    ),
    (
        r#"SELECT id, id IN (SELECT id + 1 FROM "permits@3" WHERE id = 0) FROM "permits@3" WHERE id < 2 ORDER BY id"#,
        "0,false\n1,true",
    ),
    (
        r#"SELECT id, EXISTS (SELECT 1 FROM "permits@3" b WHERE b.id = a.id + 999) FROM "permits@3" a WHERE id < 2 ORDER BY id"#,
        "0,true\n1,false",
    ),
    (r#"SELECT count(*) FROM "permits@3" WHERE id > ALL(SELECT id FROM "permits@3" WHERE id < 990)"#, "10"),
    (r#"SELECT count(*) FROM "permits@3" WHERE id = ANY(SELECT id FROM "permits@3" WHERE id < 990)"#, "990"),
    (
        r#"SELECT a.id, b.x FROM "permits@3" a CROSS JOIN LATERAL (SELECT max(c.id) AS x FROM "permits@3" c WHERE c.id = a.id) b WHERE a.id = 2"#,
        "2,2",
    ),
    ("SELECT count(*) FROM generate_series(DATE '2024-01-01', DATE '2024-12-31', INTERVAL '1' DAY) AS t(n)", "366"),
    (
        "SELECT count(d) FROM (SELECT unnest(generate_series(DATE '2024-01-01', DATE '2024-01-31', INTERVAL '1' DAY)) AS d)",
        "31",
    ),
];

#[tokio::test]
async fn subqueries_are_values_wherever_values_stand() {
    let city = City::new();
    let mut wrong = Vec::new();
    for (sql, answer) in ANSWERED {
        let given = match city.ask(&city.order(sql)).await {
            Ok(collected) => {
                let csv = String::from_utf8(collected.bytes).unwrap();
                csv.split_once('\n').map(|(_, rows)| rows.trim_end().to_owned()).unwrap_or_default()
            }
            Err(problem) => problem.to_string(),
        };
        if given != *answer {
            wrong.push(format!("{sql} gives {given}, not {answer}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[tokio::test]
async fn subqueries_that_cannot_be_answered_are_refused_in_plain_words() {
    let city = City::new();
    for (sql, says) in [
        (
            r#"SELECT a.id, b.x FROM "permits@3" a CROSS JOIN LATERAL (SELECT a.id AS x) b"#,
            "uses a column from outside it where that cannot be answered",
        ),
        (r#"SELECT id > ANY(SELECT id FROM "permits@3") FROM "permits@3""#, "stands in WHERE only"),
    ] {
        let problem = city.refused(sql).await;
        assert_eq!(problem.kind, ProblemKind::InvalidSql, "{sql}: {problem}");
        assert!(problem.detail.contains(says), "{sql}: {problem}");
    }
}

#[tokio::test]
async fn a_column_of_a_query_further_out_is_refused_as_that() {
    let city = City::new();
    let sql = r#"SELECT l.m FROM "permits@3" p CROSS JOIN LATERAL (SELECT max(k.x) AS m FROM "permits@3" q
        CROSS JOIN LATERAL (SELECT max(r.id) AS x FROM "permits@3" r WHERE r.id = p.id) k WHERE q.id = p.id) l"#;
    let problem = city.refused(sql).await;
    assert_eq!(problem.kind, ProblemKind::UnknownColumn, "{problem}");
    assert!(problem.detail.contains("further out"), "{problem}");
}

#[tokio::test]
async fn long_chains_of_numbers_are_planned() {
    let city = City::new();
    let chain = vec!["id"; 490].join(" + ");
    assert_eq!(city.lines(&format!(r#"SELECT {chain} FROM "permits@3" WHERE id = 2"#)).await, ["980"]);
}
