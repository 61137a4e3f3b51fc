//! Tables of a key and a record: sealed like all others, read whole, changed with an audit row in the same transaction.

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::Catalog;
use super::change::Change;
use super::records;
use super::seals::{self, Sealed};
use crate::error::StoreError;

/// How one table is read and written.
pub(super) struct Shelf {
    sealed: &'static Sealed,
    one: &'static str,
    all: &'static str,
    put: &'static str,
    seal: &'static str,
}

macro_rules! shelf {
    ($table:literal, $key:literal, $sealed:expr) => {
        Shelf {
            sealed: &$sealed,
            one: concat!("SELECT ", $key, ", record, seal FROM ", $table, " WHERE ", $key, " = $1"),
            all: concat!("SELECT ", $key, ", record, seal FROM ", $table),
            put: concat!(
                "INSERT INTO ",
                $table,
                " (",
                $key,
                ", record) VALUES ($1, $2) ON CONFLICT (",
                $key,
                ") DO UPDATE SET record = $2"
            ),
            seal: concat!("UPDATE ", $table, " SET seal = $1 WHERE ", $key, " = $2"),
        }
    };
}

pub(super) const INVENTORY: Shelf = shelf!("inventory", "name", seals::INVENTORY);
pub(super) const DATA_REQUEST: Shelf = shelf!("data_request", "id", seals::DATA_REQUEST);
pub(super) const METADATA_EDIT: Shelf = shelf!("metadata_edit", "dataset", seals::METADATA_EDIT);

impl Shelf {
    /// One record by its key.
    pub(super) async fn get<T: DeserializeOwned>(&self, catalog: &Catalog, key: &str) -> Result<Option<T>, StoreError> {
        let row = sqlx::query(self.one).bind(key).fetch_optional(catalog.pool()).await?;
        row.map(|row| self.read(&row, Some(key))).transpose()
    }

    /// Every record, in no order.
    pub(super) async fn all<T: DeserializeOwned>(&self, catalog: &Catalog) -> Result<Vec<T>, StoreError> {
        let rows = sqlx::query(self.all).fetch_all(catalog.pool()).await?;
        rows.iter().map(|row| self.read(row, None)).collect()
    }

    /// One record as a change sees it.
    pub(super) async fn find<T: DeserializeOwned>(
        &self,
        change: &mut Change,
        key: &str,
    ) -> Result<Option<T>, StoreError> {
        let row = sqlx::query(self.one).bind(key).fetch_optional(&mut *change.transaction).await?;
        row.map(|row| self.read(&row, Some(key))).transpose()
    }

    /// Keeps a record under its key, in place of the one that was there.
    pub(super) async fn put(&self, change: &mut Change, key: &str, record: &impl Serialize) -> Result<(), StoreError> {
        let transaction = &mut *change.transaction;
        sqlx::query(self.put).bind(key).bind(records::to_json(record)?).execute(&mut *transaction).await?;
        let row = sqlx::query(self.one).bind(key).fetch_one(&mut *transaction).await?;
        let seal = seals::of_row(self.sealed, &row)?;
        sqlx::query(self.seal).bind(seal).bind(key).execute(&mut *transaction).await?;
        Ok(())
    }

    fn read<T: DeserializeOwned>(&self, row: &AnyRow, key: Option<&str>) -> Result<T, StoreError> {
        seals::check(self.sealed, row)?;
        // A damaged index may have led to another.
        if key.is_some_and(|key| row.try_get::<String, _>(0).ok().as_deref() != Some(key)) {
            return Err(StoreError::corrupt("a catalog row", "an index leads to another row"));
        }
        records::from_json(&row.try_get::<String, _>("record")?)
    }
}
