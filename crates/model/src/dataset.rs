//! What is known of a dataset besides its data.

use serde::{Deserialize, Serialize};

use crate::name::DatasetName;

/// Title, description, people and licence of a dataset.
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
    /// SPDX identifier of the licence, such as `CC0-1.0`.
    #[serde(default)]
    pub license: String,
    /// Words to find it by.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// How often it is refreshed: an ISO 8601 repeating interval such as `R/P1M`, or `irregular`.
    #[serde(default)]
    pub update_frequency: String,
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
            license: String::new(),
            keywords: Vec::new(),
            update_frequency: String::new(),
            columns: Vec::new(),
        }
    }
}
