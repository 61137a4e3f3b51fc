//! The public area: data files, written once, never changed.

use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{CopyMode, CopyOptions, ObjectStore, ObjectStoreExt};
use portico_model::blocks::BlockDigests;
use portico_model::manifest::ReleasedFile;
use portico_model::order::FileAccess;

use super::staging::StagedFile;
use super::transfer::{self, Measured};
use super::upload::{self, IfExists};
use super::verdicts::{Kind, Verdicts};
use super::{Area, Reach, Storage, StoredObject, check_key};
use crate::error::StoreError;

/// How long a signed URL works: a worker may read for as long as an answer may take, an hour by default.
const SIGNED_FOR: Duration = Duration::from_secs(2 * 60 * 60);
/// Files without digests of blocks, released before there were any, are read through up to this size before this
/// process first hands anything of them out, which takes some tens of milliseconds. A larger one is digested while it
/// is read: by the worker, whose answer is not complete before the verdict, or on its way to the client, who does not
/// get the last chunk of a damaged file.
pub(super) const VERIFY_FIRST_BYTES: u64 = 64 * 1024 * 1024;

const DELTA_LOG: &str = "_delta_log";

impl Storage {
    /// Makes a staged file a released one, under a path that is made of the dataset's root, the caller's `file_id`
    /// and the digest of the bytes: one path only ever holds one content. The storage copies by itself; what came
    /// out is read through before this returns. Doing it again answers the same path.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a root or id that is no key, [`StoreError::NotFound`] when the staged file is
    /// gone, [`StoreError::Corrupt`] when its bytes, or those at the path, are not those that were staged,
    /// [`StoreError::Unavailable`] when the storage fails.
    pub async fn release_staged(&self, root: &str, file_id: &str, file: &StagedFile) -> Result<String, StoreError> {
        let relative = released_path(root, file_id, &file.sha256)?;
        let (from, to) = (self.path(Area::Staging, &file.path)?, self.path(Area::Released, &relative)?);
        let expected = file.measured();
        let copied = if transfer::exists(&self.inner.store, &to).await? {
            // Another try was here: of this process, or of one that died, or one whose answer got lost.
            false
        } else {
            Verdicts::look(&self.inner.store, &from, &expected, Kind::STAGED).await?;
            copy_once(&self.inner.store, &from, &to).await?
        };
        match self.verify_at(&to, &expected, Kind::RELEASED).await {
            // What was copied wrongly, or from a damaged file, must not stand in the way of the next try.
            Err(error @ StoreError::Corrupt { .. }) if copied => {
                self.remove(&to).await?;
                Err(error)
            }
            verified => verified.map(|()| relative),
        }
    }

    /// Puts a local Parquet file into the released area, under a path as [`Storage::release_staged`] makes it.
    /// Doing it again answers the same path, once the bytes there have been read and found to be the same.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a root or id that is no key, [`StoreError::Corrupt`] when the path exists
    /// and holds other bytes, [`StoreError::Unavailable`] when reading or writing fails.
    pub async fn put_released(&self, root: &str, file_id: &str, local: &FsPath) -> Result<String, StoreError> {
        let measured = upload::measure(local).await?;
        let relative = released_path(root, file_id, &measured.sha256)?;
        let path = self.path(Area::Released, &relative)?;
        match self.inner.uploads.put(&self.inner.store, &path, local, IfExists::Refuse).await {
            Ok((written, _)) if written == measured => Ok(relative),
            Ok(_) => {
                self.remove(&path).await?;
                Err(StoreError::conflict("the local file changed while it was read"))
            }
            // Another try was here, as above.
            Err(StoreError::Conflict { .. }) => {
                self.verify_at(&path, &measured, Kind::RELEASED).await?;
                Ok(relative)
            }
            Err(error) => Err(error),
        }
    }

    /// How a worker reads a released file: by its absolute path, by a URL signed for two hours, or by the path
    /// of a copy.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when the file is gone, [`StoreError::Corrupt`] when it has not the size of
    /// the manifest or, at the first opening of one without digests of blocks, not its digest.
    pub async fn access(&self, file: &ReleasedFile) -> Result<FileAccess, StoreError> {
        let path = self.path(Area::Released, &file.path)?;
        let expected = measured(file);
        match &self.inner.reach {
            Reach::Directory(root) => {
                self.check_at_first_open(&path, file).await?;
                Ok(FileAccess::Path(absolute(root.join(path.as_ref()))?))
            }
            Reach::Signed { signer, prefix, opened } => {
                // Once per process: a question each time would cost more than the answer is worth.
                let check = self.check_at_first_open(&path, file);
                let checked = opened.try_get_with((path.clone(), expected.clone()), check).await;
                checked.map_err(|error| super::verdicts::shared(&error, Kind::RELEASED))?;
                let full = prefix.parts().chain(path.parts()).collect();
                let url = signer.signed_url(http::Method::GET, &full, SIGNED_FOR).await;
                Ok(FileAccess::Url(url.map_err(|error| StoreError::object(Kind::RELEASED.noun, error))?.into()))
            }
            Reach::Copies(directory, turn) => {
                let copy = directory.path().join(file.path.replace('/', "-"));
                let _turn = turn.lock().await;
                if !copy.exists() {
                    let half = copy.with_extension("unfinished");
                    let meta = Verdicts::look(&self.inner.store, &path, &expected, Kind::RELEASED).await?;
                    let got = transfer::download(&self.inner.store, &meta, &half, Kind::RELEASED.noun).await?;
                    if got != expected {
                        return Err(Kind::RELEASED.corrupt("its digest is not the recorded one"));
                    }
                    tokio::fs::rename(&half, &copy).await.map_err(StoreError::local_file)?;
                }
                Ok(FileAccess::Path(absolute(copy)?))
            }
        }
    }

    /// The bytes of a released file, or a range of them, in chunks of a megabyte at most. Each block is checked before
    /// a byte of it comes out, every time. Of a file without digests of blocks nothing comes out unless it has been read
    /// through in the state it is in; a large one that is asked for whole is digested on its way and fails before its
    /// last chunk when it is not what was released.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`] for an empty range or one that ends after the file, [`StoreError::NotFound`],
    /// [`StoreError::Corrupt`] or [`StoreError::Unavailable`], each at once or from the stream.
    pub async fn read_released(
        &self,
        file: &ReleasedFile,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreError> {
        let path = self.path(Area::Released, &file.path)?;
        self.read_recorded(&path, (measured(file), file.blocks.clone()), range, Kind::RELEASED).await
    }

    /// Reads an object that is recorded with its digest, as [`Storage::read_released`] says.
    pub(super) async fn read_recorded(
        &self,
        path: &Path,
        (expected, blocks): (Measured, Option<BlockDigests>),
        range: Option<Range<u64>>,
        what: Kind,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreError> {
        let whole = 0..expected.bytes;
        let range = range.unwrap_or_else(|| whole.clone());
        if range.end > expected.bytes || (range.is_empty() && range != whole) {
            return Err(StoreError::OutOfRange);
        }
        let store = &self.inner.store;
        let meta = Verdicts::look(store, path, &expected, what).await?;
        if let Some(blocks) = blocks {
            if !blocks.covers(expected.bytes) {
                return Err(what.corrupt("its blocks are not those of a file of its size"));
            }
            return Ok(transfer::checked(store, &meta, blocks, range, what));
        }
        if range != whole || expected.bytes <= VERIFY_FIRST_BYTES {
            self.inner.verdicts.ensure(store, &meta, &expected, what).await?;
        }
        let chunks = transfer::chunks(store, &meta, range.clone(), what.noun);
        if range != whole {
            return Ok(chunks);
        }
        // Digesting costs little beside reading, and finds what has been lost since the verdict.
        Ok(transfer::verified(chunks, expected, what))
    }

    /// Reads a released file through and compares its digest with the manifest's: the scrub.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it is gone, [`StoreError::Corrupt`] when it is not what was released.
    pub async fn verify_released(&self, file: &ReleasedFile) -> Result<(), StoreError> {
        self.verify_at(&self.path(Area::Released, &file.path)?, &measured(file), Kind::RELEASED).await
    }

    /// The data files in the released area, of all datasets, the Delta logs left out.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the storage does not answer.
    pub async fn list_released(&self) -> Result<Vec<StoredObject>, StoreError> {
        let mut found = self.list(Area::Released).await?;
        found.retain(|object| !object.path.split('/').any(|part| part == DELTA_LOG));
        Ok(found)
    }

    /// The roots in the released area under which there is a Delta log.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the storage does not answer.
    pub async fn tables(&self) -> Result<Vec<String>, StoreError> {
        let listed = self.area(Area::Released).list_with_delimiter(None).await;
        let roots = listed.map_err(|error| StoreError::object("file", error))?.common_prefixes;
        let mut tables = Vec::new();
        for root in roots {
            if self.is_table(root.as_ref()).await? {
                tables.push(root.to_string());
            }
        }
        Ok(tables)
    }

    /// Whether there is a Delta log under a root in the released area.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a root that is no key, [`StoreError::Unavailable`] when the storage does not answer.
    pub async fn is_table(&self, root: &str) -> Result<bool, StoreError> {
        let log = self.path(Area::Released, &format!("{}/{DELTA_LOG}", check_key(root)?))?;
        let first = self.inner.store.list(Some(&log)).next().await.transpose();
        Ok(first.map_err(|error| StoreError::object("file", error))?.is_some())
    }

    /// Whether anything is in the released area.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the storage does not answer.
    pub async fn holds_releases(&self) -> Result<bool, StoreError> {
        let first = self.area(Area::Released).list(None).next().await.transpose();
        Ok(first.map_err(|error| StoreError::object("file", error))?.is_some())
    }

    /// Removes a data file that no version needs; one that is gone already is fine. The caller has made sure
    /// that no catalog row names it.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a path of the Delta log, [`StoreError::Unavailable`] when the storage does
    /// not answer.
    pub async fn remove_released(&self, path: &str) -> Result<(), StoreError> {
        if path.split('/').any(|part| part == DELTA_LOG) {
            return Err(StoreError::invalid("the Delta log is not a data file"));
        }
        if let Reach::Copies(directory, turn) = &self.inner.reach {
            let _turn = turn.lock().await;
            match tokio::fs::remove_file(directory.path().join(path.replace('/', "-"))).await {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(StoreError::local_file(error));
                }
                _ => {}
            }
        }
        self.remove(&self.path(Area::Released, path)?).await
    }

    /// Reads an object through, whatever was found before.
    pub(super) async fn verify_at(&self, path: &Path, expected: &Measured, what: Kind) -> Result<(), StoreError> {
        let store = &self.inner.store;
        let meta = Verdicts::look(store, path, expected, what).await?;
        if transfer::digest(store, &meta, what.noun).await? != *expected {
            return Err(what.corrupt("its digest is not the recorded one"));
        }
        self.inner.verdicts.remember(&meta, expected).await;
        Ok(())
    }

    async fn check_at_first_open(&self, path: &Path, file: &ReleasedFile) -> Result<(), StoreError> {
        let expected = measured(file);
        let meta = Verdicts::look(&self.inner.store, path, &expected, Kind::RELEASED).await?;
        // Blocks are checked by who reads them.
        if file.blocks.is_some() || file.bytes > VERIFY_FIRST_BYTES {
            return Ok(());
        }
        self.inner.verdicts.ensure(&self.inner.store, &meta, &expected, Kind::RELEASED).await
    }
}

fn measured(file: &ReleasedFile) -> Measured {
    Measured { sha256: file.sha256.clone(), bytes: file.bytes }
}

fn released_path(root: &str, file_id: &str, sha256: &str) -> Result<String, StoreError> {
    let (root, file_id) = (check_key(root)?, check_key(file_id)?);
    let digest: String = sha256.chars().take(32).collect();
    Ok(format!("{root}/{file_id}-{}.parquet", check_key(&digest)?))
}

/// Copies an object to a path that was empty a moment ago. Where the storage can, it refuses to replace; where it
/// cannot, whoever was faster has put the same bytes there, for the path says what it holds. Answers whether this
/// call has copied.
async fn copy_once(store: &dyn ObjectStore, from: &Path, to: &Path) -> Result<bool, StoreError> {
    let refusing = CopyOptions::new().with_mode(CopyMode::Create);
    let copied = match store.copy_opts(from, to, refusing).await {
        Err(object_store::Error::NotSupported { .. } | object_store::Error::NotImplemented { .. }) => {
            store.copy(from, to).await
        }
        other => other,
    };
    match copied {
        Ok(()) => Ok(true),
        Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
        Err(error) => Err(StoreError::object(Kind::STAGED.noun, error)),
    }
}

fn absolute(path: PathBuf) -> Result<String, StoreError> {
    let text = path.into_os_string().into_string();
    text.map_err(|_| StoreError::invalid("the storage's directory has a name that is not UTF-8"))
}
