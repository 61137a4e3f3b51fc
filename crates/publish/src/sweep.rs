//! Removal of files that no release needs: leftovers of crashes, revisions given up, spooled exports.

use portico_model::revision::RevisionState;
use portico_store::{StagedFile, StoredObject};

use crate::error::PublishError;
use crate::publisher::Publisher;

/// How old an unnamed file must be: longer than any release takes, so that a file which is about to be named by
/// a catalog row is never taken for a leftover.
const AGE_MS: i64 = 24 * 60 * 60 * 1000;

/// What a sweep removed, or would remove.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Publisher {
    /// Removes released files that no version names and staged files whose revision is decided or unknown, if they
    /// are older than a day. `dry_run` only counts.
    ///
    /// # Errors
    /// [`PublishError::Store`] when storage or catalog fail; doing it again goes on.
    pub async fn sweep(&self, dry_run: bool, now_ms: i64) -> Result<Swept, PublishError> {
        let (storage, catalog) = (&self.store.storage, &self.store.catalog);
        let mut swept = Swept::default();
        let named = catalog.released_paths().await?;
        for object in storage.list_released().await? {
            // The Delta log is the table's own record; its commits are small and stay.
            if named.contains(&object.path)
                || object.path.contains("/_delta_log/")
                || now_ms - object.modified_ms < AGE_MS
            {
                continue;
            }
            swept.count(object.bytes);
            if !dry_run {
                storage.remove_released(&object.path).await?;
            }
        }
        for object in storage.list_staged().await? {
            let id = object.path.split('.').next().unwrap_or_default();
            let open = match catalog.revision(id).await? {
                Some(revision) => !matches!(revision.state, RevisionState::Released | RevisionState::Discarded),
                None => false,
            };
            if open || now_ms - object.modified_ms < AGE_MS {
                continue;
            }
            swept.count(object.bytes);
            if !dry_run {
                let StoredObject { path, bytes, .. } = object;
                storage.remove_staged(&StagedFile { path, sha256: String::new(), bytes }).await?;
            }
        }
        Ok(swept)
    }
}

impl Swept {
    fn count(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}
