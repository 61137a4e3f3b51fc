//! The accept loop: connections in, with a limit on everything a stranger can hold on to.
//!
//! ```text
//! listener ─▶ slots (in all, per address) ─▶ TLS ─▶ drain (slowest reader) ─▶ HTTP/1.1 or HTTP/2 ─▶ router
//!                                                     └── activity: first request, idle, stalled streams ──┘
//! ```
//!
//! An HTTP/1.1 connection that is kept alive waits for its next request as long as for any headers (`header_ms`),
//! an HTTP/2 connection for `idle_ms`.
//!
//! `axum::serve` has none of these limits, which is why the loop is our own. It does not route, log requests or
//! read configuration.

mod activity;
mod drain;
mod slots;
mod tls;

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::Request;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use portico_model::limits::HttpLimits;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use activity::{Activity, TrackedBody, Verdict};
use drain::Drain;
use slots::{Slot, Slots};

pub use slots::address_block;
pub use tls::{TlsError, tls_acceptor};

/// Who is at the other end, as an extension of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address of the connection. Headers such as `X-Forwarded-For` have no say in it.
    pub address: IpAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

/// Streams that a client may open and cancel before they are accepted (rapid reset), then the connection ends.
const PENDING_RESETS_MAX: usize = 20;

/// Streams that we had to reset because of the client's errors, then the connection ends.
const ERROR_RESETS_MAX: usize = 64;

/// Bytes buffered for one HTTP/2 stream that its client does not read.
const STREAM_BUFFER_BYTES: usize = 256 * 1024;

/// HTTP/2 pings, so that a client that vanished without a word is noticed.
const PING: Duration = Duration::from_secs(30);

/// A pause after the system refused a connection for lack of file descriptors: they come back as others close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The smallest read buffer that hyper takes, in bytes.
const BUFFER_BYTES_MIN: usize = 8 * 1024;

/// What all connections share.
struct Door {
    router: Router,
    builder: auto::Builder<TokioExecutor>,
    limits: HttpLimits,
    tls: Option<TlsAcceptor>,
}

/// Serves `router` on `listener` until `shutdown` resolves; then stops accepting, lets requests under way finish
/// for the grace time of `limits`, and cuts the rest.
///
/// # Errors
/// When the listener itself cannot be used; trouble with one connection ends that connection only.
pub async fn run(
    listener: TcpListener,
    router: Router,
    limits: &HttpLimits,
    tls: Option<TlsAcceptor>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.local_addr()?;
    let door = Arc::new(Door { router, builder: builder(limits), limits: limits.clone(), tls });
    let total = Arc::new(Semaphore::new(size(limits.connections).clamp(1, Semaphore::MAX_PERMITS)));
    let slots = Slots::new(limits.connections_per_address);
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            _ = connections.join_next(), if !connections.is_empty() => continue,
            accepted = accept(&listener, &total) => accepted,
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                // An address over its share is closed without a word: any word would cost more than it is worth.
                let Some(slot) = slots.take(peer.ip()) else { continue };
                let (door, stopping) = (Arc::clone(&door), stopping.clone());
                connections.spawn(connection(door, stream, peer.ip(), stopping, (permit, slot)));
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    stop.send_replace(true);
    let finished = async { while connections.join_next().await.is_some() {} };
    if timeout(Duration::from_millis(limits.grace_ms), finished).await.is_err() {
        tracing::warn!(connections = connections.len(), "cutting what did not finish within the grace time");
    }
    connections.shutdown().await;
    Ok(())
}

/// Waits for a free place first: the kernel's backlog holds the others back.
async fn accept(
    listener: &TcpListener,
    total: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(total).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    Ok((stream, peer, permit))
}

fn builder(limits: &HttpLimits) -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_millis(limits.header_ms))
        .max_headers(size(limits.headers))
        .max_buf_size(size(limits.header_bytes).max(BUFFER_BYTES_MIN));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(u32::try_from(limits.streams).unwrap_or(u32::MAX))
        .max_header_list_size(u32::try_from(limits.header_bytes).unwrap_or(u32::MAX))
        .max_pending_accept_reset_streams(PENDING_RESETS_MAX)
        .max_local_error_reset_streams(ERROR_RESETS_MAX)
        .max_send_buf_size(STREAM_BUFFER_BYTES)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    builder
}

/// One connection from handshake to end; its places are free again when this returns or is dropped.
async fn connection(
    door: Arc<Door>,
    stream: TcpStream,
    address: IpAddr,
    stopping: watch::Receiver<bool>,
    _places: (OwnedSemaphorePermit, Slot),
) {
    // Small answers leave at once; a failure to set this costs milliseconds and nothing else.
    let _ = stream.set_nodelay(true);
    let stream = Drain::new(stream);
    match &door.tls {
        None => exchange(&door, stream, Peer { address, tls: false }, stopping).await,
        Some(tls) => {
            let handshake = timeout(Duration::from_millis(door.limits.header_ms), tls.accept(stream)).await;
            match handshake {
                Ok(Ok(stream)) => exchange(&door, stream, Peer { address, tls: true }, stopping).await,
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            }
        }
    }
}

/// Requests and responses of one connection.
async fn exchange<S>(door: &Door, stream: S, peer: Peer, mut stopping: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Activity::new(&door.limits);
    let tracked = Arc::clone(&activity);
    let router = door.router.clone();
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let running = tracked.begin();
        let router = router.clone();
        request.extensions_mut().insert(peer);
        async move { router.oneshot(request.map(Body::new)).await.map(|r| r.map(|body| TrackedBody::new(body, running))) }
    });
    let mut connection = pin!(door.builder.serve_connection(TokioIo::new(stream), service));
    let mut ticks = interval(activity.tick());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut leaving = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection ended early");
                }
                return;
            }
            _ = stopping.wait_for(|stop| *stop), if !leaving => {
                leaving = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = ticks.tick() => match activity.verdict(Instant::now()) {
                Verdict::Stay => {}
                Verdict::Idle if !leaving => {
                    leaving = true;
                    connection.as_mut().graceful_shutdown();
                }
                // Idle and already asked to leave, or holding on without reading: cut.
                Verdict::Idle | Verdict::Stalled | Verdict::Silent => return,
            },
        }
    }
}

fn size(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use futures::{StreamExt, stream};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    use super::*;

    /// Serves a small router on a free port; ends when the sender is used or dropped.
    async fn serve(limits: HttpLimits) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<io::Result<()>>) {
        let broken = || async {
            let lost = async {
                sleep(Duration::from_millis(5)).await;
                Err(io::Error::other("lost"))
            };
            Body::from_stream(stream::iter([Ok("half")]).chain(stream::once(lost)))
        };
        let who = |request: Request<Body>| async move { format!("{:?}", request.extensions().get::<Peer>()) };
        let never = || std::future::pending::<&str>();
        let router = Router::new().route("/who", get(who)).route("/broken", get(broken)).route("/never", get(never));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(async move {
            run(listener, router, &limits, None, async {
                let _ = stopped.await;
            })
            .await
        });
        (address, stop, task)
    }

    async fn exchange(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        let _ = stream.read_to_string(&mut answer).await;
        answer
    }

    #[tokio::test]
    async fn requests_know_their_peer() {
        let (address, _stop, _task) = serve(HttpLimits::default()).await;
        let answer = exchange(address, "GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        assert!(answer.contains("Some(Peer { address: 127.0.0.1, tls: false })"), "{answer}");
    }

    #[tokio::test]
    async fn a_failed_answer_has_no_final_chunk() {
        let (address, _stop, _task) = serve(HttpLimits::default()).await;
        let answer = exchange(address, "GET /broken HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(answer.contains("half") && !answer.contains("0\r\n\r\n"), "{answer}");
    }

    #[tokio::test]
    async fn who_says_nothing_is_cut() {
        let limits = HttpLimits { header_ms: 40, ..HttpLimits::default() };
        let (address, _stop, _task) = serve(limits).await;
        assert_eq!(exchange(address, "").await, "");
        assert!(!exchange(address, "GET /who HTTP/1.1\r\nHo").await.contains("200"));
    }

    #[tokio::test]
    async fn an_idle_connection_is_closed() {
        let limits = HttpLimits { idle_ms: 40, ..HttpLimits::default() };
        let (address, _stop, _task) = serve(limits).await;
        let answer = exchange(address, "GET /who HTTP/1.1\r\nHost: x\r\n\r\n").await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    #[tokio::test]
    async fn one_address_has_its_share_of_connections() {
        let limits = HttpLimits { connections_per_address: 1, ..HttpLimits::default() };
        let (address, _stop, _task) = serve(limits).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(b"GET /who HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        assert_ne!(first.read_u8().await.unwrap(), 0);
        assert_eq!(exchange(address, "GET /who HTTP/1.1\r\nHost: x\r\n\r\n").await, "");
    }

    #[tokio::test]
    async fn what_outlasts_the_grace_time_is_cut() {
        let (address, stop, task) = serve(HttpLimits { grace_ms: 20, ..HttpLimits::default() }).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /never HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
        exchange(address, "GET /who HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await;
        stop.send(()).unwrap();
        task.await.unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn too_many_headers_are_refused() {
        let (address, _stop, _task) = serve(HttpLimits::default()).await;
        let headers: String = (0..200).map(|i| format!("x-{i}: 1\r\n")).collect();
        let answer = exchange(address, &format!("GET /who HTTP/1.1\r\nHost: x\r\n{headers}\r\n")).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
    }
}
