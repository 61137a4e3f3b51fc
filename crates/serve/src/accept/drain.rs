//! The slowest reader that a connection is kept for: a socket that errors when its client takes the bytes it asked
//! for slower than [`DRAIN_BYTES`] in [`DRAIN_TIME`].

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::line::Ending;

/// The time that writing may be held up before [`DRAIN_BYTES`] have passed: a program that thinks about what it has read
/// for a minute is no attacker. Where a socket takes bytes again only when a third of 4 MiB is gone, a reader at the
/// contract's 16 KiB/s needs 85 s for that.
pub(super) const DRAIN_TIME: Duration = Duration::from_secs(120);

/// The bytes that have to pass in that time: 1 KiB/s.
pub(super) const DRAIN_BYTES: usize = 120 * 1024;

/// A stream with a patience. Time counts only while a write waits: a connection without a response costs nothing.
pub(super) struct Drain<S> {
    stream: S,
    ending: Ending,
    patience: Duration,
    /// Bytes passed and time waited in the window under way.
    passed: usize,
    waited: Duration,
    /// The write that waits now: since when, and the alarm.
    waiting: Option<(Instant, Pin<Box<Sleep>>)>,
}

impl<S> Drain<S> {
    pub(super) fn new(stream: S, ending: Ending) -> Self {
        Self::with_patience(stream, ending, DRAIN_TIME)
    }

    fn with_patience(stream: S, ending: Ending, patience: Duration) -> Self {
        Self { stream, ending, patience, passed: 0, waited: Duration::ZERO, waiting: None }
    }

    /// Judges the outcome of one attempt to write.
    fn judge(&mut self, cx: &mut Context<'_>, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match outcome {
            Poll::Ready(Ok(written)) => {
                if let Some((since, _)) = self.waiting.take() {
                    self.waited += since.elapsed();
                }
                self.passed = self.passed.saturating_add(written);
                if self.passed >= DRAIN_BYTES {
                    self.passed = 0;
                    self.waited = Duration::ZERO;
                }
                Poll::Ready(Ok(written))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                let left = self.patience.saturating_sub(self.waited);
                let (_, alarm) = self.waiting.get_or_insert_with(|| (Instant::now(), Box::pin(sleep(left))));
                match alarm.as_mut().poll(cx) {
                    Poll::Ready(()) => {
                        self.ending.cut();
                        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
                    }
                    Poll::Pending => Poll::Pending,
                }
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Drain<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Drain<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.judge(cx, outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.judge(cx, outcome)
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const PATIENCE: Duration = Duration::from_millis(40);

    #[tokio::test]
    async fn a_client_that_does_not_read_is_cut() {
        let (ours, _theirs) = duplex(1024);
        let failed = Drain::with_patience(ours, Ending::default(), PATIENCE).write_all(&[0; 4096]).await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_trickle_is_cut_and_a_reader_is_not() {
        let read_by = async |bytes: usize, pause: Duration| {
            let (ours, mut theirs) = duplex(1024);
            let reader = tokio::spawn(async move {
                let mut buffer = vec![0; bytes];
                while theirs.read_exact(&mut buffer).await.is_ok() {
                    sleep(pause).await;
                }
            });
            let written =
                Drain::with_patience(ours, Ending::default(), PATIENCE).write_all(&vec![0; 4 * DRAIN_BYTES]).await;
            reader.abort();
            written.is_ok()
        };
        assert!(!read_by(100, Duration::from_millis(1)).await);
        assert!(read_by(DRAIN_BYTES, Duration::from_millis(1)).await);
    }
}
