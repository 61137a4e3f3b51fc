//! On whose behalf a browser sends a request: browsers say it, and no page can make them say otherwise.

use http::header;
use http::request::Parts;
use portico_model::problem::ProblemKind;
use url::Url;

use super::cookies::Channel;
use crate::client::Client;
use crate::problem::Refusal;

/// Refuses what another site sends. Programs say nothing, and are not refused: a token is not sent by a browser on its own,
/// so that this is a second lock on a closed door.
pub(super) fn check_program(parts: &Parts) -> Result<(), Refusal> {
    let same_site = site(parts).is_none_or(|site| site == b"same-origin" || site == b"none");
    if same_site && origin(parts).is_none_or(|origin| origin.is_some_and(|url| is_own(&url, parts))) {
        return Ok(());
    }
    Err(foreign())
}

/// Refuses whatever a browser does not say was sent by a page of this site, with the scheme that it is served by.
pub(super) fn check_browser(parts: &Parts) -> Result<(), Refusal> {
    let site = site(parts).map(|site| site == b"same-origin");
    let scheme = if Channel::of(parts) == Some(Channel::Tls) { "https" } else { "http" };
    let own = |origin: Option<Url>| origin.is_some_and(|url| url.scheme() == scheme && is_own(&url, parts));
    let origin = origin(parts).map(own);
    // One of the two has to be there, and none may speak against it.
    match (site, origin) {
        (Some(true), Some(true) | None) | (None, Some(true)) => Ok(()),
        _ => Err(foreign()),
    }
}

/// The host that a request was sent to, with its port if it is not the scheme's own.
pub(super) fn own_host(parts: &Parts) -> Option<String> {
    let client = parts.extensions.get::<Client>().and_then(|client| client.host.clone());
    let host = || parts.headers.get(header::HOST).and_then(|host| host.to_str().ok().map(str::to_owned));
    client.or_else(host).or_else(|| parts.uri.authority().map(ToString::to_string))
}

fn site(parts: &Parts) -> Option<&[u8]> {
    parts.headers.get("sec-fetch-site").map(http::HeaderValue::as_bytes)
}

/// The origin that is said, if one is; `null` and what is no origin are none of ours.
fn origin(parts: &Parts) -> Option<Option<Url>> {
    let said = parts.headers.get(header::ORIGIN)?;
    Some(said.to_str().ok().and_then(|said| Url::parse(said).ok()))
}

fn is_own(origin: &Url, parts: &Parts) -> bool {
    let Some(host) = origin.host_str() else { return false };
    let authority = origin.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
    own_host(parts).is_some_and(|own| own == authority)
}

fn foreign() -> Refusal {
    Refusal::new(ProblemKind::Forbidden, "Another site sent this request: only this one's own pages may.")
}
