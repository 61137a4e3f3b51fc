//! Queries to PostgreSQL databases that the operator names.
//!
//! ```text
//! name ─▶ look the host up, once ─▶ is every address the internet's, or the host an exception? ─▶ relay to these alone
//! query ─▶ parse it by itself: one statement ─▶ COPY (query) TO STDOUT, in a transaction that can only read ─▶ file
//! ```
//!
//! The client of the database connects to a socket of ours, and what it says goes to an address that was checked: TLS is
//! between it and the server, and compares the certificate with the name. Rows go into the file as they come. What the
//! server says of a query may have a value of the data in it: no word of it is kept but its SQLSTATE.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use futures::StreamExt as _;
use portico_model::limits::SourceLimits;
use sha2::{Digest as _, Sha256};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection, SqlSafeStr as _};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, UnixListener};

use crate::error::PublishError;
use crate::fetch::{Conditions, FetchError, Fetched, Fetcher};
use crate::settings::DatabaseSettings;
use crate::source::hex;

/// What the file of a query is called.
pub(crate) const FILE_NAME: &str = "query.csv";

/// Nothing of a database is changed, and one moment of it is read.
const BEGIN: &str = "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY";
/// What PostgreSQL says of a statement that took too long.
const TOO_LONG: &str = "57014";

/// Writes the answer to a query into a file, as CSV with a header.
///
/// # Errors
/// [`FetchError`] for a host that nothing is read from, and for limits; [`PublishError::BadSource`] for a query that the
/// database refuses, with its SQLSTATE.
pub(crate) async fn fetch(
    fetcher: &Fetcher,
    (database, query): (&DatabaseSettings, &str),
    limits: &SourceLimits,
    into: &Path,
) -> Result<Fetched, PublishError> {
    let time = Duration::from_millis(limits.fetch_ms);
    let addresses = fetcher.addresses(&database.host, database.port).await?;
    let place = tempfile::Builder::new().prefix("portico-").tempdir()?;
    let listener = UnixListener::bind(place.path().join(format!(".s.PGSQL.{}", database.port)))?;
    let asked = async {
        let mut connection = connect(database, place.path(), limits).await?;
        copy(&mut connection, query, limits, into).await
    };
    let asked = tokio::time::timeout(time, asked);
    tokio::select! {
        answered = asked => answered.map_err(|_| FetchError::TooSlow)?,
        error = relay(&listener, &addresses, Duration::from_millis(limits.connect_ms)) => Err(error.into()),
    }
}

/// Carries bytes between the one connection that comes and one of the addresses. Ends when none can be reached.
async fn relay(listener: &UnixListener, addresses: &[SocketAddr], time: Duration) -> FetchError {
    let Ok((mut near, _)) = listener.accept().await else {
        return FetchError::Unreachable("the relay cannot be used".into());
    };
    for address in addresses {
        if let Ok(Ok(mut far)) = tokio::time::timeout(time, TcpStream::connect(address)).await {
            // Whoever asks the query sees how it ends.
            let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
            drop(near);
            return std::future::pending().await;
        }
    }
    FetchError::Unreachable("the database's host does not answer".into())
}

async fn connect(
    database: &DatabaseSettings,
    place: &Path,
    limits: &SourceLimits,
) -> Result<PgConnection, PublishError> {
    let options = PgConnectOptions::new_without_pgpass()
        .host(&database.host)
        .port(database.port)
        .socket(place)
        .username(&database.user)
        .password(&database.password)
        .database(&database.database)
        .application_name("portico")
        .ssl_mode(if database.tls { PgSslMode::VerifyFull } else { PgSslMode::Disable })
        .options([
            ("statement_timeout", limits.fetch_ms.to_string()),
            ("lock_timeout", limits.idle_ms.to_string()),
            ("default_transaction_read_only", "on".to_owned()),
        ])
        .disable_statement_logging();
    let options = match &database.ca_file {
        Some(file) => options.ssl_root_cert(file),
        None => options,
    };
    let time = Duration::from_millis(limits.connect_ms);
    let connected = tokio::time::timeout(time, PgConnection::connect_with(&options)).await;
    connected.map_err(|_| FetchError::TooSlow)?.map_err(|error| {
        tracing::warn!(
            state = state(&error),
            "a database of sources.databases cannot be reached, or refuses the login"
        );
        PublishError::BadSource("the database cannot be reached, or refuses the login".to_owned())
    })
}

async fn copy(
    connection: &mut PgConnection,
    query: &str,
    limits: &SourceLimits,
    into: &Path,
) -> Result<Fetched, PublishError> {
    connection.execute(BEGIN).await.map_err(|error| refusal(&error))?;
    // By itself it has to be one statement: what is whole stays whole between brackets.
    let query = query.trim().trim_end_matches(';');
    connection.prepare(AssertSqlSafe(query.to_owned()).into_sql_str()).await.map_err(|error| refusal(&error))?;
    // On a line of its own: the query may end with a comment.
    let statement = format!("COPY (\n{query}\n) TO STDOUT WITH (FORMAT csv, HEADER true, ENCODING 'UTF8')");
    let mut rows = connection.copy_out_raw(&statement).await.map_err(|error| refusal(&error))?;
    let mut file = tokio::fs::File::create(into).await?;
    let (mut hash, mut bytes, mut messages) = (Sha256::new(), 0_u64, 0_u64);
    while let Some(row) = rows.next().await {
        let row = row.map_err(|error| refusal(&error))?;
        bytes = bytes.saturating_add(u64::try_from(row.len()).unwrap_or(u64::MAX));
        if bytes > limits.fetch_bytes {
            return Err(FetchError::TooLarge(limits.fetch_bytes).into());
        }
        // One message is one row, and the first is the header.
        if messages > limits.query_rows {
            return Err(FetchError::TooManyRows(limits.query_rows).into());
        }
        messages += 1;
        hash.update(&row);
        file.write_all(&row).await?;
    }
    file.flush().await?;
    Ok(Fetched::File { sha256: hex(&hash.finalize()), conditions: Conditions::default() })
}

fn refusal(error: &sqlx::Error) -> PublishError {
    match state(error).as_deref() {
        Some(TOO_LONG) => FetchError::TooSlow.into(),
        Some(state) => PublishError::BadSource(format!("the database refuses the query (SQLSTATE {state})")),
        None => FetchError::Unreachable("the database broke off".into()).into(),
    }
}

fn state(error: &sqlx::Error) -> Option<String> {
    let state = error.as_database_error()?.code()?;
    state.bytes().all(|byte| byte.is_ascii_alphanumeric()).then(|| state.into_owned())
}

#[cfg(test)]
mod tests {
    use portico_model::problem::ProblemKind;

    use super::*;
    use crate::settings::FetchSettings;

    /// The server that `PORTICO_TEST_POSTGRES` names, which is none of the internet's.
    fn server() -> Option<(Fetcher, DatabaseSettings)> {
        let Ok(url) = std::env::var("PORTICO_TEST_POSTGRES") else {
            println!("skipped: PORTICO_TEST_POSTGRES names no PostgreSQL server");
            return None;
        };
        let url = url::Url::parse(&url).unwrap();
        let database = DatabaseSettings {
            host: url.host_str().unwrap().to_owned(),
            port: url.port().unwrap_or(5432),
            database: url.path().trim_start_matches('/').to_owned(),
            user: url.username().to_owned(),
            password_env: None,
            password_file: None,
            password: url.password().unwrap_or_default().to_owned(),
            tls: false,
            ca_file: None,
        };
        let settings = FetchSettings { hosts: vec![database.host.clone()], ..FetchSettings::default() };
        Some((Fetcher::new(settings, SourceLimits::default()), database))
    }

    async fn ask(query: &str, limits: &SourceLimits) -> Option<Result<String, PublishError>> {
        let (fetcher, database) = server()?;
        let out = tempfile::tempdir().unwrap();
        let into = out.path().join("file");
        let fetched = fetch(&fetcher, (&database, query), limits, &into).await;
        Some(fetched.map(|_| std::fs::read_to_string(&into).unwrap()))
    }

    #[tokio::test]
    async fn the_answer_to_a_query_is_a_file() {
        let limits = SourceLimits::default();
        let query =
            "select n as \"id\", 'a, \"b\"' as words, null as nothing from generate_series(1, 2) n order by 1; -- all";
        let Some(answer) = ask(query, &limits).await else { return };
        assert_eq!(answer.unwrap(), "id,words,nothing\n1,\"a, \"\"b\"\"\",\n2,\"a, \"\"b\"\"\",\n");
        let no_rows = ask("select 1 as id where false", &limits).await.unwrap();
        assert_eq!(no_rows.unwrap(), "id\n");
    }

    #[tokio::test]
    async fn a_query_only_reads_and_is_one_statement() {
        for (query, state) in [
            ("select lo_create(0)", "25006"),
            ("select 1; select 2", "42601"),
            ("select 1; commit; create table made (id int)", "42601"),
            ("select 1) to stdout; create table made (id int); copy (select 1", "42601"),
            ("select 1) to program 'true' --", "42601"),
            ("create table made (id int)", "42601"),
            ("select set_config('transaction_read_only', 'off', false)", "25001"),
            ("select nobody from nothing_there", "42P01"),
            ("select 'secret-canary'::int", "22P02"),
        ] {
            let Some(answer) = ask(query, &SourceLimits::default()).await else { return };
            let error = answer.unwrap_err();
            assert_eq!(error.kind(), ProblemKind::InvalidRequest, "{query}");
            let said = format!("{error} {error:?}");
            assert!(said.contains(state) && !said.contains("secret-canary"), "{query}: {said}");
        }
    }

    #[tokio::test]
    async fn a_query_has_limits_of_rows_bytes_and_time() {
        let limits = SourceLimits { query_rows: 10, ..SourceLimits::default() };
        let Some(answer) = ask("select generate_series(1, 10)", &limits).await else { return };
        assert_eq!(answer.unwrap().lines().count(), 11);
        let rows = ask("select generate_series(1, 11)", &limits).await.unwrap();
        assert!(matches!(rows, Err(PublishError::Fetch(FetchError::TooManyRows(10)))));
        let limits = SourceLimits { fetch_bytes: 1_000, ..SourceLimits::default() };
        let bytes = ask("select repeat('x', 500) from generate_series(1, 1000000)", &limits).await.unwrap();
        assert!(matches!(bytes, Err(PublishError::Fetch(FetchError::TooLarge(1_000)))));
        let limits = SourceLimits { fetch_ms: 300, ..SourceLimits::default() };
        let time = ask("select pg_sleep(60)", &limits).await.unwrap();
        assert!(matches!(time, Err(PublishError::Fetch(FetchError::TooSlow))), "{time:?}");
    }

    #[tokio::test]
    async fn a_database_is_where_things_are_fetched_from_or_an_exception() {
        let inside = DatabaseSettings {
            host: "db.city.example".to_owned(),
            port: 5432,
            database: "permits".to_owned(),
            user: "reader".to_owned(),
            password_env: None,
            password_file: None,
            password: "open-sesame".to_owned(),
            tls: true,
            ca_file: None,
        };
        assert!(!format!("{inside:?}").contains("sesame"));
        let limits = SourceLimits::default();
        let fetcher = Fetcher::new(FetchSettings::default(), limits.clone());
        let fetcher = fetcher.with_lookup(|_, port| Box::pin(async move { Ok(vec![([10, 0, 0, 7], port).into()]) }));
        let out = tempfile::tempdir().unwrap();
        let asked = fetch(&fetcher, (&inside, "select 1"), &limits, &out.path().join("file")).await;
        assert!(matches!(asked, Err(PublishError::Fetch(FetchError::Internal))), "{asked:?}");
        let Some((fetcher, database)) = server() else { return };
        // A server that has no TLS is not talked to without.
        let database = DatabaseSettings { tls: true, password: "open-sesame".to_owned(), ..database };
        let asked = fetch(&fetcher, (&database, "select 1"), &limits, &out.path().join("file")).await;
        let said = format!("{:?}", asked.unwrap_err());
        assert!(said.contains("cannot be reached") && !said.contains("sesame"), "{said}");
    }
}
