//! Text within quotes: CSV's and JSON's, with a fast way through what needs no escape.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// The bytes that make a CSV cell need quotes.
#[derive(Clone, Copy)]
pub(crate) struct Special {
    delimiter: u8,
    splat: u64,
}

impl Special {
    /// The delimiter, the quote, CR and LF.
    pub(crate) fn new(delimiter: u8) -> Self {
        Self { delimiter, splat: ONES * u64::from(delimiter) }
    }

    /// Whether any of them is in `bytes`.
    pub(crate) fn any_in(self, bytes: &[u8]) -> bool {
        any(
            bytes,
            |byte| byte == self.delimiter || matches!(byte, b'"' | b'\r' | b'\n'),
            |word| {
                zero_in(word ^ self.splat)
                    | zero_in(word ^ (ONES * 0x22))
                    | zero_in(word ^ (ONES * 0x0D))
                    | zero_in(word ^ (ONES * 0x0A))
            },
        )
    }

    /// Appends a CSV cell, in quotes where it needs them.
    pub(crate) fn cell(self, out: &mut Vec<u8>, bytes: &[u8]) {
        if self.any_in(bytes) {
            quoted(out, bytes);
        } else {
            out.extend_from_slice(bytes);
        }
    }
}

/// Appends a CSV cell in quotes, with those inside doubled.
pub(crate) fn quoted(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    for (index, part) in bytes.split(|byte| *byte == b'"').enumerate() {
        if index > 0 {
            out.extend_from_slice(b"\"\"");
        }
        out.extend_from_slice(part);
    }
    out.push(b'"');
}

/// Appends a JSON string.
pub(crate) fn json_string(out: &mut Vec<u8>, text: &str) {
    let bytes = text.as_bytes();
    out.push(b'"');
    let escapes = any(
        bytes,
        |byte| byte < 0x20 || matches!(byte, b'"' | b'\\'),
        |word| below_space(word) | zero_in(word ^ (ONES * 0x22)) | zero_in(word ^ (ONES * 0x5C)),
    );
    if escapes {
        json_escaped(out, bytes);
    } else {
        out.extend_from_slice(bytes);
    }
    out.push(b'"');
}

fn json_escaped(out: &mut Vec<u8>, bytes: &[u8]) {
    for &byte in bytes {
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            control if control < 0x20 => {
                out.extend_from_slice(b"\\u00");
                super::number::hex(out, &[control]);
            }
            other => out.push(other),
        }
    }
}

/// Looks for bytes, eight at a time; the last eight overlap those before.
#[inline]
fn any(bytes: &[u8], is: impl Fn(u8) -> bool, in_word: impl Fn(u64) -> u64) -> bool {
    let Some(last) = bytes.last_chunk::<8>() else {
        return bytes.iter().any(|byte| is(*byte));
    };
    let (words, _) = bytes.as_chunks::<8>();
    words.iter().any(|word| in_word(u64::from_le_bytes(*word)) != 0) || in_word(u64::from_le_bytes(*last)) != 0
}

/// Not zero where a byte of the word is zero.
fn zero_in(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

/// Not zero where a byte of the word is below the space.
fn below_space(word: u64) -> u64 {
    word.wrapping_sub(ONES * 0x20) & !word & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_at_every_place_is_seen() {
        let special = Special::new(b'\t');
        for length in 1..40 {
            for place in 0..length {
                for byte in 0..=255_u8 {
                    let mut bytes = vec![b'a'; length];
                    bytes[place] = byte;
                    let expected = matches!(byte, b'\t' | b'"' | b'\r' | b'\n');
                    assert_eq!(special.any_in(&bytes), expected, "{byte} at {place} of {length}");
                    if let Ok(text) = std::str::from_utf8(&bytes) {
                        let mut out = Vec::new();
                        json_string(&mut out, text);
                        assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
                    }
                }
            }
        }
    }

    #[test]
    fn quotes_are_doubled() {
        let check = |text: &str, expected: &str| {
            let mut out = Vec::new();
            Special::new(b',').cell(&mut out, text.as_bytes());
            assert_eq!(String::from_utf8(out).unwrap(), expected);
        };
        check("plain", "plain");
        check(" spaces ", " spaces ");
        check("a,b", "\"a,b\"");
        check("\"", "\"\"\"\"");
        check("say \"hi\", twice\r\n", "\"say \"\"hi\"\", twice\r\n\"");
    }
}
