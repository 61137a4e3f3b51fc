//! Objects down, in bounded memory, with digests taken on the way.

use std::fmt::Write as _;
use std::fs::File;
use std::io::ErrorKind;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path as FsPath;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{BoxStream, FuturesOrdered};
use futures::{Stream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetResult, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

use super::blocks::{Blocks, block_bytes};
use super::verdicts::Kind;
use crate::error::StoreError;

/// Bytes asked for at once when reading from far away: long enough to be fast, short enough that a slow reader of ours
/// never lets a request of ours to the cloud run into its time limit.
const READ_BYTES: u64 = 1024 * 1024;
/// Bytes asked for first; each piece is twice the one before, up to [`READ_BYTES`].
const READ_BYTES_FIRST: u64 = 16 * 1024;
/// Requests on the way at once when reading.
const READS_AT_ONCE: usize = 3;
/// Bytes of a local file that its reader takes before another block is read ahead, and blocks on their way from then on.
const LOCAL_AHEAD_FROM: u64 = 1024 * 1024;
const LOCAL_AT_ONCE: usize = 2;
/// Pieces asked for before they are wanted, by all readers of this process: 64 MiB. Beyond that each reader has one
/// piece at a time, so that a thousand slow ones cost no more than that each.
static AHEAD: Semaphore = Semaphore::const_new(64);

/// Digest and size of some bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Measured {
    /// SHA-256, lower-case hex.
    pub(super) sha256: String,
    /// The size.
    pub(super) bytes: u64,
}

/// Whether the object is there.
pub(super) async fn exists(store: &dyn ObjectStore, path: &Path) -> Result<bool, StoreError> {
    match store.head(path).await {
        Ok(_) => Ok(true),
        Err(object_store::Error::NotFound { .. }) => Ok(false),
        Err(error) => Err(StoreError::object("file", error)),
    }
}

/// Copies an object to a local file, which is replaced.
pub(super) async fn download(
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    into: &FsPath,
    what: &'static str,
) -> Result<Measured, StoreError> {
    let mut file = tokio::fs::File::create(into).await.map_err(StoreError::local_file)?;
    let (mut digest, bytes) = (Sha256::new(), meta.size);
    let mut stream = chunks(store, meta, 0..bytes, what);
    while let Some(chunk) = stream.try_next().await? {
        digest.update(&chunk);
        file.write_all(&chunk).await.map_err(StoreError::local_file)?;
    }
    file.flush().await.map_err(StoreError::local_file)?;
    Ok(Measured { sha256: hex(&digest.finalize()), bytes })
}

/// Reads an object, in the state that was seen, through for its digest.
pub(super) async fn digest(
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    what: &'static str,
) -> Result<Measured, StoreError> {
    let (mut digest, bytes) = (Sha256::new(), meta.size);
    let mut stream = chunks(store, meta, 0..bytes, what);
    while let Some(chunk) = stream.try_next().await? {
        digest.update(&chunk);
    }
    Ok(Measured { sha256: hex(&digest.finalize()), bytes })
}

/// A range of an object as a stream of chunks. Nothing is asked for before it is wanted, and of the rest nothing before
/// the first chunk was taken. Fails when the object is shorter than the range, and when it is not in the state that was
/// seen any more.
pub(super) fn chunks(
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    range: Range<u64>,
    what: &'static str,
) -> BoxStream<'static, Result<Bytes, StoreError>> {
    let object = Object { store: Arc::clone(store), path: meta.location.clone(), tag: meta.e_tag.clone(), what };
    let mut parts = pieces(range.clone());
    let Some(first) = parts.next() else { return futures::stream::empty().boxed() };
    let opened = async move {
        Ok::<_, StoreError>(match object.get(first).await? {
            Piece::Local(file) => blocks_of(file, range, what).boxed(),
            Piece::Remote(bytes) => futures::stream::once(async { Ok(bytes) }).chain(ahead(object, parts)).boxed(),
        })
    };
    futures::stream::once(opened).try_flatten().boxed()
}

/// An object in the state that was seen.
#[derive(Clone)]
struct Object {
    store: Arc<dyn ObjectStore>,
    path: Path,
    tag: Option<String>,
    what: &'static str,
}

/// What a store answers with.
enum Piece {
    /// The whole file, opened: it stays what it is, whatever becomes of its name.
    Local(File),
    /// The bytes that were asked for.
    Remote(Bytes),
}

impl Object {
    async fn get(&self, part: Range<u64>) -> Result<Piece, StoreError> {
        let wanted = part.end - part.start;
        let options = GetOptions::new().with_range(Some(part)).with_if_match(self.tag.clone());
        let found = match self.store.get_opts(&self.path, options).await {
            Ok(GetResult { payload: GetResultPayload::File(file, _), .. }) => return Ok(Piece::Local(file)),
            Ok(found) => found.bytes().await,
            Err(object_store::Error::Precondition { .. }) => {
                return Err(StoreError::corrupt(self.what, "it was replaced while it was read"));
            }
            Err(error) => Err(error),
        };
        let bytes = found.map_err(|error| StoreError::object(self.what, error))?;
        if u64::try_from(bytes.len()).is_ok_and(|length| length == wanted) {
            Ok(Piece::Remote(bytes))
        } else {
            Err(short(self.what))
        }
    }

    async fn bytes(&self, part: Range<u64>) -> Result<Bytes, StoreError> {
        match self.get(part).await? {
            Piece::Remote(bytes) => Ok(bytes),
            Piece::Local(_) => Err(StoreError::storage("a store that answered with bytes answers with a file")),
        }
    }
}

fn short(what: &'static str) -> StoreError {
    StoreError::corrupt(what, "fewer bytes than the record says")
}

/// A range of a local file in blocks; once its reader has taken some, the next one is read while one is taken.
fn blocks_of(
    file: File,
    range: Range<u64>,
    what: &'static str,
) -> impl Stream<Item = Result<Bytes, StoreError>> + Send {
    let (file, pool, start) = (Arc::new(file), Blocks::default(), range.start);
    let read = move |part: Range<u64>| {
        let (file, pool) = (Arc::clone(&file), pool.clone());
        async move {
            let mut block = pool.take(usize::try_from(part.end - part.start).unwrap_or(usize::MAX));
            let read = tokio::task::spawn_blocking(move || file.read_exact_at(&mut block, part.start).map(|()| block));
            match read.await.map_err(StoreError::storage)? {
                Ok(block) => Ok(pool.lend(block)),
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(short(what)),
                Err(error) => Err(StoreError::storage(error)),
            }
        }
    };
    let grown = range.end.min(start.saturating_add(LOCAL_AHEAD_FROM));
    let (first, rest) = (blocks(start, start..grown), blocks(start, grown..range.end));
    let first = futures::stream::iter(first).map(read.clone()).buffered(1);
    first.chain(futures::stream::iter(rest).map(read).buffered(LOCAL_AT_ONCE))
}

/// A part of a range that begins at `origin`, cut into blocks.
fn blocks(origin: u64, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + Send {
    let block = move |start: u64| {
        let bytes = u64::try_from(block_bytes(start - origin)).unwrap_or(u64::MAX);
        (start < range.end).then(|| start..range.end.min(start.saturating_add(bytes)))
    };
    std::iter::successors(block(range.start), move |before| block(before.end))
}

/// Pieces of an object far away, some of them asked for before they are wanted, as long as all readers of this process
/// together do so with few.
fn ahead(
    object: Object,
    parts: impl Iterator<Item = Range<u64>> + Send,
) -> impl Stream<Item = Result<Bytes, StoreError>> + Send {
    let state = (object, parts, FuturesOrdered::new());
    futures::stream::try_unfold(state, |(object, mut parts, mut asked)| async move {
        while asked.len() < READS_AT_ONCE {
            let place = match AHEAD.try_acquire() {
                // The piece that is wanted now needs no place.
                _ if asked.is_empty() => None,
                Ok(place) => Some(place),
                Err(_) => break,
            };
            let Some(part) = parts.next() else { break };
            let object = object.clone();
            asked.push_back(async move { (object.bytes(part).await, place) });
        }
        match asked.next().await {
            Some((read, _place)) => Ok(Some((read?, (object, parts, asked)))),
            None => Ok(None),
        }
    })
}

/// The pieces of a range, small ones first.
fn pieces(range: Range<u64>) -> impl Iterator<Item = Range<u64>> + Send {
    let piece = move |start: u64, bytes: u64| {
        (start < range.end).then(|| (start..range.end.min(start.saturating_add(bytes)), bytes))
    };
    let first = piece(range.start, READ_BYTES_FIRST);
    std::iter::successors(first, move |(before, bytes)| piece(before.end, bytes.saturating_mul(2).min(READ_BYTES)))
        .map(|(part, _)| part)
}

/// Passes a whole file on and fails instead of handing over its last chunk when the digest is not the recorded
/// one, so that a damaged file never looks complete.
pub(super) fn verified(
    chunks: BoxStream<'static, Result<Bytes, StoreError>>,
    expected: Measured,
    what: Kind,
) -> BoxStream<'static, Result<Bytes, StoreError>> {
    let state = (Sha256::new(), 0_u64);
    chunks
        .scan(Some(state), move |state, chunk| {
            let next = state.take().map(|(mut digest, seen)| {
                let chunk = chunk?;
                digest.update(&chunk);
                let seen = seen.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
                if seen >= expected.bytes && hex(&digest.clone().finalize()) != expected.sha256 {
                    return Err(what.corrupt("its digest is not the recorded one"));
                }
                *state = Some((digest, seen));
                Ok(chunk)
            });
            futures::future::ready(next)
        })
        .boxed()
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::super::watched::Watched;
    use super::*;

    /// Reads all of an object in this store, or its first chunk only.
    async fn read(store: Arc<dyn ObjectStore>, bytes: u64, chunks_max: usize) -> Vec<u8> {
        let path = Path::from("object");
        let content: Vec<u8> = (0..bytes).map(|at| u8::try_from(at % 251).unwrap()).collect();
        store.put(&path, content.clone().into()).await.unwrap();
        let meta = store.head(&path).await.unwrap();
        let read: Vec<Bytes> = chunks(&store, &meta, 3..bytes, "object").take(chunks_max).try_collect().await.unwrap();
        let read = read.concat();
        assert_eq!(read, content[3..3 + read.len()]);
        read
    }

    #[tokio::test]
    async fn of_what_nobody_takes_only_the_first_piece_is_asked_for() {
        let store = Arc::new(Watched::new(InMemory::new()));
        assert_eq!(read(Arc::<Watched>::clone(&store), 3 << 20, 1).await.len(), 16 * 1024);
        assert_eq!((store.ranges().len(), store.ranges()[0].clone()), (1, 3..16 * 1024 + 3));
        assert_eq!(read(Arc::<Watched>::clone(&store), 3 << 20, 2).await.len(), 48 * 1024);
        assert_eq!(store.ranges()[1..3], [3..16 * 1024 + 3, 16 * 1024 + 3..48 * 1024 + 3]);
        let all = read(Arc::<Watched>::clone(&store), 3 << 20, usize::MAX).await;
        assert_eq!(all.len(), (3 << 20) - 3);
    }

    #[tokio::test]
    async fn a_local_file_is_read_in_small_blocks_from_one_descriptor() {
        let directory = tempfile::tempdir().unwrap();
        let local = object_store::local::LocalFileSystem::new_with_prefix(directory.path()).unwrap();
        let store = Arc::new(Watched::new(local));
        assert_eq!(read(Arc::<Watched>::clone(&store), 3 << 20, 1).await.len(), 16 * 1024);
        assert_eq!(read(Arc::<Watched>::clone(&store), 3 << 20, 2).await.len(), 32 * 1024);
        assert_eq!(read(Arc::<Watched>::clone(&store), 3 << 20, usize::MAX).await.len(), (3 << 20) - 3);
        assert_eq!(store.ranges().len(), 3);
        let path = Path::from("object");
        let meta = store.head(&path).await.unwrap();
        let store: Arc<dyn ObjectStore> = store;
        let mut longer = chunks(&store, &meta, 0..(3 << 20) + 1, "object");
        let ended = loop {
            match longer.next().await {
                Some(Ok(_)) => {}
                other => break other,
            }
        };
        assert!(matches!(ended, Some(Err(StoreError::Corrupt { .. }))), "{ended:?}");
    }

    #[test]
    fn pieces_grow_and_leave_nothing_out() {
        const KIB: u64 = 1024;
        let parts: Vec<_> = pieces(5..50 * KIB).collect();
        assert_eq!(parts, [5..16 * KIB + 5, 16 * KIB + 5..48 * KIB + 5, 48 * KIB + 5..50 * KIB]);
        assert_eq!(pieces(7..7).count(), 0);
        let long: Vec<_> = pieces(0..100 * 1024 * KIB).collect();
        assert!(long.windows(2).all(|pair| pair[0].end == pair[1].start) && long[9].end - long[9].start == READ_BYTES);
    }
}
