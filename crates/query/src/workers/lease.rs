//! Leases of workers to questions, and what becomes of a worker whose question was given up.

use std::sync::Arc;
use std::time::Duration;

use arrow_flight::flight_service_client::FlightServiceClient;
use portico_model::problem::Problem;
use tonic::transport::Channel;

use super::pool::{End, Pool, Worker};
use super::watcher::{self, Assignment};

/// How long a worker may take to come to rest after its question was given up.
const SETTLE: Duration = Duration::from_millis(300);
/// Between two looks at a worker that is to come to rest, and how many in a row must find it so.
const SETTLE_LOOK: Duration = Duration::from_millis(10);
const SETTLE_LOOKS: u32 = 3;
/// What the parts of a message have around them.
const ENVELOPE_BYTES: usize = 1024;

/// A worker that is held for one question. Dropping it lets the worker come to rest, then frees it.
pub(super) struct Lease {
    pool: Arc<Pool>,
    worker: Arc<Worker>,
    pub(super) assignment: Arc<Assignment>,
    given_back: bool,
}

impl Lease {
    pub(super) fn new(pool: Arc<Pool>, worker: Arc<Worker>, assignment: Arc<Assignment>) -> Self {
        Self { pool, worker, assignment, given_back: false }
    }

    /// Whatever announces a longer message than a worker of ours sends is not read: room is made for what is announced.
    pub(super) fn client(&self) -> FlightServiceClient<Channel> {
        FlightServiceClient::new(self.worker.channel.clone())
            .max_decoding_message_size(self.pool.bounds.message_bytes.saturating_add(ENVELOPE_BYTES))
            .max_encoding_message_size(usize::MAX)
    }

    /// Ends when the worker does.
    pub(super) async fn ended(&self) -> Option<End> {
        self.worker.ended().await
    }

    /// Ends when the worker has answered a question of ours: it lives. Never ends when it does not answer.
    pub(super) async fn answers(&self) {
        if self.worker.ping().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether the worker is a process whose end the system tells.
    pub(super) fn is_process(&self) -> bool {
        self.worker.pid.is_some()
    }

    pub(super) fn memory_limit_bytes(&self) -> u64 {
        self.pool.bounds.memory_bytes
    }

    /// What the verdict on this question means, if one was spoken.
    pub(super) fn verdict(&self) -> Option<Problem> {
        self.assignment.verdict().map(|verdict| self.assignment.problem(verdict))
    }

    /// The worker answered to the end: it is free at once.
    pub(super) fn finish(mut self) {
        self.given_back = true;
        self.pool.give_back(Arc::clone(&self.worker));
    }

    /// The worker cannot be trusted any more: it is replaced.
    pub(super) fn retire(mut self) {
        self.given_back = true;
        self.worker.retire.cancel();
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.given_back {
            return;
        }
        if self.assignment.is_called_back() {
            // Another waits for its place: there is no reason to wait until it rests.
            self.worker.retire.cancel();
            return;
        }
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => {
                runtime.spawn(settle(Arc::clone(&self.pool), Arc::clone(&self.worker)));
            }
            Err(_) => self.worker.retire.cancel(),
        }
    }
}

/// Waits until a worker whose question was given up does nothing any more; one that goes on is replaced.
async fn settle(pool: Arc<Pool>, worker: Arc<Worker>) {
    let rested = tokio::time::timeout(SETTLE, async {
        let mut found = 0;
        while found < SETTLE_LOOKS {
            tokio::time::sleep(SETTLE_LOOK).await;
            let rests = worker.pid.and_then(watcher::rests).unwrap_or(true);
            found = if rests { found + 1 } else { 0 };
        }
        worker.ping().await
    })
    .await;
    match rested {
        Ok(Ok(_)) => pool.give_back(worker),
        Ok(Err(_)) | Err(_) => worker.retire.cancel(),
    }
}
