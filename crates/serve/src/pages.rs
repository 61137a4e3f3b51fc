//! Pages for people: a list of datasets, a page for each dataset and version, the release calendar, the problems, and what
//! the team writes.
//!
//! Each page is a struct that holds everything its template may see, shaped by pure functions from the documents of
//! the catalog. There are no scripts, and the policy of the pages lets none run, whatever a dataset's title says.

mod assets;
mod calendar;
mod dataset;
mod examples;
mod list;
mod markdown;
mod own;
mod problem;
mod report;
mod requests;
pub(crate) mod staff;
mod text;

use axum::response::Response;
use http::{HeaderMap, HeaderValue, header};

pub(crate) use assets::asset;
pub(crate) use calendar::calendar;
pub(crate) use dataset::dataset;
pub(crate) use list::list;
pub(crate) use own::{handbook, licences, principles, terms};
pub(crate) use problem::{problem, problems};
pub(crate) use report::report;
pub(crate) use requests::list as requests;

use crate::http::cache::CachePolicy;
use crate::http::reply;
use crate::problem::Refusal;
use crate::site::Site;

/// What a page may load and do: our style sheet, our pictures, our own forms, and nothing else.
pub(crate) const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// What the layout shows on every page.
#[derive(Clone, Debug)]
struct Frame {
    site_title: String,
    stylesheet: String,
}

impl Frame {
    fn of(site: &Site) -> Self {
        Self { site_title: site.settings.title.clone(), stylesheet: assets::stylesheet_url() }
    }
}

/// Renders a page and answers it with its tag. Pages show what is current, so caches have to ask.
fn answer(request: &HeaderMap, page: &impl askama::Template) -> Result<Response, Refusal> {
    let html = page.render().map_err(|error| {
        tracing::error!(%error, "a page could not be rendered");
        portico_model::problem::Problem::internal()
    })?;
    let mut response = reply::document(request, "text/html; charset=utf-8", html, CachePolicy::Revalidate)?;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, POLICY);
    Ok(response)
}
