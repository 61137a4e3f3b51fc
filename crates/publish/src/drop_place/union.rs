//! All files of a name as one table: their rows one below the other, under the header that they share.
//!
//! Bytes are put together here, and nothing is typed: what comes of them is read in the reader's process like any file.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::{CHUNK_BYTES, fitting, is_still, none, opened};
use crate::error::PublishError;
use crate::fetch::{Conditions, FetchError, Fetched};
use crate::source::hex;

/// Files that are put together: a day's file for ten years.
const FILES_MAX: usize = 4_000;
/// Bytes of a header: thousands of columns with long names.
const HEADER_BYTES_MAX: usize = 1024 * 1024;
/// The byte order mark that some programs begin UTF-8 with.
const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Copies the rows of all files that fit the pattern, in the order of their names, under one header. The answer's name is
/// the pattern with `all` for its star.
///
/// # Errors
/// [`PublishError::BadSource`] when none fits, one of them is still being written or has another header, which it names;
/// [`FetchError::TooLarge`] when they are too large together.
pub(crate) fn unite(
    directory: &Path,
    pattern: &str,
    (into, bytes_max): (&Path, u64),
    now_ms: i64,
) -> Result<(String, Fetched), PublishError> {
    let mut files = fitting(directory, pattern)?;
    files.sort_by(|left, right| left.0.cmp(&right.0));
    if files.is_empty() || files.iter().any(|(_, seen)| !seen.is_settled(now_ms)) {
        return Err(none());
    }
    if files.len() > FILES_MAX {
        return Err(PublishError::BadSource(format!("more than {FILES_MAX} files have such a name")));
    }
    let mut whole = Whole { to: std::fs::File::create(into)?, hash: Sha256::new(), bytes: 0, bytes_max };
    let mut shared: Option<Vec<u8>> = None;
    for (name, seen) in files {
        let mut from = BufReader::with_capacity(CHUNK_BYTES, opened(directory, &name, seen)?);
        let (header, mut read) = header(&mut from, &name)?;
        match &shared {
            None => whole.put(&[header.as_slice(), b"\n"].concat())?,
            Some(shared) if *shared == header => {}
            Some(_) => {
                let detail =
                    format!("the file {name} has another header than those before it: give all files the same");
                return Err(PublishError::BadSource(detail));
            }
        }
        shared.get_or_insert(header);
        read += rows(&mut from, &mut whole)?;
        is_still(from.get_ref(), seen, read)?;
    }
    let conditions = Conditions::default();
    Ok((pattern.replace('*', "all"), Fetched::File { sha256: hex(&whole.hash.finalize()), conditions }))
}

struct Whole {
    to: std::fs::File,
    hash: Sha256,
    bytes: u64,
    bytes_max: u64,
}

impl Whole {
    fn put(&mut self, bytes: &[u8]) -> Result<(), PublishError> {
        self.bytes = self.bytes.saturating_add(count(bytes.len()));
        if self.bytes > self.bytes_max {
            return Err(FetchError::TooLarge(self.bytes_max).into());
        }
        self.hash.update(bytes);
        Ok(self.to.write_all(bytes)?)
    }
}

/// The first record without the end of its line, and how many bytes were read for it. A line that ends between quotation
/// marks goes on.
fn header(from: &mut BufReader<std::fs::File>, name: &str) -> Result<(Vec<u8>, u64), PublishError> {
    let bad = |why: &str| PublishError::BadSource(format!("the file {name} {why}"));
    let (mut header, mut ended) = (Vec::new(), false);
    while !ended {
        let buffer = from.fill_buf()?;
        if buffer.is_empty() {
            break;
        }
        let line = buffer.iter().position(|byte| *byte == b'\n').map_or(buffer.len(), |end| end + 1);
        header.extend(buffer.iter().take(line));
        from.consume(line);
        if header.len() > HEADER_BYTES_MAX {
            return Err(bad("has no header that ends within a mebibyte"));
        }
        ended = header.ends_with(b"\n") && header.iter().filter(|byte| **byte == b'"').count() % 2 == 0;
    }
    let read = count(header.len());
    if header.starts_with(b"\xFF\xFE") || header.starts_with(b"\xFE\xFF") || header.contains(&0) {
        return Err(bad("is not UTF-8: a union takes UTF-8 and what agrees with it in the header"));
    }
    let plain = header.strip_prefix(MARK).unwrap_or(&header).trim_ascii_end().to_vec();
    if plain.is_empty() { Err(bad("has no header")) } else { Ok((plain, read)) }
}

/// Copies what is left of a file, and ends its last line; how many bytes were read.
fn rows(from: &mut BufReader<std::fs::File>, whole: &mut Whole) -> Result<u64, PublishError> {
    let (mut read, mut open) = (0_u64, false);
    loop {
        let buffer = from.fill_buf()?;
        let Some(last) = buffer.last() else { break };
        open = *last != b'\n';
        whole.put(buffer)?;
        let taken = buffer.len();
        read = read.saturating_add(count(taken));
        from.consume(taken);
    }
    if open {
        whole.put(b"\n")?;
    }
    Ok(read)
}

fn count(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER_MS: i64 = 4_000_000_000_000;

    fn united(files: &[(&str, &str)], bytes_max: u64, now_ms: i64) -> Result<(String, String), PublishError> {
        let (place, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        for (name, text) in files {
            std::fs::write(place.path().join(name), text).unwrap();
        }
        let into = out.path().join("file");
        let (name, fetched) = unite(place.path(), "trees-*.csv", (&into, bytes_max), now_ms)?;
        let bytes = std::fs::read(&into).unwrap();
        let Fetched::File { sha256, .. } = fetched else { panic!("nothing was fetched") };
        assert_eq!(sha256, hex(&Sha256::digest(&bytes)));
        Ok((name, String::from_utf8(bytes).unwrap()))
    }

    #[test]
    fn rows_of_all_files_stand_under_one_header() {
        let files = [
            ("trees-2025.csv", "\u{FEFF}id,\"spe\ncies\"\r\n3,oak"),
            ("trees-2024.csv", "id,\"spe\ncies\"\n1,elm\n2,\"a\nb\"\n"),
            ("trees-2026.csv", "id,\"spe\ncies\""),
            ("other.csv", "x"),
        ];
        let (name, text) = united(&files, 1000, LATER_MS).unwrap();
        assert_eq!((name.as_str(), text.as_str()), ("trees-all.csv", "id,\"spe\ncies\"\n1,elm\n2,\"a\nb\"\n3,oak\n"));
    }

    #[test]
    fn what_does_not_fit_together_is_refused_by_its_name() {
        let said = |files: &[(&str, &str)]| united(files, 1000, LATER_MS).unwrap_err().to_string();
        let first = ("trees-1.csv", "id,species\n1,elm\n");
        assert!(said(&[first, ("trees-2.csv", "species,id\nelm,1\n")]).contains("trees-2.csv has another header"));
        assert!(said(&[first, ("trees-2.csv", "")]).contains("trees-2.csv has no header"));
        assert!(said(&[("trees-2.csv", "i\0d\0\n\0")]).contains("is not UTF-8"));
        assert!(said(&[("tree.csv", "id\n")]).contains("no such file"));
        assert!(united(&[first], 1000, 0).unwrap_err().to_string().contains("still being written"));
        let large = united(&[first, ("trees-2.csv", "id,species\n1,elm\n")], 20, LATER_MS);
        assert!(matches!(large, Err(PublishError::Fetch(FetchError::TooLarge(20)))));
    }
}
