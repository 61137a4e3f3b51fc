//! Remedies over batches.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef};
use portico_model::finding::{Finding, Severity};
use portico_model::problem::ProblemKind;

use super::convert::Convert;
use super::pseudonym::PseudonymKey;
use super::rows::{RowTest, filter};
use super::{Remedy, RowRule};
use crate::dictionary::{Dictionary, means_column};
use crate::profile::convert::count;
use crate::screen::{RuleSet, grouped};

/// Why remedies cannot be applied. The text may be shown to staff.
#[derive(Debug, thiserror::Error)]
pub enum RemedyError {
    /// The column is of a type that the remedy has no meaning for.
    #[error(
        "the remedy {remedy} wants {wants}, and the column {column} is {has}: declare its type in the data dictionary, or choose another remedy"
    )]
    Type {
        /// The column's published name.
        column: String,
        /// What was asked for.
        remedy: Remedy,
        /// What it wants.
        wants: &'static str,
        /// The column's type.
        has: String,
    },
    /// Rows are to be dropped by a rule that there is not, or that looks at names of columns.
    #[error(
        "the screening rules have no rule {rule:?} that looks at values: rows cannot be dropped by it (column {column})"
    )]
    NoRule {
        /// The column.
        column: String,
        /// The rule.
        rule: String,
    },
    /// Pseudonyms without a key: a fault of ours.
    #[error("there is no key for pseudonyms")]
    NoKey,
    /// A batch that is not of the schema, or values that cannot be changed: a fault of ours.
    #[error("a batch could not be made fit for release")]
    Batch(#[from] ArrowError),
}

impl RemedyError {
    /// What the error is to a client.
    #[must_use]
    pub const fn kind(&self) -> ProblemKind {
        match self {
            Self::Type { .. } | Self::NoRule { .. } => ProblemKind::InvalidRequest,
            Self::NoKey | Self::Batch(_) => ProblemKind::Internal,
        }
    }
}

/// The remedies of one table, ready for its batches.
pub struct Remedies {
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: Vec<RowTest>,
    rows_dropped: u64,
    findings: Vec<Finding>,
}

struct Column {
    place: usize,
    name: String,
    remedy: Option<(Remedy, Convert)>,
    /// Values that the remedy changed.
    changed: u64,
}

impl Remedies {
    /// The remedies of a dictionary for tables of a surveyed schema, of which the columns at `kept` are released.
    ///
    /// # Errors
    /// [`RemedyError::Type`] and [`RemedyError::NoRule`] when they do not fit the table.
    pub fn new(
        surveyed: &Schema,
        kept: &[usize],
        dictionary: Option<&Dictionary>,
        rules: &RuleSet,
        key: Option<&PseudonymKey>,
    ) -> Result<Self, RemedyError> {
        let mut fields = Vec::with_capacity(kept.len());
        let mut columns = Vec::with_capacity(kept.len());
        for &place in kept {
            let field = surveyed.field(place);
            let remedy = dictionary.and_then(|dictionary| dictionary.remedy(field));
            let remedy = match remedy {
                Some(remedy) => Some((remedy, Convert::new(remedy, field, rules, key)?)),
                None => None,
            };
            fields.push(match &remedy {
                Some((_, convert)) => changed_type(field, convert.data_type()),
                None => field.clone(),
            });
            columns.push(Column { place, name: field.name().clone(), remedy, changed: 0 });
        }
        let (mut rows, mut findings) = (Vec::new(), Vec::new());
        for rule in dictionary.map(|dictionary| dictionary.drop_rows.as_slice()).unwrap_or_default() {
            match surveyed.fields().iter().position(|field| means_column(&rule.column, field)) {
                Some(place) => rows.push(RowTest::new(rule, place, surveyed.field(place), rules)?),
                None => findings.push(without_column(rule)),
            }
        }
        findings.extend(dictionary.iter().flat_map(|dictionary| idle(surveyed, dictionary)));
        let schema = Arc::new(Schema::new_with_metadata(fields, surveyed.metadata().clone()));
        Ok(Self { schema, columns, rows, rows_dropped: 0, findings })
    }

    /// The schema of what may be public.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Whether columns or rows are made otherwise than they came, beyond columns that are dropped.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.rows.is_empty() && self.columns.iter().all(|column| column.remedy.is_none())
    }

    /// Makes a batch of the surveyed schema fit for release.
    ///
    /// # Errors
    /// [`RemedyError::Batch`] when it is not of that schema.
    pub fn apply(&mut self, batch: RecordBatch) -> Result<RecordBatch, RemedyError> {
        let batch = self.without_rows(batch)?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(self.columns.len());
        for column in &mut self.columns {
            let array = batch
                .columns()
                .get(column.place)
                .ok_or_else(|| ArrowError::SchemaError("a batch does not have the columns of the table".to_owned()))?;
            arrays.push(match &mut column.remedy {
                Some((_, convert)) => {
                    let (array, changed) = convert.apply(array)?;
                    column.changed += changed;
                    array
                }
                None => ArrayRef::clone(array),
            });
        }
        Ok(RecordBatch::try_new_with_options(self.schema(), arrays, &options)?)
    }

    fn without_rows(&mut self, batch: RecordBatch) -> Result<RecordBatch, RemedyError> {
        if self.rows.is_empty() {
            return Ok(batch);
        }
        let mut keep = vec![true; batch.num_rows()];
        for rule in &mut self.rows {
            if let Some(array) = batch.columns().get(rule.column) {
                rule.take(array, &mut keep)?;
            }
        }
        self.rows_dropped += count(keep.iter().filter(|keep| !**keep).count());
        match filter(keep) {
            Some(keep) => Ok(filter_record_batch(&batch, &keep)?),
            None => Ok(batch),
        }
    }

    /// The record of what was done: which column and how many values or rows, never which.
    #[must_use]
    pub fn finish(self) -> Vec<Finding> {
        let mut findings = self.findings;
        for column in &self.columns {
            if let Some((remedy, _)) = &column.remedy {
                let values = grouped(column.changed);
                let message =
                    format!("The remedy {remedy} changed {values} values: what is released is what it leaves.");
                let rule = "remedy_applied";
                findings.push(Finding::on_column(
                    rule,
                    Severity::Info,
                    &column.name,
                    column.changed,
                    Vec::new(),
                    message,
                ));
            }
        }
        if !self.rows.is_empty() {
            let message = format!(
                "{} rows are left out as the data dictionary says; rows of other findings are counted without them.",
                grouped(self.rows_dropped)
            );
            let mut finding = Finding::on_file("rows_dropped", Severity::Info, message);
            finding.count = self.rows_dropped;
            findings.push(finding);
        }
        findings
    }
}

/// What is not a geometry any more does not say so.
fn changed_type(field: &Field, data_type: DataType) -> Field {
    let changed = field.clone().with_data_type(data_type).with_nullable(true);
    if changed.data_type() == field.data_type() {
        return changed;
    }
    let mut metadata = changed.metadata().clone();
    metadata.retain(|key, _| !key.starts_with("ARROW:extension"));
    changed.with_metadata(metadata)
}

/// Remedies for columns that the file does not have. If the name is wrong, the column that was meant is on its way out as
/// it is.
fn idle<'a>(surveyed: &'a Schema, dictionary: &'a Dictionary) -> impl Iterator<Item = Finding> + 'a {
    let meant = |field: &crate::dictionary::Field| {
        let renamed = |column: &Arc<Field>| field.rename.as_ref() == Some(column.name());
        surveyed.fields().iter().any(|column| means_column(&field.name, column) || renamed(column))
    };
    dictionary.fields.iter().filter(move |field| field.remedy.is_some() && !meant(field)).map(|field| {
        let message = format!(
            "The data dictionary has a remedy for a column {:?}, and the file has no such column: correct the name, or \
             declare the field public with a reason if the column is gone for good.",
            field.name
        );
        Finding::on_file("remedy_without_column", Severity::Blocking, message)
    })
}

fn without_column(rule: &RowRule) -> Finding {
    let message = format!(
        "The data dictionary drops rows by a column {:?}, and the file has no such column: correct the name, or declare the \
         field public with a reason if the column is gone for good.",
        rule.column
    );
    Finding::on_file("remedy_without_column", Severity::Blocking, message)
}
