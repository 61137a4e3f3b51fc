//! The workers: processes of ours that plan and run strangers' statements, one question at a time each.
//!
//! ```text
//!             ┌─ keeper 0 ── process ── Flight over a Unix socket ─┐
//!   run() ──▶ ├─ keeper 1 ── process ──        …                   ├──▶ head, chunks, tail
//!             └─ keeper N ── process ──                            ┘
//! ```
//!
//! Each keeper starts one process, watches what it uses while it has a question, ends it when it oversteps, and
//! starts the next. A question takes an idle worker and holds it until its answer has ended; a worker that
//! answered to the end is used again, one that was left in the middle must first come to rest. The spare ones are there
//! while others start, and for small questions while others compute.
//!
//! A worker whose question turns out to be slow loses its priority for the processors: the server and the quick
//! questions go first. No process gets it back, so some such workers are kept for the questions of heavy blocks, and the
//! others are replaced when their question has ended.

mod deadly;
mod feed;
mod lease;
mod pool;
mod process;
mod watcher;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use portico_model::limits::QueryLimits;
use portico_model::order::{Measure, ParameterValue, WorkOrder};
use portico_model::problem::{Problem, ProblemKind};
use tokio_util::sync::DropGuard;
use tonic::transport::Channel;

pub use feed::{Feed, WorkerAnswer};

use self::deadly::Statement;
use self::feed::Failure;
use self::pool::{Bounds, Pool};
use crate::queue::Turn;

/// Connects to a worker that somebody else runs.
pub type Connector =
    Arc<dyn Fn() -> BoxFuture<'static, Result<Channel, Box<dyn std::error::Error + Send + Sync>>> + Send + Sync>;

/// Where workers come from.
#[derive(Clone)]
pub enum Launcher {
    /// Processes of ours: `program worker --socket PATH --scratch DIR --memory BYTES --spill BYTES --threads N
    /// [--released DIR]`, with an empty environment, that end when their standard input does.
    Process {
        /// The program, normally this very one.
        program: PathBuf,
        /// A directory for their sockets and spill files; what earlier workers left there is removed.
        scratch: PathBuf,
        /// The local directory of the released files, which must exist: all that workers may read. Without one they
        /// are given URLs and may connect.
        released: Option<PathBuf>,
        /// Passed on as `--log`.
        log_level: Option<String>,
    },
    /// Workers reached by a connection, such as an engine in this process for tests. They cannot be killed:
    /// a worker that oversteps is let go of and connected anew.
    Connect(Connector),
}

/// What kind of work a statement is, which decides what its processor time is measured against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// A plain scan: filters, projections, limits. Once it has begun it streams for as long as it is read.
    Scan,
    /// Everything that aggregates, joins or sorts: its processor time is limited in all.
    Work,
}

/// The workers. Clones are the same workers; when the last clone and the last answer are gone they end.
#[derive(Clone)]
pub struct Workers {
    pool: Arc<Pool>,
    _stop: Arc<DropGuard>,
}

impl Workers {
    /// Starts the workers in the background; the first is ready within a fraction of a second. Must be called
    /// inside a tokio runtime.
    #[must_use]
    pub fn start(launcher: Launcher, limits: &QueryLimits) -> Self {
        let bounds = Bounds::of(limits);
        let pool = Arc::new(Pool::new(launcher, bounds, limits));
        let stop = Arc::new(pool.stop_token().drop_guard());
        pool.launch_all();
        Self { pool, _stop: stop }
    }

    /// How many workers there are meant to be, without the spare ones: as many questions run at once, by and large.
    #[must_use]
    pub fn count(&self) -> usize {
        self.pool.bounds.count
    }

    /// How many workers are alive now.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.pool.alive()
    }

    /// Waits until at least one worker is alive, or `timeout` has passed; says whether there is one.
    pub async fn wait_ready(&self, timeout: Duration) -> bool {
        tokio::time::timeout(timeout, self.pool.wait_alive()).await.is_ok()
    }

    /// What confines the workers, as the first of them said; nothing before it lives, or where they are no processes.
    #[must_use]
    pub fn measures(&self) -> &[Measure] {
        self.pool.measures.get().map_or(&[], Vec::as_slice)
    }

    /// Ends all workers, for shutdown: answers under way break.
    pub fn stop(&self) {
        self.pool.stop_token().cancel();
    }

    /// Runs one piece of work until the first bytes of its answer are here, so that whatever goes wrong before
    /// them can still be told as a problem. Dropping the future or the answer frees the worker. The turn is charged with
    /// what the work costs, and held until the worker is free, which may be after the answer was given up.
    ///
    /// A worker that was lost through no fault of the statement is replaced by another, once. A statement that ended
    /// two workers is refused for a while.
    ///
    /// # Errors
    /// The worker's own problem; `QueryMemory`, `QueryTimeout` or `QueryTooComplex` for a statement that
    /// overstepped; `Unavailable` when no worker could be had.
    pub async fn run(&self, order: &WorkOrder, effort: Effort, turn: &Arc<Turn>) -> Result<WorkerAnswer, Problem> {
        self.check(&order.sql, &order.parameters)?;
        match self.attempt(order, effort, turn).await {
            Err(Failure::Lost(_)) => {
                metrics::counter!("portico_questions_retried_total").increment(1);
                tracing::warn!(question = %order.question_id, "a worker was lost before its first byte; trying another");
                self.attempt(order, effort, turn).await.map_err(|failure| self.give_up(order, failure))
            }
            outcome => outcome.map_err(Failure::into_problem),
        }
    }

    /// Refuses a statement that ended two workers, before it waits for its turn.
    pub(crate) fn check(&self, sql: &str, parameters: &BTreeMap<String, ParameterValue>) -> Result<(), Problem> {
        self.pool.deadly.check(Statement::of(sql, parameters))
    }

    /// After the second try. Two workers in a row are no chance any more: the system may be killing them because of
    /// what the statement takes, without saying so.
    fn give_up(&self, order: &WorkOrder, failure: Failure) -> Problem {
        if let Failure::Lost(_) = failure {
            let reason = Problem::new(ProblemKind::QueryMemory, "The system killed its process, and the next one too.");
            self.pool.deadly.record(Statement::of(&order.sql, &order.parameters), reason);
        }
        failure.into_problem()
    }

    async fn attempt(&self, order: &WorkOrder, effort: Effort, turn: &Arc<Turn>) -> Result<WorkerAnswer, Failure> {
        let wait = self.pool.bounds.wait;
        let lease = tokio::time::timeout(wait, self.pool.lease(order, effort, turn)).await.map_err(|_| {
            metrics::counter!("portico_questions_refused_total", "reason" => "no_worker").increment(1);
            let problem = Problem::new(ProblemKind::Unavailable, "No worker is ready. Try again in a moment.");
            Failure::Problem(problem.retry_after(2))
        })?;
        feed::open(lease, order).await
    }
}
