//! What the kernel grants a worker process, in figures.

use portico_model::order::MeasureState;
use rlimit::Resource;

use crate::error::EngineError;
use crate::settings::WorkerSettings;
use crate::socket;

/// One byte rather than none: a core file needs more, and a kernel that pipes cores to a program, which the limit does
/// not hold for otherwise, takes 1 to mean that there is to be none.
const CORE_BYTES: u64 = 1;

/// Open files: those of a question, its spill files and some connections.
const OPEN_FILES: u64 = 4_096;

/// How many times the worker's memory its private mappings may be. The allocator keeps what was freed mapped, and does
/// not find all of it again for blocks of other sizes: at once the limit, a process that has used and freed nine
/// tenths of it was refused a quarter; at twice, nothing. What is really used is watched by the server, which kills
/// at the limit itself; the kernel's part is to refuse what grows too fast to be watched.
const MAPPED_PER_USED: u64 = 2;

/// Limits this process for good: private memory, spill files, open files, no core dumps.
///
/// Memory is `RLIMIT_DATA`, which counts private writable mappings and so leaves shared files out. A process that
/// asks for more is refused, and Rust aborts: that is one worker's end and nobody else's. Core dumps would hold data.
///
/// What does not belong to a question comes on top: the stacks of the threads that serve the connection, which are yet
/// to start, and what is mapped already, such as the GiB that mimalloc maps writable at once
/// unless `MIMALLOC_ARENA_EAGER_COMMIT=0` is in the environment that the process is started with.
///
/// The number of processes has no limit of this kind: the kernel counts all of the user's, threads included. The
/// filter of system calls lets a worker start threads and no processes.
///
/// # Errors
/// [`EngineError::Limit`] when the system refuses a limit.
pub(super) fn set(settings: &WorkerSettings) -> Result<(), EngineError> {
    lower(Resource::CORE, CORE_BYTES, "core dumps")?;
    lower(Resource::NOFILE, OPEN_FILES, "open files")?;
    if settings.spill_bytes > 0 {
        lower(Resource::FSIZE, settings.spill_bytes, "spill files")?;
    }
    if settings.memory_bytes > 0 {
        let more = settings.memory_bytes.saturating_mul(MAPPED_PER_USED);
        let stacks = u64::try_from(socket::threads(settings) * socket::STACK_BYTES).unwrap_or(u64::MAX);
        let own = stacks.saturating_add(data_bytes().unwrap_or(0));
        lower(Resource::DATA, more.saturating_add(own), "memory")?;
    }
    Ok(())
}

/// Bytes of private writable mappings, as `RLIMIT_DATA` counts them; `None` where the kernel does not tell.
fn data_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmData:"))?;
    let kilobytes = line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?;
    Some(kilobytes * 1024)
}

/// Asks to be the first that the kernel kills when the machine runs out of memory: a worker rather than the server.
pub(super) fn offer_to_the_killer() -> MeasureState {
    match std::fs::write("/proc/self/oom_score_adj", "1000") {
        Ok(()) => MeasureState::InForce,
        Err(_) => MeasureState::NotOffered,
    }
}

/// Lowers a limit to `value`, or to what the process was given if that is less.
fn lower(resource: Resource, value: u64, what: &'static str) -> Result<(), EngineError> {
    let limit = |source| EngineError::Limit { what, source };
    let (_, hard) = resource.get().map_err(limit)?;
    let value = value.min(hard);
    resource.set(value, value).map_err(limit)
}
