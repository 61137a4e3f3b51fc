//! Files of every format through both passes, on the public interface.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, DictionaryArray, Int32Array, Int64Array, ListBuilder, RecordBatch, StructArray,
    TimestampNanosecondArray,
};
use arrow::datatypes::{DataType, Field as ArrowField, Fields, Int32Type, Schema};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow::util::display::array_value_to_string;
use parquet::arrow::ArrowWriter;
use portico_intake::dictionary::{Dictionary, Field, FieldType};
use portico_intake::names::SOURCE_NAME_KEY;
use portico_intake::{IntakeError, ReadOptions, Survey, survey};
use portico_model::finding::Severity;
use portico_model::limits::IntakeLimits;
use rust_xlsxwriter::{ExcelDateTime, Format, Workbook};

struct Read {
    survey: Survey,
    /// Columns as text, row by row; null is `-`.
    rows: Vec<Vec<String>>,
}

impl Read {
    fn types(&self) -> Vec<(String, String)> {
        let fields = self.survey.schema.fields().iter();
        fields.map(|field| (field.name().clone(), field.data_type().to_string())).collect()
    }

    fn rules(&self) -> Vec<&str> {
        self.survey.findings.iter().map(|finding| finding.rule.as_str()).collect()
    }
}

fn read_with(bytes: &[u8], options: &ReadOptions) -> Result<Read, IntakeError> {
    let scratch = tempfile::tempdir()?;
    let path = scratch.path().join("file");
    std::fs::write(&path, bytes)?;
    let mut told = 0;
    let mut progress = |bytes| {
        assert!(bytes >= told);
        told = bytes;
    };
    let survey = survey(&path, options, &IntakeLimits::default(), scratch.path(), &mut progress)?;
    assert_eq!(told, u64::try_from(bytes.len()).unwrap());
    let mut rows = Vec::new();
    for batch in survey.batches()? {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            let shown = |column: &ArrayRef| {
                if column.is_null(row) { "-".to_owned() } else { array_value_to_string(column, row).unwrap() }
            };
            rows.push(batch.columns().iter().map(shown).collect());
        }
    }
    Ok(Read { survey, rows })
}

fn read(name: &str, bytes: &[u8]) -> Read {
    read_with(bytes, &ReadOptions::named(name)).unwrap()
}

fn pairs(types: &[(&str, &str)]) -> Vec<(String, String)> {
    types.iter().map(|(name, data_type)| ((*name).to_owned(), (*data_type).to_owned())).collect()
}

#[test]
fn a_csv_is_typed_from_all_rows() {
    let mut text = String::from("Id,Opened On,Amount,Open,Code Name\n");
    for day in 1..=28 {
        text.push_str(&format!("{day},2/{day}/2024,{day}.50,TRUE,x\n"));
    }
    text.push_str("29,2/29/2024,,false,\n");
    let found = read("t.csv", text.as_bytes());
    assert_eq!(
        found.types(),
        pairs(&[
            ("id", "Utf8"),
            ("opened_on", "Date32"),
            ("amount", "Decimal128(4, 2)"),
            ("open", "Boolean"),
            ("code_name", "Utf8"),
        ])
    );
    assert_eq!(found.rules(), ["identifier_kept_as_text", "date_format_read"]);
    assert_eq!(found.rows.last().unwrap(), &["29", "2024-02-29", "-", "false", "-"]);
    let source = found.survey.schema.field(1).metadata().get(SOURCE_NAME_KEY);
    assert_eq!(source.map(String::as_str), Some("Opened On"));
    assert_eq!(found.survey.source.format, "csv");
    assert_eq!(found.survey.source.delimiter, Some(','));
}

#[test]
fn a_change_in_row_66_583_widens_the_column_and_says_so() {
    let mut text = String::from("n,k\n");
    for row in 1..=70_000 {
        text.push_str(if row == 66_583 { "1.5,x\n" } else { "7,x\n" });
    }
    let found = read("t.csv", text.as_bytes());
    assert_eq!(found.types(), pairs(&[("n", "Decimal128(2, 1)"), ("k", "Utf8")]));
    let finding = found.survey.findings.first().unwrap();
    assert_eq!((finding.rule.as_str(), finding.count, finding.rows.as_slice()), ("type_widened", 1, &[66_583][..]));
    assert_eq!(found.rows.len(), 70_000);
}

#[test]
fn encodings_and_line_ends_make_no_difference() {
    let check = |bytes: &[u8], encoding: &str, rules: &[&str]| {
        let found = read("t.csv", bytes);
        assert_eq!(found.rows, [["1", "é"], ["2", "x"]], "{encoding}");
        assert_eq!(found.survey.source.encoding.as_deref(), Some(encoding));
        assert_eq!(found.rules(), rules, "{encoding}");
    };
    let text = "n,k\r\n1,é\r\n2,x\r\n";
    let wide = |to: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(to).collect::<Vec<_>>();
    check(text.as_bytes(), "UTF-8", &[]);
    check(text.replace("\r\n", "\r").as_bytes(), "UTF-8", &[]);
    check(text.replace("\r\n", "\n\n").as_bytes(), "UTF-8", &[]);
    check(&[b"\xEF\xBB\xBF", text.as_bytes()].concat(), "UTF-8", &[]);
    check(&[&b"\xFF\xFE"[..], &wide(u16::to_le_bytes)].concat(), "UTF-16LE", &[]);
    check(&wide(u16::to_le_bytes), "UTF-16LE", &[]);
    check(&wide(u16::to_be_bytes), "UTF-16BE", &[]);
    check(b"n,k\n1,\xE9\n2,x\n", "windows-1252", &["encoding_detected"]);
    let told = ReadOptions { encoding: Some("latin1".into()), ..ReadOptions::named("t.csv") };
    assert_eq!(read_with(b"n\n\xE9\n", &told).unwrap().rows, [["é"]]);
    let wrong = ReadOptions { encoding: Some("utf-8".into()), ..ReadOptions::named("t.csv") };
    assert!(matches!(read_with(b"n\n\xE9\n", &wrong), Err(IntakeError::Encoding { .. })));
}

#[test]
fn the_dictionary_overrides_what_values_seem_to_be() {
    let field = |name: &str, data_type| Field { data_type: Some(data_type), ..Field::named(name) };
    let dictionary = Dictionary {
        fields: vec![
            Field { format: Some("%d/%m/%Y".into()), rename: Some("opened".into()), ..field("When", FieldType::Date) },
            Field { thousands: Some(','), currency: Some('$'), ..Field::named("Cost") },
            field("Zip", FieldType::Integer),
            field("Place", FieldType::Geometry),
        ],
        missing_values: vec!["n/a".into()],
        ..Dictionary::default()
    };
    let options = ReadOptions { dictionary: Some(dictionary), ..ReadOptions::named("t.csv") };
    let text = "When,Cost,Zip,Place\n01/02/2024,\"$1,234.50\",27701,POINT (1 2)\n03/02/2024,n/a,n/a,n/a\n\
                02/13/2024,$5.00,277-1,nowhere\n";
    let found = read_with(text.as_bytes(), &options).unwrap();
    assert_eq!(
        found.types(),
        pairs(&[("opened", "Date32"), ("cost", "Decimal128(6, 2)"), ("zip", "Int64"), ("place", "Binary"),])
    );
    let violations = found.survey.findings.iter().map(|finding| {
        (finding.rule.as_str(), finding.column.as_deref().unwrap(), finding.severity, finding.rows.clone())
    });
    assert_eq!(
        violations.collect::<Vec<_>>(),
        [
            ("type_violation", "opened", Severity::Blocking, vec![3]),
            ("type_violation", "zip", Severity::Blocking, vec![3]),
            ("type_violation", "place", Severity::Blocking, vec![3]),
        ]
    );
    assert_eq!(found.rows[0][..3], ["2024-02-01", "1234.50", "27701"]);
    assert_eq!(found.rows[1], ["2024-02-03", "-", "-", "-"]);
    assert_eq!(found.rows[2], ["-", "5.00", "-", "-"]);
    let metadata = found.survey.schema.field(3).metadata();
    assert_eq!(metadata.get("ARROW:extension:name").map(String::as_str), Some("geoarrow.wkb"));
}

#[test]
fn headers_are_told_apart_from_titles_and_data() {
    let found = read("t.csv", b"Spending 2024\n\nName,,name,2024\na,b,c,1\nd,e,f,2\n");
    let names = found.types().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names, ["name", "column_2", "name_2", "_2024"]);
    assert_eq!(found.rules(), ["preamble_skipped", "column_renamed", "column_renamed", "column_renamed"]);
    assert_eq!(found.survey.source.preamble_rows, 1);
    assert_eq!(read("t.csv", b"1,x\n2,y\n").rules(), ["header_looks_like_data", "column_renamed"]);
    let bare = ReadOptions { header: Some(false), ..ReadOptions::named("t.csv") };
    assert_eq!(read_with(b"1,x\n2,y\n", &bare).unwrap().rows.len(), 2);
    assert_eq!(read("t.csv", b"a,b\n").rules(), ["no_rows"]);
}

#[test]
fn json_numbers_keep_their_digits_and_strings_stay_text() {
    let text = br#"[{"id": 7, "amount": 1.10, "zip": "27701", "when": "2024-01-31", "deep": {"ok": true}},
        {"id": 8, "amount": 2.25, "zip": "27702", "when": "", "tags": [1, 2]}]"#;
    let found = read("t.json", text);
    assert_eq!(
        found.types(),
        pairs(&[
            ("id", "Utf8"),
            ("amount", "Decimal128(3, 2)"),
            ("zip", "Utf8"),
            ("when", "Date32"),
            ("deep_ok", "Boolean"),
            ("tags", "Utf8"),
        ])
    );
    assert_eq!(found.rows[1], ["8", "2.25", "27702", "-", "-", "[1,2]"]);
    assert_eq!(found.rules(), ["identifier_kept_as_text", "number_kept_as_text", "array_as_json_text"]);
}

#[test]
fn geojson_has_its_geometry_last() {
    let text = br#"{"type":"FeatureCollection","features":[
        {"type":"Feature","properties":{"geometry":"x","n":1},"geometry":{"type":"Point","coordinates":[-78.9,36]}},
        {"type":"Feature","properties":{"geometry":"y","n":2},"geometry":null}]}"#;
    let found = read("t.geojson", text);
    assert_eq!(found.types(), pairs(&[("geometry_2", "Utf8"), ("n", "Int64"), ("geometry", "Binary")]));
    assert_eq!(found.survey.source.format, "geojson");
    let lines =
        "\u{1e}{\"type\":\"Feature\",\"properties\":{},\"geometry\":{\"type\":\"Point\",\"coordinates\":[1,2]}}\n";
    assert_eq!(read("t.geojsons", lines.as_bytes()).rows.len(), 1);
    let bad = br#"{"type":"Feature","properties":{"n":1},"geometry":{"type":"Point"}}"#;
    let found = read("t.geojson", bad);
    assert_eq!(found.rules(), ["invalid_geometry"]);
    assert_eq!(found.types(), pairs(&[("n", "Int64"), ("geometry", "Binary")]));
}

#[test]
fn a_workbook_gives_its_first_visible_sheet() {
    let mut workbook = Workbook::new();
    let date = Format::new().set_num_format("yyyy-mm-dd");
    let hidden = workbook.add_worksheet();
    hidden.write(0, 0, "secret").unwrap();
    let sheet = workbook.add_worksheet();
    sheet.write(0, 0, "Budget 2024").unwrap();
    for (column, name) in (0..).zip(["Dept", "Amount", "Day", "Late", "Code"]) {
        sheet.write(2, column, name).unwrap();
    }
    for (row, amount) in [(3, 1.5), (4, 2.25), (6, 3.0)] {
        sheet.write(row, 0, "Parks").unwrap();
        sheet.write(row, 1, amount).unwrap();
        let day = ExcelDateTime::from_ymd(2024, 2, 29).unwrap();
        sheet.write_datetime_with_format(row, 2, &day, &date).unwrap();
        sheet.write(row, 3, row == 3).unwrap();
        sheet.write(row, 4, "007").unwrap();
    }
    workbook.worksheet_from_index(0).unwrap().set_hidden(true);
    workbook.worksheet_from_index(1).unwrap().set_active(true);
    let bytes = workbook.save_to_buffer().unwrap();
    let found = read("t.xlsx", &bytes);
    assert_eq!(
        found.types(),
        pairs(&[("dept", "Utf8"), ("amount", "Float64"), ("day", "Date32"), ("late", "Boolean"), ("code", "Utf8"),])
    );
    assert_eq!(found.rows[2], ["Parks", "3.0", "2024-02-29", "false", "007"]);
    let rules = ["hidden_sheets", "blank_rows_skipped", "preamble_skipped"];
    assert_eq!(found.rules().get(..3), Some(&rules[..]));
    let named = ReadOptions { sheet: Some("Sheet1".into()), ..ReadOptions::named("t.xlsx") };
    assert_eq!(read_with(&bytes, &named).unwrap().types(), pairs(&[("secret", "Utf8")]));
    let wrong = ReadOptions { sheet: Some("none".into()), ..ReadOptions::named("t.xlsx") };
    assert!(matches!(read_with(&bytes, &wrong), Err(IntakeError::Option { option: "sheet", .. })));
}

fn typed_batch() -> RecordBatch {
    let mut lists = ListBuilder::new(arrow::array::Int32Builder::new());
    lists.append_value([Some(1), None]);
    lists.append_null();
    let names: DictionaryArray<Int32Type> = ["x", "y"].into_iter().collect();
    let inner = Fields::from(vec![ArrowField::new("b c", DataType::Int32, true)]);
    let outer = StructArray::new(inner.clone(), vec![Arc::new(Int32Array::from(vec![5, 6]))], None);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("Id", Arc::new(Int64Array::from(vec![1, 2]))),
        ("Name", Arc::new(names)),
        ("At", Arc::new(TimestampNanosecondArray::from(vec![1_000, 2_001]).with_timezone("+02:00"))),
        ("Tags", Arc::new(lists.finish())),
        ("A", Arc::new(outer)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn check_typed(name: &str, bytes: &[u8]) {
    let found = read(name, bytes);
    let utc = "Timestamp(µs, \"UTC\")";
    assert_eq!(
        found.types(),
        pairs(&[("id", "Int64"), ("name", "Utf8"), ("at", utc), ("tags", "Utf8"), ("a_b_c", "Int32")])
    );
    assert_eq!(found.rows[0], ["1", "x", "1970-01-01T00:00:00.000001Z", "[1,null]", "5"]);
    assert_eq!(found.rows[1][3], "-");
    assert_eq!(found.rules(), ["precision_reduced", "array_as_json_text"]);
}

#[test]
fn typed_files_keep_their_types() {
    let batch = typed_batch();
    let mut parquet = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut parquet, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    check_typed("t.parquet", &parquet);
    for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
        let mut file = Vec::new();
        let mut writer = FileWriter::try_new_with_options(&mut file, &batch.schema(), options.clone()).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        drop(writer);
        check_typed("t.arrow", &file);
        let mut stream = Vec::new();
        let mut writer = StreamWriter::try_new_with_options(&mut stream, &batch.schema(), options).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        drop(writer);
        check_typed("t.arrows", &stream);
    }
}

#[test]
fn dates_in_milliseconds_are_days_unless_one_has_a_time() {
    let check = |last: i64, expect: &str, shown: &str| {
        let days: ArrayRef = Arc::new(arrow::array::Date64Array::from(vec![-86_400_000, last]));
        let batch = RecordBatch::try_from_iter(vec![("day", days)]).unwrap();
        let mut file = Vec::new();
        let mut writer = FileWriter::try_new(&mut file, &batch.schema()).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
        drop(writer);
        let found = read("t.arrow", &file);
        assert_eq!(found.types(), pairs(&[("day", expect)]));
        assert_eq!(found.rows[0], [shown]);
    };
    check(86_400_000, "Date32", "1969-12-31");
    check(86_400_001, "Timestamp(µs)", "1969-12-31T00:00:00");
}

#[test]
fn a_sheet_of_a_file_without_sheets_is_refused() {
    let options = ReadOptions { sheet: Some("Data".into()), ..ReadOptions::named("t.csv") };
    assert!(matches!(read_with(b"a\n1\n", &options), Err(IntakeError::Option { option: "sheet", .. })));
}

#[test]
fn numbers_that_a_double_would_change_stay_as_they_are() {
    let found = read("sci.csv", b"v\n1E5\n123456789012345678\n1.23456789012345678\n");
    assert_eq!(found.types(), pairs(&[("v", "Utf8")]));
    assert_eq!(found.rules(), ["number_kept_as_text"]);
    for (name, bytes) in [("x.csv", &b"v\n1e400\n2\n"[..]), ("x.json", b"[{\"v\":1e400},{\"v\":2}]")] {
        let found = read(name, bytes);
        assert_eq!((found.rows[0][0].as_str(), found.rules()), ("1e400", vec!["number_kept_as_text"]));
    }
}

#[test]
fn long_batches_are_handed_on_in_parts_and_text_in_binary_is_text() {
    let many: ArrayRef = Arc::new(Int64Array::from_iter_values(0..20_000));
    let bytes: ArrayRef = Arc::new(arrow::array::BinaryArray::from_iter_values((0..20_000).map(|_| b"ok")));
    let batch = RecordBatch::try_from_iter(vec![("n", many), ("t", bytes)]).unwrap();
    let mut file = Vec::new();
    let mut writer = FileWriter::try_new(&mut file, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    let found = read("t.arrow", &file);
    assert_eq!(found.rows.len(), 20_000);
    assert_eq!(found.rows[19_999], ["19999", "ok"]);
    assert_eq!(found.rules(), ["binary_read_as_text"]);
    let field = Field { data_type: Some(FieldType::Text), ..Field::named("n") };
    let dictionary = Dictionary { fields: vec![field], ..Dictionary::default() };
    let options = ReadOptions { dictionary: Some(dictionary), ..ReadOptions::named("t.arrow") };
    assert_eq!(read_with(&file, &options).unwrap().types(), pairs(&[("n", "Utf8"), ("t", "Utf8")]));
}

#[test]
fn damaged_files_are_refused_and_nothing_panics() {
    let batch = typed_batch();
    let mut parquet = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut parquet, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let mut stream = Vec::new();
    let mut writer = StreamWriter::try_new(&mut stream, &batch.schema()).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    for (name, bytes) in [("t.parquet", parquet), ("t.arrow", stream)] {
        for at in (8..bytes.len()).step_by(7) {
            let mut broken = bytes.clone();
            broken[at] ^= 0x55;
            if let Err(error) = read_with(&broken, &ReadOptions::named(name)) {
                assert!(!error.to_string().is_empty());
            }
            if let Err(error) = read_with(&bytes[..at], &ReadOptions::named(name)) {
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

#[test]
fn what_is_no_table_is_refused_with_a_reason() {
    let check = |name: &str, bytes: &[u8], expect: &str| {
        let error = read_with(bytes, &ReadOptions::named(name)).map(|read| read.rules().join(",")).unwrap_err();
        assert!(error.to_string().contains(expect), "{name}: {error}");
    };
    check("t.csv", b"", "empty");
    check("t.csv", b"\n\n", "blank lines");
    check("t.csv", b"\xEF\xBB\xBF", "blank lines");
    check("t.csv", b"<!DOCTYPE html><html>", "HTML");
    check("t.pdf", b"%PDF-1.7", "PDF");
    check("t.md", b"# Title\n\ntext", "text document");
    check("t.yaml", b"a: 1", "YAML");
    check("t.xls", b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", ".xls");
    check("t.csv", b"a,b\n1,\"x\n", "data row 1");
    check("t.csv", format!("{},b\n1,2\n", "x".repeat(5_000)).as_bytes(), "column name");
    check("t.bin", &[0, 1, 2, 3, 255, 254, 7, 8], "binary");
    check("t.csv", b"PK\x03\x04garbage", "zip");
}

#[test]
fn text_that_is_long_closes_a_batch_early() {
    let cell = "x".repeat(1_000_000);
    let text = format!("k\n{}", format!("{cell}\n").repeat(40));
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("file");
    std::fs::write(&path, text).unwrap();
    let limits = IntakeLimits::default();
    let found = survey(&path, &ReadOptions::named("t.csv"), &limits, scratch.path(), &mut |_| ()).unwrap();
    let sizes = found.batches().unwrap().map(|batch| batch.unwrap().num_rows()).collect::<Vec<_>>();
    assert_eq!(sizes.iter().sum::<usize>(), 40);
    assert!(sizes.len() > 1);
    let batches = found.batches().unwrap();
    assert_eq!(*batches.schema(), Schema::new(found.schema.fields().clone()));
    drop(found);
    let first = { batches }.next().unwrap().unwrap();
    assert_eq!(first.column(0).as_string::<i32>().value(0).len(), cell.len());
}
