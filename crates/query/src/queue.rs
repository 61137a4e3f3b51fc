//! The fair queue before the workers: blocks of addresses take turns, and each block's questions wait in order.
//!
//! A question enters with the address block of its caller and gets a [`Turn`] when a worker is free for it.
//! Nobody is served twice before everybody who waits was served once, however many questions one block sends.
//! Dropping the future that waits leaves the queue; dropping the turn lets the next one in.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use portico_model::limits::QueryLimits;
use portico_model::problem::{Problem, ProblemKind};
use tokio::sync::oneshot;

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
    block: String,
}

#[derive(Debug)]
struct Shared {
    bounds: Bounds,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    running: usize,
    running_per_address: usize,
    waiting: usize,
    waiting_per_address: usize,
    wait: Duration,
}

#[derive(Debug, Default)]
struct State {
    running: usize,
    waiting: usize,
    next_id: u64,
    /// Blocks with somebody waiting, the one whose turn is next in front.
    ring: VecDeque<String>,
    blocks: HashMap<String, Block>,
}

#[derive(Debug, Default)]
struct Block {
    running: usize,
    waiters: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    wake: oneshot::Sender<()>,
}

impl Queue {
    /// A queue for `running` workers with the limits of one address block and of the whole.
    #[must_use]
    pub fn new(limits: &QueryLimits, running: usize) -> Self {
        let bounds = Bounds {
            running: running.max(1),
            running_per_address: count(limits.running_per_address).max(1),
            waiting: count(limits.waiting),
            waiting_per_address: count(limits.waiting_per_address),
            wait: Duration::from_millis(limits.queue_wait_ms),
        };
        Self { shared: Arc::new(Shared { bounds, state: Mutex::default() }) }
    }

    /// Waits for a turn. Dropping the future leaves the queue.
    ///
    /// # Errors
    /// `TooManyRequests` when the caller's own block is the reason, `Unavailable` when everybody's load is;
    /// both say when to try again.
    pub async fn enter(&self, block: &str) -> Result<Turn, Problem> {
        self.enter_within(block, self.shared.bounds.wait).await
    }

    /// As [`Queue::enter`], with a wait of one's own: the parts of one download wait for each other.
    ///
    /// # Errors
    /// As [`Queue::enter`].
    pub async fn enter_within(&self, block: &str, wait: Duration) -> Result<Turn, Problem> {
        let started = Instant::now();
        let entered = self.shared.join(block).inspect_err(|_| refused("queue_full"))?;
        let turn = match entered {
            Entered::Now(turn) => turn,
            Entered::Later(place, woken) => {
                let outcome = tokio::time::timeout(wait, woken).await;
                match outcome {
                    Ok(Ok(())) => place.take(),
                    Ok(Err(_)) | Err(_) => {
                        refused("queue_wait");
                        return Err(self.shared.waited_too_long(block, wait));
                    }
                }
            }
        };
        metrics::histogram!("portico_queue_wait_seconds").record(started.elapsed().as_secs_f64());
        Ok(turn)
    }

    /// Questions that wait now.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.shared.lock().waiting
    }

    /// Questions that hold a turn now.
    #[must_use]
    pub fn running(&self) -> usize {
        self.shared.lock().running
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.leave(&self.block);
        state.admit(&self.shared.bounds);
    }
}

enum Entered {
    Now(Turn),
    Later(Place, oneshot::Receiver<()>),
}

/// A place in the queue; dropping it leaves the queue, whether or not the turn has come meanwhile.
struct Place {
    shared: Arc<Shared>,
    block: String,
    id: u64,
    taken: bool,
}

impl Place {
    fn take(mut self) -> Turn {
        self.taken = true;
        Turn { shared: Arc::clone(&self.shared), block: self.block.clone() }
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
            state.leave(&self.block);
            state.admit(&self.shared.bounds);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent after every statement that can panic, so a poisoned lock is still good.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn join(self: &Arc<Self>, block: &str) -> Result<Entered, Problem> {
        let mut state = self.lock();
        let total_free = state.running < self.bounds.running;
        let waiting_in_all = state.waiting;
        let (running, waiting) = state.blocks.get(block).map_or((0, 0), |entry| (entry.running, entry.waiters.len()));
        if total_free && waiting == 0 && running < self.bounds.running_per_address {
            state.running += 1;
            state.blocks.entry(block.to_owned()).or_default().running += 1;
            state.report();
            return Ok(Entered::Now(Turn { shared: Arc::clone(self), block: block.to_owned() }));
        }
        if waiting >= self.bounds.waiting_per_address {
            return Err(address_is_full(running, waiting));
        }
        if waiting_in_all >= self.bounds.waiting {
            let seconds = retry_after_s(waiting_in_all, self.bounds.running);
            return Err(Problem::new(
                ProblemKind::Unavailable,
                format!("The server is busy: {waiting_in_all} queries are waiting. Try again in {seconds} s."),
            )
            .retry_after(seconds));
        }
        let id = state.next_id;
        state.next_id += 1;
        state.waiting += 1;
        let (wake, woken) = oneshot::channel();
        let entry = state.blocks.entry(block.to_owned()).or_default();
        entry.waiters.push_back(Waiter { id, wake });
        if entry.waiters.len() == 1 {
            state.ring.push_back(block.to_owned());
        }
        state.report();
        let place = Place { shared: Arc::clone(self), block: block.to_owned(), id, taken: false };
        Ok(Entered::Later(place, woken))
    }

    fn waited_too_long(&self, block: &str, waited: Duration) -> Problem {
        let state = self.lock();
        let (running, waiting) = state.blocks.get(block).map_or((0, 0), |entry| (entry.running, entry.waiters.len()));
        let seconds = retry_after_s(state.waiting, self.bounds.running);
        if running >= self.bounds.running_per_address {
            return address_is_full(running, waiting);
        }
        Problem::new(
            ProblemKind::Unavailable,
            format!("The server is busy: no worker was free for {} s. Try again in {seconds} s.", waited.as_secs()),
        )
        .retry_after(seconds)
    }
}

impl State {
    /// Lets in whoever is next, for as long as there is room.
    fn admit(&mut self, bounds: &Bounds) {
        while self.running < bounds.running {
            let next = self.ring.iter().position(|block| {
                self.blocks.get(block).is_some_and(|entry| entry.running < bounds.running_per_address)
            });
            let Some(block) = next.and_then(|index| self.ring.remove(index)) else { break };
            let Some(entry) = self.blocks.get_mut(&block) else { continue };
            let Some(waiter) = entry.waiters.pop_front() else { continue };
            entry.running += 1;
            self.running += 1;
            self.waiting -= 1;
            if !entry.waiters.is_empty() {
                self.ring.push_back(block);
            }
            // Whoever has left between this line and the wake-up gives the turn back by dropping its place.
            let _ = waiter.wake.send(());
        }
        self.report();
    }

    /// Takes a waiter out; `false` when it had been let in already.
    fn withdraw(&mut self, block: &str, id: u64) -> bool {
        let Some(entry) = self.blocks.get_mut(block) else { return false };
        let Some(index) = entry.waiters.iter().position(|waiter| waiter.id == id) else { return false };
        entry.waiters.remove(index);
        self.waiting -= 1;
        if entry.waiters.is_empty() {
            self.ring.retain(|other| other != block);
        }
        self.forget(block);
        self.report();
        true
    }

    /// One running question of the block has ended.
    fn leave(&mut self, block: &str) {
        self.running = self.running.saturating_sub(1);
        if let Some(entry) = self.blocks.get_mut(block) {
            entry.running = entry.running.saturating_sub(1);
        }
        self.forget(block);
    }

    /// Nothing is kept of blocks that have nothing here.
    fn forget(&mut self, block: &str) {
        if self.blocks.get(block).is_some_and(|entry| entry.running == 0 && entry.waiters.is_empty()) {
            self.blocks.remove(block);
        }
    }

    fn report(&self) {
        metrics::gauge!("portico_queue_waiting").set(gauge(self.waiting));
        metrics::gauge!("portico_questions_running").set(gauge(self.running));
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

fn count(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn gauge(value: usize) -> f64 {
    u32::try_from(value).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use futures::future::BoxFuture;

    fn queue(running: usize, per_address: u64, waiting: u64, waiting_per_address: u64, wait_ms: u64) -> Queue {
        let limits = QueryLimits {
            running_per_address: per_address,
            waiting,
            waiting_per_address,
            queue_wait_ms: wait_ms,
            ..QueryLimits::default()
        };
        Queue::new(&limits, running)
    }

    /// A future in the queue: polled once, so that it has its place.
    fn waiting<'a>(queue: &'a Queue, block: &'a str) -> BoxFuture<'a, Result<Turn, Problem>> {
        let mut future = queue.enter(block).boxed();
        assert!((&mut future).now_or_never().is_none(), "{block} did not have to wait");
        future
    }

    #[tokio::test]
    async fn blocks_take_turns() {
        let queue = queue(1, 1, 100, 100, 60_000);
        let held = queue.enter("a").await.unwrap();
        let mut waiters = vec![
            ("a1", waiting(&queue, "a")),
            ("a2", waiting(&queue, "a")),
            ("a3", waiting(&queue, "a")),
            ("b1", waiting(&queue, "b")),
            ("c1", waiting(&queue, "c")),
            ("b2", waiting(&queue, "b")),
        ];
        let mut order = Vec::new();
        let mut held = Some(held);
        while !waiters.is_empty() {
            held.take();
            let mut next = None;
            for (index, (_, future)) in waiters.iter_mut().enumerate() {
                if let Some(turn) = future.now_or_never() {
                    next = Some((index, turn.unwrap()));
                    break;
                }
            }
            let (index, turn) = next.unwrap();
            order.push(waiters.remove(index).0);
            held = Some(turn);
        }
        drop(held);
        assert_eq!(order, ["a1", "b1", "c1", "a2", "b2", "a3"]);
        assert_eq!((queue.running(), queue.waiting()), (0, 0));
        assert!(queue.shared.lock().blocks.is_empty());
    }

    #[tokio::test]
    async fn one_address_does_not_take_every_worker() {
        let queue = queue(3, 2, 100, 100, 60_000);
        let first = queue.enter("a").await.unwrap();
        let _second = queue.enter("a").await.unwrap();
        let third = waiting(&queue, "a");
        let _other = queue.enter("b").await.unwrap();
        drop(first);
        let _third = third.now_or_never().unwrap().unwrap();
    }

    #[tokio::test]
    async fn full_queues_refuse_and_say_when_to_come_back() {
        let queue = queue(1, 1, 2, 1, 60_000);
        let _running = queue.enter("a").await.unwrap();
        let _a = waiting(&queue, "a");
        let own = queue.enter("a").await.unwrap_err();
        assert_eq!(own.kind, ProblemKind::TooManyRequests);
        assert!(own.retry_after_s.is_some());
        let _b = waiting(&queue, "b");
        let all = queue.enter("c").await.unwrap_err();
        assert_eq!(all.kind, ProblemKind::Unavailable);
        assert!(all.retry_after_s.is_some());
    }

    #[tokio::test]
    async fn waiting_ends() {
        let queue = queue(1, 1, 10, 10, 1);
        let _running = queue.enter("a").await.unwrap();
        assert_eq!(queue.enter("b").await.unwrap_err().kind, ProblemKind::Unavailable);
        assert_eq!(queue.enter("a").await.unwrap_err().kind, ProblemKind::TooManyRequests);
        assert_eq!(queue.waiting(), 0);
    }

    #[tokio::test]
    async fn leaving_the_queue_makes_room_even_after_the_turn_has_come() {
        let queue = queue(1, 1, 10, 10, 60_000);
        let running = queue.enter("a").await.unwrap();
        let leaver = waiting(&queue, "b");
        let stayer = waiting(&queue, "c");
        drop(waiting(&queue, "d"));
        assert_eq!(queue.waiting(), 2);
        drop(running);
        assert_eq!(queue.running(), 1);
        drop(leaver);
        let _stayer = stayer.now_or_never().unwrap().unwrap();
        assert_eq!((queue.running(), queue.waiting()), (1, 0));
    }
}
