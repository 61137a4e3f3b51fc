//! Which versions a statement reads, and the proof that its caller may.

use std::collections::HashMap;
use std::sync::Arc;

use portico_model::name::{DatasetName, VersionNumber};
use portico_model::order::VirtualTable;
use portico_model::policy::{Action, Decision, Principal, Subject, decide};
use portico_model::problem::{Problem, ProblemKind};
use portico_store::Store;

use crate::answer::PinnedTable;
use crate::gate::{self, Gated, ParsedStatement};
use crate::runner::store_problem;

pub(crate) struct Resolved {
    pub(crate) gated: Gated,
    pub(crate) tables: Vec<PinnedTable>,
    pub(crate) virtual_tables: Vec<VirtualTable>,
}

pub(crate) async fn resolve(
    store: &Store,
    parsed: ParsedStatement,
    principal: &Principal,
    now_ms: i64,
) -> Result<Resolved, Problem> {
    let mut current = HashMap::new();
    for table in parsed.tables() {
        let Some(dataset) = &table.dataset else { continue };
        if table.version.is_none()
            && let Some(record) = store.catalog.current_version(dataset).await.map_err(|error| store_problem(&error))?
        {
            current.insert(dataset.clone(), record.version.version);
        }
    }
    let gated = parsed.pin(&current)?;
    let mut tables = Vec::new();
    for named in &gated.tables {
        tables.push(version(store, &named.dataset, Some(named.version), principal, now_ms).await?);
    }
    Ok(Resolved { gated, tables, virtual_tables: Vec::new() })
}

pub(crate) async fn version(
    store: &Store,
    dataset: &DatasetName,
    version: Option<VersionNumber>,
    principal: &Principal,
    now_ms: i64,
) -> Result<PinnedTable, Problem> {
    let found = match version {
        Some(version) => store.catalog.version(dataset, version).await,
        None => store.catalog.current_version(dataset).await,
    };
    let record = found.map_err(|error| store_problem(&error))?;
    let state = record.as_ref().map(|record| (record.version.version, record.state));
    let subject = Subject { dataset: dataset.clone(), version: state };
    match (decide(principal, Action::Read, &subject, now_ms), record) {
        (Decision::Granted(grant), Some(record)) => {
            Ok(PinnedTable { name: gate::identifier(&record.version), record: Arc::new(record), grant })
        }
        (Decision::Withdrawn, Some(record)) => Err(Problem::new(
            ProblemKind::Withdrawn,
            record.withdrawn_reason.unwrap_or_else(|| "That version was withdrawn.".to_owned()),
        )),
        _ => Err(Problem::not_found(&format!("dataset \"{dataset}\" with that version"))),
    }
}
