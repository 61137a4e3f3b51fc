//! Releases at a time that was set.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use portico_publish::{PublishError, Scheduled};
use serde::{Deserialize, Serialize};

use super::asker::Member;
use super::documents::RevisionDocument;
use super::json;
use super::revisions::known;
use crate::catalog::timestamp;
use crate::http::parameters::Parameters;
use crate::problem::{Refusal, problem_of_publish};
use crate::site::Site;

/// `POST /api/staff/revisions/{id}/schedule`: when the clock is to release it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// RFC 3339, or a wall clock's time in the portal's time zone or in one that follows it.
    release_at: String,
    /// Whether the public may know of it before.
    #[serde(default)]
    announce: Option<bool>,
}

/// See [`Wanted`].
pub(crate) async fn schedule(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(id): Path<String>,
    query: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let Wanted { release_at, announce } = json::read(&site, &headers, body).await?;
    let (publisher, principal, id) = (&site.staff.publisher, &member.principal, known(&id)?);
    let release_at_ms = publisher.moment(&release_at).map_err(failed)?;
    let revision = publisher.schedule(principal, id, (release_at_ms, announce), site.now_ms()).await.map_err(failed)?;
    json::answer(StatusCode::OK, &RevisionDocument::of(revision))
}

/// `POST /api/staff/revisions/{id}/unschedule`: it is approved, as before.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Lifting {
    reason: String,
}

/// See [`Lifting`].
pub(crate) async fn unschedule(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(id): Path<String>,
    query: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let Lifting { reason } = json::read(&site, &headers, body).await?;
    let publisher = &site.staff.publisher;
    let revision = publisher.unschedule(&member.principal, known(&id)?, &reason, site.now_ms()).await;
    json::answer(StatusCode::OK, &RevisionDocument::of(revision.map_err(failed)?))
}

/// A release that waits for its time, as staff see it.
#[derive(Debug, Serialize)]
struct ScheduleEntry {
    revision: String,
    dataset: String,
    title: String,
    release_at: String,
    /// Whether the public is told of it.
    announced: bool,
    scheduled: String,
    scheduled_by: String,
    /// Whether its time has passed.
    late: bool,
    tries: u64,
    /// When it is tried next; none when it waits for people.
    next_try: Option<String>,
    failure: Option<String>,
}

impl ScheduleEntry {
    fn of(Scheduled { schedule, revision }: Scheduled, now_ms: i64) -> Self {
        Self {
            revision: schedule.revision,
            dataset: schedule.dataset.to_string(),
            title: revision.metadata.title,
            release_at: timestamp(schedule.release_at_ms),
            announced: schedule.announced,
            scheduled: timestamp(schedule.scheduled_ms),
            scheduled_by: schedule.scheduled_by,
            late: schedule.release_at_ms < now_ms,
            tries: schedule.tries,
            next_try: schedule.next_try_ms.map(timestamp),
            failure: schedule.failure,
        }
    }
}

/// `GET /api/staff/schedules`: late ones first.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    member: Member,
    query: Parameters,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Schedules {
        schedules: Vec<ScheduleEntry>,
    }

    query.finish("")?;
    let now_ms = site.now_ms();
    let seen = site.staff.publisher.scheduled(&member.principal, now_ms).await.map_err(failed)?;
    let schedules = seen.into_iter().map(|scheduled| ScheduleEntry::of(scheduled, now_ms)).collect();
    json::answer(StatusCode::OK, &Schedules { schedules })
}

fn failed(error: PublishError) -> Refusal {
    problem_of_publish(&error).into()
}
