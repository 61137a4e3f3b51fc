//! Reading by block: nothing of a block is used before it has its digest.

use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use portico_model::blocks::BlockDigests;

use super::FileError;
use crate::verify::Checked;

/// The blocks of a file of so many bytes.
#[derive(Clone)]
pub(super) struct Blocks {
    pub(super) digests: BlockDigests,
    pub(super) file_bytes: u64,
}

impl Blocks {
    /// Reads ranges of an open file. What comes out of a block that was not hashed before comes out of the very bytes
    /// that are hashed now. Holds one block besides what was asked for.
    pub(super) fn read(&self, file: &File, checked: &Checked, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, FileError> {
        let mut whole = Vec::new();
        ranges.iter().map(|range| self.read_one(file, checked, range, &mut whole)).collect()
    }

    fn read_one(
        &self,
        file: &File,
        checked: &Checked,
        range: &Range<u64>,
        whole: &mut Vec<u8>,
    ) -> Result<Bytes, FileError> {
        let mut wanted = vec![0; length(range)];
        if self.digests.touched(range).all(|block| checked.has(block)) {
            file.read_exact_at(&mut wanted, range.start)?;
            return Ok(wanted.into());
        }
        let mut rest = wanted.as_mut_slice();
        for block in self.digests.touched(range) {
            let place = self.digests.place(block, self.file_bytes);
            let inside = place.start.max(range.start)..place.end.min(range.end);
            let (now, later) = rest.split_at_mut_checked(length(&inside)).ok_or(FileError::Range)?;
            rest = later;
            if checked.has(block) {
                file.read_exact_at(now, inside.start)?;
                continue;
            }
            whole.resize(length(&place), 0);
            file.read_exact_at(whole, place.start)?;
            if !self.digests.fits(block, [whole.as_slice()]) {
                return Err(FileError::Corrupt);
            }
            checked.add(block);
            let start = length(&(place.start..inside.start));
            now.copy_from_slice(whole.get(start..start + now.len()).ok_or(FileError::Range)?);
        }
        Ok(wanted.into())
    }

    /// Ranges widened to whole blocks: what is to be fetched where nothing can be remembered.
    pub(super) fn around(&self, ranges: &[Range<u64>]) -> Vec<Range<u64>> {
        ranges.iter().map(|range| self.digests.around(range, self.file_bytes)).collect()
    }

    /// Cuts ranges out of what was fetched for [`Blocks::around`] them, once every block has its digest.
    pub(super) fn cut(&self, fetched: &[Bytes], ranges: &[Range<u64>]) -> Result<Vec<Bytes>, FileError> {
        let parts = fetched.iter().zip(ranges);
        parts
            .map(|(bytes, range)| {
                let start = self.digests.around(range, self.file_bytes).start;
                for block in self.digests.touched(range) {
                    let place = self.digests.place(block, self.file_bytes);
                    let (from, to) = (length(&(start..place.start)), length(&(start..place.end)));
                    let block_bytes = bytes.get(from..to).ok_or(FileError::Corrupt)?;
                    if !self.digests.fits(block, [block_bytes]) {
                        return Err(FileError::Corrupt);
                    }
                }
                let from = if range.is_empty() { 0 } else { length(&(start..range.start)) };
                Ok(bytes.slice(from..from + length(range)))
            })
            .collect()
    }
}

/// Bytes of a range.
pub(super) fn length(range: &Range<u64>) -> usize {
    usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use portico_model::blocks::Hasher;

    use super::*;

    fn blocks(content: &[u8]) -> Blocks {
        let mut hasher = Hasher::in_blocks_of(16);
        hasher.update(content);
        Blocks { digests: hasher.finish(), file_bytes: u64::try_from(content.len()).unwrap() }
    }

    /// Some ranges in every relation to blocks of 16 bytes.
    const RANGES: &[Range<u64>] = &[0..0, 0..1, 0..16, 15..17, 16..48, 20..21, 30..100, 40..40, 90..100, 0..100];

    fn one(range: Range<u64>) -> Vec<Range<u64>> {
        std::iter::once(range).collect()
    }

    fn bytes(content: &[u8], range: &Range<u64>) -> Vec<u8> {
        content[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()].to_vec()
    }

    #[test]
    fn a_flipped_bit_gives_nothing_of_its_block_and_everything_of_the_others() {
        let content: Vec<u8> = (0..100).collect();
        let blocks = blocks(&content);
        let damaged = tempfile::NamedTempFile::new().unwrap();
        for byte in 0..content.len() {
            let mut flipped = content.clone();
            flipped[byte] ^= 1 << (byte % 8);
            std::fs::write(damaged.path(), &flipped).unwrap();
            let checked = Checked::none_of(blocks.digests.count());
            for range in RANGES {
                let touched = blocks.digests.touched(range).contains(&(byte / 16));
                let read = blocks.read(damaged.as_file(), &checked, std::slice::from_ref(range));
                let around = blocks.around(std::slice::from_ref(range));
                let fetched: Vec<Bytes> = around.iter().map(|range| bytes(&flipped, range).into()).collect();
                for result in [read, blocks.cut(&fetched, std::slice::from_ref(range))] {
                    match result {
                        Ok(read) => assert!(!touched && read == [bytes(&content, range)], "{byte} {range:?}"),
                        Err(error) => assert!(touched && matches!(error, FileError::Corrupt), "{byte} {error:?}"),
                    }
                }
            }
        }
    }

    #[test]
    fn a_block_is_hashed_once_and_only_when_it_is_touched() {
        let content: Vec<u8> = (0..100).collect();
        let (blocks, file) = (blocks(&content), tempfile::NamedTempFile::new().unwrap());
        std::fs::write(file.path(), &content).unwrap();
        let checked = Checked::none_of(blocks.digests.count());
        let read = blocks.read(file.as_file(), &checked, &[20..30, 96..100]).unwrap();
        assert_eq!(read, [&content[20..30], &content[96..100]]);
        let done: Vec<usize> = (0..7).filter(|block| checked.has(*block)).collect();
        assert_eq!(done, [1, 6]);
        // What is not hashed again is not found either: the same state of the file was seen to be right.
        let mut flipped = content.clone();
        flipped[17] ^= 1;
        flipped[60] ^= 1;
        std::fs::write(file.path(), &flipped).unwrap();
        assert_eq!(blocks.read(file.as_file(), &checked, &one(16..32)).unwrap(), [&flipped[16..32]]);
        assert!(matches!(blocks.read(file.as_file(), &checked, &one(16..64)), Err(FileError::Corrupt)));
        assert!(matches!(blocks.read(file.as_file(), &checked, &one(48..49)), Err(FileError::Corrupt)));
    }

    #[test]
    fn a_file_that_has_lost_its_end_is_an_error() {
        let content: Vec<u8> = (0..100).collect();
        let (blocks, file) = (blocks(&content), tempfile::NamedTempFile::new().unwrap());
        std::fs::write(file.path(), &content[..70]).unwrap();
        let checked = Checked::none_of(blocks.digests.count());
        assert!(matches!(blocks.read(file.as_file(), &checked, &one(60..66)), Err(FileError::Io(_))));
        assert!(matches!(blocks.cut(&[Bytes::from_static(b"short")], &one(60..66)), Err(FileError::Corrupt)));
    }
}
