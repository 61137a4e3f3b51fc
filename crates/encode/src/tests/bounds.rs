//! Memory stays bounded, the same rows give the same bytes, and what does not fit is refused.

use arrow::array::StringViewArray;

use super::*;

/// `rows` rows with numbers, text and some nulls, beginning with number `from`.
fn rows(from: i64, rows: i64) -> RecordBatch {
    let numbers = from..from + rows;
    batch(vec![
        column("n", Int64Array::from_iter_values(numbers.clone())),
        column(
            "name",
            StringArray::from_iter(
                numbers.clone().map(|n| (n % 7 != 0 || n > 100).then(|| format!("name, {}", n % 977))),
            ),
        ),
        column("view", StringViewArray::from_iter_values(numbers.clone().map(|n| format!("a longer text of row {n}")))),
        column(
            "lat",
            Float64Array::from_iter_values(
                numbers.clone().map(|n| 36.0 + f64::from(i32::try_from(n % 1000).unwrap()) / 7e3),
            ),
        ),
        column(
            "lon",
            Float64Array::from_iter_values(numbers.map(|n| -78.0 - f64::from(i32::try_from(n % 1000).unwrap()) / 9e3)),
        ),
    ])
}

#[test]
fn a_million_rows_pass_through_little_memory() {
    let one = rows(0, 8_192).project(&[0, 3, 4]).unwrap();
    for kind in kinds() {
        // What a format keeps shows soon; one goes the whole way.
        let batches = if kind.extension() == "csv" { 123 } else { 6 };
        let mut encoder = encoder(kind, &one.schema(), &OutputOptions::default(), &Envelope::default()).unwrap();
        let mut out = Vec::new();
        let mut total = 0;
        for _ in 0..batches {
            encoder.write(&one, &mut out).unwrap();
            total += out.len();
            out.clear();
        }
        while !encoder.finish_part(0, &mut out).unwrap() {
            total += out.len();
            out.clear();
        }
        total += out.len();
        assert!(out.capacity() < 16 * 1024 * 1024, "{}: {}", kind.extension(), out.capacity());
        assert!(total > 5_000, "{}: {total}", kind.extension());
    }
}

#[test]
fn the_same_rows_are_the_same_bytes_however_they_are_cut() {
    let whole = rows(0, 20_000);
    let mut cut = Vec::new();
    let mut start = 0;
    for length in [1, 999, 0, 9_000, 8_192, 1_808] {
        cut.push(whole.slice(start, length));
        start += length;
    }
    assert_eq!(start, whole.num_rows());
    for kind in kinds() {
        let options = OutputOptions::default();
        let first = encode(&whole, kind);
        assert!(first == encode(&whole, kind), "{} twice", kind.extension());
        assert!(first == encode_with(&cut, kind, &options).unwrap(), "{} in pieces", kind.extension());
    }
}

#[test]
fn row_groups_are_bounded() {
    let table = rows(0, 300_000);
    let bytes = bytes::Bytes::from(encode(&table, kind(Format::Parquet)));
    let builder = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    let groups: Vec<i64> = builder.metadata().row_groups().iter().map(|group| group.num_rows()).collect();
    assert_eq!(groups, [131_072, 131_072, 37_856]);
}

#[test]
fn an_encoder_may_go_to_another_thread() {
    fn is_send<T: Send>() {}
    is_send::<crate::Encoder>();
}

#[test]
fn geojson_of_a_table_without_places_is_refused() {
    let refused = encode_with(&[sample()], kind(Format::Geojson), &OutputOptions::default());
    assert!(matches!(refused, Err(EncodeError::NoGeometry)));
}

#[test]
fn flight_and_packed_formats_in_a_second_wrapper_are_refused() {
    for kind in [
        kind(Format::Flight),
        FileKind { format: Format::Parquet, compression: Compression::Gzip },
        FileKind { format: Format::Xlsx, compression: Compression::Zstd },
    ] {
        let refused = encode_with(&[sample()], kind, &OutputOptions::default());
        assert!(matches!(refused, Err(EncodeError::NotOffered(_))));
    }
}

#[test]
fn what_a_worksheet_cannot_hold_is_refused_with_the_reason() {
    let long = batch(vec![column("a", StringArray::from(vec!["x".into(), "é".repeat(32_767), "é".repeat(32_768)]))]);
    let refuse = |table: &RecordBatch| {
        encode_with(std::slice::from_ref(table), kind(Format::Xlsx), &OutputOptions::default()).unwrap_err()
    };
    assert_eq!(
        refuse(&long).to_string(),
        "a worksheet's cell holds 32767 characters and column a, row 3 has more; \
         leave the column out or ask for another format"
    );
    assert!(encode_with(&[long.slice(0, 2)], kind(Format::Xlsx), &OutputOptions::default()).is_ok());

    let wide = (0..16_385).map(|n| column(&format!("c{n}"), Int64Array::from(vec![1]))).collect();
    assert!(matches!(refuse(&batch(wide)), EncodeError::TooManyColumns(16_385)));

    let tall = batch(vec![column("a", arrow::array::NullArray::new(1_048_576))]);
    assert!(matches!(refuse(&tall), EncodeError::TooManyRows));
    assert_eq!(EncodeError::TooManyRows.kind().code(), "answer_too_large");
}

#[test]
fn nothing_goes_out_before_a_workbook_is_known_to_fit() {
    let table = rows(0, 10_000);
    let mut encoder =
        encoder(kind(Format::Xlsx), &table.schema(), &OutputOptions::default(), &Envelope::default()).unwrap();
    let mut out = Vec::new();
    encoder.begin(&mut out).unwrap();
    encoder.write(&table, &mut out).unwrap();
    assert!(out.is_empty());
}

#[test]
fn a_broken_geometry_breaks_the_answer() {
    let table = parks();
    let broken = column("", BinaryArray::from(vec![Some(b"broken".as_slice()), None])).1;
    let table = RecordBatch::try_new(table.schema(), vec![table.column(0).clone(), broken]).unwrap();
    for format in [Format::Csv, Format::Json, Format::Geojson, Format::Table] {
        let error = encode_with(std::slice::from_ref(&table), kind(format), &OutputOptions::default()).unwrap_err();
        assert!(matches!(error, EncodeError::Geometry(_)), "{format}");
    }
}

#[test]
fn a_batch_of_another_shape_is_refused() {
    let mut encoder =
        encoder(kind(Format::Csv), &sample().schema(), &OutputOptions::default(), &Envelope::default()).unwrap();
    assert!(matches!(encoder.write(&parks(), &mut Vec::new()), Err(EncodeError::Columns)));
}
