//! A worker process on its Unix socket, for as long as its parent holds its standard input open.

use std::io::Read;
use std::path::Path;

use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;

use crate::error::EngineError;
use crate::limits;
use crate::service::service;
use crate::settings::WorkerSettings;

/// Confines the process, binds the socket and serves until standard input ends.
///
/// The server that started the worker holds the other end of its standard input: when it dies, however it dies, the
/// kernel closes it and the worker goes too. Questions under way are not waited for.
///
/// # Errors
/// [`EngineError`] when a limit cannot be set, the socket cannot be bound or the service fails.
pub async fn serve_unix(socket: &Path, settings: WorkerSettings) -> Result<(), EngineError> {
    limits::confine(&settings)?;
    let service = service(settings)?;
    let listener = UnixListener::bind(socket).map_err(|source| EngineError::Setup { what: "its socket", source })?;
    let parent_gone = parent_gone()?;
    let serving = Server::builder().add_service(service).serve_with_incoming(UnixListenerStream::new(listener));
    tokio::select! {
        served = serving => Ok(served?),
        _ = parent_gone => Ok(()),
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
