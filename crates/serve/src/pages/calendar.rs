//! The release calendar for people. `GET /calendar`

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::{Frame, answer};
use crate::catalog::{self, CalendarEntry, CalendarKind};
use crate::http::asker::Visit;
use crate::problem::Refusal;
use crate::site::Site;

#[derive(Template)]
#[template(path = "calendar.html")]
struct CalendarPage {
    frame: Frame,
    late: Vec<Line>,
    coming: Vec<Line>,
}

struct Line {
    /// Empty where the dataset is not public yet.
    href: String,
    title: String,
    department: String,
    what: &'static str,
    expected: String,
    shown: String,
}

/// `GET /calendar`.
pub(crate) async fn calendar(State(site): State<Arc<Site>>, visit: Visit) -> Result<Response, Refusal> {
    visit.query.finish("")?;
    let (late, coming) = catalog::calendar(&site).await?.entries.into_iter().partition::<Vec<_>, _>(|entry| entry.late);
    let lines = |entries: Vec<CalendarEntry>| entries.into_iter().map(line).collect();
    answer(&visit.headers, &CalendarPage { frame: Frame::of(&site), late: lines(late), coming: lines(coming) })
}

fn line(entry: CalendarEntry) -> Line {
    Line {
        href: entry.url.map(|_| format!("/datasets/{}", entry.dataset)).unwrap_or_default(),
        title: entry.title,
        department: entry.department,
        what: match entry.kind {
            CalendarKind::Release => "Release",
            CalendarKind::Refresh => "Refresh",
        },
        shown: entry.expected.replace('T', " ").replace(":00Z", " UTC").replace('Z', " UTC"),
        expected: entry.expected,
    }
}
