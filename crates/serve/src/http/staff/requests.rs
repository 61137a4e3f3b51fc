//! Requests of the public, for those who answer them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode};
use portico_model::data_request::{DataRequest, RequestStatus};
use portico_model::name::DatasetName;
use portico_publish::{PublishError, RequestAnswer};
use serde::Serialize;

use super::asker::Member;
use super::json;
use crate::catalog::timestamp;
use crate::http::parameters::Parameters;
use crate::problem::{Refusal, problem_of_publish};
use crate::site::Site;

/// A request with all that staff know of it.
#[derive(Debug, Serialize)]
struct StaffRequest {
    id: String,
    title: String,
    details: String,
    department: String,
    contact: String,
    status: RequestStatus,
    answer: String,
    dataset: Option<DatasetName>,
    shown: bool,
    findings: Vec<String>,
    received: String,
    updated: String,
}

impl StaffRequest {
    fn of(request: DataRequest) -> Self {
        Self {
            id: request.id,
            title: request.title,
            details: request.details,
            department: request.department,
            contact: request.contact,
            status: request.status,
            answer: request.answer,
            dataset: request.dataset,
            shown: request.shown,
            findings: request.findings,
            received: timestamp(request.received_ms),
            updated: timestamp(request.updated_ms),
        }
    }
}

/// `GET /api/staff/requests`: all of them, newest first.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    member: Member,
    query: Parameters,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Requests {
        requests: Vec<StaffRequest>,
    }

    query.finish("")?;
    let found = site.staff.publisher.requests(&member.principal, site.now_ms()).await.map_err(failed)?;
    json::answer(StatusCode::OK, &Requests { requests: found.into_iter().map(StaffRequest::of).collect() })
}

/// `PUT /api/staff/requests/{id}`: what is not said stays as it is.
pub(crate) async fn answer(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(id): Path<String>,
    query: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let said: RequestAnswer = json::read(&site, &headers, body).await?;
    let (publisher, limits) = (&site.staff.publisher, &site.limits.requests);
    let answered = publisher.answer_request(&member.principal, &id, said, limits, site.now_ms()).await;
    json::answer(StatusCode::OK, &StaffRequest::of(answered.map_err(failed)?))
}

fn failed(error: PublishError) -> Refusal {
    problem_of_publish(&error).into()
}
