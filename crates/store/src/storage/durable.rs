//! A local directory that survives power loss.
//!
//! The library's own local store never asks the disk to keep anything. Here every object is written beside the
//! areas, synced, given its name by a hard link (which refuses to replace) or a rename, and then the directory
//! that holds the name is synced too, with every directory that was made for it.

use std::fmt;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt, TryFutureExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyMode, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, RenameTargetMode, Result, UploadPart,
};

use self::disk::Disk;
use crate::error::StoreError;

mod disk;
#[cfg(test)]
mod power;

/// Names removed at once.
const REMOVALS_AT_ONCE: usize = 8;
/// Where files lie until they are complete: on the same file system, in no area.
const UNFINISHED: &str = "unfinished";

/// A directory as an object store.
#[derive(Debug)]
pub(super) struct DurableDirectory {
    inner: LocalFileSystem,
    root: PathBuf,
    disk: Disk,
}

impl DurableDirectory {
    /// Opens a directory, making it if it is not there. Staging is closed to other accounts.
    pub(super) fn open(root: &FsPath) -> std::result::Result<Self, StoreError> {
        Self::on(Disk::default(), root)
    }

    fn on(disk: Disk, root: &FsPath) -> std::result::Result<Self, StoreError> {
        let prepare = || -> std::io::Result<PathBuf> {
            let root = disk.make_root(root)?;
            for area in [UNFINISHED, "staging", "released", "spool"] {
                disk.make_directory(&root.join(area))?;
            }
            close_to_others(&root.join("staging"))?;
            close_to_others(&root.join(UNFINISHED))?;
            Ok(root)
        };
        let root = prepare().map_err(StoreError::local_file)?;
        let inner = LocalFileSystem::new_with_prefix(&root).map_err(StoreError::storage)?;
        Ok(Self { inner, root, disk })
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
        let (disk, unfinished) = (self.disk.clone(), self.unfinished());
        blocking(move || {
            let written =
                write_new(&disk, &unfinished, &payload).and_then(|()| disk.publish(&unfinished, &target, replace));
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
        let (disk, path) = (self.disk.clone(), self.unfinished());
        let unfinished = path.clone();
        let file = blocking(move || disk.create(&path)).await?;
        let file = Arc::new(Unfinished { disk: self.disk.clone(), file, path: unfinished });
        Ok(Box::new(DurableUpload { file, target, offset: 0, ended: false }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (inner, disk) = (self.inner.clone(), self.disk.clone());
        let remove = move |location: Result<Path>| {
            let (inner, disk) = (inner.clone(), disk.clone());
            async move {
                let location = location?;
                let target = inner.path_to_filesystem(&location)?;
                blocking(move || disk.remove(&target)).await?;
                Ok(location)
            }
        };
        locations.map(remove).buffered(REMOVALS_AT_ONCE).boxed()
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
        let (from, to) = (self.inner.path_to_filesystem(from)?, self.inner.path_to_filesystem(to)?);
        let (disk, unfinished) = (self.disk.clone(), self.unfinished());
        // A copy is a second name for bytes that are on the disk already: objects are replaced, never written into.
        blocking(move || {
            made_now(&from)?;
            match options.mode {
                CopyMode::Create => disk.link(&from, &to),
                CopyMode::Overwrite => {
                    disk.link(&from, &unfinished)?;
                    disk.publish(&unfinished, &to, true)
                }
            }
        })
        .await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let mode = match options.target_mode {
            RenameTargetMode::Create => CopyMode::Create,
            RenameTargetMode::Overwrite => CopyMode::Overwrite,
        };
        self.copy_opts(from, to, CopyOptions::new().with_mode(mode)).await?;
        let (disk, source) = (self.disk.clone(), self.inner.path_to_filesystem(from)?);
        blocking(move || disk.remove(&source)).await
    }
}

/// An object written in parts.
#[derive(Debug)]
struct DurableUpload {
    file: Arc<Unfinished>,
    target: PathBuf,
    offset: u64,
    /// Complete or given up.
    ended: bool,
}

/// A file that has not got its name yet.
#[derive(Debug)]
struct Unfinished {
    disk: Disk,
    file: File,
    path: PathBuf,
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl MultipartUpload for DurableUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let offset = self.offset;
        self.offset = offset.saturating_add(u64::try_from(data.content_length()).unwrap_or(u64::MAX));
        let file = Arc::clone(&self.file);
        blocking(move || file.disk.write_at(&file.file, &file.path, offset, data.as_ref())).boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        if self.ended {
            return Err(failed("the upload has ended"));
        }
        let (file, target) = (Arc::clone(&self.file), self.target.clone());
        blocking(move || {
            file.disk.sync(&file.file, &file.path)?;
            file.disk.publish(&file.path, &target, true)
        })
        .await?;
        self.ended = true;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn abort(&mut self) -> Result<()> {
        if self.ended {
            return Ok(());
        }
        self.ended = true;
        let file = Arc::clone(&self.file);
        blocking(move || file.disk.forget(&file.path)).await
    }
}

impl Drop for DurableUpload {
    fn drop(&mut self) {
        if !self.ended {
            let _ = fs::remove_file(&self.file.path);
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

fn write_new(disk: &Disk, path: &FsPath, payload: &PutPayload) -> std::io::Result<()> {
    let file = disk.create(path)?;
    disk.write_at(&file, path, 0, payload.as_ref())?;
    disk.sync(&file, path)
}

/// A copy is as old as its making, as it is on every cloud, or a sweep would take a new file for an old leftover.
#[allow(clippy::disallowed_methods, reason = "the clock of a storage is its own, as a cloud's is")]
fn made_now(path: &FsPath) -> std::io::Result<()> {
    File::options().write(true).open(path)?.set_modified(SystemTime::now())
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
