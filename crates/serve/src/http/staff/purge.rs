//! What follows a withdrawal: which other versions hold the same, and the purge.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use portico_model::name::{DatasetName, VersionRef};
use portico_model::problem::Problem;
use portico_publish::{Affected, Suspicion};
use portico_store::{PurgeRecord, PurgeReport};
use serde::{Deserialize, Serialize};

use super::asker::Member;
use super::datasets::{failed, known};
use super::json;
use crate::catalog::timestamp;
use crate::http::names;
use crate::http::parameters::Parameters;
use crate::problem::Refusal;
use crate::site::Site;

/// A purge as staff see it.
#[derive(Serialize)]
struct PurgeEntry {
    dataset: DatasetName,
    version: u32,
    /// `asked`, `confirmed` while it goes on, `purged`.
    state: &'static str,
    reason: String,
    asked_by: String,
    asked: String,
    confirmed_by: Option<String>,
    confirmed: Option<String>,
    done: Option<String>,
    report: Option<PurgeReport>,
    /// Where nobody has looked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    out_of_reach: Vec<&'static str>,
}

impl PurgeEntry {
    fn of(record: PurgeRecord, out_of_reach: Vec<&'static str>) -> Self {
        let state = match (record.done_ms, &record.confirmed_by) {
            (Some(_), _) => "purged",
            (None, Some(_)) => "confirmed",
            (None, None) => "asked",
        };
        Self {
            dataset: record.version.dataset,
            version: record.version.version,
            state,
            reason: record.reason,
            asked_by: record.asked_by,
            asked: timestamp(record.asked_ms),
            confirmed_by: record.confirmed_by,
            confirmed: record.confirmed_ms.map(timestamp),
            done: record.done_ms.map(timestamp),
            report: record.report,
            out_of_reach,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Why; whoever confirms may leave it out.
    #[serde(default)]
    reason: String,
    /// The version, written out: `street-trees@3`.
    confirm: String,
}

/// `POST /api/staff/datasets/{name}/versions/{version}/purge`: the first asks, the second confirms and has it done.
pub(crate) async fn purge(
    State(site): State<Arc<Site>>,
    member: Member,
    Path((name, version)): Path<(String, String)>,
    query: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let Asked { reason, confirm } = json::read(&site, &headers, body).await?;
    let version = named(&name, &version)?;
    let said = (reason.as_str(), confirm.as_str());
    let publisher = &site.staff.publisher;
    let purge = publisher.purge(&member.principal, &version, said, site.now_ms()).await.map_err(failed)?;
    let status = if purge.record.done_ms.is_some() { StatusCode::OK } else { StatusCode::ACCEPTED };
    json::answer(status, &PurgeEntry::of(purge.record, purge.out_of_reach))
}

/// `GET /api/staff/datasets/{name}/purges`.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(name): Path<String>,
    query: Parameters,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Purges {
        purges: Vec<PurgeEntry>,
    }

    query.finish("")?;
    let found = site.staff.publisher.purges(&member.principal, &known(&name)?, site.now_ms()).await.map_err(failed)?;
    let purges = found.into_iter().map(|record| PurgeEntry::of(record, Vec::new())).collect();
    json::answer(StatusCode::OK, &Purges { purges })
}

/// `GET /api/staff/datasets/{name}/versions/{version}/affected`.
pub(crate) async fn affected(
    State(site): State<Arc<Site>>,
    member: Member,
    Path((name, version)): Path<(String, String)>,
    mut query: Parameters,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Document {
        dataset: DatasetName,
        version: u32,
        affected: Vec<Affected>,
    }

    let column = query.take_filled("column");
    let screen = query.take_bool("screen")? == Some(true);
    query.finish("column, screen")?;
    let version = named(&name, &version)?;
    // Reading files anew takes a reader, as screening does.
    let _place = if screen { Some(site.staff.screening()?) } else { None };
    let suspicion = Suspicion { column, screen };
    let publisher = &site.staff.publisher;
    let affected = publisher.affected(&member.principal, &version, &suspicion, site.now_ms()).await.map_err(failed)?;
    let VersionRef { dataset, version } = version;
    json::answer(StatusCode::OK, &Document { dataset, version, affected })
}

fn named(name: &str, version: &str) -> Result<VersionRef, Refusal> {
    let dataset = known(name)?;
    let version = names::version_number(version).ok_or_else(|| Problem::not_found("version of that number"))?;
    Ok(VersionRef { dataset, version })
}
