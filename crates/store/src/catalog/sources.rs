//! Sources: where the data of a dataset come from. A declaration is never changed: another has the next number, and
//! wants an approval of its own.

use portico_model::name::DatasetName;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::audit::What;
use super::change::Change;
use super::refreshes::{self, RefreshRecord};
use super::seals::{self, source_columns};
use super::{Catalog, datasets, records};
use crate::error::StoreError;

/// One declaration of a dataset's source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceRecord {
    /// The dataset.
    pub dataset: DatasetName,
    /// 1, 2, 3 … for each dataset.
    pub number: u32,
    /// SHA-256 of the declaration: what an approval is bound to.
    pub digest: String,
    /// The declaration, as `publish` spells it.
    pub declaration_json: String,
    /// When it was declared, in milliseconds since the epoch.
    pub declared_ms: i64,
    /// Who declared it.
    pub declared_by: String,
    /// When it was approved, in milliseconds since the epoch.
    pub approved_ms: Option<i64>,
    /// Who gave the standing approval.
    pub approved_by: Option<String>,
    /// A digest of what the named place stood for when it was approved; none where the declaration says all itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
}

impl Catalog {
    /// Declares a dataset's source. What is declared already, as the newest, is not declared again.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such dataset.
    pub async fn declare_source(
        &self,
        dataset: &DatasetName,
        (digest, declaration_json, goes_on): (&str, &str, bool),
        principal: &str,
        now_ms: i64,
    ) -> Result<SourceRecord, StoreError> {
        let mut change = self.change().await?;
        datasets::find(&mut change, dataset).await?.ok_or(StoreError::not_found("dataset"))?;
        let newest = newest(&mut change, dataset).await?;
        if let Some(same) = newest.clone().filter(|newest| newest.digest == digest) {
            return Ok(same);
        }
        let source = SourceRecord {
            dataset: dataset.clone(),
            number: newest.map_or(1, |newest| newest.number.saturating_add(1)),
            digest: digest.to_owned(),
            declaration_json: declaration_json.to_owned(),
            declared_ms: now_ms,
            declared_by: principal.to_owned(),
            approved_ms: None,
            approved_by: None,
            place: None,
        };
        sqlx::query("INSERT INTO source (dataset, number, record) VALUES ($1, $2, $3)")
            .bind(dataset.as_str())
            .bind(i64::from(source.number))
            .bind(records::to_json(&source)?)
            .execute(&mut *change.transaction)
            .await?;
        seals::seal_source(&mut change.transaction, dataset.as_str(), i64::from(source.number)).await?;
        // What was known of another source is nothing to this one; it is not read before it is approved.
        let before = refreshes::find(&mut change, dataset).await?;
        let paused = before.as_ref().is_some_and(|before| before.paused);
        let known = before.filter(|_| goes_on).map(|before| (before.etag, before.last_modified));
        let (etag, last_modified) = known.unwrap_or_default();
        let number = source.number;
        let refresh = RefreshRecord { number, paused, etag, last_modified, ..RefreshRecord::of(dataset) };
        refreshes::write(&mut change, &refresh).await?;
        change.audit(principal, now_ms, what("source.declared", dataset), said(&source)).await?;
        change.commit().await?;
        Ok(source)
    }

    /// The newest declaration of a dataset's source.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when its row is damaged, [`StoreError::Unavailable`] when the database does not answer.
    pub async fn source(&self, dataset: &DatasetName) -> Result<Option<SourceRecord>, StoreError> {
        let row = sqlx::query(concat!(
            "SELECT ",
            source_columns!(),
            " FROM source WHERE dataset = $1 ORDER BY number DESC LIMIT 1"
        ))
        .bind(dataset.as_str())
        .fetch_optional(self.pool())
        .await?;
        row.as_ref().map(|row| from_row(row, dataset)).transpose()
    }

    /// Approves a declaration for good, with what its named place stands for: what it brings may be released by itself. It is
    /// read for the first time at `next_ms`, if at all. Where the place stands for something else, it is approved anew.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is not the newest, or says something else; [`StoreError::NotFound`] when there is none.
    pub async fn approve_source(
        &self,
        dataset: &DatasetName,
        (digest, place): (&str, Option<&str>),
        principal: &str,
        (next_ms, now_ms): (Option<i64>, i64),
    ) -> Result<SourceRecord, StoreError> {
        let mut change = self.change().await?;
        let source = newest(&mut change, dataset).await?.ok_or(StoreError::not_found("source"))?;
        if source.digest != digest {
            return Err(StoreError::conflict("the source was declared otherwise meanwhile"));
        }
        if source.approved_by.is_some() && source.place.as_deref() == place {
            return Ok(source);
        }
        let (approved_by, place) = (Some(principal.to_owned()), place.map(str::to_owned));
        let approved = SourceRecord { approved_ms: Some(now_ms), approved_by, place, ..source.clone() };
        sqlx::query("UPDATE source SET record = $1 WHERE dataset = $2 AND number = $3")
            .bind(records::to_json(&approved)?)
            .bind(dataset.as_str())
            .bind(i64::from(source.number))
            .execute(&mut *change.transaction)
            .await?;
        seals::seal_source(&mut change.transaction, dataset.as_str(), i64::from(source.number)).await?;
        let refresh = refreshes::find(&mut change, dataset).await?.unwrap_or_else(|| RefreshRecord::of(dataset));
        let next_ms = if refresh.paused { None } else { next_ms };
        let refresh = RefreshRecord { number: source.number, next_ms, ..refresh };
        refreshes::write(&mut change, &refresh).await?;
        change.audit(principal, now_ms, what("source.approved", dataset), said(&approved)).await?;
        change.commit().await?;
        Ok(approved)
    }

    /// Says when a dataset's source is read next, and whether it rests until somebody says otherwise.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such source.
    pub async fn set_refresh(
        &self,
        dataset: &DatasetName,
        (paused, next_ms): (bool, Option<i64>),
        principal: &str,
        now_ms: i64,
    ) -> Result<RefreshRecord, StoreError> {
        let mut change = self.change().await?;
        let before = refreshes::find(&mut change, dataset).await?.ok_or(StoreError::not_found("source"))?;
        let after = RefreshRecord { paused, next_ms, ..before.clone() };
        if after == before {
            return Ok(before);
        }
        refreshes::write(&mut change, &after).await?;
        let action = match (before.paused, paused) {
            (false, true) => "source.paused",
            (true, false) => "source.resumed",
            _ => "source.asked",
        };
        change.audit(principal, now_ms, what(action, dataset), json!({ "source": after.number })).await?;
        change.commit().await?;
        Ok(after)
    }
}

/// The newest declaration as the change sees it.
async fn newest(change: &mut Change, dataset: &DatasetName) -> Result<Option<SourceRecord>, StoreError> {
    let row = sqlx::query(concat!(
        "SELECT ",
        source_columns!(),
        " FROM source WHERE dataset = $1 ORDER BY number DESC LIMIT 1"
    ))
    .bind(dataset.as_str())
    .fetch_optional(&mut *change.transaction)
    .await?;
    row.as_ref().map(|row| from_row(row, dataset)).transpose()
}

fn from_row(row: &AnyRow, dataset: &DatasetName) -> Result<SourceRecord, StoreError> {
    seals::check(&seals::SOURCE, row)?;
    let source: SourceRecord = records::from_json(&row.try_get::<String, _>("record")?)?;
    if source.dataset == *dataset {
        return Ok(source);
    }
    Err(StoreError::corrupt("a catalog row", "an index leads to another row"))
}

fn said(source: &SourceRecord) -> serde_json::Value {
    json!({ "source": source.number, "digest": source.digest })
}

fn what<'a>(action: &'static str, dataset: &'a DatasetName) -> What<'a> {
    What { action, dataset: Some(dataset), revision: None, version: None }
}
