//! A local directory that survives power loss.
//!
//! The library's own local store never asks the disk to keep anything. Here every object is written beside the
//! areas, synced, given its name by a hard link (which refuses to replace) or a rename, and then the directory
//! that holds the name is synced too, with every directory that was made for it.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::UNIX_EPOCH;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryFutureExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};

use crate::error::StoreError;

/// Where files lie until they are complete: on the same file system, in no area.
const UNFINISHED: &str = "unfinished";

/// A directory as an object store.
#[derive(Debug)]
pub(super) struct DurableDirectory {
    inner: LocalFileSystem,
    root: PathBuf,
}

impl DurableDirectory {
    /// Opens a directory, making it if it is not there. Staging is closed to other accounts.
    pub(super) fn open(root: &FsPath) -> std::result::Result<Self, StoreError> {
        let prepare = || -> std::io::Result<PathBuf> {
            make_directory(&root.join(UNFINISHED))?;
            let root = fs::canonicalize(root)?;
            for area in ["staging", "released", "spool"] {
                make_directory(&root.join(area))?;
            }
            close_to_others(&root.join("staging"))?;
            close_to_others(&root.join(UNFINISHED))?;
            Ok(root)
        };
        let root = prepare().map_err(StoreError::local_file)?;
        let inner = LocalFileSystem::new_with_prefix(&root).map_err(StoreError::storage)?;
        Ok(Self { inner, root })
    }

    /// The directory, absolute and without links.
    pub(super) fn root(&self) -> &FsPath {
        &self.root
    }

    fn unfinished(&self) -> PathBuf {
        self.root.join(UNFINISHED).join(ulid::Ulid::new().to_string())
    }
}

impl fmt::Display for DurableDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DurableDirectory")
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for DurableDirectory {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let replace = match options.mode {
            PutMode::Create => false,
            PutMode::Overwrite => true,
            PutMode::Update(_) => return Err(not_implemented("put with an expected e-tag")),
        };
        if !options.attributes.is_empty() {
            return Err(not_implemented("attributes of objects"));
        }
        let target = self.inner.path_to_filesystem(location)?;
        let unfinished = self.unfinished();
        blocking(move || {
            let written = write_new(&unfinished, &payload).and_then(|()| publish(&unfinished, &target, replace));
            if written.is_err() {
                let _ = fs::remove_file(&unfinished);
            }
            written
        })
        .await?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        if !options.attributes.is_empty() {
            return Err(not_implemented("attributes of objects"));
        }
        let target = self.inner.path_to_filesystem(location)?;
        let unfinished = self.unfinished();
        let path = unfinished.clone();
        let file = blocking(move || create_new(&path)).await?;
        Ok(Box::new(DurableUpload {
            file: Arc::new(Mutex::new(file)),
            unfinished: Some(unfinished),
            target,
            offset: 0,
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let inner = self.inner.clone();
        self.inner
            .delete_stream(locations)
            .then(move |deleted| {
                let target = deleted.as_ref().ok().map(|location| inner.path_to_filesystem(location));
                async move {
                    if let Some(target) = target.transpose()? {
                        blocking(move || sync_parent(&target)).await?;
                    }
                    deleted
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        // Readers of a Delta log expect the order that clouds list in; a directory has none of its own.
        let listing = self.inner.list_with_offset(prefix, offset).try_collect::<Vec<_>>();
        let sorted = listing.map_ok(|mut found| {
            found.sort_by(|a, b| a.location.cmp(&b.location));
            futures::stream::iter(found.into_iter().map(Ok))
        });
        sorted.try_flatten_stream().boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        // A copy is a second name for bytes that are on the disk already.
        self.inner.copy_opts(from, to, options).await?;
        let target = self.inner.path_to_filesystem(to)?;
        blocking(move || sync_parents(&target)).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await?;
        let (source, target) = (self.inner.path_to_filesystem(from)?, self.inner.path_to_filesystem(to)?);
        blocking(move || {
            sync_parents(&target)?;
            sync_parent(&source)
        })
        .await
    }
}

/// An object written in parts.
#[derive(Debug)]
struct DurableUpload {
    file: Arc<Mutex<File>>,
    /// Taken when the upload is complete or given up.
    unfinished: Option<PathBuf>,
    target: PathBuf,
    offset: u64,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let offset = self.offset;
        self.offset = offset.saturating_add(u64::try_from(data.content_length()).unwrap_or(u64::MAX));
        let file = Arc::clone(&self.file);
        blocking(move || {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(offset))?;
            data.iter().try_for_each(|chunk| file.write_all(chunk))
        })
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let Some(unfinished) = self.unfinished.clone() else { return Err(failed("the upload has ended")) };
        let (file, target) = (Arc::clone(&self.file), self.target.clone());
        blocking(move || {
            file.lock().unwrap_or_else(PoisonError::into_inner).sync_all()?;
            publish(&unfinished, &target, true)
        })
        .await?;
        self.unfinished = None;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn abort(&mut self) -> Result<()> {
        match self.unfinished.take() {
            Some(unfinished) => blocking(move || fs::remove_file(unfinished)).await,
            None => Ok(()),
        }
    }
}

impl Drop for DurableUpload {
    fn drop(&mut self) {
        if let Some(unfinished) = self.unfinished.take() {
            let _ = fs::remove_file(unfinished);
        }
    }
}

/// Removes unfinished files last written before `before_ms`; answers how many.
pub(super) async fn remove_abandoned(root: PathBuf, before_ms: i64) -> std::result::Result<u64, StoreError> {
    blocking(move || {
        let mut removed = 0;
        for entry in fs::read_dir(root.join(UNFINISHED))? {
            let entry = entry?;
            let modified = entry.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
            if i64::try_from(modified.as_millis()).is_ok_and(|modified_ms| modified_ms < before_ms) {
                fs::remove_file(entry.path())?;
                removed += 1;
            }
        }
        Ok(removed)
    })
    .await
    .map_err(StoreError::storage)
}

fn create_new(path: &FsPath) -> std::io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}

fn write_new(path: &FsPath, payload: &PutPayload) -> std::io::Result<()> {
    let mut file = create_new(path)?;
    payload.iter().try_for_each(|chunk| file.write_all(chunk))?;
    file.sync_all()
}

/// Gives a synced file its name, and makes the name durable.
fn publish(unfinished: &FsPath, target: &FsPath, replace: bool) -> std::io::Result<()> {
    let parent = parent_of(target)?;
    make_directory(parent)?;
    if replace {
        fs::rename(unfinished, target)?;
        return sync_parent(target);
    }
    let linked = fs::hard_link(unfinished, target);
    // Synced also when the name is there: its writer may have died before this, and who finds it relies on it.
    sync_parent(target)?;
    linked?;
    fs::remove_file(unfinished)
}

/// Makes a directory and its missing ancestors; each new name is synced.
fn make_directory(path: &FsPath) -> std::io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = parent_of(path)?;
    make_directory(parent)?;
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    sync_directory(parent)
}

fn parent_of(path: &FsPath) -> std::io::Result<&FsPath> {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Ok(FsPath::new(".")),
        Some(parent) => Ok(parent),
        None => Err(std::io::Error::from(ErrorKind::NotFound)),
    }
}

fn sync_parent(path: &FsPath) -> std::io::Result<()> {
    sync_directory(parent_of(path)?)
}

/// After the library may have made directories: the name, and the name of the directory that holds it.
fn sync_parents(path: &FsPath) -> std::io::Result<()> {
    sync_parent(path)?;
    sync_parent(parent_of(path)?)
}

fn sync_directory(path: &FsPath) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

#[cfg(unix)]
fn close_to_others(path: &FsPath) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn close_to_others(_path: &FsPath) -> std::io::Result<()> {
    Ok(())
}

/// Runs file operations off the async threads and puts their errors into the library's words.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> Result<T> {
    let outcome = tokio::task::spawn_blocking(work).await?;
    outcome.map_err(|source| {
        let path = String::new();
        match source.kind() {
            ErrorKind::AlreadyExists => object_store::Error::AlreadyExists { path, source: source.into() },
            ErrorKind::NotFound => object_store::Error::NotFound { path, source: source.into() },
            ErrorKind::PermissionDenied => object_store::Error::PermissionDenied { path, source: source.into() },
            _ => object_store::Error::Generic { store: "DurableDirectory", source: source.into() },
        }
    })
}

fn not_implemented(operation: &str) -> object_store::Error {
    object_store::Error::NotImplemented { operation: operation.to_owned(), implementer: "DurableDirectory".to_owned() }
}

fn failed(why: &'static str) -> object_store::Error {
    object_store::Error::Generic { store: "DurableDirectory", source: why.into() }
}
