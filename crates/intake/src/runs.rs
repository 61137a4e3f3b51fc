//! Hashes of keys with their rows in order, whatever their number: sorted in memory, spilled to disk in sorted runs.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::PathBuf;

/// The hash of a key and the row that has it.
pub(crate) type Entry = ([u64; 2], u64);
const ENTRY_BYTES: usize = 24;
/// Entries that are kept in memory at least: smaller runs would be too many files.
const ENTRIES_MIN: usize = 1_024;

/// Gathers entries and gives them back in order.
pub(crate) struct Runs {
    entries: Vec<Entry>,
    entries_max: usize,
    /// Sorted entries on disk, in files without a name.
    runs: Vec<File>,
    scratch: PathBuf,
}

impl Runs {
    /// Takes about `memory_bytes` of memory, and beyond it files in `scratch`.
    pub(crate) fn new(memory_bytes: usize, scratch: PathBuf) -> Self {
        let entries_max = (memory_bytes / ENTRY_BYTES).max(ENTRIES_MIN);
        Self { entries: Vec::new(), entries_max, runs: Vec::new(), scratch }
    }

    pub(crate) fn add(&mut self, key: [u64; 2], row: u64) -> io::Result<()> {
        self.entries.push((key, row));
        if self.entries.len() >= self.entries_max { self.spill() } else { Ok(()) }
    }

    /// Runs that are on disk.
    #[cfg(test)]
    pub(crate) fn spilled(&self) -> usize {
        self.runs.len()
    }

    /// Shows every entry, in order.
    pub(crate) fn for_each(mut self, mut show: impl FnMut(Entry)) -> io::Result<()> {
        if self.runs.is_empty() {
            self.entries.sort_unstable();
            self.entries.into_iter().for_each(show);
            return Ok(());
        }
        self.spill()?;
        let mut readers: Vec<BufReader<File>> = self.runs.into_iter().map(BufReader::new).collect();
        let mut heap = BinaryHeap::new();
        for (place, reader) in readers.iter_mut().enumerate() {
            heap.extend(read(reader)?.map(|entry| Reverse((entry, place))));
        }
        while let Some(Reverse((entry, place))) = heap.pop() {
            show(entry);
            if let Some(reader) = readers.get_mut(place) {
                heap.extend(read(reader)?.map(|entry| Reverse((entry, place))));
            }
        }
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        self.entries.sort_unstable();
        let mut writer = BufWriter::new(tempfile::tempfile_in(&self.scratch)?);
        for ([first, second], row) in self.entries.drain(..) {
            for word in [first, second, row] {
                writer.write_all(&word.to_le_bytes())?;
            }
        }
        let mut file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.rewind()?;
        self.runs.push(file);
        Ok(())
    }
}

fn read(reader: &mut BufReader<File>) -> io::Result<Option<Entry>> {
    let mut words = [0_u64; 3];
    for (place, word) in words.iter_mut().enumerate() {
        let mut bytes = [0; 8];
        match reader.read_exact(&mut bytes) {
            Ok(()) => *word = u64::from_le_bytes(bytes),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && place == 0 => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    let [first, second, row] = words;
    Ok(Some(([first, second], row)))
}
