//! Why a file cannot be read at all. Wrong values are findings; this is for files that are no table.

use portico_model::problem::ProblemKind;
use thiserror::Error;

/// A file that intake refuses. The text is for staff: it holds no path, no host and no value of the data.
#[derive(Debug, Error)]
pub enum IntakeError {
    /// There is nothing in the file, or nothing but blank lines.
    #[error("the file is empty: {0}")]
    Empty(&'static str),
    /// The bytes are of a kind that Portico does not read.
    #[error("this is {what}, which is not read; {hint}")]
    Unsupported {
        /// What the file is, with its article.
        what: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
    /// The format is read, but what it holds is not one table.
    #[error("the file does not hold one table: {0}")]
    NotATable(String),
    /// The file is encrypted or protected by a password.
    #[error("{0} is encrypted; upload it without a password or a key")]
    Encrypted(&'static str),
    /// The bytes contradict their format.
    #[error("the {format} file is damaged or incomplete: {reason}")]
    Corrupt {
        /// The format.
        format: &'static str,
        /// What was expected where.
        reason: String,
    },
    /// A quoted field is never closed.
    #[error("the quotation mark that opens a field in data row {row} is never closed; close it, or double it")]
    UnbalancedQuote {
        /// The data row, from 1; 0 is the header.
        row: u64,
    },
    /// Text that is not in the declared or detected encoding.
    #[error("the text is not valid {encoding}; declare the encoding that the file was saved in")]
    Encoding {
        /// The encoding's name.
        encoding: &'static str,
    },
    /// A limit of the operator.
    #[error("{what} than the limit {limit} = {maximum} allows{place}")]
    OverLimit {
        /// What there is too much of, such as `a row has more bytes`.
        what: &'static str,
        /// The limit's key in the `[limits.intake]` table of the configuration.
        limit: &'static str,
        /// Its value.
        maximum: u64,
        /// Where, such as ` (data row 12)`, or nothing.
        place: String,
    },
    /// A read option that cannot be.
    #[error("the option {option} cannot be used: {reason}")]
    Option {
        /// The option's name.
        option: &'static str,
        /// Why not.
        reason: String,
    },
    /// The bytes were not the same when they were read again.
    #[error("the file changed while it was read; upload it again")]
    Changed,
    /// The operating system could not read or write.
    #[error("the file could not be read from or written to disk")]
    Io(#[from] std::io::Error),
}

impl IntakeError {
    /// What kind of problem this is for the person who brought the file.
    #[must_use]
    pub fn kind(&self) -> ProblemKind {
        match self {
            Self::Unsupported { .. } | Self::Encrypted(_) => ProblemKind::UnsupportedMediaType,
            Self::OverLimit { .. } => ProblemKind::TooLarge,
            Self::Io(_) => ProblemKind::Internal,
            Self::Changed => ProblemKind::Conflict,
            Self::Empty(_)
            | Self::NotATable(_)
            | Self::Corrupt { .. }
            | Self::UnbalancedQuote { .. }
            | Self::Encoding { .. }
            | Self::Option { .. } => ProblemKind::InvalidRequest,
        }
    }

    pub(crate) fn corrupt(format: &'static str, reason: impl Into<String>) -> Self {
        Self::Corrupt { format, reason: reason.into() }
    }

    pub(crate) fn over(what: &'static str, limit: &'static str, maximum: u64) -> Self {
        Self::OverLimit { what, limit, maximum, place: String::new() }
    }

    pub(crate) fn over_at(what: &'static str, limit: &'static str, maximum: u64, row: u64) -> Self {
        Self::OverLimit { what, limit, maximum, place: format!(" (data row {row})") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_named() {
        let error = IntakeError::over_at("a row has more bytes", "row_bytes", 10, 3);
        assert_eq!(error.to_string(), "a row has more bytes than the limit row_bytes = 10 allows (data row 3)");
        assert_eq!(error.kind(), ProblemKind::TooLarge);
    }

    #[test]
    fn system_errors_stay_inside() {
        let error = IntakeError::from(std::io::Error::other("/secret/path"));
        assert!(!error.to_string().contains("secret"));
    }
}
