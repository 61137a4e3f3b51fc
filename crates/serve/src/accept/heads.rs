//! The heads of HTTP/1 requests, followed from one to the next: a line of one ends with CR LF, and with nothing less.
//!
//! The library below also takes a bare LF for the end of a line. A proxy that does not (RFC 9112 §2.2 leaves it the
//! choice) sees one header where we would see two, or one request. Such an LF becomes a NUL, which is in no head: the
//! library then answers 400 and closes, as it does to every other head that is none.
//!
//! Where the length of a body is in doubt, nothing more is looked at: the connection ends after that request.

/// Bytes that are kept of a line: those that matter here are shorter.
const LINE_BYTES: usize = 128;

/// Where in the requests of a connection the reader is.
#[derive(Clone, Debug, Default)]
pub(super) struct Heads {
    place: Place,
    line: Vec<u8>,
    /// The byte before.
    before: u8,
    /// What the head under way says of its body.
    body: Framing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Before the first line of a head, where lines may be empty.
    #[default]
    First,
    /// In the headers.
    Headers,
    /// So many bytes of a body to go.
    Body(u64),
    /// In the line with the size of a chunk.
    Size,
    /// So many bytes of a chunk to go, and of the end of its line.
    Chunk(u64),
    /// After the last chunk.
    Trailers,
    /// No longer followed.
    Lost,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Framing {
    length: Option<u64>,
    chunked: bool,
    doubtful: bool,
}

impl Heads {
    /// Follows the bytes that came in.
    pub(super) fn follow(&mut self, mut bytes: &mut [u8]) {
        while let Some(first) = bytes.first_mut() {
            let passed = match self.place {
                Place::Lost => return,
                Place::Body(left) => {
                    let passed = least(left, bytes.len());
                    self.place = if passed.1 == left { Place::First } else { Place::Body(left - passed.1) };
                    passed.0
                }
                Place::Chunk(left) => {
                    let passed = least(left, bytes.len());
                    self.place = if passed.1 == left { Place::Size } else { Place::Chunk(left - passed.1) };
                    passed.0
                }
                Place::First | Place::Headers | Place::Size | Place::Trailers => {
                    self.byte(first);
                    1
                }
            };
            bytes = std::mem::take(&mut bytes).get_mut(passed..).unwrap_or_default();
        }
    }

    /// One byte of a line.
    fn byte(&mut self, byte: &mut u8) {
        let before = std::mem::replace(&mut self.before, *byte);
        if *byte != b'\n' {
            if self.line.len() <= LINE_BYTES {
                self.line.push(*byte);
            }
            return;
        }
        if before != b'\r' {
            *byte = 0;
            self.place = Place::Lost;
            return;
        }
        let mut line = std::mem::take(&mut self.line);
        let whole = line.len() <= LINE_BYTES;
        line.pop();
        self.place = match self.place {
            Place::First if line.is_empty() => Place::First,
            Place::First => Place::Headers,
            Place::Headers if line.is_empty() => self.end_of_head(),
            Place::Headers => {
                self.body.header(&line, whole);
                Place::Headers
            }
            Place::Size => match chunk_size(&line) {
                Some(0) => Place::Trailers,
                // And the end of its line.
                Some(size) => size.checked_add(2).map_or(Place::Lost, Place::Chunk),
                None => Place::Lost,
            },
            Place::Trailers if line.is_empty() => Place::First,
            other => other,
        };
        line.clear();
        self.line = line;
    }

    fn end_of_head(&mut self) -> Place {
        match std::mem::take(&mut self.body) {
            Framing { doubtful: true, .. } | Framing { length: Some(_), chunked: true, .. } => Place::Lost,
            Framing { chunked: true, .. } => Place::Size,
            Framing { length: None | Some(0), .. } => Place::First,
            Framing { length: Some(length), .. } => Place::Body(length),
        }
    }
}

impl Framing {
    /// Notes what a header says of the body; a line that was too long to be kept whole says nothing that can be trusted.
    fn header(&mut self, line: &[u8], whole: bool) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { return };
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default().trim_ascii();
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.doubtful |= self.chunked || !whole || !value.eq_ignore_ascii_case(b"chunked");
            self.chunked = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let length = Some(value).filter(|value| whole && value.iter().all(u8::is_ascii_digit));
            let length = length.and_then(|value| std::str::from_utf8(value).ok()?.parse().ok());
            self.doubtful |= length.is_none() || self.length.is_some_and(|other| Some(other) != length);
            self.length = length;
        }
    }
}

/// The smaller of what is left and what is there, in both of their types.
fn least(left: u64, there: usize) -> (usize, u64) {
    let passed = usize::try_from(left).unwrap_or(usize::MAX).min(there);
    (passed, u64::try_from(passed).unwrap_or(left))
}

/// The size in the first line of a chunk, in hex, before its extensions.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| *byte == b';').next()?.trim_ascii();
    let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u64::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes as the library gets them, however they come in.
    fn passed(text: &str) -> Vec<u8> {
        let mut answers = Vec::new();
        for piece in [1, 2, 7, 4096] {
            let (mut heads, mut bytes) = (Heads::default(), text.as_bytes().to_vec());
            bytes.chunks_mut(piece).for_each(|chunk| heads.follow(chunk));
            answers.push(bytes);
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{text:?}");
        answers.remove(0)
    }

    #[test]
    fn bodies_are_not_heads() {
        let head = "GET /x?a=b HTTP/1.1\r\nHost: x\r\n";
        let long = format!("X: {}\r\n", "y".repeat(1_000));
        let requests = [
            format!("{head}\r\n"),
            format!("\r\n\r\n{head}{long}\r\n"),
            format!("{head}Content-Length: 0\r\n\r\n"),
            format!("{head}{long}content-length:5 \r\nContent-Length: 5\r\n\r\na\nb\n\n"),
            format!(
                "{head}Transfer-Encoding: Chunked\r\n\r\n3;x=\"y\"\r\n\n\n\n\r\n0a\r\n{}\r\n0\r\n\r\n",
                "\n".repeat(10)
            ),
            format!("{head}Transfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n"),
        ];
        for one in &requests {
            for other in &requests {
                let text = format!("{one}{other}{one}");
                assert_eq!(passed(&text), text.as_bytes(), "{text:?}");
                let bare = format!("{one}{other}GET / HTTP/1.1\nHost: x\r\n\r\n");
                assert_eq!(passed(&bare).iter().filter(|byte| **byte == 0).count(), 1, "{bare:?}");
            }
        }
    }

    #[test]
    fn a_bare_line_feed_ends_no_line() {
        for text in [
            "\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
            "GET / HTTP/1.1\nHost: x\n\n",
            "GET / HTTP/1.1\r\nX: a\nTransfer-Encoding: chunked\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: x\r\n\n",
            "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\n\r\n",
        ] {
            let place = passed(text).iter().position(|byte| *byte == 0).unwrap();
            assert_eq!(text.as_bytes()[place], b'\n', "{text:?}");
        }
    }

    #[test]
    fn what_is_in_doubt_is_not_followed() {
        for header in [
            "Content-Length: 1\r\nContent-Length: 2",
            "Content-Length: +1",
            "Content-Length: 99999999999999999999",
            "Content-Length: 5\r\nTransfer-Encoding: chunked",
            "Transfer-Encoding: gzip, chunked",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        ] {
            let mut heads = Heads::default();
            heads.follow(format!("POST / HTTP/1.1\r\n{header}\r\n\r\n").into_bytes().as_mut_slice());
            assert_eq!(heads.place, Place::Lost, "{header}");
        }
    }
}
