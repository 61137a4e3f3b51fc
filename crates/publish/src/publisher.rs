//! The first steps of the road in, which work on the file: stage, amend, screen.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono_tz::Tz;
use portico_intake::IntakeError;
use portico_intake::options::ReadOptions;
use portico_intake::remedy::PseudonymKey;
use portico_intake::screen::RuleSet;
use portico_model::dataset::{DatasetMetadata, Requirement};
use portico_model::finding::Finding;
use portico_model::limits::{IntakeLimits, ScheduleLimits};
use portico_model::manifest::ReleasedFile;
use portico_model::name::{DatasetName, VersionNumber};
use portico_model::policy::{Action, Principal};
use portico_model::profile::TableProfile;
use portico_model::revision::RevisionState;
use portico_store::{Prepared, Review, RevisionRecord, Store};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use ulid::Ulid;

use crate::appended::{appended_before, sha256_of};
use crate::carry::said_anew;
use crate::error::PublishError;
use crate::inherited::{continued, inherit, weakened};
use crate::metadata::{MetadataDefaults, proposed};
use crate::reader::{Asked, Jail, SOURCE};
use crate::release::digest;
use crate::returned::returned;
use crate::revision::Revision;
use crate::rows::PREVIEW;
use crate::screening::{Progress, Screened, worst_first};
use crate::settings::Sources;

/// The road in over one store. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Publisher {
    pub(crate) store: Store,
    pub(crate) limits: IntakeLimits,
    pub(crate) schedules: ScheduleLimits,
    pub(crate) time_zone: Tz,
    /// Tells whoever keeps the calendar that it has changed.
    pub(crate) rescheduled: Arc<Notify>,
    pub(crate) separate_duties: bool,
    pub(crate) required: Vec<Requirement>,
    pub(crate) defaults: MetadataDefaults,
    pub(crate) sources: Sources,
    pub(crate) own_steward: Option<String>,
    pub(crate) jail: Jail,
    pub(crate) scratch: PathBuf,
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

/// What is said otherwise of a revision whose file stays.
#[derive(Clone, Debug, Default)]
pub struct Amendment {
    /// The metadata from now on; the name in it does not count.
    pub metadata: Option<DatasetMetadata>,
    /// How the file is to be read from now on; the file's name in it does not count.
    pub options: Option<ReadOptions>,
}

impl Publisher {
    /// A road in over `store`, with working files under `scratch`. Files are read by processes of their own:
    /// `program reader --scratch DIR`, which calls [`read_staged`](crate::read_staged); normally this very program.
    #[must_use]
    pub fn new(store: Store, limits: IntakeLimits, program: PathBuf, scratch: PathBuf) -> Self {
        Self {
            store,
            limits,
            separate_duties: true,
            required: Requirement::ALL.to_vec(),
            defaults: MetadataDefaults::default(),
            sources: Sources::default(),
            own_steward: None,
            schedules: ScheduleLimits::default(),
            time_zone: Tz::UTC,
            rescheduled: Arc::new(Notify::new()),
            jail: Jail::new(program),
            scratch,
        }
    }

    /// Whether a revision has to be approved by somebody other than who staged or submitted it. It has, unless this
    /// says otherwise.
    #[must_use]
    pub fn with_separate_duties(self, separate_duties: bool) -> Self {
        Self { separate_duties, ..self }
    }

    /// The same road in, with these limits of releases at a time that was set.
    #[must_use]
    pub fn with_schedule_limits(self, schedules: ScheduleLimits) -> Self {
        Self { schedules, ..self }
    }

    /// The same road in, for people whose clocks show the time of a zone such as `America/New_York`; UTC unless it is said.
    /// `None` when there is no zone of that name.
    #[must_use]
    pub fn with_time_zone(self, name: &str) -> Option<Self> {
        Some(Self { time_zone: name.parse().ok()?, ..self })
    }

    /// The same road in, with what the operator allows sources to be.
    #[must_use]
    pub fn with_sources(self, sources: Sources) -> Self {
        Self { sources, ..self }
    }

    /// The same road in, which screens by these rules instead of the built-in ones.
    #[must_use]
    pub fn with_rules(mut self, rules: RuleSet) -> Self {
        self.jail.set_rules(rules);
        self
    }

    /// Puts a file into staging, as a new revision. The same file with the same options, staged before and not
    /// decided yet, is the same revision: a retry goes on where it stopped. What was returned to the same person is
    /// superseded by it.
    ///
    /// # Errors
    /// [`PublishError::Denied`]; [`PublishError::UnknownDataset`] for what is not in the principal's scope;
    /// [`PublishError::BadMetadata`]; [`PublishError::Store`] when staging cannot be written.
    pub async fn stage(
        &self,
        principal: &Principal,
        request: StageRequest,
        now_ms: i64,
    ) -> Result<Revision, PublishError> {
        let dataset = request.metadata.name.clone();
        let edit = self.edit_before(&dataset).await?;
        let grant = self.permit_proposal(principal, &request.metadata, now_ms).await?;
        self.check_size(&request.file)?;
        let options = inherit(&self.store.catalog, &dataset, request.options).await?;
        let metadata = proposed(request.metadata, &options, &self.defaults)?;
        if self.store.catalog.dataset(&dataset).await?.is_none() {
            self.store.catalog.make_dataset(&metadata, grant.principal(), now_ms).await?;
            // Somebody else may have made it meanwhile.
            self.permit_proposal(principal, &metadata, now_ms).await?;
        }
        let id = Ulid::new().to_string();
        let staged = self.store.storage.put_staged(&format!("{id}.source"), &request.file).await?;
        let options_json = json(&options)?;
        let metadata_json = json(&metadata)?;
        let earlier = self.store.catalog.undecided_revisions(&dataset).await?;
        let own = |record: &&RevisionRecord| record.created_by == grant.principal();
        let same = |record: &&RevisionRecord| {
            let undecided = !matches!(record.state, RevisionState::Blocked | RevisionState::Returned);
            let same = record.staged.sha256 == staged.sha256
                && record.options_json == options_json
                && record.metadata_json == metadata_json;
            record.is_open() && undecided && same
        };
        if let Some(same) = earlier.iter().filter(own).find(same) {
            self.store.storage.remove_staged(&staged).await?;
            return Revision::of(same.clone());
        }
        let record = RevisionRecord {
            id,
            dataset,
            state: RevisionState::Staged,
            staged,
            file_name: options.file_name.clone(),
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
            review: Review::default(),
        };
        self.store.catalog.insert_revision(&record).await?;
        for returned in earlier.iter().filter(own).filter(|record| record.state == RevisionState::Returned) {
            let superseded = RevisionRecord { state: RevisionState::Superseded, ..returned.clone() };
            self.store.catalog.update_revision(returned.state, &superseded, grant.principal(), now_ms).await?;
            self.clean(returned).await;
        }
        Revision::of(self.catch_up(record, edit.as_ref(), now_ms).await?)
    }

    /// Says otherwise how a staged file is to be read and what is known of its dataset: a column is dropped, or
    /// declared public with a reason. The file stays; it has to be screened again.
    ///
    /// # Errors
    /// [`PublishError::Denied`]; [`PublishError::BadMetadata`]; [`PublishError::WrongState`] once the revision is handed
    /// in.
    pub async fn amend(
        &self,
        principal: &Principal,
        id: &str,
        amendment: Amendment,
        now_ms: i64,
    ) -> Result<Revision, PublishError> {
        let record = self.record(id).await?;
        let edit = self.edit_before(&record.dataset).await?;
        let grant = self.permit(principal, Action::Stage, &record, now_ms).await?;
        let known: DatasetMetadata = from_json(&record.metadata_json)?;
        let metadata = match amendment.metadata {
            Some(metadata) => DatasetMetadata { name: record.dataset.clone(), ..metadata },
            None => known.clone(),
        };
        self.permit_proposal(principal, &metadata, now_ms).await?;
        let read: ReadOptions = from_json(&record.options_json)?;
        let options = match amendment.options {
            Some(options) => ReadOptions { file_name: record.file_name.clone(), ..options },
            None => read.clone(),
        };
        let options = inherit(&self.store.catalog, &record.dataset, options).await?;
        let metadata = match metadata.columns == known.columns {
            true => proposed(metadata, &said_anew(&options, &read), &self.defaults)?,
            false => proposed(metadata, &options, &self.defaults)?,
        };
        let amended = RevisionRecord {
            state: RevisionState::Staged,
            options_json: json(&options)?,
            metadata_json: json(&metadata)?,
            prepared_json: None,
            findings: Vec::new(),
            profile: None,
            digest: None,
            ..record.clone()
        };
        if (&amended.options_json, &amended.metadata_json) == (&record.options_json, &record.metadata_json) {
            return Revision::of(record);
        }
        self.store.catalog.update_revision(record.state, &amended, grant.principal(), now_ms).await?;
        Revision::of(self.catch_up(amended, edit.as_ref(), now_ms).await?)
    }

    /// Reads every row of a staged revision: types, profile, findings, and the files that a release would publish.
    /// A revision that was screened or blocked before is screened again; one that is handed in or approved is left as it is.
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
        let grant = self.permit(principal, Action::Screen, &record, now_ms).await?;
        if matches!(record.state, RevisionState::InReview | RevisionState::Approved | RevisionState::Scheduled) {
            return Revision::of(record);
        }
        let scratch = self.scratch("screen-")?;
        self.store.storage.fetch_staged(&record.staged, &scratch.path().join(SOURCE)).await?;
        let options: ReadOptions = from_json(&record.options_json)?;
        let key = self.pseudonym_key(&record.dataset, &options, Some(grant.principal()), now_ms).await?;
        let goes_on = !options.mode.replaces();
        let file = (scratch.path(), record.staged.sha256.as_str());
        let (screened, base) = self.read(&record.dataset, (options, key), file, &mut progress).await?;
        let prepared = self.put_prepared(id, &screened, scratch.path()).await?;
        let prepared = json(&Prepared { base: goes_on.then_some(base), ..prepared })?;
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
        Revision::of(updated)
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
        self.permit_proposal(principal, &request.metadata, now_ms).await?;
        self.check_size(&request.file)?;
        let scratch = self.scratch("screen-")?;
        tokio::fs::copy(&request.file, scratch.path().join(SOURCE)).await?;
        let options = inherit(&self.store.catalog, dataset, request.options).await?;
        let key = self.pseudonym_key(dataset, &options, None, now_ms).await?;
        let sha256 = sha256_of(&request.file).await?;
        let file = (scratch.path(), sha256.as_str());
        let (screened, _) = self.read(dataset, (options, key), file, &mut progress).await?;
        Ok((screened.findings, screened.profile))
    }

    /// A directory for files on their way; it goes when this is dropped.
    ///
    /// # Errors
    /// [`PublishError::Write`] when it cannot be made.
    pub fn scratch(&self, prefix: &str) -> Result<tempfile::TempDir, PublishError> {
        Ok(tempfile::Builder::new().prefix(prefix).tempdir_in(&self.scratch)?)
    }

    fn check_size(&self, file: &Path) -> Result<(), PublishError> {
        let maximum = self.limits.file_bytes;
        if std::fs::metadata(file)?.len() <= maximum {
            return Ok(());
        }
        let (what, limit, place) = ("the file has more bytes", "file_bytes", String::new());
        Err(IntakeError::OverLimit { what, limit, maximum, place }.into())
    }

    /// Has the file [`SOURCE`] in `scratch`, of this digest, read, and looks at it in the light of what was released before.
    async fn read(
        &self,
        dataset: &DatasetName,
        (options, key): (ReadOptions, Option<PseudonymKey>),
        (scratch, sha256): (&Path, &str),
        progress: &mut (impl FnMut(Progress) + Send),
    ) -> Result<(Screened, VersionNumber), PublishError> {
        let (current, base) = self.fetch_current(dataset, &options, scratch).await?;
        let asked = Asked { options: options.clone(), key, current };
        let mut screened = self.jail.read(asked, &self.limits, scratch, progress).await?;
        let catalog = &self.store.catalog;
        screened.findings.extend(returned(catalog, dataset, &options, &screened.schema).await?);
        screened.findings.extend(continued(catalog, dataset, &options, (base, &screened.schema)).await?);
        screened
            .findings
            .extend(weakened(catalog, dataset, (&options, self.limits.class_rows), &screened.schema).await?);
        screened.findings.extend(appended_before(catalog, dataset, &options, (base, sha256)).await?);
        worst_first(&mut screened.findings);
        Ok((screened, base))
    }

    pub(crate) async fn record(&self, id: &str) -> Result<RevisionRecord, PublishError> {
        let record = self.store.catalog.revision(id).await?;
        record.ok_or_else(|| PublishError::UnknownRevision(id.to_owned()))
    }

    async fn put_prepared(&self, id: &str, screened: &Screened, scratch: &Path) -> Result<Prepared, PublishError> {
        let mut files = Vec::with_capacity(screened.files.len());
        for (index, file) in screened.files.iter().enumerate() {
            let local = scratch.join(&file.name);
            let (staged, blocks) = self.store.storage.put_prepared(&prepared_key(id, index), &local).await?;
            if staged.sha256 != file.sha256 || staged.bytes != file.bytes {
                return Err(PublishError::Write("a file is not the one that the reader wrote".into()));
            }
            let released = ReleasedFile {
                path: String::new(),
                sha256: staged.sha256.clone(),
                bytes: file.bytes,
                blocks: Some(blocks),
                rows: file.rows,
                row_groups: file.row_groups.clone(),
                columns: file.columns.clone(),
            };
            files.push((staged, released));
        }
        let preview = self.store.storage.put_staged(&format!("{id}.preview"), &scratch.join(PREVIEW)).await?;
        let (schema, sort_key) = (screened.schema.clone(), screened.sort_key.clone());
        Ok(Prepared { schema, rows: screened.rows, sort_key, files, preview: Some(preview), base: None })
    }

    /// Staging is emptied as a courtesy; what stays after a crash is the sweep's.
    pub(crate) async fn clean(&self, record: &RevisionRecord) {
        for file in record.staged_files().unwrap_or_else(|_| vec![record.staged.clone()]) {
            if let Err(error) = self.store.storage.remove_staged(&file).await {
                tracing::warn!(%error, revision = %record.id, "a staged file stays for the sweep");
            }
        }
    }
}

pub(crate) fn prepared_key(id: &str, index: usize) -> String {
    format!("{id}.part-{index:05}")
}

pub(crate) fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, PublishError> {
    serde_json::to_string(value).map_err(|error| PublishError::Write(error.into()))
}

pub(crate) fn from_json<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, PublishError> {
    serde_json::from_str(text).map_err(|error| PublishError::Write(error.into()))
}
