//! A portal in memory: one dataset with released versions, questions over it and fake workers.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use portico_model::blocks::BlockDigests;
use portico_model::dataset::DatasetMetadata;
use portico_model::format::FileKind;
use portico_model::limits::Limits;
use portico_model::manifest::{Manifest, ReleasedFile};
use portico_model::name::{DatasetName, VersionRef};
use portico_model::order::{OutputOptions, Work};
use portico_model::policy::{Principal, VersionState};
use portico_model::problem::Problem;
use portico_model::profile::TableProfile;
use portico_model::revision::RevisionState;
use portico_store::{Catalog, ReleaseRecord, RevisionRecord, StagedFile, Storage, Store, VersionRecord};
use sha2::{Digest, Sha256};

use super::fake::Fake;
use crate::answer::{Ask, Caller};
use crate::exports::ExportRequest;
use crate::exports::spool::hex;
use crate::questions::Questions;
use crate::workers::Workers;

pub(super) const NOW_MS: i64 = 1_700_000_000_000;

/// Everything that a test needs.
pub(super) struct Portal {
    pub(super) fake: Fake,
    pub(super) store: Store,
    pub(super) questions: Questions,
    pub(super) spool: tempfile::TempDir,
}

impl Portal {
    /// `trees` with one version of one file, two workers.
    pub(super) async fn new(change: impl FnOnce(&mut Limits)) -> Self {
        let storage = Storage::open("memory://", &BTreeMap::new()).unwrap();
        let store = Store { storage, catalog: Catalog::open("sqlite::memory:").await.unwrap() };
        let fake = Fake::default();
        let mut limits = Limits::default();
        limits.query.workers = 2;
        limits.query.spare_workers = 0;
        change(&mut limits);
        let workers = Workers::start(fake.launcher(), &limits.query);
        let spool = tempfile::tempdir().unwrap();
        let questions = Questions::new(store.clone(), workers, limits, spool.path().join("spool"));
        let portal = Self { fake, store, questions, spool };
        portal.release("trees", 1, &[b"the stored file"]).await;
        portal
    }

    /// Releases a version of `dataset` whose files have these bytes; each stands for two row groups of 600,000 rows.
    pub(super) async fn release(&self, dataset: &str, version: u32, files: &[&[u8]]) {
        let name = DatasetName::parse(dataset).unwrap();
        let metadata = DatasetMetadata::named(name.clone());
        let record = self.store.catalog.put_dataset(&metadata, "s", NOW_MS).await.unwrap();
        let mut released = Vec::new();
        for (index, bytes) in files.iter().enumerate() {
            let local = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(local.path(), bytes).unwrap();
            let id = format!("v{version}-{index}");
            let path = self.store.storage.put_released(&record.root, &id, local.path()).await.unwrap();
            released.push(ReleasedFile {
                path,
                sha256: hex(&Sha256::digest(bytes)),
                bytes: u64::try_from(bytes.len()).unwrap(),
                blocks: Some(BlockDigests::of(bytes)),
                rows: 1_200_000,
                row_groups: vec![600_000, 600_000],
                columns: Vec::new(),
            });
        }
        let version = VersionRef { dataset: name.clone(), version };
        let manifest = Manifest {
            version: version.clone(),
            schema: Arc::new(Schema::new(vec![
                Field::new("species", DataType::Utf8, true),
                Field::new("height", DataType::Int64, true),
            ])),
            rows: released.iter().map(|file| file.rows).sum(),
            bytes: released.iter().map(|file| file.bytes).sum(),
            files: released,
            sort_key: Vec::new(),
        };
        self.approve_and_release(version, manifest, metadata).await;
    }

    async fn approve_and_release(&self, version: VersionRef, manifest: Manifest, metadata: DatasetMetadata) {
        let catalog = &self.store.catalog;
        let mut revision = RevisionRecord {
            id: format!("revision-{}-{}", version.dataset, version.version),
            dataset: version.dataset.clone(),
            state: RevisionState::Staged,
            staged: StagedFile { path: "p".into(), sha256: "0".repeat(64), bytes: 1 },
            file_name: "f.csv".into(),
            options_json: "{}".into(),
            metadata_json: serde_json::to_string(&metadata).unwrap(),
            prepared_json: None,
            findings: Vec::new(),
            profile: None,
            digest: Some("d".into()),
            created_ms: NOW_MS,
            created_by: "s".into(),
            approved_by: Some("c".into()),
            approved_digest: Some("d".into()),
            version: None,
            review: portico_store::Review::default(),
        };
        catalog.insert_revision(&revision).await.unwrap();
        for (from, to) in
            [(RevisionState::Staged, RevisionState::Screened), (RevisionState::Screened, RevisionState::Approved)]
        {
            revision.state = to;
            catalog.update_revision(from, &revision, "s", NOW_MS).await.unwrap();
        }
        let record = VersionRecord {
            delta_version: i64::from(version.version),
            version,
            state: VersionState::Released,
            released_ms: NOW_MS,
            manifest: Arc::new(manifest),
            profile: Arc::new(TableProfile::default()),
            findings: Arc::default(),
            approved_by: "c".into(),
            withdrawn_reason: None,
        };
        let release = ReleaseRecord { revision_id: revision.id, version: record, metadata };
        catalog.release(&release, "o", NOW_MS).await.unwrap();
    }
}

pub(super) fn caller(block: &str) -> Caller {
    Caller { address_block: block.to_owned(), principal: Principal::Anonymous }
}

/// A statement over `trees` that makes the worker do something.
pub(super) fn ask(block: &str, command: &str) -> Ask {
    Ask {
        sql: format!("SELECT * FROM trees WHERE species = 'do:{command}'"),
        parameters: BTreeMap::new(),
        kind: FileKind::from_extension("csv").unwrap(),
        options: OutputOptions::default(),
        caller: caller(block),
        timeout_ms: None,
        work: Work::Answer,
        text_bytes_max: 1 << 16,
        now_ms: NOW_MS,
        part: None,
    }
}

/// An export of `trees` that makes the worker do something.
pub(super) fn export(block: &str, command: &str) -> ExportRequest {
    ExportRequest {
        dataset: DatasetName::parse("trees").unwrap(),
        version: None,
        kind: FileKind::from_extension("csv").unwrap(),
        select: Vec::new(),
        filter: Some(format!("species = 'do:{command}'")),
        order: None,
        limit: None,
        offset: None,
        options: OutputOptions::default(),
        caller: caller(block),
        now_ms: NOW_MS,
    }
}

pub(super) async fn bytes(mut stream: BoxStream<'static, Result<Bytes, Problem>>) -> Result<Vec<u8>, Problem> {
    let mut all = Vec::new();
    while let Some(read) = stream.next().await {
        all.extend_from_slice(&read?);
    }
    Ok(all)
}
