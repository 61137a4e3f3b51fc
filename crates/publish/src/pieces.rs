//! Rows as pieces of one size, however they come. A writer ends pages where a batch ends: if the rows and columns that are
//! left out decided that, the bytes of a released file would tell of them.

use arrow::array::{Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

/// Bytes that wait for more rows: wide rows leave in smaller pieces.
const WAITING_BYTES: usize = 16 * 1024 * 1024;

/// Rows that wait until there are enough of them.
pub(crate) struct Pieces {
    schema: SchemaRef,
    rows: usize,
    waiting: Vec<RecordBatch>,
    waiting_rows: usize,
    waiting_bytes: usize,
}

impl Pieces {
    /// Pieces of `rows` rows, at least one.
    pub(crate) fn new(schema: SchemaRef, rows: usize) -> Self {
        Self { schema, rows: rows.max(1), waiting: Vec::new(), waiting_rows: 0, waiting_bytes: 0 }
    }

    /// Takes a batch; answers the pieces that are complete with it.
    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<Vec<RecordBatch>, ArrowError> {
        let (mut complete, mut from) = (Vec::new(), 0);
        while from < batch.num_rows() {
            let count = (batch.num_rows() - from).min(self.rows - self.waiting_rows);
            let part = batch.slice(from, count);
            from += count;
            self.waiting_rows += count;
            if self.waiting_rows < self.rows {
                self.waiting_bytes += bytes_of(&part)?;
            }
            self.waiting.push(part);
            if self.waiting_rows == self.rows || self.waiting_bytes >= WAITING_BYTES {
                complete.extend(self.finish()?);
            }
        }
        Ok(complete)
    }

    /// What waits still.
    pub(crate) fn finish(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        (self.waiting_rows, self.waiting_bytes) = (0, 0);
        let waiting = std::mem::take(&mut self.waiting);
        match waiting.as_slice() {
            [] => Ok(None),
            // As it came, without a copy: so it is for nearly every batch.
            [one] => Ok(Some(one.clone())),
            several => concat_batches(&self.schema, several).map(Some),
        }
    }
}

/// Bytes of the rows themselves; what else their buffers hold does not count.
fn bytes_of(batch: &RecordBatch) -> Result<usize, ArrowError> {
    let sizes = batch.columns().iter().map(|column| column.to_data().get_slice_memory_size());
    sizes.sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

    use super::*;

    fn batch(from: usize, rows: usize, width: usize) -> RecordBatch {
        let texts = (from..from + rows).map(|row| format!("{row}{}", "x".repeat(width)));
        let column: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        RecordBatch::try_from_iter([("a", column)]).unwrap()
    }

    fn cut(lengths: &[usize], width: usize) -> Vec<RecordBatch> {
        let mut pieces = Pieces::new(batch(0, 0, 1).schema(), 8);
        let (mut all, mut from) = (Vec::new(), 0);
        for length in lengths {
            all.extend(pieces.push(&batch(from, *length, width)).unwrap());
            from += length;
        }
        all.extend(pieces.finish().unwrap());
        all
    }

    #[test]
    fn pieces_do_not_tell_how_the_rows_came() {
        let whole = cut(&[20], 3);
        assert_eq!(whole.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [8, 8, 4]);
        for lengths in [&[8, 8, 4][..], &[1; 20], &[3, 17], &[0, 19, 1], &[9, 0, 11]] {
            assert_eq!(cut(lengths, 3), whole, "{lengths:?}");
        }
        assert!(cut(&[], 3).is_empty());
    }

    #[test]
    fn wide_rows_do_not_wait_for_others() {
        let pieces = cut(&[1; 5], 6 * 1024 * 1024);
        assert_eq!(pieces.iter().map(RecordBatch::num_rows).collect::<Vec<_>>(), [3, 2]);
    }
}
