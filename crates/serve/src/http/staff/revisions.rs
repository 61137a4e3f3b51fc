//! The steps of one revision.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use portico_model::dataset::DatasetMetadata;
use portico_model::problem::{Problem, ProblemKind};
use portico_publish::{Amendment, PublishError, ReadOptions, Revision};
use serde::Deserialize;
use ulid::Ulid;

use super::asker::Member;
use super::documents::RevisionDocument;
use super::json;
use crate::http::parameters::Parameters;
use crate::problem::{Refusal, problem_of_publish};
use crate::site::Site;

/// A step's request: who, which revision, and what is said with it.
type Step = (State<Arc<Site>>, Member, Path<String>, Parameters, HeaderMap, Body);

/// `GET /api/staff/revisions/{id}`.
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(id): Path<String>,
    query: Parameters,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let revision = site.staff.publisher.revision(&member.principal, known(&id)?, site.now_ms()).await;
    said(revision)
}

/// `PUT /api/staff/revisions/{id}/proposal`: what is said of the dataset and how the file is read, from now on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Proposal {
    #[serde(default)]
    metadata: Option<DatasetMetadata>,
    #[serde(default)]
    options: Option<ReadOptions>,
}

/// See [`Proposal`].
pub(crate) async fn propose((State(site), member, Path(id), query, headers, body): Step) -> Result<Response, Refusal> {
    query.finish("")?;
    let Proposal { metadata, options } = json::read(&site, &headers, body).await?;
    let amendment = Amendment { metadata, options };
    said(site.staff.publisher.amend(&member.principal, known(&id)?, amendment, site.now_ms()).await)
}

/// `POST /api/staff/revisions/{id}/screen`: answers when all of the file was read.
pub(crate) async fn screen((State(site), member, Path(id), query, headers, body): Step) -> Result<Response, Refusal> {
    query.finish("")?;
    json::read_nothing(&site, &headers, body).await?;
    document(screened(&site, &member, known(&id)?).await?)
}

/// Has a file read, in one of the places for it.
pub(crate) async fn screened(site: &Site, member: &Member, id: &str) -> Result<Revision, Refusal> {
    let failed = |error: PublishError| problem_of_publish(&error);
    // Nobody takes a place who may not.
    site.staff.publisher.revision(&member.principal, id, site.now_ms()).await.map_err(failed)?;
    let _place = site.staff.screening()?;
    Ok(site.staff.publisher.screen(&member.principal, id, site.now_ms(), |_| {}).await.map_err(failed)?)
}

/// `POST /api/staff/revisions/{id}/submit`.
pub(crate) async fn submit((State(site), member, Path(id), query, headers, body): Step) -> Result<Response, Refusal> {
    query.finish("")?;
    json::read_nothing(&site, &headers, body).await?;
    said(site.staff.publisher.submit(&member.principal, known(&id)?, site.now_ms()).await)
}

/// `POST /api/staff/revisions/{id}/review`: a steward's judgement.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
enum Judgement {
    /// Fit for release, on the strength of what was screened.
    Recommend {
        digest: String,
        #[serde(default)]
        remark: String,
    },
    /// To be corrected.
    Return { reason: String },
}

/// See [`Judgement`].
pub(crate) async fn review((State(site), member, Path(id), query, headers, body): Step) -> Result<Response, Refusal> {
    query.finish("")?;
    let judgement = json::read(&site, &headers, body).await?;
    let (publisher, principal, id, now_ms) = (&site.staff.publisher, &member.principal, known(&id)?, site.now_ms());
    said(match judgement {
        Judgement::Recommend { digest, remark } => publisher.recommend(principal, id, (&digest, &remark), now_ms).await,
        Judgement::Return { reason } => publisher.give_back(principal, id, &reason, now_ms).await,
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Approval {
    digest: String,
}

/// `POST /api/staff/revisions/{id}/approve`: consent to exactly what was screened.
pub(crate) async fn approve((State(site), member, Path(id), query, headers, body): Step) -> Result<Response, Refusal> {
    query.finish("")?;
    let Approval { digest } = json::read(&site, &headers, body).await?;
    said(site.staff.publisher.approve(&member.principal, known(&id)?, &digest, site.now_ms()).await)
}

/// `POST /api/staff/revisions/{id}/release`.
pub(crate) async fn release((State(site), member, Path(id), query, headers, body): Step) -> Result<Response, Refusal> {
    query.finish("")?;
    json::read_nothing(&site, &headers, body).await?;
    document(released(&site, &member, known(&id)?).await?)
}

/// Makes an approved revision public, on a storage that can take it.
pub(crate) async fn released(site: &Site, member: &Member, id: &str) -> Result<Revision, Refusal> {
    let (publisher, principal) = (&site.staff.publisher, &member.principal);
    let failed = |error: PublishError| problem_of_publish(&error);
    publisher.revision(principal, id, site.now_ms()).await.map_err(failed)?;
    if let Err(error) = site.store.storage.self_test().await {
        tracing::error!(%error, "a release would not be safe on this storage");
        return Err(Problem::new(ProblemKind::Unavailable, "The storage cannot take a release right now.").into());
    }
    publisher.release(principal, id, site.now_ms()).await.map_err(failed)?;
    Ok(publisher.revision(principal, id, site.now_ms()).await.map_err(failed)?)
}

/// `POST /api/staff/revisions/{id}/discard`.
pub(crate) async fn discard((State(site), member, Path(id), query, headers, body): Step) -> Result<Response, Refusal> {
    query.finish("")?;
    json::read_nothing(&site, &headers, body).await?;
    said(site.staff.publisher.discard(&member.principal, known(&id)?, site.now_ms()).await)
}

/// A text that can be a revision's id; what cannot be one is as unknown as what is none.
pub(crate) fn known(id: &str) -> Result<&str, Refusal> {
    match Ulid::from_string(id) {
        Ok(ulid) if ulid.to_string() == id => Ok(id),
        _ => Err(problem_of_publish(&PublishError::UnknownRevision(String::new())).into()),
    }
}

fn said(outcome: Result<Revision, PublishError>) -> Result<Response, Refusal> {
    document(outcome.map_err(|error| problem_of_publish(&error))?)
}

fn document(revision: Revision) -> Result<Response, Refusal> {
    json::answer(StatusCode::OK, &RevisionDocument::of(revision))
}
