//! `portico worker`: answers the server's questions, one at a time, within limits.

use portico_engine::{Reach, WorkerSettings};

use crate::args::Worker;

/// Parquet footers kept between questions: some thousands of row groups.
const FOOTER_CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// Serves until the server closes its end of standard input.
pub(crate) fn run(worker: &Worker) -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_new(&worker.log)
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false).init();
    let settings = WorkerSettings {
        scratch: worker.scratch.clone(),
        threads: worker.threads,
        memory_bytes: worker.memory,
        spill_bytes: worker.spill,
        footer_cache_bytes: FOOTER_CACHE_BYTES,
    };
    let reach = worker.released.clone().map_or(Reach::Network, Reach::Directory);
    Ok(portico_engine::serve_unix(&worker.socket, settings, &reach)?)
}
