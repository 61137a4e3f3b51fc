//! Archives: bombs, lies, and names that lead elsewhere.

use std::io::Write as _;

use super::Expect::{Refused, Rows};
use super::zip_bytes::{Entry, archive, entry};
use super::{Sample, sample};

const TABLE: &[u8] = b"a,b\n1,x\n2,y\n";
/// More than any ratio or floor of the limits allows.
const ZEROS: usize = 48 * 1024 * 1024;

pub(super) fn samples() -> Vec<Sample> {
    let mut all = names();
    all.extend(lies());
    all.extend(streams());
    all
}

fn one(change: impl FnOnce(&mut Entry)) -> Vec<u8> {
    let mut entry = entry("t.csv", TABLE);
    change(&mut entry);
    archive(&[entry])
}

fn names() -> Vec<Sample> {
    let named = |name: &str| archive(&[entry(name, TABLE)]);
    let out = Refused("leads out of the archive");
    vec![
        sample("zip: climbing name", "t.zip", named("../../t.csv"), out),
        sample("zip: climbing within", "t.zip", named("a/../../t.csv"), out),
        sample("zip: absolute name", "t.zip", named("/etc/t.csv"), out),
        sample("zip: name of a drive", "t.zip", named("C:t.csv"), out),
        sample("zip: climbing backslashes", "t.zip", named("..\\..\\t.csv"), out),
        sample("zip: backslashes", "t.zip", named("a\\t.csv"), out),
        sample("zip: symbolic link", "t.zip", one(|entry| entry.mode = 0o120_777), Refused("a link or a device")),
        sample("zip: device", "t.zip", one(|entry| entry.mode = 0o020_666), Refused("a link or a device")),
        sample("zip: pipe", "t.zip", one(|entry| entry.mode = 0o010_666), Refused("a link or a device")),
        sample("zip: directory in the name", "t.zip", named("dir/t.csv"), Rows(2)),
    ]
}

fn lies() -> Vec<Sample> {
    let twice = archive(&[entry("t.csv", TABLE), entry("t.csv", b"a\n9\n")]);
    let mut overlap = entry("u.csv", TABLE);
    overlap.overlaps = true;
    let overlapping = archive(&[entry("t.csv", TABLE), overlap]);
    let many = |count: usize| (0..count).map(|index| entry(&format!(".{index}"), b"")).collect::<Vec<_>>();
    let bomb = archive(&[entry("t.csv", &vec![b'0'; ZEROS])]);
    let modest = archive(&[Entry { length: 12, ..entry("t.csv", &vec![b'0'; ZEROS]) }]);
    let nested = archive(&[entry("t.zip", &archive(&[entry("t.csv", TABLE)]))]);
    let mut cut = one(|_| ());
    cut.truncate(cut.len() - 10);
    let mut zip64 = one(|_| ());
    let end = zip64.len() - 22;
    let mut locator = b"PK\x06\x07\0\0\0\0".to_vec();
    locator.extend((1_u64 << 40).to_le_bytes());
    locator.extend([1, 0, 0, 0]);
    zip64.splice(end..end, locator);
    let mut counted = one(|_| ());
    let at = counted.len() - 12;
    counted.get_mut(at..at + 2).unwrap().copy_from_slice(&[9, 0]);
    vec![
        sample("zip: two ends", "t.zip", two_ends(), Refused("the end of its directory")),
        sample("zip: a directory before one that cannot be read", "t.zip", behind(), Refused("cannot be read")),
        sample(
            "zip: text after the end",
            "t.zip",
            [&one(|_| ())[..], b"x"].concat(),
            Refused("the end of its directory"),
        ),
        sample("zip: a name twice", "t.zip", twice, Refused("lists an entry twice")),
        sample("zip: overlapping entries", "t.zip", overlapping, Refused("several files")),
        sample("zip: 2,000 entries", "t.zip", archive(&many(2_000)), Refused("more than 1000 entries")),
        sample("zip: 40,000 entries", "t.zip", archive(&many(40_000)), Refused("more than 10000 entries")),
        sample("zip: more entries counted than listed", "t.zip", counted, Refused("damaged")),
        sample("zip: bomb", "t.zip", bomb, Refused("unpacked_ratio")),
        sample("zip: bomb that says 12 bytes", "t.zip", modest, Refused("unpacked_ratio")),
        sample("zip: longer than it says", "t.zip", one(|entry| entry.length = 5), Refused("not as long")),
        sample("zip: shorter than it says", "t.zip", one(|entry| entry.length = 1 << 30), Refused("not as long")),
        sample("zip: lie in the entry's own header", "t.zip", one(|entry| entry.local_length = 1 << 30), Rows(2)),
        sample("zip: wrong digest", "t.zip", one(|entry| entry.crc ^= 1), Refused("damaged")),
        sample("zip: encrypted", "t.zip", one(|entry| entry.flags = 1), Refused("encrypted")),
        sample("zip: unusual packing", "t.zip", one(|entry| entry.method = 12), Refused("unusual way")),
        sample("zip: archive within", "t.zip", nested, Refused("archive within an archive")),
        sample("zip: cut short", "t.zip", cut, Refused("damaged")),
        sample("zip: zip64 record elsewhere", "t.zip", zip64, Refused("damaged")),
    ]
}

/// An end within the comment of another: readers differ on which of them counts.
fn two_ends() -> Vec<u8> {
    let mut bytes = one(|_| ());
    let at = bytes.len() - 2;
    bytes.splice(at.., 22_u16.to_le_bytes());
    bytes.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0\x3C\0\0\0\xF0\xFF\xFF\xFF\0\0");
    bytes
}

/// A whole archive, and after it an end whose directory cannot be read: readers go back to the first.
fn behind() -> Vec<u8> {
    let mut bytes = archive(&(0..300).map(|index| entry(&format!(".{index}"), b"")).collect::<Vec<_>>());
    bytes.extend([b'x'; 8 * 1024]);
    let start = bytes.len() as u32;
    bytes.extend(b"PK\x01\x02");
    bytes.extend([0xFF; 42]);
    bytes.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0\x2E\0\0\0");
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn streams() -> Vec<Sample> {
    let zeros = vec![b'0'; ZEROS];
    let members = gzip(&vec![b'0'; 64 * 1024]).repeat(ZEROS / (64 * 1024));
    let parts = [gzip(b"a,b\n1,x\n"), gzip(b"2,y\n"), gzip(b"")].concat();
    let mut cut = gzip(TABLE);
    cut.truncate(cut.len() - 9);
    // A frame that asks for a window of 2 GiB, and a block of nothing.
    // A frame that names a dictionary, of one block of a byte.
    let dictionary = b"\x28\xB5\x2F\xFD\x21\x07\x01\x09\0\0a";
    let window = b"\x28\xB5\x2F\xFD\0\xA8\x01\0\0";
    vec![
        sample("gzip: bomb", "t.csv.gz", gzip(&zeros), Refused("unpacked_ratio")),
        sample("gzip: bomb in members", "t.csv.gz", members, Refused("unpacked_ratio")),
        sample("gzip: members", "t.csv.gz", parts, Rows(2)),
        sample("gzip: cut short", "t.csv.gz", cut, Refused("damaged")),
        sample("gzip: packed twice", "t.csv.gz", gzip(&gzip(TABLE)), Refused("archive within an archive")),
        sample("zstd: bomb", "t.csv.zst", zstd::encode_all(&*zeros, 3).unwrap(), Refused("unpacked_ratio")),
        sample("gzip: zeros after the end", "t.csv.gz", [gzip(TABLE), vec![0; 700_000]].concat(), Rows(2)),
        sample("gzip: text after the zeros", "t.csv.gz", [gzip(TABLE), b"\0\0x".to_vec()].concat(), Refused("damaged")),
        sample("gzip: text after the end", "t.csv.gz", [gzip(TABLE), b"xy".to_vec()].concat(), Refused("damaged")),
        sample("zstd: window of 2 GiB", "t.csv.zst", &window[..], Refused("window over 128 MiB")),
        sample("zstd: a dictionary", "t.csv.zst", &dictionary[..], Refused("wants a dictionary")),
    ]
}
