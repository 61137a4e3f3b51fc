//! Problems for people: the page of one, and the list of all. `GET /docs/problems`

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use portico_model::problem::{Problem, ProblemKind};

use super::{Frame, answer};
use crate::http::asker::Visit;
use crate::problem::{Refusal, grpc_code, http_status};
use crate::site::Site;

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    frame: Frame,
    status: String,
    title: &'a str,
    detail: &'a str,
    place: String,
    code: &'a str,
    request_id: &'a str,
}

/// The page of one problem; `None` when it cannot be rendered, and JSON has to do.
pub(crate) fn problem(site: &Site, problem: &Problem, request_id: &str) -> Option<String> {
    let place = problem.position.map(|p| format!("In line {}, column {} of the statement.", p.line, p.column));
    let page = ProblemPage {
        frame: Frame::of(site),
        status: http_status(problem.kind).as_str().to_owned(),
        title: problem.kind.title(),
        detail: &problem.detail,
        place: place.unwrap_or_default(),
        code: problem.kind.code(),
        request_id,
    };
    page.render().ok()
}

#[derive(Template)]
#[template(path = "problems.html")]
struct ProblemsPage {
    frame: Frame,
    kinds: Vec<Kind>,
}

struct Kind {
    code: &'static str,
    title: &'static str,
    advice: &'static str,
    status: String,
    grpc: String,
}

/// `GET /docs/problems`.
pub(crate) async fn problems(State(site): State<Arc<Site>>, visit: Visit) -> Result<Response, Refusal> {
    visit.query.finish("")?;
    let kind = |kind: &ProblemKind| Kind {
        code: kind.code(),
        title: kind.title(),
        advice: advice(*kind),
        status: http_status(*kind).to_string(),
        grpc: format!("{:?}", grpc_code(*kind)),
    };
    let page = ProblemsPage { frame: Frame::of(&site), kinds: ProblemKind::ALL.iter().map(kind).collect() };
    answer(&visit.headers, &page)
}

/// What to do about a problem.
const fn advice(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::InvalidRequest => "The detail names the parameter, header or member; correct it and ask again.",
        ProblemKind::InvalidSql => "The position says where in the statement to look.",
        ProblemKind::UnknownColumn => "DESCRIBE lists the columns; names are lower case with underscores.",
        ProblemKind::FunctionNotAllowed => {
            "Only functions of a fixed list are offered; the detail may name one that is."
        }
        ProblemKind::StatementNotAllowed => "One SELECT (or SHOW TABLES, DESCRIBE, EXPLAIN) at a time is served.",
        ProblemKind::InvalidParameter => "Give a value for each $1 or $name of the statement, and no others.",
        ProblemKind::Unauthenticated => "This is for staff: send a token, or sign in.",
        ProblemKind::Forbidden => "Your role does not allow this step.",
        ProblemKind::NotFound => {
            "Check the name against the list of datasets. What is not public is answered the same."
        }
        ProblemKind::MethodNotAllowed => "The header Allow lists the methods of this address.",
        ProblemKind::NotAcceptable => "Ask for a format of the list, by format= or by Accept.",
        ProblemKind::UnsupportedMediaType => "Send the statement as application/sql, text/plain or application/json.",
        ProblemKind::Conflict => "Read the current state and decide again.",
        ProblemKind::PreconditionFailed => "The file has changed since you last had it: begin again without If-Match.",
        ProblemKind::Withdrawn => "The record stays and says why; other versions of the dataset may be there.",
        ProblemKind::TooLarge | ProblemKind::UriTooLong => "The limits are listed in /api/limits.",
        ProblemKind::RangeNotSatisfiable => "Content-Range says how long the file is.",
        ProblemKind::QueryTooComplex => {
            "Split the statement: the detail names the limit it passed, before anything ran."
        }
        ProblemKind::QueryTimeout => {
            "Filter or aggregate more, or download the table. Asking the same again ends the same."
        }
        ProblemKind::QueryMemory => "Group by fewer values, sort less, or select fewer columns.",
        ProblemKind::AnswerTooLarge => "Select less, or choose a format without that limit.",
        ProblemKind::QueryFailed => {
            "A value made the calculation impossible; guard it, for example with TRY_CAST or NULLIF."
        }
        ProblemKind::QueryCancelled => "You, or a program at your address, cancelled it.",
        ProblemKind::ReleaseBlocked => {
            "Decide on each blocking finding: drop the column, or declare it public with a reason."
        }
        ProblemKind::MetadataIncomplete => "The detail lists what is missing and what gives it.",
        ProblemKind::TooManyRequests => "Wait for the seconds in Retry-After, and run fewer queries side by side.",
        ProblemKind::Unavailable => "Wait for the seconds in Retry-After, then try again.",
        ProblemKind::Internal => "Try again; if it happens again, report the request's id to the operator.",
    }
}
