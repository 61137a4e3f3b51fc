//! Objects down, in bounded memory, with digests taken on the way.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path as FsPath;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures::stream::{BoxStream, FuturesOrdered};
use futures::{Stream, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{GetOptions, GetResult, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt};
use portico_model::blocks::BlockDigests;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;

use super::buffers::{Buffers, buffer_bytes};
use super::verdicts::Kind;
use crate::error::StoreError;

/// Bytes asked for at once when reading from far away: long enough to be fast, short enough that a slow reader of ours
/// never lets a request of ours to the cloud run into its time limit.
const READ_BYTES: u64 = 1024 * 1024;
/// Bytes asked for first; each piece is twice the one before, up to [`READ_BYTES`].
const READ_BYTES_FIRST: u64 = 16 * 1024;
/// Requests on the way at once when reading.
const READS_AT_ONCE: usize = 3;
/// Bytes of a local file that its reader takes before another buffer is read ahead, and buffers on their way from then on.
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
    let parts = pieces(range.clone());
    read(Object::of(store, meta, what), range, parts, None)
}

/// A range of an object whose blocks are known, as [`chunks`] gives it: nothing of a block is handed over before it has
/// its digest.
pub(super) fn checked(
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    digests: BlockDigests,
    range: Range<u64>,
    what: Kind,
) -> BoxStream<'static, Result<Bytes, StoreError>> {
    let (places, bytes) = (digests.clone(), meta.size);
    let parts = digests.touched(&range).map(move |block| places.place(block, bytes));
    read(Object::of(store, meta, what.noun), range, parts, Some(Arc::new(Check::new(digests, bytes, what))))
}

/// Reads the parts of an object that make up a range, or contain it where they are to be checked.
fn read(
    object: Object,
    range: Range<u64>,
    mut parts: impl Iterator<Item = Range<u64>> + Send + 'static,
    check: Option<Arc<Check>>,
) -> BoxStream<'static, Result<Bytes, StoreError>> {
    let Some(first) = parts.next() else { return futures::stream::empty().boxed() };
    let what = object.what;
    let opened = async move {
        let start = first.start;
        Ok::<_, StoreError>(match object.get(first).await? {
            Piece::Local(file) => local(file, range, check, what).boxed(),
            Piece::Remote(bytes) => {
                let bytes = futures::stream::once(async { Ok(bytes) }).chain(ahead(object, parts));
                match check {
                    Some(check) => check.all(bytes, start, range).boxed(),
                    None => bytes.boxed(),
                }
            }
        })
    };
    futures::stream::once(opened).try_flatten().boxed()
}

/// The blocks of an object that are to have their digests.
struct Check {
    digests: BlockDigests,
    object_bytes: u64,
    /// Those that this reader has seen to have it.
    passed: Vec<AtomicBool>,
    what: Kind,
}

impl Check {
    fn new(digests: BlockDigests, object_bytes: u64, what: Kind) -> Self {
        let passed = std::iter::repeat_with(AtomicBool::default).take(digests.count()).collect();
        Self { digests, object_bytes, passed, what }
    }

    /// Reads the blocks of a local file that a part of it touches, unless they were read for the part before. A slow
    /// reader's parts are small, and what it holds are parts, not blocks.
    fn pass(&self, file: &File, part: &Range<u64>) -> Result<(), StoreError> {
        for block in self.digests.touched(part) {
            let passed = self.passed.get(block).ok_or_else(|| self.wrong())?;
            if passed.load(Ordering::Acquire) {
                continue;
            }
            let place = self.digests.place(block, self.object_bytes);
            let mut bytes = vec![0; usize::try_from(place.end - place.start).unwrap_or(usize::MAX)];
            file.read_exact_at(&mut bytes, place.start).map_err(|error| unread(error, self.what.noun))?;
            if !self.digests.fits(block, [bytes.as_slice()]) {
                return Err(self.wrong());
            }
            passed.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Passes blocks on that follow each other, the first of which begins at `start`: of each what lies in the range.
    fn all(
        self: Arc<Self>,
        blocks: impl Stream<Item = Result<Bytes, StoreError>> + Send + 'static,
        mut start: u64,
        range: Range<u64>,
    ) -> impl Stream<Item = Result<Bytes, StoreError>> + Send {
        blocks.map(move |bytes| {
            let bytes = bytes?;
            let place = start..start.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
            start = place.end;
            let block = self.digests.touched(&place).start;
            if place != self.digests.place(block, self.object_bytes) || !self.digests.fits(block, [bytes.as_ref()]) {
                return Err(self.wrong());
            }
            let inside =
                |at: u64| usize::try_from(at.clamp(place.start, place.end) - place.start).unwrap_or(usize::MAX);
            Ok(bytes.slice(inside(range.start)..inside(range.end)))
        })
    }

    fn wrong(&self) -> StoreError {
        self.what.corrupt("a block has not the recorded digest")
    }
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
    fn of(store: &Arc<dyn ObjectStore>, meta: &ObjectMeta, what: &'static str) -> Self {
        Self { store: Arc::clone(store), path: meta.location.clone(), tag: meta.e_tag.clone(), what }
    }

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

fn unread(error: io::Error, what: &'static str) -> StoreError {
    if error.kind() == ErrorKind::UnexpectedEof { short(what) } else { StoreError::storage(error) }
}

/// A range of a local file in buffers; once its reader has taken some, the next one is read while one is taken.
fn local(
    file: File,
    range: Range<u64>,
    check: Option<Arc<Check>>,
    what: &'static str,
) -> impl Stream<Item = Result<Bytes, StoreError>> + Send {
    let (file, pool, start) = (Arc::new(file), Buffers::default(), range.start);
    let read = move |part: Range<u64>| {
        let (file, pool, check) = (Arc::clone(&file), pool.clone(), check.clone());
        async move {
            let mut buffer = pool.take(usize::try_from(part.end - part.start).unwrap_or(usize::MAX));
            let read = tokio::task::spawn_blocking(move || {
                check.map_or(Ok(()), |check| check.pass(&file, &part))?;
                file.read_exact_at(&mut buffer, part.start).map_err(|error| unread(error, what))?;
                Ok(buffer)
            });
            read.await.map_err(StoreError::storage)?.map(|buffer| pool.lend(buffer))
        }
    };
    let grown = range.end.min(start.saturating_add(LOCAL_AHEAD_FROM));
    let (first, rest) = (parts(start, start..grown), parts(start, grown..range.end));
    let first = futures::stream::iter(first).map(read.clone()).buffered(1);
    first.chain(futures::stream::iter(rest).map(read).buffered(LOCAL_AT_ONCE))
}

/// A part of a range that begins at `origin`, cut into what a buffer holds.
fn parts(origin: u64, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + Send {
    let part = move |start: u64| {
        let bytes = u64::try_from(buffer_bytes(start - origin)).unwrap_or(u64::MAX);
        (start < range.end).then(|| start..range.end.min(start.saturating_add(bytes)))
    };
    std::iter::successors(part(range.start), move |before| part(before.end))
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
    async fn a_local_file_is_read_in_small_parts_from_one_descriptor() {
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

    #[tokio::test]
    async fn nothing_of_a_block_comes_out_before_it_has_its_digest() {
        let directory = tempfile::tempdir().unwrap();
        let local = object_store::local::LocalFileSystem::new_with_prefix(directory.path()).unwrap();
        let stores: [Arc<dyn ObjectStore>; 2] = [Arc::new(InMemory::new()), Arc::new(local)];
        let content: Vec<u8> = (0..103).collect();
        let mut hasher = portico_model::blocks::Hasher::in_blocks_of(10);
        hasher.update(&content);
        let digests = hasher.finish();
        for store in stores {
            let path = Path::from("object");
            for (damaged, range, good) in [
                (None, 0..103, 103),
                (None, 7..31, 24),
                (None, 100..103, 3),
                (Some(45), 30..60, 10),
                (Some(45), 50..60, 10),
            ] {
                let mut bytes = content.clone();
                if let Some(place) = damaged {
                    bytes[place] ^= 1;
                }
                store.put(&path, bytes.into()).await.unwrap();
                let meta = store.head(&path).await.unwrap();
                let read = checked(&store, &meta, digests.clone(), range.clone(), Kind::RELEASED);
                let read: Vec<_> = read.collect().await;
                let failed = read.iter().any(Result::is_err);
                let given = read.into_iter().map_while(Result::ok).collect::<Vec<_>>().concat();
                let start = usize::try_from(range.start).unwrap();
                assert!(given.len() <= good && given == content[start..start + given.len()], "{range:?}");
                assert_eq!(failed, damaged.is_some() && range.contains(&45), "{range:?}");
                assert!(failed || given.len() == good);
            }
        }
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
