//! What the formats look like, and that they read back.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array, RecordBatch,
    StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{Field, Schema};
use portico_model::format::{Compression, FileKind, Format};
use portico_model::order::{Envelope, OutputOptions};
use serde_json::json;

use crate::{EncodeError, encoder};

mod bounds;
mod golden;
mod round_trip;
mod types;

/// Every kind of file that is written here.
fn kinds() -> Vec<FileKind> {
    let mut kinds: Vec<FileKind> =
        FileKind::EXTENSIONS.iter().map(|extension| FileKind::from_extension(extension).unwrap()).collect();
    kinds.extend([kind(Format::Json), kind(Format::Table)]);
    kinds
}

fn kind(format: Format) -> FileKind {
    FileKind { format, compression: Compression::None }
}

fn encode_with(batches: &[RecordBatch], kind: FileKind, options: &OutputOptions) -> Result<Vec<u8>, EncodeError> {
    let envelope = Envelope { query_id: "q1".into(), versions: BTreeMap::from([("trees".to_owned(), 3)]) };
    let mut encoder = encoder(kind, &batches[0].schema(), options, &envelope)?;
    let mut out = Vec::new();
    encoder.begin(&mut out)?;
    for batch in batches {
        encoder.write(batch, &mut out)?;
    }
    encoder.finish(7, &mut out)?;
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    assert_eq!(encoder.rows(), u64::try_from(rows).unwrap());
    Ok(out)
}

fn encode(batch: &RecordBatch, kind: FileKind) -> Vec<u8> {
    encode_with(std::slice::from_ref(batch), kind, &OutputOptions::default()).unwrap()
}

fn text(batch: &RecordBatch, format: Format) -> String {
    String::from_utf8(encode(batch, kind(format))).unwrap()
}

fn column(name: &str, array: impl arrow::array::Array + 'static) -> (String, ArrayRef) {
    (name.to_owned(), Arc::new(array))
}

fn batch(columns: Vec<(String, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

/// A row of everything, a row of oddities, a row of nothing.
fn sample() -> RecordBatch {
    batch(vec![
        column("id", Int64Array::from(vec![Some(1), Some(9_007_199_254_740_993), None])),
        column("name", StringArray::from(vec![Some("Oak, \"red\""), Some(""), None])),
        column("height", Float64Array::from(vec![Some(12.5), Some(f64::NAN), None])),
        column(
            "price",
            Decimal128Array::from(vec![Some(150), Some(-5), None]).with_precision_and_scale(10, 2).unwrap(),
        ),
        column("alive", BooleanArray::from(vec![Some(true), Some(false), None])),
        column("planted", Date32Array::from(vec![Some(19_783), Some(-36_525), None])),
        column(
            "seen",
            TimestampMicrosecondArray::from(vec![Some(1_709_296_496_000_000), Some(-1), None]).with_timezone("UTC"),
        ),
    ])
}

/// Two parks, one of them without a place.
fn parks() -> RecordBatch {
    let polygon = json!({"type": "Polygon", "coordinates": [[[0, 0], [4, 0], [4, 4], [0, 0]]]});
    let wkb = portico_model::wkb::from_geojson(&polygon).unwrap();
    let mark = HashMap::from([
        ("ARROW:extension:name".to_owned(), "geoarrow.wkb".to_owned()),
        ("portico:source_name".to_owned(), "Shape".to_owned()),
    ]);
    let names = column("name", StringArray::from(vec!["Duke Park", "Nowhere"])).1;
    let places = column("shape", BinaryArray::from(vec![Some(wkb.as_slice()), None])).1;
    let fields = vec![
        Field::new("name", names.data_type().clone(), true),
        Field::new("shape", places.data_type().clone(), true).with_metadata(mark),
    ];
    RecordBatch::try_new(Arc::new(Schema::new(fields)), vec![names, places]).unwrap()
}
