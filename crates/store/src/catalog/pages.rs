//! The portal's own pages as the team has written them, with what they said before.

use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::audit::What;
use super::seals::{self, page_columns};
use super::{Catalog, records};
use crate::error::StoreError;

/// What somebody writes on a page.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageText {
    /// Its heading.
    pub title: String,
    /// Markdown.
    pub text: String,
}

/// A page as it was written once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRecord {
    /// Its name.
    pub name: String,
    /// Counts from 1 for each page.
    pub number: i64,
    /// What it says; none for the text that a new portal has.
    pub said: Option<PageText>,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
    /// By whom.
    pub by: String,
}

/// The same, as the database keeps it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    said: Option<PageText>,
    at_ms: i64,
    by: String,
}

impl Catalog {
    /// What a page says now; none when nobody has written it.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when its row is damaged, [`StoreError::Unavailable`] when the database does not answer.
    pub async fn page(&self, name: &str) -> Result<Option<PageRecord>, StoreError> {
        let row =
            sqlx::query(concat!("SELECT ", page_columns!(), " FROM page WHERE name = $1 ORDER BY number DESC LIMIT 1"))
                .bind(name)
                .fetch_optional(self.pool())
                .await?;
        row.as_ref().map(from_row).transpose()
    }

    /// What pages said, of one or of all, the newest of each first.
    ///
    /// # Errors
    /// As [`Catalog::page`].
    pub async fn page_history(&self, name: Option<&str>) -> Result<Vec<PageRecord>, StoreError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            page_columns!(),
            " FROM page WHERE ($1 = '' OR name = $1) ORDER BY name, number DESC"
        ))
        .bind(name.unwrap_or_default())
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(from_row).collect()
    }

    /// Has a page say something else from now on, in place of what it says with this number (0 when nobody has written it),
    /// and keeps the newest `kept` of what it said. What it says already is fine.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it says something else than with that number by now.
    pub async fn put_page(
        &self,
        name: &str,
        (said, number): (Option<PageText>, i64),
        kept: i64,
        (principal, now_ms): (&str, i64),
    ) -> Result<PageRecord, StoreError> {
        let mut change = self.change().await?;
        let row =
            sqlx::query(concat!("SELECT ", page_columns!(), " FROM page WHERE name = $1 ORDER BY number DESC LIMIT 1"))
                .bind(name)
                .fetch_optional(&mut *change.transaction)
                .await?;
        let found = row.as_ref().map(from_row).transpose()?;
        if let Some(found) = found.as_ref().filter(|found| found.said == said) {
            return Ok(found.clone());
        }
        let current = found.map_or(0, |found| found.number);
        if current != number {
            return Err(StoreError::conflict(format!(
                "the page has version {current} by now: read it and write again"
            )));
        }
        let number = current.saturating_add(1);
        let by = records::plain(principal);
        let json = records::to_json(&Kept { said: said.clone(), at_ms: now_ms, by: by.clone() })?;
        let seal = seals::of_values(&seals::PAGE, [json!(name), json!(number), json!(json)]);
        sqlx::query("INSERT INTO page (name, number, record, seal) VALUES ($1, $2, $3, $4)")
            .bind(name)
            .bind(number)
            .bind(json.as_str())
            .bind(seal)
            .execute(&mut *change.transaction)
            .await?;
        sqlx::query("DELETE FROM page WHERE name = $1 AND number <= $2")
            .bind(name)
            .bind(number.saturating_sub(kept.max(1)))
            .execute(&mut *change.transaction)
            .await?;
        let action = if said.is_some() { "page.written" } else { "page.reset" };
        let detail = json!({ "page": name, "number": number, "sha256": seals::of_content(&json, "", "") });
        let what = What { action, dataset: None, revision: None, version: None };
        change.audit(principal, now_ms, what, detail).await?;
        change.commit().await?;
        Ok(PageRecord { name: name.to_owned(), number, said, at_ms: now_ms, by })
    }
}

fn from_row(row: &AnyRow) -> Result<PageRecord, StoreError> {
    seals::check(&seals::PAGE, row)?;
    let Kept { said, at_ms, by } = records::from_json(&row.try_get::<String, _>("record")?)?;
    Ok(PageRecord { name: row.try_get("name")?, number: row.try_get("number")?, said, at_ms, by })
}
