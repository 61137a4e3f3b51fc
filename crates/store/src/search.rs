//! Looking for texts byte by byte: how it is shown that something is gone.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use aho_corasick::AhoCorasick;
use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;

use crate::error::StoreError;

/// Shorter texts are found everywhere by chance.
const BYTES_MIN: usize = 6;
const CHUNK_BYTES: usize = 1024 * 1024;

/// Texts to look for, each as it is and in the encodings that programs put texts into: UTF-8, UTF-16 in both orders, hex in
/// both cases, base64 at each of the three places that it may begin at. Compressed bytes hold none of them.
#[derive(Clone, Debug)]
pub struct Needles {
    patterns: Arc<AhoCorasick>,
    longest: usize,
    texts: u64,
}

/// How often something was found, by place.
pub type Searched = std::collections::BTreeMap<String, u64>;

impl Needles {
    /// Texts of less than six bytes are left out.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] when there are too many.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, StoreError> {
        let mut forms = std::collections::BTreeSet::new();
        let mut count = 0;
        for text in texts.into_iter().filter(|text| text.len() >= BYTES_MIN) {
            count += 1;
            forms.extend(forms_of(text));
        }
        let longest = forms.iter().map(Vec::len).max().unwrap_or(0);
        let patterns = AhoCorasick::new(&forms)
            .map_err(|error| StoreError::invalid_since("there are too many texts to look for", error))?;
        Ok(Self { patterns: Arc::new(patterns), longest, texts: count })
    }

    /// How many texts.
    #[must_use]
    pub const fn texts(&self) -> u64 {
        self.texts
    }

    /// Looks through a local file.
    pub(crate) async fn search_file(&self, file: Arc<File>) -> Result<u64, StoreError> {
        let needles = self.clone();
        let search = move || {
            let mut finder = Finder::new(&needles);
            let (mut buffer, mut at) = (vec![0; CHUNK_BYTES], 0);
            loop {
                let read = file.read_at(&mut buffer, at).map_err(StoreError::local_file)?;
                at = at.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
                match buffer.get(..read) {
                    Some(bytes) if !bytes.is_empty() => finder.look(bytes),
                    _ => return Ok(finder.found()),
                }
            }
        };
        tokio::task::spawn_blocking(search).await.map_err(StoreError::storage)?
    }
}

/// Looks through bytes as they come.
pub(crate) struct Finder<'a> {
    needles: &'a Needles,
    /// The end of what was looked through, in which a text may have begun.
    tail: Vec<u8>,
    found: u64,
}

impl<'a> Finder<'a> {
    pub(crate) fn new(needles: &'a Needles) -> Self {
        Self { needles, tail: Vec::new(), found: 0 }
    }

    pub(crate) fn look(&mut self, bytes: &[u8]) {
        if self.needles.longest == 0 {
            return;
        }
        let before = self.tail.len();
        self.tail.extend_from_slice(bytes);
        // What lies in the tail alone was counted before.
        let new = self.needles.patterns.find_overlapping_iter(&self.tail).filter(|found| found.end() > before).count();
        self.found = self.found.saturating_add(u64::try_from(new).unwrap_or(u64::MAX));
        let keep = self.needles.longest.saturating_sub(1);
        self.tail.drain(..self.tail.len().saturating_sub(keep));
    }

    pub(crate) const fn found(&self) -> u64 {
        self.found
    }
}

impl Write for Finder<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.look(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn forms_of(text: &str) -> Vec<Vec<u8>> {
    let plain = text.as_bytes();
    let hex: String = plain.iter().map(|byte| format!("{byte:02x}")).collect();
    let units: Vec<u16> = text.encode_utf16().collect();
    let mut forms = vec![
        plain.to_vec(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
        units.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
    ];
    // As a string in JSON, where it is spelt otherwise there.
    if let Ok(json) = serde_json::to_string(text) {
        forms.push(json.trim_matches('"').as_bytes().to_vec());
    }
    // What of base64 depends on the text alone, and not on its neighbours.
    for before in 0..3_usize {
        let encoded = BASE64_STANDARD_NO_PAD.encode([&vec![0; before], plain].concat());
        let (start, whole) = (before.saturating_mul(8).div_ceil(6), before.saturating_add(plain.len()));
        let end = whole.saturating_mul(8) / 6;
        forms.extend(encoded.as_bytes().get(start..end).map(<[u8]>::to_vec));
    }
    forms.retain(|form| form.len() >= BYTES_MIN);
    forms
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::BASE64_STANDARD;

    fn count(haystack: &[u8], chunk: usize) -> u64 {
        let needles = Needles::new(["canary-7", "Zürich/9", "short"]).unwrap();
        assert_eq!(needles.texts(), 2);
        let mut finder = Finder::new(&needles);
        haystack.chunks(chunk).for_each(|bytes| finder.look(bytes));
        finder.found()
    }

    #[test]
    fn a_text_is_found_in_every_encoding_and_across_pieces() {
        for text in ["canary-7", "Zürich/9"] {
            let units: Vec<u16> = text.encode_utf16().collect();
            let mut haystacks: Vec<Vec<u8>> = vec![
                format!("…{text}…").into_bytes(),
                units.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
                units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
                text.bytes().map(|byte| format!("{byte:02X}")).collect::<String>().into_bytes(),
            ];
            for before in ["", "a", "ab", "abc"] {
                haystacks.push(BASE64_STANDARD.encode(format!("{before}{text}xyz")).into_bytes());
            }
            for haystack in &haystacks {
                for chunk in [1, 3, 7, haystack.len()] {
                    assert!(count(haystack, chunk) >= 1, "{text} {haystack:?} in pieces of {chunk}");
                    assert_eq!(count(haystack, chunk), count(haystack, haystack.len()));
                }
            }
        }
        assert_eq!(count(b"nothing of the kind, and short", 4), 0);
    }
}
