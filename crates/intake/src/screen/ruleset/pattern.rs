//! Regular expressions of rules, and check digits of what they match.

use regex::bytes::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::super::{digits, iban};
use super::RULE_TEXT_BYTES_MAX;

/// Bytes of a compiled expression, and of what it keeps while it matches.
const PATTERN_MEMORY_BYTES: usize = 1024 * 1024;
/// Digits of a match that a checksum looks at.
const CHECKED_DIGITS_MAX: usize = 40;

/// A regular expression in the syntax of the `regex` crate, whose matching takes time in proportion to the text.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Pattern {
    regex: Regex,
}

impl Pattern {
    pub(in super::super) fn regex(&self) -> &Regex {
        &self.regex
    }

    /// The expression as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.regex.as_str()
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.len() > RULE_TEXT_BYTES_MAX {
            return Err(format!("a pattern has more than {RULE_TEXT_BYTES_MAX} bytes"));
        }
        let built =
            RegexBuilder::new(&text).size_limit(PATTERN_MEMORY_BYTES).dfa_size_limit(PATTERN_MEMORY_BYTES).build();
        let regex = built.map_err(|error| format!("not a regular expression that can be used: {error}"))?;
        if regex.is_match(b"") {
            return Err("a pattern matches the empty text, so it would match every value".to_owned());
        }
        Ok(Self { regex })
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.regex.as_str().to_owned()
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

/// Check digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Checksum {
    /// Luhn's, of ISO/IEC 7812-1.
    Luhn,
    /// The American Bankers Association's, of nine digits.
    Aba,
    /// The remainder by 97 of ISO 13616, country and length included.
    Iban,
}

impl Checksum {
    /// Whether the letters and digits of a match have it right.
    pub(in super::super) fn is_right(self, found: &[u8]) -> bool {
        if self == Self::Iban {
            return iban::shape(found).is_some_and(|number| iban::is_valid(&number));
        }
        let mut buffer = [0; CHECKED_DIGITS_MAX];
        let mut used = 0;
        for byte in found.iter().filter(|byte| byte.is_ascii_digit()) {
            let Some(place) = buffer.get_mut(used) else { return false };
            *place = *byte;
            used += 1;
        }
        let number = buffer.get(..used).unwrap_or_default();
        match self {
            Self::Luhn => used > 1 && digits::is_luhn(number),
            Self::Aba | Self::Iban => digits::is_routing(number),
        }
    }
}
