//! The scrub: every byte that the catalog promises is read and compared with the promise.
//!
//! Disks lose bits without saying so, buckets lose objects, people restore half of a backup. A scrub reads everything
//! once, holds one file's chunk and one manifest in memory, changes nothing, and says what is wrong in words that name
//! datasets and versions.

use std::collections::BTreeMap;

use futures::StreamExt;
use portico_model::name::{DatasetName, VersionNumber, VersionRef};
use portico_model::policy::VersionState;

use crate::Store;
use crate::catalog::{VersionRecord, VersionSummary};
use crate::error::StoreError;
use crate::storage::{DeltaFile, History};

/// Datasets and audit rows read at a time.
const PAGE: i64 = 500;
/// Files read at once: one waits for the disk while the other is digested.
const FILES_AT_ONCE: usize = 2;

/// What a scrub says on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScrubEvent {
    /// So many bytes are to be read, as the catalog has it.
    Total(u64),
    /// So many more were read.
    Read(u64),
    /// Something is wrong.
    Wrong(Wrong),
}

/// One thing that is not as it was promised.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// What it is about: `street-trees version 3`, `the audit log`.
    pub about: String,
    /// How, with what the database or the storage said.
    pub how: String,
}

/// What a scrub looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scrubbed {
    /// Datasets.
    pub datasets: u64,
    /// Versions.
    pub versions: u64,
    /// Files: of versions, of open revisions, finished exports.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Rows of the audit log.
    pub audit_rows: u64,
    /// Things that are wrong.
    pub wrong: u64,
}

/// One scrub under way.
struct Scrub<'a> {
    store: &'a Store,
    said: &'a mut (dyn FnMut(ScrubEvent) + Send),
    seen: Scrubbed,
    /// The last version of each dataset that the audit log knows a release of, until the dataset is looked at.
    released: BTreeMap<String, i64>,
}

impl Store {
    /// Reads everything that the catalog promises: the database's own check, the audit chain, every row's seal, every
    /// file of every version, withdrawn ones included, the Delta log, the files of open revisions, finished exports.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when catalog or storage do not answer: nothing is known then. What is wrong is no
    /// error, but said and counted.
    pub async fn scrub(&self, said: &mut (dyn FnMut(ScrubEvent) + Send)) -> Result<Scrubbed, StoreError> {
        let mut scrub = Scrub { store: self, said, seen: Scrubbed::default(), released: BTreeMap::new() };
        scrub.catalog().await?;
        let mut after = String::new();
        loop {
            let page = scrub.or_wrong("the list of datasets", self.catalog.dataset_names(&after, PAGE).await)?;
            let Some(last) = page.as_ref().and_then(|page| page.last()).cloned() else { break };
            for name in page.unwrap_or_default() {
                match DatasetName::parse(&name) {
                    Ok(name) => scrub.dataset(&name).await?,
                    Err(error) => scrub.wrong(&name, &error),
                }
            }
            after = last;
        }
        for name in std::mem::take(&mut scrub.released).into_keys() {
            scrub.wrong(name, &"the audit log knows releases of it, and there is no such dataset");
        }
        scrub.exports().await?;
        Ok(scrub.seen)
    }
}

impl Scrub<'_> {
    async fn catalog(&mut self) -> Result<(), StoreError> {
        let catalog = &self.store.catalog;
        self.or_wrong("the catalog", catalog.integrity().await)?;
        let rows = self.or_wrong("the audit log", catalog.verify_audit().await)?;
        self.or_wrong("the tokens", catalog.tokens().await)?;
        self.or_wrong("the inventory", catalog.inventory().await)?;
        self.or_wrong("the data requests", catalog.data_requests().await)?;
        self.or_wrong("the edits of metadata", catalog.edits().await)?;
        self.or_wrong("the release calendar", catalog.schedules().await)?;
        self.or_wrong("the purges", catalog.purges(None).await)?;
        self.or_wrong("the counts of use", catalog.uses("", "9999-99", true).await)?;
        for report in self.or_wrong("the reports", catalog.reports().await)?.unwrap_or_default() {
            self.or_wrong("the comments on reports", catalog.comments(report.year, None, i64::MAX).await)?;
        }
        self.or_wrong("the portal's own pages", catalog.page_history(None).await)?;
        self.last_released().await?;
        self.seen.audit_rows = rows.and_then(|rows| u64::try_from(rows).ok()).unwrap_or_default();
        let total = self.or_wrong("the catalog", catalog.released_bytes().await)?;
        (self.said)(ScrubEvent::Total(total.unwrap_or_default()));
        Ok(())
    }

    /// Rows go from 1 without gaps: of those that are gone only the last are not missed by their neighbours.
    async fn last_released(&mut self) -> Result<(), StoreError> {
        let mut after = 0;
        loop {
            let page = self.or_wrong("the audit log", self.store.catalog.audit(None, after, PAGE).await)?;
            let page = page.unwrap_or_default();
            let Some(last) = page.last() else { return Ok(()) };
            after = last.sequence;
            for entry in page.into_iter().filter(|entry| entry.action == "version.released") {
                if let (Some(dataset), Some(version)) = (entry.dataset, entry.version) {
                    let newest = self.released.entry(dataset).or_default();
                    *newest = version.max(*newest);
                }
            }
        }
    }

    async fn dataset(&mut self, name: &DatasetName) -> Result<(), StoreError> {
        self.seen.datasets += 1;
        let released = self.released.remove(name.as_str()).unwrap_or_default();
        let catalog = &self.store.catalog;
        let found = self.or_wrong(name, catalog.dataset(name).await)?;
        self.or_wrong(name, catalog.dataset_key(name).await)?;
        if found.is_some() {
            let is_found = self.or_wrong(name, catalog.is_found_by_its_metadata(name).await)?;
            if is_found == Some(false) {
                self.wrong(name, &"it is not found by what its metadata say");
            }
        }
        let Some(record) = found.flatten() else { return Ok(()) };
        let versions = self.or_wrong(name, catalog.versions(name).await)?.unwrap_or_default();
        let newest = versions.iter().find(|version| version.state == VersionState::Released);
        if record.current != newest.map(|version| version.version) {
            self.wrong(name, &"its current version is not the newest that is released");
        }
        if released > i64::try_from(versions.len()).unwrap_or(i64::MAX) {
            self.wrong(
                name,
                &format!("the audit log knows the release of version {released}, and there is no such row"),
            );
        }
        self.versions(name, &record.root, &versions).await?;
        self.or_wrong(name, catalog.source(name).await)?;
        self.or_wrong(name, catalog.refresh(name).await)?;
        self.or_wrong(name, catalog.runs(name, i64::MAX).await)?;
        self.revisions(name).await
    }

    /// Every version, oldest first: so that each entry of the Delta log is read once.
    async fn versions(&mut self, name: &DatasetName, root: &str, all: &[VersionSummary]) -> Result<(), StoreError> {
        let audited = self.audited(name).await?;
        let mut history = History::of(&self.store.storage, root);
        let mut newest = None;
        for version in all.iter().rev() {
            self.seen.versions += 1;
            let about = format!("{name} version {}", version.version);
            let found = self.store.catalog.version_as_stored(name, version.version).await;
            if let Some(version) = self.or_wrong(&about, found)?.flatten() {
                self.version(&about, &mut history, &version, &audited).await?;
                newest = Some((about, version.delta_version, version.manifest.files.len()));
            }
        }
        // And once as other programs read it: what a table is has to be right, too.
        if let Some((about, version, files)) = newest
            && self.or_wrong(&about, self.delta_files(root, version).await)?.is_some_and(|held| held.len() != files)
        {
            self.wrong(&about, &"its version of the Delta table is read as other files");
        }
        Ok(())
    }

    /// The digests of each version's files, as the audit log has them.
    async fn audited(&mut self, name: &DatasetName) -> Result<BTreeMap<VersionNumber, Vec<String>>, StoreError> {
        let mut audited = BTreeMap::new();
        let mut after = 0;
        loop {
            let page = self.store.catalog.audit(Some(name), after, PAGE).await;
            let page = self.or_wrong("the audit log", page)?.unwrap_or_default();
            let Some(last) = page.last() else { return Ok(audited) };
            after = last.sequence;
            for entry in page.into_iter().filter(|entry| entry.action == "version.released") {
                let number = entry.version.and_then(|number| VersionNumber::try_from(number).ok());
                let files = serde_json::from_str::<serde_json::Value>(&entry.detail)
                    .ok()
                    .and_then(|detail| serde_json::from_value::<Vec<String>>(detail.get("files")?.clone()).ok());
                if let (Some(number), Some(files)) = (number, files) {
                    audited.insert(number, files);
                }
            }
        }
    }

    async fn version(
        &mut self,
        about: &str,
        history: &mut History<'_>,
        version: &VersionRecord,
        audited: &BTreeMap<VersionNumber, Vec<String>>,
    ) -> Result<(), StoreError> {
        let files = &version.manifest.files;
        let digests: Vec<&str> = files.iter().map(|file| file.sha256.as_str()).collect();
        let released = audited.get(&version.version.version);
        let purged = version.state == VersionState::Purged;
        if !purged && released.is_none_or(|released| *released != digests) {
            self.wrong(about, &"the audit log does not know its release with these files");
        }
        let storage = &self.store.storage;
        let differs = history.differs(version.delta_version, &version.manifest).await;
        if let Some(how) = self.or_wrong(about, differs)?.flatten() {
            self.wrong(about, &how);
        }
        let checks = files
            .iter()
            .enumerate()
            .map(|(index, file)| async move { (index, file.bytes, storage.verify_released(file).await) });
        let mut checks = futures::stream::iter(checks).buffered(FILES_AT_ONCE);
        while let Some((index, bytes, checked)) = checks.next().await {
            self.file(&format!("{about}, file {index}"), bytes, checked)?;
        }
        Ok(())
    }

    /// What the Delta log says. Its reader cannot tell a log that does not read from a storage that does not answer:
    /// where the storage has every entry, the log is what is wrong.
    async fn delta_files(&self, root: &str, version: i64) -> Result<Vec<DeltaFile>, StoreError> {
        let storage = &self.store.storage;
        match storage.delta_files(root, Some(version)).await {
            Err(StoreError::Unavailable { source, .. }) => {
                for entry in 0..=version {
                    storage.delta_entry(root, entry).await?;
                }
                Err(StoreError::corrupt("a Delta log", source))
            }
            read => read,
        }
    }

    /// Every revision's row, what became of it, and the files of those that are open.
    async fn revisions(&mut self, name: &DatasetName) -> Result<(), StoreError> {
        let Store { storage, catalog } = self.store;
        let revisions = catalog.revisions(name).await;
        for revision in self.or_wrong(name, revisions)?.unwrap_or_default() {
            let about = format!("revision {} of {name}", revision.id);
            let became = self.or_wrong(&about, catalog.version_of_revision(&revision.id).await)?;
            let says = revision.version.map(|version| VersionRef { dataset: name.clone(), version });
            if became.is_some_and(|became| became != says) {
                self.wrong(&about, &"it says that it became another version than there is");
            }
            if !revision.is_open() {
                continue;
            }
            for file in self.or_wrong(&about, revision.staged_files())?.unwrap_or_default() {
                let checked = storage.verify_staged(&file).await;
                self.file(&about, file.bytes, checked)?;
            }
        }
        Ok(())
    }

    async fn exports(&mut self) -> Result<(), StoreError> {
        let storage = &self.store.storage;
        for object in storage.spool_list().await? {
            // One that was being put while it was looked at, or was removed since, is not lost.
            let checked = match storage.spool_verify(&object.path).await {
                Err(StoreError::NotFound { .. }) => Ok(()),
                checked => checked,
            };
            self.file("a finished export", object.bytes, checked)?;
        }
        Ok(())
    }

    fn file(&mut self, about: &str, bytes: u64, checked: Result<(), StoreError>) -> Result<(), StoreError> {
        self.seen.files += 1;
        self.seen.bytes = self.seen.bytes.saturating_add(bytes);
        (self.said)(ScrubEvent::Read(bytes));
        self.or_wrong(about, checked).map(drop)
    }

    /// What was found; that something is wrong or missing is said, that nobody answers is passed on.
    fn or_wrong<T>(
        &mut self,
        about: impl std::fmt::Display,
        found: Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        match found {
            Ok(found) => Ok(Some(found)),
            Err(error @ (StoreError::Corrupt { .. } | StoreError::NotFound { .. } | StoreError::Invalid { .. })) => {
                let source = std::error::Error::source(&error).map(|source| format!(": {source}"));
                self.wrong(about, &format!("{error}{}", source.unwrap_or_default()));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn wrong(&mut self, about: impl std::fmt::Display, how: &dyn std::fmt::Display) {
        self.seen.wrong += 1;
        (self.said)(ScrubEvent::Wrong(Wrong { about: about.to_string(), how: how.to_string() }));
    }
}
