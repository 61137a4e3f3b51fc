//! Making the database give up the bytes of what its rows no longer say, and looking for them afterwards.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, Executor, Row};

use super::Catalog;
use super::connect::Kind;
use super::waits;
use crate::error::StoreError;
use crate::search::{Finder, Needles};

/// How often the log is tried to be emptied while readers hold on to it.
const TRIES: u32 = 50;
/// Between two of them.
const PAUSE: Duration = Duration::from_millis(200);

impl Catalog {
    /// Rewrites the database without what was deleted from it: SQLite's file whole, and its write-ahead log emptied;
    /// the tables of PostgreSQL that had it. PostgreSQL's own write-ahead log, archives of it and backups of either are
    /// out of reach.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not do it, as while somebody reads for a long time: do it again.
    pub async fn wipe(&self) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        let mut connection = self.inner.pool.acquire().await?;
        match self.inner.kind {
            Kind::Postgres => {
                // How long it takes depends on how much there is. That nobody uses a table is waited for as usual, since
                // whoever comes after waits for it, too.
                let mut connection = connection.detach();
                connection.execute(sqlx::raw_sql(waits::UNBOUNDED_STATEMENTS)).await?;
                for table in ["version", "revision", "dataset", "dataset_keyword", "use_count", "purge"] {
                    let sql = format!("VACUUM (FULL) {table}");
                    connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql))).await?;
                }
                Ok(connection.close().await?)
            }
            Kind::SqliteMemory => Ok(connection.execute(sqlx::raw_sql("VACUUM")).await.map(drop)?),
            Kind::SqliteFile => {
                connection.execute(sqlx::raw_sql("VACUUM")).await?;
                for _ in 0..TRIES {
                    let row = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut *connection).await?;
                    if row.try_get::<i64, _>(0)? == 0 {
                        return Ok(());
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                Err(StoreError::Unavailable {
                    what: "the catalog",
                    source: "its log could not be emptied while somebody read it".into(),
                })
            }
        }
    }

    /// How often any of the texts stands in the catalog: in its rows, and where it is a file, in the file and its log.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it cannot be read.
    pub async fn search(&self, needles: &Needles) -> Result<u64, StoreError> {
        let mut finder = Finder::new(needles);
        self.dump(&mut finder, &mut |_| Ok(())).await?;
        let mut found = finder.found();
        if let Some(path) = &self.inner.file {
            found = found.saturating_add(needles.search_file(self.raw(path)?).await?);
            let mut log = path.as_os_str().to_owned();
            log.push("-wal");
            match File::open(log) {
                Ok(log) => found = found.saturating_add(needles.search_file(Arc::new(log)).await?),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(StoreError::local_file(error)),
            }
        }
        Ok(found)
    }

    /// The database's file, opened once and never closed. When a process closes a file, POSIX takes all of its locks on it,
    /// SQLite's too (<https://sqlite.org/howtocorrupt.html>, section 2.2): another process that ends then believes that it
    /// was the last, and removes the log that this one goes on writing to. What was acknowledged would be lost.
    fn raw(&self, path: &Path) -> Result<Arc<File>, StoreError> {
        if let Some(file) = self.inner.raw.get() {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(File::open(path).map_err(StoreError::local_file)?);
        std::mem::forget(Arc::clone(&file));
        // Whoever opens it at the same time keeps another, which is not closed either.
        Ok(Arc::clone(self.inner.raw.get_or_init(|| file)))
    }
}
