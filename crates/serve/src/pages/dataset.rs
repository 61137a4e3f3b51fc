//! The page of a dataset, and of each of its versions. `GET /datasets/{name}`, `GET /datasets/{name}/versions/{n}`

use std::sync::Arc;

use askama::Template;
use axum::response::Response;
use portico_model::name::VersionNumber;
use portico_model::policy::Principal;

use super::examples::{self, Example};
use super::text::{day, grouped, percent, short, size};
use super::{Frame, answer};
use crate::catalog::{self, ColumnDocument, DatasetDocument, DownloadDocument, SearchRequest, VersionEntry};
use crate::http::asker::Visit;
use crate::http::terms::TERMS;
use crate::problem::Refusal;
use crate::site::Site;

/// Characters of a smallest or largest value on the page; the API has all of them.
const VALUE_MAX: usize = 40;

#[derive(Template)]
#[template(path = "dataset.html")]
struct DatasetPage {
    frame: Frame,
    name: String,
    sql_name: String,
    title: String,
    /// Paragraphs.
    description: Vec<String>,
    canonical: String,
    version: VersionNumber,
    /// Whether another version is current.
    older: bool,
    released: String,
    released_day: String,
    rows: String,
    bytes: String,
    quality: String,
    sort_key: String,
    department: String,
    steward_name: String,
    steward_email: String,
    /// `mailto:…`, or empty when the address is not a plain one.
    contact: String,
    license: String,
    license_url: String,
    update_frequency: String,
    keywords: Vec<KeywordLink>,
    /// What else the department says: a heading and its text.
    about: Vec<(&'static str, String)>,
    completeness: u32,
    downloads: Vec<Download>,
    statement: String,
    columns: Vec<Column>,
    examples: Vec<Example>,
    versions: Vec<VersionLine>,
    versions_left: u64,
}

struct KeywordLink {
    text: String,
    href: String,
}

struct Download {
    extension: String,
    href: String,
    note: &'static str,
}

struct Column {
    name: String,
    data_type: String,
    meaning: String,
    missing: String,
    distinct: String,
    min: String,
    max: String,
}

struct VersionLine {
    version: VersionNumber,
    withdrawn: bool,
    /// Whether it is the one on this page.
    shown: bool,
    released: String,
    released_day: String,
    rows: String,
}

/// Answers the page of a dataset's current version, or of the version named.
///
/// # Errors
/// As [`catalog::dataset_at`].
pub(crate) async fn dataset(
    site: &Arc<Site>,
    principal: &Principal,
    (name, version): (&str, Option<VersionNumber>),
    visit: Visit,
) -> Result<Response, Refusal> {
    visit.query.finish("")?;
    let document = catalog::dataset_at(site, principal, name, version).await?;
    let base = examples::base_url(site, visit.host.as_deref(), visit.tls);
    answer(&visit.headers, &page(site, document, &base))
}

fn page(site: &Site, document: DatasetDocument, base: &str) -> DatasetPage {
    let shown = document.version;
    DatasetPage {
        frame: Frame::of(site),
        description: paragraphs(&document.description),
        canonical: site.url(&format!("/datasets/{}", document.name)),
        older: Some(shown) != document.current_version,
        released_day: day(&document.released),
        rows: grouped(document.rows),
        bytes: size(document.bytes),
        quality: quality(&document),
        sort_key: document.sort_key.join(", "),
        contact: contact(&document.contact.email),
        about: about(&document, &site.url(TERMS)),
        completeness: document.metadata_completeness.score,
        license_url: document.license.url.clone().unwrap_or_default(),
        keywords: document.keywords.iter().map(|text| keyword(text)).collect(),
        downloads: document.downloads.iter().map(download).collect(),
        statement: format!("SELECT *\nFROM {}\nLIMIT 20", document.sql_name),
        columns: document.columns.iter().map(|entry| column(entry, document.rows)).collect(),
        examples: examples::examples(base, &document),
        versions_left: document.versions_total.saturating_sub(u64::try_from(document.versions.len()).unwrap_or(0)),
        versions: document.versions.iter().map(|version| version_line(version, shown)).collect(),
        name: document.name,
        sql_name: document.sql_name,
        title: document.title,
        version: shown,
        released: document.released,
        department: document.department,
        steward_name: document.steward.name,
        steward_email: document.contact.email,
        license: document.license.id,
        update_frequency: frequency(&document.update_frequency),
    }
}

fn paragraphs(text: &str) -> Vec<String> {
    let normal = text.replace("\r\n", "\n");
    normal.split("\n\n").map(str::trim).filter(|paragraph| !paragraph.is_empty()).map(str::to_owned).collect()
}

/// What the department says of the data, as far as it does.
fn about(document: &DatasetDocument, portal_terms: &str) -> Vec<(&'static str, String)> {
    let said = &document.assessment;
    let entries = [
        ("Covers", document.spatial_coverage.clone()),
        ("Period", document.temporal_coverage.replace('/', " to ")),
        ("Source", said.source.clone()),
        ("How it was collected", said.collection_method.clone()),
        ("Accuracy", said.accuracy.clone()),
        ("Completeness", said.completeness.clone()),
        ("Sample", said.sample_size.map(grouped).unwrap_or_default()),
        ("Limits", said.limitations.clone()),
        ("Themes", document.themes.join(", ")),
        ("Languages", document.languages.join(", ")),
        ("Its own terms", if document.terms == portal_terms { String::new() } else { document.terms.clone() }),
    ];
    entries.into_iter().filter(|(_, text)| !text.trim().is_empty()).collect()
}

/// A repeating interval of ISO 8601 in words, where there is one word for it.
fn frequency(interval: &str) -> String {
    let word = match interval {
        "R/PT1H" => "every hour",
        "R/P1D" => "every day",
        "R/P1W" | "R/P7D" => "every week",
        "R/P2W" | "R/P14D" => "every two weeks",
        "R/P1M" => "every month",
        "R/P3M" => "every quarter",
        "R/P6M" => "twice a year",
        "R/P1Y" => "every year",
        other => other,
    };
    word.to_owned()
}

/// A link for a plain address only: nothing else may end up in a `mailto:` with headers of its own.
fn contact(email: &str) -> String {
    let plain = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'+'))
    };
    match email.split_once('@') {
        Some((local, host)) if plain(local) && plain(host) => format!("mailto:{email}"),
        _ => String::new(),
    }
}

fn keyword(text: &str) -> KeywordLink {
    let request = SearchRequest { keyword: Some(text.to_owned()), ..SearchRequest::default() };
    KeywordLink { text: text.to_owned(), href: request.link("/") }
}

fn download(document: &DownloadDocument) -> Download {
    Download {
        extension: document.format.to_uppercase(),
        href: document.url.clone(),
        note: match document.format.as_str() {
            "csv" => "spreadsheets and everything else",
            "csv.gz" | "ndjson.gz" => "compressed with gzip",
            "csv.zst" | "ndjson.zst" => "compressed with Zstandard",
            "tsv" => "tab-separated",
            "json" => "an array of objects",
            "ndjson" => "one object a line",
            "parquet" => "typed, small, for analysis",
            "arrow" => "typed, for programs",
            "geojson" => "for maps",
            "xlsx" => "Excel workbook",
            _ => "",
        },
    }
}

fn column(document: &ColumnDocument, rows: u64) -> Column {
    let figures = document.profile.as_ref();
    let value = |value: Option<&String>| value.map_or_else(String::new, |text| short(text, VALUE_MAX));
    let parts = [document.title.as_str(), document.description.as_str()];
    let meaning: Vec<&str> = parts.into_iter().filter(|part| !part.trim().is_empty()).collect();
    let unit = if document.unit.is_empty() { String::new() } else { format!(" ({})", document.unit) };
    let codes: Vec<String> = document.codes.iter().map(|(code, means)| format!("{code} = {means}")).collect();
    let codes = if codes.is_empty() { String::new() } else { format!(" Codes: {}.", codes.join(", ")) };
    Column {
        name: document.name.clone(),
        data_type: document.data_type.clone(),
        meaning: format!("{}{unit}{codes}", meaning.join(": ")),
        missing: figures.map_or_else(String::new, |figures| percent(figures.nulls, rows)),
        distinct: figures.map_or_else(String::new, |figures| {
            let about = if figures.distinct_exact { "" } else { "≈ " };
            format!("{about}{}", grouped(figures.distinct))
        }),
        min: value(figures.and_then(|figures| figures.min.as_ref())),
        max: value(figures.and_then(|figures| figures.max.as_ref())),
    }
}

/// The figures of the whole table, as a sentence.
fn quality(document: &DatasetDocument) -> String {
    let figures = document.columns.iter().filter_map(|column| column.profile.as_ref());
    let (columns, nulls) = figures.fold((0u64, 0u64), |(columns, nulls), profile| {
        (columns.saturating_add(1), nulls.saturating_add(profile.nulls))
    });
    let filled =
        percent(columns.saturating_mul(document.rows).saturating_sub(nulls), columns.saturating_mul(document.rows));
    let about = if document.duplicate_rows_exact { "" } else { "about " };
    let duplicates = match document.duplicate_rows {
        0 => "no row is there twice".to_owned(),
        1 => format!("{about}one row repeats another"),
        rows => format!("{about}{} rows repeat others", grouped(rows)),
    };
    if document.rows == 0 {
        return "The table is empty.".to_owned();
    }
    format!("Of all cells, {filled} are filled; {duplicates}. Smallest and largest values compare text by its bytes.")
}

fn version_line(entry: &VersionEntry, shown: VersionNumber) -> VersionLine {
    VersionLine {
        version: entry.version,
        withdrawn: entry.state != "released",
        shown: entry.version == shown,
        released: entry.released.clone(),
        released_day: day(&entry.released),
        rows: grouped(entry.rows.unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_address_becomes_a_link() {
        assert_eq!(contact("data+open@city.example.gov"), "mailto:data+open@city.example.gov");
        for bad in ["", "nobody", "a@b?subject=x", "a@b&cc=c@d", "javascript:alert(1)@x", "a b@c", "a@b@c"] {
            assert_eq!(contact(bad), "", "{bad}");
        }
    }

    #[test]
    fn intervals_are_words() {
        assert_eq!(
            [frequency("R/P1M"), frequency("irregular"), frequency("R/P5Y")],
            ["every month", "irregular", "R/P5Y"]
        );
    }

    #[test]
    fn descriptions_have_paragraphs() {
        assert_eq!(paragraphs("one\r\n\r\ntwo\nlines\n\n\n"), ["one", "two\nlines"]);
        assert!(paragraphs("").is_empty());
    }
}
