//! The style sheet and the logo. `GET /assets/portico.css`, `GET /assets/logo.svg`
//!
//! The URL that pages link carries a digest of the content, so that a browser keeps it until it changes.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::response::Response;
use http::HeaderMap;
use portico_model::problem::Problem;

use crate::http::cache::CachePolicy;
use crate::http::parameters::Parameters;
use crate::http::reply;
use crate::problem::Refusal;

const STYLESHEET: &str = include_str!("../../assets/portico.css");
const LOGO: &str = include_str!("../../assets/logo.svg");

static STYLESHEET_DIGEST: LazyLock<String> =
    LazyLock::new(|| reply::short_digest(STYLESHEET.as_bytes()).chars().take(12).collect());

/// The style sheet's URL, good for ever.
pub(super) fn stylesheet_url() -> String {
    format!("/assets/portico.css?v={}", *STYLESHEET_DIGEST)
}

/// `GET /assets/{file}`.
pub(crate) async fn asset(
    Path(file): Path<String>,
    headers: HeaderMap,
    mut query: Parameters,
) -> Result<Response, Refusal> {
    let version = query.take("v");
    query.finish("v")?;
    let (content_type, content) = match file.as_str() {
        "portico.css" => ("text/css; charset=utf-8", STYLESHEET),
        "logo.svg" => ("image/svg+xml", LOGO),
        _ => return Err(Problem::not_found("file of that name").into()),
    };
    let pinned = file == "portico.css" && version.as_deref() == Some(STYLESHEET_DIGEST.as_str());
    let policy = if pinned { CachePolicy::Immutable } else { CachePolicy::Revalidate };
    reply::document(&headers, content_type, content, policy)
}
