//! Datasets: made once, described as often as needed.

use std::collections::BTreeSet;

use portico_model::dataset::DatasetMetadata;
use portico_model::name::DatasetName;
use serde_json::json;
use sqlx::Row;
use sqlx::any::AnyRow;
use ulid::Ulid;

use super::audit::What;
use super::change::Change;
use super::records::{self, DatasetRecord};
use super::seals::{self, dataset_columns};
use super::{Catalog, search};
use crate::error::StoreError;
use crate::storage::hex;

impl Catalog {
    /// Makes a dataset, or gives it other metadata. A new one gets a root of its own, which no name is read from.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer; doing it again is safe.
    pub async fn put_dataset(
        &self,
        metadata: &DatasetMetadata,
        principal: &str,
        now_ms: i64,
    ) -> Result<DatasetRecord, StoreError> {
        let name = &metadata.name;
        let mut change = self.change().await?;
        let action = match find(&mut change, name).await? {
            Some(record) if record.metadata == *metadata => return Ok(record),
            Some(_) => {
                describe(&mut change, metadata, now_ms).await?;
                "dataset.described"
            }
            None => {
                create(&mut change, metadata, now_ms).await?;
                "dataset.created"
            }
        };
        let what = What { action, dataset: Some(name), revision: None, version: None };
        change.audit(principal, now_ms, what, json!({ "title": metadata.title })).await?;
        let record = find(&mut change, name).await?.ok_or(StoreError::not_found("dataset"))?;
        change.commit().await?;
        Ok(record)
    }

    /// Makes a dataset if there is none of its name; one that is there stays as it is.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer; doing it again is safe.
    pub async fn make_dataset(
        &self,
        metadata: &DatasetMetadata,
        principal: &str,
        now_ms: i64,
    ) -> Result<DatasetRecord, StoreError> {
        let mut change = self.change().await?;
        if let Some(record) = find(&mut change, &metadata.name).await? {
            return Ok(record);
        }
        create(&mut change, metadata, now_ms).await?;
        let what = What { action: "dataset.created", dataset: Some(&metadata.name), revision: None, version: None };
        change.audit(principal, now_ms, what, json!({ "title": metadata.title })).await?;
        let record = find(&mut change, &metadata.name).await?.ok_or(StoreError::not_found("dataset"))?;
        change.commit().await?;
        Ok(record)
    }

    /// A dataset by its name, released or not.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn dataset(&self, name: &DatasetName) -> Result<Option<DatasetRecord>, StoreError> {
        let row = sqlx::query(concat!("SELECT ", dataset_columns!(), " FROM dataset WHERE name = $1"))
            .bind(name.as_str())
            .fetch_optional(self.pool())
            .await?;
        named(row.as_ref(), name)
    }

    /// The dataset whose files lie under a root of the released area.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn dataset_at(&self, root: &str) -> Result<Option<DatasetRecord>, StoreError> {
        let row = sqlx::query(concat!("SELECT ", dataset_columns!(), " FROM dataset WHERE root = $1"))
            .bind(root)
            .fetch_optional(self.pool())
            .await?;
        let record = row.as_ref().map(from_row).transpose()?;
        match record {
            Some(record) if record.root != root => Err(other_row()),
            found => Ok(found),
        }
    }
}

/// A dataset as the change sees it.
pub(super) async fn find(change: &mut Change, name: &DatasetName) -> Result<Option<DatasetRecord>, StoreError> {
    let row = sqlx::query(concat!("SELECT ", dataset_columns!(), " FROM dataset WHERE name = $1"))
        .bind(name.as_str())
        .fetch_optional(&mut *change.transaction)
        .await?;
    named(row.as_ref(), name)
}

/// Gives a dataset other metadata, and the search what it is found by.
pub(super) async fn describe(change: &mut Change, metadata: &DatasetMetadata, now_ms: i64) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE dataset SET metadata = $1, search_text = $2, department = $3, department_key = $4, updated_ms = $5 \
         WHERE name = $6",
    )
    .bind(records::to_json(metadata)?)
    .bind(search::text_of(metadata))
    .bind(records::plain(&metadata.department))
    .bind(search::key(&metadata.department))
    .bind(now_ms)
    .bind(metadata.name.as_str())
    .execute(&mut *change.transaction)
    .await?;
    sqlx::query("DELETE FROM dataset_keyword WHERE dataset = $1")
        .bind(metadata.name.as_str())
        .execute(&mut *change.transaction)
        .await?;
    put_keywords(change, metadata).await?;
    seals::seal_dataset(&mut change.transaction, metadata.name.as_str()).await
}

/// The record of a row that was looked up by name: a damaged index may have led to another.
fn named(row: Option<&AnyRow>, name: &DatasetName) -> Result<Option<DatasetRecord>, StoreError> {
    match row.map(from_row).transpose()? {
        Some(record) if record.metadata.name != *name => Err(other_row()),
        found => Ok(found),
    }
}

fn other_row() -> StoreError {
    StoreError::corrupt("a catalog row", "an index leads to another row")
}

pub(super) fn from_row(row: &AnyRow) -> Result<DatasetRecord, StoreError> {
    seals::check(&seals::DATASET, row)?;
    let current: Option<i64> = row.try_get("current_version")?;
    Ok(DatasetRecord {
        metadata: records::from_json(&row.try_get::<String, _>("metadata")?)?,
        root: row.try_get("root")?,
        current: current.map(records::number).transpose()?,
        created_ms: row.try_get("created_ms")?,
        updated_ms: row.try_get("updated_ms")?,
    })
}

async fn create(change: &mut Change, metadata: &DatasetMetadata, now_ms: i64) -> Result<(), StoreError> {
    let root = Ulid::from_parts(u64::try_from(now_ms).unwrap_or_default(), Ulid::new().random());
    sqlx::query(
        "INSERT INTO dataset (name, root, metadata, name_order, search_text, department, department_key, created_ms, \
         updated_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
    )
    .bind(metadata.name.as_str())
    .bind(root.to_string())
    .bind(records::to_json(metadata)?)
    .bind(hex(metadata.name.as_str().as_bytes()))
    .bind(search::text_of(metadata))
    .bind(records::plain(&metadata.department))
    .bind(search::key(&metadata.department))
    .bind(now_ms)
    .execute(&mut *change.transaction)
    .await?;
    put_keywords(change, metadata).await?;
    seals::seal_dataset(&mut change.transaction, metadata.name.as_str()).await
}

/// What a dataset is found by, as the database keeps it.
pub(super) struct FoundBy {
    /// Order of the name, text of the search, department as written, department as compared.
    pub(super) columns: Vec<String>,
    /// In order, each once.
    pub(super) keywords: Vec<String>,
}

/// What a dataset with these metadata is to be found by.
pub(super) fn found_by(metadata: &DatasetMetadata) -> FoundBy {
    let columns = vec![
        hex(metadata.name.as_str().as_bytes()),
        search::text_of(metadata),
        records::plain(&metadata.department),
        search::key(&metadata.department),
    ];
    FoundBy { columns, keywords: keywords(metadata).into_iter().collect() }
}

fn keywords(metadata: &DatasetMetadata) -> BTreeSet<String> {
    metadata.keywords.iter().map(|keyword| search::key(keyword)).filter(|keyword| !keyword.is_empty()).collect()
}

async fn put_keywords(change: &mut Change, metadata: &DatasetMetadata) -> Result<(), StoreError> {
    for keyword in keywords(metadata) {
        sqlx::query("INSERT INTO dataset_keyword (dataset, keyword) VALUES ($1, $2)")
            .bind(metadata.name.as_str())
            .bind(keyword.as_str())
            .execute(&mut *change.transaction)
            .await?;
    }
    Ok(())
}
