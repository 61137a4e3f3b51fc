//! Looking for tokens wherever they may hide: in every spelling, in compressed bytes, in the pages of tables.

use std::collections::BTreeSet;
use std::io::{Cursor, Read as _};

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, MatchKind};
use arrow::array::RecordBatch;
use arrow::ipc::reader::{FileReader, StreamReader};
use arrow::util::display::array_value_to_string;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::{FileReader as _, SerializedFileReader};

/// How deep one packing may lie in another.
const DEPTH: usize = 4;

/// What is looked for.
pub(crate) struct Tokens {
    patterns: AhoCorasick,
    /// For each pattern its token, and whether it is a number, which stands by itself or is none.
    owners: Vec<(String, bool)>,
}

impl Tokens {
    /// Texts, and counts of rows.
    pub(crate) fn new(texts: impl IntoIterator<Item = String>, counts: impl IntoIterator<Item = usize>) -> Self {
        let (mut patterns, mut owners) = (Vec::new(), Vec::new());
        for text in texts {
            for form in forms(&text) {
                patterns.push(form);
                owners.push((text.clone(), false));
            }
        }
        for count in counts {
            let plain = count.to_string();
            let grouped = format!("{},{}", count / 1_000, plain.get(plain.len() - 3..).unwrap());
            for form in [plain.clone(), grouped] {
                patterns.push(form.into_bytes());
                owners.push((plain.clone(), true));
            }
        }
        let builder =
            AhoCorasickBuilder::new().ascii_case_insensitive(true).match_kind(MatchKind::Standard).build(&patterns);
        Self { patterns: builder.unwrap(), owners }
    }

    /// The tokens that stand in bytes, as they are or unpacked.
    pub(crate) fn found(&self, bytes: &[u8]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.look(bytes, &mut found);
        for unpacked in unpacked(bytes, DEPTH) {
            self.look(&unpacked, &mut found);
        }
        found
    }

    fn look(&self, bytes: &[u8], found: &mut BTreeSet<String>) {
        for hit in self.patterns.find_overlapping_iter(bytes) {
            let (token, number) = &self.owners[hit.pattern().as_usize()];
            let before = hit.start().checked_sub(1).and_then(|at| bytes.get(at));
            let joins = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
            if *number && (joins(before) || before == Some(&b'.') || joins(bytes.get(hit.end()))) {
                continue;
            }
            found.insert(token.clone());
        }
    }
}

/// A text in the spellings that programs put texts into; letters of either case are found by any of them.
fn forms(text: &str) -> BTreeSet<Vec<u8>> {
    let plain = text.as_bytes();
    let each = |spell: &dyn Fn(u8) -> String| plain.iter().map(|byte| spell(*byte)).collect::<String>().into_bytes();
    let units: Vec<u16> = text.encode_utf16().collect();
    let mut forms = BTreeSet::from([
        plain.to_vec(),
        each(&|byte| format!("{byte:02x}")),
        each(&|byte| format!("%{byte:02x}")),
        each(&|byte| format!("\\u{byte:04x}")),
        each(&|byte| format!("&#{byte};")),
        each(&|byte| format!("&#x{byte:x};")),
        units.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
        // A Rust program's own list of bytes.
        plain.iter().map(u8::to_string).collect::<Vec<_>>().join(", ").into_bytes(),
    ]);
    for engine in [BASE64_STANDARD_NO_PAD, BASE64_URL_SAFE_NO_PAD] {
        for before in 0..3_usize {
            let encoded = engine.encode([&vec![b'x'; before], plain].concat());
            forms.insert(encoded.as_bytes()[(before * 8).div_ceil(6)..(before + plain.len()) * 8 / 6].to_vec());
        }
    }
    forms
}

/// What bytes hold when they are unpacked: gzip, zstd, ZIP with its members, the cells, pages and footers of Parquet, the
/// cells and schemas of Arrow.
fn unpacked(bytes: &[u8], depth: usize) -> Vec<Vec<u8>> {
    if depth == 0 {
        return Vec::new();
    }
    let mut all = match bytes {
        [0x1f, 0x8b, ..] => vec![read(flate2::read::MultiGzDecoder::new(bytes))],
        [0x28, 0xb5, 0x2f, 0xfd, ..] => vec![read(zstd::Decoder::new(bytes).unwrap())],
        [b'P', b'K', 3, 4, ..] => members(bytes),
        [b'P', b'A', b'R', b'1', ..] => return parquet(bytes),
        [b'A', b'R', b'R', b'O', b'W', b'1', ..] => {
            let reader = FileReader::try_new(Cursor::new(bytes), None).unwrap();
            let schema = format!("{:?}", reader.schema());
            return vec![schema.into_bytes(), reader.flat_map(|batch| text(&batch.unwrap())).collect()];
        }
        [0xff, 0xff, 0xff, 0xff, ..] => match StreamReader::try_new(bytes, None) {
            Ok(reader) => {
                let schema = format!("{:?}", reader.schema());
                return vec![schema.into_bytes(), reader.flat_map(|batch| text(&batch.unwrap())).collect()];
            }
            Err(_) => Vec::new(),
        },
        _ => Vec::new(),
    };
    let deeper: Vec<_> = all.iter().flat_map(|inner| unpacked(inner, depth - 1)).collect();
    all.extend(deeper);
    all
}

fn read(mut from: impl std::io::Read) -> Vec<u8> {
    let mut out = Vec::new();
    // A body that was asked for in part ends in the middle.
    let _ = from.read_to_end(&mut out);
    out
}

fn members(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    let mut members = Vec::new();
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).unwrap();
        let mut out = member.name().as_bytes().to_vec();
        member.read_to_end(&mut out).unwrap();
        members.push(out);
    }
    members
}

/// A Parquet file's footer as text, its pages as they are before compression, and its cells; a part of a file is bytes.
fn parquet(bytes: &[u8]) -> Vec<Vec<u8>> {
    let bytes = Bytes::copy_from_slice(bytes);
    let Ok(reader) = SerializedFileReader::new(bytes.clone()) else { return Vec::new() };
    let mut all = vec![format!("{:?}", reader.metadata()).into_bytes()];
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).unwrap();
        for column in 0..group.num_columns() {
            let mut pages = group.get_column_page_reader(column).unwrap();
            while let Some(page) = pages.get_next_page().unwrap() {
                all.push(page.buffer().to_vec());
            }
        }
    }
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap();
    all.push(format!("{:?}", builder.schema()).into_bytes());
    all.push(builder.build().unwrap().flat_map(|batch| text(&batch.unwrap())).collect());
    all
}

/// Every cell of a batch, spelt out, a line for each row.
pub(crate) fn text(batch: &RecordBatch) -> Vec<u8> {
    let mut text = String::new();
    for row in 0..batch.num_rows() {
        for column in batch.columns() {
            text.push_str(&array_value_to_string(column, row).unwrap());
            text.push('\t');
        }
        text.push('\n');
    }
    text.into_bytes()
}

#[test]
fn a_token_is_found_in_every_spelling_and_packing() {
    use std::io::Write as _;

    let tokens = Tokens::new(["zqneedle".to_owned()], [11_003]);
    let found = |bytes: &[u8]| tokens.found(bytes).into_iter().collect::<Vec<_>>().join(" ");
    let plain = b"in the zqNeedle's place";
    for form in forms("zqneedle") {
        assert_eq!(found(&[b"<", &form[..], b">"].concat()), "zqneedle", "{}", String::from_utf8_lossy(&form));
    }
    for before in ["", "a", "ab", "abc"] {
        let encoded = BASE64_STANDARD_NO_PAD.encode(format!("{before}zqneedle and so on"));
        assert_eq!(found(encoded.as_bytes()), "zqneedle", "{before}");
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(plain).unwrap();
    let gzip = gzip.finish().unwrap();
    assert_eq!(found(&gzip), "zqneedle");
    assert_eq!(found(&zstd::encode_all(&gzip[..], 3).unwrap()), "zqneedle");
    for (text, expected) in [
        ("rows: 11003", "11003"),
        ("11,003 rows", "11003"),
        ("{\"rows\":11003}", "11003"),
        ("110030 a11003 0.11003 11003f", ""),
    ] {
        assert_eq!(found(text.as_bytes()), expected, "{text}");
    }
}
