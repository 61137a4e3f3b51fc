//! One pass over one value: what of the rules on values it holds.
//!
//! Most values are done after counting their bytes by kind and looking for telling words. Only those with an `@`, two
//! colons, four digits or such words are looked at further, run of digits by run of digits and word by word.

use std::sync::LazyLock;

use numbers::Run;

use super::detector::{Detector, Detectors};
use super::digits::{is_card_shape, is_itin, is_luhn, is_phone, is_routing, is_routing_shape, is_ssn};
use super::words::{Mark, Words};
use super::{addresses, internet, medicare, names, secrets};
use crate::profile::hash;

mod numbers;

/// What needs more than one value to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    Card,
    Iban,
    Routing,
}

/// What was found in one value; kept and cleared so that nothing is allocated for most values.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) hits: Detectors,
    pub(super) checked: Vec<Check>,
    pub(super) marks: Vec<Mark>,
    runs: Vec<Run>,
}

impl Found {
    pub(super) fn clear(&mut self) {
        self.hits = Detectors::none();
        self.checked.clear();
        self.marks.clear();
    }
}

/// A number with check digits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Check {
    pub(super) what: Checked,
    /// Tells different numbers apart.
    pub(super) hash: u64,
    /// Whether the check digits are right.
    pub(super) is_valid: bool,
    /// Whether it is written in groups or stands in a longer text, which amounts and identifiers do not.
    pub(super) is_marked: bool,
}

/// How many bytes of each kind a text has.
#[derive(Default)]
struct Counts {
    digits: u32,
    letters: u32,
    spaces: u32,
    ats: u32,
    colons: u32,
}

/// One in the field of a byte's kind, so that one addition counts it: 12 bits for each of five kinds.
static KINDS: LazyLock<[u64; 256]> = LazyLock::new(|| {
    let mut byte = 0_u8;
    std::array::from_fn(|_| {
        let field = match byte {
            b'0'..=b'9' => 1,
            b'a'..=b'z' | b'A'..=b'Z' => 1 << 12,
            b' ' => 1 << 24,
            b'@' => 1 << 36,
            b':' => 1 << 48,
            _ => 0,
        };
        byte = byte.wrapping_add(1);
        field
    })
});

/// Bytes after which a field could be full.
const FIELD_MAX: usize = 4_095;

impl Counts {
    fn of(text: &[u8]) -> Self {
        let kinds: &[u64; 256] = &KINDS;
        let mut all = Self::default();
        for part in text.chunks(FIELD_MAX) {
            let sum: u64 = part.iter().map(|byte| kinds.get(usize::from(*byte)).copied().unwrap_or_default()).sum();
            let field = |shift: u32| u32::try_from(sum >> shift & 0xfff).unwrap_or_default();
            all.digits += field(0);
            all.letters += field(12);
            all.spaces += field(24);
            all.ats += field(36);
            all.colons += field(48);
        }
        all
    }
}

/// Bytes of a text that may name a person besides other things.
const PROSE_BYTES_MIN: usize = 15;

/// Looks at one text in a column whose name tells what the values are.
pub(super) fn scan(text: &[u8], told: Detectors, words: &Words, found: &mut Found) {
    found.clear();
    let Counts { digits, letters, spaces, ats, colons } = Counts::of(text);
    if ats > 0 && internet::has_email(text) {
        found.hits.add(Detector::Email);
    }
    if colons >= 2 && internet::has_public_v6(text) {
        found.hits.add(Detector::Ip);
    }
    if letters >= 2 && text.len() > 4 {
        words.find(text, &mut found.marks);
        if !found.marks.is_empty() {
            secrets::look(text, &found.marks, &mut found.hits);
        }
    }
    if digits >= 4 && (digits >= 6 || told.has(Detector::Ip) || !found.marks.is_empty()) {
        let (mut runs, marks) = (std::mem::take(&mut found.runs), std::mem::take(&mut found.marks));
        numbers::split(text, &mut runs);
        numbers::look(text, &runs, &marks, told, found);
        (found.runs, found.marks) = (runs, marks);
    }
    if digits > 0 && letters > 0 && is_digest(text) {
        found.hits.add(Detector::Digest);
    }
    if digits >= 4 && letters >= 4 && medicare::has_number(text) {
        found.hits.add(Detector::Medicare);
    }
    if digits > 0 && spaces >= 2 && letters >= 4 {
        addresses::look(text, &mut found.hits);
    }
    if spaces > 0 && letters >= 4 {
        if digits == 0 && names::is_name(text) {
            found.hits.add(Detector::Name);
        } else if spaces >= 2 && text.len() > PROSE_BYTES_MIN && names::has_name(text) {
            found.hits.add(Detector::NameInText);
        }
    }
}

/// As long as the digest of a usual hash, and of hexadecimal digits alone.
fn is_digest(text: &[u8]) -> bool {
    matches!(text.len(), 32 | 40 | 64) && text.iter().all(u8::is_ascii_hexdigit)
}

/// A number without separators, in text or in a column of numbers; true when it was of use.
pub(super) fn bare(digits: &[u8], told: Detectors, in_text: bool, found: &mut Found) -> bool {
    let phone = told.has(Detector::Phone);
    match digits.len() {
        9 if told.has(Detector::Ssn) && is_ssn(digits) => found.hits.add(Detector::Ssn),
        9 if told.has(Detector::Itin) && is_itin(digits) => found.hits.add(Detector::Itin),
        10 if phone && is_phone(digits) => found.hits.add(Detector::Phone),
        11 if phone && digits.starts_with(b"1") && digits.get(1..).is_some_and(is_phone) => {
            found.hits.add(Detector::Phone)
        }
        9 if is_routing_shape(digits) => {
            let (hash, is_valid) = (hash::of_bytes(digits, 0), is_routing(digits));
            found.checked.push(Check { what: Checked::Routing, hash, is_valid, is_marked: false });
            return false;
        }
        12..=19 => check_card(digits, in_text, found),
        _ => return false,
    }
    true
}

fn check_card(digits: &[u8], is_marked: bool, found: &mut Found) {
    if is_card_shape(digits) {
        let (hash, is_valid) = (hash::of_bytes(digits, 0), is_luhn(digits));
        found.checked.push(Check { what: Checked::Card, hash, is_valid, is_marked });
    }
}

#[cfg(test)]
mod tests;
