//! Digests by block: a stored file can be read in part, and what is read is what was recorded.
//!
//! The digest of a whole file says nothing of a part of it. A file is therefore also divided into blocks of one size, and
//! the digest of each is recorded; the list lies in the record of the file (the manifest of a version, the record of an
//! export), whose own seal covers it. A block is hashed before a byte of it is used.
//!
//! The digest of a block is the first half of its SHA-256 (FIPS 180-4; truncation as in NIST SP 800-107 §5.1): who wants
//! to put other bytes into a place has 2^128 to try, and the list of a file of 512 MiB stays under 11 KiB.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// Bytes of a block of a file up to [`SMALL_FILE_BYTES`]: a question that needs a few pages reads and hashes little else.
const SMALL_BLOCK_BYTES: u32 = 256 * 1024;
/// Bytes of a block of a larger file, so that its list stays short.
const BLOCK_BYTES: u32 = 1024 * 1024;
/// Files up to this size have small blocks.
const SMALL_FILE_BYTES: u64 = 256 * 1024 * 1024;
/// Bytes of the digest of a block.
const DIGEST_BYTES: usize = 16;

/// The digest of each block of one file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Spelt", into = "Spelt")]
pub struct BlockDigests {
    block_bytes: u32,
    digests: Arc<[u8]>,
}

/// How a list is written: the digests one after the other, base64.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Spelt {
    bytes: u32,
    digests: String,
}

/// A list that does not read.
#[derive(Debug, thiserror::Error)]
#[error("digests of blocks do not read")]
pub struct NoBlockDigests;

impl BlockDigests {
    /// The digests of all of a file's bytes, in blocks of the size that [`Hasher::new`] gives them.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        let mut hasher = Hasher::new(u64::try_from(content.len()).unwrap_or(u64::MAX));
        hasher.update(content);
        hasher.finish()
    }

    /// Bytes of each block but the last, which may be shorter.
    #[must_use]
    pub fn block_bytes(&self) -> u32 {
        self.block_bytes
    }

    /// How many blocks there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.digests.len() / DIGEST_BYTES
    }

    /// Whether the list is that of a file of so many bytes.
    #[must_use]
    pub fn covers(&self, file_bytes: u64) -> bool {
        u64::try_from(self.count()) == Ok(file_bytes.div_ceil(u64::from(self.block_bytes)))
    }

    /// The blocks that a range of bytes touches, by their numbers.
    #[must_use]
    pub fn touched(&self, range: &Range<u64>) -> Range<usize> {
        if range.is_empty() {
            return 0..0;
        }
        let number = |blocks: u64| usize::try_from(blocks).unwrap_or(usize::MAX);
        let block = u64::from(self.block_bytes);
        number(range.start / block)..number(range.end.div_ceil(block))
    }

    /// Where a block lies in a file of so many bytes.
    #[must_use]
    pub fn place(&self, block: usize, file_bytes: u64) -> Range<u64> {
        let bytes = u64::from(self.block_bytes);
        let start = u64::try_from(block).unwrap_or(u64::MAX).saturating_mul(bytes).min(file_bytes);
        start..start.saturating_add(bytes).min(file_bytes)
    }

    /// A range of bytes, widened to whole blocks of a file of so many bytes.
    #[must_use]
    pub fn around(&self, range: &Range<u64>, file_bytes: u64) -> Range<u64> {
        let touched = self.touched(range);
        let end = self.place(touched.end, file_bytes).start;
        self.place(touched.start, file_bytes).start..end
    }

    /// Whether bytes, given in parts, are those of a block.
    #[must_use]
    pub fn fits<'a>(&self, block: usize, parts: impl IntoIterator<Item = &'a [u8]>) -> bool {
        let mut hash = Sha256::new();
        parts.into_iter().for_each(|part| hash.update(part));
        let found = hash.finalize();
        let recorded = self.digests.chunks_exact(DIGEST_BYTES).nth(block);
        recorded.is_some_and(|recorded| found.starts_with(recorded))
    }
}

impl fmt::Debug for BlockDigests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} blocks of {} bytes", self.count(), self.block_bytes)
    }
}

impl From<BlockDigests> for Spelt {
    fn from(list: BlockDigests) -> Self {
        Self { bytes: list.block_bytes, digests: BASE64_STANDARD.encode(&list.digests) }
    }
}

impl TryFrom<Spelt> for BlockDigests {
    type Error = NoBlockDigests;

    fn try_from(spelt: Spelt) -> Result<Self, NoBlockDigests> {
        let digests = BASE64_STANDARD.decode(spelt.digests).map_err(|_| NoBlockDigests)?;
        // Whoever reads a block holds all of it: a list cannot ask for more than is ever written.
        if !(1..=BLOCK_BYTES).contains(&spelt.bytes) || digests.len() % DIGEST_BYTES != 0 {
            return Err(NoBlockDigests);
        }
        Ok(Self { block_bytes: spelt.bytes, digests: digests.into() })
    }
}

/// Takes the digests of a file's blocks as its bytes go by.
#[derive(Clone, Debug)]
pub struct Hasher {
    block_bytes: u32,
    /// The block that has begun.
    hash: Sha256,
    /// Bytes of it so far.
    filled: usize,
    digests: Vec<u8>,
}

impl Hasher {
    /// For a file of so many bytes: blocks of 256 KiB up to 256 MiB, of 1 MiB above.
    #[must_use]
    pub fn new(file_bytes: u64) -> Self {
        Self::in_blocks_of(if file_bytes <= SMALL_FILE_BYTES { SMALL_BLOCK_BYTES } else { BLOCK_BYTES })
    }

    /// With blocks of another size, of 1 MiB at most.
    #[must_use]
    pub fn in_blocks_of(block_bytes: u32) -> Self {
        let block_bytes = block_bytes.clamp(1, BLOCK_BYTES);
        Self { block_bytes, hash: Sha256::new(), filled: 0, digests: Vec::new() }
    }

    /// The next bytes of the file.
    pub fn update(&mut self, mut bytes: &[u8]) {
        let block = usize::try_from(self.block_bytes).unwrap_or(usize::MAX);
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(block.saturating_sub(self.filled)));
            self.hash.update(now);
            self.filled = self.filled.saturating_add(now.len());
            if self.filled == block {
                self.end_block();
            }
            bytes = later;
        }
    }

    /// The digests, once all bytes have gone by.
    #[must_use]
    pub fn finish(mut self) -> BlockDigests {
        if self.filled > 0 {
            self.end_block();
        }
        BlockDigests { block_bytes: self.block_bytes, digests: self.digests.into() }
    }

    fn end_block(&mut self) {
        let digest = self.hash.finalize_reset();
        self.digests.extend(digest.into_iter().take(DIGEST_BYTES));
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(content: &[u8], block_bytes: u32) -> BlockDigests {
        let mut hasher = Hasher::in_blocks_of(block_bytes);
        // In parts that end nowhere near a block.
        content.chunks(7).for_each(|part| hasher.update(part));
        hasher.finish()
    }

    #[test]
    fn every_block_knows_its_bytes_and_its_place() {
        let content: Vec<u8> = (0..103).collect();
        let list = list(&content, 10);
        assert_eq!((list.count(), list.block_bytes()), (11, 10));
        assert!(list.covers(103) && list.covers(101) && !list.covers(100) && !list.covers(111));
        for block in 0..11 {
            let place = list.place(block, 103);
            let bytes = &content[usize::try_from(place.start).unwrap()..usize::try_from(place.end).unwrap()];
            let (one, other) = bytes.split_at(bytes.len() / 2);
            assert!(list.fits(block, [bytes]) && list.fits(block, [one, other]), "{block}");
            assert!(!list.fits((block + 1) % 11, [bytes]) && !list.fits(block, [one]), "{block}");
        }
        assert!(!list.fits(11, [&content[..0]]));
        assert_eq!(list.place(10, 103), 100..103);
        assert_eq!((list.around(&(9..11), 103), list.around(&(99..102), 103)), (0..20, 90..103));
        assert!(list.around(&(50..50), 103).is_empty());
        assert_eq!((list.touched(&(9..10)), list.touched(&(9..11)), list.touched(&(50..50))), (0..1, 0..2, 0..0));
    }

    #[test]
    fn a_list_reads_as_it_was_written_and_nothing_else_does() {
        let written = BlockDigests::of(b"abc");
        let json = serde_json::to_string(&written).unwrap();
        // The first half of the digest that FIPS 180-4 gives as its example.
        assert_eq!(json, r#"{"bytes":262144,"digests":"ungWv48Bz+pBQUDeXa4iIw=="}"#);
        assert_eq!(serde_json::from_str::<BlockDigests>(&json).unwrap(), written);
        assert_eq!(BlockDigests::of(b"").count(), 0);
        for bad in [
            r#"{"bytes":0,"digests":""}"#,
            r#"{"bytes":4000000,"digests":""}"#,
            r#"{"bytes":10,"digests":"AAAA"}"#,
            r#"{"bytes":10,"digests":"%"}"#,
            r#"{"bytes":10}"#,
        ] {
            assert!(serde_json::from_str::<BlockDigests>(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_list_of_the_largest_file_is_short() {
        let mut hasher = Hasher::new(512 * 1024 * 1024);
        assert_eq!(hasher.block_bytes, BLOCK_BYTES);
        hasher.digests = vec![0; DIGEST_BYTES * 512];
        assert!(serde_json::to_string(&hasher.finish()).unwrap().len() < 11 * 1024);
    }
}
