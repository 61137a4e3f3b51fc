//! The whole catalog as lines of JSON, out of one database and into another, SQLite or PostgreSQL alike.
//!
//! A dump is one moment: it is read in one transaction. It is loaded into an empty catalog, all or nothing.

use std::io::{BufRead, Write};

use futures::TryStreamExt;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, Row};

use super::Catalog;
use super::connect::{self, Kind};
use super::rested::{self, Rested};
use super::seals::{self, Sealed};
use super::waits;
use crate::error::StoreError;

/// A table: how all of it is read, how a row is written, and which of its columns are numbers.
struct Table {
    name: &'static str,
    select: &'static str,
    insert: &'static str,
    /// `n` for a number, `t` for text, one for each column.
    columns: &'static str,
    sealed: Option<&'static Sealed>,
}

/// The tables in an order in which every row finds what it refers to. Leases are nobody's but the living's, and so are
/// sessions and sign-in links: whoever restores a portal lets nobody in who was signed in at that time.
const TABLES: [Table; 22] = [
    Table {
        name: "dataset",
        select: "SELECT name, root, metadata, name_order, search_text, department, department_key, current_version, \
                 created_ms, updated_ms, seal FROM dataset ORDER BY name",
        insert: "INSERT INTO dataset (name, root, metadata, name_order, search_text, department, department_key, \
                 current_version, created_ms, updated_ms, seal) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        columns: "tttttttnnnt",
        sealed: Some(&seals::DATASET),
    },
    Table {
        name: "dataset_keyword",
        select: "SELECT dataset, keyword FROM dataset_keyword ORDER BY dataset, keyword",
        insert: "INSERT INTO dataset_keyword (dataset, keyword) VALUES ($1, $2)",
        columns: "tt",
        sealed: None,
    },
    Table {
        name: "revision",
        select: "SELECT id, dataset, state, created_ms, updated_ms, record, seal FROM revision ORDER BY id",
        insert: "INSERT INTO revision (id, dataset, state, created_ms, updated_ms, record, seal) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
        columns: "tttnntt",
        sealed: Some(&seals::REVISION),
    },
    Table {
        name: "schedule",
        select: "SELECT revision, dataset, release_at_ms, next_try_ms, tries, record, seal FROM schedule \
                 ORDER BY revision",
        insert: "INSERT INTO schedule (revision, dataset, release_at_ms, next_try_ms, tries, record, seal) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7)",
        columns: "ttnnntt",
        sealed: Some(&seals::SCHEDULE),
    },
    Table {
        name: "version",
        select: "SELECT dataset, version, revision, state, released_ms, rows, bytes, delta_version, approved_by, \
                 withdrawn_reason, manifest, profile, findings, content_sha256, seal FROM version \
                 ORDER BY dataset, version",
        insert: "INSERT INTO version (dataset, version, revision, state, released_ms, rows, bytes, delta_version, \
                 approved_by, withdrawn_reason, manifest, profile, findings, content_sha256, seal) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        columns: "tnttnnnnttttttt",
        sealed: Some(&seals::VERSION),
    },
    Table {
        name: "token",
        select: "SELECT id, sha256, record, revoked_ms, last_used_ms, seal FROM token ORDER BY id",
        insert: "INSERT INTO token (id, sha256, record, revoked_ms, last_used_ms, seal) \
                 VALUES ($1, $2, $3, $4, $5, $6)",
        columns: "tttnnt",
        sealed: Some(&seals::TOKEN),
    },
    Table {
        name: "inventory",
        select: "SELECT name, record, seal FROM inventory ORDER BY name",
        insert: "INSERT INTO inventory (name, record, seal) VALUES ($1, $2, $3)",
        columns: "ttt",
        sealed: Some(&seals::INVENTORY),
    },
    Table {
        name: "data_request",
        select: "SELECT id, record, seal FROM data_request ORDER BY id",
        insert: "INSERT INTO data_request (id, record, seal) VALUES ($1, $2, $3)",
        columns: "ttt",
        sealed: Some(&seals::DATA_REQUEST),
    },
    Table {
        name: "metadata_edit",
        select: "SELECT dataset, record, seal FROM metadata_edit ORDER BY dataset",
        insert: "INSERT INTO metadata_edit (dataset, record, seal) VALUES ($1, $2, $3)",
        columns: "ttt",
        sealed: Some(&seals::METADATA_EDIT),
    },
    Table {
        name: "dataset_key",
        select: "SELECT dataset, secret, created_ms, seal FROM dataset_key ORDER BY dataset",
        insert: "INSERT INTO dataset_key (dataset, secret, created_ms, seal) VALUES ($1, $2, $3, $4)",
        columns: "ttnt",
        sealed: Some(&seals::DATASET_KEY),
    },
    Table {
        name: "purge",
        select: "SELECT dataset, version, record, done_ms, seal FROM purge ORDER BY dataset, version",
        insert: "INSERT INTO purge (dataset, version, record, done_ms, seal) VALUES ($1, $2, $3, $4, $5)",
        columns: "tntnt",
        sealed: Some(&seals::PURGE),
    },
    Table {
        name: "use_count",
        select: "SELECT month, dataset, version, protocol, format, name, uses, seal FROM use_count \
                 ORDER BY month, dataset, version, protocol, format, name",
        insert: "INSERT INTO use_count (month, dataset, version, protocol, format, name, uses, seal) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        columns: "ttntttnt",
        sealed: Some(&seals::USE_COUNT),
    },
    Table {
        name: "use_batch",
        select: "SELECT id, at_ms FROM use_batch ORDER BY id",
        insert: "INSERT INTO use_batch (id, at_ms) VALUES ($1, $2)",
        columns: "tn",
        sealed: None,
    },
    Table {
        name: "report",
        select: "SELECT year, record, seal FROM report ORDER BY year",
        insert: "INSERT INTO report (year, record, seal) VALUES ($1, $2, $3)",
        columns: "ntt",
        sealed: Some(&seals::REPORT),
    },
    Table {
        name: "report_comment",
        select: "SELECT id, year, at_ms, state, record, seal FROM report_comment ORDER BY id",
        insert: "INSERT INTO report_comment (id, year, at_ms, state, record, seal) VALUES ($1, $2, $3, $4, $5, $6)",
        columns: "tnnttt",
        sealed: Some(&seals::REPORT_COMMENT),
    },
    Table {
        name: "page",
        select: "SELECT name, number, record, seal FROM page ORDER BY name, number",
        insert: "INSERT INTO page (name, number, record, seal) VALUES ($1, $2, $3, $4)",
        columns: "tntt",
        sealed: Some(&seals::PAGE),
    },
    Table {
        name: "source",
        select: "SELECT dataset, number, record, seal FROM source ORDER BY dataset, number",
        insert: "INSERT INTO source (dataset, number, record, seal) VALUES ($1, $2, $3, $4)",
        columns: "tntt",
        sealed: Some(&seals::SOURCE),
    },
    Table {
        name: "refresh",
        select: "SELECT dataset, next_ms, record, seal FROM refresh ORDER BY dataset",
        insert: "INSERT INTO refresh (dataset, next_ms, record, seal) VALUES ($1, $2, $3, $4)",
        columns: "tntt",
        sealed: Some(&seals::REFRESH),
    },
    Table {
        name: "refresh_run",
        select: "SELECT id, dataset, started_ms, record, seal FROM refresh_run ORDER BY id",
        insert: "INSERT INTO refresh_run (id, dataset, started_ms, record, seal) VALUES ($1, $2, $3, $4, $5)",
        columns: "ttntt",
        sealed: Some(&seals::RUN),
    },
    Table {
        name: "notice",
        select: "SELECT id, due_ms, record, seal FROM notice ORDER BY id",
        insert: "INSERT INTO notice (id, due_ms, record, seal) VALUES ($1, $2, $3, $4)",
        columns: "tntt",
        sealed: Some(&seals::NOTICE),
    },
    Table {
        name: "audit",
        select: "SELECT seq, at_ms, principal, action, dataset, revision, version, detail, previous, hash FROM audit \
                 ORDER BY seq",
        insert: "INSERT INTO audit (seq, at_ms, principal, action, dataset, revision, version, detail, previous, \
                 hash) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        columns: "nnttttnttt",
        sealed: None,
    },
    Table {
        name: "audit_end",
        select: "SELECT seq, hash, id FROM audit_end WHERE id = 1",
        insert: "UPDATE audit_end SET seq = $1, hash = $2 WHERE id = $3",
        columns: "ntn",
        sealed: None,
    },
];

/// One line of a dump.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// The first: the steps that made the tables.
    Steps(Vec<i64>),
    /// A row, by its table.
    Row(String, Vec<Value>),
    /// The last, without which a dump is not complete: the rows.
    End(u64),
}

/// A row of a dump that files hang on.
pub(crate) enum DumpedRow<'a> {
    /// A dataset: its name and root.
    Dataset(&'a str, &'a str),
    /// A revision: its record.
    Revision(&'a str),
    /// A version: its dataset, its version of the Delta table, its manifest.
    Version(&'a str, i64, &'a str),
}

impl Catalog {
    /// Writes the catalog as it is at one moment, and shows each row that files hang on. Damaged rows are refused.
    pub(crate) async fn dump(
        &self,
        into: &mut (dyn Write + Send),
        show: &mut (dyn FnMut(DumpedRow<'_>) -> Result<(), StoreError> + Send),
    ) -> Result<u64, StoreError> {
        let begin = match self.inner.kind {
            Kind::Postgres => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Kind::SqliteFile | Kind::SqliteMemory => "BEGIN",
        };
        let mut transaction = self.inner.pool.begin_with(begin).await?;
        if self.inner.kind == Kind::Postgres {
            sqlx::raw_sql(waits::UNBOUNDED).execute(&mut *transaction).await?;
        }
        write_line(into, &Line::Steps(connect::steps()))?;
        let mut count = 0_u64;
        for table in &TABLES {
            let mut rows = sqlx::query(table.select).fetch(&mut *transaction);
            while let Some(row) = rows.try_next().await? {
                if let Some(sealed) = table.sealed {
                    seals::check(sealed, &row)?;
                }
                let mut values = Vec::with_capacity(table.columns.len());
                for (index, kind) in table.columns.bytes().enumerate() {
                    values.push(match kind {
                        b'n' => row.try_get::<Option<i64>, _>(index)?.map_or(Value::Null, Value::from),
                        _ => row.try_get::<Option<String>, _>(index)?.map_or(Value::Null, Value::from),
                    });
                }
                shown(table.name, &values, show)?;
                write_line(into, &Line::Row(table.name.to_owned(), values))?;
                count = count.saturating_add(1);
            }
        }
        write_line(into, &Line::End(count))?;
        Ok(count)
    }

    /// Fills this catalog, which must be empty, with the dump of the backup of that stamp; what would go on by itself rests.
    pub(crate) async fn load(
        &self,
        from: &mut (dyn BufRead + Send),
        (stamp, principal, now_ms): (&str, &str, i64),
    ) -> Result<(u64, Rested), StoreError> {
        let mut change = self.change().await?;
        let datasets = sqlx::query("SELECT COUNT(*) FROM dataset").fetch_one(&mut *change.transaction).await?;
        if change.sequence() != 0 || datasets.try_get::<i64, _>(0)? != 0 {
            return Err(StoreError::conflict("the catalog to restore into is not empty"));
        }
        let mut line = String::new();
        let mut count = 0_u64;
        let mut ended = false;
        while read_line(from, &mut line)? {
            let read: Line = serde_json::from_str(&line).map_err(|error| StoreError::corrupt(WHAT, error))?;
            match read {
                Line::Steps(steps) if steps == connect::steps() => {}
                Line::Steps(_) => {
                    let what = "the backup was made by another release of this program".to_owned();
                    return Err(StoreError::Unsupported { what });
                }
                Line::Row(name, values) => {
                    let table = TABLES.iter().find(|table| table.name == name);
                    let table = table.ok_or_else(|| StoreError::corrupt(WHAT, "a row of no table"))?;
                    bound(table, values)?.execute(&mut *change.transaction).await?;
                    count = count.saturating_add(1);
                }
                Line::End(rows) => ended = rows == count,
            }
        }
        if !ended {
            return Err(StoreError::corrupt(WHAT, "it is not complete"));
        }
        change.go_on_from_end().await?;
        let rested = rested::rest(&mut change, (stamp, principal, now_ms)).await?;
        change.commit().await?;
        Ok((count, rested))
    }
}

const WHAT: &str = "a backup of the catalog";

fn shown(
    table: &str,
    values: &[Value],
    show: &mut (dyn FnMut(DumpedRow<'_>) -> Result<(), StoreError> + Send),
) -> Result<(), StoreError> {
    let text = |index: usize| values.get(index).and_then(Value::as_str).unwrap_or_default();
    match table {
        "dataset" => show(DumpedRow::Dataset(text(0), text(1))),
        "revision" => show(DumpedRow::Revision(text(5))),
        "version" => {
            if seals::of_content(text(10), text(11), text(12)) != text(13) {
                return Err(StoreError::corrupt("a catalog row", "the digest of a manifest does not fit"));
            }
            let delta_version = values.get(7).and_then(Value::as_i64).unwrap_or_default();
            show(DumpedRow::Version(text(0), delta_version, text(10)))
        }
        _ => Ok(()),
    }
}

fn bound(table: &Table, values: Vec<Value>) -> Result<Query<'static, Any, AnyArguments>, StoreError> {
    if values.len() != table.columns.len() {
        return Err(StoreError::corrupt(WHAT, "a row of another width"));
    }
    let mut query = sqlx::query(table.insert);
    for (value, kind) in values.into_iter().zip(table.columns.bytes()) {
        query = match (kind, value) {
            (b'n', Value::Null) => query.bind(None::<i64>),
            (b'n', value) => query.bind(value.as_i64()),
            (_, Value::String(text)) => query.bind(Some(text)),
            (_, _) => query.bind(None::<String>),
        };
    }
    Ok(query)
}

fn write_line(into: &mut dyn Write, line: &Line) -> Result<(), StoreError> {
    serde_json::to_writer(&mut *into, line).map_err(StoreError::storage)?;
    into.write_all(b"\n").map_err(StoreError::local_file)
}

fn read_line(from: &mut dyn BufRead, line: &mut String) -> Result<bool, StoreError> {
    line.clear();
    Ok(from.read_line(line).map_err(StoreError::local_file)? > 0)
}
