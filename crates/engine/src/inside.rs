//! A worker inside the caller's process, behind the same protocol: for tests and for trying things out.

use std::convert::Infallible;

use futures::future::{BoxFuture, FutureExt};
use hyper_util::rt::TokioIo;
use tokio::io::DuplexStream;
use tonic::transport::{Channel, Endpoint, Server, Uri};
use tower::service_fn;

use crate::error::EngineError;
use crate::service::service;
use crate::settings::WorkerSettings;

/// Bytes that wait on the way, in each direction.
const PIPE_BYTES: usize = 1024 * 1024;

/// Starts a worker in this process and gives back what connects to it: each call makes a channel over memory to the
/// same worker, with its footers and verdicts.
///
/// The process is not confined ([`WorkerSettings::memory_bytes`] and [`WorkerSettings::spill_bytes`] are ignored) and
/// nothing can be killed: limits hold only as far as the plan keeps them itself.
///
/// # Errors
/// As [`service`](crate::service()).
pub fn in_process(
    settings: WorkerSettings,
) -> Result<impl Fn() -> BoxFuture<'static, Channel> + Clone + Send + Sync + 'static, EngineError> {
    let service = service(settings)?;
    Ok(move || {
        let service = service.clone();
        async move {
            let connect = service_fn(move |_: Uri| {
                let service = service.clone();
                async move {
                    let (near, far) = tokio::io::duplex(PIPE_BYTES);
                    let incoming = futures::stream::iter([Ok::<DuplexStream, Infallible>(far)]);
                    tokio::spawn(Server::builder().add_service(service).serve_with_incoming(incoming));
                    Ok::<_, Infallible>(TokioIo::new(near))
                }
            });
            // The address is never looked up: the connector has only one place to go.
            Endpoint::from_static("http://worker").connect_with_connector_lazy(connect)
        }
        .boxed()
    })
}
