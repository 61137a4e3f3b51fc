//! Screening: looks at every value of every released column for what must not be public.
//!
//! ```text
//! name of the column ─▶ rules on names (what it says it is) ────────┐
//! value ─▶ scan ─┬▶ evident kinds (one is enough) ─────────────────┼▶ findings: counts and row numbers, never values
//!                └▶ numbers with check digits ─▶ share that is right ┘
//! ```
//!
//! A [`RuleSet`] says what is looked for, by which clause, and what happens then; the built-in one is North Carolina's. A
//! rule whose evidence can come by chance asks for more: check digits must be right in half of the different values of the
//! shape, bare numbers need the column's name or words before them, names of people a share of the column. So parcel
//! numbers, permits, case numbers, coordinates and times do not block, while one Social Security number in a comment does.
//!
//! A column that the dictionary declares public keeps its findings as information, with the reason; a dropped one is not
//! looked at. What screening does not do: it knows common names of people only, and it cannot tell a bare nine-digit number
//! from a Social Security number when nothing around it says so.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow_schema::{Field, Schema};
use portico_model::finding::{Finding, Severity};

use crate::dictionary::{Dictionary, Treatment};
use crate::names::SOURCE_NAME_KEY;
use column::ColumnScreen;
use headers::Header;
use ruleset::Rule;
use words::Words;

pub use detector::Detector;
pub use find::Finder;
pub use headers::Shape;
pub use ruleset::{Action, Category, ClassActions, RuleSet, RuleSetError};

mod addresses;
mod births;
mod column;
mod detector;
mod digits;
mod find;
mod headers;
mod iban;
mod internet;
mod judge;
mod medicare;
mod names;
mod patterns;
pub mod ruleset;
mod scan;
mod secrets;
mod states;
pub(crate) mod tally;
mod words;

/// Screens batches of one schema.
///
/// ```
/// use std::sync::Arc;
/// use arrow::array::{ArrayRef, RecordBatch, StringArray};
/// use portico_intake::screen::{RuleSet, Screener};
///
/// let notes: ArrayRef = Arc::new(StringArray::from(vec!["pothole", "caller's SSN is 219-09-1234"]));
/// let batch = RecordBatch::try_from_iter([("notes", notes)]).unwrap();
/// let mut screener = Screener::new(&batch.schema(), None, &RuleSet::default());
/// screener.push(&batch, 1);
/// let findings = screener.finish();
/// assert_eq!((findings[0].rule.as_str(), findings[0].rows.as_slice()), ("us_ssn", &[2_u64][..]));
/// ```
pub struct Screener {
    rules: Arc<RuleSet>,
    words: Arc<Words>,
    columns: Vec<Screened>,
}

struct Screened {
    screen: ColumnScreen,
    /// Why the dictionary declares the column public, if it does.
    public: Option<String>,
    /// The kind of restricted data that the dictionary says it is.
    classification: Option<String>,
}

impl Screener {
    /// A screener of tables with this schema. Names of the file are read from the field metadata `portico:source_name`.
    #[must_use]
    pub fn new(schema: &Schema, dictionary: Option<&Dictionary>, rules: &RuleSet) -> Self {
        let column = |field: &Arc<Field>| {
            let source = field.metadata().get(SOURCE_NAME_KEY).map(String::as_str);
            let said = dictionary.and_then(|dictionary| {
                source.and_then(|name| dictionary.field(name)).or_else(|| dictionary.field(field.name()))
            });
            let dropped = said.is_some_and(|field| matches!(field.treatment, Treatment::Drop { .. }));
            let public = said.and_then(|field| match &field.treatment {
                Treatment::Public { reason } => Some(reason.clone()),
                Treatment::Auto | Treatment::Drop { .. } => None,
            });
            let header = Header::new(field.name(), source);
            let screen = ColumnScreen::new(field, header, rules.rules(), dropped);
            let classification = said.and_then(|field| field.classification.clone());
            Screened { screen, public, classification }
        };
        let columns = schema.fields().iter().map(column).collect();
        Self { rules: Arc::new(rules.clone()), words: rules.words(), columns }
    }

    /// Looks at the rows of one batch; `first_row` is the number of its first row, from 1.
    pub fn push(&mut self, batch: &RecordBatch, first_row: u64) {
        for (column, array) in self.columns.iter_mut().zip(batch.columns()) {
            column.screen.push(array, first_row, &self.words);
        }
    }

    /// What was found, in the order of the columns and rules.
    #[must_use]
    pub fn finish(self) -> Vec<Finding> {
        let rules = self.rules.rules();
        let present: Vec<bool> =
            self.columns.iter().map(|column| !column.screen.dropped && column.screen.has_values()).collect();
        let people: Vec<bool> = self.columns.iter().map(|column| column.screen.names_people(rules)).collect();
        let mut findings = Vec::new();
        findings.extend(screened_by(&self.rules));
        for (place, Screened { screen, public, classification }) in self.columns.iter().enumerate() {
            if screen.dropped {
                continue;
            }
            let others = || {
                self.columns
                    .iter()
                    .enumerate()
                    .filter(|(other, _)| *other != place && present.get(*other) == Some(&true))
            };
            let beside = |rule: &Rule| {
                others().any(|(other, column)| {
                    people.get(other) == Some(&true) || column.screen.header.is_one_of(&rule.beside)
                })
            };
            findings.extend(classification.as_ref().map(|id| self.classified(screen, id, public.as_deref())));
            for mut finding in screen.findings(rules, beside) {
                if let Some(reason) = public {
                    let rule = self.rules.rule(&finding.rule);
                    declare_public(&mut finding, rule, reason);
                }
                findings.push(finding);
            }
        }
        findings
    }

    /// A column that would be released, although the dictionary says that it is restricted.
    fn classified(&self, screen: &ColumnScreen, id: &str, public: Option<&str>) -> Finding {
        let (rule, severity, message) = match (self.rules.category(id), public) {
            (Some(Category { title, clause, .. }), None) => (
                "restricted_column",
                Severity::Blocking,
                format!(
                    "The data dictionary classifies the column as {title} ({clause}); drop it, or declare it public with a \
                     reason."
                ),
            ),
            (Some(Category { title, clause, .. }), Some(reason)) => (
                "restricted_column",
                Severity::Info,
                format!(
                    "The data dictionary classifies the column as {title} ({clause}) and declares it public: {}.",
                    reason.trim().trim_end_matches('.')
                ),
            ),
            (None, _) => {
                let known: Vec<&str> = self.rules.categories().iter().map(|category| category.id.as_str()).collect();
                let message = format!(
                    "The data dictionary gives the column a classification that the screening rules do not have; they have {}.",
                    known.join(", ")
                );
                ("classification_unknown", Severity::Blocking, message)
            }
        };
        Finding::on_column(rule, severity, &screen.name, screen.values.max(1), Vec::new(), message)
    }
}

/// Whoever reads the findings of other rules than the built-in ones shall know it, and what was not looked for.
fn screened_by(rules: &RuleSet) -> Option<Finding> {
    if *rules == RuleSet::default() {
        return None;
    }
    let is_off = |rule: &&Rule| rule.action == Action::Off && rule.alone.is_none_or(|alone| alone == Action::Off);
    let off: Vec<&str> = rules.rules().iter().filter(is_off).map(|rule| rule.id.as_str()).collect();
    let off = if off.is_empty() { String::new() } else { format!("; not looked for: {}", off.join(", ")) };
    let message = format!("Screened by the rules of {} and not by the built-in ones{off}.", rules.title());
    Some(Finding::on_file("screened_by", Severity::Info, message))
}

fn declare_public(finding: &mut Finding, rule: Option<&Rule>, reason: &str) {
    finding.severity = Severity::Info;
    finding.message = format!(
        "{} {} {}; the data dictionary declares the column public: {}.",
        grouped(finding.count),
        if finding.count == 1 { "value holds what looks like" } else { "values hold what looks like" },
        rule.map_or("restricted data", |rule| rule.title.as_str()),
        reason.trim().trim_end_matches('.')
    );
}

pub(crate) fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut spaced = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            spaced.push(',');
        }
        spaced.push(digit);
    }
    spaced
}

#[cfg(test)]
mod tests;
