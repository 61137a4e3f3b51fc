//! The last step of a release, and its undoing: one transaction each.

use portico_model::dataset::DatasetMetadata;
use portico_model::name::{DatasetName, VersionNumber, VersionRef};
use portico_model::policy::VersionState;
use portico_model::revision::RevisionState;
use serde_json::json;
use sqlx::Row;

use super::audit::What;
use super::change::Change;
use super::records::{self, ReleaseRecord, RevisionRecord, VersionRecord};
use super::seals::{self, version_columns};
use super::{Catalog, datasets, lease, revisions, schedules};
use crate::error::StoreError;

impl Catalog {
    /// The number that the next release of a dataset will have, unless another comes first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn next_version(&self, dataset: &DatasetName) -> Result<VersionNumber, StoreError> {
        let row = sqlx::query("SELECT COALESCE(MAX(version), 0) FROM version WHERE dataset = $1")
            .bind(dataset.as_str())
            .fetch_one(self.pool())
            .await?;
        records::number(row.try_get::<i64, _>(0)?.saturating_add(1))
    }

    /// The newest version of a dataset's Delta table that the catalog names; `None` before the first release.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn newest_delta_version(&self, dataset: &DatasetName) -> Result<Option<i64>, StoreError> {
        let row = sqlx::query("SELECT COALESCE(MAX(delta_version), -1) FROM version WHERE dataset = $1")
            .bind(dataset.as_str())
            .fetch_one(self.pool())
            .await?;
        let newest: i64 = row.try_get(0)?;
        Ok((newest >= 0).then_some(newest))
    }

    /// Makes an approved revision public: the version's row, the current pointer, the metadata, the revision's
    /// state, the audit row and the end of the revision's lease, all or nothing. For a revision that was released before it answers the version
    /// that it became and changes nothing, so that a caller who does not know whether it worked asks again.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the revision is not approved, the number is not the next one, a later Delta
    /// version is public already, or the dataset's lease has gone to somebody else; [`StoreError::NotFound`] when revision or dataset do not exist;
    /// [`StoreError::Invalid`] when the record contradicts itself.
    pub async fn release(
        &self,
        release: &ReleaseRecord,
        principal: &str,
        now_ms: i64,
    ) -> Result<VersionRef, StoreError> {
        self.release_from(RevisionState::Approved, release, principal, now_ms).await
    }

    /// As [`Catalog::release`], for a revision that is scheduled and whose time has come. One that people have moved or
    /// taken off the calendar meanwhile is not released.
    ///
    /// # Errors
    /// Those of [`Catalog::release`]; [`StoreError::Conflict`], too, when it is not scheduled or not due.
    pub async fn release_scheduled(
        &self,
        release: &ReleaseRecord,
        principal: &str,
        now_ms: i64,
    ) -> Result<VersionRef, StoreError> {
        self.release_from(RevisionState::Scheduled, release, principal, now_ms).await
    }

    async fn release_from(
        &self,
        expected: RevisionState,
        release: &ReleaseRecord,
        principal: &str,
        now_ms: i64,
    ) -> Result<VersionRef, StoreError> {
        check(release)?;
        let record = &release.version;
        let dataset = &record.version.dataset;
        let mut change = self.change().await?;
        let revision =
            revisions::find(&mut change, &release.revision_id).await?.ok_or(StoreError::not_found("revision"))?;
        if revision.dataset != *dataset {
            return Err(StoreError::invalid("the revision belongs to another dataset"));
        }
        if let (RevisionState::Released, Some(version)) = (revision.state, revision.version) {
            return Ok(VersionRef { dataset: dataset.clone(), version });
        }
        if revision.state != expected {
            return Err(StoreError::conflict(format!("the revision is {}", revision.state.as_str())));
        }
        // Edited and approved anew since the release began.
        if records::from_json::<DatasetMetadata>(&revision.metadata_json)? != release.metadata {
            return Err(StoreError::conflict("the revision's metadata were edited meanwhile"));
        }
        if expected == RevisionState::Scheduled {
            schedules::check_due(&mut change, &revision.id, now_ms).await?;
        }
        let known = datasets::find(&mut change, dataset).await?.ok_or(StoreError::not_found("dataset"))?;
        let base = revision.prepared()?.and_then(|prepared| prepared.base);
        if base.is_some_and(|base| base != known.current.unwrap_or(0)) {
            let what =
                "the version that its rows go on from is not current any more: discard it and bring the file again";
            return Err(StoreError::conflict(what));
        }
        lease::check(&mut change, dataset, &release.revision_id).await?;
        check_follows(&mut change, record).await?;
        insert(&mut change, &release.revision_id, record).await?;
        datasets::describe(&mut change, &release.metadata, now_ms).await?;
        point(&mut change, dataset, Some(record.version.version), now_ms).await?;
        let released =
            RevisionRecord { state: RevisionState::Released, version: Some(record.version.version), ..revision };
        revisions::write(&mut change, &released, now_ms).await?;
        let what = What {
            action: "version.released",
            dataset: Some(dataset),
            revision: Some(&release.revision_id),
            version: Some(record.version.version),
        };
        let files: Vec<&str> = record.manifest.files.iter().map(|file| file.sha256.as_str()).collect();
        let detail = json!({
            "files": files,
            "approved_by": record.approved_by,
            "approved_digest": released.approved_digest,
        });
        change.audit(principal, now_ms, what, detail).await?;
        lease::end(&mut change, dataset, &release.revision_id).await?;
        change.commit().await?;
        Ok(record.version.clone())
    }

    /// Stops answering from a version and keeps its record. The current pointer goes back to the newest version
    /// that is still released, if there is one. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such version.
    pub async fn withdraw(
        &self,
        version: &VersionRef,
        reason: &str,
        principal: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let dataset = &version.dataset;
        let mut change = self.change().await?;
        let record = datasets::find(&mut change, dataset).await?.ok_or(StoreError::not_found("version"))?;
        let row =
            sqlx::query(concat!("SELECT ", version_columns!(), " FROM version WHERE dataset = $1 AND version = $2"))
                .bind(dataset.as_str())
                .bind(i64::from(version.version))
                .fetch_optional(&mut *change.transaction)
                .await?
                .ok_or(StoreError::not_found("version"))?;
        seals::check(&seals::VERSION, &row)?;
        let state: String = row.try_get("state")?;
        if records::parse_state(&state)? != VersionState::Released {
            return Ok(());
        }
        sqlx::query("UPDATE version SET state = $1, withdrawn_reason = $2 WHERE dataset = $3 AND version = $4")
            .bind(records::state_name(VersionState::Withdrawn))
            .bind(records::plain(reason))
            .bind(dataset.as_str())
            .bind(i64::from(version.version))
            .execute(&mut *change.transaction)
            .await?;
        seals::seal_version(&mut change.transaction, dataset.as_str(), i64::from(version.version)).await?;
        if record.current == Some(version.version) {
            let row = sqlx::query("SELECT MAX(version) FROM version WHERE dataset = $1 AND state = $2")
                .bind(dataset.as_str())
                .bind(records::state_name(VersionState::Released))
                .fetch_one(&mut *change.transaction)
                .await?;
            let newest: Option<i64> = row.try_get(0)?;
            point(&mut change, dataset, newest.map(records::number).transpose()?, now_ms).await?;
        }
        let what = What {
            action: "version.withdrawn",
            dataset: Some(dataset),
            revision: None,
            version: Some(version.version),
        };
        change.audit(principal, now_ms, what, json!({ "reason": reason })).await?;
        change.commit().await
    }
}

/// A record says everything twice or more; it must say the same.
fn check(release: &ReleaseRecord) -> Result<(), StoreError> {
    let record = &release.version;
    let manifest = &record.manifest;
    let rows: u64 = manifest.files.iter().map(|file| file.rows).sum();
    let bytes: u64 = manifest.files.iter().map(|file| file.bytes).sum();
    let agrees = manifest.version == record.version
        && release.metadata.name == record.version.dataset
        && (rows, bytes) == (manifest.rows, manifest.bytes)
        && record.state == VersionState::Released;
    if agrees { Ok(()) } else { Err(StoreError::invalid("the record of the release contradicts itself")) }
}

/// The number must be the next, and the Delta version later than any that is public.
async fn check_follows(change: &mut Change, record: &VersionRecord) -> Result<(), StoreError> {
    let row = sqlx::query(
        "SELECT COALESCE(MAX(version), 0), COALESCE(MAX(delta_version), -1) FROM version WHERE dataset = $1",
    )
    .bind(record.version.dataset.as_str())
    .fetch_one(&mut *change.transaction)
    .await?;
    let next = records::number(row.try_get::<i64, _>(0)?.saturating_add(1))?;
    if record.version.version != next {
        return Err(StoreError::conflict(format!("the dataset's next version is {next}")));
    }
    if record.delta_version <= row.try_get::<i64, _>(1)? {
        return Err(StoreError::conflict("another release committed later and is public already"));
    }
    Ok(())
}

async fn insert(change: &mut Change, revision_id: &str, record: &VersionRecord) -> Result<(), StoreError> {
    let manifest = records::to_json(record.manifest.as_ref())?;
    let profile = records::to_json(record.profile.as_ref())?;
    let findings = records::to_json(record.findings.as_ref())?;
    let content_sha256 = seals::of_content(&manifest, &profile, &findings);
    sqlx::query(
        "INSERT INTO version (dataset, version, revision, state, released_ms, rows, bytes, delta_version, approved_by, \
         manifest, profile, findings, content_sha256) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
    )
    .bind(record.version.dataset.as_str())
    .bind(i64::from(record.version.version))
    .bind(revision_id)
    .bind(records::state_name(record.state))
    .bind(record.released_ms)
    .bind(records::to_count(record.manifest.rows)?)
    .bind(records::to_count(record.manifest.bytes)?)
    .bind(record.delta_version)
    .bind(records::plain(&record.approved_by))
    .bind(manifest)
    .bind(profile)
    .bind(findings)
    .bind(content_sha256)
    .execute(&mut *change.transaction)
    .await?;
    let (dataset, version) = (record.version.dataset.as_str(), i64::from(record.version.version));
    seals::seal_version(&mut change.transaction, dataset, version).await
}

/// Moves the current pointer.
async fn point(
    change: &mut Change,
    dataset: &DatasetName,
    version: Option<VersionNumber>,
    now_ms: i64,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE dataset SET current_version = $1, updated_ms = $2 WHERE name = $3")
        .bind(version.map(i64::from))
        .bind(now_ms)
        .bind(dataset.as_str())
        .execute(&mut *change.transaction)
        .await?;
    seals::seal_dataset(&mut change.transaction, dataset.as_str()).await
}
