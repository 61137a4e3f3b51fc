//! Memory that a stream reads into again and again.
//!
//! A buffer comes back when whoever it was handed to is done with it, on whatever thread. Memory of a stream is therefore
//! what is on its way and no more; left to an allocator, what one thread allocates and another frees stays around for a
//! while, and a fast reader of a large file leaves hundreds of megabytes behind.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

/// Bytes of a buffer.
pub const BUFFER_BYTES: usize = 256 * 1024;

/// The buffers of one stream that nobody uses at the moment.
#[derive(Clone, Debug, Default)]
pub struct Buffers(Arc<Mutex<Vec<Vec<u8>>>>);

impl Buffers {
    /// A buffer of `length` bytes, at most [`BUFFER_BYTES`]; what is in it is left over or zero.
    #[must_use]
    pub fn take(&self, length: usize) -> Vec<u8> {
        let used = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut buffer = used.unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES));
        buffer.resize(length.min(BUFFER_BYTES), 0);
        buffer
    }

    /// A filled buffer as bytes that bring it back when the last of them is dropped.
    #[must_use]
    pub fn lend(&self, buffer: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lent { buffer, home: self.clone() })
    }
}

struct Lent {
    buffer: Vec<u8>,
    home: Buffers,
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
        let again = buffers.take(5);
        assert_eq!((again.as_ptr(), again.len()), (place, 5));
    }
}
