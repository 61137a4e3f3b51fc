//! Bulk downloads: a version of a dataset as one file in any format, whole or in part.
//!
//! ```text
//! GET, HEAD /datasets/{name}.{ext}                      the current version
//! GET, HEAD /datasets/{name}/versions/{n}.{ext}         one version, immutable for ever
//! ```
//!
//! The bytes are the same every time, so that a range of them means something. A plain `GET` streams while the file
//! is being made; a `HEAD` or a range waits until it is complete, because only then its length is known.

use std::sync::Arc;

use axum::response::Response;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use portico_model::format::FileKind;
use portico_model::name::{DatasetName, VersionNumber};
use portico_model::problem::ProblemKind;
use portico_query::answer::Caller;
use portico_query::exports::{Export, ExportRequest};

use crate::http::cache::CachePolicy;
use crate::http::conditional::{self, Condition};
use crate::http::download_request::DownloadRequest;
use crate::http::names;
use crate::http::parameters::Parameters;
use crate::http::ranges::{self, Part};
use crate::http::reply::{self, Reply};
use crate::http::terms;
use crate::problem::Refusal;
use crate::site::Site;

const X_VERSION: HeaderName = HeaderName::from_static("x-portico-version");
const X_ROWS: HeaderName = HeaderName::from_static("x-portico-rows");
/// RFC 9530.
const REPR_DIGEST: HeaderName = HeaderName::from_static("repr-digest");

/// The file that a path names.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    pub(crate) dataset: DatasetName,
    /// `None` is whichever is current.
    pub(crate) version: Option<VersionNumber>,
    pub(crate) kind: FileKind,
}

/// A request for a file, apart from what it names.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) caller: Caller,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Parameters,
}

/// Answers a download.
///
/// # Errors
/// Every problem that the gate, the limits, the preconditions and the range can give.
pub(crate) async fn download(site: &Arc<Site>, named: Named, wanted: Wanted) -> Result<Response, Refusal> {
    let request = DownloadRequest::read(wanted.query)?;
    let export = site.questions.export(&export_request(site, &named, &request, wanted.caller)).await?;
    let target = Target {
        location: request.link(&version_path(&export.version.dataset, export.version.version, named.kind)),
        inline: request.inline,
        policy: if named.version.is_some() { CachePolicy::Immutable } else { CachePolicy::Revalidate },
    };
    respond(site, export, &target, (&wanted.method, &wanted.headers)).await
}

fn export_request(site: &Site, named: &Named, request: &DownloadRequest, caller: Caller) -> ExportRequest {
    ExportRequest {
        dataset: named.dataset.clone(),
        version: named.version,
        kind: named.kind,
        select: request.select.clone(),
        filter: request.filter.clone(),
        order: request.order.clone(),
        limit: request.limit,
        offset: request.offset,
        options: request.options.clone(),
        caller,
        now_ms: site.now_ms(),
    }
}

/// How a file is presented, apart from its bytes.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// The path, with its query string, that always gives these bytes.
    pub(crate) location: String,
    /// Whether a browser may show the file instead of saving it.
    pub(crate) inline: bool,
    pub(crate) policy: CachePolicy,
}

/// Answers a file that there is: preconditions first, then the range, then the bytes.
pub(crate) async fn respond(
    site: &Site,
    mut export: Export,
    target: &Target,
    (method, headers): (&Method, &HeaderMap),
) -> Result<Response, Refusal> {
    let head_only = method == Method::HEAD;
    let links = &terms::links(site, [export.version.dataset.clone()]).await?;
    let etag = format!("\"{}\"", export.etag);
    let modified = Some(export.last_modified_ms);
    if conditional::evaluate(headers, &etag, modified)? == Condition::NotModified {
        return Ok(describe(site, &export, (target, links), StatusCode::NOT_MODIFIED).empty());
    }
    let asked = ranges::asked(headers).filter(|_| !head_only && conditional::range_applies(headers, &etag, modified));
    if head_only || asked.is_some() {
        export.ready().await?;
    }
    let part = match (asked, export.length) {
        (Some(asked), Some(length)) => asked.of(length),
        _ => Part::Whole,
    };
    // Reading comes before the headers: a file that is complete within a moment has a length and a number of rows.
    let (status, stream) = match &part {
        _ if head_only => (StatusCode::OK, None),
        Part::Whole => (StatusCode::OK, Some(reply::begun(export.read(None).await?).await?)),
        Part::Bytes(range) => {
            (StatusCode::PARTIAL_CONTENT, Some(reply::begun(export.read(Some(range.clone())).await?).await?))
        }
        Part::Unsatisfiable => return Err(outside(export.length.unwrap_or(0))),
    };
    let reply = describe(site, &export, (target, links), status)
        .header(header::CONTENT_TYPE, export.kind.content_type())
        .header(header::CONTENT_DISPOSITION, names::disposition(target.inline, &export.file_name));
    let Some(stream) = stream else { return Ok(reply.head(export.length)) };
    let Part::Bytes(range) = part else { return Ok(reply.stream(stream, export.length)) };
    let length = export.length.unwrap_or(range.end);
    let content_range = format!("bytes {}-{}/{length}", range.start, range.end.saturating_sub(1));
    Ok(reply.header(header::CONTENT_RANGE, content_range).stream(stream, Some(range.end - range.start)))
}

/// The headers that `200`, `206`, `304` and `HEAD` share.
fn describe(site: &Site, export: &Export, (target, links): (&Target, &[String]), status: StatusCode) -> Reply {
    let url = Some(site.url(&target.location)).filter(|url| url.len() <= names::LINK_BYTES_MAX);
    Reply::new(status)
        .header(header::ETAG, format!("\"{}\"", export.etag))
        .header(header::LAST_MODIFIED, conditional::http_date(export.last_modified_ms))
        .header(header::ACCEPT_RANGES, "bytes")
        .header_opt(REPR_DIGEST, export.sha256.as_deref().and_then(repr_digest))
        .header_opt(header::LINK, url.as_deref().map(|url| names::link(url, "cite-as")))
        .headers(header::LINK, links)
        .header_opt(header::CONTENT_LOCATION, url.is_some().then_some(&target.location))
        .header(X_VERSION, export.version.version.to_string())
        .header_opt(X_ROWS, export.rows.map(|rows| rows.to_string()))
        .cache(target.policy)
}

/// `416` with the length that there is.
fn outside(length: u64) -> Refusal {
    let refusal =
        Refusal::new(ProblemKind::RangeNotSatisfiable, format!("The file has {length} bytes; the range begins after."));
    match HeaderValue::from_str(&format!("bytes */{length}")) {
        Ok(value) => refusal.with_header(header::CONTENT_RANGE, value),
        Err(_) => refusal,
    }
}

/// The path of one version in one format.
pub(crate) fn version_path(dataset: &DatasetName, version: VersionNumber, kind: FileKind) -> String {
    format!("/datasets/{dataset}/versions/{version}.{}", kind.extension())
}

/// `sha-256=:BASE64:` of a digest in hex.
fn repr_digest(hex: &str) -> Option<String> {
    let digits: Vec<u8> =
        hex.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect::<Option<_>>()?;
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let bytes: Vec<u8> = pairs.iter().map(|[high, low]| high * 16 + low).collect();
    Some(format!("sha-256=:{}:", BASE64_STANDARD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_structured_fields() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(repr_digest(empty).unwrap(), "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:");
        assert_eq!(repr_digest("abc"), None);
        assert_eq!(repr_digest("zz"), None);
    }
}
