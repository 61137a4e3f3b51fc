//! Schedules: when the clock is to release an approved revision, and how its tries went.
//!
//! A schedule counts while its revision is in state `Scheduled`. Both change in one transaction, and the release itself
//! looks at both again: a release that was on its way when people moved or lifted the schedule does not happen.

use portico_model::name::DatasetName;
use portico_model::revision::RevisionState;
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::change::Change;
use super::records::{self, RevisionRecord};
use super::seals::{self, schedule_columns};
use super::{Catalog, revisions};
use crate::error::StoreError;

/// When a revision is to be released.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleRecord {
    /// The revision.
    pub revision: String,
    /// Its dataset.
    pub dataset: DatasetName,
    /// When it is to be public, in milliseconds since the epoch, and not before.
    pub release_at_ms: i64,
    /// When it is tried next; none when it has failed so often that it waits for people.
    pub next_try_ms: Option<i64>,
    /// How often it was tried.
    pub tries: u64,
    /// Whether the public may know of it before.
    pub announced: bool,
    /// Who scheduled it.
    pub scheduled_by: String,
    /// When, in milliseconds since the epoch.
    pub scheduled_ms: i64,
    /// Why it is late, for staff.
    pub failure: Option<String>,
}

/// What of a schedule the database need not look at.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    announced: bool,
    scheduled_by: String,
    scheduled_ms: i64,
    failure: Option<String>,
}

/// Every schedule that counts, by time; a dataset is said twice, by the schedule and by the revision.
const WAITING: &str = "SELECT s.revision, s.dataset, s.release_at_ms, s.next_try_ms, s.tries, s.record, s.seal, \
                       r.dataset AS of_revision FROM schedule s JOIN revision r ON r.id = s.revision \
                       WHERE r.state = $1 ORDER BY s.release_at_ms, s.revision";

impl Catalog {
    /// Schedules an approved revision, or one that is scheduled for another time. `digest` is what was approved. The same
    /// schedule again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the revision is in another state, was approved with another digest, or as many as
    /// `waiting` are scheduled; [`StoreError::NotFound`] when there is no such revision.
    pub async fn schedule(
        &self,
        schedule: &ScheduleRecord,
        digest: &str,
        waiting: u64,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        let found = revisions::find(&mut change, &schedule.revision).await?.ok_or(StoreError::not_found("revision"))?;
        if !matches!(found.state, RevisionState::Approved | RevisionState::Scheduled) {
            return Err(StoreError::conflict(format!("the revision is {}", found.state.as_str())));
        }
        if found.dataset != schedule.dataset || found.approved_digest.as_deref() != Some(digest) {
            return Err(StoreError::conflict("the revision was changed meanwhile"));
        }
        if found.state == RevisionState::Scheduled {
            let before = find(&mut change, &schedule.revision).await?;
            if before.is_some_and(|before| before.is_same_plan(schedule)) {
                return Ok(());
            }
        } else {
            check_room(&mut change, waiting).await?;
        }
        put(&mut change, schedule).await?;
        let scheduled = RevisionRecord { state: RevisionState::Scheduled, ..found };
        revisions::write(&mut change, &scheduled, now_ms).await?;
        let detail = json!({
            "release_at_ms": schedule.release_at_ms, "announced": schedule.announced, "approved_digest": digest,
        });
        let what = revisions::what("revision.scheduled", &scheduled);
        change.audit(&schedule.scheduled_by, now_ms, what, detail).await?;
        change.commit().await
    }

    /// Takes a revision off the calendar: it is approved, as before. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is neither scheduled nor approved, [`StoreError::NotFound`] when there is none.
    pub async fn unschedule(&self, id: &str, reason: &str, principal: &str, now_ms: i64) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        let found = revisions::find(&mut change, id).await?.ok_or(StoreError::not_found("revision"))?;
        match found.state {
            RevisionState::Scheduled => {}
            RevisionState::Approved => return Ok(()),
            state => return Err(StoreError::conflict(format!("the revision is {}", state.as_str()))),
        }
        let approved = RevisionRecord { state: RevisionState::Approved, ..found };
        revisions::write(&mut change, &approved, now_ms).await?;
        let what = revisions::what("revision.unscheduled", &approved);
        change.audit(principal, now_ms, what, json!({ "reason": reason })).await?;
        change.commit().await
    }

    /// Every schedule that counts, by time: the late ones first.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a row is damaged, [`StoreError::Unavailable`] when the database does not answer.
    pub async fn schedules(&self) -> Result<Vec<ScheduleRecord>, StoreError> {
        let rows = sqlx::query(WAITING).bind(RevisionState::Scheduled.as_str()).fetch_all(self.pool()).await?;
        rows.iter().map(from_row).collect()
    }

    /// As [`Catalog::schedules`], but for rows that are damaged: these are left out, and the datasets that they may be about are
    /// told, so that nothing comes before what they were to release.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn sound_schedules(&self) -> Result<(Vec<ScheduleRecord>, Vec<DatasetName>), StoreError> {
        let rows = sqlx::query(WAITING).bind(RevisionState::Scheduled.as_str()).fetch_all(self.pool()).await?;
        let (mut sound, mut held_up) = (Vec::with_capacity(rows.len()), Vec::new());
        for row in &rows {
            match from_row(row) {
                Ok(schedule) => sound.push(schedule),
                Err(error @ StoreError::Corrupt { .. }) => {
                    tracing::error!(?error, "a scheduled release is passed over: portico scrub");
                    for column in ["dataset", "of_revision"] {
                        held_up.extend(DatasetName::parse(&row.try_get::<String, _>(column)?).ok());
                    }
                }
                Err(error) => return Err(error),
            }
        }
        Ok((sound, held_up))
    }

    /// The schedule that a revision has, or had last.
    ///
    /// # Errors
    /// As [`Catalog::schedules`].
    pub async fn schedule_of(&self, id: &str) -> Result<Option<ScheduleRecord>, StoreError> {
        let row = sqlx::query(concat!("SELECT ", schedule_columns!(), " FROM schedule WHERE revision = $1"))
            .bind(id)
            .fetch_optional(self.pool())
            .await?;
        identified(row.as_ref(), id)
    }

    /// Takes one try of a release: nobody else has it until `next_try_ms`. Answers whether it was to be had. Like a lease it
    /// says who works, not what was done, and is not audited. It counts before it begins, so that a release which ends
    /// the process is not tried for ever.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn take_try(&self, seen: &ScheduleRecord, next_try_ms: Option<i64>) -> Result<bool, StoreError> {
        let mut change = self.change().await?;
        let revision = revisions::find(&mut change, &seen.revision).await?;
        let found = find(&mut change, &seen.revision).await?;
        let is_scheduled = revision.is_some_and(|revision| revision.state == RevisionState::Scheduled);
        if !is_scheduled || found.as_ref() != Some(seen) {
            return Ok(false);
        }
        let taken = ScheduleRecord { next_try_ms, tries: seen.tries.saturating_add(1), ..seen.clone() };
        put(&mut change, &taken).await?;
        change.commit().await?;
        Ok(true)
    }

    /// Keeps why a try failed; `code` is the kind of problem, for the audit log. A schedule that does not count any more
    /// stays as it is.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn note_failure(
        &self,
        id: &str,
        (code, failure): (&str, &str),
        principal: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        let revision = revisions::find(&mut change, id).await?;
        let Some(revision) = revision.filter(|revision| revision.state == RevisionState::Scheduled) else {
            return Ok(());
        };
        let Some(found) = find(&mut change, id).await? else { return Ok(()) };
        let detail = json!({ "try": found.tries, "problem": code, "gives_up": found.next_try_ms.is_none() });
        put(&mut change, &ScheduleRecord { failure: Some(failure.to_owned()), ..found }).await?;
        change.audit(principal, now_ms, revisions::what("revision.release_failed", &revision), detail).await?;
        change.commit().await
    }
}

impl ScheduleRecord {
    /// Whether it says the same as another to whoever waits for the release, and is still being tried.
    fn is_same_plan(&self, other: &Self) -> bool {
        (self.release_at_ms, self.announced) == (other.release_at_ms, other.announced) && self.next_try_ms.is_some()
    }
}

/// Refuses a release by the clock before its time: people may have moved it since the release began.
pub(super) async fn check_due(change: &mut Change, id: &str, now_ms: i64) -> Result<(), StoreError> {
    match find(change, id).await? {
        Some(schedule) if schedule.release_at_ms <= now_ms => Ok(()),
        _ => Err(StoreError::conflict("the revision is not due")),
    }
}

async fn check_room(change: &mut Change, waiting: u64) -> Result<(), StoreError> {
    let row = sqlx::query("SELECT COUNT(*) FROM revision WHERE state = $1")
        .bind(RevisionState::Scheduled.as_str())
        .fetch_one(&mut *change.transaction)
        .await?;
    if records::count(row.try_get(0)?)? < waiting {
        return Ok(());
    }
    Err(StoreError::conflict("as many releases are scheduled as may wait at once (limits.schedule.waiting)"))
}

async fn find(change: &mut Change, id: &str) -> Result<Option<ScheduleRecord>, StoreError> {
    let row = sqlx::query(concat!("SELECT ", schedule_columns!(), " FROM schedule WHERE revision = $1"))
        .bind(id)
        .fetch_optional(&mut *change.transaction)
        .await?;
    identified(row.as_ref(), id)
}

/// Every schedule that counts, as the change sees it.
pub(super) async fn waiting(change: &mut Change) -> Result<Vec<ScheduleRecord>, StoreError> {
    let scheduled = sqlx::query(WAITING).bind(RevisionState::Scheduled.as_str());
    scheduled.fetch_all(&mut *change.transaction).await?.iter().map(from_row).collect()
}

/// Writes a schedule.
pub(super) async fn put(change: &mut Change, schedule: &ScheduleRecord) -> Result<(), StoreError> {
    let kept = Kept {
        announced: schedule.announced,
        scheduled_by: records::plain(&schedule.scheduled_by),
        scheduled_ms: schedule.scheduled_ms,
        failure: schedule.failure.as_deref().map(records::plain),
    };
    sqlx::query(
        "INSERT INTO schedule (revision, dataset, release_at_ms, next_try_ms, tries, record) \
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (revision) DO UPDATE SET release_at_ms = excluded.release_at_ms, \
         next_try_ms = excluded.next_try_ms, tries = excluded.tries, record = excluded.record",
    )
    .bind(schedule.revision.as_str())
    .bind(schedule.dataset.as_str())
    .bind(schedule.release_at_ms)
    .bind(schedule.next_try_ms)
    .bind(records::to_count(schedule.tries)?)
    .bind(records::to_json(&kept)?)
    .execute(&mut *change.transaction)
    .await?;
    seals::seal_schedule(&mut change.transaction, &schedule.revision).await
}

/// The record of a row that was looked up by id: a damaged index may have led to another.
fn identified(row: Option<&AnyRow>, id: &str) -> Result<Option<ScheduleRecord>, StoreError> {
    match row.map(from_row).transpose()? {
        Some(record) if record.revision != id => {
            Err(StoreError::corrupt("a catalog row", "an index leads to another row"))
        }
        found => Ok(found),
    }
}

fn from_row(row: &AnyRow) -> Result<ScheduleRecord, StoreError> {
    seals::check(&seals::SCHEDULE, row)?;
    let kept: Kept = records::from_json(&row.try_get::<String, _>("record")?)?;
    let dataset: String = row.try_get("dataset")?;
    Ok(ScheduleRecord {
        revision: row.try_get("revision")?,
        dataset: DatasetName::parse(&dataset).map_err(|error| StoreError::corrupt("a catalog row", error))?,
        release_at_ms: row.try_get("release_at_ms")?,
        next_try_ms: row.try_get("next_try_ms")?,
        tries: records::count(row.try_get("tries")?)?,
        announced: kept.announced,
        scheduled_by: kept.scheduled_by,
        scheduled_ms: kept.scheduled_ms,
        failure: kept.failure,
    })
}
