//! Statements that ended their workers: one that did it twice is refused for a while.
//!
//! A worker that is killed costs a start, and the processor time and memory until then. A statement that ran into a
//! limit of time or was lost to somebody else's kill is not meant: that may go well another time. One that needs more
//! memory, processor time or stack than there is fails in the same way however often it is asked.

use std::collections::BTreeMap;
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use portico_model::limits::QueryLimits;
use portico_model::order::ParameterValue;
use portico_model::problem::Problem;
use sha2::{Digest, Sha256};

/// Statements remembered; beyond it the one not seen for longest is forgotten.
const STATEMENTS: u64 = 4_096;
/// How often a statement may end a worker before it is refused.
const DEATHS: u32 = 2;

/// A statement as the gate printed it, which names its versions, with the values of its parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Statement([u8; 32]);

impl Statement {
    pub(super) fn of(sql: &str, parameters: &BTreeMap<String, ParameterValue>) -> Self {
        let mut hasher = Sha256::new();
        hasher.update(sql);
        // Plain data: writing it as JSON does not fail; if it did, all values would count as the same.
        hasher.update([0]);
        hasher.update(serde_json::to_vec(parameters).unwrap_or_default());
        Self(hasher.finalize().into())
    }
}

/// The statements that ended workers.
pub(super) struct Deadly {
    minutes: u64,
    deaths: Cache<Statement, (u32, Problem)>,
}

impl Deadly {
    pub(super) fn new(limits: &QueryLimits) -> Self {
        let minutes = limits.deadly_minutes;
        let deaths = Cache::builder()
            .max_capacity(STATEMENTS)
            .eviction_policy(EvictionPolicy::lru())
            // A month is for ever, and what follows stays far from overflowing.
            .time_to_live(Duration::from_secs(minutes.min(43_200) * 60))
            .build();
        Self { minutes, deaths }
    }

    /// A worker ended through this statement, for this reason.
    pub(super) fn record(&self, statement: Statement, reason: Problem) {
        if self.minutes == 0 {
            return;
        }
        self.deaths.entry(statement).and_upsert_with(|earlier| {
            let deaths = earlier.map_or(0, |entry| entry.value().0);
            (deaths.saturating_add(1), reason)
        });
    }

    /// Refuses a statement that ended workers before.
    pub(super) fn check(&self, statement: Statement) -> Result<(), Problem> {
        match self.deaths.get(&statement) {
            Some((deaths, reason)) if deaths >= DEATHS => {
                metrics::counter!("portico_questions_refused_total", "reason" => "deadly").increment(1);
                Err(Problem::new(
                    reason.kind,
                    format!(
                        "The query has ended the process that ran it {deaths} times and is not run again for {} \
                         minutes. The last time: {}",
                        self.minutes, reason.detail
                    ),
                ))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portico_model::problem::ProblemKind;

    fn statement(sql: &str) -> Statement {
        Statement::of(sql, &BTreeMap::new())
    }

    fn reason() -> Problem {
        Problem::new(ProblemKind::QueryMemory, "It needs more.")
    }

    #[test]
    fn the_second_death_is_the_last() {
        let deadly = Deadly::new(&QueryLimits::default());
        deadly.record(statement("a"), reason());
        deadly.record(statement("b"), reason());
        assert!(deadly.check(statement("a")).is_ok());
        deadly.record(statement("a"), reason());
        let refused = deadly.check(statement("a")).unwrap_err();
        assert_eq!(refused.kind, ProblemKind::QueryMemory);
        assert!(refused.detail.contains("2 times") && refused.detail.ends_with("It needs more."), "{refused}");
        assert!(deadly.check(statement("b")).is_ok() && deadly.check(statement("c")).is_ok());
    }

    #[test]
    fn other_values_are_another_statement() {
        let with = |value| Statement::of("a", &BTreeMap::from([("1".to_owned(), ParameterValue::Int(value))]));
        assert!(with(1) != with(2) && with(1) != statement("a") && with(1) == with(1));
    }

    #[test]
    fn zero_minutes_refuse_nothing() {
        let deadly = Deadly::new(&QueryLimits { deadly_minutes: 0, ..QueryLimits::default() });
        for _ in 0..3 {
            deadly.record(statement("a"), reason());
        }
        assert!(deadly.check(statement("a")).is_ok());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let deadly = Deadly::new(&QueryLimits::default());
        for number in 0..2 * STATEMENTS {
            deadly.record(statement(&number.to_string()), reason());
        }
        deadly.deaths.run_pending_tasks();
        assert!(deadly.deaths.entry_count() <= STATEMENTS);
    }
}
