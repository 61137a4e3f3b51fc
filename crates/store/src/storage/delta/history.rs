//! A log read from its first entry on, each entry once: what every version of the table holds, for who checks them all.
//! Checkpoints of other programs are not looked at: the entries are what backups keep.

use std::collections::BTreeMap;

use object_store::ObjectStoreExt;
use portico_model::manifest::Manifest;
use serde_json::Value;

use super::{WHAT, schema, statistics};
use crate::error::StoreError;
use crate::storage::{Area, Storage};

/// How far two floats may lie apart that were written once and read twice.
const FLOAT_ERROR: f64 = 1e-12;

/// A table at one version after another.
pub(crate) struct History<'a> {
    storage: &'a Storage,
    root: &'a str,
    /// The entry that is read next.
    next: i64,
    /// The files by their path, with size and statistics.
    held: BTreeMap<String, (u64, Option<String>)>,
    schema: Value,
}

impl<'a> History<'a> {
    pub(crate) fn of(storage: &'a Storage, root: &'a str) -> Self {
        Self { storage, root, next: 0, held: BTreeMap::new(), schema: Value::Null }
    }

    /// How a version of the table, which must not lie before the one asked for last, differs from the manifest.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] or [`StoreError::Corrupt`] for an entry up to that version which is gone or does not read,
    /// every time; [`StoreError::Unavailable`] when the storage does not answer.
    pub(crate) async fn differs(
        &mut self,
        version: i64,
        manifest: &Manifest,
    ) -> Result<Option<&'static str>, StoreError> {
        if self.next > version.saturating_add(1) {
            return Ok(Some("its version of the Delta table lies before that of an earlier one"));
        }
        while self.next <= version {
            self.apply(&self.entry(self.next).await?)?;
            self.next = self.next.saturating_add(1);
        }
        let named: BTreeMap<&str, u64> = manifest.files.iter().map(|file| (file.path.as_str(), file.bytes)).collect();
        let held: BTreeMap<&str, u64> = self.held.iter().map(|(path, (bytes, _))| (path.as_str(), *bytes)).collect();
        if held != named {
            return Ok(Some("its version of the Delta table holds other files"));
        }
        if manifest.files.is_empty() {
            return Ok(None);
        }
        if !schema::same(&self.schema, &schema::schema_string(&manifest.schema)?) {
            return Ok(Some("its version of the Delta table has other columns"));
        }
        for file in &manifest.files {
            let wanted = statistics::to_json(&manifest.schema, file)?;
            let held = self.held.get(&file.path).and_then(|(_, statistics)| statistics.as_deref());
            if held.is_none_or(|held| !same_statistics(held, &wanted)) {
                return Ok(Some("its version of the Delta table has other statistics of a file"));
            }
        }
        Ok(None)
    }

    async fn entry(&self, number: i64) -> Result<Vec<Value>, StoreError> {
        let path = self.storage.path(Area::Released, &format!("{}/_delta_log/{number:020}.json", self.root))?;
        let failed = |error| StoreError::object(WHAT, error);
        let bytes = self.storage.inner.store.get(&path).await.map_err(failed)?.bytes().await.map_err(failed)?;
        let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let actions = lines.map(serde_json::from_slice).collect::<Result<_, _>>();
        actions.map_err(|error| StoreError::corrupt("a Delta log", error))
    }

    fn apply(&mut self, actions: &[Value]) -> Result<(), StoreError> {
        let malformed = || StoreError::corrupt("a Delta log", "an action lacks what it is for");
        // An entry says no path twice but to take a file out and put the same in.
        for action in actions.iter().filter_map(|action| action.get("remove")) {
            self.held.remove(&self.path(action).ok_or_else(malformed)?);
        }
        for action in actions.iter().filter_map(|action| action.get("add")) {
            let (path, bytes) = (self.path(action), action.get("size").and_then(Value::as_u64));
            let statistics = action.get("stats").and_then(Value::as_str).map(ToOwned::to_owned);
            self.held.insert(path.ok_or_else(malformed)?, (bytes.ok_or_else(malformed)?, statistics));
        }
        if let Some(said) = actions.iter().find_map(|action| action.pointer("/metaData/schemaString")) {
            self.schema = said.clone();
        }
        Ok(())
    }

    fn path(&self, action: &Value) -> Option<String> {
        Some(format!("{}/{}", self.root, action.get("path")?.as_str()?))
    }
}

fn same_statistics(held: &str, wanted: &str) -> bool {
    let parse = |text: &str| serde_json::from_str::<Value>(text).ok();
    held == wanted || parse(held).zip(parse(wanted)).is_some_and(|(held, wanted)| same(&held, &wanted))
}

fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one.iter().all(|(key, value)| other.get(key).is_some_and(|other| same(value, other)))
        }
        (Value::Number(one), Value::Number(other)) if one.is_f64() || other.is_f64() => {
            let (Some(one), Some(other)) = (one.as_f64(), other.as_f64()) else { return false };
            (one - other).abs() <= FLOAT_ERROR * one.abs().max(other.abs())
        }
        _ => one == other,
    }
}
