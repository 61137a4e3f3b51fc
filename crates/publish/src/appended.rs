//! Files that are appended a second time. Where a key tells rows apart, rows that are there already are found by it; without
//! one, the file itself is known again.

use std::path::Path;

use portico_intake::options::{Mode, ReadOptions};
use portico_model::finding::{Finding, Severity};
use portico_model::name::{DatasetName, VersionNumber};
use portico_store::Catalog;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncReadExt as _;

use crate::error::PublishError;
use crate::publisher::from_json;
use crate::source::hex;

/// Bytes of a file that are read at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// A blocking finding when the version that a file goes on from, `base`, was made of the very same file: as the last one, or
/// as one of those that it went on from itself, back to the file that replaced all rows.
pub(crate) async fn appended_before(
    catalog: &Catalog,
    dataset: &DatasetName,
    options: &ReadOptions,
    (base, sha256): (VersionNumber, &str),
) -> Result<Option<Finding>, PublishError> {
    if options.mode != Mode::Append || !options.merge_key().is_empty() || base == 0 {
        return Ok(None);
    }
    let mut next = Some(base);
    while let Some(version) = next {
        let Some(revision) = catalog.revision_of(dataset, version).await? else { break };
        if revision.staged.sha256 == sha256 {
            let message = format!(
                "This very file became version {version}, and its rows are in the current version: appended again, they \
                 would be there twice. Discard it. A key would tell the rows that are there already."
            );
            return Ok(Some(Finding::on_file("file_appended_before", Severity::Blocking, message)));
        }
        let read: ReadOptions = from_json(&revision.options_json)?;
        let before = revision.prepared()?.and_then(|prepared| prepared.base).filter(|before| *before < version);
        next = before.filter(|_| !read.mode.replaces());
    }
    Ok(None)
}

/// SHA-256 of a file, in lower-case hex.
pub(crate) async fn sha256_of(file: &Path) -> Result<String, PublishError> {
    let mut file = tokio::fs::File::open(file).await?;
    let (mut hash, mut chunk) = (Sha256::new(), vec![0; CHUNK_BYTES]);
    loop {
        match file.read(&mut chunk).await? {
            0 => return Ok(hex(&hash.finalize())),
            read => hash.update(chunk.get(..read).unwrap_or_default()),
        }
    }
}
