//! `Range` (RFC 9110 §14): one range of bytes, also from the end. Several ranges are answered with the whole file,
//! which the RFC allows and which no client of data files minds; a bomb of a thousand ranges costs nothing.

use std::ops::Range;

use http::{HeaderMap, header};

/// What part of a file a request is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it, as `200`.
    Whole,
    /// These bytes, as `206`.
    Bytes(Range<u64>),
    /// None: `416`.
    Unsatisfiable,
}

/// A range as it was asked for, before the length is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// `bytes=first-` and `bytes=first-last`.
    From { first: u64, last: Option<u64> },
    /// `bytes=-length`.
    Suffix(u64),
}

/// Reads the header. `None` without one, or when it is to be ignored: another unit, several ranges, malformed.
pub(crate) fn asked(headers: &HeaderMap) -> Option<Asked> {
    let text = headers.get(header::RANGE)?.to_str().ok()?;
    let (unit, range) = text.split_once('=')?;
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = range.trim().split_once('-')?;
    match (first.trim(), last.trim()) {
        ("", length) => Some(Asked::Suffix(position(length)?)),
        (first, "") => Some(Asked::From { first: position(first)?, last: None }),
        (first, last) => {
            let (first, last) = (position(first)?, position(last)?);
            (first <= last).then_some(Asked::From { first, last: Some(last) })
        }
    }
}

/// Digits as a position; what is too large to count is past every end.
fn position(digits: &str) -> Option<u64> {
    let valid = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    valid.then(|| digits.parse().unwrap_or(u64::MAX))
}

impl Asked {
    /// The part of a file of `length` bytes.
    pub(crate) fn of(self, length: u64) -> Part {
        match self {
            Self::Suffix(0) => Part::Unsatisfiable,
            // An empty file has no last byte either.
            Self::Suffix(_) if length == 0 => Part::Unsatisfiable,
            Self::Suffix(wanted) => Part::Bytes(length.saturating_sub(wanted)..length),
            Self::From { first, .. } if first >= length => Part::Unsatisfiable,
            Self::From { first, last } => {
                let end = last.map_or(length, |last| last.saturating_add(1).min(length));
                Part::Bytes(first..end)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(range: &str, length: u64) -> Part {
        let headers = HeaderMap::from_iter([(header::RANGE, range.parse().unwrap())]);
        asked(&headers).map_or(Part::Whole, |asked| asked.of(length))
    }

    #[test]
    fn one_range_is_served() {
        assert_eq!(part("bytes=0-499", 10_000), Part::Bytes(0..500));
        assert_eq!(part("bytes=500-999", 10_000), Part::Bytes(500..1000));
        assert_eq!(part("bytes=9500-", 10_000), Part::Bytes(9500..10_000));
        assert_eq!(part("bytes=0-0", 10_000), Part::Bytes(0..1));
        assert_eq!(part("Bytes = 1-2", 10), Part::Bytes(1..3));
    }

    #[test]
    fn the_end_is_cut_at_the_end_of_the_file() {
        assert_eq!(part("bytes=0-262143", 100), Part::Bytes(0..100));
        assert_eq!(part("bytes=99-18446744073709551615", 100), Part::Bytes(99..100));
        assert_eq!(part("bytes=99-99999999999999999999999", 100), Part::Bytes(99..100));
    }

    #[test]
    fn suffixes_count_from_the_end() {
        assert_eq!(part("bytes=-500", 10_000), Part::Bytes(9500..10_000));
        assert_eq!(part("bytes=-262144", 100), Part::Bytes(0..100));
        assert_eq!(part("bytes=-1", 1), Part::Bytes(0..1));
    }

    #[test]
    fn outside_the_file_is_unsatisfiable() {
        for (range, length) in [("bytes=100-", 100), ("bytes=100-200", 100), ("bytes=-0", 100), ("bytes=0-", 0)] {
            assert_eq!(part(range, length), Part::Unsatisfiable, "{range}");
        }
        assert_eq!(part("bytes=-5", 0), Part::Unsatisfiable);
        assert_eq!(part("bytes=99999999999999999999999-", 100), Part::Unsatisfiable);
    }

    #[test]
    fn what_is_no_single_range_gets_the_whole() {
        for range in ["bytes=5-4", "bytes=", "bytes=-", "bytes=a-b", "lines=0-1", "bytes=0-1,5-6", "0-1", "bytes=+1-2"]
        {
            assert_eq!(part(range, 100), Part::Whole, "{range}");
        }
    }
}
