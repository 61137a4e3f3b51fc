//! Questions and their answers: the entry points that `serve` calls.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portico_model::limits::{Limits, StatementLimits};
use portico_model::name::{VersionNumber, VersionRef};
use portico_model::order::{OutputOptions, ParameterValue, TablePart, Work};
use portico_model::problem::{Problem, ProblemKind};
use portico_store::Store;
use serde::Serialize;
use sha2::{Digest, Sha256};
use ulid::Ulid;

use crate::answer::{Answer, Ask, Caller, Pinned, PinnedTable, Question, Running, cancelled, deliver};
use crate::exports::key::tag;
use crate::exports::production::Productions;
use crate::exports::spool::hex;
use crate::gate;
use crate::judging::Judging;
use crate::queue::Queue;
use crate::resolve::{self, Resolved};
use crate::runner::Runner;
use crate::uses::Uses;
use crate::watch::Watch;
use crate::workers::{Effort, Workers};

/// The server's side of all questions. Clones share everything.
#[derive(Clone)]
pub struct Questions {
    pub(crate) runner: Arc<Runner>,
    pub(crate) productions: Productions,
    running: Running,
    judging: Arc<Judging>,
}

impl Questions {
    /// Questions over `store`, run by `workers`. Exports grow in `spool_dir`, a local directory of this server
    /// alone: what an earlier run left half-made there is removed.
    #[must_use]
    pub fn new(store: Store, workers: Workers, limits: Limits, spool_dir: PathBuf) -> Self {
        let queue = Queue::new(&limits.query, workers.count());
        let watch = Watch::new(store.catalog.clone(), Duration::from_millis(limits.query.withdrawal_ms));
        Self {
            runner: Arc::new(Runner { store, workers, queue, limits, watch, uses: Uses::default() }),
            productions: Productions::new(spool_dir),
            running: Running::default(),
            judging: Arc::new(Judging::new()),
        }
    }

    /// The workers, for readiness and shutdown.
    #[must_use]
    pub fn workers(&self) -> &Workers {
        &self.runner.workers
    }

    /// The limits that questions run under.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.runner.limits
    }

    /// Judges a statement and fixes its versions. Nothing runs yet: a client that has the answer already is told
    /// so by the tag.
    ///
    /// # Errors
    /// Whatever the gate refuses; `NotFound` for unknown and hidden datasets alike, `Withdrawn` for a version
    /// that is; `InvalidParameter` for values that the statement does not name or lacks.
    pub async fn gate(&self, ask: &Ask) -> Result<Question, Problem> {
        self.prepare(ask, false).await
    }

    /// Queues and runs a question. Comes back with the first bytes of the answer, so that everything that goes
    /// wrong before them is a problem and not a broken transfer. Dropping the future or the answer's body stops
    /// the work.
    ///
    /// # Errors
    /// `TooManyRequests` and `Unavailable` from the queue, the worker's own problems, `QueryTimeout`,
    /// `QueryMemory`, `QueryTooComplex` for what oversteps, `QueryCancelled`.
    pub async fn answer(&self, question: Question) -> Result<Answer, Problem> {
        let registered = self.running.register(&question.query_id, &question.ask.caller);
        let (worker_answer, turn) = tokio::select! {
            biased;
            () = registered.cancelled.cancelled() => return Err(cancelled()),
            outcome = self.runner.run(&question) => {
                outcome.map_err(|problem| gate::placed(problem, &question.ask.sql))?
            }
        };
        self.runner.uses.answer(&question);
        let rate = self.runner.limits.query.reader_bytes_per_s;
        let body = deliver(worker_answer.feed, turn, registered, rate);
        Ok(Answer {
            head: worker_answer.head,
            schema: worker_answer.schema,
            body: self.runner.watch.over(versions_of(&question.pinned.tables), body),
            query_id: question.query_id,
            etag: question.etag,
            versions: question.versions,
            pinned_sql: question.pinned_sql,
            cacheable: question.cacheable,
            kind: question.ask.kind,
        })
    }

    /// Cancels a question that waits or runs; `false` when the same address block has none of that id.
    #[must_use]
    pub fn cancel(&self, query_id: &str, caller: &Caller) -> bool {
        self.running.cancel(query_id, caller)
    }

    /// Everything up to the first byte, for answers and exports alike.
    pub(crate) async fn prepare(&self, ask: &Ask, stored_order: bool) -> Result<Question, Problem> {
        let limits = &self.runner.limits.statement;
        let limits = StatementLimits { text_bytes: ask.text_bytes_max.min(limits.text_bytes), ..limits.clone() };
        let parsed = self.judging.parse(&ask.sql, limits).await?;
        if ask.work == Work::Answer {
            check_parameters(parsed.parameters(), &ask.parameters)?;
        }
        let resolved = resolve::resolve(&self.runner.store, parsed, &ask.caller.principal, ask.now_ms).await?;
        let query_id = query_id(ask.now_ms);
        let etag = answer_tag(ask, &resolved, stored_order, &query_id);
        let Resolved { gated, tables, virtual_tables } = resolved;
        let versions = versions(&tables);
        Ok(Question {
            query_id,
            etag,
            versions,
            pinned_sql: gated.pinned_sql,
            cacheable: !gated.volatile,
            pinned: Pinned {
                sql: gated.sql,
                tables,
                virtual_tables,
                effort: if gated.plain_scan { Effort::Scan } else { Effort::Work },
                work: gated.work,
                stored_order,
                queue_wait: None,
            },
            ask: ask.clone(),
        })
    }
}

/// The versions themselves.
pub(crate) fn versions_of(tables: &[PinnedTable]) -> Vec<VersionRef> {
    tables.iter().map(|table| table.record.version.clone()).collect()
}

/// The version of each dataset by its SQL name; of one that is read in several versions each has its own entry.
fn versions(tables: &[PinnedTable]) -> BTreeMap<String, VersionNumber> {
    let several = |version: &VersionRef| {
        tables.iter().filter(|table| table.record.version.dataset == version.dataset).count() > 1
    };
    let name = |version: &VersionRef| {
        if several(version) { gate::identifier(version) } else { version.dataset.sql_name() }
    };
    tables.iter().map(|table| (name(&table.record.version), table.record.version.version)).collect()
}

/// Whether every parameter has a value and every value a parameter.
fn check_parameters(named: &[String], values: &BTreeMap<String, ParameterValue>) -> Result<(), Problem> {
    if let Some(missing) = named.iter().find(|name| !values.contains_key(*name)) {
        return Err(Problem::new(
            ProblemKind::InvalidParameter,
            format!("The statement has a parameter ${missing}, but no value was sent for it."),
        ));
    }
    match values.keys().find(|name| !named.contains(name)) {
        None => Ok(()),
        Some(_) if named.is_empty() => Err(Problem::new(
            ProblemKind::InvalidParameter,
            "Values were sent for parameters, but the statement has none.",
        )),
        Some(_) => Err(Problem::new(
            ProblemKind::InvalidParameter,
            format!("A value was sent for a parameter that the statement has not; it has ${}.", named.join(", $")),
        )),
    }
}

/// 48 bits of time and 80 bits of chance: sortable in logs, and nobody guesses another's.
fn query_id(now_ms: i64) -> String {
    Ulid::from_parts(u64::try_from(now_ms).unwrap_or(0), Ulid::new().random()).to_string().to_ascii_lowercase()
}

/// What the bytes of an answer depend on.
#[derive(Serialize)]
struct TagParts<'a> {
    program: &'static str,
    sql: &'a str,
    parameters: &'a BTreeMap<String, ParameterValue>,
    kind: String,
    options: &'a OutputOptions,
    /// What was asked for, and what the statement itself asks for: `EXPLAIN q` is not `q`.
    work: (Work, Work),
    part: Option<TablePart>,
    stored_order: bool,
    /// Digests of the files of every version, so that a name used twice is not a tag used twice.
    files: Vec<&'a str>,
    /// Set where the answer is another one each time.
    once: Option<&'a str>,
}

fn answer_tag(ask: &Ask, resolved: &Resolved, stored_order: bool, query_id: &str) -> String {
    let files = resolved.tables.iter().flat_map(|table| &table.record.manifest.files);
    let parts = TagParts {
        program: env!("CARGO_PKG_VERSION"),
        sql: &resolved.gated.sql,
        parameters: &ask.parameters,
        kind: ask.kind.extension(),
        options: &ask.options,
        work: (ask.work, resolved.gated.work),
        part: ask.part,
        stored_order,
        files: files.map(|file| file.sha256.as_str()).collect(),
        once: resolved.gated.volatile.then_some(query_id),
    };
    // Plain data: writing it as JSON does not fail; if it did, the tag would be the id, which matches nothing.
    let bytes = serde_json::to_vec(&parts).unwrap_or_else(|_| query_id.as_bytes().to_vec());
    tag(&hex(&Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(named: &[&str], values: &[&str], expect: Result<(), ProblemKind>) {
        let named: Vec<String> = named.iter().map(|&name| name.to_owned()).collect();
        let values = values.iter().map(|&name| (name.to_owned(), ParameterValue::Null)).collect();
        let seen = check_parameters(&named, &values).map_err(|problem| problem.kind);
        assert_eq!(seen, expect, "{named:?} {values:?}");
    }

    #[test]
    fn parameters_and_values_must_match() {
        check(&[], &[], Ok(()));
        check(&["1", "2"], &["1", "2"], Ok(()));
        check(&["1", "2"], &["1"], Err(ProblemKind::InvalidParameter));
        check(&["1"], &["1", "2"], Err(ProblemKind::InvalidParameter));
        check(&[], &["1"], Err(ProblemKind::InvalidParameter));
    }

    #[test]
    fn query_ids_are_never_the_same() {
        let (one, two) = (query_id(1_700_000_000_000), query_id(1_700_000_000_000));
        assert_ne!(one, two);
        assert_eq!(one.len(), 26);
    }
}
