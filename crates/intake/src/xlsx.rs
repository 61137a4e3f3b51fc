//! Workbooks: one sheet, spooled to disk as rows, so that both passes read it in bounded memory.

use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use calamine::{DataRef, ExcelDateTime, Reader, SheetType, SheetVisible, Xlsx, XlsxError};
use portico_model::finding::{Finding, Severity};
use portico_model::limits::IntakeLimits;

use crate::cell::{Cell, Kind, Tally, narrow, wide};
use crate::csv::{Sample, file_finding, preamble};
use crate::error::IntakeError;
use crate::options::ReadOptions;
use crate::spool::{Spool, SpoolWriter};
use crate::unpack::Material;

mod parts;

use parts::{Hidden, Parts};

/// Rows that the header is looked for in.
const SAMPLES_MAX: usize = 2_000;

/// A sheet as rows.
#[derive(Clone, Debug)]
pub(crate) struct Sheet {
    pub(crate) spool: Spool,
    /// Its name in the workbook.
    pub(crate) name: String,
    pub(crate) width: usize,
    /// Rows before the header.
    pub(crate) preamble: u64,
    /// The number in the workbook of the row after the header.
    first_data: u64,
    /// Columns that the sheet hides.
    pub(crate) hidden_columns: Vec<usize>,
    pub(crate) findings: Vec<Finding>,
}

/// Reads the sheet that was asked for, or the first visible one that is not empty.
pub(crate) fn sheet(
    material: &Material,
    options: &ReadOptions,
    limits: &IntakeLimits,
    scratch: &Path,
) -> Result<Sheet, IntakeError> {
    // Readers index into what the file promises; a hostile file may make them panic.
    let guarded = || {
        let parts = parts::inspect(material.open()?, material.bytes, limits)?;
        read(material.open()?, &parts, options, limits, scratch)
    };
    catch_unwind(AssertUnwindSafe(guarded)).unwrap_or_else(|_| Err(damaged("its reader gave up on it")))
}

/// Why the cells of a sheet cannot be read to their end.
fn unreadable(error: &XlsxError) -> IntakeError {
    match error {
        XlsxError::CellError(_) => {
            let reason = "a cell holds an error that is none of #N/A, #VALUE!, #REF!, #DIV/0!, #NUM!, #NAME? and #NULL!, such \
                          as #SPILL! or #CALC!: put a value in its place, or empty it";
            IntakeError::NotATable(reason.to_owned())
        }
        _ => damaged("the sheet ends before it is complete, or a cell of it cannot be read"),
    }
}

fn damaged(reason: &str) -> IntakeError {
    IntakeError::corrupt("XLSX", reason)
}

fn read(
    file: File,
    parts: &Parts,
    options: &ReadOptions,
    limits: &IntakeLimits,
    scratch: &Path,
) -> Result<Sheet, IntakeError> {
    let mut workbook = Xlsx::new(BufReader::new(file)).map_err(|error| match error {
        XlsxError::Password => IntakeError::Encrypted("the workbook"),
        _ => damaged("its parts contradict each other"),
    })?;
    let candidates = candidates(&workbook, options)?;
    let mut found = None;
    for name in &candidates.names {
        let mut cells = workbook.worksheet_cells_reader(name).map_err(|_| damaged("the sheet cannot be read"))?;
        let mut writing = Writing::new(scratch, limits)?;
        while let Some(cell) = cells.next_cell().map_err(|error| unreadable(&error))? {
            writing.add(cell.get_position(), cell.get_value())?;
        }
        if writing.row.is_some() {
            found = Some(writing.finish(name.clone(), options)?);
            break;
        }
    }
    let sheet = found.ok_or(IntakeError::Empty("the sheet has no cells with content"))?;
    let mut findings = candidates.findings(&sheet.name);
    findings.extend(unseen(parts, candidates.hidden, options.sheet.is_some()));
    let hidden = parts.hidden(&sheet.name).ok_or_else(|| damaged("the sheet is not where sheets are"))?;
    findings.extend(hidden_rows(&hidden));
    findings.extend(formulas_without_value(&hidden));
    findings.extend(merged_cells(&hidden, sheet.first_data));
    findings.extend(sheet.findings);
    let hidden_columns = (0..sheet.width).filter(|column| hidden.holds(*column)).collect();
    Ok(Sheet { findings, hidden_columns, ..sheet })
}

/// The sheets that may be read: the first of them that is not empty is.
struct Candidates {
    names: Vec<String>,
    hidden: usize,
    visible: usize,
}

fn candidates(workbook: &Xlsx<BufReader<File>>, options: &ReadOptions) -> Result<Candidates, IntakeError> {
    let sheets =
        workbook.sheets_metadata().iter().filter(|sheet| sheet.typ == SheetType::WorkSheet).collect::<Vec<_>>();
    let visible = sheets.iter().filter(|sheet| sheet.visible == SheetVisible::Visible).collect::<Vec<_>>();
    let names = match &options.sheet {
        Some(name) if sheets.iter().any(|sheet| sheet.name == *name) => vec![name.clone()],
        Some(_) => {
            let reason = "the workbook has no sheet of that name".to_owned();
            return Err(IntakeError::Option { option: "sheet", reason });
        }
        None if visible.is_empty() => return Err(IntakeError::Empty("the workbook has no visible sheet")),
        None => visible.iter().map(|sheet| sheet.name.clone()).collect(),
    };
    Ok(Candidates { names, hidden: sheets.len() - visible.len(), visible: visible.len() })
}

impl Candidates {
    fn findings(&self, chosen: &str) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut tell = |rule: &str, count: usize, message: &str| {
            if count > 0 {
                let mut finding = Finding::on_file(rule, Severity::Warning, message);
                finding.count = wide(count);
                findings.push(finding);
            }
        };
        let passed = self.names.iter().take_while(|name| *name != chosen).count();
        let others = self.visible.saturating_sub(1 + passed);
        let message = "the workbook has further sheets; only one is read: bring the others by themselves";
        tell("sheets_not_read", others, message);
        findings
    }
}

/// What a workbook holds outside of the sheet that is read. None of it is released, but whoever sends such a workbook may
/// not know what is in it: that stops the release until they name the sheet that they mean, or send it alone.
fn unseen(parts: &Parts, hidden_sheets: usize, sheet_named: bool) -> Vec<Finding> {
    let severity = if sheet_named { Severity::Warning } else { Severity::Blocking };
    let all = [
        ("hidden_sheets", wide(hidden_sheets), "hidden sheets"),
        ("workbook_comments", parts.comments, "comments"),
        ("pivot_caches", parts.pivot_caches, "pivot tables with a copy of their data"),
        ("external_links", parts.external_links, "links to other workbooks, with copies of their values"),
        ("defined_names", parts.defined_names, "names for cells or formulas"),
    ];
    let found = all.into_iter().filter(|(_, count, _)| *count > 0);
    found
        .map(|(rule, count, what)| {
            let message = format!(
                "the workbook has {what}. They are not read and stay out of the release; look at them, then name the sheet \
                 that is meant (--sheet), or save it in a workbook of its own"
            );
            let mut finding = Finding::on_file(rule, severity, message);
            finding.count = count;
            finding
        })
        .collect()
}

/// Hidden rows would be released.
fn hidden_rows(hidden: &Hidden) -> Option<Finding> {
    let rows = hidden.rows.rows.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let message = format!(
        "rows of the sheet are hidden or filtered out, but would be released; show or delete them. The first, by the \
         sheet's own numbers: {rows}"
    );
    let mut finding = Finding::on_file("hidden_rows", Severity::Blocking, message);
    finding.count = hidden.rows.count;
    (!hidden.rows.is_empty()).then_some(finding)
}

/// A program wrote the formulas and nobody has calculated them: their values would be missing from the release.
fn formulas_without_value(hidden: &Hidden) -> Option<Finding> {
    let rows = hidden.unknown.rows.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    let message = format!(
        "cells hold a formula without its result, and would be null; open the workbook in a spreadsheet program and save it, \
         or put values in their place. The first rows, by the sheet's own numbers: {rows}"
    );
    let mut finding = Finding::on_file("formula_without_value", Severity::Blocking, message);
    finding.count = hidden.unknown.count;
    (!hidden.unknown.is_empty()).then_some(finding)
}

/// A merged cell has one value, and a person sees it over all of its rows and columns. Titles are merged as a rule, and
/// say nothing of the rows.
fn merged_cells(hidden: &Hidden, first_data: u64) -> Option<Finding> {
    let merged = hidden.merged.iter().filter(|last| **last >= first_data).count();
    let message = "cells of the table are merged: the first holds the value, and the others are null; unmerge them and \
                   fill in the values";
    let mut finding = Finding::on_file("merged_cells", Severity::Warning, message);
    finding.count = wide(merged);
    (merged > 0).then_some(finding)
}

/// The sheet on its way to disk.
struct Writing<'a> {
    spool: SpoolWriter,
    limits: &'a IntakeLimits,
    /// The row being written, from 0, and the cells of it that are not blank.
    row: Option<u32>,
    filled: usize,
    rows: u64,
    blank_rows: u64,
    width: usize,
    samples: Vec<Sample>,
    /// The numbers in the workbook, from 1, of the same rows.
    numbers: Vec<u64>,
    errors: Tally,
    text: String,
}

impl<'a> Writing<'a> {
    fn new(scratch: &Path, limits: &'a IntakeLimits) -> Result<Self, IntakeError> {
        Ok(Self {
            spool: SpoolWriter::new(scratch)?,
            limits,
            row: None,
            filled: 0,
            rows: 0,
            blank_rows: 0,
            width: 0,
            samples: Vec::new(),
            numbers: Vec::new(),
            errors: Tally::default(),
            text: String::new(),
        })
    }

    fn add(&mut self, (row, column): (u32, u32), value: &DataRef<'_>) -> Result<(), IntakeError> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        let kind = spell(value, &mut text);
        let result = match kind {
            None => Ok(()),
            Some(kind) => self.place(row, column).and_then(|()| {
                self.filled += 1;
                if matches!(value, DataRef::Error(_)) {
                    self.errors.add(self.rows + 1);
                    text.clear();
                }
                if wide(text.len()) > self.limits.cell_bytes {
                    let maximum = self.limits.cell_bytes;
                    return Err(IntakeError::over_at("a value has more bytes", "cell_bytes", maximum, self.rows + 1));
                }
                self.spool.cell(Cell { bytes: text.as_bytes(), kind })
            }),
        };
        self.text = text;
        result
    }

    /// Goes to a cell: ends the row before it, and fills the gap before the column.
    fn place(&mut self, row: u32, column: u32) -> Result<(), IntakeError> {
        let column = narrow(u64::from(column));
        if column >= narrow(self.limits.columns) {
            return Err(IntakeError::over("the sheet has more columns", "columns", self.limits.columns));
        }
        match self.row {
            Some(current) if row < current => return Err(damaged("its rows are out of order")),
            Some(current) if row > current => {
                self.end_row()?;
                self.blank_rows += u64::from(row - current - 1);
            }
            _ => {}
        }
        self.row = Some(row);
        if self.spool.cells() > column {
            return Err(damaged("its cells are out of order"));
        }
        while self.spool.cells() < column {
            self.spool.cell(Cell { bytes: &[], kind: Kind::Bare })?;
        }
        if self.spool.row_bytes() > self.limits.row_bytes {
            let maximum = self.limits.row_bytes;
            return Err(IntakeError::over_at("a row has more bytes", "row_bytes", maximum, self.rows + 1));
        }
        Ok(())
    }

    fn end_row(&mut self) -> Result<(), IntakeError> {
        let fields = self.spool.cells();
        self.width = self.width.max(fields);
        if self.samples.len() < SAMPLES_MAX {
            self.numbers.extend(self.row.map(|row| u64::from(row) + 1));
            self.samples.push(Sample { fields, filled: self.filled, comment: false });
        }
        self.filled = 0;
        self.rows += 1;
        self.spool.end_row()
    }

    fn finish(mut self, name: String, options: &ReadOptions) -> Result<Sheet, IntakeError> {
        self.end_row()?;
        let preamble = if options.header.is_some() { 0 } else { wide(preamble(&self.samples)) };
        let before_data = preamble + u64::from(options.header != Some(false));
        let first_data = self.numbers.get(narrow(before_data)).copied().unwrap_or(u64::MAX);
        // Rows are counted from the first data row.
        self.errors.rows = self.errors.rows.iter().filter_map(|row| row.checked_sub(before_data)).collect();
        self.errors.rows.retain(|row| *row > 0);
        let mut findings = Vec::new();
        if !self.errors.is_empty() {
            let message = "cells hold an error such as #N/A instead of a value; they are null";
            findings.push(file_finding("cell_error", Severity::Warning, &self.errors, message));
        }
        if self.blank_rows > 0 {
            let message = "the sheet has blank rows between others; they are left out";
            let tally = Tally { count: self.blank_rows, rows: Vec::new() };
            findings.push(file_finding("blank_rows_skipped", Severity::Info, &tally, message));
        }
        Ok(Sheet {
            spool: self.spool.finish()?,
            name,
            width: self.width,
            preamble,
            first_data,
            hidden_columns: Vec::new(),
            findings,
        })
    }
}

/// Writes a value as text; `None` for an empty cell.
fn spell(value: &DataRef<'_>, out: &mut String) -> Option<Kind> {
    let kind = match value {
        DataRef::Empty => return None,
        DataRef::String(text) => push_text(text, out),
        DataRef::SharedString(text) => push_text(text, out),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => push_text(text, out),
        DataRef::Int(number) => {
            out.push_str(&number.to_string());
            Kind::Number
        }
        DataRef::Float(number) => {
            push_number(*number, out);
            Kind::Number
        }
        DataRef::Bool(value) => {
            out.push_str(if *value { "true" } else { "false" });
            Kind::Boolean
        }
        DataRef::DateTime(moment) => push_moment(moment, out),
        DataRef::Error(_) => {
            out.push('#');
            Kind::Bare
        }
    };
    (!out.is_empty()).then_some(kind)
}

fn push_text(text: &str, out: &mut String) -> Kind {
    out.extend(text.chars().filter(|character| *character != '\0'));
    Kind::Text
}

fn push_number(number: f64, out: &mut String) {
    let size = number.abs();
    let text = if size != 0.0 && !(1e-9..1e21).contains(&size) {
        format!("{number:e}")
    } else if number == 0.0 {
        "0".to_owned()
    } else {
        number.to_string()
    };
    out.push_str(&text);
}

/// Milliseconds of a day.
const DAY_MS: i64 = 86_400_000;

/// Serial numbers below one are times of day, durations may be longer than one; all others are moments. Excel shows
/// milliseconds: a serial number is rounded to them before it is taken apart, since 23:59:59.9996 is the next day.
fn push_moment(moment: &ExcelDateTime, out: &mut String) -> Kind {
    let serial = moment.as_f64();
    if !(-1e7..1e7).contains(&serial) {
        push_number(serial, out);
        return Kind::Number;
    }
    if moment.is_duration() || (0.0..1.0).contains(&serial) {
        let mut time_ms = milliseconds(serial.abs());
        if !moment.is_duration() {
            // A time of day has no next day to go to.
            time_ms = time_ms.min(DAY_MS - 1);
        }
        out.push_str(if serial < 0.0 { "-" } else { "" });
        push_time(time_ms, out);
        return Kind::Text;
    }
    let mut time_ms = milliseconds(serial - serial.floor());
    let (year, month, day, ..) = moment.to_ymd_hms_milli();
    let date = chrono::NaiveDate::from_ymd_opt(i32::from(year), u32::from(month), u32::from(day));
    let mut shown = format!("{year:04}-{month:02}-{day:02}");
    if time_ms >= DAY_MS {
        let next = date.and_then(|date| date.succ_opt()).filter(|date| chrono::Datelike::year(date) <= YEAR_MAX);
        // After the last day that Excel has there is none either.
        time_ms = if next.is_some() { 0 } else { DAY_MS - 1 };
        shown = next.map_or(shown, |date| date.to_string());
    }
    out.push_str(&shown);
    out.push(' ');
    push_time(time_ms, out);
    Kind::Moment
}

/// The last year of Excel.
const YEAR_MAX: i32 = 9999;

#[allow(clippy::as_conversions, clippy::cast_possible_truncation, reason = "serial numbers are below 1e7")]
fn milliseconds(days: f64) -> i64 {
    (days * 86_400_000.0).round() as i64
}

fn push_time(time_ms: i64, out: &mut String) {
    let (seconds, fraction) = (time_ms / 1_000, time_ms % 1_000);
    out.push_str(&format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60));
    if fraction > 0 {
        out.push_str(&format!(".{fraction:03}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use calamine::ExcelDateTimeType;

    #[test]
    fn serial_numbers_become_moments_and_times() {
        let check = |serial: f64, kind: ExcelDateTimeType, expect: &str| {
            let mut out = String::new();
            push_moment(&ExcelDateTime::new(serial, kind, false), &mut out);
            assert_eq!(out, expect, "{serial}");
        };
        check(45_943.5, ExcelDateTimeType::DateTime, "2025-10-13 12:00:00");
        check(41_641.0, ExcelDateTimeType::DateTime, "2014-01-02 00:00:00");
        check(0.25, ExcelDateTimeType::DateTime, "06:00:00");
        check(1.5, ExcelDateTimeType::TimeDelta, "36:00:00");
        check(45_943.000_011_574_07, ExcelDateTimeType::DateTime, "2025-10-13 00:00:01");
        check(25_568.999_999_999_99, ExcelDateTimeType::DateTime, "1970-01-01 00:00:00");
        check(45_657.999_999_999_99, ExcelDateTimeType::DateTime, "2025-01-01 00:00:00");
        check(2_958_465.999_999_999, ExcelDateTimeType::DateTime, "9999-12-31 23:59:59.999");
        check(0.999_999_999_99, ExcelDateTimeType::DateTime, "23:59:59.999");
        check(0.999_999_999_99, ExcelDateTimeType::TimeDelta, "24:00:00");
        check(0.041_666_666_6, ExcelDateTimeType::DateTime, "01:00:00");
    }

    #[test]
    fn numbers_are_spelt_plainly() {
        let check = |number: f64, expect: &str| {
            let mut out = String::new();
            push_number(number, &mut out);
            assert_eq!(out, expect);
        };
        check(3.0, "3");
        check(-0.0, "0");
        check(0.1, "0.1");
        check(41_800_000.01, "41800000.01");
        check(1e300, "1e300");
    }
}
