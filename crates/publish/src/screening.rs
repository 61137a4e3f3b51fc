//! The heavy half of screening: one file in, findings, profile and release-ready Parquet files out.

use std::path::Path;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use portico_intake::check::Checker;
use portico_intake::demographics::Demographics;
use portico_intake::dictionary::{Dictionary, Field as Said, Treatment, means_column};
use portico_intake::names::SOURCE_NAME_KEY;
use portico_intake::profile::Profiler;
use portico_intake::remedy::Remedies;
use portico_intake::screen::{RuleSet, Screener};
use portico_model::finding::{Finding, Severity};
use portico_model::limits::IntakeLimits;
use portico_model::profile::TableProfile;
use serde::{Deserialize, Serialize};

use crate::classes::Protection;
use crate::error::PublishError;
use crate::layout::{Layout, WrittenFile};
use crate::merge::{Current, Merge};
use crate::reader::Asked;
use crate::rows;
use crate::sort::Sorter;
use crate::transform::{self, Expressions, Transform};

/// Batches that wait to be screened while others are written, each of at most 16 MiB.
const BATCHES_AHEAD: usize = 1;
/// Stack of the thread that screens; nothing there recurses.
const SCREENING_STACK_BYTES: usize = 1024 * 1024;
/// Columns that an error lists.
const COLUMNS_LISTED: usize = 50;

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

/// How a file is screened.
pub(crate) struct How<'a> {
    pub(crate) asked: &'a Asked,
    pub(crate) limits: &'a IntakeLimits,
    pub(crate) rules: &'a RuleSet,
    pub(crate) expressions: Expressions,
}

/// Reads `file` twice, on the calling thread; writes into `scratch`, which the caller removes. Runs in a reader.
pub(crate) fn screen_file(
    file: &Path,
    how: &How<'_>,
    scratch: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<Screened, PublishError> {
    let How { asked, limits, rules, expressions } = *how;
    let current = Current::open(asked, scratch)?;
    let typed = current.as_ref().map(|current| current.typed(&asked.options));
    let options = typed.as_ref().unwrap_or(&asked.options);
    let dictionary = options.dictionary.as_ref();
    transform::check(dictionary, expressions, limits)?;
    let survey =
        portico_intake::survey(file, options, limits, scratch, &mut |bytes| progress(Progress::Reading(bytes)))?;
    let transforms = || Transform::new(&survey.schema, dictionary, expressions, limits);
    let mut transform = transforms()?;
    let columns = transform.schema();
    check_names(&columns, &options.named_columns)?;
    let kept = kept_columns(&columns, dictionary)?;
    let remedies = || Remedies::new(&columns, &kept, dictionary, rules, asked.key.as_ref());
    let mut applied = remedies()?;
    // Two sorts at most, which share half of the memory.
    let quarter = usize::try_from(limits.memory_bytes / 4).unwrap_or(usize::MAX);
    let mut merge = Merge::new(&applied.schema(), options, current, (quarter, scratch))?;
    let schema = merge.schema();
    let key = sort_key(&schema, dictionary)?;
    let mut protection = Protection::new(&schema, asked, limits, scratch)?;
    protection.prepare(&survey, (transforms()?, remedies()?))?;

    let mut figures = Figures::new(&schema, dictionary, limits, scratch);
    let screener = Screener::new(&schema, dictionary, rules);
    let changed = !transform.is_idle() || !applied.is_idle() || protection.suppresses();
    let mut sorter = Sorter::new(schema.clone(), ordering(&key, &schema, changed), quarter * 2, scratch);
    let mut layout = Layout::new(schema.clone(), &key, scratch)?;
    let (mut rows, mut read) = (0, 0);
    let mut merged = Vec::new();
    let screened = beside(screener, |screen| {
        let mut write = |batch: RecordBatch| layout.push(&batch);
        let mut take = |batch: RecordBatch| {
            let batch = protection.apply(batch)?;
            if batch.num_rows() > 0 {
                screen(batch.clone(), rows + 1)?;
                figures.push(&batch, rows + 1)?;
                rows += count(batch.num_rows());
                sorter.push(batch, &mut write)?;
            }
            Ok(())
        };
        merge.begin(&mut take)?;
        for batch in survey.batches()? {
            let batch = batch?;
            read += count(batch.num_rows());
            merge.push(applied.apply(transform.apply(batch)?)?, &mut take)?;
            progress(Progress::Writing(read, survey.rows));
        }
        merged = merge.finish(&mut take)?;
        sorter.finish(&mut write)
    })?;
    let (profile, figured) = figures.finish(rules)?;
    let mut findings = survey.findings;
    findings.extend(transform.finish());
    findings.extend(drops_nothing(&columns, dictionary));
    findings.extend(dropped(&columns, dictionary));
    findings.extend(applied.finish());
    findings.extend(merged);
    findings.extend(figured);
    findings.extend(screened);
    findings.extend(protection.finish(rules.classes())?);
    worst_first(&mut findings);
    let sort_key = key.iter().map(|&index| schema.field(index).name().clone()).collect();
    let files = layout.finish()?;
    let first = files.first().ok_or(PublishError::NothingLeft)?;
    let page = rows::Page { file: first.name.clone(), skip: 0, rows: limits.preview_rows };
    rows::write(&page, limits, scratch)?;
    Ok(Screened { schema, rows, findings, profile, sort_key, files })
}

/// What is counted of the rows that would be public, and checked.
struct Figures {
    profiler: Profiler,
    demographics: Demographics,
    checker: Option<Checker>,
}

impl Figures {
    fn new(schema: &Schema, dictionary: Option<&Dictionary>, limits: &IntakeLimits, scratch: &Path) -> Self {
        let left = dictionary.map(Dictionary::without_what_remedies_change);
        Self {
            profiler: Profiler::new(schema, limits.memory_bytes / 4),
            demographics: Demographics::new(schema, dictionary, limits.class_rows),
            checker: left.map(|said| Checker::new(schema, &said, limits.memory_bytes / 4, scratch)),
        }
    }

    fn push(&mut self, batch: &RecordBatch, first_row: u64) -> Result<(), PublishError> {
        self.profiler.push(batch);
        self.demographics.push(batch);
        match &mut self.checker {
            Some(checker) => Ok(checker.push(batch, first_row)?),
            None => Ok(()),
        }
    }

    fn finish(self, rules: &RuleSet) -> Result<(TableProfile, Vec<Finding>), PublishError> {
        let mut profile = self.profiler.finish();
        let mut findings = self.checker.map(Checker::finish).transpose()?.unwrap_or_default();
        findings.extend(self.demographics.finish(&mut profile, rules.classes()));
        Ok((profile, findings))
    }
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}

/// What rows are sorted by. The order of the file would tell what a remedy has taken away: who comes before whom by name
/// or by date of birth. So rows that remedies changed are put into an order that what is released makes alone.
fn ordering(key: &[usize], schema: &Schema, changed: bool) -> Vec<usize> {
    let others = (0..schema.fields().len()).filter(|place| changed && !key.contains(place));
    key.iter().copied().chain(others).collect()
}

/// Screens on a thread of its own what `work` hands over, with the number of its first row: profiling and writing take as
/// long. A few batches may wait, and no more.
fn beside(
    mut screener: Screener,
    work: impl FnOnce(&mut dyn FnMut(RecordBatch, u64) -> Result<(), PublishError>) -> Result<(), PublishError>,
) -> Result<Vec<Finding>, PublishError> {
    let broken = || PublishError::Write("the screening broke down".into());
    let (hand_over, handed) = std::sync::mpsc::sync_channel::<(RecordBatch, u64)>(BATCHES_AHEAD);
    std::thread::scope(|scope| {
        let screening =
            std::thread::Builder::new().stack_size(SCREENING_STACK_BYTES).spawn_scoped(scope, move || {
                for (batch, first_row) in handed {
                    screener.push(&batch, first_row);
                }
                screener.finish()
            })?;
        let worked = work(&mut |batch, first_row| hand_over.send((batch, first_row)).map_err(|_| broken()));
        drop(hand_over);
        let findings = screening.join().map_err(|_| broken())?;
        worked.map(|()| findings)
    })
}

fn kept_columns(schema: &Schema, dictionary: Option<&Dictionary>) -> Result<Vec<usize>, PublishError> {
    let kept: Vec<usize> =
        (0..schema.fields().len()).filter(|&index| !is_dropped(schema.field(index), dictionary)).collect();
    if kept.is_empty() { Err(PublishError::NothingLeft) } else { Ok(kept) }
}

/// The order in which findings are shown.
pub(crate) fn worst_first(findings: &mut [Finding]) {
    findings.sort_by(|left, right| right.severity.cmp(&left.severity).then_with(|| left.rule.cmp(&right.rule)));
}

/// A column that somebody names by hand and misspells would be released as if nothing had been said of it.
fn check_names(schema: &Schema, named: &[String]) -> Result<(), PublishError> {
    let known = |name: &String| schema.fields().iter().any(|field| means_column(name, field));
    match named.iter().find(|name| !known(name)) {
        None => Ok(()),
        Some(name) => Err(PublishError::UnknownColumn { name: name.clone(), columns: listed(schema) }),
    }
}

/// The columns as the file names them, the first of them if there are many.
fn listed(schema: &Schema) -> String {
    let name = |field: &Arc<Field>| {
        let source = field.metadata().get(SOURCE_NAME_KEY).filter(|source| !source.is_empty());
        source.unwrap_or(field.name()).clone()
    };
    let shown = schema.fields().iter().take(COLUMNS_LISTED).map(name).collect::<Vec<_>>().join(", ");
    match schema.fields().len().saturating_sub(COLUMNS_LISTED) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Fields of a dictionary that drop a column which the file does not have. If the name is wrong, the column that was
/// meant is on its way out.
fn drops_nothing(schema: &Schema, dictionary: Option<&Dictionary>) -> Vec<Finding> {
    let fields = dictionary.map(|dictionary| dictionary.fields.as_slice()).unwrap_or_default();
    let meant = |field: &Said| {
        let renamed = |column: &Arc<Field>| field.rename.as_ref() == Some(column.name());
        schema.fields().iter().any(|column| means_column(&field.name, column) || renamed(column))
    };
    let lost = fields.iter().filter(|field| matches!(field.treatment, Treatment::Drop { .. }) && !meant(field));
    lost.map(|field| {
        let message = format!(
            "The data dictionary drops a column {:?}, and the file has no such column: correct the name, or take the field \
             out of the dictionary.",
            field.name
        );
        Finding::on_file("drop_without_column", Severity::Blocking, message)
    })
    .collect()
}

fn is_dropped(field: &Field, dictionary: Option<&Dictionary>) -> bool {
    dictionary.is_some_and(|dictionary| dictionary.drops(field))
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

#[cfg(test)]
mod tests {
    use super::*;
    use portico_intake::options::ReadOptions;

    fn screen(options: ReadOptions) -> Result<Screened, PublishError> {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("source");
        std::fs::write(&file, "Id,Owner Code,Amount\n1,secret,2.5\n").unwrap();
        let asked = ReadOptions { file_name: "owners.csv".to_owned(), ..options }.into();
        let (limits, rules) = (IntakeLimits::default(), RuleSet::default());
        let how = How { asked: &asked, limits: &limits, rules: &rules, expressions: Expressions::none() };
        screen_file(&file, &how, scratch.path(), &mut |_| ())
    }

    fn dropping(names: &[&str]) -> Dictionary {
        let field = |name: &&str| {
            let treatment = Treatment::Drop { reason: "restricted".to_owned() };
            Said { treatment, ..Said::named(name) }
        };
        Dictionary { fields: names.iter().map(field).collect(), ..Dictionary::default() }
    }

    fn columns(screened: &Screened) -> Vec<&str> {
        screened.schema.fields().iter().map(|field| field.name().as_str()).collect()
    }

    #[test]
    fn a_column_named_by_hand_must_be_there() {
        for name in ["Owner Cod", "code", ""] {
            let named_columns = vec![name.to_owned()];
            let options = ReadOptions { dictionary: Some(dropping(&[name])), named_columns, ..ReadOptions::default() };
            let error = screen(options).unwrap_err();
            assert_eq!(error.kind(), portico_model::problem::ProblemKind::InvalidRequest);
            assert!(error.to_string().ends_with("its columns are Id, Owner Code, Amount"), "{error}");
        }
        for name in ["Owner Code", "owner_code", "OWNER-CODE "] {
            let named_columns = vec![name.to_owned()];
            let options = ReadOptions { dictionary: Some(dropping(&[name])), named_columns, ..ReadOptions::default() };
            assert_eq!(columns(&screen(options).unwrap()), ["id", "amount"], "{name}");
        }
    }

    #[test]
    fn a_dictionary_that_drops_what_is_not_there_blocks() {
        let screened =
            screen(ReadOptions { dictionary: Some(dropping(&["Owner Cod"])), ..ReadOptions::default() }).unwrap();
        let first = screened.findings.first().unwrap();
        assert_eq!((first.rule.as_str(), first.blocks()), ("drop_without_column", true));
    }

    #[test]
    fn one_of_several_fields_that_drops_is_enough() {
        let mut dictionary = dropping(&["owner_code"]);
        dictionary.fields.insert(0, Said::named("Owner Code"));
        let screened = screen(ReadOptions { dictionary: Some(dictionary), ..ReadOptions::default() }).unwrap();
        assert_eq!(columns(&screened), ["id", "amount"]);
    }
}
