//! How the gate says no: short texts with the place, without the parser's own vocabulary.

use portico_model::problem::{Position, Problem, ProblemKind};
use sqlparser::parser::ParserError;
use sqlparser::tokenizer::{Location, TokenizerError};

/// The longest piece of a statement that a problem repeats, in characters.
const QUOTED_CHARS_MAX: usize = 80;

/// What the parts of the gate return.
pub(super) type Checked<T = ()> = Result<T, Problem>;

/// SQL that is not valid.
pub(super) fn invalid(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::InvalidSql, detail)
}

/// A statement or clause that is not part of a read-only query here.
pub(super) fn not_allowed(detail: impl Into<String>) -> Problem {
    Problem::new(ProblemKind::StatementNotAllowed, detail)
}

/// A clause that other systems know and Portico does not.
pub(super) fn not_offered(clause: &str) -> Problem {
    not_allowed(format!("{clause} is not supported."))
}

/// A statement over one of the caps on complexity: names the cap, the value seen and the limit.
pub(super) fn too_complex(what: &str, seen: u64, limit: u64) -> Problem {
    let detail = format!("The statement has {seen} {what}; the limit is {limit}. Make it simpler or split it.");
    Problem::new(ProblemKind::QueryTooComplex, detail)
}

/// The answer for a dataset that is unknown or hidden: the same for the same words.
pub(super) fn no_dataset(written: &str, position: Option<Position>) -> Problem {
    let mut problem = Problem::not_found(&format!("dataset {}", quoted(written)));
    problem.position = position;
    problem
}

/// A piece of a statement as a problem repeats it: in quotes, on one line, cut where it is long.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for (index, character) in text.chars().enumerate() {
        if index == QUOTED_CHARS_MAX {
            out.push('…');
            break;
        }
        out.push(if character.is_control() { ' ' } else { character });
    }
    out.push('"');
    out
}

/// The place of a token; the empty location that the parser gives to what it made itself is none.
pub(super) fn place(location: Location) -> Option<Position> {
    (location.line > 0).then_some(Position { line: location.line, column: location.column })
}

/// Adds the place of a token to a problem.
pub(super) fn at(problem: Problem, location: Location) -> Problem {
    match place(location) {
        Some(position) => problem.at(position.line, position.column),
        None => problem,
    }
}

/// A text that does not even fall into tokens.
pub(super) fn from_tokenizer(error: &TokenizerError) -> Problem {
    at(invalid(sentence(&error.message)), error.location)
}

/// A statement that does not parse.
pub(super) fn from_parser(error: &ParserError, nesting_max: u64) -> Problem {
    match error {
        ParserError::RecursionLimitExceeded => {
            let detail = format!("The statement is nested too deeply; the limit is {nesting_max} levels.");
            Problem::new(ProblemKind::QueryTooComplex, detail)
        }
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => {
            let (text, location) = split_location(text);
            at(invalid(sentence(text)), location)
        }
    }
}

/// Takes the parser's trailing ` at Line: 1, Column: 15` apart.
fn split_location(text: &str) -> (&str, Location) {
    let Some((before, after)) = text.rsplit_once(" at Line: ") else { return (text, Location::empty()) };
    let mut numbers = after.split(", Column: ").map(|number| number.trim().parse::<u64>());
    match (numbers.next(), numbers.next()) {
        (Some(Ok(line)), Some(Ok(column))) => (before, Location::new(line, column)),
        _ => (text, Location::empty()),
    }
}

/// Makes a sentence of a parser's message.
fn sentence(message: &str) -> String {
    let text = message.replacen("Expected: ", "Expected ", 1).replace("found: EOF", "found the end of the statement");
    let text = text.replacen(", found: ", ", found ", 1);
    let mut out: String =
        text.trim().chars().take(3 * QUOTED_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if !out.ends_with(['.', '?', '!']) {
        out.push('.');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parser_message_becomes_a_sentence_with_a_place() {
        let error = ParserError::ParserError("Expected: an expression, found: EOF at Line: 2, Column: 10".into());
        let problem = from_parser(&error, 40);
        assert_eq!(problem.detail, "Expected an expression, found the end of the statement.");
        assert_eq!(problem.position, Some(Position { line: 2, column: 10 }));
    }

    #[test]
    fn what_a_problem_repeats_is_short_and_on_one_line() {
        assert_eq!(quoted("a\nb\0c"), "\"a b c\"");
        assert_eq!(quoted(&"x".repeat(1000)).chars().count(), QUOTED_CHARS_MAX + 3);
    }
}
