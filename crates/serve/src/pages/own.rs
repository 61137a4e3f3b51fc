//! The portal's own pages. `GET /principles`, `GET /terms`, `GET /licences`, `GET /handbook`

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use portico_publish::PageName;

use super::text::day;
use super::{Frame, answer, markdown};
use crate::http::asker::Visit;
use crate::http::own_pages;
use crate::problem::Refusal;
use crate::site::Site;

#[derive(Template)]
#[template(path = "page.html")]
struct OwnPage {
    frame: Frame,
    name: &'static str,
    title: String,
    /// Made of Markdown by [`markdown::html`]: nothing else may stand in a page as it is.
    html: String,
    version: i64,
    updated: String,
    updated_day: String,
}

async fn page(site: &Site, name: PageName, visit: Visit) -> Result<Response, Refusal> {
    visit.query.finish("")?;
    let document = own_pages::document(site, name).await?;
    let updated = document.updated_at.unwrap_or_default();
    answer(
        &visit.headers,
        &OwnPage {
            frame: Frame::of(site),
            name: document.name,
            title: document.title,
            html: markdown::html(&document.text),
            version: document.version,
            updated_day: day(&updated),
            updated,
        },
    )
}

/// `GET /principles`.
pub(crate) async fn principles(State(site): State<Arc<Site>>, visit: Visit) -> Result<Response, Refusal> {
    page(&site, PageName::Principles, visit).await
}

/// `GET /terms`.
pub(crate) async fn terms(State(site): State<Arc<Site>>, visit: Visit) -> Result<Response, Refusal> {
    page(&site, PageName::Terms, visit).await
}

/// `GET /licences`.
pub(crate) async fn licences(State(site): State<Arc<Site>>, visit: Visit) -> Result<Response, Refusal> {
    page(&site, PageName::Licences, visit).await
}

/// `GET /handbook`.
pub(crate) async fn handbook(State(site): State<Arc<Site>>, visit: Visit) -> Result<Response, Refusal> {
    page(&site, PageName::Handbook, visit).await
}
