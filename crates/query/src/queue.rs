//! The fair queue before the workers: blocks of addresses take turns, and each block's questions wait in order.
//!
//! A question enters with the address block of its caller and gets a [`Turn`] when there is a place for it. Who may
//! have which place, and who is next, stands in [`state`]: what a block's questions have cost so far decides, so that
//! heavy statements, from however many addresses, leave room for everybody else's small ones.
//! Dropping the future that waits leaves the queue; dropping the turn lets the next one in.

mod record;
mod state;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portico_model::limits::QueryLimits;
use portico_model::problem::{Problem, ProblemKind};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use self::state::{Bounds, State};

pub(crate) use self::state::heavy_places;

/// The longest `Retry-After` that a full queue names, in seconds: load changes faster than that.
const RETRY_AFTER_S_MAX: u64 = 30;

/// The queue. Clones are the same queue.
#[derive(Clone, Debug)]
pub struct Queue {
    shared: Arc<Shared>,
}

/// The right to occupy one worker, given back when it is dropped.
#[derive(Debug)]
pub struct Turn {
    shared: Arc<Shared>,
    id: u64,
    /// Whether it is given for a question that is expected to be slow.
    heavy: bool,
    called_back: CancellationToken,
}

#[derive(Debug)]
struct Shared {
    wait: Duration,
    workers: usize,
    state: Mutex<State>,
}

impl Queue {
    /// A queue for `workers`, and the spare ones of the limits beside them.
    #[must_use]
    pub fn new(limits: &QueryLimits, workers: usize) -> Self {
        let bounds = Bounds::of(limits, workers);
        let wait = Duration::from_millis(limits.queue_wait_ms);
        Self { shared: Arc::new(Shared { wait, workers: bounds.workers, state: Mutex::new(State::new(bounds)) }) }
    }

    /// Waits for a turn. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// `TooManyRequests` when the caller's own block is the reason, `Unavailable` when everybody's load is;
    /// both say when to try again.
    pub async fn enter(&self, block: &str) -> Result<Turn, Problem> {
        self.wait(block, self.shared.wait, false).await
    }

    /// As [`Queue::enter`], with a wait of one's own: the parts of one download wait for each other.
    ///
    /// # Errors
    /// As [`Queue::enter`].
    pub async fn enter_within(&self, block: &str, wait: Duration) -> Result<Turn, Problem> {
        self.wait(block, wait, false).await
    }

    /// As [`Queue::enter`], for a question that was called back: it waits for a place where it may stay.
    ///
    /// # Errors
    /// As [`Queue::enter`].
    pub async fn enter_again(&self, block: &str, wait: Option<Duration>) -> Result<Turn, Problem> {
        self.wait(block, wait.unwrap_or(self.shared.wait), true).await
    }

    async fn wait(&self, block: &str, wait: Duration, again: bool) -> Result<Turn, Problem> {
        let started = Instant::now();
        let (place, woken) = self.shared.join(block, again, started).inspect_err(|_| refused("queue_full"))?;
        let Ok(Ok(heavy)) = tokio::time::timeout(wait, woken).await else {
            refused("queue_wait");
            return Err(self.shared.waited_too_long(block, wait));
        };
        metrics::histogram!("portico_queue_wait_seconds").record(started.elapsed().as_secs_f64());
        Ok(place.take(heavy))
    }

    /// Questions that wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.lock().waiting()
    }

    /// Questions that hold a turn now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.shared.lock().running()
    }
}

impl Turn {
    /// Adds work that the question has had done: processor time, or wall time where the system does not tell.
    pub(crate) fn charge(&self, work: Duration) {
        self.shared.lock().charge(self.id, work, Instant::now());
    }

    /// The first bytes of the answer are here: from now on it cannot be begun anew, and is not called back.
    pub(crate) fn begin(&self) {
        self.shared.lock().begin(self.id);
    }

    /// Whether the question is expected to be slow, by what its block has asked before or by its own first try.
    pub(crate) fn is_heavy(&self) -> bool {
        self.heavy
    }

    /// Whether the place is wanted back.
    pub(crate) fn is_called_back(&self) -> bool {
        self.called_back.is_cancelled()
    }

    /// Completes when somebody whose questions are quick needs the place: the question has to be given up, and to
    /// [`Queue::enter_again`].
    pub(crate) async fn called_back(&self) {
        self.called_back.cancelled().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.shared.lock().leave(self.id, Instant::now());
    }
}

/// A place in the queue; dropping it leaves the queue, whether or not the turn has come meanwhile.
struct Place {
    shared: Arc<Shared>,
    block: String,
    id: u64,
    called_back: CancellationToken,
    taken: bool,
}

impl Place {
    fn take(mut self, heavy: bool) -> Turn {
        self.taken = true;
        Turn { shared: Arc::clone(&self.shared), id: self.id, heavy, called_back: self.called_back.clone() }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.taken {
            return;
        }
        let mut state = self.shared.lock();
        if !state.withdraw(&self.block, self.id) {
            // The turn came between the wake-up and this moment: pass it on.
            state.leave(self.id, Instant::now());
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent after every statement that can panic, so a poisoned lock is still good.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(
        self: &Arc<Self>,
        block: &str,
        again: bool,
        now: Instant,
    ) -> Result<(Place, oneshot::Receiver<bool>), Problem> {
        let mut state = self.lock();
        // One that was called back had been let in before.
        if !again && !state.goes_at_once(block, now) {
            let (running, waiting) = state.of_block(block);
            if waiting >= state.bounds.waiting_per_address {
                return Err(address_is_full(running, waiting));
            }
            let in_all = state.waiting();
            if in_all >= state.bounds.waiting {
                let seconds = retry_after_s(in_all, self.workers);
                return Err(Problem::new(
                    ProblemKind::Unavailable,
                    format!("The server is busy: {in_all} queries are waiting. Try again in {seconds} s."),
                )
                .retry_after(seconds));
            }
        }
        let (wake, woken) = oneshot::channel();
        let called_back = CancellationToken::new();
        let id = state.join(block, again, wake, called_back.clone(), now);
        Ok((Place { shared: Arc::clone(self), block: block.to_owned(), id, called_back, taken: false }, woken))
    }

    fn waited_too_long(&self, block: &str, waited: Duration) -> Problem {
        let state = self.lock();
        let (running, waiting) = state.of_block(block);
        if running >= state.bounds.running_per_address {
            return address_is_full(running, waiting);
        }
        let seconds = retry_after_s(state.waiting(), self.workers);
        Problem::new(
            ProblemKind::Unavailable,
            format!("The server is busy: no worker was free for {} s. Try again in {seconds} s.", waited.as_secs()),
        )
        .retry_after(seconds)
    }
}

fn address_is_full(running: usize, waiting: usize) -> Problem {
    let seconds = retry_after_s(waiting, running);
    Problem::new(
        ProblemKind::TooManyRequests,
        format!(
            "{running} queries from your address are running and {waiting} are waiting. \
             Let one finish, then try again in {seconds} s."
        ),
    )
    .retry_after(seconds)
}

/// A guess at when there is room: one second for each round of the queue.
fn retry_after_s(waiting: usize, running: usize) -> u64 {
    let rounds = waiting.checked_div(running).unwrap_or(waiting);
    u64::try_from(rounds).unwrap_or(u64::MAX).saturating_add(1).min(RETRY_AFTER_S_MAX)
}

fn refused(reason: &'static str) {
    metrics::counter!("portico_questions_refused_total", "reason" => reason).increment(1);
}
