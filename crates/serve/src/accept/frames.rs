//! The rate of HTTP/2 frames that cost their sender nothing: a stream that errors when its client floods it.
//!
//! A ping, a setting, an empty piece of data or a stream opened and reset at once keeps the server busy for a few
//! bytes, and the library below answers each for ever. Every connection has an allowance of such frames. It grows
//! with time, with requests and with the bytes that the client takes, because an honest client acknowledges those
//! with window updates and, some, with a ping for every piece. Of HTTP/1 only the heads are looked at ([`Heads`]).

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::heads::Heads;

/// What an HTTP/2 connection begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The most that an allowance holds, in frames.
const ALLOWANCE_MAX: i64 = 2_000;

/// Frames that a second gives.
const FRAMES_PER_S: i64 = 100;

/// Bytes taken that give one frame: clients exist that acknowledge every 4 KiB twice.
const BYTES_PER_FRAME: usize = 1024;

/// A piece of data of fewer bytes costs more to receive than to send.
const DATA_BYTES_MIN: usize = 64;

/// A stream that counts the frames that come in.
pub(super) struct Frames<S> {
    stream: S,
    reading: Reading,
    heads: Heads,
    allowance: Allowance,
    /// Bytes written that have not given a frame yet.
    taken: usize,
}

/// Where in the bytes the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    /// So many bytes have been those of the preface.
    Preface(usize),
    /// No HTTP/2.
    Plain,
    /// The nine bytes before a frame's payload, and how many of them are there.
    Header([u8; 9], usize),
    /// So many bytes of payload to go.
    Payload(usize),
}

#[derive(Clone, Copy, Debug)]
struct Allowance {
    left: i64,
    since: Instant,
}

impl Allowance {
    /// Spends (or with a negative cost earns); `false` when there is nothing left.
    fn spend(&mut self, cost: i64, now: Instant) -> bool {
        let passed_ms = now.saturating_duration_since(self.since).as_millis();
        let earned = i64::try_from(passed_ms).unwrap_or(i64::MAX).saturating_mul(FRAMES_PER_S) / 1000;
        if earned > 0 {
            self.since = now;
        }
        self.left = self.left.saturating_add(earned).saturating_sub(cost).min(ALLOWANCE_MAX);
        self.left >= 0
    }
}

impl<S> Frames<S> {
    pub(super) fn new(stream: S) -> Self {
        let allowance = Allowance { left: ALLOWANCE_MAX, since: Instant::now() };
        Self { stream, reading: Reading::Preface(0), heads: Heads::default(), allowance, taken: 0 }
    }

    /// Follows the bytes that came in; `false` when they are a flood.
    fn follow(&mut self, mut bytes: &mut [u8]) -> bool {
        while let Some(&first) = bytes.first() {
            let passed = match self.reading {
                Reading::Plain => {
                    self.heads.follow(bytes);
                    return true;
                }
                Reading::Preface(matched) if PREFACE.get(matched) == Some(&first) => {
                    let whole = matched + 1 == PREFACE.len();
                    self.reading = if whole { Reading::Header([0; 9], 0) } else { Reading::Preface(matched + 1) };
                    1
                }
                Reading::Preface(matched) => {
                    // They were the beginning of a head after all.
                    self.heads.follow(&mut PREFACE.get(..matched).unwrap_or_default().to_vec());
                    self.reading = Reading::Plain;
                    0
                }
                Reading::Header(mut header, had) => {
                    if let Some(place) = header.get_mut(had) {
                        *place = first;
                    }
                    self.reading = Reading::Header(header, had + 1);
                    if had + 1 == header.len() {
                        let length = payload(header);
                        self.reading = if length == 0 { Reading::Header([0; 9], 0) } else { Reading::Payload(length) };
                        if !self.allowance.spend(cost(header), Instant::now()) {
                            return false;
                        }
                    }
                    1
                }
                Reading::Payload(left) => {
                    let passed = left.min(bytes.len());
                    self.reading =
                        if passed == left { Reading::Header([0; 9], 0) } else { Reading::Payload(left - passed) };
                    passed
                }
            };
            bytes = std::mem::take(&mut bytes).get_mut(passed..).unwrap_or_default();
        }
        true
    }

    /// Notes that the client took bytes.
    fn gave(&mut self, outcome: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(written)) = outcome
            && !matches!(self.reading, Reading::Plain)
        {
            self.taken += written;
            let frames = i64::try_from(self.taken / BYTES_PER_FRAME).unwrap_or(ALLOWANCE_MAX);
            self.taken %= BYTES_PER_FRAME;
            if frames > 0 {
                self.allowance.spend(-frames, Instant::now());
            }
        }
        outcome
    }
}

/// The length of a frame's payload (RFC 9113 §4.1).
fn payload([high, middle, low, ..]: [u8; 9]) -> usize {
    (usize::from(high) << 16) | (usize::from(middle) << 8) | usize::from(low)
}

/// What a frame costs. A request earns two, and its reset costs four: who takes back what it asks for runs dry.
fn cost(header: [u8; 9]) -> i64 {
    let [_, _, _, kind, flags, ..] = header;
    let ends_stream = flags & 1 == 1;
    match kind {
        // DATA
        0 => i64::from(payload(header) < DATA_BYTES_MIN && !ends_stream),
        // HEADERS
        1 => -2,
        // RST_STREAM
        3 => 4,
        _ => 1,
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Frames<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let outcome = Pin::new(&mut self.stream).poll_read(cx, buf);
        if matches!(outcome, Poll::Ready(Ok(())))
            && !self.follow(buf.filled_mut().get_mut(before..).unwrap_or_default())
        {
            // A reader that failed has read nothing.
            buf.set_filled(before);
            metrics::counter!("portico_connections_cut_total", "reason" => "frames").increment(1);
            return Poll::Ready(Err(io::Error::other("a flood of HTTP/2 frames")));
        }
        outcome
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Frames<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.gave(outcome)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.gave(outcome)
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
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    fn frame(kind: u8, flags: u8, length: u8) -> Vec<u8> {
        let mut frame = vec![0, 0, length, kind, flags, 0, 0, 0, 1];
        frame.resize(9 + usize::from(length), 0);
        frame
    }

    /// Whether a connection with these frames, so many times, is read to its end; in pieces of `piece` bytes.
    fn stands(frames: &[Vec<u8>], times: usize, piece: usize) -> bool {
        let mut connection = Frames::new(());
        let mut bytes = PREFACE.to_vec();
        bytes.extend(frames.concat().repeat(times));
        bytes.chunks_mut(piece).all(|chunk| connection.follow(chunk))
    }

    #[test]
    fn floods_end_and_requests_do_not() {
        let ping = [frame(6, 0, 8)];
        for piece in [1, 7, 4096] {
            assert!(stands(&ping, 1_900, piece) && !stands(&ping, 2_500, piece));
        }
        for flood in [frame(4, 0, 0), frame(0, 0, 0), frame(0, 0, 1), frame(8, 0, 4), frame(9, 0, 0), frame(77, 0, 3)] {
            assert!(!stands(&[flood], 2_500, 4096));
        }
        let (headers, reset) = (frame(1, 5, 40), frame(3, 0, 4));
        assert!(stands(std::slice::from_ref(&headers), 100_000, 4096));
        assert!(stands(&[headers.clone(), frame(0, 1, 0)], 100_000, 4096));
        assert!(stands(&[frame(0, 0, 200)], 100_000, 4096));
        assert!(!stands(&[headers, reset], 2_500, 4096));
    }

    #[test]
    fn time_and_bytes_taken_give_more() {
        let now = Instant::now();
        let mut allowance = Allowance { left: 0, since: now };
        assert!(!allowance.spend(1, now));
        assert!(allowance.spend(99, now + Duration::from_secs(1)));
        let mut connection = Frames::new(());
        connection.reading = Reading::Header([0; 9], 0);
        connection.allowance.left = 0;
        for _ in 0..4 {
            assert!(matches!(connection.gave(Poll::Ready(Ok(BYTES_PER_FRAME / 2))), Poll::Ready(Ok(_))));
        }
        assert_eq!(connection.allowance.left, 2);
    }

    #[test]
    fn http_1_is_not_counted() {
        let mut connection = Frames::new(());
        assert!(connection.follow(&mut b"PRINT / HTTP/1.1\r\n\r\n".to_vec()));
        assert_eq!(connection.reading, Reading::Plain);
        assert!(connection.follow(&mut vec![0; 1 << 20]));
    }

    #[tokio::test]
    async fn a_flood_is_an_error_to_the_reader() {
        let (near, mut far) = duplex(1 << 20);
        far.write_all(PREFACE).await.unwrap();
        far.write_all(&frame(6, 0, 8).repeat(2_500)).await.unwrap();
        drop(far);
        let mut all = Vec::new();
        assert!(Frames::new(near).read_to_end(&mut all).await.is_err());
    }
}
