//! A revision as staff see it.

use portico_intake::options::ReadOptions;
use portico_model::dataset::DatasetMetadata;
use portico_model::finding::Finding;
use portico_model::name::{DatasetName, VersionRef};
use portico_model::profile::TableProfile;
use portico_model::revision::RevisionState;
use portico_store::{Review, RevisionRecord};

use crate::error::PublishError;
use crate::publisher::from_json;

/// A revision as staff see it.
#[derive(Clone, Debug)]
pub struct Revision {
    /// Its id.
    pub id: String,
    /// The dataset.
    pub dataset: DatasetName,
    /// Where it stands.
    pub state: RevisionState,
    /// The name of the file as it came.
    pub file_name: String,
    /// The file's bytes.
    pub file_bytes: u64,
    /// SHA-256 of the file as it came, lower-case hex.
    pub file_sha256: String,
    /// When it was staged, in milliseconds since the epoch.
    pub created_ms: i64,
    /// Who staged it.
    pub created_by: String,
    /// What people said of it.
    pub review: Review,
    /// Who consented to its release.
    pub approved_by: Option<String>,
    /// What would be said of the dataset.
    pub metadata: DatasetMetadata,
    /// How the file is read.
    pub options: ReadOptions,
    /// What screening found, worst first.
    pub findings: Vec<Finding>,
    /// The figures of what would be released.
    pub profile: Option<TableProfile>,
    /// What approval is bound to; absent until it is screened.
    pub digest: Option<String>,
    /// The version that it became.
    pub version: Option<VersionRef>,
}

impl Revision {
    pub(crate) fn of(record: RevisionRecord) -> Result<Self, PublishError> {
        let dataset = record.dataset.clone();
        Ok(Self {
            metadata: from_json(&record.metadata_json)?,
            options: from_json(&record.options_json)?,
            id: record.id,
            state: record.state,
            file_name: record.file_name,
            file_bytes: record.staged.bytes,
            file_sha256: record.staged.sha256,
            created_ms: record.created_ms,
            created_by: record.created_by,
            review: record.review,
            approved_by: record.approved_by,
            findings: record.findings,
            profile: record.profile,
            digest: record.digest,
            version: record.version.map(|version| VersionRef { dataset, version }),
            dataset: record.dataset,
        })
    }
}
