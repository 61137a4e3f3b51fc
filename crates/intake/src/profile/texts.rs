//! The figures of a column of text, or of bytes.

use arrow::array::{BinaryArray, StringArray};
use portico_model::profile::ColumnProfile;

use super::frequencies::Frequencies;
use super::{TEXT_CHARACTERS_MAX, TOP_VALUES_MAX, convert, hash};

/// Gathers the figures. Different values are told apart by hash; of long ones only the beginning is kept.
pub(super) struct Texts {
    frequencies: Frequencies<Box<str>>,
    smallest: Option<Box<str>>,
    largest: Option<Box<str>>,
    length_min: u64,
    length_max: u64,
}

impl Texts {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            frequencies: Frequencies::new(bytes_max),
            smallest: None,
            largest: None,
            length_min: u64::MAX,
            length_max: 0,
        }
    }

    /// Adds texts, and their hashes to `hashes`.
    pub(super) fn push(&mut self, array: &StringArray, hashes: &mut Vec<u64>) {
        for value in array {
            let Some(value) = value else {
                hashes.push(hash::NULL);
                continue;
            };
            let hash = hash::of_bytes(value.as_bytes(), 0);
            hashes.push(hash);
            if !self.frequencies.count(hash) {
                self.meet(hash, value);
            }
        }
    }

    /// Adds values of which only the number and the number of different ones matter.
    pub(super) fn push_bytes(&mut self, array: &BinaryArray, hashes: &mut Vec<u64>) {
        for value in array {
            let Some(value) = value else {
                hashes.push(hash::NULL);
                continue;
            };
            let hash = hash::of_bytes(value, 0);
            hashes.push(hash);
            if !self.frequencies.count(hash) {
                self.insert(hash, "");
            }
        }
    }

    /// A text that is not known, or not any more: only then can it change the smallest, the largest or the lengths.
    #[cold]
    fn meet(&mut self, hash: u64, value: &str) {
        let characters = convert::count(value.chars().count());
        self.length_min = self.length_min.min(characters);
        self.length_max = self.length_max.max(characters);
        if self.smallest.as_deref().is_none_or(|smallest| value < smallest) {
            self.smallest = Some(value.into());
        }
        if self.largest.as_deref().is_none_or(|largest| value > largest) {
            self.largest = Some(value.into());
        }
        self.insert(hash, value);
    }

    fn insert(&mut self, hash: u64, value: &str) {
        if self.frequencies.is_full() {
            self.frequencies.shrink();
        }
        let kept = cut(value);
        let bytes = kept.len();
        self.frequencies.insert(hash, kept, bytes);
    }

    pub(super) fn finish(self, profile: &mut ColumnProfile) {
        profile.distinct = self.frequencies.distinct();
        profile.distinct_exact = self.frequencies.is_exact();
        profile.min = self.smallest.as_deref().map(|value| cut(value).into());
        profile.max = self.largest.as_deref().map(|value| cut(value).into());
        if self.length_min <= self.length_max {
            profile.length_min = Some(self.length_min);
            profile.length_max = Some(self.length_max);
        }
        let top = self.frequencies.top(TOP_VALUES_MAX, Ord::cmp);
        profile.top_values = top.into_iter().map(|(value, count)| (value.to_string(), count)).collect();
    }

    pub(super) fn finish_bytes(self, profile: &mut ColumnProfile) {
        profile.distinct = self.frequencies.distinct();
        profile.distinct_exact = self.frequencies.is_exact();
    }
}

/// The beginning of a text, with `…` where something is left out.
fn cut(value: &str) -> Box<str> {
    match value.char_indices().nth(TEXT_CHARACTERS_MAX) {
        Some((end, _)) => {
            value.split_at_checked(end).map_or_else(|| value.into(), |(kept, _)| format!("{kept}…").into())
        }
        None => value.into(),
    }
}
