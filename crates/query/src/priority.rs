//! Which processes and threads go first on the processors.

use rustix::process::{Pid, setpriority_pgrp};

/// A process of the usual priority gets nearly thirty times as much.
const LOW: i32 = 15;

/// Lets all other processes go before worker `pid`, which leads a process group of its own, with all its threads: by the
/// number of one process the system would only mean its first thread. `false` where that is not possible.
///
/// On Linux its threads go into the idle class as well: they run where nobody else wants to, and whoever wakes up goes
/// before them at once. By the priority alone they would keep some milliseconds each time, and a tenth or two of the
/// processors of a machine that has enough other work.
///
/// Nobody needs a privilege to lower a priority; raising it again takes one that the server should not have.
pub(crate) fn lower(pid: u32) -> bool {
    let Some(group) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return false };
    if setpriority_pgrp(Some(group), LOW).is_err() {
        return false;
    }
    #[cfg(target_os = "linux")]
    idle(pid);
    true
}

/// Puts all threads of process `pid` into the idle class. A new thread is in the class of the one that started it, so
/// after a look that finds none in another class there will be none.
#[cfg(target_os = "linux")]
fn idle(pid: u32) {
    use uapi::c::{SCHED_IDLE, sched_param};

    /// More looks than this are of no use: a container may forbid it.
    const LOOKS: u32 = 5;
    for _ in 0..LOOKS {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return };
        let numbers = threads.flatten().filter_map(|thread| thread.file_name().to_str()?.parse().ok());
        let mut changed = false;
        for thread in numbers.filter(|thread| uapi::sched_getscheduler(*thread) != Ok(SCHED_IDLE)) {
            changed |= uapi::sched_setscheduler(thread, SCHED_IDLE, &sched_param { sched_priority: 0 }).is_ok();
        }
        if !changed {
            return;
        }
    }
}

/// Lets all other threads go before the calling one, and before those that it starts. Only Linux knows a priority of
/// threads; elsewhere nothing happens. To be called on threads that end with their work: a lowered one stays low.
pub(crate) fn lower_own_thread() {
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::setpriority_process(None, LOW) {
        tracing::debug!(%error, "the priority of a thread stays as it is");
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::os::unix::process::CommandExt;

    use super::*;

    fn nice(pid: u32) -> Option<i32> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(16)?.parse().ok()
    }

    #[test]
    fn a_lowered_process_lets_others_go_first() {
        let mut child = std::process::Command::new("sleep").arg("60").process_group(0).spawn().unwrap();
        let own = nice(std::process::id());
        assert!(lower(child.id()));
        assert_eq!((nice(child.id()), nice(std::process::id())), (Some(LOW), own));
        let class = |pid: u32| uapi::sched_getscheduler(pid.try_into().unwrap()).unwrap();
        assert_eq!((class(child.id()), class(std::process::id())), (uapi::c::SCHED_IDLE, uapi::c::SCHED_OTHER));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(!lower(child.id()));
    }

    #[test]
    fn a_lowered_thread_lowers_what_it_starts_and_nothing_else() {
        let own = || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            stat.rsplit_once(')').unwrap().1.split_whitespace().nth(16).unwrap().parse::<i32>().unwrap()
        };
        let before = own();
        let lowered = std::thread::spawn(move || {
            lower_own_thread();
            (own(), std::thread::spawn(own).join().unwrap())
        });
        assert_eq!((lowered.join().unwrap(), own()), ((LOW, LOW), before));
    }
}
