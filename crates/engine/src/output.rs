//! The form in which columns leave: plain types that every Arrow reader knows.
//!
//! Inside, text is held as views and constants as dictionaries or runs; browsers and older clients read neither.
//! Answers have plain text, binary and values, all fields may be null (so that the schema said before running is
//! the schema of the answer), and no metadata but the fields' own.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;

/// The plain form of a type.
pub(crate) fn plain(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => plain(values),
        DataType::RunEndEncoded(_, values) => plain(values.data_type()),
        DataType::List(field) | DataType::ListView(field) => DataType::List(plain_field(field)),
        DataType::LargeList(field) | DataType::LargeListView(field) => DataType::LargeList(plain_field(field)),
        DataType::FixedSizeList(field, size) => DataType::FixedSizeList(plain_field(field), *size),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(plain_field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(plain_field(entries), *sorted),
        other => other.clone(),
    }
}

/// The answer's schema for a plan's.
pub(crate) fn plain_schema(schema: &Schema) -> SchemaRef {
    let fields = schema
        .fields()
        .iter()
        .map(|field| Field::new(field.name(), plain(field.data_type()), true).with_metadata(field.metadata().clone()));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// A batch in its plain form. Columns that are plain already are not copied.
///
/// # Errors
/// Text of more than 2 GiB in one batch does not fit plain offsets.
pub(crate) fn flatten(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch
        .columns()
        .iter()
        .zip(schema.fields())
        .map(|(column, field)| flatten_column(column, field.data_type()))
        .collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

/// The public name of a type.
pub(crate) fn type_name(data_type: &DataType) -> String {
    portico_encode::type_name(&plain(data_type), None)
}

fn flatten_column(column: &ArrayRef, to: &DataType) -> Result<ArrayRef, ArrowError> {
    if column.data_type() == to {
        return Ok(column.clone());
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    cast_with_options(column, to, &strict)
}

fn plain_field(field: &FieldRef) -> FieldRef {
    Arc::new(
        Field::new(field.name(), plain(field.data_type()), field.is_nullable()).with_metadata(field.metadata().clone()),
    )
}
