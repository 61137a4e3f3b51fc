//! Bodies of JSON, and answers that lie in no cache.

use axum::body::Body;
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use portico_model::problem::{Problem, ProblemKind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http::body;
use crate::http::cache::CachePolicy;
use crate::http::reply::Reply;
use crate::problem::Refusal;
use crate::site::Site;

/// Characters of a parser's complaint that are passed on.
const COMPLAINT_CHARS: usize = 200;

/// Reads a body of JSON. Nothing but `application/json` is read: what a form of another site can send is not.
pub(crate) async fn read<T: DeserializeOwned>(site: &Site, headers: &HeaderMap, body: Body) -> Result<T, Refusal> {
    check_type(headers)?;
    parse(&body::read(headers, body, &site.limits.http).await?)
}

/// Reads the body of a step that has nothing to say: none, or an empty object.
pub(super) async fn read_nothing(site: &Site, headers: &HeaderMap, body: Body) -> Result<(), Refusal> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Nothing {}

    if headers.contains_key(header::CONTENT_TYPE) {
        check_type(headers)?;
    }
    let bytes = body::read(headers, body, &site.limits.http).await?;
    if bytes.is_empty() {
        return Ok(());
    }
    check_type(headers)?;
    let Nothing {} = parse(&bytes)?;
    Ok(())
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes).map_err(|error| {
        let complaint: String = error.to_string().chars().filter(|c| !c.is_control()).take(COMPLAINT_CHARS).collect();
        Refusal::new(ProblemKind::InvalidRequest, format!("The body is not the JSON that is read here: {complaint}."))
    })
}

fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let said = types.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = said.split(';').next().unwrap_or_default().trim();
    if types.next().is_none() && media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Refusal::new(ProblemKind::UnsupportedMediaType, "Bodies are read here as application/json."))
}

/// A value as JSON, for the one who asked.
pub(crate) fn answer(status: StatusCode, value: &impl Serialize) -> Result<Response, Refusal> {
    text(status, serde_json::to_vec(value).map_err(|_| Problem::internal())?)
}

/// JSON as it is, for the one who asked.
pub(super) fn text(status: StatusCode, json: impl Into<bytes::Bytes>) -> Result<Response, Refusal> {
    Ok(Reply::new(status).header(header::CONTENT_TYPE, "application/json").cache(CachePolicy::Private).bytes(json))
}
