//! Metadata without new data: said, looked at, approved, declined.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use portico_model::dataset::{Completeness, DatasetMetadata, MetadataPatch};
use portico_model::name::DatasetName;
use portico_model::policy::Principal;
use portico_publish::{Edited, PublishError};
use portico_store::MetadataEdit;
use serde::{Deserialize, Serialize};

use super::asker::Member;
use super::datasets::known;
use super::json;
use crate::catalog::timestamp;
use crate::http::parameters::Parameters;
use crate::problem::{Refusal, problem_of_publish};
use crate::site::Site;

/// What is said of a dataset, and what somebody would have said instead.
#[derive(Debug, Serialize)]
struct Described {
    metadata: DatasetMetadata,
    completeness: Completeness,
    edit: Option<EditDocument>,
}

/// The latest edit.
#[derive(Debug, Serialize)]
struct EditDocument {
    /// `proposed`, `approved` or `declined`.
    state: &'static str,
    /// What an approval names.
    digest: String,
    metadata: DatasetMetadata,
    proposed_by: String,
    proposed: String,
    decided_by: Option<String>,
    declined_reason: Option<String>,
}

impl EditDocument {
    fn of(edit: MetadataEdit) -> Self {
        let state = match (edit.waits(), &edit.declined_reason) {
            (true, _) => "proposed",
            (false, None) => "approved",
            (false, Some(_)) => "declined",
        };
        Self {
            state,
            digest: edit.digest,
            metadata: edit.after,
            proposed_by: edit.proposed_by,
            proposed: timestamp(edit.proposed_ms),
            decided_by: edit.decided_by,
            declined_reason: edit.declined_reason,
        }
    }
}

/// `GET /api/staff/datasets/{name}/metadata`.
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(name): Path<String>,
    query: Parameters,
) -> Result<Response, Refusal> {
    query.finish("")?;
    described(&site, &member.principal, &known(&name)?, StatusCode::OK).await
}

/// `PUT /api/staff/datasets/{name}/metadata`: what is not said stays as it is.
pub(crate) async fn edit(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(name): Path<String>,
    query: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let said: MetadataPatch = json::read(&site, &headers, body).await?;
    let name = known(&name)?;
    let edited = site.staff.publisher.edit(&member.principal, &name, &said, site.now_ms()).await.map_err(failed)?;
    let status = match edited {
        Edited::Said(_) => StatusCode::OK,
        Edited::Proposed(_) => StatusCode::ACCEPTED,
    };
    described(&site, &member.principal, &name, status).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Approval {
    digest: String,
}

/// `POST /api/staff/datasets/{name}/metadata/approve`.
pub(crate) async fn approve(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(name): Path<String>,
    query: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let Approval { digest } = json::read(&site, &headers, body).await?;
    let name = known(&name)?;
    let approved = site.staff.publisher.approve_edit(&member.principal, &name, &digest, site.now_ms()).await;
    approved.map_err(failed)?;
    described(&site, &member.principal, &name, StatusCode::OK).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Refused {
    reason: String,
}

/// `POST /api/staff/datasets/{name}/metadata/decline`.
pub(crate) async fn decline(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(name): Path<String>,
    query: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let Refused { reason } = json::read(&site, &headers, body).await?;
    let name = known(&name)?;
    site.staff.publisher.decline_edit(&member.principal, &name, &reason, site.now_ms()).await.map_err(failed)?;
    described(&site, &member.principal, &name, StatusCode::OK).await
}

async fn described(
    site: &Site,
    principal: &Principal,
    name: &DatasetName,
    status: StatusCode,
) -> Result<Response, Refusal> {
    let publisher = &site.staff.publisher;
    let record = publisher.dataset(principal, name, site.now_ms()).await.map_err(failed)?;
    let edit = publisher.latest_edit(principal, name, site.now_ms()).await.map_err(failed)?;
    let version = site.store.catalog.current_version(name).await?;
    let fields = version.iter().flat_map(|version| version.manifest.schema.fields().iter());
    let columns: Vec<&str> = fields.map(|field| field.name().as_str()).collect();
    let completeness = record.metadata.completeness(&columns);
    let edit = edit.map(EditDocument::of);
    json::answer(status, &Described { metadata: record.metadata, completeness, edit })
}

fn failed(error: PublishError) -> Refusal {
    problem_of_publish(&error).into()
}
