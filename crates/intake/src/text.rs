//! Streams a text file as UTF-8, whatever it was saved in.
//!
//! Nobody's first 64 KiB tell the encoding of the rest: a file is read as UTF-8 until a byte says otherwise
//! ([`IntakeError::Encoding`]), and only then [`choose`] looks at all of it.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use encoding_rs::{CoderResult, Decoder, Encoding, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use crate::cell::wide;
use crate::error::IntakeError;

const CHUNK_BYTES: usize = 256 * 1024;

mod choose;

pub(crate) use choose::{Charset, choose, first_guess};

/// A text file, decoded chunk by chunk.
pub(crate) struct TextReader {
    file: File,
    charset: Charset,
    decoder: Option<Decoder>,
    raw: Vec<u8>,
    /// The start of a character whose end has not been read yet.
    carry: Vec<u8>,
    position: u64,
    ended: bool,
    malformed: u64,
    nul_seen: bool,
}

impl TextReader {
    /// Starts at the file's beginning and passes over a byte order mark.
    pub(crate) fn new(mut file: File, charset: Charset) -> Result<Self, IntakeError> {
        let mut mark = Vec::with_capacity(3);
        file.seek(SeekFrom::Start(0))?;
        Read::by_ref(&mut file).take(3).read_to_end(&mut mark)?;
        let skip = charset.mark().filter(|bytes| mark.starts_with(bytes)).map_or(0, <[u8]>::len);
        file.seek(SeekFrom::Start(wide(skip)))?;
        let decoder = match charset {
            Charset::Utf8 | Charset::Utf8WithStrayBytes => None,
            Charset::Utf16Le => Some(UTF_16LE.new_decoder_without_bom_handling()),
            Charset::Utf16Be => Some(UTF_16BE.new_decoder_without_bom_handling()),
            Charset::Legacy(encoding) => Some(encoding.new_decoder_without_bom_handling()),
        };
        Ok(Self {
            file,
            charset,
            decoder,
            raw: Vec::new(),
            carry: Vec::new(),
            position: wide(skip),
            ended: false,
            malformed: 0,
            nul_seen: false,
        })
    }

    /// Appends the next chunk to `out`; `false` when there was nothing left.
    ///
    /// # Errors
    /// [`IntakeError::Encoding`] when the text is not in its encoding.
    pub(crate) fn fill(&mut self, out: &mut Vec<u8>) -> Result<bool, IntakeError> {
        while !self.ended {
            let before = out.len();
            match self.charset {
                Charset::Utf8 => self.fill_utf8(out)?,
                Charset::Utf8WithStrayBytes => self.fill_mixed(out)?,
                Charset::Utf16Le | Charset::Utf16Be | Charset::Legacy(_) => self.fill_decoded(out)?,
            }
            if out.len() > before {
                self.nul_seen = self.nul_seen || memchr::memchr(0, out.get(before..).unwrap_or_default()).is_some();
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// How the text is decoded.
    pub(crate) fn charset(&self) -> Charset {
        self.charset
    }

    /// Bytes of the file read so far.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Whether a NUL has come by.
    pub(crate) fn nul_seen(&self) -> bool {
        self.nul_seen
    }

    /// Chunks with characters that the encoding does not have, or bytes that were taken for Windows-1252.
    pub(crate) fn malformed(&self) -> u64 {
        self.malformed
    }

    fn fill_utf8(&mut self, out: &mut Vec<u8>) -> Result<(), IntakeError> {
        let start = out.len();
        out.append(&mut self.carry);
        self.read_chunk(out)?;
        let fresh = out.get(start..).unwrap_or_default();
        if let Err(error) = std::str::from_utf8(fresh) {
            if error.error_len().is_some() || self.ended {
                return Err(IntakeError::Encoding { encoding: "UTF-8" });
            }
            let valid = start + error.valid_up_to();
            self.carry.extend_from_slice(out.get(valid..).unwrap_or_default());
            out.truncate(valid);
        }
        Ok(())
    }

    fn fill_mixed(&mut self, out: &mut Vec<u8>) -> Result<(), IntakeError> {
        let mut raw = std::mem::take(&mut self.raw);
        raw.clear();
        raw.append(&mut self.carry);
        self.read_chunk(&mut raw)?;
        let mut rest = raw.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(_) => {
                    out.extend_from_slice(rest);
                    break;
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    out.extend_from_slice(valid);
                    let bad = match error.error_len() {
                        None if !self.ended => {
                            self.carry.extend_from_slice(after);
                            break;
                        }
                        length => length.unwrap_or(after.len()),
                    };
                    let (bad, next) = after.split_at(bad.min(after.len()));
                    out.extend_from_slice(WINDOWS_1252.decode_without_bom_handling(bad).0.as_bytes());
                    self.malformed += 1;
                    rest = next;
                }
            }
        }
        self.raw = raw;
        Ok(())
    }

    fn fill_decoded(&mut self, out: &mut Vec<u8>) -> Result<(), IntakeError> {
        let mut raw = std::mem::take(&mut self.raw);
        raw.clear();
        self.read_chunk(&mut raw)?;
        if let Some(decoder) = self.decoder.as_mut() {
            let mut rest = raw.as_slice();
            loop {
                let room = decoder.max_utf8_buffer_length(rest.len()).unwrap_or(CHUNK_BYTES).max(64);
                let start = out.len();
                out.resize(start + room, 0);
                let target = out.get_mut(start..).unwrap_or_default();
                let (result, read, written, replaced) = decoder.decode_to_utf8(rest, target, self.ended);
                out.truncate(start + written);
                self.malformed += u64::from(replaced);
                rest = rest.get(read..).unwrap_or_default();
                if result == CoderResult::InputEmpty {
                    break;
                }
            }
        }
        self.raw = raw;
        Ok(())
    }

    /// Appends raw bytes; marks the end of the file.
    fn read_chunk(&mut self, out: &mut Vec<u8>) -> Result<(), IntakeError> {
        let start = out.len();
        out.resize(start + CHUNK_BYTES, 0);
        let mut filled = start;
        while let Some(room) = out.get_mut(filled..).filter(|room| !room.is_empty()) {
            match self.file.read(room) {
                Ok(0) => {
                    self.ended = true;
                    break;
                }
                Ok(count) => filled += count,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        out.truncate(filled);
        self.position += wide(filled - start);
        Ok(())
    }
}

/// The encoding of a label, or what is wrong with it.
pub(crate) fn declared(label: &str) -> Result<Charset, IntakeError> {
    let encoding = Encoding::for_label_no_replacement(label.as_bytes()).ok_or_else(|| IntakeError::Option {
        option: "encoding",
        reason: "it is no label of the WHATWG Encoding Standard".to_owned(),
    })?;
    Ok(if encoding == UTF_8 {
        Charset::Utf8
    } else if encoding == UTF_16LE {
        Charset::Utf16Le
    } else if encoding == UTF_16BE {
        Charset::Utf16Be
    } else {
        Charset::Legacy(encoding)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(bytes: &[u8], charset: Charset) -> Result<(String, u64), IntakeError> {
        let mut file = tempfile::tempfile()?;
        std::io::Write::write_all(&mut file, bytes)?;
        let mut reader = TextReader::new(file, charset)?;
        let mut out = Vec::new();
        while reader.fill(&mut out)? {}
        assert_eq!(reader.position(), wide(bytes.len()));
        Ok((String::from_utf8(out).unwrap(), reader.malformed()))
    }

    #[test]
    fn every_encoding_becomes_utf8() {
        let check = |bytes: &[u8], charset, expect: &str| assert_eq!(decoded(bytes, charset).unwrap().0, expect);
        check(b"a,\xC3\xA9", Charset::Utf8, "a,é");
        check(b"\xEF\xBB\xBFa", Charset::Utf8, "a");
        check(b"\xFF\xFEa\0,\0", Charset::Utf16Le, "a,");
        check(b"\0a\0,", Charset::Utf16Be, "a,");
        check(b"caf\xE9 \x93x\x94", Charset::Legacy(WINDOWS_1252), "café “x”");
        check(b"\xC3\xA9 and \xE9\xC3", Charset::Utf8WithStrayBytes, "é and éÃ");
    }

    #[test]
    fn characters_across_chunks_stay_whole() {
        let text = "é".repeat(CHUNK_BYTES);
        let shifted = format!("a{text}");
        assert_eq!(decoded(shifted.as_bytes(), Charset::Utf8).unwrap().0, shifted);
        assert_eq!(decoded(shifted.as_bytes(), Charset::Utf8WithStrayBytes).unwrap(), (shifted, 0));
    }

    #[test]
    fn invalid_utf8_is_an_error_wherever_it_is() {
        for bytes in [&b"a\xE9b"[..], b"a\xC3"] {
            assert!(matches!(decoded(bytes, Charset::Utf8), Err(IntakeError::Encoding { .. })), "{bytes:?}");
        }
    }

    #[test]
    fn labels_are_those_of_the_standard() {
        assert_eq!(declared("latin1").unwrap(), Charset::Legacy(WINDOWS_1252));
        assert_eq!(declared("UTF8").unwrap(), Charset::Utf8);
        assert!(declared("klingon").is_err());
    }
}
