//! The public area: data files, written once, never changed.

use std::ops::Range;
use std::path::{Path as FsPath, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::ObjectStoreExt;
use portico_model::manifest::ReleasedFile;
use portico_model::order::FileAccess;

use super::transfer::{self, IfExists, Measured};
use super::{Area, Reach, Storage, StoredObject, check_key};
use crate::error::StoreError;

/// How long a signed URL works: a worker may read for as long as an answer may take, an hour by default.
const SIGNED_FOR: Duration = Duration::from_secs(2 * 60 * 60);
/// Local files up to this size are read through when this process first hands them out, which takes some tens of
/// milliseconds; larger ones are left to the checksums of their pages and to the scrub.
const VERIFY_AT_FIRST_OPEN_BYTES: u64 = 64 * 1024 * 1024;
/// Paths remembered as verified; at this many the memory is emptied, which costs only time.
const VERIFIED_MAX: usize = 65_536;

const WHAT: &str = "released file";
const DELTA_LOG: &str = "_delta_log";

impl Storage {
    /// Puts a local Parquet file into the released area, under a path that is made of the dataset's root, the
    /// caller's `file_id` and the digest of the bytes: one path only ever holds one content. Doing it again
    /// answers the same path, once the bytes there have been read and found to be the same.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a root or id that is no key, [`StoreError::Corrupt`] when the path exists
    /// and holds other bytes, [`StoreError::Unavailable`] when reading or writing fails.
    pub async fn put_released(&self, root: &str, file_id: &str, local: &FsPath) -> Result<String, StoreError> {
        let (root, file_id) = (check_key(root)?, check_key(file_id)?);
        let measured = transfer::measure(local).await?;
        let digest: String = measured.sha256.chars().take(32).collect();
        let relative = format!("{root}/{file_id}-{digest}.parquet");
        let path = self.path(Area::Released, &relative)?;
        match transfer::upload(&self.inner.store, &path, local, IfExists::Refuse).await {
            Ok(written) if written == measured => {}
            Ok(_) => {
                self.remove(&path).await?;
                return Err(StoreError::conflict("the local file changed while it was read"));
            }
            // Another try was here: of this process, or of one that died, or one whose answer got lost.
            Err(StoreError::Conflict { .. }) => same(&transfer::digest(&self.inner.store, &path).await?, &measured)?,
            Err(error) => return Err(error),
        }
        self.remember(&relative);
        Ok(relative)
    }

    /// How a worker reads a released file: by its absolute path, by a URL signed for two hours, or by the path
    /// of a copy.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when a local file is gone, [`StoreError::Corrupt`] when it has not the size of
    /// the manifest or, at the first opening, not its digest.
    pub async fn access(&self, file: &ReleasedFile) -> Result<FileAccess, StoreError> {
        let path = self.path(Area::Released, &file.path)?;
        match &self.inner.reach {
            Reach::Directory(root) => {
                self.check_at_first_open(file).await?;
                Ok(FileAccess::Path(absolute(root.join(path.as_ref()))?))
            }
            Reach::Signed(signer, prefix) => {
                let full = prefix.parts().chain(path.parts()).collect();
                let url = signer.signed_url(http::Method::GET, &full, SIGNED_FOR).await;
                Ok(FileAccess::Url(url.map_err(|error| StoreError::object(WHAT, error))?.into()))
            }
            Reach::Copies(directory, turn) => {
                let copy = directory.path().join(file.path.replace('/', "-"));
                let _turn = turn.lock().await;
                if !copy.exists() {
                    let half = copy.with_extension("unfinished");
                    let got = transfer::download(&self.inner.store, &path, file.bytes, &half).await?;
                    same(&got, &Measured { sha256: file.sha256.clone(), bytes: file.bytes })?;
                    tokio::fs::rename(&half, &copy).await.map_err(StoreError::local_file)?;
                }
                Ok(FileAccess::Path(absolute(copy)?))
            }
        }
    }

    /// The bytes of a released file, or a range of them, in chunks of some megabytes at most. A whole file is
    /// digested on the way and fails before its last chunk when it is not what was released.
    ///
    /// # Errors
    /// [`StoreError::OutOfRange`] for an empty range or one that ends after the file; the stream fails with
    /// [`StoreError::NotFound`], [`StoreError::Corrupt`] or [`StoreError::Unavailable`].
    pub async fn read_released(
        &self,
        file: &ReleasedFile,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreError> {
        let path = self.path(Area::Released, &file.path)?;
        let whole = 0..file.bytes;
        let range = range.unwrap_or_else(|| whole.clone());
        if range.end > file.bytes || (range.is_empty() && range != whole) {
            return Err(StoreError::OutOfRange);
        }
        let chunks = transfer::chunks(&self.inner.store, &path, range.clone(), WHAT);
        if range != whole {
            return Ok(chunks);
        }
        let expected = Measured { sha256: file.sha256.clone(), bytes: file.bytes };
        Ok(transfer::verified(chunks, expected, "a released file"))
    }

    /// Reads a released file through and compares its digest with the manifest's: the scrub.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it is gone, [`StoreError::Corrupt`] when it is not what was released.
    pub async fn verify_released(&self, file: &ReleasedFile) -> Result<(), StoreError> {
        let path = self.path(Area::Released, &file.path)?;
        let found = transfer::digest(&self.inner.store, &path).await?;
        same(&found, &Measured { sha256: file.sha256.clone(), bytes: file.bytes })?;
        self.remember(&file.path);
        Ok(())
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
        let full = self.path(Area::Released, path)?;
        self.inner.verified.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
        self.remove(&full).await
    }

    async fn check_at_first_open(&self, file: &ReleasedFile) -> Result<(), StoreError> {
        let path = self.path(Area::Released, &file.path)?;
        let known = self.inner.verified.lock().unwrap_or_else(PoisonError::into_inner).contains(&file.path);
        if !known && file.bytes <= VERIFY_AT_FIRST_OPEN_BYTES {
            return self.verify_released(file).await;
        }
        let size = self.inner.store.head(&path).await.map_err(|error| StoreError::object(WHAT, error))?.size;
        if size == file.bytes {
            Ok(())
        } else {
            Err(StoreError::corrupt("a released file", "its size is not the recorded one"))
        }
    }

    fn remember(&self, path: &str) {
        let mut verified = self.inner.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if verified.len() >= VERIFIED_MAX {
            verified.clear();
        }
        verified.insert(path.to_owned());
    }
}

fn same(found: &Measured, expected: &Measured) -> Result<(), StoreError> {
    if found == expected {
        Ok(())
    } else {
        Err(StoreError::corrupt("a released file", "its digest is not the recorded one"))
    }
}

fn absolute(path: PathBuf) -> Result<String, StoreError> {
    let text = path.into_os_string().into_string();
    text.map_err(|_| StoreError::invalid("the storage's directory has a name that is not UTF-8"))
}
