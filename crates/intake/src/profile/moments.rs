//! Mean and standard deviation of a stream, without the loss that sums of squares have.

use super::convert::{count, float_of_count};

/// Values gathered before they are merged: two plain loops over them run at full speed.
const BLOCK: usize = 1_024;

/// Chan's parallel form of Welford's algorithm over blocks.
#[derive(Clone, Debug, Default)]
pub(super) struct Moments {
    count: f64,
    mean: f64,
    squares: f64,
    block: Vec<f64>,
}

impl Moments {
    /// Adds one finite value.
    pub(super) fn add(&mut self, value: f64) {
        self.block.push(value);
        if self.block.len() >= BLOCK {
            self.merge_block();
        }
    }

    /// Adds a finite value that came `weight` times.
    pub(super) fn add_weighted(&mut self, value: f64, weight: u64) {
        self.merge(float_of_count(weight), value, 0.0);
    }

    /// Mean and population standard deviation, when there are values and both are finite.
    pub(super) fn finish(mut self) -> Option<(f64, f64)> {
        self.merge_block();
        let deviation = (self.squares / self.count).sqrt();
        (self.count > 0.0 && self.mean.is_finite() && deviation.is_finite()).then_some((self.mean, deviation))
    }

    fn merge_block(&mut self) {
        if self.block.is_empty() {
            return;
        }
        let length = float_of_count(count(self.block.len()));
        let mean = self.block.iter().sum::<f64>() / length;
        let squares = self.block.iter().map(|value| (value - mean).powi(2)).sum();
        self.block.clear();
        self.merge(length, mean, squares);
    }

    fn merge(&mut self, count: f64, mean: f64, squares: f64) {
        let total = self.count + count;
        let apart = mean - self.mean;
        self.mean += apart * (count / total);
        self.squares += squares + apart * apart * (self.count * count / total);
        self.count = total;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_offsets_do_not_swallow_the_deviation() {
        let mut moments = Moments::default();
        for value in 0..10_000_i32 {
            moments.add(1e12 + f64::from(value % 2));
        }
        moments.add_weighted(1e12, 5_000);
        moments.add_weighted(1e12 + 1.0, 5_000);
        let (mean, deviation) = moments.finish().unwrap();
        assert!((mean - 1e12 - 0.5).abs() < 1e-3 && (deviation - 0.5).abs() < 1e-4, "{mean} {deviation}");
        assert!(Moments::default().finish().is_none());
    }
}
