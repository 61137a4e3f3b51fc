//! How often something was used, by month: numbers and nothing of who it was.

use chrono::{DateTime, Datelike};
use portico_model::name::{DatasetName, VersionNumber};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::seals::{self, use_count_columns};
use super::{Catalog, records};
use crate::error::StoreError;

/// How long a batch is remembered: nobody tries one again after that.
const BATCH_MS: i64 = 7 * 24 * 60 * 60 * 1000;
/// Counts that are added in one transaction: a month of a large portal is many thousands, and whoever writes meanwhile, such as
/// a withdrawal, waits for one transaction and not for all of them.
const COUNTS_AT_ONCE: usize = 200;

/// How often one thing was used in one month.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UseCount {
    /// `2026-01`.
    pub month: String,
    /// The dataset.
    pub dataset: DatasetName,
    /// The version.
    pub version: VersionNumber,
    /// `download`, `sql` or `flight`.
    pub protocol: String,
    /// The format of the answer.
    pub format: String,
    /// The column that a question named; empty for the version as a whole.
    pub column: String,
    /// How often.
    pub uses: u64,
}

/// The month of a moment, as counts have it.
#[must_use]
pub fn month_of(now_ms: i64) -> String {
    let moment = DateTime::from_timestamp_millis(now_ms).unwrap_or_default();
    format!("{:04}-{:02}", moment.year(), moment.month())
}

impl Catalog {
    /// Adds counts, some at a time. What has arrived of a batch is not added again, so that whoever does not know whether it
    /// did sends the same counts in the same order once more. This is no act of anybody, and is not in the audit log.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a count in the catalog is damaged, [`StoreError::Unavailable`] when the database does
    /// not answer.
    pub async fn add_uses(&self, batch: &str, counts: &[UseCount], now_ms: i64) -> Result<(), StoreError> {
        for (place, some) in counts.chunks(COUNTS_AT_ONCE).enumerate() {
            self.add_some_uses(&format!("{batch}.{place}"), some, now_ms).await?;
        }
        Ok(())
    }

    /// Adds some counts of a batch, all or none.
    async fn add_some_uses(&self, batch: &str, counts: &[UseCount], now_ms: i64) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        let known = sqlx::query("SELECT id FROM use_batch WHERE id = $1")
            .bind(batch)
            .fetch_optional(&mut *change.transaction)
            .await?;
        if known.is_some() {
            return Ok(());
        }
        sqlx::query("DELETE FROM use_batch WHERE at_ms < $1")
            .bind(now_ms.saturating_sub(BATCH_MS))
            .execute(&mut *change.transaction)
            .await?;
        sqlx::query("INSERT INTO use_batch (id, at_ms) VALUES ($1, $2)")
            .bind(batch)
            .bind(now_ms)
            .execute(&mut *change.transaction)
            .await?;
        for count in counts {
            let found = sqlx::query(concat!(
                "SELECT ",
                use_count_columns!(),
                " FROM use_count WHERE month = $1 AND dataset = $2 AND version = $3 AND protocol = $4 AND format = $5 \
                 AND name = $6"
            ))
            .bind(count.month.as_str())
            .bind(count.dataset.as_str())
            .bind(i64::from(count.version))
            .bind(count.protocol.as_str())
            .bind(count.format.as_str())
            .bind(count.column.as_str())
            .fetch_optional(&mut *change.transaction)
            .await?;
            let before = found.as_ref().map(from_row).transpose()?.map_or(0, |found| found.uses);
            put(&mut change.transaction, count, before.saturating_add(count.uses)).await?;
        }
        change.commit().await
    }

    /// The counts from one month to another, both included, in order; of versions that are public, unless all are asked
    /// for.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a row is damaged, [`StoreError::Unavailable`] when the database does not answer.
    pub async fn uses(&self, from: &str, to: &str, all: bool) -> Result<Vec<UseCount>, StoreError> {
        let rows = sqlx::query(
            "SELECT u.month, u.dataset, u.version, u.protocol, u.format, u.name, u.uses, u.seal FROM use_count u \
             JOIN version v ON v.dataset = u.dataset AND v.version = u.version \
             WHERE u.month >= $1 AND u.month <= $2 AND (CAST($3 AS BIGINT) = 1 OR v.state = 'released') \
             ORDER BY u.month, u.dataset, u.version, u.protocol, u.format, u.name",
        )
        .bind(from)
        .bind(to)
        .bind(i64::from(all))
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(from_row).collect()
    }
}

async fn put(transaction: &mut super::Transaction, count: &UseCount, uses: u64) -> Result<(), StoreError> {
    let (version, uses) = (i64::from(count.version), records::to_count(uses)?);
    let seal = seals::of_values(
        &seals::USE_COUNT,
        [
            json!(count.month),
            json!(count.dataset),
            json!(version),
            json!(count.protocol),
            json!(count.format),
            json!(count.column),
            json!(uses),
        ],
    );
    sqlx::query(
        "INSERT INTO use_count (month, dataset, version, protocol, format, name, uses, seal) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (month, dataset, version, protocol, format, name) \
         DO UPDATE SET uses = excluded.uses, seal = excluded.seal",
    )
    .bind(count.month.as_str())
    .bind(count.dataset.as_str())
    .bind(version)
    .bind(count.protocol.as_str())
    .bind(count.format.as_str())
    .bind(count.column.as_str())
    .bind(uses)
    .bind(seal)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

fn from_row(row: &AnyRow) -> Result<UseCount, StoreError> {
    seals::check(&seals::USE_COUNT, row)?;
    let dataset: String = row.try_get("dataset")?;
    Ok(UseCount {
        month: row.try_get("month")?,
        dataset: DatasetName::parse(&dataset).map_err(|error| StoreError::corrupt("a catalog row", error))?,
        version: records::number(row.try_get("version")?)?,
        protocol: row.try_get("protocol")?,
        format: row.try_get("format")?,
        column: row.try_get("name")?,
        uses: records::count(row.try_get("uses")?)?,
    })
}
