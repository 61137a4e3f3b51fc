//! The audit log: what was done, by whom and when, as a chain in which no row can be changed unseen.

use portico_model::name::{DatasetName, VersionNumber};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::Row;
use sqlx::any::AnyRow;

use super::Catalog;
use crate::error::StoreError;
use crate::storage::hex;

/// Rows read at once while the chain is checked.
const PAGE: i64 = 1_000;

/// One row of the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Its number, from 1 without gaps.
    pub sequence: i64,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// Who.
    pub principal: String,
    /// What was done, such as `version.released`.
    pub action: String,
    /// The dataset concerned.
    pub dataset: Option<String>,
    /// The revision concerned.
    pub revision: Option<String>,
    /// The version concerned.
    pub version: Option<i64>,
    /// More about it, as JSON; never a value of the data.
    pub detail: String,
    /// The hash of the row before.
    pub previous: String,
    /// SHA-256 of `previous` and of this row, lower-case hex.
    pub hash: String,
}

/// What a row is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct What<'a> {
    pub(super) action: &'static str,
    pub(super) dataset: Option<&'a DatasetName>,
    pub(super) revision: Option<&'a str>,
    pub(super) version: Option<VersionNumber>,
}

impl AuditEntry {
    /// The row that follows the one with hash `previous`.
    pub(super) fn chained(
        previous: &str,
        sequence: i64,
        (principal, at_ms): (&str, i64),
        what: &What<'_>,
        detail: &Value,
    ) -> Self {
        let mut entry = Self {
            sequence,
            at_ms,
            principal: super::records::plain(principal),
            action: what.action.to_owned(),
            dataset: what.dataset.map(ToString::to_string),
            revision: what.revision.map(ToOwned::to_owned),
            version: what.version.map(i64::from),
            detail: detail.to_string(),
            previous: previous.to_owned(),
            hash: String::new(),
        };
        entry.hash = entry.expected_hash();
        entry
    }

    /// The text that is hashed after the hash of the row before: the row as a JSON array, in which no two rows look the
    /// same.
    #[must_use]
    pub fn hashed(&self) -> String {
        json!([
            self.sequence,
            self.at_ms,
            self.principal,
            self.action,
            self.dataset,
            self.revision,
            self.version,
            self.detail,
        ])
        .to_string()
    }

    /// The hash that this row must have.
    #[must_use]
    pub fn expected_hash(&self) -> String {
        let mut digest = Sha256::new();
        digest.update(self.previous.as_bytes());
        digest.update(self.hashed().as_bytes());
        hex(&digest.finalize())
    }

    fn from_row(row: &AnyRow) -> Result<Self, StoreError> {
        Ok(Self {
            sequence: row.try_get("seq")?,
            at_ms: row.try_get("at_ms")?,
            principal: row.try_get("principal")?,
            action: row.try_get("action")?,
            dataset: row.try_get("dataset")?,
            revision: row.try_get("revision")?,
            version: row.try_get("version")?,
            detail: row.try_get("detail")?,
            previous: row.try_get("previous")?,
            hash: row.try_get("hash")?,
        })
    }
}

impl Catalog {
    /// The rows after number `after`, oldest first, `limit` at most; of one dataset or of all.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn audit(
        &self,
        dataset: Option<&DatasetName>,
        after: i64,
        limit: i64,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let rows = sqlx::query(
            "SELECT seq, at_ms, principal, action, dataset, revision, version, detail, previous, hash FROM audit \
             WHERE seq > $1 AND ($2 = '' OR dataset = $2) ORDER BY seq LIMIT $3",
        )
        .bind(after)
        .bind(dataset.map_or("", DatasetName::as_str))
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(AuditEntry::from_row).collect()
    }

    /// The number and the hash of the last row: whoever keeps them elsewhere can tell later that nothing before them was
    /// changed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn audit_head(&self) -> Result<(i64, String), StoreError> {
        let end = sqlx::query("SELECT seq, hash FROM audit_end WHERE id = 1").fetch_one(self.pool()).await?;
        Ok((end.try_get(0)?, end.try_get(1)?))
    }

    /// Reads the whole log and checks every link, and that nothing is missing at its end. Answers how many rows
    /// there are.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] at the first row that does not fit.
    pub async fn verify_audit(&self) -> Result<i64, StoreError> {
        let end = sqlx::query("SELECT seq, hash FROM audit_end WHERE id = 1").fetch_one(self.pool()).await?;
        let (last, last_hash): (i64, String) = (end.try_get(0)?, end.try_get(1)?);
        let (mut sequence, mut hash) = (0_i64, "0".repeat(64));
        while sequence < last {
            let page = self.audit(None, sequence, PAGE).await?;
            if page.is_empty() {
                return Err(broken(sequence));
            }
            for entry in page.into_iter().take_while(|entry| entry.sequence <= last) {
                let follows = entry.sequence == sequence.saturating_add(1) && entry.previous == hash;
                if !follows || entry.hash != entry.expected_hash() {
                    return Err(broken(sequence));
                }
                (sequence, hash) = (entry.sequence, entry.hash);
            }
        }
        if hash == last_hash { Ok(sequence) } else { Err(broken(sequence)) }
    }
}

fn broken(after: i64) -> StoreError {
    StoreError::corrupt("the audit log", format!("the row after number {after} does not fit"))
}
