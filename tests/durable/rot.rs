//! One bit of one stored file changes. Whoever asks then gets the truth or a problem, never something else; the scrub
//! finds what nobody has asked for yet.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use http::StatusCode;
use portico_model::limits::Limits;
use portico_model::name::DatasetName;
use portico_store::{Catalog, Storage, Store};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{times, trees, wrong};
use crate::world::World;

/// What is asked each time: statements, and paths with ranges.
const STATEMENTS: &[&str] = &[
    "select * from street_trees order by tree_id",
    "select count(*), min(tree_id), max(tree_id), sum(mark) from street_trees",
    "select species, count(*), min(mark) from \"street_trees@1\" group by 1 order by 1",
    "select tree_id from bus_stops where species = 'Oak' order by tree_id",
    "select plant, label from canopy where plant between 11990 and 12010 order by plant",
    "select count(distinct label), min(label), max(plant) from canopy",
];
const PATHS: &[(&str, &str)] = &[
    ("/datasets/street-trees.csv", ""),
    ("/datasets/street-trees.csv", "bytes=100-400"),
    ("/datasets/street-trees.parquet", ""),
    ("/datasets/street-trees/versions/1/parts/0.parquet", "bytes=4-200"),
    ("/datasets/street-trees/versions/1.ndjson", ""),
    ("/datasets/canopy/versions/1/parts/0.parquet", ""),
    ("/datasets/canopy/versions/1/parts/0.parquet", "bytes=300000-301000"),
    ("/api/datasets/street-trees", ""),
    ("/api/datasets/street-trees/versions", ""),
    ("/api/datasets/street-trees/versions/1", ""),
];

async fn open(directory: &Path) -> Result<World, String> {
    let url = format!("file://{}/storage", directory.display());
    let storage = Storage::open(&url, &BTreeMap::new()).map_err(|error| error.to_string())?;
    let catalog = Catalog::open(&format!("sqlite://{}/catalog.sqlite", directory.display())).await;
    let catalog = catalog.map_err(|error| error.to_string())?;
    Ok(World::over(Store { storage, catalog }, Limits::default()).await)
}

/// What comes of every question: a body, or nothing where there was a problem or the transfer broke.
async fn ask_all(world: &World) -> Vec<Option<Vec<u8>>> {
    let mut answers = Vec::new();
    for sql in STATEMENTS {
        let uri = format!("/sql?format=csv&q={}", encoded(sql));
        answers.push(world.try_get(&uri, &[]).await);
    }
    for (path, range) in PATHS {
        let headers: &[(&str, &str)] = if range.is_empty() { &[] } else { &[("range", range)] };
        answers.push(world.try_get(path, headers).await);
    }
    let complete = |(status, body): (StatusCode, Vec<u8>)| status.is_success().then_some(body);
    answers.into_iter().map(|answer| answer.and_then(complete)).collect()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Every stored file with what it is, in a stable order.
fn files(directory: &Path) -> BTreeMap<&'static str, Vec<PathBuf>> {
    let mut found: BTreeMap<&'static str, Vec<PathBuf>> = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(next) = open.pop() {
        let mut entries: Vec<PathBuf> = std::fs::read_dir(next).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            let name = path.strip_prefix(directory).unwrap().display().to_string();
            if path.is_dir() {
                open.push(path);
            } else if std::fs::metadata(&path).unwrap().len() > 0 {
                let kind = match name.as_str() {
                    name if name.contains("_delta_log") => "Delta log",
                    name if name.starts_with("storage/released") => "data file",
                    name if name.starts_with("storage/spool/files") => "export",
                    name if name.starts_with("storage/spool/records") => "export's record",
                    name if name.starts_with("storage/staging") => "staged file",
                    _ => "catalog",
                };
                found.entry(kind).or_default().push(path);
            }
        }
    }
    found
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A table whose file has several blocks: texts that nothing makes shorter.
fn canopy() -> Vec<u8> {
    let mut random = ChaCha8Rng::seed_from_u64(13);
    let mut text = "plant,label\n".to_owned();
    for plant in 0..15_000 {
        let label: String = (0..64).map(|_| char::from(random.random_range(b'a'..=b'z'))).collect();
        text.push_str(&format!("{plant},{label}\n"));
    }
    text.into_bytes()
}

/// A portal with two versions of one dataset, one of each of two others, and finished exports.
async fn build(directory: &Path) -> Vec<Option<Vec<u8>>> {
    let world = open(directory).await.unwrap();
    for (dataset, rows, mark) in [("street-trees", 700, 1), ("street-trees", 900, 2), ("bus-stops", 50, 3)] {
        let file = trees(directory, "upload", rows, mark);
        world.publish(dataset, "trees.csv", &std::fs::read(&file).unwrap()).await;
        std::fs::remove_file(file).unwrap();
    }
    world.publish("canopy", "canopy.csv", &canopy()).await;
    let released = world.store.catalog.current_version(&DatasetName::parse("canopy").unwrap()).await.unwrap().unwrap();
    assert!(released.manifest.files[0].blocks.as_ref().unwrap().count() > 2);
    let truth = ask_all(&world).await;
    // Exports are kept once they are complete, which nobody waits for.
    while world.store.storage.spool_list().await.unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(ask_all(&world).await, truth);
    world.store.catalog.close().await;
    truth
}

#[derive(Debug, Default)]
struct Tally {
    flips: u64,
    refused: u64,
    scrubbed: u64,
    harmless: u64,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_anywhere_is_never_served() {
    let master = tempfile::tempdir().unwrap();
    let truth = build(master.path()).await;
    assert!(truth.iter().all(Option::is_some), "{truth:?}");
    let sound = open(master.path()).await.unwrap();
    assert_eq!(wrong(&sound.store).await, [""; 0]);
    sound.store.catalog.close().await;
    drop(sound);
    let kinds = files(master.path());
    assert_eq!(kinds.len(), 5, "{kinds:?}");
    let (flips, first) = (times("PORTICO_FLIPS", 10), times("PORTICO_FLIPS_FIRST", 0));
    let mut tallies: BTreeMap<&str, Tally> = BTreeMap::new();
    for seed in first..first + flips {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (kind, candidates) = kinds.iter().nth(random.random_range(0..kinds.len())).unwrap();
        let chosen = &candidates[random.random_range(0..candidates.len())];
        let portal = tempfile::tempdir().unwrap();
        copy(master.path(), portal.path());
        let damaged = portal.path().join(chosen.strip_prefix(master.path()).unwrap());
        let mut bytes = std::fs::read(&damaged).unwrap();
        let (byte, bit) = (random.random_range(0..bytes.len()), random.random_range(0..8));
        bytes[byte] ^= 1_u8 << bit;
        std::fs::write(&damaged, bytes).unwrap();
        let case = format!("seed {seed}: bit {bit} of byte {byte} of a {kind}");
        let tally = tallies.entry(*kind).or_default();
        tally.flips += 1;
        let Ok(world) = open(portal.path()).await else {
            tally.refused += 1;
            continue;
        };
        // First the scrub: answers repair what costs only time.
        let found = wrong(&world.store).await;
        let answers = ask_all(&world).await;
        for (index, (answer, truth)) in answers.iter().zip(&truth).enumerate() {
            assert!(answer.is_none() || answer == truth, "{case}: answer {index} is wrong");
        }
        match (answers == truth, found.is_empty()) {
            (false, _) => tally.refused += 1,
            (true, false) => tally.scrubbed += 1,
            (true, true) => tally.harmless += 1,
        }
        let must_be_found = matches!(*kind, "data file" | "export" | "export's record");
        assert!(!must_be_found || !found.is_empty(), "{case} is not found");
        world.store.catalog.close().await;
    }
    println!("{flips} flips, 0 wrong answers: {tallies:#?}");
}
