//! The catalog as JSON.
//!
//! ```text
//! GET /api/datasets?q=&department=&keyword=&format=&page=      GET /api/datasets/{name}
//! GET /api/datasets/{name}/versions[?page=|/{n}]               GET /api/datasets/{name}/changes?from=&to=
//! ```

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use http::HeaderMap;
use portico_model::problem::{Problem, ProblemKind};

use crate::catalog::{self, PAGE_MAX, SearchRequest};
use crate::http::asker::Asker;
use crate::http::cache::CachePolicy;
use crate::http::names;
use crate::http::parameters::Parameters;
use crate::http::reply;
use crate::problem::Refusal;
use crate::site::Site;

/// `GET /api/datasets`.
pub(crate) async fn search(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    query: Parameters,
) -> Result<Response, Refusal> {
    let request = SearchRequest::read(query)?;
    let document = catalog::search(&site, &request).await?;
    reply::json(&headers, &document, CachePolicy::Revalidate)
}

/// `GET /api/datasets/{name}`.
pub(crate) async fn dataset(
    State(site): State<Arc<Site>>,
    Asker(caller): Asker,
    Path(name): Path<String>,
    headers: HeaderMap,
    query: Parameters,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let document = catalog::dataset(&site, &caller.principal, &name).await?;
    reply::json(&headers, &document, CachePolicy::Revalidate)
}

/// `GET /api/datasets/{name}/versions`.
pub(crate) async fn versions(
    State(site): State<Arc<Site>>,
    Asker(caller): Asker,
    Path(name): Path<String>,
    headers: HeaderMap,
    mut query: Parameters,
) -> Result<Response, Refusal> {
    let page = query.take_number("page")?.unwrap_or(1);
    query.finish("page")?;
    if !(1..=PAGE_MAX).contains(&page) {
        return Err(Refusal::new(ProblemKind::InvalidRequest, format!("Pages go from 1 to {PAGE_MAX}.")));
    }
    let document = catalog::versions(&site, &caller.principal, &name, page).await?;
    reply::json(&headers, &document, CachePolicy::Revalidate)
}

/// `GET /api/datasets/{name}/versions/{n}`.
pub(crate) async fn version(
    State(site): State<Arc<Site>>,
    Asker(caller): Asker,
    Path((name, version)): Path<(String, String)>,
    headers: HeaderMap,
    query: Parameters,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let number = names::version_number(&version).ok_or_else(|| Problem::not_found("version of that number"))?;
    let document = catalog::version(&site, &caller.principal, &name, number).await?;
    reply::json(&headers, &document, CachePolicy::Revalidate)
}

/// `GET /api/datasets/{name}/changes`.
pub(crate) async fn changes(
    State(site): State<Arc<Site>>,
    Asker(caller): Asker,
    Path(name): Path<String>,
    headers: HeaderMap,
    mut query: Parameters,
) -> Result<Response, Refusal> {
    let sides = (query.take_number("from")?, query.take_number("to")?);
    query.finish("from, to")?;
    let document = catalog::changes(&site, &caller.principal, &name, sides).await?;
    reply::json(&headers, &document, CachePolicy::Revalidate)
}
