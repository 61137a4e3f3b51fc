//! Two versions of a table, row by row: what was added, removed and changed, at any size. Runs in a reader.
//!
//! ```text
//! files ─▶ columns in common, in one type ─▶ bytes that compare as the rows do, the key first ─▶ sorted, spilling
//!                                                                  both in step: key by key ─▶ counts, first rows of each kind
//! ```
//!
//! The order of rows and of columns says nothing. NaN is NaN, null is null, and -0.0 is 0.0.

use std::cmp::Ordering;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Float64Array, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float32Type, Float64Type, SchemaRef, TimeUnit};
use arrow_row::{RowConverter, SortField};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use portico_model::limits::IntakeLimits;
use serde::{Deserialize, Serialize};

use crate::compare::tally::Tally;
use crate::difference::RowDifference;
use crate::error::PublishError;
use crate::ordered::{Gathering, Ordered, OrderedRow};

mod tally;
#[cfg(test)]
mod tests;

/// Rows of a batch at most.
const BATCH_ROWS: usize = 8_192;
/// Bytes of a batch, about: rows may be wide.
const BATCH_BYTES: u64 = 8 * 1024 * 1024;

/// What is to be compared.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Comparison {
    /// Names of the current version's files in the scratch directory.
    pub(crate) before: Vec<String>,
    /// Names of the revision's.
    pub(crate) after: Vec<String>,
    /// The columns to compare, by name, in the types in which they are; those of the key first.
    pub(crate) schema: SchemaRef,
    /// How many columns the key has; without one rows are told apart by all their values.
    pub(crate) key: usize,
}

/// The type in which values of two types are compared; `None` where they are not comparable.
pub(crate) fn in_common(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType::{Date32, Date64, Decimal128, Float16, Float32, Float64, Timestamp, Utf8};
    if left == right {
        return Some(left.clone());
    }
    if left.is_numeric() && right.is_numeric() {
        let float = |data_type: &DataType| matches!(data_type, Float16 | Float32 | Float64);
        if float(left) || float(right) {
            return Some(Float64);
        }
        let ((whole, scale), (other_whole, other_scale)) = (digits(left), digits(right));
        let (whole, scale) = (whole.max(other_whole), scale.max(other_scale));
        let fits = whole.checked_add(scale).is_some_and(|all| all <= 38);
        return if fits { Some(Decimal128(38, i8::try_from(scale).ok()?)) } else { Some(Float64) };
    }
    let moment = |data_type: &DataType| matches!(data_type, Date32 | Date64 | Timestamp(..));
    if moment(left) && moment(right) {
        return Some(Timestamp(TimeUnit::Microsecond, Some("UTC".into())));
    }
    let spelt = |data_type: &DataType| !data_type.is_binary() && !data_type.is_nested();
    (spelt(left) && spelt(right)).then_some(Utf8)
}

/// Digits before and after the decimal mark.
fn digits(data_type: &DataType) -> (u8, u8) {
    match data_type {
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => {
            let scale = u8::try_from(*scale).unwrap_or(0);
            (precision.saturating_sub(scale), scale)
        }
        _ => (20, 0),
    }
}

/// Compares; the files lie in `scratch`, and what has to be spilled does, too.
pub(crate) fn compare(
    comparison: &Comparison,
    limits: &IntakeLimits,
    scratch: &Path,
) -> Result<RowDifference, PublishError> {
    // A quarter for the rows of each side while they are sorted, the rest for what is read and decoded.
    let quarter = usize::try_from(limits.memory_bytes / 4).unwrap_or(usize::MAX);
    let before = gather(comparison, &comparison.before, Gathering::new(quarter, scratch), scratch)?;
    let after = gather(comparison, &comparison.after, Gathering::new(quarter, scratch), scratch)?;
    let mut tally = Tally::new(comparison, limits)?;
    if comparison.key == 0 {
        unkeyed(before, after, &mut tally)?
    } else {
        keyed(before, after, &mut tally)?
    }
    tally.finish()
}

fn gather(
    comparison: &Comparison,
    files: &[String],
    mut gathering: Gathering,
    scratch: &Path,
) -> Result<Ordered, PublishError> {
    let whole = converter(&comparison.schema, comparison.schema.fields().len())?;
    let keys = (comparison.key > 0).then(|| converter(&comparison.schema, comparison.key)).transpose()?;
    for name in files {
        let open = ParquetRecordBatchReaderBuilder::try_new(File::open(scratch.join(name))?)?;
        let mut places = Vec::with_capacity(comparison.schema.fields().len());
        for field in comparison.schema.fields() {
            places.push(open.schema().index_of(field.name())?);
        }
        let wanted = ProjectionMask::roots(open.parquet_schema(), places);
        let rows = batch_rows(&open);
        for batch in open.with_projection(wanted).with_batch_size(rows).build()? {
            let columns = as_compared(&batch?, &comparison.schema)?;
            let rows = whole.convert_columns(&columns)?;
            let keyed = match &keys {
                Some(keys) => Some(keys.convert_columns(columns.get(..comparison.key).unwrap_or_default())?),
                None => None,
            };
            for (place, row) in rows.iter().enumerate() {
                let key = keyed.as_ref().map_or(0, |keys| keys.row(place).data().len());
                gathering.push(row.data(), key)?;
            }
        }
    }
    Ok(gathering.finish()?)
}

/// Rows at once: as many as are some megabytes, by what the file says of itself.
fn batch_rows(open: &ParquetRecordBatchReaderBuilder<File>) -> usize {
    let groups = open.metadata().row_groups();
    let widest = groups.iter().filter_map(|group| {
        let (bytes, rows) = (u64::try_from(group.total_byte_size()).ok()?, u64::try_from(group.num_rows()).ok()?);
        bytes.checked_div(rows)
    });
    let widest = widest.max().unwrap_or(1).max(1);
    usize::try_from(BATCH_BYTES / widest).unwrap_or(BATCH_ROWS).clamp(1, BATCH_ROWS)
}

/// A converter of the first columns of a schema.
fn converter(schema: &SchemaRef, columns: usize) -> Result<RowConverter, PublishError> {
    let fields = schema.fields().iter().take(columns).map(|field| SortField::new(field.data_type().clone()));
    Ok(RowConverter::new(fields.collect())?)
}

/// The columns of a batch in the order, the types and the spelling in which they are compared.
fn as_compared(batch: &RecordBatch, schema: &SchemaRef) -> Result<Vec<ArrayRef>, PublishError> {
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let column = batch.column(batch.schema().index_of(field.name())?);
        let column = if column.data_type() == field.data_type() {
            Arc::clone(column)
        } else {
            // A value that the other type does not hold is an error, rather than a null that is taken for one.
            let options = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(column, field.data_type(), &options)?
        };
        columns.push(plain_floats(&column));
    }
    Ok(columns)
}

/// Floats with one NaN and one zero.
fn plain_floats(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float64 => {
            let plain = |value: f64| if value.is_nan() { f64::NAN } else { value + 0.0 };
            let plain: Float64Array = column.as_primitive::<Float64Type>().unary(plain);
            Arc::new(plain)
        }
        DataType::Float32 => {
            let plain = |value: f32| if value.is_nan() { f32::NAN } else { value + 0.0 };
            let plain: Float32Array = column.as_primitive::<Float32Type>().unary(plain);
            Arc::new(plain)
        }
        _ => Arc::clone(column),
    }
}

/// Which of the two comes first; equal ones come together.
fn order(before: Option<&OrderedRow>, after: Option<&OrderedRow>) -> Option<Ordering> {
    match (before, after) {
        (None, None) => None,
        (Some(_), None) => Some(Ordering::Less),
        (None, Some(_)) => Some(Ordering::Greater),
        (Some(before), Some(after)) => Some(before.bytes.cmp(&after.bytes)),
    }
}

/// Rows are what their values are: as many of a kind as there were more before are removed.
fn unkeyed(mut before: Ordered, mut after: Ordered, tally: &mut Tally) -> Result<(), PublishError> {
    let (mut left, mut right) = (before.next()?, after.next()?);
    while let Some(order) = order(left.as_ref(), right.as_ref()) {
        match order {
            Ordering::Equal => tally.unchanged(),
            Ordering::Less => tally.removed(left.take()),
            Ordering::Greater => tally.added(right.take()),
        }
        if order.is_le() {
            left = before.next()?;
        }
        if order.is_ge() {
            right = after.next()?;
        }
    }
    Ok(())
}

/// The rows of one side that have one key.
#[derive(Default)]
struct SameKey {
    rows: u64,
    /// The first row that the other side has not.
    other: Option<OrderedRow>,
}

/// Key by key: where each side has one row of a key, it is the same row, changed or not. Where a key is repeated nobody can
/// say which row became which, and rows are added or removed.
fn keyed(mut before: Ordered, mut after: Ordered, tally: &mut Tally) -> Result<(), PublishError> {
    let (mut left, mut right) = (before.next()?, after.next()?);
    while let Some(key) = [&left, &right].into_iter().flatten().map(OrderedRow::key).min().map(<[u8]>::to_vec) {
        let (mut old, mut new) = (SameKey::default(), SameKey::default());
        let here = |row: &&OrderedRow| row.key() == key;
        while let Some(order) = order(left.as_ref().filter(here), right.as_ref().filter(here)) {
            if order.is_le() {
                old.rows += 1;
                let row = std::mem::replace(&mut left, before.next()?);
                match (order, &old.other) {
                    (Ordering::Equal, _) => tally.unchanged(),
                    (_, None) => old.other = row,
                    (_, Some(_)) => tally.removed(row),
                }
            }
            if order.is_ge() {
                new.rows += 1;
                let row = std::mem::replace(&mut right, after.next()?);
                match (order, &new.other) {
                    (Ordering::Equal, _) => {}
                    (_, None) => new.other = row,
                    (_, Some(_)) => tally.added(row),
                }
            }
        }
        tally.repeated(old.rows > 1, new.rows > 1);
        match (old.other, new.other) {
            (Some(was), Some(is)) if old.rows == 1 && new.rows == 1 => tally.changed(was, is)?,
            (was, is) => {
                if was.is_some() {
                    tally.removed(was);
                }
                if is.is_some() {
                    tally.added(is);
                }
            }
        }
    }
    Ok(())
}
