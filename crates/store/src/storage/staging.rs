//! The private area: a revision's bytes until somebody has decided.

use std::path::Path as FsPath;

use portico_model::blocks::BlockDigests;
use serde::{Deserialize, Serialize};

use super::transfer::{self, Measured};
use super::upload::IfExists;
use super::verdicts::{Kind, Verdicts};
use super::{Area, Storage, StoredObject, check_key};
use crate::error::StoreError;

/// A file in staging.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedFile {
    /// Where it lies in staging.
    pub path: String,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

impl StagedFile {
    pub(super) fn measured(&self) -> Measured {
        Measured { sha256: self.sha256.clone(), bytes: self.bytes }
    }
}

impl Storage {
    /// Puts a local file into staging, in place of an earlier one of the same revision.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for an id that is no key, [`StoreError::Unavailable`] when the file cannot be
    /// read or written; doing it again is safe.
    pub async fn put_staged(&self, revision_id: &str, local: &FsPath) -> Result<StagedFile, StoreError> {
        self.put_prepared(revision_id, local).await.map(|(staged, _)| staged)
    }

    /// Puts a local file into staging as [`Storage::put_staged`] does, and says the digests of its blocks.
    ///
    /// # Errors
    /// As [`Storage::put_staged`].
    pub async fn put_prepared(&self, key: &str, local: &FsPath) -> Result<(StagedFile, BlockDigests), StoreError> {
        let key = check_key(key)?;
        let path = self.path(Area::Staging, key)?;
        let (measured, blocks) = self.inner.uploads.put(&self.inner.store, &path, local, IfExists::Replace).await?;
        Ok((StagedFile { path: key.to_owned(), sha256: measured.sha256, bytes: measured.bytes }, blocks))
    }

    /// Copies a staged file to a local one, which is replaced.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it is gone, [`StoreError::Corrupt`] when its bytes are not those that were
    /// staged.
    pub async fn fetch_staged(&self, file: &StagedFile, into: &FsPath) -> Result<(), StoreError> {
        let path = self.path(Area::Staging, &file.path)?;
        let expected = file.measured();
        let meta = Verdicts::look(&self.inner.store, &path, &expected, Kind::STAGED).await?;
        let measured = transfer::download(&self.inner.store, &meta, into, Kind::STAGED.noun).await?;
        if measured == expected { Ok(()) } else { Err(Kind::STAGED.corrupt("its digest is not the recorded one")) }
    }

    /// Reads a staged file through and compares its digest with the recorded one.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it is gone, [`StoreError::Corrupt`] when its bytes are not those that were
    /// staged.
    pub async fn verify_staged(&self, file: &StagedFile) -> Result<(), StoreError> {
        let path = self.path(Area::Staging, &file.path)?;
        let expected = file.measured();
        let meta = Verdicts::look(&self.inner.store, &path, &expected, Kind::STAGED).await?;
        let found = transfer::digest(&self.inner.store, &meta, Kind::STAGED.noun).await?;
        if found == expected { Ok(()) } else { Err(Kind::STAGED.corrupt("its digest is not the recorded one")) }
    }

    /// Removes a staged file; one that is gone already is fine.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the storage does not answer.
    pub async fn remove_staged(&self, file: &StagedFile) -> Result<(), StoreError> {
        self.remove(&self.path(Area::Staging, &file.path)?).await
    }

    /// Everything in staging; each path is a revision's id.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the storage does not answer.
    pub async fn list_staged(&self) -> Result<Vec<StoredObject>, StoreError> {
        self.list(Area::Staging).await
    }
}
