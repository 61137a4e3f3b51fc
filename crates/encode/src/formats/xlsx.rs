//! Office Open XML workbooks, within Excel's limits or not at all.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom};

use arrow::array::RecordBatch;
use arrow_schema::{DataType, Field, SchemaRef};
use rust_xlsxwriter::{DocProperties, ExcelDateTime, Format, Workbook, Worksheet};

use super::Form;
use crate::EncodeError;
use crate::cells::{Cells, Shape};
use crate::error::{XLSX_CELL_MAX, XLSX_COLUMNS_MAX, XLSX_ROWS_MAX};

/// Bytes handed over at a time once the file is made.
const PART_BYTES: u64 = 1024 * 1024;
/// Above it the sheet may need ZIP64 fields, which not every reader knows.
const LARGE_BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// What a cell takes besides its text, at most.
const CELL_BYTES: u64 = 64;
/// Characters of a column's name that a refusal tells.
const NAME_CHARS: usize = 100;
/// Digits that Excel keeps of a number.
const DIGITS_MAX: usize = 15;
/// 1970-01-01 in Excel's days.
const EPOCH_SERIAL: i64 = 25_569;
/// 1 March 1900: before it Excel counts a day that never was.
const FIRST_SERIAL: i64 = 61;
/// 31 December 9999.
const LAST_SERIAL: i64 = 2_958_465;
const DAY_NANOS: f64 = 86_400.0 * 1e9;

/// Writes one worksheet. Its rows wait in a temporary file, since only the last one tells whether they fit:
/// nothing goes out before.
pub(crate) struct Xlsx {
    schema: SchemaRef,
    workbook: Workbook,
    file: File,
    /// Rows written, the header not counted.
    rows: u32,
    bytes: u64,
}

impl Xlsx {
    pub(crate) fn new(schema: &SchemaRef) -> Result<Self, EncodeError> {
        let columns = schema.fields().len();
        if columns > XLSX_COLUMNS_MAX {
            return Err(EncodeError::TooManyColumns(columns));
        }
        // Made first, since the workbook makes one of its own in the same place and cannot say that it failed.
        let file = tempfile::tempfile()?;
        let mut workbook = Workbook::new();
        // No author, and one time for all, so that the same rows give the same file.
        let created = ExcelDateTime::from_ymd(2000, 1, 1)?;
        workbook.set_properties(&DocProperties::new().set_creation_datetime(&created));
        let sheet = workbook.add_worksheet_with_constant_memory();
        sheet.set_name("data")?;
        for (column, field) in schema.fields().iter().enumerate() {
            if let Some((code, width)) = number_format(field) {
                let column = position(column)?;
                sheet.set_column_format(column, &Format::new().set_num_format(code))?;
                sheet.set_column_width(column, width)?;
            }
        }
        sheet.set_freeze_panes(1, 0)?;
        Ok(Self { schema: schema.clone(), workbook, file, rows: 0, bytes: 0 })
    }
}

impl Form for Xlsx {
    fn begin(&mut self, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let sheet = self.workbook.worksheet_from_index(0)?;
        let heading = Format::new().set_bold();
        for (column, field) in self.schema.fields().iter().enumerate() {
            check_length(field.name(), field, 0)?;
            sheet.write_string_with_format(0, position(column)?, field.name(), &heading)?;
        }
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let rows = u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
        if rows > XLSX_ROWS_MAX - u64::from(self.rows) {
            return Err(EncodeError::TooManyRows);
        }
        let fields = self.schema.fields();
        let columns: Vec<Column> = batch
            .columns()
            .iter()
            .zip(fields)
            .map(|(array, field)| Column { cells: Cells::new(array.as_ref(), field), field })
            .collect();
        let sheet = self.workbook.worksheet_from_index(0)?;
        let blank = Format::new().set_num_format("@");
        let mut text = Vec::new();
        for row in 0..batch.num_rows() {
            self.rows += 1;
            let mut written = false;
            for (index, column) in columns.iter().enumerate() {
                if !column.cells.is_null(row) {
                    let place = (self.rows, position(index)?);
                    let length = column.write(row, sheet, place, &mut text)?;
                    written |= length > 0;
                    self.bytes += CELL_BYTES + u64::try_from(length).unwrap_or_default();
                }
            }
            if !written {
                // A row of nothing is still a row.
                sheet.write_blank(self.rows, 0, &blank)?;
            }
        }
        Ok(())
    }

    fn finish(&mut self, _elapsed_ms: u64, _out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.bytes > LARGE_BYTES {
            self.workbook.use_zip_large_file(true);
        }
        self.workbook.save_to_writer(BufWriter::new(&mut self.file))?;
        self.file.seek(SeekFrom::Start(0))?;
        Ok(())
    }

    fn more(&mut self, out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        Ok((&mut self.file).take(PART_BYTES).read_to_end(out)? > 0)
    }
}

struct Column<'a> {
    cells: Cells<'a>,
    field: &'a Field,
}

impl Column<'_> {
    /// Writes a cell that is not null, and says how long it is.
    fn write(
        &self,
        row: usize,
        sheet: &mut Worksheet,
        (line, column): (u32, u16),
        text: &mut Vec<u8>,
    ) -> Result<usize, EncodeError> {
        text.clear();
        self.cells.write_text(row, text)?;
        let spelt = std::str::from_utf8(text).unwrap_or_default();
        let shape = self.cells.shape();
        let number = match shape {
            Shape::Number => exact(spelt, self.field.data_type()),
            Shape::Moment => self.cells.moment(row).and_then(|moment| serial(moment, self.field.data_type())),
            Shape::Boolean => {
                sheet.write_boolean(line, column, spelt == "true")?;
                return Ok(spelt.len());
            }
            Shape::Null | Shape::Text | Shape::Other => None,
        };
        match number {
            Some(number) => sheet.write_number(line, column, number)?,
            None => {
                check_length(spelt, self.field, line)?;
                sheet.write_string(line, column, spelt)?
            }
        };
        Ok(spelt.len())
    }
}

/// The number, unless Excel would drop some of its digits. Floats are doubles there as here.
fn exact(spelt: &str, data_type: &DataType) -> Option<f64> {
    let digits = || spelt.trim_start_matches(['-', '0', '.']).bytes().filter(u8::is_ascii_digit).count();
    if !data_type.is_floating() && digits() > DIGITS_MAX {
        return None;
    }
    spelt.parse().ok().filter(|number: &f64| number.is_finite())
}

/// Excel's days for a moment, where it has them.
fn serial((days, nanos): (i64, i64), data_type: &DataType) -> Option<f64> {
    let is_time = matches!(data_type, DataType::Time32(_) | DataType::Time64(_));
    let days = if is_time { Some(days).filter(|days| *days == 0) } else { days.checked_add(EPOCH_SERIAL) }?;
    if !is_time && !(FIRST_SERIAL..=LAST_SERIAL).contains(&days) {
        return None;
    }
    let seconds = f64::from(i32::try_from(nanos / 1_000_000_000).ok()?);
    let fraction = f64::from(i32::try_from(nanos % 1_000_000_000).ok()?);
    let serial = f64::from(i32::try_from(days).ok()?) + (seconds * 1e9 + fraction) / DAY_NANOS;
    // A moment right before the end, rounded to a double of this size, may be past it.
    let end = f64::from(i32::try_from(if is_time { 1 } else { LAST_SERIAL + 1 }).ok()?);
    (serial < end).then_some(serial)
}

/// How Excel shows a column's numbers, and how wide the column must be for it.
fn number_format(field: &Field) -> Option<(String, f64)> {
    Some(match field.data_type() {
        DataType::Date32 | DataType::Date64 => ("yyyy-mm-dd".to_owned(), 11.0),
        DataType::Time32(_) | DataType::Time64(_) => ("hh:mm:ss".to_owned(), 9.0),
        DataType::Timestamp(..) => ("yyyy-mm-dd hh:mm:ss".to_owned(), 19.0),
        DataType::Decimal32(_, scale)
        | DataType::Decimal64(_, scale)
        | DataType::Decimal128(_, scale)
        | DataType::Decimal256(_, scale)
            if (1..=15).contains(scale) =>
        {
            (format!("0.{}", "0".repeat(usize::from(scale.unsigned_abs()))), 12.0)
        }
        _ => return None,
    })
}

fn check_length(text: &str, field: &Field, row: u32) -> Result<(), EncodeError> {
    if text.len() > XLSX_CELL_MAX && text.encode_utf16().count() > XLSX_CELL_MAX {
        let column = field.name().chars().take(NAME_CHARS).collect();
        return Err(EncodeError::CellTooLong { column, row: u64::from(row) });
    }
    Ok(())
}

fn position(column: usize) -> Result<u16, EncodeError> {
    u16::try_from(column).map_err(|_| EncodeError::TooManyColumns(column))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_schema::TimeUnit;

    #[test]
    fn moments_that_round_past_the_end_have_no_serial_number() {
        let timestamp = DataType::Timestamp(TimeUnit::Microsecond, None);
        let time = DataType::Time64(TimeUnit::Nanosecond);
        let day_nanos = 86_400_000_000_000;
        let last_day = LAST_SERIAL - EPOCH_SERIAL;
        assert_eq!(serial((0, day_nanos / 2), &timestamp), Some(25_569.5));
        assert!(serial((last_day, day_nanos - 1_000_000_000), &timestamp).is_some());
        assert_eq!(serial((last_day, day_nanos - 1_000), &timestamp), None);
        assert_eq!(serial((last_day + 1, 0), &timestamp), None);
        assert!(serial((0, day_nanos - 1_000_000), &time).is_some_and(|serial| serial < 1.0));
    }
}
