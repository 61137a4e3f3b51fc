//! Tables of counts: cells that are too small are suppressed, and with them as many others as it takes that nobody can
//! have them back by subtracting from a total.
//!
//! ```text
//!          2023  2024  all                2023  2024  all
//! North       3    40   43     k = 5      null  null   43     a line: the cells that one total is the sum of
//! South      50    60  110   ────────▶    null  null  110
//! all        53   100                       53   100
//! ```
//!
//! Totals are taken for known, whether the table has them or not. In each line no suppressed cell is alone, and the
//! suppressed ones together have k or more. Two dimensions are checked exactly: what all totals together determine is
//! suppressed further until they determine nothing. With more dimensions the lines are what is checked; sums over several
//! dimensions at once are not.

use std::collections::HashMap;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::Float64Type;
use arrow::row::{RowConverter, SortField};
use arrow_schema::{ArrowError, DataType, Schema};
use portico_model::finding::{Finding, Severity};

use crate::classes::{ClassError, emptied};
use crate::dictionary::{CountRules, means_column};
use crate::profile::convert::count;
use crate::screen::grouped;
use suppress::{Cell, Suppressed, suppress};

mod bridges;
mod suppress;

/// Cells of a table of counts: they are held in memory.
pub const CELLS_MAX: usize = 1_000_000;

/// The cells of one table of counts.
pub struct Counts {
    count: usize,
    also: Vec<usize>,
    by: Vec<usize>,
    k: u64,
    dimensions: Vec<Dimension>,
    cells: Vec<Cell>,
    too_many: bool,
}

/// The places of a dimension's values among each other.
struct Dimension {
    converter: RowConverter,
    values: HashMap<Box<[u8]>, u32>,
}

/// Which cells are suppressed.
pub struct SuppressedCells {
    columns: Vec<usize>,
    cells: Suppressed,
    too_many: bool,
}

impl Counts {
    /// For tables of this schema; `k` where the rules say none.
    ///
    /// # Errors
    /// The name of a column that the table does not have, or that holds no numbers.
    pub fn new(schema: &Schema, rules: &CountRules, k: u64) -> Result<Self, String> {
        let place = |name: &String| {
            let found = schema.fields().iter().position(|field| means_column(name, field));
            found.ok_or_else(|| name.clone())
        };
        let count = place(&rules.column)?;
        if !schema.field(count).data_type().is_numeric() {
            return Err(rules.column.clone());
        }
        let by = rules.by.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        let dimension = |place: &usize| {
            let converter = RowConverter::new(vec![SortField::new(schema.field(*place).data_type().clone())]);
            converter.map(|converter| Dimension { converter, values: HashMap::new() })
        };
        let dimensions =
            by.iter().map(dimension).collect::<Result<Vec<_>, ArrowError>>().map_err(|_| rules.column.clone())?;
        let also = rules.also.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { count, also, by, k: rules.k.unwrap_or(k).max(2), dimensions, cells: Vec::new(), too_many: false })
    }

    /// Adds rows.
    ///
    /// # Errors
    /// When the batch is not of the schema.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), ClassError> {
        self.too_many |= self.cells.len() + batch.num_rows() > CELLS_MAX;
        let Some(array) = batch.columns().get(self.count).filter(|_| !self.too_many) else { return Ok(()) };
        let numbers = cast(array, &DataType::Float64)?;
        let mut places: Vec<Vec<u32>> = vec![Vec::with_capacity(self.by.len()); batch.num_rows()];
        for (dimension, place) in self.dimensions.iter_mut().zip(&self.by) {
            let values: Vec<ArrayRef> = batch.columns().get(*place).cloned().into_iter().collect();
            let rows = dimension.converter.convert_columns(&values)?;
            for (row, places) in rows.iter().zip(&mut places) {
                let next = u32::try_from(dimension.values.len()).unwrap_or(u32::MAX);
                places.push(*dimension.values.entry(row.as_ref().into()).or_insert(next));
            }
        }
        for (number, places) in numbers.as_primitive::<Float64Type>().iter().zip(places) {
            self.cells.push(Cell { places, count: number });
        }
        Ok(())
    }

    /// Which cells have to be suppressed.
    #[must_use]
    pub fn finish(self) -> SuppressedCells {
        let columns = std::iter::once(self.count).chain(self.also).collect();
        SuppressedCells { columns, cells: suppress(&self.cells, self.by.len(), self.k), too_many: self.too_many }
    }
}

impl SuppressedCells {
    /// The rows without the cells that are suppressed; `first_row` is the number of the first of them, from 1.
    ///
    /// # Errors
    /// When the batch is not of the schema.
    pub fn apply(&self, batch: &RecordBatch, first_row: u64) -> Result<RecordBatch, ClassError> {
        let bit = |row: u64| {
            let place = usize::try_from(row.saturating_sub(1)).unwrap_or(usize::MAX);
            self.cells.hidden.get(place).copied().unwrap_or(false)
        };
        let hidden: BooleanArray = (first_row..).take(batch.num_rows()).map(|row| Some(bit(row))).collect();
        let mut arrays: Vec<ArrayRef> = batch.columns().to_vec();
        for place in &self.columns {
            if let Some(array) = arrays.get_mut(*place) {
                *array = emptied(array, &hidden)?;
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(batch.schema(), arrays, &options)?)
    }

    /// What was done, in counts.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        if self.too_many {
            let message = format!("The table of counts has more than {} cells: split it.", grouped(count(CELLS_MAX)));
            return vec![Finding::on_file("counts_unsuppressed", Severity::Blocking, message)];
        }
        let Suppressed { small, others, left, .. } = &self.cells;
        let mut findings = Vec::new();
        if *small + *others > 0 {
            let message = format!(
                "{} counts are too small and are suppressed, and {} others with them, since totals would give them away.",
                grouped(*small),
                grouped(*others)
            );
            findings.push(Finding {
                count: *small + *others,
                ..Finding::on_file("counts_suppressed", Severity::Info, message)
            });
        }
        if *left > 0 {
            let message = format!(
                "{} suppressed counts can be had back from totals, and there is no other count beside them to suppress: join \
                 rows of the table into larger ones.",
                grouped(*left)
            );
            findings
                .push(Finding { count: *left, ..Finding::on_file("counts_unsuppressed", Severity::Blocking, message) });
        }
        findings
    }
}

#[cfg(test)]
mod tests;
