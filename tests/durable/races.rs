//! Eight writers at once: versions are contiguous and hold exactly what each writer was told.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use object_store::memory::InMemory;
use portico_model::name::DatasetName;
use portico_model::problem::ProblemKind;
use portico_store::{Catalog, Storage, Store};
use tokio::sync::Notify;

use super::troubled::{Fate, Fates, Troubled};
use super::{Road, publisher, times, trees, wrong};
use crate::world::NOW_MS;

const WRITERS: u64 = 8;
/// How long a writer waits at most before it tries again: whoever was done a moment earlier is not waited for.
const AGAIN: Duration = Duration::from_secs(1);

/// Memory that loses every fifth answer to a conditional create.
fn forgetful() -> Storage {
    let asked = Arc::new(AtomicU64::new(0));
    let fates: Fates = Arc::new(move |operation| {
        let lost = operation.starts_with("create") && asked.fetch_add(1, Ordering::Relaxed) % 5 == 4;
        Box::pin(async move { if lost { Fate::After } else { Fate::Fine } })
    });
    Storage::over(Arc::new(Troubled::new(Arc::new(InMemory::new()), fates))).unwrap()
}

/// An empty place on the S3 server, if there is one.
#[allow(clippy::disallowed_methods, reason = "a test asks where the real servers are")]
pub(super) fn s3() -> Option<Storage> {
    let Ok(endpoint) = std::env::var("PORTICO_TEST_S3") else {
        println!("skipped on S3: PORTICO_TEST_S3 is not set");
        return None;
    };
    let bucket = std::env::var("PORTICO_TEST_S3_BUCKET").unwrap_or_else(|_| "portico".to_owned());
    let options = [
        ("endpoint", endpoint.as_str()),
        ("region", "us-east-1"),
        ("allow_http", "true"),
        ("access_key_id", "test"),
        ("secret_access_key", "test"),
    ];
    let options = options.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    Some(Storage::open(&format!("s3://{bucket}/races/{}", ulid::Ulid::new()), &options).unwrap())
}

async fn race(name: &str, storage: Storage, directory: &Path, rounds: u64) {
    let url = format!("sqlite://{}/{name}.sqlite", directory.display());
    // Who was refused tries again together with all others, when somebody is done: to ask all the while shows nothing more.
    let done = Arc::new(Notify::new());
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        // Each writer has connections of its own, as a program of its own has.
        let store = Store { storage: storage.clone(), catalog: Catalog::open(&url).await.unwrap() };
        let (directory, done) = (directory.to_owned(), Arc::clone(&done));
        writers.spawn(async move {
            let publisher = publisher(store, &directory);
            let mut told = Vec::new();
            let mut conflicts = 0_u64;
            for round in 0..rounds {
                // The number of its rows says whose file it is.
                let rows = 1 + writer * rounds + round;
                let file = trees(&directory, &format!("{writer}"), rows, rows);
                let mut road = Road::new(&publisher, "street-trees", &file);
                let version = loop {
                    match road.go(NOW_MS).await {
                        Ok(version) => break version,
                        Err(error) => {
                            let kind = error.kind();
                            let again = matches!(kind, ProblemKind::Conflict | ProblemKind::Unavailable);
                            assert!(again, "{error:?}");
                            conflicts += 1;
                            let _ = tokio::time::timeout(AGAIN, done.notified()).await;
                        }
                    }
                };
                done.notify_waiters();
                told.push((version, rows));
            }
            (told, conflicts)
        });
    }
    let mut told = BTreeMap::new();
    let mut conflicts = 0;
    for (versions, more) in writers.join_all().await {
        conflicts += more;
        for (version, rows) in versions {
            assert_eq!(told.insert(version, rows), None, "{name}: version {version} was promised twice");
        }
    }
    let store = Store { storage, catalog: Catalog::open(&url).await.unwrap() };
    let dataset = DatasetName::parse("street-trees").unwrap();
    let held: BTreeMap<u32, u64> =
        store.catalog.versions(&dataset).await.unwrap().iter().map(|one| (one.version, one.rows)).collect();
    assert_eq!(held, told, "{name}");
    let numbers: Vec<u32> = held.into_keys().collect();
    assert_eq!(numbers, (1..=u32::try_from(WRITERS * rounds).unwrap()).collect::<Vec<_>>(), "{name}");
    assert_eq!(wrong(&store).await, [""; 0], "{name}");
    println!("{name}: {} releases by {WRITERS} writers, {conflicts} refused and done again", numbers.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn racing_releases_are_contiguous_and_hold_what_was_promised() {
    let directory = tempfile::tempdir().unwrap();
    race("memory", forgetful(), directory.path(), times("PORTICO_RACE_ROUNDS", 2)).await;
    let rounds = times("PORTICO_RACE_ROUNDS", 1);
    let disk = Storage::open(&format!("file://{}/disk", directory.path().display()), &BTreeMap::new()).unwrap();
    race("disk", disk, directory.path(), rounds).await;
    if let Some(storage) = s3() {
        race("S3", storage, directory.path(), rounds).await;
    }
}
