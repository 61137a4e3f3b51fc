//! What the database says of itself, and what the rows say of each other.

use portico_model::name::DatasetName;
use sqlx::Row;

use super::connect::Kind;
use super::{Catalog, datasets};
use crate::error::StoreError;

impl Catalog {
    /// Has the database check its own file: every page, every index against its table, every reference. PostgreSQL
    /// has no such check for a client; there the seals alone speak.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] with the first complaint, [`StoreError::Unavailable`] when the database does not
    /// answer.
    pub async fn integrity(&self) -> Result<(), StoreError> {
        if self.inner.kind == Kind::Postgres {
            return Ok(());
        }
        let said = sqlx::query("PRAGMA integrity_check(1)").fetch_one(self.pool()).await.map_err(damaged)?;
        let said: String = said.try_get(0)?;
        if said != "ok" {
            return Err(StoreError::corrupt("the catalog", said));
        }
        let orphans = sqlx::query("PRAGMA foreign_key_check").fetch_all(self.pool()).await.map_err(damaged)?;
        if orphans.is_empty() { Ok(()) } else { Err(StoreError::corrupt("the catalog", "a row refers to none")) }
    }

    /// Names of datasets after a name, in the order of the database, `limit` at most. Nothing of the rows is
    /// believed but the names.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn dataset_names(&self, after: &str, limit: i64) -> Result<Vec<String>, StoreError> {
        let rows = sqlx::query("SELECT name FROM dataset WHERE name > $1 ORDER BY name LIMIT $2")
            .bind(after)
            .bind(limit)
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
    }

    /// Whether nothing was ever written.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        let row = sqlx::query("SELECT seq FROM audit_end WHERE id = 1").fetch_one(self.pool()).await?;
        Ok(row.try_get::<i64, _>(0)? == 0)
    }

    /// Bytes of all files that any version names, as the catalog counts them.
    pub(crate) async fn released_bytes(&self) -> Result<u64, StoreError> {
        let row =
            sqlx::query("SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM version").fetch_one(self.pool()).await?;
        super::records::count(row.try_get(0)?)
    }

    /// Whether what a dataset is found by is what its metadata say.
    pub(crate) async fn is_found_by_its_metadata(&self, name: &DatasetName) -> Result<bool, StoreError> {
        let Some(record) = self.dataset(name).await? else { return Ok(false) };
        let row =
            sqlx::query("SELECT name_order, search_text, department, department_key FROM dataset WHERE name = $1")
                .bind(name.as_str())
                .fetch_one(self.pool())
                .await?;
        let mut stored = Vec::new();
        for column in 0..4 {
            stored.push(row.try_get::<String, _>(column)?);
        }
        let rows = sqlx::query("SELECT keyword FROM dataset_keyword WHERE dataset = $1 ORDER BY keyword")
            .bind(name.as_str())
            .fetch_all(self.pool())
            .await?;
        let mut keywords = Vec::new();
        for row in &rows {
            keywords.push(row.try_get::<String, _>(0)?);
        }
        // Databases sort text each in their own way.
        keywords.sort_unstable();
        let found_by = datasets::found_by(&record.metadata);
        Ok(stored == found_by.columns && keywords == found_by.keywords)
    }
}

/// SQLite refuses to open some damaged files at all.
fn damaged(error: sqlx::Error) -> StoreError {
    match &error {
        sqlx::Error::Database(_) => StoreError::corrupt("the catalog", error),
        _ => error.into(),
    }
}
