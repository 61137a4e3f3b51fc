//! Parquet and Arrow IPC: typed already, so the first pass checks that every row can be read and what its conversion
//! costs, and the second hands the batches on.
//!
//! ```text
//! file ─▶ reader ─▶ batch ─▶ structs flattened ─▶ each column converted ─▶ batch of released types
//! ```

use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::{FileReader, StreamReader};
use arrow::record_batch::RecordBatch;
use portico_model::limits::IntakeLimits;
use portico_model::wkb;

use crate::cell::{Tally, narrow, wide};
use crate::declared::{Declared, Nulls};
use crate::detect::Content;
use crate::error::IntakeError;
use crate::unpack::Material;

mod convert;
mod geo;
mod ipc;
mod json_text;
mod measure;
mod parquet_file;

pub(crate) use convert::Flat;
use convert::Step;
pub(crate) use geo::Geo;

/// Rows of a batch at most.
pub(crate) const BATCH_ROWS: usize = 8_192;
/// Bytes of a batch, as a guess from the footer.
const BATCH_BYTES: u64 = 32 * 1024 * 1024;
/// Bytes of a part of a batch with all of its values spelled out.
const SPELLED_BYTES: u64 = 64 * 1024 * 1024;
/// A file may spell out to so much whatever the ratio: constant columns and long runs pack well.
const SPELLED_FLOOR_BYTES: u64 = 1024 * 1024 * 1024;

type SourceBatches = Box<dyn Iterator<Item = Result<RecordBatch, ArrowError>> + Send>;

/// A columnar file that is open.
pub(crate) struct Open {
    pub(crate) schema: SchemaRef,
    pub(crate) geo: Geo,
    format: &'static str,
    batches: SourceBatches,
    /// Bytes of all values so far, spelled out, and how many they may be.
    spelled: u64,
    spelled_max: u64,
    limits: IntakeLimits,
    /// A batch that is longer than [`BATCH_ROWS`], and how far it has been handed on.
    pending: Option<(RecordBatch, usize)>,
}

/// The name of a columnar format.
pub(crate) fn format_name(content: Content) -> &'static str {
    match content {
        Content::Parquet => "Parquet",
        _ => "Arrow IPC",
    }
}

/// Opens a columnar file.
pub(crate) fn open(material: &Material, limits: &IntakeLimits) -> Result<Open, IntakeError> {
    let format = format_name(material.content);
    let file = material.open()?;
    if material.content != Content::Parquet {
        ipc::check_bodies(material.open()?, material.content, limits)?;
    }
    let by_ratio = material.packed_bytes.saturating_mul(limits.unpacked_ratio).max(SPELLED_FLOOR_BYTES);
    let spelled_max = by_ratio.min(limits.unpacked_bytes);
    let (schema, geo, batches) = match material.content {
        Content::Parquet => parquet_file::open(file, spelled_max, limits)?,
        Content::ArrowFile => guarded(format, || {
            let reader = FileReader::try_new(BufReader::new(file), None)?;
            let schema = reader.schema();
            let batches: SourceBatches = Box::new(reader);
            Ok((Arc::clone(&schema), Geo::of_schema(&schema), batches))
        })?,
        _ => guarded(format, || {
            let reader = StreamReader::try_new(BufReader::new(file), None)?;
            let schema = reader.schema();
            let batches: SourceBatches = Box::new(reader);
            Ok((Arc::clone(&schema), Geo::of_schema(&schema), batches))
        })?,
    };
    Ok(Open { schema, geo, format, batches, spelled: 0, spelled_max, limits: limits.clone(), pending: None })
}

/// The refusal of a file that stands for too much.
fn spells_out(limits: &IntakeLimits) -> IntakeError {
    IntakeError::over("its values spell out to more times its size", "unpacked_ratio", limits.unpacked_ratio)
}

/// Runs a reader, which a hostile file may make panic.
fn guarded<T>(format: &'static str, run: impl FnOnce() -> Result<T, ArrowError>) -> Result<T, IntakeError> {
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(refusal(format, &error)),
        Err(_) => Err(IntakeError::corrupt(format, "its reader gave up on it")),
    }
}

fn refusal(format: &'static str, error: &ArrowError) -> IntakeError {
    let text = error.to_string();
    if text.contains("ncrypt") {
        return IntakeError::Encrypted(if format == "Parquet" { "the Parquet file" } else { "the file" });
    }
    let reason = match error {
        ArrowError::IoError(..) => "it ends before it is complete",
        _ if text.contains("EOF") || text.contains("ufficient bytes") => "it ends before it is complete",
        _ if text.contains("CRC") || text.contains("checksum") => "a page does not match its checksum",
        ArrowError::NotYetImplemented(_) | ArrowError::SchemaError(_) => {
            "it uses a part of the format that is not read"
        }
        _ if text.contains("NYI") || text.contains("not supported") || text.contains("nimplemented") => {
            "it uses a part of the format that is not read"
        }
        _ => {
            "its parts contradict each other, some of its columns are encrypted, or it uses a part of the format that is \
              not read"
        }
    };
    IntakeError::corrupt(format, reason)
}

impl Open {
    /// The next batch of at most [`BATCH_ROWS`] rows, its columns flattened.
    pub(crate) fn next_flat(&mut self) -> Result<Option<(usize, Vec<Flat>)>, IntakeError> {
        if self.pending.is_none() {
            let batches = &mut self.batches;
            self.pending = guarded(self.format, || batches.next().transpose())?.map(|batch| (batch, 0));
        }
        let Some((batch, from)) = self.pending.take() else { return Ok(None) };
        let (rows, bytes) = guarded(self.format, || Ok(measure::part(&batch, from, BATCH_ROWS, SPELLED_BYTES)))?;
        if rows == 1 && bytes > self.limits.row_bytes {
            return Err(IntakeError::over("a row has more bytes", "row_bytes", self.limits.row_bytes));
        }
        self.spelled = self.spelled.saturating_add(bytes);
        // A batch may claim more rows than anybody could read one by one.
        if self.spelled > self.spelled_max || wide(batch.num_rows()) > self.spelled_max {
            return Err(spells_out(&self.limits));
        }
        let part = batch.slice(from, rows);
        if from + rows < batch.num_rows() {
            self.pending = Some((batch, from + rows));
        }
        let flat = guarded(self.format, || Ok(convert::flatten(&part)))?;
        Ok(Some((rows, flat)))
    }
}

/// One column of the file: how it is converted, and what the first pass saw.
#[derive(Clone, Debug)]
pub(crate) struct ColumnarColumn {
    pub(crate) source: String,
    pub(crate) declared: Option<Arc<Declared>>,
    pub(crate) nulls: Nulls,
    pub(crate) geometry: bool,
    step: Step,
    target: DataType,
    /// Whether every binary value so far is UTF-8 text.
    texts: bool,
    /// Whether the column is one of dates in milliseconds, all at midnight so far.
    days: bool,
    pub(crate) values: u64,
    pub(crate) finer: u64,
    pub(crate) lost: Tally,
    pub(crate) violations: Tally,
    pub(crate) bad_geometries: Tally,
    pub(crate) outside: Tally,
    /// Dates and moments beyond the years 1 to 9999, and times of day beyond a day.
    pub(crate) beyond_years: Tally,
    pub(crate) beyond_day: Tally,
}

impl ColumnarColumn {
    pub(crate) fn new(flat: &Flat, geometry: bool, declared: Option<Arc<Declared>>, nulls: Nulls) -> Self {
        let (target, step) = convert::plan(flat.field.data_type());
        Self {
            source: flat.name.clone(),
            declared,
            nulls,
            geometry: geometry && target == DataType::Binary,
            texts: target == DataType::Binary && !geometry,
            days: flat.field.data_type() == &DataType::Date64,
            step,
            target,
            values: 0,
            finer: 0,
            lost: Tally::default(),
            violations: Tally::default(),
            bad_geometries: Tally::default(),
            outside: Tally::default(),
            beyond_years: Tally::default(),
            beyond_day: Tally::default(),
        }
    }

    /// The type that the column is released as. Known after the first pass.
    pub(crate) fn data_type(&self) -> DataType {
        match &self.declared {
            Some(declared) => declared.data_type(),
            None if self.reads_as_text() => DataType::Utf8,
            None if self.days => DataType::Date32,
            None => self.target.clone(),
        }
    }

    /// Whether the column is binary by its type, but all of it text.
    pub(crate) fn reads_as_text(&self) -> bool {
        self.texts && self.values > 0
    }

    /// Whether the values are JSON text of lists and the like.
    pub(crate) fn is_json(&self) -> bool {
        self.step == Step::Json
    }

    /// Whether the values are intervals or durations as text.
    pub(crate) fn is_shown(&self) -> bool {
        self.step == Step::Shown
    }

    /// First pass: checks that the values convert.
    pub(crate) fn observe(
        &mut self,
        array: &ArrayRef,
        first_row: u64,
        format: &'static str,
        limits: &IntakeLimits,
    ) -> Result<(), IntakeError> {
        self.finer += convert::finer_than_micros(array);
        self.days = self.days && convert::is_days(array);
        self.values += wide(array.len() - array.logical_null_count());
        let step = &self.step;
        let converted = guarded(format, || convert::convert(array, step))?;
        if converted.logical_null_count() > array.logical_null_count() {
            for (row, number) in (0..array.len()).zip(first_row..) {
                if converted.is_null(row) && !array.is_null(row) {
                    self.lost.add(number);
                }
            }
        }
        for row in convert::beyond_years(&converted) {
            self.beyond_years.add(first_row + wide(row));
        }
        for row in convert::beyond_day(&converted) {
            self.beyond_day.add(first_row + wide(row));
        }
        if !convert::decimals_fit(&converted) {
            return Err(IntakeError::corrupt(format, "a decimal number has more digits than its type"));
        }
        check_lengths(&converted, limits)?;
        if self.geometry {
            self.check_geometries(&converted, first_row);
        }
        if self.texts {
            self.texts = convert::binary_as_text(&converted).is_some();
        }
        if let Some(declared) = self.declared.clone() {
            let nulls = &self.nulls;
            let text = if self.geometry { None } else { convert::binary_as_text(&converted) };
            let values: ArrayRef = match text {
                Some(text) => Arc::new(text),
                None => converted,
            };
            let (_, violations) = guarded(format, || convert::declare(&values, &declared, nulls))?;
            for row in violations {
                self.violations.add(first_row + wide(row));
            }
        }
        Ok(())
    }

    fn check_geometries(&mut self, array: &ArrayRef, first_row: u64) {
        let Some(values) = array.as_binary_opt::<i32>() else { return };
        for (value, row) in values.iter().zip(first_row..) {
            let Some(value) = value else { continue };
            if wkb::check(value).is_err() {
                self.bad_geometries.add(row);
            }
            let outside =
                |[west, south, east, north]: [f64; 4]| west < -180.0 || east > 180.0 || south < -90.0 || north > 90.0;
            if wkb::bounds(value).is_some_and(outside) {
                self.outside.add(row);
            }
        }
    }

    /// Second pass: the values as they are released.
    pub(crate) fn convert(&self, array: &ArrayRef, format: &'static str) -> Result<ArrayRef, IntakeError> {
        guarded(format, || {
            let step = if self.days && self.declared.is_none() { &Step::Days } else { &self.step };
            let converted = convert::convert(array, step)?;
            let text = if self.reads_as_text() || (self.declared.is_some() && !self.geometry) {
                convert::binary_as_text(&converted)
            } else {
                None
            };
            let values: ArrayRef = match text {
                Some(text) => Arc::new(text),
                None => converted,
            };
            match &self.declared {
                Some(declared) => Ok(convert::declare(&values, declared, &self.nulls)?.0),
                None => Ok(values),
            }
        })
    }
}

fn check_lengths(array: &ArrayRef, limits: &IntakeLimits) -> Result<(), IntakeError> {
    let longest = match array.data_type() {
        DataType::Utf8 => array.as_string::<i32>().offsets().lengths().max(),
        DataType::Binary => array.as_binary::<i32>().offsets().lengths().max(),
        _ => None,
    };
    if longest.is_some_and(|longest| longest > narrow(limits.cell_bytes)) {
        return Err(IntakeError::over("a value has more bytes", "cell_bytes", limits.cell_bytes));
    }
    Ok(())
}

/// Levels of nesting of the deepest column.
pub(crate) fn depth(schema: &SchemaRef) -> u64 {
    schema.fields().iter().map(|field| convert::depth(field.data_type())).max().unwrap_or(0)
}

/// The flattened columns of a schema, without rows.
pub(crate) fn flat_columns(schema: &SchemaRef) -> Vec<Flat> {
    convert::flatten(&RecordBatch::new_empty(Arc::clone(schema)))
}
