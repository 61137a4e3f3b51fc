//! Downloads over Flight: one version cut into endpoints that a client may pull at once, on any replica.
//!
//! A ticket says everything that its answer depends on and nothing else, so that no server has to remember it. It
//! needs no signature: whatever it names goes through the gate and the policy again.

use std::sync::Arc;
use std::time::Duration;

use arrow_schema::SchemaRef;
use bytes::Bytes;
use portico_model::format::{Compression, FileKind, Format};
use portico_model::manifest::Manifest;
use portico_model::name::{DatasetName, VersionNumber, VersionRef};
use portico_model::order::{OutputOptions, TablePart};
use portico_model::problem::{Problem, ProblemKind};

use super::ticket::ExportTicket;
use super::{ExportRequest, columns_of, selected};
use crate::answer::{Answer, Caller};
use crate::questions::Questions;

/// Rows of an endpoint, at least: below that a connection costs more than it saves.
const ENDPOINT_ROWS_MIN: u64 = 500_000;
/// Endpoints of one version, at most, files permitting.
const ENDPOINTS_MAX: u64 = 16;
/// Endpoints for each question that an address may run at once: more would only wait for each other.
const ENDPOINTS_PER_TURN: u64 = 4;
/// How long an endpoint waits for its turn: a client that asks for all of them at once reads the others meanwhile.
const TICKET_WAIT: Duration = Duration::from_secs(600);

/// What is to be downloaded over Flight.
#[derive(Clone, Debug)]
pub struct FlightRequest {
    /// The dataset.
    pub dataset: DatasetName,
    /// The version; `None` is the current one.
    pub version: Option<VersionNumber>,
    /// The columns, in this order; none means all.
    pub columns: Vec<String>,
    /// A SQL condition.
    pub filter: Option<String>,
    /// Rows at most.
    pub limit: Option<u64>,
    /// Who asks.
    pub caller: Caller,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

/// Where to get it.
#[derive(Clone, Debug)]
pub struct FlightPlan {
    /// The version, fixed from here on.
    pub version: VersionRef,
    /// The schema that every endpoint has.
    pub schema: SchemaRef,
    /// Rows in all, where no condition makes them unknown.
    pub rows: Option<u64>,
    /// Bytes of the stored files in all, where everything in them is asked for.
    pub bytes: Option<u64>,
    /// In the order of the rows.
    pub endpoints: Vec<FlightEndpoint>,
}

/// One part of a download.
#[derive(Clone, Debug)]
pub struct FlightEndpoint {
    /// Opaque; valid for ever on every replica.
    pub ticket: Bytes,
    /// Its rows, where no condition makes them unknown.
    pub rows: Option<u64>,
}

impl Questions {
    /// Plans a download over Flight: nothing runs, everything is in the manifest.
    ///
    /// # Errors
    /// `NotFound`, `Withdrawn`, `UnknownColumn`, and whatever the gate refuses of the filter.
    pub async fn plan_flight(&self, request: &FlightRequest) -> Result<FlightPlan, Problem> {
        let table = self.readable(&request.dataset, request.version, &request.caller, request.now_ms).await?;
        let manifest = &table.record.manifest;
        let columns = columns_of(&request.columns, manifest)?;
        if let Some(filter) = &request.filter {
            crate::gate::parse_filter(filter, &self.limits().statement)?;
        }
        let turns = self.limits().query.running_per_address;
        let endpoints_max = turns.saturating_mul(ENDPOINTS_PER_TURN).clamp(1, ENDPOINTS_MAX);
        let whole = request.filter.is_none() && request.limit.is_none();
        let parts = if request.limit.is_some() { vec![(None, manifest.rows)] } else { parts(manifest, endpoints_max) };
        let mut endpoints = Vec::with_capacity(parts.len());
        for (part, rows) in parts {
            let ticket = ExportTicket {
                dataset: manifest.version.dataset.clone(),
                version: manifest.version.version,
                columns: columns.clone(),
                filter: request.filter.clone(),
                limit: request.limit,
                part,
            };
            let rows = request.filter.is_none().then(|| rows.min(request.limit.unwrap_or(u64::MAX)));
            endpoints.push(FlightEndpoint { ticket: ticket.to_bytes()?, rows });
        }
        let rows = request.filter.is_none().then(|| manifest.rows.min(request.limit.unwrap_or(u64::MAX)));
        Ok(FlightPlan {
            version: manifest.version.clone(),
            schema: if request.columns.is_empty() {
                Arc::clone(&manifest.schema)
            } else {
                Arc::new(selected(&request.columns, manifest))
            },
            rows,
            bytes: (whole && request.columns.is_empty()).then_some(manifest.bytes),
            endpoints,
        })
    }

    /// Answers a ticket of [`Questions::plan_flight`], in stored order, as IPC messages. Of the options only the
    /// compression of IPC bodies matters.
    ///
    /// # Errors
    /// As [`Questions::gate`] and [`Questions::answer`]; `InvalidRequest` for a part that the version has not.
    pub async fn answer_ticket(
        &self,
        ticket: &ExportTicket,
        caller: &Caller,
        options: &OutputOptions,
        now_ms: i64,
    ) -> Result<Answer, Problem> {
        let table = self.readable(&ticket.dataset, Some(ticket.version), caller, now_ms).await?;
        let manifest = &table.record.manifest;
        check_part(ticket.part, manifest)?;
        let request = ExportRequest {
            dataset: ticket.dataset.clone(),
            version: Some(ticket.version),
            kind: FileKind { format: Format::Flight, compression: Compression::None },
            select: ticket.columns.clone(),
            filter: ticket.filter.clone(),
            order: None,
            limit: ticket.limit,
            offset: None,
            options: options.clone(),
            caller: caller.clone(),
            now_ms,
        };
        let mut question = self.export_question(&request, manifest).await?;
        question.ask.part = ticket.part;
        question.pinned.queue_wait = Some(TICKET_WAIT);
        self.answer(question).await
    }
}

fn check_part(part: Option<TablePart>, manifest: &Manifest) -> Result<(), Problem> {
    let Some(part) = part else { return Ok(()) };
    let groups = manifest.files.get(part.file).map_or(0, |file| file.row_groups.len());
    if part.row_group_start < part.row_group_end && part.row_group_end <= groups {
        return Ok(());
    }
    Err(Problem::new(ProblemKind::InvalidRequest, "The ticket names a part that the version has not."))
}

/// Cuts a version at row groups into parts of about the same size: a part lies in one file.
fn parts(manifest: &Manifest, endpoints_max: u64) -> Vec<(Option<TablePart>, u64)> {
    let target = manifest.rows.div_ceil(endpoints_max).max(ENDPOINT_ROWS_MIN);
    if manifest.files.len() == 1 && manifest.rows <= ENDPOINT_ROWS_MIN {
        return vec![(None, manifest.rows)];
    }
    let mut parts = Vec::new();
    for (file, released) in manifest.files.iter().enumerate() {
        let mut start = 0;
        let mut rows = 0_u64;
        for (group, group_rows) in released.row_groups.iter().enumerate() {
            rows = rows.saturating_add(*group_rows);
            let end = group + 1;
            if rows >= target || end == released.row_groups.len() {
                parts.push((Some(TablePart { file, row_group_start: start, row_group_end: end }), rows));
                (start, rows) = (end, 0);
            }
        }
    }
    // A version without rows has an endpoint too: it carries the schema.
    if parts.is_empty() { vec![(None, manifest.rows)] } else { parts }
}
