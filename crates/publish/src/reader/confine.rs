//! What the kernel grants a reader, set by itself before it opens the file.

use portico_model::limits::IntakeLimits;
use rlimit::Resource;

/// Open files: the runs of an external sort are read at once.
const OPEN_FILES: u64 = 4_096;

/// How many times the reader's memory its private mappings may be: the allocator keeps what was freed mapped. What is
/// really used is watched from outside; the kernel's part is to refuse what grows too fast to be watched.
const MAPPED_PER_USED: u64 = 2;

/// Limits this process for good: private memory (`RLIMIT_DATA`), processor time, the size of one file, open files, no
/// core dumps, which would hold data.
pub(super) fn confine(limits: &IntakeLimits, cpu_ms: u64) -> std::io::Result<()> {
    set(Resource::CORE, 0)?;
    hide();
    set(Resource::NOFILE, OPEN_FILES)?;
    set(Resource::FSIZE, limits.unpacked_bytes)?;
    let mapped = limits.reader_memory_bytes.saturating_mul(MAPPED_PER_USED);
    set(Resource::DATA, mapped.saturating_add(data_bytes().unwrap_or(0)))?;
    // At the first the kernel sends SIGXCPU, which tells what happened; at the second it kills.
    let seconds = cpu_ms.div_ceil(1_000).max(1);
    let (_, hard) = Resource::CPU.get()?;
    Resource::CPU.set(seconds.min(hard), seconds.saturating_add(1).min(hard))
}

/// Keeps other processes of the same user from reading this one's memory (`PR_SET_DUMPABLE`). Not where `/proc` hides
/// processes that one may not trace, in whatever way: the publisher would lose sight of what the reader uses.
fn hide() {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    if mounts.lines().any(|line| line.contains(" - proc ") && line.contains("hidepid=")) {
        return;
    }
    #[cfg(target_os = "linux")]
    // One measure more; the others hold without it.
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}

/// Bytes of private writable mappings, as `RLIMIT_DATA` counts them; `None` where the kernel does not tell.
fn data_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    super::watcher::field(&status, "VmData")
}

/// Lowers a limit to `value`, or to what the process was given if that is less.
fn set(resource: Resource, value: u64) -> std::io::Result<()> {
    let (_, hard) = resource.get()?;
    let value = value.min(hard);
    resource.set(value, value)
}
