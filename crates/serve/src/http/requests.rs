//! Requests of the public for data. `GET, POST /api/requests`, and the form of the page `/requests`

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use portico_model::data_request::{DataRequest, RequestStatus};
use portico_model::name::DatasetName;
use portico_model::problem::{Problem, ProblemKind};
use portico_publish::Wish;
use serde::Serialize;

use crate::catalog::timestamp;
use crate::http::asker::Asker;
use crate::http::body;
use crate::http::cache::CachePolicy;
use crate::http::parameters::Parameters;
use crate::http::reply::{self, Reply};
use crate::http::staff::asker::OwnSite;
use crate::http::staff::json;
use crate::problem::{Refusal, problem_of_publish};
use crate::site::Site;
use crate::staff::Written;

/// A request as the public sees it: nobody's address, nothing that staff have not read.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RequestDocument {
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) details: String,
    pub(crate) department: String,
    pub(crate) status: RequestStatus,
    pub(crate) answer: String,
    pub(crate) dataset: Option<DatasetName>,
    pub(crate) received: String,
}

/// The requests that staff show, newest first.
///
/// # Errors
/// The store's own.
pub(crate) async fn shown(site: &Site) -> Result<Vec<RequestDocument>, Refusal> {
    let document = |request: DataRequest| RequestDocument {
        id: request.id,
        title: request.title,
        details: request.details,
        department: request.department,
        status: request.status,
        answer: request.answer,
        dataset: request.dataset,
        received: timestamp(request.received_ms),
    };
    let found = site.staff.publisher.shown_requests().await.map_err(|error| problem_of_publish(&error))?;
    Ok(found.into_iter().map(document).collect())
}

/// `GET /api/requests`.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    query: Parameters,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Requests {
        requests: Vec<RequestDocument>,
    }

    query.finish("")?;
    reply::json(&headers, &Requests { requests: shown(&site).await? }, CachePolicy::Revalidate)
}

/// `POST /api/requests`.
pub(crate) async fn receive(
    State(site): State<Arc<Site>>,
    Asker(caller): Asker,
    _own: OwnSite,
    query: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Received {
        status: RequestStatus,
    }

    query.finish("")?;
    let wish: Wish = json::read(&site, &headers, body).await?;
    count(&site, &caller.address_block)?;
    let request = take(&site, &caller.principal, wish).await?;
    // Without its id: sent again, that would tell whether and when somebody else has asked for the same.
    let text = serde_json::to_vec(&Received { status: request.status });
    let text = text.map_err(|_| Problem::internal())?;
    let reply = Reply::new(StatusCode::CREATED).header(header::CONTENT_TYPE, "application/json");
    Ok(reply.cache(CachePolicy::Never).bytes(text))
}

/// `POST /requests`: the form of the page.
pub(crate) async fn receive_form(
    State(site): State<Arc<Site>>,
    Asker(caller): Asker,
    _own: OwnSite,
    query: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if !kind.starts_with(b"application/x-www-form-urlencoded") {
        let detail = "The form of the page is read here; programs send JSON to /api/requests.";
        return Err(Refusal::new(ProblemKind::UnsupportedMediaType, detail));
    }
    let bytes = body::read(&headers, body, &site.limits.http).await?;
    let text = str::from_utf8(&bytes)
        .map_err(|_| Refusal::new(ProblemKind::InvalidRequest, "The form is not percent-encoded UTF-8."))?;
    let mut fields = Parameters::parse(text)?;
    let mut field = |name: &str| fields.take(name).unwrap_or_default();
    let wish = Wish {
        title: field("title"),
        details: field("details"),
        department: field("department"),
        contact: field("contact"),
    };
    fields.finish("title, details, department, contact")?;
    count(&site, &caller.address_block)?;
    take(&site, &caller.principal, wish).await?;
    let reply = Reply::new(StatusCode::SEE_OTHER).header(header::LOCATION, site.url("/requests?received=true"));
    Ok(reply.cache(CachePolicy::Never).bytes(""))
}

fn count(site: &Site, block: &str) -> Result<(), Problem> {
    site.staff.written(Written::Request, block, site.limits.requests.per_address_hour, site.now_ms())
}

async fn take(site: &Site, principal: &portico_model::policy::Principal, wish: Wish) -> Result<DataRequest, Refusal> {
    let (publisher, limits) = (&site.staff.publisher, &site.limits.requests);
    let received = publisher.receive_request(principal, wish, limits, site.now_ms()).await;
    received.map_err(|error| problem_of_publish(&error).into())
}
