//! What is used: counted in memory by version, protocol, format and named columns, and handed to the catalog in batches.
//!
//! Nothing of who asks is counted, and no statement is kept. A count that was handed over arrives once; what a killed server
//! had not handed over is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};

use portico_model::format::{FileKind, Format};
use portico_model::name::VersionRef;
use portico_model::order::Work;
use portico_store::{Catalog, StoreError, UseCount, month_of};
use sqlparser::dialect::GenericDialect;
use sqlparser::tokenizer::{Token, Tokenizer};
use ulid::Ulid;

use crate::answer::Question;
use crate::questions::{Questions, versions_of};

/// Different counts between two handings over; what comes beyond is not counted. That is a portal of a thousand datasets, each
/// used in every way.
const COUNTS_MAX: usize = 50_000;

/// Counts on their way, under an id.
type Batch = (String, Vec<UseCount>);

/// The counts of this server. Cheap to clone; clones share them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Uses {
    open: Arc<std::sync::Mutex<BTreeMap<Key, u64>>>,
    /// On its way to the catalog: tried again under its own id until it has arrived.
    sending: Arc<tokio::sync::Mutex<Option<Batch>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    month: String,
    version: (String, u32),
    protocol: &'static str,
    format: String,
    column: String,
}

impl Uses {
    /// A file that somebody begins to read.
    pub(crate) fn download(&self, version: &VersionRef, kind: FileKind, now_ms: i64) {
        self.count(&[(version, BTreeSet::new())], "download", kind, now_ms);
    }

    /// An answer whose first bytes are there.
    pub(crate) fn answer(&self, question: &Question) {
        if question.ask.work != Work::Answer || question.pinned.work != Work::Answer {
            return;
        }
        // Of a download in parts the first is the download.
        if question.ask.part.is_some_and(|part| part.file > 0 || part.row_group_start > 0) {
            return;
        }
        let flight = question.ask.kind.format == Format::Flight;
        let named = if question.pinned.stored_order { BTreeSet::new() } else { names(&question.pinned.sql) };
        let versions = versions_of(&question.pinned.tables);
        let mut used = Vec::with_capacity(versions.len());
        for (version, table) in versions.iter().zip(&question.pinned.tables) {
            let fields = table.record.manifest.schema.fields().iter();
            let columns = fields.map(|field| field.name()).filter(|name| named.contains(name.as_str()));
            used.push((version, columns.cloned().collect()));
        }
        let protocol = if flight { "flight" } else { "sql" };
        self.count(&used, protocol, question.ask.kind, question.ask.now_ms);
    }

    fn count(&self, used: &[(&VersionRef, BTreeSet<String>)], protocol: &'static str, kind: FileKind, now_ms: i64) {
        let (month, format) = (month_of(now_ms), kind.extension());
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        for (version, columns) in used {
            for column in std::iter::once(String::new()).chain(columns.iter().cloned()) {
                let version = (version.dataset.to_string(), version.version);
                let key = Key { month: month.clone(), version, protocol, format: format.clone(), column };
                if open.len() < COUNTS_MAX || open.contains_key(&key) {
                    *open.entry(key).or_default() += 1;
                }
            }
        }
    }

    async fn flush(&self, catalog: &Catalog, now_ms: i64) -> Result<u64, StoreError> {
        let mut sending = self.sending.lock().await;
        if sending.is_none() {
            let open = std::mem::take(&mut *self.open.lock().unwrap_or_else(PoisonError::into_inner));
            let counts: Vec<UseCount> = open.into_iter().filter_map(counted).collect();
            if !counts.is_empty() {
                *sending = Some((Ulid::new().to_string(), counts));
            }
        }
        let Some((batch, counts)) = sending.as_ref() else { return Ok(0) };
        catalog.add_uses(batch, counts, now_ms).await?;
        let sent = u64::try_from(counts.len()).unwrap_or(u64::MAX);
        *sending = None;
        Ok(sent)
    }
}

impl Questions {
    /// Hands what was counted to the catalog. When that fails it is tried again by the next call, and arrives once.
    /// Answers how many different counts there were.
    ///
    /// # Errors
    /// Those of the catalog.
    pub async fn flush_uses(&self, now_ms: i64) -> Result<u64, StoreError> {
        self.runner.uses.flush(&self.runner.store.catalog, now_ms).await
    }
}

fn counted((key, uses): (Key, u64)) -> Option<UseCount> {
    let (dataset, version) = key.version;
    let dataset = portico_model::name::DatasetName::parse(&dataset).ok()?;
    let protocol = key.protocol.to_owned();
    Some(UseCount { month: key.month, dataset, version, protocol, format: key.format, column: key.column, uses })
}

/// The names in a gated statement: whatever of them is a column of a version that it reads was named. `*` names none.
fn names(sql: &str) -> BTreeSet<String> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap_or_default();
    tokens
        .into_iter()
        .filter_map(|token| match token {
            Token::Word(word) => Some(word.value),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_outside_of_texts() {
        let found = names(r#"SELECT "tree_id", species FROM "trees@1" WHERE note = 'secret height' -- height"#);
        assert!(["tree_id", "species", "note"].iter().all(|name| found.contains(*name)), "{found:?}");
        assert!(!found.contains("height") && !found.contains("secret"));
    }
}
