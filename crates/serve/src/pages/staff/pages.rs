//! The portal's own pages, with a form for each. What is sent is public at once.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{StatusCode, header};
use portico_publish::{Page, PageName, PublishError};
use portico_store::PageText;

use super::answer;
use crate::catalog::timestamp;
use crate::http::cache::CachePolicy;
use crate::http::own_pages::known;
use crate::http::parameters::Parameters;
use crate::http::reply::Reply;
use crate::http::staff::asker::Member;
use crate::http::staff::form::Form;
use crate::pages::Frame;
use crate::pages::text::day;
use crate::problem::{Refusal, problem_of_publish};
use crate::site::Site;

#[derive(Template)]
#[template(path = "staff_pages.html")]
struct ListPage {
    frame: Frame,
    pages: Vec<Line>,
}

struct Line {
    name: &'static str,
    title: String,
    version: i64,
    updated: String,
    updated_day: String,
    by: String,
}

impl Line {
    fn of(page: &Page) -> Self {
        let updated = page.version.at_ms.map(timestamp).unwrap_or_default();
        Self {
            name: page.name.as_str(),
            title: page.version.title.clone(),
            version: page.version.number,
            updated_day: day(&updated),
            updated,
            by: page.version.by.clone().unwrap_or_default(),
        }
    }
}

#[derive(Template)]
#[template(path = "staff_page.html")]
struct FormPage {
    frame: Frame,
    csrf: String,
    page: Line,
    text: String,
    is_default: bool,
    heading_chars: u64,
    page_bytes: u64,
    history: Vec<Line>,
}

/// `GET /staff/pages`.
pub(crate) async fn pages(
    State(site): State<Arc<Site>>,
    member: Member,
    query: Parameters,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let mut pages = Vec::new();
    for name in PageName::ALL {
        pages.extend(history(&site, &member, name).await?.first().map(Line::of));
    }
    answer(&ListPage { frame: Frame::of(&site), pages })
}

/// `GET /staff/pages/{name}`.
pub(crate) async fn page(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(name): Path<String>,
    query: Parameters,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let mut history = history(&site, &member, known(&name)?).await?;
    let lines = history.iter().map(Line::of).collect();
    let page = history.swap_remove(0);
    answer(&FormPage {
        frame: Frame::of(&site),
        csrf: member.csrf().to_owned(),
        page: Line::of(&page),
        text: page.said.text,
        is_default: page.version.is_default,
        heading_chars: site.limits.pages.heading_chars,
        page_bytes: site.limits.pages.page_bytes,
        history: lines,
    })
}

/// `POST /staff/pages/{name}`: what the form says, or with `reset` the text of a new portal.
pub(crate) async fn write(
    State(site): State<Arc<Site>>,
    Path(name): Path<String>,
    Form { member, mut fields, .. }: Form,
) -> Result<Response, Refusal> {
    let name = known(&name)?;
    let version = fields.take_number("version")?.unwrap_or(0);
    let reset = fields.take_bool("reset")?.unwrap_or(false);
    let said =
        PageText { title: fields.take("title").unwrap_or_default(), text: fields.take("text").unwrap_or_default() };
    fields.finish("csrf, version, title, text, reset")?;
    let (publisher, limits) = (&site.staff.publisher, &site.limits.pages);
    let said = (!reset).then_some(said);
    publisher.write_page(&member.principal, (name, version), said, limits, site.now_ms()).await.map_err(failed)?;
    let place = format!("/{}", name.as_str());
    Ok(Reply::new(StatusCode::SEE_OTHER).header(header::LOCATION, place).cache(CachePolicy::Private).empty())
}

async fn history(site: &Site, member: &Member, name: PageName) -> Result<Vec<Page>, Refusal> {
    site.staff.publisher.page_history(&member.principal, name, site.now_ms()).await.map_err(failed)
}

fn failed(error: PublishError) -> Refusal {
    problem_of_publish(&error).into()
}
