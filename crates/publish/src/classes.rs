//! Classes of rows and tables of counts on the road in: what is too small is suppressed before anything else sees the
//! rows, and what is left is counted, beside the current version.

use std::fs::File;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow_schema::Schema;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use portico_intake::Survey;
use portico_intake::classes::{ClassPlan, Classes, Suppression};
use portico_intake::counts::{Counts, SuppressedCells};
use portico_intake::dictionary::SmallClasses;
use portico_intake::remedy::Remedies;
use portico_intake::screen::ClassActions;
use portico_model::finding::{Finding, Severity};
use portico_model::limits::IntakeLimits;

use crate::error::PublishError;
use crate::reader::Asked;
use crate::transform::Transform;

/// The rules on classes over one file.
pub(crate) struct Protection {
    planned: Option<Planned>,
    counts: Option<Counts>,
    suppressed: Option<SuppressedCells>,
    findings: Vec<Finding>,
    /// Rows before suppression that have passed.
    passed: u64,
}

struct Planned {
    plan: ClassPlan,
    /// Of the rows that are left.
    classes: Classes,
    /// Of all rows, until they are counted.
    before: Option<Classes>,
    suppression: Option<Suppression>,
}

impl Protection {
    /// What the dictionary says of classes, for rows of this schema.
    pub(crate) fn new(
        schema: &Schema,
        asked: &Asked,
        limits: &IntakeLimits,
        scratch: &Path,
    ) -> Result<Self, PublishError> {
        let mut protection = Self { planned: None, counts: None, suppressed: None, findings: Vec::new(), passed: 0 };
        protection.count(schema, asked, limits);
        let rules = asked.options.dictionary.as_ref().and_then(|dictionary| dictionary.classes.as_ref());
        let Some(rules) = rules else { return Ok(protection) };
        let plan = match ClassPlan::new(schema, rules, limits.class_rows) {
            Ok(plan) => plan,
            Err(name) => {
                let message = format!(
                    "The quasi-identifiers or the sensitive column name {name:?}, and no column of that name would be \
                     released: correct the name, or take it out of the data dictionary."
                );
                protection.findings.push(Finding::on_file("classes_without_column", Severity::Blocking, message));
                return Ok(protection);
            }
        };
        let counting = || Classes::new(&plan, schema, limits.memory_bytes / 8, scratch);
        let mut classes = counting()?;
        for name in &asked.current {
            push_current(&mut classes, &plan, schema, &scratch.join(name))?;
        }
        let before = (plan.small != SmallClasses::Find).then(counting).transpose()?;
        protection.planned = Some(Planned { classes, before, suppression: None, plan });
        Ok(protection)
    }

    /// What the dictionary says of counts.
    fn count(&mut self, schema: &Schema, asked: &Asked, limits: &IntakeLimits) {
        let rules = asked.options.dictionary.as_ref().and_then(|dictionary| dictionary.counts.as_ref());
        match rules.map(|rules| Counts::new(schema, rules, limits.class_rows)) {
            None => {}
            Some(Ok(counts)) => self.counts = Some(counts),
            Some(Err(name)) => {
                let message = format!(
                    "The rules on counts name {name:?}, which would not be released or holds no numbers: correct the data \
                     dictionary."
                );
                self.findings.push(Finding::on_file("classes_without_column", Severity::Blocking, message));
            }
        }
    }

    /// Reads all rows for their classes and counts, where small ones are to be suppressed.
    pub(crate) fn prepare(
        &mut self,
        survey: &Survey,
        (mut transform, mut remedies): (Transform, Remedies),
    ) -> Result<(), PublishError> {
        let mut counts = self.counts.take();
        let mut before = self.planned.as_mut().and_then(|planned| planned.before.take());
        if counts.is_none() && before.is_none() {
            return Ok(());
        }
        for batch in survey.batches()? {
            let batch = remedies.apply(transform.apply(batch?)?)?;
            if let Some(before) = &mut before {
                before.push(&batch)?;
            }
            if let Some(counts) = &mut counts {
                counts.push(&batch)?;
            }
        }
        if let (Some(planned), Some(before)) = (&mut self.planned, before) {
            planned.suppression = Some(before.suppression()?);
        }
        self.suppressed = counts.map(Counts::finish);
        self.findings.extend(self.suppressed.iter().flat_map(SuppressedCells::findings));
        Ok(())
    }

    /// Whether rows are made otherwise than they came.
    pub(crate) fn suppresses(&self) -> bool {
        let of_classes = self.planned.as_ref().is_some_and(|planned| planned.plan.small != SmallClasses::Find);
        of_classes || self.suppressed.is_some()
    }

    /// The rows without what is suppressed.
    pub(crate) fn apply(&mut self, batch: RecordBatch) -> Result<RecordBatch, PublishError> {
        let first_row = self.passed + 1;
        self.passed += u64::try_from(batch.num_rows()).unwrap_or(0);
        let batch = match &self.suppressed {
            Some(cells) => cells.apply(&batch, first_row)?,
            None => batch,
        };
        let Some(planned) = &mut self.planned else { return Ok(batch) };
        let batch = match &planned.suppression {
            Some(suppression) => suppression.apply(&batch, first_row)?,
            None => batch,
        };
        planned.classes.push(&batch)?;
        Ok(batch)
    }

    /// What there is to say of the classes that would be public.
    pub(crate) fn finish(self, actions: ClassActions) -> Result<Vec<Finding>, PublishError> {
        let mut findings = self.findings;
        if let Some(planned) = self.planned {
            findings.extend(planned.classes.finish()?.findings(actions));
        }
        Ok(findings)
    }
}

/// Rows of the current version. Where its columns are others, or of other types, there is nothing to compare.
fn push_current(classes: &mut Classes, plan: &ClassPlan, schema: &Schema, file: &Path) -> Result<(), PublishError> {
    let open = ParquetRecordBatchReaderBuilder::try_new(File::open(file)?)?;
    let mut places = Vec::with_capacity(plan.names.len());
    for name in &plan.names {
        let Ok(place) = open.schema().index_of(name) else { return Ok(()) };
        let same =
            schema.field_with_name(name).map(|field| field.data_type() == open.schema().field(place).data_type());
        if !same.unwrap_or(false) {
            return Ok(());
        }
        places.push(place);
    }
    let wanted = ProjectionMask::roots(open.parquet_schema(), places);
    for batch in open.with_projection(wanted).build()? {
        let batch = batch?;
        let order: Vec<usize> = plan.names.iter().filter_map(|name| batch.schema().index_of(name).ok()).collect();
        classes.push_current(&batch.project(&order)?)?;
    }
    Ok(())
}
