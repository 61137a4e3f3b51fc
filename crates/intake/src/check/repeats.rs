//! Keys that come more than once, exactly, whatever their number.

use std::collections::BinaryHeap;
use std::io;
use std::path::PathBuf;

use portico_model::finding::FINDING_ROWS_MAX;

use crate::runs::{Entry, Runs};
use crate::screen::tally::Tally;

/// Gathers keys and counts those that repeat.
pub(super) struct Repeats {
    runs: Runs,
}

impl Repeats {
    pub(super) fn new(memory_bytes: usize, scratch: PathBuf) -> Self {
        Self { runs: Runs::new(memory_bytes, scratch) }
    }

    pub(super) fn add(&mut self, key: [u64; 2], row: u64) -> io::Result<()> {
        self.runs.add(key, row)
    }

    /// How many rows repeat the key of an earlier row, and the first of them.
    pub(super) fn finish(self) -> io::Result<Tally> {
        let mut groups = Groups::default();
        self.runs.for_each(|entry| groups.add(entry))?;
        Ok(groups.finish())
    }
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
            assert_eq!(repeats.runs.spilled(), if memory_bytes == 1 { 9 } else { 0 });
            let tally = repeats.finish().unwrap();
            assert_eq!((tally.count, tally.rows.len(), tally.rows[0]), (10, 10, 1_000));
        }
    }
}
