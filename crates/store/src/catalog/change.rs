//! A writing transaction: it holds the end of the audit chain from its first statement to its commit.

use serde_json::Value;
use sqlx::Row;
use tokio::sync::OwnedMutexGuard;

use super::audit::{AuditEntry, What};
use super::interruption::{CatalogMoment, Interruption};
use super::waits::unanswered;
use super::{Catalog, Transaction};
use crate::error::StoreError;

/// A transaction that writes. Dropped without [`Change::commit`], it has never been.
pub(super) struct Change {
    /// The transaction, for the statements of the change.
    pub(super) transaction: Transaction,
    sequence: i64,
    hash: String,
    interruption: Interruption,
    /// Given back after the transaction has ended: fields are dropped in this order.
    _turn: OwnedMutexGuard<()>,
}

impl Catalog {
    /// Begins a change. Whatever it reads stays as it is until it ends: the row updated here is every writer's
    /// first.
    pub(super) async fn change(&self) -> Result<Change, StoreError> {
        let turn = self.turn().await?;
        let interruption = self.inner.interruption.clone();
        interruption.at(CatalogMoment::Begin).await?;
        let mut transaction = self.inner.pool.begin().await?;
        let end = sqlx::query("UPDATE audit_end SET seq = seq WHERE id = 1 RETURNING seq, hash");
        // By here others are waited for; PostgreSQL says when that is too long, unless its network is silent.
        let end = tokio::time::timeout(self.inner.waits.answer, end.fetch_one(&mut *transaction)).await;
        let end = end.unwrap_or_else(|_| Err(unanswered("it does not answer")))?;
        let (sequence, hash) = (end.try_get(0)?, end.try_get(1)?);
        Ok(Change { transaction, sequence, hash, interruption, _turn: turn })
    }
}

impl Change {
    /// The number of the audit log's last row.
    pub(super) const fn sequence(&self) -> i64 {
        self.sequence
    }

    /// Goes on from the end of the audit log that the change itself has written row by row: that of a backup.
    pub(super) async fn go_on_from_end(&mut self) -> Result<(), StoreError> {
        let end = sqlx::query("SELECT seq, hash FROM audit_end WHERE id = 1").fetch_one(&mut *self.transaction).await?;
        (self.sequence, self.hash) = (end.try_get(0)?, end.try_get(1)?);
        Ok(())
    }

    /// Adds a row to the audit log, as a part of the change.
    pub(super) async fn audit(
        &mut self,
        principal: &str,
        now_ms: i64,
        what: What<'_>,
        detail: Value,
    ) -> Result<(), StoreError> {
        let sequence = self.sequence.saturating_add(1);
        let entry = AuditEntry::chained(&self.hash, sequence, (principal, now_ms), &what, &detail);
        sqlx::query(
            "INSERT INTO audit (seq, at_ms, principal, action, dataset, revision, version, detail, previous, hash) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(entry.sequence)
        .bind(entry.at_ms)
        .bind(entry.principal)
        .bind(entry.action)
        .bind(entry.dataset)
        .bind(entry.revision)
        .bind(entry.version)
        .bind(entry.detail)
        .bind(entry.previous)
        .bind(entry.hash.clone())
        .execute(&mut *self.transaction)
        .await?;
        self.sequence = sequence;
        self.hash = entry.hash;
        Ok(())
    }

    /// Makes the change true. When this fails, it may be true all the same: look, or do it again.
    pub(super) async fn commit(mut self) -> Result<(), StoreError> {
        sqlx::query("UPDATE audit_end SET seq = $1, hash = $2 WHERE id = 1")
            .bind(self.sequence)
            .bind(self.hash)
            .execute(&mut *self.transaction)
            .await?;
        self.interruption.at(CatalogMoment::Commit).await?;
        self.transaction.commit().await?;
        self.interruption.at(CatalogMoment::Committed).await
    }
}
