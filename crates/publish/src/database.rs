//! Queries to PostgreSQL databases that the operator names.
//!
//! ```text
//! name ─▶ look the host up, once ─▶ is every address the internet's, or the host an exception? ─▶ relay to these alone
//! ```
//!
//! The client of the database connects to a socket of ours, and what it says goes to an address that was checked: TLS is
//! between it and the server, and compares the certificate with the name.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use portico_model::limits::SourceLimits;
use portico_store::{Database, DatabaseError};
use tokio::net::{TcpStream, UnixListener};

use crate::error::PublishError;
use crate::fetch::{Conditions, FetchError, Fetched, Fetcher};

/// What the file of a query is called.
pub(crate) const FILE_NAME: &str = "query.csv";

/// Writes the answer to a query into a file, as CSV with a header.
///
/// # Errors
/// [`FetchError`] for a host that nothing is read from, and for limits; [`PublishError::BadSource`] for a query that the
/// database refuses, with its SQLSTATE.
pub(crate) async fn fetch(
    fetcher: &Fetcher,
    (database, query): (&Database, &str),
    limits: &SourceLimits,
    into: &Path,
) -> Result<Fetched, PublishError> {
    let time = Duration::from_millis(limits.fetch_ms);
    let addresses = fetcher.addresses(&database.host, database.port).await?;
    let place = tempfile::Builder::new().prefix("portico-").tempdir()?;
    let listener = UnixListener::bind(place.path().join(format!(".s.PGSQL.{}", database.port)))?;
    let asked = tokio::time::timeout(time, database.copy((place.path(), query), limits, into));
    tokio::select! {
        answered = asked => {
            let sha256 = answered.map_err(|_| FetchError::TooSlow)?.map_err(|error| refusal(error, limits))?;
            Ok(Fetched::File { sha256, conditions: Conditions::default() })
        }
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

fn refusal(error: DatabaseError, limits: &SourceLimits) -> PublishError {
    match error {
        DatabaseError::TooSlow => FetchError::TooSlow.into(),
        DatabaseError::TooLarge => FetchError::TooLarge(limits.fetch_bytes).into(),
        DatabaseError::TooManyRows => FetchError::TooManyRows(limits.query_rows).into(),
        DatabaseError::Broken => FetchError::Unreachable("the database broke off".into()).into(),
        DatabaseError::Local(error) => error.into(),
        error @ (DatabaseError::Login | DatabaseError::Refused(_)) => PublishError::BadSource(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use portico_model::problem::ProblemKind;

    use super::*;
    use crate::settings::FetchSettings;

    /// The server that `PORTICO_TEST_POSTGRES` names, which is none of the internet's.
    #[allow(clippy::disallowed_methods, reason = "a test asks where the real server is")]
    fn server() -> Option<(Fetcher, Database)> {
        let Ok(url) = std::env::var("PORTICO_TEST_POSTGRES") else {
            println!("skipped: PORTICO_TEST_POSTGRES names no PostgreSQL server");
            return None;
        };
        let url = url::Url::parse(&url).unwrap();
        let database = Database {
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
            "select n as \"id\", 'a, \"b\"' as words, null as nothing from generate_series(1, 2) n order by 1 -- all";
        let Some(answer) = ask(query, &limits).await else { return };
        assert_eq!(answer.unwrap(), "id,words,nothing\n1,\"a, \"\"b\"\"\",\n2,\"a, \"\"b\"\"\",\n");
        let no_rows = ask("select 1 as id where false;", &limits).await.unwrap();
        assert_eq!(no_rows.unwrap(), "id\n");
    }

    #[tokio::test]
    async fn a_query_only_reads_and_is_one_statement() {
        for (query, state) in [
            ("select relname from pg_class for update", "25006"),
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
        let inside = Database {
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
        let database = Database { tls: true, password: "open-sesame".to_owned(), ..database };
        let asked = fetch(&fetcher, (&database, "select 1"), &limits, &out.path().join("file")).await;
        let said = format!("{:?}", asked.unwrap_err());
        assert!(said.contains("cannot be reached") && !said.contains("sesame"), "{said}");
    }
}
