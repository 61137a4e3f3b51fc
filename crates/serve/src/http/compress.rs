//! `Content-Encoding` for answers of `/sql`: compression as the bytes pass, in bounded memory.
//!
//! Each chunk of the answer is compressed and flushed before the next is asked for: a slow query's first rows arrive
//! at once, and what is held back is one chunk.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream::{self, StreamExt};
use portico_model::problem::Problem;

use crate::http::negotiate::Coding;
use crate::http::reply::ByteStream;

/// Bytes that are compressed in one go, so that other requests get their turn: under a millisecond.
const PIECE_BYTES: usize = 64 * 1024;

/// Fast levels: the wire is the bottleneck, not the size on a disk.
const GZIP_LEVEL: u32 = 4;
const ZSTD_LEVEL: i32 = 3;

enum Encoder {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Encoder {
    fn new(coding: Coding) -> io::Result<Option<Self>> {
        Ok(match coding {
            Coding::Identity => None,
            Coding::Gzip => Some(Self::Gzip(GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL)))),
            Coding::Zstd => Some(Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?)),
        })
    }

    fn write(&mut self, bytes: &[u8], flush: bool) -> io::Result<Bytes> {
        let encoder: &mut dyn Write = match self {
            Self::Gzip(encoder) => encoder,
            Self::Zstd(encoder) => encoder,
        };
        encoder.write_all(bytes)?;
        if flush {
            encoder.flush()?;
        }
        let out = match self {
            Self::Gzip(encoder) => encoder.get_mut(),
            Self::Zstd(encoder) => encoder.get_mut(),
        };
        Ok(Bytes::from(std::mem::take(out)))
    }

    fn finish(self) -> io::Result<Bytes> {
        Ok(Bytes::from(match self {
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Zstd(encoder) => encoder.finish()?,
        }))
    }
}

/// Compresses a whole small answer.
///
/// # Errors
/// `Internal` when the encoder fails, which takes a lack of memory.
pub(crate) fn whole(bytes: Bytes, coding: Coding) -> Result<Bytes, Problem> {
    let compressed = || match Encoder::new(coding)? {
        None => Ok(bytes),
        Some(mut encoder) => {
            let first = encoder.write(&bytes, false)?;
            Ok(Bytes::from([first, encoder.finish()?].concat()))
        }
    };
    compressed().map_err(|_: io::Error| Problem::internal())
}

/// Compresses a stream. An error in it passes through, and no trailer follows it: a broken answer does not unpack
/// as a whole one.
pub(crate) fn stream(input: ByteStream, coding: Coding) -> Result<ByteStream, Problem> {
    let Some(encoder) = Encoder::new(coding).map_err(|_| Problem::internal())? else { return Ok(input) };
    let state = State { input, encoder: Some(encoder), chunk: Bytes::new() };
    Ok(stream::unfold(state, |mut state| async move {
        let bytes = state.next().await?;
        Some((bytes, state))
    })
    .boxed())
}

struct State {
    input: ByteStream,
    /// `None` once the stream has ended or broken.
    encoder: Option<Encoder>,
    /// What is left of the chunk under way.
    chunk: Bytes,
}

impl State {
    async fn next(&mut self) -> Option<Result<Bytes, Problem>> {
        loop {
            self.encoder.as_ref()?;
            if self.chunk.is_empty() {
                match self.input.next().await {
                    Some(Ok(chunk)) => self.chunk = chunk,
                    Some(Err(problem)) => {
                        self.encoder = None;
                        return Some(Err(problem));
                    }
                    None => return Some(self.encoder.take()?.finish().map_err(|_| Problem::internal())),
                }
            }
            let piece = self.chunk.split_to(self.chunk.len().min(PIECE_BYTES));
            match self.encoder.as_mut()?.write(&piece, self.chunk.is_empty()) {
                Ok(bytes) if bytes.is_empty() => {}
                Ok(bytes) => return Some(Ok(bytes)),
                Err(_) => {
                    self.encoder = None;
                    return Some(Err(Problem::internal()));
                }
            }
            // A long chunk that compresses to nothing yet must not keep the thread.
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use portico_model::problem::ProblemKind;

    use super::*;

    fn unpack(bytes: &[u8], coding: Coding) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        match coding {
            Coding::Identity => out.extend_from_slice(bytes),
            Coding::Gzip => {
                flate2::read::GzDecoder::new(bytes).read_to_end(&mut out)?;
            }
            Coding::Zstd => out = zstd::stream::decode_all(bytes)?,
        }
        Ok(out)
    }

    async fn pass(chunks: Vec<Result<Bytes, Problem>>, coding: Coding) -> (Vec<u8>, bool) {
        let mut out = Vec::new();
        let mut stream = stream(stream::iter(chunks).boxed(), coding).unwrap();
        while let Some(part) = stream.next().await {
            match part {
                Ok(bytes) => out.extend_from_slice(&bytes),
                Err(_) => return (out, false),
            }
        }
        (out, true)
    }

    #[tokio::test]
    async fn answers_survive_the_way() {
        let long = Bytes::from(vec![b'x'; 3 * PIECE_BYTES + 7]);
        for coding in [Coding::Identity, Coding::Gzip, Coding::Zstd] {
            let chunks = vec![Ok(Bytes::from_static(b"first,")), Ok(Bytes::new()), Ok(long.clone())];
            let (packed, complete) = pass(chunks, coding).await;
            assert!(complete);
            assert_eq!(unpack(&packed, coding).unwrap(), [&b"first,"[..], &long].concat(), "{coding:?}");
            assert_eq!(unpack(&whole(long.clone(), coding).unwrap(), coding).unwrap(), long);
        }
    }

    #[tokio::test]
    async fn a_broken_answer_does_not_unpack() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let chunks = vec![Ok(Bytes::from_static(b"half")), Err(Problem::new(ProblemKind::QueryTimeout, "late"))];
            let (packed, complete) = pass(chunks, coding).await;
            assert!(!complete);
            assert!(unpack(&packed, coding).is_err(), "{coding:?}");
        }
    }

    #[tokio::test]
    async fn the_first_rows_are_not_held_back() {
        for coding in [Coding::Gzip, Coding::Zstd] {
            let chunks = stream::iter([Ok(Bytes::from_static(b"row"))]).chain(stream::pending()).boxed();
            let mut stream = stream(chunks, coding).unwrap();
            assert!(!stream.next().await.unwrap().unwrap().is_empty(), "{coding:?}");
        }
    }
}
