//! The road in behind the staff API: the publisher, and how much of it may be under way at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use portico_model::limits::StaffLimits;
use portico_model::problem::{Problem, ProblemKind};
use portico_publish::{Publisher, SessionLife};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::identity::Provider;

/// When to try again after all places are taken, in seconds: a file of some size is read in that time.
const RETRY_S: u64 = 10;

/// How long comments are counted.
const HOUR_MS: i64 = 60 * 60 * 1000;
/// When to try a comment again, in seconds.
const RETRY_COMMENT_S: u64 = 3600;
/// Address blocks that are counted at once.
const BLOCKS_MAX: usize = 10_000;

/// The road in, as the server offers it to staff.
#[derive(Clone, Debug)]
pub struct Staff {
    /// The steps of the road in.
    pub(crate) publisher: Publisher,
    /// Where staff sign in, besides one-time links.
    pub(crate) provider: Option<Arc<Provider>>,
    /// How long they stay signed in.
    pub(crate) session_life: SessionLife,
    uploads: Arc<Semaphore>,
    screenings: Arc<Semaphore>,
    comments: Arc<Mutex<HashMap<String, (i64, u64)>>>,
}

impl Staff {
    /// Offers the steps of `publisher` within limits.
    #[must_use]
    pub fn new(publisher: Publisher, limits: &StaffLimits) -> Self {
        let places = |count: u64| {
            let count = usize::try_from(count).unwrap_or(Semaphore::MAX_PERMITS);
            Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)))
        };
        let session_life = SessionLife { hours: limits.session_hours, idle_minutes: limits.session_idle_minutes };
        let (uploads, screenings) = (places(limits.uploads), places(limits.screenings));
        Self { publisher, provider: None, session_life, uploads, screenings, comments: Arc::default() }
    }

    /// The same, for staff who sign in at an identity provider.
    #[must_use]
    pub fn with_provider(self, provider: Provider) -> Self {
        Self { provider: Some(Arc::new(provider)), ..self }
    }

    /// Counts a comment of an address block, of which there may be so many in an hour; `0` is no limit.
    pub(crate) fn comment(&self, block: &str, per_hour: u64, now_ms: i64) -> Result<(), Problem> {
        if per_hour == 0 {
            return Ok(());
        }
        let mut comments = self.comments.lock().unwrap_or_else(PoisonError::into_inner);
        comments.retain(|_, (since_ms, _)| now_ms.saturating_sub(*since_ms) < HOUR_MS);
        let full = comments.len() >= BLOCKS_MAX && !comments.contains_key(block);
        let (_, count) = comments.entry(block.to_owned()).or_insert((now_ms, 0));
        *count = count.saturating_add(1);
        if full || *count > per_hour {
            let detail = "There were many comments from your network in the last hour. Try again later.";
            return Err(Problem::new(ProblemKind::TooManyRequests, detail).retry_after(RETRY_COMMENT_S));
        }
        Ok(())
    }

    /// A place for one upload.
    pub(crate) fn upload(&self) -> Result<OwnedSemaphorePermit, Problem> {
        place(&self.uploads, "All places for uploads are taken (limits.staff.uploads).")
    }

    /// A place for one screening.
    pub(crate) fn screening(&self) -> Result<OwnedSemaphorePermit, Problem> {
        place(&self.screenings, "All readers are at work (limits.staff.screenings).")
    }
}

fn place(places: &Arc<Semaphore>, taken: &str) -> Result<OwnedSemaphorePermit, Problem> {
    let full = |_| Problem::new(ProblemKind::Unavailable, taken).retry_after(RETRY_S);
    Arc::clone(places).try_acquire_owned().map_err(full)
}
