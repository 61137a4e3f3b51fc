//! Damaged copies of good files: whatever byte is changed, a reader says what is wrong or reads a table, and never
//! breaks down. `PORTICO_MUTANTS` is how many of each file, 100 by default.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "how many are read and refused is worth a look")]
#![allow(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "places within small files are made from random numbers"
)]

use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int64Array, ListBuilder, RecordBatch, StringArray,
    StringBuilder, StructArray,
};
use arrow::datatypes::{DataType, Field, Int32Type, Schema};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use portico_intake::{IntakeError, ReadOptions, Survey, survey};
use portico_model::limits::IntakeLimits;

/// xorshift64*: the same mutants every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

fn batch() -> RecordBatch {
    let rows = 300_i64;
    let texts = (0..rows).map(|row| (row % 7 != 0).then(|| format!("text {}", row % 23)));
    let mut lists = ListBuilder::new(StringBuilder::new());
    for row in 0..rows {
        lists.append_value((0..row % 4).map(|item| Some(item.to_string())));
    }
    let kinds: DictionaryArray<Int32Type> = (0..rows).map(|row| ["a", "b", "c"][row as usize % 3]).collect();
    let inner: ArrayRef =
        Arc::new(BooleanArray::from_iter((0..rows).map(|row| (row % 5 != 0).then_some(row % 2 == 0))));
    let group = StructArray::from(vec![(Arc::new(Field::new("flag", DataType::Boolean, true)), inner)]);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values((0..rows).map(|row| row * 1_000_003)))),
        ("text", Arc::new(StringArray::from_iter(texts))),
        ("share", Arc::new(Float64Array::from_iter((0..rows).map(|row| (row % 3 != 0).then_some(row as f64 / 7.0))))),
        ("list", Arc::new(lists.finish())),
        ("kind", Arc::new(kinds)),
        ("group", Arc::new(group)),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn parquet(properties: WriterProperties) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch().schema(), Some(properties)).unwrap();
    writer.write(&batch()).unwrap();
    writer.close().unwrap();
    bytes
}

fn arrow(file: bool, compression: Option<CompressionType>) -> Vec<u8> {
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let (mut bytes, batch) = (Vec::new(), batch());
    if file {
        let mut writer = FileWriter::try_new_with_options(&mut bytes, &batch.schema(), options).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
    } else {
        let mut writer = StreamWriter::try_new_with_options(&mut bytes, &batch.schema(), options).unwrap();
        writer.write(&batch).unwrap();
        writer.finish().unwrap();
    }
    bytes
}

fn workbook() -> Vec<u8> {
    let mut workbook = rust_xlsxwriter::Workbook::new();
    let sheet = workbook.add_worksheet();
    for row in 0..20 {
        for column in 0..4 {
            sheet.write(row, column, format!("r{row}c{column}")).unwrap();
        }
    }
    workbook.save_to_buffer().unwrap()
}

fn archive(workbook: bool) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    // Stored: what changes in a packed part is found by its digest, and hides what lies behind it.
    let stored = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    if workbook {
        let mut packed = zip::ZipArchive::new(std::io::Cursor::new(self::workbook())).unwrap();
        for index in 0..packed.len() {
            let mut part = packed.by_index(index).unwrap();
            writer.start_file(part.name().to_owned(), stored).unwrap();
            std::io::copy(&mut part, &mut writer).unwrap();
        }
    } else {
        writer.start_file("t.csv", stored).unwrap();
        writer.write_all("id,name\n1,x\n2,\"y,z\"\n".repeat(20).as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let plain = WriterProperties::builder().set_dictionary_enabled(false).set_data_page_row_count_limit(50);
    let zstd = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
    let snappy = WriterProperties::builder().set_compression(Compression::SNAPPY);
    let modern = WriterProperties::builder().set_writer_version(parquet::file::properties::WriterVersion::PARQUET_2_0);
    vec![
        ("plain.parquet", parquet(plain.build())),
        ("zstd.parquet", parquet(zstd.build())),
        ("snappy.parquet", parquet(snappy.build())),
        ("modern.parquet", parquet(modern.set_dictionary_enabled(false).build())),
        ("file.arrow", arrow(true, None)),
        ("stream.arrows", arrow(false, None)),
        ("packed.arrow", arrow(true, Some(CompressionType::LZ4_FRAME))),
        ("packed.arrows", arrow(false, Some(CompressionType::ZSTD))),
        ("book.xlsx", workbook()),
        ("stored.xlsx", archive(true)),
        ("table.zip", archive(false)),
    ]
}

/// Changes a few things, most often near the end, where footers and directories are.
fn mutate(seed: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=random.below(3) {
        let length = bytes.len();
        let at = if random.below(2) == 0 { random.below(length) } else { length - 1 - random.below(length.min(600)) };
        match random.below(8) {
            0 | 1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = [0, 0xFF, 0x7F, 0x80][random.below(4)],
            3 => bytes[at] = random.next() as u8,
            4 => {
                let number =
                    [0, u64::MAX, 1 << 31, (1 << 31) - 1, 1 << 62, random.next()][random.below(6)].to_le_bytes();
                let end = (at + [2, 4, 8][random.below(3)]).min(length);
                bytes[at..end].copy_from_slice(&number[..end - at]);
            }
            5 => bytes.truncate(at.max(1)),
            6 => drop(bytes.drain(at..(at + 1 + random.below(9)).min(length))),
            _ => {
                let from = random.below(length);
                let part = bytes[from..(from + 1 + random.below(16)).min(length)].to_vec();
                bytes.splice(at..at, part);
            }
        }
    }
    bytes
}

fn read(file: &Path, name: &str, scratch: &Path) -> Result<Survey, IntakeError> {
    let limits = IntakeLimits { unpacked_bytes: 64 << 20, memory_bytes: 64 << 20, ..IntakeLimits::default() };
    let survey = survey(file, &ReadOptions::named(name), &limits, scratch, &mut |_| ())?;
    let mut rows = 0;
    for batch in survey.batches()? {
        rows += batch?.num_rows() as u64;
    }
    assert_eq!(rows, survey.rows, "{name}");
    Ok(survey)
}

/// The columns that the file's own schema has, structs taken apart.
fn leaves(schema: &Schema) -> usize {
    let each = schema.fields().iter();
    each.map(|field| match field.data_type() {
        DataType::Struct(fields) => leaves(&Schema::new(fields.clone())),
        _ => 1,
    })
    .sum()
}

#[test]
fn no_damaged_copy_breaks_its_reader() {
    #[allow(clippy::disallowed_methods, reason = "a test is told by its environment how long it may take")]
    let each: u64 = std::env::var("PORTICO_MUTANTS").ok().and_then(|text| text.parse().ok()).unwrap_or(100);
    // Caught panics of libraries would fill the log.
    std::panic::set_hook(Box::new(|_| ()));
    let directory = tempfile::tempdir().unwrap();
    let (file, scratch) = (directory.path().join("in"), directory.path().join("scratch"));
    std::fs::create_dir(&scratch).unwrap();
    let (mut broken, mut faults) = (Vec::new(), Vec::new());
    let mut in_all = (0, 0, 0);
    for (name, seed) in seeds() {
        std::fs::write(&file, &seed).unwrap();
        assert!(read(&file, name, &scratch).is_ok(), "{name} is no good file");
        let mut random = Random(0x9E37_79B9_7F4A_7C15 ^ seed.len() as u64);
        let (mut tables, mut refused) = (0, 0);
        for number in 0..each {
            let mutant = mutate(&seed, &mut random);
            std::fs::write(&file, &mutant).unwrap();
            match catch_unwind(AssertUnwindSafe(|| read(&file, name, &scratch))) {
                Err(_) => broken.push(format!("{name} {number}")),
                Ok(Err(error)) => {
                    refused += 1;
                    if matches!(error, IntakeError::Changed | IntakeError::Io(_)) {
                        faults.push(format!("{name} {number}: {error:?}"));
                    }
                }
                Ok(Ok(survey)) => {
                    tables += 1;
                    if survey.source.format == "parquet" {
                        let bytes = std::fs::File::open(&file).unwrap();
                        let own = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
                        assert_eq!(leaves(own.schema()), survey.schema.fields().len(), "{name} {number}");
                    }
                }
            }
        }
        println!("{name}: {each} mutants, {refused} refused, {tables} read");
        in_all = (in_all.0 + each, in_all.1 + refused, in_all.2 + tables);
    }
    println!("{} mutants in all, {} refused, {} read", in_all.0, in_all.1, in_all.2);
    let _ = std::panic::take_hook();
    assert!(broken.is_empty(), "broke down on {broken:?}");
    assert!(faults.is_empty(), "not the file's fault, it says: {faults:?}");
    assert_eq!(std::fs::read_dir(&scratch).unwrap().count(), 0);
}
