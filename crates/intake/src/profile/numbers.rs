//! The figures of a column of numbers, days or moments.

use portico_model::profile::ColumnProfile;

use super::frequencies::Frequencies;
use super::moments::Moments;
use super::print::Print;
use super::quantiles::{Quantiles, histogram_of, quantiles_of};
use super::{HISTOGRAM_BINS, QUANTILES, TOP_VALUES_MAX, convert, hash};

/// A number that can be profiled.
pub(super) trait Number: Copy {
    fn hash(self) -> u64;
    fn real(self) -> f64;
    fn is_below(self, other: Self) -> bool;
    fn print(self, print: Print) -> String;
}

impl Number for i64 {
    fn hash(self) -> u64 {
        hash::of_bits(self.cast_unsigned())
    }
    fn real(self) -> f64 {
        convert::float(self)
    }
    fn is_below(self, other: Self) -> bool {
        self < other
    }
    fn print(self, print: Print) -> String {
        print.whole(self)
    }
}

impl Number for i128 {
    fn hash(self) -> u64 {
        hash::of_wide(self)
    }
    fn real(self) -> f64 {
        convert::float_of_wide(self)
    }
    fn is_below(self, other: Self) -> bool {
        self < other
    }
    fn print(self, print: Print) -> String {
        print.wide(self)
    }
}

impl Number for f64 {
    fn hash(self) -> u64 {
        // Both zeros are one value, and so are all NaN.
        let same = if self == 0.0 {
            0.0
        } else if self.is_nan() {
            Self::NAN
        } else {
            self
        };
        hash::of_bits(same.to_bits())
    }
    fn real(self) -> f64 {
        self
    }
    fn is_below(self, other: Self) -> bool {
        // NaN is never the smallest or largest while there is another value.
        self < other || (other.is_nan() && !self.is_nan())
    }
    fn print(self, print: Print) -> String {
        print.float(self)
    }
}

/// Gathers the figures.
pub(super) struct Numbers<N> {
    print: Print,
    frequencies: Frequencies<N>,
    ends: Option<(N, N)>,
    /// Made when there are too many different values to count each.
    sketch: Option<Sketch>,
}

struct Sketch {
    moments: Moments,
    quantiles: Quantiles,
}

impl Sketch {
    fn add(&mut self, value: f64) {
        if value.is_finite() {
            self.moments.add(value);
            self.quantiles.add(value);
        }
    }
}

impl<N: Number> Numbers<N> {
    pub(super) fn new(print: Print, bytes_max: usize) -> Self {
        Self { print, frequencies: Frequencies::new(bytes_max), ends: None, sketch: None }
    }

    /// Adds values, and their hashes to `hashes`.
    pub(super) fn push(&mut self, values: impl Iterator<Item = Option<N>>, hashes: &mut Vec<u64>) {
        for value in values {
            let Some(value) = value else {
                hashes.push(hash::NULL);
                continue;
            };
            let hash = value.hash();
            hashes.push(hash);
            if !self.frequencies.count(hash) {
                self.meet(hash, value);
            }
            if let Some(sketch) = &mut self.sketch {
                sketch.add(value.real());
            }
        }
    }

    /// A value that is not known, or not any more.
    #[cold]
    fn meet(&mut self, hash: u64, value: N) {
        self.ends = match self.ends {
            None => Some((value, value)),
            Some((smallest, largest)) => Some((
                if value.is_below(smallest) { value } else { smallest },
                if largest.is_below(value) || largest.real().is_nan() { value } else { largest },
            )),
        };
        if self.frequencies.is_full() {
            if self.sketch.is_none() {
                self.sketch = Some(self.sketch_so_far());
            }
            self.frequencies.shrink();
        }
        self.frequencies.insert(hash, value, 0);
    }

    fn sketch_so_far(&self) -> Sketch {
        let mut sketch = Sketch { moments: Moments::default(), quantiles: Quantiles::new() };
        for (value, count) in self.finite() {
            sketch.moments.add_weighted(value, count);
            sketch.quantiles.add_weighted(value, count);
        }
        sketch
    }

    fn finite(&self) -> impl Iterator<Item = (f64, u64)> {
        self.frequencies.iter().map(|(value, count)| (value.real(), count)).filter(|(value, _)| value.is_finite())
    }

    pub(super) fn finish(self, profile: &mut ColumnProfile) {
        profile.distinct = self.frequencies.distinct();
        profile.distinct_exact = self.frequencies.is_exact();
        profile.min = self.ends.map(|(smallest, _)| smallest.print(self.print));
        profile.max = self.ends.map(|(_, largest)| largest.print(self.print));
        let top = self.frequencies.top(TOP_VALUES_MAX, |left, right| left.real().total_cmp(&right.real()));
        profile.top_values = top.into_iter().map(|(value, count)| (value.print(self.print), count)).collect();
        let unit = self.print.unit();
        let numeric = matches!(self.print, Print::Whole | Print::Decimal(_) | Print::Float | Print::Single);
        let (sorted, moments) = match self.sketch {
            Some(sketch) => (sketch.quantiles.weighted(), sketch.moments),
            None => {
                let mut sorted: Vec<(f64, u64)> = self.finite().collect();
                sorted.sort_unstable_by(|(left, _), (right, _)| left.total_cmp(right));
                let mut moments = Moments::default();
                sorted.iter().for_each(|(value, count)| moments.add_weighted(*value, *count));
                (sorted, moments)
            }
        };
        profile.quantiles = quantiles_of(&sorted, &QUANTILES).into_iter().map(|value| value * unit).collect();
        if let (true, Some((mean, deviation))) = (numeric, moments.finish()) {
            profile.mean = Some(mean * unit);
            profile.std = Some(deviation * unit);
        }
        if let (true, Some((smallest, largest))) = (numeric, self.ends) {
            // Infinite ends have no bins; what is finite between them has none either.
            profile.histogram = histogram_of(&sorted, (smallest.real(), largest.real()), HISTOGRAM_BINS);
        }
    }
}
