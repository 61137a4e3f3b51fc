//! Apache Parquet, with GeoParquet's metadata where there is a geometry.

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::file::metadata::KeyValue;
use ::parquet::file::properties::WriterProperties;
use arrow::array::{Array, RecordBatch};
use arrow::compute::cast;
use arrow_schema::{DataType, SchemaRef};
use portico_model::wkb;

use super::Form;
use super::chunks::Chunks;
use crate::EncodeError;
use crate::spell::number::float;
use crate::spell::text::json_string;
use crate::types::geometry_field;

/// Rows that the writer is given at a time: where pages end depends on it.
const BATCH_ROWS: usize = 8_192;
/// Rows of a row group: what readers split their work by.
const GROUP_ROWS: usize = 131_072;
/// Encoded bytes of a row group, so that wide rows make shorter groups.
const GROUP_BYTES: usize = 64 * 1024 * 1024;
/// Memory that an unfinished row group may take; past it the group ends early.
const GROUP_MEMORY_BYTES: usize = 128 * 1024 * 1024;

/// Writes a Parquet file, row group by row group.
pub(crate) struct Parquet {
    chunks: Chunks,
    writer: ArrowWriter<Vec<u8>>,
    geometry: Option<Geometry>,
}

struct Geometry {
    column: usize,
    name: String,
    bounds: Option<[f64; 4]>,
}

impl Parquet {
    pub(crate) fn new(schema: &SchemaRef) -> Result<Self, EncodeError> {
        let chunks = Chunks::new(schema, BATCH_ROWS, is_offered);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_created_by("portico".to_owned())
            .set_max_row_group_row_count(Some(GROUP_ROWS))
            .set_max_row_group_bytes(Some(GROUP_BYTES))
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), chunks.schema().clone(), Some(properties))?;
        let geometry = geometry_field(schema).map(|column| {
            let name = schema.field(column).name().clone();
            Geometry { column, name, bounds: None }
        });
        Ok(Self { chunks, writer, geometry })
    }

    fn pass(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        while let Some(batch) = self.chunks.next() {
            if let Some(geometry) = &mut self.geometry {
                geometry.cover(&batch)?;
            }
            self.writer.write(&batch)?;
            if self.writer.memory_size() > GROUP_MEMORY_BYTES {
                self.writer.flush()?;
            }
        }
        self.drain(out)
    }

    fn drain(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.writer.sync()?;
        out.append(self.writer.inner_mut());
        Ok(())
    }
}

impl Form for Parquet {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.drain(out)
    }

    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.chunks.push(batch)?;
        self.pass(out)
    }

    fn finish(&mut self, _elapsed_ms: u64, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.chunks.finish()?;
        self.pass(out)?;
        if let Some(geometry) = &self.geometry {
            self.writer.append_key_value_metadata(KeyValue::new("geo".to_owned(), geometry.metadata()));
        }
        self.writer.finish()?;
        self.drain(out)
    }
}

impl Geometry {
    /// Widens the bounds to what the batch holds.
    fn cover(&mut self, batch: &RecordBatch) -> Result<(), EncodeError> {
        let Some(column) = batch.columns().get(self.column) else { return Ok(()) };
        let column = cast(column, &DataType::BinaryView)?;
        let Some(geometries) = column.as_any().downcast_ref::<arrow::array::BinaryViewArray>() else {
            return Ok(());
        };
        for found in geometries.iter().flatten().filter_map(wkb::bounds) {
            let [left, low, right, high] = self.bounds.unwrap_or(found);
            self.bounds = Some([left.min(found[0]), low.min(found[1]), right.max(found[2]), high.max(found[3])]);
        }
        Ok(())
    }

    /// GeoParquet 1.1: the default reference system is longitude and latitude, as ours is.
    fn metadata(&self) -> String {
        let mut out = b"{\"version\":\"1.1.0\",\"primary_column\":".to_vec();
        json_string(&mut out, &self.name);
        out.extend_from_slice(b",\"columns\":{");
        json_string(&mut out, &self.name);
        out.extend_from_slice(b":{\"encoding\":\"WKB\",\"geometry_types\":[]");
        if let Some(bounds) = self.bounds.filter(|bounds| bounds.iter().all(|bound| bound.is_finite())) {
            out.extend_from_slice(b",\"bbox\":[");
            for (index, bound) in bounds.into_iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                float(&mut out, bound);
            }
            out.push(b']');
        }
        out.extend_from_slice(b"}}}");
        String::from_utf8_lossy(&out).into_owned()
    }
}

/// Whether Parquet has the type, and readers other than ours know it.
fn is_offered(data_type: &DataType) -> bool {
    match data_type {
        DataType::Interval(_) | DataType::Union(..) => false,
        // A struct without members has no column.
        DataType::Struct(fields) => !fields.is_empty() && fields.iter().all(|field| is_offered(field.data_type())),
        DataType::List(item)
        | DataType::LargeList(item)
        | DataType::FixedSizeList(item, _)
        | DataType::Map(item, _) => is_offered(item.data_type()),
        _ => true,
    }
}
