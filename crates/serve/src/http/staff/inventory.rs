//! The inventory, for those who keep it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use portico_model::dataset::MetadataPatch;
use portico_model::inventory::InventoryEntry;
use portico_model::problem::ProblemKind;
use portico_publish::{InventoryLine, PublishError};
use serde::Serialize;
use serde_json::{Map, Value};

use super::asker::Member;
use super::datasets::known;
use super::documents::RevisionDocument;
use super::json;
use crate::http::body;
use crate::http::parameters::Parameters;
use crate::problem::{Refusal, problem_of_publish};
use crate::site::Site;

/// `GET /api/staff/inventory`: what is in the token's scope, the most urgent first.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    member: Member,
    query: Parameters,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Inventory {
        datasets: Vec<InventoryLine>,
    }

    query.finish("")?;
    let datasets = site.staff.publisher.inventory(&member.principal, site.now_ms()).await.map_err(failed)?;
    json::answer(StatusCode::OK, &Inventory { datasets })
}

/// `PUT /api/staff/inventory/datasets/{name}`: what is not said stays as it is. With `version` it is said of that version of
/// the entry, and of no other.
pub(crate) async fn set(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(name): Path<String>,
    query: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Set {
        changed: bool,
        entry: InventoryEntry,
    }

    query.finish("")?;
    let said: Map<String, Value> = json::read(&site, &headers, body).await?;
    let name = known(&name)?;
    let publisher = &site.staff.publisher;
    let before = publisher.inventory_entry(&member.principal, &name, site.now_ms()).await.map_err(failed)?;
    let entry = before.unwrap_or_else(|| InventoryEntry::named(name.clone())).saying(&said).map_err(|complaint| {
        let plain: String = complaint.chars().filter(|c| !c.is_control()).take(400).collect();
        Refusal::new(ProblemKind::InvalidRequest, format!("The entry cannot be read: {plain}."))
    })?;
    let changed = publisher.set_inventory(&member.principal, &entry, site.now_ms()).await.map_err(failed)?;
    let kept = publisher.inventory_entry(&member.principal, &name, site.now_ms()).await.map_err(failed)?;
    json::answer(StatusCode::OK, &Set { changed, entry: kept.unwrap_or(entry) })
}

/// `POST /api/staff/inventory/import?dry_run=true`: a CSV file.
pub(crate) async fn import(
    State(site): State<Arc<Site>>,
    member: Member,
    mut query: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let dry_run = query.take_bool("dry_run")?.unwrap_or(false);
    query.finish("dry_run")?;
    if headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes) != Some(b"application/octet-stream") {
        let detail = "A file is sent as application/octet-stream, whatever it holds.";
        return Err(Refusal::new(ProblemKind::UnsupportedMediaType, detail));
    }
    let csv = body::read(&headers, body, &site.limits.http).await?;
    let done = site.staff.publisher.import_inventory(&member.principal, &csv, dry_run, site.now_ms()).await;
    json::answer(StatusCode::OK, &done.map_err(failed)?)
}

/// `POST /api/staff/inventory/publish`: the inventory as a revision of the dataset `inventory`.
pub(crate) async fn publish(
    State(site): State<Arc<Site>>,
    member: Member,
    query: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let said: MetadataPatch = json::read(&site, &headers, body).await?;
    let staged = site.staff.publisher.stage_inventory(&member.principal, &said, site.now_ms()).await;
    json::answer(StatusCode::CREATED, &RevisionDocument::of(staged.map_err(failed)?))
}

fn failed(error: PublishError) -> Refusal {
    problem_of_publish(&error).into()
}
