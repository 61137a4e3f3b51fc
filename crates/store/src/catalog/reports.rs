//! Annual reports, and what the public says of them.

use portico_model::finding::Finding;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::audit::What;
use super::change::Change;
use super::seals::{self, report_columns, report_comment_columns};
use super::{Catalog, records};
use crate::error::StoreError;

/// A report on one year.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportRecord {
    /// The year.
    pub year: i64,
    /// When its numbers were taken, in milliseconds since the epoch.
    pub drafted_ms: i64,
    /// By whom.
    pub drafted_by: String,
    /// The numbers, each table with what it was taken from.
    pub sections: Vec<ReportSection>,
    /// What staff recommend, in plain text.
    pub recommendations: String,
    /// When it was published and comment began; none for a draft. From then on nothing of it changes.
    pub opens_ms: Option<i64>,
    /// When comment ends: the first moment at which none is taken.
    pub closes_ms: Option<i64>,
    /// Who published it.
    pub published_by: Option<String>,
}

/// One table of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportSection {
    /// Its title.
    pub title: String,
    /// How its numbers came about, so that somebody else could take them again.
    pub definition: String,
    /// The names of its columns.
    pub columns: Vec<String>,
    /// Its rows.
    pub rows: Vec<Vec<String>>,
}

/// What somebody says of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommentRecord {
    /// A ULID.
    pub id: String,
    /// The report's year.
    pub year: i64,
    /// When it came, in milliseconds since the epoch.
    pub at_ms: i64,
    /// As whom somebody signs it; empty for nobody.
    pub name: String,
    /// The text.
    pub text: String,
    /// What screening saw in it.
    pub findings: Vec<Finding>,
    /// Whether it is public.
    pub state: CommentState,
    /// Who decided that.
    pub moderated_by: Option<String>,
    /// Why it is not public.
    pub reason: Option<String>,
}

/// Whether a comment is public.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommentState {
    /// Nobody has looked at it.
    Held,
    /// Public.
    Accepted,
    /// Not public, with a reason.
    Rejected,
}

impl CommentState {
    /// The name in the catalog and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
        }
    }
}

impl Catalog {
    /// The report on a year, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when its row is damaged, [`StoreError::Unavailable`] when the database does not answer.
    pub async fn report(&self, year: i64) -> Result<Option<ReportRecord>, StoreError> {
        let row = sqlx::query(concat!("SELECT ", report_columns!(), " FROM report WHERE year = $1"))
            .bind(year)
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(from_row).transpose()
    }

    /// All reports, newest first.
    ///
    /// # Errors
    /// As [`Catalog::report`].
    pub async fn reports(&self) -> Result<Vec<ReportRecord>, StoreError> {
        let rows = sqlx::query(concat!("SELECT ", report_columns!(), " FROM report ORDER BY year DESC"))
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(from_row).collect()
    }

    /// Keeps a draft, or publishes one: a record with a day on which comment opens. The same record again is fine.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the report is published already: it never changes.
    pub async fn put_report(&self, report: &ReportRecord, principal: &str, now_ms: i64) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        let found = sqlx::query(concat!("SELECT ", report_columns!(), " FROM report WHERE year = $1"))
            .bind(report.year)
            .fetch_optional(&mut *change.transaction)
            .await?;
        let found = found.as_ref().map(from_row).transpose()?;
        if found.as_ref() == Some(report) {
            return Ok(());
        }
        if found.is_some_and(|found| found.opens_ms.is_some()) {
            return Err(StoreError::conflict("the report is published, and stays as it is"));
        }
        let json = records::to_json(report)?;
        let seal = seals::of_values(&seals::REPORT, [json!(report.year), json!(json)]);
        sqlx::query(
            "INSERT INTO report (year, record, seal) VALUES ($1, $2, $3) \
             ON CONFLICT (year) DO UPDATE SET record = excluded.record, seal = excluded.seal",
        )
        .bind(report.year)
        .bind(json.as_str())
        .bind(seal)
        .execute(&mut *change.transaction)
        .await?;
        let action = if report.opens_ms.is_some() { "report.published" } else { "report.drafted" };
        let detail = json!({ "year": report.year, "sha256": seals::of_content(&json, "", "") });
        change.audit(principal, now_ms, what(action), detail).await?;
        change.commit().await
    }

    /// Comments on a report, oldest first, `limit` at most; those in one state, or all.
    ///
    /// # Errors
    /// As [`Catalog::report`].
    pub async fn comments(
        &self,
        year: i64,
        state: Option<CommentState>,
        limit: i64,
    ) -> Result<Vec<CommentRecord>, StoreError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            report_comment_columns!(),
            " FROM report_comment WHERE year = $1 AND ($2 = '' OR state = $2) ORDER BY id LIMIT $3"
        ))
        .bind(year)
        .bind(state.map_or("", CommentState::as_str))
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        rows.iter().map(comment_from_row).collect()
    }

    /// Keeps a comment, while there are less than `count_max` on its report. The public acts on its own, and is nobody in
    /// the audit log.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when there are so many already.
    pub async fn insert_comment(&self, comment: &CommentRecord, count_max: i64) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        let row = sqlx::query("SELECT COUNT(*) FROM report_comment WHERE year = $1")
            .bind(comment.year)
            .fetch_one(&mut *change.transaction)
            .await?;
        if row.try_get::<i64, _>(0)? >= count_max {
            return Err(StoreError::conflict("there are as many comments on the report as are taken"));
        }
        put_comment(&mut change, comment).await?;
        change.audit("anonymous", comment.at_ms, what("report.commented"), json!({ "comment": comment.id })).await?;
        change.commit().await
    }

    /// Says whether a comment is public. The last word counts; the audit log has them all.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such comment.
    pub async fn moderate_comment(
        &self,
        id: &str,
        (state, reason): (CommentState, Option<&str>),
        principal: &str,
        now_ms: i64,
    ) -> Result<CommentRecord, StoreError> {
        let mut change = self.change().await?;
        let row = sqlx::query(concat!("SELECT ", report_comment_columns!(), " FROM report_comment WHERE id = $1"))
            .bind(id)
            .fetch_optional(&mut *change.transaction)
            .await?;
        let found = comment_from_row(&row.ok_or(StoreError::not_found("comment"))?)?;
        let reason = reason.map(records::plain);
        if found.state == state && found.reason == reason {
            return Ok(found);
        }
        let moderated = CommentRecord { state, reason, moderated_by: Some(records::plain(principal)), ..found };
        put_comment(&mut change, &moderated).await?;
        let detail = json!({ "comment": id, "state": state, "reason": moderated.reason });
        change.audit(principal, now_ms, what("report.comment_moderated"), detail).await?;
        change.commit().await?;
        Ok(moderated)
    }
}

async fn put_comment(change: &mut Change, comment: &CommentRecord) -> Result<(), StoreError> {
    let json = records::to_json(comment)?;
    let state = comment.state.as_str();
    let seal = seals::of_values(
        &seals::REPORT_COMMENT,
        [json!(comment.id), json!(comment.year), json!(comment.at_ms), json!(state), json!(json)],
    );
    sqlx::query(
        "INSERT INTO report_comment (id, year, at_ms, state, record, seal) VALUES ($1, $2, $3, $4, $5, $6) \
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, record = excluded.record, seal = excluded.seal",
    )
    .bind(comment.id.as_str())
    .bind(comment.year)
    .bind(comment.at_ms)
    .bind(state)
    .bind(json)
    .bind(seal)
    .execute(&mut *change.transaction)
    .await?;
    Ok(())
}

fn from_row(row: &AnyRow) -> Result<ReportRecord, StoreError> {
    seals::check(&seals::REPORT, row)?;
    records::from_json(&row.try_get::<String, _>("record")?)
}

fn comment_from_row(row: &AnyRow) -> Result<CommentRecord, StoreError> {
    seals::check(&seals::REPORT_COMMENT, row)?;
    records::from_json(&row.try_get::<String, _>("record")?)
}

fn what(action: &'static str) -> What<'static> {
    What { action, dataset: None, revision: None, version: None }
}
