//! What was withdrawn since somebody looked last: asked often, by whoever has answers under way.

use portico_model::name::{DatasetName, VersionRef};
use sqlx::Row;

use super::Catalog;
use super::records::{self, VersionRecord};
use crate::error::StoreError;

impl Catalog {
    /// The versions that were withdrawn after row `after` of the audit log, and the number of its last row, from which to
    /// ask on. Nothing new costs one small read.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn withdrawn_after(&self, after: i64) -> Result<(i64, Vec<VersionRef>), StoreError> {
        let end = sqlx::query("SELECT seq FROM audit_end WHERE id = 1").fetch_one(self.pool()).await?;
        let last: i64 = end.try_get(0)?;
        if last <= after {
            return Ok((last.max(after), Vec::new()));
        }
        let rows = sqlx::query(
            "SELECT dataset, version FROM audit WHERE seq > $1 AND seq <= $2 AND action = 'version.withdrawn'",
        )
        .bind(after)
        .bind(last)
        .fetch_all(self.pool())
        .await?;
        let mut withdrawn = Vec::with_capacity(rows.len());
        for row in &rows {
            let dataset = DatasetName::parse(&row.try_get::<String, _>(0)?)
                .map_err(|error| StoreError::corrupt("a row of the audit log", error))?;
            withdrawn.push(VersionRef { dataset, version: records::number(row.try_get(1)?)? });
        }
        Ok((last, withdrawn))
    }

    /// When a version was withdrawn, in milliseconds since the epoch, as the audit log has it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn withdrawn_ms(&self, version: &VersionRef) -> Result<Option<i64>, StoreError> {
        let row = sqlx::query(
            "SELECT MAX(at_ms) FROM audit WHERE dataset = $1 AND version = $2 AND action = 'version.withdrawn'",
        )
        .bind(version.dataset.as_str())
        .bind(i64::from(version.version))
        .fetch_one(self.pool())
        .await?;
        Ok(row.try_get(0)?)
    }

    /// The newest version of a dataset of which none is public any more: whoever asks for the dataset is told why. `None`
    /// where there is a current version, or never was one.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a row is damaged, [`StoreError::Unavailable`] when the database does not answer.
    pub async fn newest_withdrawn(&self, dataset: &DatasetName) -> Result<Option<VersionRecord>, StoreError> {
        if self.dataset(dataset).await?.is_none_or(|record| record.current.is_some()) {
            return Ok(None);
        }
        match self.versions(dataset).await?.first() {
            Some(newest) => self.version(dataset, newest.version).await,
            None => Ok(None),
        }
    }
}
