//! Made-up releases with a case planted in each, and clean ones: what the checks before a release notice, and what they stop
//! for nothing.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use arrow::array::RecordBatch;
use portico_intake::classes::{ClassPlan, Classes};
use portico_intake::dictionary::Dictionary;
use portico_intake::remedy::Remedies;
use portico_intake::screen::{RuleSet, Screener};
use portico_intake::{ReadOptions, survey};
use portico_model::finding::{Finding, Severity};
use portico_model::limits::IntakeLimits;
use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

use crate::labelled::Maker;

/// One release that somebody might bring.
pub(crate) struct Release {
    /// What is planted in it; `None` is a clean one.
    pub(crate) case: Option<&'static str>,
    /// Rules of which one shall tell it.
    pub(crate) told_by: &'static [&'static str],
    file_name: &'static str,
    file: Vec<u8>,
    dictionary: &'static str,
    /// The version that is public.
    current: Option<Vec<u8>>,
}

/// Columns that together could single somebody out.
const CLASSES: &str = "quasi_identifiers = [\"zip\", \"born\", \"sex\"]\nk = 5\n\
    [[field]]\nname = \"zip\"\ntype = \"text\"\n[[field]]\nname = \"born\"\ntype = \"integer\"\n";
/// Planted cases of each kind, and clean releases.
const CASES: [(&str, usize); 6] = [
    ("small cells", 8),
    ("difference from the version before", 6),
    ("unique keys", 6),
    ("hashed identifiers", 5),
    ("hidden sheets", 5),
    ("personal data in free text", 10),
];
const CLEAN: usize = 20;

/// Forty with a case, twenty clean: the same for the same seed.
pub(crate) fn releases(seed: u64) -> Vec<Release> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut sentences: Vec<_> = Maker::new(seed).texts(4).into_iter().filter(|text| !text.labels.is_empty()).collect();
    let mut made = Vec::new();
    for (case, count) in CASES {
        for _ in 0..count {
            let sentence = sentences.swap_remove(random.random_range(0..sentences.len()));
            made.push(planted(case, &mut random, &sentence.text));
        }
    }
    made.extend((0..CLEAN).map(|place| clean(place, &mut random)));
    made
}

fn planted(case: &'static str, random: &mut ChaCha8Rng, sentence: &str) -> Release {
    let release = |told_by, file_name, file, dictionary, current| Release {
        case: Some(case),
        told_by,
        file_name,
        file,
        dictionary,
        current,
    };
    match case {
        "small cells" => {
            let few = random.random_range(1..5);
            let mut text = visits(random, 6);
            (0..few).for_each(|_| text.push_str("9001,99999,1931,f,flu\n"));
            release(&["small_class"], "visits.csv", text.into_bytes(), CLASSES, None)
        }
        "difference from the version before" => {
            let before = visits(random, 6);
            let mut text = before.clone();
            let line = before.lines().nth(1).unwrap_or_default().to_owned();
            (0..random.random_range(1..5)).for_each(|_| writeln!(text, "{line}").unwrap());
            release(&["class_changed_little"], "visits.csv", text.into_bytes(), CLASSES, Some(before.into_bytes()))
        }
        "unique keys" => {
            let mut text = "id,zip,born,sex,illness\n".to_owned();
            for row in 0..200 {
                let (zip, born) = (random.random_range(27_000..28_000), random.random_range(1_930..2_010));
                writeln!(text, "{row},{zip},{born},f,flu").unwrap();
            }
            release(&["small_class"], "visits.csv", text.into_bytes(), CLASSES, None)
        }
        "hashed identifiers" => {
            let digits = [32, 40, 64][random.random_range(0..3)];
            let mut text = "trip,medallion,fare\n".to_owned();
            for row in 0..100 {
                let hash: String =
                    (0..digits).map(|_| char::from_digit(random.random_range(0..16), 16).unwrap()).collect();
                writeln!(text, "{row},{hash},{}.50", random.random_range(5..60)).unwrap();
            }
            release(&["hashed_identifier"], "trips.csv", text.into_bytes(), "", None)
        }
        "hidden sheets" => release(&["hidden_sheets"], "staff.xlsx", workbook(random), "", None),
        _ => {
            let place = random.random_range(0..120);
            let text = requests(random, 120, |row| (row == place).then_some(sentence));
            release(&[], "requests.csv", text.into_bytes(), "", None)
        }
    }
}

fn clean(place: usize, random: &mut ChaCha8Rng) -> Release {
    let release = |file_name, text: String, dictionary, current: Option<String>| Release {
        case: None,
        told_by: &[],
        file_name,
        file: text.into_bytes(),
        dictionary,
        current: current.map(String::into_bytes),
    };
    match place % 4 {
        0 => release("requests.csv", requests(random, 150, |_| None), "", None),
        1 => release("visits.csv", visits(random, 7), CLASSES, None),
        2 => {
            let (before, after) = (visits(random, 6), visits(random, 40));
            release("visits.csv", after, CLASSES, Some(before))
        }
        _ => release("permits.csv", permits(random), "", None),
    }
}

/// Classes of `each` rows and more.
fn visits(random: &mut ChaCha8Rng, each: usize) -> String {
    let mut text = "id,zip,born,sex,illness\n".to_owned();
    let mut row = 0;
    for zip in ["27701", "27703", "27707"] {
        for born in [1_950, 1_970, 1_990] {
            for sex in ["f", "m"] {
                for _ in 0..each {
                    let illness = ["flu", "asthma", "none", "fracture"][random.random_range(0..4)];
                    writeln!(text, "{row},{zip},{born},{sex},{illness}").unwrap();
                    row += 1;
                }
            }
        }
    }
    text
}

/// Requests for service with what resembles personal data, and a note where there is one.
fn requests<'a>(random: &mut ChaCha8Rng, rows: usize, note: impl Fn(usize) -> Option<&'a str>) -> String {
    let mut text = "request,parcel,opened,kind,notes\n".to_owned();
    for row in 0..rows {
        let plain = ["pothole by the school", "street light out", "missed collection again", "tree down, crew sent"];
        let notes = note(row).unwrap_or(plain[random.random_range(0..plain.len())]).replace('"', "'");
        let (parcel, day) = (random.random_range(100_000..999_999), random.random_range(1..29));
        writeln!(text, "SR-{row:06},{parcel},2024-03-{day:02},street,\"{notes}\"").unwrap();
    }
    text
}

fn permits(random: &mut ChaCha8Rng) -> String {
    let mut text = "permit_no,case_no,issued,value,district,checksum\n".to_owned();
    for row in 0..150 {
        let (number, value) = (random.random_range(100_000_000..999_999_999), random.random_range(1_000..900_000));
        writeln!(text, "{number},24-CVS-{row:05},2024-0{}-11,{value},D{},{row:032x}", 1 + row % 9, row % 7).unwrap();
    }
    text
}

fn workbook(random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut book = rust_xlsxwriter::Workbook::new();
    let shown = book.add_worksheet();
    for row in 0..20 {
        shown.write(row, 0, if row == 0 { "position" } else { "clerk" }).unwrap();
        shown.write(row, 1, random.random_range(30_000..90_000)).unwrap();
    }
    let hidden = book.add_worksheet();
    hidden.set_hidden(true);
    hidden.write(0, 0, "Mary Johnson").unwrap();
    book.save_to_buffer().unwrap()
}

/// Everything that is looked at before a release, on one table.
pub(crate) fn judge(release: &Release) -> Vec<Finding> {
    let dictionary = Dictionary::from_toml(release.dictionary).unwrap();
    let (limits, rules, scratch) = (IntakeLimits::default(), RuleSet::default(), tempfile::tempdir().unwrap());
    let read = |file: &[u8]| {
        let path = scratch.path().join("source");
        std::fs::write(&path, file).unwrap();
        let options = ReadOptions { dictionary: Some(dictionary.clone()), ..ReadOptions::named(release.file_name) };
        batches(&path, &options, &limits, &rules, scratch.path())
    };
    let (mut findings, batches) = read(&release.file);
    let Some(first) = batches.first() else { return findings };
    let mut screener = Screener::new(&first.schema(), Some(&dictionary), &rules);
    let mut row = 1;
    for batch in &batches {
        screener.push(batch, row);
        row += u64::try_from(batch.num_rows()).unwrap();
    }
    findings.extend(screener.finish());
    if let Some(said) = &dictionary.classes {
        let plan = ClassPlan::new(&first.schema(), said, limits.class_rows).unwrap();
        let mut classes = Classes::new(&plan, &first.schema(), 1 << 20, scratch.path()).unwrap();
        batches.iter().for_each(|batch| classes.push(batch).unwrap());
        for current in release.current.iter().flat_map(|current| read(current).1) {
            classes.push_current(&current.project(&plan.places).unwrap()).unwrap();
        }
        findings.extend(classes.finish().unwrap().findings(rules.classes()));
    }
    findings
}

fn batches(
    path: &Path,
    options: &ReadOptions,
    limits: &IntakeLimits,
    rules: &RuleSet,
    scratch: &Path,
) -> (Vec<Finding>, Vec<RecordBatch>) {
    let survey = survey(path, options, limits, scratch, &mut |_| {}).unwrap();
    let kept: Vec<usize> = (0..survey.schema.fields().len()).collect();
    let mut remedies = Remedies::new(&survey.schema, &kept, options.dictionary.as_ref(), rules, None).unwrap();
    let batches = survey.batches().unwrap().map(|batch| remedies.apply(batch.unwrap()).unwrap()).collect();
    (survey.findings, batches)
}

/// How many of how many.
type Share = (u32, u32);

/// Planted cases that were noticed and all of them, by kind, and clean releases that were stopped and all of them.
pub(crate) fn figures(seed: u64) -> (BTreeMap<&'static str, Share>, Share) {
    let (mut cases, mut clean) = (BTreeMap::<&str, Share>::new(), (0, 0));
    for release in releases(seed) {
        let findings = judge(&release);
        match release.case {
            Some(case) => {
                let tells = |finding: &Finding| {
                    let said = release.told_by.is_empty() && finding.column.as_deref() == Some("notes");
                    finding.severity > Severity::Info && (said || release.told_by.contains(&finding.rule.as_str()))
                };
                let counts = cases.entry(case).or_default();
                counts.0 += u32::from(findings.iter().any(tells));
                counts.1 += 1;
            }
            None => {
                clean.0 += u32::from(findings.iter().any(Finding::blocks));
                clean.1 += 1;
            }
        }
    }
    (cases, clean)
}

/// Prints the figures of `seeds` seeds together.
#[allow(dead_code, reason = "the tests assert the figures and print nothing")]
pub(crate) fn measure(seeds: u64) {
    let (mut cases, mut clean) = (BTreeMap::<&str, Share>::new(), (0, 0));
    for seed in 1..=seeds {
        let (found, stopped) = figures(seed);
        for (case, (right, all)) in found {
            let counts = cases.entry(case).or_default();
            *counts = (counts.0 + right, counts.1 + all);
        }
        clean = (clean.0 + stopped.0, clean.1 + stopped.1);
    }
    for (case, (right, all)) in &cases {
        println!("| {case} | {right}/{all} |");
    }
    let (right, all) = cases.values().fold((0, 0), |sum, case| (sum.0 + case.0, sum.1 + case.1));
    println!("| all planted | {right}/{all} = {:.3} |", f64::from(right) / f64::from(all));
    println!("| clean releases that block | {}/{} |", clean.0, clean.1);
}
