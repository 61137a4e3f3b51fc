//! The steps of the road in.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use portico_intake::IntakeError;
use portico_intake::options::ReadOptions;
use portico_intake::screen::RuleSet;
use portico_model::dataset::DatasetMetadata;
use portico_model::finding::Finding;
use portico_model::limits::IntakeLimits;
use portico_model::manifest::{Manifest, ReleasedFile};
use portico_model::name::{DatasetName, VersionRef};
use portico_model::policy::{Action, Decision, Grant, Principal, Subject, VersionState, decide};
use portico_model::profile::TableProfile;
use portico_model::revision::RevisionState;
use portico_store::{DeltaCommit, Prepared, ReleaseRecord, RevisionRecord, Store, VersionRecord};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use ulid::Ulid;

use crate::error::PublishError;
use crate::reader::{Jail, SOURCE};
use crate::returned::returned;
use crate::screening::{Progress, Screened, worst_first};

/// The road in over one store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Publisher {
    pub(crate) store: Store,
    limits: IntakeLimits,
    jail: Jail,
    scratch: PathBuf,
}

/// What somebody proposes.
#[derive(Clone, Debug)]
pub struct StageRequest {
    /// What the dataset is to be called and who answers for it; becomes public with the release.
    pub metadata: DatasetMetadata,
    /// A local file.
    pub file: PathBuf,
    /// How it is to be read, and the steward's dictionary.
    pub options: ReadOptions,
}

/// A revision as its steward sees it.
#[derive(Clone, Debug)]
pub struct Revision {
    /// Its id.
    pub id: String,
    /// The dataset.
    pub dataset: DatasetName,
    /// Where it stands.
    pub state: RevisionState,
    /// What screening found, worst first.
    pub findings: Vec<Finding>,
    /// The figures of what would be released.
    pub profile: Option<TableProfile>,
    /// What approval is bound to; absent until it is screened.
    pub digest: Option<String>,
    /// The version that it became.
    pub version: Option<VersionRef>,
}

/// How long a release may work on a dataset's files before somebody else may: a release that takes longer is none
/// the worse for it unless somebody does, and is then told to begin again.
pub(crate) const LEASE_MS: i64 = 15 * 60 * 1000;

impl Publisher {
    /// A road in over `store`, with working files under `scratch`. Files are read by processes of their own:
    /// `program reader --scratch DIR`, which calls [`read_staged`](crate::read_staged); normally this very program.
    #[must_use]
    pub fn new(store: Store, limits: IntakeLimits, program: PathBuf, scratch: PathBuf) -> Self {
        Self { store, limits, jail: Jail::new(program), scratch }
    }

    /// The same road in, which screens by these rules instead of the built-in ones.
    #[must_use]
    pub fn with_rules(mut self, rules: RuleSet) -> Self {
        self.jail.set_rules(rules);
        self
    }

    /// Puts a file into staging, as a new revision. The same file with the same options, staged before and not
    /// decided yet, is the same revision: a retry goes on where it stopped.
    ///
    /// # Errors
    /// [`PublishError::Denied`]; [`PublishError::Store`] when staging cannot be written.
    pub async fn stage(
        &self,
        principal: &Principal,
        request: StageRequest,
        now_ms: i64,
    ) -> Result<Revision, PublishError> {
        let dataset = request.metadata.name.clone();
        let grant = permit(principal, Action::Stage, &dataset, now_ms)?;
        self.check_size(&request.file)?;
        if self.store.catalog.dataset(&dataset).await?.is_none() {
            self.store.catalog.put_dataset(&request.metadata, grant.principal(), now_ms).await?;
        }
        let id = Ulid::new().to_string();
        let staged = self.store.storage.put_staged(&format!("{id}.source"), &request.file).await?;
        let options_json = json(&request.options)?;
        let metadata_json = json(&request.metadata)?;
        for earlier in self.store.catalog.revisions(&dataset).await? {
            let open =
                matches!(earlier.state, RevisionState::Staged | RevisionState::Screened | RevisionState::Approved);
            let same = earlier.staged.sha256 == staged.sha256
                && earlier.options_json == options_json
                && earlier.metadata_json == metadata_json;
            if open && same {
                self.store.storage.remove_staged(&staged).await?;
                return revision(earlier);
            }
        }
        let record = RevisionRecord {
            id,
            dataset,
            state: RevisionState::Staged,
            staged,
            file_name: request.options.file_name.clone(),
            options_json,
            metadata_json,
            prepared_json: None,
            findings: Vec::new(),
            profile: None,
            digest: None,
            created_ms: now_ms,
            created_by: grant.principal().to_owned(),
            approved_by: None,
            approved_digest: None,
            version: None,
        };
        self.store.catalog.insert_revision(&record).await?;
        revision(record)
    }

    /// Reads every row of a staged revision: types, profile, findings, and the files that a release would publish.
    /// A revision that was screened or blocked before is screened again; an approved one is left as it is.
    ///
    /// The file is read in a process of its own, within limits. Dropping the future ends it; whatever happens to it, the
    /// revision stays as it was and may be screened again.
    ///
    /// # Errors
    /// [`PublishError::Refused`] or [`PublishError::Intake`] when the file is no table or over a limit;
    /// [`PublishError::WrongState`].
    pub async fn screen(
        &self,
        principal: &Principal,
        id: &str,
        now_ms: i64,
        mut progress: impl FnMut(Progress) + Send + 'static,
    ) -> Result<Revision, PublishError> {
        let record = self.record(id).await?;
        let grant = permit(principal, Action::Stage, &record.dataset, now_ms)?;
        if record.state == RevisionState::Approved {
            return revision(record);
        }
        check_state(&record, RevisionState::Screened, "screened")?;
        let scratch = tempfile::Builder::new().prefix("screen-").tempdir_in(&self.scratch)?;
        self.store.storage.fetch_staged(&record.staged, &scratch.path().join(SOURCE)).await?;
        let options: ReadOptions = from_json(&record.options_json)?;
        let screened = self.read(&record.dataset, options, scratch.path(), &mut progress).await?;
        let prepared = json(&self.put_prepared(id, &screened, scratch.path()).await?)?;
        let blocked = screened.findings.iter().any(Finding::blocks);
        let updated = RevisionRecord {
            state: if blocked { RevisionState::Blocked } else { RevisionState::Screened },
            digest: Some(digest(&record, &prepared, &screened.findings)?),
            prepared_json: Some(prepared),
            findings: screened.findings,
            profile: Some(screened.profile),
            ..record.clone()
        };
        self.store.catalog.update_revision(record.state, &updated, grant.principal(), now_ms).await?;
        revision(updated)
    }

    /// What screening would say of a file, and the figures of what would be released. Nothing is staged or kept.
    ///
    /// # Errors
    /// Those of [`Publisher::screen`].
    pub async fn preview(
        &self,
        principal: &Principal,
        request: StageRequest,
        now_ms: i64,
        mut progress: impl FnMut(Progress) + Send + 'static,
    ) -> Result<(Vec<Finding>, TableProfile), PublishError> {
        let dataset = &request.metadata.name;
        permit(principal, Action::Stage, dataset, now_ms)?;
        self.check_size(&request.file)?;
        let scratch = tempfile::Builder::new().prefix("screen-").tempdir_in(&self.scratch)?;
        tokio::fs::copy(&request.file, scratch.path().join(SOURCE)).await?;
        let screened = self.read(dataset, request.options, scratch.path(), &mut progress).await?;
        Ok((screened.findings, screened.profile))
    }

    /// Consents to the release of exactly what was screened: `digest` is the one that was looked at.
    ///
    /// # Errors
    /// [`PublishError::DigestChanged`] when it is another by now; [`PublishError::WrongState`] when findings block.
    pub async fn approve(
        &self,
        principal: &Principal,
        id: &str,
        digest: &str,
        now_ms: i64,
    ) -> Result<Revision, PublishError> {
        let record = self.record(id).await?;
        let grant = permit(principal, Action::Approve, &record.dataset, now_ms)?;
        if record.digest.as_deref() != Some(digest) {
            return Err(PublishError::DigestChanged);
        }
        if record.state == RevisionState::Approved {
            return revision(record);
        }
        check_state(&record, RevisionState::Approved, "approved")?;
        let updated = RevisionRecord {
            state: RevisionState::Approved,
            approved_by: Some(grant.principal().to_owned()),
            approved_digest: Some(digest.to_owned()),
            ..record.clone()
        };
        self.store.catalog.update_revision(record.state, &updated, grant.principal(), now_ms).await?;
        revision(updated)
    }

    /// Makes an approved revision public as the dataset's next version: files, Delta commit, catalog, in this
    /// order. A release that was interrupted anywhere is completed by doing it again.
    ///
    /// # Errors
    /// [`PublishError::NoSteward`], [`PublishError::WrongState`], or [`PublishError::Store`] with a conflict when
    /// another release of the dataset came in between: do it again.
    pub async fn release(&self, principal: &Principal, id: &str, now_ms: i64) -> Result<VersionRef, PublishError> {
        let record = self.record(id).await?;
        let grant = permit(principal, Action::Release, &record.dataset, now_ms)?;
        if let (RevisionState::Released, Some(version)) = (record.state, record.version) {
            return Ok(VersionRef { dataset: record.dataset, version });
        }
        check_state(&record, RevisionState::Released, "released")?;
        let metadata: DatasetMetadata = from_json(&record.metadata_json)?;
        if metadata.steward_email.trim().is_empty() {
            return Err(PublishError::NoSteward);
        }
        let dataset = self.store.catalog.dataset(&record.dataset).await?;
        let root = dataset.ok_or_else(|| PublishError::UnknownRevision(id.to_owned()))?.root;
        // The approved digest covers the files' digests, and those are verified where the files go.
        let seen = digest(&record, record.prepared_json.as_deref().unwrap_or_default(), &record.findings)?;
        if record.approved_digest.as_deref() != Some(seen.as_str()) {
            return Err(PublishError::DigestChanged);
        }
        let prepared = record.prepared()?.ok_or(PublishError::DigestChanged)?;
        // A release that came in between may have left out what this one shows.
        let options: ReadOptions = from_json(&record.options_json)?;
        if !returned(&self.store.catalog, &record.dataset, &options, &prepared.schema).await?.is_empty() {
            return Err(PublishError::DigestChanged);
        }
        let catalog = &self.store.catalog;
        catalog.lease(&record.dataset, id, now_ms, LEASE_MS).await?;
        let released = self.release_leased(&record, (&root, prepared, metadata), grant.principal(), now_ms).await;
        if let Err(error) = catalog.end_lease(&record.dataset, id).await {
            tracing::warn!(%error, revision = %id, "the dataset's lease has to run out by itself");
        }
        let version = released?;
        self.clean(&record).await;
        Ok(version)
    }

    /// The release itself, while nobody else works on the dataset's files.
    async fn release_leased(
        &self,
        record: &RevisionRecord,
        (root, prepared, metadata): (&str, Prepared, DatasetMetadata),
        principal: &str,
        now_ms: i64,
    ) -> Result<VersionRef, PublishError> {
        let id = record.id.as_str();
        let files = self.put_files(root, id, &prepared).await?;
        let next = self.store.catalog.next_version(&record.dataset).await?;
        let version = VersionRef { dataset: record.dataset.clone(), version: next };
        // With the number: a release that another one overtook commits anew, above it.
        let commit =
            DeltaCommit { txn: format!("{id}.{next}"), schema: prepared.schema.clone(), files: files.clone(), now_ms };
        let delta_version = self.store.storage.commit_version(root, &commit).await?;
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
        Ok(self.store.catalog.release(&release, principal, now_ms).await?)
    }

    /// Gives a revision up and removes its bytes.
    ///
    /// # Errors
    /// [`PublishError::WrongState`] when it is released already.
    pub async fn discard(&self, principal: &Principal, id: &str, now_ms: i64) -> Result<Revision, PublishError> {
        let record = self.record(id).await?;
        let grant = permit(principal, Action::Stage, &record.dataset, now_ms)?;
        check_state(&record, RevisionState::Discarded, "discarded")?;
        let updated = RevisionRecord { state: RevisionState::Discarded, ..record.clone() };
        self.store.catalog.update_revision(record.state, &updated, grant.principal(), now_ms).await?;
        self.clean(&record).await;
        revision(updated)
    }

    /// One revision, for whoever works on it.
    ///
    /// # Errors
    /// [`PublishError::UnknownRevision`], [`PublishError::Denied`].
    pub async fn revision(&self, principal: &Principal, id: &str, now_ms: i64) -> Result<Revision, PublishError> {
        let record = self.record(id).await?;
        permit(principal, Action::Stage, &record.dataset, now_ms)?;
        revision(record)
    }

    /// All revisions of a dataset, oldest first.
    ///
    /// # Errors
    /// [`PublishError::Denied`].
    pub async fn revisions(
        &self,
        principal: &Principal,
        dataset: &DatasetName,
        now_ms: i64,
    ) -> Result<Vec<Revision>, PublishError> {
        permit(principal, Action::Stage, dataset, now_ms)?;
        self.store.catalog.revisions(dataset).await?.into_iter().map(revision).collect()
    }

    fn check_size(&self, file: &Path) -> Result<(), PublishError> {
        let maximum = self.limits.file_bytes;
        if std::fs::metadata(file)?.len() <= maximum {
            return Ok(());
        }
        let (what, limit, place) = ("the file has more bytes", "file_bytes", String::new());
        Err(IntakeError::OverLimit { what, limit, maximum, place }.into())
    }

    /// Has the file [`SOURCE`] in `scratch` read, and looks at it in the light of what was released before.
    async fn read(
        &self,
        dataset: &DatasetName,
        options: ReadOptions,
        scratch: &Path,
        progress: &mut (impl FnMut(Progress) + Send),
    ) -> Result<Screened, PublishError> {
        let mut screened = self.jail.read(options.clone(), &self.limits, scratch, progress).await?;
        screened.findings.extend(returned(&self.store.catalog, dataset, &options, &screened.schema).await?);
        worst_first(&mut screened.findings);
        Ok(screened)
    }

    async fn record(&self, id: &str) -> Result<RevisionRecord, PublishError> {
        let record = self.store.catalog.revision(id).await?;
        record.ok_or_else(|| PublishError::UnknownRevision(id.to_owned()))
    }

    async fn put_prepared(&self, id: &str, screened: &Screened, scratch: &Path) -> Result<Prepared, PublishError> {
        let mut files = Vec::with_capacity(screened.files.len());
        for (index, file) in screened.files.iter().enumerate() {
            let local = scratch.join(&file.name);
            let staged = self.store.storage.put_staged(&prepared_key(id, index), &local).await?;
            if staged.sha256 != file.sha256 || staged.bytes != file.bytes {
                return Err(PublishError::Write("a file is not the one that the reader wrote".into()));
            }
            let released = ReleasedFile {
                path: String::new(),
                sha256: staged.sha256.clone(),
                bytes: file.bytes,
                rows: file.rows,
                row_groups: file.row_groups.clone(),
                columns: file.columns.clone(),
            };
            files.push((staged, released));
        }
        let (schema, sort_key) = (screened.schema.clone(), screened.sort_key.clone());
        Ok(Prepared { schema, rows: screened.rows, sort_key, files })
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

    /// Staging is emptied as a courtesy; what stays after a crash is the sweep's.
    async fn clean(&self, record: &RevisionRecord) {
        for file in record.staged_files().unwrap_or_else(|_| vec![record.staged.clone()]) {
            if let Err(error) = self.store.storage.remove_staged(&file).await {
                tracing::warn!(%error, revision = %record.id, "a staged file stays for the sweep");
            }
        }
    }
}

fn prepared_key(id: &str, index: usize) -> String {
    format!("{id}.part-{index:05}")
}

fn permit(principal: &Principal, action: Action, dataset: &DatasetName, now_ms: i64) -> Result<Grant, PublishError> {
    let subject = Subject { dataset: dataset.clone(), version: None };
    match decide(principal, action, &subject, now_ms) {
        Decision::Granted(grant) => Ok(grant),
        Decision::Denied | Decision::Hidden | Decision::Withdrawn => {
            let step = match action {
                Action::Read => "read",
                Action::Stage => "stage",
                Action::Review => "review",
                Action::Approve => "approve",
                Action::Release => "release",
            };
            Err(PublishError::Denied { principal: principal.name().to_owned(), step })
        }
    }
}

fn check_state(record: &RevisionRecord, next: RevisionState, step: &'static str) -> Result<(), PublishError> {
    if record.state.may_become(next) { Ok(()) } else { Err(PublishError::WrongState { state: record.state, step }) }
}

/// What approval is bound to: the input, how it was read, the very files of the release, and what was found.
fn digest(record: &RevisionRecord, prepared: &str, findings: &[Finding]) -> Result<String, PublishError> {
    let mut hash = Sha256::new();
    let findings = json(findings)?;
    let parts = [&record.staged.sha256, &record.options_json, &record.metadata_json, prepared, findings.as_str()];
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn revision(record: RevisionRecord) -> Result<Revision, PublishError> {
    let dataset = record.dataset.clone();
    Ok(Revision {
        id: record.id,
        state: record.state,
        findings: record.findings,
        profile: record.profile,
        digest: record.digest,
        version: record.version.map(|version| VersionRef { dataset, version }),
        dataset: record.dataset,
    })
}

fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, PublishError> {
    serde_json::to_string(value).map_err(|error| PublishError::Write(error.into()))
}

pub(crate) fn from_json<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, PublishError> {
    serde_json::from_str(text).map_err(|error| PublishError::Write(error.into()))
}
