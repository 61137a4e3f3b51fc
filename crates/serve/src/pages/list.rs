//! The list of datasets, with search. `GET /?q=&department=&keyword=&format=&page=`

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;

use super::text::{day, grouped, short};
use super::{Frame, answer};
use crate::catalog::{self, DatasetEntry, Facet, SearchDocument, SearchRequest};
use crate::http::asker::Visit;
use crate::problem::Refusal;
use crate::site::Site;

/// Values of one facet on the page; the API has all of them.
const FACET_VALUES_MAX: usize = 12;

/// Characters of a description in the list.
const DESCRIPTION_MAX: usize = 240;

#[derive(Template)]
#[template(path = "list.html")]
struct ListPage {
    frame: Frame,
    search: Search,
    datasets: Vec<Card>,
    facets: Vec<FacetBox>,
}

struct Search {
    /// Whether anything narrows the list.
    asked: bool,
    text: String,
    department: String,
    keyword: String,
    chosen: Vec<Chip>,
    count: String,
    place: String,
    previous: String,
    next: String,
}

struct Card {
    name: String,
    href: String,
    title: String,
    description: String,
    department: String,
    rows: String,
    updated: String,
    updated_day: String,
    version: u32,
}

struct FacetBox {
    title: &'static str,
    values: Vec<FacetLink>,
}

struct FacetLink {
    text: String,
    count: String,
    href: String,
}

struct Chip {
    text: String,
    href: String,
}

/// `GET /`.
pub(crate) async fn list(State(site): State<Arc<Site>>, visit: Visit) -> Result<Response, Refusal> {
    let request = SearchRequest::read(visit.query)?;
    let found = catalog::search(&site, &request).await?;
    answer(&visit.headers, &page(&site, &request, found))
}

fn page(site: &Site, request: &SearchRequest, found: SearchDocument) -> ListPage {
    let facets = facets(request, &found);
    ListPage {
        frame: Frame::of(site),
        search: search(request, &found),
        facets,
        datasets: found.datasets.into_iter().map(card).collect(),
    }
}

fn search(request: &SearchRequest, found: &SearchDocument) -> Search {
    let narrowed = [
        (&request.department, SearchRequest { department: None, page: 1, ..request.clone() }),
        (&request.keyword, SearchRequest { keyword: None, page: 1, ..request.clone() }),
        (&request.format, SearchRequest { format: None, page: 1, ..request.clone() }),
    ];
    let chosen = narrowed
        .into_iter()
        .filter_map(|(value, without)| Some(Chip { text: value.clone()?, href: without.link("/") }));
    let turned = |page: u64| SearchRequest { page, ..request.clone() }.link("/");
    let datasets = if found.total == 1 { "dataset" } else { "datasets" };
    Search {
        asked: *request != SearchRequest::default(),
        text: request.text.clone().unwrap_or_default(),
        department: request.department.clone().unwrap_or_default(),
        keyword: request.keyword.clone().unwrap_or_default(),
        chosen: chosen.collect(),
        count: format!("{} {datasets}", grouped(found.total)),
        place: format!("Page {} of {}", found.page, found.pages),
        previous: if found.page > 1 { turned(found.page - 1) } else { String::new() },
        next: if found.page < found.pages { turned(found.page + 1) } else { String::new() },
    }
}

fn card(dataset: DatasetEntry) -> Card {
    Card {
        href: format!("/datasets/{}", dataset.name),
        description: short(&dataset.description, DESCRIPTION_MAX),
        rows: grouped(dataset.rows),
        updated_day: day(&dataset.updated),
        name: dataset.name,
        title: dataset.title,
        department: dataset.department,
        updated: dataset.updated,
        version: dataset.version,
    }
}

/// The facets that can still narrow the list: one with a single value, or one that is chosen, cannot.
fn facets(request: &SearchRequest, found: &SearchDocument) -> Vec<FacetBox> {
    let department = |value: &str| SearchRequest { department: Some(value.to_owned()), page: 1, ..request.clone() };
    let keyword = |value: &str| SearchRequest { keyword: Some(value.to_owned()), page: 1, ..request.clone() };
    let boxes = [
        facet_box("Departments", request.department.is_some(), &found.facets.departments, department),
        facet_box("Keywords", request.keyword.is_some(), &found.facets.keywords, keyword),
    ];
    boxes.into_iter().flatten().collect()
}

fn facet_box(
    title: &'static str,
    chosen: bool,
    values: &[Facet],
    narrow: impl Fn(&str) -> SearchRequest,
) -> Option<FacetBox> {
    let link = |facet: &Facet| FacetLink {
        text: facet.value.clone(),
        count: grouped(facet.count),
        href: narrow(&facet.value).link("/"),
    };
    let values: Vec<FacetLink> = values.iter().take(FACET_VALUES_MAX).map(link).collect();
    (!chosen && values.len() > 1).then_some(FacetBox { title, values })
}
