//! What is said of a dataset, on its way to the public: whether it is well said, and whether it is enough for a release.

use portico_intake::dictionary::{Dictionary, Treatment};
use portico_intake::names::published_name;
use portico_intake::options::ReadOptions;
use portico_model::dataset::{ColumnDescription, DatasetMetadata, Requirement};
use portico_store::RevisionRecord;

use crate::error::PublishError;
use crate::publisher::{Publisher, from_json};

impl Publisher {
    /// The same road in, which releases nothing without these. Unless it is said otherwise, nothing goes out without a
    /// steward, a licence, a description and a dictionary.
    #[must_use]
    pub fn requiring(self, required: &[Requirement]) -> Self {
        Self { required: required.to_vec(), ..self }
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

/// What is proposed, with the words of the dictionary in it.
///
/// # Errors
/// [`PublishError::BadMetadata`] with every field that is not what it is for.
pub fn proposed(metadata: DatasetMetadata, options: &ReadOptions) -> Result<DatasetMetadata, PublishError> {
    let mut metadata = metadata;
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
