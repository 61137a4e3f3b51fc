//! Zip archives byte by byte, so that every field may lie.

use std::io::Write as _;

/// An entry with all that its headers say.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) packed: Vec<u8>,
    pub(super) method: u16,
    pub(super) flags: u16,
    pub(super) crc: u32,
    /// Length when unpacked, as the directory says.
    pub(super) length: u32,
    /// The same, as the entry's own header says.
    pub(super) local_length: u32,
    /// Unix mode.
    pub(super) mode: u32,
    /// Whether the directory points to the entry before it.
    pub(super) overlaps: bool,
}

/// An honest entry, deflated.
pub(super) fn entry(name: &str, bytes: &[u8]) -> Entry {
    let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(bytes).unwrap();
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    let length = u32::try_from(bytes.len()).unwrap();
    Entry {
        name: name.to_owned(),
        packed: packer.finish().unwrap(),
        method: 8,
        flags: 0,
        crc: crc.sum(),
        length,
        local_length: length,
        mode: 0o100_644,
        overlaps: false,
    }
}

/// An archive of the entries.
pub(super) fn archive(entries: &[Entry]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    let mut offset = 0_u32;
    for entry in entries {
        if !entry.overlaps {
            offset = u32::try_from(out.len()).unwrap();
            out.extend(b"PK\x03\x04\x14\0");
            common(&mut out, entry, entry.local_length);
            out.extend([0, 0]);
            out.extend(entry.name.as_bytes());
            out.extend(&entry.packed);
        }
        directory.extend(b"PK\x01\x02\x14\x03\x14\0");
        common(&mut directory, entry, entry.length);
        directory.extend([0; 8]);
        directory.extend((entry.mode << 16).to_le_bytes());
        directory.extend(offset.to_le_bytes());
        directory.extend(entry.name.as_bytes());
    }
    let start = u32::try_from(out.len()).unwrap();
    let count = u16::try_from(entries.len()).unwrap();
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend(count.to_le_bytes());
    out.extend(count.to_le_bytes());
    out.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

/// What both headers have: flags, method, time, digest, lengths, and the length of the name.
fn common(out: &mut Vec<u8>, entry: &Entry, length: u32) {
    out.extend(entry.flags.to_le_bytes());
    out.extend(entry.method.to_le_bytes());
    out.extend([0; 4]);
    out.extend(entry.crc.to_le_bytes());
    out.extend(u32::try_from(entry.packed.len()).unwrap().to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend(u16::try_from(entry.name.len()).unwrap().to_le_bytes());
}
