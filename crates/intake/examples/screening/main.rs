//! Measures screening: what it finds and misses of made-up and labelled data, what it blocks of public tables, how fast.
//!
//! ```text
//! cargo run --release -p portico-intake --example screening -- measure [SEED] [EACH]
//! cargo run --release -p portico-intake --example screening -- corpus pii/presidio_synth_v2_DEV.json.gz
//! cargo run --release -p portico-intake --example screening -- tables DIRECTORY…
//! cargo run --release -p portico-intake --example screening -- speed [MEGABYTES]
//! cargo run --release -p portico-intake --example screening -- gate [SEEDS]
//! cargo run --release -p portico-intake --example screening -- texts [SEED] [EACH] > texts.ndjson
//! ```
//!
//! `texts` writes the sentences that `measure` uses, for measuring another program on the same.

#![allow(clippy::print_stdout, reason = "the figures are what this is for")]
#![allow(clippy::unwrap_used, reason = "a measurement that cannot be made stops")]

use std::path::{Path, PathBuf};

mod gate;
mod labelled;
mod score;
mod speed;
mod tables;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |place: usize, default: u64| arguments.get(place).map_or(default, |text| text.parse().unwrap());
    match arguments.first().map(String::as_str) {
        Some("measure") => score::made_up(number(1, 1), usize::try_from(number(2, 200)).unwrap()),
        Some("corpus") => score::corpus(Path::new(arguments.get(1).unwrap())),
        Some("texts") => score::texts(number(1, 1), usize::try_from(number(2, 200)).unwrap()),
        Some("tables") => tables::list(&arguments.iter().skip(1).map(PathBuf::from).collect::<Vec<_>>()),
        Some("gate") => gate::measure(number(1, 1)),
        Some("speed") => speed::measure(number(1, 200)),
        _ => println!(
            "measure [SEED] [EACH] | corpus FILE | tables DIRECTORY… | speed [MEGABYTES] | gate [SEEDS] | texts [SEED] [EACH]"
        ),
    }
}
