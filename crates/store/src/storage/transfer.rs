//! Local files up, objects down, in bounded memory, with digests taken on the way.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path as FsPath;
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    GetOptions, GetResult, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions,
    WriteMultipart,
};
use portico_model::blocks::{BlockDigests, Hasher};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::buffers::{BUFFER_BYTES, Buffers};
use super::verdicts::Kind;
use crate::error::StoreError;

/// Up to this size an object is written in one request: conditional create needs one.
pub(super) const SINGLE_PUT_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of a part: clouds want 5 MiB at least and allow 10,000 parts.
const PART_BYTES: u64 = 8 * 1024 * 1024;
const PARTS_MAX: u64 = 9_000;
/// Parts on the way at once: memory of an upload is this many parts and one more.
const PARTS_AT_ONCE: usize = 3;
/// Bytes asked for at once when reading: long enough to be fast, short enough that a slow reader of ours never
/// lets a request of ours to the cloud run into its time limit.
const READ_BYTES: u64 = 1024 * 1024;
/// Bytes asked for first; each piece is twice the one before, up to [`READ_BYTES`]: who asks for many files and
/// reads none holds little of each.
const READ_BYTES_FIRST: u64 = 64 * 1024;
/// Requests on the way at once when reading.
const READS_AT_ONCE: usize = 3;
/// Blocks on the way at once when reading: one is checked while the next is fetched.
const BLOCKS_AT_ONCE: usize = 2;

/// Digest and size of some bytes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Measured {
    /// SHA-256, lower-case hex.
    pub(super) sha256: String,
    /// The size.
    pub(super) bytes: u64,
}

/// What becomes of an object that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfExists {
    /// It is replaced.
    Replace,
    /// The write fails with `Conflict`. Only small objects are refused by the storage itself, larger ones when
    /// they are there before the write begins: their paths have to say what they hold.
    Refuse,
}

/// Reads a local file through for its digest.
pub(super) async fn measure(local: &FsPath) -> Result<Measured, StoreError> {
    let mut reader = Reader::open(local).await?;
    while let Some(chunk) = reader.next(PART_BYTES).await? {
        drop(chunk);
    }
    Ok(reader.taken().0)
}

/// Writes a local file as an object; the digests are those of the bytes written.
pub(super) async fn upload(
    store: &dyn ObjectStore,
    path: &Path,
    local: &FsPath,
    if_exists: IfExists,
) -> Result<(Measured, BlockDigests), StoreError> {
    let size = tokio::fs::metadata(local).await.map_err(StoreError::local_file)?.len();
    let mut reader = Reader::open(local).await?;
    if size <= SINGLE_PUT_BYTES {
        let bytes = reader.next(SINGLE_PUT_BYTES.saturating_add(1)).await?.unwrap_or_default();
        let mode = match if_exists {
            IfExists::Replace => PutMode::Overwrite,
            IfExists::Refuse => PutMode::Create,
        };
        let put = store.put_opts(path, bytes.into(), PutOptions::from(mode)).await;
        put.map_err(|error| StoreError::object("file", error))?;
        return whole(reader.taken(), size);
    }
    if if_exists == IfExists::Refuse && exists(store, path).await? {
        return Err(StoreError::conflict("the file exists already"));
    }
    let part_bytes = PART_BYTES.max(size.div_ceil(PARTS_MAX));
    let upload = store.put_multipart(path).await.map_err(|error| StoreError::object("file", error))?;
    let mut writer =
        WriteMultipart::new_with_chunk_size(upload, usize::try_from(part_bytes).map_err(StoreError::storage)?);
    match write_parts(&mut writer, &mut reader, part_bytes).await.and_then(|()| whole(reader.taken(), size)) {
        Ok(taken) => {
            writer.finish().await.map_err(|error| StoreError::object("file", error))?;
            Ok(taken)
        }
        Err(error) => {
            // What cannot be taken back is removed by the bucket's rule for incomplete uploads.
            let _ = writer.abort().await;
            Err(error)
        }
    }
}

async fn write_parts(writer: &mut WriteMultipart, reader: &mut Reader, part_bytes: u64) -> Result<(), StoreError> {
    while let Some(part) = reader.next(part_bytes).await? {
        writer.wait_for_capacity(PARTS_AT_ONCE).await.map_err(|error| StoreError::object("file", error))?;
        writer.put(part);
    }
    Ok(())
}

/// A file that changes while it is read is not what anybody has looked at.
fn whole((measured, blocks): (Measured, BlockDigests), size: u64) -> Result<(Measured, BlockDigests), StoreError> {
    if measured.bytes == size {
        Ok((measured, blocks))
    } else {
        Err(StoreError::conflict("the local file changed while it was read"))
    }
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

/// A range of an object as a stream of chunks, the next one fetched while the last is used. Fails when the
/// object is shorter than the range, and when it is not in the state that was seen any more.
pub(super) fn chunks(
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    range: Range<u64>,
    what: &'static str,
) -> BoxStream<'static, Result<Bytes, StoreError>> {
    let reading = Reading::of(store, meta, what);
    let read = move |part: Range<u64>| {
        let reading = reading.clone();
        async move { Ok::<_, StoreError>(futures::stream::iter(reading.read(part).await?.into_iter().map(Ok))) }
    };
    futures::stream::iter(pieces(range)).map(read).buffered(READS_AT_ONCE).try_flatten().boxed()
}

/// A range of an object whose blocks are known, as [`chunks`] gives it: whole blocks are read, and nothing of one is
/// handed over before it has its digest.
pub(super) fn checked(
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    blocks: Arc<BlockDigests>,
    range: Range<u64>,
    what: Kind,
) -> BoxStream<'static, Result<Bytes, StoreError>> {
    let (reading, bytes) = (Reading::of(store, meta, what.noun), meta.size);
    let touched = blocks.touched(&range);
    let read = move |block: usize| {
        let (reading, blocks, range) = (reading.clone(), Arc::clone(&blocks), range.clone());
        async move {
            let place = blocks.place(block, bytes);
            let parts = reading.read(place.clone()).await?;
            if !blocks.fits(block, parts.iter().map(AsRef::as_ref)) {
                return Err(what.corrupt("a block has not the recorded digest"));
            }
            Ok(futures::stream::iter(within(parts, place.start, &range).into_iter().map(Ok)))
        }
    };
    futures::stream::iter(touched).map(read).buffered(BLOCKS_AT_ONCE).try_flatten().boxed()
}

/// What of some parts, the first of which begins at `start`, lies in a range.
fn within(parts: Vec<Bytes>, mut start: u64, range: &Range<u64>) -> Vec<Bytes> {
    let mut wanted = Vec::with_capacity(parts.len());
    for part in parts {
        let inside = |place: u64| usize::try_from(place.saturating_sub(start)).unwrap_or(usize::MAX).min(part.len());
        let (from, to) = (inside(range.start), inside(range.end));
        if from < to {
            wanted.push(part.slice(from..to));
        }
        start = start.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
    }
    wanted
}

/// How one object is read, in the state in which it was seen.
#[derive(Clone)]
struct Reading {
    store: Arc<dyn ObjectStore>,
    path: Path,
    tag: Option<String>,
    buffers: Buffers,
    what: &'static str,
}

impl Reading {
    fn of(store: &Arc<dyn ObjectStore>, meta: &ObjectMeta, what: &'static str) -> Self {
        let (path, tag) = (meta.location.clone(), meta.e_tag.clone());
        Self { store: Arc::clone(store), path, tag, buffers: Buffers::default(), what }
    }

    /// All bytes of a range.
    async fn read(&self, part: Range<u64>) -> Result<Vec<Bytes>, StoreError> {
        let wanted = part.end - part.start;
        let options = GetOptions::new().with_range(Some(part)).with_if_match(self.tag.clone());
        let parts = match self.store.get_opts(&self.path, options).await {
            Ok(found) => bytes_of(found, &self.buffers).await,
            Err(object_store::Error::Precondition { .. }) => {
                return Err(StoreError::corrupt(self.what, "it was replaced while it was read"));
            }
            Err(error) => Err(error),
        };
        let parts = parts.map_err(|error| StoreError::object(self.what, error))?;
        let length = parts.iter().map(Bytes::len).sum::<usize>();
        if u64::try_from(length).is_ok_and(|length| length == wanted) {
            Ok(parts)
        } else {
            Err(StoreError::corrupt(self.what, "fewer bytes than the record says"))
        }
    }
}

/// The bytes of an answer; those of a local file in buffers of the stream's own.
async fn bytes_of(found: GetResult, buffers: &Buffers) -> object_store::Result<Vec<Bytes>> {
    let GetResultPayload::File(file, _) = found.payload else { return Ok(vec![found.bytes().await?]) };
    let length = usize::try_from(found.range.end - found.range.start).unwrap_or(usize::MAX);
    let wanted = (0..length).step_by(BUFFER_BYTES).map(|start| buffers.take(length - start));
    let (mut filled, mut start) = (wanted.collect::<Vec<_>>(), found.range.start);
    let read = tokio::task::spawn_blocking(move || {
        for buffer in &mut filled {
            file.read_exact_at(buffer, start)?;
            start = start.saturating_add(u64::try_from(buffer.len()).unwrap_or(u64::MAX));
        }
        Ok(filled)
    });
    match read.await.unwrap_or_else(|error| Err(std::io::Error::other(error))) {
        Ok(filled) => Ok(filled.into_iter().map(|buffer| buffers.lend(buffer)).collect()),
        Err(error) => Err(object_store::Error::Generic { store: "local", source: error.into() }),
    }
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

/// A local file read in large chunks off the async threads, digested as it goes: the whole of it and its blocks.
struct Reader {
    state: Option<(File, Sha256, Hasher)>,
    bytes: u64,
}

impl Reader {
    async fn open(local: &FsPath) -> Result<Self, StoreError> {
        let local = local.to_owned();
        let (file, bytes) = off_thread(move || {
            let file = File::open(local)?;
            let bytes = file.metadata()?.len();
            Ok((file, bytes))
        })
        .await?;
        Ok(Self { state: Some((file, Sha256::new(), Hasher::new(bytes))), bytes: 0 })
    }

    /// The next chunk, `limit` bytes unless the file ends; `None` at its end.
    async fn next(&mut self, limit: u64) -> Result<Option<Bytes>, StoreError> {
        let Some((mut file, mut digest, mut blocks)) = self.state.take() else { return Ok(None) };
        let (file, digest, blocks, chunk) = off_thread(move || {
            let mut chunk = Vec::new();
            file.by_ref().take(limit).read_to_end(&mut chunk)?;
            digest.update(&chunk);
            blocks.update(&chunk);
            Ok((file, digest, blocks, chunk))
        })
        .await?;
        self.state = Some((file, digest, blocks));
        self.bytes = self.bytes.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        Ok((!chunk.is_empty()).then(|| Bytes::from(chunk)))
    }

    /// What was read.
    fn taken(&self) -> (Measured, BlockDigests) {
        let (digest, blocks) = match &self.state {
            Some((_, digest, blocks)) => (digest.clone(), blocks.clone()),
            None => (Sha256::new(), Hasher::new(0)),
        };
        (Measured { sha256: hex(&digest.finalize()), bytes: self.bytes }, blocks.finish())
    }
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(StoreError::storage)?.map_err(StoreError::local_file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_grow_and_leave_nothing_out() {
        const KIB: u64 = 1024;
        let parts: Vec<_> = pieces(5..200 * KIB).collect();
        assert_eq!(parts, [5..64 * KIB + 5, 64 * KIB + 5..192 * KIB + 5, 192 * KIB + 5..200 * KIB]);
        assert_eq!(pieces(7..7).count(), 0);
        let long: Vec<_> = pieces(0..100 * 1024 * KIB).collect();
        assert!(long.windows(2).all(|pair| pair[0].end == pair[1].start) && long[9].end - long[9].start == READ_BYTES);
    }

    #[test]
    fn of_the_parts_of_a_block_what_was_asked_for_is_given() {
        let parts = || vec![Bytes::from_static(b"0123"), Bytes::from_static(b"4567"), Bytes::from_static(b"89")];
        let given = |range: Range<u64>| within(parts(), 10, &range).concat();
        assert_eq!(given(0..99), b"0123456789");
        assert_eq!(given(12..15), b"234");
        assert_eq!(given(14..18), b"4567");
        assert_eq!(given(19..40), b"9");
        assert_eq!(given(20..40), b"");
    }
}
