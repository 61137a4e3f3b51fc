//! Local files up: in parts of buffers that are used again, with digests taken on the way.
//!
//! ```text
//! local file ─▶ buffers, as many as the storage has left ─▶ part ─▶ object store ─▶ the buffers are free again
//! ```
//!
//! However many files go up at once and however slowly the storage takes them, the bytes on their way are bounded for
//! all of them together: whoever finds none left waits.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path as FsPath;
use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload, WriteMultipart};
use portico_model::blocks::{BlockDigests, Hasher};
use sha2::{Digest, Sha256};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::buffers::{BUFFER_BYTES, Buffers};
use super::transfer::{Measured, exists, hex};
use crate::error::StoreError;

/// Up to this size an object is written in one request where that is the condition of its creation.
pub(super) const SINGLE_PUT_BYTES: u64 = 16 * 1024 * 1024;
/// Bytes of a part for a cloud: they want 5 MiB at least and allow 10,000 parts.
const CLOUD_PART_BYTES: u64 = 8 * 1024 * 1024;
const PARTS_MAX: u64 = 9_000;
/// Bytes of a part for a directory, where a part costs nothing but the call.
const DIRECTORY_PART_BYTES: u64 = 1024 * 1024;
/// Parts of one file on their way at once: the network of a cloud has room for some, and of a directory's one is
/// written while the next is read.
const CLOUD_PARTS: usize = 3;
const DIRECTORY_PARTS: usize = 2;
/// Bytes of all files on their way at once: a conditional put and as much again, or four parts.
const CLOUD_BYTES: u64 = 32 * 1024 * 1024;
/// The same for a directory, where only a conditional put needs more than a few parts.
const DIRECTORY_BYTES: u64 = SINGLE_PUT_BYTES;

/// What becomes of an object that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IfExists {
    /// It is replaced.
    Replace,
    /// The write fails with `Conflict`. Only small objects are refused by the storage itself, larger ones when
    /// they are there before the write begins: their paths have to say what they hold.
    Refuse,
}

/// How files go up to one storage, and the buffers that all of them share.
#[derive(Debug)]
pub(super) struct Uploads {
    part_bytes: u64,
    parts: usize,
    /// Buffers that may still be filled.
    free: Arc<Semaphore>,
    /// Buffers in all.
    buffers: usize,
    /// The storage keeps the bytes that it is given, as one in memory does: it is given copies.
    keeps: bool,
}

impl Uploads {
    /// To a cloud, or to something that may be one.
    pub(super) fn to_cloud() -> Self {
        Self::new(CLOUD_PART_BYTES, CLOUD_PARTS, CLOUD_BYTES)
    }

    /// To a directory of this machine.
    pub(super) fn to_directory() -> Self {
        Self::new(DIRECTORY_PART_BYTES, DIRECTORY_PARTS, DIRECTORY_BYTES)
    }

    /// To the memory of this process.
    pub(super) fn to_memory() -> Self {
        Self { keeps: true, ..Self::to_cloud() }
    }

    fn new(part_bytes: u64, parts: usize, bytes: u64) -> Self {
        let buffers = buffers_of(bytes);
        Self { part_bytes, parts, free: Arc::new(Semaphore::new(buffers)), buffers, keeps: false }
    }

    /// Writes a local file as an object; the digests are those of the bytes written.
    pub(super) async fn put(
        &self,
        store: &dyn ObjectStore,
        path: &Path,
        local: &FsPath,
        if_exists: IfExists,
    ) -> Result<(Measured, BlockDigests), StoreError> {
        let size = tokio::fs::metadata(local).await.map_err(StoreError::local_file)?.len();
        let mut reader = Reader::open(local).await?;
        if size <= self.part_bytes || (if_exists == IfExists::Refuse && size <= SINGLE_PUT_BYTES) {
            let bytes = reader.next(size, Some(self.room(size).await?)).await?;
            let mode = match if_exists {
                IfExists::Replace => PutMode::Overwrite,
                IfExists::Refuse => PutMode::Create,
            };
            let taken = reader.whole(size).await?;
            let put = store.put_opts(path, PutPayload::from_iter(self.given(bytes)), PutOptions::from(mode)).await;
            return put.map(|_| taken).map_err(|error| StoreError::object("file", error));
        }
        if if_exists == IfExists::Refuse && exists(store, path).await? {
            return Err(StoreError::conflict("the file exists already"));
        }
        let upload = store.put_multipart(path).await.map_err(|error| StoreError::object("file", error))?;
        let part_bytes = self.part_bytes.max(size.div_ceil(PARTS_MAX));
        let chunk = usize::try_from(part_bytes).map_err(StoreError::storage)?;
        let mut writer = WriteMultipart::new_with_chunk_size(upload, chunk);
        match self.put_parts(&mut writer, &mut reader, (size, part_bytes)).await {
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

    async fn put_parts(
        &self,
        writer: &mut WriteMultipart,
        reader: &mut Reader,
        (size, part_bytes): (u64, u64),
    ) -> Result<(Measured, BlockDigests), StoreError> {
        let mut left = size;
        while left > 0 {
            writer.wait_for_capacity(self.parts).await.map_err(|error| StoreError::object("file", error))?;
            let bytes = part_bytes.min(left);
            let part = reader.next(bytes, Some(self.room(bytes).await?)).await?;
            if part.is_empty() {
                break;
            }
            self.given(part).for_each(|buffer| writer.put(buffer));
            left -= bytes;
        }
        reader.whole(size).await
    }

    /// Buffers as the storage gets them.
    fn given(&self, buffers: Vec<Bytes>) -> impl Iterator<Item = Bytes> {
        let keeps = self.keeps;
        buffers.into_iter().map(move |buffer| if keeps { Bytes::copy_from_slice(&buffer) } else { buffer })
    }

    /// Waits for room for so many bytes. It is free again when the last of the bytes is dropped, which does not take
    /// the waiting one: parts go up by themselves.
    async fn room(&self, bytes: u64) -> Result<Arc<OwnedSemaphorePermit>, StoreError> {
        let buffers = u32::try_from(buffers_of(bytes).min(self.buffers)).map_err(StoreError::storage)?;
        let room = Arc::clone(&self.free).acquire_many_owned(buffers).await.map_err(StoreError::storage)?;
        Ok(Arc::new(room))
    }
}

/// Reads a local file through for its digest.
pub(super) async fn measure(local: &FsPath) -> Result<Measured, StoreError> {
    let mut reader = Reader::open(local).await?;
    while !reader.next(DIRECTORY_PART_BYTES, None).await?.is_empty() {}
    Ok(reader.taken().0)
}

fn buffers_of(bytes: u64) -> usize {
    usize::try_from(bytes).unwrap_or(usize::MAX).div_ceil(BUFFER_BYTES)
}

/// A local file read in buffers off the async threads, digested as it goes: the whole of it and its blocks.
struct Reader {
    state: Option<(File, Sha256, Hasher)>,
    bytes: u64,
    buffers: Buffers,
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
        Ok(Self { state: Some((file, Sha256::new(), Hasher::new(bytes))), bytes: 0, buffers: Buffers::default() })
    }

    /// The next `limit` bytes unless the file ends before; none at its end. Each buffer holds the room.
    async fn next(&mut self, limit: u64, room: Option<Arc<OwnedSemaphorePermit>>) -> Result<Vec<Bytes>, StoreError> {
        let Some((mut file, mut digest, mut blocks)) = self.state.take() else { return Ok(Vec::new()) };
        let (buffers, mut left) = (self.buffers.clone(), usize::try_from(limit).map_err(StoreError::storage)?);
        let (file, digest, blocks, filled) = off_thread(move || {
            let mut filled = Vec::with_capacity(left.div_ceil(BUFFER_BYTES));
            while left > 0 {
                let mut buffer = buffers.take(left);
                let wanted = buffer.len();
                let length = fill(&mut file, &mut buffer)?;
                buffer.truncate(length);
                digest.update(&buffer);
                blocks.update(&buffer);
                if length > 0 {
                    filled.push(buffers.lend_with(buffer, room.clone()));
                }
                if length < wanted {
                    break;
                }
                left -= length;
            }
            Ok((file, digest, blocks, filled))
        })
        .await?;
        self.state = Some((file, digest, blocks));
        let length = filled.iter().map(Bytes::len).sum::<usize>();
        self.bytes = self.bytes.saturating_add(u64::try_from(length).unwrap_or(u64::MAX));
        Ok(filled)
    }

    /// What was read, if that is the whole file: one that changes while it is read is not what anybody has looked at.
    async fn whole(&mut self, size: u64) -> Result<(Measured, BlockDigests), StoreError> {
        if self.bytes == size && self.next(1, None).await?.is_empty() {
            Ok(self.taken())
        } else {
            Err(StoreError::conflict("the local file changed while it was read"))
        }
    }

    fn taken(&self) -> (Measured, BlockDigests) {
        let (digest, blocks) = match &self.state {
            Some((_, digest, blocks)) => (digest.clone(), blocks.clone()),
            None => (Sha256::new(), Hasher::new(0)),
        };
        (Measured { sha256: hex(&digest.finalize()), bytes: self.bytes }, blocks.finish())
    }
}

/// Reads until the buffer is full or the file ends; answers how many bytes there are.
fn fill(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = 0;
    while let Some(rest) = buffer.get_mut(length..).filter(|rest| !rest.is_empty()) {
        match file.read(rest) {
            Ok(0) => break,
            Ok(read) => length += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(length)
}

async fn off_thread<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work).await.map_err(StoreError::storage)?.map_err(StoreError::local_file)
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::super::watched::Watched;
    use super::*;

    const FILES: usize = 6;

    /// Uploads so many files at once to a store that takes nothing until they have all that they can get; answers the
    /// most bytes that were under way.
    async fn most_of(uploads: Uploads, file_bytes: usize) -> usize {
        let directory = tempfile::tempdir().unwrap();
        let local = directory.path().join("local");
        let content: Vec<u8> = (0..file_bytes).map(|at| u8::try_from(at % 253).unwrap()).collect();
        std::fs::write(&local, &content).unwrap();
        let (uploads, store) = (Arc::new(uploads), Arc::new(Watched::new(InMemory::new())));
        let mut under_way = tokio::task::JoinSet::new();
        for number in 0..FILES {
            let (uploads, store, local) = (Arc::clone(&uploads), Arc::<Watched>::clone(&store), local.clone());
            under_way.spawn(async move {
                let path = Path::from(format!("{number}"));
                uploads.put(&*store, &path, &local, IfExists::Replace).await.map(|(measured, _)| (path, measured))
            });
        }
        let enough = uploads.buffers.min(FILES * uploads.parts * buffers_of(uploads.part_bytes));
        while uploads.buffers - uploads.free.available_permits() < enough {
            tokio::task::yield_now().await;
        }
        store.parts().gate.add_permits(Semaphore::MAX_PERMITS / 2);
        for outcome in under_way.join_all().await {
            let (path, measured) = outcome.unwrap();
            assert_eq!(measured.sha256, hex(&Sha256::digest(&content)));
            assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), content);
        }
        assert_eq!(uploads.free.available_permits(), uploads.buffers, "every buffer came back");
        store.parts().most()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn bytes_on_their_way_are_bounded_for_all_uploads_together() {
        let buffer = u64::try_from(BUFFER_BYTES).unwrap();
        let few = Uploads::new(4 * buffer, 3, 10 * buffer);
        assert!(most_of(few, 17 * BUFFER_BYTES + 5).await <= 10 * BUFFER_BYTES);
        let many = Uploads::new(2 * buffer, 3, 1_000 * buffer);
        assert!(most_of(many, 17 * BUFFER_BYTES + 5).await <= FILES * 3 * 2 * BUFFER_BYTES);
    }

    #[tokio::test]
    async fn a_storage_that_keeps_what_it_is_given_holds_no_room() {
        let directory = tempfile::tempdir().unwrap();
        let local = directory.path().join("local");
        let (uploads, store) =
            (Uploads { buffers: 4, free: Arc::new(Semaphore::new(4)), ..Uploads::to_memory() }, InMemory::new());
        for length in [1, BUFFER_BYTES, 9 * 1024 * 1024] {
            std::fs::write(&local, vec![7; length]).unwrap();
            for number in 0..5 {
                uploads.put(&store, &Path::from(format!("{number}")), &local, IfExists::Replace).await.unwrap();
            }
        }
        assert_eq!(uploads.free.available_permits(), 4);
    }

    #[tokio::test]
    async fn what_changes_while_it_goes_up_is_a_conflict_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let local = directory.path().join("local");
        std::fs::write(&local, vec![1; 3 * BUFFER_BYTES]).unwrap();
        let uploads = Uploads::new(u64::try_from(BUFFER_BYTES).unwrap(), 1, DIRECTORY_BYTES);
        let (store, path) = (Arc::new(Watched::new(InMemory::new())), Path::from("object"));
        let (putting, growing) = (Arc::<Watched>::clone(&store), local.clone());
        let put =
            tokio::spawn(
                async move { uploads.put(&*putting, &Path::from("object"), &growing, IfExists::Replace).await },
            );
        while store.parts().most() == 0 {
            tokio::task::yield_now().await;
        }
        std::fs::OpenOptions::new()
            .append(true)
            .open(&local)
            .and_then(|mut file| io::Write::write_all(&mut file, b"x"))
            .unwrap();
        store.parts().gate.add_permits(100);
        assert!(matches!(put.await.unwrap(), Err(StoreError::Conflict { .. })));
        assert!(!exists(&*store, &path).await.unwrap());
    }
}
