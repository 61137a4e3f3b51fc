//! What the kernel grants a worker process, set once before it hears its first question.

use rlimit::Resource;

use crate::error::EngineError;
use crate::settings::WorkerSettings;

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
/// What is mapped already when the process starts comes on top: stacks, and the GiB that mimalloc maps writable at once
/// unless `MIMALLOC_ARENA_EAGER_COMMIT=0` is in the environment that the process is started with.
///
/// # Errors
/// [`EngineError::Limit`] when the system refuses a limit.
pub(crate) fn confine(settings: &WorkerSettings) -> Result<(), EngineError> {
    set(Resource::CORE, 0, "core dumps")?;
    set(Resource::NOFILE, OPEN_FILES, "open files")?;
    if settings.spill_bytes > 0 {
        set(Resource::FSIZE, settings.spill_bytes, "spill files")?;
    }
    if settings.memory_bytes > 0 {
        let more = settings.memory_bytes.saturating_mul(MAPPED_PER_USED);
        set(Resource::DATA, more.saturating_add(data_bytes().unwrap_or(0)), "memory")?;
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

/// Lowers a limit to `value`, or to what the process was given if that is less.
fn set(resource: Resource, value: u64, what: &'static str) -> Result<(), EngineError> {
    let limit = |source| EngineError::Limit { what, source };
    let (_, hard) = resource.get().map_err(limit)?;
    let value = value.min(hard);
    resource.set(value, value).map_err(limit)
}
