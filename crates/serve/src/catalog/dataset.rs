//! One dataset: metadata, columns with their profile, and versions.

use std::sync::Arc;

use portico_encode::type_name;
use portico_model::dataset::{ColumnDescription, DatasetMetadata};
use portico_model::name::VersionNumber;
use portico_model::policy::{Principal, VersionState};
use portico_model::profile::{ColumnProfile, GroupProfile};
use portico_store::{DatasetRecord, VersionRecord, VersionSummary};
use serde::Serialize;

use crate::catalog::timestamp;
use crate::catalog::version::{DownloadDocument, downloads};
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
    pub(crate) license: License,
    pub(crate) keywords: Vec<String>,
    /// ISO 8601 repeating interval, or `irregular`; empty when nobody said.
    pub(crate) update_frequency: String,
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
    pub(crate) versions: Vec<VersionEntry>,
    pub(crate) downloads: Vec<DownloadDocument>,
    pub(crate) url: String,
}

/// Who answers for a dataset.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Steward {
    pub(crate) name: String,
    pub(crate) email: String,
}

/// Under what licence.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct License {
    /// SPDX identifier; empty when nobody said.
    pub(crate) id: String,
    pub(crate) url: Option<String>,
}

/// One column: what it means and what it holds.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ColumnDocument {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) data_type: String,
    pub(crate) title: String,
    pub(crate) description: String,
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
    /// `released` or `withdrawn`.
    pub(crate) state: &'static str,
    pub(crate) released: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
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
    let versions = list(site, &opened.dataset).await?;
    Ok(describe(site, opened, versions))
}

/// Lists a dataset's versions, newest first, withdrawn ones included.
///
/// # Errors
/// As [`released::open`] for the current version.
pub(crate) async fn versions(
    site: &Arc<Site>,
    principal: &Principal,
    name: &str,
) -> Result<Vec<VersionEntry>, Refusal> {
    let opened = released::open(site, principal, name, None).await?;
    list(site, &opened.dataset).await
}

async fn list(site: &Arc<Site>, dataset: &DatasetRecord) -> Result<Vec<VersionEntry>, Refusal> {
    let name = &dataset.metadata.name;
    let entry = |summary: VersionSummary| VersionEntry {
        version: summary.version,
        state: match summary.state {
            VersionState::Released => "released",
            VersionState::Withdrawn => "withdrawn",
            VersionState::Purged => "purged",
        },
        released: timestamp(summary.released_ms),
        rows: summary.rows,
        bytes: summary.bytes,
        url: site.url(&format!("/datasets/{name}/versions/{}", summary.version)),
    };
    let mut versions: Vec<VersionEntry> = site.store.catalog.versions(name).await?.into_iter().map(entry).collect();
    versions.sort_by_key(|version| std::cmp::Reverse(version.version));
    Ok(versions)
}

fn describe(site: &Site, opened: Opened, versions: Vec<VersionEntry>) -> DatasetDocument {
    let downloads = downloads(site, &opened.record);
    let columns = columns(&opened.dataset.metadata, &opened.record);
    let (metadata, record) = (opened.dataset.metadata, opened.record);
    DatasetDocument {
        name: metadata.name.to_string(),
        sql_name: metadata.name.sql_name(),
        title: metadata.title,
        description: metadata.description,
        department: metadata.department,
        steward: Steward { name: metadata.steward_name, email: metadata.steward_email },
        license: License { url: license_url(&metadata.license), id: metadata.license },
        keywords: metadata.keywords,
        update_frequency: metadata.update_frequency,
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
        downloads,
        url: site.url(&format!("/datasets/{}", metadata.name)),
    }
}

/// The version's columns, with the words of the dictionary and the figures of the profile.
fn columns(metadata: &DatasetMetadata, record: &VersionRecord) -> Vec<ColumnDocument> {
    let words = |name: &str| metadata.columns.iter().find(|column| column.name == name).cloned().unwrap_or_default();
    let figures = |name: &str| record.profile.columns.iter().find(|column| column.name == name).map(profile);
    let fields = record.manifest.schema.fields().iter();
    fields
        .map(|field| {
            let ColumnDescription { title, description, .. } = words(field.name());
            ColumnDocument {
                name: field.name().clone(),
                data_type: type_name(field.data_type(), Some(field)),
                title,
                description,
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

/// The page of a licence by its SPDX identifier; none for anything else, so that no text becomes a link.
pub(super) fn license_url(id: &str) -> Option<String> {
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
