//! Where statements are judged: short ones at once, long ones aside.
//!
//! Refusing a statement of 64 KiB takes tens of milliseconds of a processor. On a thread that serves requests, everybody
//! else who is served by it would wait for that long; at the same priority, it would take the processors from downloads.

use std::sync::Arc;

use portico_model::limits::StatementLimits;
use portico_model::problem::Problem;
use tokio::sync::{Semaphore, oneshot};

use crate::gate::{self, ParsedStatement};
use crate::priority;

/// Bytes up to which a statement is judged at once, in less than two milliseconds.
const AT_ONCE_BYTES: usize = 4 * 1024;

/// Long statements that are judged at the same time: as many as there are processors on a small machine. More of them
/// would hold memory, some megabytes each, and end no sooner.
const ASIDE_MAX: usize = 2;

/// The places for long statements.
#[derive(Debug)]
pub(crate) struct Judging {
    places: Arc<Semaphore>,
}

impl Judging {
    pub(crate) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(ASIDE_MAX)) }
    }

    /// Judges a statement as [`gate::parse`] does. A long one waits for a place first, and is then judged where it hinders
    /// nobody; whoever stops waiting gives the place back.
    ///
    /// # Errors
    /// As [`gate::parse`]; [`Problem::internal`] when the system gives no thread.
    pub(crate) async fn parse(&self, sql: &str, limits: StatementLimits) -> Result<ParsedStatement, Problem> {
        if sql.len() <= AT_ONCE_BYTES {
            return gate::parse(sql, &limits);
        }
        let place = self.places.clone().acquire_owned().await.map_err(|_| Problem::internal())?;
        let (said, outcome) = oneshot::channel();
        let sql = sql.to_owned();
        let judge = move || {
            priority::lower_own_thread();
            let judged = gate::parse(&sql, &limits);
            drop(place);
            // Whoever asked may have gone.
            drop(said.send(judged));
        };
        std::thread::Builder::new().name("judging".to_owned()).spawn(judge).map_err(|_| Problem::internal())?;
        outcome.await.unwrap_or_else(|_| Err(Problem::internal()))
    }
}

#[cfg(test)]
mod tests {
    use portico_model::problem::ProblemKind;

    use super::*;

    fn kind(outcome: Result<ParsedStatement, Problem>) -> Option<ProblemKind> {
        outcome.err().map(|problem| problem.kind)
    }

    #[tokio::test]
    async fn long_statements_are_judged_like_short_ones() {
        let (judging, limits) = (Judging::new(), StatementLimits::default());
        let long = |sql: &str| format!("{sql} --{}", " ".repeat(AT_ONCE_BYTES));
        for (sql, expect) in [
            ("SELECT 1", None),
            ("DROP TABLE trees", Some(ProblemKind::StatementNotAllowed)),
            ("SELECT", Some(ProblemKind::InvalidSql)),
        ] {
            assert_eq!(kind(judging.parse(sql, limits.clone()).await), expect, "{sql}");
            assert_eq!(kind(judging.parse(&long(sql), limits.clone()).await), expect, "{sql}");
        }
    }

    #[tokio::test]
    async fn who_leaves_takes_no_place_along() {
        let (judging, limits) = (Judging::new(), StatementLimits::default());
        let bomb = format!("SELECT {}1", "1+".repeat(20_000));
        for _ in 0..3 * ASIDE_MAX {
            let asked = judging.parse(&bomb, limits.clone());
            drop(tokio::time::timeout(std::time::Duration::ZERO, asked).await);
        }
        assert_eq!(kind(judging.parse(&bomb, limits).await), Some(ProblemKind::QueryTooComplex));
        // Those that nobody waits for any more end as well.
        drop(judging.places.acquire_many(ASIDE_MAX.try_into().unwrap()).await.unwrap());
    }
}
