//! A batch in slices that are encoded into little, by what its rows hold and not by what they hold on average.

use std::ops::Range;

use arrow::array::{Array, AsArray, OffsetSizeTrait, RecordBatch};
use arrow::datatypes::{ArrowNativeType, DataType};

/// The slices of a batch, each with its bytes.
pub(super) struct Slices<'a> {
    batch: &'a RecordBatch,
    start: usize,
    most: usize,
}

/// Cuts a batch so that no slice of more than one row has more than `most` bytes.
pub(super) fn slices(batch: &RecordBatch, most: usize) -> Slices<'_> {
    Slices { batch, start: 0, most }
}

impl Iterator for Slices<'_> {
    type Item = (RecordBatch, usize);

    fn next(&mut self) -> Option<Self::Item> {
        let left = self.batch.num_rows().checked_sub(self.start).filter(|left| *left > 0)?;
        let bytes = |rows: usize| batch_bytes(self.batch, self.start..self.start + rows);
        let (mut fit, mut over) = (1, left);
        if bytes(left) <= self.most {
            fit = left;
        }
        while over > fit + 1 {
            let between = fit.midpoint(over);
            if bytes(between) <= self.most {
                fit = between;
            } else {
                over = between;
            }
        }
        let (slice, bytes) = (self.batch.slice(self.start, fit), bytes(fit));
        self.start += fit;
        Some((slice, bytes))
    }
}

fn batch_bytes(batch: &RecordBatch, rows: Range<usize>) -> usize {
    batch.columns().iter().fold(0_usize, |sum, column| sum.saturating_add(bytes_of(column.as_ref(), rows.clone())))
}

/// What some rows of an array take: of nested ones by their parts, which costs no look at each row.
fn bytes_of(array: &dyn Array, rows: Range<usize>) -> usize {
    let count = rows.len();
    let values = match array.data_type() {
        DataType::Null => return 0,
        DataType::Boolean => count.div_ceil(8),
        DataType::Utf8 => within(array.as_string::<i32>().value_offsets(), rows).len(),
        DataType::LargeUtf8 => within(array.as_string::<i64>().value_offsets(), rows).len(),
        DataType::Binary => within(array.as_binary::<i32>().value_offsets(), rows).len(),
        DataType::LargeBinary => within(array.as_binary::<i64>().value_offsets(), rows).len(),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            bytes_of(list.values(), within(list.value_offsets(), rows))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            bytes_of(list.values(), within(list.value_offsets(), rows))
        }
        DataType::Map(..) => {
            let map = array.as_map();
            bytes_of(map.entries(), within(map.value_offsets(), rows))
        }
        DataType::FixedSizeList(_, size) => {
            let size = size.as_usize();
            bytes_of(array.as_fixed_size_list().values(), rows.start * size..rows.end * size)
        }
        DataType::Struct(_) => {
            let parts = array.as_struct().columns().iter();
            parts.fold(0_usize, |sum, part| sum.saturating_add(bytes_of(part.as_ref(), rows.clone())))
        }
        DataType::FixedSizeBinary(size) => count.saturating_mul(size.as_usize()),
        other => match other.primitive_width() {
            Some(width) => count.saturating_mul(width),
            // No answer has another type. Should one have it, its rows count alike.
            None => array.get_array_memory_size().div_ceil(array.len().max(1)).saturating_mul(count),
        },
    };
    // An offset of four bytes, or part of one, and a bit that says whether there is a value.
    let around = count.saturating_mul(offset_bytes(array.data_type())).saturating_add(count.div_ceil(8));
    values.saturating_add(around)
}

const fn offset_bytes(data_type: &DataType) -> usize {
    match data_type {
        DataType::Utf8 | DataType::Binary | DataType::List(_) | DataType::Map(..) => 4,
        DataType::LargeUtf8 | DataType::LargeBinary | DataType::LargeList(_) => 8,
        _ => 0,
    }
}

/// What `rows` stand for among the values.
fn within<O: OffsetSizeTrait>(offsets: &[O], rows: Range<usize>) -> Range<usize> {
    let at = |row: usize| offsets.get(row).map_or(0, |offset| offset.as_usize());
    at(rows.start)..at(rows.end)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        ArrayRef, FixedSizeListArray, Int64Array, LargeListArray, ListArray, MapBuilder, StringArray, StringBuilder,
        StructArray,
    };
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::Field;

    use super::*;

    const MIB: usize = 1024 * 1024;

    fn batch(column: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter([("a", column)]).unwrap()
    }

    /// 8,192 texts of which the first 64 are long.
    fn skewed() -> StringArray {
        let long = "x".repeat(1_000_000);
        StringArray::from_iter_values((0..8_192).map(|row| if row < 64 { long.as_str() } else { "" }))
    }

    fn check(column: ArrayRef, slices_max: usize) {
        let name = column.data_type().to_string();
        // The cut is made in a batch that is part of another, too.
        for batch in [batch(column.clone()), batch(column.slice(3, column.len() - 3))] {
            let (mut rows, mut count) = (0, 0);
            for (slice, bytes) in slices(&batch, MIB) {
                assert_eq!(slice, batch.slice(rows, slice.num_rows()), "{name}");
                assert!(bytes <= MIB || slice.num_rows() == 1 && bytes < 2 * MIB, "{name} at {rows}: {bytes} bytes");
                rows += slice.num_rows();
                count += 1;
            }
            assert_eq!(rows, batch.num_rows(), "{name}");
            assert!(count <= slices_max, "{name}: {count} slices");
        }
    }

    fn item(data_type: DataType) -> Arc<Field> {
        Arc::new(Field::new("item", data_type, true))
    }

    #[test]
    fn long_rows_among_short_ones_are_alone() {
        check(Arc::new(skewed()), 66);
        let texts = skewed();
        let one_each = || OffsetBuffer::from_lengths(vec![1; 8_192]);
        check(Arc::new(ListArray::new(item(DataType::Utf8), one_each(), Arc::new(texts.clone()), None)), 66);
        let large = OffsetBuffer::<i64>::from_lengths(vec![1; 8_192]);
        check(Arc::new(LargeListArray::new(item(DataType::Utf8), large, Arc::new(texts.clone()), None)), 66);
        check(Arc::new(FixedSizeListArray::new(item(DataType::Utf8), 2, Arc::new(texts.clone()), None)), 66);
        let fields = vec![Field::new("t", DataType::Utf8, true)];
        check(Arc::new(StructArray::new(fields.into(), vec![Arc::new(texts)], None)), 66);
        let mut map = MapBuilder::new(None, StringBuilder::new(), StringBuilder::new());
        for text in skewed().iter() {
            map.keys().append_value("k");
            map.values().append_option(text);
            map.append(true).unwrap();
        }
        check(Arc::new(map.finish()), 66);
        // 64 lists of 100,000 numbers, then empty ones.
        let numbers = Int64Array::from(vec![1; 64 * 100_000]);
        let lengths = OffsetBuffer::from_lengths((0..8_192).map(|row| if row < 64 { 100_000 } else { 0 }));
        check(Arc::new(ListArray::new(item(DataType::Int64), lengths, Arc::new(numbers), None)), 66);
    }

    #[test]
    fn short_rows_stay_together() {
        check(Arc::new(Int64Array::from_iter_values(0..8_192)), 1);
        check(Arc::new(StringArray::from_iter_values((0..8_192).map(|_| "short"))), 1);
        check(Arc::new(Int64Array::from_iter_values(0..1_000_000)), 8);
        let (nothing, no_rows) = (arrow::array::NullArray::new(9), Int64Array::from(Vec::<i64>::new()));
        check(Arc::new(nothing), 1);
        assert_eq!(slices(&batch(Arc::new(no_rows)), MIB).count(), 0);
    }

    #[test]
    fn one_row_of_many_columns_has_the_bytes_of_all() {
        let long: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(MIB)]));
        let columns = (0..10).map(|column| (format!("c{column}"), long.clone()));
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let all = slices(&batch, MIB).map(|(slice, bytes)| (slice.num_rows(), bytes / MIB)).collect::<Vec<_>>();
        assert_eq!(all, [(1, 10)]);
    }
}
