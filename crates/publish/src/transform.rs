//! What a data dictionary has computed of a file's rows, before anything else looks at them.
//!
//! ```text
//! batch as read ─▶ rows for which `keep_rows` is true ─▶ the file's columns, then `derive` and `label_of` ─▶ remedies …
//! ```
//!
//! From here on the columns that are made are columns like others: dropped, remedied, screened and checked. Expressions
//! are computed by the engine, which is linked by the program alone: it hands [`Expressions`] to the reader.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field as Column, Schema, SchemaRef};
use portico_intake::dictionary::{Dictionary, Field, Treatment, means_column};
use portico_intake::labels::Labels;
use portico_model::finding::{Finding, Severity};
use portico_model::limits::IntakeLimits;
use portico_model::problem::Problem;

use crate::error::PublishError;

/// How the expressions of data dictionaries are read and computed.
#[derive(Clone, Copy)]
pub struct Expressions {
    /// Whether a text is an expression, whatever columns there are.
    pub parse: fn(&str) -> Result<(), Problem>,
    /// An expression over these columns.
    pub compile: fn(&str, &Schema) -> Result<Compiled, Problem>,
}

/// An expression over the columns of a table.
pub struct Compiled {
    /// The type of its values: one that released files have.
    pub data_type: DataType,
    /// Its values for the rows of a batch, as many as there are rows.
    pub compute: Compute,
}

/// What computes the values of a batch.
pub type Compute = Box<dyn Fn(&RecordBatch) -> Result<ArrayRef, Problem>>;

impl Expressions {
    /// For whoever has no engine: every expression is refused.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        fn refuse<T>() -> Result<T, Problem> {
            Err(Problem::new(portico_model::problem::ProblemKind::InvalidRequest, "expressions are not computed here"))
        }
        Self { parse: |_| refuse(), compile: |_, _| refuse() }
    }
}

/// Whether the expressions of a dictionary are some, and within limits: before the file is read.
pub(crate) fn check(
    dictionary: Option<&Dictionary>,
    expressions: Expressions,
    limits: &IntakeLimits,
) -> Result<(), PublishError> {
    let Some(dictionary) = dictionary else { return Ok(()) };
    let made = dictionary.fields.iter().filter(|field| field.is_made()).count();
    if u64::try_from(made).map_or(true, |made| made > limits.derived_columns) {
        let maximum = limits.derived_columns;
        return Err(over("columns that are made", "derived_columns", maximum));
    }
    let derived = dictionary.fields.iter().filter_map(|field| Some((what(&field.name), field.derive.as_ref()?)));
    let kept = dictionary.keep_rows.iter().map(|text| ("keep_rows".to_owned(), text));
    for (what, text) in kept.chain(derived) {
        if u64::try_from(text.len()).map_or(true, |bytes| bytes > limits.expression_bytes) {
            return Err(over("bytes in an expression", "expression_bytes", limits.expression_bytes));
        }
        (expressions.parse)(text).map_err(|problem| refused(&what, &problem))?;
    }
    Ok(())
}

fn over(what: &str, limit: &str, maximum: u64) -> PublishError {
    let why = format!("it has more {what} than the limit {limit} = {maximum} allows");
    PublishError::Transformation { what: "the data dictionary".to_owned(), why }
}

/// How an error calls a field.
fn what(name: &str) -> String {
    format!("the derived column {name}")
}

fn refused(what: &str, problem: &Problem) -> PublishError {
    let place = problem.position.as_ref().map(|at| format!(" (line {}, column {})", at.line, at.column));
    let why = format!("{}{}", problem.detail, place.unwrap_or_default());
    PublishError::Transformation { what: what.to_owned(), why }
}

/// The transformations of one table, ready for its batches.
pub(crate) struct Transform {
    schema: SchemaRef,
    keep: Option<Compiled>,
    made: Vec<(String, Made)>,
    read: u64,
    filtered: u64,
    findings: Vec<Finding>,
}

enum Made {
    Derived(Compiled),
    Label(Labels),
}

impl Transform {
    /// What the dictionary says of a table of this schema.
    pub(crate) fn new(
        surveyed: &Schema,
        dictionary: Option<&Dictionary>,
        expressions: Expressions,
        limits: &IntakeLimits,
    ) -> Result<Self, PublishError> {
        let mut fields: Vec<Arc<Column>> = surveyed.fields().iter().cloned().collect();
        let (mut made, mut findings, mut labels) = (Vec::new(), Vec::new(), Vec::new());
        for field in dictionary.iter().flat_map(|dictionary| &dictionary.fields).filter(|field| field.is_made()) {
            if surveyed.fields().iter().any(|column| means_column(&field.name, column)) {
                let why = "the file has a column of that name: name what is made otherwise".to_owned();
                return Err(PublishError::Transformation { what: what(&field.name), why });
            }
            let Some(text) = &field.derive else {
                // Labels are of any column, those that are made included.
                labels.push(field);
                continue;
            };
            let compiled =
                (expressions.compile)(text, surveyed).map_err(|problem| refused(&what(&field.name), &problem))?;
            fields.push(Arc::new(Column::new(&field.name, compiled.data_type.clone(), true)));
            made.push((field.name.clone(), Made::Derived(compiled)));
        }
        let derived = Schema::new(fields.clone());
        for field in labels {
            match dictionary.and_then(|dictionary| Labels::new(field, dictionary, &derived)) {
                Some(of) => {
                    fields.push(Arc::new(Column::new(&field.name, DataType::Utf8, true)));
                    made.push((field.name.clone(), Made::Label(of)));
                }
                None => findings.push(without_codes(field)),
            }
        }
        if u64::try_from(fields.len()).map_or(true, |columns| columns > limits.columns) {
            return Err(over("columns, those that are made included,", "columns", limits.columns));
        }
        let keep = dictionary.and_then(|dictionary| dictionary.keep_rows.as_deref());
        let keep = keep.map(|text| condition(text, surveyed, expressions)).transpose()?;
        let schema = Arc::new(Schema::new_with_metadata(fields, surveyed.metadata().clone()));
        Ok(Self { schema, keep, made, read: 0, filtered: 0, findings })
    }

    /// The file's columns, then those that are made.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Whether rows and columns are as the file has them.
    pub(crate) fn is_idle(&self) -> bool {
        self.keep.is_none() && self.made.is_empty()
    }

    /// Makes a batch of the surveyed schema one of this schema.
    ///
    /// # Errors
    /// [`PublishError::Transformation`] where an expression has no value for a row.
    pub(crate) fn apply(&mut self, batch: RecordBatch) -> Result<RecordBatch, PublishError> {
        let rows = count(batch.num_rows());
        let (first, last) = (self.read + 1, self.read + rows);
        self.read += rows;
        if self.is_idle() {
            return Ok(batch);
        }
        let failed = |what: &str, problem: &Problem| PublishError::Transformation {
            what: what.to_owned(),
            why: format!("it has no value in one of the rows {first} to {last} of the file. {}", problem.detail),
        };
        let batch = match &self.keep {
            None => batch,
            Some(keep) => {
                let kept = (keep.compute)(&batch).map_err(|problem| failed("keep_rows", &problem))?;
                let kept = kept.as_boolean_opt().ok_or_else(|| PublishError::Write("a condition is none".into()))?;
                filter_record_batch(&batch, kept)?
            }
        };
        self.filtered += rows - count(batch.num_rows());
        let mut columns = batch.columns().to_vec();
        for (name, made) in &mut self.made {
            let values = match made {
                Made::Derived(compiled) => {
                    (compiled.compute)(&batch).map_err(|problem| failed(&what(name), &problem))?
                }
                Made::Label(labels) => {
                    let codes = columns.get(labels.place()).cloned();
                    labels.of(&codes.ok_or_else(|| PublishError::Write("a column of codes is gone".into()))?)?
                }
            };
            columns.push(values);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(self.schema(), columns, &options)?)
    }

    /// The record of what was done: how many rows went, which columns came, how many codes have no label. Never why.
    pub(crate) fn finish(self) -> Vec<Finding> {
        let mut findings = self.findings;
        if self.keep.is_some() {
            let none = self.filtered == self.read && self.read > 0;
            let severity = if none { Severity::Warning } else { Severity::Info };
            let message = format!(
                "{} of {} rows of the file are left out by the condition of the data dictionary; rows of other findings are \
                 counted without them.",
                self.filtered, self.read
            );
            let mut finding = Finding::on_file("rows_filtered", severity, message);
            finding.count = self.filtered;
            findings.push(finding);
        }
        for (name, made) in &self.made {
            let message = "The column is none of the file's: it is computed as the data dictionary says.";
            findings.push(Finding::on_column("column_derived", Severity::Info, name, 1, Vec::new(), message));
            if let Made::Label(labels) = made
                && labels.unknown() > 0
            {
                let message = "Codes that the data dictionary says nothing of have no label: say what they stand for.";
                let unknown = labels.unknown();
                findings.push(Finding::on_column(
                    "label_missing",
                    Severity::Warning,
                    name,
                    unknown,
                    Vec::new(),
                    message,
                ));
            }
        }
        findings
    }
}

fn condition(text: &str, surveyed: &Schema, expressions: Expressions) -> Result<Compiled, PublishError> {
    let compiled = (expressions.compile)(text, surveyed).map_err(|problem| refused("keep_rows", &problem))?;
    if compiled.data_type == DataType::Boolean {
        return Ok(compiled);
    }
    let why = "it is a condition, which is true or false, such as status = 'issued'".to_owned();
    Err(PublishError::Transformation { what: "keep_rows".to_owned(), why })
}

fn without_codes(field: &Field) -> Finding {
    let message = format!(
        "The data dictionary has labels in the column {:?} for a column that the file does not have: correct `label_of`, or \
         take the field out of the dictionary.",
        field.name
    );
    Finding::on_file("label_without_column", Severity::Blocking, message)
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}

/// What an earlier dictionary made of rows and columns and this one would not, or otherwise, without a word: a blocking
/// finding for each. A condition is changed with a reason of its own, a column is dropped, or declared public with a reason.
pub(crate) fn changed(before: &Dictionary, now: &Dictionary) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(condition) = &before.keep_rows {
        let said = now.keep_rows_reason.as_ref().filter(|reason| !reason.trim().is_empty());
        let explained = said.is_some() && said != before.keep_rows_reason.as_ref();
        if now.keep_rows.as_ref() != Some(condition) && !(now.keep_rows.is_some() && explained) {
            let message = "An earlier release kept other rows of its file: keep them by the same condition, or say why it is \
                           another (`keep_rows_reason`; the condition `true` keeps all rows).";
            findings.push(Finding::on_file("filter_changed", Severity::Blocking, message));
        }
    }
    let dropped = |field: &Field| matches!(field.treatment, Treatment::Drop { .. });
    let decided = |field: &Field| field.treatment != Treatment::Auto;
    for field in before.fields.iter().filter(|field| field.is_made() && !dropped(field)) {
        let now = now.fields.iter().find(|other| other.name == field.name);
        let same = |now: &Field| now.derive == field.derive && now.label_of == field.label_of;
        if !now.is_some_and(|now| decided(now) || same(now)) {
            let message = "An earlier release had this column made in another way: make it so, drop it, or declare it public \
                           with a reason.";
            findings.push(Finding::on_column(
                "derivation_changed",
                Severity::Blocking,
                &field.name,
                1,
                Vec::new(),
                message,
            ));
        }
    }
    findings
}

/// Puts what an earlier dictionary made of rows and columns into one that says nothing of it.
pub(crate) fn inherit(before: &Dictionary, dictionary: &mut Dictionary) {
    if dictionary.keep_rows.is_none() && before.keep_rows.is_some() {
        dictionary.keep_rows.clone_from(&before.keep_rows);
        dictionary.keep_rows_reason.clone_from(&before.keep_rows_reason);
    }
    for field in before.fields.iter().filter(|field| field.is_made()) {
        if dictionary.fields.iter().any(|known| known.name == field.name) {
            continue;
        }
        dictionary.fields.push(field.clone());
        let codes = field.label_of.as_deref().and_then(|codes| before.field(codes));
        let Some(codes) = codes else { continue };
        let meant = dictionary.field(&codes.name).map(|known| known.name.clone());
        match dictionary.fields.iter_mut().find(|known| Some(&known.name) == meant.as_ref()) {
            Some(known) if known.codes.is_empty() => known.codes.clone_from(&codes.codes),
            Some(_) => {}
            None => {
                let (rename, codes) =
                    (codes.rename.clone(), Field { codes: codes.codes.clone(), ..Field::named(&codes.name) });
                dictionary.fields.push(Field { rename, ..codes });
            }
        }
    }
}

#[cfg(test)]
mod tests;
