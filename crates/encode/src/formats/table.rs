//! Aligned text for a terminal.

use arrow::array::RecordBatch;
use arrow_schema::SchemaRef;
use portico_model::order::OutputOptions;
use unicode_width::UnicodeWidthStr;

use super::Form;
use crate::EncodeError;
use crate::cells::{Cells, Shape};
use crate::spell::number::integer;

/// Rows that the widths are taken from; later cells that are wider push the rest of their row aside.
const WINDOW_ROWS: usize = 500;
/// Cells of the window, for tables of many columns.
const WINDOW_CELLS: usize = 50_000;
/// Bytes of the window.
const WINDOW_BYTES: usize = 256 * 1024;
/// Padding never makes a column wider than this.
const WIDTH_MAX: usize = 60;

/// Writes columns side by side, numbers to the right, and the count of rows below. Cells are never cut;
/// control characters are escaped, so that data cannot command the terminal.
pub(crate) struct Table {
    schema: SchemaRef,
    null: String,
    /// Cells that wait for the widths to be known, row after row.
    window: Vec<String>,
    window_bytes: usize,
    /// Known once the window is closed.
    widths: Option<Vec<usize>>,
    right: Vec<bool>,
    rows: u64,
}

impl Table {
    pub(crate) fn new(schema: &SchemaRef, options: &OutputOptions) -> Self {
        Self {
            schema: schema.clone(),
            null: options.null.clone(),
            window: Vec::new(),
            window_bytes: 0,
            widths: None,
            right: schema.fields().iter().map(|field| field.data_type().is_numeric()).collect(),
            rows: 0,
        }
    }

    fn add(&mut self, row: Vec<String>, out: &mut Vec<u8>) {
        if let Some(widths) = &self.widths {
            line(&row, widths, &self.right, out);
            return;
        }
        self.window_bytes += row.iter().map(String::len).sum::<usize>();
        self.window.extend(row);
        let rows = self.window.len() / self.schema.fields().len().max(1);
        if rows >= WINDOW_ROWS || self.window.len() >= WINDOW_CELLS || self.window_bytes >= WINDOW_BYTES {
            self.close_window(out);
        }
    }

    /// Fixes the widths, writes the heading and the rows that waited.
    fn close_window(&mut self, out: &mut Vec<u8>) {
        let names: Vec<String> = self.schema.fields().iter().map(|field| shown(field.name())).collect();
        let mut widths: Vec<usize> = names.iter().map(|name| name.width().min(WIDTH_MAX)).collect();
        let columns = widths.len().max(1);
        let window = std::mem::take(&mut self.window);
        for row in window.chunks(columns) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.width().min(WIDTH_MAX));
            }
        }
        line(&names, &widths, &vec![false; columns], out);
        for (index, width) in widths.iter().enumerate() {
            if index > 0 {
                out.push(b'+');
            }
            out.resize(out.len() + width + 2, b'-');
        }
        out.push(b'\n');
        for row in window.chunks(columns) {
            line(row, &widths, &self.right, out);
        }
        self.widths = Some(widths);
    }
}

impl Form for Table {
    fn begin(&mut self, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let schema = self.schema.clone();
        let cells: Vec<Cells> = batch
            .columns()
            .iter()
            .zip(schema.fields())
            .map(|(array, field)| Cells::new(array.as_ref(), field))
            .collect();
        let mut text = Vec::new();
        for row in 0..batch.num_rows() {
            let mut shown_row = Vec::with_capacity(cells.len());
            for cells in &cells {
                if cells.is_null(row) {
                    shown_row.push(self.null.clone());
                    continue;
                }
                text.clear();
                cells.write_text(row, &mut text)?;
                let spelt = String::from_utf8_lossy(&text);
                let plain = !matches!(cells.shape(), Shape::Text | Shape::Other);
                shown_row.push(if plain { spelt.into_owned() } else { shown(&spelt) });
            }
            self.add(shown_row, out);
            self.rows += 1;
        }
        Ok(())
    }

    fn finish(&mut self, _elapsed_ms: u64, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.widths.is_none() {
            self.close_window(out);
        }
        out.push(b'(');
        integer(out, self.rows);
        out.extend_from_slice(if self.rows == 1 { b" row)\n" } else { b" rows)\n" });
        Ok(())
    }
}

fn line(row: &[String], widths: &[usize], right: &[bool], out: &mut Vec<u8>) {
    let last = row.len().saturating_sub(1);
    for (index, ((cell, width), right)) in row.iter().zip(widths).zip(right).enumerate() {
        out.extend_from_slice(if index > 0 { b"| " } else { b" " });
        let padding = width.saturating_sub(cell.width());
        if *right {
            out.resize(out.len() + padding, b' ');
        }
        out.extend_from_slice(cell.as_bytes());
        if !*right && index < last {
            out.resize(out.len() + padding, b' ');
        }
        if index < last {
            out.push(b' ');
        }
    }
    out.push(b'\n');
}

/// Text with its control characters spelt out.
fn shown(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for character in text.chars() {
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    out
}
