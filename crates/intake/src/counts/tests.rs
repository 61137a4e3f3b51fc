use std::sync::Arc;

use arrow::array::{Int64Array, StringArray};
use arrow::datatypes::Int64Type;
use proptest::prelude::*;

use super::*;

fn table(rows: &[&[i64]]) -> RecordBatch {
    let (mut districts, mut years, mut cases) = (Vec::new(), Vec::new(), Vec::new());
    for (row, counts) in rows.iter().enumerate() {
        for (column, cell) in counts.iter().enumerate() {
            districts.push(format!("district {row}"));
            years.push(2020 + i64::try_from(column).unwrap());
            cases.push(*cell);
        }
    }
    let district: ArrayRef = Arc::new(StringArray::from(districts));
    let year: ArrayRef = Arc::new(Int64Array::from(years));
    let cases: ArrayRef = Arc::new(Int64Array::from(cases));
    let columns = [("district", district, true), ("year", year, true), ("cases", cases, true)];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn suppressed(batch: &RecordBatch, k: u64) -> (Vec<Option<i64>>, Vec<Finding>) {
    let by = vec!["district".to_owned(), "Year".to_owned()];
    let rules = CountRules { column: "cases".to_owned(), by, k: Some(k), also: Vec::new() };
    let mut counts = Counts::new(&batch.schema(), &rules, 5).unwrap();
    counts.push(batch).unwrap();
    let cells = counts.finish();
    let left = cells.apply(batch, 1).unwrap();
    (left.column(2).as_primitive::<Int64Type>().iter().collect(), cells.findings())
}

#[test]
fn a_small_cell_takes_others_with_it() {
    let (cells, findings) = suppressed(&table(&[&[3, 40, 90], &[50, 60, 91]]), 5);
    assert_eq!(cells, [None, None, Some(90), None, None, Some(91)]);
    assert_eq!((findings[0].rule.as_str(), findings[0].count, findings.len()), ("counts_suppressed", 4, 1));
    assert!(suppressed(&table(&[&[5, 0], &[9, 7]]), 5).1.is_empty());
}

#[test]
fn a_cell_that_no_other_can_hide_blocks() {
    let (_, findings) = suppressed(&table(&[&[3]]), 5);
    assert!(findings.iter().any(|finding| finding.rule == "counts_unsuppressed" && finding.blocks()));
}

/// Whether the totals of rows and columns and the cells that are shown determine a hidden one: elimination over fractions,
/// which here are whole numbers modulo a large prime.
fn determined(width: usize, cells: &[Option<i64>]) -> Vec<usize> {
    const PRIME: i128 = 2_147_483_647;
    let hidden: Vec<usize> = (0..cells.len()).filter(|cell| cells[*cell].is_none()).collect();
    let height = cells.len() / width;
    let mut sums: Vec<Vec<i128>> = Vec::new();
    for row in 0..height {
        sums.push(hidden.iter().map(|cell| i128::from(cell / width == row)).collect());
    }
    for column in 0..width {
        sums.push(hidden.iter().map(|cell| i128::from(cell % width == column)).collect());
    }
    let power = |mut base: i128, mut exponent: i128| {
        let mut result = 1;
        while exponent > 0 {
            if exponent % 2 == 1 {
                result = result * base % PRIME;
            }
            base = base * base % PRIME;
            exponent /= 2;
        }
        result
    };
    let mut rank = 0;
    for column in 0..hidden.len() {
        let Some(pivot) = (rank..sums.len()).find(|row| sums[*row][column] != 0) else { continue };
        sums.swap(rank, pivot);
        let inverse = power(sums[rank][column], PRIME - 2);
        let line: Vec<i128> = sums[rank].iter().map(|value| value * inverse % PRIME).collect();
        for (place, row) in sums.iter_mut().enumerate() {
            let factor = row[column];
            if place != rank && factor != 0 {
                for (value, pivot) in row.iter_mut().zip(&line) {
                    *value = (*value - factor * pivot).rem_euclid(PRIME);
                }
            }
        }
        sums[rank] = line;
        rank += 1;
    }
    let alone = |row: &Vec<i128>| {
        (row.iter().filter(|value| **value != 0).count() == 1).then(|| row.iter().position(|value| *value != 0))
    };
    sums.iter().filter_map(alone).flatten().map(|place| hidden[place]).collect()
}

proptest! {
    #[test]
    fn totals_give_no_hidden_cell_back(
        cells in proptest::collection::vec(prop_oneof![3 => 0_i64..12, 5 => 10_i64..500], 12..=30),
        width in 3..6_usize,
    ) {
        let rows: Vec<&[i64]> = cells.chunks_exact(width).collect();
        let batch = table(&rows);
        let (left, findings) = suppressed(&batch, 10);
        for (cell, before) in left.iter().zip(rows.concat()) {
            prop_assert!(*cell == Some(before) && (before == 0 || before >= 10) || cell.is_none());
        }
        let blocked = findings.iter().any(|finding| finding.blocks());
        prop_assert!(blocked || determined(width, &left).is_empty(), "{left:?}");
    }
}
