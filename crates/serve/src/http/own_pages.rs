//! What the portal's own pages say, for programs: `GET /api/pages`, `GET /api/pages/{name}`

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderMap;
use portico_model::problem::Problem;
use portico_publish::{Page, PageName};
use serde::Serialize;

use crate::catalog::timestamp;
use crate::http::cache::CachePolicy;
use crate::http::parameters::Parameters;
use crate::http::reply;
use crate::problem::{Refusal, problem_of_publish};
use crate::site::Site;

/// A page.
#[derive(Debug, Serialize)]
pub(crate) struct PageDocument {
    pub(crate) name: &'static str,
    pub(crate) title: String,
    /// Markdown (CommonMark, with tables).
    pub(crate) text: String,
    /// 0 for the text of a new portal; who writes names the version that they have read.
    pub(crate) version: i64,
    /// None for the text of a new portal.
    pub(crate) updated_at: Option<String>,
    pub(crate) url: String,
}

impl PageDocument {
    pub(crate) fn of(site: &Site, page: Page) -> Self {
        Self {
            name: page.name.as_str(),
            title: page.said.title,
            text: page.said.text,
            version: page.version.number,
            updated_at: page.version.at_ms.map(timestamp),
            url: site.url(&format!("/{}", page.name.as_str())),
        }
    }
}

/// `GET /api/pages`.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    query: Parameters,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Pages {
        pages: Vec<PageDocument>,
    }

    query.finish("")?;
    let pages = site.staff.publisher.pages().await.map_err(|error| problem_of_publish(&error))?;
    let pages = pages.into_iter().map(|page| PageDocument::of(&site, page)).collect();
    reply::json(&headers, &Pages { pages }, CachePolicy::Revalidate)
}

/// `GET /api/pages/{name}`.
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    headers: HeaderMap,
    query: Parameters,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let document = document(&site, known(&name)?).await?;
    reply::json(&headers, &document, CachePolicy::Revalidate)
}

/// What a page says now.
///
/// # Errors
/// The catalog's own.
pub(crate) async fn document(site: &Site, name: PageName) -> Result<PageDocument, Refusal> {
    let page = site.staff.publisher.page(name).await.map_err(|error| problem_of_publish(&error))?;
    Ok(PageDocument::of(site, page))
}

/// A page by its name.
///
/// # Errors
/// `NotFound` for any other.
pub(crate) fn known(name: &str) -> Result<PageName, Refusal> {
    PageName::parse(name).ok_or_else(|| Problem::not_found("page of that name").into())
}
