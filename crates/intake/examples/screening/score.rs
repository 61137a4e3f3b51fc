//! Precision and recall, with Wilson's intervals.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use portico_intake::screen::{RuleSet, Screener};

use crate::labelled::Maker;

/// Counts for one rule.
#[derive(Default)]
struct Counts {
    right: u32,
    missed: u32,
    wrong: u32,
}

impl Counts {
    fn line(&self, rule: &str) -> String {
        let part = |of: u32| {
            let (low, high) = wilson(self.right, of);
            let share =
                if of == 0 { "   –".to_owned() } else { format!("{:.3}", f64::from(self.right) / f64::from(of)) };
            format!("{:>5}/{of:<5} {share} ({low:.3} to {high:.3})", self.right)
        };
        format!("{rule:28} precision {}  recall {}", part(self.right + self.wrong), part(self.right + self.missed))
    }
}

/// Wilson's score interval at 95 %.
fn wilson(right: u32, of: u32) -> (f64, f64) {
    if of == 0 {
        return (0.0, 1.0);
    }
    let (n, z) = (f64::from(of), 1.959_964_f64);
    let share = f64::from(right) / n;
    let middle = share + z * z / (2.0 * n);
    let width = z * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    let whole = 1.0 + z * z / n;
    (((middle - width) / whole).max(0.0), ((middle + width) / whole).min(1.0))
}

/// What the built-in rules find in a table.
pub(crate) fn found(rules: &RuleSet, columns: Vec<(&str, Vec<String>)>) -> BTreeSet<(String, String)> {
    let arrays = columns
        .into_iter()
        .map(|(name, values)| -> (&str, ArrayRef) { (name, Arc::new(StringArray::from_iter_values(values))) });
    let batch = RecordBatch::try_from_iter(arrays).unwrap();
    let mut screener = Screener::new(&batch.schema(), None, rules);
    screener.push(&batch, 1);
    let findings = screener.finish().into_iter();
    findings.map(|finding| (finding.column.unwrap_or_default(), finding.rule)).collect()
}

fn found_in(rules: &RuleSet, text: &str) -> BTreeSet<String> {
    found(rules, vec![("text", vec![text.to_owned()])]).into_iter().map(|(_, rule)| rule).collect()
}

fn count(counts: &mut BTreeMap<String, Counts>, labels: &[&str], found: &BTreeSet<String>) {
    let labels: BTreeSet<String> = labels.iter().map(|&label| label.to_owned()).collect();
    for rule in labels.union(found) {
        let counts = counts.entry(rule.clone()).or_default();
        match (labels.contains(rule), found.contains(rule)) {
            (true, true) => counts.right += 1,
            (true, false) => counts.missed += 1,
            _ => counts.wrong += 1,
        }
    }
}

/// Rules of the sentences: those whose evidence is a share of a column cannot see one value.
fn for_single_values() -> RuleSet {
    let text = portico_rules().replace("distinct = 3\n", "");
    RuleSet::from_toml(&text).unwrap()
}

fn portico_rules() -> &'static str {
    include_str!("../../src/screen/ruleset/north_carolina.toml")
}

/// Made-up sentences and columns.
pub(crate) fn made_up(seed: u64, each: usize) {
    let (mut maker, rules) = (Maker::new(seed), for_single_values());
    let mut counts = BTreeMap::new();
    let texts = maker.texts(each);
    println!("sentences: {} from seed {seed}", texts.len());
    for made in &texts {
        let mut found = found_in(&rules, &made.text);
        found.remove("screened_by");
        count(&mut counts, &made.labels, &found);
        if std::env::args().any(|argument| argument == "--show")
            && found.iter().map(String::as_str).ne(made.labels.iter().copied())
        {
            println!("  {:?} is {:?}, found {found:?}", made.text, made.labels);
        }
    }
    counts.iter().for_each(|(rule, counts)| println!("{}", counts.line(rule)));

    let (columns, rules) = (maker.columns(each.div_ceil(10), 200), RuleSet::default());
    println!("\ncolumns of 200 values: {}", columns.len());
    let mut counts = BTreeMap::new();
    let mut blocked = 0;
    for made in columns {
        let mut table = vec![(made.name, made.values.clone())];
        if made.beside_people {
            table.push(("last_name", maker.people(made.values.len())));
        }
        let found: BTreeSet<String> =
            found(&rules, table).into_iter().filter(|(column, _)| column == made.name).map(|(_, rule)| rule).collect();
        if made.label.is_none() {
            blocked += u32::from(found.iter().any(|rule| blocks(&rules, rule)));
        }
        // A column may be told by its name and by its values: the one that is expected counts, others of its kind do not.
        let found = match made.label {
            Some(label) if found.contains(label) => BTreeSet::from([label.to_owned()]),
            _ => found,
        };
        let labels: Vec<&str> = made.label.into_iter().collect();
        count(&mut counts, &labels, &found);
        if std::env::args().any(|argument| argument == "--show")
            && found.iter().map(String::as_str).ne(labels.iter().copied())
        {
            println!("  {:?} is {labels:?}, found {found:?}", made.name);
        }
    }
    counts.iter().for_each(|(rule, counts)| println!("{}", counts.line(rule)));
    println!("columns that only resemble something and would block: {blocked}");
}

fn blocks(rules: &RuleSet, rule: &str) -> bool {
    rules.rule(rule).is_some_and(|rule| rule.action == portico_intake::screen::Action::Block)
}

/// Sentences of the made-up data, a JSON object a line.
pub(crate) fn texts(seed: u64, each: usize) {
    for made in Maker::new(seed).texts(each) {
        println!("{}", serde_json::json!({ "text": made.text, "labels": made.labels }));
    }
}

/// Labels of the corpus and the rules for them.
const CORPUS: &[(&str, &str)] = &[
    ("US_SSN", "us_ssn"),
    ("EMAIL_ADDRESS", "email_address"),
    ("IP_ADDRESS", "ip_address"),
    ("IBAN_CODE", "iban"),
    ("CREDIT_CARD", "payment_card"),
    ("US_DRIVER_LICENSE", "driver_license"),
    ("PHONE_NUMBER", "phone_number"),
    ("PERSON", "person_name_in_text"),
    ("STREET_ADDRESS", "street_address_in_text"),
];

/// A file of labelled sentences in the layout of presidio-research, gzipped: sentence by sentence.
pub(crate) fn corpus(file: &Path) {
    let mut text = String::new();
    flate2::read::GzDecoder::new(File::open(file).unwrap()).read_to_string(&mut text).unwrap();
    let sentences: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    let rules = for_single_values();
    let mut counts = BTreeMap::new();
    println!("sentences: {}", sentences.len());
    for sentence in &sentences {
        let spans = sentence["spans"].as_array().unwrap();
        let labels: BTreeSet<&str> = spans
            .iter()
            .filter_map(|span| CORPUS.iter().find(|(label, _)| span["entity_type"] == *label).map(|(_, rule)| *rule))
            .collect();
        let mut found = found_in(&rules, sentence["full_text"].as_str().unwrap());
        // Whole values and values within text are one kind here.
        for (whole, within) in [("person_name", "person_name_in_text"), ("street_address", "street_address_in_text")] {
            if found.remove(whole) {
                found.insert(within.to_owned());
            }
        }
        // What the corpus has no label for cannot be judged.
        found.retain(|rule| CORPUS.iter().any(|(_, known)| known == rule));
        count(&mut counts, &labels.into_iter().collect::<Vec<_>>(), &found);
    }
    counts.iter().for_each(|(rule, counts)| println!("{}", counts.line(rule)));
}
