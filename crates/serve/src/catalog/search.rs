//! The list of datasets: search, facets, pages.

use std::sync::Arc;

use portico_model::format::{FileKind, Format};
use portico_model::name::VersionNumber;
use portico_model::policy::{Action, Decision, Principal, Subject, decide};
use portico_model::problem::ProblemKind;
use portico_store::{DatasetFilter, DatasetRecord, VersionRecord};
use serde::Serialize;

use crate::catalog::timestamp;
use crate::catalog::version::kinds;
use crate::http::names;
use crate::http::parameters::Parameters;
use crate::problem::Refusal;
use crate::site::Site;

/// What may stand in the query string, for the refusal of anything else.
const KNOWN: &str = "q, department, keyword, format, page";

/// The longest search text, in characters.
const TEXT_MAX: usize = 200;

/// The last page that can be asked for.
pub(crate) const PAGE_MAX: u64 = 1_000_000;

/// Datasets that are looked through for a format that not every table has.
const LOOKED_THROUGH_MAX: u64 = 5_000;

/// What to list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SearchRequest {
    pub(crate) text: Option<String>,
    pub(crate) department: Option<String>,
    pub(crate) keyword: Option<String>,
    /// An extension of a download.
    pub(crate) format: Option<String>,
    /// From 1.
    pub(crate) page: u64,
}

impl Default for SearchRequest {
    fn default() -> Self {
        Self { text: None, department: None, keyword: None, format: None, page: 1 }
    }
}

impl SearchRequest {
    /// Reads the query string of a listing.
    pub(crate) fn read(mut query: Parameters) -> Result<Self, Refusal> {
        let invalid = |detail: &str| Err(Refusal::new(ProblemKind::InvalidRequest, detail));
        let request = Self {
            text: query.take_filled("q"),
            department: query.take_filled("department"),
            keyword: query.take_filled("keyword"),
            format: query.take_filled("format"),
            page: query.take_number("page")?.unwrap_or(1),
        };
        query.finish(KNOWN)?;
        let texts = [&request.text, &request.department, &request.keyword];
        if texts.into_iter().flatten().any(|text| text.chars().count() > TEXT_MAX) {
            return invalid(&format!("A search text has at most {TEXT_MAX} characters."));
        }
        if request.format.as_deref().is_some_and(|format| FileKind::from_extension(format).is_none()) {
            return invalid(&format!("format is one of: {}.", FileKind::EXTENSIONS.join(", ")));
        }
        if request.page == 0 || request.page > PAGE_MAX {
            return invalid(&format!("Pages go from 1 to {PAGE_MAX}."));
        }
        Ok(request)
    }

    /// The URL of this listing below `path`.
    pub(crate) fn link(&self, path: &str) -> String {
        let page = (self.page > 1).then(|| self.page.to_string());
        let parts = [
            ("q", &self.text),
            ("department", &self.department),
            ("keyword", &self.keyword),
            ("format", &self.format),
            ("page", &page),
        ];
        names::with_query(path, parts.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?))))
    }

    fn filter(&self, offset: u64, limit: u64) -> DatasetFilter {
        DatasetFilter {
            text: self.text.clone(),
            department: self.department.clone(),
            keyword: self.keyword.clone(),
            include_unreleased: false,
            offset,
            limit,
        }
    }

    /// The kind of file to look for, when not every table has it.
    fn rare_format(&self) -> Option<Format> {
        let kind = FileKind::from_extension(self.format.as_deref()?)?;
        matches!(kind.format, Format::Geojson | Format::Xlsx).then_some(kind.format)
    }
}

/// One page of a listing.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SearchDocument {
    pub(crate) total: u64,
    pub(crate) page: u64,
    pub(crate) pages: u64,
    /// Datasets on a page.
    pub(crate) page_rows: u64,
    pub(crate) next: Option<String>,
    pub(crate) previous: Option<String>,
    pub(crate) facets: FacetsDocument,
    pub(crate) datasets: Vec<DatasetEntry>,
}

/// How many of the datasets found by text, department and keyword have which values.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FacetsDocument {
    pub(crate) departments: Vec<Facet>,
    pub(crate) keywords: Vec<Facet>,
}

/// One value of a facet.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Facet {
    pub(crate) value: String,
    pub(crate) count: u64,
}

/// A dataset in a listing.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DatasetEntry {
    pub(crate) name: String,
    pub(crate) sql_name: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) department: String,
    pub(crate) keywords: Vec<String>,
    /// SPDX identifier.
    pub(crate) license: String,
    pub(crate) version: VersionNumber,
    pub(crate) rows: u64,
    /// Bytes as stored.
    pub(crate) bytes: u64,
    /// When the current version was released.
    pub(crate) updated: String,
    pub(crate) url: String,
}

/// Finds datasets that have a current version.
///
/// # Errors
/// Those of the store.
pub(crate) async fn search(site: &Arc<Site>, request: &SearchRequest) -> Result<SearchDocument, Refusal> {
    let page_rows = site.limits.http.page_rows.max(1);
    let offset = (request.page - 1).saturating_mul(page_rows);
    let (datasets, total) = match request.rare_format() {
        None => {
            let (records, total) = site.store.catalog.datasets(&request.filter(offset, page_rows)).await?;
            (entries(site, records, None).await?, total)
        }
        Some(format) => {
            let (records, _) = site.store.catalog.datasets(&request.filter(0, LOOKED_THROUGH_MAX)).await?;
            let found = entries(site, records, Some(format)).await?;
            let total = u64::try_from(found.len()).unwrap_or(u64::MAX);
            let (skip, take) = (usize::try_from(offset), usize::try_from(page_rows));
            (found.into_iter().skip(skip.unwrap_or(usize::MAX)).take(take.unwrap_or(usize::MAX)).collect(), total)
        }
    };
    let facets = site.store.catalog.facets(&request.filter(0, 0)).await?;
    let pages = total.div_ceil(page_rows).max(1);
    let turned = |page: u64| site.url(&SearchRequest { page, ..request.clone() }.link("/api/datasets"));
    Ok(SearchDocument {
        total,
        page: request.page,
        pages,
        page_rows,
        next: (request.page < pages).then(|| turned(request.page + 1)),
        previous: (request.page > 1).then(|| turned((request.page - 1).min(pages))),
        facets: FacetsDocument { departments: values(facets.departments), keywords: values(facets.keywords) },
        datasets,
    })
}

fn values(counted: Vec<(String, u64)>) -> Vec<Facet> {
    counted.into_iter().map(|(value, count)| Facet { value, count }).collect()
}

/// The entries of datasets that anyone may read, of those that have the format.
async fn entries(
    site: &Site,
    records: Vec<DatasetRecord>,
    format: Option<Format>,
) -> Result<Vec<DatasetEntry>, Refusal> {
    let mut entries = Vec::with_capacity(records.len());
    for dataset in records {
        let name = &dataset.metadata.name;
        // A dataset that was withdrawn since it was found has left the list.
        let Some(current) = dataset.current else { continue };
        let Some(record) = site.store.catalog.version(name, current).await? else { continue };
        let subject = Subject::version(name.clone(), Some((current, record.state)));
        let decision = decide(&Principal::Anonymous, Action::Read, &subject, site.now_ms());
        let offered = format.is_none_or(|format| {
            kinds(&record.manifest.schema, record.manifest.rows).any(|kind| kind.format == format)
        });
        if matches!(decision, Decision::Granted(_)) && offered {
            entries.push(entry(site, dataset, &record));
        }
    }
    Ok(entries)
}

fn entry(site: &Site, dataset: DatasetRecord, record: &VersionRecord) -> DatasetEntry {
    let metadata = dataset.metadata;
    DatasetEntry {
        url: site.url(&format!("/datasets/{}", metadata.name)),
        sql_name: metadata.name.sql_name(),
        name: metadata.name.to_string(),
        title: metadata.title,
        description: metadata.description,
        department: metadata.department,
        keywords: metadata.keywords,
        license: metadata.license,
        version: record.version.version,
        rows: record.manifest.rows,
        bytes: record.manifest.bytes,
        updated: timestamp(record.released_ms),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<SearchRequest, Refusal> {
        SearchRequest::read(Parameters::parse(query)?)
    }

    #[test]
    fn a_listing_round_trips() {
        let request = read("q=fire+hydrants&department=&keyword=water&page=3").unwrap();
        assert_eq!(request.department, None);
        assert_eq!(request.link("/"), "/?q=fire+hydrants&keyword=water&page=3");
        assert_eq!(SearchRequest::default().link("/"), "/");
        assert_eq!(read("format=geojson").unwrap().rare_format(), Some(Format::Geojson));
        assert_eq!(read("format=csv").unwrap().rare_format(), None);
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let long = format!("q={}", "x".repeat(TEXT_MAX + 1));
        for bad in ["page=0", "page=-1", "page=1000001", "format=exe", "limit=1", long.as_str()] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
