//! Rows as bytes, given back in order whatever their number: sorted in memory, spilled to disk in sorted runs, merged.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write};
use std::path::{Path, PathBuf};

/// Runs that are merged into a longer one: so many files are open at once, each with a buffer, for each length of run.
const RUNS_MERGED: usize = 64;
/// What a row costs in memory besides its bytes.
const ROW_BYTES: usize = 24;

/// A row as bytes that compare as the row does, the key first.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OrderedRow {
    pub(crate) bytes: Vec<u8>,
    /// Bytes of the key.
    key: u32,
}

impl OrderedRow {
    pub(crate) fn key(&self) -> &[u8] {
        usize::try_from(self.key).ok().and_then(|key| self.bytes.get(..key)).unwrap_or_default()
    }
}

/// Gathers rows.
pub(crate) struct Gathering {
    bytes: Vec<u8>,
    /// Where each row is in `bytes`, and the bytes of its key.
    rows: Vec<(usize, usize, u32)>,
    memory_bytes: usize,
    /// Runs on disk, in files without a name, each with how often it was merged; never more often than the one before it.
    runs: Vec<(u32, File)>,
    scratch: PathBuf,
}

impl Gathering {
    /// Takes about `memory_bytes` of memory, and beyond it files in `scratch`.
    pub(crate) fn new(memory_bytes: usize, scratch: &Path) -> Self {
        Self { bytes: Vec::new(), rows: Vec::new(), memory_bytes, runs: Vec::new(), scratch: scratch.to_owned() }
    }

    /// Takes a row, of which the first `key` bytes are the key.
    pub(crate) fn push(&mut self, row: &[u8], key: usize) -> io::Result<()> {
        let key = u32::try_from(key).map_err(io::Error::other)?;
        let used = self.bytes.len() + row.len() + (self.rows.len() + 1) * ROW_BYTES;
        if used > self.memory_bytes && !self.rows.is_empty() {
            self.spill()?;
        }
        self.rows.push((self.bytes.len(), row.len(), key));
        self.bytes.extend_from_slice(row);
        Ok(())
    }

    /// Runs that are on disk.
    #[cfg(test)]
    pub(crate) fn spilled(&self) -> usize {
        self.runs.len()
    }

    /// The rows in order.
    pub(crate) fn finish(mut self) -> io::Result<Ordered> {
        if self.runs.is_empty() {
            self.sort();
            return Ok(Ordered::Memory { bytes: self.bytes, rows: self.rows.into_iter() });
        }
        self.spill()?;
        // What is in memory goes before the buffers of the runs come.
        self.bytes = Vec::new();
        while self.runs.len() > RUNS_MERGED {
            let shortest = self.runs.split_off(self.runs.len() - RUNS_MERGED);
            self.merge(shortest)?;
        }
        Ok(Ordered::Disk(Merge::of(self.runs.into_iter().map(|(_, run)| run).collect())?))
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        let row = |&(start, length, key): &(usize, usize, u32)| (bytes.get(start..start + length), key);
        self.rows.sort_unstable_by(|left, right| row(left).cmp(&row(right)));
    }

    fn spill(&mut self) -> io::Result<()> {
        self.sort();
        let mut writer = BufWriter::new(tempfile::tempfile_in(&self.scratch)?);
        for &(start, length, key) in &self.rows {
            write(&mut writer, self.bytes.get(start..start + length).unwrap_or_default(), key)?;
        }
        self.runs.push((0, finished(writer)?));
        self.rows.clear();
        self.bytes.clear();
        while let Some(&(level, _)) = self.runs.last() {
            let alike = self.runs.iter().rev().take_while(|(other, _)| *other == level).count();
            if alike < RUNS_MERGED {
                break;
            }
            let runs = self.runs.split_off(self.runs.len() - alike);
            self.merge(runs)?;
        }
        Ok(())
    }

    /// Puts one run in the place of several.
    fn merge(&mut self, runs: Vec<(u32, File)>) -> io::Result<()> {
        let level = runs.first().map_or(0, |(level, _)| level + 1);
        let mut merge = Merge::of(runs.into_iter().map(|(_, run)| run).collect())?;
        let mut writer = BufWriter::new(tempfile::tempfile_in(&self.scratch)?);
        while let Some(row) = merge.next()? {
            write(&mut writer, &row.bytes, row.key)?;
        }
        self.runs.push((level, finished(writer)?));
        Ok(())
    }
}

/// Rows in order.
pub(crate) enum Ordered {
    /// They fit.
    Memory { bytes: Vec<u8>, rows: std::vec::IntoIter<(usize, usize, u32)> },
    /// They did not.
    Disk(Merge),
}

impl Ordered {
    pub(crate) fn next(&mut self) -> io::Result<Option<OrderedRow>> {
        match self {
            Self::Memory { bytes, rows } => Ok(rows.next().map(|(start, length, key)| {
                let bytes = bytes.get(start..start + length).unwrap_or_default().to_vec();
                OrderedRow { bytes, key }
            })),
            Self::Disk(merge) => merge.next(),
        }
    }
}

/// Sorted runs that are read at once.
pub(crate) struct Merge {
    readers: Vec<BufReader<File>>,
    heads: BinaryHeap<Reverse<(OrderedRow, usize)>>,
}

impl Merge {
    fn of(runs: Vec<File>) -> io::Result<Self> {
        let mut readers: Vec<_> = runs.into_iter().map(BufReader::new).collect();
        let mut heads = BinaryHeap::with_capacity(readers.len());
        for (place, reader) in readers.iter_mut().enumerate() {
            heads.extend(read(reader)?.map(|row| Reverse((row, place))));
        }
        Ok(Self { readers, heads })
    }

    fn next(&mut self) -> io::Result<Option<OrderedRow>> {
        let Some(Reverse((row, place))) = self.heads.pop() else { return Ok(None) };
        if let Some(reader) = self.readers.get_mut(place) {
            self.heads.extend(read(reader)?.map(|row| Reverse((row, place))));
        }
        Ok(Some(row))
    }
}

fn write(to: &mut impl Write, row: &[u8], key: u32) -> io::Result<()> {
    let length = u32::try_from(row.len()).map_err(io::Error::other)?;
    to.write_all(&length.to_le_bytes())?;
    to.write_all(&key.to_le_bytes())?;
    to.write_all(row)
}

fn finished(writer: BufWriter<File>) -> io::Result<File> {
    let mut file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(file)
}

fn read(from: &mut impl Read) -> io::Result<Option<OrderedRow>> {
    let mut word = [0; 4];
    match from.read_exact(&mut word) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = usize::try_from(u32::from_le_bytes(word)).map_err(io::Error::other)?;
    from.read_exact(&mut word)?;
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(Some(OrderedRow { bytes, key: u32::from_le_bytes(word) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(rows: &[Vec<u8>], memory_bytes: usize) -> (usize, Vec<Vec<u8>>) {
        let scratch = tempfile::tempdir().unwrap();
        let mut gathering = Gathering::new(memory_bytes, scratch.path());
        for row in rows {
            gathering.push(row, row.len().min(2)).unwrap();
        }
        let spilled = gathering.spilled();
        let mut ordered = gathering.finish().unwrap();
        let mut out = Vec::new();
        while let Some(row) = ordered.next().unwrap() {
            assert_eq!(row.key(), row.bytes.get(..row.bytes.len().min(2)).unwrap());
            out.push(row.bytes);
        }
        (spilled, out)
    }

    #[test]
    fn rows_come_in_order_from_memory_and_from_runs_that_were_merged_twice() {
        let rows: Vec<Vec<u8>> =
            (0..20_000_u32).map(|row| (row.wrapping_mul(2_654_435_761) % 5_000).to_be_bytes().to_vec()).collect();
        let mut expect = rows.clone();
        expect.sort();
        assert_eq!(ordered(&rows, usize::MAX), (0, expect.clone()));
        // Two rows a run: 10,000 runs, of which never 64 of one length are left.
        let (spilled, merged) = ordered(&rows, 60);
        assert!((1..3 * RUNS_MERGED).contains(&spilled), "{spilled}");
        assert_eq!(merged, expect);
        assert_eq!(ordered(&rows[..1_000], 60).1.len(), 1_000);
        assert_eq!(ordered(&[], 60), (0, Vec::new()));
        assert_eq!(ordered(&[Vec::new(), vec![1], Vec::new()], 1).1, [vec![], vec![], vec![1]]);
    }
}
