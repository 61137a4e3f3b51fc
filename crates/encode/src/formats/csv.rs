//! CSV and TSV: RFC 4180 with `\n`, quotes only where they are needed.

use arrow::array::RecordBatch;
use arrow_schema::SchemaRef;
use portico_model::order::OutputOptions;

use super::Form;
use crate::EncodeError;
use crate::cells::{Cells, Shape};
use crate::spell::text::{Special, quoted};

/// U+FEFF, by which Excel knows UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Writes delimited text.
pub(crate) struct Csv {
    schema: SchemaRef,
    header: bool,
    bom: bool,
    excel_safe: bool,
    spelling: Spelling,
}

/// How cells are told apart.
struct Spelling {
    delimiter: u8,
    special: Special,
    /// Null as it is written, in quotes if it needs them.
    null: Vec<u8>,
    /// Null as it was asked for: text that reads the same is put in quotes.
    null_text: String,
    /// Text without characters, different from null.
    empty: &'static [u8],
}

impl Csv {
    pub(crate) fn new(schema: &SchemaRef, options: &OutputOptions, delimiter: u8) -> Self {
        let special = Special::new(delimiter);
        // Readers skip blank lines, and with them a row whose only cell is empty.
        let lone = schema.fields().len() == 1;
        let mut null = Vec::new();
        special.cell(&mut null, options.null.as_bytes());
        if null.is_empty() && lone {
            null.extend_from_slice(b"\"\"");
        }
        let empty: &[u8] = if lone || options.null.is_empty() { b"\"\"" } else { b"" };
        Self {
            schema: schema.clone(),
            header: options.header,
            bom: options.bom,
            excel_safe: options.excel_safe,
            spelling: Spelling { delimiter, special, null, null_text: options.null.clone(), empty },
        }
    }
}

impl Form for Csv {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.bom {
            out.extend_from_slice(BYTE_ORDER_MARK);
        }
        if !self.header {
            return Ok(());
        }
        for (index, field) in self.schema.fields().iter().enumerate() {
            if index > 0 {
                out.push(self.spelling.delimiter);
            }
            self.spelling.text(field.name(), false, self.excel_safe, out);
        }
        out.push(b'\n');
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let columns: Vec<Column> = batch
            .columns()
            .iter()
            .zip(self.schema.fields())
            .map(|(array, field)| Column::new(Cells::new(array.as_ref(), field), &self.spelling, self.excel_safe))
            .collect();
        for row in 0..batch.num_rows() {
            for (index, column) in columns.iter().enumerate() {
                if index > 0 {
                    out.push(self.spelling.delimiter);
                }
                column.write(row, &self.spelling, out)?;
            }
            out.push(b'\n');
        }
        Ok(())
    }

    fn finish(&mut self, _elapsed_ms: u64, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
        Ok(())
    }
}

struct Column<'a> {
    cells: Cells<'a>,
    quoting: Quoting,
}

#[derive(Clone, Copy)]
enum Quoting {
    /// Digits, dates and the like hold nothing special.
    Never,
    /// Text; `clean` when none of the batch holds anything special.
    Text { clean: bool, excel_safe: bool },
    /// Written first, looked at afterwards.
    Looked,
}

impl<'a> Column<'a> {
    fn new(cells: Cells<'a>, spelling: &Spelling, excel_safe: bool) -> Self {
        let quoting = match cells.shape() {
            Shape::Null | Shape::Boolean | Shape::Number | Shape::Moment => Quoting::Never,
            Shape::Text => {
                let clean = cells.whole_text().is_some_and(|all| !spelling.special.any_in(all));
                Quoting::Text { clean, excel_safe }
            }
            Shape::Other => Quoting::Looked,
        };
        Self { cells, quoting }
    }

    #[inline]
    fn write(&self, row: usize, spelling: &Spelling, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.cells.is_null(row) {
            out.extend_from_slice(&spelling.null);
            return Ok(());
        }
        match self.quoting {
            Quoting::Never => self.cells.write_text(row, out)?,
            Quoting::Text { clean, excel_safe } => {
                if let Some(text) = self.cells.text(row) {
                    spelling.text(text, clean, excel_safe, out);
                }
            }
            Quoting::Looked => {
                let start = out.len();
                self.cells.write_text(row, out)?;
                spelling.look(start, out);
            }
        }
        Ok(())
    }
}

impl Spelling {
    #[inline]
    fn text(&self, text: &str, clean: bool, excel_safe: bool, out: &mut Vec<u8>) {
        let bytes = text.as_bytes();
        if bytes.is_empty() {
            out.extend_from_slice(self.empty);
        } else if excel_safe && is_formula(bytes) {
            let mut prefixed = Vec::with_capacity(bytes.len() + 1);
            prefixed.push(b'\'');
            prefixed.extend_from_slice(bytes);
            self.special.cell(out, &prefixed);
        } else if !clean && self.special.any_in(bytes) || text == self.null_text {
            quoted(out, bytes);
        } else {
            out.extend_from_slice(bytes);
        }
    }

    /// Puts what was written from `start` on in quotes if it needs them.
    fn look(&self, start: usize, out: &mut Vec<u8>) {
        let Some(written) = out.get(start..) else { return };
        if written.is_empty() {
            out.extend_from_slice(self.empty);
        } else if self.special.any_in(written) || written == self.null_text.as_bytes() {
            let written = out.split_off(start);
            quoted(out, &written);
        }
    }
}

/// What a spreadsheet would run instead of showing.
fn is_formula(bytes: &[u8]) -> bool {
    matches!(bytes.first(), Some(b'=' | b'+' | b'-' | b'@' | b'\t' | b'\r'))
}
