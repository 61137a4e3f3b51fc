//! Which values come how often: exact while they are few, then the most frequent ones.

use std::cmp::Ordering;

use super::convert::{count, masked, position};
use super::distinct::Distinct;

/// Values that are kept once there are too many to count each.
const KEPT: usize = 4_096;
/// Values that may gather on top of [`KEPT`] before the rare ones are let go.
const GATHERED: usize = 2 * KEPT;

/// Counts of values by their hash.
///
/// While everything fits, counts are exact. From then on rare values are let go now and then (the method of Space-Saving
/// and lossy counting): `floor` is the most that any value that was let go can have come, and a value that comes again
/// starts anew. The number of different values is estimated from that moment on.
#[derive(Clone, Debug)]
pub(super) struct Frequencies<V> {
    /// One more than the position among the entries; 0 is free. A power of two, at most half full.
    slots: Vec<u32>,
    entries: Vec<Entry<V>>,
    floor: u64,
    distinct: Option<Distinct>,
    entries_max: usize,
    bytes: usize,
    bytes_max: usize,
}

#[derive(Clone, Debug)]
struct Entry<V> {
    hash: u64,
    /// At least as often as the value came.
    count: u64,
    /// How much too high `count` may be.
    over: u64,
    value: V,
    bytes: u32,
}

/// Bytes that one entry costs besides what its value points to.
const ENTRY_BYTES: usize = 64;

impl<V: Clone> Frequencies<V> {
    /// Counts that are exact while entries and what they point to stay within `bytes_max`.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            slots: vec![0; 64],
            entries: Vec::new(),
            floor: 0,
            distinct: None,
            entries_max: (bytes_max / ENTRY_BYTES).clamp(256, 65_536),
            bytes: 0,
            bytes_max,
        }
    }

    /// Counts a value that is known; false when it is not, and has to be inserted.
    pub(super) fn count(&mut self, hash: u64) -> bool {
        if let Some(distinct) = &mut self.distinct {
            distinct.add(hash);
        }
        let Ok(index) = self.find(hash) else { return false };
        if let Some(entry) = self.entries.get_mut(index) {
            entry.count += 1;
        }
        true
    }

    /// Whether the next insertion needs a call of [`Frequencies::shrink`] first.
    pub(super) fn is_full(&self) -> bool {
        let entries_max = if self.distinct.is_some() { GATHERED.min(self.entries_max) } else { self.entries_max };
        self.entries.len() >= entries_max || (self.bytes > self.bytes_max && self.entries.len() > 16)
    }

    /// Inserts a value that [`Frequencies::count`] did not know, which points to `bytes` bytes.
    pub(super) fn insert(&mut self, hash: u64, value: V, bytes: usize) {
        if self.entries.len() * 2 >= self.slots.len() {
            self.slots = vec![0; self.slots.len() * 2];
            self.fill_slots();
        }
        if let Err(slot) = self.find(hash) {
            let entry_bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            let entry = Entry { hash, count: self.floor + 1, over: self.floor, value, bytes: entry_bytes };
            self.entries.push(entry);
            self.bytes += bytes;
            self.occupy(slot, self.entries.len());
        }
    }

    /// Lets go of the rarer half of the values, and counts different values by estimate from here on.
    pub(super) fn shrink(&mut self) {
        if self.distinct.is_none() {
            let mut distinct = Distinct::new();
            self.entries.iter().for_each(|entry| distinct.add(entry.hash));
            self.distinct = Some(distinct);
        }
        let keep = KEPT.min(self.entries.len() / 2);
        let mut counts: Vec<u64> = self.entries.iter().map(|entry| entry.count).collect();
        let cut = counts.len().saturating_sub(keep + 1);
        let (_, threshold, _) = counts.select_nth_unstable(cut);
        let threshold = *threshold;
        self.floor = self.floor.max(threshold);
        self.entries.retain(|entry| entry.count > threshold);
        self.bytes = self.entries.iter().map(|entry| position(entry.bytes)).sum();
        self.slots = vec![0; (self.entries.len().max(GATHERED) * 4).next_power_of_two()];
        self.fill_slots();
    }

    /// Whether every value is there with its exact count.
    pub(super) fn is_exact(&self) -> bool {
        self.distinct.is_none()
    }

    /// How many different values came.
    pub(super) fn distinct(&self) -> u64 {
        self.distinct.as_ref().map_or(count(self.entries.len()), Distinct::estimate)
    }

    /// Values with the counts that are sure, in the order they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&V, u64)> {
        self.entries.iter().map(|entry| (&entry.value, entry.count - entry.over))
    }

    /// At most `limit` values that surely come more often than any that was let go, most frequent first, ties by `order`.
    /// Empty when there are more values than `limit` and each comes once: which of them are listed would mean nothing.
    pub(super) fn top(&self, limit: usize, order: impl Fn(&V, &V) -> Ordering) -> Vec<(&V, u64)> {
        let mut sure: Vec<(&V, u64)> = self.iter().filter(|(_, count)| *count > self.floor).collect();
        let once = sure.iter().all(|(_, count)| *count == 1);
        if once && sure.len() > limit {
            return Vec::new();
        }
        sure.sort_by(|(left, more), (right, less)| less.cmp(more).then_with(|| order(left, right)));
        sure.truncate(limit);
        sure
    }

    /// The entry of a hash, or the slot where it would go.
    fn find(&self, hash: u64) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        let mut slot = masked(hash) & mask;
        while let Some(occupant) = self.slots.get(slot).copied() {
            if occupant == 0 {
                return Err(slot);
            }
            let index = position(occupant - 1);
            if self.entries.get(index).is_some_and(|entry| entry.hash == hash) {
                return Ok(index);
            }
            slot = (slot + 1) & mask;
        }
        Err(slot)
    }

    fn fill_slots(&mut self) {
        for index in 0..self.entries.len() {
            let Some(hash) = self.entries.get(index).map(|entry| entry.hash) else { return };
            let mask = self.slots.len() - 1;
            let mut slot = masked(hash) & mask;
            while self.slots.get(slot).is_some_and(|occupant| *occupant != 0) {
                slot = (slot + 1) & mask;
            }
            self.occupy(slot, index + 1);
        }
    }

    fn occupy(&mut self, slot: usize, number: usize) {
        if let (Some(place), Ok(number)) = (self.slots.get_mut(slot), u32::try_from(number)) {
            *place = number;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::convert::{float_of_count, whole};
    use super::super::hash;
    use super::*;

    fn counted(values: &[u64], bytes_max: usize) -> Frequencies<u64> {
        let mut frequencies = Frequencies::new(bytes_max);
        for value in values {
            let hash = hash::of_bits(*value);
            if !frequencies.count(hash) {
                if frequencies.is_full() {
                    frequencies.shrink();
                }
                frequencies.insert(hash, *value, 0);
            }
        }
        frequencies
    }

    #[test]
    fn few_values_are_counted_exactly() {
        let values: Vec<u64> = (0..50_000).map(|number| number % 300).collect();
        let frequencies = counted(&values, 1 << 20);
        assert!(frequencies.is_exact());
        assert_eq!(frequencies.distinct(), 300);
        assert_eq!(frequencies.top(10, u64::cmp)[0].1, 167);
        assert!(counted(&[1, 2, 3], 1 << 20).top(2, u64::cmp).is_empty());
        assert_eq!(counted(&[1, 2, 3], 1 << 20).top(3, u64::cmp).len(), 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn frequent_values_survive_any_number_of_rare_ones(seed in any::<u64>(), heavy in 3_u64..25) {
            let mut state = seed | 1;
            let mut values = Vec::new();
            for _ in 0..40_000_u64 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let draw = state >> 33;
                // One value in `heavy` is one of three heavy ones; the rest are as good as unique.
                values.push(if draw % heavy == 0 { draw / heavy % 3 } else { state });
            }
            let frequencies = counted(&values, 2_048 * ENTRY_BYTES);
            prop_assert!(!frequencies.is_exact());
            let exact = |value: u64| count(values.iter().filter(|other| **other == value).count());
            let top = frequencies.top(3, u64::cmp);
            prop_assert_eq!(top.len(), 3);
            for (value, sure) in top {
                prop_assert!(*value < 3);
                prop_assert!(sure <= exact(*value) && sure * 10 >= exact(*value) * 9, "{} of {}", sure, exact(*value));
            }
            let mut different = values.clone();
            different.sort_unstable();
            different.dedup();
            let truth = float_of_count(count(different.len()));
            prop_assert!(frequencies.distinct().abs_diff(count(different.len())) <= whole(truth * 0.03));
        }
    }
}
