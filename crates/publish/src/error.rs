//! What can go wrong on the road in.

use portico_model::problem::{Problem, ProblemKind};
use portico_model::revision::RevisionState;

/// Why a step of the road in did not happen. Texts are for staff: no paths and no values of the data.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The principal may not do this.
    #[error("{principal} may not {step} here")]
    Denied {
        /// Who asked.
        principal: String,
        /// The step.
        step: &'static str,
    },
    /// There is no such revision.
    #[error("there is no revision {0}")]
    UnknownRevision(String),
    /// The revision is not in a state that this step starts from.
    #[error("the revision is {}; it cannot be {step}", .state.as_str())]
    WrongState {
        /// Where it stands.
        state: RevisionState,
        /// What was asked for.
        step: &'static str,
    },
    /// The revision changed after it was looked at.
    #[error("the revision changed after it was looked at: screen it again and look at the findings")]
    DigestChanged,
    /// A release needs a person who answers for the data.
    #[error("a release needs a steward: give the steward's e-mail address (--steward-email)")]
    NoSteward,
    /// A column of the sort key that the data do not have.
    #[error("the sort key names the column {0}, which the data do not have")]
    UnknownSortColumn(String),
    /// A column was named by hand that the file does not have.
    #[error("the file has no column {name:?}; its columns are {columns}")]
    UnknownColumn {
        /// The name as it was given.
        name: String,
        /// The columns that there are.
        columns: String,
    },
    /// Every column is dropped.
    #[error("every column is dropped: there is nothing to release")]
    NothingLeft,
    /// The reader refused the file, or broke down on it.
    #[error("{}", .0.detail)]
    Refused(Problem),
    /// The file cannot be read.
    #[error(transparent)]
    Intake(#[from] portico_intake::IntakeError),
    /// The dictionary's constraints cannot be checked.
    #[error(transparent)]
    Check(#[from] portico_intake::check::CheckError),
    /// Storage or catalog failed.
    #[error(transparent)]
    Store(#[from] portico_store::StoreError),
    /// Sorting or writing the released files failed.
    #[error("the released files could not be written")]
    Write(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl PublishError {
    /// The kind of problem that a client of the staff API has.
    #[must_use]
    pub fn kind(&self) -> ProblemKind {
        match self {
            Self::Denied { .. } => ProblemKind::Forbidden,
            Self::UnknownRevision(_) => ProblemKind::NotFound,
            Self::WrongState { .. } | Self::DigestChanged => ProblemKind::Conflict,
            Self::NoSteward | Self::UnknownSortColumn(_) | Self::UnknownColumn { .. } | Self::NothingLeft => {
                ProblemKind::InvalidRequest
            }
            Self::Refused(problem) => problem.kind,
            Self::Intake(error) => error.kind(),
            Self::Check(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Write(_) => ProblemKind::Internal,
        }
    }
}

impl From<std::io::Error> for PublishError {
    fn from(error: std::io::Error) -> Self {
        Self::Write(error.into())
    }
}

impl From<arrow::error::ArrowError> for PublishError {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::Write(error.into())
    }
}

impl From<parquet::errors::ParquetError> for PublishError {
    fn from(error: parquet::errors::ParquetError) -> Self {
        Self::Write(error.into())
    }
}
