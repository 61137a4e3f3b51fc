//! Purges: asked for by one person, confirmed by another, and what is left of a version afterwards.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::Schema;
use portico_model::dataset::DatasetMetadata;
use portico_model::finding::Finding;
use portico_model::manifest::Manifest;
use portico_model::name::{DatasetName, VersionRef};
use portico_model::policy::VersionState;
use portico_model::profile::TableProfile;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::audit::What;
use super::change::Change;
use super::records::{self, RevisionRecord};
use super::seals::{self, purge_columns, version_columns};
use super::{Catalog, datasets, lease, revisions};
use crate::error::StoreError;

/// A purge, from the asking to the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgeRecord {
    /// The version.
    pub version: VersionRef,
    /// Why; never a value of the data.
    pub reason: String,
    /// Who asked.
    pub asked_by: String,
    /// When, in milliseconds since the epoch.
    pub asked_ms: i64,
    /// Who confirmed it.
    pub confirmed_by: Option<String>,
    /// When: from here on there is no way back.
    pub confirmed_ms: Option<i64>,
    /// When the catalog's rows became a tombstone.
    pub erased_ms: Option<i64>,
    /// What was removed, once it was.
    pub report: Option<PurgeReport>,
    /// When the database had given up the bytes, too, which ends it.
    #[serde(skip)]
    pub done_ms: Option<i64>,
}

/// What a purge removed and where it looked for traces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PurgeReport {
    /// Files of the version.
    pub files: Vec<RemovedFile>,
    /// Entries of the Delta log that were written anew.
    pub log_entries: u64,
    /// Files in staging.
    pub staged_files: u64,
    /// Finished exports: all of them, since an export does not say what it was made from.
    pub exports: u64,
    /// Records of revisions whose figures were emptied: the version's own, and those given up.
    pub revisions: u64,
    /// Revisions that are still open: they may hold the same, and are to be discarded by somebody who has looked.
    pub open_revisions: Vec<String>,
    /// Texts of the version's statistics that were searched for afterwards, each in several encodings.
    pub texts: u64,
    /// Texts that were not searched for, because versions that stay have them too.
    pub shared_texts: u64,
    /// Where they were searched for, and how often any was found there.
    pub searched: BTreeMap<String, u64>,
}

/// A file that is gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedFile {
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// What becomes of the catalog's rows.
#[derive(Clone, Debug)]
pub struct Erasure {
    /// The records of revisions as they are to be from now on.
    pub revisions: Vec<RevisionRecord>,
    /// The dataset's metadata from now on, if they are to be others.
    pub metadata: Option<DatasetMetadata>,
    /// What was removed so far.
    pub report: PurgeReport,
    /// Who holds the dataset's lease.
    pub holder: String,
}

impl Catalog {
    /// The purge of a version, if somebody has asked for it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when its row is damaged, [`StoreError::Unavailable`] when the database does not answer.
    pub async fn purge(&self, version: &VersionRef) -> Result<Option<PurgeRecord>, StoreError> {
        let row = sqlx::query(concat!("SELECT ", purge_columns!(), " FROM purge WHERE dataset = $1 AND version = $2"))
            .bind(version.dataset.as_str())
            .bind(i64::from(version.version))
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(from_row).transpose()
    }

    /// The purges of a dataset, or all, in the order of their versions.
    ///
    /// # Errors
    /// As [`Catalog::purge`].
    pub async fn purges(&self, dataset: Option<&DatasetName>) -> Result<Vec<PurgeRecord>, StoreError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            purge_columns!(),
            " FROM purge WHERE ($1 = '' OR dataset = $1) ORDER BY dataset, version"
        ))
        .bind(dataset.map_or("", DatasetName::as_str))
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(from_row).collect()
    }

    /// The versions whose purges are not done, by what names them alone: whether a row is believed is seen when it is read.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn open_purges(&self) -> Result<Vec<VersionRef>, StoreError> {
        let rows = sqlx::query("SELECT dataset, version FROM purge WHERE done_ms IS NULL ORDER BY dataset, version")
            .fetch_all(self.pool())
            .await?;
        let mut open = Vec::with_capacity(rows.len());
        for row in &rows {
            match (DatasetName::parse(&row.try_get::<String, _>(0)?), records::number(row.try_get(1)?)) {
                (Ok(dataset), Ok(version)) => open.push(VersionRef { dataset, version }),
                _ => tracing::error!("a purge is passed over: it names no version"),
            }
        }
        Ok(open)
    }

    /// Notes that somebody asks for the purge of a withdrawn version. Asked for before, it stays as it was.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such version, [`StoreError::Conflict`] when it is not withdrawn.
    pub async fn ask_purge(
        &self,
        version: &VersionRef,
        reason: &str,
        principal: &str,
        now_ms: i64,
    ) -> Result<PurgeRecord, StoreError> {
        let mut change = self.change().await?;
        if let Some(found) = find(&mut change, version).await? {
            return Ok(found);
        }
        if state(&mut change, version).await? == VersionState::Released {
            return Err(StoreError::conflict("the version is public: withdraw it first, then purge it"));
        }
        let record = PurgeRecord {
            version: version.clone(),
            reason: records::plain(reason),
            asked_by: records::plain(principal),
            asked_ms: now_ms,
            confirmed_by: None,
            confirmed_ms: None,
            erased_ms: None,
            report: None,
            done_ms: None,
        };
        put(&mut change, &record).await?;
        change.audit(principal, now_ms, what("version.purge_asked", version), json!({ "reason": reason })).await?;
        change.commit().await?;
        Ok(record)
    }

    /// Notes that somebody confirms the purge. Confirmed before, it stays as it was.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when nobody has asked for it.
    pub async fn confirm_purge(
        &self,
        version: &VersionRef,
        principal: &str,
        now_ms: i64,
    ) -> Result<PurgeRecord, StoreError> {
        let mut change = self.change().await?;
        let found = find(&mut change, version).await?.ok_or(StoreError::not_found("purge"))?;
        if found.confirmed_by.is_some() {
            return Ok(found);
        }
        let (confirmed_by, confirmed_ms) = (Some(records::plain(principal)), Some(now_ms));
        let record = PurgeRecord { confirmed_by, confirmed_ms, ..found };
        put(&mut change, &record).await?;
        let detail = json!({ "asked_by": record.asked_by });
        change.audit(principal, now_ms, what("version.purge_confirmed", version), detail).await?;
        change.commit().await?;
        Ok(record)
    }

    /// Makes the rows of a version a tombstone: number, dates, reasons and people stay, nothing else; likewise the records
    /// of revisions, what is counted of the version's columns, and the metadata that came with it. Done before, it only
    /// keeps what the revisions are to be.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the purge is not confirmed, or the dataset's lease has gone to somebody else.
    pub async fn erase_version(
        &self,
        version: &VersionRef,
        erasure: &Erasure,
        now_ms: i64,
    ) -> Result<PurgeRecord, StoreError> {
        let (dataset, number) = (version.dataset.as_str(), i64::from(version.version));
        let mut change = self.change().await?;
        let found = find(&mut change, version).await?.ok_or(StoreError::not_found("purge"))?;
        let Some(confirmed_by) = found.confirmed_by.clone() else {
            return Err(StoreError::conflict("the purge is not confirmed"));
        };
        lease::check(&mut change, &version.dataset, &erasure.holder).await?;
        for revision in &erasure.revisions {
            revisions::write(&mut change, revision, now_ms).await?;
        }
        if let Some(metadata) = &erasure.metadata {
            datasets::describe(&mut change, metadata, now_ms).await?;
        }
        sqlx::query("DELETE FROM use_count WHERE dataset = $1 AND version = $2 AND name <> ''")
            .bind(dataset)
            .bind(number)
            .execute(&mut *change.transaction)
            .await?;
        entomb(&mut change, version).await?;
        let first = found.erased_ms.is_none();
        let record = PurgeRecord {
            erased_ms: found.erased_ms.or(Some(now_ms)),
            report: if first { Some(erasure.report.clone()) } else { found.report.clone() },
            done_ms: None,
            ..found
        };
        put(&mut change, &record).await?;
        if first {
            let files: Vec<&str> = erasure.report.files.iter().map(|file| file.sha256.as_str()).collect();
            let detail = json!({ "asked_by": record.asked_by, "files": files });
            change.audit(&confirmed_by, now_ms, what("version.purged", version), detail).await?;
        }
        change.commit().await?;
        self.inner.versions.invalidate(&(version.dataset.clone(), version.version));
        Ok(record)
    }

    /// Notes that the bytes are gone from the database, too, and what the search said.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when nobody has asked for the purge.
    pub async fn finish_purge(
        &self,
        version: &VersionRef,
        report: &PurgeReport,
        now_ms: i64,
    ) -> Result<PurgeRecord, StoreError> {
        let mut change = self.change().await?;
        let found = find(&mut change, version).await?.ok_or(StoreError::not_found("purge"))?;
        if found.done_ms.is_some() {
            return Ok(found);
        }
        let record = PurgeRecord { report: Some(report.clone()), done_ms: Some(now_ms), ..found };
        put(&mut change, &record).await?;
        let principal = record.confirmed_by.clone().unwrap_or_default();
        let detail = json!({ "searched": report.searched, "texts": report.texts });
        change.audit(&principal, now_ms, what("version.purge_proved", version), detail).await?;
        change.commit().await?;
        Ok(record)
    }
}

/// What is left of a version's row.
async fn entomb(change: &mut Change, version: &VersionRef) -> Result<(), StoreError> {
    let (dataset, number) = (version.dataset.as_str(), i64::from(version.version));
    let empty = Manifest {
        version: version.clone(),
        schema: Arc::new(Schema::empty()),
        rows: 0,
        bytes: 0,
        files: Vec::new(),
        sort_key: Vec::new(),
    };
    let manifest = records::to_json(&empty)?;
    let profile = records::to_json(&TableProfile::default())?;
    let findings = records::to_json(&Vec::<Finding>::new())?;
    sqlx::query(
        "UPDATE version SET state = $1, rows = 0, bytes = 0, manifest = $2, profile = $3, findings = $4, \
         content_sha256 = $5 WHERE dataset = $6 AND version = $7",
    )
    .bind(records::state_name(VersionState::Purged))
    .bind(manifest.as_str())
    .bind(profile.as_str())
    .bind(findings.as_str())
    .bind(seals::of_content(&manifest, &profile, &findings))
    .bind(dataset)
    .bind(number)
    .execute(&mut *change.transaction)
    .await?;
    seals::seal_version(&mut change.transaction, dataset, number).await
}

async fn state(change: &mut Change, version: &VersionRef) -> Result<VersionState, StoreError> {
    let row = sqlx::query(concat!("SELECT ", version_columns!(), " FROM version WHERE dataset = $1 AND version = $2"))
        .bind(version.dataset.as_str())
        .bind(i64::from(version.version))
        .fetch_optional(&mut *change.transaction)
        .await?
        .ok_or(StoreError::not_found("version"))?;
    seals::check(&seals::VERSION, &row)?;
    records::parse_state(&row.try_get::<String, _>("state")?)
}

async fn find(change: &mut Change, version: &VersionRef) -> Result<Option<PurgeRecord>, StoreError> {
    let row = sqlx::query(concat!("SELECT ", purge_columns!(), " FROM purge WHERE dataset = $1 AND version = $2"))
        .bind(version.dataset.as_str())
        .bind(i64::from(version.version))
        .fetch_optional(&mut *change.transaction)
        .await?;
    row.as_ref().map(from_row).transpose()
}

async fn put(change: &mut Change, record: &PurgeRecord) -> Result<(), StoreError> {
    let (dataset, version) = (record.version.dataset.as_str(), i64::from(record.version.version));
    let json = records::to_json(record)?;
    let seal = seals::of_values(&seals::PURGE, [json!(dataset), json!(version), json!(json), json!(record.done_ms)]);
    sqlx::query(
        "INSERT INTO purge (dataset, version, record, done_ms, seal) VALUES ($1, $2, $3, $4, $5) \
         ON CONFLICT (dataset, version) DO UPDATE SET record = excluded.record, done_ms = excluded.done_ms, \
         seal = excluded.seal",
    )
    .bind(dataset)
    .bind(version)
    .bind(json)
    .bind(record.done_ms)
    .bind(seal)
    .execute(&mut *change.transaction)
    .await?;
    Ok(())
}

fn from_row(row: &AnyRow) -> Result<PurgeRecord, StoreError> {
    seals::check(&seals::PURGE, row)?;
    let record: PurgeRecord = records::from_json(&row.try_get::<String, _>("record")?)?;
    let is_asked = record.version.dataset.as_str() == row.try_get::<String, _>("dataset")?
        && i64::from(record.version.version) == row.try_get::<i64, _>("version")?;
    if !is_asked {
        return Err(StoreError::corrupt("a catalog row", "a purge is another's"));
    }
    Ok(PurgeRecord { done_ms: row.try_get("done_ms")?, ..record })
}

fn what<'a>(action: &'static str, version: &'a VersionRef) -> What<'a> {
    What { action, dataset: Some(&version.dataset), revision: None, version: Some(version.version) }
}
