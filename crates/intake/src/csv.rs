//! Delimited text as rows: finds the layout once, then reads the file as often as asked.
//!
//! ```text
//! file ─▶ TextReader ─▶ buffer ─▶ Cutter ─▶ record ─▶ even width, without NUL ─▶ Row
//! ```

use portico_model::finding::{Finding, Severity};
use portico_model::limits::IntakeLimits;

use crate::cell::{Row, Rows, Span, Tally, narrow};
use crate::error::IntakeError;
use crate::text::{Charset, TextReader};
use crate::unpack::Material;

mod dialect;
mod split;

pub(crate) use dialect::{Layout, Sample, preamble};
use split::{Cut, Cutter};

/// What DOS wrote at the end of a text.
const DOS_END: u8 = 0x1A;
/// Bytes of text that the layout is found from.
const PREFIX_BYTES: usize = 1024 * 1024;

/// How a delimited file is read: the same in both passes.
#[derive(Clone, Debug)]
pub(crate) struct CsvPlan {
    pub(crate) layout: Layout,
    pub(crate) charset: Charset,
    /// The column names as the file has them, trimmed; `None` when there is no header.
    pub(crate) header: Option<Vec<String>>,
    pub(crate) width: usize,
    limits: IntakeLimits,
}

/// What a person says of the layout.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told {
    pub(crate) delimiter: Option<u8>,
    pub(crate) header: Option<bool>,
    pub(crate) tabs: bool,
}

impl CsvPlan {
    /// Finds delimiter, line ends, preamble and header.
    pub(crate) fn find(
        material: &Material,
        charset: Charset,
        told: Told,
        limits: &IntakeLimits,
    ) -> Result<Self, IntakeError> {
        let mut text = TextReader::new(material.open()?, charset)?;
        let mut prefix = Vec::new();
        let mut complete = false;
        while prefix.len() < PREFIX_BYTES && !complete {
            complete = !text.fill(&mut prefix)?;
        }
        let first_row = told.header.is_some();
        let layout = dialect::layout(&prefix, complete, told.delimiter, told.tabs, first_row);
        drop(prefix);
        let mut plan = Self { layout, charset, header: None, width: 0, limits: limits.clone() };
        let has_header = told.header != Some(false);
        let mut records = Records::new(material, &plan)?;
        let in_header = |error| match error {
            IntakeError::UnbalancedQuote { .. } => IntakeError::UnbalancedQuote { row: 0 },
            other => other,
        };
        for _ in 0..layout.preamble {
            records.step().map_err(in_header)?;
        }
        if !records.step().map_err(in_header)? {
            return Err(IntakeError::Empty("it holds nothing but blank lines"));
        }
        let first = records.row();
        plan.width = first.spans.len();
        if plan.width > narrow(limits.columns) {
            return Err(IntakeError::over("the table has more columns", "columns", limits.columns));
        }
        if has_header {
            let clean = |bytes: &[u8]| {
                let kept = bytes.iter().copied().filter(|byte| *byte != 0).collect::<Vec<_>>();
                String::from_utf8_lossy(&kept).trim().to_owned()
            };
            plan.header = Some(first.cells().map(|cell| clean(cell.bytes)).collect());
        }
        Ok(plan)
    }

    /// Reads the data rows from the first.
    pub(crate) fn rows(&self, material: &Material) -> Result<CsvRows, IntakeError> {
        let mut records = Records::new(material, self)?;
        for _ in 0..self.layout.preamble + u64::from(self.header.is_some()) {
            records.step()?;
        }
        records.row = 0;
        (records.odd_marks, records.nuls) = (Tally::default(), Tally::default());
        // A header that holds rows has lost them as well, but no data row is to blame.
        records.mixed_ends.rows.clear();
        Ok(CsvRows { records, names: self.header.clone(), width: self.width, seen: Seen::default() })
    }
}

/// Records of any width.
struct Records {
    text: TextReader,
    buffer: Vec<u8>,
    /// Where the last record began, and where the next one does.
    last: usize,
    start: usize,
    ended: bool,
    cutter: Cutter,
    /// Records so far.
    row: u64,
    row_bytes: usize,
    cell_bytes: usize,
    limits: IntakeLimits,
    odd_marks: Tally,
    nuls: Tally,
    /// Records with ends of lines of the other sort in them.
    mixed_ends: Tally,
    /// Whether the end mark of DOS was taken off.
    dos_end: bool,
}

impl Records {
    fn new(material: &Material, plan: &CsvPlan) -> Result<Self, IntakeError> {
        let limits = plan.limits.clone();
        Ok(Self {
            text: TextReader::new(material.open()?, plan.charset)?,
            buffer: Vec::new(),
            last: 0,
            start: 0,
            ended: false,
            cutter: Cutter::new(plan.layout.dialect),
            row: 0,
            row_bytes: narrow(limits.row_bytes),
            cell_bytes: narrow(limits.cell_bytes),
            limits,
            odd_marks: Tally::default(),
            nuls: Tally::default(),
            mixed_ends: Tally::default(),
            dos_end: false,
        })
    }

    /// Cuts the next record; its fields are then in the cutter.
    fn advance(&mut self) -> Result<bool, IntakeError> {
        loop {
            match self.cutter.cut(&self.buffer, self.start, self.ended) {
                Cut::Record(next, odd) => {
                    let from = self.start;
                    self.start = next;
                    self.row += 1;
                    if odd {
                        self.odd_marks.add(self.row);
                    }
                    self.check_size(from, next)?;
                    if self.cutter.has_foreign_ends(&self.buffer, from, next) {
                        self.mixed_ends.add(self.row);
                    }
                    self.last = from;
                    return Ok(true);
                }
                Cut::Blank(next) => self.start = next,
                Cut::End => return Ok(false),
                Cut::More(open) => self.refill(open)?,
                Cut::Crowded => {
                    let maximum = self.limits.columns;
                    return Err(IntakeError::over_at("a row has more fields", "columns", maximum, self.row + 1));
                }
            }
        }
    }

    fn check_size(&self, from: usize, next: usize) -> Result<(), IntakeError> {
        let length = next - from;
        if length > self.row_bytes {
            return Err(IntakeError::over_at("a row has more bytes", "row_bytes", self.limits.row_bytes, self.row));
        }
        let long = |span: &Span| span.end.saturating_sub(span.start) > self.cell_bytes;
        if length > self.cell_bytes && self.cutter.spans.iter().any(long) {
            return Err(IntakeError::over_at("a value has more bytes", "cell_bytes", self.limits.cell_bytes, self.row));
        }
        Ok(())
    }

    fn refill(&mut self, open: bool) -> Result<(), IntakeError> {
        if self.ended {
            return Err(IntakeError::UnbalancedQuote { row: self.row + 1 });
        }
        let pending = self.buffer.len() - self.start;
        if pending > self.row_bytes {
            let hint = if open { ", within quotation marks that may never be closed" } else { "" };
            return Err(IntakeError::OverLimit {
                what: "a row has more bytes",
                limit: "row_bytes",
                maximum: self.limits.row_bytes,
                place: format!(" (data row {}{hint})", self.row + 1),
            });
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        // At least as much again as is pending, so that a long record is not cut anew for every chunk; but no more than
        // shows that the record is too long.
        let wanted = pending.saturating_mul(2).min(self.row_bytes).saturating_add(1);
        while self.buffer.len() < wanted && !self.ended {
            self.ended = !self.text.fill(&mut self.buffer)?;
        }
        while self.ended && self.buffer.last() == Some(&DOS_END) {
            self.buffer.pop();
            self.dos_end = true;
        }
        Ok(())
    }

    /// Goes to the next record; `false` after the last.
    fn step(&mut self) -> Result<bool, IntakeError> {
        if !self.advance()? {
            return Ok(false);
        }
        if self.text.nul_seen() {
            let (nuls, row) = (&mut self.nuls, self.row);
            self.cutter.remove_nuls(&self.buffer, |_| nuls.add(row));
        }
        Ok(true)
    }

    fn row(&self) -> Row<'_> {
        Row { base: &self.buffer, scratch: &self.cutter.scratch, spans: &self.cutter.spans }
    }
}

/// Data rows, none wider than the table.
pub(crate) struct CsvRows {
    records: Records,
    names: Option<Vec<String>>,
    width: usize,
    seen: Seen,
}

#[derive(Default)]
struct Seen {
    short: Tally,
    long: Tally,
    long_empty: Tally,
    blank: Tally,
    swallowed: Tally,
}

impl Rows for CsvRows {
    fn advance(&mut self) -> Result<bool, IntakeError> {
        if !self.records.step()? {
            return Ok(false);
        }
        let records = &self.records;
        let number = records.row;
        if records.cutter.swallows_rows(&records.buffer, records.last, records.start, self.width) {
            self.seen.swallowed.add(number);
        }
        let mut spans = self.records.cutter.spans.as_slice();
        if spans.len() < self.width {
            self.seen.short.add(number);
        } else if spans.len() > self.width {
            let (kept, extra) = spans.split_at(self.width);
            let tally = if extra.iter().all(Span::is_empty) { &mut self.seen.long_empty } else { &mut self.seen.long };
            tally.add(number);
            spans = kept;
        }
        if self.width > 1 && spans.iter().all(Span::is_empty) {
            self.seen.blank.add(number);
        }
        Ok(true)
    }

    fn row(&self) -> Row<'_> {
        let row = self.records.row();
        Row { spans: row.spans.get(..self.width).unwrap_or(row.spans), ..row }
    }

    fn names(&self) -> Vec<String> {
        self.names.clone().unwrap_or_else(|| vec![String::new(); self.width])
    }

    fn position(&self) -> u64 {
        self.records.text.position()
    }

    fn findings(&mut self) -> Vec<Finding> {
        let seen = std::mem::take(&mut self.seen);
        let mut findings = Vec::new();
        let mut tell = |rule: &str, severity, tally: &Tally, message: &str| {
            if !tally.is_empty() {
                findings.push(file_finding(rule, severity, tally, message));
            }
        };
        tell(
            "row_too_long",
            Severity::Blocking,
            &seen.long,
            "rows have more fields than the header, with data in the extra ones; quote the fields that hold the \
             delimiter, or name the extra columns",
        );
        tell(
            "row_too_short",
            Severity::Warning,
            &seen.short,
            "rows have fewer fields than the header; the missing ones are null",
        );
        tell(
            "row_extra_empty_fields",
            Severity::Info,
            &seen.long_empty,
            "rows end in extra empty fields, which are left out",
        );
        tell("row_without_values", Severity::Info, &seen.blank, "rows hold no value at all; they are kept");
        tell(
            "quote_misplaced",
            Severity::Warning,
            &self.records.odd_marks,
            "rows have text after a closing quotation mark; it is taken as part of the field",
        );
        tell(
            "line_ends_mixed",
            Severity::Blocking,
            &self.records.mixed_ends,
            "rows hold ends of lines other than those that end the file's rows, outside of quotation marks: they may be \
             several rows each; save the file with ends of lines of one sort, or quote the fields",
        );
        tell(
            "quote_spans_rows",
            Severity::Warning,
            &seen.swallowed,
            "a quoted field goes over several lines, each of which would be a row of the table: a quotation mark may be \
             missing, and the rows with it",
        );
        let dos_end = Tally { count: u64::from(self.records.dos_end), rows: Vec::new() };
        tell("dos_end_removed", Severity::Info, &dos_end, "the text ends in the end mark of DOS, which is taken off");
        tell(
            "nul_bytes_removed",
            Severity::Warning,
            &self.records.nuls,
            "fields hold NUL bytes, which are taken out; a field of nothing else is null",
        );
        let malformed = self.records.text.malformed();
        findings.extend(encoding_finding(self.records.text.charset(), malformed));
        findings
    }
}

/// A finding on the file with a tally.
pub(crate) fn file_finding(rule: &str, severity: Severity, tally: &Tally, message: &str) -> Finding {
    let mut finding = Finding::on_file(rule, severity, message);
    finding.count = tally.count;
    finding.rows.clone_from(&tally.rows);
    finding
}

/// What there is to say of a text's encoding.
pub(crate) fn encoding_finding(charset: Charset, malformed: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    let name = charset.name();
    match charset {
        Charset::Utf8 | Charset::Utf16Le | Charset::Utf16Be => {}
        Charset::Utf8WithStrayBytes => {
            let message = "the text is UTF-8 with a few bytes that are not; they are read as Windows-1252";
            let mut finding = Finding::on_file("encoding_mixed", Severity::Warning, message);
            finding.count = malformed;
            findings.push(finding);
        }
        Charset::Legacy(_) => {
            let message = format!("the text is not UTF-8; it is read as {name}: check the accented letters");
            findings.push(Finding::on_file("encoding_detected", Severity::Warning, message));
        }
    }
    if malformed > 0 && charset != Charset::Utf8WithStrayBytes {
        let message = format!("the text holds bytes that {name} does not have; they are shown as \u{fffd}");
        findings.push(Finding::on_file("encoding_broken", Severity::Warning, message));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::ReadOptions;

    type Read = (CsvPlan, Vec<Vec<String>>, Vec<Finding>);

    fn plan_and_rows(text: &[u8], limits: &IntakeLimits) -> Result<Read, IntakeError> {
        let scratch = tempfile::tempdir()?;
        let file = scratch.path().join("t.csv");
        std::fs::write(&file, text)?;
        let options = ReadOptions::named("t.csv");
        let material = crate::unpack::material(&file, &options, limits, scratch.path(), &mut |_| ())?;
        let told = Told { delimiter: None, header: None, tabs: false };
        let plan = CsvPlan::find(&material, Charset::Utf8, told, limits)?;
        let mut rows = plan.rows(&material)?;
        let mut all = Vec::new();
        while let Some(row) = rows.next_row()? {
            all.push(row.cells().map(|cell| String::from_utf8(cell.bytes.to_vec()).unwrap()).collect());
        }
        let findings = rows.findings();
        Ok((plan, all, findings))
    }

    #[test]
    fn ragged_rows_become_findings() {
        let text = b"a,b,c\n1,2,3\n1,2\n1,2,3,\n1,2,3,4\n,,\n";
        let (plan, rows, findings) = plan_and_rows(text, &IntakeLimits::default()).unwrap();
        assert_eq!(plan.header.unwrap(), ["a", "b", "c"]);
        assert_eq!(rows.len(), 5);
        assert!(rows.iter().all(|row| row.len() <= 3));
        let told = findings.iter().map(|f| (f.rule.as_str(), f.rows.clone())).collect::<Vec<_>>();
        assert_eq!(
            told,
            [
                ("row_too_long", vec![4]),
                ("row_too_short", vec![2]),
                ("row_extra_empty_fields", vec![3]),
                ("row_without_values", vec![5]),
            ]
        );
        assert!(findings.first().unwrap().blocks());
    }

    #[test]
    fn what_looks_like_lost_rows_and_is_none_is_not_told() {
        let check = |text: &str, rows: usize| {
            let (_, read, findings) = plan_and_rows(text.as_bytes(), &IntakeLimits::default()).unwrap();
            assert_eq!(read.len(), rows, "{text:?}");
            assert!(findings.is_empty(), "{text:?}: {findings:?}");
        };
        check("a,b\n1,2\r\n3,4\n5,6\r\r\n", 3);
        check("a,b\n1,\"x\ry\"\n2,\"x\"\"\r\"\n", 2);
        check("a,b\r1,\"x\ny\"\r2,3\r", 2);
        check("a,b\n1,\"Dear Sir,\nno, thanks\nI, too\n\nYours, J\"\n", 1);
        check("a\n\"x\ny\nz\nw\nv\"\n", 1);
    }

    #[test]
    fn nuls_and_header_blanks_are_cleaned() {
        let text = b" a ,\0b\n\0,x\0y\n";
        let (plan, rows, findings) = plan_and_rows(text, &IntakeLimits::default()).unwrap();
        assert_eq!(plan.header.unwrap(), ["a", "b"]);
        assert_eq!(rows, [["", "xy"]]);
        assert!(findings.iter().any(|f| f.rule == "nul_bytes_removed" && f.count == 2 && f.rows == [1]));
    }

    #[test]
    fn records_longer_than_a_chunk_are_read_and_limits_hold() {
        let long = "x".repeat(700_000);
        let text = format!("a,b\n1,\"{long}\"\n2,y\n");
        let (_, rows, _) = plan_and_rows(text.as_bytes(), &IntakeLimits::default()).unwrap();
        assert_eq!(rows.len(), 2);
        assert_eq!(rows.first().unwrap().get(1).unwrap().len(), long.len());
        let check = |limits: IntakeLimits, expect: &str| {
            let error = plan_and_rows(text.as_bytes(), &limits).unwrap_err().to_string();
            assert!(error.contains(expect), "{error}");
        };
        check(IntakeLimits { cell_bytes: 1000, ..IntakeLimits::default() }, "cell_bytes = 1000");
        check(IntakeLimits { row_bytes: 1000, ..IntakeLimits::default() }, "row_bytes = 1000");
        check(IntakeLimits { columns: 1, ..IntakeLimits::default() }, "columns = 1");
    }

    #[test]
    fn an_open_mark_names_its_row() {
        let error = plan_and_rows(b"a,b\n1,2\n3,\"x\n4,5\n", &IntakeLimits::default()).unwrap_err();
        assert!(matches!(error, IntakeError::UnbalancedQuote { row: 2 }), "{error}");
    }
}
