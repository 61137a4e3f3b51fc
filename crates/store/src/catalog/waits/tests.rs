//! What a frozen program, a slow statement and a silent network cost others. On PostgreSQL, where `PORTICO_TEST_POSTGRES`
//! names a server.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use portico_model::dataset::DatasetMetadata;
use portico_model::name::DatasetName;
use portico_model::problem::ProblemKind;
use sqlx::{AnyConnection, AssertSqlSafe, Connection};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const SHORT: Duration = Duration::from_millis(300);

/// A new database on the server.
#[allow(clippy::disallowed_methods, reason = "a test asks where the real server is")]
async fn database() -> Option<String> {
    let Ok(server) = std::env::var("PORTICO_TEST_POSTGRES") else {
        println!("skipped: PORTICO_TEST_POSTGRES names no PostgreSQL server");
        return None;
    };
    sqlx::any::install_default_drivers();
    let database = format!("portico_{}", ulid::Ulid::new().to_string().to_lowercase());
    let mut connection = AnyConnection::connect(&server).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {database}"))).execute(&mut connection).await.unwrap();
    let mut url = url::Url::parse(&server).unwrap();
    url.set_path(&database);
    Some(url.into())
}

async fn put(catalog: &Catalog, name: &str) -> Result<(), StoreError> {
    let metadata = DatasetMetadata::named(DatasetName::parse(name).unwrap());
    catalog.put_dataset(&metadata, "steward", 0).await.map(drop)
}

fn assert_unavailable<T: std::fmt::Debug>(outcome: Result<T, StoreError>) {
    let error = outcome.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
    assert_eq!(error.kind(), ProblemKind::Unavailable);
}

#[tokio::test]
async fn a_change_waits_for_a_frozen_one_no_longer_than_it_may() {
    let Some(url) = database().await else { return };
    let catalog = Catalog::open_waiting(&url, Waits { lock: SHORT, ..Waits::default() }).await.unwrap();
    let mut frozen = AnyConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("BEGIN; UPDATE audit_end SET seq = seq WHERE id = 1").execute(&mut frozen).await.unwrap();
    assert_unavailable(put(&catalog, "trees").await);
    sqlx::raw_sql("ROLLBACK").execute(&mut frozen).await.unwrap();
    put(&catalog, "trees").await.unwrap();
}

#[tokio::test]
async fn a_server_that_freezes_in_a_change_loses_it_and_others_go_on() {
    let Some(url) = database().await else { return };
    let frozen = Catalog::open_waiting(&url, Waits { idle: SHORT, ..Waits::default() }).await.unwrap();
    let other = Catalog::open(&url).await.unwrap();
    let change = frozen.change().await.unwrap();
    put(&other, "trees").await.unwrap();
    assert_unavailable(change.commit().await);
    put(&frozen, "parks").await.unwrap();
    assert_eq!(other.verify_audit().await.unwrap(), 2);
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_ended_and_what_may_take_long_is_not() {
    let Some(url) = database().await else { return };
    let catalog = Catalog::open_waiting(&url, Waits { statement: SHORT, ..Waits::default() }).await.unwrap();
    let slow = sqlx::query("SELECT 1 FROM pg_sleep(20)").fetch_one(catalog.pool()).await;
    assert_unavailable(slow.map(drop).map_err(StoreError::from));
    let mut transaction = catalog.inner.pool.begin().await.unwrap();
    sqlx::raw_sql(UNBOUNDED).execute(&mut *transaction).await.unwrap();
    sqlx::raw_sql("SELECT pg_sleep(0.6)").execute(&mut *transaction).await.unwrap();
    drop(transaction);
    put(&catalog, "trees").await.unwrap();
    catalog.wipe().await.unwrap();
    catalog.dump(&mut std::io::sink(), &mut |_| Ok(())).await.unwrap();
    catalog.ping().await.unwrap();
}

#[tokio::test]
async fn changes_wait_for_one_that_does_not_end_no_longer_than_they_may() {
    let catalog = Catalog::open_waiting("sqlite::memory:", Waits { turn: SHORT, ..Waits::default() }).await.unwrap();
    let endless = catalog.change().await.unwrap();
    assert_unavailable(put(&catalog, "trees").await);
    drop(endless);
    put(&catalog, "trees").await.unwrap();
}

#[tokio::test]
async fn a_server_that_says_nothing_is_not_waited_for() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://portico@{}/portico?sslmode=disable", silent.local_addr().unwrap());
    assert_unavailable(Catalog::open_waiting(&url, Waits { connection: SHORT, ..Waits::default() }).await.map(drop));
}

/// A network before a server, on which nothing passes once it is silent. Connections that began in the silence pass when
/// it is over; those of before are lost without a word.
struct Network {
    silent: Arc<AtomicBool>,
    address: std::net::SocketAddr,
}

impl Network {
    async fn before(server: std::net::SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (silent, address) = (Arc::new(AtomicBool::new(false)), listener.local_addr().unwrap());
        let passing = Arc::clone(&silent);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server).await.unwrap();
                let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
                let lost = Arc::new(AtomicBool::new(false));
                tokio::spawn(pass(from_client, to_server, Arc::clone(&passing), Arc::clone(&lost)));
                tokio::spawn(pass(from_server, to_client, Arc::clone(&passing), lost));
            }
        });
        Self { silent, address }
    }
}

async fn pass(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    silent: Arc<AtomicBool>,
    lost: Arc<AtomicBool>,
) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut bytes = vec![0; 4096];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        if silent.load(Ordering::SeqCst) {
            lost.store(true, Ordering::SeqCst);
        }
        if !lost.load(Ordering::SeqCst) && to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_silent_network_keeps_nobody_waiting_and_holds_no_connection_when_it_is_over() {
    let Some(url) = database().await else { return };
    let mut url = url::Url::parse(&url).unwrap();
    let server = url.socket_addrs(|| Some(5432)).unwrap()[0];
    let network = Network::before(server).await;
    url.set_host(Some("127.0.0.1")).unwrap();
    url.set_port(Some(network.address.port())).unwrap();
    let waits = Waits { connection: SHORT, answer: SHORT, ..Waits::default() };
    let catalog = Catalog::open_waiting(url.as_str(), waits).await.unwrap();
    // As many as the pool has.
    let slow = || async { sqlx::query("SELECT 1 FROM pg_sleep(0.1)").fetch_one(catalog.pool()).await.map(drop) };
    futures::future::join_all((0..8).map(|_| slow())).await;
    network.silent.store(true, Ordering::SeqCst);
    for asked in futures::future::join_all((0..16).map(|_| catalog.ping())).await {
        assert_unavailable(asked);
    }
    network.silent.store(false, Ordering::SeqCst);
    // Connections that were lost are given up, within seconds; each question may still meet one of them.
    for _ in 0..100 {
        if catalog.ping().await.is_ok() {
            return;
        }
    }
    panic!("the catalog stays unavailable when the network is back");
}
