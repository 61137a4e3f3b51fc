//! Rows that repeat an earlier row, counted by the hashes of whole rows.

use std::collections::HashMap;

use super::convert::{count, masked};

/// Counts repeated hashes exactly while the different ones fit, then on a sample.
///
/// The sample is by hash (Wegman's adaptive sampling): at level `n` only hashes whose `n` low bits are zero are kept, and
/// what is found among them stands for `2^n` times as much. All copies of a row have one hash, so a table
/// without repeated rows counts 0 at any size.
#[derive(Clone, Debug)]
pub(super) struct Duplicates {
    /// Hashes, open addressing; 0 is free.
    slots: Vec<u64>,
    used: usize,
    slots_max: usize,
    level: u32,
    /// How often hashes came again.
    repeats: HashMap<u64, u64>,
}

impl Duplicates {
    pub(super) fn new(bytes_max: usize) -> Self {
        // The largest power of two of slots that fits; half of the memory is left for what repeats.
        let slots_max = ((bytes_max / 16).max(1_024) / 2 + 1).next_power_of_two();
        Self { slots: vec![0; 1_024], used: 0, slots_max, level: 0, repeats: HashMap::new() }
    }

    pub(super) fn add(&mut self, hash: u64) {
        if hash.trailing_zeros() < self.level {
            return;
        }
        // Bits above the sampled ones choose the slot; 0 is spelled as 1 << 63, which is sampled alike.
        let hash = if hash == 0 { 1 << 63 } else { hash };
        if self.insert(hash) {
            if self.used * 4 >= self.slots.len() * 3 {
                self.grow();
            }
        } else {
            *self.repeats.entry(hash).or_insert(0) += 1;
            // An entry of the map costs about as much as six slots.
            if self.repeats.len() * 12 > self.slots_max {
                self.sample();
            }
        }
    }

    /// Rows that repeat an earlier one, and whether that is exact.
    pub(super) fn finish(&self) -> (u64, bool) {
        let found: u64 = self.repeats.values().sum();
        (found << self.level.min(63), self.level == 0)
    }

    fn insert(&mut self, hash: u64) -> bool {
        let mask = self.slots.len() - 1;
        let mut slot = masked(hash >> 20) & mask;
        while let Some(place) = self.slots.get_mut(slot) {
            if *place == hash {
                return false;
            }
            if *place == 0 {
                *place = hash;
                self.used += 1;
                return true;
            }
            slot = (slot + 1) & mask;
        }
        false
    }

    fn grow(&mut self) {
        if self.slots.len() >= self.slots_max {
            self.sample();
        } else {
            self.rebuild(self.slots.len() * 2);
        }
    }

    fn sample(&mut self) {
        self.level += 1;
        let level = self.level;
        self.repeats.retain(|hash, _| hash.trailing_zeros() >= level);
        self.rebuild(self.slots.len());
    }

    fn rebuild(&mut self, length: usize) {
        let before = std::mem::replace(&mut self.slots, vec![0; length]);
        self.used = 0;
        for hash in before {
            if hash != 0 && hash.trailing_zeros() >= self.level {
                self.insert(hash);
            }
        }
        debug_assert!(count(self.used) <= count(length));
    }
}

#[cfg(test)]
mod tests {
    use super::super::hash;
    use super::*;

    fn duplicates(rows: impl Iterator<Item = u64>, bytes_max: usize) -> (u64, bool) {
        let mut duplicates = Duplicates::new(bytes_max);
        rows.for_each(|row| duplicates.add(hash::of_bits(row)));
        duplicates.finish()
    }

    #[test]
    fn repeats_are_counted_exactly_while_rows_fit() {
        assert_eq!(duplicates(0..10_000, 1 << 20), (0, true));
        assert_eq!(duplicates((0..10_000).map(|row| row % 10), 1 << 20), (9_990, true));
        assert_eq!(duplicates((0..10_000).map(|row| row / 2), 1 << 20), (5_000, true));
    }

    #[test]
    fn beyond_the_bound_repeats_are_estimated_and_none_stay_none() {
        assert_eq!(duplicates(0..200_000, 64 << 10), (0, false));
        let (estimate, exact) = duplicates((0..200_000).map(|row| row % 150_000), 256 << 10);
        assert!(!exact && estimate.abs_diff(50_000) < 5_000, "{estimate}");
    }
}
