//! What can go wrong here, by what a caller decides on.

use std::error::Error as StdError;

use portico_model::problem::ProblemKind;
use thiserror::Error;

/// The cause of an error: for the log, never for strangers, since it may name paths and hosts.
pub type Cause = Box<dyn StdError + Send + Sync>;

/// Why the store did not do what was asked. The text names no path, host or value; sources do.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The thing asked for does not exist.
    #[error("there is no such {what}")]
    NotFound {
        /// What was looked for, such as `dataset`.
        what: &'static str,
    },
    /// Somebody else was first, or the state has changed: read again, then decide.
    #[error("the state has changed: {what}")]
    Conflict {
        /// What is no longer so.
        what: String,
    },
    /// An argument, a URL or an option that is not what the documentation says.
    #[error("{what}")]
    Invalid {
        /// What is wrong and what would be right.
        what: String,
        /// What a library said of it.
        #[source]
        source: Option<Cause>,
    },
    /// A range that lies outside the file.
    #[error("the range lies outside the file")]
    OutOfRange,
    /// The storage or the database cannot do what publishing needs; trying again does not help.
    #[error("{what}")]
    Unsupported {
        /// What it cannot do.
        what: String,
    },
    /// The storage or the database did not answer or refused; trying again may help, and is safe.
    #[error("{what} is not available")]
    Unavailable {
        /// Which part.
        what: &'static str,
        /// What it said.
        #[source]
        source: Cause,
    },
    /// What was read is not what was written.
    #[error("{what} is damaged")]
    Corrupt {
        /// What is damaged, such as `a released file`.
        what: &'static str,
        /// How that was seen.
        #[source]
        source: Cause,
    },
}

impl StoreError {
    /// What kind of problem a client has.
    #[must_use]
    pub fn kind(&self) -> ProblemKind {
        match self {
            Self::NotFound { .. } => ProblemKind::NotFound,
            Self::Conflict { .. } => ProblemKind::Conflict,
            Self::Invalid { .. } => ProblemKind::InvalidRequest,
            Self::OutOfRange => ProblemKind::RangeNotSatisfiable,
            Self::Unavailable { .. } => ProblemKind::Unavailable,
            Self::Unsupported { .. } | Self::Corrupt { .. } => ProblemKind::Internal,
        }
    }

    pub(crate) fn not_found(what: &'static str) -> Self {
        Self::NotFound { what }
    }

    pub(crate) fn conflict(what: impl Into<String>) -> Self {
        Self::Conflict { what: what.into() }
    }

    pub(crate) fn invalid(what: impl Into<String>) -> Self {
        Self::Invalid { what: what.into(), source: None }
    }

    pub(crate) fn invalid_since(what: impl Into<String>, source: impl Into<Cause>) -> Self {
        Self::Invalid { what: what.into(), source: Some(source.into()) }
    }

    pub(crate) fn corrupt(what: &'static str, source: impl Into<Cause>) -> Self {
        Self::Corrupt { what, source: source.into() }
    }

    pub(crate) fn storage(source: impl Into<Cause>) -> Self {
        Self::Unavailable { what: "the storage", source: source.into() }
    }

    pub(crate) fn local_file(source: std::io::Error) -> Self {
        Self::Unavailable { what: "a local file", source: source.into() }
    }

    /// The meaning of an object store's error for somebody who looked for a `what`.
    pub(crate) fn object(what: &'static str, error: object_store::Error) -> Self {
        use object_store::Error;
        match error {
            Error::NotFound { .. } => Self::not_found(what),
            Error::AlreadyExists { .. } | Error::Precondition { .. } => {
                Self::conflict(format!("the {what} exists already"))
            }
            Error::NotSupported { .. } | Error::NotImplemented { .. } => {
                Self::Unsupported { what: "the storage lacks an operation that publishing needs".to_owned() }
            }
            other => Self::storage(other),
        }
    }
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        match error {
            sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) => Self::corrupt("a catalog row", error),
            sqlx::Error::Database(ref database) if database.is_unique_violation() => {
                Self::conflict("somebody else wrote the same row")
            }
            other => Self::Unavailable { what: "the catalog", source: other.into() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_keeps_paths_to_itself() {
        let source = std::io::Error::other("/secret/place");
        for error in [
            StoreError::local_file(source),
            StoreError::object(
                "file",
                object_store::Error::Generic { store: "S3", source: "http://host/secret/place".into() },
            ),
            StoreError::object(
                "file",
                object_store::Error::AlreadyExists { path: "secret/place".into(), source: "x".into() },
            ),
        ] {
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
