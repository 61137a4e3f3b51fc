//! Digests: a released file is what its manifest says, or nothing is answered from it.
//!
//! Each file on a path is hashed whole once per worker process, on first open. Small files are hashed before the
//! first byte is used; larger ones while the question runs, and the answer is not completed before the verdict is
//! in. A verdict belongs to one state of one file (device, inode, size, time of change): a replaced file is
//! hashed again. Files behind signed URLs are not hashed here: the server has read those up to the same size through
//! before it signed, and the object store keeps checksums of what it holds.

use std::fs::{File, Metadata};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;

use futures::future::{BoxFuture, FutureExt, Shared};
use sha2::{Digest, Sha256};

/// Files up to this size are hashed before they are used: under 0.1 s, and a bad one is a clean problem.
const VERIFY_FIRST_BYTES: u64 = 64 * 1024 * 1024;
/// Verdicts kept; beyond it the oldest files are hashed again.
const VERDICTS: u64 = 16_384;
/// Bytes hashed at a time.
const CHUNK: usize = 1024 * 1024;

/// Whether a file has its digest; many may wait for the same one.
pub(crate) type Verdict = Shared<BoxFuture<'static, bool>>;

/// The verdicts of this process.
pub(crate) struct Verifier {
    verdicts: moka::sync::Cache<FileState, Verdict>,
    first_bytes: u64,
}

/// One state of one file.
#[derive(Clone, PartialEq, Eq, Hash)]
struct FileState {
    sha256: String,
    device: u64,
    inode: u64,
    bytes: u64,
    changed_s: i64,
    changed_ns: i64,
}

impl Verifier {
    pub(crate) fn new() -> Self {
        Self::waiting_below(VERIFY_FIRST_BYTES)
    }

    /// A verifier that has files up to `first_bytes` hashed before they are used.
    pub(crate) fn waiting_below(first_bytes: u64) -> Self {
        Self { verdicts: moka::sync::Cache::new(VERDICTS), first_bytes }
    }

    /// Whether a file of so many bytes is to be hashed before it is used.
    pub(crate) fn comes_first(&self, bytes: u64) -> bool {
        bytes <= self.first_bytes
    }

    /// The verdict on an open file, begun on a blocking thread if nobody asked before.
    ///
    /// Must be called inside a tokio runtime.
    pub(crate) fn check(&self, file: &Arc<File>, metadata: &Metadata, sha256: &str) -> Verdict {
        let state = FileState {
            sha256: sha256.to_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            changed_s: metadata.ctime(),
            changed_ns: metadata.ctime_nsec(),
        };
        let verdicts = self.verdicts.clone();
        self.verdicts.get_with(state.clone(), || {
            let file = file.clone();
            let expected = state.sha256.clone();
            let hashing = tokio::task::spawn_blocking(move || digest(&file).is_ok_and(|found| found == expected));
            async move {
                let good = hashing.await.unwrap_or(false);
                if !good {
                    // A read error may pass: the next question looks again.
                    verdicts.invalidate(&state);
                }
                good
            }
            .boxed()
            .shared()
        })
    }
}

fn digest(file: &File) -> std::io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0_u8; CHUNK];
    let mut offset = 0_u64;
    loop {
        let read = file.read_at(&mut buffer, offset)?;
        if read == 0 {
            break;
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        offset += u64::try_from(read).unwrap_or(0);
    }
    Ok(hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
