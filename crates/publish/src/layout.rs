//! How released files are laid out: row groups, pages, dictionaries, bloom filters, statistics.
//!
//! Files are written for readers (Apache Parquet 2, ZSTD): row groups of 128 Ki rows give a query on two to
//! sixteen cores something to share and to skip, the page index lets it skip inside them, and a file ends near
//! 512 MB so that clients can fetch several at once.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{KeyValue, ParquetMetaData, SortingColumn};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnPath;
use portico_model::manifest::{ColumnStatistics, StatisticValue};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::PublishError;
use crate::pieces::Pieces;

/// Rows of a row group.
const ROW_GROUP_ROWS: usize = 131_072;
/// Rows of a page: the unit that the page index can skip.
const PAGE_ROWS: usize = 8_192;
/// Bytes of a row group while it is being written, beyond which it is ended early: wide rows would fill memory.
const ROW_GROUP_BYTES: usize = 128 * 1024 * 1024;
/// Bytes after which the next file begins.
const FILE_BYTES: usize = 512 * 1024 * 1024;
/// ZSTD level: 3 is within a few percent of 9 on such tables at a fraction of the time.
const ZSTD_LEVEL: i32 = 3;
/// Longest text kept whole in statistics; longer minima are cut and then not exact.
const STATISTICS_BYTES: usize = 128;

/// A file that was written, before it has a place in storage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WrittenFile {
    /// Its name in the directory.
    pub(crate) name: String,
    pub(crate) bytes: u64,
    /// SHA-256 of its bytes, lower-case hex.
    pub(crate) sha256: String,
    pub(crate) rows: u64,
    pub(crate) row_groups: Vec<u64>,
    pub(crate) columns: Vec<ColumnStatistics>,
}

/// Writes batches into one or more Parquet files under a directory.
pub(crate) struct Layout {
    schema: SchemaRef,
    properties: WriterProperties,
    directory: PathBuf,
    pieces: Pieces,
    open: Option<Open>,
    done: Vec<WrittenFile>,
}

struct Open {
    writer: ArrowWriter<File>,
    name: String,
    seen: Vec<Seen>,
}

/// What a file's own statistics cannot be asked for: not every column has them, and they leave NaN out.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    nulls: u64,
    nan: bool,
}

impl Layout {
    /// A layout for `schema`, sorted by the columns `key` (ascending, nulls first).
    pub(crate) fn new(schema: SchemaRef, key: &[usize], directory: &Path) -> Result<Self, PublishError> {
        let properties = properties(&schema, key)?;
        let pieces = Pieces::new(schema.clone(), PAGE_ROWS);
        Ok(Self { schema, properties, directory: directory.to_owned(), pieces, open: None, done: Vec::new() })
    }

    /// Appends rows. The same rows make the same files, in whatever batches they come.
    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<(), PublishError> {
        for piece in self.pieces.push(batch)? {
            self.write(&piece)?;
        }
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), PublishError> {
        let open = match &mut self.open {
            Some(open) => open,
            None => {
                let opened = self.open_next()?;
                self.open.insert(opened)
            }
        };
        note(batch, &mut open.seen);
        open.writer.write(batch)?;
        if open.writer.memory_size() >= ROW_GROUP_BYTES {
            open.writer.flush()?;
        }
        if open.writer.bytes_written() + open.writer.in_progress_size() >= FILE_BYTES {
            self.close()?;
        }
        Ok(())
    }

    /// Ends the last file. A table without rows still has one file, with the schema.
    pub(crate) fn finish(mut self) -> Result<Vec<WrittenFile>, PublishError> {
        if let Some(rest) = self.pieces.finish()? {
            self.write(&rest)?;
        }
        if self.open.is_none() && self.done.is_empty() {
            self.open = Some(self.open_next()?);
        }
        self.close()?;
        Ok(self.done)
    }

    fn open_next(&self) -> Result<Open, PublishError> {
        let name = format!("part-{:05}.parquet", self.done.len());
        let file = File::create(self.directory.join(&name))?;
        let writer = ArrowWriter::try_new(file, self.schema.clone(), Some(self.properties.clone()))?;
        Ok(Open { writer, name, seen: vec![Seen::default(); self.schema.fields().len()] })
    }

    fn close(&mut self) -> Result<(), PublishError> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let mut metadata = open.writer.close()?;
        if open.seen.iter().any(|column| column.nan) {
            metadata = self.without_bounds(&open.name, &open.seen)?;
        }
        let (bytes, sha256) = measure(&self.directory.join(&open.name))?;
        let count = |rows: i64| u64::try_from(rows).unwrap_or(0);
        self.done.push(WrittenFile {
            name: open.name,
            bytes,
            sha256,
            rows: count(metadata.file_metadata().num_rows()),
            row_groups: metadata.row_groups().iter().map(|group| count(group.num_rows())).collect(),
            columns: statistics(&self.schema, &metadata, &open.seen),
        });
        Ok(())
    }

    /// Writes a finished file again without bounds for the columns that hold NaN. Parquet's bounds leave NaN out, SQL
    /// sorts it above every number: a reader that trusts them would skip rows that a condition keeps.
    fn without_bounds(&self, name: &str, seen: &[Seen]) -> Result<ParquetMetaData, PublishError> {
        let path = self.directory.join(name);
        let again = self.directory.join(format!("{name}.again"));
        let mut properties = self.properties.clone().into_builder();
        for (field, _) in self.schema.fields().iter().zip(seen).filter(|(_, seen)| seen.nan) {
            let column = ColumnPath::from(field.name().clone());
            properties = properties.set_column_statistics_enabled(column, EnabledStatistics::None);
        }
        let rows = ParquetRecordBatchReaderBuilder::try_new(File::open(&path)?)?.with_batch_size(PAGE_ROWS).build()?;
        let mut writer = ArrowWriter::try_new(File::create(&again)?, self.schema.clone(), Some(properties.build()))?;
        for batch in rows {
            writer.write(&batch?)?;
            if writer.memory_size() >= ROW_GROUP_BYTES {
                writer.flush()?;
            }
        }
        let metadata = writer.close()?;
        std::fs::rename(&again, &path)?;
        Ok(metadata)
    }
}

/// Size and digest of a file as it lies on disk.
fn measure(path: &Path) -> Result<(u64, String), PublishError> {
    let mut hash = Sha256::new();
    let bytes = std::io::copy(&mut File::open(path)?, &mut hash)?;
    Ok((bytes, hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

fn properties(schema: &SchemaRef, key: &[usize]) -> Result<WriterProperties, PublishError> {
    let sorting = key
        .iter()
        .filter_map(|&index| i32::try_from(index).ok())
        .map(|column_idx| SortingColumn { column_idx, descending: false, nulls_first: true })
        .collect::<Vec<_>>();
    let mut builder = WriterProperties::builder()
        .set_created_by("portico".to_owned())
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(ZSTD_LEVEL)?))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_data_page_row_count_limit(PAGE_ROWS)
        .set_statistics_enabled(EnabledStatistics::Page)
        .set_statistics_truncate_length(Some(STATISTICS_BYTES))
        .set_sorting_columns((!sorting.is_empty()).then_some(sorting))
        .set_key_value_metadata(geo_metadata(schema));
    for field in schema.fields() {
        builder = column_properties(builder, field.name(), field.data_type());
    }
    Ok(builder.build())
}

/// Identifiers are looked up by equality and have no useful order: a bloom filter answers "not in this row group".
fn column_properties(builder: WriterPropertiesBuilder, name: &str, data_type: &DataType) -> WriterPropertiesBuilder {
    let path = ColumnPath::from(name.to_owned());
    match data_type {
        DataType::Utf8 if is_identifier(name) => builder
            .set_column_bloom_filter_enabled(path.clone(), true)
            .set_column_bloom_filter_max_ndv(path, u64::try_from(ROW_GROUP_ROWS).unwrap_or(u64::MAX)),
        // Shapes are long, rarely repeated and never compared: statistics and dictionaries would only weigh.
        DataType::Binary => builder
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_statistics_enabled(path, EnabledStatistics::None),
        _ => builder,
    }
}

fn is_identifier(name: &str) -> bool {
    matches!(
        name.rsplit('_').next(),
        Some("id" | "number" | "no" | "code" | "key" | "uuid" | "guid" | "parcel" | "pin")
    )
}

/// The `geo` entry of GeoParquet 1.1 for tables with a WKB column.
fn geo_metadata(schema: &SchemaRef) -> Option<Vec<KeyValue>> {
    let field = schema.fields().iter().find(|field| {
        field.metadata().get("ARROW:extension:name").is_some_and(|extension| extension == "geoarrow.wkb")
    })?;
    let column = serde_json::json!({ "encoding": "WKB", "geometry_types": [] });
    let columns: HashMap<&str, serde_json::Value> = HashMap::from([(field.name().as_str(), column)]);
    let geo = serde_json::json!({ "version": "1.1.0", "primary_column": field.name(), "columns": columns });
    Some(vec![KeyValue::new("geo".to_owned(), geo.to_string())])
}

fn note(batch: &RecordBatch, seen: &mut [Seen]) {
    for (column, seen) in batch.columns().iter().zip(seen) {
        seen.nulls += u64::try_from(column.null_count()).unwrap_or(u64::MAX);
        seen.nan = seen.nan
            || match column.data_type() {
                DataType::Float64 => column.as_primitive::<Float64Type>().iter().flatten().any(f64::is_nan),
                DataType::Float32 => column.as_primitive::<Float32Type>().iter().flatten().any(f32::is_nan),
                _ => false,
            };
    }
}

fn statistics(schema: &SchemaRef, metadata: &ParquetMetaData, seen: &[Seen]) -> Vec<ColumnStatistics> {
    let fields = schema.fields().iter().zip(seen).enumerate();
    fields
        .map(|(index, (field, seen))| {
            let groups: Vec<Option<&Statistics>> =
                metadata.row_groups().iter().map(|group| group.column(index).statistics()).collect();
            let (min, max) = bounds(field.data_type(), &groups).filter(|_| !seen.nan).unzip();
            ColumnStatistics { nulls: seen.nulls, min, max }
        })
        .collect()
}

/// Min and max over the row groups; given only where every row group that has values knows them exactly.
fn bounds(data_type: &DataType, groups: &[Option<&Statistics>]) -> Option<(StatisticValue, StatisticValue)> {
    let mut merged: Option<(StatisticValue, StatisticValue)> = None;
    for group in groups {
        let group = (*group)?;
        let (Some(min), Some(max)) = (group.min_bytes_opt(), group.max_bytes_opt()) else { continue };
        if !group.min_is_exact() || !group.max_is_exact() {
            return None;
        }
        let (min, max) = (value(data_type, min)?, value(data_type, max)?);
        merged = Some(match merged {
            None => (min, max),
            Some((low, high)) => (if less(&min, &low) { min } else { low }, if less(&high, &max) { max } else { high }),
        });
    }
    merged
}

fn value(data_type: &DataType, bytes: &[u8]) -> Option<StatisticValue> {
    let int = || match bytes.len() {
        4 => Some(i64::from(i32::from_le_bytes(bytes.try_into().ok()?))),
        8 => Some(i64::from_le_bytes(bytes.try_into().ok()?)),
        _ => None,
    };
    match data_type {
        DataType::Boolean => Some(StatisticValue::Bool(*bytes.first()? != 0)),
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64 => int().map(StatisticValue::Int),
        DataType::UInt8 | DataType::UInt16 => int().map(StatisticValue::Int),
        DataType::Date32 | DataType::Timestamp(..) => int().map(StatisticValue::Int),
        DataType::Time64(_) => int().map(StatisticValue::Int),
        DataType::Float64 => {
            let value = f64::from_le_bytes(bytes.try_into().ok()?);
            // -0.0 and 0.0 are one value to SQL and two to Parquet: leave zero bounds to the reader.
            // An infinity has no place in a manifest.
            (value.is_finite() && value != 0.0).then_some(StatisticValue::Float(value))
        }
        DataType::Decimal128(..) => decimal(bytes).map(|value| StatisticValue::Decimal(value.to_string())),
        DataType::Utf8 => String::from_utf8(bytes.to_vec()).ok().map(StatisticValue::Text),
        _ => None,
    }
}

/// Decimals are little-endian integers when narrow and big-endian byte arrays when wide (Parquet, `DECIMAL`).
fn decimal(bytes: &[u8]) -> Option<i128> {
    match bytes.len() {
        4 => Some(i128::from(i32::from_le_bytes(bytes.try_into().ok()?))),
        8 => Some(i128::from(i64::from_le_bytes(bytes.try_into().ok()?))),
        length @ 9..=16 => {
            let negative = bytes.first()? & 0x80 != 0;
            let mut wide = [if negative { 0xff } else { 0 }; 16];
            wide.get_mut(16 - length..)?.copy_from_slice(bytes);
            Some(i128::from_be_bytes(wide))
        }
        _ => None,
    }
}

fn less(left: &StatisticValue, right: &StatisticValue) -> bool {
    use StatisticValue::{Bool, Decimal, Float, Int, Text};
    match (left, right) {
        (Bool(left), Bool(right)) => left < right,
        (Int(left), Int(right)) => left < right,
        (Float(left), Float(right)) => left < right,
        (Text(left), Text(right)) => left < right,
        (Decimal(left), Decimal(right)) => left.parse::<i128>().ok() < right.parse::<i128>().ok(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn digests(lengths: impl Iterator<Item = i64>) -> Vec<String> {
        let scratch = tempfile::tempdir().unwrap();
        let batch = |from: i64, rows: i64| {
            let id: ArrayRef = Arc::new(Int64Array::from_iter_values(from..from + rows));
            let text = StringArray::from_iter_values((from..from + rows).map(|row| format!("text {}", row % 977)));
            RecordBatch::try_from_iter([("id", id), ("text", Arc::new(text))]).unwrap()
        };
        let mut layout = Layout::new(batch(0, 0).schema(), &[0], scratch.path()).unwrap();
        let mut from = 0;
        for rows in lengths {
            let rows = rows.min(30_000 - from);
            layout.push(&batch(from, rows)).unwrap();
            from += rows;
        }
        layout.finish().unwrap().into_iter().map(|file| format!("{} {}", file.rows, file.sha256)).collect()
    }

    #[test]
    fn the_same_rows_make_the_same_file_in_whatever_batches_they_come() {
        let whole = digests([30_000].into_iter());
        assert!(whole[0].starts_with("30000 "), "{whole:?}");
        // As they come when columns or rows between them are left out.
        assert_eq!(digests(std::iter::repeat_n(8_192, 4)), whole);
        assert_eq!(digests((0..30_000 / 400 * 2).map(|number| 100 + number % 7 * 99)), whole);
    }
}
