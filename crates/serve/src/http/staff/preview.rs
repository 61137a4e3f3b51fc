//! What a release would make public, and what it would change. Only for whoever may see rows of staging, and in no cache.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use http::StatusCode;
use portico_model::problem::Problem;
use serde::Serialize;

use super::asker::Member;
use super::datasets::failed;
use super::json;
use super::revisions::known;
use crate::http::parameters::Parameters;
use crate::problem::Refusal;
use crate::site::Site;

/// A look at a revision: who, which, and what is said with it.
type Look = (State<Arc<Site>>, Member, Path<String>, Parameters);

/// `GET /api/staff/revisions/{id}/preview`: all that would be public but the rows, and what approval is bound to.
pub(crate) async fn preview((State(site), member, Path(id), query): Look) -> Result<Response, Refusal> {
    query.finish("")?;
    let seen = site.staff.publisher.look(&member.principal, known(&id)?, site.now_ms()).await;
    json::answer(StatusCode::OK, &seen.map_err(failed)?)
}

/// `GET /api/staff/revisions/{id}/difference`: answers when all rows of both versions were read.
pub(crate) async fn difference((State(site), member, Path(id), query): Look) -> Result<Response, Refusal> {
    query.finish("")?;
    let (publisher, id) = (&site.staff.publisher, known(&id)?);
    // Nobody takes a place who may not.
    publisher.look(&member.principal, id, site.now_ms()).await.map_err(failed)?;
    let _place = site.staff.screening()?;
    let found = publisher.difference(&member.principal, id, site.now_ms()).await;
    json::answer(StatusCode::OK, &found.map_err(failed)?)
}

/// `GET /api/staff/revisions/{id}/rows`: rows of exactly what would be public, the first ones or those from `offset` on.
pub(crate) async fn rows((State(site), member, Path(id), mut query): Look) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Head<'a> {
        revision: &'a str,
        digest: &'a str,
        rows_in_all: u64,
        columns: &'a [String],
        offset: u64,
        next_offset: Option<u64>,
    }

    let offset = query.take_number("offset")?.unwrap_or(0);
    query.finish("offset")?;
    let (publisher, id) = (&site.staff.publisher, known(&id)?);
    let seen = if offset == 0 {
        publisher.first_rows(&member.principal, id, site.now_ms()).await
    } else {
        publisher.look(&member.principal, id, site.now_ms()).await.map_err(failed)?;
        let _place = site.staff.screening()?;
        publisher.rows_from(&member.principal, id, offset, site.now_ms()).await
    };
    let seen = seen.map_err(failed)?;
    let head = Head {
        revision: id,
        digest: &seen.digest,
        rows_in_all: seen.total,
        columns: &seen.columns,
        offset: seen.offset,
        next_offset: seen.next,
    };
    let mut document = serde_json::to_string(&head).map_err(|_| Problem::internal())?;
    document.pop();
    // The rows are JSON already, spelt as the public would get them.
    document.push_str(",\"rows\":[");
    document.push_str(&seen.rows.join(","));
    document.push_str("]}");
    json::text(StatusCode::OK, document)
}
