//! Finished exports, kept so that nobody makes them twice. Losing one costs only time.

use std::ops::Range;
use std::path::Path as FsPath;

use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use serde::{Deserialize, Serialize};

use super::transfer::{self, IfExists};
use super::{Area, Storage, StoredObject, check_key};
use crate::error::StoreError;

const WHAT: &str = "export";

/// What is known of a finished export.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SpooledFile {
    /// Its size; set when it is put.
    pub bytes: u64,
    /// SHA-256 of its bytes, lower-case hex; set when it is put.
    pub sha256: String,
    /// Its rows, where the export knows them.
    pub rows: Option<u64>,
    /// Its media type.
    pub content_type: String,
    /// When it was finished, in milliseconds since the epoch.
    pub created_ms: i64,
}

impl Storage {
    /// Keeps a finished export under a key, in place of an earlier one. Answers the record with size and digest
    /// filled in.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a key that is none, [`StoreError::Unavailable`] when reading or writing fails.
    pub async fn spool_put(&self, key: &str, local: &FsPath, file: SpooledFile) -> Result<SpooledFile, StoreError> {
        let (path, record_path) = self.spool_paths(key)?;
        let measured = transfer::upload(&self.inner.store, &path, local, IfExists::Replace).await?;
        let record = SpooledFile { bytes: measured.bytes, sha256: measured.sha256, ..file };
        let json = serde_json::to_vec(&record).map_err(StoreError::storage)?;
        let put = self.inner.store.put(&record_path, PutPayload::from(json)).await;
        put.map_err(|error| StoreError::object(WHAT, error))?;
        Ok(record)
    }

    /// The record of a finished export, if there is one.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the storage does not answer.
    pub async fn spool_get(&self, key: &str) -> Result<Option<SpooledFile>, StoreError> {
        let (_, record_path) = self.spool_paths(key)?;
        let read = match self.inner.store.get(&record_path).await {
            Ok(read) => read.bytes().await,
            Err(error) => Err(error),
        };
        match read {
            // A record that does not read, from another release of this program perhaps, is no record.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(StoreError::object(WHAT, error)),
        }
    }

    /// The bytes of a finished export, or a range of them.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it is not there, [`StoreError::OutOfRange`] for an empty range or one that
    /// ends after it.
    pub async fn spool_read(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreError> {
        let (path, _) = self.spool_paths(key)?;
        let bytes = self.inner.store.head(&path).await.map_err(|error| StoreError::object(WHAT, error))?.size;
        let range = match range {
            None => 0..bytes,
            Some(range) if range.is_empty() || range.end > bytes => return Err(StoreError::OutOfRange),
            Some(range) => range,
        };
        Ok(transfer::chunks(&self.inner.store, &path, range, WHAT))
    }

    /// The finished exports with their sizes and ages; each path is a key.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the storage does not answer.
    pub async fn spool_list(&self) -> Result<Vec<StoredObject>, StoreError> {
        self.list(Area::Spool).await
    }

    /// Removes an export; one that is gone already is fine. Readers under way may fail.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the storage does not answer.
    pub async fn spool_remove(&self, key: &str) -> Result<(), StoreError> {
        let (path, record_path) = self.spool_paths(key)?;
        self.remove(&record_path).await?;
        self.remove(&path).await
    }

    /// Where an export lies, and its record; an export without a record does not exist.
    fn spool_paths(&self, key: &str) -> Result<(Path, Path), StoreError> {
        let key = check_key(key)?;
        Ok((self.path(Area::Spool, key)?, self.path(Area::SpoolRecords, key)?))
    }
}
