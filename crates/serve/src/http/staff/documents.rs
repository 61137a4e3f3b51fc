//! What the staff API says of revisions and datasets.

use portico_model::dataset::DatasetMetadata;
use portico_model::finding::Finding;
use portico_model::name::VersionNumber;
use portico_model::profile::TableProfile;
use portico_publish::{ReadOptions, Revision};
use portico_store::{DatasetRecord, Review};
use serde::Serialize;

use crate::catalog::timestamp;

/// A revision in a list.
#[derive(Debug, Serialize)]
pub(super) struct RevisionEntry {
    id: String,
    dataset: String,
    state: &'static str,
    file: FileEntry,
    staged: String,
    staged_by: String,
    #[serde(flatten)]
    review: Review,
    approved_by: Option<String>,
    /// What a recommendation and an approval are bound to.
    digest: Option<String>,
    /// Whether findings block it.
    blocked: bool,
    version: Option<VersionNumber>,
}

/// The file as it came.
#[derive(Debug, Serialize)]
struct FileEntry {
    name: String,
    bytes: u64,
    sha256: String,
}

/// A revision with all that is known of it.
#[derive(Debug, Serialize)]
pub(super) struct RevisionDocument {
    #[serde(flatten)]
    entry: RevisionEntry,
    findings: Vec<Finding>,
    profile: Option<TableProfile>,
    metadata: DatasetMetadata,
    options: ReadOptions,
}

impl RevisionEntry {
    pub(super) fn of(revision: &Revision) -> Self {
        Self {
            id: revision.id.clone(),
            dataset: revision.dataset.to_string(),
            state: revision.state.as_str(),
            file: FileEntry {
                name: revision.file_name.clone(),
                bytes: revision.file_bytes,
                sha256: revision.file_sha256.clone(),
            },
            staged: timestamp(revision.created_ms),
            staged_by: revision.created_by.clone(),
            review: revision.review.clone(),
            approved_by: revision.approved_by.clone(),
            digest: revision.digest.clone(),
            blocked: revision.findings.iter().any(Finding::blocks),
            version: revision.version.as_ref().map(|version| version.version),
        }
    }
}

impl RevisionDocument {
    pub(super) fn of(revision: Revision) -> Self {
        Self {
            entry: RevisionEntry::of(&revision),
            findings: revision.findings,
            profile: revision.profile,
            metadata: revision.metadata,
            options: revision.options,
        }
    }
}

/// A dataset on the road in, released or not.
#[derive(Debug, Serialize)]
pub(super) struct StaffDataset {
    metadata: DatasetMetadata,
    current_version: Option<VersionNumber>,
    created: String,
    updated: String,
}

impl StaffDataset {
    pub(super) fn of(record: DatasetRecord) -> Self {
        Self {
            metadata: record.metadata,
            current_version: record.current,
            created: timestamp(record.created_ms),
            updated: timestamp(record.updated_ms),
        }
    }
}
