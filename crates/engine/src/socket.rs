//! A worker process on its Unix socket, for as long as its parent holds its standard input open.

use std::io::Read;
use std::os::unix::net::UnixListener;
use std::path::Path;

use portico_model::order::Measure;
use tokio::sync::oneshot;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;

use crate::confine::{self, Reach};
use crate::error::EngineError;
use crate::service::confined_service;
use crate::settings::WorkerSettings;

/// Stack of each thread: expressions nest, and what walks them recurses. Only what is used is ever backed by memory.
pub(crate) const STACK_BYTES: usize = 64 * 1024 * 1024;

/// Binds the socket, confines the process and serves until standard input ends. To be called while the process has
/// one thread: those that it starts inherit what confines it.
///
/// The server that started the worker holds the other end of its standard input: when it dies, however it dies, the
/// kernel closes it and the worker goes too. Questions under way are not waited for, spill files are removed.
///
/// # Errors
/// [`EngineError`] when a limit cannot be set, the socket cannot be bound or the service fails.
pub fn serve_unix(socket: &Path, settings: WorkerSettings, reach: &Reach) -> Result<(), EngineError> {
    let setup = |what| move |source| EngineError::Setup { what, source };
    let listener = UnixListener::bind(socket).map_err(setup("its socket"))?;
    listener.set_nonblocking(true).map_err(setup("its socket"))?;
    let measures = confine::confine(&settings, reach)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads(&settings))
        .thread_stack_size(STACK_BYTES)
        .enable_all()
        .build()
        .map_err(setup("its threads"))?;
    let scratch = settings.scratch.clone();
    let served = runtime.block_on(serve(listener, settings, measures));
    // The server may have been killed, and nobody else knows of these files. They may be large, and a plan that still
    // runs may be writing them: it ends with the process.
    empty(&scratch);
    runtime.shutdown_background();
    served
}

/// Threads of the runtime that serves the connection.
pub(crate) fn threads(settings: &WorkerSettings) -> usize {
    settings.threads.max(2)
}

async fn serve(listener: UnixListener, settings: WorkerSettings, measures: Vec<Measure>) -> Result<(), EngineError> {
    let parent_gone = parent_gone()?;
    let listener = tokio::net::UnixListener::from_std(listener)
        .map_err(|source| EngineError::Setup { what: "its socket", source })?;
    let service = confined_service(settings, measures)?;
    let serving = Server::builder().add_service(service).serve_with_incoming(UnixListenerStream::new(listener));
    tokio::select! {
        served = serving => Ok(served?),
        _ = parent_gone => Ok(()),
    }
}

/// Removes what is in a directory, as far as that is possible.
fn empty(directory: &Path) {
    let Ok(entries) = std::fs::read_dir(directory) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        if let Err(error) = removed {
            tracing::warn!(%error, "a spill file could not be removed");
        }
    }
}

/// Completes when standard input ends. A thread reads it: it says nothing for as long as all is well.
fn parent_gone() -> Result<oneshot::Receiver<()>, EngineError> {
    let (sender, receiver) = oneshot::channel();
    let watch = move || {
        let mut byte = [0_u8; 64];
        let mut stdin = std::io::stdin().lock();
        while matches!(stdin.read(&mut byte), Ok(read) if read > 0) {}
        // Nobody listens when the service ended first.
        let _ = sender.send(());
    };
    std::thread::Builder::new()
        .name("parent".to_owned())
        .spawn(watch)
        .map_err(|source| EngineError::Setup { what: "its watch on the parent", source })?;
    Ok(receiver)
}
