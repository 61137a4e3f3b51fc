//! Versions as they are read: the immutable part from memory, the rest from the database each time.

use std::collections::HashSet;
use std::sync::Arc;

use portico_model::manifest::Manifest;
use portico_model::name::{DatasetName, VersionNumber, VersionRef};
use sqlx::Row;

use super::Catalog;
use super::records::{self, Immutable, VersionRecord, VersionSummary};
use crate::error::StoreError;

impl Catalog {
    /// A version of a dataset, withdrawn or not.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn version(
        &self,
        dataset: &DatasetName,
        version: VersionNumber,
    ) -> Result<Option<VersionRecord>, StoreError> {
        let row = sqlx::query("SELECT state, withdrawn_reason FROM version WHERE dataset = $1 AND version = $2")
            .bind(dataset.as_str())
            .bind(i64::from(version))
            .fetch_optional(self.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let state = records::parse_state(&row.try_get::<String, _>(0)?)?;
        let immutable = self.immutable(dataset, version).await?;
        let version = VersionRef { dataset: dataset.clone(), version };
        Ok(Some(immutable.record(version, state, row.try_get(1)?)))
    }

    /// The version that a dataset's pointer shows now; `None` for no dataset and for one without a release.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn current_version(&self, dataset: &DatasetName) -> Result<Option<VersionRecord>, StoreError> {
        let row = sqlx::query(
            "SELECT v.version, v.state, v.withdrawn_reason FROM dataset d \
             JOIN version v ON v.dataset = d.name AND v.version = d.current_version WHERE d.name = $1",
        )
        .bind(dataset.as_str())
        .fetch_optional(self.pool())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let number = records::number(row.try_get(0)?)?;
        let state = records::parse_state(&row.try_get::<String, _>(1)?)?;
        let immutable = self.immutable(dataset, number).await?;
        let version = VersionRef { dataset: dataset.clone(), version: number };
        Ok(Some(immutable.record(version, state, row.try_get(2)?)))
    }

    /// All versions of a dataset, newest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn versions(&self, dataset: &DatasetName) -> Result<Vec<VersionSummary>, StoreError> {
        let rows = sqlx::query(
            "SELECT version, state, released_ms, rows, bytes FROM version WHERE dataset = $1 ORDER BY version DESC",
        )
        .bind(dataset.as_str())
        .fetch_all(self.pool())
        .await?;
        let summary = |row: &sqlx::any::AnyRow| -> Result<VersionSummary, StoreError> {
            Ok(VersionSummary {
                version: records::number(row.try_get(0)?)?,
                state: records::parse_state(&row.try_get::<String, _>(1)?)?,
                released_ms: row.try_get(2)?,
                rows: records::count(row.try_get(3)?)?,
                bytes: records::count(row.try_get(4)?)?,
            })
        };
        rows.iter().map(summary).collect()
    }

    /// The version that a revision became, if it was released.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn version_of_revision(&self, revision_id: &str) -> Result<Option<VersionRef>, StoreError> {
        let row = sqlx::query("SELECT dataset, version FROM version WHERE revision = $1")
            .bind(revision_id)
            .fetch_optional(self.pool())
            .await?;
        row.map(|row| {
            let dataset = DatasetName::parse(&row.try_get::<String, _>(0)?)
                .map_err(|error| StoreError::corrupt("a catalog row", error))?;
            Ok(VersionRef { dataset, version: records::number(row.try_get(1)?)? })
        })
        .transpose()
    }

    /// The paths of all files that any version names, withdrawn ones included: what a sweep must keep.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn released_paths(&self) -> Result<HashSet<String>, StoreError> {
        let mut paths = HashSet::new();
        let keys = sqlx::query("SELECT dataset, version FROM version").fetch_all(self.pool()).await?;
        // One manifest at a time: all of them at once might not fit into memory.
        for key in keys {
            let row = sqlx::query("SELECT manifest FROM version WHERE dataset = $1 AND version = $2")
                .bind(key.try_get::<String, _>(0)?)
                .bind(key.try_get::<i64, _>(1)?)
                .fetch_one(self.pool())
                .await?;
            let manifest: Manifest = records::from_json(&row.try_get::<String, _>(0)?)?;
            paths.extend(manifest.files.into_iter().map(|file| file.path));
        }
        Ok(paths)
    }

    async fn immutable(&self, dataset: &DatasetName, version: VersionNumber) -> Result<Arc<Immutable>, StoreError> {
        let key = (dataset.clone(), version);
        if let Some(found) = self.inner.versions.get(&key) {
            return Ok(found);
        }
        let row = sqlx::query(
            "SELECT released_ms, delta_version, approved_by, manifest, profile, findings FROM version \
             WHERE dataset = $1 AND version = $2",
        )
        .bind(dataset.as_str())
        .bind(i64::from(version))
        .fetch_one(self.pool())
        .await?;
        let (manifest, profile, findings): (String, String, String) =
            (row.try_get(3)?, row.try_get(4)?, row.try_get(5)?);
        let json_bytes = manifest.len().saturating_add(profile.len()).saturating_add(findings.len());
        let immutable = Arc::new(Immutable {
            released_ms: row.try_get(0)?,
            delta_version: row.try_get(1)?,
            approved_by: row.try_get(2)?,
            manifest: Arc::new(records::from_json(&manifest)?),
            profile: Arc::new(records::from_json(&profile)?),
            findings: Arc::new(records::from_json(&findings)?),
            json_bytes: u32::try_from(json_bytes).unwrap_or(u32::MAX),
        });
        self.inner.versions.insert(key, Arc::clone(&immutable));
        Ok(immutable)
    }
}
