//! Buffers of memory that a stream reads into again and again.
//!
//! A buffer comes back when whoever it was handed to is done with it, on whatever thread. Memory of a stream is therefore
//! what is on its way and no more; left to an allocator, what one thread allocates and another frees stays around for a
//! while, and a fast reader of a large file leaves hundreds of megabytes behind.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

/// Bytes of a buffer, at most: on a loaded machine small ones cost more than their copying.
pub(super) const BUFFER_BYTES: usize = 256 * 1024;

/// Bytes of a stream's first buffer.
const FIRST_BUFFER_BYTES: usize = 16 * 1024;

/// The bytes of the next buffer of a stream that has given so many: a quarter of them, within bounds. Whoever asks for many
/// files and takes little of each holds little of each.
#[must_use]
pub fn buffer_bytes(given: u64) -> usize {
    let quarter = usize::try_from(given / 4).unwrap_or(BUFFER_BYTES);
    (quarter - quarter % FIRST_BUFFER_BYTES).clamp(FIRST_BUFFER_BYTES, BUFFER_BYTES)
}

/// The buffers of one stream that nobody uses at the moment.
#[derive(Clone, Debug, Default)]
pub struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// A buffer of `length` bytes, at most 256 KiB; what is in it is left over or zero.
    #[must_use]
    pub fn take(&self, length: usize) -> Vec<u8> {
        let used = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut buffer = used.unwrap_or_default();
        let length = length.min(BUFFER_BYTES);
        buffer.reserve_exact(length.saturating_sub(buffer.len()));
        buffer.resize(length, 0);
        buffer
    }

    /// A filled buffer as bytes that bring it back when the last of them is dropped.
    #[must_use]
    pub fn lend(&self, buffer: Vec<u8>) -> Bytes {
        self.lend_with(buffer, None)
    }

    /// As [`Buffers::lend`], for a buffer that has room in some limit until it comes back.
    pub(crate) fn lend_with(&self, buffer: Vec<u8>, room: Option<Arc<OwnedSemaphorePermit>>) -> Bytes {
        Bytes::from_owner(Lent { buffer, home: self.clone(), _room: room })
    }
}

struct Lent {
    buffer: Vec<u8>,
    home: Buffers,
    _room: Option<Arc<OwnedSemaphorePermit>>,
}

impl AsRef<[u8]> for Lent {
    fn as_ref(&self) -> &[u8] {
        &self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.buffer);
        self.home.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_grow_with_what_was_taken() {
        let expect =
            [(0, 16), (63, 16), (64, 16), (127, 16), (128, 32), (1023, 240), (1024, 256), (u64::MAX / 1024, 256)];
        for (given, bytes) in expect {
            assert_eq!(buffer_bytes(given * 1024), bytes * 1024, "{given} KiB");
        }
    }

    #[test]
    fn a_buffer_is_used_again_when_the_last_of_its_bytes_is_gone() {
        let buffers = Buffers::default();
        let mut buffer = buffers.take(3);
        buffer.copy_from_slice(b"abc");
        let place = buffer.as_ptr();
        let bytes = buffers.lend(buffer);
        let part = bytes.slice(1..);
        drop(bytes);
        let other = buffers.take(1);
        assert_ne!(other.as_ptr(), place);
        assert_eq!(part, "bc");
        drop(part);
        let again = buffers.take(2);
        assert_eq!((again.as_ptr(), again.len()), (place, 2));
    }
}
