//! Profiles against exact answers.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMillisecondArray,
};
use portico_model::profile::{ColumnProfile, TableProfile};

use super::*;

fn profile_of(columns: Vec<(&str, ArrayRef)>, memory_bytes: u64) -> TableProfile {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let mut profiler = Profiler::new(&batch.schema(), memory_bytes);
    for start in (0..batch.num_rows()).step_by(1_000) {
        profiler.push(&batch.slice(start, 1_000.min(batch.num_rows() - start)));
    }
    profiler.finish()
}

fn column_of(array: ArrayRef) -> ColumnProfile {
    profile_of(vec![("c", array)], 64 << 20).columns.remove(0)
}

fn floats(values: &[f64]) -> ColumnProfile {
    column_of(Arc::new(Float64Array::from(values.to_vec())))
}

#[test]
fn whole_numbers_have_exact_figures_while_few() {
    let values: Vec<Option<i64>> = (0..10_000).map(|n| (n % 7 != 0).then_some(n % 100)).collect();
    let column = column_of(Arc::new(Int64Array::from(values)));
    assert_eq!((column.data_type.as_str(), column.nulls), ("int64", 1_429));
    assert_eq!((column.distinct, column.distinct_exact), (100, true));
    assert_eq!((column.min.as_deref(), column.max.as_deref()), (Some("0"), Some("99")));
    assert_eq!(column.histogram.iter().sum::<u64>(), 8_571);
    assert_eq!(column.quantiles[2], 50.0);
    assert!((column.mean.unwrap() - 49.5).abs() < 0.1 && (column.std.unwrap() - 28.87).abs() < 0.1);
    assert_eq!(column.top_values.len(), 10);
}

#[test]
fn many_different_numbers_are_estimated_within_bounds() {
    let values: Vec<i64> = (0..200_000).map(|n: i64| (n * 7_919) % 200_003).collect();
    let profile = profile_of(vec![("c", Arc::new(Int64Array::from(values)))], 64 << 20);
    let column = &profile.columns[0];
    assert_eq!((profile.duplicate_rows, profile.duplicate_rows_exact), (0, true));
    assert!(!column.distinct_exact && column.distinct.abs_diff(200_000) < 5_000, "{}", column.distinct);
    assert_eq!(column.min.as_deref(), Some("0"));
    assert!((column.mean.unwrap() - 100_001.0).abs() < 5.0, "{:?}", column.mean);
    for (share, found) in QUANTILES.into_iter().zip(&column.quantiles) {
        assert!((found / 200_003.0 - share).abs() < 0.01, "{share} {found}");
    }
    assert!(column.histogram.iter().all(|bin| bin.abs_diff(20_000) < 1_500), "{:?}", column.histogram);
    assert!(column.top_values.is_empty());
}

#[test]
fn decimals_dates_and_moments_show_as_exports_do() {
    let decimals = Decimal128Array::from(vec![150, -5, 150]).with_precision_and_scale(10, 2).unwrap();
    let column = column_of(Arc::new(decimals));
    assert_eq!((column.min.as_deref(), column.max.as_deref()), (Some("-0.05"), Some("1.50")));
    assert_eq!(column.top_values, [("1.50".to_owned(), 2), ("-0.05".to_owned(), 1)]);
    assert!((column.mean.unwrap() - 0.983_333).abs() < 1e-5);
    let column = column_of(Arc::new(Date32Array::from(vec![19_783, 0])));
    assert_eq!((column.max.as_deref(), column.mean), (Some("2024-03-01"), None));
    assert_eq!((column.quantiles.len(), column.histogram.len()), (5, 0));
    let column = column_of(Arc::new(TimestampMillisecondArray::from(vec![1_709_296_496_000])));
    assert_eq!((column.data_type.as_str(), column.max.as_deref()), ("timestamp", Some("2024-03-01T12:34:56")));
}

#[test]
fn odd_floats_do_not_spoil_the_figures() {
    let column = floats(&[1.0, f64::NAN, f64::INFINITY, 3.0, -0.0, 0.0]);
    assert_eq!((column.distinct, column.mean), (5, Some(1.0)));
    assert_eq!((column.min.as_deref(), column.max.as_deref()), (Some("-0.0"), Some("inf")));
    assert!(column.histogram.is_empty());
    assert_eq!(floats(&[f64::NAN, 2.0]).max.as_deref(), Some("2.0"));
    assert_eq!(floats(&[f64::NAN]).max.as_deref(), Some("NaN"));
    assert!(serde_json::from_str::<ColumnProfile>(&serde_json::to_string(&column).unwrap()).is_ok());
}

#[test]
fn texts_have_lengths_in_characters_and_long_ones_are_cut() {
    let long = "ä".repeat(300);
    let column = column_of(Arc::new(StringArray::from(vec![Some("b"), Some(long.as_str()), None, Some("b")])));
    assert_eq!((column.length_min, column.length_max, column.distinct), (Some(1), Some(300), 2));
    assert_eq!(column.max.as_deref().map(|max| max.chars().count()), Some(TEXT_CHARACTERS_MAX + 1));
    assert_eq!(column.top_values[0], ("b".to_owned(), 2));
}

#[test]
fn booleans_bytes_and_empty_columns_have_profiles() {
    let column = column_of(Arc::new(BooleanArray::from(vec![Some(true), None, Some(true)])));
    assert_eq!((column.distinct, column.top_values), (1, vec![("true".to_owned(), 2)]));
    let column = column_of(Arc::new(BinaryArray::from(vec![b"a".as_slice(), b"a", b"b"])));
    assert_eq!((column.distinct, column.data_type.as_str(), column.min), (2, "binary", None));
    let column = column_of(Arc::new(StringArray::from(vec![None::<&str>, None])));
    assert_eq!((column.nulls, column.distinct, column.length_min), (2, 0, None));
}

#[test]
fn repeated_rows_are_those_equal_in_every_column() {
    let left: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(1), None, None, Some(2)]));
    let right: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("a"), None, None, Some("a")]));
    let profile = profile_of(vec![("l", left.clone()), ("r", right)], 1 << 20);
    assert_eq!((profile.rows, profile.duplicate_rows), (5, 2));
    let swapped: ArrayRef = Arc::new(Int64Array::from(vec![2, 3]));
    let other: ArrayRef = Arc::new(Int64Array::from(vec![3, 2]));
    assert_eq!(profile_of(vec![("l", swapped), ("r", other)], 1 << 20).duplicate_rows, 0);
}

#[test]
fn many_columns_of_many_values_stay_within_memory_and_time() {
    let columns: Vec<(String, ArrayRef)> = (0..20_i64)
        .map(|c| {
            let values = StringArray::from_iter_values((0..20_000_i64).map(|row| format!("{c}-{row}-{:x}", row * c)));
            let array: ArrayRef = Arc::new(values);
            (format!("c{c}"), array)
        })
        .collect();
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut profiler = Profiler::new(&batch.schema(), 4 << 20);
    profiler.push(&batch);
    let profile = profiler.finish();
    assert!(profile.columns.iter().all(|column| column.distinct.abs_diff(20_000) < 600));
    assert!(profile.columns.iter().all(|column| !column.distinct_exact));
}
