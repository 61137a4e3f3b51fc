//! Subjects: what an action is about, with all that a decision needs to know of it.

use super::{DatasetName, RevisionState, Scope, VersionNumber};

/// What is known of a version when somebody wants to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionState {
    /// Public.
    Released,
    /// Withdrawn: nobody reads it; the record and the bytes stay.
    Withdrawn,
    /// Withdrawn, and its bytes removed for good: a tombstone says when, why and by whom.
    Purged,
}

/// The thing that an action is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A version that somebody wants to read.
    Version {
        /// The dataset.
        dataset: DatasetName,
        /// The version and its state; none when there is no such version.
        version: Option<(VersionNumber, VersionState)>,
    },
    /// A dataset on the road in.
    Dataset {
        /// Its name.
        dataset: DatasetName,
        /// The department that has it, as the catalog says; empty if none has.
        department: String,
    },
    /// The purge of a version that somebody has asked for.
    Purge {
        /// The dataset.
        dataset: DatasetName,
        /// The department that has it; empty if none has.
        department: String,
        /// Who asked, and therefore may not confirm it; nobody where duties are not separate.
        barred: Option<String>,
    },
    /// A revision.
    Revision(RevisionFacts),
    /// Other metadata of a dataset that is public.
    Edit {
        /// The dataset.
        dataset: DatasetName,
        /// The department that has it, as the catalog says; empty if none has.
        department: String,
        /// Who may not approve it, because they proposed it; nobody where duties are not separate.
        barred: Vec<String>,
    },
    /// A declaration of a dataset's source.
    Source(SourceFacts),
    /// The portal as a whole.
    Portal,
}

/// What a decision needs to know of a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionFacts {
    /// The dataset that it would change.
    pub dataset: DatasetName,
    /// The department that has the dataset, as the catalog says; empty if none has.
    pub department: String,
    /// Where the revision stands.
    pub state: RevisionState,
    /// Whether a steward has recommended it since it was submitted.
    pub recommended: bool,
    /// When the clock is to release it, in milliseconds since the epoch; none unless it is scheduled.
    pub release_at_ms: Option<i64>,
    /// Who staged it.
    pub staged_by: String,
    /// Who may not approve it, because they staged or submitted it; nobody where duties are not separate.
    pub barred: Vec<String>,
}

/// What a decision needs to know of a declaration of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceFacts {
    /// The dataset that it fills.
    pub dataset: DatasetName,
    /// The department that has the dataset, as the catalog says; empty if none has.
    pub department: String,
    /// Who may not approve it, because they declared it; nobody where duties are not separate.
    pub barred: Vec<String>,
}

impl Subject {
    /// A version that somebody wants to read.
    #[must_use]
    pub fn version(dataset: DatasetName, version: Option<(VersionNumber, VersionState)>) -> Self {
        Self::Version { dataset, version }
    }

    /// Whether a scope covers it; `None` for what is no part of any scope.
    pub(super) fn is_in(&self, scope: &Scope) -> Option<bool> {
        match self {
            Self::Version { dataset, .. } => Some(scope.covers(dataset, "")),
            Self::Dataset { dataset, department }
            | Self::Edit { dataset, department, .. }
            | Self::Purge { dataset, department, .. } => Some(scope.covers(dataset, department)),
            Self::Revision(facts) => Some(scope.covers(&facts.dataset, &facts.department)),
            Self::Source(facts) => Some(scope.covers(&facts.dataset, &facts.department)),
            Self::Portal => None,
        }
    }

    /// The dataset that it is about.
    pub(super) fn of_dataset(&self) -> Option<&DatasetName> {
        match self {
            Self::Version { dataset, .. }
            | Self::Dataset { dataset, .. }
            | Self::Edit { dataset, .. }
            | Self::Purge { dataset, .. } => Some(dataset),
            Self::Revision(facts) => Some(&facts.dataset),
            Self::Source(facts) => Some(&facts.dataset),
            Self::Portal => None,
        }
    }

    /// Whether it is a revision that somebody of this name staged, or neither a revision nor an edit.
    pub(super) fn is_staged_by(&self, name: &str) -> bool {
        match self {
            Self::Revision(facts) => facts.staged_by == name,
            Self::Edit { .. } => false,
            Self::Version { .. } | Self::Dataset { .. } | Self::Purge { .. } | Self::Source(_) | Self::Portal => true,
        }
    }

    /// Whether it is the work of somebody who therefore may not approve it.
    pub(super) fn is_work_of(&self, name: &str) -> bool {
        match self {
            Self::Revision(RevisionFacts { barred, .. })
            | Self::Source(SourceFacts { barred, .. })
            | Self::Edit { barred, .. } => barred.iter().any(|barred| barred.eq_ignore_ascii_case(name)),
            Self::Purge { barred, .. } => barred.as_ref().is_some_and(|barred| barred.eq_ignore_ascii_case(name)),
            Self::Version { .. } | Self::Dataset { .. } | Self::Portal => false,
        }
    }
}
