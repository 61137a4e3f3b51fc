//! The sample city: a seeded generator of a small fictional city's tables, and the list of its datasets.
//!
//! Larkfield does not exist. Its files lie in `data/` and are embedded in the program, so that `portico demo`
//! works from anywhere; `portico demo --rows N` makes the service requests anew at another size. The same
//! seed gives the same files, and a test compares them with `data/`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use portico_model::dataset::MetadataPatch;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use serde::Deserialize;

mod inspections;
mod permits;
mod places;
mod requests;
mod votes;

/// Service requests in `data/`: with the other tables about 100,000 rows in all.
pub(crate) const REQUEST_ROWS: u64 = 60_000;

/// The generator's seed for `data/`.
pub(crate) const SEED: u64 = 1_869;

/// The files of `data/`.
const FILES: &[(&str, &[u8])] = &[
    ("service-requests.csv.gz", include_bytes!("../../data/service-requests.csv.gz")),
    ("building-permits-2026-08.csv.gz", include_bytes!("../../data/building-permits-2026-08.csv.gz")),
    ("building-permits-2026-09.csv.gz", include_bytes!("../../data/building-permits-2026-09.csv.gz")),
    ("building-permits-2026-10.csv.gz", include_bytes!("../../data/building-permits-2026-10.csv.gz")),
    ("restaurant-inspections.csv.gz", include_bytes!("../../data/restaurant-inspections.csv.gz")),
    ("election-results.csv.gz", include_bytes!("../../data/election-results.csv.gz")),
    ("air-quality.ndjson.gz", include_bytes!("../../data/air-quality.ndjson.gz")),
    ("budget.csv", include_bytes!("../../data/budget.csv")),
    ("bus-stops.tsv", include_bytes!("../../data/bus-stops.tsv")),
    ("parks.geojson", include_bytes!("../../data/parks.geojson")),
    ("service-requests.toml", include_bytes!("../../data/service-requests.toml")),
    ("building-permits.toml", include_bytes!("../../data/building-permits.toml")),
    ("restaurant-inspections.toml", include_bytes!("../../data/restaurant-inspections.toml")),
    ("election-results.toml", include_bytes!("../../data/election-results.toml")),
    ("air-quality.toml", include_bytes!("../../data/air-quality.toml")),
    ("budget.toml", include_bytes!("../../data/budget.toml")),
    ("bus-stops.toml", include_bytes!("../../data/bus-stops.toml")),
    ("parks.toml", include_bytes!("../../data/parks.toml")),
];

const CITY: &str = include_str!("../../data/city.toml");

/// The city's datasets, as `data/city.toml` lists them.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct City {
    /// The city's name.
    pub(crate) name: String,
    /// Its datasets in the order of publishing.
    pub(crate) dataset: Vec<Sample>,
}

/// One dataset of the city.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sample {
    pub(crate) name: String,
    pub(crate) title: String,
    pub(crate) description: String,
    pub(crate) department: String,
    pub(crate) steward_name: String,
    pub(crate) steward_email: String,
    pub(crate) license: String,
    pub(crate) keywords: Vec<String>,
    pub(crate) update_frequency: String,
    /// What else is known of it.
    #[serde(default)]
    pub(crate) metadata: MetadataPatch,
    /// One file a version, oldest first.
    pub(crate) files: Vec<String>,
    /// The data dictionary.
    pub(crate) dictionary: String,
}

impl City {
    /// The list in `data/city.toml`.
    pub(crate) fn load() -> anyhow::Result<Self> {
        toml::from_str(CITY).context("data/city.toml is not a list of datasets")
    }
}

/// Writes one embedded file into `directory`.
pub(crate) fn unpack(name: &str, directory: &Path) -> anyhow::Result<PathBuf> {
    let (_, bytes) =
        FILES.iter().find(|(file, _)| *file == name).with_context(|| format!("data/ holds no file {name}"))?;
    let path = directory.join(name);
    std::fs::write(&path, bytes)?;
    Ok(path)
}

/// Makes `rows` service requests into `directory`, for `portico demo --rows`.
pub(crate) fn make_requests(rows: u64, directory: &Path) -> anyhow::Result<PathBuf> {
    let path = directory.join("service-requests.csv.gz");
    gzip(&path, |out| requests::write(&mut random("requests"), rows, out))?;
    Ok(path)
}

/// Makes every table of the city into `directory`.
pub(crate) fn make_all(directory: &Path) -> anyhow::Result<()> {
    make_requests(REQUEST_ROWS, directory)?;
    for (month, rows) in [(8, 5_400), (9, 5_900), (10, 6_300)] {
        let path = directory.join(format!("building-permits-2026-{month:02}.csv.gz"));
        gzip(&path, |out| permits::write(&mut random("permits"), rows, month, out))?;
    }
    gzip(&directory.join("restaurant-inspections.csv.gz"), |out| inspections::write(&mut random("inspections"), out))?;
    gzip(&directory.join("election-results.csv.gz"), |out| votes::write_election(&mut random("votes"), out))?;
    gzip(&directory.join("air-quality.ndjson.gz"), |out| places::write_air(&mut random("air"), out))?;
    plain(&directory.join("budget.csv"), |out| votes::write_budget(&mut random("budget"), out))?;
    plain(&directory.join("bus-stops.tsv"), |out| places::write_stops(&mut random("stops"), out))?;
    plain(&directory.join("parks.geojson"), |out| places::write_parks(&mut random("parks"), out))
}

type Out<'a> = &'a mut dyn std::io::Write;

fn gzip(path: &Path, write: impl FnOnce(Out<'_>) -> std::io::Result<()>) -> anyhow::Result<()> {
    let file = std::io::BufWriter::new(std::fs::File::create(path)?);
    let mut out = flate2::GzBuilder::new().mtime(0).write(file, flate2::Compression::best());
    write(&mut out)?;
    out.finish()?.flush()?;
    Ok(())
}

fn plain(path: &Path, write: impl FnOnce(Out<'_>) -> std::io::Result<()>) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(std::fs::File::create(path)?);
    write(&mut out)?;
    out.flush()?;
    Ok(())
}

/// Each table has its own stream of numbers, so that a change to one leaves the others as they are.
fn random(table: &str) -> ChaCha8Rng {
    let salt = table.bytes().fold(SEED, |salt, byte| salt.wrapping_mul(31).wrapping_add(u64::from(byte)));
    ChaCha8Rng::seed_from_u64(salt)
}

/// One of `words`; lists are never empty.
fn pick<'a>(random: &mut ChaCha8Rng, words: &[&'a str]) -> &'a str {
    words.get(random.random_range(0..words.len())).copied().unwrap_or_default()
}

/// One of `words` with the first far more often than the last, as in life.
fn pick_skewed<'a>(random: &mut ChaCha8Rng, words: &[&'a str]) -> &'a str {
    let first = random.random_range(0..words.len());
    let second = random.random_range(0..words.len());
    words.get(first.min(second)).copied().unwrap_or_default()
}

/// A date `days` after 1 January 2023.
fn date(days: i64) -> chrono::NaiveDate {
    chrono::NaiveDate::from_ymd_opt(2023, 1, 1).unwrap_or_default() + chrono::Duration::days(days)
}

const STREETS: &[&str] = &[
    "Alder", "Birch", "Canal", "Dogwood", "Elm", "Foundry", "Garden", "Harbor", "Ivy", "Juniper", "Kiln", "Linden",
    "Market", "Nutmeg", "Orchard", "Poplar", "Quarry", "River", "Sycamore", "Tannery", "Union", "Vine", "Willow",
];
const STREET_KINDS: &[&str] = &["Street", "Avenue", "Road", "Lane", "Drive", "Court"];
const DISTRICTS: &[&str] =
    &["Old Town", "Riverside", "Northgate", "Mill Hill", "Eastfield", "College Park", "Harborview"];

/// A street address, to the hundred block only.
fn block(random: &mut ChaCha8Rng) -> String {
    let hundred = random.random_range(1..60) * 100;
    format!("{hundred} block {} {}", pick(random, STREETS), pick(random, STREET_KINDS))
}

/// A place in the city: latitude and longitude with five decimals.
fn place(random: &mut ChaCha8Rng) -> (f64, f64) {
    let near = |random: &mut ChaCha8Rng, centre: f64| {
        let spread: f64 = (0..3).map(|_| random.random_range(-0.03..0.03)).sum();
        ((centre + spread) * 100_000.0).round() / 100_000.0
    };
    (near(random, 36.041), near(random, -78.902))
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn content(bytes: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        match flate2::read::GzDecoder::new(bytes).read_to_end(&mut text) {
            Ok(_) => text,
            Err(_) => bytes.to_vec(),
        }
    }

    #[test]
    fn the_generator_makes_the_files_of_data() {
        let directory = tempfile::tempdir().unwrap();
        make_all(directory.path()).unwrap();
        for (name, bytes) in FILES.iter().filter(|(name, _)| !name.ends_with(".toml")) {
            let made = std::fs::read(directory.path().join(name)).unwrap();
            assert!(content(&made) == content(bytes), "data/{name} differs from what the generator makes");
        }
    }

    #[test]
    fn every_dataset_has_its_files_and_a_steward() {
        let city = City::load().unwrap();
        assert!((6..=8).contains(&city.dataset.len()));
        for sample in &city.dataset {
            portico_model::name::DatasetName::parse(&sample.name).unwrap();
            assert!(sample.steward_email.ends_with("@larkfield.example"), "{}", sample.name);
            for file in sample.files.iter().chain([&sample.dictionary]) {
                assert!(FILES.iter().any(|(name, _)| name == file), "{file}");
            }
        }
        assert!(city.dataset.iter().any(|sample| sample.files.len() >= 3), "one dataset has three versions");
    }
}
