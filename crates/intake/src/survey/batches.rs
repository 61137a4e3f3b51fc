//! The second pass: rows become batches.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::{RecordBatch, RecordBatchOptions};

use super::{ColumnPlan, Input, Survey};
use crate::cell::{Cell, Rows, wide};
use crate::columnar::{self, BATCH_ROWS, ColumnarColumn};
use crate::error::IntakeError;
use crate::reading::Building;
use crate::unpack::Material;

/// Bytes of rows after which a batch is closed, however few rows it has.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// The rows of a surveyed file as batches of at most 8,192 rows, in the file's order.
///
/// Ends after the first error. The batches' rows are exactly as many as the survey counted, or the last item is
/// [`IntakeError::Changed`].
pub struct Batches {
    schema: SchemaRef,
    source: Source,
    /// Keeps a temporary file for as long as it is read.
    material: Arc<Material>,
    rows: u64,
    rows_expected: u64,
    ended: bool,
}

enum Source {
    Text { rows: Box<dyn Rows>, plans: Arc<[ColumnPlan]>, building: Vec<Building>, scratch: Vec<u8> },
    Columnar { open: Box<columnar::Open>, columns: Arc<[ColumnarColumn]> },
}

impl Batches {
    pub(super) fn new(survey: &Survey) -> Result<Self, IntakeError> {
        let material = Arc::clone(&survey.material);
        let source = match &survey.input {
            Input::Text(plan, plans) => Source::Text {
                rows: plan.rows(&material)?,
                plans: Arc::clone(plans),
                building: plans.iter().map(|plan| Building::new(&plan.reading, BATCH_ROWS)).collect(),
                scratch: Vec::new(),
            },
            Input::Columnar(columns) => {
                let open = columnar::open(&material, &survey.limits)?;
                Source::Columnar { open: Box::new(open), columns: Arc::clone(columns) }
            }
        };
        let (schema, rows_expected) = (Arc::clone(&survey.schema), survey.rows);
        Ok(Self { schema, source, material, rows: 0, rows_expected, ended: false })
    }

    /// The schema of every batch.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn next_batch(&mut self) -> Result<Option<RecordBatch>, IntakeError> {
        let (rows, arrays) = match &mut self.source {
            Source::Text { rows, plans, building, scratch } => {
                let count = fill(rows.as_mut(), plans, building, scratch)?;
                let arrays = building.iter_mut().map(|column| column.finish(BATCH_ROWS)).collect::<Result<_, _>>()?;
                (count, arrays)
            }
            Source::Columnar { open, columns } => {
                let format = columnar::format_name(self.material.content);
                match open.next_flat()? {
                    Some((count, flat)) => {
                        if flat.len() != columns.len() {
                            return Err(IntakeError::Changed);
                        }
                        let arrays =
                            columns.iter().zip(&flat).map(|(column, part)| column.convert(&part.array, format));
                        (count, arrays.collect::<Result<Vec<ArrayRef>, _>>()?)
                    }
                    None => (0, Vec::new()),
                }
            }
        };
        if rows == 0 {
            return if self.rows == self.rows_expected { Ok(None) } else { Err(IntakeError::Changed) };
        }
        self.rows += wide(rows);
        if self.rows > self.rows_expected {
            return Err(IntakeError::Changed);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), arrays, &options);
        batch.map(Some).map_err(|_| IntakeError::Changed)
    }
}

/// Reads rows until the batch is full or the file ends; says how many.
fn fill(
    rows: &mut dyn Rows,
    plans: &[ColumnPlan],
    building: &mut [Building],
    scratch: &mut Vec<u8>,
) -> Result<usize, IntakeError> {
    let mut count = 0;
    let mut bytes = 0;
    while count < BATCH_ROWS && bytes < BATCH_BYTES && rows.advance()? {
        let row = rows.row();
        for (plan, column) in plans.iter().zip(building.iter_mut()) {
            let cell = row.cell(plan.cell);
            if plan.nulls.is_null(cell.bytes) || cell.kind == crate::cell::Kind::BadGeometry {
                column.push_null();
                continue;
            }
            bytes += cell.bytes.len();
            match &plan.dressing {
                Some(dressing) => {
                    let undressed = dressing.undress(cell.bytes, scratch).unwrap_or(cell.bytes);
                    column.push(Cell { bytes: undressed, kind: cell.kind })?;
                }
                None => column.push(cell)?,
            }
        }
        count += 1;
    }
    Ok(count)
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, IntakeError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let batch = self.next_batch().transpose();
        self.ended = !matches!(batch, Some(Ok(_)));
        batch
    }
}
