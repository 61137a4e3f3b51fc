//! Finished exports, kept so that nobody makes them twice. Losing one costs only time: a damaged one is removed, and
//! made again by whoever asks next.

use std::ops::Range;
use std::path::Path as FsPath;

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload};
use portico_model::blocks::BlockDigests;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::released::VERIFY_FIRST_BYTES;
use super::transfer::Measured;
use super::upload::IfExists;
use super::verdicts::{Kind, Verdicts};
use super::{Area, Storage, StoredObject, check_key, hex};
use crate::error::StoreError;

/// What is known of a finished export.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpooledFile {
    /// Its size; set when it is put.
    pub bytes: u64,
    /// SHA-256 of its bytes, lower-case hex; set when it is put.
    pub sha256: String,
    /// The digests of its blocks; set when it is put.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<BlockDigests>,
    /// Its rows, where the export knows them.
    pub rows: Option<u64>,
    /// Its media type.
    pub content_type: String,
    /// When it was finished, in milliseconds since the epoch.
    pub created_ms: i64,
}

/// The record as it is stored: with the digest of itself.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    key: String,
    file: SpooledFile,
    seal: String,
}

impl Record {
    fn new(key: &str, file: SpooledFile) -> Result<Self, StoreError> {
        let said = serde_json::to_vec(&(key, &file)).map_err(StoreError::storage)?;
        Ok(Self { key: key.to_owned(), file, seal: hex(&Sha256::digest(said)) })
    }

    /// What the record says, if it is whole and belongs to the key.
    fn read(key: &str, bytes: &[u8]) -> Option<SpooledFile> {
        let record: Self = serde_json::from_slice(bytes).ok()?;
        let again = Self::new(&record.key, record.file.clone()).ok()?;
        (again.seal == record.seal && record.key == key).then_some(record.file)
    }
}

impl Storage {
    /// Keeps a finished export under a key, in place of an earlier one. Answers the record with size and digest
    /// filled in.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a key that is none, [`StoreError::Unavailable`] when reading or writing fails.
    pub async fn spool_put(&self, key: &str, local: &FsPath, file: SpooledFile) -> Result<SpooledFile, StoreError> {
        let (path, record_path) = self.spool_paths(key)?;
        let (measured, blocks) = self.inner.uploads.put(&self.inner.store, &path, local, IfExists::Replace).await?;
        let Measured { sha256, bytes } = measured;
        let record = Record::new(key, SpooledFile { bytes, sha256, blocks: Some(blocks), ..file })?;
        let json = serde_json::to_vec(&record).map_err(StoreError::storage)?;
        let put = self.inner.store.put(&record_path, PutPayload::from(json)).await;
        put.map_err(|error| StoreError::object(Kind::EXPORT.noun, error))?;
        Ok(record.file)
    }

    /// The record of a finished export, if there is one and its bytes are what it says: those of a large one are
    /// looked at when they are read. What is damaged is removed.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the storage does not answer.
    pub async fn spool_get(&self, key: &str) -> Result<Option<SpooledFile>, StoreError> {
        match self.spool_check(key, VERIFY_FIRST_BYTES).await {
            Ok(found) => Ok(Some(found)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(StoreError::Corrupt { .. }) => {
                self.spool_remove(key).await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Reads a finished export through and compares its digest with its record: the scrub.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it is gone, [`StoreError::Corrupt`] when record and bytes do not agree.
    pub async fn spool_verify(&self, key: &str) -> Result<(), StoreError> {
        let (path, _) = self.spool_paths(key)?;
        let file = self.spool_record(key).await?;
        self.verify_at(&path, &file.measured(), Kind::EXPORT).await
    }

    /// The bytes of a finished export, or a range of them, with the same promises as for a released file.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when it is not there, [`StoreError::OutOfRange`] for an empty range or one that
    /// ends after it, [`StoreError::Corrupt`] when it is damaged, at once or from the stream; it is gone then.
    pub async fn spool_read(
        &self,
        key: &str,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, StoreError>>, StoreError> {
        let (path, _) = self.spool_paths(key)?;
        let file = self.spool_record(key).await?;
        match self.read_recorded(&path, (file.measured(), file.blocks), range, Kind::EXPORT).await {
            Ok(stream) => {
                let (storage, key) = (self.clone(), key.to_owned());
                let removing = move |read: Result<Bytes, StoreError>| {
                    let (storage, key) = (storage.clone(), key.clone());
                    async move {
                        if matches!(read, Err(StoreError::Corrupt { .. })) {
                            storage.spool_remove(&key).await?;
                        }
                        read
                    }
                };
                Ok(stream.then(removing).boxed())
            }
            Err(error @ StoreError::Corrupt { .. }) => {
                self.spool_remove(key).await?;
                Err(error)
            }
            Err(error) => Err(error),
        }
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

    /// The record, once the bytes have its size and, up to `verify_bytes` of them, its digest.
    async fn spool_check(&self, key: &str, verify_bytes: u64) -> Result<SpooledFile, StoreError> {
        let (path, _) = self.spool_paths(key)?;
        let file = self.spool_record(key).await?;
        let expected = file.measured();
        let meta = Verdicts::look(&self.inner.store, &path, &expected, Kind::EXPORT).await?;
        if file.bytes <= verify_bytes {
            self.inner.verdicts.ensure(&self.inner.store, &meta, &expected, Kind::EXPORT).await?;
        }
        Ok(file)
    }

    async fn spool_record(&self, key: &str) -> Result<SpooledFile, StoreError> {
        let (_, record_path) = self.spool_paths(key)?;
        let read = match self.inner.store.get(&record_path).await {
            Ok(read) => read.bytes().await,
            Err(error) => Err(error),
        };
        let bytes = read.map_err(|error| StoreError::object(Kind::EXPORT.noun, error))?;
        // One that does not read may as well be from another release of this program: no less useless.
        Record::read(key, &bytes).ok_or_else(|| Kind::EXPORT.corrupt("its record does not read"))
    }

    /// Where an export lies, and its record; an export without a record does not exist.
    fn spool_paths(&self, key: &str) -> Result<(Path, Path), StoreError> {
        let key = check_key(key)?;
        Ok((self.path(Area::Spool, key)?, self.path(Area::SpoolRecords, key)?))
    }
}

impl SpooledFile {
    fn measured(&self) -> Measured {
        Measured { sha256: self.sha256.clone(), bytes: self.bytes }
    }
}
