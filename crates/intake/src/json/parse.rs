//! Parses one JSON value out of a slice, keeping numbers as they are written.
//!
//! serde_json would turn `1.10` into a double, and a large whole number too; what typing needs is the text.

use serde_json::{Map, Number, Value};

/// Why a slice is not one JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotJson;

/// A place in a slice of JSON.
pub(crate) struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
    /// Values that [`Parser::tree`] may still read.
    pub(crate) values_left: u64,
    /// Halves of surrogate pairs, which are no characters, met so far.
    pub(crate) halves: u64,
}

/// A string: its bytes between the quotes as they stand, or unescaped into the buffer that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Text {
    Raw(usize, usize),
    Unescaped(usize, usize),
}

impl<'a> Parser<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, values_left: u64::MAX, halves: 0 }
    }

    /// The bytes at a place that was told.
    pub(crate) fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// The next byte that is not white space.
    pub(crate) fn peek(&mut self) -> Option<u8> {
        while let Some(byte) = self.bytes.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    pub(crate) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.eat(byte) { Ok(()) } else { Err(NotJson) }
    }

    /// Whether nothing but white space is left.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.peek().is_none()
    }

    /// Reads a string; what has escapes is written to `out`.
    pub(crate) fn string(&mut self, out: &mut Vec<u8>) -> Result<Text, NotJson> {
        self.expect(b'"')?;
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let found = memchr::memchr2(b'"', b'\\', rest).ok_or(NotJson)?;
        if rest.get(found) == Some(&b'"') {
            self.at = start + found + 1;
            return Ok(Text::Raw(start, start + found));
        }
        let begin = out.len();
        loop {
            let rest = self.bytes.get(self.at..).unwrap_or_default();
            let found = memchr::memchr2(b'"', b'\\', rest).ok_or(NotJson)?;
            out.extend_from_slice(rest.get(..found).unwrap_or_default());
            self.at += found + 1;
            if rest.get(found) == Some(&b'"') {
                return Ok(Text::Unescaped(begin, out.len()));
            }
            self.escape(out)?;
        }
    }

    fn escape(&mut self, out: &mut Vec<u8>) -> Result<(), NotJson> {
        let byte = *self.bytes.get(self.at).ok_or(NotJson)?;
        self.at += 1;
        out.push(match byte {
            b'"' | b'\\' | b'/' => byte,
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let first = self.four_digits()?;
                let code = match first {
                    0xD800..=0xDBFF if self.bytes.get(self.at..self.at + 2) == Some(b"\\u") => {
                        self.at += 2;
                        let second = self.four_digits()?;
                        let low = second.checked_sub(0xDC00).filter(|low| *low < 0x400).ok_or(NotJson)?;
                        0x10000 + ((first - 0xD800) << 10) + low
                    }
                    other => other,
                };
                let character = char::from_u32(code).unwrap_or_else(|| {
                    self.halves += 1;
                    char::REPLACEMENT_CHARACTER
                });
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                return Ok(());
            }
            _ => return Err(NotJson),
        });
        Ok(())
    }

    fn four_digits(&mut self) -> Result<u32, NotJson> {
        let digits = self.bytes.get(self.at..self.at + 4).ok_or(NotJson)?;
        self.at += 4;
        digits.iter().try_fold(0, |value, byte| Ok(value * 16 + char::from(*byte).to_digit(16).ok_or(NotJson)?))
    }

    /// Reads a number, `true`, `false` or `null`; its place in the slice.
    pub(crate) fn scalar(&mut self) -> Result<(usize, usize), NotJson> {
        self.peek();
        let start = self.at;
        let rest = self.bytes.get(start..).unwrap_or_default();
        let stop = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b'}' | b']' | b':');
        let length = rest.iter().position(stop).unwrap_or(rest.len());
        self.at = start + length;
        let word = rest.get(..length).unwrap_or_default();
        let good = matches!(word, b"true" | b"false" | b"null") || is_number(word);
        if good { Ok((start, self.at)) } else { Err(NotJson) }
    }

    /// Copies the next value without white space between its parts.
    pub(crate) fn compact(&mut self, out: &mut Vec<u8>, depth: u64) -> Result<(), NotJson> {
        let close = match self.peek().ok_or(NotJson)? {
            b'"' => {
                let start = self.at;
                self.string(&mut Vec::new())?;
                out.extend_from_slice(self.bytes.get(start..self.at).unwrap_or_default());
                return Ok(());
            }
            b'[' => b']',
            b'{' => b'}',
            _ => {
                let (start, end) = self.scalar()?;
                out.extend_from_slice(self.bytes.get(start..end).unwrap_or_default());
                return Ok(());
            }
        };
        let depth = depth.checked_sub(1).ok_or(NotJson)?;
        out.push(if close == b']' { b'[' } else { b'{' });
        self.at += 1;
        let mut first = true;
        while !self.eat(close) {
            if !std::mem::take(&mut first) {
                self.expect(b',')?;
                out.push(b',');
            }
            if close == b'}' {
                if self.peek() != Some(b'"') {
                    return Err(NotJson);
                }
                self.compact(out, depth)?;
                self.expect(b':')?;
                out.push(b':');
            }
            self.compact(out, depth)?;
        }
        out.push(close);
        Ok(())
    }

    /// Reads the next value whole, numbers as the nearest double.
    pub(crate) fn tree(&mut self, depth: u64) -> Result<Value, NotJson> {
        self.values_left = self.values_left.checked_sub(1).ok_or(NotJson)?;
        match self.peek().ok_or(NotJson)? {
            b'"' => {
                let mut out = Vec::new();
                self.string(&mut out).map(|text| Value::String(self.shown(text, &out)))
            }
            b'[' => {
                let depth = depth.checked_sub(1).ok_or(NotJson)?;
                self.at += 1;
                let mut members = Vec::new();
                while !self.eat(b']') {
                    if !members.is_empty() {
                        self.expect(b',')?;
                    }
                    members.push(self.tree(depth)?);
                }
                Ok(Value::Array(members))
            }
            b'{' => {
                let depth = depth.checked_sub(1).ok_or(NotJson)?;
                self.at += 1;
                let mut members = Map::new();
                let mut first = true;
                while !self.eat(b'}') {
                    if !std::mem::take(&mut first) {
                        self.expect(b',')?;
                    }
                    let mut out = Vec::new();
                    let key = self.string(&mut out).map(|text| self.shown(text, &out))?;
                    self.expect(b':')?;
                    members.insert(key, self.tree(depth)?);
                }
                Ok(Value::Object(members))
            }
            _ => {
                let (start, end) = self.scalar()?;
                match self.bytes.get(start..end).unwrap_or_default() {
                    b"true" => Ok(Value::Bool(true)),
                    b"false" => Ok(Value::Bool(false)),
                    b"null" => Ok(Value::Null),
                    number => {
                        let number = std::str::from_utf8(number).map_err(|_| NotJson)?.parse().map_err(|_| NotJson)?;
                        Number::from_f64(number).map(Value::Number).ok_or(NotJson)
                    }
                }
            }
        }
    }

    fn shown(&self, text: Text, out: &[u8]) -> String {
        let bytes = match text {
            Text::Raw(start, end) => self.bytes.get(start..end),
            Text::Unescaped(start, end) => out.get(start..end),
        };
        String::from_utf8_lossy(bytes.unwrap_or_default()).into_owned()
    }
}

/// Whether the word is a number as JSON spells it.
fn is_number(word: &[u8]) -> bool {
    let word = word.strip_prefix(b"-").unwrap_or(word);
    let digits = |bytes: &[u8]| bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = digits(word);
    if whole == 0 || (whole > 1 && word.starts_with(b"0")) {
        return false;
    }
    let mut rest = word.get(whole..).unwrap_or_default();
    if let Some(fraction) = rest.strip_prefix(b".") {
        let length = digits(fraction);
        if length == 0 {
            return false;
        }
        rest = fraction.get(length..).unwrap_or_default();
    }
    if let Some(power) = rest.strip_prefix(b"e").or_else(|| rest.strip_prefix(b"E")) {
        let power = power.strip_prefix(b"+").or_else(|| power.strip_prefix(b"-")).unwrap_or(power);
        return !power.is_empty() && digits(power) == power.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_compacted_and_checked() {
        let check = |text: &str, expect: Option<&str>| {
            let mut out = Vec::new();
            let mut parser = Parser::new(text.as_bytes());
            let found = parser.compact(&mut out, 8).ok().filter(|()| parser.is_at_end());
            assert_eq!(found.map(|()| String::from_utf8(out).unwrap()).as_deref(), expect, "{text}");
        };
        check("[ 1 , \"a b\\\"\" , { \"x\" : [ ] } ]", Some("[1,\"a b\\\"\",{\"x\":[]}]"));
        check("1.10", Some("1.10"));
        for bad in
            ["[1,]", "[1 2]", "{1:2}", "{\"a\"}", "01", "1.", "nul", "\"a", "[[[[[[[[[1]]]]]]]]]", "\"a\" \"b\"", ""]
        {
            check(bad, None);
        }
    }

    #[test]
    fn strings_are_unescaped() {
        let check = |text: &str, expect: &str| {
            let tree = Parser::new(text.as_bytes()).tree(4);
            assert_eq!(tree, Ok(Value::String(expect.to_owned())), "{text}");
        };
        check(r#""plain é""#, "plain é");
        check(r#""a\n\t\"\\\/\u00e9\ud83d\ude00""#, "a\n\t\"\\/é😀");
        check(r#""\ud83d x""#, "\u{fffd} x");
    }

    #[test]
    fn coordinates_are_the_nearest_double() {
        let tree = Parser::new(b"[-78.898622, 35.9940329]").tree(4).unwrap();
        assert_eq!(tree, serde_json::json!([-78.898_622_f64, 35.994_032_9_f64]));
    }
}
