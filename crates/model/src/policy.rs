//! Who may do what. Every opening of a version and every step of the road in asks [`decide`].

use serde::{Deserialize, Serialize};

use crate::name::{DatasetName, VersionNumber, VersionRef};

/// A role of the staff.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Answers for datasets of a department.
    Steward,
    /// The open data team.
    OpenData,
    /// Approves releases.
    Cio,
    /// Runs the server.
    Admin,
}

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Principal {
    /// Anyone.
    Anonymous,
    /// Somebody who works on the road in.
    Staff {
        /// The name in the audit log.
        name: String,
        /// All roles held; the embedded operator holds all of them.
        roles: Vec<Role>,
    },
}

impl Principal {
    /// The one person of a small town, at the server's own command line: holds all the roles.
    #[must_use]
    pub fn operator(name: &str) -> Self {
        Self::Staff { name: name.to_owned(), roles: vec![Role::Steward, Role::OpenData, Role::Cio, Role::Admin] }
    }

    /// The name in the audit log.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Staff { name, .. } => name,
        }
    }

    fn holds(&self, wanted: Role) -> bool {
        match self {
            Self::Anonymous => false,
            Self::Staff { roles, .. } => roles.contains(&wanted),
        }
    }
}

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Action {
    /// Read a released version.
    Read,
    /// Put a revision into staging, screen it, discard it.
    Stage,
    /// Decide on a finding: declare a column public, drop it.
    Review,
    /// Consent to a release.
    Approve,
    /// Make an approved revision public.
    Release,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 5] = [Self::Read, Self::Stage, Self::Review, Self::Approve, Self::Release];
}

/// What is known of a version when somebody wants to read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionState {
    /// Public.
    Released,
    /// Withdrawn: the record stays, the data are gone.
    Withdrawn,
}

/// The thing that an action is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject {
    /// The dataset.
    pub dataset: DatasetName,
    /// The version and its state, for `Read`.
    pub version: Option<(VersionNumber, VersionState)>,
}

/// Proof that a principal may do an action on a subject. Made only by [`decide`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    dataset: DatasetName,
    version: Option<VersionNumber>,
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

    /// The dataset.
    #[must_use]
    pub fn dataset(&self) -> &DatasetName {
        &self.dataset
    }

    /// The version that may be read.
    #[must_use]
    pub fn version(&self) -> Option<VersionRef> {
        self.version.map(|version| VersionRef { dataset: self.dataset.clone(), version })
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
    Denied,
    /// To the principal the subject does not exist.
    Hidden,
    /// Was public once; the public reason may be told.
    Withdrawn,
}

/// Decides whether `principal` may do `action` on `subject` at `now_ms`.
#[must_use]
pub fn decide(principal: &Principal, action: Action, subject: &Subject, now_ms: i64) -> Decision {
    let granted = || {
        Decision::Granted(Grant {
            dataset: subject.dataset.clone(),
            version: subject.version.map(|(version, _)| version),
            action,
            principal: principal.name().to_owned(),
            decided_at_ms: now_ms,
        })
    };
    match action {
        Action::Read => match subject.version {
            Some((_, VersionState::Released)) => granted(),
            Some((_, VersionState::Withdrawn)) => Decision::Withdrawn,
            None => Decision::Hidden,
        },
        Action::Stage => allowed(principal, &[Role::Steward, Role::OpenData], granted),
        Action::Review => allowed(principal, &[Role::Steward], granted),
        Action::Approve => allowed(principal, &[Role::Cio], granted),
        Action::Release => allowed(principal, &[Role::OpenData, Role::Cio], granted),
    }
}

fn allowed(principal: &Principal, roles: &[Role], granted: impl FnOnce() -> Decision) -> Decision {
    match principal {
        Principal::Anonymous => Decision::Hidden,
        Principal::Staff { .. } if roles.iter().any(|role| principal.holds(*role)) => granted(),
        Principal::Staff { .. } => Decision::Denied,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subject(version: Option<(u32, VersionState)>) -> Subject {
        Subject { dataset: DatasetName::parse("trees").unwrap(), version }
    }

    #[test]
    fn anyone_reads_what_is_released_and_nothing_else() {
        let ask = |action, version| decide(&Principal::Anonymous, action, &subject(version), 7);
        assert!(matches!(ask(Action::Read, Some((1, VersionState::Released))), Decision::Granted(_)));
        assert_eq!(ask(Action::Read, Some((1, VersionState::Withdrawn))), Decision::Withdrawn);
        assert_eq!(ask(Action::Read, None), Decision::Hidden);
        for action in [Action::Stage, Action::Review, Action::Approve, Action::Release] {
            assert_eq!(ask(action, None), Decision::Hidden, "{action:?}");
        }
    }

    #[test]
    fn a_steward_does_not_approve() {
        let steward = Principal::Staff { name: "s".into(), roles: vec![Role::Steward] };
        assert_eq!(decide(&steward, Action::Approve, &subject(None), 0), Decision::Denied);
        let operator = Principal::operator("op");
        for action in [Action::Stage, Action::Review, Action::Approve, Action::Release] {
            let Decision::Granted(grant) = decide(&operator, action, &subject(None), 0) else { panic!("{action:?}") };
            assert_eq!((grant.action(), grant.principal()), (action, "op"));
        }
    }
}
