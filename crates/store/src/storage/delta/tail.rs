//! The end of a log. An entry of ours says everything of the table as it is from then on, so that the next one can be
//! made after a look at the last, however many there are before it.

use std::collections::HashMap;

use deltalake_core::kernel::{Add, EagerSnapshot, Remove};
use deltalake_core::logstore::LogStoreRef;
use futures::TryStreamExt;
use object_store::path::Path;
use serde_json::Value;

use super::{DeltaCommit, ENGINE, WHAT, meaning};
use crate::error::StoreError;

/// What the end of a log tells.
pub(super) enum Tail {
    /// The transaction is there, as this version.
    Committed(i64),
    /// The last entry says everything.
    Known(State),
    /// Only the whole log can tell: the last entry is another program's, or a purge has taken out of it what the table is,
    /// or it was made before entries said everything, or the log does not have the entries that it should.
    Unclear,
}

/// A table at its last version.
pub(super) struct State {
    pub(super) version: u64,
    pub(super) protocol: Value,
    pub(super) metadata: Value,
    /// What takes its files out.
    pub(super) removes: Vec<Remove>,
}

/// Looks at the entries from the one that the caller knows of, or from the first.
pub(super) async fn read(log: &LogStoreRef, commit: &DeltaCommit) -> Result<Tail, StoreError> {
    let Ok(first) = u64::try_from(commit.after.unwrap_or(0)) else { return Ok(Tail::Unclear) };
    let numbers = numbers(log, first).await?;
    let (Some(&start), Some(&last)) = (numbers.first(), numbers.last()) else { return Ok(Tail::Unclear) };
    if start != first || numbers.iter().zip(first..).any(|(number, expected)| *number != expected) {
        return Ok(Tail::Unclear);
    }
    for number in numbers {
        if commit.after.is_some() && number == first && number != last {
            continue;
        }
        let Some(entry) = log.read_commit_entry(number).await.map_err(meaning)? else { return Ok(Tail::Unclear) };
        let lines = entry.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        let Ok(actions) = lines.map(serde_json::from_slice).collect::<Result<Vec<Value>, _>>() else {
            return Ok(Tail::Unclear);
        };
        let txn = |action: &Value| action.pointer("/txn/appId").and_then(Value::as_str) == Some(commit.txn.as_str());
        if actions.iter().any(txn) {
            return Ok(Tail::Committed(super::number(number)?));
        }
        if number == last {
            return Ok(State::said(number, actions).map_or(Tail::Unclear, Tail::Known));
        }
    }
    Ok(Tail::Unclear)
}

/// The numbers of the entries from one on, in order.
async fn numbers(log: &LogStoreRef, first: u64) -> Result<Vec<u64>, StoreError> {
    let directory = log.log_path();
    let before = match first.checked_sub(1) {
        Some(before) => directory.clone().join(format!("{before:020}.json")),
        None => directory.clone(),
    };
    let failed = |error| StoreError::object(WHAT, error);
    let store = log.object_store(None);
    let mut found = Vec::new();
    let mut listed = store.list_with_offset(Some(directory), &before);
    while let Some(object) = listed.try_next().await.map_err(failed)? {
        found.extend(number_of(&object.location));
    }
    found.sort_unstable();
    Ok(found)
}

/// The number of an entry; `None` for whatever else lies beside them.
fn number_of(location: &Path) -> Option<u64> {
    let stem = location.filename()?.strip_suffix(".json")?;
    (stem.len() == 20).then(|| stem.parse().ok()).flatten()
}

impl State {
    /// What an entry says, if it is one of ours and says everything.
    fn said(version: u64, actions: Vec<Value>) -> Option<Self> {
        let mut by_kind: HashMap<String, Vec<Value>> = HashMap::new();
        for action in actions {
            let Value::Object(action) = action else { return None };
            for (kind, content) in action {
                by_kind.entry(kind).or_default().push(content);
            }
        }
        let one = |kind: &str| by_kind.get(kind).and_then(|found| found.first());
        let engine = one("commitInfo")?.get("engineInfo")?.as_str()?;
        let is_ours = engine.starts_with(ENGINE) && one("txn")?.get("version")?.as_u64()? == version;
        let (protocol, metadata) = (one("protocol")?.clone(), one("metaData")?.clone());
        let adds = by_kind.remove("add").unwrap_or_default();
        let removes = adds.into_iter().map(|add| serde_json::from_value(add).ok().map(removing));
        is_ours.then_some(Self { version, protocol, metadata, removes: removes.collect::<Option<_>>()? })
    }

    /// What the library makes of all entries.
    pub(super) fn replayed(snapshot: &EagerSnapshot) -> Result<Self, StoreError> {
        let unreadable = |error: serde_json::Error| StoreError::corrupt(WHAT, error);
        let views = snapshot.try_log_data().map_err(meaning)?;
        Ok(Self {
            version: snapshot.version(),
            protocol: serde_json::to_value(snapshot.protocol()).map_err(unreadable)?,
            metadata: serde_json::to_value(snapshot.metadata()).map_err(unreadable)?,
            removes: views.iter().map(|view| view.remove_action(true)).collect(),
        })
    }
}

fn removing(add: Add) -> Remove {
    Remove {
        path: add.path,
        data_change: true,
        extended_file_metadata: Some(true),
        partition_values: Some(add.partition_values),
        size: Some(add.size),
        deletion_vector: add.deletion_vector,
        ..Remove::default()
    }
}
