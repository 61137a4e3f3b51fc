//! Sessions and sign-in links, for administrators. A link's text is in the answer that made it and nowhere else.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use portico_model::policy::{Role, Scope};
use portico_model::problem::ProblemKind;
use portico_publish::{Holder, LinkRequest};
use portico_store::{SessionOrigin, SessionRecord};
use serde::{Deserialize, Serialize};

use super::asker::Member;
use super::json;
use super::signin::link_path;
use crate::catalog::timestamp;
use crate::http::parameters::Parameters;
use crate::problem::{Refusal, problem_of_publish};
use crate::site::Site;

/// A session without its text.
#[derive(Debug, Serialize)]
struct SessionDocument {
    id: String,
    name: String,
    roles: Vec<Role>,
    scope: Scope,
    /// `link` or `provider`.
    by: &'static str,
    started: String,
    expires: String,
    /// To the minute or so.
    last_used: String,
    ended: Option<String>,
    /// Whether it lets somebody in now.
    good: bool,
}

impl SessionDocument {
    fn of(session: SessionRecord, now_ms: i64) -> Self {
        Self {
            good: session.is_good(now_ms),
            by: match session.origin {
                SessionOrigin::Link(_) => "link",
                SessionOrigin::Provider(_) => "provider",
            },
            id: session.id,
            name: session.name,
            roles: session.roles,
            scope: session.scope,
            started: timestamp(session.created_ms),
            expires: timestamp(session.expires_ms),
            last_used: timestamp(session.used_ms),
            ended: session.ended_ms.map(timestamp),
        }
    }
}

#[derive(Serialize)]
struct Sessions {
    sessions: Vec<SessionDocument>,
}

impl Sessions {
    fn of(found: Vec<SessionRecord>, now_ms: i64) -> Self {
        Self { sessions: found.into_iter().map(|session| SessionDocument::of(session, now_ms)).collect() }
    }
}

/// `GET /api/staff/sessions`.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    member: Member,
    query: Parameters,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let now_ms = site.now_ms();
    let found = site.staff.publisher.sessions(&member.principal, now_ms).await;
    json::answer(StatusCode::OK, &Sessions::of(found.map_err(|error| problem_of_publish(&error))?, now_ms))
}

/// `DELETE /api/staff/sessions?name=…` or `?all=true`: all sessions of a person, or of everybody.
pub(crate) async fn end_all(
    State(site): State<Arc<Site>>,
    member: Member,
    mut query: Parameters,
) -> Result<Response, Refusal> {
    let name = query.take_filled("name");
    let all = query.take_bool("all")?.unwrap_or(false);
    query.finish("name, all")?;
    let (publisher, now_ms) = (&site.staff.publisher, site.now_ms());
    let ended = match (name, all) {
        (Some(name), false) => publisher.end_sessions_of(&member.principal, &name, now_ms).await,
        (None, true) => publisher.end_all_sessions(&member.principal, now_ms).await,
        _ => {
            let detail = "Whose sessions are to end? Either ?name=… or ?all=true.";
            return Err(Refusal::new(ProblemKind::InvalidRequest, detail));
        }
    };
    json::answer(StatusCode::OK, &Sessions::of(ended.map_err(|error| problem_of_publish(&error))?, now_ms))
}

/// `DELETE /api/staff/sessions/{id}`.
pub(crate) async fn end(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(id): Path<String>,
    query: Parameters,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let (publisher, now_ms) = (&site.staff.publisher, site.now_ms());
    let ended = publisher.end_session(&member.principal, &id, now_ms).await;
    let ended = ended.map_err(|error| problem_of_publish(&error))?;
    json::answer(StatusCode::OK, &SessionDocument::of(ended, now_ms))
}

/// Whom a new link is to sign in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    roles: Vec<Role>,
    scope: Scope,
}

/// `POST /api/staff/links`.
pub(crate) async fn link(
    State(site): State<Arc<Site>>,
    member: Member,
    query: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Made {
        id: String,
        /// Shown this once: the page of this portal that signs its holder in.
        path: String,
        expires: String,
    }

    query.finish("")?;
    let Wanted { name, roles, scope } = json::read(&site, &headers, body).await?;
    let request = LinkRequest { holder: Holder { name, roles, scope }, minutes: site.limits.staff.link_minutes };
    let made = site.staff.publisher.create_link(&member.principal, request, site.now_ms()).await;
    let (text, link) = made.map_err(|error| problem_of_publish(&error))?;
    let made = Made { id: link.id, path: link_path(&text), expires: timestamp(link.expires_ms) };
    json::answer(StatusCode::CREATED, &made)
}
