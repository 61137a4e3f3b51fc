//! Statements that are short, and large once the planner has written them out.

use super::*;

/// The cap that all of them meet.
const CAP: &str = "nodes once everything that it names is written out";

fn nested(open: &str, inside: &str, close: &str, levels: usize) -> String {
    format!("{}{inside}{}", open.repeat(levels), close.repeat(levels))
}

/// `times` queries within each other, each with `list` over the one before.
fn layers(list: &str, times: usize) -> String {
    let mut sql = "WITH a0 AS (SELECT x FROM t)".to_owned();
    for level in 1..=times {
        let before = level - 1;
        sql.push_str(&format!(", a{level} AS (SELECT {list} FROM a{before})"));
    }
    sql
}

#[test]
fn nested_between_doubles_at_every_level() {
    too_complex(&format!("SELECT x FROM t WHERE x{}", " BETWEEN true AND true".repeat(30)), CAP);
    too_complex(&format!("SELECT x FROM t WHERE {}", nested("(", "x", " BETWEEN true AND true)", 20)), CAP);
    assert!(gate("SELECT x FROM t WHERE x BETWEEN 1 AND 2 BETWEEN true AND true").is_ok());
    assert!(gate(&format!("SELECT x FROM t WHERE {}", vec!["x BETWEEN 1 AND 2"; 200].join(" OR "))).is_ok());
}

#[test]
fn nested_coalesce_doubles_at_every_level() {
    for function in ["coalesce", "nvl", "ifnull", "COALESCE"] {
        too_complex(&format!("SELECT {} FROM t", nested(&format!("{function}("), "x", ", 1)", 30)), CAP);
    }
    assert!(gate("SELECT coalesce(coalesce(coalesce(a, b), c, d), e, 'none') FROM t").is_ok());
}

#[test]
fn nested_conditions_of_case_double_at_every_level() {
    let few = nested("CASE WHEN ", "x > 1", " THEN x > 2 ELSE x > 3 END", 20);
    too_complex(&format!("SELECT x FROM t WHERE {few}"), CAP);
    let branches = " WHEN x = 1 THEN false".repeat(400);
    too_complex(&format!("SELECT CASE{branches} ELSE true END FROM t"), CAP);
    let results = nested("CASE WHEN x = 1 THEN 'a' ELSE ", "'z'", " END", 15);
    assert!(gate(&format!("SELECT {results} FROM t")).is_ok());
    assert!(gate(&format!("SELECT CASE{} ELSE 'z' END FROM t", " WHEN x = 1 THEN 'a'".repeat(400))).is_ok());
}

#[test]
fn a_condition_on_a_column_counts_all_that_is_behind_it() {
    for end in [
        "SELECT x FROM a30 WHERE x > 1",
        "SELECT x FROM a30 ORDER BY x LIMIT 1",
        "SELECT z.x FROM a30 AS z WHERE z.x > 1",
        "SELECT z.q FROM a30 AS z(q) WHERE q > 1",
        "SELECT x FROM (SELECT * FROM a30) AS y WHERE x > 1",
        "SELECT x FROM (SELECT y.* FROM a30 AS y) AS y WHERE x > 1",
        "SELECT 1 FROM u WHERE EXISTS (SELECT 1 FROM a30 WHERE a30.x = u.x)",
        "SELECT u.x FROM u JOIN a30 ON u.x = a30.x",
        "SELECT x FROM u JOIN a30 USING (x)",
        "SELECT x FROM u NATURAL JOIN a30",
        "SELECT x FROM (SELECT x FROM a30 UNION ALL SELECT x FROM u) AS v WHERE x > 1",
        "SELECT x FROM (SELECT x FROM u UNION ALL SELECT x FROM a30) AS v WHERE x > 1",
        "SELECT x FROM a30 GROUP BY x",
        "SELECT y FROM u, LATERAL (SELECT x AS y FROM a30 WHERE x = u.x) AS l",
        "SELECT sum(x) OVER (PARTITION BY x) FROM a30",
    ] {
        too_complex(&format!("{} {end}", layers("x + x AS x", 30)), CAP);
        let few = end.replace("a30", "a3");
        assert!(gate(&format!("{} {few}", layers("x + x AS x", 3))).is_ok(), "{few}");
    }
    // A number without a name of its own is named by what is in it.
    too_complex(&format!("{} SELECT x FROM a30 WHERE x > 1", layers("CAST(x + x AS INT)", 30)), CAP);
    let mut derived = "t".to_owned();
    for level in 0..16 {
        derived = format!("(SELECT x + x AS x FROM {derived} AS d{level})");
    }
    too_complex(&format!("SELECT x FROM {derived} AS z WHERE x > 1"), CAP);
}

#[test]
fn queries_behind_one_another_are_few() {
    for list in ["x", "*", "DISTINCT x"] {
        too_complex(&format!("{} SELECT 1 FROM a900", layers(list, 900)), "queries behind one another");
        too_complex(&format!("{} SELECT 1 FROM a64", layers(list, 64)), "queries behind one another");
        assert!(gate(&format!("{} SELECT 1 FROM a60", layers(list, 60))).is_ok());
    }
    // Derived tables and common table expressions add up.
    let derived = |from: &str| format!("{}{from}{}", "(SELECT x FROM ".repeat(12), ") AS d".repeat(12));
    let mut sql = "WITH a0 AS (SELECT x FROM t)".to_owned();
    for level in 1..=6 {
        sql.push_str(&format!(", a{level} AS (SELECT x FROM {})", derived(&format!("a{}", level - 1))));
    }
    too_complex(&format!("{sql} SELECT 1 FROM a6"), "queries behind one another");
}

#[test]
fn layers_that_only_hand_columns_on_cost_nothing() {
    for list in ["x", "*", "x AS x", "x, x AS y", "sum(x) AS x", "count(x) OVER (PARTITION BY x) AS x"] {
        assert!(gate(&format!("{} SELECT x FROM a50 WHERE x > 1", layers(list, 50))).is_ok(), "{list}");
    }
    // An aggregate is a column to those around it.
    assert!(gate(&format!("{} SELECT x FROM a50 WHERE x > 1", layers("sum(x) + count(x) AS x", 12))).is_ok());
}

#[test]
fn a_condition_on_one_side_of_an_equation_counts_for_the_other() {
    let heavy = format!("(SELECT x{} AS k FROM t) AS b", "+1".repeat(400));
    let conditions = (0..200).map(|n| format!("a.x > {n}")).collect::<Vec<_>>().join(" AND ");
    too_complex(&format!("SELECT 1 FROM u AS a JOIN {heavy} ON a.x = b.k WHERE {conditions}"), CAP);
    too_complex(&format!("SELECT 1 FROM u AS a, {heavy} WHERE a.x = b.k AND {conditions}"), CAP);
    assert!(gate(&format!("SELECT 1 FROM u AS a JOIN t AS b ON a.x = b.k WHERE {conditions}")).is_ok());
}

#[test]
fn an_alias_counts_as_what_is_behind_it() {
    let sum = format!("sum(x){}", "+1".repeat(400));
    let uses = "+y".repeat(400);
    too_complex(&format!("SELECT {sum} AS y FROM t HAVING y{uses} > 0"), CAP);
    too_complex(&format!("SELECT {sum} AS y FROM t GROUP BY {}", vec!["y"; 100].join(",")), CAP);
    too_complex(&format!("SELECT {sum} FROM t GROUP BY {}", vec!["1"; 100].join(",")), CAP);
    too_complex(&format!("SELECT {sum} AS y FROM t QUALIFY y{uses} > 0"), CAP);
    assert!(
        gate("SELECT a, sum(b) AS total FROM t GROUP BY 1 HAVING total > 10 AND total < 20 ORDER BY total").is_ok()
    );
}

#[test]
fn windows_count_wherever_they_are_used() {
    let list = |count: usize, text: &str| (0..count).map(|n| text.replace('#', &n.to_string())).collect::<Vec<_>>();
    let functions = list(200, "sum(x) OVER w AS s#").join(",");
    let partitions = list(200, "x + #").join(",");
    too_complex(&format!("SELECT {functions} FROM t WINDOW w AS (PARTITION BY {partitions})"), CAP);
    let functions = list(60, "sum(x + #) OVER (PARTITION BY a, b, c ORDER BY d) AS s#").join(",");
    too_complex(&format!("SELECT {functions} FROM t"), CAP);
    let functions = list(30, "lag(x, #) OVER (PARTITION BY a, b ORDER BY d) AS s#").join(",");
    assert!(gate(&format!("SELECT {functions} FROM t")).is_ok());
}

#[test]
fn nested_subqueries_double_at_every_level() {
    too_complex(&format!("SELECT {}", nested("(SELECT max(x) + ", "1", " FROM t)", 14)), CAP);
    too_complex(&format!("SELECT x FROM t WHERE {}", nested("x IN (SELECT x FROM t WHERE ", "true", ")", 14)), CAP);
    assert!(gate(&format!("SELECT x FROM t WHERE {}", nested("x IN (SELECT x FROM t WHERE ", "true", ")", 5))).is_ok());
}

#[test]
fn wildcards_count_every_column_that_they_stand_for() {
    let columns = |parsed: super::super::ParsedStatement, width: u64| parsed.check_wildcards(|_| width);
    let limits = StatementLimits::default();
    let mut doubling = "WITH c0 AS (SELECT * FROM t)".to_owned();
    for level in 1..=5 {
        let before = level - 1;
        doubling.push_str(&format!(", c{level} AS (SELECT * FROM c{before} AS l, c{before} AS r)"));
    }
    let sql = format!("{doubling} SELECT * FROM c5");
    // Six lists of 32, 16 * 2, … columns for each of the table's, and the outer one.
    assert!(columns(parse(&sql, &limits).unwrap(), 50).is_ok());
    let problem = columns(parse(&sql, &limits).unwrap(), 500).unwrap_err();
    assert_eq!(problem.kind, ProblemKind::QueryTooComplex);
    assert!(columns(parse("SELECT *, * FROM t", &limits).unwrap(), 10_001).is_err());
    assert!(columns(parse("SELECT * FROM t", &limits).unwrap(), 2_000).is_ok());
    assert!(columns(parse("SELECT a.*, b.* FROM t AS a, t AS b", &limits).unwrap(), 9_000).is_ok());
    let wide = format!("SELECT {} FROM (VALUES (1)) AS v", vec!["*"; 500].join(","));
    assert!(gate(&wide).is_ok());
    let layers = format!("WITH v AS (VALUES ({})) SELECT {} FROM v", vec!["1"; 400].join(","), vec!["*"; 60].join(","));
    too_complex(&layers, "columns that its wildcards stand for");
}
