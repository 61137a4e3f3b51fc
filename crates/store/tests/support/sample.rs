//! Samples and backends that the suites share.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use portico_model::blocks::Hasher;
use portico_model::dataset::DatasetMetadata;
use portico_model::manifest::{ColumnStatistics, Manifest, ReleasedFile, StatisticValue};
use portico_model::name::{DatasetName, VersionRef};
use portico_model::policy::VersionState;
use portico_model::profile::TableProfile;
use portico_model::revision::RevisionState;
use portico_store::{DeltaCommit, ReleaseRecord, RevisionRecord, StagedFile, VersionRecord};
use sha2::{Digest, Sha256};

pub(crate) const NOW: i64 = 1_700_000_000_000;

pub(crate) fn name(text: &str) -> DatasetName {
    DatasetName::parse(text).unwrap()
}

pub(crate) fn metadata(text: &str) -> DatasetMetadata {
    DatasetMetadata::named(name(text))
}

pub(crate) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, false), Field::new("kind", DataType::Utf8, true)]))
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes that differ from place to place and from seed to seed; their period fits no chunk.
pub(crate) fn bytes(seed: u8, length: usize) -> Vec<u8> {
    let pattern: Vec<u8> =
        (0..10_007_usize).map(|index| u8::try_from((index / 7 + index * 31) % 251).unwrap() ^ seed).collect();
    let mut bytes = pattern.repeat(length / pattern.len() + 1);
    bytes.truncate(length);
    bytes
}

pub(crate) fn local(directory: &Path, file: &str, content: &[u8]) -> PathBuf {
    let path = directory.join(file);
    std::fs::write(&path, content).unwrap();
    path
}

/// The manifest's record of a file with two columns and ten rows.
pub(crate) fn released(path: &str, content: &[u8]) -> ReleasedFile {
    let column = |min, max| ColumnStatistics { nulls: 0, min: Some(min), max: Some(max) };
    ReleasedFile {
        path: path.to_owned(),
        sha256: sha256(content),
        bytes: u64::try_from(content.len()).unwrap(),
        blocks: None,
        rows: 10,
        row_groups: vec![10],
        columns: vec![
            column(StatisticValue::Int(1), StatisticValue::Int(10)),
            column(StatisticValue::Text("ash".into()), StatisticValue::Text("yew".into())),
        ],
    }
}

/// The same file with the digests of blocks of 1,000 bytes.
pub(crate) fn in_blocks(file: ReleasedFile, content: &[u8]) -> ReleasedFile {
    let mut hasher = Hasher::in_blocks_of(1_000);
    hasher.update(content);
    ReleasedFile { blocks: Some(hasher.finish()), ..file }
}

pub(crate) fn commit(txn: &str, files: Vec<ReleasedFile>) -> DeltaCommit {
    DeltaCommit { txn: txn.to_owned(), schema: schema(), files, now_ms: NOW, after: None }
}

pub(crate) fn revision(id: &str, dataset: &str) -> RevisionRecord {
    RevisionRecord {
        id: id.to_owned(),
        dataset: name(dataset),
        state: RevisionState::Staged,
        staged: StagedFile { path: id.to_owned(), sha256: sha256(id.as_bytes()), bytes: 3 },
        file_name: "trees.csv".into(),
        options_json: "{}".into(),
        metadata_json: serde_json::to_string(&metadata(dataset)).unwrap(),
        prepared_json: None,
        findings: Vec::new(),
        profile: None,
        digest: None,
        created_ms: NOW,
        created_by: "steward".into(),
        approved_by: None,
        approved_digest: None,
        version: None,
        review: portico_store::Review::default(),
    }
}

/// The release of a revision as a version of some files.
pub(crate) fn release(
    revision_id: &str,
    dataset: &str,
    version: u32,
    delta_version: i64,
    files: Vec<ReleasedFile>,
) -> ReleaseRecord {
    let version = VersionRef { dataset: name(dataset), version };
    let manifest = Manifest {
        version: version.clone(),
        schema: schema(),
        rows: files.iter().map(|file| file.rows).sum(),
        bytes: files.iter().map(|file| file.bytes).sum(),
        files,
        sort_key: vec!["id".into()],
    };
    ReleaseRecord {
        revision_id: revision_id.to_owned(),
        version: VersionRecord {
            version,
            state: VersionState::Released,
            released_ms: NOW,
            manifest: Arc::new(manifest),
            profile: Arc::new(TableProfile::default()),
            findings: Arc::new(Vec::new()),
            delta_version,
            approved_by: "cio".into(),
            withdrawn_reason: None,
        },
        metadata: metadata(dataset),
    }
}

pub(crate) fn no_options() -> BTreeMap<String, String> {
    BTreeMap::new()
}

/// A variable of the environment that names a real server; without it that part of a suite is skipped, aloud.
#[allow(clippy::disallowed_methods, reason = "a test asks where the real servers are")]
pub(crate) fn server(variable: &str, what: &str) -> Option<String> {
    let found = std::env::var(variable).ok();
    if found.is_none() {
        eprintln!("skipped on {what}: {variable} is not set");
    }
    found
}
