//! Verdicts: which objects this process has read through and found to be what was recorded.
//!
//! Objects that are recorded with the digests of their blocks need none to be read: each block is checked each time.
//!
//! A verdict belongs to one state of one object, as its storage tells states apart: the tag (for a directory inode,
//! time and size), or else time and size. An object that was replaced is read through again. What changes without
//! the storage noticing, a bit that the disk has lost, is found at the first opening by each process, by whole reads,
//! which are digested always, and by the scrub.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use super::transfer::{self, Measured};
use crate::error::StoreError;

/// Verdicts kept; beyond it the oldest objects are read through again.
const VERDICTS_MAX: u64 = 65_536;

/// The verdicts of this process. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Verdicts {
    good: moka::future::Cache<State, ()>,
}

/// One state of one object, and the digest that it was found to have.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct State {
    path: Path,
    tag: Option<String>,
    modified_ms: i64,
    bytes: u64,
    sha256: String,
}

impl State {
    fn new(meta: &ObjectMeta, expected: &Measured) -> Self {
        Self {
            path: meta.location.clone(),
            tag: meta.e_tag.clone(),
            modified_ms: meta.last_modified.timestamp_millis(),
            bytes: meta.size,
            sha256: expected.sha256.clone(),
        }
    }
}

impl Verdicts {
    pub(super) fn new() -> Self {
        Self { good: moka::future::Cache::new(VERDICTS_MAX) }
    }

    /// The state of an object of the recorded size; no byte of it is read.
    pub(super) async fn look(
        store: &dyn ObjectStore,
        path: &Path,
        expected: &Measured,
        what: Kind,
    ) -> Result<ObjectMeta, StoreError> {
        let meta = store.head(path).await.map_err(|error| StoreError::object(what.noun, error))?;
        if meta.size != expected.bytes {
            return Err(what.corrupt("its size is not the recorded one"));
        }
        // A store below a prefix answers with the whole path.
        Ok(ObjectMeta { location: path.clone(), ..meta })
    }

    /// Makes sure that an object in this state is what was recorded: reads it through unless somebody did before.
    /// Those who ask at once wait for one reading.
    pub(super) async fn ensure(
        &self,
        store: &Arc<dyn ObjectStore>,
        meta: &ObjectMeta,
        expected: &Measured,
        what: Kind,
    ) -> Result<(), StoreError> {
        let read = async {
            let found = transfer::digest(store, meta, what.noun).await?;
            if found == *expected { Ok(()) } else { Err(what.corrupt("its digest is not the recorded one")) }
        };
        self.good.try_get_with(State::new(meta, expected), read).await.map_err(|error| shared(&error, what))
    }

    /// Remembers that an object in this state was read through and is what was recorded.
    pub(super) async fn remember(&self, meta: &ObjectMeta, expected: &Measured) {
        self.good.insert(State::new(meta, expected), ()).await;
    }
}

/// What an object is called in errors.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    /// As in "there is no such export".
    pub(super) noun: &'static str,
    /// As in "an export is damaged".
    pub(super) article: &'static str,
}

impl Kind {
    pub(super) const RELEASED: Self = Self { noun: "released file", article: "a released file" };
    pub(super) const STAGED: Self = Self { noun: "staged file", article: "a staged file" };
    pub(super) const BACKUP: Self = Self { noun: "backup", article: "a file of a backup" };
    pub(super) const FILE: Self = Self { noun: "file", article: "a file" };
    pub(super) const EXPORT: Self = Self { noun: "export", article: "an export" };

    pub(super) fn corrupt(self, how: &'static str) -> StoreError {
        StoreError::corrupt(self.article, how)
    }
}

/// An error that several who asked at once share.
pub(super) fn shared(error: &Arc<StoreError>, what: Kind) -> StoreError {
    match error.as_ref() {
        StoreError::NotFound { what } => StoreError::not_found(what),
        StoreError::Corrupt { source, .. } => StoreError::corrupt(what.article, source.to_string()),
        other => StoreError::storage(format!(
            "{other}: {}",
            std::error::Error::source(other).map_or_else(String::new, ToString::to_string)
        )),
    }
}
