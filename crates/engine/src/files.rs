//! The released files of one order, as an object store that can only read, and only those.
//!
//! A file's location is its digest: plans, footers and errors never hold a path. Files on this machine are read
//! with positioned reads on blocking threads, files in object storage with ranged GETs on their signed URLs.

mod blocks;
pub(crate) mod remote;

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::DateTime;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult,
};
use portico_model::manifest::ReleasedFile;
use portico_model::order::FileAccess;
use tokio::sync::OnceCell;

use crate::verify::{Checked, Verdict, Verifier};
use blocks::Blocks;

/// The URL under which the session finds this store.
pub(crate) const STORE_URL: &str = "portico://files";

/// The files of one order.
pub(crate) struct ReleasedFiles {
    entries: HashMap<Path, Entry>,
    verifier: Arc<Verifier>,
    client: reqwest::Client,
    unsettled: Mutex<Vec<Verdict>>,
    bytes_read: AtomicU64,
}

struct Entry {
    access: FileAccess,
    sha256: String,
    bytes: u64,
    blocks: Option<Blocks>,
    open: OnceCell<Opened>,
}

/// A file on this machine.
#[derive(Clone)]
struct Opened {
    file: Arc<File>,
    /// Its blocks, and which of them were hashed.
    blocks: Option<(Blocks, Arc<Checked>)>,
}

/// Why a released file cannot be read. Never says where it lies.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("the order names no such file")]
    Unknown,
    #[error("a released file is missing")]
    Missing,
    #[error("a released file does not have the size or digest of its manifest")]
    Corrupt,
    #[error("a range lies outside a released file")]
    Range,
    #[error("a released file could not be read: {0}")]
    Io(std::io::ErrorKind),
    #[error("object storage answered {0}")]
    Remote(u16),
    #[error("object storage could not be reached")]
    Unreachable,
}

impl ReleasedFiles {
    pub(crate) fn new(verifier: Arc<Verifier>, client: reqwest::Client) -> Self {
        Self {
            entries: HashMap::new(),
            verifier,
            client,
            unsettled: Mutex::new(Vec::new()),
            bytes_read: AtomicU64::new(0),
        }
    }

    /// Adds a file and says its location in this store.
    pub(crate) fn add(&mut self, file: &ReleasedFile, access: &FileAccess) -> Path {
        let location = Path::from(file.sha256.as_str());
        self.entries.entry(location.clone()).or_insert_with(|| Entry {
            access: access.clone(),
            sha256: file.sha256.clone(),
            bytes: file.bytes,
            blocks: file.blocks.clone().map(|digests| Blocks { digests, file_bytes: file.bytes }),
            open: OnceCell::new(),
        });
        location
    }

    /// Bytes read so far, footers included, verification not.
    pub(crate) fn bytes_read(&self) -> u64 {
        self.bytes_read.load(Ordering::Relaxed)
    }

    /// Waits until every file that was opened, and has no digests of blocks, has its verdict.
    pub(crate) async fn settled(&self) -> Result<(), FileError> {
        let verdicts = std::mem::take(&mut *self.unsettled.lock().unwrap_or_else(PoisonError::into_inner));
        for verdict in verdicts {
            if !verdict.await {
                return Err(FileError::Corrupt);
            }
        }
        Ok(())
    }

    /// Reads ranges of one file, in their order.
    pub(crate) async fn read(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, FileError> {
        let entry = self.entries.get(location).ok_or(FileError::Unknown)?;
        if ranges.iter().any(|range| range.start > range.end || range.end > entry.bytes) {
            return Err(FileError::Range);
        }
        let total = ranges.iter().map(|range| range.end - range.start).sum::<u64>();
        self.bytes_read.fetch_add(total, Ordering::Relaxed);
        if entry.blocks.as_ref().is_some_and(|blocks| !blocks.digests.covers(entry.bytes)) {
            return Err(FileError::Corrupt);
        }
        match (&entry.access, &entry.blocks) {
            (FileAccess::Path(path), _) => {
                let opened = entry.open.get_or_try_init(|| self.open(path, entry)).await?.clone();
                let ranges = ranges.to_vec();
                blocking(move || opened.read(&ranges)).await
            }
            (FileAccess::Url(url), None) => remote::read(&self.client, url, ranges).await,
            (FileAccess::Url(url), Some(blocks)) => {
                let fetched = remote::read(&self.client, url, &blocks.around(ranges)).await?;
                let (blocks, ranges) = (blocks.clone(), ranges.to_vec());
                blocking(move || blocks.cut(&fetched, &ranges)).await
            }
        }
    }

    async fn open(&self, path: &str, entry: &Entry) -> Result<Opened, FileError> {
        let path = path.to_owned();
        let (file, metadata) = blocking(move || {
            let file = File::open(path)?;
            let metadata = file.metadata()?;
            Ok((Arc::new(file), metadata))
        })
        .await?;
        if metadata.len() != entry.bytes {
            return Err(FileError::Corrupt);
        }
        if let Some(blocks) = &entry.blocks {
            let checked = self.verifier.checked(&metadata, &entry.sha256, &blocks.digests);
            return Ok(Opened { file, blocks: Some((blocks.clone(), checked)) });
        }
        let verdict = self.verifier.check(&file, &metadata, &entry.sha256);
        if self.verifier.comes_first(metadata.len()) {
            if !verdict.await {
                return Err(FileError::Corrupt);
            }
        } else if verdict.peek() != Some(&true) {
            self.unsettled.lock().unwrap_or_else(PoisonError::into_inner).push(verdict);
        }
        Ok(Opened { file, blocks: None })
    }

    fn meta(&self, location: &Path) -> Result<ObjectMeta, FileError> {
        let entry = self.entries.get(location).ok_or(FileError::Unknown)?;
        Ok(ObjectMeta {
            location: location.clone(),
            last_modified: DateTime::UNIX_EPOCH,
            size: entry.bytes,
            e_tag: Some(entry.sha256.clone()),
            version: None,
        })
    }
}

impl Opened {
    fn read(&self, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, FileError> {
        if let Some((blocks, checked)) = &self.blocks {
            return blocks.read(&self.file, checked, ranges);
        }
        ranges
            .iter()
            .map(|range| {
                let mut buffer = vec![0_u8; blocks::length(range)];
                self.file.read_exact_at(&mut buffer, range.start)?;
                Ok(Bytes::from(buffer))
            })
            .collect()
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FileError> + Send + 'static,
) -> Result<T, FileError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(FileError::Io(std::io::ErrorKind::Other)))
}

impl From<std::io::Error> for FileError {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Missing,
            kind => Self::Io(kind),
        }
    }
}

impl From<FileError> for object_store::Error {
    fn from(error: FileError) -> Self {
        Self::Generic { store: "released files", source: Box::new(error) }
    }
}

impl fmt::Display for ReleasedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "released files ({})", self.entries.len())
    }
}

impl fmt::Debug for ReleasedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

fn read_only(operation: &str) -> object_store::Error {
    object_store::Error::NotImplemented { operation: operation.to_owned(), implementer: "released files".to_owned() }
}

#[async_trait]
impl ObjectStore for ReleasedFiles {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> object_store::Result<GetResult> {
        let meta = self.meta(location)?;
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            Some(range) => range.as_range(meta.size).map_err(|_| FileError::Range)?,
            None => 0..meta.size,
        };
        let mut parts = Vec::new();
        if !options.head {
            parts = self.read(location, std::slice::from_ref(&range)).await?;
        }
        let payload = GetResultPayload::Stream(stream::iter(parts.into_iter().map(Ok)).boxed());
        Ok(GetResult { payload, meta, range, attributes: Attributes::new() })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> object_store::Result<Vec<Bytes>> {
        Ok(self.read(location, ranges).await?)
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> object_store::Result<PutResult> {
        Err(read_only("put"))
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> object_store::Result<Box<dyn MultipartUpload>> {
        Err(read_only("put"))
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, object_store::Result<Path>>,
    ) -> BoxStream<'static, object_store::Result<Path>> {
        locations.map(|_| Err(read_only("delete"))).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, object_store::Result<ObjectMeta>> {
        stream::once(async { Err(read_only("list")) }).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> object_store::Result<ListResult> {
        Err(read_only("list"))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> object_store::Result<()> {
        Err(read_only("copy"))
    }
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    fn file(directory: &tempfile::TempDir, bytes: &[u8], sha256: Option<&str>) -> (ReleasedFile, FileAccess) {
        let path = directory.path().join("part");
        std::fs::write(&path, bytes).unwrap();
        let digest = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let file = ReleasedFile {
            path: String::new(),
            sha256: sha256.unwrap_or(&digest).to_owned(),
            bytes: u64::try_from(bytes.len()).unwrap(),
            blocks: None,
            rows: 0,
            row_groups: Vec::new(),
            columns: Vec::new(),
        };
        (file, FileAccess::Path(path.to_str().unwrap().to_owned()))
    }

    fn one(range: Range<u64>) -> Vec<Range<u64>> {
        std::iter::once(range).collect()
    }

    fn store(verifier: Verifier) -> ReleasedFiles {
        ReleasedFiles::new(Arc::new(verifier), remote::client().unwrap())
    }

    #[tokio::test]
    async fn ranges_are_read_in_their_order() {
        let directory = tempfile::TempDir::new().unwrap();
        let (file, access) = file(&directory, b"0123456789", None);
        let mut files = store(Verifier::new());
        let location = files.add(&file, &access);
        let parts = files.read(&location, &[7..10, 0..2, 4..4]).await.unwrap();
        assert_eq!(parts, [&b"789"[..], b"01", b""]);
        assert_eq!(files.bytes_read(), 5);
        assert!(matches!(files.read(&location, &one(5..11)).await, Err(FileError::Range)));
        assert!(matches!(files.read(&Path::from("other"), &one(0..1)).await, Err(FileError::Unknown)));
        files.settled().await.unwrap();
    }

    #[tokio::test]
    async fn a_wrong_digest_stops_small_files_at_once_and_large_ones_before_the_end() {
        let directory = tempfile::TempDir::new().unwrap();
        let wrong = "0".repeat(64);
        let (file, access) = file(&directory, b"0123456789", Some(&wrong));
        let mut small = store(Verifier::new());
        let location = small.add(&file, &access);
        assert!(matches!(small.read(&location, &one(0..1)).await, Err(FileError::Corrupt)));
        let mut large = store(Verifier::waiting_below(3));
        let location = large.add(&file, &access);
        assert_eq!(large.read(&location, &one(0..1)).await.unwrap(), [&b"0"[..]]);
        assert!(matches!(large.settled().await, Err(FileError::Corrupt)));
    }

    #[tokio::test]
    async fn a_file_with_digests_of_blocks_is_read_by_them_alone() {
        let directory = tempfile::TempDir::new().unwrap();
        let wrong = "0".repeat(64);
        let (file, access) = file(&directory, b"0123456789", Some(&wrong));
        let digests = |content: &[u8]| {
            let mut hasher = portico_model::blocks::Hasher::in_blocks_of(4);
            hasher.update(content);
            Some(hasher.finish())
        };
        for (content, range, good) in [
            (b"0123456789".as_slice(), 0..10, true),
            (b"0123x56789", 0..4, true),
            (b"0123x56789", 0..5, false),
            (b"0123x56789", 8..10, true),
            // The list of a file of another size.
            (b"0123", 0..4, false),
        ] {
            let mut files = store(Verifier::new());
            let location = files.add(&ReleasedFile { blocks: digests(content), ..file.clone() }, &access);
            let read = files.read(&location, &one(range.clone())).await;
            if good {
                let (start, end) = (usize::try_from(range.start).unwrap(), usize::try_from(range.end).unwrap());
                assert_eq!(read.unwrap(), [&b"0123456789"[start..end]]);
            } else {
                assert!(matches!(read, Err(FileError::Corrupt)), "{read:?}");
            }
            files.settled().await.unwrap();
        }
    }

    #[tokio::test]
    async fn the_store_only_reads() {
        use object_store::ObjectStoreExt;
        let directory = tempfile::TempDir::new().unwrap();
        let (file, access) = file(&directory, b"0123456789", None);
        let mut files = store(Verifier::new());
        let location = files.add(&file, &access);
        assert_eq!(files.get_range(&location, 2..4).await.unwrap(), &b"23"[..]);
        assert_eq!(files.head(&location).await.unwrap().size, 10);
        assert!(files.put(&location, "x".into()).await.is_err());
        assert!(files.delete(&location).await.is_err());
        assert!(files.list(None).next().await.unwrap().is_err());
    }
}
