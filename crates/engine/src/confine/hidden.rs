//! Whether other processes of the same user may look into this one.

use portico_model::order::MeasureState;
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Keeps other processes of the same user from reading this one's memory and from taking hold of it: a process that
/// must not be dumped must not be traced either (`PR_SET_DUMPABLE`).
///
/// Not where `/proc` hides processes that one may not trace (`hidepid`): the server would lose sight of what the worker
/// uses, and that it must see. To be called after all that the process writes below `/proc/self`, which is no longer its
/// own from here on.
pub(super) fn hide() -> MeasureState {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    if hides_processes(&mounts) {
        return MeasureState::NotOffered;
    }
    match set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        Ok(()) => MeasureState::InForce,
        Err(_) => MeasureState::NotOffered,
    }
}

/// Whether a file system of processes in this list is mounted with `hidepid` above 0, which has had names since Linux 5.8.
fn hides_processes(mounts: &str) -> bool {
    let of_processes = mounts.lines().filter_map(|line| line.split_once(" - proc ").map(|(_, rest)| rest));
    of_processes
        .flat_map(|rest| rest.split([' ', ',']))
        .any(|option| option.strip_prefix("hidepid=").is_some_and(|value| !matches!(value, "0" | "off")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_are_hidden_by_an_option_of_their_file_system() {
        let line = |options: &str| {
            format!("22 1 0:20 / / rw - ext4 /dev/vda rw\n23 22 0:21 / /proc rw - proc proc {options}\n")
        };
        for options in ["rw,hidepid=2", "rw,hidepid=invisible,gid=5", "rw,gid=5,hidepid=1"] {
            assert!(hides_processes(&line(options)), "{options}");
        }
        for options in ["rw", "rw,hidepid=0", "rw,hidepid=off"] {
            assert!(!hides_processes(&line(options)), "{options}");
        }
        assert!(!hides_processes("24 22 0:22 / /x rw - tmpfs hidepid=2 rw,hidepid=2"));
    }
}
