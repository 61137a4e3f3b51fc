//! What is said of a dataset, on its way to the public: whether it is well said, and whether it is enough for a release.

use portico_intake::dictionary::{Dictionary, Treatment};
use portico_intake::names::published_name;
use portico_intake::options::ReadOptions;
use portico_model::dataset::{ColumnDescription, DatasetMetadata, Requirement};
use portico_store::RevisionRecord;
use serde::{Deserialize, Serialize};

use crate::error::PublishError;
use crate::publisher::{Publisher, from_json};

impl Publisher {
    /// The same road in, which releases nothing without these. Unless it is said otherwise, nothing goes out without a
    /// steward, a licence, a description and a dictionary.
    #[must_use]
    pub fn requiring(mut self, required: &[Requirement]) -> Self {
        self.required = required.to_vec();
        self
    }

    /// The same road in, where this is said of datasets that nobody has said otherwise of.
    #[must_use]
    pub fn with_defaults(mut self, defaults: MetadataDefaults) -> Self {
        self.defaults = defaults;
        self
    }

    /// Refuses a step towards the public while something is missing.
    pub(crate) fn check_complete(&self, record: &RevisionRecord) -> Result<(), PublishError> {
        let metadata: DatasetMetadata = from_json(&record.metadata_json)?;
        let prepared = record.prepared()?.ok_or(PublishError::DigestChanged)?;
        let columns: Vec<&str> = prepared.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let lacking = metadata.lacking(&self.required, Some(&columns));
        if lacking.is_empty() { Ok(()) } else { Err(PublishError::Incomplete(lacking)) }
    }
}

/// What a portal says of every dataset that nobody has said otherwise of. An empty text says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetadataDefaults {
    /// SPDX identifier of the licence, such as `CC0-1.0`.
    pub license: String,
    /// The steward's name, where the address below is used.
    pub steward_name: String,
    /// E-mail address of whoever answers for data that have no steward of their own.
    pub steward_email: String,
    /// Whom the public asks.
    pub contact_name: String,
    /// The address of whom the public asks.
    pub contact_email: String,
    /// Terms of use besides the licence.
    pub terms: String,
}

impl MetadataDefaults {
    /// Says it where nothing is said. A name goes with its address alone.
    fn apply(&self, metadata: &mut DatasetMetadata) {
        let say = |field: &mut String, text: &String| {
            if field.trim().is_empty() {
                field.clone_from(text);
            }
        };
        say(&mut metadata.license, &self.license);
        say(&mut metadata.terms, &self.terms);
        for (address, name, default_address, default_name) in [
            (&mut metadata.steward_email, &mut metadata.steward_name, &self.steward_email, &self.steward_name),
            (&mut metadata.contact_email, &mut metadata.contact_name, &self.contact_email, &self.contact_name),
        ] {
            if address.trim().is_empty() {
                say(name, default_name);
            }
            say(address, default_address);
        }
    }
}

/// What is proposed, with the words of the dictionary in it, and what the portal says of every dataset.
///
/// # Errors
/// [`PublishError::BadMetadata`] with every field that is not what it is for.
pub fn proposed(
    metadata: DatasetMetadata,
    options: &ReadOptions,
    defaults: &MetadataDefaults,
) -> Result<DatasetMetadata, PublishError> {
    let mut metadata = metadata;
    defaults.apply(&mut metadata);
    if let Some(dictionary) = &options.dictionary {
        describe_columns(&mut metadata, dictionary);
    }
    checked(metadata)
}

/// Passes metadata on that are what their fields are for.
pub(crate) fn checked(metadata: DatasetMetadata) -> Result<DatasetMetadata, PublishError> {
    let faults = metadata.faults();
    if faults.is_empty() { Ok(metadata) } else { Err(PublishError::BadMetadata(faults)) }
}

/// What the dictionary says of columns becomes part of the public metadata; that of dropped columns leaves it. What it
/// says nothing of stays as it was said before.
fn describe_columns(metadata: &mut DatasetMetadata, dictionary: &Dictionary) {
    for field in &dictionary.fields {
        let name = field.rename.clone().unwrap_or_else(|| published_name(&field.name));
        let dropped = matches!(field.treatment, Treatment::Drop { .. });
        let classification = field.classification.clone().unwrap_or_default();
        let texts = [&field.title, &field.description, &field.unit, &classification];
        if !dropped && texts.iter().all(|text| text.is_empty()) && field.codes.is_empty() {
            continue;
        }
        metadata.columns.retain(|column| column.name != name);
        if !dropped {
            metadata.columns.push(ColumnDescription {
                name,
                title: field.title.clone(),
                description: field.description.clone(),
                unit: field.unit.clone(),
                codes: field.codes.clone(),
                classification,
            });
        }
    }
}
