//! The registry of a session against the record of its review.

use std::collections::BTreeSet;

use datafusion::prelude::SessionConfig;
use serde::Deserialize;

use super::*;

/// What the record says of a name.
#[derive(Deserialize)]
struct Row {
    of: Option<String>,
    class: String,
    bound: String,
    test: String,
    answer: String,
}

type Rows = std::collections::BTreeMap<String, std::collections::BTreeMap<String, Row>>;

/// Kind, name and the name of the function itself, of all that is registered.
fn registered(state: &SessionState) -> BTreeSet<(&'static str, String, String)> {
    let scalar = state.scalar_functions().iter().map(|(name, f)| ("scalar", name.clone(), f.name().to_owned()));
    let higher = state.higher_order_functions().iter();
    let higher = higher.map(|(name, f)| ("higher-order", name.clone(), f.name().to_owned()));
    let aggregate = state.aggregate_functions().iter();
    let aggregate = aggregate.map(|(name, f)| ("aggregate", name.clone(), f.name().to_owned()));
    let window = state.window_functions().iter().map(|(name, f)| ("window", name.clone(), f.name().to_owned()));
    let table = state.table_functions().keys().map(|name| ("table", name.clone(), name.clone()));
    scalar.chain(higher).chain(aggregate).chain(window).chain(table).collect()
}

fn state() -> SessionState {
    let builder = SessionStateBuilder::new().with_config(SessionConfig::new());
    Functions::offered().register(builder).build()
}

#[test]
fn a_session_starts_without_functions() {
    let state = SessionStateBuilder::new().with_config(SessionConfig::new()).build();
    assert_eq!(registered(&state), BTreeSet::new());
}

#[test]
fn what_is_registered_is_what_was_reviewed() {
    let rows: Rows = toml::from_str(include_str!("../../functions.toml")).unwrap();
    let kinds = ["scalar", "higher-order", "aggregate", "window", "table"];
    let mut reviewed = BTreeSet::new();
    for (kind, names) in &rows {
        let kind = kinds.into_iter().find(|known| known == kind).expect("a known kind");
        for (name, row) in names {
            reviewed.insert((kind, name.clone(), row.of.clone().unwrap_or_else(|| name.clone())));
        }
    }
    let state = state();
    let registered = registered(&state);
    let unreviewed = registered.difference(&reviewed).collect::<Vec<_>>();
    let missing = reviewed.difference(&registered).collect::<Vec<_>>();
    assert!(unreviewed.is_empty() && missing.is_empty(), "unreviewed: {unreviewed:?}, missing: {missing:?}");
}

#[test]
fn what_was_reviewed_as_bounded_stands_behind_a_bound() {
    let rows: Rows = toml::from_str(include_str!("../../functions.toml")).unwrap();
    for (name, function) in state().scalar_functions() {
        let bounded = rows["scalar"][name].class == "bounded";
        assert_eq!(function.inner().is::<Bounded>(), bounded, "{name}");
    }
}

#[test]
fn the_lists_name_only_functions_that_there_are() {
    let offered = Functions::offered();
    assert_eq!(offered.scalar.len(), reviewed::SCALAR.len());
    assert_eq!(offered.aggregate.len(), reviewed::AGGREGATE.len());
    assert_eq!(offered.window.len(), reviewed::WINDOW.len());
    assert_eq!(offered.table.len(), reviewed::TABLE.len());
}

#[test]
fn the_documentation_is_of_the_record() {
    let rows: Rows = toml::from_str(include_str!("../../functions.toml")).unwrap();
    let mut expected = BTreeSet::new();
    for names in rows.values() {
        for (name, row) in names.iter().filter(|(_, row)| row.of.is_none()) {
            let also = names.iter().filter(|(_, other)| other.of.as_ref() == Some(name));
            let also = also.map(|(alias, _)| format!("`{alias}`")).collect::<Vec<_>>().join(", ");
            let test = row.test.replace("\"permits@3\"", "permits");
            let test = test.trim_start_matches("SELECT ");
            let answer = row.answer.replace('\n', " ");
            expected.insert(format!("| `{name}` | {also} | {} | `{test}` | `{answer}` |", row.bound));
        }
    }
    let documentation = include_str!("../../../../docs/functions.md");
    let tables = documentation.split("## Scalar functions").nth(1).unwrap().split("## What is refused").next().unwrap();
    let written = tables.lines().filter(|line| line.starts_with("| `")).map(str::to_owned).collect::<BTreeSet<_>>();
    let stale = written.difference(&expected).collect::<Vec<_>>();
    let missing = expected.difference(&written).collect::<Vec<_>>();
    assert!(stale.is_empty() && missing.is_empty(), "stale: {stale:#?}, missing: {missing:#?}");
}
