//! Batches of one fixed size and of one schema, for formats in which the cut shows in the bytes.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::compute::{BatchCoalescer, cast};
use arrow_schema::{DataType, Field, FieldRef, Schema, SchemaRef};

use crate::EncodeError;
use crate::cells::Cells;

/// Collects rows until there are enough for a batch, in plain types: views, dictionaries and runs are how
/// values are held here, readers need not know them, and how they are laid out depends on the cut.
pub(crate) struct Chunks {
    source: SchemaRef,
    schema: SchemaRef,
    /// Columns that are written as text.
    as_text: Vec<bool>,
    coalescer: BatchCoalescer,
}

impl Chunks {
    /// `rows` is the size of every batch but the last; columns of types that are not `offered` become text.
    pub(crate) fn new(source: &SchemaRef, rows: usize, offered: impl Fn(&DataType) -> bool) -> Self {
        let mut as_text = Vec::new();
        let mut fields = Vec::new();
        for field in source.fields() {
            let plain = plain_type(field.data_type());
            let text = !offered(&plain);
            as_text.push(text);
            // Plans are not always right about what cannot be null.
            let data_type = if text { DataType::Utf8 } else { plain };
            fields.push(field.as_ref().clone().with_data_type(data_type).with_nullable(true));
        }
        let schema = Arc::new(Schema::new(fields));
        Self { source: source.clone(), coalescer: BatchCoalescer::new(schema.clone(), rows), schema, as_text }
    }

    /// The schema of the batches that come out.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Takes rows in.
    pub(crate) fn push(&mut self, batch: &RecordBatch) -> Result<(), EncodeError> {
        let mut columns = Vec::with_capacity(batch.num_columns());
        for (index, array) in batch.columns().iter().enumerate() {
            let target = self.schema.field(index).data_type();
            columns.push(if self.as_text.get(index) == Some(&true) {
                text_column(array, self.source.field(index))?
            } else if array.data_type() == target {
                array.clone()
            } else {
                cast(array, target)?
            });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let batch = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        Ok(self.coalescer.push_batch(batch)?)
    }

    /// Makes a batch of the rows that are left.
    pub(crate) fn finish(&mut self) -> Result<(), EncodeError> {
        Ok(self.coalescer.finish_buffered_batch()?)
    }

    /// The next batch, if there are rows enough.
    pub(crate) fn next(&mut self) -> Option<RecordBatch> {
        self.coalescer.next_completed_batch()
    }
}

/// The type without views, dictionaries and runs, at any depth.
fn plain_type(data_type: &DataType) -> DataType {
    let nested = |field: &FieldRef| Arc::new(field.as_ref().clone().with_data_type(plain_type(field.data_type())));
    match data_type {
        DataType::Utf8View => DataType::Utf8,
        DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => plain_type(values),
        DataType::RunEndEncoded(_, values) => plain_type(values.data_type()),
        DataType::List(item) | DataType::ListView(item) => DataType::List(nested(item)),
        DataType::LargeList(item) | DataType::LargeListView(item) => DataType::LargeList(nested(item)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(nested(item), *length),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(nested).collect()),
        DataType::Map(entries, sorted) => DataType::Map(nested(entries), *sorted),
        other => other.clone(),
    }
}

fn text_column(array: &ArrayRef, field: &Field) -> Result<ArrayRef, EncodeError> {
    let cells = Cells::new(array.as_ref(), field);
    let mut texts = StringBuilder::new();
    let mut text = Vec::new();
    for row in 0..array.len() {
        if cells.is_null(row) {
            texts.append_null();
            continue;
        }
        text.clear();
        cells.write_text(row, &mut text)?;
        texts.append_value(String::from_utf8_lossy(&text));
    }
    Ok(Arc::new(texts.finish()))
}
