//! The secret keys of datasets' pseudonyms. A dataset has one for ever, or its pseudonyms would change from one version to
//! the next.

use portico_model::name::DatasetName;
use serde_json::json;
use sqlx::Row;

use super::Catalog;
use super::audit::What;
use super::seals::{self, dataset_key_columns};
use crate::error::StoreError;

impl Catalog {
    /// The secret key of a dataset's pseudonyms, as text, if it has one. Not to be shown or logged.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when its row is damaged, [`StoreError::Unavailable`] when the database does not answer.
    pub async fn dataset_key(&self, dataset: &DatasetName) -> Result<Option<String>, StoreError> {
        let row = sqlx::query(concat!("SELECT ", dataset_key_columns!(), " FROM dataset_key WHERE dataset = $1"))
            .bind(dataset.as_str())
            .fetch_optional(self.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        seals::check(&seals::DATASET_KEY, &row)?;
        Ok(Some(row.try_get("secret")?))
    }

    /// Keeps the key of a dataset that has none, and answers with the one that it has from now on. The audit log says that
    /// there is one, and not which.
    ///
    /// # Errors
    /// As [`Catalog::dataset_key`].
    pub async fn make_dataset_key(
        &self,
        dataset: &DatasetName,
        secret: &str,
        principal: &str,
        now_ms: i64,
    ) -> Result<String, StoreError> {
        let mut change = self.change().await?;
        let made = sqlx::query(
            "INSERT INTO dataset_key (dataset, secret, created_ms) VALUES ($1, $2, $3) ON CONFLICT (dataset) DO NOTHING",
        )
        .bind(dataset.as_str())
        .bind(secret)
        .bind(now_ms)
        .execute(&mut *change.transaction)
        .await?;
        if made.rows_affected() > 0 {
            seals::seal_dataset_key(&mut change.transaction, dataset.as_str()).await?;
            let what = What { action: "dataset.key_made", dataset: Some(dataset), revision: None, version: None };
            change.audit(principal, now_ms, what, json!({})).await?;
        }
        change.commit().await?;
        let kept = self.dataset_key(dataset).await?;
        kept.ok_or_else(|| StoreError::corrupt("a catalog row", "a key that was kept is not there"))
    }
}
