//! The Delta log of a dataset: one commit a release, which replaces the files of the one before.
//!
//! A commit is a conditional create of the next entry of the log, so that of two writers one loses and hears it.
//! Every entry names the revision that it was made for, as the application's transaction, whose number is the
//! Delta version: who does not know whether a commit arrived looks it up. Checkpoints are not written here: a
//! log has one small entry a release, and a broken checkpoint would cost more than it saves.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use arrow_schema::SchemaRef;
use deltalake_core::DeltaTableError;
use deltalake_core::kernel::transaction::{CommitBuilder, TableReference, TransactionError};
use deltalake_core::kernel::{Action, Add, CommitInfo, EagerSnapshot, Metadata, Protocol, Remove, Transaction};
use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore, get_actions};
use deltalake_core::protocol::{DeltaOperation, SaveMode};
use object_store::prefix::PrefixStore;
use portico_model::manifest::ReleasedFile;
use serde_json::{Value, json};
use url::Url;

use super::{Area, Storage, check_key};
use crate::error::StoreError;

mod schema;
mod statistics;

const WHAT: &str = "Delta log entry";
/// Files of older versions stay readable: nobody's vacuum is to take them for waste.
const RETENTION: &str = "interval 36500 days";
/// Entries stay, too: backups and scrubs read each of them, whatever checkpoints other programs make.
const LOG_CLEANUP: &str = "delta.enableExpiredLogCleanup";

/// One release as Delta sees it.
#[derive(Clone, Debug)]
pub struct DeltaCommit {
    /// What makes a retry find its own commit: the revision's id, or the id with the version's number.
    pub txn: String,
    /// The schema of the files.
    pub schema: SchemaRef,
    /// The files of the version, all of them.
    pub files: Vec<ReleasedFile>,
    /// Now, in milliseconds since the epoch.
    pub now_ms: i64,
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
        let before = snapshot(&log, None).await?;
        if let Some(version) = committed(&log, before.as_ref(), &commit.txn).await? {
            return Ok(version);
        }
        let next = match &before {
            Some(snapshot) => number(snapshot.version())?.saturating_add(1),
            None => 0,
        };
        let actions = actions(root, commit, before.as_ref(), next)?;
        // No tries of the library's own: its conflict rules are made for appends, and the number is in the entry.
        let prepared = CommitBuilder::default().with_actions(actions).with_max_retries(0).build(
            before.as_ref().map(|snapshot| -> &dyn TableReference { snapshot }),
            Arc::clone(&log),
            DeltaOperation::Write { mode: SaveMode::Overwrite, partition_by: None, predicate: None },
        );
        let outcome = match prepared.into_prepared_commit_future().await {
            Ok(prepared) => prepared.await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(done) => number(done.version),
            // It may have arrived all the same, when only the answer got lost; then it stands where it was to stand.
            Err(error) => match stands_at(&log, next, &commit.txn).await {
                Ok(true) => Ok(next),
                Ok(false) | Err(_) => Err(meaning(error)),
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
async fn stands_at(log: &LogStoreRef, version: i64, txn: &str) -> Result<bool, StoreError> {
    let version = u64::try_from(version).map_err(|error| StoreError::corrupt(WHAT, error))?;
    let Some(entry) = log.read_commit_entry(version).await.map_err(meaning)? else { return Ok(false) };
    let actions = get_actions(version, &entry).map_err(meaning)?;
    Ok(actions.iter().any(|action| matches!(action, Action::Txn(transaction) if transaction.app_id == txn)))
}

fn actions(
    root: &str,
    commit: &DeltaCommit,
    before: Option<&EagerSnapshot>,
    next: i64,
) -> Result<Vec<Action>, StoreError> {
    let mut actions = vec![commit_info(commit, before)];
    actions.extend(table_actions(root, commit, before)?);
    let adds = commit.files.iter().map(|file| add(root, commit, file)).collect::<Result<Vec<_>, _>>()?;
    let kept: HashSet<&str> = adds.iter().map(|add| add.path.as_str()).collect();
    if let Some(snapshot) = before {
        let views = snapshot.try_log_data().map_err(meaning)?;
        let gone = views.iter().filter(|view| !kept.contains(view.path().as_ref()));
        actions.extend(gone.map(|view| {
            let remove = Remove { deletion_timestamp: Some(commit.now_ms), ..view.remove_action(true) };
            Action::Remove(remove)
        }));
    }
    actions.extend(adds.into_iter().map(Action::Add));
    let transaction = Transaction::new_with_last_update(&commit.txn, next, Some(commit.now_ms));
    actions.push(Action::Txn(transaction));
    Ok(actions)
}

fn commit_info(commit: &DeltaCommit, before: Option<&EagerSnapshot>) -> Action {
    Action::CommitInfo(CommitInfo {
        timestamp: Some(commit.now_ms),
        operation: Some("WRITE".to_owned()),
        operation_parameters: Some(HashMap::from([("mode".to_owned(), json!("Overwrite"))])),
        read_version: before.map(EagerSnapshot::version),
        is_blind_append: Some(false),
        engine_info: Some(concat!("portico/", env!("CARGO_PKG_VERSION")).to_owned()),
        info: HashMap::from([("txnId".to_owned(), json!(commit.txn))]),
        ..CommitInfo::default()
    })
}

/// What the table is: said by its first entry, and again when schema or protocol change.
fn table_actions(root: &str, commit: &DeltaCommit, before: Option<&EagerSnapshot>) -> Result<Vec<Action>, StoreError> {
    let unreadable = |error: serde_json::Error| StoreError::corrupt(WHAT, error);
    let schema_text = schema::schema_string(&commit.schema)?;
    let wants_protocol = schema::protocol(&commit.schema);
    let Some(snapshot) = before else {
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
        let protocol: Protocol = serde_json::from_value(wants_protocol).map_err(unreadable)?;
        let metadata: Metadata = serde_json::from_value(metadata).map_err(unreadable)?;
        return Ok(vec![Action::Protocol(protocol), Action::Metadata(metadata)]);
    };
    let mut actions = Vec::new();
    let protocol = serde_json::to_value(snapshot.protocol()).map_err(unreadable)?;
    if !schema::protocol_suffices(&protocol, &wants_protocol) {
        actions.push(Action::Protocol(serde_json::from_value(wants_protocol).map_err(unreadable)?));
    }
    let mut metadata = serde_json::to_value(snapshot.metadata()).map_err(unreadable)?;
    if let Some(current) = metadata.get_mut("schemaString")
        && !schema::same(current, &schema_text)
    {
        *current = Value::String(schema_text);
        actions.push(Action::Metadata(serde_json::from_value(metadata).map_err(unreadable)?));
    }
    Ok(actions)
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
