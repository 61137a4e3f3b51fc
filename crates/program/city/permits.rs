//! Building permits: one file a month, each holding all permits so far.

use std::io;

use chrono::Datelike as _;
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use super::{DISTRICTS, Out, block, date, pick, pick_skewed, place};

const KINDS: &[&str] = &[
    "Residential alteration",
    "Residential new",
    "Commercial alteration",
    "Electrical",
    "Plumbing",
    "Mechanical",
    "Demolition",
    "Commercial new",
    "Sign",
    "Pool",
];
const STATES: &[&str] = &["Issued", "Finaled", "Finaled", "Under review", "Expired"];

/// Writes the first `rows` permits as they stood at the end of `month` of 2026: the same ones in every file, with
/// some that moved on since the month before.
pub(super) fn write(random: &mut ChaCha8Rng, rows: u64, month: u32, out: Out<'_>) -> io::Result<()> {
    write!(out, "permit_number,applied_on,issued_on,permit_type,status,declared_value,fee,floor_area_sqft,units,")?;
    // From October on the city publishes the inspection count too: a version may add a column.
    let october = if month >= 10 { "inspections," } else { "" };
    writeln!(out, "{october}district,location,latitude,longitude,contractor_license,description")?;
    for row in 0..rows {
        let applied = date(i64::try_from(row).unwrap_or(0) * 1_390 / 6_300);
        let issued = applied + chrono::Duration::days(random.random_range(2..90));
        let kind = pick_skewed(random, KINDS);
        let mut status = pick(random, STATES);
        if status == "Under review" && month >= 9 && row % 3 == 0 {
            status = "Issued";
        }
        let issued = if status == "Under review" { String::new() } else { issued.to_string() };
        let value = random.random_range(400..60_000) * random.random_range(1..40);
        let (latitude, longitude) = place(random);
        let inspections = random.random_range(0..9);
        let inspections = if month >= 10 { format!("{inspections},") } else { String::new() };
        writeln!(
            out,
            "BP{}-{:05},{applied},{issued},{kind},{status},{value}.{:02},{}.{},{},{},{inspections}{},{},{latitude:.5},\
             {longitude:.5},{:06},\"{}, {}\"",
            applied.year(),
            row + 1,
            random.random_range(0..100),
            60 + value / 250,
            pick(random, &["00", "25", "50", "75"]),
            if random.random_bool(0.3) { String::new() } else { random.random_range(80..6_000).to_string() },
            random.random_range(0..4),
            pick(random, DISTRICTS),
            block(random),
            random.random_range(1_000..99_999),
            pick(random, &["Kitchen", "Roof", "Deck", "Garage", "Office fit-out", "Service upgrade", "Water heater"]),
            pick(random, &["replace", "new", "repair", "extend"]),
        )?;
    }
    Ok(())
}
