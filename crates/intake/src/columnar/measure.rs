//! How large a part of a batch becomes when every value is spelled out.
//!
//! Dictionaries, runs, views and lists of lists may stand for far more than they take: a file of a kilobyte for
//! terabytes. What they stand for is counted before anything spells it out.

use arrow::array::types::{Int16Type, Int32Type, Int64Type, RunEndIndexType};
use arrow::array::{Array, AsArray, GenericListArray, OffsetSizeTrait};
use arrow::datatypes::DataType;
use arrow::record_batch::RecordBatch;

use crate::cell::wide;

/// The longest part of the batch from row `from` on that has at most `rows_max` rows and spells out to at most
/// `bytes_max`, found by halving, with those bytes. A single row may be longer.
pub(super) fn part(batch: &RecordBatch, from: usize, rows_max: usize, bytes_max: u64) -> (usize, u64) {
    let mut rows = batch.num_rows().saturating_sub(from).min(rows_max);
    loop {
        let mut bytes = wide(rows);
        for column in batch.columns() {
            if bytes > bytes_max {
                break;
            }
            bytes = bytes.saturating_add(spelled(column.as_ref(), from, rows, bytes_max));
        }
        if bytes <= bytes_max || rows <= 1 {
            return (rows, bytes);
        }
        rows /= 2;
    }
}

/// Bytes of so many values, or somewhat more than `max` where they are more: then counting ends early.
fn spelled(array: &dyn Array, from: usize, rows: usize, max: u64) -> u64 {
    let every = |width: usize| wide(width).saturating_mul(wide(rows));
    match array.data_type() {
        DataType::Null => wide(rows),
        DataType::Boolean => wide(rows),
        DataType::Utf8 => text(array.as_string::<i32>().value_offsets(), from, rows),
        DataType::LargeUtf8 => text(array.as_string::<i64>().value_offsets(), from, rows),
        DataType::Binary => text(array.as_binary::<i32>().value_offsets(), from, rows),
        DataType::LargeBinary => text(array.as_binary::<i64>().value_offsets(), from, rows),
        DataType::Utf8View => lengths(array.as_string_view().lengths(), from, rows),
        DataType::BinaryView => lengths(array.as_binary_view().lengths(), from, rows),
        DataType::FixedSizeBinary(width) => every(usize::try_from(*width).unwrap_or(0)),
        DataType::List(_) => list(array.as_list::<i32>(), from, rows, max),
        DataType::LargeList(_) => list(array.as_list::<i64>(), from, rows, max),
        DataType::Map(..) => {
            let map = array.as_map();
            let (first, last) = ends(map.value_offsets(), from, rows);
            wide(rows).saturating_add(spelled(map.entries(), first, last - first, max))
        }
        DataType::FixedSizeList(_, size) => {
            let size = usize::try_from(*size).unwrap_or(0);
            let values = array.as_fixed_size_list();
            let start = usize::try_from(values.value_offset(from)).unwrap_or(0);
            wide(rows).saturating_add(spelled(values.values().as_ref(), start, rows.saturating_mul(size), max))
        }
        DataType::Struct(_) => {
            let columns = array.as_struct().columns().iter();
            sum(columns.map(|column| spelled(column.as_ref(), from, rows, max)), max)
        }
        _ => one_by_one(array, from, rows, max)
            .unwrap_or_else(|| every(array.data_type().primitive_width().unwrap_or(16))),
    }
}

/// Types whose values may lie anywhere and more than once; `None` for the others.
fn one_by_one(array: &dyn Array, from: usize, rows: usize, max: u64) -> Option<u64> {
    let each = from..from + rows;
    let place = |place: i64| usize::try_from(place).unwrap_or(0);
    match array.data_type() {
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let (values, keys) = (dictionary.values(), dictionary.keys());
            let part = arrow::compute::cast(&keys.slice(from, rows), &DataType::Int64).ok()?;
            let keys = part.as_primitive::<Int64Type>().iter().flatten();
            Some(sum(keys.map(|key| spelled(values.as_ref(), place(key), 1, max)), max))
        }
        DataType::RunEndEncoded(ends, _) => Some(match ends.data_type() {
            DataType::Int16 => runs::<Int16Type>(array, from, rows, max),
            DataType::Int32 => runs::<Int32Type>(array, from, rows, max),
            _ => runs::<Int64Type>(array, from, rows, max),
        }),
        DataType::ListView(_) => {
            let views = array.as_list_view::<i32>();
            let one = |row: usize| -> Option<u64> {
                let (at, size) = (views.value_offsets().get(row), views.value_sizes().get(row));
                Some(spelled(views.values().as_ref(), place(i64::from(*at?)), place(i64::from(*size?)), max))
            };
            Some(sum(each.map(|row| one(row).unwrap_or(1)), max))
        }
        DataType::LargeListView(_) => {
            let views = array.as_list_view::<i64>();
            let one = |row: usize| -> Option<u64> {
                let (at, size) = (views.value_offsets().get(row), views.value_sizes().get(row));
                Some(spelled(views.values().as_ref(), place(*at?), place(*size?), max))
            };
            Some(sum(each.map(|row| one(row).unwrap_or(1)), max))
        }
        DataType::Union(..) => {
            let union = array.as_union();
            Some(sum(
                each.map(|row| spelled(union.child(union.type_id(row)).as_ref(), union.value_offset(row), 1, max)),
                max,
            ))
        }
        _ => None,
    }
}

/// Adds until there is more than `max`. Each value counts for a byte at least.
fn sum(parts: impl Iterator<Item = u64>, max: u64) -> u64 {
    let mut bytes = 0_u64;
    for part in parts {
        bytes = bytes.saturating_add(part.max(1));
        if bytes > max {
            break;
        }
    }
    bytes
}

fn ends<O: OffsetSizeTrait>(offsets: &[O], from: usize, rows: usize) -> (usize, usize) {
    let at = |row: usize| offsets.get(row).map_or(0, |offset| offset.as_usize());
    (at(from), at(from + rows).max(at(from)))
}

fn text<O: OffsetSizeTrait>(offsets: &[O], from: usize, rows: usize) -> u64 {
    let (first, last) = ends(offsets, from, rows);
    wide(last - first).saturating_add(wide(rows) * 4)
}

fn lengths(lengths: impl Iterator<Item = u32>, from: usize, rows: usize) -> u64 {
    lengths.skip(from).take(rows).map(|length| u64::from(length) + 4).sum()
}

fn list<O: OffsetSizeTrait>(lists: &GenericListArray<O>, from: usize, rows: usize, max: u64) -> u64 {
    let (first, last) = ends(lists.value_offsets(), from, rows);
    wide(rows).saturating_add(spelled(lists.values().as_ref(), first, last - first, max))
}

fn runs<R: RunEndIndexType>(array: &dyn Array, from: usize, rows: usize, max: u64) -> u64 {
    let Some(runs) = array.as_run_opt::<R>() else { return wide(rows) };
    let one = |row: usize| spelled(runs.values().as_ref(), runs.get_physical_index(row), 1, max);
    sum((from..from + rows).map(one), max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        ArrayRef, DictionaryArray, Int32Array, Int64Array, ListArray, NullArray, StringArray, StringViewArray,
    };
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::Field;
    use std::sync::Arc;

    fn check(array: ArrayRef, from: usize, rows: usize, expect: u64) {
        assert_eq!(spelled(array.as_ref(), from, rows, u64::MAX), expect, "{}", array.data_type());
    }

    #[test]
    fn values_count_as_often_as_they_stand_there() {
        check(Arc::new(Int64Array::from(vec![1, 2, 3])), 1, 2, 16);
        check(Arc::new(NullArray::new(1 << 40)), 0, 1 << 40, 1 << 40);
        check(Arc::new(StringArray::from(vec!["aa", "bbb", "c"])), 1, 2, 4 + 8);
        check(Arc::new(StringViewArray::from(vec!["aa", "bbb", "c"])), 1, 2, 4 + 8);
        let values: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(1000)]));
        let keys = Int32Array::from(vec![Some(0), None, Some(0)]);
        check(Arc::new(DictionaryArray::new(keys, values)), 0, 3, 2 * 1004);
        let inner: ArrayRef = Arc::new(StringArray::from(vec!["aaaa", "b", "cc"]));
        let field = Arc::new(Field::new("item", DataType::Utf8, true));
        let lists = ListArray::new(field, OffsetBuffer::from_lengths([2, 0, 1]), inner, None);
        check(Arc::new(lists), 0, 2, 2 + 5 + 8);
    }

    #[test]
    fn a_part_is_as_long_as_it_may_be() {
        let values: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(1000)]));
        let keys = Int32Array::from(vec![0; 4_096]);
        let array: ArrayRef = Arc::new(DictionaryArray::new(keys, values));
        let batch = RecordBatch::try_from_iter([("a", array)]).unwrap();
        let (rows, bytes) = part(&batch, 0, 8_192, 100_000);
        assert_eq!((rows, bytes), (64, 64 * 1005));
        assert_eq!(part(&batch, 4_095, 8_192, 10), (1, 1005));
        assert_eq!(part(&batch, 4_000, 8_192, u64::MAX).0, 96);
    }
}
