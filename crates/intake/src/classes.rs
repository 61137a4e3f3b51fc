//! Classes of rows: those that agree in every quasi-identifier (ZIP code, year of birth, sex …), and whether one is so
//! small that it singles somebody out.
//!
//! ```text
//! rows that may be public ─▶ hash of the quasi-identifiers ─▶ sorted, spilled to disk ─▶ counts ─▶ findings, row verdicts
//! rows of the current version ─▶ the same ────────────────────┘
//! ```
//!
//! A class has at least k rows (k-anonymity: Sweeney 2002), two values of a sensitive column (l-diversity with l = 2:
//! Machanavajjhala 2007), and does not grow or shrink by fewer than k rows from one version to the next, since the
//! difference of two versions is a class as well. Classes are compared by 64-bit hashes in bounded memory; one bit a row
//! says which rows are to be suppressed.

use std::io;
use std::path::Path;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt64Array, new_null_array};
use arrow::compute::{filter_record_batch, take};
use arrow::row::{RowConverter, SortField};
use arrow_schema::{ArrowError, DataType, Schema};

use crate::dictionary::{ClassRules, SmallClasses, means_column};
use crate::profile::convert::count;
use crate::profile::hash;
use crate::runs::Runs;

mod report;

pub use report::ClassReport;

/// The number of rows of the current version.
const CURRENT: u64 = u64::MAX;

/// Why classes could not be counted: always a fault of ours.
#[derive(Debug, thiserror::Error)]
pub enum ClassError {
    /// The scratch directory could not be written or read.
    #[error("the counting of classes could not use the scratch directory")]
    Scratch(#[from] io::Error),
    /// A batch that is not of the schema.
    #[error("a batch does not have the columns of the table")]
    Batch(#[from] ArrowError),
}

/// The rules on classes, as they concern one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassPlan {
    /// The places of the quasi-identifiers among the columns that may be public.
    pub places: Vec<usize>,
    /// Their names.
    pub names: Vec<String>,
    /// The place of the sensitive column.
    pub sensitive: Option<usize>,
    /// Rows of a class at least.
    pub k: u64,
    /// What happens to rows of smaller ones.
    pub small: SmallClasses,
}

impl ClassPlan {
    /// The plan for tables of this schema; `k` where the rules say none.
    ///
    /// # Errors
    /// The name of a column that the table does not have.
    pub fn new(schema: &Schema, rules: &ClassRules, k: u64) -> Result<Self, String> {
        let place = |name: &String| {
            let found = schema.fields().iter().position(|field| means_column(name, field));
            found.ok_or_else(|| name.clone())
        };
        let places = rules.quasi_identifiers.iter().map(place).collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            names: places.iter().map(|place| schema.field(*place).name().clone()).collect(),
            places,
            sensitive: rules.sensitive.as_ref().map(place).transpose()?,
            k: rules.k.unwrap_or(k).max(2),
            small: rules.small,
        })
    }
}

/// Counts the classes of the rows of one table.
pub struct Classes {
    plan: ClassPlan,
    keys: RowConverter,
    types: Vec<DataType>,
    sensitive: Option<RowConverter>,
    runs: Runs,
    rows: u64,
    compares: bool,
}

/// Which rows are to be suppressed, and how.
pub struct Suppression {
    plan: ClassPlan,
    keys: RowConverter,
    /// One bit a row: it is of a small class.
    small: Vec<u64>,
    /// A class that goes with the small ones, which alone would be a small one themselves.
    with: Option<u64>,
}

impl Classes {
    /// For tables of this schema. Takes about `memory_bytes` of memory, and beyond it files in `scratch` that vanish with it.
    ///
    /// # Errors
    /// When the columns are of a type that has no order.
    pub fn new(plan: &ClassPlan, schema: &Schema, memory_bytes: u64, scratch: &Path) -> Result<Self, ClassError> {
        let converter = |places: &[usize]| {
            RowConverter::new(
                places.iter().map(|place| SortField::new(schema.field(*place).data_type().clone())).collect(),
            )
        };
        Ok(Self {
            keys: converter(&plan.places)?,
            types: plan.places.iter().map(|place| schema.field(*place).data_type().clone()).collect(),
            sensitive: plan.sensitive.map(|place| converter(&[place])).transpose()?,
            runs: Runs::new(usize::try_from(memory_bytes).unwrap_or(usize::MAX), scratch.to_owned()),
            plan: plan.clone(),
            rows: 0,
            compares: false,
        })
    }

    /// Adds rows; they are numbered from 1 in the order in which they come.
    ///
    /// # Errors
    /// When the scratch directory cannot be used, or the batch is not of the schema.
    pub fn push(&mut self, batch: &RecordBatch) -> Result<(), ClassError> {
        let classes = hashes(&self.keys, &columns(batch, &self.plan.places))?;
        let sensitive = match (&self.sensitive, self.plan.sensitive) {
            (Some(converter), Some(place)) => hashes(converter, &columns(batch, &[place]))?,
            _ => vec![0; classes.len()],
        };
        for (class, sensitive) in classes.into_iter().zip(sensitive) {
            self.rows += 1;
            self.runs.add([class, sensitive], self.rows)?;
        }
        Ok(())
    }

    /// Adds rows of the current version, to compare with: the quasi-identifiers alone, in the order of the plan.
    ///
    /// # Errors
    /// As [`Classes::push`].
    pub fn push_current(&mut self, batch: &RecordBatch) -> Result<(), ClassError> {
        self.compares = true;
        for class in hashes(&self.keys, batch.columns())? {
            self.runs.add([class, 0], CURRENT)?;
        }
        Ok(())
    }

    /// The counts.
    ///
    /// # Errors
    /// When the scratch directory cannot be used.
    pub fn finish(self) -> Result<ClassReport, ClassError> {
        let mut report = ClassReport::new(&self.plan, self.rows, self.compares);
        let mut open = Open::default();
        self.runs.for_each(|([class, sensitive], row)| {
            if open.class != Some(class) {
                report.add(&open);
                open = Open { class: Some(class), ..Open::default() };
            }
            open.add(sensitive, row, 0);
        })?;
        report.add(&open);
        Ok(report)
    }

    /// Which rows have to be suppressed so that no class is too small: not even the one that the suppressed rows make.
    ///
    /// # Errors
    /// When the scratch directory cannot be used.
    pub fn suppression(self) -> Result<Suppression, ClassError> {
        let Self { plan, keys, types, runs, rows, .. } = self;
        let nothing = nothing(&keys, &types)?;
        let (mut small, k) = (vec![0_u64; usize::try_from(rows / 64 + 1).unwrap_or(0)], plan.k);
        let (mut suppressed, mut least): (u64, Option<(u64, u64)>) = (0, None);
        let mut close = |open: &Open| {
            let Some(class) = open.class else { return };
            if open.rows >= k {
                if Some(class) == nothing {
                    suppressed += open.rows;
                } else if least.is_none_or(|(rows, _)| open.rows < rows) {
                    least = Some((open.rows, class));
                }
                return;
            }
            suppressed += open.rows;
            for row in &open.first {
                if let Some(word) = usize::try_from(row / 64).ok().and_then(|place| small.get_mut(place)) {
                    *word |= 1 << (row % 64);
                }
            }
        };
        let mut open = Open::default();
        runs.for_each(|([class, sensitive], row)| {
            if open.class != Some(class) {
                close(&open);
                open = Open { class: Some(class), ..Open::default() };
            }
            open.add(sensitive, row, k);
        })?;
        close(&open);
        let lonely = plan.small == SmallClasses::Suppress && (1..k).contains(&suppressed);
        let with = least.filter(|_| lonely).map(|(_, class)| class);
        Ok(Suppression { plan, keys, small, with })
    }
}

impl Suppression {
    /// The rows without what is suppressed; `first_row` is the number of the first of them.
    ///
    /// # Errors
    /// When the batch is not of the schema.
    pub fn apply(&self, batch: &RecordBatch, first_row: u64) -> Result<RecordBatch, ClassError> {
        let bit = |row: u64| {
            let word = usize::try_from(row / 64).ok().and_then(|place| self.small.get(place));
            word.is_some_and(|word| word >> (row % 64) & 1 == 1)
        };
        let mut hit: Vec<bool> = (first_row..).take(batch.num_rows()).map(bit).collect();
        if let Some(with) = self.with {
            for (hit, class) in hit.iter_mut().zip(hashes(&self.keys, &columns(batch, &self.plan.places))?) {
                *hit |= class == with;
            }
        }
        if !hit.contains(&true) {
            return Ok(batch.clone());
        }
        if self.plan.small == SmallClasses::DropRows {
            let keep: BooleanArray = hit.into_iter().map(|hit| Some(!hit)).collect();
            return Ok(filter_record_batch(batch, &keep)?);
        }
        let hit = BooleanArray::from(hit);
        let mut arrays = Vec::with_capacity(batch.num_columns());
        for (place, array) in batch.columns().iter().enumerate() {
            let is_quasi = self.plan.places.contains(&place);
            arrays.push(if is_quasi { emptied(array, &hit)? } else { ArrayRef::clone(array) });
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(batch.schema(), arrays, &options)?)
    }
}

/// The array with nulls where `hit` is true. A null keeps what it hides in the buffers of an array; a copy does not.
pub(crate) fn emptied(array: &ArrayRef, hit: &BooleanArray) -> Result<ArrayRef, ArrowError> {
    let kept = hit.iter().map(|hit| hit != Some(true));
    let places: UInt64Array = (0..count(array.len())).zip(kept).map(|(place, kept)| kept.then_some(place)).collect();
    take(array, &places, None)
}

/// A class while its rows come.
#[derive(Default)]
struct Open {
    class: Option<u64>,
    rows: u64,
    current: u64,
    last_sensitive: Option<u64>,
    sensitive: u64,
    /// The first rows, as many as were asked for.
    first: Vec<u64>,
}

impl Open {
    fn add(&mut self, sensitive: u64, row: u64, keep: u64) {
        if row == CURRENT {
            self.current += 1;
            return;
        }
        self.rows += 1;
        if self.last_sensitive != Some(sensitive) {
            self.sensitive += 1;
            self.last_sensitive = Some(sensitive);
        }
        if self.rows < keep {
            self.first.push(row);
        }
    }
}

fn columns(batch: &RecordBatch, places: &[usize]) -> Vec<ArrayRef> {
    places.iter().filter_map(|place| batch.columns().get(*place).cloned()).collect()
}

fn hashes(converter: &RowConverter, columns: &[ArrayRef]) -> Result<Vec<u64>, ArrowError> {
    let rows = converter.convert_columns(columns)?;
    Ok(rows.iter().map(|row| hash::of_bytes(row.as_ref(), 0)).collect())
}

/// The class of rows without any quasi-identifier.
fn nothing(keys: &RowConverter, types: &[DataType]) -> Result<Option<u64>, ArrowError> {
    let nulls: Vec<ArrayRef> = types.iter().map(|data_type| new_null_array(data_type, 1)).collect();
    Ok(hashes(keys, &nulls)?.first().copied())
}

#[cfg(test)]
mod tests;
