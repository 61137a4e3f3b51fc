//! Zip archives, whose directory may claim anything: how many entries, what they are called, what kind and how long.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use zip::ZipArchive;
use zip::result::ZipError;

use crate::cell::wide;
use crate::error::IntakeError;

/// Entries that an archive may list beside the one file that counts.
const ENTRIES_MAX: u64 = 1_000;
/// Parts that a workbook may list.
const PARTS_MAX: u64 = 10_000;
/// Bytes of an archive's directory: reading it takes memory for each entry before anything can be judged.
const DIRECTORY_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Bytes before the directory that its reader may see: it looks for the end in pieces of 1,024.
const BEFORE_BYTES: u64 = 4 * 1024;
/// The end of the directory stands in the last bytes, before a comment of at most 65,535.
const TAIL_BYTES: u64 = 22 + 65_535;

/// An archive whose directory has been looked at.
pub(crate) type Archive = ZipArchive<BufReader<File>>;

/// What is worth reading in an archive.
pub(super) enum ZipContent {
    Workbook,
    /// The one file: where it is in the directory, and its name without directories.
    OneFile(Box<Archive>, usize, String),
}

pub(super) fn damaged(reason: &str) -> IntakeError {
    IntakeError::corrupt("zip", reason)
}

/// Finds the one file of an archive, or that it is a workbook.
pub(super) fn content(file: File) -> Result<ZipContent, IntakeError> {
    let mut archive = open(file)?;
    if archive.index_for_name("xl/workbook.xml").is_some() {
        return Ok(ZipContent::Workbook);
    }
    if archive.index_for_name("[Content_Types].xml").is_some() || archive.index_for_name("mimetype").is_some() {
        return Err(IntakeError::Unsupported { what: "an Office document", hint: "save it as .xlsx or CSV" });
    }
    if wide(archive.len()) > ENTRIES_MAX {
        return Err(IntakeError::NotATable(format!("the zip archive has more than {ENTRIES_MAX} entries")));
    }
    let mut found = None;
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(|_| damaged("its directory cannot be read"))?;
        let name = entry.name();
        if leads_outside(name) || name.contains('\\') {
            return Err(damaged("an entry's name leads out of the archive; pack the file anew, by its name alone"));
        }
        let kind = entry.unix_mode().map_or(0, |mode| mode & 0o170_000);
        if !matches!(kind, 0 | 0o040_000 | 0o100_000) {
            return Err(damaged("an entry is a link or a device and not a file; pack the file itself"));
        }
        let base = name.rsplit('/').next().unwrap_or_default();
        if entry.is_dir() || base.starts_with('.') || name.starts_with("__MACOSX/") || base.is_empty() {
            continue;
        }
        if entry.encrypted() {
            return Err(IntakeError::Encrypted("the zip archive"));
        }
        if found.replace((index, base.to_owned())).is_some() {
            return Err(IntakeError::NotATable(
                "the zip archive holds several files; bring them one by one, each as a dataset".to_owned(),
            ));
        }
    }
    let (index, name) = found.ok_or(IntakeError::Empty("the zip archive holds no file"))?;
    Ok(ZipContent::OneFile(Box::new(archive), index, name))
}

/// Whether a name is absolute, of a drive, or climbs.
fn leads_outside(name: &str) -> bool {
    let drive = name.as_bytes().get(1) == Some(&b':');
    drive || name.starts_with(['/', '\\']) || name.split(['/', '\\']).any(|part| part == "..")
}

/// Opens an archive whose directory is of a size to be read, and lists each entry once.
pub(crate) fn open(mut file: File) -> Result<Archive, IntakeError> {
    let missing = || damaged("the end of its directory is missing, or is not at the end of the file");
    let End { entries, start, bytes } = end(&mut file)?.ok_or_else(missing)?;
    if entries > PARTS_MAX || bytes > DIRECTORY_BYTES_MAX {
        return Err(IntakeError::NotATable(format!("the zip archive has more than {PARTS_MAX} entries")));
    }
    let before = FromDirectory { file: file.try_clone()?, floor: start.saturating_sub(BEFORE_BYTES) };
    ZipArchive::new(BufReader::new(before)).map_err(|_| damaged("its directory cannot be read"))?;
    let archive = ZipArchive::new(BufReader::new(file)).map_err(|_| damaged("its directory cannot be read"))?;
    if wide(archive.len()) != entries {
        return Err(damaged("its directory lists an entry twice, or not as many as it says"));
    }
    Ok(archive)
}

/// Why an entry cannot be unpacked.
pub(crate) fn refusal(error: &ZipError) -> IntakeError {
    match error {
        ZipError::UnsupportedArchive(text) if text.contains("assword") => IntakeError::Encrypted("the zip archive"),
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
            IntakeError::Unsupported { what: "a zip archive packed in an unusual way", hint: "pack it as plain zip" }
        }
        _ => damaged("an entry contradicts the directory"),
    }
}

/// What the end of the directory says (APPNOTE 4.3.14 to 4.3.16).
struct End {
    entries: u64,
    /// Where the directory begins, and its length.
    start: u64,
    bytes: u64,
}

/// Finds the end of the directory: the last one, which closes the file and follows the directory at once. Anything else
/// would leave it open which of several directories a reader believes.
fn end(file: &mut File) -> Result<Option<End>, IntakeError> {
    let length = file.seek(SeekFrom::End(0))?;
    let tail_start = length.saturating_sub(TAIL_BYTES);
    file.seek(SeekFrom::Start(tail_start))?;
    let mut tail = Vec::new();
    Read::by_ref(file).take(TAIL_BYTES).read_to_end(&mut tail)?;
    let Some(at) = memchr::memmem::rfind(&tail, b"PK\x05\x06") else { return Ok(None) };
    let place = tail_start + wide(at);
    let small = (number(&tail, at + 10, 2), number(&tail, at + 12, 4), number(&tail, at + 16, 4));
    let ((Some(entries), Some(bytes), Some(start)), Some(comment)) = (small, number(&tail, at + 20, 2)) else {
        return Ok(None);
    };
    let mut end = End { entries, start, bytes };
    let mut last = place;
    let locator = at.checked_sub(20).and_then(|from| tail.get(from..at));
    if let Some(locator) = locator.filter(|bytes| bytes.starts_with(b"PK\x06\x07")) {
        // The larger numbers of zip64 stand in a record that the locator points to.
        let Some(record_at) = number(locator, 8, 8).filter(|at| *at < place) else { return Ok(None) };
        file.seek(SeekFrom::Start(record_at))?;
        let mut record = Vec::with_capacity(56);
        Read::by_ref(file).take(56).read_to_end(&mut record)?;
        let large = (number(&record, 32, 8), number(&record, 40, 8), number(&record, 48, 8));
        let (Some(size), (Some(large_entries), Some(large_bytes), Some(large_start))) = (number(&record, 4, 8), large)
        else {
            return Ok(None);
        };
        let closes = size.checked_add(record_at).and_then(|end| end.checked_add(12 + 20)) == Some(place);
        if !record.starts_with(b"PK\x06\x06") || !closes {
            return Ok(None);
        }
        if entries == 0xFFFF || bytes == 0xFFFF_FFFF || start == 0xFFFF_FFFF {
            end = End { entries: large_entries, start: large_start, bytes: large_bytes };
        }
        last = record_at;
    }
    let whole = place + 22 + comment == length && end.start.checked_add(end.bytes) == Some(last);
    Ok(whole.then_some(end))
}

/// A number within bytes, the lowest byte first.
fn number(bytes: &[u8], at: usize, length: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + length)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// A file that cannot be read far before its directory: a reader that does not like the directory looks for another one
/// in all of the file, and would read that at any size.
struct FromDirectory {
    file: File,
    floor: u64,
}

impl Read for FromDirectory {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.file.stream_position()? < self.floor {
            return Err(std::io::Error::other("this is before the directory"));
        }
        self.file.read(into)
    }
}

impl Seek for FromDirectory {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

/// Bytes that an entry says it unpacks to.
pub(super) fn claimed_bytes(archive: &mut Archive, index: usize) -> u64 {
    archive.by_index_raw(index).map_or(0, |entry| entry.size())
}

/// Bytes that a packed file may unpack to: so many times its own, and some whatever its size.
pub(crate) fn unpacked_max(packed: u64, ratio: u64) -> u64 {
    packed.saturating_mul(ratio).max(super::RATIO_FLOOR_BYTES)
}
