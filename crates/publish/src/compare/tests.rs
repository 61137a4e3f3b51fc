//! Comparisons beside a naive one, and what is no difference.

use std::collections::BTreeMap;

use arrow::array::{BinaryArray, Date32Array, Decimal128Array, Float64Array, Int64Array, StringArray};
use arrow::datatypes::{Field, Schema};
use parquet::arrow::ArrowWriter;
use serde_json::{Value, json};

use super::*;

type Row = (Option<i64>, Option<&'static str>, Option<f64>);

/// What rows are compared by: one NaN, one zero.
type Plain = (Option<i64>, Option<&'static str>, Option<u64>);

fn plain((id, name, value): &Row) -> Plain {
    let bits = |value: f64| {
        if value.is_nan() {
            1
        } else if value == 0.0 {
            0
        } else {
            value.to_bits()
        }
    };
    (*id, *name, value.map(bits))
}

fn id_name_value() -> Vec<Field> {
    vec![
        Field::new("id", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
        Field::new("value", DataType::Float64, true),
    ]
}

fn table(rows: &[Row]) -> RecordBatch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(Int64Array::from_iter(rows.iter().map(|row| row.0))),
        Arc::new(StringArray::from_iter(rows.iter().map(|row| row.1))),
        Arc::new(Float64Array::from_iter(rows.iter().map(|row| row.2))),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(id_name_value())), columns).unwrap()
}

fn limits(memory_bytes: u64) -> IntakeLimits {
    IntakeLimits { memory_bytes, difference_rows: 3, ..IntakeLimits::default() }
}

fn write(path: &Path, batch: &RecordBatch) {
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
}

/// Compares two tables that are in several files each.
fn compared(
    before: &[RecordBatch],
    after: &[RecordBatch],
    (fields, key): (Vec<Field>, usize),
    limits: &IntakeLimits,
) -> RowDifference {
    let scratch = tempfile::tempdir().unwrap();
    let put = |side: &str, batches: &[RecordBatch]| -> Vec<String> {
        let names = (0..batches.len()).map(|place| format!("{side}-{place}"));
        names.zip(batches).map(|(name, batch)| (write(&scratch.path().join(&name), batch), name).1).collect()
    };
    let comparison = Comparison {
        before: put("before", before),
        after: put("after", after),
        schema: Arc::new(Schema::new(fields)),
        key,
    };
    compare(&comparison, limits, scratch.path()).unwrap()
}

/// Row by row and key by key, without a thought for memory.
fn naive(before: &[Row], after: &[Row], keyed: bool) -> RowDifference {
    let mut keys: BTreeMap<Option<Option<i64>>, [Vec<Plain>; 2]> = BTreeMap::new();
    for (side, rows) in [before, after].into_iter().enumerate() {
        for row in rows {
            keys.entry(keyed.then_some(row.0)).or_default()[side].push(plain(row));
        }
    }
    let mut found = RowDifference::default();
    for [mut old, mut new] in keys.into_values() {
        let single = keyed && (old.len(), new.len()) == (1, 1);
        if keyed {
            found.repeated_keys_before += u64::from(old.len() > 1);
            found.repeated_keys_after += u64::from(new.len() > 1);
        }
        old.retain(|row| match new.iter().position(|other| other == row) {
            Some(place) => {
                new.remove(place);
                found.unchanged += 1;
                false
            }
            None => true,
        });
        if single && old.len() == 1 {
            found.changed += 1;
            for (name, differs) in [("name", old[0].1 != new[0].1), ("value", old[0].2 != new[0].2)] {
                if differs {
                    *found.changed_cells.entry(name.to_owned()).or_default() += 1;
                }
            }
        } else {
            found.removed += u64::try_from(old.len()).unwrap();
            found.added += u64::try_from(new.len()).unwrap();
        }
    }
    found
}

fn counts(found: &RowDifference) -> RowDifference {
    let (added_rows, removed_rows, changed_rows) = (Vec::new(), Vec::new(), Vec::new());
    RowDifference { added_rows, removed_rows, changed_rows, ..found.clone() }
}

/// A generator of its own: the same tables every time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn row(&mut self) -> Row {
        let names = [None, Some(""), Some("a"), Some("ab"), Some("a\0b")];
        let values = [None, Some(0.0), Some(-0.0), Some(f64::NAN), Some(-f64::NAN), Some(1.5), Some(f64::NEG_INFINITY)];
        let id = self.roll(9);
        let id = (id > 0).then(|| i64::try_from(id).unwrap() - 4);
        let (name, value) = (self.roll(5), self.roll(7));
        (id, names[usize::try_from(name).unwrap()], values[usize::try_from(value).unwrap()])
    }

    fn rows(&mut self) -> Vec<Row> {
        (0..self.roll(14)).map(|_| self.row()).collect()
    }
}

#[test]
fn random_tables_differ_as_a_naive_comparison_says() {
    let mut dice = Dice(7);
    for round in 0..80 {
        let before = dice.rows();
        // Half of the time most rows stay, in another order.
        let mut after = if round % 2 == 0 { dice.rows() } else { before.iter().rev().copied().collect() };
        if let Some(row) = after.first_mut() {
            *row = dice.row();
        }
        // 120 bytes are a few rows for each side: the others are spilled.
        let memory = if round % 3 == 0 { 120 } else { 1 << 20 };
        for key in [0, 1] {
            let half = after.len() / 2;
            let files = [table(&after[..half]), table(&after[half..])];
            let found = compared(&[table(&before)], &files, (id_name_value(), key), &limits(memory));
            assert_eq!(counts(&found), naive(&before, &after, key == 1), "{before:?} {after:?} {key}");
            let of = |rows: u64| usize::try_from(rows.min(3)).unwrap();
            assert_eq!(found.added_rows.len(), of(found.added));
            assert_eq!(found.removed_rows.len(), of(found.removed));
            assert_eq!(found.changed_rows.len(), of(found.changed));
        }
    }
}

#[test]
fn order_of_rows_and_columns_nan_null_and_zero_are_no_difference() {
    let rows: Vec<Row> = vec![(Some(1), Some("a"), Some(f64::NAN)), (Some(2), None, Some(0.0)), (None, None, None)];
    let other: Vec<Row> = vec![(None, None, None), (Some(2), None, Some(-0.0)), (Some(1), Some("a"), Some(-f64::NAN))];
    let turned = table(&other).project(&[2, 0, 1]).unwrap();
    for key in [0, 1] {
        let found = compared(&[table(&rows)], std::slice::from_ref(&turned), (id_name_value(), key), &limits(1 << 20));
        assert_eq!(found, RowDifference { unchanged: 3, ..RowDifference::default() });
    }
    // Null is no empty text and no zero.
    let other: Vec<Row> = vec![(Some(1), Some("a"), None), (Some(2), Some(""), Some(0.0)), (None, None, None)];
    let found = compared(&[table(&rows)], &[table(&other)], (id_name_value(), 1), &limits(1 << 20));
    assert_eq!((found.unchanged, found.changed), (1, 2));
    assert_eq!(found.changed_cells, BTreeMap::from([("name".to_owned(), 1), ("value".to_owned(), 1)]));
}

#[test]
fn changed_rows_show_their_key_and_the_cells_that_change() {
    let before: Vec<Row> = vec![(Some(1), Some("a"), Some(1.0)), (Some(2), Some("b"), None)];
    let after: Vec<Row> = vec![(Some(1), Some("a"), Some(2.5)), (Some(3), Some("c"), None)];
    let found = compared(&[table(&before)], &[table(&after)], (id_name_value(), 1), &limits(1 << 20));
    let shown = json!(found);
    assert_eq!(
        shown["changed_rows"],
        json!([{ "key": { "id": 1 }, "before": { "value": 1.0 }, "after": { "value": 2.5 } }])
    );
    assert_eq!(shown["added_rows"], json!([{ "id": 3, "name": "c", "value": null }]));
    assert_eq!(shown["removed_rows"][0]["id"], 2);
}

#[test]
fn rows_of_a_repeated_key_are_added_and_removed() {
    let before: Vec<Row> = vec![(Some(1), Some("a"), None), (Some(1), Some("b"), None), (Some(2), Some("z"), None)];
    let after: Vec<Row> = vec![(Some(1), Some("b"), None), (Some(2), Some("y"), None), (Some(2), Some("z"), None)];
    let found = compared(&[table(&before)], &[table(&after)], (id_name_value(), 1), &limits(1 << 20));
    assert_eq!((found.unchanged, found.removed, found.added, found.changed), (2, 1, 1, 0));
    assert_eq!((found.repeated_keys_before, found.repeated_keys_after), (1, 1));
}

#[test]
fn nothing_before_and_nothing_after_are_tables_too() {
    let row: Vec<Row> = vec![(Some(1), None, None)];
    for key in [0, 1] {
        let of = |before: &[Row], after: &[Row]| {
            let found = compared(&[table(before)], &[table(after)], (id_name_value(), key), &limits(1 << 20));
            (found.unchanged, found.removed, found.added)
        };
        assert_eq!(of(&[], &[]), (0, 0, 0));
        assert_eq!(of(&row, &[]), (0, 1, 0));
        assert_eq!(of(&[], &row), (0, 0, 1));
    }
}

fn one(field: Field, column: ArrayRef) -> (Field, RecordBatch) {
    let schema = Arc::new(Schema::new(vec![field.clone()]));
    (field, RecordBatch::try_new(schema, vec![column]).unwrap())
}

/// How many of the values stay when a column gets another type; `None` where they are not compared.
fn staying(before: ArrayRef, after: ArrayRef) -> Option<u64> {
    let (was, before) = one(Field::new("c", before.data_type().clone(), true), before);
    let (is, after) = one(Field::new("c", after.data_type().clone(), true), after);
    let common = in_common(was.data_type(), is.data_type())?;
    Some(compared(&[before], &[after], (vec![is.with_data_type(common)], 0), &limits(1 << 20)).unchanged)
}

#[test]
fn values_are_compared_in_a_type_that_holds_both() {
    let whole = || -> ArrayRef { Arc::new(Int64Array::from(vec![1, 2, i64::MAX])) };
    let decimal = |values: Vec<i128>, scale: i8| -> ArrayRef {
        Arc::new(Decimal128Array::from(values).with_precision_and_scale(22, scale).unwrap())
    };
    let text = |values: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(values)) };
    assert_eq!(staying(whole(), decimal(vec![100, 250, i128::from(i64::MAX) * 100], 2)), Some(2));
    assert_eq!(staying(decimal(vec![10, 25], 1), decimal(vec![1_000, 2_501], 3)), Some(1));
    assert_eq!(staying(whole(), Arc::new(Float64Array::from(vec![1.0, 2.5]))), Some(1));
    assert_eq!(staying(whole(), text(vec!["1", "2", "x"])), Some(2));
    assert_eq!(staying(Arc::new(Date32Array::from(vec![0, 1])), text(vec!["1970-01-02", "1971-01-01"])), Some(1));
    let bytes: ArrayRef = Arc::new(BinaryArray::from(vec![&b"1"[..]]));
    assert_eq!(staying(bytes.clone(), text(vec!["1"])), None);
    assert_eq!(staying(bytes.clone(), bytes), Some(1));
}

#[test]
fn a_table_of_some_size_is_spilled_and_compared_all_the_same() {
    let batch = |from: i64, value: f64| {
        let ids: Vec<i64> = (from..from + 50_000).map(|id| (id * 7_919) % 1_000_003).collect();
        let names = StringArray::from_iter_values(ids.iter().map(|id| format!("name of {id}")));
        let values = ids.iter().map(|id| if id % 1_000 == 0 { value } else { 0.5 });
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(ids.clone())),
            Arc::new(names),
            Arc::new(Float64Array::from_iter_values(values)),
        ];
        RecordBatch::try_new(Arc::new(Schema::new(id_name_value())), columns).unwrap()
    };
    let changed = (0..50_000_i64).map(|id| (id * 7_919) % 1_000_003).filter(|id| id % 1_000 == 0).count();
    let expect = u64::try_from(changed).unwrap();
    let (before, after) = ([batch(0, 1.0), batch(50_000, 1.0)], [batch(0, 2.0), batch(60_000, 1.0)]);
    let all = compared(&before, &after, (id_name_value(), 1), &limits(1 << 30));
    // A quarter of 1 MiB for some 9 MB of rows on each side.
    let spilled = compared(&before, &after, (id_name_value(), 1), &limits(1 << 20));
    assert_eq!(spilled, all);
    assert_eq!((all.changed, all.added, all.removed, all.unchanged), (expect, 10_000, 10_000, 90_000 - expect));
    assert_eq!(all.changed_cells, BTreeMap::from([("value".to_owned(), expect)]));
    assert_eq!(all.changed_rows[0].before["value"], Value::from(1.0));
}
