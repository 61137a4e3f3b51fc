//! Copies from one storage to another, each digested on its way.

use std::path::Path as FsPath;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt, PutPayload, WriteMultipart};
use sha2::{Digest, Sha256};

use super::transfer::{self, Measured};
use super::upload::{IfExists, SINGLE_PUT_BYTES};
use super::verdicts::{Kind, Verdicts};
use super::{Area, Storage, hex};
use crate::error::StoreError;

/// Bytes of a part of a large copy: clouds allow 10,000 parts, and no file of ours has 80 GB.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// Parts on the way at once.
const PARTS_AT_ONCE: usize = 3;

/// A file of a portal, as a backup lists it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct KeptFile {
    /// Where it lies in the portal's storage.
    pub(crate) path: String,
    /// Where it lies in the backup.
    pub(crate) kept: String,
    /// SHA-256 of its bytes, lower-case hex.
    pub(crate) sha256: String,
    /// Its size.
    pub(crate) bytes: u64,
}

impl KeptFile {
    /// Whether it is of an open revision: people may remove it or put another in its place at any time.
    pub(crate) fn is_staged(&self) -> bool {
        self.path.strip_prefix(Area::Staging.prefix()).is_some_and(|rest| rest.starts_with('/'))
    }
}

impl Storage {
    /// Copies an object to another storage unless one of its size is there, which is read and compared where `compared`;
    /// answers whether it was copied.
    pub(crate) async fn copy_out(&self, file: &KeptFile, to: &Self, compared: bool) -> Result<bool, StoreError> {
        let target = parsed(&file.kept)?;
        match to.inner.store.head(&target).await {
            Ok(meta) if meta.size == file.bytes => {
                if !compared {
                    return Ok(false);
                }
                match to.verify_at(&target, &measured(file), Kind::BACKUP).await {
                    Ok(()) => return Ok(false),
                    // What it was copied from is there, and is digested on its way.
                    Err(StoreError::Corrupt { .. }) => tracing::warn!(path = %target, "a backup's file was damaged"),
                    Err(error) => return Err(error),
                }
            }
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(StoreError::object("file of the backup", error)),
        }
        relay((self, &parsed(&file.path)?), (to, &target), &measured(file)).await?;
        Ok(true)
    }

    /// Whether what lies where an object of a backup is to go, if anything does, is that object.
    pub(crate) async fn check_place(&self, file: &KeptFile) -> Result<(), StoreError> {
        let target = parsed(&file.path)?;
        if !transfer::exists(&self.inner.store, &target).await? {
            return Ok(());
        }
        self.verify_at(&target, &measured(file), Kind::RELEASED).await
    }

    /// Copies an object of a backup to where it lay, unless it is there; answers whether it was copied. What is there was
    /// checked before.
    pub(crate) async fn copy_back(&self, file: &KeptFile, from: &Self) -> Result<bool, StoreError> {
        let target = parsed(&file.path)?;
        if transfer::exists(&self.inner.store, &target).await? {
            return Ok(false);
        }
        relay((from, &parsed(&file.kept)?), (self, &target), &measured(file)).await?;
        Ok(true)
    }

    /// The entry of a Delta log, as a backup lists it.
    pub(crate) async fn delta_entry(&self, root: &str, version: i64) -> Result<KeptFile, StoreError> {
        let path = format!("{}/{root}/_delta_log/{version:020}.json", Area::Released.prefix());
        let location = parsed(&path)?;
        let meta = self.inner.store.head(&location).await;
        let meta = meta.map_err(|error| StoreError::object("Delta log entry", error))?;
        let meta = ObjectMeta { location, ..meta };
        let Measured { sha256, bytes } = transfer::digest(&self.inner.store, &meta, "Delta log entry").await?;
        Ok(KeptFile { kept: path.clone(), path, sha256, bytes })
    }

    /// Keeps a local file of a backup; the digest is that of its bytes.
    pub(crate) async fn put_backup(&self, key: &str, local: &FsPath) -> Result<KeptFile, StoreError> {
        let path = self.path(Area::Backups, super::check_key(key)?)?;
        let (kept, _) = self.inner.uploads.put(&self.inner.store, &path, local, IfExists::Refuse).await?;
        let Measured { sha256, bytes } = kept;
        Ok(KeptFile { path: String::new(), kept: path.to_string(), sha256, bytes })
    }

    /// Copies a file of a backup to a local one and checks it.
    pub(crate) async fn get_backup(&self, file: &KeptFile, into: &FsPath) -> Result<(), StoreError> {
        let (path, expected) = (parsed(&file.kept)?, measured(file));
        let meta = Verdicts::look(&self.inner.store, &path, &expected, Kind::BACKUP).await?;
        let found = transfer::download(&self.inner.store, &meta, into, Kind::BACKUP.noun).await?;
        if found == expected { Ok(()) } else { Err(Kind::BACKUP.corrupt("its digest is not the recorded one")) }
    }

    /// A small file of a backup.
    pub(crate) async fn read_backup(&self, key: &str) -> Result<Vec<u8>, StoreError> {
        let path = self.path(Area::Backups, super::check_key(key)?)?;
        let found = self.inner.store.get(&path).await.map_err(|error| StoreError::object(Kind::BACKUP.noun, error))?;
        let bytes = found.bytes().await.map_err(|error| StoreError::object(Kind::BACKUP.noun, error))?;
        Ok(bytes.to_vec())
    }

    /// The keys of all files of backups.
    pub(crate) async fn list_backups(&self) -> Result<Vec<String>, StoreError> {
        let mut keys: Vec<String> = self.list(Area::Backups).await?.into_iter().map(|object| object.path).collect();
        keys.sort_unstable();
        Ok(keys)
    }
}

fn measured(file: &KeptFile) -> Measured {
    Measured { sha256: file.sha256.clone(), bytes: file.bytes }
}

fn parsed(path: &str) -> Result<Path, StoreError> {
    Path::parse(path).map_err(|error| StoreError::corrupt(Kind::BACKUP.article, error))
}

/// Reads an object here and writes it there, in bounded memory; there is nothing there if it is not what was recorded.
async fn relay(
    (from, source): (&Storage, &Path),
    (to, target): (&Storage, &Path),
    expected: &Measured,
) -> Result<(), StoreError> {
    let meta = Verdicts::look(&from.inner.store, source, expected, Kind::FILE).await?;
    let mut chunks = transfer::chunks(&from.inner.store, &meta, 0..expected.bytes, Kind::FILE.noun);
    let failed = |error| StoreError::object(Kind::FILE.noun, error);
    let wrong = || Kind::FILE.corrupt("its digest is not the recorded one");
    let mut digest = Sha256::new();
    if expected.bytes <= SINGLE_PUT_BYTES {
        let mut all = Vec::new();
        while let Some(chunk) = chunks.try_next().await? {
            digest.update(&chunk);
            all.push(chunk);
        }
        if hex(&digest.finalize()) != expected.sha256 {
            return Err(wrong());
        }
        to.inner.store.put(target, PutPayload::from_iter(all)).await.map_err(failed)?;
        return Ok(());
    }
    let upload = to.inner.store.put_multipart(target).await.map_err(failed)?;
    let mut writer = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
    let copied = async {
        while let Some(chunk) = chunks.try_next().await? {
            digest.update(&chunk);
            writer.wait_for_capacity(PARTS_AT_ONCE).await.map_err(failed)?;
            writer.put(chunk);
        }
        if hex(&digest.finalize()) == expected.sha256 { Ok(()) } else { Err(wrong()) }
    };
    match copied.await {
        Ok(()) => writer.finish().await.map(drop).map_err(failed),
        Err(error) => {
            // What cannot be taken back is removed by the bucket's rule for incomplete uploads.
            let _ = writer.abort().await;
            Err(error)
        }
    }
}
