//! The page of what the public asks for, with the form to ask. `GET /requests`

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use portico_model::data_request::RequestStatus;

use super::text::day;
use super::{Frame, answer};
use crate::http::asker::Visit;
use crate::http::requests::{self, RequestDocument};
use crate::problem::Refusal;
use crate::site::Site;

#[derive(Template)]
#[template(path = "requests.html")]
struct RequestsPage {
    frame: Frame,
    /// Whether one has just been sent.
    received: bool,
    title_chars: u64,
    details_chars: u64,
    requests: Vec<Asked>,
}

struct Asked {
    title: String,
    details: String,
    department: String,
    status: &'static str,
    answer: String,
    dataset: String,
    received: String,
    received_day: String,
}

/// `GET /requests`.
pub(crate) async fn list(State(site): State<Arc<Site>>, visit: Visit) -> Result<Response, Refusal> {
    let mut query = visit.query;
    let received = query.take_bool("received")?.unwrap_or(false);
    query.finish("received")?;
    let limits = &site.limits.requests;
    let page = RequestsPage {
        frame: Frame::of(&site),
        received,
        title_chars: limits.title_chars,
        details_chars: limits.details_chars,
        requests: requests::shown(&site).await?.into_iter().map(asked).collect(),
    };
    answer(&visit.headers, &page)
}

fn asked(document: RequestDocument) -> Asked {
    // Only what is published has a page to go to.
    let dataset = document.dataset.filter(|_| document.status == RequestStatus::Published);
    Asked {
        status: match document.status {
            RequestStatus::Received => "received",
            RequestStatus::UnderReview => "under review",
            RequestStatus::Planned => "planned",
            RequestStatus::Published => "published",
            RequestStatus::Declined => "declined",
        },
        title: document.title,
        details: document.details,
        department: document.department,
        answer: document.answer,
        dataset: dataset.map(|name| name.to_string()).unwrap_or_default(),
        received_day: day(&document.received),
        received: document.received,
    }
}
