//! Blocks of memory that a stream reads into again and again.
//!
//! A block comes back when whoever it was handed to is done with it, on whatever thread. Memory of a stream is therefore
//! what is on its way and no more; left to an allocator, what one thread allocates and another frees stays around for a
//! while, and a fast reader of a large file leaves hundreds of megabytes behind.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

/// Bytes of a block, at most: on a loaded machine small ones cost more than their copying.
pub(super) const BLOCK_BYTES: usize = 256 * 1024;

/// Bytes of a stream's first block.
const FIRST_BLOCK_BYTES: usize = 16 * 1024;

/// The bytes of the next block of a stream that has given so many: a quarter of them, within bounds. Whoever asks for many
/// files and takes little of each holds little of each.
#[must_use]
pub fn block_bytes(given: u64) -> usize {
    let quarter = usize::try_from(given / 4).unwrap_or(BLOCK_BYTES);
    (quarter - quarter % FIRST_BLOCK_BYTES).clamp(FIRST_BLOCK_BYTES, BLOCK_BYTES)
}

/// The blocks of one stream that nobody uses at the moment.
#[derive(Clone, Debug, Default)]
pub struct Blocks(Arc<Mutex<Vec<Vec<u8>>>>);

impl Blocks {
    /// A block of `length` bytes, at most 256 KiB; what is in it is left over or zero.
    #[must_use]
    pub fn take(&self, length: usize) -> Vec<u8> {
        let used = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut block = used.unwrap_or_default();
        let length = length.min(BLOCK_BYTES);
        block.reserve_exact(length.saturating_sub(block.len()));
        block.resize(length, 0);
        block
    }

    /// A filled block as bytes that bring it back when the last of them is dropped.
    #[must_use]
    pub fn lend(&self, block: Vec<u8>) -> Bytes {
        self.lend_with(block, None)
    }

    /// As [`Blocks::lend`], for a block that has room in some limit until it comes back.
    pub(crate) fn lend_with(&self, block: Vec<u8>, room: Option<Arc<OwnedSemaphorePermit>>) -> Bytes {
        Bytes::from_owner(Lent { block, home: self.clone(), _room: room })
    }
}

struct Lent {
    block: Vec<u8>,
    home: Blocks,
    _room: Option<Arc<OwnedSemaphorePermit>>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.block
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let block = std::mem::take(&mut self.block);
        self.home.0.lock().unwrap_or_else(PoisonError::into_inner).push(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_grow_with_what_was_taken() {
        let expect =
            [(0, 16), (63, 16), (64, 16), (127, 16), (128, 32), (1023, 240), (1024, 256), (u64::MAX / 1024, 256)];
        for (given, bytes) in expect {
            assert_eq!(block_bytes(given * 1024), bytes * 1024, "{given} KiB");
        }
    }

    #[test]
    fn a_block_is_used_again_when_the_last_of_its_bytes_is_gone() {
        let blocks = Blocks::default();
        let mut block = blocks.take(3);
        block.copy_from_slice(b"abc");
        let place = block.as_ptr();
        let bytes = blocks.lend(block);
        let part = bytes.slice(1..);
        drop(bytes);
        let other = blocks.take(1);
        assert_ne!(other.as_ptr(), place);
        assert_eq!(part, "bc");
        drop(part);
        let again = blocks.take(2);
        assert_eq!((again.as_ptr(), again.len()), (place, 2));
    }
}
