//! Who may do what. Every opening of a version and every step of the road in asks [`decide`].
//!
//! ```text
//! out of scope ─▶ Hidden     no role for it ─▶ Denied(Role)     not from this state ─▶ Denied(State)
//!                            one's own work, where duties are separate ─▶ Denied(OwnWork)     else ─▶ Granted
//! ```
//!
//! `tests/policy.txt` is the whole table: every role, every state, every action.

use serde::{Deserialize, Serialize};

use crate::name::{DatasetName, VersionNumber, VersionRef};
use crate::revision::RevisionState;

mod roles;
mod subject;

pub use roles::{Principal, Role, Scope};
pub use subject::{RevisionFacts, SourceFacts, Subject, VersionState};

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Read a released version.
    Read,
    /// Know of a dataset or a revision on the road in: its state, findings and figures.
    See,
    /// Propose a revision: put a file into staging, say how it is to be read.
    Stage,
    /// Have a staged file read, profiled and screened.
    Screen,
    /// Hand a screened revision in for review.
    Submit,
    /// Recommend a revision as fit for release.
    Recommend,
    /// Give a revision back, with a reason.
    Return,
    /// Consent to the release of exactly what was screened.
    Approve,
    /// Make an approved revision public.
    Release,
    /// Set, move or lift the time at which the clock releases an approved revision.
    Schedule,
    /// Give a revision up.
    Discard,
    /// Stop answering from a released version.
    Withdraw,
    /// Ask that the bytes of a withdrawn version be removed for good.
    AskPurge,
    /// Consent to that, as a second person.
    ConfirmPurge,
    /// Read staging: the rows that would be public.
    Preview,
    /// Say otherwise what is known of a dataset: propose an edit of metadata that are public.
    Describe,
    /// Enter datasets into the inventory, and say how far they are.
    KeepInventory,
    /// Ask for a dataset that is not published.
    AskForData,
    /// Read what the public asks for, decide whether it is shown, and answer it.
    AnswerRequests,
    /// Read the audit log.
    ReadAudit,
    /// Give and take what lets people in: tokens, sign-in links, sessions.
    ManageTokens,
    /// Draft the annual report, write its recommendations, moderate comments on it.
    WriteReport,
    /// Freeze the annual report and open it to public comment.
    PublishReport,
    /// Write the portal's own pages: principles, terms of use, licences, handbook.
    EditPages,
    /// Say where a dataset's data come from, and when they are read again.
    DeclareSource,
    /// Consent for good to what a source brings, as long as it is what it was.
    ApproveSource,
    /// Have a source read now, let it rest, or go on.
    RunSource,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 27] = [
        Self::Read,
        Self::See,
        Self::Stage,
        Self::Screen,
        Self::Submit,
        Self::Recommend,
        Self::Return,
        Self::Approve,
        Self::Release,
        Self::Schedule,
        Self::Discard,
        Self::Withdraw,
        Self::Preview,
        Self::Describe,
        Self::KeepInventory,
        Self::AskForData,
        Self::AnswerRequests,
        Self::ReadAudit,
        Self::ManageTokens,
        Self::AskPurge,
        Self::ConfirmPurge,
        Self::WriteReport,
        Self::PublishReport,
        Self::DeclareSource,
        Self::ApproveSource,
        Self::RunSource,
        Self::EditPages,
    ];

    /// What is done, as a person says it after "may not".
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::See => "see this",
            Self::Stage => "stage",
            Self::Screen => "screen",
            Self::Submit => "submit for review",
            Self::Recommend => "recommend",
            Self::Return => "return",
            Self::Approve => "approve",
            Self::Release => "release",
            Self::Schedule => "schedule",
            Self::Discard => "discard",
            Self::Withdraw => "withdraw",
            Self::AskPurge => "ask for a purge",
            Self::ConfirmPurge => "confirm a purge",
            Self::Preview => "preview",
            Self::Describe => "edit the metadata",
            Self::KeepInventory => "keep the inventory",
            Self::AskForData => "ask for a dataset",
            Self::AnswerRequests => "answer requests of the public",
            Self::ReadAudit => "read the audit log",
            Self::ManageTokens => "manage tokens",
            Self::WriteReport => "write the annual report",
            Self::PublishReport => "publish the annual report",
            Self::EditPages => "edit the portal's pages",
            Self::DeclareSource => "declare a source",
            Self::ApproveSource => "approve a source",
            Self::RunSource => "run a source",
        }
    }

    /// The roles that have it among their duties; none for what anyone may.
    #[must_use]
    pub const fn roles(self) -> &'static [Role] {
        match self {
            Self::Read | Self::AskForData => &[],
            // Figures have values in them: whoever only gives tokens has no business with them.
            Self::See | Self::Preview => &[Role::Contributor, Role::Steward, Role::OpenData, Role::Cio],
            Self::Stage | Self::Screen | Self::Submit | Self::Discard => {
                &[Role::Contributor, Role::Steward, Role::OpenData]
            }
            Self::Recommend => &[Role::Steward],
            Self::Return => &[Role::Steward, Role::Cio],
            Self::Describe | Self::KeepInventory => &[Role::Steward, Role::OpenData],
            Self::AnswerRequests => &[Role::OpenData, Role::Cio],
            Self::Approve | Self::ConfirmPurge | Self::PublishReport => &[Role::Cio],
            Self::Release | Self::Schedule | Self::Withdraw | Self::AskPurge | Self::WriteReport => {
                &[Role::OpenData, Role::Cio]
            }
            Self::ReadAudit => &[Role::Steward, Role::OpenData, Role::Cio, Role::Admin],
            Self::ManageTokens => &[Role::Admin],
            Self::EditPages => &[Role::OpenData, Role::Cio, Role::Admin],
            Self::DeclareSource => &[Role::Steward, Role::OpenData],
            Self::ApproveSource => &[Role::Cio],
            Self::RunSource => &[Role::Steward, Role::OpenData, Role::Cio],
        }
    }
}

/// The steps that a source takes by itself.
const OF_SOURCES: [Action; 7] =
    [Action::See, Action::Stage, Action::Screen, Action::Submit, Action::Approve, Action::Release, Action::Discard];

/// Proof that a principal may do an action on a subject. Made only by [`decide`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    version: Option<VersionRef>,
    action: Action,
    principal: String,
    decided_at_ms: i64,
}

impl Grant {
    /// The action granted.
    #[must_use]
    pub fn action(&self) -> Action {
        self.action
    }

    /// The version that may be read.
    #[must_use]
    pub fn version(&self) -> Option<VersionRef> {
        self.version.clone()
    }

    /// Who was granted it, for the audit log.
    #[must_use]
    pub fn principal(&self) -> &str {
        &self.principal
    }

    /// When, in milliseconds since the epoch.
    #[must_use]
    pub fn decided_at_ms(&self) -> i64 {
        self.decided_at_ms
    }
}

/// The outcome of [`decide`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Go on, with the proof.
    Granted(Grant),
    /// The subject is known to the principal, but not this action.
    Denied(Denial),
    /// To the principal the subject does not exist.
    Hidden,
    /// Was public once; the public reason may be told.
    Withdrawn,
}

/// Why an action is denied to somebody who may know of its subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denial {
    /// It wants one of these roles.
    Role(&'static [Role]),
    /// It concerns the whole portal, and the principal is there for a part of it.
    Scope,
    /// It does not begin where the subject stands.
    State,
    /// Whoever staged or submitted a revision leaves its approval to somebody else; whoever asked for a purge its
    /// confirmation.
    OwnWork,
}

/// Decides whether `principal` may do `action` on `subject` at `now_ms`.
#[must_use]
pub fn decide(principal: &Principal, action: Action, subject: &Subject, now_ms: i64) -> Decision {
    let granted = |version: Option<VersionRef>| {
        let principal = principal.name().to_owned();
        Decision::Granted(Grant { version, action, principal, decided_at_ms: now_ms })
    };
    if let (Action::Read, Subject::Version { dataset, version }) = (action, subject) {
        return match *version {
            Some((version, VersionState::Released)) => granted(Some(VersionRef { dataset: dataset.clone(), version })),
            Some((_, VersionState::Withdrawn | VersionState::Purged)) => Decision::Withdrawn,
            None => Decision::Hidden,
        };
    }
    // A wish is not a duty: staff have it like everybody else.
    if (action, subject) == (Action::AskForData, &Subject::Portal) {
        return granted(None);
    }
    let checked = match principal {
        Principal::Anonymous => return Decision::Hidden,
        // At the server's own command line: holds every role, everywhere, and is one person.
        Principal::Operator { .. } => Ok(()),
        // What a source may do at all, with its own dataset and what it staged; whether this time is asked of the comparison.
        Principal::Source { name, dataset } => match subject.of_dataset() {
            Some(other) if other == dataset && subject.is_staged_by(name) && OF_SOURCES.contains(&action) => Ok(()),
            _ => return Decision::Hidden,
        },
        Principal::Clock => return keep_time(action, subject, now_ms, granted),
        Principal::Staff { name, roles, scope } => match subject.is_in(scope) {
            Some(false) => return Decision::Hidden,
            within => check_role(name, roles, action, subject, within.is_some() || *scope == Scope::All),
        },
    };
    let alone = matches!(principal, Principal::Operator { .. } | Principal::Source { .. });
    match checked.and_then(|()| check_state(action, subject, alone)) {
        Err(Stop::Hidden) => Decision::Hidden,
        Err(Stop::Denied(denial)) => Decision::Denied(denial),
        Ok(())
            if !alone
                && matches!(action, Action::Approve | Action::ConfirmPurge | Action::ApproveSource)
                && subject.is_work_of(principal.name()) =>
        {
            Decision::Denied(Denial::OwnWork)
        }
        Ok(()) => granted(None),
    }
}

/// What the clock may do: release what people have scheduled, once its time has come, and nothing else.
fn keep_time(
    action: Action,
    subject: &Subject,
    now_ms: i64,
    granted: impl Fn(Option<VersionRef>) -> Decision,
) -> Decision {
    let (Action::Release, Subject::Revision(facts)) = (action, subject) else { return Decision::Hidden };
    let is_due = match facts.state {
        RevisionState::Scheduled => facts.release_at_ms.is_some_and(|release_at_ms| release_at_ms <= now_ms),
        RevisionState::Released => true,
        _ => false,
    };
    if is_due { granted(None) } else { Decision::Denied(Denial::State) }
}

/// Why it does not go on.
enum Stop {
    Hidden,
    Denied(Denial),
}

/// Whether one of the roles has the action among its duties. A contributor's reach no further than what the contributor
/// has staged: the work of others does not exist for them.
fn check_role(name: &str, roles: &[Role], action: Action, subject: &Subject, covered: bool) -> Result<(), Stop> {
    let others_work = match subject {
        Subject::Revision(facts) => !facts.staged_by.eq_ignore_ascii_case(name),
        Subject::Version { .. }
        | Subject::Dataset { .. }
        | Subject::Edit { .. }
        | Subject::Purge { .. }
        | Subject::Source(_)
        | Subject::Portal => false,
    };
    if others_work && roles.iter().all(|role| *role == Role::Contributor) {
        return Err(Stop::Hidden);
    }
    let reaches = |role: &Role| action.roles().contains(role) && !(*role == Role::Contributor && others_work);
    if !roles.iter().any(reaches) {
        return Err(Stop::Denied(Denial::Role(action.roles())));
    }
    if covered { Ok(()) } else { Err(Stop::Denied(Denial::Scope)) }
}

/// Whether the action begins where the subject stands, or was done already: every step may be repeated. `alone` is
/// somebody who does all the steps alone and leaves out those that pass a revision on to others.
fn check_state(action: Action, subject: &Subject, alone: bool) -> Result<(), Stop> {
    let begins = match (subject, action) {
        (
            Subject::Portal,
            Action::ManageTokens
            | Action::ReadAudit
            | Action::AnswerRequests
            | Action::WriteReport
            | Action::PublishReport
            | Action::EditPages,
        ) => true,
        (
            Subject::Dataset { .. },
            Action::See
            | Action::Stage
            | Action::Withdraw
            | Action::AskPurge
            | Action::Describe
            | Action::KeepInventory
            | Action::ReadAudit
            | Action::DeclareSource
            | Action::RunSource,
        ) => true,
        (Subject::Edit { .. }, Action::Approve | Action::Return) => true,
        (Subject::Purge { .. }, Action::ConfirmPurge) => true,
        (Subject::Source(_), Action::ApproveSource) => true,
        (Subject::Revision(facts), action) => step_begins(action, facts, alone),
        (
            Subject::Portal
            | Subject::Dataset { .. }
            | Subject::Edit { .. }
            | Subject::Purge { .. }
            | Subject::Source(_)
            | Subject::Version { .. },
            _,
        ) => false,
    };
    if begins { Ok(()) } else { Err(Stop::Denied(Denial::State)) }
}

/// The same for a step of a revision.
fn step_begins(action: Action, facts: &RevisionFacts, alone: bool) -> bool {
    use RevisionState::{
        Approved, Blocked, Discarded, InReview, Released, Returned, Scheduled, Screened, Staged, Superseded,
    };
    match action {
        Action::See | Action::ReadAudit => true,
        Action::Stage => matches!(facts.state, Staged | Screened | Blocked | Returned),
        Action::Screen => {
            matches!(facts.state, Staged | Screened | Blocked | Returned | InReview | Approved | Scheduled)
        }
        Action::Submit => matches!(facts.state, Screened | Returned | InReview),
        Action::Recommend => matches!(facts.state, InReview),
        Action::Return => matches!(facts.state, InReview | Returned),
        Action::Approve => match facts.state {
            Approved | Scheduled => true,
            InReview => facts.recommended || alone,
            Screened => alone,
            Staged | Blocked | Returned | Released | Discarded | Superseded => false,
        },
        // What is scheduled waits for its time, whoever asks: the schedule is lifted first, with a reason.
        Action::Release => matches!(facts.state, Approved | Released),
        Action::Schedule => matches!(facts.state, Approved | Scheduled),
        Action::Discard => !matches!(facts.state, Released | Superseded),
        Action::Preview => matches!(facts.state, Screened | Blocked | InReview | Returned | Approved | Scheduled),
        Action::Read
        | Action::Withdraw
        | Action::AskPurge
        | Action::ConfirmPurge
        | Action::Describe
        | Action::KeepInventory
        | Action::AskForData
        | Action::AnswerRequests
        | Action::ManageTokens
        | Action::WriteReport
        | Action::PublishReport
        | Action::DeclareSource
        | Action::ApproveSource
        | Action::RunSource
        | Action::EditPages => false,
    }
}

#[cfg(test)]
mod tests;
