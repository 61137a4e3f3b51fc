//! What the service says of itself.
//!
//! ```text
//! GET /api/limits   /openapi.json   /robots.txt   /healthz   /readyz          and at an address of its own: /metrics
//! ```

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use http::{HeaderMap, StatusCode, header};
use metrics_exporter_prometheus::PrometheusHandle;
use portico_model::limits::StatementLimits;
use portico_model::problem::{Problem, ProblemKind};
use serde::Serialize;
use tokio::time::timeout;

use crate::http::cache::CachePolicy;
use crate::http::parameters::Parameters;
use crate::http::reply::{self, Reply};
use crate::problem::Refusal;
use crate::site::Site;

/// The API's description, kept by hand; a test compares it with the routes.
pub(crate) const OPENAPI: &str = include_str!("../../openapi.json");

/// Crawlers may read the pages and the files. Questions cost a worker each, and have no end.
const ROBOTS: &str = "User-agent: *\nDisallow: /sql\nDisallow: /api/\n";

/// How long the catalog may take to answer before the server does not count as ready.
const READY_TIME: Duration = Duration::from_secs(2);

/// How often what histograms were given becomes figures: until then each request leaves some bytes.
const UPKEEP: Duration = Duration::from_secs(5);

/// What `/api/limits` answers: those limits that a client can run into.
#[derive(Serialize)]
struct LimitsDocument<'a> {
    statement: &'a StatementLimits,
    query: QueryDocument,
    request: RequestDocument,
}

#[derive(Serialize)]
struct QueryDocument {
    first_byte_ms: u64,
    cpu_ms: u64,
    total_ms: u64,
    answer_bytes: u64,
    flight_row_bytes: u64,
    worker_memory_bytes: u64,
    spill_bytes: u64,
    running_per_address: u64,
    waiting_per_address: u64,
    queue_wait_ms: u64,
    reader_bytes_per_s: u64,
    work_ms_per_s: u64,
    work_burst_ms: u64,
}

#[derive(Serialize)]
struct RequestDocument {
    uri_bytes: u64,
    requests_per_s: u64,
    requests_burst: u64,
    requests_per_address: u64,
    header_bytes: u64,
    headers: u64,
    body_bytes: u64,
    body_ms: u64,
    connections_per_address: u64,
    page_rows: u64,
}

/// `GET /api/limits`.
pub(crate) async fn limits(
    State(site): State<Arc<Site>>,
    headers: HeaderMap,
    query: Parameters,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let (costs, http) = (&site.limits.query, &site.limits.http);
    let document = LimitsDocument {
        statement: &site.limits.statement,
        query: QueryDocument {
            first_byte_ms: costs.first_byte_ms,
            cpu_ms: costs.cpu_ms,
            total_ms: costs.total_ms,
            answer_bytes: costs.answer_bytes,
            flight_row_bytes: costs.flight_row_bytes,
            worker_memory_bytes: costs.worker_memory_bytes,
            spill_bytes: costs.spill_bytes,
            running_per_address: costs.running_per_address,
            waiting_per_address: costs.waiting_per_address,
            queue_wait_ms: costs.queue_wait_ms,
            reader_bytes_per_s: costs.reader_bytes_per_s,
            work_ms_per_s: costs.work_ms_per_s,
            work_burst_ms: costs.work_burst_ms,
        },
        request: RequestDocument {
            uri_bytes: http.uri_bytes,
            requests_per_s: http.requests_per_s,
            requests_burst: http.requests_burst,
            requests_per_address: http.requests_per_address,
            header_bytes: http.header_bytes,
            headers: http.headers,
            body_bytes: http.body_bytes,
            body_ms: http.body_ms,
            connections_per_address: http.connections_per_address,
            page_rows: http.page_rows,
        },
    };
    reply::json(&headers, &document, CachePolicy::Revalidate)
}

/// `GET /openapi.json`.
pub(crate) async fn openapi(headers: HeaderMap, query: Parameters) -> Result<Response, Refusal> {
    query.finish("")?;
    reply::document(&headers, "application/json", OPENAPI, CachePolicy::Revalidate)
}

/// `GET /robots.txt`.
pub(crate) async fn robots(headers: HeaderMap) -> Result<Response, Refusal> {
    reply::document(&headers, "text/plain; charset=utf-8", ROBOTS, CachePolicy::Revalidate)
}

/// `GET /healthz`: the process is there and answers.
pub(crate) async fn healthz() -> Response {
    text("ok\n")
}

/// `GET /readyz`: the catalog answers and a worker is ready, so that a balancer may send requests.
pub(crate) async fn readyz(State(site): State<Arc<Site>>) -> Result<Response, Refusal> {
    let not_ready = |what: &str| Refusal::from(Problem::new(ProblemKind::Unavailable, what).retry_after(1));
    match timeout(READY_TIME, site.store.catalog.ping()).await {
        Err(_) | Ok(Err(_)) => Err(not_ready("The catalog does not answer.")),
        Ok(Ok(_)) if site.questions.workers().ready() == 0 => Err(not_ready("No worker is ready yet.")),
        Ok(Ok(_)) => Ok(text("ready\n")),
    }
}

/// The router of the metrics' own address: `GET /metrics` in the text format of Prometheus. It is for the operator's
/// network and is never part of the public router.
pub fn metrics_router(handle: PrometheusHandle) -> Router {
    let metrics = || async move {
        handle.run_upkeep();
        text(handle.render())
    };
    Router::new().route("/metrics", get(metrics))
}

/// Makes figures of what histograms were given, every few seconds and for ever. Reading `/metrics` does so too, but
/// nobody may read it, and strangers make the requests that are counted.
pub async fn keep_metrics(handle: PrometheusHandle) {
    keep_metrics_every(UPKEEP, handle).await;
}

async fn keep_metrics_every(time: Duration, handle: PrometheusHandle) {
    let mut ticks = tokio::time::interval(time);
    loop {
        ticks.tick().await;
        handle.run_upkeep();
    }
}

fn text(body: impl Into<bytes::Bytes>) -> Response {
    Reply::new(StatusCode::OK)
        .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
        .cache(CachePolicy::Never)
        .bytes(body)
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn metrics_have_an_address_of_their_own() {
        let recorder = PrometheusBuilder::new().build_recorder();
        metrics::with_local_recorder(&recorder, || metrics::counter!("portico_test_total").increment(2));
        let request = Request::builder().uri("/metrics").body(Body::empty()).unwrap();
        let response = metrics_router(recorder.handle()).oneshot(request).await.unwrap();
        let text = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
        assert!(str::from_utf8(&text).unwrap().contains("portico_test_total 2"));
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn what_is_counted_takes_no_memory_where_nobody_reads_it() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let keeping = tokio::spawn(keep_metrics_every(Duration::from_millis(1), recorder.handle()));
        let histogram = metrics::with_local_recorder(&recorder, || metrics::histogram!("portico_test_seconds"));
        let pages = || std::fs::read_to_string("/proc/self/statm").unwrap().split(' ').nth(1).unwrap().parse::<u64>();
        let before = pages().unwrap();
        for _ in 0..40 {
            (0..50_000).for_each(|_| histogram.record(0.001));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        keeping.abort();
        // Two million samples of 16 bytes, of which no more than a round or two are there at a time.
        let grown = pages().unwrap().saturating_sub(before) * 4_096;
        assert!(grown < 16 << 20, "{grown} bytes");
        assert!(recorder.handle().render().contains("portico_test_seconds_count 2000000"));
    }
}
