//! Leases: who is changing a dataset's files now, a release or a sweep. The first fence between two writers; the
//! Delta log's conditional create and the checks of the release itself are the others.
//!
//! A lease outlives its end in one way: its row keeps the name of the last holder. A release whose lease ran out
//! and went to somebody else is told so by [`check`], in the transaction that would have made it public, even when
//! that somebody has finished long ago: a sweep in between may have taken the release's files for leftovers.

use portico_model::name::DatasetName;
use sqlx::Row;

use super::Catalog;
use super::change::Change;
use crate::error::StoreError;

/// How old a lease is when it is written anew.
const RENEWED_EVERY_MS: i64 = 60 * 1000;
const END: &str = "UPDATE lease SET expires_ms = 0 WHERE dataset = $1 AND holder = $2";

impl Catalog {
    /// Takes or renews the lease on a dataset until `now_ms + for_ms`. A lease that has run out is anybody's.
    /// It is not audited: it says who works, not what was done.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] while another holder has it.
    pub async fn lease(&self, dataset: &DatasetName, holder: &str, now_ms: i64, for_ms: i64) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        let row = sqlx::query("SELECT holder, expires_ms FROM lease WHERE dataset = $1")
            .bind(dataset.as_str())
            .fetch_optional(&mut *change.transaction)
            .await?;
        if let Some(row) = row {
            let (other, expires_ms): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
            if other != holder && expires_ms > now_ms {
                return Err(StoreError::conflict("another release or a sweep of the dataset is under way"));
            }
        }
        sqlx::query(
            "INSERT INTO lease (dataset, holder, expires_ms) VALUES ($1, $2, $3) \
             ON CONFLICT (dataset) DO UPDATE SET holder = excluded.holder, expires_ms = excluded.expires_ms",
        )
        .bind(dataset.as_str())
        .bind(holder)
        .bind(now_ms.saturating_add(for_ms))
        .execute(&mut *change.transaction)
        .await?;
        change.commit().await
    }

    /// Prolongs a lease until `now_ms + for_ms`, if nobody else had it since it was taken. Written once a minute at most.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when somebody else has or had it: whatever was read of the dataset since may have changed.
    pub async fn renew(&self, dataset: &DatasetName, holder: &str, now_ms: i64, for_ms: i64) -> Result<(), StoreError> {
        let lost = || StoreError::conflict("the work took too long, and somebody else worked on the dataset since");
        let row = sqlx::query("SELECT holder, expires_ms FROM lease WHERE dataset = $1")
            .bind(dataset.as_str())
            .fetch_optional(self.pool())
            .await?;
        let Some(row) = row else { return Err(lost()) };
        let (last, expires_ms): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        let until_ms = now_ms.saturating_add(for_ms);
        if last == holder && expires_ms > until_ms.saturating_sub(RENEWED_EVERY_MS) {
            return Ok(());
        }
        let renewed = sqlx::query("UPDATE lease SET expires_ms = $1 WHERE dataset = $2 AND holder = $3")
            .bind(until_ms)
            .bind(dataset.as_str())
            .bind(holder)
            .execute(self.pool())
            .await?;
        if renewed.rows_affected() == 1 { Ok(()) } else { Err(lost()) }
    }

    /// Gives a lease back; one that is not the holder's stays.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer; the lease then runs out by itself.
    pub async fn end_lease(&self, dataset: &DatasetName, holder: &str) -> Result<(), StoreError> {
        sqlx::query(END).bind(dataset.as_str()).bind(holder).execute(self.pool()).await?;
        Ok(())
    }
}

/// Gives a lease back with the change that it was taken for: whoever dies right after that keeps nobody waiting.
pub(super) async fn end(change: &mut Change, dataset: &DatasetName, holder: &str) -> Result<(), StoreError> {
    sqlx::query(END).bind(dataset.as_str()).bind(holder).execute(&mut *change.transaction).await?;
    Ok(())
}

/// Whether nobody but `holder` was the last to hold the dataset's lease.
pub(super) async fn check(change: &mut Change, dataset: &DatasetName, holder: &str) -> Result<(), StoreError> {
    let row = sqlx::query("SELECT holder FROM lease WHERE dataset = $1")
        .bind(dataset.as_str())
        .fetch_optional(&mut *change.transaction)
        .await?;
    match row {
        Some(row) if row.try_get::<String, _>(0)? != holder => {
            Err(StoreError::conflict("the release took too long, and somebody else worked on the dataset since"))
        }
        _ => Ok(()),
    }
}
