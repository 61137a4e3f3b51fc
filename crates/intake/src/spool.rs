//! Rows on disk, for formats that cannot be read twice as a stream.
//!
//! A row is its number of cells, then for each cell its kind, length and bytes, all numbers little-endian `u32`.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

use portico_model::finding::Finding;
use tempfile::{NamedTempFile, TempPath};

use crate::cell::{Cell, Kind, Row, Rows, Span, narrow, wide};
use crate::error::IntakeError;

const BUFFER_BYTES: usize = 256 * 1024;

/// Writes rows to a temporary file.
pub(crate) struct SpoolWriter {
    file: BufWriter<NamedTempFile>,
    row: Vec<u8>,
    cells: u32,
}

impl SpoolWriter {
    pub(crate) fn new(scratch: &Path) -> Result<Self, IntakeError> {
        let file = tempfile::Builder::new().prefix("intake-").tempfile_in(scratch)?;
        Ok(Self { file: BufWriter::with_capacity(BUFFER_BYTES, file), row: Vec::new(), cells: 0 })
    }

    /// Adds a cell to the row.
    pub(crate) fn cell(&mut self, cell: Cell<'_>) -> Result<(), IntakeError> {
        let length = u32::try_from(cell.bytes.len()).map_err(|_| IntakeError::Changed)?;
        self.row.push(code(cell.kind));
        self.row.extend_from_slice(&length.to_le_bytes());
        self.row.extend_from_slice(cell.bytes);
        self.cells += 1;
        Ok(())
    }

    /// Cells in the row so far.
    pub(crate) fn cells(&self) -> usize {
        narrow(u64::from(self.cells))
    }

    /// Bytes of the row so far.
    pub(crate) fn row_bytes(&self) -> u64 {
        wide(self.row.len())
    }

    /// Ends the row.
    pub(crate) fn end_row(&mut self) -> Result<(), IntakeError> {
        self.file.write_all(&self.cells.to_le_bytes())?;
        self.file.write_all(&self.row)?;
        self.row.clear();
        self.cells = 0;
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Spool, IntakeError> {
        let file = self.file.into_inner().map_err(|error| IntakeError::Io(error.into_error()))?;
        Ok(Spool { path: Arc::new(file.into_temp_path()) })
    }
}

/// A finished spool; the file goes with the last copy.
#[derive(Clone, Debug)]
pub(crate) struct Spool {
    path: Arc<TempPath>,
}

impl Spool {
    pub(crate) fn rows(&self, names: Vec<String>) -> Result<SpoolRows, IntakeError> {
        let mut file = File::open(&*self.path)?;
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        let file = BufReader::with_capacity(BUFFER_BYTES, file);
        Ok(SpoolRows { file, left: length, names, spans: Vec::new(), bytes: Vec::new(), read: 0 })
    }
}

/// The rows of a spool.
pub(crate) struct SpoolRows {
    file: BufReader<File>,
    left: u64,
    names: Vec<String>,
    spans: Vec<Span>,
    bytes: Vec<u8>,
    read: u64,
}

impl SpoolRows {
    fn number(&mut self) -> Result<u32, IntakeError> {
        let mut bytes = [0; 4];
        self.file.read_exact(&mut bytes)?;
        self.left = self.left.saturating_sub(4);
        Ok(u32::from_le_bytes(bytes))
    }
}

impl Rows for SpoolRows {
    fn advance(&mut self) -> Result<bool, IntakeError> {
        if self.left == 0 {
            return Ok(false);
        }
        self.spans.clear();
        self.bytes.clear();
        for _ in 0..self.number()? {
            let mut kind = [0];
            self.file.read_exact(&mut kind)?;
            let length = self.number()?;
            let start = self.bytes.len();
            Read::by_ref(&mut self.file).take(u64::from(length)).read_to_end(&mut self.bytes)?;
            self.left = self.left.saturating_sub(u64::from(length) + 1);
            let kind = kind.first().copied().and_then(of_code).ok_or(IntakeError::Changed)?;
            self.spans.push(Span { start, end: self.bytes.len(), scratch: false, kind });
        }
        self.read += wide(self.bytes.len());
        Ok(true)
    }

    fn row(&self) -> Row<'_> {
        Row { base: &self.bytes, scratch: &[], spans: &self.spans }
    }

    fn names(&self) -> Vec<String> {
        self.names.clone()
    }

    fn position(&self) -> u64 {
        self.read
    }

    fn findings(&mut self) -> Vec<Finding> {
        Vec::new()
    }
}

const KINDS: [Kind; 8] =
    [Kind::Bare, Kind::Text, Kind::Number, Kind::Boolean, Kind::Moment, Kind::Json, Kind::Wkb, Kind::BadGeometry];

fn code(kind: Kind) -> u8 {
    KINDS.iter().zip(0..).find(|(other, _)| **other == kind).map_or(0, |(_, code)| code)
}

fn of_code(code: u8) -> Option<Kind> {
    KINDS.get(usize::from(code)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were() {
        let scratch = tempfile::tempdir().unwrap();
        let mut writer = SpoolWriter::new(scratch.path()).unwrap();
        for row in [&[("1", Kind::Number), ("", Kind::Bare)][..], &[], &[("é", Kind::Text)]] {
            for (text, kind) in row {
                writer.cell(Cell { bytes: text.as_bytes(), kind: *kind }).unwrap();
            }
            writer.end_row().unwrap();
        }
        let mut rows = writer.finish().unwrap().rows(Vec::new()).unwrap();
        let mut found = Vec::new();
        while let Some(row) = rows.next_row().unwrap() {
            found.push(row.cells().map(|cell| (cell.bytes.to_vec(), cell.kind)).collect::<Vec<_>>());
        }
        assert_eq!(
            found,
            [
                vec![(b"1".to_vec(), Kind::Number), (Vec::new(), Kind::Bare)],
                vec![],
                vec![("é".as_bytes().to_vec(), Kind::Text)],
            ]
        );
        drop(rows);
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
    }
}
