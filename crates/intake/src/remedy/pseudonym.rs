//! Pseudonyms: HMAC-SHA-256 (RFC 2104, FIPS 198-1) under a secret key of the dataset.
//!
//! Without the key nobody can try the values that there may be, as anyone can with a bare hash: the taxi medallions of New
//! York were read back from theirs within hours. With it the same value has the same pseudonym in every column and every
//! version, so that rows about one thing can still be followed.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// Hexadecimal digits of a pseudonym, after a `p` that tells it from a bare hash: 128 bits, so that two of a billion values
/// share one with a chance below 10^-20.
pub const PSEUDONYM_DIGITS: usize = 32;
const KEY_BYTES: usize = 32;

/// The secret key of a dataset's pseudonyms: 256 random bits, written as 64 hexadecimal digits. It is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct PseudonymKey([u8; KEY_BYTES]);

impl PseudonymKey {
    /// The key of these bits, which must be random.
    #[must_use]
    pub const fn new(bits: [u8; KEY_BYTES]) -> Self {
        Self(bits)
    }

    /// The key made ready once for many values.
    pub(super) fn keyed(&self) -> Option<Keyed> {
        Hmac::new_from_slice(&self.0).ok().map(Keyed)
    }
}

/// A key that is ready.
pub(super) struct Keyed(Hmac<Sha256>);

impl Keyed {
    /// The pseudonym of a value.
    pub(super) fn pseudonym(&self, value: &[u8], into: &mut String) {
        let mut mac = self.0.clone();
        mac.update(value);
        into.clear();
        into.push('p');
        for byte in mac.finalize().into_bytes().iter().take(PSEUDONYM_DIGITS / 2) {
            into.push(digit(byte >> 4));
            into.push(digit(byte & 15));
        }
    }
}

impl fmt::Debug for PseudonymKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PseudonymKey")
    }
}

impl From<PseudonymKey> for String {
    fn from(key: PseudonymKey) -> Self {
        key.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }
}

impl TryFrom<String> for PseudonymKey {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let wrong = "a key of pseudonyms has 64 hexadecimal digits";
        let mut key = [0; KEY_BYTES];
        if text.len() != KEY_BYTES * 2 {
            return Err(wrong);
        }
        for (place, pair) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| wrong)?;
            *place = u8::from_str_radix(pair, 16).map_err(|_| wrong)?;
        }
        Ok(Self(key))
    }
}

fn digit(nibble: u8) -> char {
    char::from_digit(u32::from(nibble), 16).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_hmac_of_the_standard() {
        // RFC 4231, test case 2 has a key of four bytes, which HMAC fills up with zeros.
        let mut bits = [0; KEY_BYTES];
        bits[..4].copy_from_slice(b"Jefe");
        let key = PseudonymKey::new(bits);
        let mut pseudonym = String::new();
        key.keyed().unwrap().pseudonym(b"what do ya want for nothing?", &mut pseudonym);
        assert_eq!(pseudonym, "p5bdcc146bf60754e6a042426089575c7");
        assert_eq!(pseudonym.len(), PSEUDONYM_DIGITS + 1);
    }

    #[test]
    fn a_key_is_written_and_read_and_not_shown() {
        let key = PseudonymKey::new([0xab; KEY_BYTES]);
        let text = String::from(key.clone());
        assert_eq!(PseudonymKey::try_from(text.clone()), Ok(key.clone()));
        assert_eq!(format!("{key:?}"), "PseudonymKey");
        assert!(PseudonymKey::try_from(text.replace('a', "g")).is_err());
    }
}
