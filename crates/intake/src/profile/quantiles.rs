//! Quantiles of a stream in about 25 KiB: a KLL sketch.
//!
//! Values lie in levels; a value on level `n` stands for `2^n` values. A level that is full is sorted and every other
//! value goes one level up (Karnin, Lang, Liberty, "Optimal quantile approximation in streams", 2016). The rank of an
//! answer is off by less than 0.5 % of the count in 99 of 100 sketches; below [`TOP_CAPACITY`] values it is exact.

use super::convert::{count, float_of_count, whole};

/// Values that the highest level holds before it is compacted.
const TOP_CAPACITY: usize = 1_024;
/// Values that the lowest levels hold at least: sorting fewer at a time costs more than it saves.
const FLOOR_CAPACITY: usize = 64;

/// The sketch. The coin that decides which half of a level goes up is a seeded generator: same data, same profile.
#[derive(Clone, Debug)]
pub(super) struct Quantiles {
    levels: Vec<Vec<f64>>,
    coin: u64,
}

impl Quantiles {
    pub(super) fn new() -> Self {
        Self { levels: vec![Vec::new()], coin: 0x9e37_79b9_7f4a_7c15 }
    }

    /// Adds one value, which is not NaN.
    pub(super) fn add(&mut self, value: f64) {
        let capacity = self.capacity(0);
        if let Some(level) = self.levels.first_mut() {
            level.push(value);
            if level.len() < capacity {
                return;
            }
        }
        self.compact();
    }

    /// Adds a value that came `weight` times.
    pub(super) fn add_weighted(&mut self, value: f64, weight: u64) {
        let mut rest = weight;
        let mut height = 0;
        while rest > 0 {
            if self.levels.len() <= height {
                self.levels.push(Vec::new());
            }
            if rest & 1 == 1
                && let Some(level) = self.levels.get_mut(height)
            {
                level.push(value);
            }
            rest >>= 1;
            height += 1;
        }
        self.compact();
    }

    /// The values that are left with the number of values that each stands for, in ascending order.
    pub(super) fn weighted(&self) -> Vec<(f64, u64)> {
        let mut values = Vec::new();
        for (height, level) in (0_u32..).zip(&self.levels) {
            values.extend(level.iter().map(|value| (*value, 1_u64 << height.min(63))));
        }
        values.sort_unstable_by(|(left, _), (right, _)| left.total_cmp(right));
        values
    }

    /// A third less for each level below the highest.
    fn capacity(&self, height: usize) -> usize {
        let mut capacity = TOP_CAPACITY;
        for _ in height + 1..self.levels.len() {
            capacity = capacity * 2 / 3;
        }
        capacity.max(FLOOR_CAPACITY)
    }

    fn compact(&mut self) {
        let mut height = 0;
        while height < self.levels.len() {
            let capacity = self.capacity(height);
            let full = self.levels.get(height).is_some_and(|level| level.len() >= capacity);
            if full {
                if height + 1 == self.levels.len() {
                    self.levels.push(Vec::new());
                }
                let skip = self.flip();
                if let Some([level, above]) = self.levels.get_mut(height..height + 2) {
                    level.sort_unstable_by(f64::total_cmp);
                    // An odd one out stays, so that every value that is left stands for a whole number of values.
                    let odd = if level.len() % 2 == 1 { level.pop() } else { None };
                    above.extend(level.iter().skip(skip).step_by(2));
                    level.clear();
                    level.extend(odd);
                }
            }
            height += 1;
        }
    }

    fn flip(&mut self) -> usize {
        self.coin ^= self.coin << 13;
        self.coin ^= self.coin >> 7;
        self.coin ^= self.coin << 17;
        usize::from(self.coin & 1 == 1)
    }
}

/// The values at these shares of the count: each is the smallest value with at least that share at or below it.
pub(super) fn quantiles_of(sorted: &[(f64, u64)], shares: &[f64]) -> Vec<f64> {
    let total: u64 = sorted.iter().map(|(_, weight)| *weight).sum();
    let at = |share: f64| {
        let rank = whole((share * float_of_count(total)).ceil()).max(1);
        let mut below = 0;
        sorted.iter().find(|(_, weight)| {
            below += weight;
            below >= rank
        })
    };
    shares.iter().filter_map(|share| at(*share)).map(|(value, _)| *value).collect()
}

/// How many values fall into each of `bins` bins of equal width between the ends, the upper end included.
pub(super) fn histogram_of(sorted: &[(f64, u64)], ends: (f64, f64), bins: usize) -> Vec<u64> {
    let width = ends.1 - ends.0;
    if sorted.is_empty() || !width.is_finite() || width < 0.0 {
        return Vec::new();
    }
    let mut histogram = vec![0; bins];
    for (value, weight) in sorted {
        let place = if width > 0.0 { (value - ends.0) / width * float_of_count(count(bins)) } else { 0.0 };
        let bin = usize::try_from(whole(place)).unwrap_or(bins).min(bins.saturating_sub(1));
        if let Some(counter) = histogram.get_mut(bin) {
            *counter += weight;
        }
    }
    histogram
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rank_error(values: &mut [f64], share: f64, found: f64) -> f64 {
        values.sort_unstable_by(f64::total_cmp);
        let total = float_of_count(count(values.len()));
        let below = float_of_count(count(values.partition_point(|value| *value < found))) / total;
        let to = float_of_count(count(values.partition_point(|value| *value <= found))) / total;
        if share < below { below - share } else { (share - to).max(0.0) }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn ranks_are_within_one_percent(seed in any::<u64>(), length in 1_usize..25_000, spread in 1_u64..1_000_000) {
            let mut state = seed | 1;
            let mut values = Vec::new();
            let mut sketch = Quantiles::new();
            for _ in 0..length {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let value = float_of_count((state >> 33) % spread).sqrt();
                values.push(value);
                sketch.add(value);
            }
            let weighted = sketch.weighted();
            prop_assert_eq!(weighted.iter().map(|(_, weight)| weight).sum::<u64>(), count(length));
            for share in [0.05, 0.25, 0.5, 0.75, 0.95] {
                let found = quantiles_of(&weighted, &[share])[0];
                let error = rank_error(&mut values, share, found);
                prop_assert!(error <= 0.01 + 1.0 / float_of_count(count(length)), "{} at {}", error, share);
            }
        }
    }

    #[test]
    fn few_values_are_exact_and_weights_count() {
        let mut sketch = Quantiles::new();
        for value in 1..=100_i32 {
            sketch.add(f64::from(value));
        }
        assert_eq!(quantiles_of(&sketch.weighted(), &[0.05, 0.5, 1.0]), [5.0, 50.0, 100.0]);
        let mut weighted = Quantiles::new();
        weighted.add_weighted(1.0, 1_000_000);
        weighted.add_weighted(2.0, 1_000_001);
        assert_eq!(quantiles_of(&weighted.weighted(), &[0.4, 0.5, 0.6]), [1.0, 2.0, 2.0]);
        assert_eq!(histogram_of(&weighted.weighted(), (1.0, 2.0), 2), [1_000_000, 1_000_001]);
        assert_eq!(histogram_of(&[(5.0, 3)], (5.0, 5.0), 3), [3, 0, 0]);
    }
}
