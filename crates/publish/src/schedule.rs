//! Releases at a time that was set: an approved revision waits, and the clock makes it public.
//!
//! ```text
//! approved ── schedule ──▶ scheduled ── release_due, once its time has come ──▶ released
//!     ▲                        │  a try that fails is noted, and tried again after a while; a bounded number of times
//!     └────── unschedule ──────┘
//! ```
//!
//! What is released is what was approved, byte for byte: scheduling and releasing both compare the digest. Whoever wants it
//! public earlier, or not at all, lifts the schedule first.

use std::collections::HashSet;

use portico_model::name::{DatasetName, VersionRef};
use portico_model::policy::{Action, Decision, Principal, Subject, decide};
use portico_model::problem::ProblemKind;
use portico_model::revision::RevisionState;
use portico_store::{RevisionRecord, ScheduleRecord};

use crate::decisions::text;
use crate::error::PublishError;
use crate::publisher::Publisher;
use crate::revision::Revision;
use crate::times::moment;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// When to look again at a release that another server has begun, in milliseconds.
const LOOK_AGAIN_MS: i64 = 1_000;

/// A release that waits for its time, for staff.
#[derive(Clone, Debug)]
pub struct Scheduled {
    /// When, who said so, and how it went so far.
    pub schedule: ScheduleRecord,
    /// What is to be released.
    pub revision: Revision,
}

/// What became of the releases that were due.
#[derive(Debug, Default)]
pub struct Due {
    /// Released now, in this order.
    pub released: Vec<VersionRef>,
    /// Failed now: the revision, and why.
    pub failed: Vec<(String, PublishError)>,
    /// When there is something to do next, in milliseconds since the epoch; none when nothing waits.
    pub next_ms: Option<i64>,
}

/// How a try ended.
enum Tried {
    Released(VersionRef),
    /// When the next is, if there is one.
    Later(Option<i64>),
}

impl Publisher {
    /// Has the clock release an approved revision at `release_at_ms`, or at another time than was set before. Unless it is
    /// said, the public is told of it before where the dataset is public already, and not where its very name is new.
    ///
    /// # Errors
    /// [`PublishError::BadTime`] for a time that has passed or is too far ahead; [`PublishError::DigestChanged`],
    /// [`PublishError::Incomplete`] and [`PublishError::WrongState`] as for a release.
    pub async fn schedule(
        &self,
        principal: &Principal,
        id: &str,
        (release_at_ms, announced): (i64, Option<bool>),
        now_ms: i64,
    ) -> Result<Revision, PublishError> {
        let record = self.record(id).await?;
        let grant = self.permit(principal, Action::Schedule, &record, now_ms).await?;
        let before = self.store.catalog.schedule_of(id).await?;
        let before = before.filter(|_| record.state == RevisionState::Scheduled);
        let announced = match (announced, &before) {
            (Some(announced), _) => announced,
            (None, Some(before)) => before.announced,
            (None, None) => self.is_public(&record.dataset).await?,
        };
        if before.is_some_and(|before| {
            (before.release_at_ms, before.announced) == (release_at_ms, announced) && before.next_try_ms.is_some()
        }) {
            return Revision::of(record);
        }
        self.check_time(release_at_ms, now_ms)?;
        let digest = self.approved(&record).await?.digest;
        let schedule = ScheduleRecord {
            revision: record.id.clone(),
            dataset: record.dataset.clone(),
            release_at_ms,
            next_try_ms: Some(release_at_ms),
            tries: 0,
            announced,
            scheduled_by: grant.principal().to_owned(),
            scheduled_ms: now_ms,
            failure: None,
        };
        self.store.catalog.schedule(&schedule, &digest, self.schedules.waiting, now_ms).await?;
        self.rescheduled.notify_one();
        Revision::of(RevisionRecord { state: RevisionState::Scheduled, ..record })
    }

    /// Takes a revision off the calendar, with the reason: it is approved, as before, and may be released, scheduled anew
    /// or discarded.
    ///
    /// # Errors
    /// [`PublishError::BadText`] without a reason; [`PublishError::WrongState`] when it is not scheduled.
    pub async fn unschedule(
        &self,
        principal: &Principal,
        id: &str,
        reason: &str,
        now_ms: i64,
    ) -> Result<Revision, PublishError> {
        let reason = text("the reason", reason)?;
        let record = self.record(id).await?;
        let grant = self.permit(principal, Action::Schedule, &record, now_ms).await?;
        self.store.catalog.unschedule(id, &reason, grant.principal(), now_ms).await?;
        Revision::of(RevisionRecord { state: RevisionState::Approved, ..record })
    }

    /// The releases that wait for their time, as far as the principal may see them; late ones first.
    ///
    /// # Errors
    /// Those of the catalog.
    pub async fn scheduled(&self, principal: &Principal, now_ms: i64) -> Result<Vec<Scheduled>, PublishError> {
        let mut seen = Vec::new();
        for schedule in self.store.catalog.schedules().await? {
            let Some(record) = self.store.catalog.revision(&schedule.revision).await? else { continue };
            match self.permit(principal, Action::See, &record, now_ms).await {
                Ok(_) => seen.push(Scheduled { schedule, revision: Revision::of(record)? }),
                Err(PublishError::UnknownRevision(_) | PublishError::Denied { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(seen)
    }

    /// Releases what is due at `now_ms`, in the order of its time. Several servers may do it at once, and any may die
    /// anywhere: a try is taken before it begins, and doing it again completes it. What fails is noted and tried again later;
    /// what comes after it on the same dataset waits, so that no older data follow newer ones. Where a row is damaged, its
    /// dataset waits, and the others do not.
    ///
    /// # Errors
    /// [`PublishError::Store`] when the catalog does not answer. A release that fails is no error of this step.
    pub async fn release_due(&self, now_ms: i64) -> Result<Due, PublishError> {
        let mut due = Due::default();
        let (schedules, damaged) = self.store.catalog.sound_schedules().await?;
        let mut held_up: HashSet<DatasetName> = damaged.into_iter().collect();
        for schedule in schedules {
            if held_up.contains(&schedule.dataset) {
                continue;
            }
            let next_ms = match schedule.next_try_ms {
                Some(next) if next <= now_ms => match self.try_release(&schedule, &mut due, now_ms).await {
                    Ok(Tried::Released(version)) => {
                        due.released.push(version);
                        continue;
                    }
                    Ok(Tried::Later(next_ms)) => next_ms,
                    Err(error) if error.is_damage() => {
                        tracing::error!(?error, "a scheduled release is passed over: portico scrub");
                        None
                    }
                    Err(error) => return Err(error),
                },
                not_yet => not_yet,
            };
            held_up.insert(schedule.dataset.clone());
            due.next_ms = due.next_ms.into_iter().chain(next_ms).min();
        }
        Ok(due)
    }

    /// The moment that a person means, in milliseconds since the epoch: RFC 3339, or a wall clock's time in the portal's time
    /// zone or in one that is named.
    ///
    /// # Errors
    /// [`PublishError::BadTime`] when it is no time, or one that the clocks skip or show twice.
    pub fn moment(&self, text: &str) -> Result<i64, PublishError> {
        moment(text, self.time_zone)
    }

    /// Waits until somebody has scheduled a release by way of this publisher or one of its clones.
    pub async fn rescheduled(&self) {
        self.rescheduled.notified().await;
    }

    /// One try of one release.
    async fn try_release(&self, schedule: &ScheduleRecord, due: &mut Due, now_ms: i64) -> Result<Tried, PublishError> {
        let id = schedule.revision.as_str();
        let next_try_ms = self.next_try(schedule.tries.saturating_add(1), now_ms);
        if !self.store.catalog.take_try(schedule, next_try_ms).await? {
            // Another server has it, or people have changed it: look again soon.
            return Ok(Tried::Later(Some(now_ms.saturating_add(LOOK_AGAIN_MS))));
        }
        match self.release_scheduled(id, now_ms).await {
            Ok(version) => Ok(Tried::Released(version)),
            Err(error) => {
                let (code, failure) = (error.kind().code(), explained(&error));
                self.store.catalog.note_failure(id, (code, &failure), Principal::Clock.name(), now_ms).await?;
                due.failed.push((id.to_owned(), error));
                Ok(Tried::Later(next_try_ms))
            }
        }
    }

    async fn release_scheduled(&self, id: &str, now_ms: i64) -> Result<VersionRef, PublishError> {
        self.store.storage.self_test().await?;
        self.release(&Principal::Clock, id, now_ms).await
    }

    /// When a release is tried again whose try of this number has begun; none after the last.
    fn next_try(&self, tried: u64, now_ms: i64) -> Option<i64> {
        let limits = &self.schedules;
        if tried >= limits.tries {
            return None;
        }
        let doubled = u32::try_from(tried.saturating_sub(1)).ok().and_then(|shift| 1_u64.checked_shl(shift));
        let wait_ms = limits.retry_ms.saturating_mul(doubled.unwrap_or(u64::MAX)).min(limits.retry_max_ms);
        Some(now_ms.saturating_add(i64::try_from(wait_ms).unwrap_or(i64::MAX)))
    }

    fn check_time(&self, release_at_ms: i64, now_ms: i64) -> Result<(), PublishError> {
        let ahead_ms = i64::try_from(self.schedules.days_ahead.saturating_mul(DAY_MS)).unwrap_or(i64::MAX);
        if release_at_ms <= now_ms {
            return Err(PublishError::BadTime("that time has passed: release it now, or say a later one".to_owned()));
        }
        if release_at_ms.saturating_sub(now_ms) > ahead_ms {
            let days = self.schedules.days_ahead;
            let said = format!("that is more than {days} days ahead (limits.schedule.days_ahead)");
            return Err(PublishError::BadTime(said));
        }
        Ok(())
    }

    /// Whether anyone may know of a dataset now.
    pub(crate) async fn is_public(&self, dataset: &DatasetName) -> Result<bool, PublishError> {
        let current = self.store.catalog.current_version(dataset).await?;
        let version = current.map(|version| (version.version.version, version.state));
        let subject = Subject::version(dataset.clone(), version);
        Ok(matches!(decide(&Principal::Anonymous, Action::Read, &subject, 0), Decision::Granted(_)))
    }
}

/// Why a try failed, for staff: faults of ours say no more than that here, and the log has the rest.
fn explained(error: &PublishError) -> String {
    match error.kind() {
        ProblemKind::Internal | ProblemKind::Unavailable => "storage or catalog did not answer".to_owned(),
        _ => error.to_string(),
    }
}
