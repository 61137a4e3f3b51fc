//! Cuts delimited text into records and fields, on bytes, without copying.
//!
//! RFC 4180 with the leniencies that real files need: a quotation mark opens a field only at its start; text after
//! the closing mark belongs to the field; blank lines are no records. A generic CSV parser would not say that a
//! quoted field ran to the end of the file, and that is how a single stray mark swallows half a table.

use memchr::memchr;

use crate::cell::{Kind, Span};

/// How records and fields are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dialect {
    /// `None`: every line is one field.
    pub(crate) delimiter: Option<u8>,
    /// Whether lines end in CR alone. Otherwise LF ends a line and a CR before it belongs to the end.
    pub(crate) cr_only: bool,
}

impl Dialect {
    fn terminator(self) -> u8 {
        if self.cr_only { b'\r' } else { b'\n' }
    }

    /// What ends a line elsewhere, and is a character like others here.
    fn foreign(self) -> u8 {
        if self.cr_only { b'\n' } else { b'\r' }
    }
}

/// What [`Cutter::cut`] met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// A record; the next one starts here. `true` if text followed a closing quotation mark.
    Record(usize, bool),
    /// A blank line; the next record starts here.
    Blank(usize),
    /// The text ended, and there is no further record.
    End,
    /// More text is needed. `true` within quotation marks.
    More(bool),
    /// The record has more than [`FIELDS_MAX`] fields.
    Crowded,
}

/// Fields of one record: far more than any table has columns, and few enough to note where each of them is.
const FIELDS_MAX: usize = 1_000_000;

const QUOTE: u8 = b'"';

/// Lines in a quoted value that look like rows, before anything is said: a text may have two such lines.
const SWALLOWED_MIN: usize = 3;

/// Cuts one record after the other out of a buffer.
pub(crate) struct Cutter {
    dialect: Dialect,
    /// Which bytes end an unquoted field.
    stops: [bool; 256],
    pub(crate) spans: Vec<Span>,
    /// Fields that are not in the buffer as they are: with doubled marks, or with bytes taken out.
    pub(crate) scratch: Vec<u8>,
    /// Whether the end of a line of the other sort follows a closing quotation mark in the record.
    foreign_after_mark: bool,
}

impl Cutter {
    pub(crate) fn new(dialect: Dialect) -> Self {
        let mut stops = [false; 256];
        for byte in dialect.delimiter.into_iter().chain([dialect.terminator()]) {
            if let Some(stop) = stops.get_mut(usize::from(byte)) {
                *stop = true;
            }
        }
        Self { dialect, stops, spans: Vec::new(), scratch: Vec::new(), foreign_after_mark: false }
    }

    /// Cuts the record that starts at `start`; its fields are then in `spans`. With `ended`, the buffer's end is the
    /// end of the text.
    pub(crate) fn cut(&mut self, buffer: &[u8], start: usize, ended: bool) -> Cut {
        self.spans.clear();
        self.scratch.clear();
        self.foreign_after_mark = false;
        let mut at = start;
        let mut odd = false;
        if start >= buffer.len() {
            return if ended { Cut::End } else { Cut::More(false) };
        }
        loop {
            let quoted = buffer.get(at) == Some(&QUOTE);
            let field = if quoted { self.quoted(buffer, at, ended) } else { self.bare(buffer, at, ended) };
            let stop = match field {
                Field::Open => return Cut::More(true),
                Field::More => return Cut::More(false),
                Field::Done { stop, trailing } => {
                    odd |= trailing;
                    stop
                }
            };
            if self.spans.len() > FIELDS_MAX {
                return Cut::Crowded;
            }
            match buffer.get(stop) {
                Some(byte) if Some(*byte) == self.dialect.delimiter => at = stop + 1,
                _ => {
                    let blank = !quoted && self.spans.len() == 1 && self.spans.iter().all(Span::is_empty);
                    let next = (stop + 1).min(buffer.len());
                    return if blank { Cut::Blank(next) } else { Cut::Record(next, odd) };
                }
            }
        }
    }

    fn bare(&mut self, buffer: &[u8], start: usize, ended: bool) -> Field {
        let rest = buffer.get(start..).unwrap_or_default();
        let length = rest.iter().position(|byte| self.stops.get(usize::from(*byte)).copied().unwrap_or(true));
        let stop = match length {
            Some(length) => start + length,
            None if ended => buffer.len(),
            None => return Field::More,
        };
        let end = self.line_end(buffer, start, stop);
        self.spans.push(Span { start, end, scratch: false, kind: Kind::Bare });
        Field::Done { stop, trailing: false }
    }

    fn quoted(&mut self, buffer: &[u8], open: usize, ended: bool) -> Field {
        let start = open + 1;
        let mut from = start;
        let mut doubled = false;
        let close = loop {
            let Some(found) = memchr(QUOTE, buffer.get(from..).unwrap_or_default()) else { return Field::Open };
            let mark = from + found;
            match buffer.get(mark + 1) {
                Some(&QUOTE) => {
                    doubled = true;
                    from = mark + 2;
                }
                None if !ended => return Field::More,
                _ => break mark,
            }
        };
        let after = close + 1;
        let rest = buffer.get(after..).unwrap_or_default();
        let length = rest.iter().position(|byte| self.stops.get(usize::from(*byte)).copied().unwrap_or(true));
        let stop = match length {
            Some(length) => after + length,
            None if ended => buffer.len(),
            None => return Field::More,
        };
        let tail_end = self.line_end(buffer, after, stop);
        let trailing = tail_end > after;
        if doubled || trailing {
            let begin = self.scratch.len();
            let tail = buffer.get(after..tail_end).unwrap_or_default();
            self.foreign_after_mark |= tail.contains(&self.dialect.foreign());
            undouble(buffer.get(start..close).unwrap_or_default(), &mut self.scratch);
            self.scratch.extend_from_slice(tail);
            self.spans.push(Span { start: begin, end: self.scratch.len(), scratch: true, kind: Kind::Bare });
        } else {
            self.spans.push(Span { start, end: close, scratch: false, kind: Kind::Bare });
        }
        Field::Done { stop, trailing }
    }

    /// The end of a field that stops at `stop`: without the CR of a CRLF.
    fn line_end(&self, buffer: &[u8], start: usize, stop: usize) -> usize {
        let ends_line = buffer.get(stop).is_none_or(|byte| *byte == self.dialect.terminator());
        let carriage = !self.dialect.cr_only && stop > start && buffer.get(stop - 1) == Some(&b'\r');
        if ends_line && carriage { stop - 1 } else { stop }
    }

    /// Whether ends of lines of the other sort stand outside of quotation marks in the record that was cut, from `start`
    /// to `next`: what follows each of them may be a row of its own. Several in a row at the end are none.
    pub(crate) fn has_foreign_ends(&self, buffer: &[u8], start: usize, next: usize) -> bool {
        let record = buffer.get(start..next).unwrap_or_default();
        let end = record.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |last| last + 1);
        let foreign = self.dialect.foreign();
        if memchr(foreign, record.get(..end).unwrap_or_default()).is_none() {
            return false;
        }
        let bare = |span: &Span| !span.scratch && !is_quoted(buffer, span);
        let within = |span: &Span| buffer.get(span.start..span.end.min(start + end)).unwrap_or_default();
        self.foreign_after_mark
            || self.spans.iter().filter(|span| bare(span)).any(|span| within(span).contains(&foreign))
    }

    /// Whether a quoted value holds several lines that would all be rows of so many fields: its closing mark is one of
    /// another field.
    pub(crate) fn swallows_rows(&self, buffer: &[u8], start: usize, next: usize, width: usize) -> bool {
        let Some(delimiter) = self.dialect.delimiter else { return false };
        let end = self.dialect.terminator();
        let record = buffer.get(start..next.saturating_sub(1)).unwrap_or_default();
        if width < 2 || memchr(end, record).is_none() {
            return false;
        }
        self.spans.iter().filter(|span| span.scratch || is_quoted(buffer, span)).any(|span| {
            let source = if span.scratch { self.scratch.as_slice() } else { buffer };
            let lines = source.get(span.start..span.end).unwrap_or_default().split(|byte| *byte == end);
            let lines = lines.collect::<Vec<_>>();
            // The first and the last belong to the value either way.
            let inner = lines.get(1..lines.len().saturating_sub(1)).unwrap_or_default();
            let fields = |line: &&[u8]| line.iter().filter(|byte| **byte == delimiter).count() + 1;
            inner.len() >= SWALLOWED_MIN && inner.iter().all(|line| fields(line) == width)
        })
    }

    /// Takes the NUL bytes out of every field; says how many fields had some.
    pub(crate) fn remove_nuls(&mut self, buffer: &[u8], mut found: impl FnMut(usize)) {
        for (index, span) in self.spans.iter_mut().enumerate() {
            let source = if span.scratch { self.scratch.as_slice() } else { buffer };
            let bytes = source.get(span.start..span.end).unwrap_or_default();
            if memchr(0, bytes).is_none() {
                continue;
            }
            found(index);
            let kept = bytes.iter().copied().filter(|byte| *byte != 0).collect::<Vec<_>>();
            let start = self.scratch.len();
            self.scratch.extend_from_slice(&kept);
            *span = Span { start, end: self.scratch.len(), scratch: true, kind: span.kind };
        }
    }
}

enum Field {
    /// A field that ends before the byte at `stop`.
    Done { stop: usize, trailing: bool },
    /// Within quotation marks when the buffer ended.
    Open,
    /// Outside when the buffer ended.
    More,
}

/// Whether a field that is in the buffer as it is stands within marks.
fn is_quoted(buffer: &[u8], span: &Span) -> bool {
    span.start.checked_sub(1).and_then(|before| buffer.get(before)) == Some(&QUOTE)
}

fn undouble(bytes: &[u8], out: &mut Vec<u8>) {
    let mut rest = bytes;
    while let Some(found) = memchr(QUOTE, rest) {
        let (head, tail) = rest.split_at(found + 1);
        out.extend_from_slice(head);
        rest = tail.strip_prefix(b"\"").unwrap_or(tail);
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::Row;

    fn cut_all(text: &str, delimiter: u8, cr_only: bool) -> (Vec<Vec<String>>, Cut) {
        let mut cutter = Cutter::new(Dialect { delimiter: Some(delimiter), cr_only });
        let mut records = Vec::new();
        let mut at = 0;
        loop {
            match cutter.cut(text.as_bytes(), at, true) {
                Cut::Record(next, _) => {
                    let row = Row { base: text.as_bytes(), scratch: &cutter.scratch, spans: &cutter.spans };
                    let cells = row.cells().map(|cell| String::from_utf8(cell.bytes.to_vec()).unwrap());
                    records.push(cells.collect());
                    at = next;
                }
                Cut::Blank(next) => at = next,
                other => return (records, other),
            }
        }
    }

    #[test]
    fn records_are_cut_as_rfc_4180_says_and_a_little_beyond() {
        let check = |text: &str, expect: &[&[&str]]| {
            let (records, end) = cut_all(text, b',', false);
            assert_eq!(records, expect, "{text:?}");
            assert_eq!(end, Cut::End, "{text:?}");
        };
        check("a,b\n1,2\n", &[&["a", "b"], &["1", "2"]]);
        check("a,b\r\n1,2\r\n", &[&["a", "b"], &["1", "2"]]);
        check("a,b\r\n1,2", &[&["a", "b"], &["1", "2"]]);
        check("a,b\n\n\r\n1,2\n", &[&["a", "b"], &["1", "2"]]);
        check("\"a\nx\",\"b\"\"c\"\n", &[&["a\nx", "b\"c"]]);
        check("\"a\"x,5\" pipe\n", &[&["ax", "5\" pipe"]]);
        check("a,\n,b\n,\n", &[&["a", ""], &["", "b"], &["", ""]]);
        check("\"\"\n\"\"\"\"\n", &[&[""], &["\""]]);
        check("a\rb,c\n", &[&["a\rb", "c"]]);
        check("\"a\"\r\n\"b\"\r\n", &[&["a"], &["b"]]);
        check("a, \"b\"\n", &[&["a", " \"b\""]]);
    }

    #[test]
    fn carriage_returns_alone_end_lines_where_the_dialect_says_so() {
        let (records, _) = cut_all("a,b\r1,\"x\ry\"\r", b',', true);
        assert_eq!(records, [vec!["a", "b"], vec!["1", "x\ry"]]);
    }

    #[test]
    fn a_mark_that_is_never_closed_is_told() {
        assert_eq!(cut_all("a,b\n1,\"x\n2,y\n", b',', false).1, Cut::More(true));
    }

    #[test]
    fn a_record_cut_by_the_buffer_asks_for_more() {
        let mut cutter = Cutter::new(Dialect { delimiter: Some(b','), cr_only: false });
        for part in ["a", "a,b", "\"a\"", "\"a\",b\r"] {
            assert_eq!(cutter.cut(part.as_bytes(), 0, false), Cut::More(false), "{part}");
        }
        assert_eq!(cutter.cut(b"\"a", 0, false), Cut::More(true));
        assert_eq!(cutter.cut(b"", 0, false), Cut::More(false));
    }

    #[test]
    fn nuls_are_taken_out() {
        let buffer = b"a,\0,b\0c\n";
        let mut cutter = Cutter::new(Dialect { delimiter: Some(b','), cr_only: false });
        cutter.cut(buffer, 0, true);
        let mut found = Vec::new();
        cutter.remove_nuls(buffer, |index| found.push(index));
        assert_eq!(found, [1, 2]);
        let row = Row { base: buffer, scratch: &cutter.scratch, spans: &cutter.spans };
        let cells = row.cells().map(|cell| cell.bytes).collect::<Vec<_>>();
        assert_eq!(cells, [&b"a"[..], b"", b"bc"]);
    }
}
