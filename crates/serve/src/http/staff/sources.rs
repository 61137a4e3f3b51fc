//! Sources: where a dataset's data come from, who approved it for good, and how it went.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use portico_publish::{Declaration, PublishError, Source};
use serde::{Deserialize, Serialize};

use super::asker::Member;
use super::datasets::known;
use super::json;
use crate::catalog::timestamp;
use crate::http::parameters::Parameters;
use crate::problem::{Refusal, problem_of_publish};
use crate::site::Site;

/// A step's request: who, the source of which dataset, and what is said with it.
type Step = (State<Arc<Site>>, Member, Path<String>, Parameters, HeaderMap, Body);

/// A source as staff see it.
#[derive(Debug, Serialize)]
struct SourceDocument {
    dataset: String,
    /// The declaration's number.
    number: u32,
    /// What an approval is bound to.
    digest: String,
    declaration: Declaration,
    declared: String,
    declared_by: String,
    approved: Option<String>,
    approved_by: Option<String>,
    paused: bool,
    /// When it is read next.
    next: Option<String>,
    /// Runs in a row that failed.
    failures: u32,
    succeeded: Option<String>,
    runs: Vec<RunEntry>,
}

/// One run.
#[derive(Debug, Serialize)]
struct RunEntry {
    id: String,
    number: u32,
    started: String,
    outcome: String,
    reasons: Vec<String>,
    revision: Option<String>,
    version: Option<u32>,
}

impl SourceDocument {
    fn of(source: Source) -> Self {
        let Source { record, declaration, refresh, runs } = source;
        let run = |run: portico_store::RunRecord| RunEntry {
            id: run.id,
            number: run.number,
            started: timestamp(run.started_ms),
            outcome: run.outcome,
            reasons: run.reasons,
            revision: run.revision,
            version: run.version,
        };
        Self {
            dataset: record.dataset.to_string(),
            number: record.number,
            digest: record.digest,
            declaration,
            declared: timestamp(record.declared_ms),
            declared_by: record.declared_by,
            approved: record.approved_ms.map(timestamp),
            approved_by: record.approved_by,
            paused: refresh.paused,
            next: refresh.next_ms.map(timestamp),
            failures: refresh.failures,
            succeeded: refresh.succeeded_ms.map(timestamp),
            runs: runs.into_iter().map(run).collect(),
        }
    }
}

/// `GET /api/staff/datasets/{name}/source`.
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(name): Path<String>,
    query: Parameters,
) -> Result<Response, Refusal> {
    query.finish("")?;
    said(site.staff.publisher.source(&member.principal, &known(&name)?, site.now_ms()).await)
}

/// `PUT /api/staff/datasets/{name}/source`: where the data come from, from now on.
pub(crate) async fn declare(
    (State(site), member, Path(name), query, headers, body): Step,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let name = known(&name)?;
    let declaration: Declaration = json::read(&site, &headers, body).await?;
    said(site.staff.publisher.declare_source(&member.principal, &name, &declaration, site.now_ms()).await)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Approval {
    digest: String,
}

/// `POST /api/staff/datasets/{name}/source/approve`: the standing approval.
pub(crate) async fn approve(
    (State(site), member, Path(name), query, headers, body): Step,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let name = known(&name)?;
    let Approval { digest } = json::read(&site, &headers, body).await?;
    said(site.staff.publisher.approve_source(&member.principal, &name, &digest, site.now_ms()).await)
}

/// `POST /api/staff/datasets/{name}/source/run`: as soon as a server comes to it.
pub(crate) async fn run((State(site), member, Path(name), query, headers, body): Step) -> Result<Response, Refusal> {
    query.finish("")?;
    let name = known(&name)?;
    json::read_nothing(&site, &headers, body).await?;
    said(site.staff.publisher.run_source(&member.principal, &name, site.now_ms()).await)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pause {
    paused: bool,
}

/// `POST /api/staff/datasets/{name}/source/pause`: it rests, or goes on.
pub(crate) async fn pause((State(site), member, Path(name), query, headers, body): Step) -> Result<Response, Refusal> {
    query.finish("")?;
    let name = known(&name)?;
    let Pause { paused } = json::read(&site, &headers, body).await?;
    said(site.staff.publisher.pause_source(&member.principal, &name, paused, site.now_ms()).await)
}

fn said(outcome: Result<Source, PublishError>) -> Result<Response, Refusal> {
    let source = outcome.map_err(|error| problem_of_publish(&error))?;
    json::answer(StatusCode::OK, &SourceDocument::of(source))
}
