//! What a release would make public, in one view: the columns, the figures, the metadata, what was found, and the digest
//! that an approval is bound to. The rows are in [`Publisher::rows_from`], what would change in [`Publisher::difference`].

use portico_encode::type_name;
use portico_model::dataset::DatasetMetadata;
use portico_model::finding::Finding;
use portico_model::name::{DatasetName, VersionNumber};
use portico_model::policy::{Action, Principal};
use portico_model::profile::TableProfile;
use portico_model::revision::RevisionState;
use serde::{Deserialize, Serialize};

use crate::error::PublishError;
use crate::publisher::{Publisher, from_json};

/// What a release would make public.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// The revision.
    pub revision: String,
    /// The dataset.
    pub dataset: DatasetName,
    /// Where the revision stands.
    pub state: RevisionState,
    /// What a recommendation and an approval are bound to.
    pub digest: String,
    /// The version that the public reads now.
    pub current_version: Option<VersionNumber>,
    /// Rows.
    pub rows: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// The columns, in order.
    pub columns: Vec<PublicColumn>,
    /// The columns that the rows are sorted by.
    pub sort_key: Vec<String>,
    /// What would be said of the dataset.
    pub metadata: DatasetMetadata,
    /// The figures.
    pub profile: TableProfile,
    /// What screening found, worst first; staff only.
    pub findings: Vec<Finding>,
}

/// A column as it would be public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicColumn {
    /// Its name.
    pub name: String,
    /// The type's public name.
    #[serde(rename = "type")]
    pub data_type: String,
    /// A title for people.
    pub title: String,
    /// What it means.
    pub description: String,
}

impl Publisher {
    /// What the release of a revision would make public.
    ///
    /// # Errors
    /// [`PublishError::WrongState`] before it is screened and after it is decided.
    pub async fn look(&self, principal: &Principal, id: &str, now_ms: i64) -> Result<Preview, PublishError> {
        let record = self.record(id).await?;
        self.permit(principal, Action::Preview, &record, now_ms).await?;
        let missing = || PublishError::WrongState { state: record.state, action: Action::Preview };
        let prepared = record.prepared()?.ok_or_else(missing)?;
        let profile = record.profile.clone().ok_or_else(missing)?;
        let metadata: DatasetMetadata = from_json(&record.metadata_json)?;
        let current = self.public_version(principal, &record.dataset, now_ms).await?;
        let columns = prepared.schema.fields().iter().map(|field| {
            let said = metadata.columns.iter().find(|column| column.name == *field.name());
            PublicColumn {
                name: field.name().clone(),
                data_type: type_name(field.data_type(), Some(field)),
                title: said.map(|said| said.title.clone()).unwrap_or_default(),
                description: said.map(|said| said.description.clone()).unwrap_or_default(),
            }
        });
        Ok(Preview {
            columns: columns.collect(),
            revision: record.id,
            dataset: record.dataset,
            state: record.state,
            digest: record.digest.unwrap_or_default(),
            current_version: current.map(|version| version.version.version),
            rows: prepared.rows,
            bytes: prepared.files.iter().map(|(staged, _)| staged.bytes).sum(),
            sort_key: prepared.sort_key,
            metadata,
            profile,
            findings: record.findings,
        })
    }
}
