//! Regular expressions: literal, short, and small when compiled.
//!
//! The engine compiles one for every distinct pattern and keeps it, at up to 10 MiB each: a pattern that comes from a
//! column is a new one for every row.

use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::ColumnarValue;
use portico_model::problem::ProblemKind;
use regex::{Regex, RegexBuilder};

use super::bounded::refused;
use super::bounds::VALUE_BYTES_MAX;
use super::sizes::Argument;

/// Bytes of a pattern.
pub(crate) const PATTERN_BYTES_MAX: usize = 256;
/// Bytes of a compiled pattern.
const COMPILED_BYTES_MAX: usize = 1024 * 1024;

/// Checks the pattern that a function is called with.
///
/// # Errors
/// A problem when it is not the same for all rows, too long, not valid or too large when compiled.
pub(super) fn check_argument(name: &str, pattern: Option<&ColumnarValue>, flags: Option<&ColumnarValue>) -> Result<()> {
    let literal_only = || {
        let detail = format!("{name} takes its pattern and flags as literals, not from a column.");
        refused(ProblemKind::FunctionNotAllowed, detail)
    };
    let flags = match flags {
        None => None,
        Some(ColumnarValue::Scalar(flags)) => flags.try_as_str().flatten(),
        Some(ColumnarValue::Array(_)) => return Err(literal_only()),
    };
    match pattern {
        None => Ok(()),
        Some(ColumnarValue::Scalar(pattern)) => check_scalar(name, pattern, flags),
        Some(ColumnarValue::Array(_)) => Err(literal_only()),
    }
}

/// Checks a pattern that is known.
///
/// # Errors
/// As [`check_argument`].
pub(super) fn check_scalar(name: &str, pattern: &ScalarValue, flags: Option<&str>) -> Result<()> {
    match pattern.try_as_str().flatten() {
        Some(pattern) => compiled(name, pattern, flags).map(|_| ()),
        None => Ok(()),
    }
}

fn compiled(name: &str, pattern: &str, flags: Option<&str>) -> Result<Regex> {
    if pattern.len() > PATTERN_BYTES_MAX {
        let detail = format!("{name} takes a pattern of at most {PATTERN_BYTES_MAX} bytes.");
        return Err(refused(ProblemKind::QueryFailed, detail));
    }
    let mut builder = RegexBuilder::new(pattern);
    builder.size_limit(COMPILED_BYTES_MAX);
    builder.case_insensitive(flags.is_some_and(|flags| flags.contains('i')));
    builder.build().map_err(|error| {
        let detail = match error {
            regex::Error::CompiledTooBig(_) => {
                format!("The pattern of {name} is too large when compiled. Repeat less within it: {{n}} multiplies.")
            }
            _ => format!("The pattern of {name} is not a valid regular expression."),
        };
        refused(ProblemKind::QueryFailed, detail)
    })
}

/// Groups of a pattern at most, the whole match included.
pub(super) fn groups(pattern: &str) -> u64 {
    u64::try_from(pattern.matches('(').count()).unwrap_or(u64::MAX).saturating_add(1)
}

/// What `regexp_replace` puts in.
pub(super) struct Replacement {
    /// Bytes that each match becomes, references not counted.
    literal: u64,
    /// References to groups: what all matches put in through one is no more than the text itself.
    references: u64,
    /// The pattern, where every match is replaced.
    every: Option<Regex>,
}

impl Replacement {
    /// Reads the arguments after the text. Replacements that differ from row to row count as the longest.
    pub(super) fn of(pattern: &Argument, replacement: Option<&Argument>, flags: Option<&Argument>) -> Self {
        let rows = replacement.map_or(0, |replacement| replacement.array().len());
        let texts = (0..rows).filter_map(|row| replacement.map(|replacement| replacement.text(row)));
        let (mut literal, mut references) = (0, 0);
        for text in texts {
            literal = literal.max(u64::try_from(text.len()).unwrap_or(u64::MAX));
            references = references.max(u64::try_from(text.matches(['$', '\\']).count()).unwrap_or(u64::MAX));
        }
        let flags = flags.map_or("", |flags| flags.text(0));
        let every = flags.contains('g').then(|| compiled("", pattern.text(0), Some(flags)).ok()).flatten();
        Self { literal, references, every }
    }

    /// The bytes of a text with its matches replaced: simply as many as there could be, and counted where that is too
    /// many.
    pub(super) fn bytes(&self, text: &str) -> u64 {
        let whole = u64::try_from(text.len()).unwrap_or(u64::MAX);
        let with = |matches: u64| {
            let referred = self.references.saturating_mul(whole);
            whole.saturating_add(matches.saturating_mul(self.literal)).saturating_add(referred)
        };
        let Some(every) = &self.every else { return with(1) };
        let at_most = with(whole.saturating_add(1));
        if at_most <= VALUE_BYTES_MAX / 16 {
            return at_most;
        }
        with(u64::try_from(every.find_iter(text).count()).unwrap_or(u64::MAX))
    }
}
