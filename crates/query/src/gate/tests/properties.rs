use std::collections::HashSet;
use std::ops::ControlFlow;

use proptest::prelude::*;
use sqlparser::ast::{Cte, Expr, Query, Statement, Value, VisitMut, VisitorMut};
use sqlparser::dialect::GenericDialect;
use sqlparser::parser::Parser;

use super::super::{functions, identifier, names};
use super::*;

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

/// Tables as statements may write them, with names that common table expressions have as well.
const TABLES: &[&str] = &[
    "t",
    "T",
    "\"t\"",
    "\"T\"",
    "a",
    "A",
    "public.t",
    "portico.public.a",
    "\"t@2\"",
    "t@2",
    "t FOR VERSION AS OF 2",
    "\"public.t\"",
    "information_schema.tables",
    "\"information_schema.tables\"",
    "(SELECT x FROM a) AS t",
    "(WITH t AS (SELECT 1 AS x) SELECT * FROM t) AS a",
    "LATERAL (SELECT x FROM t) AS l",
    "unnest([1, 2]) AS u(x)",
    "generate_series(1, 3)",
    "(VALUES (1)) AS v(x)",
    "(t JOIN a USING (x))",
];

/// Queries over tables whose names are shadowed and are not.
fn query() -> impl Strategy<Value = String> {
    let table = || proptest::sample::select(TABLES);
    let simple = (table(), table(), expression())
        .prop_map(|(left, right, condition)| format!("SELECT * FROM {left}, {right} WHERE {condition}"));
    simple.prop_recursive(4, 24, 3, move |inner| {
        let name = proptest::sample::select(vec!["t", "a", "T", "\"A\"", "\"t\"", "tables"]);
        prop_oneof![
            (name, inner.clone(), inner.clone()).prop_map(|(name, inside, q)| format!("WITH {name} AS ({inside}) {q}")),
            (inner.clone(), inner.clone()).prop_map(|(l, r)| format!("({l}) UNION ALL ({r})")),
            (inner.clone(), table()).prop_map(|(q, table)| format!("SELECT t.x FROM ({q}) AS t JOIN {table} ON true")),
            (inner.clone(), table()).prop_map(|(q, table)| format!("SELECT x FROM {table} WHERE x IN ({q})")),
            inner.prop_map(|q| format!("SELECT ({q}) AS x FROM t AS a ORDER BY EXISTS ({q}) LIMIT 3")),
        ]
    })
}

/// Notes what a printed statement names: tables that are no common table expression in sight, and functions.
#[derive(Default)]
struct Named {
    expressions: Vec<HashSet<String>>,
    tables: Vec<String>,
    functions: Vec<String>,
    parameters: Vec<String>,
    queries: usize,
}

impl VisitorMut for Named {
    type Break = ();

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.queries += 1;
        // Every expression of the list is taken as seen by all: this side is to be the more generous one.
        let list = query.with.iter().flat_map(|with| &with.cte_tables);
        self.expressions.push(list.map(|Cte { alias, .. }| names::normal(&alias.name)).collect());
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &mut Query) -> ControlFlow<()> {
        self.expressions.pop();
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, name: &mut sqlparser::ast::ObjectName) -> ControlFlow<()> {
        let parts = names::normal_parts(name).unwrap();
        assert_eq!(parts.len(), 1, "{name}");
        if !self.expressions.iter().any(|known| known.contains(&parts[0])) {
            self.tables.push(parts[0].clone());
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Function(function) => self.functions.push(names::written(&function.name).to_lowercase()),
            Expr::Value(value) => {
                if let Value::Placeholder(name) = &value.value {
                    self.parameters.push(name.trim_start_matches('$').to_owned());
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }
}

/// What passed is one query that names nothing but its versions, our own tables and served functions.
fn only_what_is_allowed(gated: &Gated) {
    let mut statements = Parser::parse_sql(&GenericDialect {}, &gated.sql).unwrap();
    let [Statement::Query(query)] = statements.as_mut_slice() else { panic!("{}", gated.sql) };
    assert!(query.locks.is_empty() && query.with.as_ref().is_none_or(|with| !with.recursive), "{}", gated.sql);
    let mut named = Named::default();
    assert!(query.visit(&mut named).is_continue());
    for table in &named.tables {
        let version = gated.tables.iter().any(|version| identifier(version) == *table);
        let ours = gated.information.iter().any(|information| information.identifier() == table);
        assert!(version || ours || functions::is_series(table), "{table} in {}", gated.sql);
    }
    for function in &named.functions {
        assert!(!functions::is_refused(function), "{function} in {}", gated.sql);
    }
    for parameter in &named.parameters {
        assert!(gated.parameters.contains(parameter), "{parameter} in {}", gated.sql);
    }
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
            only_what_is_allowed(&gated);
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
                only_what_is_allowed(&gated);
                prop_assert_eq!(again.sql, gated.sql);
            }
            Err(problem) => {
                prop_assert!(!problem.detail.contains("unambiguously"), "{sql}: {problem}");
                prop_assert_eq!(problem.kind, ProblemKind::InvalidSql, "{}: {}", sql, problem);
            }
        }
    }

    #[test]
    fn names_mean_the_same_before_and_after(sql in query()) {
        if let Ok(gated) = gate(&sql) {
            only_what_is_allowed(&gated);
            let again = gate(&gated.pinned_sql).map_err(|problem| failed(&sql, &gated.pinned_sql, &problem))?;
            prop_assert_eq!((again.sql, again.tables, again.information), (gated.sql, gated.tables, gated.information));
        }
    }
}
