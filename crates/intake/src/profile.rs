//! Profiles: what the columns of a table hold, in figures, from every row, in bounded memory.
//!
//! ```text
//! batch ─▶ per column: hash of each value ─┬▶ frequencies: exact while few; then most frequent ones
//!                                          │   and, from then on, estimates: different values (HyperLogLog),
//!                                          │   quantiles and histogram (KLL), mean and deviation (exact)
//!                                          └▶ joined over the columns ─▶ hashes of rows ─▶ repeated rows
//! ```
//!
//! A column with few different values (up to 65,536 where memory allows) costs one look-up a value, and all its figures
//! are exact. Past that, `distinct` is an estimate (standard error 0.8 %) with `distinct_exact` false, quantiles and
//! histogram are estimates (ranks within about 0.5 %), and the most frequent values are listed with the count that is
//! sure; nulls, smallest, largest, mean, deviation and lengths stay exact.
//!
//! Quantiles are in the column's own unit: numbers as they are, dates in days and times and timestamps in microseconds
//! since 1970-01-01 (or midnight). Values that JSON cannot hold (NaN, infinities) count as values and are left out of
//! mean, deviation, quantiles and histogram.

use arrow::array::RecordBatch;
use arrow_schema::Schema;
use portico_model::profile::TableProfile;

use column::Column;
use duplicates::Duplicates;

mod column;
pub(crate) mod convert;
mod distinct;
mod duplicates;
mod frequencies;
pub(crate) mod hash;
mod moments;
mod numbers;
pub(crate) mod print;
mod quantiles;
mod texts;

/// Most frequent values that a profile lists.
pub const TOP_VALUES_MAX: usize = 10;
/// Bins of a histogram.
pub const HISTOGRAM_BINS: usize = 10;
/// The shares of the count at which quantiles are given.
pub const QUANTILES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];
/// Characters of a text that a profile shows; what is cut ends in `…`.
pub const TEXT_CHARACTERS_MAX: usize = 100;

/// Builds a [`TableProfile`] from batches.
///
/// ```
/// use std::sync::Arc;
/// use arrow::array::{ArrayRef, Int64Array, RecordBatch};
/// use portico_intake::profile::Profiler;
///
/// let column: ArrayRef = Arc::new(Int64Array::from(vec![Some(3), None, Some(5), Some(3)]));
/// let batch = RecordBatch::try_from_iter([("n", column)]).unwrap();
/// let mut profiler = Profiler::new(&batch.schema(), 16 << 20);
/// profiler.push(&batch);
/// let profile = profiler.finish();
/// assert_eq!((profile.rows, profile.duplicate_rows), (4, 1));
/// assert_eq!((profile.columns[0].nulls, profile.columns[0].distinct), (1, 2));
/// ```
pub struct Profiler {
    columns: Vec<Column>,
    duplicates: Duplicates,
    rows: u64,
    /// Hashes of the rows of the current batch, kept to be filled again.
    row_hashes: Vec<u64>,
    value_hashes: Vec<u64>,
}

impl Profiler {
    /// A profiler of tables with this schema, that takes about `memory_bytes` of memory: half for repeated rows, half for the
    /// columns (at least some 64 KiB each).
    #[must_use]
    pub fn new(schema: &Schema, memory_bytes: u64) -> Self {
        let half = usize::try_from(memory_bytes / 2).unwrap_or(usize::MAX);
        let each = half / schema.fields().len().max(1);
        Self {
            columns: schema.fields().iter().map(|field| Column::new(field, each)).collect(),
            duplicates: Duplicates::new(half),
            rows: 0,
            row_hashes: Vec::new(),
            value_hashes: Vec::new(),
        }
    }

    /// Adds the rows of one batch of the schema.
    pub fn push(&mut self, batch: &RecordBatch) {
        self.rows += convert::count(batch.num_rows());
        self.row_hashes.clear();
        self.row_hashes.resize(batch.num_rows(), 0);
        for (column, array) in self.columns.iter_mut().zip(batch.columns()) {
            self.value_hashes.clear();
            column.push(array, &mut self.value_hashes);
            for (row, value) in self.row_hashes.iter_mut().zip(&self.value_hashes) {
                *row = hash::join(*row, *value);
            }
        }
        for row in &self.row_hashes {
            self.duplicates.add(*row);
        }
    }

    /// The figures of all rows.
    #[must_use]
    pub fn finish(self) -> TableProfile {
        let (duplicate_rows, duplicate_rows_exact) = self.duplicates.finish();
        TableProfile {
            rows: self.rows,
            duplicate_rows,
            duplicate_rows_exact,
            columns: self.columns.into_iter().map(Column::finish).collect(),
            groups: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests;
