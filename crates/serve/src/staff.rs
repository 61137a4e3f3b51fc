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

/// How long what people write is counted.
const HOUR_MS: i64 = 60 * 60 * 1000;
/// Address blocks that are counted at once.
const BLOCKS_MAX: usize = 10_000;

/// What anybody may write without a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Written {
    /// A comment on an annual report.
    Comment,
    /// A request for data.
    Request,
}

/// When an address block's hour began, in milliseconds since the epoch, and what it has written in it.
type Hour = (i64, u64);

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
    signins: Arc<Semaphore>,
    written: Arc<Mutex<HashMap<(Written, String), Hour>>>,
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
        let signins = places(limits.signins);
        Self { publisher, provider: None, session_life, uploads, screenings, signins, written: Arc::default() }
    }

    /// The same, for staff who sign in at an identity provider.
    #[must_use]
    pub fn with_provider(self, provider: Provider) -> Self {
        Self { provider: Some(Arc::new(provider)), ..self }
    }

    /// Counts what an address block has written, of which there may be so many of a kind in an hour; `0` is no limit.
    pub(crate) fn written(&self, kind: Written, block: &str, per_hour: u64, now_ms: i64) -> Result<(), Problem> {
        if per_hour == 0 {
            return Ok(());
        }
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.retain(|_, (since_ms, _)| (0..HOUR_MS).contains(&now_ms.saturating_sub(*since_ms)));
        let key = (kind, block.to_owned());
        let full = written.len() >= BLOCKS_MAX && !written.contains_key(&key);
        let (since_ms, count) =
            if full { (now_ms, per_hour) } else { *written.entry(key.clone()).or_insert((now_ms, 0)) };
        if count >= per_hour {
            let kind = match kind {
                Written::Comment => "comments",
                Written::Request => "requests for data",
            };
            let left_ms = HOUR_MS.saturating_sub(now_ms.saturating_sub(since_ms)).max(1);
            let detail = format!("There were many {kind} from your network in the last hour. Try again later.");
            let problem = Problem::new(ProblemKind::TooManyRequests, detail);
            return Err(problem.retry_after(left_ms.unsigned_abs().div_ceil(1_000)));
        }
        written.insert(key, (since_ms, count.saturating_add(1)));
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

    /// A place for one exchange with the identity provider.
    pub(crate) fn signin(&self) -> Result<OwnedSemaphorePermit, Problem> {
        place(&self.signins, "Many people are signing in right now (limits.staff.signins).")
    }
}

fn place(places: &Arc<Semaphore>, taken: &str) -> Result<OwnedSemaphorePermit, Problem> {
    let full = |_| Problem::new(ProblemKind::Unavailable, taken).retry_after(RETRY_S);
    Arc::clone(places).try_acquire_owned().map_err(full)
}
