//! The seals of what belongs to sources.

use sqlx::AnyConnection;

use super::{Kind, Sealed, of_row};
use crate::error::StoreError;

/// The columns of a source that its seal covers, and the seal.
macro_rules! source_columns {
    () => {
        "dataset, number, record, seal"
    };
}
pub(in crate::catalog) use source_columns;

/// The columns of a refresh that its seal covers, and the seal. Who holds it is nobody's but the living's.
macro_rules! refresh_columns {
    () => {
        "dataset, next_ms, record, seal"
    };
}
pub(in crate::catalog) use refresh_columns;

/// The columns of a run that its seal covers, and the seal.
macro_rules! run_columns {
    () => {
        "id, dataset, started_ms, record, seal"
    };
}
pub(in crate::catalog) use run_columns;

/// The columns of a notice that its seal covers, and the seal.
macro_rules! notice_columns {
    () => {
        "id, due_ms, record, seal"
    };
}
pub(in crate::catalog) use notice_columns;

pub(in crate::catalog) const SOURCE: Sealed =
    Sealed { table: "source", columns: &[("dataset", Kind::Text), ("number", Kind::Number), ("record", Kind::Text)] };

pub(in crate::catalog) const REFRESH: Sealed =
    Sealed { table: "refresh", columns: &[("dataset", Kind::Text), ("next_ms", Kind::Number), ("record", Kind::Text)] };

pub(in crate::catalog) const RUN: Sealed = Sealed {
    table: "refresh_run",
    columns: &[("id", Kind::Text), ("dataset", Kind::Text), ("started_ms", Kind::Number), ("record", Kind::Text)],
};

pub(in crate::catalog) const NOTICE: Sealed =
    Sealed { table: "notice", columns: &[("id", Kind::Text), ("due_ms", Kind::Number), ("record", Kind::Text)] };

/// Seals a refresh that this transaction has written.
pub(in crate::catalog) async fn seal_refresh(connection: &mut AnyConnection, dataset: &str) -> Result<(), StoreError> {
    let row = sqlx::query(concat!("SELECT ", refresh_columns!(), " FROM refresh WHERE dataset = $1"))
        .bind(dataset)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query("UPDATE refresh SET seal = $1 WHERE dataset = $2")
        .bind(of_row(&REFRESH, &row)?)
        .bind(dataset)
        .execute(connection)
        .await?;
    Ok(())
}

/// Seals a run that this transaction has written.
pub(in crate::catalog) async fn seal_run(connection: &mut AnyConnection, id: &str) -> Result<(), StoreError> {
    let row = sqlx::query(concat!("SELECT ", run_columns!(), " FROM refresh_run WHERE id = $1"))
        .bind(id)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query("UPDATE refresh_run SET seal = $1 WHERE id = $2")
        .bind(of_row(&RUN, &row)?)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Seals a notice that this transaction has written.
pub(in crate::catalog) async fn seal_notice(connection: &mut AnyConnection, id: &str) -> Result<(), StoreError> {
    let row = sqlx::query(concat!("SELECT ", notice_columns!(), " FROM notice WHERE id = $1"))
        .bind(id)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query("UPDATE notice SET seal = $1 WHERE id = $2")
        .bind(of_row(&NOTICE, &row)?)
        .bind(id)
        .execute(connection)
        .await?;
    Ok(())
}

/// Seals a source that this transaction has written.
pub(in crate::catalog) async fn seal_source(
    connection: &mut AnyConnection,
    dataset: &str,
    number: i64,
) -> Result<(), StoreError> {
    let row = sqlx::query(concat!("SELECT ", source_columns!(), " FROM source WHERE dataset = $1 AND number = $2"))
        .bind(dataset)
        .bind(number)
        .fetch_one(&mut *connection)
        .await?;
    sqlx::query("UPDATE source SET seal = $1 WHERE dataset = $2 AND number = $3")
        .bind(of_row(&SOURCE, &row)?)
        .bind(dataset)
        .bind(number)
        .execute(connection)
        .await?;
    Ok(())
}
