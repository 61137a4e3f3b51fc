//! A stable external sort of batches: runs in memory, spilled to disk as Arrow IPC, merged by row.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use arrow::array::{ArrayRef, RecordBatch, UInt32Array};
use arrow::compute::{concat_batches, interleave_record_batch, take_record_batch};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use arrow_row::{OwnedRow, RowConverter, Rows, SortField};
use arrow_schema::SortOptions;

/// Rows of a batch that leaves the sorter.
const BATCH_ROWS: usize = 8_192;

/// Ascending, nulls first: the order that manifests promise.
const ORDER: SortOptions = SortOptions { descending: false, nulls_first: true };

/// Sorts by the key columns, ascending with nulls first; rows with equal keys keep their order.
///
/// Holds at most about `memory_bytes` of batches at once; more is spilled to `scratch` as runs.
pub(crate) struct Sorter {
    schema: SchemaRef,
    key: Vec<usize>,
    memory_bytes: usize,
    scratch: PathBuf,
    buffered: Vec<RecordBatch>,
    buffered_bytes: usize,
    runs: Vec<PathBuf>,
}

impl Sorter {
    /// A sorter of rows of `schema` by the columns `key`; without key columns rows pass in their order.
    pub(crate) fn new(schema: SchemaRef, key: Vec<usize>, memory_bytes: usize, scratch: &Path) -> Self {
        let scratch = scratch.to_owned();
        Self { schema, key, memory_bytes, scratch, buffered: Vec::new(), buffered_bytes: 0, runs: Vec::new() }
    }

    /// Takes a batch. Without a key it is handed to `emit` at once.
    pub(crate) fn push<E: From<ArrowError>>(
        &mut self,
        batch: RecordBatch,
        emit: &mut dyn FnMut(RecordBatch) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.key.is_empty() {
            return emit(batch);
        }
        self.buffered_bytes += batch.get_array_memory_size();
        self.buffered.push(batch);
        // Sorting needs the rows, a concatenated copy and the sorted output: a third each.
        if self.buffered_bytes > self.memory_bytes / 3 {
            self.spill()?;
        }
        Ok(())
    }

    /// Hands all rows to `emit` in order.
    pub(crate) fn finish<E: From<ArrowError>>(
        mut self,
        emit: &mut dyn FnMut(RecordBatch) -> Result<(), E>,
    ) -> Result<(), E> {
        if self.runs.is_empty() {
            let Some(sorted) = self.sort_buffered()? else { return Ok(()) };
            for start in (0..sorted.num_rows()).step_by(BATCH_ROWS) {
                emit(sorted.slice(start, BATCH_ROWS.min(sorted.num_rows() - start)))?;
            }
            return Ok(());
        }
        self.spill()?;
        self.merge(emit)
    }

    fn spill(&mut self) -> Result<(), ArrowError> {
        let Some(sorted) = self.sort_buffered()? else { return Ok(()) };
        let path = self.scratch.join(format!("run-{}.arrow", self.runs.len()));
        let mut writer = StreamWriter::try_new(BufWriter::new(File::create(&path)?), &self.schema)?;
        for start in (0..sorted.num_rows()).step_by(BATCH_ROWS) {
            writer.write(&sorted.slice(start, BATCH_ROWS.min(sorted.num_rows() - start)))?;
        }
        writer.finish()?;
        self.runs.push(path);
        Ok(())
    }

    fn sort_buffered(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        if self.buffered.is_empty() {
            return Ok(None);
        }
        let all = concat_batches(&self.schema, &self.buffered)?;
        self.buffered.clear();
        self.buffered_bytes = 0;
        let rows = self.converter()?.convert_columns(&self.key_columns(&all))?;
        let count = u32::try_from(all.num_rows())
            .map_err(|_| ArrowError::ComputeError("a sort run holds too many rows".to_owned()))?;
        let mut order: Vec<(arrow_row::Row<'_>, u32)> = rows.iter().zip(0..count).collect();
        if order.is_sorted() {
            return Ok(Some(all));
        }
        order.sort_unstable();
        let indices = UInt32Array::from_iter_values(order.into_iter().map(|(_, index)| index));
        take_record_batch(&all, &indices).map(Some)
    }

    fn merge<E: From<ArrowError>>(self, emit: &mut dyn FnMut(RecordBatch) -> Result<(), E>) -> Result<(), E> {
        let mut cursors = Vec::with_capacity(self.runs.len());
        let mut heap = BinaryHeap::with_capacity(self.runs.len());
        for (index, path) in self.runs.iter().enumerate() {
            let mut cursor = Cursor::open(path, &self)?;
            if let Some(row) = cursor.next_row(&self)? {
                heap.push(Reverse((row, index)));
            }
            cursors.push(cursor);
        }
        // Batches that rows of the output are taken from, and (batch, row) of each of those rows.
        let mut taken = Vec::with_capacity(BATCH_ROWS);
        while let Some(Reverse((_, index))) = heap.pop() {
            let Some(cursor) = cursors.get_mut(index) else { break };
            taken.push((index, cursor.position()));
            // The next batch of a run replaces the current one: what was taken from it must leave first.
            if taken.len() == BATCH_ROWS || cursor.at_last_row() {
                emit(gather(&cursors, &taken)?)?;
                taken.clear();
            }
            if let Some(row) = cursors.get_mut(index).map_or(Ok(None), |cursor| cursor.next_row(&self))? {
                heap.push(Reverse((row, index)));
            }
        }
        if taken.is_empty() { Ok(()) } else { emit(gather(&cursors, &taken)?) }
    }

    fn converter(&self) -> Result<RowConverter, ArrowError> {
        let fields = self
            .key
            .iter()
            .map(|&index| SortField::new_with_options(self.schema.field(index).data_type().clone(), ORDER))
            .collect();
        RowConverter::new(fields)
    }

    fn key_columns(&self, batch: &RecordBatch) -> Vec<ArrayRef> {
        self.key.iter().map(|&index| batch.column(index).clone()).collect()
    }
}

/// A run being read: its current batch with the keys of its rows.
struct Cursor {
    reader: StreamReader<BufReader<File>>,
    converter: RowConverter,
    batch: Option<(RecordBatch, Rows)>,
    /// One past the row that was handed out last.
    next: usize,
}

impl Cursor {
    fn open(path: &Path, sorter: &Sorter) -> Result<Self, ArrowError> {
        let reader = StreamReader::try_new(BufReader::new(File::open(path)?), None)?;
        Ok(Self { reader, converter: sorter.converter()?, batch: None, next: 0 })
    }

    /// The key of the next row, which becomes the current one.
    fn next_row(&mut self, sorter: &Sorter) -> Result<Option<OwnedRow>, ArrowError> {
        loop {
            if let Some((_, rows)) = &self.batch
                && self.next < rows.num_rows()
            {
                let row = rows.row(self.next).owned();
                self.next += 1;
                return Ok(Some(row));
            }
            let Some(batch) = self.reader.next().transpose()? else { return Ok(None) };
            let rows = self.converter.convert_columns(&sorter.key_columns(&batch))?;
            self.batch = Some((batch, rows));
            self.next = 0;
        }
    }

    fn position(&self) -> usize {
        self.next.saturating_sub(1)
    }

    fn at_last_row(&self) -> bool {
        self.batch.as_ref().is_none_or(|(_, rows)| self.next >= rows.num_rows())
    }
}

fn gather(cursors: &[Cursor], taken: &[(usize, usize)]) -> Result<RecordBatch, ArrowError> {
    // Only runs that rows were taken from: another run may not have a batch any more.
    let mut slots = vec![None; cursors.len()];
    let mut batches = Vec::new();
    let mut indices = Vec::with_capacity(taken.len());
    for &(run, row) in taken {
        let Some(slot) = slots.get_mut(run) else { continue };
        let place = match *slot {
            Some(place) => place,
            None => {
                let Some((batch, _)) = cursors.get(run).and_then(|cursor| cursor.batch.as_ref()) else { continue };
                batches.push(batch);
                *slot.insert(batches.len() - 1)
            }
        };
        indices.push((place, row));
    }
    interleave_record_batch(&batches, &indices)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, Int64Array};
    use arrow::datatypes::{DataType, Field, Int64Type, Schema};

    use super::*;

    fn sorted(keys: &[Option<i64>], batch_rows: usize, memory_bytes: usize) -> Vec<(Option<i64>, i64)> {
        let schema = Arc::new(Schema::new(vec![
            Field::new("key", DataType::Int64, true),
            Field::new("place", DataType::Int64, false),
        ]));
        let scratch = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(schema.clone(), vec![0], memory_bytes, scratch.path());
        let mut out = Vec::new();
        let mut emit = |batch: RecordBatch| -> Result<(), ArrowError> {
            let (key, place) =
                (batch.column(0).as_primitive::<Int64Type>(), batch.column(1).as_primitive::<Int64Type>());
            out.extend(key.iter().zip(place.values().iter().copied()));
            Ok(())
        };
        let mut place = 0;
        for chunk in keys.chunks(batch_rows) {
            let places: Vec<i64> = chunk
                .iter()
                .map(|_| {
                    place += 1;
                    place
                })
                .collect();
            let columns: Vec<ArrayRef> =
                vec![Arc::new(Int64Array::from(chunk.to_vec())), Arc::new(Int64Array::from(places))];
            sorter.push(RecordBatch::try_new(schema.clone(), columns).unwrap(), &mut emit).unwrap();
        }
        sorter.finish(&mut emit).unwrap();
        out
    }

    fn expected(keys: &[Option<i64>]) -> Vec<(Option<i64>, i64)> {
        let mut rows: Vec<_> = keys.iter().copied().zip(1..).collect();
        rows.sort_by_key(|&(key, _)| key);
        rows
    }

    #[test]
    fn spilled_runs_merge_into_the_same_order_as_memory() {
        let keys: Vec<Option<i64>> = (0..50_000_i64).map(|i| (i % 13 != 0).then_some((i * 7_919) % 1_000)).collect();
        let expect = expected(&keys);
        assert_eq!(sorted(&keys, 700, usize::MAX), expect);
        assert_eq!(sorted(&keys, 700, 300_000), expect);
        assert_eq!(sorted(&keys, 700, 1), expect);
    }

    #[test]
    fn nothing_sorts_to_nothing() {
        assert_eq!(sorted(&[], 10, 1), vec![]);
    }
}
