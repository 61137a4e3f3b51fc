use arrow::array::StringArray;
use parquet::arrow::ArrowWriter;

use super::*;

fn rows(numbers: &[Option<f64>], word: &str) -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![
        Column::new("at", DataType::Float64, true),
        Column::new("said", DataType::Utf8, true),
    ]));
    let words: StringArray = numbers.iter().map(|_| Some(word)).collect();
    let columns: Vec<ArrayRef> = vec![Arc::new(Float64Array::from(numbers.to_vec())), Arc::new(words)];
    RecordBatch::try_new(schema, columns).unwrap()
}

/// Rows with the bits of their numbers, and the rules of what was found with its counts.
type Merged = (Vec<(u64, String)>, Vec<(String, u64)>);

/// What becomes of a file's numbers beside the current ones.
fn merged(mode: Mode, current: &[Option<f64>], file: &[Option<f64>]) -> Merged {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("current.parquet");
    let current = rows(current, "old");
    let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), current.schema(), None).unwrap();
    writer.write(&current).unwrap();
    writer.close().unwrap();
    let options = ReadOptions { mode, key: vec!["at".to_owned()], ..ReadOptions::default() };
    let known = Current { files: vec![path], schema: current.schema() };
    let file = rows(file, "new");
    let mut merge = Merge::new(&file.schema(), &options, Some(known), (1 << 20, scratch.path())).unwrap();
    let mut out = Vec::new();
    let mut emit = |batch: RecordBatch| {
        let numbers = batch.column(0).as_primitive::<Float64Type>();
        let words = batch.column(1).as_string::<i32>();
        assert_eq!(batch.num_columns(), 2);
        out.extend(
            numbers
                .iter()
                .zip(words)
                .map(|(number, word)| (number.unwrap_or_default().to_bits(), word.unwrap_or_default().to_owned())),
        );
        Ok(())
    };
    merge.begin(&mut emit).unwrap();
    merge.push(file, &mut emit).unwrap();
    let findings = merge.finish(&mut emit).unwrap();
    (out, findings.into_iter().map(|finding| (finding.rule, finding.count)).collect())
}

#[test]
fn zero_is_one_key_whatever_its_sign_and_what_is_no_number_is_one_too() {
    let odd = f64::from_bits(f64::NAN.to_bits() ^ (1 << 63) ^ 1);
    let (rows, findings) = merged(Mode::Upsert, &[Some(-0.0), Some(f64::NAN), Some(2.0)], &[Some(0.0), Some(odd)]);
    assert_eq!(findings, [("merged".to_owned(), 1)]);
    let new: Vec<u64> = rows.iter().filter(|(_, word)| word == "new").map(|(bits, _)| *bits).collect();
    assert_eq!((rows.len(), new), (3, vec![0.0_f64.to_bits(), odd.to_bits()]), "{rows:?}");
    // Written as they were, and the row that nothing is said of stays.
    assert!(rows.contains(&(2.0_f64.to_bits(), "old".to_owned())));
    let (_, findings) = merged(Mode::Upsert, &[Some(1.0)], &[Some(0.0), Some(-0.0)]);
    assert_eq!(findings[0], ("merge_key_repeated".to_owned(), 1));
    let (_, findings) = merged(Mode::Append, &[Some(0.0)], &[Some(-0.0)]);
    assert_eq!(findings[0], ("merge_key_taken".to_owned(), 1));
}
