//! What the gate lets through, as what, and what it refuses.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use portico_model::limits::StatementLimits;
use portico_model::name::{DatasetName, VersionNumber};
use portico_model::problem::{Position, Problem, ProblemKind};

use super::{Gated, parse};

mod accepted;
mod bombs;
mod closure;
mod corpus;
mod expansion;
mod exports;
mod properties;
mod refused;

/// Every dataset's current version is 3.
fn current(tables: &[super::TableUse]) -> HashMap<DatasetName, VersionNumber> {
    tables.iter().filter_map(|table| Some((table.dataset.clone()?, 3))).collect()
}

fn gate(sql: &str) -> Result<Gated, Problem> {
    let parsed = parse(sql, &StatementLimits::default())?;
    let current = current(parsed.tables());
    parsed.pin(&current)
}

/// The statement passes and is printed so; `=` expects it printed as it is.
#[track_caller]
fn accept(sql: &str, printed: &str) -> Gated {
    match gate(sql) {
        Ok(gated) => {
            assert_eq!(gated.sql, if printed == "=" { sql } else { printed });
            gated
        }
        Err(problem) => panic!("{sql}: {problem}"),
    }
}

/// The statement is refused with this kind; returns the text.
#[track_caller]
fn refuse(sql: &str, kind: ProblemKind) -> Problem {
    match gate(sql) {
        Ok(gated) => panic!("{sql} passed as {}", gated.sql),
        Err(problem) => {
            assert_eq!(problem.kind, kind, "{sql}: {problem}");
            problem
        }
    }
}

/// The statement is refused as too complex, naming the cap, and fast.
#[track_caller]
fn too_complex(sql: &str, cap: &str) {
    let start = Instant::now();
    let problem = refuse(sql, ProblemKind::QueryTooComplex);
    let elapsed = start.elapsed();
    assert!(problem.detail.contains(cap), "{}", problem.detail);
    assert!(elapsed < Duration::from_millis(1_000), "{cap}: {elapsed:?}");
}
