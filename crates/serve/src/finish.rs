//! The last touch on every response: problems are written, and the headers that protect
//! readers and open the data to other sites are set.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use portico_model::problem::{Problem, ProblemKind};

use crate::accept::Peer;
use crate::client::Client;
use crate::http::cache::CachePolicy;
use crate::http::{negotiate, staff};
use crate::observe::RequestId;
use crate::pages;
use crate::problem::{Carried, PROBLEM_CODE_METADATA, ProblemDocument, Refusal, grpc_status, problem_of_status};
use crate::site::Site;

/// Response headers that scripts of other sites may read.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "accept-ranges, content-disposition, content-encoding, content-length, content-location, content-range, etag, \
     last-modified, link, ratelimit, ratelimit-policy, repr-digest, retry-after, x-portico-query-id, x-portico-rows, x-portico-version, \
     x-portico-versions, x-request-id",
);

/// Request headers that scripts of other sites may send.
const ALLOWED: HeaderValue = HeaderValue::from_static(
    "accept, content-type, if-match, if-modified-since, if-none-match, if-range, if-unmodified-since, range",
);

/// What a data file may do when a browser opens it: nothing. Pages replace this with [`pages::POLICY`].
const DATA_POLICY: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; sandbox");

/// What a page of ours may use of its reader's machine: nothing.
const PERMISSIONS: HeaderValue = HeaderValue::from_static(
    "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), microphone=(), \
     midi=(), payment=(), usb=()",
);

/// A day, in seconds: how long a browser may keep the answer to a preflight.
const PREFLIGHT_AGE_S: HeaderValue = HeaderValue::from_static("86400");

/// Where the calls of Flight are.
const FLIGHT_PATH: &str = "/arrow.flight.protocol.FlightService/";

/// Whether a request is a call of Flight. A content type alone is anybody's to send, with any address of ours: caches
/// do not look at it, and would keep what a call answers for everybody who asks for that address.
pub(crate) fn is_grpc<B>(request: &http::Request<B>) -> bool {
    let content_type = request.headers().get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    let rest = content_type.strip_prefix(b"application/grpc");
    request.method() == Method::POST
        && request.uri().path().starts_with(FLIGHT_PATH)
        && rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
}

/// The layer inside of `observe`.
pub(crate) async fn finish(State(site): State<Arc<Site>>, request: Request, next: Next) -> Response {
    let ambiguity = ambiguity(&request);
    let grpc = ambiguity.is_none() && is_grpc(&request);
    let method = request.method().clone();
    let page = negotiate::prefers_page(request.headers());
    let id = request.extensions().get::<RequestId>().map(|id| id.as_str().to_owned()).unwrap_or_default();
    let tls = request.extensions().get::<Client>().is_some_and(|client| client.tls);
    let credential = request.headers().contains_key(header::AUTHORIZATION);
    let path = request.uri().path();
    let staff = staff::is_for_staff(path);
    let mut response = match ambiguity {
        None => next.run(request).await,
        // What follows on the connection may mean something else to whoever passed it on.
        Some(detail) => Refusal::new(ProblemKind::InvalidRequest, detail)
            .with_header(header::CONNECTION, HeaderValue::from_static("close"))
            .into_response(),
    };
    if grpc {
        if let Some(Carried(problem)) = response.extensions_mut().remove::<Carried>() {
            response = grpc_status(&problem).into_http();
        } else if is_undecodable(response.headers()) {
            let problem = Problem::new(ProblemKind::InvalidRequest, "The call's message cannot be read.");
            response = grpc_status(&problem).into_http();
        }
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CachePolicy::Never.header()));
        headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        return response;
    }
    if let Some(problem) = problem_of(&mut response) {
        write(&mut response, &site, &problem, &id, page && method != Method::HEAD);
    }
    if method == Method::HEAD {
        // A length stays, the bytes do not; without one, an empty body would say that there are none.
        let known = response.headers().contains_key(header::CONTENT_LENGTH);
        *response.body_mut() =
            if known { Body::empty() } else { Body::from_stream(futures::stream::empty::<Unread>()) };
    }
    protect(response.headers_mut(), tls);
    if credential || staff {
        keep_private(response.headers_mut());
    }
    if staff {
        keep_at_home(response.headers_mut());
    }
    response
}

/// Whether a call failed before it reached us: a failure of ours has a code of ours. The library calls a message that
/// it cannot decode a fault of the server, and tells what it knows of it.
fn is_undecodable(headers: &HeaderMap) -> bool {
    headers.get(tonic::Status::GRPC_STATUS).is_some_and(|status| status == "13")
        && !headers.contains_key(PROBLEM_CODE_METADATA)
}

/// Why an HTTP/1 request from a connection may mean one thing to a proxy and another to us: RFC 9112 §3.2 wants one
/// `Host`, which HTTP/1.0 may leave out, and §6.1 knows of no request whose last coding is not `chunked`, once. We know
/// no other coding.
fn ambiguity(request: &Request) -> Option<&'static str> {
    let old = request.version() == Version::HTTP_10;
    if request.extensions().get::<Peer>().is_none() || !(old || request.version() == Version::HTTP_11) {
        return None;
    }
    let hosts = request.headers().get_all(header::HOST).iter().count();
    if hosts > 1 || (hosts == 0 && !old) {
        return Some("An HTTP/1.1 request names its host, once.");
    }
    let mut codings = request.headers().get_all(header::TRANSFER_ENCODING).iter();
    let known = codings.next().is_none_or(|coding| coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked"));
    (!known || codings.next().is_some()).then_some("A request has no transfer coding but chunked, once.")
}

/// The answer to `OPTIONS` on a route with these methods, for preflights too.
pub(crate) fn options(methods: &'static str) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let headers = response.headers_mut();
    headers.insert(header::ALLOW, HeaderValue::from_static(methods));
    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(methods));
    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED);
    headers.insert(header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_AGE_S);
    response
}

/// The problem that a response stands for: one that a handler refused with, or a bare status of the framework.
fn problem_of(response: &mut Response) -> Option<Problem> {
    let status = response.status();
    match response.extensions_mut().remove::<Carried>() {
        Some(Carried(problem)) => Some(problem),
        None if status.is_client_error() || status.is_server_error() => Some(problem_of_status(status)),
        None => None,
    }
}

/// Writes a problem into its response: headers such as `Allow` stay, those of a body are replaced.
fn write(response: &mut Response, site: &Site, problem: &Problem, request_id: &str, page: bool) {
    *response.status_mut() = crate::problem::http_status(problem.kind);
    let document = ProblemDocument::new(site, problem, request_id);
    let (content_type, body) = match page.then(|| pages::problem(site, problem, request_id)).flatten() {
        Some(html) => {
            response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, pages::POLICY);
            ("text/html; charset=utf-8", html.into_bytes())
        }
        // The document holds only text and numbers: writing it does not fail.
        None => ("application/problem+json", serde_json::to_vec(&document).unwrap_or_default()),
    };
    let headers = response.headers_mut();
    for stale in [header::ETAG, header::LAST_MODIFIED, header::CONTENT_ENCODING] {
        headers.remove(stale);
    }
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CachePolicy::Never.header()));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    *response.body_mut() = Body::from(body);
}

/// What a body would yield that yields nothing.
type Unread = Result<bytes::Bytes, std::convert::Infallible>;

/// Headers of every response. Public data may be read by any site; none may frame a page, guess a type, or learn
/// from where a reader came. Our own pages have to: without it browsers hide from us that a form was sent by one of them.
fn protect(headers: &mut HeaderMap, tls: bool) {
    let own = |name: &'static str| HeaderName::from_static(name);
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(own("cross-origin-resource-policy"), HeaderValue::from_static("cross-origin"));
    headers.insert(own("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    headers.insert(own("permissions-policy"), PERMISSIONS);
    headers.insert(own("x-permitted-cross-domain-policies"), HeaderValue::from_static("none"));
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(DATA_POLICY);
    if tls {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(header::STRICT_TRANSPORT_SECURITY, year);
    }
}

/// An answer to somebody in particular lies in no cache, whatever it holds.
fn keep_private(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(CachePolicy::Private.header()));
    headers.append(header::VARY, HeaderValue::from_static("authorization"));
}

/// What is for staff is for no other site's scripts, nor may one show it or load it.
fn keep_at_home(headers: &mut HeaderMap) {
    for open in [
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        header::ACCESS_CONTROL_ALLOW_METHODS,
        header::ACCESS_CONTROL_ALLOW_HEADERS,
        header::ACCESS_CONTROL_MAX_AGE,
    ] {
        headers.remove(open);
    }
    let own = HeaderName::from_static("cross-origin-resource-policy");
    headers.insert(own, HeaderValue::from_static("same-origin"));
    headers.append(header::VARY, HeaderValue::from_static("cookie"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_its_host_once_and_one_coding() {
        let check = |version: Version, headers: &[(HeaderName, &str)], connected: bool| {
            let mut request = Request::new(Body::empty());
            *request.version_mut() = version;
            for (name, value) in headers {
                request.headers_mut().append(name, value.parse().unwrap());
            }
            if connected {
                request.extensions_mut().insert(Peer { address: [127, 0, 0, 1].into(), tls: false });
            }
            ambiguity(&request).is_none()
        };
        let host = (header::HOST, "a");
        let coding = |value| (header::TRANSFER_ENCODING, value);
        let (old, now) = (Version::HTTP_10, Version::HTTP_11);
        assert!(check(now, std::slice::from_ref(&host), true) && check(now, &[], false) && check(old, &[], true));
        assert!(!check(now, &[], true) && !check(now, &[host.clone(), host.clone()], true));
        assert!(!check(old, &[host.clone(), host.clone()], true));
        assert!(check(now, &[host.clone(), coding("Chunked")], true));
        for value in ["chunked, chunked", "gzip, chunked", "identity", "", "chunked;q=1"] {
            assert!(!check(now, &[host.clone(), coding(value)], true), "{value}");
        }
        assert!(!check(now, &[host, coding("chunked"), coding("chunked")], true));
    }

    #[test]
    fn a_fault_of_ours_stays_one() {
        let check = |status: tonic::Status| is_undecodable(status.into_http::<Body>().headers());
        assert!(check(tonic::Status::internal("decoding failed")));
        assert!(!check(grpc_status(&Problem::internal())) && !check(tonic::Status::unimplemented("no")));
    }

    #[test]
    fn grpc_is_known_by_method_path_and_content_type() {
        let check = |method: Method, path: &str, content_type: &str| {
            let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, content_type);
            is_grpc(&request.body(Body::empty()).unwrap())
        };
        let call = "/arrow.flight.protocol.FlightService/DoGet";
        for (content_type, expect) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;x=y", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            assert_eq!(check(Method::POST, call, content_type), expect, "{content_type}");
        }
        assert!(!check(Method::GET, call, "application/grpc"));
        for path in ["/", "/sql", "/datasets/parks.csv", "/staff", "/arrow.flight.protocol.FlightService"] {
            assert!(!check(Method::POST, path, "application/grpc"), "{path}");
        }
    }
}
