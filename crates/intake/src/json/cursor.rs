//! Walks through JSON text of any length: finds where values begin and end, holding no more than one row.

use memchr::memchr2;

use crate::error::IntakeError;
use crate::text::TextReader;

/// A place in a JSON text that is read chunk by chunk.
pub(crate) struct Cursor {
    text: TextReader,
    buffer: Vec<u8>,
    at: usize,
    /// From here on the buffer is kept.
    mark: Option<usize>,
    /// Where the last value lies, until the cursor moves on.
    last: (usize, usize),
    ended: bool,
    /// Bytes that one value may have.
    value_bytes_max: usize,
    depth_max: u64,
}

impl Cursor {
    pub(crate) fn new(text: TextReader, value_bytes_max: usize, depth_max: u64) -> Self {
        Self { text, buffer: Vec::new(), at: 0, mark: None, last: (0, 0), ended: false, value_bytes_max, depth_max }
    }

    pub(crate) fn text(&self) -> &TextReader {
        &self.text
    }

    /// The next byte that is not white space, without passing it.
    pub(crate) fn peek(&mut self) -> Result<Option<u8>, IntakeError> {
        loop {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            match rest.iter().position(|byte| !is_space(*byte)) {
                Some(skip) => {
                    self.at += skip;
                    return Ok(self.buffer.get(self.at).copied());
                }
                None => {
                    self.at = self.buffer.len();
                    if !self.more()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// Passes the next byte, which must be this one.
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), IntakeError> {
        match self.peek()? {
            Some(found) if found == byte => {
                self.at += 1;
                Ok(())
            }
            Some(_) => Err(damaged("its brackets, commas or colons are not where JSON has them")),
            None => Err(cut_short()),
        }
    }

    /// Passes the next byte if it is this one.
    pub(crate) fn eat(&mut self, byte: u8) -> Result<bool, IntakeError> {
        let found = self.peek()? == Some(byte);
        self.at += usize::from(found);
        Ok(found)
    }

    /// The next value's text. It stays valid until the cursor moves on.
    pub(crate) fn value(&mut self) -> Result<&[u8], IntakeError> {
        self.peek()?;
        self.mark = Some(self.at);
        let skipped = self.skip_value();
        let start = self.mark.take().unwrap_or(self.at);
        skipped?;
        self.last = (start, self.at);
        Ok(self.last_value())
    }

    /// What [`Cursor::value`] returned last, if the cursor has not moved on.
    pub(crate) fn last_value(&self) -> &[u8] {
        self.buffer.get(self.last.0..self.last.1).unwrap_or_default()
    }

    /// Passes the next value, whatever its length.
    pub(crate) fn skip_value(&mut self) -> Result<(), IntakeError> {
        match self.peek()?.ok_or_else(cut_short)? {
            b'"' => self.skip_string(),
            b'{' | b'[' => self.skip_nested(),
            b',' | b':' | b'}' | b']' => Err(damaged("a value is missing")),
            _ => self.skip_scalar(),
        }
    }

    fn skip_nested(&mut self) -> Result<(), IntakeError> {
        let mut depth = 0_u64;
        loop {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            let structural = |byte: &u8| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']');
            let Some(skip) = rest.iter().position(structural) else {
                self.at = self.buffer.len();
                if !self.more()? {
                    return Err(cut_short());
                }
                continue;
            };
            self.at += skip;
            match self.buffer.get(self.at) {
                Some(b'"') => {
                    self.skip_string()?;
                    continue;
                }
                Some(b'{' | b'[') => {
                    depth += 1;
                    if depth > self.depth_max {
                        return Err(IntakeError::over("the JSON is nested deeper", "depth", self.depth_max));
                    }
                }
                _ => depth -= 1,
            }
            self.at += 1;
            if depth == 0 {
                return Ok(());
            }
        }
    }

    fn skip_string(&mut self) -> Result<(), IntakeError> {
        self.at += 1;
        loop {
            match memchr2(b'"', b'\\', self.buffer.get(self.at..).unwrap_or_default()) {
                Some(skip) => {
                    self.at += skip + 1;
                    if self.buffer.get(self.at - 1) == Some(&b'"') {
                        return Ok(());
                    }
                    if self.at >= self.buffer.len() && !self.more()? {
                        return Err(cut_short());
                    }
                    self.at += 1;
                }
                None => {
                    self.at = self.buffer.len();
                    if !self.more()? {
                        return Err(cut_short());
                    }
                }
            }
        }
    }

    fn skip_scalar(&mut self) -> Result<(), IntakeError> {
        loop {
            let rest = self.buffer.get(self.at..).unwrap_or_default();
            // Never the first byte, or nobody would get on: what is space here is space to `peek`.
            let stop = |byte: &u8| is_space(*byte) || matches!(byte, b',' | b'}' | b']' | b':');
            match rest.iter().position(stop) {
                Some(skip) => {
                    self.at += skip;
                    return Ok(());
                }
                None => {
                    self.at = self.buffer.len();
                    if !self.more()? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Reads on; `false` at the end of the text.
    fn more(&mut self) -> Result<bool, IntakeError> {
        let keep = self.mark.unwrap_or(self.at).min(self.at);
        if self.at - keep > self.value_bytes_max {
            let maximum = crate::cell::wide(self.value_bytes_max);
            return Err(IntakeError::over("a row has more bytes", "row_bytes", maximum));
        }
        self.buffer.drain(..keep);
        self.at -= keep;
        if self.mark.is_some() {
            self.mark = Some(0);
        }
        if !self.ended {
            self.ended = !self.text.fill(&mut self.buffer)?;
        }
        Ok(!self.ended)
    }
}

/// White space of JSON (RFC 8259), and record separators (RFC 8142).
fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n' | 0x1E)
}

fn cut_short() -> IntakeError {
    damaged("it ends before it is complete")
}

pub(crate) fn damaged(reason: &str) -> IntakeError {
    IntakeError::corrupt("JSON", reason)
}
