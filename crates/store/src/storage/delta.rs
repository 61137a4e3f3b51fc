//! The Delta log of a dataset: one commit a release, which replaces the files of the one before.
//!
//! A commit is a conditional create of the next entry of the log, so that of two writers one loses and hears it.
//! Every entry names the revision that it was made for, as the application's transaction, whose number is the
//! Delta version: who does not know whether a commit arrived looks it up.
//!
//! Every entry says all of the table as it is from then on: what it is, and all its files. The next one is made after
//! a look at the last ([`tail`]), and costs the same after three entries or thirty thousand. Checkpoints, which are
//! there to save a replay, are therefore not written: a broken one would cost more than it saves. The library makes the
//! lines of an entry and puts it; its own way to commit wants a replay of the whole log first, which is done where the
//! last entry does not say everything.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_schema::SchemaRef;
use deltalake_core::DeltaTableError;
use deltalake_core::kernel::transaction::{CommitData, PROTOCOL, TransactionError};
use deltalake_core::kernel::{Action, Add, CommitInfo, EagerSnapshot, Metadata, Protocol, Remove, Transaction};
use deltalake_core::logstore::{CommitOrBytes, LogStoreRef, StorageConfig, default_logstore, get_actions};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use object_store::prefix::PrefixStore;
use portico_model::manifest::ReleasedFile;
use serde_json::{Value, json};
use url::Url;

use super::{Area, Storage, check_key};
use crate::error::StoreError;

mod history;
mod schema;
mod statistics;
mod tail;

pub(crate) use history::History;
use tail::{State, Tail};

const WHAT: &str = "Delta log entry";
/// What entries of ours say they were made by, with a version behind it.
pub(super) const ENGINE: &str = "portico/";
/// Files of older versions stay readable: nobody's vacuum is to take them for waste.
const RETENTION: &str = "interval 36500 days";
/// Entries stay, too: backups and scrubs read each of them, whatever checkpoints other programs make.
const LOG_CLEANUP: &str = "delta.enableExpiredLogCleanup";

/// One release as Delta sees it.
#[derive(Clone, Debug)]
pub struct DeltaCommit {
    /// What makes a retry find its own commit: the revision's id, and what tells one try from another release of it.
    pub txn: String,
    /// The schema of the files.
    pub schema: SchemaRef,
    /// The files of the version, all of them.
    pub files: Vec<ReleasedFile>,
    /// Now, in milliseconds since the epoch.
    pub now_ms: i64,
    /// A version of the log up to which this transaction cannot be, if one is known: the newest that the catalog names.
    /// Entries before it are not read. One that the log does not have is as good as none.
    pub after: Option<i64>,
}

/// A data file that a Delta version holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeltaFile {
    /// Its path in the released area, as in the manifest.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its statistics as Delta spells them in JSON.
    pub statistics: Option<String>,
}

impl Storage {
    /// Commits one version of the table under `root`, which is created by its first commit. The version holds
    /// the given files and no others. Answers the Delta version, from 0; a second call with the same `txn`
    /// answers the same number and writes nothing.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when another writer was first: nothing was written, and trying again is right.
    /// [`StoreError::Invalid`] for files of another root, [`StoreError::Unavailable`] when the storage fails.
    pub async fn commit_version(&self, root: &str, commit: &DeltaCommit) -> Result<i64, StoreError> {
        let log = self.delta_log(root)?;
        let (before, replayed) = match tail::read(&log, commit).await? {
            Tail::Committed(version) => return Ok(version),
            Tail::Known(state) => (Some(state), None),
            Tail::Unclear => {
                let replayed = snapshot(&log, None).await?;
                if let Some(version) = committed(&log, replayed.as_ref(), &commit.txn).await? {
                    return Ok(version);
                }
                (replayed.as_ref().map(State::replayed).transpose()?, replayed)
            }
        };
        let next = before.as_ref().map_or(0, |state| state.version.saturating_add(1));
        let entry = CommitData::new(
            actions(root, commit, before.as_ref(), number(next)?)?,
            DeltaOperation::Write { mode: SaveMode::Overwrite, partition_by: None, predicate: None },
            HashMap::new(),
            Vec::new(),
        );
        // What another program may have made of the table; entries of ours need nothing that we could not do.
        if let Some(replayed) = &replayed {
            PROTOCOL.can_commit(replayed, &entry.actions, &entry.operation).map_err(|error| meaning(error.into()))?;
        }
        let bytes = entry.get_bytes().map_err(|error| meaning(error.into()))?;
        match log.write_commit_entry(next, CommitOrBytes::LogBytes(bytes), Default::default()).await {
            Ok(()) => number(next),
            // It may have arrived all the same, when only the answer got lost; then it stands where it was to stand.
            Err(error) => match stands_at(&log, next, &commit.txn).await {
                Ok(true) => number(next),
                Ok(false) | Err(_) => Err(meaning(error.into())),
            },
        }
    }

    /// The files that a Delta version holds; `None` reads the latest.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such table or version, [`StoreError::Unavailable`] when the
    /// storage fails.
    pub async fn delta_files(&self, root: &str, version: Option<i64>) -> Result<Vec<DeltaFile>, StoreError> {
        let version = match version {
            Some(version) => Some(u64::try_from(version).map_err(|_| StoreError::not_found("Delta version"))?),
            None => None,
        };
        let log = self.delta_log(root)?;
        let snapshot = snapshot(&log, version).await?.ok_or(StoreError::not_found("Delta table"))?;
        let mut files = Vec::new();
        for view in snapshot.try_log_data().map_err(meaning)?.iter() {
            files.push(DeltaFile {
                path: format!("{root}/{}", view.path()),
                bytes: u64::try_from(view.size()).map_err(|error| StoreError::corrupt(WHAT, error))?,
                statistics: view.stats(),
            });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }

    /// The latest Delta version of the table under `root`; `None` when there is no table yet.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the storage fails.
    pub async fn delta_version(&self, root: &str) -> Result<Option<i64>, StoreError> {
        let log = self.delta_log(root)?;
        let latest = snapshot(&log, None).await?;
        latest.map(|snapshot| number(snapshot.version())).transpose()
    }

    fn delta_log(&self, root: &str) -> Result<LogStoreRef, StoreError> {
        let root = check_key(root)?;
        let released = self.area(Area::Released);
        let table = Arc::new(PrefixStore::new(Arc::clone(&released), root));
        // Names no host and no path of ours: the stores above know where they are.
        let location = Url::parse(&format!("delta:///{root}/")).map_err(StoreError::storage)?;
        Ok(default_logstore(table, released, &location, &StorageConfig::default()))
    }
}

async fn snapshot(log: &LogStoreRef, version: Option<u64>) -> Result<Option<EagerSnapshot>, StoreError> {
    match EagerSnapshot::try_new(log.as_ref(), version).await {
        Ok(snapshot) => Ok(Some(snapshot)),
        Err(DeltaTableError::NotATable(_)) => Ok(None),
        Err(error) => Err(meaning(error)),
    }
}

/// The Delta version that a transaction was committed as: its number is just that.
async fn committed(log: &LogStoreRef, snapshot: Option<&EagerSnapshot>, txn: &str) -> Result<Option<i64>, StoreError> {
    match snapshot {
        Some(snapshot) => snapshot.transaction_version(log.as_ref(), txn).await.map_err(meaning),
        None => Ok(None),
    }
}

/// Whether the log's entry for `version` is that of the transaction.
async fn stands_at(log: &LogStoreRef, version: u64, txn: &str) -> Result<bool, StoreError> {
    let Some(entry) = log.read_commit_entry(version).await.map_err(meaning)? else { return Ok(false) };
    let actions = get_actions(version, &entry).map_err(meaning)?;
    Ok(actions.iter().any(|action| matches!(action, Action::Txn(transaction) if transaction.app_id == txn)))
}

fn actions(root: &str, commit: &DeltaCommit, before: Option<&State>, next: i64) -> Result<Vec<Action>, StoreError> {
    let mut actions = vec![commit_info(commit, before)];
    actions.extend(table_actions(root, commit, before)?);
    let adds = commit.files.iter().map(|file| add(root, commit, file)).collect::<Result<Vec<_>, _>>()?;
    let kept: HashSet<&str> = adds.iter().map(|add| add.path.as_str()).collect();
    if let Some(before) = before {
        let gone = before.removes.iter().filter(|remove| !kept.contains(remove.path.as_str()));
        actions.extend(
            gone.map(|remove| Action::Remove(Remove { deletion_timestamp: Some(commit.now_ms), ..remove.clone() })),
        );
    }
    actions.extend(adds.into_iter().map(Action::Add));
    let transaction = Transaction::new_with_last_update(&commit.txn, next, Some(commit.now_ms));
    actions.push(Action::Txn(transaction));
    Ok(actions)
}

fn commit_info(commit: &DeltaCommit, before: Option<&State>) -> Action {
    Action::CommitInfo(CommitInfo {
        timestamp: Some(commit.now_ms),
        operation: Some("WRITE".to_owned()),
        operation_parameters: Some(HashMap::from([("mode".to_owned(), json!("Overwrite"))])),
        read_version: before.map(|state| state.version),
        is_blind_append: Some(false),
        engine_info: Some(format!("{ENGINE}{}", env!("CARGO_PKG_VERSION"))),
        info: HashMap::from([("txnId".to_owned(), json!(commit.txn))]),
        ..CommitInfo::default()
    })
}

/// What the table is, which every entry says.
fn table_actions(root: &str, commit: &DeltaCommit, before: Option<&State>) -> Result<[Action; 2], StoreError> {
    let unreadable = |error: serde_json::Error| StoreError::corrupt(WHAT, error);
    let schema_text = schema::schema_string(&commit.schema)?;
    let wanted = schema::protocol(&commit.schema);
    let (protocol, metadata) = match before {
        None => {
            let metadata = json!({
                "id": root,
                "name": null,
                "description": null,
                "format": { "provider": "parquet", "options": {} },
                "schemaString": schema_text,
                "partitionColumns": [],
                "configuration": { "delta.deletedFileRetentionDuration": RETENTION, LOG_CLEANUP: "false" },
                "createdTime": commit.now_ms,
            });
            (wanted, metadata)
        }
        Some(state) => {
            let suffices = schema::protocol_suffices(&state.protocol, &wanted);
            (if suffices { state.protocol.clone() } else { wanted }, next_metadata(&state.metadata, schema_text))
        }
    };
    let protocol: Protocol = serde_json::from_value(protocol).map_err(unreadable)?;
    let metadata: Metadata = serde_json::from_value(metadata).map_err(unreadable)?;
    Ok([Action::Protocol(protocol), Action::Metadata(metadata)])
}

/// The table's metadata with another schema. Tables from before the entries of their logs were to stay say so from now on.
fn next_metadata(current: &Value, schema_text: String) -> Value {
    let mut metadata = current.clone();
    if let Some(current) = metadata.get_mut("schemaString")
        && !schema::same(current, &schema_text)
    {
        *current = Value::String(schema_text);
    }
    if let Some(configuration) = metadata.get_mut("configuration").and_then(Value::as_object_mut) {
        configuration.entry(LOG_CLEANUP).or_insert_with(|| json!("false"));
    }
    metadata
}

fn add(root: &str, commit: &DeltaCommit, file: &ReleasedFile) -> Result<Add, StoreError> {
    let relative = file.path.strip_prefix(root).and_then(|rest| rest.strip_prefix('/'));
    let relative = relative.ok_or_else(|| StoreError::invalid("a file of another dataset cannot be committed"))?;
    Ok(Add {
        path: relative.to_owned(),
        size: i64::try_from(file.bytes).map_err(|_| StoreError::invalid("a file's size is beyond Delta's"))?,
        modification_time: commit.now_ms,
        data_change: true,
        stats: Some(statistics::to_json(&commit.schema, file)?),
        ..Add::default()
    })
}

fn number(version: u64) -> Result<i64, StoreError> {
    i64::try_from(version).map_err(|error| StoreError::corrupt(WHAT, error))
}

/// What an error of the library means here.
fn meaning(error: DeltaTableError) -> StoreError {
    match error {
        DeltaTableError::VersionAlreadyExists(_)
        | DeltaTableError::Transaction {
            source:
                TransactionError::VersionAlreadyExists(_)
                | TransactionError::MaxCommitAttempts(_)
                | TransactionError::CommitConflict(_),
        } => StoreError::conflict("another release of the dataset was first"),
        DeltaTableError::ObjectStore { source } => StoreError::object(WHAT, source),
        DeltaTableError::InvalidVersion(_) => StoreError::not_found("Delta version"),
        DeltaTableError::InvalidJsonLog { .. } | DeltaTableError::InvalidStatsJson { .. } => {
            StoreError::corrupt("a Delta log", error)
        }
        other => StoreError::storage(other),
    }
}
