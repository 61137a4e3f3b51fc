//! How many bytes of CSV are profiled and screened in a second.

use std::io::Write as _;
use std::time::{Duration, Instant};

use portico_intake::profile::Profiler;
use portico_intake::screen::{RuleSet, Screener};
use portico_intake::{ReadOptions, survey};
use portico_model::limits::IntakeLimits;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

const SUBJECTS: &[&str] = &[
    "Pothole",
    "Missed collection",
    "Street light out",
    "Graffiti",
    "Barking dog",
    "Water leak",
    "Illegal dumping",
    "Tree down",
];
const STREETS: &[&str] =
    &["Main St", "N Roxboro Rd", "Fayetteville Street", "Oak Ridge Dr", "Ninth St", "W Club Blvd", "Guess Rd"];
const WORDS: &[&str] = &[
    "the", "water", "stands", "on", "road", "after", "rain", "near", "corner", "resident", "asks", "for", "crew",
    "since", "Monday", "and", "says", "that", "nobody", "came", "yet", "please", "look", "at", "it", "again", "Duke",
    "Carter", "number",
];

/// Writes so many megabytes of service requests, then reads, profiles and screens them: what each took.
pub(crate) fn measure(megabytes: u64) {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("requests.csv");
    let bytes = write(&file, megabytes * 1_000_000);
    let rate = |time: Duration| f64::from(u32::try_from(bytes / 1000).unwrap()) / 1000.0 / time.as_secs_f64();
    let start = Instant::now();
    let survey =
        survey(&file, &ReadOptions::named("requests.csv"), &IntakeLimits::default(), scratch.path(), &mut |_| {})
            .unwrap();
    println!("{bytes} bytes, {} rows, {} columns", survey.rows, survey.schema.fields().len());
    println!("first pass (types)       {:7.1} MB/s", rate(start.elapsed()));
    let limits = IntakeLimits::default();
    let mut profiler = Profiler::new(&survey.schema, limits.memory_bytes / 4);
    let mut screener = Screener::new(&survey.schema, None, &RuleSet::default());
    let (mut reading, mut profiling, mut screening) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
    let mut batches = survey.batches().unwrap();
    let mut row = 1;
    let mut kept = Vec::new();
    loop {
        let start = Instant::now();
        let Some(batch) = batches.next() else { break };
        let batch = batch.unwrap();
        reading += start.elapsed();
        let start = Instant::now();
        profiler.push(&batch);
        profiling += start.elapsed();
        let start = Instant::now();
        screener.push(&batch, row);
        screening += start.elapsed();
        row += u64::try_from(batch.num_rows()).unwrap();
        kept.push(batch);
    }
    let (profile, findings) = (profiler.finish(), screener.finish());
    assert_eq!(profile.rows, survey.rows);
    println!("second pass (batches)    {:7.1} MB/s", rate(reading));
    println!("profiling                {:7.1} MB/s", rate(profiling));
    println!("screening                {:7.1} MB/s", rate(screening));
    println!(
        "one after the other      {:7.1} MB/s on one core, {} findings",
        rate(profiling + screening),
        findings.len()
    );
    // The way publishing does it: screening on a thread of its own.
    let (mut profiler, mut screener) = (
        Profiler::new(&survey.schema, limits.memory_bytes / 4),
        Screener::new(&survey.schema, None, &RuleSet::default()),
    );
    let start = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut row = 1;
            for batch in &kept {
                screener.push(batch, row);
                row += u64::try_from(batch.num_rows()).unwrap();
            }
        });
        kept.iter().for_each(|batch| profiler.push(batch));
    });
    println!("profiling and screening  {:7.1} MB/s on two cores", rate(start.elapsed()));
}

/// Rows like those of a city's service requests: codes, dates, categories, addresses, coordinates, free text.
fn write(file: &std::path::Path, bytes_min: u64) -> u64 {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut out = std::io::BufWriter::new(std::fs::File::create(file).unwrap());
    let header = "request_id,opened,closed,subject,department,status,address,latitude,longitude,amount,phone,comment\n";
    out.write_all(header.as_bytes()).unwrap();
    let mut written = 0;
    let mut number = 100_000;
    let mut line = String::new();
    while written < bytes_min {
        use std::fmt::Write as _;
        number += 1;
        line.clear();
        let mut pick =
            |from: &[&'static str]| from.get(random.random_range(0..from.len())).copied().unwrap_or_default();
        let (subject, department, street) =
            (pick(SUBJECTS), pick(&["Public Works", "Parks", "Water", "Police"]), pick(STREETS));
        let words: Vec<&str> = (0..12).map(|_| pick(WORDS)).collect();
        let (day, hour, minute) = (random.random_range(1..29), random.random_range(0..24), random.random_range(0..60));
        writeln!(
            line,
            "SR-{number:07},2025-{:02}-{day:02} {hour:02}:{minute:02}:00,2025-12-{day:02},{subject},{department},{},{} {street},\
             35.9{:04},-78.8{:04},{}.{:02},919-560-{:04},{}",
            random.random_range(1..13),
            if day % 3 == 0 { "open" } else { "closed" },
            random.random_range(100..9000),
            random.random_range(0..10_000),
            random.random_range(0..10_000),
            random.random_range(0..5000),
            random.random_range(0..100),
            random.random_range(0..10_000),
            words.join(" ")
        )
        .unwrap();
        out.write_all(line.as_bytes()).unwrap();
        written += u64::try_from(line.len()).unwrap();
    }
    out.flush().unwrap();
    written
}
