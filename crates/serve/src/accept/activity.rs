//! What a connection is doing: whether it asked for something yet, is idle, or holds responses without reading them.
//!
//! HTTP/2 windows hide a client that does not read from the socket, so responses are watched too: a body that gave
//! bytes and was not asked for more waits for its client.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use portico_model::limits::HttpLimits;
use tokio::time::Instant;

/// How often a connection is looked at, at most and at least.
const TICK: (Duration, Duration) = (Duration::from_millis(10), Duration::from_secs(5));

/// One connection's doings.
#[derive(Debug)]
pub(super) struct Activity {
    first_request: Duration,
    idle: Duration,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    requests: u64,
    running: u64,
    /// Responses that wait for their client.
    waiting: u64,
    /// Whether a response failed before its end.
    broke: bool,
    /// When anything moved last: a request began or ended, a response gave bytes.
    moved: Instant,
}

/// What to do with the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Stay,
    /// It has not asked for anything in the time for headers.
    Silent,
    /// Nothing under way for the idle time.
    Idle,
    /// Every response under way has waited for its client as long as one may.
    Stalled,
}

impl Activity {
    pub(super) fn new(limits: &HttpLimits) -> Arc<Self> {
        Arc::new(Self {
            first_request: Duration::from_millis(limits.header_ms),
            idle: Duration::from_millis(limits.idle_ms),
            state: Mutex::new(State { requests: 0, running: 0, waiting: 0, broke: false, moved: Instant::now() }),
        })
    }

    /// How often to ask for the verdict.
    pub(super) fn tick(&self) -> Duration {
        (self.first_request.min(self.idle) / 8).clamp(TICK.0, TICK.1)
    }

    /// A request begins; it ends when the returned part of its response is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Running {
        let mut state = self.lock();
        state.requests += 1;
        state.running += 1;
        state.moved = Instant::now();
        Running { activity: Arc::clone(self), waiting: false }
    }

    /// What to do with the connection, when a response may wait `patience` for its client.
    pub(super) fn verdict(&self, now: Instant, patience: Duration) -> Verdict {
        let state = self.lock();
        let still = now.saturating_duration_since(state.moved);
        if state.requests == 0 {
            return if still >= self.first_request { Verdict::Silent } else { Verdict::Stay };
        }
        if state.running == 0 {
            return if still >= self.idle { Verdict::Idle } else { Verdict::Stay };
        }
        if state.waiting == state.running && still >= patience { Verdict::Stalled } else { Verdict::Stay }
    }

    /// Whether a response has not reached its end, or never will.
    pub(super) fn is_unfinished(&self) -> bool {
        let state = self.lock();
        state.running > 0 || state.broke
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Running {
    activity: Arc<Activity>,
    waiting: bool,
}

impl Running {
    /// Notes whether the response waits for its client from now on.
    fn wait(&mut self, waiting: bool) {
        let mut state = self.activity.lock();
        if waiting != self.waiting {
            state.waiting = if waiting { state.waiting + 1 } else { state.waiting.saturating_sub(1) };
        }
        if waiting {
            state.moved = Instant::now();
        }
        drop(state);
        self.waiting = waiting;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.wait(false);
        let mut state = self.activity.lock();
        state.running = state.running.saturating_sub(1);
        state.moved = Instant::now();
    }
}

/// A response's body that reports to its connection.
#[derive(Debug)]
pub(super) struct TrackedBody<B> {
    body: B,
    running: Running,
}

impl<B> TrackedBody<B> {
    pub(super) fn new(body: B, running: Running) -> Self {
        Self { body, running }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for TrackedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let outcome = Pin::new(&mut self.body).poll_frame(cx);
        self.running.wait(matches!(outcome, Poll::Ready(Some(Ok(_)))));
        if matches!(outcome, Poll::Ready(Some(Err(_)))) {
            self.running.activity.lock().broke = true;
        }
        outcome
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(120);

    fn limits() -> HttpLimits {
        HttpLimits { header_ms: 10_000, idle_ms: 60_000, ..HttpLimits::default() }
    }

    fn later(seconds: u64) -> Instant {
        Instant::now() + Duration::from_secs(seconds)
    }

    #[test]
    fn a_connection_without_a_request_is_silent_then_idle_after_one() {
        let activity = Activity::new(&limits());
        assert_eq!(activity.verdict(later(9), PATIENCE), Verdict::Stay);
        assert_eq!(activity.verdict(later(11), PATIENCE), Verdict::Silent);
        drop(activity.begin());
        assert_eq!(activity.verdict(later(59), PATIENCE), Verdict::Stay);
        assert_eq!(activity.verdict(later(61), PATIENCE), Verdict::Idle);
    }

    #[tokio::test]
    async fn only_a_response_that_nobody_reads_is_stalled() {
        let activity = Activity::new(&limits());
        let computing = activity.begin();
        assert_eq!(activity.verdict(later(1000), PATIENCE), Verdict::Stay);
        let mut body = TrackedBody::new(Full::new(Bytes::from_static(b"x")), computing);
        body.frame().await.unwrap().unwrap();
        assert_eq!(activity.verdict(later(119), PATIENCE), Verdict::Stay);
        assert_eq!(activity.verdict(later(121), PATIENCE), Verdict::Stalled);
        assert_eq!(activity.verdict(later(11), Duration::from_secs(10)), Verdict::Stalled);
        assert!(body.frame().await.is_none());
        assert_eq!(activity.verdict(later(1000), PATIENCE), Verdict::Stay);
    }
}
