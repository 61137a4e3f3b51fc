//! A fast hash of single values, in the manner of wyhash: folded 64 × 64 → 128 bit products.
//!
//! Counting by hash takes two values of one hash for one value. With 64 bits the chance that this happens at all is
//! below 10^-9 among 100,000 values. Values come from staff, not from strangers: the keys are fixed, so that a
//! profile is the same every time.

const K0: u64 = 0xa076_1d64_78bd_642f;
const K1: u64 = 0xe703_7ed1_a0b4_28db;
const K2: u64 = 0x8ebc_6af0_9c88_c6e3;
const K3: u64 = 0x5899_65cc_7537_4cc3;

/// What a null hashes to.
pub(crate) const NULL: u64 = K2;

/// The hash of a number's bits.
pub(crate) fn of_bits(bits: u64) -> u64 {
    fold(fold(bits ^ K0, K1) ^ K2, bits ^ K3)
}

/// The hash of a wide number's bits.
pub(crate) fn of_wide(bits: i128) -> u64 {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = bits.to_le_bytes();
    let (low, high) = ([a, b, c, d, e, f, g, h], [i, j, k, l, m, n, o, p]);
    fold(fold(u64::from_le_bytes(low) ^ K0, u64::from_le_bytes(high) ^ K1) ^ K2, u64::from_le_bytes(low) ^ K3)
}

/// The hash of bytes; different seeds give independent hashes.
pub(crate) fn of_bytes(bytes: &[u8], seed: u64) -> u64 {
    let length = super::convert::count(bytes.len());
    let mut state = seed ^ K0;
    let mut rest = bytes;
    while let Some((chunk, after)) = rest.split_first_chunk::<16>() {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *chunk;
        let first = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
        let second = u64::from_le_bytes([i, j, k, l, m, n, o, p]);
        state = fold(first ^ K1, second ^ state);
        rest = after;
    }
    let (first, second) = tail(rest);
    fold(fold(first ^ K2, second ^ state) ^ length, K3)
}

/// Adds the hash of the next column to that of a row: the order of columns matters.
pub(crate) fn join(row: u64, value: u64) -> u64 {
    fold(row ^ K1, value ^ K3)
}

/// Up to 15 bytes as two words, without a loop for the usual lengths.
fn tail(rest: &[u8]) -> (u64, u64) {
    if let (Some(first), Some(last)) = (rest.first_chunk::<8>(), rest.last_chunk::<8>()) {
        (u64::from_le_bytes(*first), u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (rest.first_chunk::<4>(), rest.last_chunk::<4>()) {
        (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)))
    } else {
        (rest.iter().fold(1, |word, byte| (word << 8) | u64::from(*byte)), 0)
    }
}

/// Both halves of the product in one word.
fn fold(left: u64, right: u64) -> u64 {
    let (low, high) = left.carrying_mul(right, 0);
    low ^ high
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn short_texts_and_small_numbers_do_not_collide() {
        let mut seen = HashSet::new();
        for length in 0..40_usize {
            for byte in [0_u8, b'a', 0xff] {
                assert!(seen.insert(of_bytes(&vec![byte; length], 0)) || length == 0, "{length} {byte}");
            }
        }
        for number in 0..50_000_u64 {
            assert!(seen.insert(of_bits(number)));
            assert!(seen.insert(of_bytes(number.to_string().as_bytes(), 0)));
        }
        assert_ne!(of_bytes(b"abc", 1), of_bytes(b"abc", 2));
        assert_ne!(of_wide(1), of_wide(1 << 64));
        assert_ne!(join(join(1, 2), 3), join(join(1, 3), 2));
    }
}
