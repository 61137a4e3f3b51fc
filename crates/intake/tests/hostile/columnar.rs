//! Parquet and Arrow IPC: footers, pages and messages that say more than there is, and little that stands for much.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Date32Array, DictionaryArray, Int32Array, Int64Array, NullArray, RecordBatch, StringArray,
    Time64MicrosecondArray, TimestampSecondArray,
};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use parquet::arrow::ArrowWriter;
use portico_model::limits::IntakeLimits;

use super::Expect::{Finding, Refused, Rows};
use super::parquet_bytes::{BYTES, Chunk, INT32, file, footer, page, run};
use super::{Sample, sample};

pub(super) fn samples(limits: &IntakeLimits) -> Vec<Sample> {
    let mut all = footers(limits);
    all.extend(pages(limits));
    all.extend(messages(limits));
    all
}

const NOTHING: Chunk = Chunk { values: 0, data_page: 4, dictionary_page: None, bytes: 0, unpacked: 0, codec: 0 };

/// A column of a dictionary with one value, and one page of indices that are all alike.
fn repeated(physical: i32, value: &[u8], codec: i32, rows: i32, indices: &[u8]) -> Vec<u8> {
    let packed = if codec == 6 { zstd::encode_all(value, 3).unwrap() } else { value.to_vec() };
    let indices = if codec == 6 { zstd::encode_all(indices, 3).unwrap() } else { indices.to_vec() };
    let dictionary = page(true, 1, value.len() as i32, &packed);
    let unpacked = if codec == 6 { run(rows as u64).len() } else { indices.len() };
    let data = page(false, rows, unpacked as i32, &indices);
    let chunk = Chunk {
        values: rows.into(),
        data_page: 4 + dictionary.len() as i64,
        dictionary_page: Some(4),
        bytes: (dictionary.len() + data.len()) as i64,
        unpacked: (value.len() + 100) as i64,
        codec,
    };
    file(&[dictionary, data].concat(), &footer(physical, 0, rows.into(), 1, chunk))
}

fn footers(limits: &IntakeLimits) -> Vec<Sample> {
    let lie = |length: u32| [b"PAR1........", &length.to_le_bytes()[..], b"PAR1"].concat();
    let small = |chunk: Chunk, groups: u64| file(b"....", &footer(INT32, 0, 1, groups, chunk));
    let groups = limits.footer_bytes / 30;
    let negative = Chunk { values: 1, data_page: -5, dictionary_page: Some(-9), bytes: -1, unpacked: -1, codec: 0 };
    let beyond = Chunk { values: 1, data_page: 1 << 40, bytes: 1 << 40, ..NOTHING };
    let claims = Chunk { values: i64::MAX, bytes: 100, ..NOTHING };
    let nested = file(b"....", &footer(INT32, 1_000, 1, 1, Chunk { values: 1, bytes: 4, ..NOTHING }));
    vec![
        sample("parquet: footer of 2 GiB", "t.parquet", lie(0x7FFF_FFFF), Refused("ends before it is complete")),
        sample("parquet: footer of 4 GiB", "t.parquet", lie(u32::MAX), Refused("ends before it is complete")),
        sample("parquet: no footer", "t.parquet", &b"PAR1PAR1"[..], Refused("damaged")),
        sample("parquet: one magic number", "t.parquet", &b"PAR1"[..], Refused("damaged")),
        sample("parquet: footer over the limit", "t.parquet", small(NOTHING, groups), Refused("footer_bytes")),
        sample("parquet: negative places", "t.parquet", small(negative, 1), Refused("damaged")),
        sample("parquet: places beyond the end", "t.parquet", small(beyond, 1), Refused("damaged")),
        sample("parquet: values without end", "t.parquet", small(claims, 1), Refused("unpacked_ratio")),
        sample("parquet: nested 1,000 times", "t.parquet", nested, Refused("depth")),
    ]
}

fn pages(limits: &IntakeLimits) -> Vec<Sample> {
    let one = 7_i32.to_le_bytes();
    let many = repeated(INT32, &one, 0, i32::MAX, &run(i32::MAX as u64));
    let few = repeated(INT32, &one, 0, 2, &run(1 << 31));
    let some = repeated(INT32, &one, 0, 100, &run(100));
    let missing = repeated(INT32, &one, 0, 100, &run(3));
    let length = limits.cell_bytes as u32 / 2;
    let mut text = length.to_le_bytes().to_vec();
    text.resize(4 + length as usize, b'x');
    let wide = repeated(BYTES, &text, 6, 1_000_000, &run(1_000_000));
    let huge = page(false, i32::MAX, i32::MAX, b"....");
    let chunk = Chunk { values: 2, bytes: huge.len() as i64, ..NOTHING };
    let claims = file(&huge, &footer(INT32, 0, 2, 1, chunk));
    vec![
        sample("parquet: a run of 2 billion rows", "t.parquet", many, Refused("unpacked_ratio")),
        sample("parquet: a run longer than its page", "t.parquet", few, Rows(2)),
        sample("parquet: an honest run", "t.parquet", some, Rows(100)),
        sample("parquet: a run shorter than its page", "t.parquet", missing, Refused("damaged")),
        sample("parquet: a long text a million times", "t.parquet", wide, Refused("unpacked_ratio")),
        sample("parquet: a page of 2 billion values", "t.parquet", claims, Refused("damaged")),
    ]
}

fn batch() -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("n", Arc::new(Int64Array::from(vec![0x0123_4567_89AB_CDEF, 2, 3]))),
        ("t", Arc::new(StringArray::from(vec!["x", "yy", "zzz"]))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn ipc(batch: &RecordBatch, compression: Option<CompressionType>) -> (Vec<u8>, Vec<u8>) {
    let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
    let (mut file, mut stream) = (Vec::new(), Vec::new());
    let mut writer = FileWriter::try_new_with_options(&mut file, &batch.schema(), options.clone()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    let mut writer = StreamWriter::try_new_with_options(&mut stream, &batch.schema(), options).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    (file, stream)
}

/// Puts other bytes in place of some that are there.
fn swapped(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).unwrap();
    let mut bytes = bytes.to_vec();
    bytes.splice(at..at + from.len(), to.iter().copied());
    bytes
}

fn messages(limits: &IntakeLimits) -> Vec<Sample> {
    let (whole, stream) = ipc(&batch(), None);
    let half = |bytes: &[u8]| bytes.get(..bytes.len() / 2).unwrap().to_vec();
    let (_, packed) = ipc(&zeros(), Some(CompressionType::LZ4_FRAME));
    // The first buffer's length when unpacked.
    let claim = swapped(&packed, &40_000_i64.to_le_bytes(), &(1_i64 << 60).to_le_bytes());
    let nothing = RecordBatch::try_from_iter([("a", Arc::new(NullArray::new(1 << 40)) as ArrayRef)]).unwrap();
    let values: ArrayRef = Arc::new(StringArray::from(vec!["x".repeat(limits.cell_bytes as usize / 2)]));
    let keys = DictionaryArray::new(Int32Array::from(vec![0; 100_000]), values);
    let repeated = RecordBatch::try_from_iter([("a", Arc::new(keys) as ArrayRef)]).unwrap();
    let mut parquet = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut parquet, batch().schema(), None).unwrap();
    writer.write(&batch()).unwrap();
    writer.close().unwrap();
    let end = whole.len() - 10;
    let mut footer = whole.clone();
    footer.splice(end..end + 4, i32::MAX.to_le_bytes());
    let message = swapped(&stream, b"\xFF\xFF\xFF\xFF", b"\xFF\xFF\xFF\xFF");
    let length = [&message[..4], &0x0FFF_FFF8_u32.to_le_bytes(), &message[8..]].concat();
    let years = one(Date32Array::from(vec![0, i32::MIN]));
    let moments = one(TimestampSecondArray::from(vec![0, 253_402_300_800]));
    let times = |time: i64| one(Time64MicrosecondArray::from(vec![0, time]));
    vec![
        sample("arrow: dates beyond calendars", "t.arrow", years, Finding("year_out_of_range")),
        sample("arrow: moments beyond calendars", "t.arrow", moments, Finding("year_out_of_range")),
        sample("arrow: a time before midnight", "t.arrow", times(-1), Finding("time_out_of_day")),
        sample("arrow: 24:00", "t.arrow", times(86_400_000_000), Finding("time_out_of_day")),
        sample("arrow: file", "t.arrow", whole.clone(), Rows(3)),
        sample("arrow: half a file", "t.arrow", half(&whole), Refused("damaged")),
        sample("arrow: half a stream", "t.arrows", half(&stream), Refused("damaged")),
        sample("arrow: stream", "t.arrows", stream.clone(), Rows(3)),
        sample(
            "arrow: stream without its end",
            "t.arrows",
            &stream[..stream.len() - 8],
            Refused("before it is complete"),
        ),
        sample("arrow: two streams", "t.arrows", stream.repeat(2), Refused("several streams")),
        sample("arrow: text after a stream", "t.arrows", [&stream[..], b"junk"].concat(), Refused("several streams")),
        sample("arrow: footer of 2 GiB", "t.arrow", footer, Refused("damaged")),
        sample("arrow: message of 256 MiB", "t.arrows", length, Refused("damaged")),
        sample("arrow: buffer that unpacks to an exabyte", "t.arrows", claim, Refused("memory_bytes")),
        sample("arrow: a trillion rows of nothing", "t.arrows", ipc(&nothing, None).1, Refused("unpacked_ratio")),
        sample("arrow: a long text 100,000 times", "t.arrow", ipc(&repeated, None).0, Refused("unpacked_ratio")),
        sample("parquet: half a file", "t.parquet", half(&parquet), Refused("ends before it is complete")),
        sample("parquet: whole", "t.parquet", parquet, Rows(3)),
    ]
}

/// A file of one column.
fn one(values: impl arrow::array::Array + 'static) -> Vec<u8> {
    ipc(&RecordBatch::try_from_iter([("a", Arc::new(values) as ArrayRef)]).unwrap(), None).0
}

fn zeros() -> RecordBatch {
    RecordBatch::try_from_iter([("n", Arc::new(Int64Array::from(vec![0; 5_000])) as ArrayRef)]).unwrap()
}
