//! Checks of a dictionary's constraints over typed batches.
//!
//! ```text
//! batch ─▶ column by column: required, allowed, minimum, maximum, lengths, pattern ─┐
//!       └▶ keys: 128-bit hash of each row's key ─▶ sorted, spilled to disk ─▶ repeats ─┴▶ findings
//! ```
//!
//! Violations are blocking findings `constraint_*` with their count and first rows: a dictionary is a promise, and
//! what breaks it is not released. Limits and allowed values are compared as values of the column's type, not as text.
//! Keys are compared by 128-bit hashes in bounded memory: the chance that two of a billion different keys are taken for
//! equal is below 10^-20. Types and spellings of null are the reader's to check, while it still has the text.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::row::{RowConverter, SortField};
use arrow_schema::{ArrowError, Schema};
use portico_model::finding::{Finding, Severity};
use portico_model::problem::ProblemKind;

use crate::dictionary::{Dictionary, Field, Treatment};
use crate::names::SOURCE_NAME_KEY;
use crate::profile::hash;
use crate::screen::tally::Tally;
use repeats::Repeats;
use values::ColumnCheck;

mod limits;
mod repeats;
mod values;

/// Why checking could not go on. The text may be shown to staff.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The scratch directory could not be written or read.
    #[error("the checks of keys could not use the scratch directory")]
    Scratch(#[from] std::io::Error),
    /// A batch that is not of the schema.
    #[error("a batch does not have the columns of the table")]
    Batch(#[from] ArrowError),
}

impl CheckError {
    /// What the error is to a client: always a fault of ours.
    #[must_use]
    pub fn kind(&self) -> ProblemKind {
        ProblemKind::Internal
    }
}

/// Checks batches of one schema against a dictionary.
pub struct Checker {
    columns: Vec<Option<ColumnCheck>>,
    keys: Vec<Key>,
    findings: Vec<Finding>,
}

/// Columns whose values together must not repeat.
struct Key {
    rule: &'static str,
    /// Published names, for the findings.
    names: Vec<String>,
    places: Vec<usize>,
    converter: RowConverter,
    nulls: Tally,
    nulls_allowed: bool,
    repeats: Repeats,
}

impl Checker {
    /// A checker of tables with this schema, whose columns have their published names and the field metadata
    /// `portico:source_name`. Keys take about `memory_bytes` of memory, and beyond it files in `scratch` that vanish with it.
    #[must_use]
    pub fn new(schema: &Schema, dictionary: &Dictionary, memory_bytes: u64, scratch: &Path) -> Self {
        let mut findings = Vec::new();
        let said = |place: usize| {
            let field = schema.field(place);
            let source = field.metadata().get(SOURCE_NAME_KEY);
            source.and_then(|name| dictionary.field(name)).or_else(|| dictionary.field(field.name()))
        };
        let found: Vec<Option<&Field>> = (0..schema.fields().len()).map(said).collect();
        undeclared(schema, &found, dictionary, &mut findings);
        missing(&found, dictionary, &mut findings);
        let columns = found
            .iter()
            .zip(schema.fields())
            .map(|(said, field)| said.and_then(|said| ColumnCheck::new(field, said, &mut findings)))
            .collect();
        let wanted = wanted_keys(&found, dictionary);
        let share = usize::try_from(memory_bytes).unwrap_or(usize::MAX) / wanted.len().max(1);
        let mut keys = Vec::new();
        for (rule, fields) in wanted {
            match Key::new(rule, &fields, &found, schema, (share, scratch.to_owned())) {
                Some(key) => keys.push(key),
                None => findings.push(Finding::on_file(
                    rule,
                    Severity::Blocking,
                    format!(
                        "The key ({}) cannot be checked: not all of its columns are in the file.",
                        fields.join(", ")
                    ),
                )),
            }
        }
        Self { columns, keys, findings }
    }

    /// Whether there is anything to check in the rows.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.keys.is_empty() && self.columns.iter().all(Option::is_none)
    }

    /// Checks the rows of one batch; `first_row` is the number of its first row, from 1.
    ///
    /// # Errors
    /// When the scratch directory cannot be used, or the batch is not of the schema.
    pub fn push(&mut self, batch: &RecordBatch, first_row: u64) -> Result<(), CheckError> {
        for (column, array) in self.columns.iter_mut().zip(batch.columns()) {
            if let Some(column) = column {
                column.push(array, first_row);
            }
        }
        self.keys.iter_mut().try_for_each(|key| key.push(batch, first_row))
    }

    /// What was found: first what concerns the file, then by column, then keys.
    ///
    /// # Errors
    /// When the scratch directory cannot be used.
    pub fn finish(self) -> Result<Vec<Finding>, CheckError> {
        let mut findings = self.findings;
        for column in self.columns.into_iter().flatten() {
            column.finish(&mut findings);
        }
        for key in self.keys {
            key.finish(&mut findings)?;
        }
        Ok(findings)
    }
}

/// Columns that the dictionary does not speak of, when it speaks of any.
fn undeclared(schema: &Schema, found: &[Option<&Field>], dictionary: &Dictionary, findings: &mut Vec<Finding>) {
    let silent: Vec<&str> = found
        .iter()
        .zip(schema.fields())
        .filter(|(said, _)| said.is_none())
        .map(|(_, field)| field.name().as_str())
        .collect();
    if silent.is_empty() || dictionary.fields.is_empty() {
        return;
    }
    let shown = silent.iter().take(5).copied().collect::<Vec<_>>().join(", ");
    let more = if silent.len() > 5 { ", …" } else { "" };
    let message = format!("{} columns are not in the data dictionary: {shown}{more}.", silent.len());
    let mut finding = Finding::on_file("column_undeclared", Severity::Info, message);
    finding.count = crate::profile::convert::count(silent.len());
    findings.push(finding);
}

/// Fields that the file does not have.
fn missing(found: &[Option<&Field>], dictionary: &Dictionary, findings: &mut Vec<Finding>) {
    let seen: HashSet<&str> = found.iter().flatten().map(|field| field.name.as_str()).collect();
    for field in &dictionary.fields {
        if seen.contains(field.name.as_str()) || matches!(field.treatment, Treatment::Drop { .. }) {
            continue;
        }
        let severity = if field.required { Severity::Blocking } else { Severity::Warning };
        let message = format!("The data dictionary has a field {:?}, and the file has no such column.", field.name);
        findings.push(Finding::on_file("constraint_column_missing", severity, message));
    }
}

/// Every key to check, as its rule and its fields; one column is not checked twice.
fn wanted_keys(found: &[Option<&Field>], dictionary: &Dictionary) -> Vec<(&'static str, Vec<String>)> {
    let mut wanted: Vec<(&'static str, Vec<String>)> = Vec::new();
    if !dictionary.primary_key.is_empty() {
        wanted.push(("constraint_primary_key", dictionary.primary_key.clone()));
    }
    let singles =
        found.iter().flatten().filter(|field| field.unique && !matches!(field.treatment, Treatment::Drop { .. }));
    for key in dictionary.unique_keys.iter().cloned().chain(singles.map(|field| vec![field.name.clone()])) {
        if !wanted.iter().any(|(_, other)| *other == key) {
            wanted.push(("constraint_unique", key));
        }
    }
    wanted
}

impl Key {
    fn new(
        rule: &'static str,
        fields: &[String],
        found: &[Option<&Field>],
        schema: &Schema,
        (memory_bytes, scratch): (usize, PathBuf),
    ) -> Option<Self> {
        let place_of = |name: &String| {
            let declared = found.iter().position(|said| said.is_some_and(|said| said.name == *name));
            declared.or_else(|| {
                let folded = crate::dictionary::fold(name);
                schema.fields().iter().position(|field| *field.name() == *name || *field.name() == folded)
            })
        };
        let places = fields.iter().map(place_of).collect::<Option<Vec<_>>>()?;
        let sort_fields = places.iter().map(|place| SortField::new(schema.field(*place).data_type().clone())).collect();
        Some(Self {
            rule,
            names: places.iter().map(|place| schema.field(*place).name().clone()).collect(),
            places,
            converter: RowConverter::new(sort_fields).ok()?,
            nulls: Tally::default(),
            nulls_allowed: rule == "constraint_unique",
            repeats: Repeats::new(memory_bytes, scratch),
        })
    }

    fn push(&mut self, batch: &RecordBatch, first_row: u64) -> Result<(), CheckError> {
        let columns: Vec<ArrayRef> =
            self.places.iter().filter_map(|place| batch.columns().get(*place).cloned()).collect();
        let rows = self.converter.convert_columns(&columns)?;
        for ((number, row), place) in (first_row..).zip(rows.iter()).zip(0..batch.num_rows()) {
            if columns.iter().any(|column| column.is_null(place)) {
                self.nulls.add(number);
                continue;
            }
            let bytes = row.as_ref();
            self.repeats.add([hash::of_bytes(bytes, 1), hash::of_bytes(bytes, 2)], number)?;
        }
        Ok(())
    }

    fn finish(self, findings: &mut Vec<Finding>) -> Result<(), CheckError> {
        let names = self.names.join(", ");
        let mut report = |tally: Tally, message: String| {
            if tally.count == 0 {
                return;
            }
            findings.push(Finding {
                rule: self.rule.to_owned(),
                severity: Severity::Blocking,
                column: (self.names.len() == 1).then(|| names.clone()),
                count: tally.count,
                rows: tally.rows,
                message,
            });
        };
        let repeated = self.repeats.finish()?;
        let of = if self.names.len() == 1 { "value" } else { "combination of values" };
        let count = repeated.count;
        report(repeated, format!("{count} rows repeat a {of} of ({names}) that must come once."));
        if !self.nulls_allowed {
            let count = self.nulls.count;
            report(self.nulls, format!("{count} rows have no value in the key ({names})."));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
