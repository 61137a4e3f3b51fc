//! Versions as they are read: the immutable part from memory, the rest from the database each time.

use std::collections::HashSet;
use std::sync::Arc;

use portico_model::name::{DatasetName, VersionNumber, VersionRef};
use portico_model::policy::VersionState;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::Catalog;
use super::records::{self, Immutable, VersionRecord, VersionSummary};
use super::seals::{self, version_columns};
use crate::error::StoreError;

impl Catalog {
    /// A version of a dataset, withdrawn or not.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when its row is damaged, [`StoreError::Unavailable`] when the database does not answer.
    pub async fn version(
        &self,
        dataset: &DatasetName,
        version: VersionNumber,
    ) -> Result<Option<VersionRecord>, StoreError> {
        let Some(row) = self.version_row(dataset, version).await? else { return Ok(None) };
        let content_sha256: String = row.try_get("content_sha256")?;
        let key = (dataset.clone(), version);
        let immutable = match self.inner.versions.get(&key) {
            Some(found) if found.content_sha256 == content_sha256 => found,
            _ => {
                let read = Arc::new(self.immutable(&key, &row).await?);
                self.inner.versions.insert(key, Arc::clone(&read));
                read
            }
        };
        Ok(Some(record(dataset, version, &row, &immutable)?))
    }

    /// As [`Catalog::version`], from the database and past the memory: for who checks what the database holds.
    pub(crate) async fn version_as_stored(
        &self,
        dataset: &DatasetName,
        version: VersionNumber,
    ) -> Result<Option<VersionRecord>, StoreError> {
        let Some(row) = self.version_row(dataset, version).await? else { return Ok(None) };
        let immutable = self.immutable(&(dataset.clone(), version), &row).await?;
        Ok(Some(record(dataset, version, &row, &immutable)?))
    }

    /// The version that a dataset's pointer shows now; `None` for no dataset and for one without a release.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a row is damaged, [`StoreError::Unavailable`] when the database does not answer.
    pub async fn current_version(&self, dataset: &DatasetName) -> Result<Option<VersionRecord>, StoreError> {
        let mut seen = None;
        loop {
            let Some(current) = self.dataset(dataset).await?.and_then(|record| record.current) else { return Ok(None) };
            let version = self.version(dataset, current).await?;
            let Some(version) = version else {
                return Err(StoreError::corrupt("a catalog row", "the current version has no row"));
            };
            // Withdrawn between the two reads: the pointer has moved on.
            if version.state == VersionState::Released || seen == Some(current) {
                return Ok(Some(version));
            }
            seen = Some(current);
        }
    }

    /// All versions of a dataset, newest first.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a row is damaged or missing, [`StoreError::Unavailable`] when the database does
    /// not answer.
    pub async fn versions(&self, dataset: &DatasetName) -> Result<Vec<VersionSummary>, StoreError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            version_columns!(),
            " FROM version WHERE dataset = $1 ORDER BY version DESC"
        ))
        .bind(dataset.as_str())
        .fetch_all(self.pool())
        .await?;
        summaries(&rows, dataset, VersionNumber::try_from(rows.len()).unwrap_or(VersionNumber::MAX))
    }

    /// Some versions of a dataset, newest first: `take` of them behind the newest `skip`; and how many there are in all.
    ///
    /// # Errors
    /// As [`Catalog::versions`].
    pub async fn versions_page(
        &self,
        dataset: &DatasetName,
        skip: u64,
        take: u64,
    ) -> Result<(Vec<VersionSummary>, u64), StoreError> {
        let newest: Option<i64> = sqlx::query("SELECT max(version) AS newest FROM version WHERE dataset = $1")
            .bind(dataset.as_str())
            .fetch_one(self.pool())
            .await?
            .try_get("newest")?;
        let newest = newest.map_or(Ok(0), records::number)?;
        let first = newest.saturating_sub(VersionNumber::try_from(skip).unwrap_or(VersionNumber::MAX));
        let take = VersionNumber::try_from(take).unwrap_or(VersionNumber::MAX).min(first);
        let rows = sqlx::query(concat!(
            "SELECT ",
            version_columns!(),
            " FROM version WHERE dataset = $1 AND version <= $2 ORDER BY version DESC LIMIT $3"
        ))
        .bind(dataset.as_str())
        .bind(i64::from(first))
        .bind(i64::from(take))
        .fetch_all(self.pool())
        .await?;
        let found = summaries(&rows, dataset, first)?;
        if VersionNumber::try_from(found.len()) != Ok(take) {
            return Err(StoreError::corrupt("a catalog row", "a version's row is missing"));
        }
        Ok((found, u64::from(newest)))
    }

    /// The version that a revision became, if it was released.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn version_of_revision(&self, revision_id: &str) -> Result<Option<VersionRef>, StoreError> {
        let row = sqlx::query(concat!("SELECT ", version_columns!(), " FROM version WHERE revision = $1"))
            .bind(revision_id)
            .fetch_optional(self.pool())
            .await?;
        row.map(|row| {
            seals::check(&seals::VERSION, &row)?;
            let dataset = DatasetName::parse(&row.try_get::<String, _>("dataset")?)
                .map_err(|error| StoreError::corrupt("a catalog row", error))?;
            Ok(VersionRef { dataset, version: records::number(row.try_get("version")?)? })
        })
        .transpose()
    }

    /// The paths of all files that a dataset's versions name, withdrawn ones included: what a sweep must keep.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a row is damaged or missing, [`StoreError::Unavailable`] when the database does
    /// not answer.
    pub async fn released_paths(&self, dataset: &DatasetName) -> Result<HashSet<String>, StoreError> {
        let mut paths = HashSet::new();
        // One manifest at a time: all of them at once might not fit into memory.
        for summary in self.versions(dataset).await? {
            let version = self.version_as_stored(dataset, summary.version).await?;
            let version = version.ok_or_else(|| StoreError::corrupt("a catalog row", "a version has gone"))?;
            paths.extend(version.manifest.files.iter().map(|file| file.path.clone()));
        }
        Ok(paths)
    }

    async fn version_row(&self, dataset: &DatasetName, version: VersionNumber) -> Result<Option<AnyRow>, StoreError> {
        let row =
            sqlx::query(concat!("SELECT ", version_columns!(), " FROM version WHERE dataset = $1 AND version = $2"))
                .bind(dataset.as_str())
                .bind(i64::from(version))
                .fetch_optional(self.pool())
                .await?;
        if let Some(row) = &row {
            check(row, dataset, version)?;
        }
        Ok(row)
    }

    async fn immutable(
        &self,
        (dataset, version): &(DatasetName, VersionNumber),
        row: &AnyRow,
    ) -> Result<Immutable, StoreError> {
        let content =
            sqlx::query("SELECT manifest, profile, findings FROM version WHERE dataset = $1 AND version = $2")
                .bind(dataset.as_str())
                .bind(i64::from(*version))
                .fetch_one(self.pool())
                .await?;
        let (manifest, profile, findings): (String, String, String) =
            (content.try_get(0)?, content.try_get(1)?, content.try_get(2)?);
        let content_sha256: String = row.try_get("content_sha256")?;
        if seals::of_content(&manifest, &profile, &findings) != content_sha256 {
            return Err(StoreError::corrupt("a catalog row", "the digest of a manifest does not fit"));
        }
        let json_bytes = manifest.len().saturating_add(profile.len()).saturating_add(findings.len());
        Ok(Immutable {
            released_ms: row.try_get("released_ms")?,
            delta_version: row.try_get("delta_version")?,
            approved_by: row.try_get("approved_by")?,
            manifest: Arc::new(records::from_json(&manifest)?),
            profile: Arc::new(records::from_json(&profile)?),
            findings: Arc::new(records::from_json(&findings)?),
            content_sha256,
            json_bytes: u32::try_from(json_bytes).unwrap_or(u32::MAX),
        })
    }
}

/// The row is whole, and the one that was asked for: a damaged index may lead to another.
/// Rows of one dataset, newest first, as what they say: numbers go without gaps, since rows are never removed.
fn summaries(rows: &[AnyRow], dataset: &DatasetName, newest: VersionNumber) -> Result<Vec<VersionSummary>, StoreError> {
    let mut expected = newest;
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        check(row, dataset, expected)?;
        found.push(VersionSummary {
            version: expected,
            state: records::parse_state(&row.try_get::<String, _>("state")?)?,
            released_ms: row.try_get("released_ms")?,
            rows: records::count(row.try_get("rows")?)?,
            bytes: records::count(row.try_get("bytes")?)?,
        });
        expected = expected.saturating_sub(1);
    }
    Ok(found)
}

fn check(row: &AnyRow, dataset: &DatasetName, version: VersionNumber) -> Result<(), StoreError> {
    seals::check(&seals::VERSION, row)?;
    let is_asked = row.try_get::<String, _>("dataset")? == dataset.as_str()
        && row.try_get::<i64, _>("version")? == i64::from(version);
    if is_asked { Ok(()) } else { Err(StoreError::corrupt("a catalog row", "a version's row is missing or another's")) }
}

fn record(
    dataset: &DatasetName,
    version: VersionNumber,
    row: &AnyRow,
    immutable: &Immutable,
) -> Result<VersionRecord, StoreError> {
    let state = records::parse_state(&row.try_get::<String, _>("state")?)?;
    let version = VersionRef { dataset: dataset.clone(), version };
    Ok(immutable.record(version, state, row.try_get("withdrawn_reason")?))
}
