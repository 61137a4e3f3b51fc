//! How much one address block may ask: so many requests, so many of them at once, and so much work of the workers.
//!
//! Requests and work are buckets that fill with time and are emptied by use. Requests are counted before they are answered, work
//! when an answer has ended, because only then it is known: a block that has used up its work waits before the next
//! statement. Files are not charged as work: they are what the portal is for, and made once for everyone.
//!
//! Memory is bounded: the blocks seen least recently are forgotten, which only ever gives somebody more.

use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use http::request::Parts;
use http::{HeaderName, HeaderValue};
use http_body::{Frame, SizeHint};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use portico_model::limits::Limits;
use portico_model::order::AnswerTail;
use portico_model::problem::{Problem, ProblemKind};
use portico_query::answer::{Answer, AnswerChunk, Question};

use crate::accept::{Slot, Slots, block};
use crate::client::Client;
use crate::problem::Refusal;
use crate::site::{Clock, Site};

/// Blocks that are remembered: some 12 MiB.
const BLOCKS_MAX: u64 = 65_536;

/// Paths that are never refused: whoever watches over the server asks them.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// The fields of the IETF's draft on rate limits, on refusals only: other answers may lie in shared caches.
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// How fast a bucket fills and how much it holds. A rate of 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rate {
    per_s: i64,
    burst: i64,
}

impl Rate {
    fn new(per_s: u64, burst: u64) -> Self {
        // A burst below the rate would make the rate a lie; the bounds keep the sums in range.
        let bounded = |value: u64| i64::try_from(value).unwrap_or(i64::MAX).min(1 << 40);
        Self { per_s: bounded(per_s), burst: bounded(burst).max(bounded(per_s)) }
    }
}

/// What is left, in thousandths, at a time in milliseconds: a rate per second is then one per millisecond.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: i64,
    at_ms: i64,
}

impl Bucket {
    fn full(rate: Rate, now_ms: i64) -> Self {
        Self { left: rate.burst * 1000, at_ms: now_ms }
    }

    /// Fills up for the time that has passed. A clock that goes back fills nothing.
    fn fill(&mut self, rate: Rate, now_ms: i64) {
        let passed = now_ms.saturating_sub(self.at_ms).max(0);
        self.left = self.left.saturating_add(passed.saturating_mul(rate.per_s)).min(rate.burst * 1000);
        self.at_ms = now_ms;
    }

    /// Takes one, or says after how many seconds there is one.
    fn take(&mut self, rate: Rate, now_ms: i64) -> Result<(), u64> {
        if rate.per_s == 0 {
            return Ok(());
        }
        self.fill(rate, now_ms);
        if self.left >= 1000 {
            self.left -= 1000;
            return Ok(());
        }
        Err(seconds(1000 - self.left, rate))
    }

    /// Whether anything is left, or after how many seconds there is.
    fn check(&mut self, rate: Rate, now_ms: i64) -> Result<(), u64> {
        if rate.per_s == 0 {
            return Ok(());
        }
        self.fill(rate, now_ms);
        if self.left > 0 { Ok(()) } else { Err(seconds(1 - self.left, rate)) }
    }

    /// Takes what was used, in debt if need be: no single use empties more than a full bucket, and no debt is deeper.
    fn charge(&mut self, rate: Rate, amount: i64, now_ms: i64) {
        self.fill(rate, now_ms);
        let full = rate.burst * 1000;
        self.left = (self.left - amount.clamp(0, rate.burst) * 1000).max(-full);
    }
}

/// Whole seconds until so many thousandths have come in, at least one.
fn seconds(thousandths: i64, rate: Rate) -> u64 {
    let ms = thousandths.max(0).unsigned_abs().div_ceil(rate.per_s.max(1).unsigned_abs());
    ms.div_ceil(1000).max(1)
}

/// One block's buckets.
#[derive(Debug)]
struct Account {
    requests: Bucket,
    work: Bucket,
}

/// The buckets of every block.
#[derive(Debug)]
pub(crate) struct Rates {
    requests: Rate,
    work: Rate,
    /// Requests under way.
    running: Slots,
    accounts: Cache<IpAddr, Arc<Mutex<Account>>>,
}

impl Rates {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            requests: Rate::new(limits.http.requests_per_s, limits.http.requests_burst),
            work: Rate::new(limits.query.work_ms_per_s, limits.query.work_burst_ms),
            running: Slots::new(limits.http.requests_per_address),
            accounts: Cache::builder().max_capacity(BLOCKS_MAX).eviction_policy(EvictionPolicy::lru()).build(),
        }
    }

    fn with<T>(&self, block: IpAddr, now_ms: i64, act: impl FnOnce(&mut Account) -> T) -> T {
        let fresh = || {
            let account =
                Account { requests: Bucket::full(self.requests, now_ms), work: Bucket::full(self.work, now_ms) };
            Arc::new(Mutex::new(account))
        };
        let account = self.accounts.get_with(block, fresh);
        let mut account = account.lock().unwrap_or_else(PoisonError::into_inner);
        act(&mut account)
    }

    fn take(&self, block: IpAddr, now_ms: i64) -> Result<(), u64> {
        self.with(block, now_ms, |account| account.requests.take(self.requests, now_ms))
    }

    fn refusal(&self, retry_s: u64) -> Response {
        let Rate { per_s, burst } = self.requests;
        let detail = format!(
            "This address has sent more than {burst} requests at once or {per_s} a second. Wait {retry_s} s; many \
             small requests are often one query or one file."
        );
        let problem = Problem::new(ProblemKind::TooManyRequests, detail).retry_after(retry_s);
        let mut response = Refusal::from(problem).into_response();
        let fields = [
            (RATE_LIMIT_POLICY, format!("\"requests\";q={burst};w={}", (burst / per_s.max(1)).max(1))),
            (RATE_LIMIT, format!("\"requests\";r=0;t={retry_s}")),
        ];
        for (name, value) in fields {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().insert(name, value);
            }
        }
        response
    }
}

/// What the layer knows.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) site: Arc<Site>,
    pub(crate) rates: Arc<Rates>,
}

/// The layer that counts requests. What does not come over a connection, as in a test, is nobody's and not counted.
pub(crate) async fn admit(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let address_bytes = request.uri().path_and_query().map_or(0, |text| text.as_str().len());
    let address_bytes_max = gate.site.limits.http.uri_bytes;
    if u64::try_from(address_bytes).unwrap_or(u64::MAX) > address_bytes_max {
        let detail =
            format!("The address is over the limit of {address_bytes_max} bytes. POST /sql takes longer statements.");
        return Refusal::new(ProblemKind::UriTooLong, detail).into_response();
    }
    if let Some(client) = request.extensions().get::<Client>()
        && !PROBES.contains(&request.uri().path())
    {
        let block = block(client.address);
        if let Err(retry_s) = gate.rates.take(block, gate.site.now_ms()) {
            metrics::counter!("portico_http_requests_refused_total").increment(1);
            return gate.rates.refusal(retry_s);
        }
        let Some(slot) = gate.rates.running.take(client.address) else {
            let detail = format!(
                "This address has {} requests under way, which is its share. Wait until one has ended.",
                gate.site.limits.http.requests_per_address
            );
            return Refusal::new(ProblemKind::TooManyRequests, detail).into_response();
        };
        let counted = Counted { rates: Arc::clone(&gate.rates), block, clock: Arc::clone(&gate.site.clock) };
        request.extensions_mut().insert(Meter(Some(counted)));
        return next.run(request).await.map(|body| Body::new(Held { body, _slot: slot }));
    }
    next.run(request).await
}

/// A response's body that keeps its request's place until it has been sent or given up.
#[derive(Debug)]
struct Held {
    body: Body,
    _slot: Slot,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The caller's account of work; none for a request that did not come over a connection.
#[derive(Clone, Default)]
pub(crate) struct Meter(Option<Counted>);

#[derive(Clone)]
struct Counted {
    rates: Arc<Rates>,
    block: IpAddr,
    clock: Clock,
}

impl<S: Sync> FromRequestParts<S> for Meter {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}

impl Meter {
    /// Asks a question on the caller's account.
    ///
    /// # Errors
    /// `TooManyRequests` when the caller's work is used up; those of the question.
    pub(crate) async fn answer(&self, site: &Site, question: Question) -> Result<Answer, Problem> {
        self.check()?;
        let mut work = Work { counted: self.0.clone(), begun_ms: site.now_ms(), told_ms: None };
        match site.questions.answer(question).await {
            Ok(answer) => Ok(Answer { body: charged(answer.body, work), ..answer }),
            Err(problem) => {
                if matches!(problem.kind, ProblemKind::TooManyRequests | ProblemKind::Unavailable) {
                    // It waited and no worker had it.
                    work.told_ms = Some(0);
                }
                Err(problem)
            }
        }
    }

    fn check(&self) -> Result<(), Problem> {
        let Some(Counted { rates, block, clock }) = &self.0 else { return Ok(()) };
        let now_ms = clock();
        rates.with(*block, now_ms, |account| account.work.check(rates.work, now_ms)).map_err(|retry_s| {
            let detail = format!(
                "The queries of this address have used up its share of the workers. Wait {retry_s} s, or download the \
                 dataset and ask at home: files are not counted."
            );
            Problem::new(ProblemKind::TooManyRequests, detail).retry_after(retry_s)
        })
    }
}

/// One question's work; charged when dropped, however it ended.
struct Work {
    counted: Option<Counted>,
    begun_ms: i64,
    /// What the answer's tail says; without one, all the time since it began.
    told_ms: Option<i64>,
}

impl Work {
    fn told(&mut self, tail: &AnswerTail) {
        self.told_ms = Some(i64::try_from(tail.elapsed_ms).unwrap_or(i64::MAX));
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        let Some(Counted { rates, block, clock }) = &self.counted else { return };
        let now_ms = clock();
        let work_ms = self.told_ms.unwrap_or_else(|| now_ms.saturating_sub(self.begun_ms));
        rates.with(*block, now_ms, |account| account.work.charge(rates.work, work_ms, now_ms));
    }
}

type Chunks = BoxStream<'static, Result<AnswerChunk, Problem>>;

fn charged(body: Chunks, mut work: Work) -> Chunks {
    body.map(move |chunk| {
        if let Ok(AnswerChunk::Tail(tail)) = &chunk {
            work.told(tail);
        }
        chunk
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills() {
        let rate = Rate::new(10, 20);
        let mut bucket = Bucket::full(rate, 0);
        let taken = |bucket: &mut Bucket, now_ms| (0..1000).filter(|_| bucket.take(rate, now_ms).is_ok()).count();
        assert_eq!(taken(&mut bucket, 0), 20);
        assert_eq!(bucket.take(rate, 0), Err(1));
        assert_eq!(taken(&mut bucket, 99), 0);
        assert_eq!(taken(&mut bucket, 100), 1);
        assert_eq!(taken(&mut bucket, 1_100), 10);
        assert_eq!(taken(&mut bucket, 3_600_000), 20);
        // The clock was set back.
        assert_eq!(taken(&mut bucket, 0), 0);
        assert_eq!(taken(&mut bucket, 1_000), 10);
    }

    #[test]
    fn work_is_paid_afterwards_and_debts_have_an_end() {
        let rate = Rate::new(1000, 120_000);
        let mut bucket = Bucket::full(rate, 0);
        bucket.charge(rate, 119_999, 0);
        assert_eq!(bucket.check(rate, 0), Ok(()));
        // An hour of reading costs no more than a full bucket.
        bucket.charge(rate, 3_600_000, 0);
        assert_eq!(bucket.check(rate, 0), Err(120));
        for _ in 0..10 {
            bucket.charge(rate, 3_600_000, 0);
        }
        assert_eq!(bucket.check(rate, 0), Err(121));
        assert_eq!(bucket.check(rate, 120_001), Ok(()));
    }

    #[test]
    fn no_rate_is_no_limit() {
        let rate = Rate::new(0, 0);
        let mut bucket = Bucket::full(rate, 0);
        bucket.charge(rate, 1_000, 0);
        assert_eq!((bucket.take(rate, 0), bucket.check(rate, 0)), (Ok(()), Ok(())));
    }

    #[test]
    fn waits_are_whole_seconds() {
        assert_eq!(seconds(1, Rate::new(1000, 1000)), 1);
        assert_eq!(seconds(1000, Rate::new(1, 1)), 1);
        assert_eq!(seconds(2500, Rate::new(1, 1)), 3);
    }
}
