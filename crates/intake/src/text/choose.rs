//! Which encoding a text is in.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, WINDOWS_1252};

use crate::error::IntakeError;

/// How a text is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charset {
    Utf8,
    /// UTF-8 into which somebody pasted bytes of Windows-1252.
    Utf8WithStrayBytes,
    Utf16Le,
    Utf16Be,
    Legacy(&'static Encoding),
}

impl Charset {
    /// The name that people know.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Utf8 | Self::Utf8WithStrayBytes => "UTF-8",
            Self::Utf16Le => "UTF-16LE",
            Self::Utf16Be => "UTF-16BE",
            Self::Legacy(encoding) => encoding.name(),
        }
    }

    /// The byte order mark, where the encoding has one.
    pub(super) fn mark(self) -> Option<&'static [u8]> {
        match self {
            Self::Utf8 | Self::Utf8WithStrayBytes => Some(b"\xEF\xBB\xBF"),
            Self::Utf16Le => Some(b"\xFF\xFE"),
            Self::Utf16Be => Some(b"\xFE\xFF"),
            Self::Legacy(_) => None,
        }
    }
}

const CHUNK_BYTES: usize = 64 * 1024;
/// Bytes of chunks with other than ASCII that the detector is shown.
const SHOWN_BYTES_MAX: usize = 4 * 1024 * 1024;
/// With fewer bytes above ASCII than this, letter statistics say nothing.
const EVIDENCE_BYTES_MIN: u64 = 16;

/// The encoding to try first: UTF-16 by its mark or by where its zero bytes are, UTF-8 otherwise.
pub(crate) fn first_guess(prefix: &[u8]) -> Charset {
    if prefix.starts_with(b"\xFF\xFE") {
        return Charset::Utf16Le;
    }
    if prefix.starts_with(b"\xFE\xFF") {
        return Charset::Utf16Be;
    }
    let pairs = prefix.len() / 2;
    let zeros = |first: usize| prefix.iter().skip(first).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    if pairs > 0 && odd * 10 > pairs * 4 && even * 20 < pairs {
        return Charset::Utf16Le;
    }
    if pairs > 0 && even * 10 > pairs * 4 && odd * 20 < pairs {
        return Charset::Utf16Be;
    }
    Charset::Utf8
}

/// The encoding of a text that is not UTF-8, from all of it.
pub(crate) fn choose(file: &mut File) -> Result<Charset, IntakeError> {
    file.seek(SeekFrom::Start(0))?;
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Deny);
    let mut seen = Seen::default();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut shown = 0;
    loop {
        let count = file.read(&mut chunk)?;
        let Some(bytes) = chunk.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        if bytes.is_ascii() {
            continue;
        }
        seen.count(bytes);
        if shown < SHOWN_BYTES_MAX {
            detector.feed(bytes, false);
            shown += bytes.len();
        }
    }
    detector.feed(&[], true);
    Ok(seen.decide(&detector))
}

#[derive(Default)]
struct Seen {
    /// Whole characters of UTF-8 beyond ASCII.
    characters: u64,
    /// Bytes that are no UTF-8. A character cut by a chunk's end counts here; there are few of those.
    strays: u64,
    above_ascii: u64,
}

impl Seen {
    fn count(&mut self, bytes: &[u8]) {
        for part in bytes.utf8_chunks() {
            let valid = part.valid().bytes().filter(|byte| *byte >= 0xC0).count();
            self.characters += crate::cell::wide(valid);
            self.strays += u64::from(!part.invalid().is_empty());
        }
        self.above_ascii += crate::cell::wide(bytes.iter().filter(|byte| !byte.is_ascii()).count());
    }

    fn decide(&self, detector: &EncodingDetector) -> Charset {
        if self.characters > self.strays {
            return Charset::Utf8WithStrayBytes;
        }
        if self.above_ascii < EVIDENCE_BYTES_MIN {
            return Charset::Legacy(WINDOWS_1252);
        }
        Charset::Legacy(detector.guess(None, Utf8Detection::Deny))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(bytes: &[u8]) -> Charset {
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, bytes).unwrap();
        choose(&mut file).unwrap()
    }

    #[test]
    fn utf16_is_seen_without_a_mark() {
        let check = |bytes: &[u8], expect| assert_eq!(first_guess(bytes), expect, "{bytes:?}");
        check(b"a\0,\0b\0\n\0", Charset::Utf16Le);
        check(b"\0a\0,\0b\0\n", Charset::Utf16Be);
        check(b"a,b\n1,\0\n", Charset::Utf8);
        check(b"", Charset::Utf8);
    }

    #[test]
    fn little_evidence_means_windows_1252() {
        assert_eq!(chosen(b"name\ncaf\xE9\n"), Charset::Legacy(WINDOWS_1252));
    }

    #[test]
    fn a_stray_byte_does_not_spoil_utf8() {
        let text = format!("{}\u{e9}\n", "naïve café, ".repeat(20));
        let bytes = [text.as_bytes(), b"\xE9"].concat();
        assert_eq!(chosen(&bytes), Charset::Utf8WithStrayBytes);
    }
}
