//! Removing a version's bytes from the storage: what of the Delta log speaks of them, and every finished export.

use std::collections::BTreeSet;

use futures::StreamExt;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use serde_json::{Value, json};

use super::delta::ENGINE;
use super::{Area, Storage, check_key};
use crate::error::StoreError;
use crate::search::{Finder, Needles, Searched};

/// The schema of a table of which nothing is left: readers want a column.
const NO_SCHEMA: &str =
    r#"{"type":"struct","fields":[{"name":"purged","type":"boolean","nullable":true,"metadata":{}}]}"#;
const WHAT: &str = "Delta log entry";

impl Storage {
    /// Takes out of the Delta log under `root` what revisions with these ids put there: files with their statistics, and
    /// schemas that no other entry has. Every other entry reads as before; those of the revisions hold no files. What a
    /// reader may do without, such as checkpoints of other programs, is removed. Doing it again changes nothing.
    /// Answers how many entries were written anew.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] for a log that does not read, [`StoreError::Unavailable`] when the storage fails.
    pub async fn redact_delta(&self, root: &str, revisions: &[String]) -> Result<u64, StoreError> {
        let prefix = format!("{}/_delta_log", check_key(root)?);
        let mut entries: Vec<Entry> = Vec::new();
        let directory = self.path(Area::Released, &prefix)?;
        let mut listed = self.inner.store.list(Some(&directory));
        while let Some(found) = listed.next().await {
            let location = found.map_err(|error| StoreError::object(WHAT, error))?.location;
            let is_entry = location
                .filename()
                .and_then(|name| name.strip_suffix(".json"))
                .is_some_and(|stem| stem.len() == 20 && stem.bytes().all(|byte| byte.is_ascii_digit()));
            if is_entry {
                entries.push(self.entry(location, revisions).await?);
            } else {
                self.remove(&location).await?;
            }
        }
        // In their order: whoever reads meanwhile sees files go before he is told that they went.
        entries.sort_by(|one, other| one.path.as_ref().cmp(other.path.as_ref()));
        redact(&mut entries, revisions);
        let mut written = 0;
        for entry in entries.into_iter().filter(|entry| entry.changed) {
            let text: String = entry.actions.iter().map(|action| format!("{action}\n")).collect();
            let put = self.inner.store.put(&entry.path, PutPayload::from(text.into_bytes())).await;
            put.map_err(|error| StoreError::object(WHAT, error))?;
            written += 1;
        }
        Ok(written)
    }

    async fn entry(&self, path: Path, revisions: &[String]) -> Result<Entry, StoreError> {
        let read = self.inner.store.get(&path).await.map_err(|error| StoreError::object(WHAT, error))?;
        let bytes = read.bytes().await.map_err(|error| StoreError::object(WHAT, error))?;
        let mut actions = Vec::new();
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let action: Value =
                serde_json::from_slice(line).map_err(|error| StoreError::corrupt("a Delta log", error))?;
            actions.push(action);
        }
        let theirs = |action: &Value| {
            action.pointer("/txn/appId").and_then(Value::as_str).is_some_and(|id| belongs(id, revisions))
        };
        // One that an earlier purge has emptied has no more use for a schema than those of this one.
        let is_emptied = actions.iter().any(is_ours) && !actions.iter().any(|action| action.get("add").is_some());
        let gone = is_emptied || actions.iter().any(theirs);
        Ok(Entry { path, actions, gone, changed: false })
    }

    /// Removes every finished export: one does not say what it was made from, and losing it costs only time.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the storage does not answer.
    pub async fn spool_clear(&self) -> Result<u64, StoreError> {
        let mut keys = BTreeSet::new();
        for area in [Area::Spool, Area::SpoolRecords] {
            keys.extend(self.list(area).await?.into_iter().map(|object| object.path));
        }
        for key in &keys {
            self.spool_remove(key).await?;
        }
        Ok(u64::try_from(keys.len()).unwrap_or(u64::MAX))
    }

    /// Looks for texts in everything that is not a stored Parquet file of a version (those are compressed, and hold what
    /// they hold): the Delta logs, staging, exports and their records, backups that are kept here.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the storage does not answer.
    pub async fn search(&self, needles: &Needles) -> Result<Searched, StoreError> {
        let mut searched = Searched::new();
        for (area, place) in [
            (Area::Released, "Delta logs"),
            (Area::Staging, "staging"),
            (Area::Spool, "exports"),
            (Area::SpoolRecords, "records of exports"),
            (Area::Backups, "backups in this storage"),
        ] {
            let mut found = 0_u64;
            for object in self.list(area).await? {
                if area == Area::Released && !object.path.contains("_delta_log/") {
                    continue;
                }
                let path = self.path(area, &object.path)?;
                let read = match self.inner.store.get(&path).await {
                    Ok(read) => read,
                    // Gone since it was listed: there is nothing to find.
                    Err(object_store::Error::NotFound { .. }) => continue,
                    Err(error) => return Err(StoreError::object("file", error)),
                };
                let (mut chunks, mut finder) = (read.into_stream(), Finder::new(needles));
                while let Some(chunk) = chunks.next().await {
                    finder.look(&chunk.map_err(|error| StoreError::object("file", error))?);
                }
                found = found.saturating_add(finder.found());
            }
            searched.insert(place.to_owned(), found);
        }
        Ok(searched)
    }
}

/// One entry of a log.
struct Entry {
    path: Path,
    actions: Vec<Value>,
    /// Whether it was made for one of the revisions, or for one of an earlier purge.
    gone: bool,
    changed: bool,
}

/// Whether something that is named after a revision, with more behind a full stop, is named after one of these.
fn belongs(name: &str, revisions: &[String]) -> bool {
    revisions.iter().any(|id| name.strip_prefix(id.as_str()).is_some_and(|rest| rest.starts_with('.')))
}

/// Whether this says that the entry is one of ours.
fn is_ours(action: &Value) -> bool {
    action.pointer("/commitInfo/engineInfo").and_then(Value::as_str).is_some_and(|engine| engine.starts_with(ENGINE))
}

fn redact(entries: &mut [Entry], revisions: &[String]) {
    for entry in entries.iter_mut() {
        let theirs = |action: &Value| {
            let path = action.pointer("/add/path").or_else(|| action.pointer("/remove/path"));
            path.and_then(Value::as_str).is_some_and(|path| belongs(path, revisions))
        };
        let before = entry.actions.len();
        entry.actions.retain(|action| !theirs(action));
        entry.changed = entry.actions.len() != before;
    }
    // A schema holds from its entry to the next that has one. It goes when nobody but the revisions had it.
    let said: Vec<usize> = entries
        .iter()
        .enumerate()
        .filter(|(_, entry)| entry.actions.iter().any(|action| action.get("metaData").is_some()))
        .map(|(index, _)| index)
        .collect();
    for (place, &from) in said.iter().enumerate() {
        let to = said.get(place.saturating_add(1)).copied().unwrap_or(entries.len());
        if entries.get(from..to).is_none_or(|holding| holding.iter().any(|entry| !entry.gone)) {
            continue;
        }
        // A table's first entry has to say what it is: what the next one says, or as good as nothing.
        let next = entries.get(to).and_then(|entry| entry.actions.iter().find_map(schema_of)).cloned();
        let Some(entry) = entries.get_mut(from) else { continue };
        if from == 0 {
            let schema = next.unwrap_or_else(|| json!(NO_SCHEMA));
            for action in &mut entry.actions {
                if let Some(current) = action.pointer_mut("/metaData/schemaString")
                    && *current != schema
                {
                    *current = schema.clone();
                    entry.changed = true;
                }
            }
        } else {
            entry.actions.retain(|action| action.get("metaData").is_none());
            entry.changed = true;
        }
    }
}

fn schema_of(action: &Value) -> Option<&Value> {
    action.pointer("/metaData/schemaString")
}
