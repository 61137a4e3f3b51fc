//! Service requests (311): what residents ask of the city.

use std::io;

use chrono::{Duration, NaiveDateTime, NaiveTime};
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;

use super::{DISTRICTS, Out, block, date, pick, pick_skewed, place};

const KINDS: &[(&str, &[&str], &str)] = &[
    ("Solid Waste", &["Missed collection", "Bulky item pickup", "Cart repair", "Illegal dumping"], "Solid Waste"),
    ("Streets", &["Pothole", "Street light out", "Sign damaged", "Sidewalk repair", "Snow and ice"], "Public Works"),
    ("Trees", &["Fallen limb", "Pruning", "Stump removal"], "Parks and Recreation"),
    ("Water", &["Leak", "Low pressure", "Hydrant", "Discolored water"], "Water Management"),
    ("Animals", &["Stray animal", "Noise", "Bite report"], "Animal Services"),
    ("Parking", &["Abandoned vehicle", "Blocked driveway", "Meter out of order"], "Transportation"),
    ("Housing", &["No heat", "Unsafe structure", "Overgrown lot"], "Neighborhood Services"),
    ("Other", &["Question", "Compliment"], "City Manager"),
];
const STATUS: &[&str] = &["Closed", "Closed", "Closed", "Closed", "Closed", "In progress", "Open"];
const CHANNELS: &[&str] = &["Phone", "App", "Web", "In person"];

/// Days from 1 January 2023 to 31 October 2026.
const DAYS: i64 = 1_399;

/// Writes `rows` requests in the order of their number, which is nearly the order of time.
pub(super) fn write(random: &mut ChaCha8Rng, rows: u64, out: Out<'_>) -> io::Result<()> {
    writeln!(
        out,
        "request_id,opened_at,closed_at,category,request_type,department,status,priority,district,zip_code,\
         location,latitude,longitude,channel,days_open,rating,resolution_notes"
    )?;
    for row in 0..rows {
        let (opened, closed) = times(random, row, rows);
        let (category, types, department) = kind(random);
        let status = if closed.is_some() { "Closed" } else { pick(random, &["In progress", "Open"]) };
        let (latitude, longitude) = place(random);
        let days = closed.map(|closed| (closed - opened).num_days().to_string()).unwrap_or_default();
        let rating = if random.random_bool(0.2) { random.random_range(1..=5).to_string() } else { String::new() };
        let notes = if random.random_bool(0.15) { note(random) } else { String::new() };
        writeln!(
            out,
            "SR-{:07},{opened},{},{category},{},{department},{status},{},{},0{},{},{latitude:.5},{longitude:.5},{},\
             {days},{rating},{notes}",
            row + 1,
            closed.map(|closed| closed.to_string()).unwrap_or_default(),
            pick_skewed(random, types),
            random.random_range(1..=4),
            pick_skewed(random, DISTRICTS),
            7_800 + random.random_range(0..9),
            block(random),
            pick_skewed(random, CHANNELS),
        )?;
    }
    Ok(())
}

fn times(random: &mut ChaCha8Rng, row: u64, rows: u64) -> (NaiveDateTime, Option<NaiveDateTime>) {
    let share = i64::try_from(row.saturating_mul(u64::try_from(DAYS).unwrap_or(1)) / rows.max(1)).unwrap_or(0);
    let seconds = random.random_range(6 * 3_600..22 * 3_600);
    let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, 0).unwrap_or_default();
    let opened = date(share).and_time(time);
    let open =
        share > DAYS - 30 && random.random_bool(0.5) || pick(random, STATUS) == "Open" && random.random_bool(0.2);
    let minutes = random.random_range(30_i64..20_000).min(random.random_range(30_i64..60_000));
    (opened, (!open).then(|| opened + Duration::minutes(minutes)))
}

fn kind(random: &mut ChaCha8Rng) -> (&'static str, &'static [&'static str], &'static str) {
    let first = random.random_range(0..KINDS.len());
    let second = random.random_range(0..KINDS.len());
    KINDS.get(first.min(second)).copied().unwrap_or(("Other", &["Question"], "City Manager"))
}

/// Free text as staff write it: commas, quotes and line breaks included.
fn note(random: &mut ChaCha8Rng) -> String {
    match random.random_range(0..4) {
        0 => "\"Crew visited, work completed\"".to_owned(),
        1 => "\"Resident said \"\"thank you\"\"\"".to_owned(),
        2 => "\"Two visits:\nfirst no access, then done\"".to_owned(),
        _ => "Duplicate of an earlier request".to_owned(),
    }
}
