//! Hostile files, made here: small on disk, whatever they claim. Sizes follow the limits that they are read with.

use portico_model::limits::IntakeLimits;

mod archives;
mod columnar;
mod parquet_bytes;
mod texts;
mod workbooks;
mod zip_bytes;

/// A file and what must come of it.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    /// Its name as it is brought.
    pub(crate) file: &'static str,
    pub(crate) bytes: Vec<u8>,
    pub(crate) expect: Expect,
}

/// What must come of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Expect {
    /// Refused, with these words in the reason.
    Refused(&'static str),
    /// Read, with a finding of this rule.
    Finding(&'static str),
    /// Read, with a finding of this rule that blocks.
    Blocked(&'static str),
    /// Read, with so many rows.
    Rows(u64),
}

fn sample(name: &'static str, file: &'static str, bytes: impl Into<Vec<u8>>, expect: Expect) -> Sample {
    Sample { name, file, bytes: bytes.into(), expect }
}

/// All of them.
pub(crate) fn all(limits: &IntakeLimits) -> Vec<Sample> {
    let mut all = archives::samples();
    all.extend(workbooks::samples(limits));
    all.extend(texts::samples(limits));
    all.extend(columnar::samples(limits));
    all
}

/// So many bytes more than a limit.
fn beyond(limit: u64) -> usize {
    usize::try_from(limit).unwrap() + 1024
}
