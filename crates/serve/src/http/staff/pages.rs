//! The portal's own pages, for those who write them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use portico_model::policy::Principal;
use portico_model::problem::Problem;
use portico_publish::{PageName, PageVersion};
use portico_store::PageText;
use serde::{Deserialize, Serialize};

use super::asker::Member;
use super::datasets::failed;
use super::json;
use crate::catalog::timestamp;
use crate::http::own_pages::{PageDocument, known};
use crate::http::parameters::Parameters;
use crate::problem::Refusal;
use crate::site::Site;

/// A page with all that it has said.
#[derive(Debug, Serialize)]
struct Written {
    #[serde(flatten)]
    page: PageDocument,
    /// Newest first; the last is the text of a new portal.
    history: Vec<VersionLine>,
}

#[derive(Debug, Serialize)]
struct VersionLine {
    version: i64,
    title: String,
    /// Whether it is the text of a new portal.
    default: bool,
    updated_at: Option<String>,
    updated_by: Option<String>,
}

impl VersionLine {
    fn of(version: PageVersion) -> Self {
        Self {
            version: version.number,
            title: version.title,
            default: version.is_default,
            updated_at: version.at_ms.map(timestamp),
            updated_by: version.by,
        }
    }
}

/// `GET /api/staff/pages/{name}?version=3`: as it is now, or as it was.
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(name): Path<String>,
    mut query: Parameters,
) -> Result<Response, Refusal> {
    let version = query.take_number("version")?;
    query.finish("version")?;
    json::answer(StatusCode::OK, &written(&site, &member.principal, known(&name)?, version).await?)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    title: String,
    text: String,
    /// The version that it takes the place of.
    version: i64,
}

/// `PUT /api/staff/pages/{name}`: public at once.
pub(crate) async fn write(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(name): Path<String>,
    query: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let Said { title, text, version } = json::read(&site, &headers, body).await?;
    let (publisher, limits, name) = (&site.staff.publisher, &site.limits.pages, known(&name)?);
    let said = Some(PageText { title, text });
    publisher.write_page(&member.principal, (name, version), said, limits, site.now_ms()).await.map_err(failed)?;
    json::answer(StatusCode::OK, &written(&site, &member.principal, name, None).await?)
}

/// `DELETE /api/staff/pages/{name}?version=3`: back to the text of a new portal, in place of that version.
pub(crate) async fn reset(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(name): Path<String>,
    mut query: Parameters,
) -> Result<Response, Refusal> {
    let version = query.take_number("version")?.unwrap_or(0);
    query.finish("version")?;
    let (publisher, limits, name) = (&site.staff.publisher, &site.limits.pages, known(&name)?);
    publisher.write_page(&member.principal, (name, version), None, limits, site.now_ms()).await.map_err(failed)?;
    json::answer(StatusCode::OK, &written(&site, &member.principal, name, None).await?)
}

async fn written(site: &Site, principal: &Principal, name: PageName, version: Option<i64>) -> Result<Written, Refusal> {
    let history = site.staff.publisher.page_history(principal, name, site.now_ms()).await.map_err(failed)?;
    let shown = history.iter().find(|page| version.is_none_or(|version| page.version.number == version)).cloned();
    let shown = shown.ok_or_else(|| Problem::not_found("version of that page"))?;
    let lines = history.into_iter().map(|page| VersionLine::of(page.version)).collect();
    Ok(Written { page: PageDocument::of(site, shown), history: lines })
}
