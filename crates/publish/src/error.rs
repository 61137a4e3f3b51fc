//! What can go wrong on the road in.

use portico_model::dataset::Lack;
use portico_model::name::{DatasetName, VersionRef};
use portico_model::policy::{Action, Denial, Role};
use portico_model::problem::{Problem, ProblemKind};
use portico_model::revision::RevisionState;

/// Why a step of the road in did not happen. Texts are for staff: no paths and no values of the data.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// The principal may not do this.
    #[error("{principal} may not {} here: {}", .action.as_str(), why(*.denial))]
    Denied {
        /// Who asked.
        principal: String,
        /// What for.
        action: Action,
        /// Why not.
        denial: Denial,
    },
    /// There is no such dataset in the principal's scope.
    #[error("there is no dataset {0} that you work on; a new one needs a department of yours (--department)")]
    UnknownDataset(DatasetName),
    /// There is no such revision.
    #[error("there is no revision {0}")]
    UnknownRevision(String),
    /// The revision is not in a state that this step starts from.
    #[error("the revision is {}: {}", .state.as_str(), begins(*.action))]
    WrongState {
        /// Where it stands.
        state: RevisionState,
        /// What was asked for.
        action: Action,
    },
    /// A text that a person has to write is missing or too long.
    #[error("{what} has to have 1 to {chars_max} characters")]
    BadText {
        /// Which.
        what: &'static str,
        /// Its limit.
        chars_max: usize,
    },
    /// A time at which nothing can be released.
    #[error("{0}")]
    BadTime(String),
    /// A purge is confirmed by writing out which version it is for.
    #[error("a purge cannot be undone: confirm it by saying {0}")]
    Unconfirmed(VersionRef),
    /// A report is open to comment for thirty days, and not now.
    #[error("the report is not open to comment: that is for thirty days from its publication")]
    CommentClosed,
    /// A token, a link or a holder of one that makes no sense.
    #[error("{0}")]
    BadToken(String),
    /// A source, or a step on one, that makes no sense.
    #[error("{0}")]
    BadSource(String),
    /// The dataset has no source.
    #[error("the dataset {0} has no source")]
    UnknownSource(DatasetName),
    /// The source was declared otherwise after it was looked at.
    #[error("the source was declared otherwise after it was looked at: look at it again")]
    SourceChanged,
    /// The inventory says otherwise by now than when it was looked at.
    #[error("the inventory was changed after it was looked at: look at it again, and say anew what is to change")]
    EntryChanged,
    /// Nothing could be fetched.
    #[error(transparent)]
    Fetch(#[from] crate::fetch::FetchError),
    /// The revision changed after it was looked at.
    #[error("the revision changed after it was looked at: screen it again and look at the findings")]
    DigestChanged,
    /// What is said of the dataset is not what the fields are for.
    #[error("{}", .0.join("; "))]
    BadMetadata(Vec<String>),
    /// An entry or a file of the inventory that is none.
    #[error("{}", .0.join("; "))]
    BadEntry(Vec<String>),
    /// A text that is none for a page.
    #[error("{}", .0.join("; "))]
    BadPage(Vec<String>),
    /// A request of the public that is none, or an answer to one.
    #[error("{}", .0.join("; "))]
    BadRequest(Vec<String>),
    /// There is no such request.
    #[error("there is no request {0}")]
    UnknownRequest(String),
    /// The text of a request holds what must not be shown.
    #[error("the text holds what must not be shown ({}): take it out of title, details or answer first", .0.join(", "))]
    NotShown(Vec<String>),
    /// What a release needs and nobody has said.
    #[error("a release lacks {}", lacks(.0))]
    Incomplete(Vec<Lack>),
    /// A file of the revision is not in staging any more, or damaged there.
    #[error(
        "a file of the revision is lost or damaged in staging: screen it again, and where that does not help stage the file anew"
    )]
    StagedGone,
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
    /// What is to be computed of the file's columns cannot be. Names the key of the dictionary, never a value.
    #[error("{what}: {why}")]
    Transformation {
        /// Which: `keep_rows`, or a field.
        what: String,
        /// What is wrong.
        why: String,
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
    /// A remedy does not fit the table.
    #[error(transparent)]
    Remedy(#[from] portico_intake::remedy::RemedyError),
    /// Classes of rows cannot be counted.
    #[error(transparent)]
    Classes(#[from] portico_intake::classes::ClassError),
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
    /// Whether what was read is not what was written: one row or file, of which the others know nothing.
    pub(crate) const fn is_damage(&self) -> bool {
        matches!(self, Self::Store(portico_store::StoreError::Corrupt { .. }))
    }

    /// The kind of problem that a client of the staff API has.
    #[must_use]
    pub fn kind(&self) -> ProblemKind {
        match self {
            Self::Denied { .. } => ProblemKind::Forbidden,
            Self::UnknownRevision(_) | Self::UnknownDataset(_) | Self::UnknownRequest(_) | Self::UnknownSource(_) => {
                ProblemKind::NotFound
            }
            Self::WrongState { state: RevisionState::Blocked, action: Action::Submit | Action::Approve } => {
                ProblemKind::ReleaseBlocked
            }
            Self::WrongState { .. }
            | Self::DigestChanged
            | Self::StagedGone
            | Self::SourceChanged
            | Self::EntryChanged
            | Self::CommentClosed => ProblemKind::Conflict,
            Self::Fetch(error) => error.kind(),
            Self::NotShown(_) => ProblemKind::ReleaseBlocked,
            Self::Incomplete(_) => ProblemKind::MetadataIncomplete,
            Self::BadText { .. }
            | Self::BadTime(_)
            | Self::BadToken(_)
            | Self::Unconfirmed(_)
            | Self::BadEntry(_)
            | Self::BadRequest(_)
            | Self::BadPage(_)
            | Self::BadSource(_)
            | Self::BadMetadata(_) => ProblemKind::InvalidRequest,
            Self::UnknownSortColumn(_)
            | Self::UnknownColumn { .. }
            | Self::Transformation { .. }
            | Self::NothingLeft => ProblemKind::InvalidRequest,
            Self::Refused(problem) => problem.kind,
            Self::Intake(error) => error.kind(),
            Self::Check(error) => error.kind(),
            Self::Store(error) => error.kind(),
            Self::Remedy(error) => error.kind(),
            Self::Classes(_) | Self::Write(_) => ProblemKind::Internal,
        }
    }
}

/// Why somebody is denied, and who is not.
fn why(denial: Denial) -> String {
    match denial {
        Denial::Role(roles) => {
            let names: Vec<&str> = roles.iter().map(|role: &Role| role.as_str()).collect();
            format!("that wants the role {}", names.join(" or "))
        }
        Denial::Scope => "that concerns the whole portal, and the token is for a part of it".to_owned(),
        Denial::State => "not now".to_owned(),
        Denial::OwnWork => {
            "whoever staged or submitted a revision leaves its approval to somebody else, and whoever asked for a purge its \
             confirmation (publishing.separation_of_duties)"
                .to_owned()
        }
    }
}

/// What is missing, as a list.
fn lacks(lacking: &[Lack]) -> String {
    lacking.iter().map(Lack::text).collect::<Vec<_>>().join("; ")
}

/// From where a step begins.
fn begins(action: Action) -> &'static str {
    match action {
        Action::Stage => "how it is read is changed before it is submitted, or after it is returned",
        Action::Screen => "only what is not decided yet is screened",
        Action::Submit => "what is screened and not blocked is submitted",
        Action::Recommend | Action::Return => "what is in review is recommended or returned",
        Action::Approve => "what is in review and recommended is approved",
        Action::Release => {
            "what is approved is released; what is scheduled, at its time, or once the schedule is lifted"
        }
        Action::Schedule => "what is approved is scheduled",
        Action::Discard => "what is released is withdrawn, not discarded",
        Action::Preview => "there are rows to see once it is screened and until it is decided",
        Action::DeclareSource | Action::ApproveSource | Action::RunSource => "a source belongs to a dataset",
        Action::Read
        | Action::See
        | Action::Withdraw
        | Action::AskPurge
        | Action::ConfirmPurge
        | Action::Describe
        | Action::KeepInventory
        | Action::AskForData
        | Action::AnswerRequests
        | Action::ReadAudit
        | Action::ManageTokens
        | Action::WriteReport
        | Action::PublishReport
        | Action::EditPages => "that is for another subject",
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
