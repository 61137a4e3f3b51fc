//! Digests: a released file is what its manifest says, or nothing is answered from it.
//!
//! Where the manifest has the digests of a file's blocks, a block is hashed before a byte of it is used: of a file on a
//! path once per worker process, of one behind a signed URL each time it comes over the network. So a question pays for
//! what it reads. What was found belongs to one state of one file (device, inode, size, time of change): of a replaced
//! file every block is hashed again.
//!
//! Of a file that was released without them all of it is hashed once per worker process, on first open. Small files are
//! hashed before the first byte is used; larger ones while the question runs, and the answer is not completed before the
//! verdict is in. Behind signed URLs those are not hashed here: the server has read them up to the same size through
//! before it signed, and the object store keeps checksums of what it holds.

use std::fs::{File, Metadata};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::{BoxFuture, FutureExt, Shared};
use portico_model::blocks::BlockDigests;
use sha2::{Digest, Sha256};

/// Files up to this size are hashed before they are used: under 0.1 s, and a bad one is a clean problem.
const VERIFY_FIRST_BYTES: u64 = 64 * 1024 * 1024;
/// Files of which verdicts or blocks are remembered; beyond it the oldest are hashed again. A file of 512 MiB has 64 bytes
/// of blocks.
const VERDICTS: u64 = 16_384;
/// Bytes hashed at a time.
const CHUNK: usize = 1024 * 1024;

/// Whether a file has its digest; many may wait for the same one.
pub(crate) type Verdict = Shared<BoxFuture<'static, bool>>;

/// The verdicts of this process.
pub(crate) struct Verifier {
    verdicts: moka::sync::Cache<FileState, Verdict>,
    blocks: moka::sync::Cache<(FileState, u32), Arc<Checked>>,
    first_bytes: u64,
}

/// The blocks of one state of one file that were hashed and found to be what they should: a bit each.
pub(crate) struct Checked(Vec<AtomicU64>);

impl Checked {
    pub(crate) fn none_of(blocks: usize) -> Self {
        Self(std::iter::repeat_with(AtomicU64::default).take(blocks.div_ceil(64)).collect())
    }

    pub(crate) fn has(&self, block: usize) -> bool {
        self.0.get(block / 64).is_some_and(|bits| bits.load(Ordering::Relaxed) >> (block % 64) & 1 == 1)
    }

    pub(crate) fn add(&self, block: usize) {
        if let Some(bits) = self.0.get(block / 64) {
            bits.fetch_or(1 << (block % 64), Ordering::Relaxed);
        }
    }
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

impl FileState {
    fn new(metadata: &Metadata, sha256: &str) -> Self {
        Self {
            sha256: sha256.to_owned(),
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            changed_s: metadata.ctime(),
            changed_ns: metadata.ctime_nsec(),
        }
    }
}

impl Verifier {
    pub(crate) fn new() -> Self {
        Self::waiting_below(VERIFY_FIRST_BYTES)
    }

    /// A verifier that has files up to `first_bytes` hashed before they are used.
    pub(crate) fn waiting_below(first_bytes: u64) -> Self {
        let (verdicts, blocks) = (moka::sync::Cache::new(VERDICTS), moka::sync::Cache::new(VERDICTS));
        Self { verdicts, blocks, first_bytes }
    }

    /// The blocks of an open file that need no hashing any more.
    pub(crate) fn checked(&self, metadata: &Metadata, sha256: &str, blocks: &BlockDigests) -> Arc<Checked> {
        let state = (FileState::new(metadata, sha256), blocks.block_bytes());
        self.blocks.get_with(state, || Arc::new(Checked::none_of(blocks.count())))
    }

    /// Whether a file of so many bytes is to be hashed before it is used.
    pub(crate) fn comes_first(&self, bytes: u64) -> bool {
        bytes <= self.first_bytes
    }

    /// The verdict on an open file, begun on a blocking thread if nobody asked before.
    ///
    /// Must be called inside a tokio runtime.
    pub(crate) fn check(&self, file: &Arc<File>, metadata: &Metadata, sha256: &str) -> Verdict {
        let state = FileState::new(metadata, sha256);
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
