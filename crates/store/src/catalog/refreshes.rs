//! Refreshes: when a source is read next, who reads it now, how it went; and what people have to be told of it.
//!
//! One reads a source at a time: the row of the refresh has its holder and until when. A holder that died is followed by
//! the next one when that time is over.

use portico_model::name::{DatasetName, VersionNumber};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::audit::What;
use super::change::Change;
use super::seals::{self, notice_columns, refresh_columns, run_columns};
use super::{Catalog, records};
use crate::error::StoreError;

/// Notices that are handed out at a time.
const NOTICES: i64 = 20;

/// What is known of a source beside its declaration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefreshRecord {
    /// The dataset.
    pub dataset: DatasetName,
    /// The declaration that the rest is about.
    pub number: u32,
    /// Whether it rests until somebody says otherwise.
    pub paused: bool,
    /// When it is read next, in milliseconds since the epoch; never by itself if absent.
    #[serde(skip)]
    pub next_ms: Option<i64>,
    /// What an HTTP server called the bytes that were read last.
    pub etag: Option<String>,
    /// When an HTTP server says that they were changed last.
    pub last_modified: Option<String>,
    /// Runs that failed, one after the other, up to now.
    pub failures: u32,
    /// When a run came to a good end last, in milliseconds since the epoch.
    pub succeeded_ms: Option<i64>,
    /// Whether people were told that it is late, since it succeeded last.
    pub told_late: bool,
}

/// One run of a refresh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// A ULID.
    pub id: String,
    /// The declaration that was followed.
    pub number: u32,
    /// When it began, in milliseconds since the epoch.
    pub started_ms: i64,
    /// How it ended: `unchanged`, `released`, `held`, `waiting` or `failed`.
    pub outcome: String,
    /// Why; empty where there is nothing to say. Never a value of the data.
    pub reasons: Vec<String>,
    /// The revision that it made.
    pub revision: Option<String>,
    /// The version that it released.
    pub version: Option<VersionNumber>,
}

/// Something that people have to be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoticeRecord {
    /// A ULID; whoever is told twice by a crash knows it by this.
    pub id: String,
    /// When it came up, in milliseconds since the epoch.
    pub created_ms: i64,
    /// The way it goes: `mail` or `webhook`.
    pub way: String,
    /// An e-mail address; empty for a webhook.
    pub to: String,
    /// What happened: `held`, `failed` or `late`.
    pub kind: String,
    /// The dataset.
    pub dataset: DatasetName,
    /// The revision that waits, if one does.
    pub revision: Option<String>,
    /// Why; never a value of the data.
    pub reasons: Vec<String>,
    /// How often it was tried in vain.
    pub attempts: u32,
}

impl RefreshRecord {
    /// Of a source that was never read.
    #[must_use]
    pub fn of(dataset: &DatasetName) -> Self {
        Self {
            dataset: dataset.clone(),
            number: 0,
            paused: false,
            next_ms: None,
            etag: None,
            last_modified: None,
            failures: 0,
            succeeded_ms: None,
            told_late: false,
        }
    }
}

impl Catalog {
    /// What is known of a dataset's source beside its declaration.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when its row is damaged, [`StoreError::Unavailable`] when the database does not answer.
    pub async fn refresh(&self, dataset: &DatasetName) -> Result<Option<RefreshRecord>, StoreError> {
        let row = sqlx::query(concat!("SELECT ", refresh_columns!(), " FROM refresh WHERE dataset = $1"))
            .bind(dataset.as_str())
            .fetch_optional(self.pool())
            .await?;
        row.as_ref().map(|row| from_row(row, dataset)).transpose()
    }

    /// The datasets whose sources are due and read by nobody, the longest overdue first, `limit` at most.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn due_refreshes(&self, now_ms: i64, limit: i64) -> Result<Vec<DatasetName>, StoreError> {
        let rows = sqlx::query(
            "SELECT dataset FROM refresh WHERE next_ms IS NOT NULL AND next_ms <= $1 AND expires_ms <= $1 \
             ORDER BY next_ms, dataset LIMIT $2",
        )
        .bind(now_ms)
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        Ok(names(&rows))
    }

    /// The datasets whose sources are not read at any time: they are paused, or wait to be asked for.
    ///
    /// # Errors
    /// As [`Catalog::due_refreshes`].
    pub async fn resting_refreshes(&self) -> Result<Vec<DatasetName>, StoreError> {
        let rows = sqlx::query("SELECT dataset FROM refresh WHERE next_ms IS NULL ORDER BY dataset")
            .fetch_all(self.pool())
            .await?;
        Ok(names(&rows))
    }

    /// Keeps that people are told of a source that is late, with what they are told, both or neither. Answers whether it still
    /// was as it was seen.
    ///
    /// # Errors
    /// As [`Catalog::refresh`].
    pub async fn note_late(&self, seen: &RefreshRecord, notices: &[NoticeRecord]) -> Result<bool, StoreError> {
        let mut change = self.change().await?;
        if find(&mut change, &seen.dataset).await?.as_ref() != Some(seen) {
            return Ok(false);
        }
        write(&mut change, &RefreshRecord { told_late: true, ..seen.clone() }).await?;
        for notice in notices {
            insert_notice(&mut change, notice).await?;
        }
        change.commit().await?;
        Ok(true)
    }

    /// Makes `holder` the one who reads a source until `now_ms + for_ms`. Answers nothing when somebody else does, or when
    /// it is not due any more.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn begin_refresh(
        &self,
        dataset: &DatasetName,
        holder: &str,
        (now_ms, for_ms): (i64, i64),
    ) -> Result<Option<RefreshRecord>, StoreError> {
        let mut change = self.change().await?;
        let Some(refresh) = find(&mut change, dataset).await? else { return Ok(None) };
        let taken =
            sqlx::query("UPDATE refresh SET holder = $1, expires_ms = $2 WHERE dataset = $3 AND expires_ms <= $4")
                .bind(holder)
                .bind(now_ms.saturating_add(for_ms))
                .bind(dataset.as_str())
                .bind(now_ms)
                .execute(&mut *change.transaction)
                .await?;
        let due = refresh.next_ms.is_some_and(|next_ms| next_ms <= now_ms);
        if !due || taken.rows_affected() == 0 {
            return Ok(None);
        }
        change.commit().await?;
        Ok(Some(refresh))
    }

    /// Keeps a source for its holder until `until_ms`. Answers whether it still was the holder's.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn hold_refresh(&self, dataset: &DatasetName, holder: &str, until_ms: i64) -> Result<bool, StoreError> {
        let _turn = self.turn().await?;
        let held = sqlx::query("UPDATE refresh SET expires_ms = $1 WHERE dataset = $2 AND holder = $3")
            .bind(until_ms)
            .bind(dataset.as_str())
            .bind(holder)
            .execute(self.pool())
            .await?;
        Ok(held.rows_affected() > 0)
    }

    /// Ends a run: what is known of the source now, the record of the run, and what people have to be told, all or
    /// nothing. Of the runs, the newest `keep` stay.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when somebody else reads the source by now.
    pub async fn end_refresh(
        &self,
        refresh: &RefreshRecord,
        run: &RunRecord,
        notices: &[NoticeRecord],
        (keep, principal, now_ms): (i64, &str, i64),
    ) -> Result<(), StoreError> {
        let dataset = &refresh.dataset;
        let mut change = self.change().await?;
        let ended = sqlx::query("UPDATE refresh SET holder = '', expires_ms = 0 WHERE dataset = $1 AND holder = $2")
            .bind(dataset.as_str())
            .bind(run.id.as_str())
            .execute(&mut *change.transaction)
            .await?;
        if ended.rows_affected() == 0 {
            return Err(StoreError::conflict("the run took too long, and another one began"));
        }
        let stored = find(&mut change, dataset).await?.ok_or(StoreError::not_found("source"))?;
        // Declared anew meanwhile: what was found out is nothing to the new declaration.
        if stored.number == refresh.number {
            let asked = stored.next_ms.filter(|asked| *asked > run.started_ms);
            let next_ms = if stored.paused { None } else { asked.into_iter().chain(refresh.next_ms).min() };
            write(&mut change, &RefreshRecord { paused: stored.paused, next_ms, ..refresh.clone() }).await?;
        }
        keep_run(&mut change, dataset, run, keep).await?;
        for notice in notices {
            insert_notice(&mut change, notice).await?;
        }
        if run.outcome != "unchanged" {
            let action = match run.outcome.as_str() {
                "released" => "source.released",
                "held" => "source.held",
                _ => "source.failed",
            };
            let what = What { action, dataset: Some(dataset), revision: run.revision.as_deref(), version: run.version };
            change.audit(principal, now_ms, what, json!({ "source": run.number, "reasons": run.reasons })).await?;
        }
        change.commit().await
    }

    /// The runs of a dataset's refreshes, newest first, `limit` at most.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a row is damaged, [`StoreError::Unavailable`] when the database does not answer.
    pub async fn runs(&self, dataset: &DatasetName, limit: i64) -> Result<Vec<RunRecord>, StoreError> {
        let rows = sqlx::query(concat!(
            "SELECT ",
            run_columns!(),
            " FROM refresh_run WHERE dataset = $1 ORDER BY started_ms DESC, id DESC LIMIT $2"
        ))
        .bind(dataset.as_str())
        .bind(limit)
        .fetch_all(self.pool())
        .await?;
        let read = |row: &AnyRow| {
            seals::check(&seals::RUN, row)?;
            records::from_json(&row.try_get::<String, _>("record")?)
        };
        rows.iter().map(read).collect()
    }

    /// Takes some notices that are due, for `for_ms`: if they are neither sent nor put off by then, they are due again. Those
    /// that are damaged stay where they are, and do not keep others back.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn take_notices(&self, now_ms: i64, for_ms: i64) -> Result<Vec<NoticeRecord>, StoreError> {
        let mut change = self.change().await?;
        let rows = sqlx::query(concat!(
            "SELECT ",
            notice_columns!(),
            " FROM notice WHERE due_ms <= $1 ORDER BY due_ms, id LIMIT $2"
        ))
        .bind(now_ms)
        .bind(NOTICES)
        .fetch_all(&mut *change.transaction)
        .await?;
        let mut taken = Vec::with_capacity(rows.len());
        for row in &rows {
            let notice = match notice_of(row) {
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::error!(?error, "a notice is passed over");
                    continue;
                }
                notice => notice?,
            };
            put_off(&mut change, &notice, now_ms.saturating_add(for_ms)).await?;
            taken.push(notice);
        }
        change.commit().await?;
        Ok(taken)
    }

    /// A notice that was not taken is tried again at `due_ms`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn put_off_notice(&self, notice: &NoticeRecord, due_ms: i64) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        put_off(&mut change, notice, due_ms).await?;
        change.commit().await
    }

    /// A notice is done with: sent, or given up.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn end_notice(&self, id: &str) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        sqlx::query("DELETE FROM notice WHERE id = $1").bind(id).execute(self.pool()).await?;
        Ok(())
    }
}

/// The names in the first column; one that is damaged is passed over, with whatever there is of it.
fn names(rows: &[AnyRow]) -> Vec<DatasetName> {
    let mut names = Vec::with_capacity(rows.len());
    for row in rows {
        match row.try_get::<String, _>(0).map(|name| DatasetName::parse(&name)) {
            Ok(Ok(name)) => names.push(name),
            _ => tracing::error!("a source is passed over: its dataset has no name"),
        }
    }
    names
}

/// What is known of a source, as the change sees it.
pub(super) async fn find(change: &mut Change, dataset: &DatasetName) -> Result<Option<RefreshRecord>, StoreError> {
    let row = sqlx::query(concat!("SELECT ", refresh_columns!(), " FROM refresh WHERE dataset = $1"))
        .bind(dataset.as_str())
        .fetch_optional(&mut *change.transaction)
        .await?;
    row.as_ref().map(|row| from_row(row, dataset)).transpose()
}

/// Writes what is known of a source.
pub(super) async fn write(change: &mut Change, refresh: &RefreshRecord) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO refresh (dataset, next_ms, record) VALUES ($1, $2, $3) \
         ON CONFLICT (dataset) DO UPDATE SET next_ms = excluded.next_ms, record = excluded.record",
    )
    .bind(refresh.dataset.as_str())
    .bind(refresh.next_ms)
    .bind(records::to_json(refresh)?)
    .execute(&mut *change.transaction)
    .await?;
    seals::seal_refresh(&mut change.transaction, refresh.dataset.as_str()).await
}

async fn keep_run(change: &mut Change, dataset: &DatasetName, run: &RunRecord, keep: i64) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO refresh_run (id, dataset, started_ms, record) VALUES ($1, $2, $3, $4)")
        .bind(run.id.as_str())
        .bind(dataset.as_str())
        .bind(run.started_ms)
        .bind(records::to_json(run)?)
        .execute(&mut *change.transaction)
        .await?;
    seals::seal_run(&mut change.transaction, &run.id).await?;
    // The last one that brought something stays however long ago it was: by it is known what people were told of.
    sqlx::query(
        "DELETE FROM refresh_run WHERE dataset = $1 AND id NOT IN \
         (SELECT id FROM refresh_run WHERE dataset = $1 ORDER BY started_ms DESC, id DESC LIMIT $2) AND id NOT IN \
         (SELECT id FROM refresh_run WHERE dataset = $1 AND record LIKE '%\"revision\":\"%' \
         ORDER BY started_ms DESC, id DESC LIMIT 1)",
    )
    .bind(dataset.as_str())
    .bind(keep)
    .execute(&mut *change.transaction)
    .await?;
    Ok(())
}

async fn insert_notice(change: &mut Change, notice: &NoticeRecord) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO notice (id, due_ms, record) VALUES ($1, $2, $3)")
        .bind(notice.id.as_str())
        .bind(notice.created_ms)
        .bind(records::to_json(notice)?)
        .execute(&mut *change.transaction)
        .await?;
    seals::seal_notice(&mut change.transaction, &notice.id).await
}

async fn put_off(change: &mut Change, notice: &NoticeRecord, due_ms: i64) -> Result<(), StoreError> {
    sqlx::query("UPDATE notice SET due_ms = $1, record = $2 WHERE id = $3")
        .bind(due_ms)
        .bind(records::to_json(notice)?)
        .bind(notice.id.as_str())
        .execute(&mut *change.transaction)
        .await?;
    seals::seal_notice(&mut change.transaction, &notice.id).await
}

fn notice_of(row: &AnyRow) -> Result<NoticeRecord, StoreError> {
    seals::check(&seals::NOTICE, row)?;
    records::from_json(&row.try_get::<String, _>("record")?)
}

fn from_row(row: &AnyRow, dataset: &DatasetName) -> Result<RefreshRecord, StoreError> {
    seals::check(&seals::REFRESH, row)?;
    let refresh: RefreshRecord = records::from_json(&row.try_get::<String, _>("record")?)?;
    if refresh.dataset != *dataset {
        return Err(StoreError::corrupt("a catalog row", "an index leads to another row"));
    }
    Ok(RefreshRecord { next_ms: row.try_get("next_ms")?, ..refresh })
}
