//! One dataset: metadata, columns with their profile, and versions.

use std::collections::BTreeMap;
use std::sync::Arc;

use portico_encode::type_name;
use portico_model::dataset::{ColumnDescription, Completeness, DatasetMetadata};
use portico_model::name::VersionNumber;
use portico_model::policy::{Principal, VersionState};
use portico_model::profile::{ColumnProfile, GroupProfile};
use portico_store::{DatasetRecord, VersionRecord, VersionSummary};
use serde::Serialize;

use crate::catalog::timestamp;
use crate::catalog::version::{DownloadDocument, downloads};
use crate::http::terms::TERMS;
use crate::problem::Refusal;
use crate::released::{self, Opened};
use crate::site::Site;

/// A dataset as one of its versions shows it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DatasetDocument {
    pub(crate) name: String,
    /// The table's name in SQL.
    pub(crate) sql_name: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) department: String,
    pub(crate) steward: Steward,
    /// Whom to ask: the steward, unless somebody else is named.
    pub(crate) contact: Contact,
    pub(crate) license: License,
    /// Terms of use besides the licence: the dataset's own, a text or a URL; otherwise where the portal's are.
    pub(crate) terms: String,
    pub(crate) keywords: Vec<String>,
    pub(crate) themes: Vec<String>,
    /// ISO 8601 repeating interval, or `irregular`; empty when nobody said.
    pub(crate) update_frequency: String,
    pub(crate) spatial_coverage: String,
    /// ISO 8601 interval.
    pub(crate) temporal_coverage: String,
    /// BCP 47 tags.
    pub(crate) languages: Vec<String>,
    pub(crate) assessment: Assessment,
    pub(crate) metadata_completeness: Completeness,
    /// None when it is withdrawn.
    pub(crate) current_version: Option<VersionNumber>,
    /// The version that the columns and figures below are of.
    pub(crate) version: VersionNumber,
    pub(crate) released: String,
    pub(crate) rows: u64,
    /// Bytes as stored.
    pub(crate) bytes: u64,
    pub(crate) duplicate_rows: u64,
    pub(crate) duplicate_rows_exact: bool,
    pub(crate) sort_key: Vec<String>,
    /// By which groups of people the table can be told apart.
    pub(crate) groups: Vec<GroupProfile>,
    pub(crate) columns: Vec<ColumnDocument>,
    /// The newest ones, a page of them.
    pub(crate) versions: Vec<VersionEntry>,
    pub(crate) versions_total: u64,
    /// Where all of them are listed.
    pub(crate) versions_url: String,
    pub(crate) downloads: Vec<DownloadDocument>,
    pub(crate) url: String,
}

/// Who answers for a dataset.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Steward {
    pub(crate) name: String,
    pub(crate) email: String,
}

/// Whom the public asks.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Contact {
    pub(crate) name: String,
    pub(crate) email: String,
}

/// What the department says of the quality of the data, besides the figures. Empty when nobody said.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Assessment {
    pub(crate) source: String,
    pub(crate) collection_method: String,
    pub(crate) accuracy: String,
    pub(crate) completeness: String,
    pub(crate) sample_size: Option<u64>,
    pub(crate) limitations: String,
}

/// Under what licence.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct License {
    /// SPDX identifier; empty when nobody said.
    pub(crate) id: String,
    pub(crate) url: Option<String>,
}

impl License {
    pub(super) fn of(metadata: &DatasetMetadata) -> Self {
        Self { id: metadata.license.clone(), url: license_url(&metadata.license) }
    }
}

/// One column: what it means and what it holds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ColumnDocument {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) data_type: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) unit: String,
    /// What each code stands for.
    pub(crate) codes: BTreeMap<String, String>,
    /// The category of restricted data that it belongs to, if to any: then it was declared public for a reason.
    pub(crate) classification: String,
    pub(crate) profile: Option<ProfileDocument>,
}

/// The figures of one column.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ProfileDocument {
    pub(crate) nulls: u64,
    pub(crate) distinct: u64,
    pub(crate) distinct_exact: bool,
    pub(crate) min: Option<String>,
    pub(crate) max: Option<String>,
    pub(crate) mean: Option<f64>,
    pub(crate) std: Option<f64>,
    /// At 0.05, 0.25, 0.5, 0.75 and 0.95.
    pub(crate) quantiles: Vec<f64>,
    pub(crate) top_values: Vec<TopValue>,
    /// Ten bins of equal width from min to max.
    pub(crate) histogram: Vec<u64>,
    pub(crate) length_min: Option<u64>,
    pub(crate) length_max: Option<u64>,
}

/// A frequent value.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TopValue {
    pub(crate) value: String,
    pub(crate) count: u64,
}

/// One line of the list of versions.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct VersionEntry {
    pub(crate) version: VersionNumber,
    /// `released`, `withdrawn` or `purged`.
    pub(crate) state: &'static str,
    pub(crate) released: String,
    /// None once it is withdrawn: how much there was is not public any more, either.
    pub(crate) rows: Option<u64>,
    /// None as well.
    pub(crate) bytes: Option<u64>,
    pub(crate) url: String,
}

/// Describes a dataset as its current version shows it.
///
/// # Errors
/// As [`released::open`].
pub(crate) async fn dataset(site: &Arc<Site>, principal: &Principal, name: &str) -> Result<DatasetDocument, Refusal> {
    dataset_at(site, principal, name, None).await
}

/// Describes a dataset as one of its versions shows it; without a number, the current one.
///
/// # Errors
/// As [`released::open`].
pub(crate) async fn dataset_at(
    site: &Arc<Site>,
    principal: &Principal,
    name: &str,
    number: Option<VersionNumber>,
) -> Result<DatasetDocument, Refusal> {
    let opened = released::open(site, principal, name, number).await?;
    let versions = list(site, &opened.dataset, 1).await?;
    Ok(describe(site, opened, versions))
}

/// What `/api/datasets/{name}/versions` answers: one page of the versions.
#[derive(Debug, Serialize)]
pub(crate) struct VersionsDocument {
    dataset: String,
    total: u64,
    page: u64,
    pages: u64,
    next: Option<String>,
    previous: Option<String>,
    versions: Vec<VersionEntry>,
}

/// Lists a dataset's versions, newest first, withdrawn ones included; `page` counts from 1.
///
/// # Errors
/// As [`released::open`] for the current version.
pub(crate) async fn versions(
    site: &Arc<Site>,
    principal: &Principal,
    name: &str,
    page: u64,
) -> Result<VersionsDocument, Refusal> {
    let opened = released::open(site, principal, name, None).await?;
    let (versions, total) = list(site, &opened.dataset, page).await?;
    let pages = total.div_ceil(page_rows(site)).max(1);
    let turned = |page: u64| site.url(&format!("/api/datasets/{name}/versions?page={page}"));
    Ok(VersionsDocument {
        dataset: name.to_owned(),
        total,
        page,
        pages,
        next: (page < pages).then(|| turned(page + 1)),
        previous: (page > 1).then(|| turned((page - 1).min(pages))),
        versions,
    })
}

fn page_rows(site: &Site) -> u64 {
    site.limits.http.page_rows.max(1)
}

/// One page of a dataset's versions, and how many there are in all.
async fn list(site: &Arc<Site>, dataset: &DatasetRecord, page: u64) -> Result<(Vec<VersionEntry>, u64), Refusal> {
    let name = &dataset.metadata.name;
    let entry = |summary: VersionSummary| VersionEntry {
        version: summary.version,
        state: match summary.state {
            VersionState::Released => "released",
            VersionState::Withdrawn => "withdrawn",
            VersionState::Purged => "purged",
        },
        released: timestamp(summary.released_ms),
        rows: (summary.state == VersionState::Released).then_some(summary.rows),
        bytes: (summary.state == VersionState::Released).then_some(summary.bytes),
        url: site.url(&format!("/datasets/{name}/versions/{}", summary.version)),
    };
    let skip = page.saturating_sub(1).saturating_mul(page_rows(site));
    let (summaries, total) = site.store.catalog.versions_page(name, skip, page_rows(site)).await?;
    Ok((summaries.into_iter().map(entry).collect(), total))
}

fn describe(site: &Site, opened: Opened, (versions, versions_total): (Vec<VersionEntry>, u64)) -> DatasetDocument {
    let downloads = downloads(site, &opened.record);
    let columns = columns(&opened.dataset.metadata, &opened.record);
    let (metadata, record) = (opened.dataset.metadata, opened.record);
    let names: Vec<&str> = record.manifest.schema.fields().iter().map(|field| field.name().as_str()).collect();
    let metadata_completeness = metadata.completeness(&names);
    let (license, terms) = (License::of(&metadata), terms(site, &metadata));
    DatasetDocument {
        name: metadata.name.to_string(),
        sql_name: metadata.name.sql_name(),
        title: metadata.title,
        description: metadata.description,
        department: metadata.department,
        contact: contact(&metadata.contact_name, &metadata.contact_email)
            .unwrap_or_else(|| Contact { name: metadata.steward_name.clone(), email: metadata.steward_email.clone() }),
        steward: Steward { name: metadata.steward_name, email: metadata.steward_email },
        license,
        terms,
        keywords: metadata.keywords,
        themes: metadata.themes,
        update_frequency: metadata.update_frequency,
        spatial_coverage: metadata.spatial_coverage,
        temporal_coverage: metadata.temporal_coverage,
        languages: metadata.languages,
        assessment: Assessment {
            source: metadata.source,
            collection_method: metadata.collection_method,
            accuracy: metadata.accuracy,
            completeness: metadata.completeness,
            sample_size: metadata.sample_size,
            limitations: metadata.limitations,
        },
        metadata_completeness,
        current_version: opened.current,
        version: record.version.version,
        released: timestamp(record.released_ms),
        rows: record.manifest.rows,
        bytes: record.manifest.bytes,
        duplicate_rows: record.profile.duplicate_rows,
        duplicate_rows_exact: record.profile.duplicate_rows_exact,
        sort_key: record.manifest.sort_key.clone(),
        groups: record.profile.groups.clone(),
        columns,
        versions,
        versions_total,
        versions_url: site.url(&format!("/api/datasets/{}/versions", metadata.name)),
        downloads,
        url: site.url(&format!("/datasets/{}", metadata.name)),
    }
}

/// Somebody else than the steward, if anybody is named.
fn contact(name: &str, email: &str) -> Option<Contact> {
    (!email.is_empty()).then(|| Contact { name: name.to_owned(), email: email.to_owned() })
}

/// The version's columns, with the words of the dictionary and the figures of the profile.
fn columns(metadata: &DatasetMetadata, record: &VersionRecord) -> Vec<ColumnDocument> {
    let words = |name: &str| metadata.columns.iter().find(|column| column.name == name).cloned().unwrap_or_default();
    let figures = |name: &str| record.profile.columns.iter().find(|column| column.name == name).map(profile);
    let fields = record.manifest.schema.fields().iter();
    fields
        .map(|field| {
            let ColumnDescription { title, description, unit, codes, classification, .. } = words(field.name());
            ColumnDocument {
                name: field.name().clone(),
                data_type: type_name(field.data_type(), Some(field)),
                title,
                description,
                unit,
                codes,
                classification,
                profile: figures(field.name()),
            }
        })
        .collect()
}

fn profile(column: &ColumnProfile) -> ProfileDocument {
    let top = |(value, count): &(String, u64)| TopValue { value: value.clone(), count: *count };
    ProfileDocument {
        nulls: column.nulls,
        distinct: column.distinct,
        distinct_exact: column.distinct_exact,
        min: column.min.clone(),
        max: column.max.clone(),
        mean: column.mean,
        std: column.std,
        quantiles: column.quantiles.clone(),
        top_values: column.top_values.iter().map(top).collect(),
        histogram: column.histogram.clone(),
        length_min: column.length_min,
        length_max: column.length_max,
    }
}

/// What goes for a dataset besides its licence.
pub(super) fn terms(site: &Site, metadata: &DatasetMetadata) -> String {
    if metadata.terms.trim().is_empty() { site.url(TERMS) } else { metadata.terms.clone() }
}

/// The page of a licence by its SPDX identifier; none for anything else, so that no text becomes a link.
pub(crate) fn license_url(id: &str) -> Option<String> {
    let plain = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'+'));
    plain.then(|| format!("https://spdx.org/licenses/{id}.html"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_identifier_becomes_a_link() {
        assert_eq!(license_url("CC0-1.0").unwrap(), "https://spdx.org/licenses/CC0-1.0.html");
        for other in ["", "see our terms", "javascript:alert(1)", "../x", "CC0\"onclick="] {
            assert_eq!(license_url(other), None, "{other}");
        }
    }
}
