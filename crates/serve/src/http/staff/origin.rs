//! On whose behalf a browser sends a request: browsers say it, and no page can make them say otherwise.

use http::header;
use http::request::Parts;
use portico_model::problem::ProblemKind;
use url::Url;

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
    let tls = parts.extensions.get::<Client>().is_some_and(|client| client.tls);
    let scheme = if tls { "https" } else { "http" };
    let own = |origin: Option<Url>| origin.is_some_and(|url| url.scheme() == scheme && is_own(&url, parts));
    let origin = origin(parts).map(own);
    // One of the two has to be there, and none may speak against it.
    match (site, origin) {
        (Some(true), Some(true) | None) | (None, Some(true)) => Ok(()),
        _ => Err(foreign()),
    }
}

/// The host that a request was sent to, with its port if one is said.
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
    // Browsers leave out the port that is the scheme's own; some proxies write it.
    let own = own_host(parts).and_then(|own| Url::parse(&format!("{}://{own}", origin.scheme())).ok());
    own.is_some_and(|own| own.origin().is_tuple() && own.origin() == origin.origin())
}

fn foreign() -> Refusal {
    Refusal::new(ProblemKind::Forbidden, "Another site sent this request: only this one's own pages may.")
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    #[test]
    fn a_port_that_is_the_schemes_own_may_be_said() {
        let fits = |tls: bool, host: &str, origin: &str| {
            let mut request = Request::builder().header("host", host).header("origin", origin).body(()).unwrap();
            request.extensions_mut().insert(Client { address: "203.0.113.5".parse().unwrap(), tls, host: None });
            check_browser(&request.into_parts().0).is_ok()
        };
        assert!(fits(true, "data.example", "https://data.example"));
        assert!(fits(true, "data.example:443", "https://data.example"));
        assert!(fits(false, "data.example:80", "http://data.example"));
        assert!(fits(true, "Data.Example:8443", "https://data.example:8443"));
        for (tls, host, origin) in [
            (true, "data.example:80", "https://data.example"),
            (true, "data.example", "https://data.example:444"),
            (true, "data.example:443", "http://data.example"),
            (false, "data.example", "https://data.example"),
            (true, "data.example", "https://evil.example"),
            (true, "data.example", "null"),
            (true, "", "https://data.example"),
        ] {
            assert!(!fits(tls, host, origin), "{tls} {host} {origin}");
        }
    }
}
