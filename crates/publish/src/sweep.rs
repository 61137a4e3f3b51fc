//! Removal of files that no release needs: leftovers of crashes and revisions given up.

use std::collections::{BTreeMap, HashSet};

use portico_model::name::DatasetName;
use portico_store::{StagedFile, StoreError, StoredObject};
use ulid::Ulid;

use crate::error::PublishError;
use crate::lease::Held;
use crate::publisher::Publisher;

/// How old an unnamed file must be: longer than any step takes, so that a file which is about to be named by a
/// catalog row is never taken for a leftover.
const AGE_MS: i64 = 24 * 60 * 60 * 1000;

/// What a sweep removed, or would remove.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Files.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Datasets that were passed over because a release was at work on them.
    pub busy: u64,
    /// Released tables that the catalog does not know: nothing of theirs is removed.
    pub unknown: u64,
}

impl Publisher {
    /// Removes released files that no version names and staged files whose revision is decided or unknown, if they
    /// are older than a day, and what writers left behind when they died. A dataset's files are removed under its
    /// lease, so that none goes which a release is about to name. `dry_run` only counts.
    ///
    /// A catalog never forgets a dataset. Where the storage has a released table that it does not know, it is an older
    /// catalog or another portal's: that table stays, and so does what lies in staging for revisions that nobody knows.
    ///
    /// # Errors
    /// [`PublishError::Store`] when storage or catalog fail; doing it again goes on. A damaged catalog is refused:
    /// what it does not name any more may be needed. So is an empty one over a storage with released tables.
    pub async fn sweep(&self, dry_run: bool, now_ms: i64) -> Result<Swept, PublishError> {
        self.store.catalog.integrity().await?;
        let mut swept = Swept { unknown: self.unknown_tables().await?, ..Swept::default() };
        let mut by_root: BTreeMap<String, Vec<StoredObject>> = BTreeMap::new();
        for object in self.store.storage.list_released().await? {
            if now_ms - object.modified_ms >= AGE_MS {
                let root = object.path.split('/').next().unwrap_or_default().to_owned();
                by_root.entry(root).or_default().push(object);
            }
        }
        for (root, objects) in by_root {
            self.sweep_root(&root, &objects, (dry_run, now_ms), &mut swept).await?;
        }
        self.sweep_staging(dry_run, now_ms, &mut swept).await?;
        if !dry_run {
            swept.files += self.store.storage.remove_abandoned(now_ms - AGE_MS).await?;
        }
        Ok(swept)
    }

    /// How many released tables the catalog does not know.
    async fn unknown_tables(&self) -> Result<u64, PublishError> {
        let catalog = &self.store.catalog;
        let is_empty = catalog.is_empty().await?;
        let mut unknown = 0;
        for root in self.store.storage.tables().await? {
            if is_empty {
                let what = "the catalog is empty, and the storage holds released tables: it is not theirs. Name the right \
                            catalog, or restore a backup; nothing was removed";
                return Err(StoreError::Invalid { what: what.to_owned(), source: None }.into());
            }
            if catalog.dataset_at(&root).await?.is_none() {
                tracing::warn!(%root, "the storage holds a released table that the catalog does not know");
                unknown += 1;
            }
        }
        Ok(unknown)
    }

    async fn sweep_root(
        &self,
        root: &str,
        objects: &[StoredObject],
        (dry_run, now_ms): (bool, i64),
        swept: &mut Swept,
    ) -> Result<(), PublishError> {
        let catalog = &self.store.catalog;
        let Some(dataset) = catalog.dataset_at(root).await? else {
            // Asked now: what was no table when the sweep began may have become one.
            if self.store.storage.is_table(root).await? {
                return Ok(());
            }
            return self.remove_released(objects.iter(), dry_run, swept).await;
        };
        let name = &dataset.metadata.name;
        let leftovers = unnamed(objects, &catalog.released_paths(name).await?);
        if dry_run || leftovers.is_empty() {
            return self.remove_released(leftovers.into_iter(), dry_run, swept).await;
        }
        let removed = match Held::take(catalog, name, format!("sweep {}", Ulid::new()), now_ms).await {
            Ok(held) => {
                let removed = self.remove_held(&held, name, objects, swept).await;
                held.end().await;
                removed
            }
            Err(error) => Err(error),
        };
        match removed {
            Err(StoreError::Conflict { .. }) => {
                swept.busy += 1;
                Ok(())
            }
            removed => Ok(removed?),
        }
    }

    /// Removes what no version names, as long as nobody else had the lease: what a release finds again and names after this
    /// sweep was stopped for too long is not taken by what was read before.
    async fn remove_held(
        &self,
        held: &Held<'_>,
        name: &DatasetName,
        objects: &[StoredObject],
        swept: &mut Swept,
    ) -> Result<(), StoreError> {
        // Again, now that nobody adds to them.
        let named = self.store.catalog.released_paths(name).await?;
        for object in unnamed(objects, &named) {
            held.renew().await?;
            self.store.storage.remove_released(&object.path).await?;
            swept.count(object.bytes);
        }
        Ok(())
    }

    async fn remove_released(
        &self,
        objects: impl Iterator<Item = &StoredObject>,
        dry_run: bool,
        swept: &mut Swept,
    ) -> Result<(), PublishError> {
        for object in objects {
            if !dry_run {
                self.store.storage.remove_released(&object.path).await?;
            }
            swept.count(object.bytes);
        }
        Ok(())
    }

    async fn sweep_staging(&self, dry_run: bool, now_ms: i64, swept: &mut Swept) -> Result<(), PublishError> {
        let (storage, catalog) = (&self.store.storage, &self.store.catalog);
        for object in storage.list_staged().await? {
            let id = object.path.split('.').next().unwrap_or_default();
            let kept = match catalog.revision(id).await? {
                Some(revision) => revision.is_open(),
                None => swept.unknown > 0,
            };
            if kept || now_ms - object.modified_ms < AGE_MS {
                continue;
            }
            let StoredObject { path, bytes, .. } = object;
            if !dry_run {
                storage.remove_staged(&StagedFile { path, sha256: String::new(), bytes }).await?;
            }
            swept.count(bytes);
        }
        Ok(())
    }
}

fn unnamed<'a>(objects: &'a [StoredObject], named: &HashSet<String>) -> Vec<&'a StoredObject> {
    objects.iter().filter(|object| !named.contains(&object.path)).collect()
}

impl Swept {
    fn count(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}
