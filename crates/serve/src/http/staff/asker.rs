//! Who asks among the staff: whoever shows a token, or whoever is signed in at the browser.
//!
//! A program shows a token with each request, which no browser does on its own. A browser shows its session's cookie
//! whoever makes it send the request, so that with a session a step wants two more things: that the browser says the
//! request came from a page of ours, and a text that only our pages of that session have.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, Method, header};
use portico_model::policy::{Principal, Role, Scope};
use portico_model::problem::{Problem, ProblemKind};
use portico_publish::SessionText;
use portico_store::{SessionRecord, TokenRecord};
use sha2::{Digest as _, Sha256};

use super::cookies::{self, Channel};
use super::origin;
use crate::problem::{Refusal, problem_of_publish};
use crate::site::Site;

/// The header with which a script says the text of its session.
const CSRF: &str = "x-portico-csrf";

/// Somebody with a good token or session, on a request that no other site has made them send.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) roles: Vec<Role>,
    pub(crate) scope: Scope,
    pub(crate) principal: Principal,
    pub(crate) credential: Credential,
}

/// What somebody shows.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    Token(TokenRecord),
    Session {
        record: SessionRecord,
        /// What a page of this session says with each step.
        csrf: String,
    },
}

impl FromRequestParts<Arc<Site>> for Member {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Refusal> {
        let member = shown(parts, site).await?.ok_or_else(unknown)?;
        if changes(&parts.method) {
            member.check_origin(parts)?;
            let mut said = parts.headers.get_all(CSRF).iter();
            let said = said.next().filter(|_| said.next().is_none()).and_then(|said| said.to_str().ok());
            member.check_csrf(said)?;
        }
        Ok(member)
    }
}

/// A request that no other site has made a browser send: what changes something without a token asks for that much.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnSite;

impl<S: Sync> FromRequestParts<S> for OwnSite {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Refusal> {
        origin::check_program(parts).map(|()| Self)
    }
}

/// Whoever it is that may be there, for pages that show something to those who are not signed in, too.
#[derive(Clone, Debug)]
pub(crate) struct Somebody(pub(crate) Option<Member>);

impl FromRequestParts<Arc<Site>> for Somebody {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Refusal> {
        Ok(Self(shown(parts, site).await?))
    }
}

impl Member {
    fn of_token(token: TokenRecord) -> Self {
        let (name, roles, scope) = (token.name.clone(), token.roles.clone(), token.scope.clone());
        Self::new((name, roles, scope), Credential::Token(token))
    }

    fn of_session(record: SessionRecord, text: &SessionText) -> Self {
        let (name, roles, scope) = (record.name.clone(), record.roles.clone(), record.scope.clone());
        Self::new((name, roles, scope), Credential::Session { record, csrf: text.form_token() })
    }

    fn new((name, roles, scope): (String, Vec<Role>, Scope), credential: Credential) -> Self {
        let principal = Principal::Staff { name: name.clone(), roles: roles.clone(), scope: scope.clone() };
        Self { name, roles, scope, principal, credential }
    }

    /// From when on it is not good any more, at the latest.
    pub(crate) const fn expires_ms(&self) -> i64 {
        match &self.credential {
            Credential::Token(token) => token.expires_ms,
            Credential::Session { record, .. } => record.expires_ms,
        }
    }

    /// What this session's pages say with each step; empty for a token, which needs none.
    pub(crate) fn csrf(&self) -> &str {
        match &self.credential {
            Credential::Token(_) => "",
            Credential::Session { csrf, .. } => csrf,
        }
    }

    /// Refuses a request that another site has made the browser send.
    pub(super) fn check_origin(&self, parts: &Parts) -> Result<(), Refusal> {
        match &self.credential {
            Credential::Token(_) => origin::check_program(parts),
            Credential::Session { .. } => origin::check_browser(parts),
        }
    }

    /// Refuses a step that no page of this session has asked for.
    pub(super) fn check_csrf(&self, said: Option<&str>) -> Result<(), Refusal> {
        let Credential::Session { csrf, .. } = &self.credential else { return Ok(()) };
        // Digests are compared, so that the time that it takes tells nothing.
        if said.is_some_and(|said| Sha256::digest(said.as_bytes()) == Sha256::digest(csrf.as_bytes())) {
            return Ok(());
        }
        let detail = "This step was not asked for on a page of your session. Open the page again and repeat it.";
        Err(Refusal::new(ProblemKind::Forbidden, detail))
    }
}

/// Whether a request with this method may change something.
pub(super) fn changes(method: &Method) -> bool {
    !matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whoever it is that the request shows. A token goes before a cookie, and a bad one is not made good by a cookie.
pub(super) async fn shown(parts: &Parts, site: &Site) -> Result<Option<Member>, Problem> {
    if parts.headers.contains_key(header::AUTHORIZATION) {
        let Some(shown) = bearer(&parts.headers) else { return Ok(None) };
        return identify(site, shown).await;
    }
    let Some(channel) = Channel::of(parts, site.settings.public_url.as_deref()) else { return Ok(None) };
    let Some(text) = cookies::read(&parts.headers, channel.session()).and_then(SessionText::parse) else {
        return Ok(None);
    };
    let found = site.staff.publisher.session(&text, site.now_ms()).await;
    Ok(found.map_err(|error| problem_of_publish(&error))?.map(|record| Member::of_session(record, &text)))
}

/// Whoever holds a token; none and a bad one are the same answer.
pub(crate) async fn identify(site: &Site, shown: &str) -> Result<Option<Member>, Problem> {
    let found = site.staff.publisher.identify(shown, site.now_ms()).await;
    Ok(found.map_err(|error| problem_of_publish(&error))?.map(Member::of_token))
}

/// The answer to whoever shows nothing that is good.
pub(crate) fn unknown() -> Problem {
    let detail = "This wants a good staff token: Authorization: Bearer portico_… (an administrator gives one). \
                  At a browser, sign in at /staff.";
    Problem::new(ProblemKind::Unauthenticated, detail)
}

/// The token of the one `Authorization` header.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut shown = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(one), None) = (shown.next(), shown.next()) else { return None };
    let (scheme, token) = one.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}
