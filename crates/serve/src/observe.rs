//! What is noted of every request: an id, one line in the log when its response has ended, and figures.
//!
//! Nothing in them comes from the request's text: the route is its pattern, a query string or a body is never
//! written. `outcome` tells a response that was sent whole from one that broke and one that its client left.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, header};
use http_body::{Frame, SizeHint};
use tokio::time::Instant;
use tracing::{Instrument, Span};
use ulid::Ulid;

use crate::finish::is_grpc;
use crate::site::Site;

/// The header that carries a request's id.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The calls of Arrow Flight, which are the routes of gRPC.
const FLIGHT_CALLS: [&str; 10] = [
    "Handshake",
    "ListFlights",
    "GetFlightInfo",
    "PollFlightInfo",
    "GetSchema",
    "DoGet",
    "DoPut",
    "DoExchange",
    "DoAction",
    "ListActions",
];

/// A request's id: ours alone, an id that a client sends is not read. An extension of every request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(String);

impl RequestId {
    fn new(now_ms: i64) -> Self {
        let since = Duration::from_millis(u64::try_from(now_ms).unwrap_or(0));
        Self(Ulid::from_datetime(SystemTime::UNIX_EPOCH + since).to_string())
    }

    /// The id as text: 26 characters of a ULID.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The outermost layer: gives the id, and notes the response when its last byte has left.
pub(crate) async fn observe(State(site): State<Arc<Site>>, mut request: Request, next: Next) -> Response {
    let id = RequestId::new(site.now_ms());
    let span = tracing::info_span!("request", id = %id);
    let note = Note { method: method_label(request.method()), route: route_label(&request), started: Instant::now() };
    request.extensions_mut().insert(id.clone());
    metrics::gauge!("portico_http_requests_running").increment(1);
    let mut running = Observation { note, span: span.clone(), status: 0, bytes: 0, outcome: Outcome::Left };
    let mut response = next.run(request).instrument(span).await;
    running.status = response.status().as_u16();
    if let Ok(value) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    let length = response.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    response.map(|body| Body::new(ObservedBody { body, length, observation: running }))
}

fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

/// The pattern of the route: a closed set, so that strangers cannot make up new ones in the figures.
fn route_label(request: &Request) -> String {
    if is_grpc(request) {
        let call = request.uri().path().rsplit('/').next().unwrap_or_default();
        let known = FLIGHT_CALLS.iter().find(|known| **known == call);
        return format!("flight/{}", known.unwrap_or(&"other"));
    }
    request.extensions().get::<MatchedPath>().map_or_else(|| "none".to_owned(), |path| path.as_str().to_owned())
}

#[derive(Clone, Debug)]
struct Note {
    method: &'static str,
    route: String,
    started: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Complete,
    Broken,
    Left,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Broken => "broken",
            Self::Left => "left",
        }
    }
}

/// One request under way; its line is written when this is dropped.
#[derive(Debug)]
struct Observation {
    note: Note,
    span: Span,
    status: u16,
    bytes: u64,
    outcome: Outcome,
}

impl Drop for Observation {
    fn drop(&mut self) {
        let Note { method, route, started } = &self.note;
        let elapsed = started.elapsed();
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        let (status, bytes, outcome) = (self.status, self.bytes, self.outcome.as_str());
        self.span.in_scope(|| {
            tracing::info!(target: "portico::access", method, route, status, bytes, elapsed_ms, outcome, "answered");
        });
        let labels = [("method", (*method).to_owned()), ("route", route.clone()), ("status", status.to_string())];
        metrics::gauge!("portico_http_requests_running").decrement(1);
        metrics::counter!("portico_http_requests_total", &labels).increment(1);
        metrics::counter!("portico_http_response_bytes_total", "route" => route.clone()).increment(bytes);
        metrics::histogram!("portico_http_request_seconds", "route" => route.clone()).record(elapsed.as_secs_f64());
    }
}

/// A response's body that counts itself.
#[derive(Debug)]
struct ObservedBody {
    body: Body,
    /// The announced length, at which a connection stops asking.
    length: Option<u64>,
    observation: Observation,
}

impl http_body::Body for ObservedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let span = self.observation.span.clone();
        let outcome = span.in_scope(|| Pin::new(&mut self.body).poll_frame(cx));
        match &outcome {
            Poll::Pending => {}
            Poll::Ready(None) => self.observation.outcome = Outcome::Complete,
            Poll::Ready(Some(Err(error))) => {
                span.in_scope(|| tracing::warn!(%error, "a response broke off"));
                self.observation.outcome = Outcome::Broken;
            }
            Poll::Ready(Some(Ok(frame))) => {
                let size = frame.data_ref().map_or(0, Bytes::len);
                self.observation.bytes += u64::try_from(size).unwrap_or(0);
                if self.length == Some(self.observation.bytes) || self.body.is_end_stream() {
                    self.observation.outcome = Outcome::Complete;
                }
            }
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

impl Drop for ObservedBody {
    fn drop(&mut self) {
        // Without a body, nobody polls.
        if self.observation.outcome == Outcome::Left && http_body::Body::is_end_stream(&self.body) {
            self.observation.outcome = Outcome::Complete;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_by_time() {
        let (early, late) = (RequestId::new(1_000), RequestId::new(2_000));
        assert!(early.as_str() < late.as_str());
        assert_eq!(early.as_str().len(), 26);
    }

    #[test]
    fn labels_are_a_closed_set() {
        let request = |uri: &str, grpc: bool| {
            let builder = Request::builder().uri(uri);
            let builder =
                if grpc { builder.method("POST").header("content-type", "application/grpc") } else { builder };
            builder.body(Body::empty()).unwrap()
        };
        let path = "/arrow.flight.protocol.FlightService/DoGet";
        assert_eq!(route_label(&request(path, true)), "flight/DoGet");
        assert_eq!(route_label(&request(&format!("{path}secret"), true)), "flight/other");
        assert_eq!(route_label(&request("/x/secret", true)), "none");
        assert_eq!(route_label(&request("/x/secret", false)), "none");
        assert_eq!(method_label(&Method::from_bytes(b"x").unwrap()), "other");
    }
}
