//! A row as the readers of text formats hand it on: cells that point into a buffer, nothing copied.

use portico_model::finding::FINDING_ROWS_MAX;

use crate::error::IntakeError;

/// What the format itself says of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Plain text of a delimited file: it may be anything.
    Bare,
    /// A string of a format that has numbers: it may be a date, but not a number.
    Text,
    /// A number of such a format.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Date and time of a workbook, as `yyyy-mm-dd hh:mm:ss[.fff]`.
    Moment,
    /// JSON text of an array.
    Json,
    /// A geometry as WKB.
    Wkb,
    /// A geometry that could not be read.
    BadGeometry,
}

/// One cell. Without bytes it is null, whatever its kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) kind: Kind,
}

/// Where a cell's bytes lie: in the row's own buffer, or, unescaped, in the scratch buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) scratch: bool,
    pub(crate) kind: Kind,
}

impl Span {
    pub(crate) const NULL: Self = Self { start: 0, end: 0, scratch: false, kind: Kind::Bare };

    pub(crate) fn is_empty(&self) -> bool {
        self.start >= self.end
    }
}

/// One row of a text format.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    pub(crate) base: &'a [u8],
    pub(crate) scratch: &'a [u8],
    pub(crate) spans: &'a [Span],
}

impl<'a> Row<'a> {
    pub(crate) fn cell(&self, index: usize) -> Cell<'a> {
        self.spans.get(index).map_or(Cell { bytes: &[], kind: Kind::Bare }, |span| self.at(span))
    }

    pub(crate) fn at(&self, span: &Span) -> Cell<'a> {
        let buffer = if span.scratch { self.scratch } else { self.base };
        Cell { bytes: buffer.get(span.start..span.end).unwrap_or_default(), kind: span.kind }
    }

    pub(crate) fn cells(&self) -> impl Iterator<Item = Cell<'a>> + '_ {
        self.spans.iter().map(|span| self.at(span))
    }
}

/// What the readers of delimited text, JSON and workbooks have in common: rows, one by one.
pub(crate) trait Rows: Send {
    /// Goes to the next data row; `false` after the last.
    fn advance(&mut self) -> Result<bool, IntakeError>;

    /// The row that [`Rows::advance`] went to. Cells beyond its end are null.
    fn row(&self) -> Row<'_>;

    /// The next data row, or `None` after the last.
    #[cfg(test)]
    fn next_row(&mut self) -> Result<Option<Row<'_>>, IntakeError> {
        Ok(if self.advance()? { Some(self.row()) } else { None })
    }

    /// The source names of the columns met so far, in the order of the cells.
    fn names(&self) -> Vec<String>;

    /// Bytes of the unpacked file read so far.
    fn position(&self) -> u64;

    /// What the reader itself saw, after the last row. A reader says it once.
    fn findings(&mut self) -> Vec<portico_model::finding::Finding>;
}

/// A count with the first rows concerned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) count: u64,
    pub(crate) rows: Vec<u64>,
}

impl Tally {
    pub(crate) fn add(&mut self, row: u64) {
        self.count += 1;
        if self.rows.len() < FINDING_ROWS_MAX && self.rows.last() != Some(&row) {
            self.rows.push(row);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// A length or count as `u64`. There is no platform where this loses anything.
pub(crate) fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// A limit as `usize`.
pub(crate) fn narrow(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}
