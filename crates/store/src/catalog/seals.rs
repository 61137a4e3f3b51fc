//! Seals: a row that a disk or a cable has changed is not believed.
//!
//! Neither database keeps checksums of what it stores (PostgreSQL may, if its cluster was made so). Each row that an
//! answer depends on therefore carries the SHA-256 of all that it says. Writers seal the row they have written, in
//! the same transaction; readers check it each time. This finds accidents, not attackers: those are found by the
//! audit chain, and only from outside.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use sqlx::any::AnyRow;
use sqlx::{AnyConnection, Row};

use crate::error::StoreError;
use crate::storage::hex;

mod sources;

pub(super) use sources::{
    NOTICE, REFRESH, RUN, SOURCE, notice_columns, refresh_columns, run_columns, seal_notice, seal_refresh, seal_run,
    seal_source, source_columns,
};

/// What a column holds, as far as reading it goes.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Number,
}

/// The columns that a table's seal covers.
#[derive(Debug)]
pub(super) struct Sealed {
    table: &'static str,
    columns: &'static [(&'static str, Kind)],
}

/// The columns of a dataset that its seal covers, and the seal.
macro_rules! dataset_columns {
    () => {
        "name, root, metadata, current_version, created_ms, updated_ms, seal"
    };
}
pub(super) use dataset_columns;

/// The columns of a revision that its seal covers, and the seal.
macro_rules! revision_columns {
    () => {
        "id, dataset, state, created_ms, updated_ms, record, seal"
    };
}
pub(super) use revision_columns;

/// The columns of a version that its seal covers, and the seal.
macro_rules! version_columns {
    () => {
        "dataset, version, revision, state, released_ms, rows, bytes, delta_version, approved_by, withdrawn_reason, \
         content_sha256, seal"
    };
}
pub(super) use version_columns;

/// The columns of a token that its seal covers, when it was used last, and the seal. The time of use is written often,
/// and nothing is decided by it.
macro_rules! token_columns {
    () => {
        "id, sha256, record, revoked_ms, last_used_ms, seal"
    };
}
pub(super) use token_columns;

/// The columns of a dataset's key that its seal covers, and the seal.
macro_rules! dataset_key_columns {
    () => {
        "dataset, secret, created_ms, seal"
    };
}
pub(super) use dataset_key_columns;
/// The columns of a purge that its seal covers, and the seal.
macro_rules! purge_columns {
    () => {
        "dataset, version, record, done_ms, seal"
    };
}
pub(super) use purge_columns;

/// The columns of a count that its seal covers, and the seal.
macro_rules! use_count_columns {
    () => {
        "month, dataset, version, protocol, format, name, uses, seal"
    };
}
pub(super) use use_count_columns;

/// The columns of a report that its seal covers, and the seal.
macro_rules! report_columns {
    () => {
        "year, record, seal"
    };
}
pub(super) use report_columns;

/// The columns of a page that its seal covers, and the seal.
macro_rules! page_columns {
    () => {
        "name, number, record, seal"
    };
}
pub(super) use page_columns;

/// The columns of a comment that its seal covers, and the seal.
macro_rules! report_comment_columns {
    () => {
        "id, year, at_ms, state, record, seal"
    };
}
pub(super) use report_comment_columns;

/// The columns of a schedule that its seal covers, and the seal.
macro_rules! schedule_columns {
    () => {
        "revision, dataset, release_at_ms, next_try_ms, tries, record, seal"
    };
}
pub(super) use schedule_columns;

/// The columns of a session that its seal covers, and the seal.
macro_rules! session_columns {
    () => {
        "id, sha256, name, record, used_ms, ended_ms, seal"
    };
}
pub(super) use session_columns;

/// The columns of a link that its seal covers, and the seal.
macro_rules! link_columns {
    () => {
        "id, sha256, record, expires_ms, used_ms, seal"
    };
}
pub(super) use link_columns;

pub(super) const DATASET: Sealed = Sealed {
    table: "dataset",
    columns: &[
        ("name", Kind::Text),
        ("root", Kind::Text),
        ("metadata", Kind::Text),
        ("current_version", Kind::Number),
        ("created_ms", Kind::Number),
        ("updated_ms", Kind::Number),
    ],
};

pub(super) const REVISION: Sealed = Sealed {
    table: "revision",
    columns: &[
        ("id", Kind::Text),
        ("dataset", Kind::Text),
        ("state", Kind::Text),
        ("created_ms", Kind::Number),
        ("updated_ms", Kind::Number),
        ("record", Kind::Text),
    ],
};

pub(super) const VERSION: Sealed = Sealed {
    table: "version",
    columns: &[
        ("dataset", Kind::Text),
        ("version", Kind::Number),
        ("revision", Kind::Text),
        ("state", Kind::Text),
        ("released_ms", Kind::Number),
        ("rows", Kind::Number),
        ("bytes", Kind::Number),
        ("delta_version", Kind::Number),
        ("approved_by", Kind::Text),
        ("withdrawn_reason", Kind::Text),
        ("content_sha256", Kind::Text),
    ],
};

pub(super) const TOKEN: Sealed = Sealed {
    table: "token",
    columns: &[("id", Kind::Text), ("sha256", Kind::Text), ("record", Kind::Text), ("revoked_ms", Kind::Number)],
};

pub(super) const DATASET_KEY: Sealed = Sealed {
    table: "dataset_key",
    columns: &[("dataset", Kind::Text), ("secret", Kind::Text), ("created_ms", Kind::Number)],
};

pub(super) const PURGE: Sealed = Sealed {
    table: "purge",
    columns: &[("dataset", Kind::Text), ("version", Kind::Number), ("record", Kind::Text), ("done_ms", Kind::Number)],
};

pub(super) const USE_COUNT: Sealed = Sealed {
    table: "use_count",
    columns: &[
        ("month", Kind::Text),
        ("dataset", Kind::Text),
        ("version", Kind::Number),
        ("protocol", Kind::Text),
        ("format", Kind::Text),
        ("name", Kind::Text),
        ("uses", Kind::Number),
    ],
};

pub(super) const REPORT: Sealed =
    Sealed { table: "report", columns: &[("year", Kind::Number), ("record", Kind::Text)] };

pub(super) const REPORT_COMMENT: Sealed = Sealed {
    table: "report_comment",
    columns: &[
        ("id", Kind::Text),
        ("year", Kind::Number),
        ("at_ms", Kind::Number),
        ("state", Kind::Text),
        ("record", Kind::Text),
    ],
};

pub(super) const PAGE: Sealed =
    Sealed { table: "page", columns: &[("name", Kind::Text), ("number", Kind::Number), ("record", Kind::Text)] };

/// The seal of a row that is about to be written with these values, in the order of its sealed columns.
pub(super) fn of_values<const N: usize>(sealed: &Sealed, values: [Value; N]) -> String {
    debug_assert_eq!(sealed.columns.len(), N, "a seal covers every column");
    digest(&Value::Array(std::iter::once(json!(sealed.table)).chain(values).collect()))
}

pub(super) const SCHEDULE: Sealed = Sealed {
    table: "schedule",
    columns: &[
        ("revision", Kind::Text),
        ("dataset", Kind::Text),
        ("release_at_ms", Kind::Number),
        ("next_try_ms", Kind::Number),
        ("tries", Kind::Number),
        ("record", Kind::Text),
    ],
};

pub(super) const SESSION: Sealed = Sealed {
    table: "session",
    columns: &[
        ("id", Kind::Text),
        ("sha256", Kind::Text),
        ("name", Kind::Text),
        ("record", Kind::Text),
        ("used_ms", Kind::Number),
        ("ended_ms", Kind::Number),
    ],
};

pub(super) const LINK: Sealed = Sealed {
    table: "link",
    columns: &[
        ("id", Kind::Text),
        ("sha256", Kind::Text),
        ("record", Kind::Text),
        ("expires_ms", Kind::Number),
        ("used_ms", Kind::Number),
    ],
};
pub(super) const INVENTORY: Sealed =
    Sealed { table: "inventory", columns: &[("name", Kind::Text), ("record", Kind::Text)] };

pub(super) const DATA_REQUEST: Sealed =
    Sealed { table: "data_request", columns: &[("id", Kind::Text), ("record", Kind::Text)] };

pub(super) const METADATA_EDIT: Sealed =
    Sealed { table: "metadata_edit", columns: &[("dataset", Kind::Text), ("record", Kind::Text)] };

/// Checks a row that was read with all the columns of its seal.
pub(super) fn check(sealed: &Sealed, row: &AnyRow) -> Result<(), StoreError> {
    if row.try_get::<String, _>("seal")? == of_row(sealed, row)? {
        Ok(())
    } else {
        Err(StoreError::corrupt("a catalog row", format!("the seal of a row of {} does not fit", sealed.table)))
    }
}

/// The digest of a version's documents, as the database keeps them.
pub(super) fn of_content(manifest: &str, profile: &str, findings: &str) -> String {
    digest(&json!([manifest, profile, findings]))
}

/// Seals a dataset that this transaction has written.
pub(super) async fn seal_dataset(connection: &mut AnyConnection, name: &str) -> Result<(), StoreError> {
    let row = sqlx::query(concat!("SELECT ", dataset_columns!(), " FROM dataset WHERE name = $1"))
        .bind(name)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query("UPDATE dataset SET seal = $1 WHERE name = $2")
        .bind(of_row(&DATASET, &row)?)
        .bind(name)
        .execute(connection)
        .await?;
    Ok(())
}

/// Seals a revision that this transaction has written.
pub(super) async fn seal_revision(connection: &mut AnyConnection, id: &str) -> Result<(), StoreError> {
    let row = sqlx::query(concat!("SELECT ", revision_columns!(), " FROM revision WHERE id = $1"))
        .bind(id)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query("UPDATE revision SET seal = $1 WHERE id = $2")
        .bind(of_row(&REVISION, &row)?)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Seals a version that this transaction has written.
pub(super) async fn seal_version(
    connection: &mut AnyConnection,
    dataset: &str,
    version: i64,
) -> Result<(), StoreError> {
    let row = sqlx::query(concat!("SELECT ", version_columns!(), " FROM version WHERE dataset = $1 AND version = $2"))
        .bind(dataset)
        .bind(version)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query("UPDATE version SET seal = $1 WHERE dataset = $2 AND version = $3")
        .bind(of_row(&VERSION, &row)?)
        .bind(dataset)
        .bind(version)
        .execute(connection)
        .await?;
    Ok(())
}

/// Seals a token that this transaction has written.
pub(super) async fn seal_token(connection: &mut AnyConnection, id: &str) -> Result<(), StoreError> {
    let row = sqlx::query(concat!("SELECT ", token_columns!(), " FROM token WHERE id = $1"))
        .bind(id)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query("UPDATE token SET seal = $1 WHERE id = $2")
        .bind(of_row(&TOKEN, &row)?)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Seals a dataset's key that this transaction has written.
pub(super) async fn seal_dataset_key(connection: &mut AnyConnection, dataset: &str) -> Result<(), StoreError> {
    let row = sqlx::query(concat!("SELECT ", dataset_key_columns!(), " FROM dataset_key WHERE dataset = $1"))
        .bind(dataset)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query("UPDATE dataset_key SET seal = $1 WHERE dataset = $2")
        .bind(of_row(&DATASET_KEY, &row)?)
        .bind(dataset)
        .execute(connection)
        .await?;
    Ok(())
}

/// Seals a schedule that this transaction has written.
pub(super) async fn seal_schedule(connection: &mut AnyConnection, revision: &str) -> Result<(), StoreError> {
    let row = sqlx::query(concat!("SELECT ", schedule_columns!(), " FROM schedule WHERE revision = $1"))
        .bind(revision)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query("UPDATE schedule SET seal = $1 WHERE revision = $2")
        .bind(of_row(&SCHEDULE, &row)?)
        .bind(revision)
        .execute(connection)
        .await?;
    Ok(())
}

/// Seals a session that this transaction has written.
pub(super) async fn seal_session(connection: &mut AnyConnection, id: &str) -> Result<(), StoreError> {
    let row = sqlx::query(concat!("SELECT ", session_columns!(), " FROM session WHERE id = $1"))
        .bind(id)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query("UPDATE session SET seal = $1 WHERE id = $2")
        .bind(of_row(&SESSION, &row)?)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Seals a link that this transaction has written.
pub(super) async fn seal_link(connection: &mut AnyConnection, id: &str) -> Result<(), StoreError> {
    let row = sqlx::query(concat!("SELECT ", link_columns!(), " FROM link WHERE id = $1"))
        .bind(id)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query("UPDATE link SET seal = $1 WHERE id = $2")
        .bind(of_row(&LINK, &row)?)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Seals all that was written before there were seals.
pub(super) async fn seal_all(connection: &mut AnyConnection) -> Result<(), StoreError> {
    for row in sqlx::query("SELECT name FROM dataset").fetch_all(&mut *connection).await? {
        seal_dataset(connection, &row.try_get::<String, _>(0)?).await?;
    }
    for row in sqlx::query("SELECT id FROM revision").fetch_all(&mut *connection).await? {
        seal_revision(connection, &row.try_get::<String, _>(0)?).await?;
    }
    for row in sqlx::query("SELECT dataset, version FROM version").fetch_all(&mut *connection).await? {
        let (dataset, version): (String, i64) = (row.try_get(0)?, row.try_get(1)?);
        let content =
            sqlx::query("SELECT manifest, profile, findings FROM version WHERE dataset = $1 AND version = $2")
                .bind(dataset.as_str())
                .bind(version)
                .fetch_one(&mut *connection)
                .await?;
        let (manifest, profile, findings): (String, String, String) =
            (content.try_get(0)?, content.try_get(1)?, content.try_get(2)?);
        sqlx::query("UPDATE version SET content_sha256 = $1 WHERE dataset = $2 AND version = $3")
            .bind(of_content(&manifest, &profile, &findings))
            .bind(dataset.as_str())
            .bind(version)
            .execute(&mut *connection)
            .await?;
        seal_version(connection, &dataset, version).await?;
    }
    Ok(())
}

/// What a row's seal has to be.
pub(super) fn of_row(sealed: &Sealed, row: &AnyRow) -> Result<String, StoreError> {
    let mut values = vec![json!(sealed.table)];
    for (column, kind) in sealed.columns {
        values.push(match kind {
            Kind::Text => json!(row.try_get::<Option<String>, _>(*column)?),
            Kind::Number => json!(row.try_get::<Option<i64>, _>(*column)?),
        });
    }
    Ok(digest(&Value::Array(values)))
}

/// As a JSON array, in which no two lists look the same.
fn digest(values: &Value) -> String {
    hex(&Sha256::digest(values.to_string().as_bytes()))
}
