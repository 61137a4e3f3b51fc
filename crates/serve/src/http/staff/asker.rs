//! Who shows which token.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, Method, header};
use portico_model::policy::Principal;
use portico_model::problem::{Problem, ProblemKind};
use portico_store::TokenRecord;
use url::Url;

use crate::client::Client;
use crate::problem::{Refusal, problem_of_publish};
use crate::site::Site;

/// Somebody with a good token, on a request that no other site has made them send.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) token: TokenRecord,
    pub(crate) principal: Principal,
}

impl FromRequestParts<Arc<Site>> for Member {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Refusal> {
        let shown = bearer(&parts.headers).ok_or_else(unknown)?;
        let member = identify(site, shown).await?.ok_or_else(unknown)?;
        check_origin(parts)?;
        Ok(member)
    }
}

/// A request that no other site has made a browser send: what changes something without a token asks for that much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnSite;

impl<S: Sync> FromRequestParts<S> for OwnSite {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        check_origin(parts).map(|()| Self)
    }
}

/// Whoever holds a token; none and a bad one are the same answer.
pub(crate) async fn identify(site: &Site, shown: &str) -> Result<Option<Member>, Problem> {
    let found = site.staff.publisher.identify(shown, site.now_ms()).await;
    let token = found.map_err(|error| problem_of_publish(&error))?;
    Ok(token.map(|token| {
        let principal =
            Principal::Staff { name: token.name.clone(), roles: token.roles.clone(), scope: token.scope.clone() };
        Member { token, principal }
    }))
}

/// The answer to whoever shows no good token.
pub(crate) fn unknown() -> Problem {
    let detail = "This wants a good staff token: Authorization: Bearer portico_… (an administrator gives one).";
    Problem::new(ProblemKind::Unauthenticated, detail)
}

/// The token of the one `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut shown = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(one), None) = (shown.next(), shown.next()) else { return None };
    let (scheme, token) = one.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// Browsers say on whose behalf they change something; programs say nothing. A token is not sent by a browser on its
/// own, so that this is a second lock on a closed door.
fn check_origin(parts: &Parts) -> Result<(), Refusal> {
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let client = parts.extensions.get::<Client>().and_then(|client| client.host.clone());
    let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok().map(str::to_owned));
    let own = client.or(host).or_else(|| parts.uri.authority().map(ToString::to_string));
    let site = parts.headers.get("sec-fetch-site").map(|site| site.as_bytes().to_owned());
    let same_site = site.is_none_or(|site| site == b"same-origin" || site == b"none");
    let same_origin = match parts.headers.get(header::ORIGIN) {
        None => true,
        Some(origin) => origin.to_str().ok().and_then(authority).is_some_and(|origin| Some(origin) == own),
    };
    if same_site && same_origin {
        return Ok(());
    }
    Err(Refusal::new(ProblemKind::Forbidden, "Another site sent this request: only this one's own pages may."))
}

/// The host of an origin, with its port if it is not the scheme's own.
fn authority(origin: &str) -> Option<String> {
    let url = Url::parse(origin).ok()?;
    let host = url.host_str()?;
    Some(url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}")))
}
