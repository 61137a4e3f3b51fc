//! Bytes by URL: three areas under one prefix, written so that a crash or a power cut loses nothing promised.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::signer::Signer;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tempfile::TempDir;

use crate::error::StoreError;
use transfer::Measured;
use upload::Uploads;
use verdicts::Verdicts;

mod backend;
mod backups;
mod buffers;
mod delta;
mod durable;
mod places;
mod purge;
mod released;
mod spool;
mod staging;
mod transfer;
mod upload;
mod verdicts;
#[cfg(test)]
mod watched;

pub(crate) use backups::KeptFile;
pub use buffers::{Buffers, buffer_bytes};
pub(crate) use delta::History;
pub use delta::{DeltaCommit, DeltaFile};
pub use places::{Place, PlacedFile};
pub use spool::SpooledFile;
pub use staging::StagedFile;
pub(crate) use transfer::hex;

/// The longest key that a caller may choose, in bytes.
const KEY_BYTES_MAX: usize = 160;

/// A logical part of the storage, and its prefix under the URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Area {
    /// Bytes of revisions that nobody has decided on.
    Staging,
    /// Files of versions and the Delta log.
    Released,
    /// Finished exports: may be lost, costs only time.
    Spool,
    /// What is known of each finished export.
    SpoolRecords,
    /// Heads and lists of backups, where this storage holds some.
    Backups,
    /// Keys that the self-test tries things on.
    SelfTest,
}

impl Area {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Staging => "staging",
            Self::Released => "released",
            Self::Spool => "spool/files",
            Self::SpoolRecords => "spool/records",
            Self::Backups => "backups",
            Self::SelfTest => "self-test",
        }
    }
}

/// An object that a listing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// Its path or key within the area that was listed.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written, in milliseconds since the epoch, by the storage's clock.
    pub modified_ms: i64,
}

/// The storage behind one URL. Cheap to clone; clones share their state.
#[derive(Clone, Debug)]
pub struct Storage {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Rooted at the URL's prefix.
    store: Arc<dyn ObjectStore>,
    /// How workers get at released files.
    reach: Reach,
    /// How local files become objects.
    uploads: Uploads,
    /// Objects whose digest this process has seen to be right.
    verdicts: Verdicts,
}

/// How a worker process reads a released file.
#[derive(Debug)]
enum Reach {
    /// By its path below this directory.
    Directory(PathBuf),
    /// By a signed URL.
    Signed {
        /// Who signs.
        signer: Arc<dyn Signer>,
        /// The prefix in the bucket.
        prefix: Path,
        /// The files that this process has opened and found to be right.
        opened: moka::future::Cache<(Path, Measured), ()>,
    },
    /// By a copy in this directory, made when first asked for; one at a time.
    Copies(TempDir, tokio::sync::Mutex<()>),
}

impl Storage {
    /// Opens the storage at `url`: `file:///directory` (made if absent), `s3://bucket/prefix`, `gs://…`,
    /// `az://…` or `memory://`. `options` go to the cloud's client by the names that `object_store` knows
    /// (`endpoint`, `region`, `allow_http`, `access_key_id` …). Nothing is read or written yet.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a URL or option that is not understood, [`StoreError::Unavailable`] when the
    /// directory cannot be made.
    pub fn open(url: &str, options: &BTreeMap<String, String>) -> Result<Self, StoreError> {
        let backend::Opened { store, reach } = backend::open(url, options)?;
        Ok(Self::assemble(store, reach))
    }

    /// Uses an object store that somebody else has built, such as a wrapper that counts or fails on purpose.
    /// Workers read copies of its files in a temporary directory.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the temporary directory cannot be made.
    pub fn over(store: Arc<dyn ObjectStore>) -> Result<Self, StoreError> {
        Ok(Self::assemble(store, backend::copies()?))
    }

    fn assemble(store: Arc<dyn ObjectStore>, reach: Reach) -> Self {
        let uploads = match &reach {
            Reach::Directory(_) => Uploads::to_directory(),
            Reach::Signed { .. } => Uploads::to_cloud(),
            Reach::Copies(..) => Uploads::to_memory(),
        };
        Self { inner: Arc::new(Inner { store, reach, uploads, verdicts: Verdicts::new() }) }
    }

    /// The local directory that holds all released files and nothing else, where there is one: all that a worker
    /// process has to be able to read.
    #[must_use]
    pub fn released_directory(&self) -> Option<PathBuf> {
        match &self.inner.reach {
            Reach::Directory(root) => Some(root.join(Area::Released.prefix())),
            Reach::Copies(directory, _) => Some(directory.path().to_owned()),
            Reach::Signed { .. } => None,
        }
    }

    /// Makes sure that the storage refuses to create an object twice, which every commit relies on: a storage
    /// that ignores the condition loses releases silently. Leaves nothing behind.
    ///
    /// # Errors
    /// [`StoreError::Unsupported`] when the second creation is not refused or the first one's bytes are gone;
    /// [`StoreError::Unavailable`] when the storage does not answer.
    pub async fn self_test(&self) -> Result<(), StoreError> {
        let path = self.path(Area::SelfTest, &ulid::Ulid::new().to_string())?;
        let outcome = self.create_twice(&path).await;
        let removed = self.inner.store.delete(&path).await;
        outcome?;
        removed.map_err(|error| StoreError::object("self-test key", error))
    }

    async fn create_twice(&self, path: &Path) -> Result<(), StoreError> {
        let store = &self.inner.store;
        let create = || PutOptions::from(PutMode::Create);
        store
            .put_opts(path, PutPayload::from_static(b"first"), create())
            .await
            .map_err(|error| StoreError::object("self-test key", error))?;
        match store.put_opts(path, PutPayload::from_static(b"second"), create()).await {
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => {}
            Err(error) => return Err(StoreError::object("self-test key", error)),
            Ok(_) => return Err(no_conditions("it created the same object twice")),
        }
        let read = store.get(path).await.map_err(|error| StoreError::object("self-test key", error))?;
        let bytes = read.bytes().await.map_err(|error| StoreError::object("self-test key", error))?;
        if bytes.as_ref() == b"first" { Ok(()) } else { Err(no_conditions("a refused object was stored")) }
    }

    /// Removes what writers left behind when they died, if it is older than `before_ms`: temporary files of a
    /// local directory. Clouds do the same for incomplete uploads by a lifecycle rule of the bucket.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the directory cannot be read.
    pub async fn remove_abandoned(&self, before_ms: i64) -> Result<u64, StoreError> {
        let Reach::Directory(root) = &self.inner.reach else { return Ok(0) };
        durable::remove_abandoned(root.clone(), before_ms).await
    }

    /// The place of a caller's key or path in the store.
    fn path(&self, area: Area, relative: &str) -> Result<Path, StoreError> {
        let parsed = Path::parse(relative).map_err(|_| StoreError::invalid("that is not a path of this storage"))?;
        if parsed.as_ref().is_empty() {
            return Err(StoreError::invalid("a path in the storage is not empty"));
        }
        Ok(Path::from(area.prefix()).parts().chain(parsed.parts()).collect())
    }

    /// One area as a store of its own.
    fn area(&self, area: Area) -> Arc<dyn ObjectStore> {
        Arc::new(PrefixStore::new(Arc::clone(&self.inner.store), area.prefix()))
    }

    async fn list(&self, area: Area) -> Result<Vec<StoredObject>, StoreError> {
        self.area(area)
            .list(None)
            .map_ok(|meta| StoredObject {
                path: meta.location.to_string(),
                bytes: meta.size,
                modified_ms: meta.last_modified.timestamp_millis(),
            })
            .map_err(|error| StoreError::object("file", error))
            .boxed()
            .try_collect()
            .await
    }

    /// Removes an object; one that is gone already is fine.
    async fn remove(&self, path: &Path) -> Result<(), StoreError> {
        match self.inner.store.delete(path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(StoreError::object("file", error)),
        }
    }
}

fn no_conditions(how: &str) -> StoreError {
    StoreError::Unsupported {
        what: format!("the storage has no conditional create ({how}); releases on it could be lost"),
    }
}

/// Refuses keys that could mean something to a file system, a URL or an object store.
fn check_key(key: &str) -> Result<&str, StoreError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let starts = key.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if starts && key.len() <= KEY_BYTES_MAX && key.bytes().all(plain) {
        Ok(key)
    } else {
        Err(StoreError::invalid(format!(
            "a storage key starts with a letter or digit and holds only letters, digits, '-', '_' and '.', \
             {KEY_BYTES_MAX} at most"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_cannot_leave_their_area() {
        for good in ["01J0", "a.csv.gz", "a_b-c"] {
            assert!(check_key(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "../a", "a/b", "a b", "a#1", "é", "-a", "a%2e", &"a".repeat(161)] {
            assert!(check_key(bad).is_err(), "{bad}");
        }
        let storage = Storage::open("memory:///", &BTreeMap::new()).unwrap();
        for bad in ["", "/", "../staging/x", "a/../../staging/x", "a//b"] {
            assert!(storage.path(Area::Released, bad).is_err(), "{bad}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_eight_creators_one_wins() {
        let directory = tempfile::tempdir().unwrap();
        for url in ["memory:///".to_owned(), format!("file://{}", directory.path().display())] {
            let storage = Storage::open(&url, &BTreeMap::new()).unwrap();
            for key in 0..20 {
                let path = storage.path(Area::SelfTest, &format!("deep/er/{key}")).unwrap();
                let mut racing = tokio::task::JoinSet::new();
                for racer in 0..8_u8 {
                    let (store, path) = (Arc::clone(&storage.inner.store), path.clone());
                    racing.spawn(async move {
                        let payload = PutPayload::from(vec![racer; 100_000]);
                        (racer, store.put_opts(&path, payload, PutOptions::from(PutMode::Create)).await)
                    });
                }
                let outcomes = racing.join_all().await;
                let winners: Vec<_> = outcomes.iter().filter(|(_, outcome)| outcome.is_ok()).collect();
                assert_eq!(winners.len(), 1, "{url}: {outcomes:?}");
                let stored = storage.inner.store.get(&path).await.unwrap().bytes().await.unwrap();
                assert_eq!(stored, vec![winners[0].0; 100_000]);
            }
        }
    }
}
