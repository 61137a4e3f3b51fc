//! What was written is read back: the same cells, the same number of rows, whatever is in them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use arrow::array::{Array, AsArray};
use arrow::util::display::array_value_to_string;
use portico_intake::dictionary::{Dictionary, Field, FieldType};
use portico_intake::screen::{RuleSet, Screener};
use portico_intake::{ReadOptions, Survey, survey};
use portico_model::limits::IntakeLimits;
use proptest::prelude::*;

fn read(bytes: &[u8], options: &ReadOptions) -> (Survey, tempfile::TempDir) {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("file");
    std::fs::write(&path, bytes).unwrap();
    let found = survey(&path, options, &IntakeLimits::default(), scratch.path(), &mut |_| ()).unwrap();
    (found, scratch)
}

/// All cells as text; null as the empty text.
fn cells(found: &Survey) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for batch in found.batches().unwrap() {
        let batch = batch.unwrap();
        for row in 0..batch.num_rows() {
            let cell = |column: &dyn Array| {
                if column.is_null(row) { String::new() } else { column.as_string::<i32>().value(row).to_owned() }
            };
            rows.push(batch.columns().iter().map(|column| cell(column.as_ref())).collect());
        }
    }
    rows
}

fn text_columns(width: usize) -> Dictionary {
    let field = |index| Field { data_type: Some(FieldType::Text), ..Field::named(&format!("c{index}")) };
    Dictionary { fields: (0..width).map(field).collect(), ..Dictionary::default() }
}

/// Writes a table; a cell is quoted when it must be, or when `always` says so.
fn write_csv(rows: &[Vec<String>], delimiter: char, end: &str, always: bool) -> String {
    let quoted = |cell: &String, alone: bool| {
        let must = cell.contains([delimiter, '"', '\n', '\r']) || (alone && cell.is_empty());
        if must || always { format!("\"{}\"", cell.replace('"', "\"\"")) } else { cell.clone() }
    };
    let mut text = String::new();
    for row in rows {
        let line = row.iter().map(|cell| quoted(cell, row.len() == 1)).collect::<Vec<_>>();
        text.push_str(&line.join(&delimiter.to_string()));
        text.push_str(end);
    }
    text
}

fn table() -> impl Strategy<Value = Vec<Vec<String>>> {
    (1_usize..6).prop_flat_map(|width| {
        let cell = prop_oneof!["[a-z0-9 ]{0,8}", "[,;|\t\"'\r\n a#]{0,6}", "\\PC{0,6}", Just(String::new()),];
        proptest::collection::vec(proptest::collection::vec(cell, width), 0..30)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn csv_comes_back_as_it_was_written(
        rows in table(), delimiter in prop_oneof![Just(','), Just(';'), Just('\t'), Just('|')],
        end in prop_oneof![Just("\n"), Just("\r\n")], always: bool,
    ) {
        let width = rows.first().map_or(1, Vec::len);
        let header = (0..width).map(|index| format!("c{index}")).collect::<Vec<_>>();
        let mut all = vec![header];
        all.extend(rows.iter().cloned());
        let text = write_csv(&all, delimiter, end, always);
        let options = ReadOptions {
            delimiter: Some(u8::try_from(delimiter).unwrap()),
            header: Some(true),
            dictionary: Some(text_columns(width)),
            ..ReadOptions::named("t.csv")
        };
        let (found, _scratch) = read(text.as_bytes(), &options);
        prop_assert_eq!(found.rows, u64::try_from(rows.len()).unwrap());
        prop_assert_eq!(cells(&found), rows);
        prop_assert!(found.findings.iter().all(|finding| !finding.blocks()));
    }

    #[test]
    fn csv_core_cuts_the_same_records(text in "([ab,\"\n]|\r\n|\"\"){0,60}") {
        let text = format!("h,i,j\n{text}");
        let options = ReadOptions {
            delimiter: Some(b','),
            header: Some(true),
            dictionary: Some(Dictionary {
                fields: ["h", "i", "j"]
                    .map(|name| Field { data_type: Some(FieldType::Text), ..Field::named(name) })
                    .to_vec(),
                ..Dictionary::default()
            }),
            ..ReadOptions::named("t.csv")
        };
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("file");
        std::fs::write(&path, &text).unwrap();
        let found = survey(&path, &options, &IntakeLimits::default(), scratch.path(), &mut |_| ());
        // A quotation mark that is never closed is refused, and csv-core would not say so.
        if let Ok(found) = found {
            let mut expect = by_csv_core(text.as_bytes());
            expect.remove(0);
            for row in &mut expect {
                row.resize(3, String::new());
            }
            prop_assert_eq!(cells(&found), expect);
        }
    }

    #[test]
    fn numbers_print_as_they_were_written(
        values in proptest::collection::vec(prop_oneof![any::<i64>().prop_map(|value| value.to_string()), Just(String::new())], 1..50),
        scale in 0_u32..6,
    ) {
        let dotted = values.iter().map(|value| match (scale, value.is_empty()) {
            (0, _) | (_, true) => value.clone(),
            (scale, false) => format!("{value}.{:0width$}", 7, width = usize::try_from(scale).unwrap()),
        });
        let dotted = dotted.map(|value| if value.starts_with("-0.") || value == "-0" { "5".to_owned() } else { value });
        let mut rows = vec![vec!["k".to_owned(), "x".to_owned()]];
        rows.extend(dotted.map(|value| vec!["k".to_owned(), value]));
        let (found, _scratch) = read(write_csv(&rows, ',', "\n", false).as_bytes(), &ReadOptions::named("t.csv"));
        let mut shown = Vec::new();
        for batch in found.batches().unwrap() {
            let column = batch.unwrap().column(1).clone();
            shown.extend((0..column.len()).map(|row| array_value_to_string(&column, row).unwrap()));
        }
        let expect = rows.iter().skip(1).map(|row| row[1].clone()).collect::<Vec<_>>();
        prop_assert_eq!(shown, expect);
    }

    #[test]
    fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), name in 0_usize..8) {
        let extension = ["csv", "json", "parquet", "xlsx", "gz", "arrow", "geojson", "txt"][name];
        let scratch = tempfile::tempdir().unwrap();
        let path = scratch.path().join("file");
        std::fs::write(&path, &bytes).unwrap();
        let options = ReadOptions::named(&format!("f.{extension}"));
        match survey(&path, &options, &IntakeLimits::default(), scratch.path(), &mut |_| ()) {
            Ok(found) => {
                let rows: usize = found.batches().unwrap().map(|batch| batch.unwrap().num_rows()).sum();
                prop_assert_eq!(u64::try_from(rows).unwrap(), found.rows);
            }
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }
}

fn by_csv_core(bytes: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv_core::Reader::new();
    let (mut input, mut rows) = (bytes, Vec::new());
    let (mut output, mut ends) = (vec![0; bytes.len() + 16], vec![0; bytes.len() + 16]);
    let (mut filled, mut fields) = (0, 0);
    loop {
        let (result, read, written, ended) = reader.read_record(input, &mut output[filled..], &mut ends[fields..]);
        input = &input[read..];
        (filled, fields) = (filled + written, fields + ended);
        match result {
            csv_core::ReadRecordResult::Record => {
                let starts = std::iter::once(0).chain(ends.iter().copied());
                let cells = starts.zip(&ends[..fields]).map(|(start, end)| &output[start..*end]);
                rows.push(cells.map(|cell| String::from_utf8_lossy(cell).into_owned()).collect());
                (filled, fields) = (0, 0);
            }
            csv_core::ReadRecordResult::InputEmpty => input = &[],
            csv_core::ReadRecordResult::End => return rows,
            other => panic!("{other:?}"),
        }
    }
}

/// Texts that are pieced together from what the screening looks for, with a number that nothing else has.
fn suspicious() -> impl Strategy<Value = (String, String)> {
    let word = proptest::sample::select(vec![
        "SSN",
        "password:",
        "pwd=",
        "driver's license",
        "plate #",
        "PIN is",
        "born on",
        "n\u{e9}e",
        "AFIS",
        "/s/",
        "routing",
        "account",
        "call me at",
        "P.O. Box",
        "gate code",
        "-----BEGIN PGP SIGNATURE",
        "passport",
        "Mary Jones",
        "Main St",
        "+",
        "@",
        "::",
        "219-09-1234",
        "4111 1111 1111 1111",
        "GB82WEST12345698765432",
        "1EG4-TE5-MK73",
        "Feb 16, 1942",
        "\u{2019}",
    ]);
    let piece = prop_oneof![word.prop_map(str::to_owned), "\\PC{0,12}", "[0-9 .,:/()-]{0,20}"];
    (proptest::collection::vec(piece, 0..8), "[1-9][0-9]{11}").prop_map(|(pieces, number)| {
        let middle = pieces.len() / 2;
        let (before, after) = pieces.split_at(middle);
        (format!("{} {number} {}", before.join(" "), after.join(" ")), number)
    })
}

proptest! {
    #[test]
    fn screening_takes_any_text_and_repeats_none_of_it(
        texts in proptest::collection::vec(suspicious(), 1..20),
        name in prop_oneof!["\\PC{1,20}", Just("pin".to_owned()), Just("dob".to_owned()), Just("last_name".to_owned())],
    ) {
        let values: arrow::array::ArrayRef =
            std::sync::Arc::new(arrow::array::StringArray::from_iter_values(texts.iter().map(|(text, _)| text)));
        let bytes: arrow::array::ArrayRef =
            std::sync::Arc::new(arrow::array::BinaryArray::from_iter_values(texts.iter().map(|(text, _)| text.as_bytes())));
        let batch = arrow::array::RecordBatch::try_from_iter([(name.as_str(), values), ("geometry", bytes)]).unwrap();
        let mut screener = Screener::new(&batch.schema(), None, &RuleSet::default());
        screener.push(&batch, 1);
        for finding in screener.finish() {
            prop_assert!(finding.count > 0 && finding.rows.iter().all(|row| (1..=20).contains(row)));
            for (_, number) in &texts {
                prop_assert!(!finding.message.contains(number.as_str()), "{}", finding.message);
            }
        }
    }

    #[test]
    fn rule_files_are_taken_or_refused_and_never_panic(text in "\\PC{0,200}", key in "[a-z_]{1,8}", value in "\\PC{0,20}") {
        let _ = RuleSet::from_toml(&text);
        let _ = RuleSet::from_toml(&format!("title='x'\n[[rule]]\nid='a'\ntitle='t'\nclause='c'\naction='warn'\n{key}={value:?}"));
    }
}
