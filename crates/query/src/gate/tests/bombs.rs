use super::*;

/// Far more than any of these takes on a busy machine, and far less than one that grows with the depth would.
const PATIENCE: Duration = Duration::from_secs(20);

fn repeat(part: &str, times: usize) -> String {
    part.repeat(times)
}

#[test]
fn long_chains_end_quickly_and_without_a_stack_overflow() {
    too_complex(&format!("SELECT 1{}", repeat("+1", 20_000)), "20001 terms in one chain");
    too_complex(&format!("SELECT 1{}", repeat("+1", 2_000)), "terms in one chain");
    too_complex(&format!("SELECT a FROM t WHERE a=1{}", repeat(" OR a=1", 5_000)), "terms in one chain");
    too_complex(&format!("SELECT a FROM t WHERE a{}", repeat(" and b or a", 3_000)), "terms in one chain");
    too_complex(&format!("SELECT 1{}", repeat(" IS NULL", 5_000)), "terms in one chain");
    too_complex(&format!("SELECT 1{}", repeat("::int", 5_000)), "terms in one chain");
    too_complex(&format!("SELECT ''{}", repeat("||''", 10_000)), "terms in one chain");
    too_complex(&format!("SELECT 1{}", repeat(" BETWEEN 1 AND 1", 2_000)), "");
    too_complex(&format!("SELECT a{}", repeat("[1]", 5_000)), "steps in one access");
    assert!(gate(&format!("SELECT 1{}", repeat("+1", 499))).is_ok());
}

/// What nests: an opening, something inside, a closing.
#[rustfmt::skip]
const NESTED: &[(&str, &str, &str)] = &[
        ("(", "1", ")"), ("abs(", "1", ")"), ("CASE WHEN true THEN ", "1", " END"), ("(SELECT ", "1", ")"),
        ("[", "1", "]"), ("NOT ", "true", ""), ("- ", "1", ""), ("a = NOT ", "true", ""),
        ("EXISTS (SELECT ", "1", ")"), ("1 IN (", "1", ")"), ("CAST(", "1", " AS INT)"), ("{'a': ", "1", "}"),
        ("STRUCT(", "1", ")"), ("MAP {'a': ", "1", "}"), ("INTERVAL ", "'1'", ""), ("(1, ", "1", ")"),
        ("x -> ", "1", ""), ("1 + (", "1", ")"), ("CASE 1 WHEN ", "1", " THEN 1 END"), ("a IN (SELECT ", "1", ")"),
        ("1 FROM (SELECT ", "1", ")"), ("sum(1) OVER (PARTITION BY ", "1", ")"), ("a[", "1", "]"),
        ("date(", "1", ")"), ("int(", "1", ")"), ("timestamp(", "1", ")"), ("array(", "1", ")"),
        ("nullable(", "1", ")"), ("map(", "1", ")"), ("tuple(", "1", ")"), ("interval(", "1", ")"),
        ("extract(year from ", "1", ")"), ("trim(", "1", ")"), ("substring(", "1", ")"), ("position(1 in ", "1", ")"),
        ("case(", "1", ")"), ("cast(1 as decimal(", "1", "))"), ("ceil(", "1", ")"), ("if(", "1", ")"),
        ("left(", "1", ")"), ("exists(", "1", ")"), ("not(", "1", ")"), ("decimal(", "1", ")"),
        ("struct<a int>(", "1", ")"), ("row(", "1", ")"), ("(x) -> (", "1", ")"), ("x -> (", "1", ")"),
        ("((x, y) -> ", "1", ")"), ("(a, ", "b", ")"), ("(a, b", "", ")"), ("1 FROM (a JOIN ", "b", ")"),
        ("1 FROM (", "b", ")"), ("1 FROM ((SELECT 1), ", "b", ")"), ("1 FROM unnest(", "1", ")"),
        ("1 FROM lateral (SELECT 1 FROM ", "1", ")"), ("1 IN unnest(", "1", ")"), ("a BETWEEN (", "1", ")"),
        ("a LIKE (", "1", ")"), ("(values (", "1", "))"), ("listagg(", "1", ")"), ("convert(", "1", ")"),
        ("overlay(", "1", ")"), ("try_cast(", "1", "as int)"), ("{fn f(", "1", ")}"), ("{d ", "'1'", "}"),
        ("a::decimal(", "1", ")"), ("a AT TIME ZONE (", "1", ")"), ("ARRAY[", "1", "]"), ("f(x => ", "1", ")"),
        ("f(DISTINCT ", "1", ")"), ("a COLLATE (", "1", ")"), ("GROUPING SETS ((", "1", "))"),
        ("1 GROUP BY GROUPING SETS ((", "1", "))"), ("1 GROUP BY (", "1", ")"), ("1 ORDER BY (", "1", ")"),
        ("1 WHERE (a, b) = (", "1", ")"), ("a = ANY (", "1", ")"), ("a.b[", "1", "]"), ("(a).b(", "1", ")"),
        ("f(1)(", "1", ")"), ("f((SELECT ", "1", "))"), ("1 LIMIT (", "1", ")"), ("xmltable(", "1", ")"),
        ("1 FROM xmltable(", "1", ")"), ("1 FROM json_table(", "1", ")"), ("match (", "1", ")"),
        ("1 FROM f(", "1", ")"), ("1 FROM t PIVOT (", "1", ")"), ("1 FROM t AS x(", "1", ")"), ("1 WITH (", "1", ")"),
        ("1 FROM t WITH (", "1", ")"), ("1 FROM t TABLESAMPLE (", "1", ")"), ("{", "1", "}"), ("union(", "1", ")"),
        ("enum(", "1", ")"), ("nested(", "1", ")"), ("lowcardinality(", "1", ")"), ("table(", "1", ")"),
        ("set(", "1", ")"), ("char(", "1", ")"), ("float(", "1", ")"), ("time(", "1", ")"), ("binary(", "1", ")"),
        ("1 FROM table(", "1", ")"), ("with x as (select ", "1", ")"), ("(with x as (select ", "1", ") select 1)"),
];

#[test]
fn no_nesting_around_a_mistake_takes_long() {
    for (open, inside, close) in NESTED {
        for sql in [
            format!("SELECT {}{inside}{}", repeat(open, 20), repeat(close, 20)),
            format!("SELECT {}{inside}", repeat(open, 45)),
            format!("SELECT {}{inside}{}", repeat(open, 45), repeat(close, 44)),
        ] {
            let start = Instant::now();
            let _ = gate(&sql);
            assert!(start.elapsed() < PATIENCE, "{sql}: {:?}", start.elapsed());
        }
    }
}

#[test]
fn deep_nesting_ends_quickly() {
    let limits = StatementLimits::default();
    for (open, inside, close) in NESTED {
        for levels in [100, 5_000] {
            let sql = format!("SELECT {}{inside}{}", repeat(open, levels), repeat(close, levels));
            if u64::try_from(sql.len()).unwrap() > limits.text_bytes {
                continue;
            }
            let start = Instant::now();
            let problem = gate(&sql).expect_err(open);
            assert!(start.elapsed() < PATIENCE, "{open} x {levels}: {:?}", start.elapsed());
            let kinds = [ProblemKind::QueryTooComplex, ProblemKind::InvalidSql, ProblemKind::StatementNotAllowed];
            assert!(kinds.contains(&problem.kind), "{open}: {problem}");
        }
    }
}

#[test]
fn what_stays_on_the_callers_stack_needs_little_of_it() {
    let opens = [
        ("(", ")"),
        ("- ", ""),
        ("a=NOT ", ""),
        ("a(", ")"),
        ("(SELECT ", ")"),
        ("CASE WHEN ", " THEN 1 END"),
        ("a IN (SELECT ", ")"),
        ("EXISTS (SELECT ", ")"),
        ("1 FROM (SELECT ", ")"),
        ("CAST(", " AS INT)"),
        ("[", "]"),
        ("sum(1) OVER (PARTITION BY ", ")"),
    ];
    let work = move || {
        for (open, close) in opens {
            for levels in 1..=50 {
                let _ = gate(&format!("SELECT {}1{}", repeat(open, levels), repeat(close, levels)));
            }
        }
    };
    std::thread::Builder::new().stack_size(1024 * 1024).spawn(work).unwrap().join().unwrap();
}

#[test]
fn nesting_in_from_and_types_ends_quickly() {
    for sql in [
        format!("SELECT * FROM {}t{}", repeat("(", 200), repeat(")", 200)),
        format!("SELECT * FROM {}t{}", repeat("(", 45), repeat(" JOIN u ON true)", 45)),
        format!("SELECT * FROM {}t{}", repeat("(SELECT * FROM ", 45), repeat(") AS x", 45)),
        format!("SELECT * FROM {}t", repeat("(SELECT * FROM ", 45)),
        format!("SELECT * FROM {}t{}", repeat("t JOIN (", 45), repeat(")", 45)),
        format!("{}SELECT 1{}", repeat("(", 45), repeat(")", 45)),
        format!("{}SELECT 1{}", repeat("(", 45), repeat(") UNION (SELECT 1)", 45)),
        format!("{}SELECT 1{}", repeat("WITH a AS (", 45), repeat(") SELECT 1", 45)),
        format!("SELECT CAST(1 AS {}INT{})", repeat("ARRAY<", 60), repeat(">", 60)),
        format!("SELECT CAST(1 AS {}INT{})", repeat("ARRAY<", 5_000), repeat(">", 5_000)),
        format!("SELECT CAST(1 AS {}INT{})", repeat("Nullable(", 3_000), repeat(")", 3_000)),
        format!("SELECT CAST(1 AS INT{})", repeat("[]", 20_000)),
        format!("SELECT CAST(1 AS {}INT{})", repeat("STRUCT<a ", 3_000), repeat(">", 3_000)),
        format!("SELECT {}INT{}", repeat("STRUCT<a ", 3_000), repeat(">", 3_000)),
        format!("SELECT {}1", repeat("a.b(", 3_000)),
        format!("SELECT {}", repeat("case ", 5_000)),
        format!("SELECT {}", repeat("(", 60_000)),
        format!("EXPLAIN {}SELECT 1", repeat("EXPLAIN ", 5_000)),
        format!("SELECT 1 WHERE {}1", repeat("a = ANY(", 45)),
    ] {
        let start = Instant::now();
        let name: String = sql.chars().take(40).collect();
        gate(&sql).expect_err(&name);
        assert!(start.elapsed() < PATIENCE, "{name}: {:?}", start.elapsed());
    }
}

#[test]
fn doubling_is_counted_before_anything_plans() {
    let mut doubling = String::from("WITH a0 AS (SELECT 1 AS x)");
    for level in 1..=20 {
        let before = level - 1;
        doubling.push_str(&format!(", a{level} AS (SELECT l.x FROM a{before} l JOIN a{before} r ON l.x = r.x)"));
    }
    doubling.push_str(" SELECT * FROM a20");
    too_complex(&doubling, "relations");
    let mut arms = String::from("WITH a0 AS (SELECT 1 AS x)");
    for level in 1..=60 {
        let before = level - 1;
        arms.push_str(&format!(", a{level} AS (SELECT * FROM a{before} UNION ALL SELECT * FROM a{before})"));
    }
    too_complex(&(arms + " SELECT * FROM a60"), "relations");
    assert!(gate("WITH a AS (SELECT 1 AS x), b AS (SELECT * FROM a l, a r) SELECT * FROM b l, b r").is_ok());
    too_complex(&format!("SELECT * FROM t{}", repeat(", t", 64)), "relations");
}

#[test]
fn every_cap_is_named() {
    let numbers = |count: usize| vec!["1"; count].join(",");
    let columns = |count: usize| (0..count).map(|n| format!("c{n}")).collect::<Vec<_>>().join(",");
    too_complex(&format!("SELECT count(*) FROM d GROUP BY CUBE ({})", columns(20)), "grouping sets");
    too_complex(&format!("SELECT count(*) FROM d GROUP BY CUBE ({})", columns(80)), "grouping sets");
    too_complex(
        "SELECT count(*) FROM d GROUP BY CUBE (a, b, c, d), ROLLUP (e, f, g, h)",
        "80 grouping sets; the limit is 64",
    );
    too_complex(&format!("SELECT {}", numbers(20_000)), "expressions in one SELECT list");
    too_complex(&format!("SELECT 1 WHERE 1 IN ({})", numbers(20_000)), "members in one IN list");
    too_complex(&format!("VALUES {}", vec!["(1)"; 2_000].join(",")), "rows in one VALUES list");
    too_complex(
        &format!("SELECT 1{}", repeat(" UNION ALL SELECT 1", 3_000)),
        "101 arms of set operations; the limit is 100",
    );
    too_complex(&format!("SELECT '{}'", repeat("x", 40_000)), "bytes in one literal");
    too_complex(&format!("SELECT {}", (1..=300).map(|n| format!("${n}")).collect::<Vec<_>>().join(",")), "parameters");
    too_complex(&format!("SELECT [{}]", numbers(25_000)), "nodes");
    too_complex(&format!("SELECT concat({})", numbers(600)), "arguments");
    too_complex(&format!("SELECT CASE{} END", repeat(" WHEN a THEN 1", 600)), "conditions in one CASE");
    too_complex(&format!("SELECT a FROM t ORDER BY {}", numbers(600)), "ORDER BY");
    too_complex(&format!("SELECT a FROM t GROUP BY {}", numbers(600)), "GROUP BY");
    let cte = format!("WITH a AS (SELECT {} FROM t)", numbers(400));
    too_complex(&format!("{cte} SELECT 1 FROM {}", vec!["a"; 60].join(",")), "nodes");
    assert!(gate(&format!("SELECT 1 WHERE 1 IN ({})", numbers(9_000))).is_ok());
    assert!(gate(&format!("VALUES {}", vec!["(1)"; 1_000].join(","))).is_ok());
}
