//! The socket of a connection: how much of an answer the system holds for it, and how it ends.
//!
//! A connection that ends in the middle of an answer is reset, not closed. To a client of HTTP/1.0, and to whoever waits
//! for no more than the end of the stream, a close would say that the answer is whole; and the system would keep for
//! minutes what a client that does not read was to get.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::activity::Activity;

/// Bytes that wait in the system to be sent, on Linux. Left alone it takes megabytes from a client that does not read,
/// and then says nothing for as long as they last. Half of it is sent at the contract's 16 KiB/s in less than
/// [`CROWDED_TIME`](super::CROWDED_TIME).
#[cfg(target_os = "linux")]
const UNSENT_BYTES: u32 = 256 * 1024;

/// How a connection ends; clones are about the same one.
#[derive(Clone, Debug, Default)]
pub(super) struct Ending(Arc<AtomicBool>);

impl Ending {
    /// The connection will be reset.
    pub(super) fn cut(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Sees to it that a connection which is left before it has ended by itself is reset.
#[derive(Debug)]
pub(super) struct Watch {
    activity: Arc<Activity>,
    ending: Ending,
    left: Left,
}

/// How the connection was left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// By us, or it has not been.
    Early,
    /// By an error, which may be that of an answer.
    Failed,
    /// In order.
    Ended,
}

impl Watch {
    pub(super) fn new(activity: Arc<Activity>, ending: Ending) -> Self {
        Self { activity, ending, left: Left::Early }
    }

    /// The connection was used to its end, or was never used.
    pub(super) fn ended(&mut self) {
        self.left = Left::Ended;
    }

    /// The connection failed: what it answered before stays on its way.
    pub(super) fn failed(&mut self) {
        self.left = Left::Failed;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let cut = match self.left {
            Left::Early => true,
            Left::Failed => self.activity.is_unfinished(),
            Left::Ended => false,
        };
        if cut {
            self.ending.cut();
        }
    }
}

/// The socket.
#[derive(Debug)]
pub(super) struct Line {
    stream: TcpStream,
    ending: Ending,
}

impl Line {
    pub(super) fn new(stream: TcpStream, ending: Ending) -> Self {
        // Small answers leave at once; a failure to set either costs time or memory and nothing else.
        let _ = stream.set_nodelay(true);
        #[cfg(target_os = "linux")]
        let _ = socket2::SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT_BYTES);
        Self { stream, ending }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if self.ending.0.load(Ordering::Relaxed) {
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
