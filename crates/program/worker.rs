//! `portico worker`: answers the server's questions, one at a time, within limits.

use portico_engine::WorkerSettings;

use crate::args::Worker;

/// Stack of each thread: expressions nest, and what walks them recurses. Only what is used is ever backed by memory.
const STACK_BYTES: usize = 64 * 1024 * 1024;

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
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(worker.threads.max(2))
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()?;
    runtime.block_on(portico_engine::serve_unix(&worker.socket, settings))?;
    Ok(())
}
