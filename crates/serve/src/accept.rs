//! The accept loop: connections in, with a limit on everything a stranger can hold on to.
//!
//! ```text
//! listener ─▶ slots (in all, per address) ─▶ line ─▶ drain (slowest reader) ─▶ TLS ─▶ frames (HTTP/2 floods) ─▶ HTTP ─▶ router
//!                       activity: first request, idle, stalled streams        patience: a body's pieces ┘
//! ```
//!
//! An HTTP/1.1 connection that is kept alive waits for its next request as long as for any headers (`header_ms`),
//! an HTTP/2 connection for `idle_ms`.
//!
//! While more than half of all places are taken, an address block has a share of those that are free, and while few are
//! free a connection ends with its next answer: keep-alives hold no place that a newcomer needs.
//!
//! `axum::serve` has none of these limits, which is why the loop is our own. It does not route, log requests or
//! read configuration.

mod activity;
mod drain;
mod frames;
mod heads;
mod line;
mod patience;
mod slots;
mod tls;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use http::{HeaderValue, Request, Version, header};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use portico_model::limits::HttpLimits;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tower::ServiceExt;

use activity::{Activity, TrackedBody, Verdict};
use drain::{DRAIN_TIME, Drain};
use frames::Frames;
use line::{Ending, Line, Watch};
use patience::PatientBody;

use crate::client::TrustedProxies;

pub use slots::address_block;
pub(crate) use slots::{Slot, Slots, block};
pub use tls::{TlsError, tls_acceptor};

/// What is at the other end of the connection, as an extension of every request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The address of the connection: a proxy's, where there is one.
    pub address: IpAddr,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

/// Streams that a client may open and cancel before they are accepted (rapid reset), then the connection ends.
const PENDING_RESETS_MAX: usize = 20;

/// Streams that we had to reset because of the client's errors, then the connection ends.
const ERROR_RESETS_MAX: usize = 64;

/// Bytes buffered for one HTTP/2 stream that its client does not read: all streams of a connection are 8 MiB.
const STREAM_BUFFER_BYTES: usize = 64 * 1024;

/// HTTP/2 pings, so that a client that vanished without a word is noticed.
const PING: Duration = Duration::from_secs(30);

/// A pause after the system refused a connection for lack of file descriptors: they come back as others close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The smallest read buffer that hyper takes, in bytes.
const BUFFER_BYTES_MIN: usize = 8 * 1024;

/// How long a connection may hold answers without taking anything of them while more than half of all places are taken:
/// whoever reads as fast as the contract asks takes more in this time.
const CROWDED_TIME: Duration = Duration::from_secs(10);
/// How long that goes on when fewer are taken again.
const CROWDED_FOR: Duration = Duration::from_secs(30);

/// The part of the free places that one address block may hold while more than half of all are taken. With `n` blocks
/// that take all they can, more than one in `n + 4` of those that were free then stay free for others.
const CROWDED_SHARE: usize = 4;
/// The part of all places that has to be free for a connection to be kept after an answer.
const KEPT_FREE: usize = 8;

/// How connections are served.
#[derive(Clone, Default)]
pub struct ConnectionSettings {
    /// What a connection may hold on to.
    pub limits: HttpLimits,
    /// What encrypts; without it connections are in clear.
    pub tls: Option<TlsAcceptor>,
    /// Proxies: all their clients come from one address, so that they have no share of connections to keep to.
    pub trusted_proxies: TrustedProxies,
}

/// What all connections share.
struct Door {
    router: Router,
    builder: auto::Builder<TokioExecutor>,
    settings: ConnectionSettings,
    /// Free places for connections.
    places: Arc<Semaphore>,
    places_max: usize,
    /// When more than half of them were taken last.
    crowded: Mutex<Option<Instant>>,
}

impl Door {
    /// The connections that one address block may have now; `0` is as many as ever.
    fn share(&self) -> u64 {
        let free = self.places.available_permits();
        if free >= self.places_max / 2 {
            return 0;
        }
        u64::try_from(free / CROWDED_SHARE).unwrap_or(u64::MAX).max(1)
    }

    /// Whether so few places are free that a connection is not kept after its answer.
    fn is_full(&self) -> bool {
        self.places.available_permits() < self.places_max.div_ceil(KEPT_FREE)
    }

    /// How long a client that takes nothing is waited for. A crowd is one for a while after places came free, or those
    /// who were cut first would keep the others.
    fn patience(&self, now: Instant) -> Duration {
        let mut crowded = self.crowded.lock().unwrap_or_else(PoisonError::into_inner);
        if self.places.available_permits() < self.places_max / 2 {
            *crowded = Some(now);
        }
        let is_crowded = crowded.is_some_and(|since| now.saturating_duration_since(since) < CROWDED_FOR);
        if is_crowded { CROWDED_TIME } else { DRAIN_TIME }
    }
}

/// Connections that the system holds for us at least before they are accepted.
const BACKLOG_MIN: u32 = 128;

/// Listens on an address. The system holds as many connections as there are places until they are accepted: where it
/// holds fewer, it drops the last word of a handshake of a crowd, whose clients then wait for a second, or take
/// themselves to be connected and hear nothing any more.
///
/// # Errors
/// When the address is in use, or is none of this machine's.
pub fn listen(address: SocketAddr, limits: &HttpLimits) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(u32::try_from(limits.connections).unwrap_or(u32::MAX).max(BACKLOG_MIN))
}

/// Serves `router` on `listener` until `shutdown` resolves; then stops accepting, lets requests under way finish
/// for the grace time, and cuts the rest.
///
/// # Errors
/// When the listener itself cannot be used; trouble with one connection ends that connection only.
pub async fn run(
    listener: TcpListener,
    router: Router,
    settings: ConnectionSettings,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    listener.local_addr()?;
    let places_max = size(settings.limits.connections).clamp(1, Semaphore::MAX_PERMITS);
    let places = Arc::new(Semaphore::new(places_max));
    let door = Arc::new(Door {
        router,
        builder: builder(&settings.limits),
        settings,
        places,
        places_max,
        crowded: Mutex::default(),
    });
    let limits = &door.settings.limits;
    let (slots, unlimited) = (Slots::new(limits.connections_per_address), Slots::new(0));
    let (stop, stopping) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            _ = connections.join_next(), if !connections.is_empty() => continue,
            accepted = accept(&listener, &door.places) => accepted,
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                // An address over its share is closed without a word: any word would cost more than it is worth.
                let trusted = door.settings.trusted_proxies.contains(peer.ip());
                let taken = if trusted { unlimited.take(peer.ip()) } else { slots.take_of(peer.ip(), door.share()) };
                let Some(slot) = taken else {
                    metrics::counter!("portico_connections_cut_total", "reason" => "share").increment(1);
                    continue;
                };
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
    places: &Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = Arc::clone(places).acquire_owned().await.map_err(io::Error::other)?;
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
    let ending = Ending::default();
    let stream = Drain::new(Line::new(stream, ending.clone()), ending.clone());
    match &door.settings.tls {
        None => exchange(&door, stream, Peer { address, tls: false }, (stopping, ending)).await,
        Some(tls) => {
            let handshake = timeout(Duration::from_millis(door.settings.limits.header_ms), tls.accept(stream)).await;
            match handshake {
                Ok(Ok(stream)) => exchange(&door, stream, Peer { address, tls: true }, (stopping, ending)).await,
                Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
                Err(_) => tracing::debug!("a TLS handshake took too long"),
            }
        }
    }
}

/// Requests and responses of one connection.
async fn exchange<S>(door: &Arc<Door>, stream: S, peer: Peer, (mut stopping, ending): (watch::Receiver<bool>, Ending))
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Activity::new(&door.settings.limits);
    let gap = Duration::from_millis(door.settings.limits.idle_ms);
    let tracked = Arc::clone(&activity);
    let served = Arc::clone(door);
    let last = Arc::new(Notify::new());
    let told = Arc::clone(&last);
    let service = hyper::service::service_fn(move |mut request: Request<Incoming>| {
        let running = tracked.begin();
        let (served, told, version) = (Arc::clone(&served), Arc::clone(&told), request.version());
        request.extensions_mut().insert(peer);
        let request = request.map(|body| Body::new(PatientBody::new(body, gap)));
        async move {
            let mut response = served.router.clone().oneshot(request).await?;
            if served.is_full() && version == Version::HTTP_2 {
                told.notify_one();
            } else if served.is_full() {
                response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<_, Infallible>(response.map(|body| TrackedBody::new(body, running)))
        }
    });
    let mut connection = pin!(door.builder.serve_connection(TokioIo::new(Frames::new(stream)), service));
    // Dropped before the connection: also when the server stops and drops both.
    let mut end = Watch::new(Arc::clone(&activity), ending);
    let mut ticks = interval(activity.tick());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut leaving = false;
    loop {
        tokio::select! {
            ended = connection.as_mut() => {
                match ended {
                    Ok(()) => end.ended(),
                    Err(error) => {
                        end.failed();
                        tracing::debug!(%error, "a connection ended early");
                    }
                }
                return;
            }
            _ = stopping.wait_for(|stop| *stop), if !leaving => {
                leaving = true;
                connection.as_mut().graceful_shutdown();
            }
            () = last.notified(), if !leaving => {
                leaving = true;
                connection.as_mut().graceful_shutdown();
            }
            _ = ticks.tick() => match activity.verdict(Instant::now(), door.patience(Instant::now())) {
                Verdict::Stay => {}
                Verdict::Idle if !leaving => {
                    leaving = true;
                    connection.as_mut().graceful_shutdown();
                }
                Verdict::Silent => return end.ended(),
                // Idle and already asked to leave, or holding on without reading: cut.
                Verdict::Idle | Verdict::Stalled => return,
            },
        }
    }
}

fn size(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
