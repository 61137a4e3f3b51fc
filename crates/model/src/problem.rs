//! Problems: errors as a client sees them (RFC 9457), without any wire in them.
//!
//! Each crate's error says its [`ProblemKind`]; only `serve` maps kinds to HTTP and gRPC. A problem's text
//! goes to strangers as it is: it names the input and the fix, never a path, a host, a value of the data
//! or an internal message.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! problem_kinds {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $title:literal;)*) => {
        /// What kind of problem a client has. Closed: every kind is documented in `docs/problems.md`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum ProblemKind {
            $($(#[$doc])* $variant,)*
        }

        impl ProblemKind {
            /// Every kind, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The stable code, the last part of the problem's `type` URL.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The short text that is the same for every problem of the kind.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

problem_kinds! {
    /// A parameter, header or body that is not what the documentation says.
    InvalidRequest = "invalid_request", "The request is not well formed";
    /// SQL that does not parse or plan.
    InvalidSql = "invalid_sql", "The SQL statement is not valid";
    /// A column that the dataset does not have.
    UnknownColumn = "unknown_column", "There is no such column";
    /// A function that Portico does not offer.
    FunctionNotAllowed = "function_not_allowed", "That function is not available";
    /// A statement or clause that is not a read-only query.
    StatementNotAllowed = "statement_not_allowed", "Only read-only queries are served";
    /// Parameters that do not fit the statement.
    InvalidParameter = "invalid_parameter", "A query parameter does not fit";
    /// No credentials where some are needed, or credentials that are not valid.
    Unauthenticated = "unauthenticated", "Sign in first";
    /// The principal may not do this.
    Forbidden = "forbidden", "That is not allowed";
    /// Unknown, or hidden: the same answer.
    NotFound = "not_found", "There is nothing here";
    /// The method does not apply to this URL.
    MethodNotAllowed = "method_not_allowed", "That method does not apply here";
    /// None of the formats asked for is offered.
    NotAcceptable = "not_acceptable", "That format is not offered here";
    /// The request's media type or encoding is not one that the endpoint reads.
    UnsupportedMediaType = "unsupported_media_type", "That kind of body is not read here";
    /// Somebody else was first, or the state has changed.
    Conflict = "conflict", "The state has changed";
    /// The file is not the one that the client's `If-Match` or `If-Unmodified-Since` names.
    PreconditionFailed = "precondition_failed", "The file has changed";
    /// Released once, withdrawn since.
    Withdrawn = "withdrawn", "That version was withdrawn";
    /// A body, URL or statement over its size limit.
    TooLarge = "too_large", "The request is too large";
    /// An address over its size limit.
    UriTooLong = "uri_too_long", "The address is too long";
    /// A range outside the file.
    RangeNotSatisfiable = "range_not_satisfiable", "The range lies outside the file";
    /// A statement over a limit of complexity, refused before it is planned.
    QueryTooComplex = "query_too_complex", "The query is too complex";
    /// The query ran into its time limit.
    QueryTimeout = "query_timeout", "The query took too long";
    /// The query ran into its memory or spill limit.
    QueryMemory = "query_memory", "The query needs too much memory";
    /// The answer is over a size limit of the format or the operator.
    AnswerTooLarge = "answer_too_large", "The answer is too large";
    /// A calculation that has no result: division by zero, overflow, a failed cast.
    QueryFailed = "query_failed", "The query failed on the data";
    /// The caller cancelled the query.
    QueryCancelled = "query_cancelled", "The query was cancelled";
    /// Findings stop the release.
    ReleaseBlocked = "release_blocked", "Findings stop the release";
    /// The metadata of a release lack what it needs.
    MetadataIncomplete = "metadata_incomplete", "The metadata are not complete";
    /// The caller has too many requests under way.
    TooManyRequests = "too_many_requests", "Too many requests from this address";
    /// The server is at its limit, starting or stopping.
    Unavailable = "unavailable", "The server is busy";
    /// A fault of ours.
    Internal = "internal", "Something went wrong on our side";
}

/// A place in a SQL statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
}

/// An error as a client sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The kind, which decides the status.
    pub kind: ProblemKind,
    /// What was wrong and what to do, for the client's eyes.
    pub detail: String,
    /// Where in the statement, for SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// The name in the statement that it is about: tells whoever has the text where to look. Not sent to clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// When to try again, in seconds, for `TooManyRequests` and `Unavailable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
}

impl Problem {
    /// A problem with its public text.
    #[must_use]
    pub fn new(kind: ProblemKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into(), position: None, about: None, retry_after_s: None }
    }

    /// The answer for everything unknown or hidden: always the same for the same words.
    #[must_use]
    pub fn not_found(what: &str) -> Self {
        Self::new(ProblemKind::NotFound, format!("There is no {what}."))
    }

    /// A fault of ours: the details are in the log under the request id, not here.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            ProblemKind::Internal,
            "The request could not be completed. Try again; if it happens again, report the instance id.",
        )
    }

    /// Adds the place in the statement.
    #[must_use]
    pub fn at(mut self, line: u64, column: u64) -> Self {
        self.position = Some(Position { line, column });
        self
    }

    /// Adds the name that it is about.
    #[must_use]
    pub fn about(mut self, name: &str) -> Self {
        self.about = Some(name.to_owned());
        self
    }

    /// Adds when to try again.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind.code(), self.detail)
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_are_the_serde_names() {
        let mut seen = std::collections::HashSet::new();
        for kind in ProblemKind::ALL {
            assert!(seen.insert(kind.code()), "{kind:?}");
            assert_eq!(serde_json::to_string(kind).unwrap(), format!("\"{}\"", kind.code()));
        }
    }
}
