//! Directories that files are dropped into. What is still being written is left alone, links are not followed, and only
//! the operator says where such a directory is.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use crate::error::PublishError;
use crate::fetch::{Conditions, FetchError, Fetched};
use crate::source::hex;

mod union;

pub(crate) use union::unite;

/// How long a file has to lie there unchanged before it is read, in milliseconds.
const SETTLED_MS: i64 = 10_000;
/// Files of a directory that are looked at.
const FILES_MAX: usize = 100_000;
/// Bytes read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// Which of the files that fit a pattern is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// The last, in the order of names.
    Last,
    /// The first, or the first after the one of this name.
    Next(Option<String>),
}

impl Turn {
    /// Whether a file is to be read rather than the one that was found before.
    fn prefers(&self, name: &str, found: Option<&String>) -> bool {
        match self {
            Self::Last => found.is_none_or(|found| found.as_str() < name),
            Self::Next(read) => {
                let unread = read.as_ref().is_none_or(|read| read.as_str() < name);
                unread && found.is_none_or(|found| name < found.as_str())
            }
        }
    }
}

/// Copies the file that fits the pattern and has its turn. Answers its name.
///
/// # Errors
/// [`PublishError::BadSource`] when none fits; [`FetchError::TooLarge`].
pub(crate) fn copy(
    directory: &Path,
    (pattern, turn): (&str, &Turn),
    (into, bytes_max): (&Path, u64),
    now_ms: i64,
) -> Result<(String, Fetched), PublishError> {
    let (name, seen) = match (chosen(directory, pattern, turn, now_ms)?, turn) {
        (Some(file), _) => file,
        (None, Turn::Next(Some(read))) => return Ok((read.clone(), Fetched::Unchanged)),
        (None, _) => return Err(none()),
    };
    let mut from = opened(directory, &name, seen)?;
    let mut to = std::fs::File::create(into)?;
    let (mut hash, mut read, mut chunk) = (Sha256::new(), 0_u64, vec![0; CHUNK_BYTES]);
    loop {
        let count = from.read(&mut chunk)?;
        let Some(bytes) = chunk.get(..count).filter(|bytes| !bytes.is_empty()) else { break };
        read = read.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        if read > bytes_max {
            return Err(FetchError::TooLarge(bytes_max).into());
        }
        hash.update(bytes);
        to.write_all(bytes)?;
    }
    is_still(&from, seen, read)?;
    // Where files are read one after the other, its name says how far they are.
    let etag = matches!(turn, Turn::Next(_)).then(|| name.clone());
    let conditions = Conditions { etag, last_modified: None };
    Ok((name, Fetched::File { sha256: hex(&hash.finalize()), conditions }))
}

fn none() -> PublishError {
    PublishError::BadSource("the directory has no such file, or it is still being written".to_owned())
}

/// Opens a file as it was seen. A link that has come in its place is not followed, and a pipe is not waited for.
fn opened(directory: &Path, name: &str, seen: Looks) -> Result<std::fs::File, PublishError> {
    let mut open = std::fs::OpenOptions::new();
    let from = open.read(true).custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK).open(directory.join(name))?;
    if Looks::of(&from.metadata()?) == seen { Ok(from) } else { Err(none()) }
}

/// Whoever began to write it anew while it was read has not come to its end.
fn is_still(from: &std::fs::File, seen: Looks, read: u64) -> Result<(), PublishError> {
    if read == seen.bytes && Looks::of(&from.metadata()?) == seen { Ok(()) } else { Err(none()) }
}

/// By which a file is known to be the one that was looked at, as it was then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Looks {
    is_file: bool,
    device: u64,
    number: u64,
    bytes: u64,
    changed: (i64, i64),
}

impl Looks {
    fn of(file: &std::fs::Metadata) -> Self {
        let changed = (file.mtime(), file.mtime_nsec());
        Self { is_file: file.is_file(), device: file.dev(), number: file.ino(), bytes: file.len(), changed }
    }

    fn is_settled(&self, now_ms: i64) -> bool {
        let changed_ms = self.changed.0.saturating_mul(1000).saturating_add(self.changed.1 / 1_000_000);
        changed_ms <= now_ms.saturating_sub(SETTLED_MS)
    }
}

/// The file that has its turn, if it is not being written any more. Of files that are read one after the other none is left
/// out: while the next one is being written, those after it wait.
fn chosen(directory: &Path, pattern: &str, turn: &Turn, now_ms: i64) -> Result<Option<(String, Looks)>, PublishError> {
    let mut found: Option<(String, Looks)> = None;
    for (name, seen) in fitting(directory, pattern)? {
        let may_be = seen.is_settled(now_ms) || matches!(turn, Turn::Next(_));
        if may_be && turn.prefers(&name, found.as_ref().map(|(name, _)| name)) {
            found = Some((name, seen));
        }
    }
    Ok(found.filter(|(_, seen)| seen.is_settled(now_ms)))
}

/// The files whose names fit a pattern, in no order.
fn fitting(directory: &Path, pattern: &str) -> Result<Vec<(String, Looks)>, PublishError> {
    let unread = |error: std::io::Error| {
        tracing::warn!(%error, "a directory of sources.directories cannot be read");
        PublishError::BadSource("the directory cannot be read".to_owned())
    };
    let mut found = Vec::new();
    for (place, entry) in std::fs::read_dir(directory).map_err(unread)?.enumerate() {
        if place >= FILES_MAX {
            return Err(PublishError::BadSource(format!("the directory has more than {FILES_MAX} entries")));
        }
        let entry = entry?;
        let Some(name) = plain(entry.file_name()).filter(|name| fits(name, pattern)) else { continue };
        let seen = Looks::of(&entry.metadata()?);
        if seen.is_file {
            found.push((name, seen));
        }
    }
    Ok(found)
}

fn plain(name: OsString) -> Option<String> {
    name.into_string().ok().filter(|name| !name.starts_with('.') && !name.chars().any(char::is_control))
}

/// Whether a name is the pattern, with anything for its one `*`.
fn fits(name: &str, pattern: &str) -> bool {
    match pattern.split_once('*') {
        None => name == pattern,
        Some((begin, end)) => {
            name.len() >= begin.len().saturating_add(end.len()) && name.starts_with(begin) && name.ends_with(end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LATER_MS: i64 = 4_000_000_000_000;

    #[test]
    fn the_last_settled_file_is_read_and_links_are_not() {
        let (place, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let into = out.path().join("file");
        let copied = |pattern: &str, now_ms| {
            copy(place.path(), (pattern, &Turn::Last), (&into, 5), now_ms).map(|(name, _)| name)
        };
        assert!(copied("*.csv", LATER_MS).is_err());
        for (name, text) in
            [("a-1.csv", "one"), ("a-2.csv", "two"), ("b.csv", "b"), (".a-3.csv", "x"), ("a-4.txt", "x")]
        {
            std::fs::write(place.path().join(name), text).unwrap();
        }
        std::fs::write(out.path().join("secret"), "secret").unwrap();
        std::os::unix::fs::symlink(out.path().join("secret"), place.path().join("a-9.csv")).unwrap();
        std::fs::create_dir(place.path().join("a-8.csv")).unwrap();
        assert_eq!(copied("a-*.csv", LATER_MS).unwrap(), "a-2.csv");
        assert_eq!(std::fs::read_to_string(&into).unwrap(), "two");
        assert_eq!(copied("b.csv", LATER_MS).unwrap(), "b.csv");
        // Just written, as the clock of the caller has it.
        assert!(copied("a-*.csv", 0).is_err());
        std::fs::write(place.path().join("a-3.csv"), "three!").unwrap();
        assert!(matches!(copied("a-*.csv", LATER_MS), Err(PublishError::Fetch(FetchError::TooLarge(5)))));
    }

    #[test]
    fn files_are_read_one_after_the_other_and_each_once() {
        let (place, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let into = out.path().join("file");
        for name in ["b.csv", "c.csv", "a.csv"] {
            std::fs::write(place.path().join(name), name).unwrap();
        }
        let (mut read, mut names) = (None, Vec::new());
        let next = |read: &Option<String>| {
            copy(place.path(), ("*.csv", &Turn::Next(read.clone())), (&into, 5), LATER_MS).unwrap()
        };
        while let (name, Fetched::File { conditions, .. }) = next(&read) {
            assert_eq!(conditions.etag.as_ref(), Some(&name));
            names.push(name);
            read = conditions.etag;
        }
        assert_eq!(names, ["a.csv", "b.csv", "c.csv"]);
    }

    #[test]
    fn none_is_left_out_while_it_is_being_written() {
        let (place, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let into = out.path().join("file");
        let write = |name: &str, changed_s: u64| {
            let file = std::fs::File::create(place.path().join(name)).unwrap();
            file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(changed_s)).unwrap();
        };
        let now_ms = 1_000_000;
        write("a.csv", 900);
        write("b.csv", 995);
        write("c.csv", 900);
        let next = |read: &str, now_ms| {
            copy(place.path(), ("*.csv", &Turn::Next(Some(read.to_owned()))), (&into, 5), now_ms).unwrap()
        };
        assert!(matches!(next("a.csv", now_ms), (name, Fetched::Unchanged) if name == "a.csv"));
        assert!(matches!(next("a.csv", now_ms + 10_000), (name, Fetched::File { .. }) if name == "b.csv"));
        assert!(matches!(next("b.csv", now_ms), (name, Fetched::File { .. }) if name == "c.csv"));
    }

    #[test]
    fn one_star_stands_for_anything() {
        for (name, pattern, expected) in
            [("ab", "a*b", true), ("a", "a*a", false), ("axxb", "a*b", true), ("ab", "ab", true), ("abc", "ab", false)]
        {
            assert_eq!(fits(name, pattern), expected, "{name} {pattern}");
        }
    }
}
