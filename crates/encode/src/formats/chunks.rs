//! Batches of one fixed size and of one schema, for formats in which the cut shows in the bytes.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::compute::BatchCoalescer;
use arrow_schema::{Field, FieldRef, Schema, SchemaRef};

use crate::EncodeError;
use crate::cells::Cells;

/// Collects rows until there are enough for a batch.
pub(crate) struct Chunks {
    source: SchemaRef,
    schema: SchemaRef,
    /// Columns that are written as text.
    as_text: Vec<bool>,
    coalescer: BatchCoalescer,
}

impl Chunks {
    /// `rows` is the size of every batch but the last; `adapt` says what becomes of each field: `None` for a
    /// column that is to be written as text.
    pub(crate) fn new(source: &SchemaRef, rows: usize, adapt: impl Fn(&FieldRef) -> Option<Field>) -> Self {
        let adapted: Vec<Option<Field>> = source.fields().iter().map(adapt).collect();
        let as_text = adapted.iter().map(Option::is_none).collect();
        // Plans are not always right about what cannot be null.
        let fields: Vec<Field> = adapted
            .into_iter()
            .zip(source.fields())
            .map(|(field, old)| field.unwrap_or_else(|| text_field(old)).with_nullable(true))
            .collect();
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
        for ((array, field), as_text) in batch.columns().iter().zip(self.source.fields()).zip(&self.as_text) {
            columns.push(if *as_text { text_column(array, field)? } else { array.clone() });
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

fn text_field(field: &Field) -> Field {
    field.clone().with_data_type(arrow_schema::DataType::Utf8)
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
