//! Who waits, who has a turn, and who gets the next one.
//!
//! There are as many places as workers, and some more for the spare ones but one. A turn is slow when it was given for a
//! question that is expected to be slow, or has lasted for longer than [`LONG`].
//!
//! | block | gets a place while |
//! |---|---|
//! | heavy: its questions were slow | a worker is free, and slow turns have fewer than [`heavy_places`]; or it is the only one |
//! | unknown: it has not asked lately | a worker is free; or all turns are slow and two spare workers are free |
//! | light: its questions were quick | any worker is free, a spare one too |
//!
//! Light blocks go first, then unknown ones, each kind in turn; of heavy ones, the one with the least recent work. A
//! question of an unknown or light block may turn out to be slow: while such questions hold all places and a light or
//! unknown block waits, the latest of them that has not begun to answer is called back and waits as a heavy one. So
//! whoever comes waits for quick questions only, and a question is begun anew once at most.

use std::cmp::Ordering;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use portico_model::limits::QueryLimits;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::record::{Kind, Records};

/// How long a turn lasts before it counts as slow, whatever it does.
const LONG: Duration = Duration::from_millis(250);
/// Work by which a turn that lasts long is one that computes, not one that waits for something else: calling the latter
/// back would gain nothing, and quick questions that a busy machine is slow at have less.
const COMPUTES: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) workers: usize,
    /// Workers and spare ones, without the one that is there when another has ended.
    pub(super) places: usize,
    pub(super) running_per_address: usize,
    pub(super) waiting: usize,
    pub(super) waiting_per_address: usize,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) bounds: Bounds,
    records: Records,
    waiting: usize,
    next_id: u64,
    /// Blocks with somebody waiting, the one whose turn is next in front.
    ring: VecDeque<String>,
    blocks: HashMap<String, Block>,
    turns: HashMap<u64, Held>,
}

#[derive(Debug, Default)]
struct Block {
    running: usize,
    waiters: VecDeque<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    /// Whether it was called back: it is slow, whatever its block asked before.
    again: bool,
    /// Says that the turn has come, and whether as a heavy one.
    wake: oneshot::Sender<bool>,
    call_back: CancellationToken,
}

/// A turn that somebody has.
#[derive(Debug)]
struct Held {
    block: String,
    since: Instant,
    work: Duration,
    /// Given for a question that is expected to be slow: it stays to its end.
    heavy: bool,
    begun: bool,
    call_back: CancellationToken,
}

/// How many turns there are.
#[derive(Clone, Copy, Debug)]
struct Load {
    running: usize,
    /// Of these the slow ones, and of those the heavy ones.
    slow: usize,
    heavy: usize,
}

/// Places that slow turns may have among so many workers: they leave a quarter to others, but one if there are two.
pub(crate) fn heavy_places(workers: usize) -> usize {
    if workers < 2 { workers } else { workers - (workers / 4).max(1) }
}

impl Bounds {
    pub(super) fn of(limits: &QueryLimits, workers: usize) -> Self {
        let workers = workers.max(1);
        Self {
            workers,
            places: workers.saturating_add(count(limits.spare_workers).saturating_sub(1)),
            running_per_address: count(limits.running_per_address).max(1),
            waiting: count(limits.waiting),
            waiting_per_address: count(limits.waiting_per_address),
        }
    }

    fn admits(&self, kind: Kind, load: Load) -> bool {
        match kind {
            Kind::Light => load.running < self.places,
            // The last spare worker is for those who are known.
            Kind::Unknown => {
                load.running < self.workers
                    || (load.slow == load.running && load.running.saturating_add(1) < self.places)
            }
            Kind::Heavy => load.running < self.workers && (load.slow < heavy_places(self.workers) || load.heavy == 0),
        }
    }
}

impl State {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            records: Records::new(),
            waiting: 0,
            next_id: 0,
            ring: VecDeque::new(),
            blocks: HashMap::new(),
            turns: HashMap::new(),
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn running(&self) -> usize {
        self.turns.len()
    }

    /// Questions of the block that run and that wait.
    pub(super) fn of_block(&self, block: &str) -> (usize, usize) {
        self.blocks.get(block).map_or((0, 0), |entry| (entry.running, entry.waiters.len()))
    }

    /// Whether a question of the block would have its turn without waiting.
    pub(super) fn goes_at_once(&self, block: &str, now: Instant) -> bool {
        let (running, waiting) = self.of_block(block);
        waiting == 0
            && running < self.bounds.running_per_address
            && self.bounds.admits(self.kind(block, false, now), self.load(now))
    }

    /// Puts a question in the queue, from which it may come out at once; the number is its turn's as well.
    pub(super) fn join(
        &mut self,
        block: &str,
        again: bool,
        wake: oneshot::Sender<bool>,
        call_back: CancellationToken,
        now: Instant,
    ) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        self.waiting += 1;
        let entry = self.blocks.entry(block.to_owned()).or_default();
        entry.waiters.push_back(Waiter { id, again, wake, call_back });
        if entry.waiters.len() == 1 {
            self.ring.push_back(block.to_owned());
        }
        self.admit(now);
        id
    }

    /// Takes a waiter out; `false` when it had been let in already.
    pub(super) fn withdraw(&mut self, block: &str, id: u64) -> bool {
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

    /// A turn has ended.
    pub(super) fn leave(&mut self, id: u64, now: Instant) {
        let Some(held) = self.turns.remove(&id) else { return };
        self.records.add(&held.block, held.work, now);
        if let Some(entry) = self.blocks.get_mut(&held.block) {
            entry.running = entry.running.saturating_sub(1);
        }
        self.forget(&held.block);
        self.admit(now);
    }

    /// A turn's question has had more work done. Workers are looked at all the time, so this also notices that time
    /// has passed.
    pub(super) fn charge(&mut self, id: u64, work: Duration, now: Instant) {
        if let Some(held) = self.turns.get_mut(&id) {
            held.work = held.work.saturating_add(work);
        }
        self.admit(now);
    }

    pub(super) fn begin(&mut self, id: u64) {
        if let Some(held) = self.turns.get_mut(&id) {
            held.begun = true;
        }
    }

    /// Lets in whoever is next, for as long as there is room; where there is none, makes some.
    fn admit(&mut self, now: Instant) {
        while let Some((index, kind)) = self.next(now) {
            let Some(block) = self.ring.remove(index) else { break };
            let Some(entry) = self.blocks.get_mut(&block) else { continue };
            let Some(waiter) = entry.waiters.pop_front() else { continue };
            entry.running += 1;
            self.waiting -= 1;
            if !entry.waiters.is_empty() {
                self.ring.push_back(block.clone());
            }
            let heavy = kind == Kind::Heavy;
            let Waiter { id, wake, call_back, .. } = waiter;
            let held = Held { block, since: now, work: Duration::ZERO, heavy, begun: false, call_back };
            self.turns.insert(id, held);
            // Whoever has left between this line and the wake-up gives the turn back by dropping its place.
            let _ = wake.send(heavy);
        }
        self.call_back(now);
        self.report();
    }

    /// Who is next, as an index of the ring.
    fn next(&self, now: Instant) -> Option<(usize, Kind)> {
        if self.ring.is_empty() {
            return None;
        }
        let load = self.load(now);
        let ready = self.candidates(now).filter(|(_, _, kind)| self.bounds.admits(*kind, load));
        let first = ready.min_by(|(index, block, kind), (other_index, other_block, other_kind)| {
            let recent = match kind {
                Kind::Heavy => self.records.recent_s(block, now).total_cmp(&self.records.recent_s(other_block, now)),
                Kind::Light | Kind::Unknown => Ordering::Equal,
            };
            kind.cmp(other_kind).then(recent).then(index.cmp(other_index))
        });
        first.map(|(index, _, kind)| (index, kind))
    }

    /// Blocks in the ring that may have another question running.
    fn candidates(&self, now: Instant) -> impl Iterator<Item = (usize, &str, Kind)> {
        self.ring.iter().enumerate().filter_map(move |(index, block)| {
            let entry = self.blocks.get(block)?;
            let first = entry.waiters.front()?;
            let below = entry.running < self.bounds.running_per_address;
            below.then(|| (index, block.as_str(), self.kind(block, first.again, now)))
        })
    }

    /// Calls a question back if somebody waits who would not have to wait long for quick ones, and there are none.
    fn call_back(&self, now: Instant) {
        if self.ring.is_empty() {
            return;
        }
        let load = self.load(now);
        let leaving = |held: &Held| held.call_back.is_cancelled() && !held.begun;
        let somebody_waits = || self.candidates(now).any(|(_, _, kind)| kind != Kind::Heavy);
        if load.slow < load.running || self.turns.values().any(leaving) || !somebody_waits() {
            return;
        }
        let may_leave = |held: &&Held| !held.heavy && !held.begun && held.work >= COMPUTES;
        if let Some(held) = self.turns.values().filter(may_leave).max_by_key(|held| held.since) {
            metrics::counter!("portico_questions_called_back_total").increment(1);
            held.call_back.cancel();
        }
    }

    /// What is to be expected of a block's question. A block that has a long one running has shown what it asks.
    fn kind(&self, block: &str, again: bool, now: Instant) -> Kind {
        let has_long = || self.turns.values().any(|held| held.block == block && held.lasts_long(now));
        if again || has_long() { Kind::Heavy } else { self.records.kind(block) }
    }

    fn load(&self, now: Instant) -> Load {
        let heavy = self.turns.values().filter(|held| held.heavy).count();
        let slow = self.turns.values().filter(|held| held.heavy || held.lasts_long(now)).count();
        Load { running: self.turns.len(), slow, heavy }
    }

    /// Nothing is kept of blocks that have nothing here, but what their questions cost.
    fn forget(&mut self, block: &str) {
        if self.blocks.get(block).is_some_and(|entry| entry.running == 0 && entry.waiters.is_empty()) {
            self.blocks.remove(block);
        }
    }

    fn report(&self) {
        metrics::gauge!("portico_queue_waiting").set(gauge(self.waiting));
        metrics::gauge!("portico_questions_running").set(gauge(self.turns.len()));
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty() && self.turns.is_empty() && self.ring.is_empty()
    }

    /// The block has asked before.
    #[cfg(test)]
    pub(super) fn remember(&self, block: &str, work: Duration) {
        self.records.add(block, work, Instant::now());
    }

    /// Makes every turn of the block begin earlier.
    #[cfg(test)]
    pub(super) fn age(&mut self, block: &str, by: Duration) {
        for held in self.turns.values_mut().filter(|held| held.block == block) {
            held.since = held.since.checked_sub(by).unwrap();
        }
    }
}

impl Held {
    fn lasts_long(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) > LONG
    }
}

fn count(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

fn gauge(value: usize) -> f64 {
    u32::try_from(value).map_or(f64::INFINITY, f64::from)
}
