//! From names to versions: which released version each name of a statement stands for, and the proof that the
//! caller may read it.
//!
//! What does not exist and what the caller may not see get the same answer, word for word. A dataset named without a
//! version is looked up once, so that every use of it in one answer is the same version, even while a release moves
//! the pointer.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use portico_model::name::{DatasetName, VersionNumber};
use portico_model::order::VirtualTable;
use portico_model::policy::{Action, Decision, Grant, Principal, Subject, decide};
use portico_model::problem::{Problem, ProblemKind};
use portico_store::{Store, VersionRecord};

use crate::answer::PinnedTable;
use crate::gate::{self, Gated, ParsedStatement, TableUse};
use crate::information;
use crate::runner::{silent, store_problem};

/// How long one name is looked up: as long as the catalog is waited for at all.
const LOOKED_UP_MAX: Duration = Duration::from_secs(20);

/// A statement on fixed versions, with everything that a worker needs to know of them.
pub(crate) struct Resolved {
    /// The statement.
    pub(crate) gated: Gated,
    /// The versions, each once, in the order of their names.
    pub(crate) tables: Vec<PinnedTable>,
    /// Our own tables that the statement names.
    pub(crate) virtual_tables: Vec<VirtualTable>,
}

/// Looks up what a statement names and decides whether the caller may read it.
///
/// # Errors
/// `NotFound` for a dataset or version that is unknown or hidden, `Withdrawn` with the public reason, both with the
/// place of the first such name; `QueryTooComplex` for wildcards over too many columns; `Unavailable` when the catalog
/// does not answer.
pub(crate) async fn resolve(
    store: &Store,
    parsed: ParsedStatement,
    principal: &Principal,
    now_ms: i64,
) -> Result<Resolved, Problem> {
    let mut uses: Vec<TableUse> = parsed.tables().to_vec();
    uses.sort_by_key(|table| table.position.map(|position| (position.line, position.column)));
    let mut current = HashMap::new();
    let mut found: BTreeMap<(DatasetName, VersionNumber), PinnedTable> = BTreeMap::new();
    for table in &uses {
        let pinned = named(store, table, principal, now_ms).await?;
        let version = pinned.record.version.clone();
        if table.version.is_none() {
            current.insert(version.dataset.clone(), version.version);
        }
        found.insert((version.dataset, version.version), pinned);
    }
    parsed.check_wildcards(|table| {
        let dataset = table.dataset.clone();
        let version = dataset.and_then(|name| Some((table.version.or_else(|| current.get(&name).copied())?, name)));
        let pinned = version.and_then(|(version, name)| found.get(&(name, version)));
        pinned.map_or(0, |pinned| u64::try_from(pinned.record.manifest.schema.fields().len()).unwrap_or(u64::MAX))
    })?;
    let gated = parsed.pin(&current)?;
    let described = gated.describes.as_ref();
    let described = described.and_then(|version| found.get(&(version.dataset.clone(), version.version)));
    let virtual_tables =
        information::tables(store, &gated, described.map(|table| &*table.record), principal, now_ms).await?;
    Ok(Resolved { gated, tables: found.into_values().collect(), virtual_tables })
}

/// Looks up one version, the current one when none is named, and decides whether the caller may read it.
///
/// # Errors
/// `NotFound` when it is unknown or hidden, `Withdrawn` with the public reason, `Unavailable` when the catalog does
/// not answer.
pub(crate) async fn version(
    store: &Store,
    dataset: &DatasetName,
    version: Option<VersionNumber>,
    principal: &Principal,
    now_ms: i64,
) -> Result<PinnedTable, Problem> {
    match readable(store, dataset, version, principal, now_ms).await? {
        Readable::Yes(table) => Ok(table),
        Readable::Withdrawn(problem) => Err(problem),
        Readable::No => Err(match version {
            None => Problem::not_found(&format!("dataset \"{dataset}\"")),
            Some(version) => Problem::not_found(&format!("version {version} of a dataset \"{dataset}\"")),
        }),
    }
}

/// Decides about a version whose record is at hand.
pub(crate) fn grant(
    dataset: &DatasetName,
    record: Option<&VersionRecord>,
    principal: &Principal,
    now_ms: i64,
) -> Decision {
    let version = record.map(|record| (record.version.version, record.state));
    decide(principal, Action::Read, &Subject::version(dataset.clone(), version), now_ms)
}

/// What became of a look-up.
enum Readable {
    Yes(PinnedTable),
    Withdrawn(Problem),
    No,
}

async fn named(store: &Store, table: &TableUse, principal: &Principal, now_ms: i64) -> Result<PinnedTable, Problem> {
    let Some(dataset) = &table.dataset else { return Err(gate::unknown_table(table)) };
    match readable(store, dataset, table.version, principal, now_ms).await? {
        Readable::Yes(pinned) => Ok(pinned),
        Readable::Withdrawn(mut problem) => {
            problem.position = table.position;
            Err(problem)
        }
        Readable::No => Err(gate::unknown_table(table)),
    }
}

async fn readable(
    store: &Store,
    dataset: &DatasetName,
    version: Option<VersionNumber>,
    principal: &Principal,
    now_ms: i64,
) -> Result<Readable, Problem> {
    let looked_up = async {
        match version {
            Some(version) => store.catalog.version(dataset, version).await,
            None => match store.catalog.current_version(dataset).await? {
                None => store.catalog.newest_withdrawn(dataset).await,
                found => Ok(found),
            },
        }
    };
    let found = tokio::time::timeout(LOOKED_UP_MAX, looked_up).await.map_err(|_| silent("The catalog"))?;
    let record = found.map_err(|error| store_problem(&error))?;
    Ok(match (grant(dataset, record.as_ref(), principal, now_ms), record) {
        (Decision::Granted(grant), Some(record)) => Readable::Yes(pinned(record, grant)),
        (Decision::Withdrawn, Some(record)) => Readable::Withdrawn(withdrawn(&record)),
        (Decision::Granted(_) | Decision::Withdrawn, None) | (Decision::Denied(_) | Decision::Hidden, _) => {
            Readable::No
        }
    })
}

fn pinned(record: VersionRecord, grant: Grant) -> PinnedTable {
    PinnedTable { name: gate::identifier(&record.version), record: Arc::new(record), grant }
}

/// The answer for a version that was public once.
fn withdrawn(record: &VersionRecord) -> Problem {
    let version = &record.version;
    let mut detail = format!("Version {} of \"{}\" was withdrawn.", version.version, version.dataset);
    if let Some(reason) = record.withdrawn_reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty()) {
        detail.push(' ');
        detail.push_str(reason);
    }
    Problem::new(ProblemKind::Withdrawn, detail)
}
