//! What a worker process is told when it starts.

use std::path::PathBuf;

/// The settings of one worker process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerSettings {
    /// A directory of its own for spill files; it must exist and be empty of anything worth keeping.
    pub scratch: PathBuf,
    /// Threads that compute, and partitions of a plan. `0` counts as 1.
    pub threads: usize,
    /// Bytes of Parquet footers to keep between questions, keyed by the files' digests.
    pub footer_cache_bytes: u64,
    /// Bytes of memory that the process should use; the kernel lets it map twice as much (`RLIMIT_DATA`), the server
    /// watches what it really uses. `0` sets no limit.
    pub memory_bytes: u64,
    /// Bytes of one spill file (`RLIMIT_FSIZE`); the sum of all is kept by the order's limits. `0` sets no limit.
    pub spill_bytes: u64,
}
