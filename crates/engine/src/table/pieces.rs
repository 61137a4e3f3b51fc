//! How a table's files are cut into pieces and spread over the partitions of a plan.
//!
//! Pieces end at row groups. Where no order is to be kept there are several pieces to a partition, and idle
//! partitions take the next one from a shared queue, so that a skewed filter does not leave a core waiting.

use std::ops::Range;
use std::sync::Arc;

use datafusion::common::Statistics;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetAccessPlan;
use object_store::path::Path;

/// Pieces for one partition: enough to even out, few enough that opening them costs nothing to speak of.
const PIECES_PER_PARTITION: usize = 8;

/// One stored file, or the part of it that an order asks for.
#[derive(Clone, Debug)]
pub(crate) struct TableFile {
    pub(super) location: Path,
    pub(super) bytes: u64,
    /// Rows of each row group of the file.
    pub(super) row_groups: Arc<[u64]>,
    /// The row groups to read.
    pub(super) wanted: Range<usize>,
    pub(super) statistics: Arc<Statistics>,
}

/// How pieces are spread.
#[derive(Clone, Copy, Debug)]
pub(super) enum Spread {
    /// One partition, files in their order.
    Whole,
    /// At most so many partitions, each a run of the stored order.
    Ordered(usize),
    /// At most so many partitions, in no order.
    Free(usize),
}

/// Which table a scanned piece belongs to, for the plan's text.
#[derive(Clone, Debug)]
pub(crate) struct ScanOf(pub(crate) Arc<str>);

/// The partitions of a scan. With `rows_max`, only the first row groups that hold so many rows.
pub(super) fn groups(
    table: &Arc<str>,
    files: &[TableFile],
    spread: Spread,
    rows_max: Option<usize>,
) -> Vec<Vec<PartitionedFile>> {
    let runs = match rows_max {
        Some(rows) => first_rows(files, rows),
        None => files.iter().map(|file| (file, file.wanted.clone())).collect(),
    };
    let total = runs.iter().map(|(_, run)| run.len()).sum::<usize>();
    let (partitions, per_piece) = match spread {
        Spread::Whole => (1, usize::MAX),
        Spread::Ordered(partitions) => (partitions.max(1), usize::MAX),
        Spread::Free(partitions) => {
            let partitions = partitions.max(1);
            (partitions, total.div_ceil(partitions * PIECES_PER_PARTITION).max(1))
        }
    };
    let per_partition = total.div_ceil(partitions).max(1);
    let mut groups: Vec<Vec<PartitionedFile>> = Vec::new();
    let mut room = 0;
    for (file, run) in runs {
        let mut start = run.start;
        while start < run.end {
            if room == 0 {
                groups.push(Vec::new());
                room = per_partition;
            }
            let length = (run.end - start).min(per_piece).min(room);
            if let Some(group) = groups.last_mut() {
                group.push(piece(table, file, start..start + length));
            }
            start += length;
            room -= length;
        }
    }
    groups
}

fn first_rows(files: &[TableFile], rows: usize) -> Vec<(&TableFile, Range<usize>)> {
    let mut missing = u64::try_from(rows).unwrap_or(u64::MAX);
    let mut runs = Vec::new();
    for file in files {
        let mut end = file.wanted.start;
        while missing > 0 && end < file.wanted.end {
            missing = missing.saturating_sub(file.row_groups.get(end).copied().unwrap_or(0));
            end += 1;
        }
        if end > file.wanted.start {
            runs.push((file, file.wanted.start..end));
        }
    }
    runs
}

fn piece(table: &Arc<str>, file: &TableFile, run: Range<usize>) -> PartitionedFile {
    let count = file.row_groups.len();
    let piece = PartitionedFile::new(file.location.to_string(), file.bytes)
        .with_statistics(file.statistics.clone())
        .with_extension(ScanOf(table.clone()));
    if run == (0..count) {
        return piece;
    }
    let mut access = ParquetAccessPlan::new_none(count);
    for row_group in run {
        access.scan(row_group);
    }
    piece.with_extension(access)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, row_groups: &[u64]) -> TableFile {
        TableFile {
            location: Path::from(name),
            bytes: 1_000,
            row_groups: Arc::from(row_groups),
            wanted: 0..row_groups.len(),
            statistics: Arc::new(Statistics::default()),
        }
    }

    /// The row groups of each partition, as `file:row_group`.
    fn spread(files: &[TableFile], spread: Spread, rows_max: Option<usize>) -> Vec<Vec<String>> {
        groups(&Arc::from("t"), files, spread, rows_max)
            .iter()
            .map(|group| {
                let pieces = group.iter().flat_map(|piece| {
                    let name = piece.object_meta.location.to_string();
                    let indexes = match piece.extension::<ParquetAccessPlan>() {
                        Some(access) => access.row_group_indexes(),
                        None => {
                            let file = files.iter().find(|file| file.location == piece.object_meta.location);
                            (0..file.unwrap().row_groups.len()).collect()
                        }
                    };
                    indexes.into_iter().map(move |index| format!("{name}:{index}"))
                });
                pieces.collect()
            })
            .collect()
    }

    #[test]
    fn every_row_group_is_read_once_and_in_order() {
        let files = [file("a", &[10; 5]), file("b", &[10; 3])];
        let all = ["a:0", "a:1", "a:2", "a:3", "a:4", "b:0", "b:1", "b:2"];
        for way in [Spread::Whole, Spread::Ordered(3), Spread::Free(3), Spread::Free(100), Spread::Free(0)] {
            assert_eq!(spread(&files, way, None).concat(), all, "{way:?}");
        }
        assert_eq!(spread(&files, Spread::Whole, None).len(), 1);
        assert_eq!(spread(&files, Spread::Ordered(2), None).len(), 2);
        assert!(spread(&[], Spread::Free(4), None).is_empty());
    }

    #[test]
    fn a_limit_reads_only_the_row_groups_that_cover_it() {
        let files = [file("a", &[10; 5]), file("b", &[10; 3])];
        assert_eq!(spread(&files, Spread::Free(4), Some(10)).concat(), ["a:0"]);
        assert_eq!(spread(&files, Spread::Free(4), Some(51)).concat().len(), 6);
        assert!(spread(&files, Spread::Whole, Some(0)).is_empty());
    }
}
