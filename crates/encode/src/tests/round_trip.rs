//! What was written reads back, by readers that are not ours.

use std::io::{Cursor, Read};

use arrow::ipc::reader::StreamReader;
use bytes::Bytes;
use calamine::{Data, Reader as _, Xlsx};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use portico_model::order::IpcCompression;
use proptest::prelude::*;

use super::*;

/// Rows of fields as csv-core sees them.
fn read_csv(bytes: &[u8]) -> Vec<Vec<String>> {
    let mut reader = csv_core::Reader::new();
    let (mut rows, mut row, mut field) = (Vec::new(), Vec::new(), Vec::new());
    let mut input = bytes;
    loop {
        let mut output = [0; 64];
        let (result, read, wrote) = reader.read_field(input, &mut output);
        input = &input[read..];
        field.extend_from_slice(&output[..wrote]);
        match result {
            csv_core::ReadFieldResult::InputEmpty | csv_core::ReadFieldResult::OutputFull => {}
            csv_core::ReadFieldResult::Field { record_end } => {
                row.push(String::from_utf8(std::mem::take(&mut field)).unwrap());
                if record_end {
                    rows.push(std::mem::take(&mut row));
                }
            }
            csv_core::ReadFieldResult::End => return rows,
        }
    }
}

fn read_arrow(bytes: Vec<u8>) -> Vec<RecordBatch> {
    StreamReader::try_new(Cursor::new(bytes), None).unwrap().map(Result::unwrap).collect()
}

fn read_parquet(bytes: Vec<u8>) -> (ParquetRecordBatchReaderBuilder<Bytes>, Vec<RecordBatch>) {
    let bytes = Bytes::from(bytes);
    let open = || ParquetRecordBatchReaderBuilder::try_new(bytes.clone()).unwrap();
    (open(), open().build().unwrap().map(Result::unwrap).collect())
}

#[test]
fn arrow_reads_back_with_types_and_metadata() {
    for table in [sample(), parks()] {
        let back = read_arrow(encode(&table, kind(Format::Arrow)));
        assert_eq!(back[0].schema().fields(), table.schema().fields());
        assert_eq!(back, vec![table]);
    }
}

#[test]
fn arrow_bodies_are_compressed_only_when_asked() {
    let table = batch(vec![column("a", Int64Array::from(vec![7; 10_000]))]);
    let plain = encode(&table, kind(Format::Arrow));
    for compression in [IpcCompression::Lz4, IpcCompression::Zstd] {
        let options = OutputOptions { ipc_compression: compression, ..OutputOptions::default() };
        let packed = encode_with(std::slice::from_ref(&table), kind(Format::Arrow), &options).unwrap();
        assert!(packed.len() * 10 < plain.len(), "{}", packed.len());
        assert_eq!(read_arrow(packed), vec![table.clone()]);
    }
}

#[test]
fn parquet_reads_back_with_types_and_metadata() {
    let (builder, back) = read_parquet(encode(&parks(), kind(Format::Parquet)));
    assert_eq!(back, vec![parks()]);
    let file = builder.metadata().file_metadata();
    assert_eq!(file.created_by(), Some("portico"));
    let keys: Vec<&str> = file.key_value_metadata().unwrap().iter().map(|pair| pair.key.as_str()).collect();
    assert_eq!(keys, ["ARROW:schema", "geo"]);
    let geo = file.key_value_metadata().unwrap()[1].value.clone().unwrap();
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&geo).unwrap(),
        json!({"version": "1.1.0", "primary_column": "shape", "columns": {"shape": {
            "encoding": "WKB", "geometry_types": [], "bbox": [0.0, 0.0, 4.0, 4.0]}}})
    );
    let (builder, back) = read_parquet(encode(&sample(), kind(Format::Parquet)));
    // NaN is not equal to itself, but it is spelt the same.
    assert_eq!(text(&back[0], Format::Csv), text(&sample(), Format::Csv));
    assert_eq!(back[0].schema().fields(), sample().schema().fields());
    assert_eq!(builder.metadata().file_metadata().key_value_metadata().unwrap().len(), 1);
}

#[test]
fn workbooks_read_back_with_real_dates_and_no_formulas() {
    let mut table = sample();
    let formula = column("note", StringArray::from(vec!["=1+1", "_x0041_\u{1}\t", "<&>"]));
    let mut columns: Vec<(String, ArrayRef)> =
        table.schema().fields().iter().map(|f| f.name().clone()).zip(table.columns().to_vec()).collect();
    columns.push(formula);
    table = batch(columns);
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(encode(&table, kind(Format::Xlsx)))).unwrap();
    assert_eq!(book.worksheet_formula("data").unwrap().used_cells().count(), 0);
    let sheet = book.worksheet_range("data").unwrap();
    assert_eq!(sheet.get_size(), (4, 8));
    let at = |row, column| sheet.get_value((row, column)).cloned().unwrap_or_default();
    assert_eq!(at(0, 0), Data::String("id".into()));
    assert_eq!(at(1, 0), Data::Float(1.0));
    assert_eq!(at(2, 0), Data::String("9007199254740993".into()));
    assert_eq!(at(1, 1), Data::String("Oak, \"red\"".into()));
    assert_eq!(at(2, 1), Data::Empty);
    assert_eq!(at(1, 2), Data::Float(12.5));
    assert_eq!(at(2, 2), Data::String("NaN".into()));
    assert_eq!(at(1, 3), Data::Float(1.5));
    assert_eq!(at(1, 4), Data::Bool(true));
    let Data::DateTime(day) = at(1, 5) else { panic!("{:?}", at(1, 5)) };
    assert_eq!(day.as_f64(), 45_352.0);
    assert_eq!(at(2, 5), Data::String("1869-12-31".into()));
    let Data::DateTime(moment) = at(1, 6) else { panic!("{:?}", at(1, 6)) };
    assert!((moment.as_f64() - (45_352.0 + 45_296.0 / 86_400.0)).abs() < 1e-9);
    assert_eq!(at(1, 7), Data::String("=1+1".into()));
    assert_eq!(at(3, 7), Data::String("<&>".into()));
}

#[test]
fn workbooks_keep_rows_of_nothing() {
    let table = batch(vec![column("a", Int64Array::from(vec![Some(1), None, None]))]);
    let mut book: Xlsx<_> = Xlsx::new(Cursor::new(encode(&table, kind(Format::Xlsx)))).unwrap();
    let sheet = book.worksheet_range("data").unwrap();
    assert_eq!(sheet.get_value((1, 0)), Some(&Data::Float(1.0)));
    let xml = {
        let mut archive = zip::ZipArchive::new(Cursor::new(encode(&table, kind(Format::Xlsx)))).unwrap();
        let mut xml = String::new();
        archive.by_name("xl/worksheets/sheet1.xml").unwrap().read_to_string(&mut xml).unwrap();
        xml
    };
    assert!(xml.contains("<row r=\"4\">"), "{xml}");
}

#[test]
fn compressed_files_inflate_to_the_plain_ones() {
    let table = batch(vec![column("a", Int64Array::from_iter_values(0..100_000))]);
    for format in [Format::Csv, Format::Ndjson] {
        let plain = encode(&table, kind(format));
        assert!(plain.len() > 3 * 128 * 1024);
        let gzip = encode(&table, FileKind { format, compression: Compression::Gzip });
        assert_eq!(gzip[..10], [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF], "no name, no time");
        let mut inflated = Vec::new();
        flate2::read::GzDecoder::new(gzip.as_slice()).read_to_end(&mut inflated).unwrap();
        assert_eq!(inflated, plain);
        let zstd = encode(&table, FileKind { format, compression: Compression::Zstd });
        assert_eq!(zstd::decode_all(zstd.as_slice()).unwrap(), plain);
        assert!(gzip.len() < plain.len() / 2 && zstd.len() < plain.len() / 2);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_text_survives_csv(rows in prop::collection::vec(("[ -~\\n\\r\\t,\"é\u{2028}]{0,20}", ".{0,12}"), 1..8)) {
        let (a, b): (Vec<String>, Vec<String>) = rows.into_iter().unzip();
        let table = batch(vec![column("a", StringArray::from(a.clone())), column("b", StringArray::from(b.clone()))]);
        let mut expected = vec![vec!["a".to_owned(), "b".to_owned()]];
        expected.extend(a.into_iter().zip(b).map(|(a, b)| vec![a, b]));
        prop_assert_eq!(read_csv(&encode(&table, kind(Format::Csv))), expected);
    }

    #[test]
    fn any_text_survives_json(texts in prop::collection::vec(prop::option::of(any::<String>()), 1..8)) {
        let table = batch(vec![column("a\"\n", StringArray::from(texts.clone()))]);
        let objects: Vec<serde_json::Map<String, serde_json::Value>> =
            serde_json::from_slice(&encode(&table, kind(Format::Objects))).unwrap();
        let back: Vec<Option<String>> =
            objects.iter().map(|object| object["a\"\n"].as_str().map(str::to_owned)).collect();
        prop_assert_eq!(&back, &texts);
        for line in text(&table, Format::Ndjson).split_terminator('\n') {
            prop_assert!(serde_json::from_str::<serde_json::Value>(line).is_ok());
        }
    }

    #[test]
    fn any_float_survives_csv(bits in any::<u64>()) {
        let value = f64::from_bits(bits);
        let table = batch(vec![column("a", Float64Array::from(vec![value]))]);
        let back: f64 = read_csv(&encode(&table, kind(Format::Csv)))[1][0].parse().unwrap();
        prop_assert!(back.to_bits() == bits || back.is_nan() && value.is_nan());
    }
}
