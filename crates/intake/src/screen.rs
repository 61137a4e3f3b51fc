//! Screening: looks at every value of every released column for what must not be public.
//!
//! ```text
//! name of the column ─▶ header rules (what the column says it is) ─┐
//! value ─▶ scan ─┬▶ evident kinds (one is enough) ─────────────────┼▶ findings: counts and row numbers, never values
//!                └▶ numbers with check digits ─▶ share that is right ┘
//! ```
//!
//! [`RULES`] lists every rule with its severity and its basis in law. A rule whose evidence can come by chance asks for
//! more: check digits must be right in half of the different values of the shape, bare numbers need the column's name or
//! words before them. So parcel numbers, permits, case numbers, coordinates and times do not block, while one Social
//! Security number in a comment does.
//!
//! A column that the dictionary declares public keeps its findings as information, with the reason; a dropped one is not
//! looked at. What screening does not do: it finds no names of people and no addresses, and it cannot tell a bare
//! nine-digit number from a Social Security number when nothing around it says so.

use arrow::array::RecordBatch;
use arrow_schema::Schema;
use portico_model::finding::{Finding, Severity};

use crate::dictionary::{Dictionary, Treatment};
use crate::names::SOURCE_NAME_KEY;
use column::ColumnScreen;
use headers::Header;

pub use rules::{Evidence, RULES, Rule};

mod column;
mod digits;
mod headers;
mod iban;
mod internet;
mod rules;
mod scan;
pub(crate) mod tally;

/// Screens batches of one schema.
///
/// ```
/// use std::sync::Arc;
/// use arrow::array::{ArrayRef, RecordBatch, StringArray};
/// use portico_intake::screen::Screener;
///
/// let notes: ArrayRef = Arc::new(StringArray::from(vec!["pothole", "caller's SSN is 219-09-1234"]));
/// let batch = RecordBatch::try_from_iter([("notes", notes)]).unwrap();
/// let mut screener = Screener::new(&batch.schema(), None);
/// screener.push(&batch, 1);
/// let findings = screener.finish();
/// assert_eq!((findings[0].rule.as_str(), findings[0].rows.as_slice()), ("us_ssn", &[2_u64][..]));
/// ```
pub struct Screener {
    columns: Vec<(ColumnScreen, Option<String>)>,
    /// Which columns name people.
    people: Vec<bool>,
}

impl Screener {
    /// A screener of tables with this schema. Names of the file are read from the field metadata `portico:source_name`.
    #[must_use]
    pub fn new(schema: &Schema, dictionary: Option<&Dictionary>) -> Self {
        let mut columns = Vec::new();
        let mut people = Vec::new();
        for field in schema.fields() {
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
            people.push(!dropped && header.names_people());
            columns.push((ColumnScreen::new(field, &header, dropped), public));
        }
        Self { columns, people }
    }

    /// Looks at the rows of one batch; `first_row` is the number of its first row, from 1.
    pub fn push(&mut self, batch: &RecordBatch, first_row: u64) {
        for ((column, _), array) in self.columns.iter_mut().zip(batch.columns()) {
            column.push(array, first_row);
        }
    }

    /// What was found, in the order of the columns.
    #[must_use]
    pub fn finish(self) -> Vec<Finding> {
        let named: Vec<bool> =
            self.people.iter().zip(&self.columns).map(|(people, (column, _))| *people && column.has_values()).collect();
        let mut findings = Vec::new();
        for (place, (column, public)) in self.columns.into_iter().enumerate() {
            let person_beside = named.iter().enumerate().any(|(other, named)| *named && other != place);
            let mut found = column.finish(person_beside);
            if let Some(reason) = public {
                found.iter_mut().for_each(|finding| declare_public(finding, &reason));
            }
            findings.append(&mut found);
        }
        findings
    }
}

fn declare_public(finding: &mut Finding, reason: &str) {
    finding.severity = Severity::Info;
    finding.message = format!(
        "{} {} {}; the data dictionary declares the column public: {}.",
        grouped(finding.count),
        if finding.count == 1 { "value holds what looks like" } else { "values hold what looks like" },
        rules::by_code(&finding.rule).map_or("restricted data", |rule| rule.description),
        reason.trim().trim_end_matches('.')
    );
}

fn grouped(count: u64) -> String {
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
