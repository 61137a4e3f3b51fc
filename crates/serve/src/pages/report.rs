//! The page of an annual report: its tables, what staff recommend, and what the public says. `GET /reports/{year}`

use askama::Template;
use axum::response::Response;
use http::HeaderMap;

use super::{Frame, answer};
use crate::http::records::ReportDocument;
use crate::problem::Refusal;
use crate::site::Site;

#[derive(Template)]
#[template(path = "report.html")]
struct ReportPage {
    frame: Frame,
    report: ReportDocument,
    /// What staff recommend, by paragraph.
    paragraphs: Vec<String>,
    thanks: bool,
}

/// Answers the page of a published report; `thanks` to whoever has just commented.
pub(crate) fn report(
    site: &Site,
    headers: &HeaderMap,
    report: ReportDocument,
    thanks: bool,
) -> Result<Response, Refusal> {
    let lines = report.recommendations.lines().map(str::trim).filter(|line| !line.is_empty());
    let paragraphs = lines.map(str::to_owned).collect();
    answer(headers, &ReportPage { frame: Frame::of(site), paragraphs, report, thanks })
}
