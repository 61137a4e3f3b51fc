//! What the catalog keeps, as plain data.

use std::sync::Arc;

use arrow_schema::SchemaRef;
use portico_model::dataset::DatasetMetadata;
use portico_model::finding::Finding;
use portico_model::manifest::{Manifest, ReleasedFile};
use portico_model::name::{DatasetName, VersionNumber, VersionRef};
use portico_model::policy::VersionState;
use portico_model::profile::TableProfile;
use portico_model::revision::RevisionState;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::StoreError;
use crate::storage::StagedFile;

/// A dataset, and which of its versions is current.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetRecord {
    /// Title, people, licence, keywords.
    pub metadata: DatasetMetadata,
    /// Where its files lie in the released storage: opaque, never derived from the name.
    pub root: String,
    /// The current version; `None` until the first release.
    pub current: Option<VersionNumber>,
    /// When the dataset was made, in milliseconds since the epoch.
    pub created_ms: i64,
    /// When its metadata or current version changed last, in milliseconds since the epoch.
    pub updated_ms: i64,
}

/// A released version. All but `state` and `withdrawn_reason` never changes, until a purge leaves a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionRecord {
    /// Which version of which dataset.
    pub version: VersionRef,
    /// Whether it may be read.
    pub state: VersionState,
    /// When it was released, in milliseconds since the epoch.
    pub released_ms: i64,
    /// Its files.
    pub manifest: Arc<Manifest>,
    /// Its figures.
    pub profile: Arc<TableProfile>,
    /// What the checks saw, for the record.
    pub findings: Arc<Vec<Finding>>,
    /// The version of the Delta table that holds its files.
    pub delta_version: i64,
    /// Who consented.
    pub approved_by: String,
    /// The public reason, once withdrawn.
    pub withdrawn_reason: Option<String>,
}

/// A version in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionSummary {
    /// Its number.
    pub version: VersionNumber,
    /// Whether it may be read.
    pub state: VersionState,
    /// When it was released, in milliseconds since the epoch.
    pub released_ms: i64,
    /// Its rows.
    pub rows: u64,
    /// The bytes of its files.
    pub bytes: u64,
}

/// A proposed change to a dataset.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RevisionRecord {
    /// A ULID.
    pub id: String,
    /// The dataset to be changed.
    pub dataset: DatasetName,
    /// Where it stands.
    pub state: RevisionState,
    /// Its bytes.
    pub staged: StagedFile,
    /// The name of the file as it came, for its extension.
    pub file_name: String,
    /// How to read the file, as `intake` spells it.
    pub options_json: String,
    /// The proposed metadata, a `DatasetMetadata`.
    pub metadata_json: String,
    /// What screening made of the file, a [`Prepared`], as the digest covers it; absent until it is screened.
    #[serde(alias = "schema_json")]
    pub prepared_json: Option<String>,
    /// What the checks saw.
    pub findings: Vec<Finding>,
    /// The figures, once profiled.
    pub profile: Option<TableProfile>,
    /// The digest of what was profiled and screened: bytes, options, metadata, findings.
    pub digest: Option<String>,
    /// When it was made, in milliseconds since the epoch.
    pub created_ms: i64,
    /// Who made it.
    pub created_by: String,
    /// Who consented to its release.
    pub approved_by: Option<String>,
    /// The digest that was consented to.
    pub approved_digest: Option<String>,
    /// The version that it became.
    pub version: Option<VersionNumber>,
    /// What people said of it before it was approved.
    #[serde(default)]
    pub review: Review,
}

/// What people said of a revision, newest word only; the audit log has them all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Review {
    /// Who handed it in.
    pub submitted_by: Option<String>,
    /// Who recommended it, since it was handed in.
    pub recommended_by: Option<String>,
    /// What was said with the recommendation.
    pub remark: Option<String>,
    /// Who returned it, and has not had it back since.
    pub returned_by: Option<String>,
    /// Why it was returned.
    pub returned_reason: Option<String>,
    /// Why a refresh did not release it by itself; empty where no refresh made it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<String>,
}

/// What screening leaves behind: the very files that a release will publish.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Prepared {
    /// The schema of the files.
    pub schema: SchemaRef,
    /// Rows in all files.
    pub rows: u64,
    /// The columns that the rows are sorted by.
    pub sort_key: Vec<String>,
    /// The files: where they lie in staging, and what the manifest will say of them, without a path.
    pub files: Vec<(StagedFile, ReleasedFile)>,
    /// The version whose rows are among these, 0 if there was none; absent where a file replaced all rows. Released while
    /// that is current, and not after.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<VersionNumber>,
    /// The first rows as JSON, for whoever has to judge them; absent from what was screened before there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<StagedFile>,
}

impl RevisionRecord {
    /// What screening left behind; `None` until it has.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when it does not read.
    pub fn prepared(&self) -> Result<Option<Prepared>, StoreError> {
        self.prepared_json.as_deref().map(from_json).transpose()
    }

    /// Every file that the revision has in staging: the one that came, then the prepared ones.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when the record of the prepared ones does not read.
    pub fn staged_files(&self) -> Result<Vec<StagedFile>, StoreError> {
        let mut files = vec![self.staged.clone()];
        if let Some(prepared) = self.prepared()? {
            files.extend(prepared.files.into_iter().map(|(staged, _)| staged));
            files.extend(prepared.preview);
        }
        Ok(files)
    }

    /// Whether its bytes in staging are still needed.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.state.is_open()
    }
}

/// Everything that a release writes at once.
#[derive(Clone, Debug)]
pub struct ReleaseRecord {
    /// The approved revision.
    pub revision_id: String,
    /// The version it becomes; its number is the one that the caller expects to be next.
    pub version: VersionRecord,
    /// The dataset's metadata from now on.
    pub metadata: DatasetMetadata,
}

/// What of a version never changes, as it is kept in memory.
#[derive(Debug)]
pub(super) struct Immutable {
    pub(super) released_ms: i64,
    pub(super) manifest: Arc<Manifest>,
    pub(super) profile: Arc<TableProfile>,
    pub(super) findings: Arc<Vec<Finding>>,
    pub(super) delta_version: i64,
    pub(super) approved_by: String,
    /// The digest of manifest, profile and findings as the database keeps them.
    pub(super) content_sha256: String,
    /// What it weighs in the cache.
    pub(super) json_bytes: u32,
}

impl Immutable {
    /// The record, with what may have changed since.
    pub(super) fn record(
        &self,
        version: VersionRef,
        state: VersionState,
        withdrawn_reason: Option<String>,
    ) -> VersionRecord {
        VersionRecord {
            version,
            state,
            released_ms: self.released_ms,
            manifest: Arc::clone(&self.manifest),
            profile: Arc::clone(&self.profile),
            findings: Arc::clone(&self.findings),
            delta_version: self.delta_version,
            approved_by: self.approved_by.clone(),
            withdrawn_reason,
        }
    }
}

/// The name of a version's state in the database.
pub(super) fn state_name(state: VersionState) -> &'static str {
    match state {
        VersionState::Released => "released",
        VersionState::Withdrawn => "withdrawn",
        VersionState::Purged => "purged",
    }
}

/// The inverse of [`state_name`].
pub(super) fn parse_state(name: &str) -> Result<VersionState, StoreError> {
    match name {
        "released" => Ok(VersionState::Released),
        "withdrawn" => Ok(VersionState::Withdrawn),
        "purged" => Ok(VersionState::Purged),
        _ => Err(StoreError::corrupt("a catalog row", "an unknown state of a version")),
    }
}

pub(super) fn to_json(value: &impl Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::invalid_since("the record has no JSON", error))
}

pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::corrupt("a catalog row", error))
}

/// A version's number as the database gives it.
pub(super) fn number(value: i64) -> Result<VersionNumber, StoreError> {
    VersionNumber::try_from(value).map_err(|error| StoreError::corrupt("a catalog row", error))
}

/// A count as the database gives it.
pub(super) fn count(value: i64) -> Result<u64, StoreError> {
    u64::try_from(value).map_err(|error| StoreError::corrupt("a catalog row", error))
}

/// A count as the database takes it.
pub(super) fn to_count(value: u64) -> Result<i64, StoreError> {
    i64::try_from(value).map_err(|_| StoreError::invalid("a count is beyond the catalog's"))
}

/// Text without control characters: PostgreSQL takes no NUL in text.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
