//! The pool: keepers that each hold one worker alive, and leases of idle workers to questions.

use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use arrow_flight::Action;
use arrow_flight::flight_service_client::FlightServiceClient;
use futures::TryStreamExt;
use portico_model::limits::QueryLimits;
use portico_model::order::{Measure, MeasureState, WorkOrder, WorkerReport, message_bytes_max};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use super::deadly::{Deadly, Statement};
use super::feed::{Failure, end_means};
use super::lease::Lease;
use super::process::{LastWords, LaunchError, Process};
use super::watcher::{Assignment, AssignmentBounds, Usage};
use super::{Effort, Launcher};
use crate::priority;
use crate::queue::Turn;

/// How often a worker with a question is looked at.
const LOOK_MS: u64 = 50;
/// How long a new worker may take to say what confines it.
const REPORT: Duration = Duration::from_secs(10);
/// First and longest pause before a worker that would not start is started again.
const BACKOFF: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// A worker that lived this long was no failed start.
const LIVED: Duration = Duration::from_secs(2);

/// What one worker may use, and how many there are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) count: usize,
    pub(super) spare: usize,
    /// Workers of a low priority that are kept for heavy questions.
    pub(super) low: usize,
    pub(super) memory_bytes: u64,
    pub(super) pool_memory_bytes: u64,
    pub(super) spill_bytes: u64,
    pub(super) threads: usize,
    pub(super) cpu_ms: u64,
    /// Bytes of a worker's message at most.
    pub(super) message_bytes: usize,
    /// Longest wait for an idle worker.
    pub(super) wait: Duration,
}

impl Bounds {
    pub(super) fn of(limits: &QueryLimits) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let count = match usize::try_from(limits.workers).unwrap_or(usize::MAX) {
            0 => (cores * 2).max(4),
            count => count,
        };
        let spare = usize::try_from(limits.spare_workers).unwrap_or(usize::MAX);
        Self {
            count,
            spare,
            // As many as there are places for heavy questions, but as many as all places stay at full priority.
            low: spare.min(crate::queue::heavy_places(count)),
            memory_bytes: limits.worker_memory_bytes,
            pool_memory_bytes: limits.pool_memory_bytes,
            spill_bytes: limits.spill_bytes,
            // More threads than this only help one question at the cost of all others.
            threads: cores.min(8),
            cpu_ms: limits.cpu_ms,
            message_bytes: usize::try_from(message_bytes_max(limits.flight_row_bytes)).unwrap_or(usize::MAX),
            wait: Duration::from_millis(limits.queue_wait_ms.max(1)),
        }
    }
}

pub(super) struct Pool {
    pub(super) bounds: Bounds,
    pub(super) deadly: Deadly,
    /// What the first worker said of its confinement: all are started in the same way.
    pub(super) measures: OnceLock<Vec<Measure>>,
    launcher: Launcher,
    stop: CancellationToken,
    /// Idle workers; the one used last is used next, since its caches are warm.
    idle: Mutex<Vec<Arc<Worker>>>,
    freed: Notify,
    alive: watch::Sender<usize>,
    /// Workers of a low priority, those too that are being replaced by another such one.
    low: AtomicUsize,
    generation: AtomicUsize,
}

impl Pool {
    pub(super) fn new(launcher: Launcher, bounds: Bounds, limits: &QueryLimits) -> Self {
        Self {
            bounds,
            deadly: Deadly::new(limits),
            measures: OnceLock::new(),
            launcher,
            stop: CancellationToken::new(),
            idle: Mutex::default(),
            freed: Notify::new(),
            alive: watch::Sender::new(0),
            low: AtomicUsize::new(0),
            generation: AtomicUsize::new(0),
        }
    }

    pub(super) fn stop_token(&self) -> CancellationToken {
        self.stop.clone()
    }

    pub(super) fn launch_all(self: &Arc<Self>) {
        if let Launcher::Process { scratch, .. } = &self.launcher {
            super::process::sweep(scratch);
        }
        for _ in 0..self.bounds.count.saturating_add(self.bounds.spare) {
            tokio::spawn(keep(Arc::clone(self)));
        }
    }

    pub(super) fn alive(&self) -> usize {
        *self.alive.borrow()
    }

    pub(super) async fn wait_alive(&self) {
        let mut alive = self.alive.subscribe();
        // The sender lives in the pool, so this ends only when there is a worker.
        let _ = alive.wait_for(|count| *count > 0).await;
    }

    /// Waits for an idle worker and gives it the question.
    pub(super) async fn lease(self: &Arc<Self>, order: &WorkOrder, effort: Effort, turn: &Arc<Turn>) -> Lease {
        let worker = loop {
            let freed = self.freed.notified();
            if let Some(worker) = self.take_idle(turn.is_heavy()) {
                break worker;
            }
            freed.await;
        };
        let bounds = AssignmentBounds {
            first_byte: Duration::from_millis(order.limits.first_byte_ms),
            total: Duration::from_millis(order.limits.total_ms),
            cpu_ms: self.bounds.cpu_ms,
            scan: effort == Effort::Scan,
            memory_bytes: self.bounds.memory_bytes,
            cpu_before_ms: worker.usage().unwrap_or_default().cpu_ms,
        };
        let statement = Statement::of(&order.sql, &order.parameters);
        let assignment = Arc::new(Assignment::new(&order.question_id, statement, bounds, turn));
        worker.used.store(true, Ordering::Relaxed);
        if turn.is_heavy() {
            self.lower(&worker);
        }
        worker.assignment.send_replace(Some(Arc::clone(&assignment)));
        Lease::new(Arc::clone(self), worker, assignment)
    }

    /// An idle worker; for a heavy question rather one of a low priority, for any other rather none such.
    fn take_idle(&self, heavy: bool) -> Option<Arc<Worker>> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(|worker| !worker.is_leaving());
        let fits = |worker: &Arc<Worker>| worker.lowered.load(Ordering::Relaxed) == heavy;
        let index = idle.iter().rposition(fits).or(idle.len().checked_sub(1))?;
        Some(idle.remove(index))
    }

    /// Lets all others go first on the processors, from now on.
    fn lower(&self, worker: &Worker) {
        if !worker.lowered.load(Ordering::Relaxed) && worker.pid.is_some_and(priority::lower) {
            worker.lowered.store(true, Ordering::Relaxed);
            self.low.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether there are more workers of a low priority than are kept.
    fn has_too_many_low(&self) -> bool {
        self.low.load(Ordering::Relaxed) > self.bounds.low
    }

    /// What replaces a worker of a low priority has one from its start, so that not even starting it takes the processors
    /// from others; unless there are enough such ones.
    fn replaces_low(&self) -> bool {
        let too_many = self.has_too_many_low();
        if too_many {
            self.low.fetch_sub(1, Ordering::Relaxed);
        }
        !too_many
    }

    pub(super) fn give_back(&self, worker: Arc<Worker>) {
        if worker.is_leaving() {
            return;
        }
        let usage = worker.usage();
        // Kept to the end: whoever gets the turn next finds the worker idle.
        let assignment = worker.assignment.send_replace(None);
        if let Some(assignment) = &assignment {
            assignment.charge(usage);
        }
        // What is left of the worker's memory must cover what the next plan may reserve, or an innocent
        // question pays for this one.
        let used = usage.unwrap_or_default().memory_bytes;
        let full =
            used.saturating_add(self.bounds.pool_memory_bytes) > self.bounds.memory_bytes && worker.pid.is_some();
        if full || worker.lowered.load(Ordering::Relaxed) && self.has_too_many_low() {
            worker.retire.cancel();
            return;
        }
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        self.freed.notify_one();
    }

    async fn launch(&self, low: bool) -> Result<Process, LaunchError> {
        match &self.launcher {
            Launcher::Process { program, scratch, released, log_level } => {
                let number = self.generation.fetch_add(1, Ordering::Relaxed);
                let scratch = scratch.join(format!("worker-{number}"));
                Process::launch(program, &scratch, released.as_deref(), log_level.as_deref(), &self.bounds, low).await
            }
            Launcher::Connect(connect) => {
                let channel = connect().await.map_err(LaunchError::Connect)?;
                Ok(Process::remote(channel))
            }
        }
    }
}

/// One live worker.
pub(super) struct Worker {
    pub(super) channel: Channel,
    pub(super) pid: Option<u32>,
    pub(super) assignment: watch::Sender<Option<Arc<Assignment>>>,
    end: watch::Sender<Option<End>>,
    pub(super) retire: CancellationToken,
    /// Whether it ever had a question: one that had is replaced at once, whatever became of it.
    used: AtomicBool,
    /// Whether others go first on the processors, from now on.
    pub(super) lowered: AtomicBool,
    /// Set as soon as it is known to have ended, or is being ended.
    leaving: AtomicBool,
}

/// How a worker ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    /// As the system tells it; `None` for a worker that is no process of ours.
    pub(super) status: Option<ExitStatus>,
    /// Memory when it was last looked at, in bytes.
    pub(super) memory_bytes: u64,
    /// What it said of its end.
    pub(super) last_words: LastWords,
}

impl Worker {
    fn usage(&self) -> Option<Usage> {
        self.pid.and_then(Usage::of)
    }

    fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Relaxed) || self.retire.is_cancelled()
    }

    pub(super) async fn ended(&self) -> Option<End> {
        let mut end = self.end.subscribe();
        end.wait_for(Option::is_some).await.ok().and_then(|end| *end)
    }

    pub(super) async fn ping(&self) -> Result<WorkerReport, tonic::Status> {
        let mut client = FlightServiceClient::new(self.channel.clone());
        let action = Action { r#type: "ping".to_owned(), body: bytes::Bytes::new() };
        let results: Vec<_> = client.do_action(action).await?.into_inner().try_collect().await?;
        // One that says nothing of itself has answered, which is what counts.
        Ok(results.first().and_then(|result| serde_json::from_slice(&result.body).ok()).unwrap_or_default())
    }

    /// What confines this worker: what it says itself, and whether the server sees what it uses.
    async fn measures(&self) -> Option<Vec<Measure>> {
        let report = tokio::time::timeout(REPORT, self.ping()).await.ok()?.ok()?;
        let mut measures = report.measures;
        if self.pid.is_some() {
            let seen = if self.usage().is_some() { MeasureState::InForce } else { MeasureState::NotOffered };
            measures.push(Measure::new("memory and processor time watched by the server", seen));
        }
        Some(measures)
    }
}

/// Keeps one worker alive until the pool stops.
async fn keep(pool: Arc<Pool>) {
    let mut backoff = BACKOFF;
    let mut low = false;
    loop {
        let launched = tokio::select! {
            () = pool.stop.cancelled() => return,
            launched = pool.launch(low) => launched,
        };
        let process = match launched {
            Ok(process) => process,
            Err(error) => {
                tracing::error!(%error, "a worker did not start");
                // Where others take all of the processors it would never come to its start.
                if std::mem::take(&mut low) {
                    pool.low.fetch_sub(1, Ordering::Relaxed);
                }
                tokio::select! {
                    () = pool.stop.cancelled() => return,
                    () = tokio::time::sleep(backoff) => {}
                }
                backoff = (backoff * 2).min(BACKOFF_MAX);
                continue;
            }
        };
        let started = std::time::Instant::now();
        let (outcome, lowered) = hold(&pool, process, low).await;
        if outcome == Outcome::Stopped {
            return;
        }
        low = lowered && pool.replaces_low();
        metrics::counter!("portico_worker_restarts_total").increment(1);
        if outcome == Outcome::Used || started.elapsed() >= LIVED {
            backoff = BACKOFF;
        } else {
            // A worker that ends as soon as it lives must not become a busy loop.
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }
}

/// What became of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// The pool stops.
    Stopped,
    /// It ended after it had a question.
    Used,
    /// It ended without ever having one.
    Unused,
}

/// Offers one worker to questions and watches it until it ends; says also whether it had a low priority then.
async fn hold(pool: &Arc<Pool>, mut process: Process, low: bool) -> (Outcome, bool) {
    let worker = Arc::new(Worker {
        channel: process.channel(),
        pid: process.pid(),
        assignment: watch::Sender::new(None),
        end: watch::Sender::new(None),
        retire: CancellationToken::new(),
        used: AtomicBool::new(false),
        lowered: AtomicBool::new(low),
        leaving: AtomicBool::new(false),
    });
    if pool.measures.get().is_none()
        && let Some(measures) = worker.measures().await
        && pool.measures.set(measures.clone()).is_ok()
    {
        log_measures(&measures);
    }
    pool.alive.send_modify(|count| *count += 1);
    metrics::gauge!("portico_workers_alive").increment(1.0);
    pool.give_back(Arc::clone(&worker));
    let mut memory_bytes = 0;
    let stopped = watch_over(pool, &worker, &mut process, &mut memory_bytes).await;
    worker.leaving.store(true, Ordering::Relaxed);
    pool.idle.lock().unwrap_or_else(PoisonError::into_inner).retain(|other| !Arc::ptr_eq(other, &worker));
    let (status, last_words) = process.end().await;
    let end = End { status, memory_bytes, last_words };
    if !stopped {
        convict(pool, &worker, &end);
    }
    worker.end.send_replace(Some(end));
    pool.alive.send_modify(|count| *count -= 1);
    metrics::gauge!("portico_workers_alive").decrement(1.0);
    let lowered = worker.lowered.load(Ordering::Relaxed);
    if stopped {
        return (Outcome::Stopped, lowered);
    }
    let question = worker.assignment.borrow().as_ref().map(|assignment| assignment.question_id.clone());
    tracing::info!(?status, ?last_words, memory_bytes, question, "a worker ended");
    (if worker.used.load(Ordering::Relaxed) { Outcome::Used } else { Outcome::Unused }, lowered)
}

/// Remembers the statement that ended a worker, if one did: also when nobody waits for its answer any more.
fn convict(pool: &Pool, worker: &Worker, end: &End) {
    let Some(assignment) = worker.assignment.borrow().clone() else { return };
    let reason = match assignment.verdict() {
        Some(verdict) => verdict.is_the_statements().then(|| assignment.problem(verdict)),
        // Killed because it did not come to rest, which any plan may be slow at.
        None if worker.retire.is_cancelled() => None,
        None => match end_means(end, pool.bounds.memory_bytes) {
            Failure::Problem(problem) => Some(problem),
            Failure::Lost(_) => None,
        },
    };
    if let Some(reason) = reason {
        pool.deadly.record(assignment.statement, reason);
    }
}

/// Says once what confines the workers: what is missing is for the operator to weigh.
fn log_measures(measures: &[Measure]) {
    for measure in measures {
        match measure.state {
            MeasureState::InForce | MeasureState::NotNeeded => tracing::info!(%measure, "workers are confined"),
            MeasureState::NotSet => tracing::info!(%measure, "workers could be confined further"),
            MeasureState::InPart | MeasureState::NotOffered => tracing::warn!(%measure, "workers are not confined"),
        }
    }
}

/// Returns when the worker has ended or is to be ended; `true` when the pool stops.
async fn watch_over(pool: &Pool, worker: &Worker, process: &mut Process, memory_bytes: &mut u64) -> bool {
    let mut assignments = worker.assignment.subscribe();
    let mut look = tokio::time::interval(Duration::from_millis(LOOK_MS));
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        let busy = assignments.borrow_and_update().is_some();
        tokio::select! {
            () = pool.stop.cancelled() => return true,
            () = process.wait() => return false,
            () = worker.retire.cancelled() => return false,
            changed = assignments.changed() => {
                if changed.is_err() {
                    return false;
                }
            }
            _ = look.tick(), if busy => {
                // The question of this moment: one that has just ended must not pay for the next.
                let assignment = worker.assignment.borrow().clone();
                let usage = worker.usage();
                *memory_bytes = usage.map_or(*memory_bytes, |usage| usage.memory_bytes);
                let Some(assignment) = assignment else { continue };
                if assignment.is_slow(usage) {
                    pool.lower(worker);
                }
                if worker.pid.is_none() || usage.is_some() {
                    assignment.charge(usage);
                }
                if let Some(verdict) = assignment.judge(usage) {
                    metrics::counter!("portico_questions_overstepped_total", "limit" => verdict.as_str()).increment(1);
                    return false;
                }
            }
        }
    }
}
