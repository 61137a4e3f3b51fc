//! Screening and profiling on real tables and on labelled text.
//!
//! The corpus is the directory named by `PORTICO_CORPUS`; without it the tests say that they are skipped.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]
#![allow(clippy::print_stdout, reason = "what is found, missed and wrongly found is the point of the listing")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use portico_intake::profile::Profiler;
use portico_intake::screen::{Action, RuleSet, Screener};
use portico_intake::{ReadOptions, survey};
use portico_model::finding::Finding;
use portico_model::limits::IntakeLimits;
use portico_model::profile::TableProfile;

#[allow(dead_code, reason = "the example measures more than is asserted here")]
#[path = "../examples/screening/labelled.rs"]
mod labelled;

#[path = "../examples/screening/gate.rs"]
mod gate;

/// What the built-in rules find in a table, as columns and rules.
fn found(columns: Vec<(&str, Vec<String>)>) -> BTreeSet<(String, String)> {
    let arrays = columns
        .into_iter()
        .map(|(name, values)| -> (&str, ArrayRef) { (name, Arc::new(StringArray::from_iter_values(values))) });
    let batch = RecordBatch::try_from_iter(arrays).unwrap();
    let mut screener = Screener::new(&batch.schema(), None, &RuleSet::default());
    screener.push(&batch, 1);
    screener.finish().into_iter().map(|finding| (finding.column.unwrap_or_default(), finding.rule)).collect()
}

/// Rules that look at a share of a column, and see nothing in one value.
const OF_SHARES: [&str; 2] = ["person_name_in_text", "person_name"];
/// Least precision and recall on made-up sentences, in percent: a fifth of them are worded as no rule expects. A card's
/// check digit is right in one of ten numbers that are none.
const MADE_UP_FLOORS: (u64, u64) = (75, 45);

#[test]
fn made_up_sentences_are_found_and_what_resembles_them_is_not() {
    let mut counts: BTreeMap<String, (u64, u64, u64)> = BTreeMap::new();
    for made in labelled::Maker::new(11).texts(40) {
        let labels: BTreeSet<String> = made.labels.iter().map(|&label| label.to_owned()).collect();
        let found: BTreeSet<String> =
            found(vec![("text", vec![made.text])]).into_iter().map(|(_, rule)| rule).collect();
        for rule in labels.union(&found).filter(|rule| !OF_SHARES.contains(&rule.as_str())) {
            let count = counts.entry(rule.clone()).or_default();
            match (labels.contains(rule), found.contains(rule)) {
                (true, true) => count.0 += 1,
                (true, false) => count.1 += 1,
                _ => count.2 += 1,
            }
        }
    }
    assert!(counts.len() >= 19, "{counts:?}");
    for (rule, (right, missed, wrong)) in counts {
        let percent = |of: u64| right * 100 / of.max(1);
        let (precision, recall) = (percent(right + wrong), percent(right + missed));
        let (least_precision, least_recall) = MADE_UP_FLOORS;
        assert!(precision >= least_precision && recall >= least_recall, "{rule}: {precision} {recall}");
    }
}

#[test]
fn made_up_columns_are_told_and_what_resembles_them_does_not_block() {
    let rules = RuleSet::default();
    let mut maker = labelled::Maker::new(12);
    for made in maker.columns(4, 200) {
        let mut table = vec![(made.name, made.values.clone())];
        if made.beside_people {
            table.push(("last_name", maker.people(made.values.len())));
        }
        let found: Vec<String> =
            found(table).into_iter().filter(|(column, _)| column == made.name).map(|(_, rule)| rule).collect();
        match made.label {
            Some(label) => assert!(found.iter().any(|rule| rule == label), "{} is {label}: {found:?}", made.name),
            None => {
                let blocks = |rule: &String| rules.rule(rule).is_some_and(|rule| rule.action == Action::Block);
                assert!(!found.iter().any(blocks), "{}: {found:?}", made.name);
            }
        }
    }
}

fn corpus(part: &str) -> Option<PathBuf> {
    #[allow(clippy::disallowed_methods, reason = "tests are told where the corpus is")]
    let directory = std::env::var("PORTICO_CORPUS").ok().map(PathBuf::from);
    if directory.is_none() {
        println!("skipped: PORTICO_CORPUS is not set");
    }
    directory.map(|directory| directory.join(part))
}

/// Reads, profiles and screens a file the way publishing does.
fn examined(file: &Path) -> (TableProfile, Vec<Finding>) {
    let scratch = tempfile::tempdir().unwrap();
    let options = ReadOptions::named(file.file_name().unwrap().to_str().unwrap());
    let survey = survey(file, &options, &IntakeLimits::default(), scratch.path(), &mut |_| {}).unwrap();
    let mut profiler = Profiler::new(&survey.schema, 64 << 20);
    let mut screener = Screener::new(&survey.schema, None, &RuleSet::default());
    let mut row = 1;
    for batch in survey.batches().unwrap() {
        let batch = batch.unwrap();
        profiler.push(&batch);
        screener.push(&batch, row);
        row += u64::try_from(batch.num_rows()).unwrap();
    }
    let profile = profiler.finish();
    assert_eq!(profile.rows, survey.rows);
    (profile, screener.finish())
}

fn blocking(findings: &[Finding]) -> Vec<(&str, &str)> {
    let blocking = findings.iter().filter(|finding| finding.blocks());
    blocking.map(|finding| (finding.column.as_deref().unwrap_or_default(), finding.rule.as_str())).collect()
}

#[test]
fn made_up_personal_data_in_a_real_table_block_and_the_real_table_does_not() {
    let Some(corpus) = corpus("") else { return };
    let (_, findings) = examined(&corpus.join("pii/boston311-100-with-fake-pii.csv.gz"));
    println!("{findings:#?}");
    assert!(!blocking(&findings).is_empty());
    for file in ["boston311_100.csv.gz", "boston311_100_dmy.csv.gz"] {
        let (_, findings) = examined(&corpus.join("tables").join(file));
        assert_eq!(blocking(&findings), [], "{file}");
    }
}

#[test]
fn public_tables_do_not_block_but_where_they_hold_restricted_data() {
    let Some(corpus) = corpus("") else { return };
    let mut files: Vec<PathBuf> = ["tables", "tables/nics_history", "geo"]
        .iter()
        .flat_map(|part| std::fs::read_dir(corpus.join(part)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let (profile, findings) = examined(&file);
        for finding in &findings {
            println!("{name}: {:?} {} {:?} {}", finding.severity, finding.rule, finding.column, finding.count);
        }
        for column in &profile.columns {
            assert!(column.nulls + column.distinct <= profile.rows + profile.rows / 50 + 1, "{name} {}", column.name);
        }
        assert_eq!(blocking(&findings), [], "{name}");
    }
}

/// A sentence of the labelled corpus on its own, as a table of one value.
fn found_in(sentence: &str) -> BTreeSet<String> {
    let column: ArrayRef = Arc::new(StringArray::from(vec![sentence]));
    let batch = RecordBatch::try_from_iter([("text", column)]).unwrap();
    let mut screener = Screener::new(&batch.schema(), None, &RuleSet::default());
    screener.push(&batch, 1);
    screener.finish().into_iter().map(|finding| finding.rule).collect()
}

/// Label, the rule that should find it, and the least precision and recall over sentences, in percent.
const FLOORS: [(&str, &str, u64, u64); 11] = [
    ("US_SSN", "us_ssn", 100, 100),
    ("EMAIL_ADDRESS", "email_address", 100, 100),
    ("IP_ADDRESS", "ip_address", 100, 100),
    ("IBAN_CODE", "iban", 100, 100),
    ("CREDIT_CARD", "payment_card", 100, 90),
    ("US_DRIVER_LICENSE", "driver_license", 100, 100),
    ("PHONE_NUMBER", "phone_number", 100, 10),
    ("NONE", "us_itin", 100, 0),
    ("NONE", "passport", 100, 0),
    ("NONE", "bank_account", 100, 0),
    ("NONE", "bank_routing", 100, 0),
];

#[test]
fn labelled_sentences_are_found_with_their_floors() {
    let Some(file) = corpus("pii/presidio_synth_v2_DEV.json.gz") else { return };
    let mut text = String::new();
    flate2::read::GzDecoder::new(File::open(file).unwrap()).read_to_string(&mut text).unwrap();
    let sentences: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    // Rule → sentences labelled and found, labelled and missed, found without the label.
    let mut counts: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    for sentence in &sentences {
        let spans = sentence["spans"].as_array().unwrap();
        let labels: BTreeSet<&str> = spans.iter().map(|span| span["entity_type"].as_str().unwrap()).collect();
        let full_text = sentence["full_text"].as_str().unwrap();
        let found = found_in(full_text);
        for (label, rule, ..) in FLOORS {
            let count = counts.entry(rule).or_default();
            match (labels.contains(label), found.contains(rule)) {
                (true, true) => count.0 += 1,
                (true, false) => {
                    count.1 += 1;
                    println!("missed {rule}: {full_text:?}");
                }
                (false, true) => {
                    count.2 += 1;
                    println!("wrongly {rule}: {full_text:?}");
                }
                (false, false) => {}
            }
        }
    }
    for (_, rule, precision_floor, recall_floor) in FLOORS {
        let (right, missed, wrong) = counts[rule];
        let percent = |part: u64, of: u64| (part * 100).checked_div(of).unwrap_or(100);
        let (precision, recall) = (percent(right, right + wrong), percent(right, right + missed));
        println!("{rule}: n {} precision {precision} % recall {recall} %", right + missed);
        assert!(precision >= precision_floor && recall >= recall_floor, "{rule}: {precision} {recall}");
    }
}

#[test]
fn actions_on_what_is_found_follow_the_law() {
    for (text, rule, action) in [
        ("SSN 219-09-1234", "us_ssn", Action::Block),
        ("a@example.org", "email_address", Action::Warn),
        ("919-560-4444", "phone_number", Action::Warn),
    ] {
        assert!(found_in(text).contains(rule), "{text}");
        assert_eq!(RuleSet::default().rule(rule).unwrap().action, action);
    }
}

/// Of forty releases with a planted case and twenty clean ones: noticed at least 95 in a hundred, stopped for nothing at most
/// ten.
#[test]
fn planted_cases_are_noticed_and_clean_releases_pass() {
    let (cases, (stopped, clean)) = gate::figures(1);
    let (noticed, planted) = cases.values().fold((0, 0), |sum, case| (sum.0 + case.0, sum.1 + case.1));
    assert_eq!((planted, clean), (40, 20));
    assert!(noticed * 100 >= planted * 95, "{cases:?}");
    assert!(stopped * 10 <= clean, "{stopped} of {clean} clean releases block");
}
