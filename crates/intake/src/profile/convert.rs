//! The few conversions of numbers that have no `From`, in one place.
#![allow(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "figures of a profile are f64 by contract and lose precision past 2^53; each function says what is lost"
)]

/// A length as a count: nothing is lost on any machine that Rust runs on.
pub(crate) fn count(length: usize) -> u64 {
    length as u64
}

/// A position that was made from a length: nothing is lost.
pub(crate) fn position(index: u32) -> usize {
    index as usize
}

/// The low bits of a hash as a position; the caller has masked it to the size of a table.
pub(crate) fn masked(hash: u64) -> usize {
    hash as usize
}

/// The nearest float.
pub(crate) fn float(number: i64) -> f64 {
    number as f64
}

/// The nearest float.
pub(crate) fn float_of_count(number: u64) -> f64 {
    number as f64
}

/// The nearest float.
pub(crate) fn float_of_wide(number: i128) -> f64 {
    number as f64
}

/// The whole part of a float that is not negative; past the range, the end of the range.
pub(crate) fn whole(number: f64) -> u64 {
    number as u64
}
