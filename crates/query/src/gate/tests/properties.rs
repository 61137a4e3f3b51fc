use super::*;
use proptest::prelude::*;

/// Words and signs.
#[rustfmt::skip]
const PIECES: &[&str] = &[
    "SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "LIMIT", "WITH", "AS", "(", ")", ",", "*", "+", "-", "=", "<",
    "||", "NOT", "AND", "OR", "IS NULL", "CASE", "WHEN", "THEN", "ELSE", "END", "IN", "BETWEEN", "LIKE", "CAST", "::",
    "INT", "DATE", "INTERVAL", "'1' DAY", "EXISTS", "JOIN", "ON", "USING", "LATERAL", "UNION ALL", "VALUES", "trees",
    "t", "a", "b", "\"x@2\"", "\"q \"\"q\"", "`z`", "public.", ".", "1", "1.5", "'s'", "'it''s'", "'\\'", "$1", "$n",
    "?", "count(*)", "sum(a)", "OVER", "PARTITION BY", "FOR VERSION AS OF 2", "EXPLAIN", "SHOW", "TABLES", "DESCRIBE",
    ";", "--", "/*", "*/", "[", "]", "{", "}", "INSERT", "INTO", "E'\\n'", "$$x$$", "U&'\\0041'", "X'ff'",
    "FETCH FIRST 1 ROWS ONLY", "DISTINCT", "EXCLUDE", "QUALIFY", "WINDOW",
];

/// Pieces that statements are made of, valid and not.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![proptest::sample::select(PIECES).prop_map(str::to_owned), "\\PC{0,6}",]
}

fn expression() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        "[a-c]",
        "[0-9]{1,3}",
        "'[a-z\\\\'\"%\\-]{0,6}'".prop_map(|text: String| {
            let inside = text.trim_matches('\'').replace('\'', "''");
            format!("'{inside}'")
        }),
        Just("NULL".to_owned()),
        Just("$1".to_owned()),
        Just("\"t\".a".to_owned()),
        Just("DATE '2020-01-01'".to_owned()),
        Just("INTERVAL '1' DAY".to_owned()),
    ];
    leaf.prop_recursive(5, 40, 4, |inner| {
        let operator = proptest::sample::select(vec![
            "+",
            "-",
            "*",
            "/",
            "%",
            "||",
            "=",
            "<>",
            "<",
            ">=",
            "AND",
            "OR",
            "LIKE",
            "IS DISTINCT FROM",
            "~",
            "&",
            "<<",
        ]);
        prop_oneof![
            (inner.clone(), operator, inner.clone()).prop_map(|(l, o, r)| format!("{l} {o} {r}")),
            inner.clone().prop_map(|e| format!("({e})")),
            inner.clone().prop_map(|e| format!("- {e}")),
            inner.clone().prop_map(|e| format!("NOT {e}")),
            inner.clone().prop_map(|e| format!("{e} IS NOT NULL")),
            inner.clone().prop_map(|e| format!("{e}::BIGINT")),
            inner.clone().prop_map(|e| format!("CAST({e} AS VARCHAR(3))")),
            inner.clone().prop_map(|e| format!("upper({e})")),
            inner
                .clone()
                .prop_map(|e| format!("sum({e}) FILTER (WHERE {e}) OVER (PARTITION BY {e} ORDER BY {e} DESC)")),
            inner.clone().prop_map(|e| format!("EXTRACT(YEAR FROM {e})")),
            inner.clone().prop_map(|e| format!("[{e}][1]")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("CASE WHEN {a} THEN {b} ELSE {a} END")),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| format!("{a} BETWEEN {b} AND {c}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} NOT IN ({b}, {a})")),
            (inner.clone(), inner).prop_map(|(a, b)| format!("{a} IN (SELECT {b} FROM u)")),
        ]
    })
}

fn failed(sql: &str, printed: &str, problem: &Problem) -> TestCaseError {
    TestCaseError::fail(format!("{sql}\n{printed}\n{problem}"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_gate_panic(text in "\\PC{0,200}") {
        let _ = gate(&text);
    }

    #[test]
    fn no_heap_of_pieces_makes_the_gate_panic(pieces in proptest::collection::vec(piece(), 0..40)) {
        let sql = pieces.join(" ");
        if let Ok(gated) = gate(&sql) {
            let again = gate(&gated.pinned_sql);
            let again = again.map_err(|problem| failed(&sql, &gated.pinned_sql, &problem))?;
            prop_assert_eq!((again.sql, again.pinned_sql), (gated.sql, gated.pinned_sql));
        }
    }

    #[test]
    fn what_passes_is_printed_so_that_it_passes_as_the_same(
        list in proptest::collection::vec(expression(), 1..4),
        condition in expression(),
        order in expression(),
    ) {
        let sql = format!("SELECT {} FROM t, u AS x WHERE {condition} ORDER BY {order}", list.join(", "));
        match gate(&sql) {
            Ok(gated) => {
                let again = gate(&gated.sql).map_err(|problem| failed(&sql, &gated.sql, &problem))?;
                prop_assert_eq!(again.sql, gated.sql);
            }
            Err(problem) => {
                prop_assert!(!problem.detail.contains("unambiguously"), "{sql}: {problem}");
                prop_assert_eq!(problem.kind, ProblemKind::InvalidSql, "{}: {}", sql, problem);
            }
        }
    }
}
