//! Tokens, for administrators. A token's text is in the answer that made it and nowhere else.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use portico_model::policy::{Role, Scope};
use portico_model::problem::Problem;
use portico_publish::TokenRequest;
use portico_store::TokenRecord;
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use super::asker::Member;
use super::json;
use crate::catalog::timestamp;
use crate::http::parameters::Parameters;
use crate::problem::{Refusal, problem_of_publish};
use crate::site::Site;

/// A token without its text.
#[derive(Debug, Serialize)]
struct TokenDocument {
    id: String,
    name: String,
    roles: Vec<Role>,
    scope: Scope,
    created: String,
    created_by: String,
    expires: String,
    revoked: Option<String>,
    /// To the hour or so.
    last_used: Option<String>,
}

impl TokenDocument {
    fn of(token: TokenRecord) -> Self {
        Self {
            id: token.id,
            name: token.name,
            roles: token.roles,
            scope: token.scope,
            created: timestamp(token.created_ms),
            created_by: token.created_by,
            expires: timestamp(token.expires_ms),
            revoked: token.revoked_ms.map(timestamp),
            last_used: token.last_used_ms.map(timestamp),
        }
    }
}

/// `GET /api/staff/tokens`.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    member: Member,
    query: Parameters,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Tokens {
        tokens: Vec<TokenDocument>,
    }

    query.finish("")?;
    let found = site.staff.publisher.tokens(&member.principal, site.now_ms()).await;
    let found = found.map_err(|error| problem_of_publish(&error))?;
    json::answer(StatusCode::OK, &Tokens { tokens: found.into_iter().map(TokenDocument::of).collect() })
}

/// What a new token is to be.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    name: String,
    roles: Vec<Role>,
    scope: Scope,
    days: u64,
}

/// `POST /api/staff/tokens`.
pub(crate) async fn create(
    State(site): State<Arc<Site>>,
    member: Member,
    query: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Made<'a> {
        /// Shown this once.
        text: &'a str,
        #[serde(flatten)]
        token: TokenDocument,
    }

    query.finish("")?;
    let Wanted { name, roles, scope, days } = json::read(&site, &headers, body).await?;
    let request = TokenRequest { name, roles, scope, days };
    let days_max = site.limits.staff.token_days;
    let made = site.staff.publisher.create_token(&member.principal, request, days_max, site.now_ms()).await;
    let (text, token) = made.map_err(|error| problem_of_publish(&error))?;
    json::answer(StatusCode::CREATED, &Made { text: text.reveal(), token: TokenDocument::of(token) })
}

/// `DELETE /api/staff/tokens/{id}`.
pub(crate) async fn revoke(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(id): Path<String>,
    query: Parameters,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let no_token = || Problem::not_found("token of that id");
    // Who may not revoke any does not learn which there are.
    let found = site.staff.publisher.tokens(&member.principal, site.now_ms()).await;
    found.map_err(|error| problem_of_publish(&error))?;
    if Ulid::from_string(&id).map(|ulid| ulid.to_string()).ok().as_deref() != Some(id.as_str()) {
        return Err(no_token().into());
    }
    let revoked = site.staff.publisher.revoke_token(&member.principal, &id, site.now_ms()).await;
    let revoked = revoked.map_err(|error| problem_of_publish(&error))?;
    json::answer(StatusCode::OK, &TokenDocument::of(revoked))
}
