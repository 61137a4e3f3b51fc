//! Parquet files byte by byte, so that footers and pages may say anything (Thrift, compact protocol).

pub(super) const INT32: i32 = 1;
pub(super) const BYTES: i32 = 6;
const KIND_I32: u8 = 5;
const KIND_I64: u8 = 6;
const KIND_BINARY: u8 = 8;
const KIND_LIST: u8 = 9;
const KIND_STRUCT: u8 = 12;

/// A Thrift struct while it is written.
#[derive(Default)]
pub(super) struct Thrift {
    pub(super) out: Vec<u8>,
    last: Vec<u8>,
    id: u8,
}

impl Thrift {
    fn head(&mut self, id: u8, kind: u8) {
        self.out.push((id - self.id) << 4 | kind);
        self.id = id;
    }

    fn number(&mut self, number: u64) {
        let mut number = number;
        while number > 0x7F {
            self.out.push((number & 0x7F) as u8 | 0x80);
            number >>= 7;
        }
        self.out.push(number as u8);
    }

    fn signed(&mut self, number: i64) {
        self.number(((number << 1) ^ (number >> 63)) as u64);
    }

    pub(super) fn i32(&mut self, id: u8, number: i32) {
        self.head(id, KIND_I32);
        self.signed(number.into());
    }

    pub(super) fn i64(&mut self, id: u8, number: i64) {
        self.head(id, KIND_I64);
        self.signed(number);
    }

    pub(super) fn text(&mut self, id: u8, text: &str) {
        self.head(id, KIND_BINARY);
        self.number(text.len() as u64);
        self.out.extend(text.as_bytes());
    }

    fn list(&mut self, id: u8, kind: u8, length: u64) {
        self.head(id, KIND_LIST);
        self.out.push(0xF0 | kind);
        self.number(length);
    }

    pub(super) fn structs(&mut self, id: u8, length: u64) {
        self.list(id, KIND_STRUCT, length);
    }

    /// Opens a member that is a struct, or with no id an element of a list.
    pub(super) fn open(&mut self, id: Option<u8>) {
        if let Some(id) = id {
            self.head(id, KIND_STRUCT);
        }
        self.last.push(self.id);
        self.id = 0;
    }

    pub(super) fn close(&mut self) {
        self.out.push(0);
        self.id = self.last.pop().unwrap_or(0);
    }
}

/// What a footer says of one column's part in a row group.
#[derive(Clone, Copy)]
pub(super) struct Chunk {
    pub(super) values: i64,
    pub(super) data_page: i64,
    pub(super) dictionary_page: Option<i64>,
    pub(super) bytes: i64,
    /// Bytes when unpacked.
    pub(super) unpacked: i64,
    /// 0 plain, 6 ZSTD.
    pub(super) codec: i32,
}

/// A footer of row groups that are all alike, over one required column `a`, or a chain of groups around it.
pub(super) fn footer(physical: i32, depth: usize, rows: i64, groups: u64, chunk: Chunk) -> Vec<u8> {
    let mut thrift = Thrift::default();
    thrift.i32(1, 1);
    thrift.structs(2, depth as u64 + 2);
    for level in 0..=depth {
        thrift.open(None);
        if level > 0 {
            thrift.i32(3, 1);
        }
        thrift.text(4, "s");
        thrift.i32(5, 1);
        thrift.close();
    }
    thrift.open(None);
    thrift.i32(1, physical);
    thrift.i32(3, 0);
    thrift.text(4, "a");
    if physical == BYTES {
        thrift.i32(6, 0);
    }
    thrift.close();
    thrift.i64(3, rows.saturating_mul(groups.min(1 << 20) as i64));
    thrift.structs(4, groups);
    for _ in 0..groups.min(1 << 20) {
        group(&mut thrift, physical, depth, rows, chunk);
    }
    thrift.close();
    thrift.out
}

fn group(thrift: &mut Thrift, physical: i32, depth: usize, rows: i64, chunk: Chunk) {
    thrift.open(None);
    thrift.structs(1, 1);
    thrift.open(None);
    thrift.i64(2, 4);
    thrift.open(Some(3));
    thrift.i32(1, physical);
    thrift.list(2, KIND_I32, 1);
    thrift.signed(8);
    thrift.list(3, KIND_BINARY, depth as u64 + 1);
    for name in std::iter::repeat_n("s", depth).chain(["a"]) {
        thrift.number(name.len() as u64);
        thrift.out.extend(name.as_bytes());
    }
    thrift.i32(4, chunk.codec);
    thrift.i64(5, chunk.values);
    thrift.i64(6, chunk.unpacked);
    thrift.i64(7, chunk.bytes);
    thrift.i64(9, chunk.data_page);
    if let Some(at) = chunk.dictionary_page {
        thrift.i64(11, at);
    }
    thrift.close();
    thrift.close();
    thrift.i64(2, chunk.unpacked);
    thrift.i64(3, rows);
    thrift.close();
}

/// A page: its header, then its bytes.
pub(super) fn page(dictionary: bool, values: i32, unpacked: i32, bytes: &[u8]) -> Vec<u8> {
    let mut thrift = Thrift::default();
    thrift.i32(1, if dictionary { 2 } else { 0 });
    thrift.i32(2, unpacked);
    thrift.i32(3, bytes.len() as i32);
    thrift.open(Some(if dictionary { 7 } else { 5 }));
    thrift.i32(1, values);
    thrift.i32(2, if dictionary { 0 } else { 8 });
    if !dictionary {
        thrift.i32(3, 3);
        thrift.i32(4, 3);
    }
    thrift.close();
    thrift.close();
    [thrift.out, bytes.to_vec()].concat()
}

/// A file of pages and a footer.
pub(super) fn file(pages: &[u8], footer: &[u8]) -> Vec<u8> {
    let length = (footer.len() as u32).to_le_bytes();
    [b"PAR1", pages, footer, &length, b"PAR1"].concat()
}

/// Indices into a dictionary: so many times the first.
pub(super) fn run(length: u64) -> Vec<u8> {
    let mut thrift = Thrift::default();
    thrift.out.push(1);
    thrift.number(length << 1);
    thrift.out.push(0);
    thrift.out
}
