//! Storage and catalog that fail at random, from a seed: errors, broken bodies, conflicts that are none, lost answers,
//! listings that lag. A question has the right answer or a problem, a release is public once or not at all, and both
//! come to an end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::StatusCode;
use object_store::memory::InMemory;
use portico_model::limits::Limits;
use portico_model::name::DatasetName;
use portico_store::{Catalog, CatalogMoment, Storage, Store, StoreError};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::troubled::{Fate, Fates, Troubled};
use super::{Road, publisher, times, trees, wrong};
use crate::world::{NOW_MS, World};

/// Tries that a release or a question has; each operation of a try fails with a probability of some per cent.
const TRIES: usize = 200;
/// Longer than any seed takes, on a machine that has other things to do.
const HANGS: Duration = Duration::from_secs(120);

/// A die that every operation throws.
#[derive(Clone)]
struct Die(Arc<Mutex<ChaCha8Rng>>);

impl Die {
    fn throw(&self) -> u32 {
        self.0.lock().unwrap().random_range(0..1_000)
    }

    fn fates(&self) -> Fates {
        let die = self.clone();
        Arc::new(move |_| {
            let die = die.clone();
            Box::pin(async move {
                let thrown = die.throw();
                for _ in 0..thrown % 7 {
                    // As slow as can be without a clock: others go first.
                    tokio::task::yield_now().await;
                }
                match thrown {
                    0..15 => Fate::Before,
                    15..30 => Fate::After,
                    30..40 => Fate::Conflict,
                    40..60 => Fate::Short,
                    _ => Fate::Fine,
                }
            })
        })
    }
}

async fn troubled(seed: u64) -> (Store, Store) {
    let die = Die(Arc::new(Mutex::new(ChaCha8Rng::seed_from_u64(seed))));
    let memory = Arc::new(InMemory::new());
    let catalog = Catalog::open("sqlite::memory:").await.unwrap();
    let storage = Storage::over(Arc::new(Troubled::new(Arc::clone(&memory), die.fates()))).unwrap();
    let interrupted = catalog.interrupted_by(Arc::new(move |moment: CatalogMoment| {
        let fails = die.throw() < 20;
        Box::pin(async move {
            if !fails {
                return Ok(());
            }
            Err(StoreError::Unavailable { what: "the catalog", source: format!("cut off at {moment:?}").into() })
        })
    }));
    (Store { storage: Storage::over(memory).unwrap(), catalog }, Store { storage, catalog: interrupted })
}

/// The mark of the rows that a question is answered with, if it is; an answer is whole.
async fn asked(world: &World, seed: u64) -> Option<u64> {
    let reply = world.sql("select mark, count(*) as n from street_trees group by 1", "csv").await;
    if reply.status != StatusCode::OK {
        return None;
    }
    match reply.text().as_str() {
        "mark,n\n1,31\n" => Some(1),
        "mark,n\n2,47\n" => Some(2),
        wrong => panic!("seed {seed}: {wrong:?}"),
    }
}

async fn one(seed: u64, scratch: &std::path::Path) -> usize {
    let (calm, store) = troubled(seed).await;
    let files = [trees(scratch, "1", 31, 1), trees(scratch, "2", 47, 2)];
    let world = World::over(store.clone(), Limits::default()).await;
    let mut refused = 0;
    for (version, file) in [(1_u64, &files[0]), (2, &files[1])] {
        let publisher = publisher(store.clone(), scratch);
        let mut road = Road::new(&publisher, "street-trees", file);
        let mut tries = 0..TRIES;
        loop {
            tries.next().unwrap_or_else(|| panic!("seed {seed}: version {version} is never released"));
            let (went, seen) = tokio::join!(road.go(NOW_MS), asked(&world, seed));
            assert!(seen.is_none_or(|seen| seen <= version), "seed {seed}");
            match went {
                Ok(number) => {
                    assert_eq!(u64::from(number), version, "seed {seed}");
                    break;
                }
                Err(_) => refused += 1,
            }
        }
        let mut tries = 0..TRIES;
        loop {
            tries.next().unwrap_or_else(|| panic!("seed {seed}: version {version} never answers"));
            match asked(&world, seed).await {
                Some(seen) => break assert_eq!(seen, version, "seed {seed}: what was acknowledged is read"),
                None => refused += 1,
            }
        }
    }
    let name = DatasetName::parse("street-trees").unwrap();
    assert_eq!(calm.catalog.versions(&name).await.unwrap().len(), 2, "seed {seed}: each once");
    assert_eq!(wrong(&calm).await, [""; 0], "seed {seed}");
    refused
}

#[tokio::test(flavor = "multi_thread")]
async fn chaos_makes_problems_but_no_wrong_rows_and_no_lost_versions() {
    let scratch = tempfile::tempdir().unwrap();
    let (seeds, first) = (times("PORTICO_CHAOS_SEEDS", 15), times("PORTICO_CHAOS_FIRST", 0));
    let mut refused = 0;
    for seed in first..first + seeds {
        let done = tokio::time::timeout(HANGS, one(seed, scratch.path())).await;
        refused += done.unwrap_or_else(|_| panic!("seed {seed} hangs"));
    }
    assert!(refused > 0, "chaos that nobody notices");
    println!("{seeds} seeds: {refused} releases and questions failed and were tried again, 0 wrong, 0 lost, 0 twice");
}
