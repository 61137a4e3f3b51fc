//! Connections and migrations.

use std::path::Path;

use sqlx::any::{AnyConnectOptions, AnyPoolOptions};
use sqlx::{AnyConnection, AnyPool, AssertSqlSafe, Connection, Executor, Row};

use super::seals;
use super::waits::{self, Waits};
use crate::error::StoreError;

/// The steps that made the tables what they are, in order; a step is never changed once released.
const STEPS: [(i64, &str); 10] = [
    (1, include_str!("../../migrations/0001_catalog.sql")),
    (SEALS, include_str!("../../migrations/0002_seals.sql")),
    (3, include_str!("../../migrations/0003_tokens.sql")),
    (4, include_str!("../../migrations/0004_calendar.sql")),
    (5, include_str!("../../migrations/0005_records.sql")),
    (6, include_str!("../../migrations/0006_dataset_keys.sql")),
    (7, include_str!("../../migrations/0007_signin.sql")),
    (8, include_str!("../../migrations/0008_inventory.sql")),
    (9, include_str!("../../migrations/0009_sources.sql")),
    (10, include_str!("../../migrations/0010_pages.sql")),
];
/// The step after which every row has a seal.
const SEALS: i64 = 2;
/// SQLite answers from a file; more connections would only wait for each other.
const SQLITE_CONNECTIONS: u32 = 4;
const POSTGRES_CONNECTIONS: u32 = 8;
/// Any number that others do not use: PostgreSQL's lock while tables are made.
const MIGRATION_LOCK: &str = "SELECT pg_advisory_xact_lock(7165294410372)";
/// Run on every new connection to SQLite. FULL: a commit that was answered survives a power cut. What is deleted is
/// overwritten.
const SQLITE_SETTINGS: &str = "PRAGMA busy_timeout = 15000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; \
                               PRAGMA foreign_keys = ON; PRAGMA secure_delete = ON;";
/// The same without a log: memory has nothing to lose.
const SQLITE_MEMORY_SETTINGS: &str = "PRAGMA foreign_keys = ON;";

/// Which database, as far as that matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    SqliteFile,
    SqliteMemory,
    Postgres,
}

/// The numbers of the steps that this program knows.
pub(super) fn steps() -> Vec<i64> {
    STEPS.iter().map(|(step, _)| *step).collect()
}

/// Opens a pool and brings the tables up to date.
pub(super) async fn open(url: &str, waits: Waits) -> Result<(Kind, AnyPool), StoreError> {
    sqlx::any::install_default_drivers();
    let (kind, url) = understand(url)?;
    let options: AnyConnectOptions =
        url.parse().map_err(|error: sqlx::Error| StoreError::invalid_since("the catalog URL is not a URL", error))?;
    if kind == Kind::Postgres {
        // The pool would try a server that refuses for as long as it may wait.
        let tried = async { AnyConnection::connect(&url).await?.close().await };
        let tried = tokio::time::timeout(waits.connection, tried).await;
        tried.unwrap_or_else(|_| Err(waits::unanswered("it does not answer")))?;
    }
    let pool = AnyPoolOptions::new().acquire_timeout(waits.connection);
    let pool = match kind {
        // One connection that never ends: with it the database would.
        Kind::SqliteMemory => pool.max_connections(1).idle_timeout(None).max_lifetime(None),
        Kind::SqliteFile => pool.max_connections(SQLITE_CONNECTIONS).max_lifetime(None).test_before_acquire(false),
        Kind::Postgres => pool.max_connections(POSTGRES_CONNECTIONS),
    };
    let pool = pool
        .after_connect(move |connection, _| {
            Box::pin(async move {
                match kind {
                    Kind::SqliteFile => connection.execute(sqlx::raw_sql(SQLITE_SETTINGS)).await.map(drop),
                    Kind::SqliteMemory => connection.execute(sqlx::raw_sql(SQLITE_MEMORY_SETTINGS)).await.map(drop),
                    Kind::Postgres => {
                        let settings = sqlx::raw_sql(AssertSqlSafe(waits.settings()));
                        connection.execute(settings).await.map(drop)
                    }
                }
            })
        })
        .connect_with(options)
        .await?;
    let mut connection = pool.acquire().await?;
    migrate(kind, &mut connection).await?;
    drop(connection);
    Ok((kind, pool))
}

fn understand(url: &str) -> Result<(Kind, String), StoreError> {
    if url.starts_with("postgres://") || url.starts_with("postgresql://") {
        return Ok((Kind::Postgres, url.to_owned()));
    }
    let Some(rest) = url.strip_prefix("sqlite:") else {
        return Err(StoreError::invalid("a catalog URL starts with sqlite:// or postgres://"));
    };
    if rest.contains(":memory:") || rest.contains("mode=memory") {
        return Ok((Kind::SqliteMemory, "sqlite::memory:".to_owned()));
    }
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let path = path.split_once('?').map_or(path, |(path, _)| path);
    if let Some(parent) = Path::new(path).parent().filter(|parent| !parent.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(StoreError::local_file)?;
    }
    let with_mode = match rest.contains("mode=") {
        true => url.to_owned(),
        false if rest.contains('?') => format!("{url}&mode=rwc"),
        false => format!("{url}?mode=rwc"),
    };
    Ok((Kind::SqliteFile, with_mode))
}

/// The file of an SQLite database.
pub(super) fn file(url: &str, kind: Kind) -> Option<std::path::PathBuf> {
    let rest = url.strip_prefix("sqlite:").filter(|_| kind == Kind::SqliteFile)?;
    let path = rest.strip_prefix("//").unwrap_or(rest);
    Some(path.split_once('?').map_or(path, |(path, _)| path).into())
}

/// All missing steps in one transaction, so that two processes that start at once do not meet.
async fn migrate(kind: Kind, connection: &mut AnyConnection) -> Result<(), StoreError> {
    let mut transaction = match kind {
        Kind::Postgres => connection.begin().await?,
        // The lock comes first, or two would find no tables and both make them.
        Kind::SqliteFile | Kind::SqliteMemory => connection.begin_with("BEGIN IMMEDIATE").await?,
    };
    if kind == Kind::Postgres {
        transaction.execute(sqlx::raw_sql(waits::UNBOUNDED)).await?;
        transaction.execute(sqlx::raw_sql(MIGRATION_LOCK)).await?;
    }
    transaction
        .execute(sqlx::raw_sql("CREATE TABLE IF NOT EXISTS catalog_step (step BIGINT NOT NULL PRIMARY KEY)"))
        .await?;
    let mut done = Vec::new();
    for row in sqlx::query("SELECT step FROM catalog_step").fetch_all(&mut *transaction).await? {
        done.push(row.try_get::<i64, _>(0)?);
    }
    if done.iter().any(|step| STEPS.iter().all(|(known, _)| known != step)) {
        let what = "the catalog was made by a newer release of this program".to_owned();
        return Err(StoreError::Unsupported { what });
    }
    for (step, sql) in STEPS {
        if !done.contains(&step) {
            transaction.execute(sqlx::raw_sql(sql)).await?;
            if step == SEALS {
                seals::seal_all(&mut transaction).await?;
            }
            sqlx::query("INSERT INTO catalog_step (step) VALUES ($1)").bind(step).execute(&mut *transaction).await?;
        }
    }
    Ok(transaction.commit().await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_connection_to_sqlite_syncs_its_log_at_every_commit() {
        let directory = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}/catalog.sqlite", directory.path().display());
        let (kind, pool) = open(&url, Waits::default()).await.unwrap();
        assert_eq!(kind, Kind::SqliteFile);
        let mut held = Vec::new();
        for _ in 0..SQLITE_CONNECTIONS {
            let mut connection = pool.acquire().await.unwrap();
            for (asked, wanted) in
                [("PRAGMA synchronous", "2"), ("PRAGMA journal_mode", "wal"), ("PRAGMA foreign_keys", "1")]
            {
                let row = sqlx::query(asked).fetch_one(&mut *connection).await.unwrap();
                let said = row.try_get::<String, _>(0).or_else(|_| row.try_get::<i64, _>(0).map(|n| n.to_string()));
                assert_eq!(said.unwrap(), wanted, "{asked}");
            }
            held.push(connection);
        }
    }

    #[test]
    fn urls_are_understood_and_others_refused() {
        for (url, kind, used) in [
            ("sqlite::memory:", Kind::SqliteMemory, "sqlite::memory:"),
            ("sqlite://catalog.sqlite", Kind::SqliteFile, "sqlite://catalog.sqlite?mode=rwc"),
            ("sqlite://catalog.sqlite?mode=ro", Kind::SqliteFile, "sqlite://catalog.sqlite?mode=ro"),
            ("postgres://host/db", Kind::Postgres, "postgres://host/db"),
        ] {
            assert_eq!(understand(url).unwrap(), (kind, used.to_owned()));
        }
        assert!(matches!(understand("mysql://host/db"), Err(StoreError::Invalid { .. })));
    }
}
