//! Which files a worker can open, kept by the kernel (Landlock, Linux 5.13 and later).

use std::path::Path;

use landlock::{
    ABI, Access, AccessFs, AccessNet, PathBeneath, PathFd, Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr,
    RulesetStatus, Scope,
};
use portico_model::order::MeasureState;

use super::Reach;
use crate::error::EngineError;

/// What is asked for: an older kernel keeps what it knows of it.
const ASKED: ABI = ABI::V6;

/// What looking up a host's name reads. Those that a system lacks are left out.
const RESOLVER_FILES: &[&str] = &[
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/nsswitch.conf",
    "/etc/resolv.conf",
    "/lib",
    "/lib64",
    "/run/systemd/resolve",
    "/usr/lib",
    "/usr/lib64",
];

/// Leaves this thread, and the threads it will start, the released files to read and `scratch` to write.
///
/// # Errors
/// When a directory that is to stay in reach cannot be opened.
pub(super) fn restrict(scratch: &Path, reach: &Reach) -> Result<MeasureState, EngineError> {
    let status = ruleset(scratch, reach)?.restrict_self()?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => MeasureState::InForce,
        RulesetStatus::PartiallyEnforced => MeasureState::InPart,
        RulesetStatus::NotEnforced => MeasureState::NotOffered,
    })
}

fn ruleset(scratch: &Path, reach: &Reach) -> Result<RulesetCreated, EngineError> {
    let mut rules = Ruleset::default().handle_access(AccessFs::from_all(ASKED))?.scope(Scope::from_all(ASKED))?;
    if matches!(reach, Reach::Directory(_)) {
        // Handled and never allowed: no TCP, in either direction.
        rules = rules.handle_access(AccessNet::from_all(ASKED))?;
    }
    let write = AccessFs::from_all(ASKED) & !(AccessFs::Execute | AccessFs::MakeBlock | AccessFs::MakeChar);
    let rules = rules.create()?.add_rule(PathBeneath::new(open(scratch)?, write))?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    Ok(match reach {
        Reach::Directory(released) => rules.add_rule(PathBeneath::new(open(released)?, read))?,
        Reach::Network => rules.add_rules(landlock::path_beneath_rules(RESOLVER_FILES, read))?,
    })
}

fn open(path: &Path) -> Result<PathFd, EngineError> {
    let setup =
        |error| EngineError::Setup { what: "the directories in its reach", source: std::io::Error::other(error) };
    PathFd::new(path).map_err(setup)
}
