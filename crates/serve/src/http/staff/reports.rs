//! The annual report on its way to the public, and what the public says of it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use portico_model::finding::Finding;
use portico_model::problem::{Problem, ProblemKind};
use portico_store::{CommentRecord, CommentState, ReportRecord, ReportSection};
use serde::{Deserialize, Serialize};

use super::asker::Member;
use super::datasets::failed;
use super::json;
use crate::catalog::timestamp;
use crate::http::parameters::Parameters;
use crate::http::records::number;
use crate::problem::Refusal;
use crate::site::Site;

/// A report as staff see it.
#[derive(Serialize)]
struct ReportEntry {
    year: i64,
    state: &'static str,
    drafted: String,
    drafted_by: String,
    published: Option<String>,
    published_by: Option<String>,
    comment_until: Option<String>,
    recommendations: String,
    sections: Vec<ReportSection>,
}

impl From<ReportRecord> for ReportEntry {
    fn from(report: ReportRecord) -> Self {
        Self {
            year: report.year,
            state: if report.opens_ms.is_some() { "published" } else { "draft" },
            drafted: timestamp(report.drafted_ms),
            drafted_by: report.drafted_by,
            published: report.opens_ms.map(timestamp),
            published_by: report.published_by,
            comment_until: report.closes_ms.map(timestamp),
            recommendations: report.recommendations,
            sections: report.sections,
        }
    }
}

/// A comment as staff see it.
#[derive(Serialize)]
struct CommentEntry {
    id: String,
    at: String,
    name: String,
    text: String,
    findings: Vec<Finding>,
    state: CommentState,
    moderated_by: Option<String>,
    reason: Option<String>,
}

impl From<CommentRecord> for CommentEntry {
    fn from(comment: CommentRecord) -> Self {
        Self {
            id: comment.id,
            at: timestamp(comment.at_ms),
            name: comment.name,
            text: comment.text,
            findings: comment.findings,
            state: comment.state,
            moderated_by: comment.moderated_by,
            reason: comment.reason,
        }
    }
}

/// `GET /api/staff/reports`.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    member: Member,
    query: Parameters,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Reports {
        reports: Vec<ReportEntry>,
    }

    query.finish("")?;
    let found = site.staff.publisher.reports(&member.principal, site.now_ms()).await.map_err(failed)?;
    json::answer(StatusCode::OK, &Reports { reports: found.into_iter().map(ReportEntry::from).collect() })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Draft {
    /// What staff recommend; what was said before stays without it.
    #[serde(default)]
    recommendations: Option<String>,
}

/// `POST /api/staff/reports/{year}/draft`.
pub(crate) async fn draft(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(year): Path<String>,
    query: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let Draft { recommendations } = json::read(&site, &headers, body).await?;
    let (publisher, now_ms) = (&site.staff.publisher, site.now_ms());
    let said = recommendations.as_deref();
    let report = publisher.draft_report(&member.principal, known(&year)?, said, now_ms).await.map_err(failed)?;
    json::answer(StatusCode::OK, &ReportEntry::from(report))
}

/// `POST /api/staff/reports/{year}/publish`.
pub(crate) async fn publish(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(year): Path<String>,
    query: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    query.finish("")?;
    json::read_nothing(&site, &headers, body).await?;
    let publisher = &site.staff.publisher;
    let report = publisher.publish_report(&member.principal, known(&year)?, site.now_ms()).await.map_err(failed)?;
    json::answer(StatusCode::OK, &ReportEntry::from(report))
}

/// `GET /api/staff/reports/{year}/comments`.
pub(crate) async fn comments(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(year): Path<String>,
    query: Parameters,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Comments {
        comments: Vec<CommentEntry>,
    }

    query.finish("")?;
    let publisher = &site.staff.publisher;
    let found = publisher.comments(&member.principal, known(&year)?, site.now_ms()).await.map_err(failed)?;
    json::answer(StatusCode::OK, &Comments { comments: found.into_iter().map(CommentEntry::from).collect() })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Judgement {
    /// Make it public.
    #[serde(default)]
    accept: bool,
    /// Why it is not public.
    #[serde(default)]
    reject: Option<String>,
}

/// `POST /api/staff/comments/{id}/moderate`.
pub(crate) async fn moderate(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(id): Path<String>,
    query: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let Judgement { accept, reject } = json::read(&site, &headers, body).await?;
    if accept == reject.is_some() {
        return Err(Refusal::new(ProblemKind::InvalidRequest, "Either accept it, or reject it with a reason."));
    }
    let publisher = &site.staff.publisher;
    let comment = publisher.moderate(&member.principal, &id, reject.as_deref(), site.now_ms()).await.map_err(failed)?;
    json::answer(StatusCode::OK, &CommentEntry::from(comment))
}

fn known(year: &str) -> Result<i64, Refusal> {
    number(year).ok_or_else(|| Problem::not_found("report on that year").into())
}
