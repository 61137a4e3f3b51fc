//! Whole files as gzip or Zstandard, the same bytes every time.

use std::io::Write;

use flate2::write::GzEncoder;
use flate2::{Compression as Level, GzBuilder};
use portico_model::format::Compression;

use crate::EncodeError;

/// Bytes that a compressor is given at a time. What it writes may depend on how its input is cut, and
/// batches may be cut differently from one run to the next, so that they are cut here.
const BLOCK_BYTES: usize = 128 * 1024;

/// zlib's own choice between time and size.
const GZIP_LEVEL: u32 = 6;
/// Zstandard's own choice between time and size.
const ZSTD_LEVEL: i32 = 3;

/// Compresses a stream; its output is held only until the next call takes it.
pub(crate) enum Compressor {
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Compressor {
    /// `None` for files that are not compressed.
    pub(crate) fn new(compression: Compression) -> Result<Option<Self>, EncodeError> {
        Ok(match compression {
            Compression::None => None,
            // No name, no time, no machine in the header.
            Compression::Gzip => Some(Self::Gzip(GzBuilder::new().mtime(0).write(Vec::new(), Level::new(GZIP_LEVEL)))),
            Compression::Zstd => {
                let mut encoder = zstd::stream::write::Encoder::new(Vec::new(), ZSTD_LEVEL)?;
                encoder.include_checksum(true)?;
                Some(Self::Zstd(encoder))
            }
        })
    }

    /// Compresses the whole blocks of `plain` and leaves the rest there.
    pub(crate) fn push(&mut self, plain: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let whole = plain.len() - plain.len() % BLOCK_BYTES;
        for block in plain.chunks_exact(BLOCK_BYTES) {
            self.block(block, out)?;
        }
        plain.drain(..whole);
        Ok(())
    }

    /// Compresses all of `plain` and ends the stream.
    pub(crate) fn finish(mut self, plain: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.push(plain, out)?;
        self.block(plain, out)?;
        plain.clear();
        let mut last = match self {
            Self::Gzip(encoder) => encoder.finish()?,
            Self::Zstd(encoder) => encoder.finish()?,
        };
        out.append(&mut last);
        Ok(())
    }

    fn block(&mut self, block: &[u8], out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let written = match self {
            Self::Gzip(encoder) => {
                encoder.write_all(block)?;
                encoder.get_mut()
            }
            Self::Zstd(encoder) => {
                encoder.write_all(block)?;
                encoder.get_mut()
            }
        };
        out.append(written);
        Ok(())
    }
}
