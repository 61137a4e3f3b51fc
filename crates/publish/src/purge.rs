//! Purge: a withdrawn version's bytes leave every place that this program can reach, and it is searched for them.
//!
//! ```text
//! asked ─▶ confirmed by a second person ─▶ files, staging, exports, Delta log ─▶ rows become a tombstone
//!                                          under the dataset's lease             ─▶ database rewritten ─▶ searched
//! ```
//!
//! Each step may be done again: what was interrupted goes on from the beginning, and finds less to do.

use std::collections::BTreeSet;

use portico_intake::dictionary::{Dictionary, Treatment};
use portico_intake::options::ReadOptions;
use portico_model::dataset::DatasetMetadata;
use portico_model::manifest::StatisticValue;
use portico_model::name::{VersionNumber, VersionRef};
use portico_model::policy::{Action, Decision, Denial, Principal, Subject, VersionState, decide};
use portico_model::revision::RevisionState;
use portico_store::{
    DatasetRecord, Erasure, Needles, PurgeRecord, PurgeReport, RemovedFile, Review, RevisionRecord, StagedFile,
    VersionRecord, VersionSummary,
};
use ulid::Ulid;

use crate::decisions::{denied, text};
use crate::error::PublishError;
use crate::lease::Held;
use crate::publisher::{Publisher, from_json, json};

/// Texts of a version's statistics that are searched for at most.
const TEXTS_MAX: usize = 2_000;
/// What a search cannot reach, for whoever reads the report.
const OUT_OF_REACH: [&str; 4] = [
    "backups, and copies of the storage or the database made by others: destroy those from before, make a new one elsewhere",
    "earlier versions of objects, where the object store keeps them: delete them there",
    "the database's own log and its archives, where it is PostgreSQL",
    "what was downloaded, and caches on the way (CDN, proxies): purge the version's addresses there",
];

/// How far a purge is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Purge {
    /// Who asked, who confirmed, what was removed.
    pub record: PurgeRecord,
    /// Where this program cannot look.
    pub out_of_reach: Vec<&'static str>,
}

impl Publisher {
    /// Asks for a purge, or, as a second person, confirms it and does it. `confirm` is the version, written out. The
    /// operator, and anyone where duties are not separate, does both at once. Doing it again goes on.
    ///
    /// # Errors
    /// [`PublishError::Unconfirmed`]; [`PublishError::Denied`]; [`PublishError::BadText`] without a reason; the
    /// catalog's conflict when the version is public, or a release of the dataset is under way.
    pub async fn purge(
        &self,
        principal: &Principal,
        version: &VersionRef,
        (reason, confirm): (&str, &str),
        now_ms: i64,
    ) -> Result<Purge, PublishError> {
        let dataset = self.dataset(principal, &version.dataset, now_ms).await?;
        let grant = self.permit_dataset(principal, Action::AskPurge, &dataset.metadata, now_ms)?;
        if confirm.trim() != version.to_string() {
            return Err(PublishError::Unconfirmed(version.clone()));
        }
        let catalog = &self.store.catalog;
        let record = match catalog.purge(version).await? {
            Some(record) => record,
            None => {
                let reason = text("the reason", reason)?;
                catalog.ask_purge(version, &reason, grant.principal(), now_ms).await?
            }
        };
        if record.confirmed_by.is_some() {
            return self.finish_purge(record, now_ms).await.map(Purge::of);
        }
        let subject = Subject::Purge {
            dataset: version.dataset.clone(),
            department: dataset.metadata.department.clone(),
            barred: self.separate_duties.then(|| record.asked_by.clone()),
        };
        match decide(principal, Action::ConfirmPurge, &subject, now_ms) {
            Decision::Granted(grant) => {
                let record = catalog.confirm_purge(version, grant.principal(), now_ms).await?;
                self.finish_purge(record, now_ms).await.map(Purge::of)
            }
            // Whoever asks waits for a second person.
            Decision::Denied(_) if record.asked_by == grant.principal() => Ok(Purge::of(record)),
            Decision::Denied(denial) => Err(denied(principal, Action::ConfirmPurge, denial)),
            Decision::Hidden | Decision::Withdrawn => {
                Err(denied(principal, Action::ConfirmPurge, Denial::Role(Action::ConfirmPurge.roles())))
            }
        }
    }

    /// The purges of a dataset, asked for or done.
    ///
    /// # Errors
    /// [`PublishError::UnknownDataset`], [`PublishError::Denied`].
    pub async fn purges(
        &self,
        principal: &Principal,
        dataset: &portico_model::name::DatasetName,
        now_ms: i64,
    ) -> Result<Vec<PurgeRecord>, PublishError> {
        self.dataset(principal, dataset, now_ms).await?;
        Ok(self.store.catalog.purges(Some(dataset)).await?)
    }

    /// Goes on with every purge that was confirmed and is not done, as after a crash. Answers how many were finished.
    ///
    /// # Errors
    /// The first that went wrong; the others were tried.
    pub async fn finish_purges(&self, now_ms: i64) -> Result<u64, PublishError> {
        let (mut finished, mut failed) = (0, None);
        for version in self.store.catalog.open_purges().await? {
            let finishing = async {
                match self.store.catalog.purge(&version).await? {
                    Some(record) if record.confirmed_by.is_some() => self.finish_purge(record, now_ms).await.map(|_| 1),
                    _ => Ok(0),
                }
            };
            match finishing.await {
                Ok(count) => finished += count,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(finished), Err)
    }

    async fn finish_purge(&self, record: PurgeRecord, now_ms: i64) -> Result<PurgeRecord, PublishError> {
        if record.done_ms.is_some() {
            return Ok(record);
        }
        let version = record.version.clone();
        let catalog = &self.store.catalog;
        let held = Held::take(catalog, &version.dataset, format!("purge {}", Ulid::new()), now_ms).await?;
        let done = self.purge_leased(&version, &held, now_ms).await;
        held.end().await;
        done
    }

    async fn purge_leased(
        &self,
        version: &VersionRef,
        held: &Held<'_>,
        now_ms: i64,
    ) -> Result<PurgeRecord, PublishError> {
        let (storage, catalog) = (&self.store.storage, &self.store.catalog);
        let unknown = || PublishError::UnknownDataset(version.dataset.clone());
        let dataset = catalog.dataset(&version.dataset).await?.ok_or_else(unknown)?;
        let record = catalog.version(&version.dataset, version.version).await?.ok_or_else(unknown)?;
        let mut report = PurgeReport::default();
        let (needles, shared_texts) = self.needles(&record).await?;
        (report.texts, report.shared_texts) = (needles.texts(), shared_texts);

        let named = self.named_by_others(version).await?;
        for file in record.manifest.files.iter().filter(|file| !named.contains(&file.path)) {
            held.renew().await?;
            storage.remove_released(&file.path).await?;
            report.files.push(RemovedFile { sha256: file.sha256.clone(), bytes: file.bytes });
        }
        let revisions = catalog.revisions(&version.dataset).await?;
        let mut gone = Vec::new();
        for revision in &revisions {
            if revision.version == Some(version.version) {
                gone.push(revision.id.clone());
            }
        }
        self.remove_leftovers(&dataset.root, &gone, &named, held).await?;
        let closed = |revision: &&RevisionRecord| {
            gone.contains(&revision.id)
                || matches!(revision.state, RevisionState::Discarded | RevisionState::Superseded)
        };
        let emptied = revisions.iter().filter(closed).map(emptied).collect::<Result<Vec<_>, _>>()?;
        held.renew().await?;
        report.staged_files = self.clear_staging(&emptied).await?;
        report.open_revisions =
            revisions.iter().filter(|revision| revision.is_open()).map(|revision| revision.id.clone()).collect();
        held.renew().await?;
        report.log_entries = storage.redact_delta(&dataset.root, &gone).await?;
        held.renew().await?;
        report.exports = storage.spool_clear().await?;
        report.revisions = u64::try_from(emptied.len()).unwrap_or(u64::MAX);
        let metadata = metadata_after(&dataset, &revisions, &self.public_versions(version).await?, &gone)?;
        held.renew().await?;
        let erasure = Erasure { revisions: emptied, metadata, report, holder: held.holder().to_owned() };
        let erased = catalog.erase_version(version, &erasure, now_ms).await?;
        catalog.wipe().await?;
        let mut report = erased.report.unwrap_or_default();
        report.searched = storage.search(&needles).await?;
        report.searched.insert("catalog".to_owned(), catalog.search(&needles).await?);
        Ok(catalog.finish_purge(version, &report, now_ms).await?)
    }

    /// Leftovers of a release that was tried more than once are the version's, too.
    async fn remove_leftovers(
        &self,
        root: &str,
        gone: &[String],
        named: &BTreeSet<String>,
        held: &Held<'_>,
    ) -> Result<(), PublishError> {
        for object in self.store.storage.list_released().await? {
            let name = object.path.strip_prefix(root).and_then(|rest| rest.strip_prefix('/'));
            let theirs = |id: &String| name.is_some_and(|name| name.starts_with(&format!("{id}.")));
            if gone.iter().any(theirs) && !named.contains(&object.path) {
                held.renew().await?;
                self.store.storage.remove_released(&object.path).await?;
            }
        }
        Ok(())
    }

    /// Removes whatever revisions have in staging.
    async fn clear_staging(&self, revisions: &[RevisionRecord]) -> Result<u64, PublishError> {
        let mut removed = 0;
        for object in self.store.storage.list_staged().await? {
            let id = object.path.split('.').next().unwrap_or_default();
            if revisions.iter().any(|revision| revision.id == id) {
                let file = StagedFile { path: object.path, sha256: String::new(), bytes: object.bytes };
                self.store.storage.remove_staged(&file).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Files that versions which stay name.
    async fn named_by_others(&self, version: &VersionRef) -> Result<BTreeSet<String>, PublishError> {
        let mut named = BTreeSet::new();
        for other in self.others(version).await? {
            let Some(other) = self.store.catalog.version(&version.dataset, other).await? else { continue };
            named.extend(other.manifest.files.iter().map(|file| file.path.clone()));
        }
        Ok(named)
    }

    /// The numbers of versions that are public.
    async fn public_versions(&self, version: &VersionRef) -> Result<BTreeSet<u32>, PublishError> {
        let versions = self.store.catalog.versions(&version.dataset).await?;
        let public = versions.iter().filter(|summary| summary.state == VersionState::Released);
        Ok(public.map(|summary| summary.version).collect())
    }

    /// The numbers of the versions that stay. All of their manifests at once might not fit into memory.
    async fn others(&self, version: &VersionRef) -> Result<Vec<VersionNumber>, PublishError> {
        let versions = self.store.catalog.versions(&version.dataset).await?;
        let stays =
            |summary: &&VersionSummary| summary.version != version.version && summary.state != VersionState::Purged;
        Ok(versions.iter().filter(stays).map(|summary| summary.version).collect())
    }

    /// What to search for when all is done: the texts of the version's own statistics which no version that stays has.
    async fn needles(&self, record: &VersionRecord) -> Result<(Needles, u64), PublishError> {
        let mut texts = texts_of(record);
        let all = texts.len();
        for other in self.others(&record.version).await? {
            let Some(other) = self.store.catalog.version(&record.version.dataset, other).await? else { continue };
            let stays = texts_of(&other);
            texts.retain(|text| !stays.contains(text));
        }
        let shared = u64::try_from(all.saturating_sub(texts.len())).unwrap_or(u64::MAX);
        Ok((Needles::new(texts.iter().take(TEXTS_MAX).map(String::as_str))?, shared))
    }
}

impl Purge {
    fn of(record: PurgeRecord) -> Self {
        Self { record, out_of_reach: OUT_OF_REACH.to_vec() }
    }
}

/// Values that stand in a version's statistics, and names of its columns.
fn texts_of(record: &VersionRecord) -> BTreeSet<String> {
    let mut texts = BTreeSet::new();
    for column in &record.profile.columns {
        texts.extend(column.min.iter().chain(&column.max).cloned());
        texts.extend(column.top_values.iter().map(|(value, _)| value.clone()));
    }
    for column in record.manifest.files.iter().flat_map(|file| &file.columns) {
        for value in column.min.iter().chain(&column.max) {
            if let StatisticValue::Text(text) | StatisticValue::Decimal(text) = value {
                texts.insert(text.clone());
            }
        }
    }
    texts
}

/// A revision's record without anything of its data. What it left out stays said: a later file is held to it.
fn emptied(revision: &RevisionRecord) -> Result<RevisionRecord, PublishError> {
    let options: ReadOptions = from_json(&revision.options_json)?;
    let metadata: DatasetMetadata = from_json(&revision.metadata_json)?;
    let mut dropped = options.dictionary.map(|dictionary| dictionary.fields).unwrap_or_default();
    dropped.retain(|field| match field.treatment {
        Treatment::Drop { .. } => true,
        Treatment::Auto => field.classification.is_some(),
        Treatment::Public { .. } => false,
    });
    for field in &mut dropped {
        let (name, treatment) = (field.name.clone(), field.treatment.clone());
        let classification = field.classification.clone();
        *field = portico_intake::dictionary::Field { name, treatment, classification, ..Default::default() };
    }
    let dictionary = (!dropped.is_empty()).then(|| Dictionary { fields: dropped, ..Dictionary::default() });
    let metadata = DatasetMetadata {
        department: metadata.department,
        steward_name: metadata.steward_name,
        steward_email: metadata.steward_email,
        license: metadata.license,
        ..DatasetMetadata::named(revision.dataset.clone())
    };
    Ok(RevisionRecord {
        file_name: "purged".to_owned(),
        options_json: json(&ReadOptions { dictionary, ..ReadOptions::default() })?,
        metadata_json: json(&metadata)?,
        prepared_json: None,
        findings: Vec::new(),
        profile: None,
        review: Review { remark: None, returned_reason: None, ..revision.review.clone() },
        ..revision.clone()
    })
}

/// The dataset's metadata from now on, where those that it has came with what is purged: the newest that stay, or what
/// names nothing but the dataset and its people.
fn metadata_after(
    dataset: &DatasetRecord,
    revisions: &[RevisionRecord],
    stays: &BTreeSet<u32>,
    gone: &[String],
) -> Result<Option<DatasetMetadata>, PublishError> {
    let said = |revision: &RevisionRecord| from_json::<DatasetMetadata>(&revision.metadata_json);
    let mut came = false;
    for revision in revisions.iter().filter(|revision| gone.contains(&revision.id)) {
        came |= said(revision)? == dataset.metadata;
    }
    if !came {
        return Ok(None);
    }
    let newest = revisions
        .iter()
        .filter(|revision| revision.version.is_some_and(|version| stays.contains(&version)))
        .max_by_key(|revision| revision.version);
    let current = dataset.metadata.clone();
    Ok(Some(match newest {
        Some(revision) => said(revision)?,
        None => DatasetMetadata { description: String::new(), keywords: Vec::new(), columns: Vec::new(), ..current },
    }))
}
