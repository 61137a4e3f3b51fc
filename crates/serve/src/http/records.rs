//! What the portal says of itself: how it is used, and its annual reports with what the public says of them.
//!
//! ```text
//! GET /api/usage?from=&to=      GET /api/reports[/{year}]      POST /api/reports/{year}/comments      GET /reports/{year}
//! ```

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, StatusCode, header};
use portico_model::problem::{Problem, ProblemKind};
use portico_publish::UsageRow;
use portico_store::{CommentRecord, CommentState, ReportRecord, ReportSection, month_of};
use serde::{Deserialize, Serialize};

use super::staff::asker::OwnSite;
use super::staff::datasets::failed;
use super::staff::json;
use crate::catalog::timestamp;
use crate::http::asker::{Asker, Visit};
use crate::http::body;
use crate::http::cache::CachePolicy;
use crate::http::parameters::Parameters;
use crate::http::reply::{self, Reply};
use crate::pages;
use crate::problem::Refusal;
use crate::site::Site;
use crate::staff::Written;

/// Rows of use in one answer; more is a question for the dataset `usage`.
const USAGE_ROWS_MAX: usize = 10_000;
/// Comments of one report that are shown.
const COMMENTS_MAX: i64 = 10_000;

/// `GET /api/usage`: counts by month, without small numbers.
pub(crate) async fn usage(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    mut query: Parameters,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Usage {
        usage: Vec<UsageRow>,
    }

    let this = month_of(site.now_ms());
    let from = month(query.take_filled("from"), &this)?;
    let to = month(query.take_filled("to"), &from)?;
    query.finish("from, to")?;
    let counts = site.store.catalog.uses(&from, &to, false).await?;
    if counts.len() > USAGE_ROWS_MAX {
        let detail =
            format!("That is more than {USAGE_ROWS_MAX} counts: ask for fewer months, or ask the dataset usage.");
        return Err(Refusal::new(ProblemKind::InvalidRequest, detail));
    }
    let usage = Usage { usage: counts.into_iter().map(UsageRow::from).collect() };
    reply::json(&headers, &usage, CachePolicy::Revalidate)
}

fn month(asked: Option<String>, otherwise: &str) -> Result<String, Refusal> {
    let Some(month) = asked else { return Ok(otherwise.to_owned()) };
    let shape =
        month.bytes().enumerate().all(|(place, byte)| if place == 4 { byte == b'-' } else { byte.is_ascii_digit() });
    if shape && month.len() == 7 {
        return Ok(month);
    }
    Err(Refusal::new(ProblemKind::InvalidRequest, "A month is written as 2026-01."))
}

/// A published report.
#[derive(Serialize)]
pub(crate) struct ReportDocument {
    pub(crate) year: i64,
    /// When its numbers were taken.
    pub(crate) numbers_of: String,
    pub(crate) published: String,
    /// Until when the public may comment; this moment is the first that is too late.
    pub(crate) comment_until: String,
    pub(crate) open_to_comment: bool,
    pub(crate) sections: Vec<ReportSection>,
    pub(crate) recommendations: String,
    pub(crate) comments: Vec<CommentDocument>,
}

/// A comment that is public.
#[derive(Serialize)]
pub(crate) struct CommentDocument {
    pub(crate) at: String,
    pub(crate) name: String,
    pub(crate) text: String,
}

impl From<CommentRecord> for CommentDocument {
    fn from(comment: CommentRecord) -> Self {
        Self { at: timestamp(comment.at_ms), name: comment.name, text: comment.text }
    }
}

/// `GET /api/reports`: the years, newest first.
pub(crate) async fn reports(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    query: Parameters,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Entry {
        year: i64,
        published: String,
        comment_until: String,
        url: String,
    }
    #[derive(Serialize)]
    struct Reports {
        reports: Vec<Entry>,
    }

    query.finish("")?;
    let mut reports = Vec::new();
    for report in site.store.catalog.reports().await? {
        if let (Some(opens_ms), Some(closes_ms)) = (report.opens_ms, report.closes_ms) {
            let url = site.url(&format!("/reports/{}", report.year));
            let (published, comment_until) = (timestamp(opens_ms), timestamp(closes_ms));
            reports.push(Entry { year: report.year, published, comment_until, url });
        }
    }
    reply::json(&headers, &Reports { reports }, CachePolicy::Revalidate)
}

/// `GET /api/reports/{year}`.
pub(crate) async fn report(
    State(site): State<Arc<Site>>,
    Path(year): Path<String>,
    headers: HeaderMap,
    query: Parameters,
) -> Result<Response, Refusal> {
    query.finish("")?;
    reply::json(&headers, &published(&site, &year).await?, CachePolicy::Revalidate)
}

/// `GET /reports/{year}`.
pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    Path(year): Path<String>,
    visit: Visit,
) -> Result<Response, Refusal> {
    let Visit { headers, mut query, .. } = visit;
    let thanks = query.take("thanks").is_some();
    query.finish("")?;
    pages::report(&site, &headers, published(&site, &year).await?, thanks)
}

/// A report that is published; a draft is not told from none.
async fn published(site: &Site, year: &str) -> Result<ReportDocument, Refusal> {
    let missing = || Refusal::from(Problem::not_found("report on that year"));
    let year = number(year).ok_or_else(missing)?;
    let report = site.store.catalog.report(year).await?.ok_or_else(missing)?;
    let ReportRecord { sections, recommendations, drafted_ms, opens_ms, closes_ms, .. } = report;
    let (Some(opens_ms), Some(closes_ms)) = (opens_ms, closes_ms) else { return Err(missing()) };
    let comments = site.store.catalog.comments(year, Some(CommentState::Accepted), COMMENTS_MAX).await?;
    let now_ms = site.now_ms();
    Ok(ReportDocument {
        year,
        numbers_of: timestamp(drafted_ms),
        published: timestamp(opens_ms),
        comment_until: timestamp(closes_ms),
        open_to_comment: (opens_ms..closes_ms).contains(&now_ms),
        sections,
        recommendations,
        comments: comments.into_iter().map(CommentDocument::from).collect(),
    })
}

/// A year as a path spells it: four digits, so that each report has one address.
pub(crate) fn number(text: &str) -> Option<i64> {
    let plain = text.len() == 4 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    /// As whom it is signed; empty for nobody.
    #[serde(default)]
    name: String,
    text: String,
}

/// `POST /api/reports/{year}/comments`: as JSON, or as the page's own form sends it.
pub(crate) async fn comment(
    State(site): State<Arc<Site>>,
    Asker(caller): Asker,
    _own: OwnSite,
    Path(year): Path<String>,
    query: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Held {
        id: String,
        state: CommentState,
    }

    query.finish("")?;
    let from_form = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().to_ascii_lowercase().starts_with(b"application/x-www-form-urlencoded"));
    let said = if from_form {
        let bytes = body::read(&headers, body, &site.limits.http).await?;
        let mut form = Parameters::parse(&String::from_utf8_lossy(&bytes))?;
        let said = Said { name: form.take("name").unwrap_or_default(), text: form.take("text").unwrap_or_default() };
        form.finish("name, text")?;
        said
    } else {
        json::read(&site, &headers, body).await?
    };
    let missing = || Refusal::from(Problem::not_found("report on that year"));
    let year = number(&year).ok_or_else(missing)?;
    let per_hour = site.limits.http.comments_per_hour;
    site.staff.written(Written::Comment, &caller.address_block, per_hour, site.now_ms())?;
    let said = (said.name.as_str(), said.text.as_str());
    let comment = site.staff.publisher.comment(year, said, site.now_ms()).await.map_err(failed)?;
    if from_form {
        let back = format!("/reports/{year}?thanks");
        return Ok(Reply::new(StatusCode::SEE_OTHER).header(header::LOCATION, back).cache(CachePolicy::Never).empty());
    }
    json::answer(StatusCode::ACCEPTED, &Held { id: comment.id, state: comment.state })
}
