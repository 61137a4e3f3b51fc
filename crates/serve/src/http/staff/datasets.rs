//! Datasets as staff see them, and whoever asks.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use portico_model::name::{DatasetName, VersionRef};
use portico_model::policy::{Role, Scope};
use portico_model::problem::Problem;
use portico_publish::{Affected, PublishError, Suspicion};
use serde::{Deserialize, Serialize};

use super::asker::{Credential, Member};
use super::documents::{RevisionEntry, StaffDataset};
use super::json;
use crate::catalog::timestamp;
use crate::http::names;
use crate::http::parameters::Parameters;
use crate::problem::{Refusal, problem_of_publish};
use crate::site::Site;

/// `GET /api/staff/whoami`.
pub(crate) async fn whoami(member: Member, query: Parameters) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Whoami<'a> {
        name: &'a str,
        roles: &'a [Role],
        scope: &'a Scope,
        #[serde(skip_serializing_if = "Option::is_none")]
        token: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        session: Option<&'a str>,
        /// What a script of ours sends as `X-Portico-CSRF` with each step of a session.
        #[serde(skip_serializing_if = "Option::is_none")]
        csrf: Option<&'a str>,
        expires: String,
    }

    query.finish("")?;
    let (token, session, csrf) = match &member.credential {
        Credential::Token(token) => (Some(token.id.as_str()), None, None),
        Credential::Session { record, csrf } => (None, Some(record.id.as_str()), Some(csrf.as_str())),
    };
    let Member { name, roles, scope, .. } = &member;
    let expires = timestamp(member.expires_ms());
    json::answer(StatusCode::OK, &Whoami { name, roles, scope, token, session, csrf, expires })
}

/// `GET /api/staff/datasets`.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    member: Member,
    query: Parameters,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Datasets {
        datasets: Vec<StaffDataset>,
    }

    query.finish("")?;
    let found = site.staff.publisher.datasets(&member.principal, site.now_ms()).await.map_err(failed)?;
    json::answer(StatusCode::OK, &Datasets { datasets: found.into_iter().map(StaffDataset::of).collect() })
}

/// `GET /api/staff/datasets/{name}`.
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(name): Path<String>,
    query: Parameters,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let name = known(&name)?;
    let found = site.staff.publisher.dataset(&member.principal, &name, site.now_ms()).await.map_err(failed)?;
    json::answer(StatusCode::OK, &StaffDataset::of(found))
}

/// `GET /api/staff/datasets/{name}/revisions`.
pub(crate) async fn revisions(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(name): Path<String>,
    query: Parameters,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Revisions {
        revisions: Vec<RevisionEntry>,
    }

    query.finish("")?;
    let name = known(&name)?;
    let found = site.staff.publisher.revisions(&member.principal, &name, site.now_ms()).await.map_err(failed)?;
    json::answer(StatusCode::OK, &Revisions { revisions: found.iter().map(RevisionEntry::of).collect() })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Withdrawal {
    /// What the public is told.
    reason: String,
    /// The column that is the trouble, to find other versions that have it.
    #[serde(default)]
    column: Option<String>,
}

/// `POST /api/staff/datasets/{name}/versions/{version}/withdraw`.
pub(crate) async fn withdraw(
    State(site): State<Arc<Site>>,
    member: Member,
    Path((name, version)): Path<(String, String)>,
    query: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Withdrawn {
        dataset: DatasetName,
        version: u32,
        state: &'static str,
        /// Other versions that hold the same.
        affected: Vec<Affected>,
    }

    query.finish("")?;
    let Withdrawal { reason, column } = json::read(&site, &headers, body).await?;
    let dataset = known(&name)?;
    let version = names::version_number(&version).ok_or_else(|| Problem::not_found("version of that number"))?;
    let version = VersionRef { dataset, version };
    let (publisher, now_ms) = (&site.staff.publisher, site.now_ms());
    publisher.withdraw(&member.principal, &version, &reason, now_ms).await.map_err(failed)?;
    let suspicion = Suspicion { column, screen: false };
    let affected = publisher.affected(&member.principal, &version, &suspicion, now_ms).await.map_err(failed)?;
    let VersionRef { dataset, version } = version;
    json::answer(StatusCode::OK, &Withdrawn { dataset, version, state: "withdrawn", affected })
}

/// A text that can be a dataset's name; what cannot be one is as unknown as what is none.
pub(super) fn known(name: &str) -> Result<DatasetName, Refusal> {
    DatasetName::parse(name).map_err(|_| Problem::not_found("dataset of that name").into())
}

pub(crate) fn failed(error: PublishError) -> Refusal {
    problem_of_publish(&error).into()
}
