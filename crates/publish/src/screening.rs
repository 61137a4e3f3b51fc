//! The heavy half of screening: one file in, findings, profile and release-ready Parquet files out.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use portico_intake::check::Checker;
use portico_intake::dictionary::{Dictionary, Treatment};
use portico_intake::options::ReadOptions;
use portico_intake::profile::Profiler;
use portico_intake::screen::Screener;
use portico_model::finding::{Finding, Severity};
use portico_model::limits::IntakeLimits;
use portico_model::profile::TableProfile;
use serde::{Deserialize, Serialize};

use crate::error::PublishError;
use crate::layout::{Layout, WrittenFile};
use crate::sort::Sorter;

/// What screening saw and made.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Screened {
    pub(crate) schema: SchemaRef,
    pub(crate) rows: u64,
    pub(crate) findings: Vec<Finding>,
    pub(crate) profile: TableProfile,
    pub(crate) sort_key: Vec<String>,
    pub(crate) files: Vec<WrittenFile>,
}

/// How far screening is: the first pass reads bytes, the second rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Progress {
    /// First pass: bytes of the file read so far.
    Reading(u64),
    /// Second pass: rows written so far, and rows in all.
    Writing(u64, u64),
}

/// Reads `file` twice, on the calling thread; writes into `scratch`, which the caller removes. Runs in a reader.
pub(crate) fn screen_file(
    file: &Path,
    options: &ReadOptions,
    limits: &IntakeLimits,
    scratch: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Screened, PublishError> {
    let survey =
        portico_intake::survey(file, options, limits, scratch, &mut |bytes| progress(Progress::Reading(bytes)))?;
    let dictionary = options.dictionary.as_ref();
    let kept = kept_columns(&survey.schema, dictionary)?;
    let schema: SchemaRef = Arc::new(survey.schema.project(&kept)?);
    let key = sort_key(&schema, dictionary)?;

    let half = usize::try_from(limits.memory_bytes / 2).unwrap_or(usize::MAX);
    let mut profiler = Profiler::new(&schema, limits.memory_bytes / 4);
    let mut screener = Screener::new(&schema, dictionary);
    let mut checker = dictionary.map(|said| Checker::new(&schema, said, limits.memory_bytes / 4, scratch));
    let mut sorter = Sorter::new(schema.clone(), key.clone(), half, scratch);
    let mut layout = Layout::new(schema.clone(), &key, scratch)?;
    let mut rows = 0;
    {
        let mut write = |batch: RecordBatch| layout.push(&batch);
        for batch in survey.batches()? {
            let batch = batch?.project(&kept)?;
            profiler.push(&batch);
            screener.push(&batch, rows + 1);
            if let Some(checker) = &mut checker {
                checker.push(&batch, rows + 1)?;
            }
            rows += u64::try_from(batch.num_rows()).unwrap_or(0);
            sorter.push(batch, &mut write)?;
            progress(Progress::Writing(rows, survey.rows));
        }
        sorter.finish(&mut write)?;
    }
    let mut findings = survey.findings;
    findings.extend(dropped(&survey.schema, dictionary));
    findings.extend(checker.map(Checker::finish).transpose()?.unwrap_or_default());
    findings.extend(screener.finish());
    findings.sort_by(|left, right| right.severity.cmp(&left.severity).then_with(|| left.rule.cmp(&right.rule)));
    let sort_key = key.iter().map(|&index| schema.field(index).name().clone()).collect();
    Ok(Screened { schema, rows, findings, profile: profiler.finish(), sort_key, files: layout.finish()? })
}

fn kept_columns(schema: &Schema, dictionary: Option<&Dictionary>) -> Result<Vec<usize>, PublishError> {
    let kept: Vec<usize> =
        (0..schema.fields().len()).filter(|&index| !is_dropped(schema.field(index), dictionary)).collect();
    if kept.is_empty() { Err(PublishError::NothingLeft) } else { Ok(kept) }
}

/// The dictionary may name a column as the file does or as it is published.
fn is_dropped(field: &Field, dictionary: Option<&Dictionary>) -> bool {
    let said = dictionary.and_then(|dictionary| {
        let source = field.metadata().get("portico:source_name");
        source.and_then(|name| dictionary.field(name)).or_else(|| dictionary.field(field.name()))
    });
    said.is_some_and(|said| matches!(said.treatment, Treatment::Drop { .. }))
}

/// The record that a column existed and why it is not released.
fn dropped(schema: &Schema, dictionary: Option<&Dictionary>) -> Vec<Finding> {
    let fields = schema.fields().iter().filter(|field| is_dropped(field, dictionary));
    fields
        .map(|field| {
            let message = "The data dictionary drops this column: it is not part of the release.";
            Finding::on_column("column_dropped", Severity::Info, field.name(), 1, Vec::new(), message)
        })
        .collect()
}

/// The declared sort key, else the first date or time of record: what most questions filter by.
fn sort_key(schema: &Schema, dictionary: Option<&Dictionary>) -> Result<Vec<usize>, PublishError> {
    let declared = dictionary.map(|dictionary| dictionary.sort_key.as_slice()).unwrap_or_default();
    if declared.is_empty() {
        let temporal = |data_type: &DataType| matches!(data_type, DataType::Date32 | DataType::Timestamp(..));
        let first = schema.fields().iter().position(|field| temporal(field.data_type()));
        return Ok(first.into_iter().collect());
    }
    let position = |name: &String| {
        let found = schema.fields().iter().position(|field| field.name() == name);
        found.ok_or_else(|| PublishError::UnknownSortColumn(name.clone()))
    };
    declared.iter().map(position).collect()
}
