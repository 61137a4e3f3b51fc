//! What a connection is doing: whether it asked for something yet, is idle, or holds responses without reading them.
//!
//! HTTP/2 windows hide a client that does not read from the socket, so responses are watched too: a body that gave
//! bytes and was not asked for more waits for its client. Each has its own time: what else runs on the connection, and
//! costs a client nothing, keeps none of them.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use portico_model::limits::HttpLimits;
use tokio::time::Instant;

use super::drain::DRAIN_TIME;

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
    /// Responses that wait for their client, by the number of their request, and since when.
    waiting: HashMap<u64, Instant>,
    /// When a response gave bytes last.
    gave: Instant,
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
    /// A response has waited for its client as long as one may, or some wait and none has moved for as long as a
    /// client that takes nothing is waited for.
    Stalled,
}

impl Activity {
    pub(super) fn new(limits: &HttpLimits) -> Arc<Self> {
        let now = Instant::now();
        let state = State { requests: 0, running: 0, waiting: HashMap::new(), gave: now, broke: false, moved: now };
        Arc::new(Self {
            first_request: Duration::from_millis(limits.header_ms),
            idle: Duration::from_millis(limits.idle_ms),
            state: Mutex::new(state),
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
        Running { activity: Arc::clone(self), number: state.requests }
    }

    /// What to do with the connection, when a client that takes nothing of any response is waited for `patience`.
    pub(super) fn verdict(&self, now: Instant, patience: Duration) -> Verdict {
        let state = self.lock();
        let still = now.saturating_duration_since(state.moved);
        if state.requests == 0 {
            return if still >= self.first_request { Verdict::Silent } else { Verdict::Stay };
        }
        if state.running == 0 {
            return if still >= self.idle { Verdict::Idle } else { Verdict::Stay };
        }
        let waited = |since: &Instant| now.saturating_duration_since(*since);
        let longest = state.waiting.values().map(waited).max();
        let stalled = longest
            .is_some_and(|longest| longest >= DRAIN_TIME || (longest >= patience && waited(&state.gave) >= patience));
        if stalled { Verdict::Stalled } else { Verdict::Stay }
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
    number: u64,
}

impl Running {
    /// Notes whether the response waits for its client from now on.
    fn wait(&self, waiting: bool) {
        let mut state = self.activity.lock();
        if waiting {
            let now = Instant::now();
            state.waiting.insert(self.number, now);
            (state.gave, state.moved) = (now, now);
        } else {
            state.waiting.remove(&self.number);
        }
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

    /// A response that gave a piece and was not asked for more.
    async fn unread(activity: &Arc<Activity>) -> TrackedBody<Full<Bytes>> {
        let mut body = TrackedBody::new(Full::new(Bytes::from_static(b"x")), activity.begin());
        body.frame().await.unwrap().unwrap();
        body
    }

    #[tokio::test]
    async fn only_a_response_that_nobody_reads_is_stalled() {
        let activity = Activity::new(&limits());
        let computing = activity.begin();
        assert_eq!(activity.verdict(later(1000), PATIENCE), Verdict::Stay);
        drop(computing);
        let mut body = unread(&activity).await;
        assert_eq!(activity.verdict(later(119), PATIENCE), Verdict::Stay);
        assert_eq!(activity.verdict(later(121), PATIENCE), Verdict::Stalled);
        assert_eq!(activity.verdict(later(11), Duration::from_secs(10)), Verdict::Stalled);
        assert!(body.frame().await.is_none());
        assert_eq!(activity.verdict(later(1000), PATIENCE), Verdict::Stay);
    }

    #[tokio::test]
    async fn a_request_that_costs_nothing_keeps_no_other() {
        let activity = Activity::new(&limits());
        let body = unread(&activity).await;
        let computing = activity.begin();
        assert_eq!(activity.verdict(later(9), Duration::from_secs(10)), Verdict::Stay);
        assert_eq!(activity.verdict(later(11), Duration::from_secs(10)), Verdict::Stalled);
        assert_eq!(activity.verdict(later(121), PATIENCE), Verdict::Stalled);
        drop(body);
        assert_eq!(activity.verdict(later(1000), PATIENCE), Verdict::Stay);
        drop(computing);
    }

    #[tokio::test]
    async fn a_response_that_moves_keeps_another_for_a_while() {
        let activity = Activity::new(&limits());
        let (crowded, body) = (Duration::from_secs(10), unread(&activity).await);
        for second in [15, 60, 115] {
            activity.lock().gave = later(second - 5);
            assert_eq!(activity.verdict(later(second), crowded), Verdict::Stay, "{second}");
        }
        assert_eq!(activity.verdict(later(121), crowded), Verdict::Stalled);
        drop(body);
        assert_eq!(activity.verdict(later(121), crowded), Verdict::Idle);
    }
}
