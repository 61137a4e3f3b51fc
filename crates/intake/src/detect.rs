//! What a file is, by its first bytes; the extension decides only between texts.

/// A wrapping that is taken off before reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    Gzip,
    Zstd,
    Zip,
}

/// What the bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Packed(Packing),
    /// An Office Open XML workbook: told from other zip archives by its entries.
    Workbook,
    Parquet,
    ArrowFile,
    ArrowStream,
    /// Text of some sort, or not known: the text detector says more.
    Text,
    /// Known and not read: what it is and what to do instead.
    Refused(&'static str, &'static str),
    /// Encrypted.
    Encrypted(&'static str),
}

/// Bytes that [`content`] wants to see.
pub(crate) const PREFIX_BYTES: usize = 64 * 1024;

const AS_CSV: &str = "export it as CSV, XLSX, JSON, GeoJSON or Parquet";
const UNPACK: &str = "unpack it, or pack the one file as gzip, zstd or zip";

/// Magic numbers of what is not read. Those that a column's name may begin with need more: see [`lettered`].
const FOREIGN: &[(&[u8], &str, &str)] = &[
    (b"%PDF-", "a PDF document", AS_CSV),
    (b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "an old or protected Office document (.xls)", "save it as .xlsx or CSV"),
    (b"\xFD7zXZ\0", "an xz archive", UNPACK),
    (b"7z\xBC\xAF\x27\x1C", "a 7-Zip archive", UNPACK),
    (b"Rar!\x1A\x07", "a RAR archive", UNPACK),
    (b"\x1F\x9D", "a compress archive", UNPACK),
    (b"\x04\x22\x4D\x18", "an LZ4 archive", UNPACK),
    (b"Obj\x01", "an Avro file", AS_CSV),
    (b"SQLite format 3\0", "an SQLite database", AS_CSV),
    (b"\x89PNG", "an image", AS_CSV),
    (b"\xFF\xD8\xFF", "an image", AS_CSV),
    (b"GIF87a", "an image", AS_CSV),
    (b"GIF89a", "an image", AS_CSV),
    (b"II*\0", "an image", AS_CSV),
    (b"MM\0*", "an image", AS_CSV),
    (b"\x7FELF", "a program", AS_CSV),
    (b"MZ\x90", "a program", AS_CSV),
    (b"{\\rtf", "a rich-text document", AS_CSV),
    (b"\0\0\x27\x0A", "a shapefile", "export it as GeoJSON"),
    (b"\xFF\xFE\0\0", "UTF-32 text", "save it as UTF-8"),
    (b"\0\0\xFE\xFF", "UTF-32 text", "save it as UTF-8"),
];

/// Tells what the bytes are from the first [`PREFIX_BYTES`] and the last eight.
pub(crate) fn content(prefix: &[u8], suffix: &[u8]) -> Content {
    if prefix.starts_with(b"\x1F\x8B") {
        return Content::Packed(Packing::Gzip);
    }
    if prefix.starts_with(b"\x28\xB5\x2F\xFD") || is_skippable_zstd(prefix) {
        return Content::Packed(Packing::Zstd);
    }
    if prefix.starts_with(b"PK\x03\x04") || prefix.starts_with(b"PK\x05\x06") {
        return Content::Packed(Packing::Zip);
    }
    if let Some(content) = lettered(prefix, suffix) {
        return content;
    }
    if prefix.starts_with(b"PARE") && suffix.ends_with(b"PARE") {
        return Content::Encrypted("the Parquet file");
    }
    if prefix.starts_with(b"ARROW1\0\0") {
        return Content::ArrowFile;
    }
    if is_arrow_stream(prefix) {
        return Content::ArrowStream;
    }
    if let Some((_, what, hint)) = FOREIGN.iter().find(|(magic, _, _)| prefix.starts_with(magic)) {
        return Content::Refused(what, hint);
    }
    if prefix.get(257..262) == Some(b"ustar") {
        return Content::Refused("a tar archive", UNPACK);
    }
    Content::Text
}

/// Formats whose magic number is letters and digits, as a column's name may be: they are told by their end as well, or,
/// when that is cut off, by bytes that no text has.
fn lettered(prefix: &[u8], suffix: &[u8]) -> Option<Content> {
    let odd = |byte: &u8| matches!(byte, 0..=8 | 14..=25 | 27..=31);
    let cut_off = || prefix.iter().any(odd);
    if prefix.starts_with(b"PAR1") && (suffix.ends_with(b"PAR1") || cut_off()) {
        return Some(Content::Parquet);
    }
    if prefix.starts_with(b"FEA1") && (suffix.ends_with(b"FEA1") || cut_off()) {
        return Some(Content::Refused("a Feather version 1 file", "write it as Arrow IPC or Parquet"));
    }
    // The length of the postscript is the last byte.
    let before_last = suffix.split_last().map_or(suffix, |(_, before)| before);
    if prefix.starts_with(b"ORC") && (before_last.ends_with(b"ORC") || cut_off()) {
        return Some(Content::Refused("an ORC file", AS_CSV));
    }
    // The size of a block, and the digits of pi that begin one, or those of its square root that end the last.
    match prefix {
        [b'B', b'Z', b'h', b'1'..=b'9', block @ ..]
            if block.starts_with(b"1AY&SY") || block.starts_with(b"\x17rE8P\x90") =>
        {
            Some(Content::Refused("a bzip2 archive", UNPACK))
        }
        _ => None,
    }
}

/// Whether text is markup, and which; `None` for what may be a table.
pub(crate) fn markup(text: &[u8]) -> Option<(&'static str, &'static str)> {
    let text = text.trim_ascii_start();
    let starts = |word: &[u8]| text.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word));
    if starts(b"<!doctype html") || starts(b"<html") || starts(b"<head") || starts(b"<body") || starts(b"<table") {
        return Some(("an HTML page", AS_CSV));
    }
    let next_is_name = text.get(1).is_some_and(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'?' | b'!'));
    (text.first() == Some(&b'<') && next_is_name).then_some(("an XML or HTML document", AS_CSV))
}

/// Texts that are no tables, by extension: nothing in their bytes tells them from one.
pub(crate) fn foreign_text(extension: &str) -> Option<(&'static str, &'static str)> {
    Some(match extension {
        "md" | "markdown" | "rst" => ("a text document", AS_CSV),
        "yaml" | "yml" => ("a YAML document", AS_CSV),
        "toml" | "ini" | "cfg" | "properties" | "gitignore" => ("a configuration file", AS_CSV),
        "html" | "htm" => ("an HTML page", AS_CSV),
        "xml" | "rels" | "vml" | "kml" | "gpx" | "svg" => ("an XML document", AS_CSV),
        "sql" | "py" | "r" | "js" | "sh" | "rs" | "css" | "dot" => ("a program or script", AS_CSV),
        "dbf" => ("a dBASE file", AS_CSV),
        "xls" | "doc" | "docx" | "odt" | "ods" => ("an Office document", "save it as .xlsx or CSV"),
        _ => return None,
    })
}

/// Whether bytes are no text at all: more than one in ten is a control character that texts do not hold.
pub(crate) fn is_binary(prefix: &[u8]) -> bool {
    let odd = prefix.iter().filter(|byte| matches!(byte, 1..=8 | 14..=26 | 28 | 29 | 127)).count();
    let zeros = prefix.iter().filter(|byte| **byte == 0).count();
    odd * 20 > prefix.len() || zeros * 4 > prefix.len()
}

fn is_skippable_zstd(prefix: &[u8]) -> bool {
    matches!(prefix, [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..])
}

fn is_arrow_stream(prefix: &[u8]) -> bool {
    // A continuation marker, then the length of a schema message, which flatbuffers pads to 8 bytes.
    match prefix {
        [0xFF, 0xFF, 0xFF, 0xFF, a, b, c, d, ..] => {
            let length = u32::from_le_bytes([*a, *b, *c, *d]);
            length > 0 && length % 8 == 0 && length < 1 << 28
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn magic_numbers_decide() {
        let check = |bytes: &[u8], expect: Content| assert_eq!(content(bytes, bytes), expect, "{bytes:?}");
        check(b"\x1F\x8B\x08", Content::Packed(Packing::Gzip));
        check(b"\x28\xB5\x2F\xFD\0", Content::Packed(Packing::Zstd));
        check(b"PK\x03\x04", Content::Packed(Packing::Zip));
        check(b"PAR1....PAR1", Content::Parquet);
        check(b"PARE....PARE", Content::Encrypted("the Parquet file"));
        check(b"ARROW1\0\0", Content::ArrowFile);
        check(b"\xFF\xFF\xFF\xFF\x10\0\0\0", Content::ArrowStream);
        check(b"a,b\n1,2\n", Content::Text);
        check(b"", Content::Text);
        assert!(matches!(content(b"%PDF-1.4", b""), Content::Refused("a PDF document", _)));
    }

    #[test]
    fn names_that_begin_like_a_magic_number_are_text() {
        let check = |head: &[u8], expect: Content| {
            let text = [head, b"\n1,2\n3,4\n"].concat();
            assert_eq!(content(&text, &text), expect, "{head:?}");
        };
        for head in
            [&b"ORC Section,Fine"[..], b"ORCHARD,ACRES", b"PAR1,PAR2", b"BZhome,b", b"BZh1,b", b"GIF8,b", b"FEA1,b"]
        {
            check(head, Content::Text);
        }
        check(b"PAR1\x15\x04", Content::Parquet);
        let refused = |bytes: &[u8]| matches!(content(bytes, bytes), Content::Refused(..));
        assert!(refused(b"ORC\x08\x03"));
        assert!(refused(b"ORC....ORC\x17"));
        assert!(refused(b"FEA1....FEA1"));
        assert!(refused(b"BZh91AY&SY"));
        assert!(refused(b"BZh9\x17rE8P\x90"));
        assert!(refused(b"GIF89a"));
    }

    #[test]
    fn markup_is_told_from_text() {
        let check = |text: &str, expect: bool| assert_eq!(markup(text.as_bytes()).is_some(), expect, "{text}");
        check("<!DOCTYPE html>", true);
        check("\n <html>", true);
        check("<?xml version='1.0'?>", true);
        check("<5,>6\n1,2", false);
        check("a,b", false);
    }

    #[test]
    fn binary_is_told_from_text_with_a_few_nulls() {
        assert!(!is_binary(b"county,precinct\nORANGE,\0\n"));
        assert!(is_binary(&[1, 2, 3, 4, 5, 0, 0, 0, 0, 0, 0]));
    }
}
