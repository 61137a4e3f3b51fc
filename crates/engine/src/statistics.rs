//! The manifest's statistics in DataFusion's words: exact, so that counts and extremes need no reading.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::datatypes::{DataType, Schema, TimeUnit};
use datafusion::common::stats::Precision;
use datafusion::common::{ColumnStatistics, ScalarValue, Statistics};
use portico_model::manifest::{ReleasedFile, StatisticValue};

/// The statistics of one file, by the columns of `schema`.
pub(crate) fn of_file(file: &ReleasedFile, schema: &Schema) -> Statistics {
    let rows = count(file.rows);
    let columns = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(index, field)| match file.columns.get(index) {
            Some(column) => ColumnStatistics {
                null_count: Precision::Exact(count(column.nulls)),
                min_value: exact(column.min.as_ref(), field.data_type()),
                max_value: exact(column.max.as_ref(), field.data_type()),
                ..ColumnStatistics::new_unknown()
            },
            None => ColumnStatistics::new_unknown(),
        })
        .collect();
    Statistics { num_rows: Precision::Exact(rows), total_byte_size: Precision::Absent, column_statistics: columns }
}

/// The statistics of several files together.
pub(crate) fn merged(files: &[Arc<Statistics>], schema: &Schema) -> Statistics {
    let rows = files.iter().filter_map(|file| file.num_rows.get_value().copied()).sum::<usize>();
    let columns = (0..schema.fields().len()).map(|index| merged_column(files, index)).collect();
    Statistics { num_rows: Precision::Exact(rows), total_byte_size: Precision::Absent, column_statistics: columns }
}

fn merged_column(files: &[Arc<Statistics>], index: usize) -> ColumnStatistics {
    let mut merged = ColumnStatistics::new_unknown();
    let mut nulls = Some(0_usize);
    let mut extremes: Option<(ScalarValue, ScalarValue)> = None;
    let mut known = true;
    for file in files {
        let Some(column) = file.column_statistics.get(index) else { return merged };
        let file_nulls = column.null_count.get_value().copied();
        nulls = nulls.zip(file_nulls).map(|(sum, more)| sum + more);
        if file_nulls.is_some() && file_nulls == file.num_rows.get_value().copied() {
            // All null, or without rows: it has no extremes to give.
            continue;
        }
        match (column.min_value.get_value(), column.max_value.get_value()) {
            (Some(min), Some(max)) => {
                extremes = Some(match extremes {
                    None => (min.clone(), max.clone()),
                    Some((low, high)) => (lesser(low, min), greater(high, max)),
                });
            }
            _ => known = false,
        }
    }
    if let Some(nulls) = nulls {
        merged.null_count = Precision::Exact(nulls);
    }
    if let (true, Some((min, max))) = (known, extremes) {
        merged.min_value = Precision::Exact(min);
        merged.max_value = Precision::Exact(max);
    }
    merged
}

fn lesser(a: ScalarValue, b: &ScalarValue) -> ScalarValue {
    if b.partial_cmp(&a) == Some(Ordering::Less) { b.clone() } else { a }
}

fn greater(a: ScalarValue, b: &ScalarValue) -> ScalarValue {
    if b.partial_cmp(&a) == Some(Ordering::Greater) { b.clone() } else { a }
}

fn exact(value: Option<&StatisticValue>, data_type: &DataType) -> Precision<ScalarValue> {
    value.and_then(|value| scalar(value, data_type)).map_or(Precision::Absent, Precision::Exact)
}

/// A manifest's value in the column's own type; `None` where the two do not fit.
fn scalar(value: &StatisticValue, data_type: &DataType) -> Option<ScalarValue> {
    match value {
        StatisticValue::Bool(value) => {
            matches!(data_type, DataType::Boolean).then_some(ScalarValue::Boolean(Some(*value)))
        }
        StatisticValue::Int(value) => integer(*value, data_type),
        StatisticValue::Float(value) => match data_type {
            DataType::Float64 => Some(ScalarValue::Float64(Some(*value))),
            DataType::Float32 => {
                let text = ScalarValue::Float64(Some(*value));
                text.cast_to(&DataType::Float32).ok()
            }
            _ => None,
        },
        StatisticValue::Decimal(text) => match data_type {
            DataType::Decimal128(precision, scale) => {
                Some(ScalarValue::Decimal128(Some(text.parse().ok()?), *precision, *scale))
            }
            _ => None,
        },
        StatisticValue::Text(text) => match data_type {
            DataType::Utf8View => Some(ScalarValue::Utf8View(Some(text.clone()))),
            DataType::Utf8 => Some(ScalarValue::Utf8(Some(text.clone()))),
            DataType::LargeUtf8 => Some(ScalarValue::LargeUtf8(Some(text.clone()))),
            _ => None,
        },
    }
}

fn integer(value: i64, data_type: &DataType) -> Option<ScalarValue> {
    Some(match data_type {
        DataType::Int8 => ScalarValue::Int8(Some(value.try_into().ok()?)),
        DataType::Int16 => ScalarValue::Int16(Some(value.try_into().ok()?)),
        DataType::Int32 => ScalarValue::Int32(Some(value.try_into().ok()?)),
        DataType::Int64 => ScalarValue::Int64(Some(value)),
        DataType::UInt8 => ScalarValue::UInt8(Some(value.try_into().ok()?)),
        DataType::UInt16 => ScalarValue::UInt16(Some(value.try_into().ok()?)),
        DataType::UInt32 => ScalarValue::UInt32(Some(value.try_into().ok()?)),
        DataType::UInt64 => ScalarValue::UInt64(Some(value.try_into().ok()?)),
        DataType::Date32 => ScalarValue::Date32(Some(value.try_into().ok()?)),
        DataType::Date64 => ScalarValue::Date64(Some(value)),
        DataType::Time32(TimeUnit::Second) => ScalarValue::Time32Second(Some(value.try_into().ok()?)),
        DataType::Time32(TimeUnit::Millisecond) => ScalarValue::Time32Millisecond(Some(value.try_into().ok()?)),
        DataType::Time64(TimeUnit::Microsecond) => ScalarValue::Time64Microsecond(Some(value)),
        DataType::Time64(TimeUnit::Nanosecond) => ScalarValue::Time64Nanosecond(Some(value)),
        DataType::Timestamp(TimeUnit::Second, zone) => ScalarValue::TimestampSecond(Some(value), zone.clone()),
        DataType::Timestamp(TimeUnit::Millisecond, zone) => {
            ScalarValue::TimestampMillisecond(Some(value), zone.clone())
        }
        DataType::Timestamp(TimeUnit::Microsecond, zone) => {
            ScalarValue::TimestampMicrosecond(Some(value), zone.clone())
        }
        DataType::Timestamp(TimeUnit::Nanosecond, zone) => ScalarValue::TimestampNanosecond(Some(value), zone.clone()),
        _ => return None,
    })
}

fn count(rows: u64) -> usize {
    usize::try_from(rows).unwrap_or(usize::MAX)
}
