//! What is known of a dataset besides its data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::name::DatasetName;

mod check;
mod complete;
mod patch;

pub use check::is_address;
pub use complete::{Completeness, Lack, Requirement};
pub use patch::MetadataPatch;

/// Title, description, people, licence and assessment of a dataset. `docs/metadata.md` says which field of which
/// standard each one becomes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DatasetMetadata {
    /// The name.
    pub name: DatasetName,
    /// A title for people.
    pub title: String,
    /// What the data are, in plain text.
    #[serde(default)]
    pub description: String,
    /// The department that is responsible.
    #[serde(default)]
    pub department: String,
    /// The steward's name.
    #[serde(default)]
    pub steward_name: String,
    /// The steward's e-mail address: a release needs one.
    #[serde(default)]
    pub steward_email: String,
    /// Whom the public asks, where that is not the steward.
    #[serde(default)]
    pub contact_name: String,
    /// The address of whom the public asks, where that is not the steward.
    #[serde(default)]
    pub contact_email: String,
    /// SPDX identifier of the licence, such as `CC0-1.0`.
    #[serde(default)]
    pub license: String,
    /// Terms of use besides the licence: a text or a URL.
    #[serde(default)]
    pub terms: String,
    /// Words to find it by.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// What it belongs to in the government's list of themes.
    #[serde(default)]
    pub themes: Vec<String>,
    /// How often it is refreshed: an ISO 8601 repeating interval such as `R/P1M`, or `irregular`.
    #[serde(default)]
    pub update_frequency: String,
    /// The place that it covers: words, or west, south, east and north in degrees.
    #[serde(default)]
    pub spatial_coverage: String,
    /// The time that it covers: an ISO 8601 interval such as `2019-01-01/2026-06-30`; `..` for an open end.
    #[serde(default)]
    pub temporal_coverage: String,
    /// Languages of the texts in it: BCP 47 tags such as `en-US`.
    #[serde(default)]
    pub languages: Vec<String>,
    /// How the data were collected.
    #[serde(default)]
    pub collection_method: String,
    /// How far they can be trusted, and how that is known.
    #[serde(default)]
    pub accuracy: String,
    /// What is not in them that one would look for.
    #[serde(default)]
    pub completeness: String,
    /// The size of the sample, where the data are one.
    #[serde(default)]
    pub sample_size: Option<u64>,
    /// What the data are not fit for, such as groups that are too small for statistics.
    #[serde(default)]
    pub limitations: String,
    /// Where the data come from: a system, a register, a form.
    #[serde(default)]
    pub source: String,
    /// What the columns mean, from the data dictionary.
    #[serde(default)]
    pub columns: Vec<ColumnDescription>,
}

/// What the data dictionary says of one column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnDescription {
    /// The column's published name.
    pub name: String,
    /// A title for people.
    #[serde(default)]
    pub title: String,
    /// What the column means.
    #[serde(default)]
    pub description: String,
    /// The unit of its numbers, such as `US dollars` or `µg/m³`.
    #[serde(default)]
    pub unit: String,
    /// What each code stands for.
    #[serde(default)]
    pub codes: BTreeMap<String, String>,
    /// The category of restricted data that it belongs to, if to any.
    #[serde(default)]
    pub classification: String,
}

impl DatasetMetadata {
    /// Metadata that hold nothing but a name, which is the title too.
    #[must_use]
    pub fn named(name: DatasetName) -> Self {
        Self {
            title: name.to_string(),
            name,
            description: String::new(),
            department: String::new(),
            steward_name: String::new(),
            steward_email: String::new(),
            contact_name: String::new(),
            contact_email: String::new(),
            license: String::new(),
            terms: String::new(),
            keywords: Vec::new(),
            themes: Vec::new(),
            update_frequency: String::new(),
            spatial_coverage: String::new(),
            temporal_coverage: String::new(),
            languages: Vec::new(),
            collection_method: String::new(),
            accuracy: String::new(),
            completeness: String::new(),
            sample_size: None,
            limitations: String::new(),
            source: String::new(),
            columns: Vec::new(),
        }
    }

    /// What the dictionary says of a column, by its published name.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ColumnDescription> {
        self.columns.iter().find(|column| column.name == name)
    }
}
