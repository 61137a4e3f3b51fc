//! Opens a Parquet file, after a look at what its footer claims.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema};
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Type;
use parquet::file::metadata::ParquetMetaData;
use portico_model::limits::IntakeLimits;

use super::{BATCH_BYTES, BATCH_ROWS, Geo, SourceBatches, guarded};
use crate::cell::narrow;
use crate::error::IntakeError;

const FORMAT: &str = "Parquet";

/// Opens the file: its schema, its geometries and its batches.
pub(super) fn open(
    mut file: File,
    spelled_max: u64,
    limits: &IntakeLimits,
) -> Result<(Arc<Schema>, Geo, SourceBatches), IntakeError> {
    check_footer_length(&mut file, limits)?;
    let builder = guarded(FORMAT, || Ok(ParquetRecordBatchReaderBuilder::try_new(file.try_clone()?)?))?;
    let metadata = Arc::clone(builder.metadata());
    if claimed_bytes(&metadata) > spelled_max {
        return Err(super::spells_out(limits));
    }
    guarded(FORMAT, || {
        let geo = Geo::of_parquet(metadata.file_metadata().key_value_metadata(), builder.schema());
        let builder = with_views(builder, file, &metadata)?;
        let schema = Arc::clone(builder.schema());
        let batches: SourceBatches = Box::new(builder.with_batch_size(batch_rows(&metadata)).build()?);
        Ok((schema, geo, batches))
    })
}

/// The last eight bytes are the length of the footer and a mark.
fn check_footer_length(file: &mut File, limits: &IntakeLimits) -> Result<(), IntakeError> {
    let cut_short = || IntakeError::corrupt(FORMAT, "it ends before it is complete");
    let end = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(end.checked_sub(8).ok_or_else(cut_short)?))?;
    let mut tail = [0; 8];
    file.read_exact(&mut tail)?;
    let [a, b, c, d, mark @ ..] = tail;
    if mark == *b"PARE" {
        return Err(IntakeError::Encrypted("the Parquet file"));
    }
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    if mark != *b"PAR1" || length + 12 > end {
        return Err(cut_short());
    }
    if length > limits.footer_bytes {
        return Err(IntakeError::over("the footer has more bytes", "footer_bytes", limits.footer_bytes));
    }
    Ok(())
}

/// Bytes of all values as far as the footer tells, each text and each row for a few at least.
fn claimed_bytes(metadata: &ParquetMetaData) -> u64 {
    let mut bytes = 0_u64;
    for group in metadata.row_groups() {
        bytes = bytes.saturating_add(u64::try_from(group.num_rows()).unwrap_or(0));
        for column in group.columns() {
            let width = match column.column_type() {
                Type::BOOLEAN => 1,
                Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 4,
                Type::INT64 | Type::DOUBLE => 8,
                Type::INT96 => 12,
                Type::FIXED_LEN_BYTE_ARRAY => u64::try_from(column.column_descr().type_length()).unwrap_or(0).max(1),
            };
            bytes = bytes.saturating_add(u64::try_from(column.num_values()).unwrap_or(0).saturating_mul(width));
        }
    }
    bytes
}

/// Rows of a batch: few where rows are long.
fn batch_rows(metadata: &ParquetMetaData) -> usize {
    let groups = metadata.row_groups().iter();
    let bytes =
        groups.fold(0_u64, |sum, group| sum.saturating_add(u64::try_from(group.total_byte_size()).unwrap_or(0)));
    let rows = u64::try_from(metadata.file_metadata().num_rows()).unwrap_or(0).max(1);
    narrow((BATCH_BYTES / (bytes / rows).max(1)).clamp(16, 8_192)).min(BATCH_ROWS)
}

/// Texts are read as views: a value that a dictionary holds once is then held once, however often it stands there.
fn with_views(
    builder: ParquetRecordBatchReaderBuilder<File>,
    file: File,
    metadata: &Arc<ParquetMetaData>,
) -> Result<ParquetRecordBatchReaderBuilder<File>, ArrowError> {
    let fields: Fields = builder.schema().fields().iter().map(viewed).collect();
    let schema = Arc::new(Schema::new_with_metadata(fields, builder.schema().metadata().clone()));
    let options = ArrowReaderOptions::new().with_schema(schema);
    match ArrowReaderMetadata::try_new(Arc::clone(metadata), options) {
        Ok(metadata) => Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata)),
        // A type that its writer's own schema changes in another way: as it is, then.
        Err(_) => Ok(builder),
    }
}

fn viewed(field: &Arc<Field>) -> Arc<Field> {
    let data_type = match field.data_type() {
        DataType::Utf8 | DataType::LargeUtf8 => DataType::Utf8View,
        DataType::Binary | DataType::LargeBinary => DataType::BinaryView,
        DataType::List(item) => DataType::List(viewed(item)),
        DataType::LargeList(item) => DataType::LargeList(viewed(item)),
        DataType::Map(entries, sorted) => DataType::Map(viewed(entries), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(viewed).collect()),
        _ => return Arc::clone(field),
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}
