//! Problems on the wire: the one place that maps a [`ProblemKind`] to HTTP and to gRPC.
//!
//! A handler fails with a [`Refusal`]. It becomes a response without a body that carries the problem as an
//! extension; `finish` then writes it as JSON or as a page, with the request's id, so that every problem of every
//! route has one shape.

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use portico_model::problem::{Problem, ProblemKind};
use portico_publish::PublishError;
use portico_store::StoreError;
use serde::Serialize;
use tonic::metadata::MetadataValue;

use crate::site::Site;

/// The path of the page that explains every problem; a problem's `type` is a fragment of it.
pub const PROBLEMS_PATH: &str = "/docs/problems";

/// The gRPC metadata key of a problem's stable code.
pub const PROBLEM_CODE_METADATA: &str = "x-portico-problem";

/// How long a client that was refused for load waits when the problem does not say, in seconds.
const RETRY_AFTER_DEFAULT_S: u64 = 5;

/// Characters of a problem's text in a gRPC status.
const GRPC_DETAIL_CHARS: usize = 1_000;

/// The HTTP status of a kind.
#[must_use]
pub const fn http_status(kind: ProblemKind) -> StatusCode {
    match kind {
        ProblemKind::InvalidRequest
        | ProblemKind::InvalidSql
        | ProblemKind::UnknownColumn
        | ProblemKind::FunctionNotAllowed
        | ProblemKind::StatementNotAllowed
        | ProblemKind::InvalidParameter => StatusCode::BAD_REQUEST,
        ProblemKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        ProblemKind::Forbidden => StatusCode::FORBIDDEN,
        ProblemKind::NotFound => StatusCode::NOT_FOUND,
        ProblemKind::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
        ProblemKind::NotAcceptable => StatusCode::NOT_ACCEPTABLE,
        ProblemKind::Conflict | ProblemKind::QueryCancelled => StatusCode::CONFLICT,
        ProblemKind::Withdrawn => StatusCode::GONE,
        ProblemKind::PreconditionFailed => StatusCode::PRECONDITION_FAILED,
        ProblemKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        ProblemKind::UriTooLong => StatusCode::URI_TOO_LONG,
        ProblemKind::UnsupportedMediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        ProblemKind::RangeNotSatisfiable => StatusCode::RANGE_NOT_SATISFIABLE,
        // 422 and not 5xx or 408: a proxy that retries a bomb doubles it.
        ProblemKind::QueryTooComplex
        | ProblemKind::QueryTimeout
        | ProblemKind::QueryMemory
        | ProblemKind::AnswerTooLarge
        | ProblemKind::QueryFailed
        | ProblemKind::ReleaseBlocked
        | ProblemKind::MetadataIncomplete => StatusCode::UNPROCESSABLE_ENTITY,
        ProblemKind::TooManyRequests => StatusCode::TOO_MANY_REQUESTS,
        ProblemKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ProblemKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// The gRPC code of a kind. `Unavailable` stands only for load, because clients retry it by themselves.
#[must_use]
pub const fn grpc_code(kind: ProblemKind) -> tonic::Code {
    match kind {
        ProblemKind::InvalidRequest
        | ProblemKind::InvalidSql
        | ProblemKind::UnknownColumn
        | ProblemKind::FunctionNotAllowed
        | ProblemKind::StatementNotAllowed
        | ProblemKind::InvalidParameter
        | ProblemKind::NotAcceptable
        | ProblemKind::UnsupportedMediaType
        | ProblemKind::QueryTooComplex
        | ProblemKind::QueryFailed => tonic::Code::InvalidArgument,
        ProblemKind::Unauthenticated => tonic::Code::Unauthenticated,
        ProblemKind::Forbidden => tonic::Code::PermissionDenied,
        ProblemKind::NotFound | ProblemKind::Withdrawn => tonic::Code::NotFound,
        ProblemKind::MethodNotAllowed => tonic::Code::Unimplemented,
        ProblemKind::Conflict => tonic::Code::Aborted,
        ProblemKind::PreconditionFailed | ProblemKind::ReleaseBlocked | ProblemKind::MetadataIncomplete => {
            tonic::Code::FailedPrecondition
        }
        ProblemKind::RangeNotSatisfiable => tonic::Code::OutOfRange,
        ProblemKind::TooLarge
        | ProblemKind::UriTooLong
        | ProblemKind::QueryMemory
        | ProblemKind::AnswerTooLarge
        | ProblemKind::TooManyRequests => tonic::Code::ResourceExhausted,
        ProblemKind::QueryTimeout => tonic::Code::DeadlineExceeded,
        ProblemKind::QueryCancelled => tonic::Code::Cancelled,
        ProblemKind::Unavailable => tonic::Code::Unavailable,
        ProblemKind::Internal => tonic::Code::Internal,
    }
}

/// When to try again, in seconds, for the kinds that have a `Retry-After`.
#[must_use]
pub(crate) fn retry_after_s(problem: &Problem) -> Option<u64> {
    let told = matches!(problem.kind, ProblemKind::TooManyRequests | ProblemKind::Unavailable);
    told.then(|| problem.retry_after_s.unwrap_or(RETRY_AFTER_DEFAULT_S))
}

/// A problem as a gRPC status: `code: detail (line, column)`, and the code alone in the metadata.
#[must_use]
pub fn grpc_status(problem: &Problem) -> tonic::Status {
    let code = problem.kind.code();
    let place = problem.position.map_or_else(String::new, |p| format!(" (line {}, column {})", p.line, p.column));
    // It travels as a header, whose size is limited.
    let detail = match problem.detail.char_indices().nth(GRPC_DETAIL_CHARS) {
        Some((end, _)) => format!("{}…", problem.detail.get(..end).unwrap_or_default()),
        None => problem.detail.clone(),
    };
    let mut status = tonic::Status::new(grpc_code(problem.kind), format!("{code}: {detail}{place}"));
    status.metadata_mut().insert(PROBLEM_CODE_METADATA, MetadataValue::from_static(code));
    if let Some(seconds) = retry_after_s(problem) {
        status.metadata_mut().insert("retry-after", MetadataValue::from(seconds));
    }
    status
}

/// A problem as RFC 9457 writes it, with our own members `code` and `position`.
#[derive(Debug, Serialize)]
pub(crate) struct ProblemDocument<'a> {
    #[serde(rename = "type")]
    type_url: String,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    code: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<portico_model::problem::Position>,
}

impl<'a> ProblemDocument<'a> {
    pub(crate) fn new(site: &Site, problem: &'a Problem, request_id: &'a str) -> Self {
        let code = problem.kind.code();
        Self {
            type_url: site.url(&format!("{PROBLEMS_PATH}#{code}")),
            title: problem.kind.title(),
            status: http_status(problem.kind).as_u16(),
            detail: &problem.detail,
            instance: request_id,
            code,
            position: problem.position,
        }
    }
}

/// Why a request is not answered: what handlers fail with.
#[derive(Debug)]
pub(crate) struct Refusal {
    problem: Problem,
    /// For `405`: the methods that apply; for `416`: the length of the file.
    header: Option<Box<(http::HeaderName, HeaderValue)>>,
}

impl Refusal {
    pub(crate) fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Problem::new(kind, detail).into()
    }

    /// Adds the one header that this kind of problem has to have.
    pub(crate) fn with_header(mut self, name: http::HeaderName, value: HeaderValue) -> Self {
        self.header = Some(Box::new((name, value)));
        self
    }

    /// What is wrong, for a wire that has no headers of its own.
    pub(crate) fn into_problem(self) -> Problem {
        self.problem
    }

    #[cfg(test)]
    pub(crate) fn kind(&self) -> ProblemKind {
        self.problem.kind
    }

    #[cfg(test)]
    pub(crate) fn detail(&self) -> &str {
        &self.problem.detail
    }
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self { problem, header: None }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        problem_of_store(&error).into()
    }
}

/// A storage or catalog error as a client may see it.
pub(crate) fn problem_of_store(error: &StoreError) -> Problem {
    let kind = error.kind();
    if http_status(kind).is_server_error() {
        // The text of a storage error names paths and hosts: it is for the log, under the request's id.
        let error: &dyn std::error::Error = error;
        tracing::error!(error, "the store failed");
    }
    match kind {
        ProblemKind::Internal => Problem::internal(),
        ProblemKind::Unavailable => Problem::new(kind, "The catalog or the storage cannot be reached right now."),
        ProblemKind::NotFound => Problem::not_found("such thing"),
        other => Problem::new(other, other.title()),
    }
}

/// An error of the road in as a member of staff may see it.
pub(crate) fn problem_of_publish(error: &PublishError) -> Problem {
    match error {
        PublishError::Store(error) => return problem_of_store(error),
        // One answer for what is not there and what is out of the token's scope.
        // Staff have not read what has come: that is load, and no fault.
        PublishError::Refused(problem) if problem.kind == ProblemKind::Unavailable => return problem.clone(),
        PublishError::UnknownRevision(_) => return Problem::not_found("revision of that id that you work on"),
        _ => {}
    }
    let kind = error.kind();
    if http_status(kind).is_server_error() {
        let error: &dyn std::error::Error = error;
        tracing::error!(error, "a step of the road in failed");
        return Problem::internal();
    }
    Problem::new(kind, sentence(&error.to_string()))
}

/// A text as a sentence.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    let end = if text.ends_with('.') { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = http_status(self.problem.kind).into_response();
        if let Some(seconds) = retry_after_s(&self.problem) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.problem.kind == ProblemKind::Unauthenticated {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(header) = self.header {
            let (name, value) = *header;
            response.headers_mut().insert(name, value);
        }
        response.extensions_mut().insert(Carried(self.problem));
        response
    }
}

/// A problem on its way to where it is written.
#[derive(Clone, Debug)]
pub(crate) struct Carried(pub(crate) Problem);

/// The problem of a bare error status that the framework answered with: a path or method that no route has.
pub(crate) fn problem_of_status(status: StatusCode) -> Problem {
    match status {
        StatusCode::NOT_FOUND => Problem::not_found("page or file at this address"),
        StatusCode::METHOD_NOT_ALLOWED => Problem::new(
            ProblemKind::MethodNotAllowed,
            "This address does not have that method; the header Allow names those it has.",
        ),
        StatusCode::PAYLOAD_TOO_LARGE => {
            Problem::new(ProblemKind::TooLarge, "The request's body is over the limit; see /api/limits.")
        }
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            Problem::new(ProblemKind::UnsupportedMediaType, "That kind of body is not read here.")
        }
        other if other.is_client_error() => {
            Problem::new(ProblemKind::InvalidRequest, "The request's address, headers or body could not be read.")
        }
        _ => Problem::internal(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grpc_status_fits_into_headers() {
        let status = grpc_status(&Problem::new(ProblemKind::InvalidSql, "\u{1F600}".repeat(100_000)));
        assert!(status.message().chars().count() < GRPC_DETAIL_CHARS + 100);
        let status = grpc_status(&Problem::new(ProblemKind::InvalidSql, "A short text."));
        assert_eq!(status.message(), "invalid_sql: A short text.");
    }

    #[test]
    fn every_kind_has_an_error_status_on_both_wires() {
        for kind in ProblemKind::ALL {
            let status = http_status(*kind);
            assert!(status.is_client_error() || status.is_server_error(), "{kind:?}");
            assert_ne!(grpc_code(*kind), tonic::Code::Ok, "{kind:?}");
            assert_ne!(grpc_code(*kind), tonic::Code::Unknown, "{kind:?}");
        }
    }

    #[test]
    fn only_faults_and_load_are_5xx() {
        let ours: Vec<_> = ProblemKind::ALL.iter().filter(|k| http_status(**k).is_server_error()).collect();
        assert_eq!(ours, [&ProblemKind::Unavailable, &ProblemKind::Internal]);
    }

    #[test]
    fn load_always_says_when_to_come_back() {
        let told = Refusal::from(Problem::new(ProblemKind::TooManyRequests, "x").retry_after(7)).into_response();
        assert_eq!(told.headers()[header::RETRY_AFTER], "7");
        let untold = Refusal::from(Problem::new(ProblemKind::Unavailable, "x")).into_response();
        assert_eq!(untold.headers()[header::RETRY_AFTER], "5");
        let other = Refusal::from(Problem::new(ProblemKind::QueryTimeout, "x")).into_response();
        assert!(!other.headers().contains_key(header::RETRY_AFTER));
    }

    #[test]
    fn a_status_carries_the_code_and_the_place() {
        let status = grpc_status(&Problem::new(ProblemKind::UnknownColumn, "There is no column x.").at(2, 5));
        assert_eq!(status.message(), "unknown_column: There is no column x. (line 2, column 5)");
        assert_eq!(status.metadata().get(PROBLEM_CODE_METADATA).unwrap(), "unknown_column");
        assert_eq!(status.code(), tonic::Code::InvalidArgument);
    }
}
