//! Queries to PostgreSQL databases of others, whose answers are written into files.
//!
//! A query is parsed by itself, so that it is one statement, and answered by `COPY (query) TO STDOUT` in a transaction that can only
//! read. Rows go into the file as they come. What the server says of a query may have a value of the data in it: no word of
//! it is kept but its SQLSTATE.

use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::StreamExt as _;
use portico_model::limits::SourceLimits;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection, SqlSafeStr as _};
use tokio::io::AsyncWriteExt as _;

use crate::storage::hex;

/// Nothing of a database is changed, and one moment of it is read.
const BEGIN: &str = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// What PostgreSQL says of a statement that took too long.
const TOO_LONG: &str = "57014";

/// A PostgreSQL database that queries may be put to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// The host: on the internet, or one of `sources.fetch.hosts`.
    pub host: String,
    /// The port.
    #[serde(default = "postgresql_port")]
    pub port: u16,
    /// The database's name.
    pub database: String,
    /// The user, who may read what is to be published and nothing else.
    pub user: String,
    /// The environment variable that has the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
    /// The file that has the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// The password, from there.
    #[serde(skip)]
    pub password: String,
    /// Whether the server has to show a certificate for its host. Without, anybody on the way may read and change what is
    /// published.
    #[serde(default = "with_tls")]
    pub tls: bool,
    /// The authority of that certificate, as PEM; those of the internet if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

const fn postgresql_port() -> u16 {
    5432
}

const fn with_tls() -> bool {
    true
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port, database, user, tls, .. } = self;
        let mut said = f.debug_struct("Database");
        said.field("host", host).field("port", port).field("database", database).field("user", user);
        said.field("tls", tls).finish_non_exhaustive()
    }
}

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It cannot be reached, or refuses the login.
    #[error("the database cannot be reached, or refuses the login")]
    Login,
    /// It refuses the query.
    #[error("the database refuses the query (SQLSTATE {0})")]
    Refused(String),
    /// It broke off.
    #[error("the database broke off")]
    Broken,
    /// The answer took too long.
    #[error("the query took too long")]
    TooSlow,
    /// The answer has too many bytes.
    #[error("the answer has too many bytes")]
    TooLarge,
    /// The answer has too many rows.
    #[error("the answer has too many rows")]
    TooManyRows,
    /// The file cannot be written.
    #[error("the file cannot be written")]
    Local(#[from] std::io::Error),
}

impl Database {
    /// Writes the answer to a query into a file, which is made or replaced, as CSV with a header. The server is at the end of the
    /// socket `.s.PGSQL.PORT` in `socket`. Answers the SHA-256 of the bytes, lower-case hex.
    ///
    /// # Errors
    /// Those of [`DatabaseError`]; the file is not to be used then.
    pub async fn copy(
        &self,
        (socket, query): (&Path, &str),
        limits: &SourceLimits,
        into: &Path,
    ) -> Result<String, DatabaseError> {
        let mut connection = self.connect(socket, limits).await?;
        connection.execute(BEGIN).await.map_err(|error| refusal(&error))?;
        // By itself it has to be one statement: what is whole stays whole between brackets.
        let query = query.trim().trim_end_matches(';');
        connection.prepare(AssertSqlSafe(query.to_owned()).into_sql_str()).await.map_err(|error| refusal(&error))?;
        // On lines of its own: the query may end with a comment.
        let statement = format!("COPY (\n{query}\n) TO STDOUT WITH (FORMAT csv, HEADER true, ENCODING 'UTF8')");
        let mut answer = connection.copy_out_raw(&statement).await.map_err(|error| refusal(&error))?;
        let mut file = tokio::fs::File::create(into).await?;
        let (mut hash, mut bytes, mut rows) = (Sha256::new(), 0_u64, 0_u64);
        while let Some(row) = answer.next().await {
            let row = row.map_err(|error| refusal(&error))?;
            bytes = bytes.saturating_add(u64::try_from(row.len()).unwrap_or(u64::MAX));
            if bytes > limits.fetch_bytes {
                return Err(DatabaseError::TooLarge);
            }
            // One message is one row, and the first is the header.
            if rows > limits.query_rows {
                return Err(DatabaseError::TooManyRows);
            }
            rows += 1;
            hash.update(&row);
            file.write_all(&row).await?;
        }
        file.flush().await?;
        Ok(hex(&hash.finalize()))
    }

    async fn connect(&self, socket: &Path, limits: &SourceLimits) -> Result<PgConnection, DatabaseError> {
        let options = PgConnectOptions::new_without_pgpass()
            .host(&self.host)
            .port(self.port)
            .socket(socket)
            .username(&self.user)
            .password(&self.password)
            .database(&self.database)
            .application_name("portico")
            .ssl_mode(if self.tls { PgSslMode::VerifyFull } else { PgSslMode::Disable })
            .options([
                ("statement_timeout", limits.fetch_ms.to_string()),
                ("lock_timeout", limits.idle_ms.to_string()),
                ("default_transaction_read_only", "on".to_owned()),
            ])
            .disable_statement_logging();
        let options = match &self.ca_file {
            Some(file) => options.ssl_root_cert(file),
            None => options,
        };
        let time = Duration::from_millis(limits.connect_ms);
        let connected = tokio::time::timeout(time, PgConnection::connect_with(&options)).await;
        connected.map_err(|_| DatabaseError::TooSlow)?.map_err(|_| DatabaseError::Login)
    }
}

fn refusal(error: &sqlx::Error) -> DatabaseError {
    let state = error.as_database_error().and_then(|error| error.code());
    match state.filter(|state| state.bytes().all(|byte| byte.is_ascii_alphanumeric())) {
        Some(state) if state == TOO_LONG => DatabaseError::TooSlow,
        Some(state) => DatabaseError::Refused(state.into_owned()),
        None => DatabaseError::Broken,
    }
}
