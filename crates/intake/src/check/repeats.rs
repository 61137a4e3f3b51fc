//! Keys that come more than once, exactly, whatever their number: sorted in memory, spilled to disk in sorted runs.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::path::PathBuf;

use portico_model::finding::FINDING_ROWS_MAX;

use crate::screen::tally::Tally;

/// The hash of a key and the row that has it.
type Entry = ([u64; 2], u64);
const ENTRY_BYTES: usize = 24;
/// Entries that are kept in memory at least: smaller runs would be too many files.
const ENTRIES_MIN: usize = 1_024;

/// Gathers keys and counts those that repeat.
pub(super) struct Repeats {
    entries: Vec<Entry>,
    entries_max: usize,
    /// Sorted entries on disk, in files without a name.
    runs: Vec<File>,
    scratch: PathBuf,
}

impl Repeats {
    pub(super) fn new(memory_bytes: usize, scratch: PathBuf) -> Self {
        let entries_max = (memory_bytes / ENTRY_BYTES).max(ENTRIES_MIN);
        Self { entries: Vec::new(), entries_max, runs: Vec::new(), scratch }
    }

    pub(super) fn add(&mut self, key: [u64; 2], row: u64) -> io::Result<()> {
        self.entries.push((key, row));
        if self.entries.len() >= self.entries_max { self.spill() } else { Ok(()) }
    }

    /// How many rows repeat the key of an earlier row, and the first of them.
    pub(super) fn finish(mut self) -> io::Result<Tally> {
        let mut groups = Groups::default();
        if self.runs.is_empty() {
            self.entries.sort_unstable();
            self.entries.iter().for_each(|entry| groups.add(*entry));
            return Ok(groups.finish());
        }
        self.spill()?;
        let mut readers: Vec<BufReader<File>> = self.runs.into_iter().map(BufReader::new).collect();
        let mut heap = BinaryHeap::new();
        for (place, reader) in readers.iter_mut().enumerate() {
            heap.extend(read(reader)?.map(|entry| Reverse((entry, place))));
        }
        while let Some(Reverse((entry, place))) = heap.pop() {
            groups.add(entry);
            if let Some(reader) = readers.get_mut(place) {
                heap.extend(read(reader)?.map(|entry| Reverse((entry, place))));
            }
        }
        Ok(groups.finish())
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

/// Looks at entries in order.
#[derive(Default)]
struct Groups {
    last: Option<[u64; 2]>,
    count: u64,
    /// The smallest row numbers, the largest of them on top.
    rows: BinaryHeap<u64>,
}

impl Groups {
    fn add(&mut self, (key, row): Entry) {
        if self.last == Some(key) {
            self.count += 1;
            self.rows.push(row);
            if self.rows.len() > FINDING_ROWS_MAX {
                self.rows.pop();
            }
        }
        self.last = Some(key);
    }

    fn finish(self) -> Tally {
        Tally { count: self.count, rows: self.rows.into_sorted_vec() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::hash;

    #[test]
    fn repeats_are_the_same_in_memory_and_on_disk() {
        let scratch = tempfile::tempdir().unwrap();
        for memory_bytes in [1 << 20, 1] {
            let mut repeats = Repeats::new(memory_bytes, scratch.path().to_owned());
            for row in 1..=10_000_u64 {
                let key = if row % 1_000 == 0 { 7 } else { row };
                repeats.add([hash::of_bits(key), key], row).unwrap();
            }
            assert_eq!(repeats.runs.len(), if memory_bytes == 1 { 9 } else { 0 });
            let tally = repeats.finish().unwrap();
            assert_eq!((tally.count, tally.rows.len(), tally.rows[0]), (10, 10, 1_000));
        }
    }
}
