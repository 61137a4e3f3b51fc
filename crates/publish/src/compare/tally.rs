//! What a comparison counts, and the rows that it shows.

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use arrow_row::{RowConverter, SortField};
use portico_encode::encoder;
use portico_model::format::{Compression, FileKind, Format};
use portico_model::limits::IntakeLimits;
use portico_model::order::{Envelope, OutputOptions};
use serde_json::{Map, Value};

use super::{Comparison, converter};
use crate::difference::{ChangedRow, RowDifference};
use crate::error::PublishError;
use crate::ordered::OrderedRow;

/// Changed rows whose cells are compared at once.
const PAIRS: usize = 1_024;
/// Bytes of them, about.
const PAIRS_BYTES: usize = 4 * 1024 * 1024;

/// Counts.
pub(super) struct Tally {
    schema: SchemaRef,
    key: usize,
    whole: RowConverter,
    /// One converter for each column: cells compare as their rows do.
    cells: Vec<RowConverter>,
    counted: RowDifference,
    changed_cells: Vec<u64>,
    pairs: Vec<(Vec<u8>, Vec<u8>)>,
    pairs_bytes: usize,
    added: Shown,
    removed: Shown,
    changed: Vec<ChangedRow>,
    rows_max: usize,
    /// Bytes that rows of each kind may have as JSON.
    bytes_max: usize,
    changed_bytes: usize,
}

/// The first rows of a kind.
#[derive(Default)]
struct Shown {
    rows: Vec<Vec<u8>>,
    bytes: usize,
}

impl Shown {
    fn offer(&mut self, row: Option<OrderedRow>, rows_max: usize, bytes_max: usize) {
        let Some(row) = row else { return };
        if self.rows.len() < rows_max && self.bytes + row.bytes.len() <= bytes_max {
            self.bytes += row.bytes.len();
            self.rows.push(row.bytes);
        }
    }
}

impl Tally {
    pub(super) fn new(comparison: &Comparison, limits: &IntakeLimits) -> Result<Self, PublishError> {
        let (schema, key) = (comparison.schema.clone(), comparison.key);
        let mut cells = Vec::with_capacity(schema.fields().len());
        for field in schema.fields() {
            cells.push(RowConverter::new(vec![SortField::new(field.data_type().clone())])?);
        }
        Ok(Self {
            whole: converter(&schema, schema.fields().len())?,
            cells,
            counted: RowDifference::default(),
            changed_cells: vec![0; schema.fields().len()],
            pairs: Vec::new(),
            pairs_bytes: 0,
            added: Shown::default(),
            removed: Shown::default(),
            changed: Vec::new(),
            rows_max: usize::try_from(limits.difference_rows).unwrap_or(usize::MAX),
            bytes_max: usize::try_from(limits.preview_bytes / 3).unwrap_or(usize::MAX),
            changed_bytes: 0,
            schema,
            key,
        })
    }

    pub(super) fn unchanged(&mut self) {
        self.counted.unchanged += 1;
    }

    pub(super) fn removed(&mut self, row: Option<OrderedRow>) {
        self.counted.removed += 1;
        self.removed.offer(row, self.rows_max, self.bytes_max);
    }

    pub(super) fn added(&mut self, row: Option<OrderedRow>) {
        self.counted.added += 1;
        self.added.offer(row, self.rows_max, self.bytes_max);
    }

    pub(super) fn repeated(&mut self, before: bool, after: bool) {
        self.counted.repeated_keys_before += u64::from(before);
        self.counted.repeated_keys_after += u64::from(after);
    }

    pub(super) fn changed(&mut self, before: OrderedRow, after: OrderedRow) -> Result<(), PublishError> {
        self.counted.changed += 1;
        self.pairs_bytes += before.bytes.len() + after.bytes.len();
        self.pairs.push((before.bytes, after.bytes));
        if self.pairs.len() >= PAIRS || self.pairs_bytes >= PAIRS_BYTES { self.compare_cells() } else { Ok(()) }
    }

    fn compare_cells(&mut self) -> Result<(), PublishError> {
        let pairs = std::mem::take(&mut self.pairs);
        self.pairs_bytes = 0;
        let before = decode(&self.whole, pairs.iter().map(|(before, _)| before))?;
        let after = decode(&self.whole, pairs.iter().map(|(_, after)| after))?;
        let mut differing = vec![Vec::new(); pairs.len()];
        for (column, converter) in self.cells.iter().enumerate() {
            let (Some(was), Some(is)) = (before.get(column), after.get(column)) else { continue };
            let was = converter.convert_columns(std::slice::from_ref(was))?;
            let is = converter.convert_columns(std::slice::from_ref(is))?;
            let mut count = 0;
            for ((was, is), differing) in was.iter().zip(is.iter()).zip(&mut differing) {
                if was != is {
                    count += 1;
                    differing.push(column);
                }
            }
            if let Some(cells) = self.changed_cells.get_mut(column) {
                *cells += count;
            }
        }
        let wanted = self.rows_max.saturating_sub(self.changed.len()).min(pairs.len());
        if wanted == 0 || self.changed_bytes >= self.bytes_max {
            return Ok(());
        }
        let first = |columns: &[ArrayRef]| columns.iter().map(|column| column.slice(0, wanted)).collect::<Vec<_>>();
        let (was, is) = (objects(&self.schema, first(&before))?, objects(&self.schema, first(&after))?);
        let names: Vec<String> = self.schema.fields().iter().map(|field| field.name().clone()).collect();
        for (((was, was_bytes), (is, is_bytes)), columns) in was.into_iter().zip(is).zip(differing) {
            self.changed_bytes += was_bytes + is_bytes;
            if self.changed_bytes > self.bytes_max {
                break;
            }
            let named = |columns: &[usize]| columns.iter().filter_map(|&column| names.get(column).cloned()).collect();
            let changed: Vec<String> = named(&columns);
            let key: Vec<String> = names.iter().take(self.key).cloned().collect();
            self.changed.push(ChangedRow {
                key: only(&is, &key),
                before: only(&was, &changed),
                after: only(&is, &changed),
            });
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<RowDifference, PublishError> {
        if !self.pairs.is_empty() {
            self.compare_cells()?;
        }
        let shown = |rows: &Shown| -> Result<Vec<Map<String, Value>>, PublishError> {
            let columns = decode(&self.whole, rows.rows.iter())?;
            let mut left = self.bytes_max;
            let mut kept = Vec::new();
            for (row, bytes) in objects(&self.schema, columns)? {
                if bytes > left {
                    break;
                }
                left -= bytes;
                kept.push(row);
            }
            Ok(kept)
        };
        let (added_rows, removed_rows) = (shown(&self.added)?, shown(&self.removed)?);
        let names = self.schema.fields().iter().map(|field| field.name().clone());
        let changed_cells = names.zip(self.changed_cells).filter(|(_, cells)| *cells > 0).collect();
        Ok(RowDifference { changed_cells, added_rows, removed_rows, changed_rows: self.changed, ..self.counted })
    }
}

fn only(row: &Map<String, Value>, names: &[String]) -> Map<String, Value> {
    names.iter().filter_map(|name| Some((name.clone(), row.get(name)?.clone()))).collect()
}

fn decode<'a>(whole: &RowConverter, rows: impl Iterator<Item = &'a Vec<u8>>) -> Result<Vec<ArrayRef>, PublishError> {
    let parser = whole.parser();
    let rows: Vec<&Vec<u8>> = rows.collect();
    Ok(whole.convert_rows(rows.iter().map(|row| parser.parse(row)))?)
}

/// A row as the public would get it as JSON, and its bytes.
type Object = (Map<String, Value>, usize);

fn objects(schema: &SchemaRef, columns: Vec<ArrayRef>) -> Result<Vec<Object>, PublishError> {
    let failed = |error: portico_encode::EncodeError| PublishError::Write(error.into());
    let kind = FileKind { format: Format::Ndjson, compression: Compression::None };
    let mut lines = encoder(kind, schema, &OutputOptions::default(), &Envelope::default()).map_err(failed)?;
    let mut text = Vec::new();
    lines.write(&RecordBatch::try_new(schema.clone(), columns)?, &mut text).map_err(failed)?;
    let rows = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    rows.map(|line| {
        let row = serde_json::from_slice(line).map_err(|error| PublishError::Write(error.into()))?;
        Ok((row, line.len()))
    })
    .collect()
}
