//! The last step of the road in: what was approved becomes public, byte for byte.

use std::sync::Arc;

use portico_intake::options::ReadOptions;
use portico_model::dataset::DatasetMetadata;
use portico_model::finding::Finding;
use portico_model::manifest::{Manifest, ReleasedFile};
use portico_model::name::VersionRef;
use portico_model::policy::{Action, Principal, VersionState};
use portico_model::revision::RevisionState;
use portico_store::{DeltaCommit, Prepared, ReleaseRecord, RevisionRecord, VersionRecord};
use sha2::{Digest as _, Sha256};

use crate::error::PublishError;
use crate::inherited::weakened;
use crate::publisher::{Publisher, from_json, json, prepared_key};
use crate::returned::returned;

/// How long a release may work on a dataset's files before somebody else may: a release that takes longer is none
/// the worse for it unless somebody does, and is then told to begin again.
pub(crate) const LEASE_MS: i64 = 15 * 60 * 1000;

/// What was approved, and where it goes.
pub(crate) struct Approved {
    pub(crate) digest: String,
    root: String,
    prepared: Prepared,
    metadata: DatasetMetadata,
}

impl Publisher {
    /// Makes an approved revision public as the dataset's next version: files, Delta commit, catalog, in this
    /// order. A release that was interrupted anywhere is completed by doing it again.
    ///
    /// # Errors
    /// [`PublishError::Incomplete`], [`PublishError::WrongState`], or [`PublishError::Store`] with a conflict when
    /// another release of the dataset came in between: do it again.
    pub async fn release(&self, principal: &Principal, id: &str, now_ms: i64) -> Result<VersionRef, PublishError> {
        let record = self.record(id).await?;
        let grant = self.permit(principal, Action::Release, &record, now_ms).await?;
        if let (RevisionState::Released, Some(version)) = (record.state, record.version) {
            return Ok(VersionRef { dataset: record.dataset, version });
        }
        let approved = self.approved(&record).await?;
        let catalog = &self.store.catalog;
        catalog.lease(&record.dataset, id, now_ms, LEASE_MS).await?;
        let released = self.release_leased(&record, approved, grant.principal(), now_ms).await;
        if let Err(error) = catalog.end_lease(&record.dataset, id).await {
            tracing::warn!(%error, revision = %id, "the dataset's lease has to run out by itself");
        }
        let version = released?;
        self.clean(&record).await;
        Ok(version)
    }

    /// What of a revision was approved, if it still is what was approved and may be released.
    pub(crate) async fn approved(&self, record: &RevisionRecord) -> Result<Approved, PublishError> {
        let metadata: DatasetMetadata = from_json(&record.metadata_json)?;
        self.check_complete(record)?;
        let dataset = self.store.catalog.dataset(&record.dataset).await?;
        let root = dataset.ok_or_else(|| PublishError::UnknownRevision(record.id.clone()))?.root;
        // The approved digest covers the files' digests, and those are verified where the files go.
        let digest = digest(record, record.prepared_json.as_deref().unwrap_or_default(), &record.findings)?;
        if record.approved_digest.as_deref() != Some(digest.as_str()) {
            return Err(PublishError::DigestChanged);
        }
        let prepared = record.prepared()?.ok_or(PublishError::DigestChanged)?;
        // A release that came in between may have left out, or made coarser, what this one shows.
        let options: ReadOptions = from_json(&record.options_json)?;
        let catalog = &self.store.catalog;
        if !returned(catalog, &record.dataset, &options, &prepared.schema).await?.is_empty()
            || !weakened(catalog, &record.dataset, (&options, self.limits.class_rows), &prepared.schema)
                .await?
                .is_empty()
        {
            return Err(PublishError::DigestChanged);
        }
        Ok(Approved { root, prepared, metadata, digest })
    }

    /// The release itself, while nobody else works on the dataset's files.
    async fn release_leased(
        &self,
        record: &RevisionRecord,
        Approved { root, prepared, metadata, .. }: Approved,
        principal: &str,
        now_ms: i64,
    ) -> Result<VersionRef, PublishError> {
        let id = record.id.as_str();
        let files = self.put_files(&root, id, &prepared).await?;
        // Read before the number: what is committed under that number is above what is named before it.
        let after = self.store.catalog.newest_delta_version(&record.dataset).await?;
        let next = self.store.catalog.next_version(&record.dataset).await?;
        let version = VersionRef { dataset: record.dataset.clone(), version: next };
        // With the number: a release that another one overtook commits anew, above it.
        // And with the files: what a catalog of another time has had committed under this number is another version.
        let (schema, txn) = (prepared.schema.clone(), format!("{id}.{next}.{}", digest_of(&files)?));
        let commit = DeltaCommit { txn, schema, files: files.clone(), now_ms, after };
        let delta_version = self.store.storage.commit_version(&root, &commit).await?;
        let manifest = Manifest {
            version: version.clone(),
            schema: prepared.schema,
            rows: prepared.rows,
            bytes: files.iter().map(|file| file.bytes).sum(),
            files,
            sort_key: prepared.sort_key,
        };
        let released = VersionRecord {
            version: version.clone(),
            state: VersionState::Released,
            released_ms: now_ms,
            manifest: Arc::new(manifest),
            profile: Arc::new(record.profile.clone().unwrap_or_default()),
            findings: Arc::new(record.findings.clone()),
            delta_version,
            approved_by: record.approved_by.clone().unwrap_or_default(),
            withdrawn_reason: None,
        };
        let release = ReleaseRecord { revision_id: id.to_owned(), metadata, version: released };
        let catalog = &self.store.catalog;
        Ok(match record.state {
            RevisionState::Scheduled => catalog.release_scheduled(&release, principal, now_ms).await?,
            _ => catalog.release(&release, principal, now_ms).await?,
        })
    }

    /// The prepared files, copied by the storage to where they are public once the catalog names them.
    async fn put_files(&self, root: &str, id: &str, prepared: &Prepared) -> Result<Vec<ReleasedFile>, PublishError> {
        let mut released = Vec::with_capacity(prepared.files.len());
        for (index, (staged, file)) in prepared.files.iter().enumerate() {
            let path = self.store.storage.release_staged(root, &prepared_key(id, index), staged).await?;
            released.push(ReleasedFile { path, ..file.clone() });
        }
        Ok(released)
    }
}

/// What tells the files of one release from those of another.
fn digest_of(files: &[ReleasedFile]) -> Result<String, PublishError> {
    Ok(Sha256::digest(json(files)?).iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

/// What approval is bound to: the input, how it was read, the very files of the release, and what was found.
pub(crate) fn digest(record: &RevisionRecord, prepared: &str, findings: &[Finding]) -> Result<String, PublishError> {
    let mut hash = Sha256::new();
    let findings = json(findings)?;
    let parts = [&record.staged.sha256, &record.options_json, &record.metadata_json, prepared, findings.as_str()];
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
