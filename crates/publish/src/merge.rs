//! Files that go on from the current version: their rows come after its rows, or take the place of those with the same key.
//!
//! ```text
//! append           the current rows, then the file's
//! with a key       both, sorted by key ─▶ of each key the file's row, or else the current one
//! ```
//!
//! What comes out is all rows of the next version, and is screened as such. Rows are sorted outside memory and compared
//! with their neighbours: however many there are, a batch of them is held. What contradicts itself blocks the release, and
//! is never decided here: a key that comes twice, is empty, or is there already where rows are only to be added.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, BooleanArray, Float64Array, Int64Array, RecordBatch, new_null_array,
};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field as Column, Float64Type, Int64Type, Schema, SchemaRef};
use arrow_row::{OwnedRow, RowConverter, SortField};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use portico_intake::dictionary::{Dictionary, Field, FieldType, means_column};
use portico_intake::options::{Mode, ReadOptions};
use portico_model::finding::{FINDING_ROWS_MAX, Finding, Severity};

use crate::error::PublishError;
use crate::inherited::SUPPRESSED;
use crate::reader::Asked;
use crate::sort::Sorter;

/// The place of rows of the current version: after any row of the file with the same key.
const CURRENT: i64 = i64::MAX;
/// Rows that are read from the current version at a time.
const BATCH_ROWS: usize = 8_192;

/// Takes rows of the next version.
type Emit<'a> = &'a mut dyn FnMut(RecordBatch) -> Result<(), PublishError>;

/// The current version's files, as far as a file goes on from them.
pub(crate) struct Current {
    files: Vec<PathBuf>,
    schema: SchemaRef,
}

impl Current {
    /// The files that lie in `scratch`; nothing where the file replaces them or there are none.
    pub(crate) fn open(asked: &Asked, scratch: &Path) -> Result<Option<Self>, PublishError> {
        let files: Vec<PathBuf> = asked.current.iter().map(|name| scratch.join(name)).collect();
        let Some(first) = files.first().filter(|_| !asked.options.mode.replaces()) else { return Ok(None) };
        let schema = ParquetRecordBatchReaderBuilder::try_new(File::open(first)?)?.schema().clone();
        Ok(Some(Self { files, schema }))
    }

    /// Options by which columns of text and of numbers have the types that they have already: from a few rows they would
    /// be taken for something narrower. What the dictionary says of a column goes before it.
    pub(crate) fn typed(&self, options: &ReadOptions) -> ReadOptions {
        let mut dictionary = options.dictionary.clone().unwrap_or_default();
        for column in self.schema.fields() {
            let data_type = match column.data_type() {
                DataType::Utf8 => FieldType::Text,
                DataType::Float64 => FieldType::Number,
                DataType::Decimal128(precision, scale) => match u8::try_from(*scale) {
                    Ok(scale) => FieldType::Decimal { precision: *precision, scale },
                    Err(_) => continue,
                },
                _ => continue,
            };
            type_column(&mut dictionary, column, data_type);
        }
        ReadOptions { dictionary: Some(dictionary), ..options.clone() }
    }
}

/// Says the type of a column that nothing is said of, and that no remedy makes something else of.
fn type_column(dictionary: &mut Dictionary, column: &Column, data_type: FieldType) {
    match dictionary.fields.iter_mut().find(|field| means_column(&field.name, column)) {
        Some(field) if field.remedy.is_none() && field.format.is_none() && !field.is_made() => {
            field.data_type = field.data_type.or(Some(data_type));
        }
        Some(_) => {}
        None => dictionary.fields.push(Field { data_type: Some(data_type), ..Field::named(column.name()) }),
    }
}

/// One file on its way into the next version.
pub(crate) struct Merge {
    schema: SchemaRef,
    files: Vec<PathBuf>,
    way: Way,
    /// Rows of the file, and of the current version, that have passed.
    rows: (u64, u64),
    /// For each column how many of the file's values are of another type than it has.
    strangers: Vec<u64>,
    findings: Vec<Finding>,
}

enum Way {
    /// The file's rows are all that there is.
    Alone,
    /// The file's rows come after the current ones.
    After,
    Keyed(Box<Keyed>),
}

impl Merge {
    /// Rows of `schema`, as they come from the file. Holds about `memory_bytes` at most; more is spilled to `scratch`.
    pub(crate) fn new(
        schema: &SchemaRef,
        options: &ReadOptions,
        current: Option<Current>,
        (memory_bytes, scratch): (usize, &Path),
    ) -> Result<Self, PublishError> {
        let strangers = vec![0; schema.fields().len()];
        let (schema, rows, findings) = (schema.clone(), (0, 0), Vec::new());
        let alone = Self { schema, files: Vec::new(), way: Way::Alone, rows, strangers, findings };
        if options.mode.replaces() {
            return Ok(alone);
        }
        let suppresses = |dictionary: &&Dictionary| dictionary.classes.is_some() || dictionary.counts.is_some();
        if options.dictionary.as_ref().filter(suppresses).is_some() {
            return Ok(alone.refused("merge_suppressed", SUPPRESSED.to_owned()));
        }
        let (schema, files) = match current {
            None => (alone.schema.clone(), Vec::new()),
            Some(current) => match in_types_of(&alone.schema, &current.schema) {
                Ok(schema) => (schema, current.files),
                Err(message) => return Ok(alone.refused("merge_columns", message)),
            },
        };
        let mut key = Vec::new();
        for name in options.merge_key() {
            match schema.index_of(name) {
                Ok(place) => key.push(place),
                Err(_) => {
                    let message = format!("The key names {name:?}, and no column of that name would be released.");
                    return Ok(alone.refused("merge_key", message));
                }
            }
        }
        let way = match (options.mode, key.is_empty()) {
            (Mode::Upsert, true) => {
                let message = "Rows are to take the place of others, and nothing says by which key: name its columns.";
                return Ok(alone.refused("merge_key", message.to_owned()));
            }
            (_, true) => Way::After,
            (mode, false) => Way::Keyed(Box::new(Keyed::new(&schema, key, mode, (memory_bytes, scratch))?)),
        };
        Ok(Self { schema, files, way, ..alone })
    }

    fn refused(mut self, rule: &str, message: String) -> Self {
        self.findings.push(Finding::on_file(rule, Severity::Blocking, message));
        self
    }

    /// The columns of the next version.
    pub(crate) fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Before the file's first row.
    pub(crate) fn begin(&mut self, emit: Emit<'_>) -> Result<(), PublishError> {
        if !matches!(self.way, Way::After) {
            return Ok(());
        }
        for file in std::mem::take(&mut self.files) {
            for batch in rows_of(&file, &self.schema)? {
                let batch = batch?;
                self.rows.1 += count(batch.num_rows());
                emit(batch)?;
            }
        }
        Ok(())
    }

    /// Rows of the file.
    pub(crate) fn push(&mut self, batch: RecordBatch, emit: Emit<'_>) -> Result<(), PublishError> {
        let first_row = self.rows.0 + 1;
        self.rows.0 += count(batch.num_rows());
        let batch = if matches!(self.way, Way::Alone) { batch } else { self.align(&batch)? };
        match &mut self.way {
            Way::Alone | Way::After => emit(batch),
            Way::Keyed(keyed) => {
                let places = (first_row..).take(batch.num_rows()).map(|row| i64::try_from(row).unwrap_or(CURRENT - 1));
                keyed.push(&batch, places.collect())
            }
        }
    }

    /// After the file's last row.
    pub(crate) fn finish(mut self, emit: Emit<'_>) -> Result<Vec<Finding>, PublishError> {
        for (column, strangers) in self.schema.fields().iter().zip(&self.strangers).filter(|(_, count)| **count > 0) {
            let message = "The values are of another type than the column has in the current version: correct them, or \
                           replace all rows.";
            let finding =
                Finding::on_column("merge_type", Severity::Blocking, column.name(), *strangers, Vec::new(), message);
            self.findings.push(finding);
        }
        let (mut replaced, mut kept) = (0, self.rows.1);
        match self.way {
            Way::Alone => return Ok(self.findings),
            Way::After => {}
            Way::Keyed(mut keyed) => {
                for file in &self.files {
                    for batch in rows_of(file, &self.schema)? {
                        let batch = batch?;
                        keyed.push(&batch, vec![CURRENT; batch.num_rows()])?;
                        kept += count(batch.num_rows());
                    }
                }
                let judged = keyed.finish(emit)?;
                replaced = judged.replaced;
                kept = kept.saturating_sub(replaced);
                self.findings.extend(judged.findings(&self.schema));
            }
        }
        let message = format!(
            "The file has {} rows: {replaced} take the place of rows of the current version, of which {kept} stay as they \
             are.",
            self.rows.0
        );
        self.findings.push(Finding::on_file("merged", Severity::Info, message));
        Ok(self.findings)
    }

    /// The file's columns in the types of the current version. A column without a value fits any.
    fn align(&mut self, batch: &RecordBatch) -> Result<RecordBatch, PublishError> {
        let mut columns = Vec::with_capacity(batch.num_columns());
        for ((column, field), strangers) in batch.columns().iter().zip(self.schema.fields()).zip(&mut self.strangers) {
            if column.data_type() == field.data_type() {
                columns.push(column.clone());
                continue;
            }
            *strangers += count(column.len() - column.null_count());
            columns.push(new_null_array(field.data_type(), column.len()));
        }
        Ok(RecordBatch::try_new(self.schema.clone(), columns)?)
    }
}

/// Rows with a key, on their way through the sort.
struct Keyed {
    key: Vec<usize>,
    /// Where in `wide` the key is as it is compared.
    compared: Vec<usize>,
    mode: Mode,
    sorter: Sorter,
    /// The columns; the same with the place of the row, and with the columns of the key that are compared otherwise than
    /// they are written.
    narrow: SchemaRef,
    wide: SchemaRef,
    judge: Judge,
}

impl Keyed {
    fn new(
        schema: &SchemaRef,
        key: Vec<usize>,
        mode: Mode,
        (memory_bytes, scratch): (usize, &Path),
    ) -> Result<Self, PublishError> {
        let scratch = scratch.join("merge");
        std::fs::create_dir_all(&scratch)?;
        let mut columns: Vec<Arc<Column>> = schema.fields().iter().cloned().collect();
        let place = columns.len();
        columns.push(Arc::new(Column::new("", DataType::Int64, false)));
        let mut compared = Vec::with_capacity(key.len());
        for &column in &key {
            if schema.field(column).data_type() == &DataType::Float64 {
                compared.push(columns.len());
                columns.push(Arc::new(schema.field(column).clone().with_name("").with_nullable(true)));
            } else {
                compared.push(column);
            }
        }
        let wide = Arc::new(Schema::new(columns));
        let order = compared.iter().copied().chain([place]).collect();
        let sorter = Sorter::new(wide.clone(), order, memory_bytes, &scratch);
        let kinds = key.iter().map(|&place| SortField::new(schema.field(place).data_type().clone())).collect();
        let judge = Judge { converter: RowConverter::new(kinds)?, last: None, judged: Judged::default() };
        Ok(Self { key, compared, mode, sorter, narrow: schema.clone(), wide, judge })
    }

    fn push(&mut self, batch: &RecordBatch, places: Vec<i64>) -> Result<(), PublishError> {
        let place: ArrayRef = Arc::new(Int64Array::from(places));
        let numbers = self.key.iter().filter_map(|&column| Some(one_of_each(batch.column(column).as_primitive_opt()?)));
        let columns = batch.columns().iter().cloned().chain([place]).chain(numbers).collect();
        let batch = RecordBatch::try_new(self.wide.clone(), columns)?;
        // There is a key: nothing comes out before the end.
        self.sorter.push(batch, &mut |_| Ok::<(), PublishError>(()))
    }

    fn finish(self, emit: Emit<'_>) -> Result<Judged, PublishError> {
        let Self { key, compared, mode, sorter, mut judge, narrow, .. } = self;
        let place = narrow.fields().len();
        sorter.finish(&mut |batch: RecordBatch| {
            let kept = judge.judge(&batch, (&compared, place), mode)?;
            let batch = filter_record_batch(&batch, &kept)?;
            let columns = batch.columns().iter().take(narrow.fields().len()).cloned().collect();
            emit(RecordBatch::try_new(narrow.clone(), columns)?)
        })?;
        Ok(Judged { key, ..judge.judged })
    }
}

/// Looks at rows in the order of their keys, one after the other.
struct Judge {
    converter: RowConverter,
    last: Option<Last>,
    judged: Judged,
}

/// The key that was seen last.
struct Last {
    key: OwnedRow,
    /// Whether the file has it, and whether the current version has it.
    of: (bool, bool),
}

/// What was seen of the keys.
#[derive(Default)]
struct Judged {
    key: Vec<usize>,
    /// Rows of the current version that the file has.
    replaced: u64,
    /// Rows of the file: with a key that came before in it; without a value in the key.
    repeated: (u64, Vec<u64>),
    empty: (u64, Vec<u64>),
    /// Rows that were to be added and are there.
    taken: u64,
    /// Rows of the current version that have a key with another one.
    ambiguous: u64,
}

impl Judge {
    /// Which rows are kept.
    fn judge(
        &mut self,
        batch: &RecordBatch,
        (key, place): (&[usize], usize),
        mode: Mode,
    ) -> Result<BooleanArray, PublishError> {
        let columns: Vec<ArrayRef> = key.iter().map(|&place| batch.column(place).clone()).collect();
        let rows = self.converter.convert_columns(&columns)?;
        let places = batch.column(place).as_primitive::<Int64Type>().values().clone();
        let mut kept = Vec::with_capacity(batch.num_rows());
        for (number, (row, place)) in rows.iter().zip(places.iter().copied()).enumerate() {
            let in_file = place != CURRENT;
            if columns.iter().any(|column| column.is_null(number)) {
                // It is known by nothing: there it stays, and the file may not bring it.
                if in_file {
                    seen(&mut self.judged.empty, place);
                }
                kept.push(true);
                continue;
            }
            let Some(last) = self.last.as_mut().filter(|last| last.key.row() == row) else {
                self.last = Some(Last { key: row.owned(), of: (in_file, !in_file) });
                kept.push(true);
                continue;
            };
            match last.of {
                _ if in_file => seen(&mut self.judged.repeated, place),
                (_, true) => self.judged.ambiguous += 1,
                _ if mode == Mode::Append => self.judged.taken += 1,
                _ => self.judged.replaced += 1,
            }
            last.of.1 |= !in_file;
            kept.push(!last.of.0);
        }
        Ok(BooleanArray::from(kept))
    }
}

/// Numbers as a key compares them: there is one zero, and one that is no number.
fn one_of_each(numbers: &Float64Array) -> ArrayRef {
    let one = |number: f64| if number.is_nan() { f64::NAN } else { number + 0.0 };
    Arc::new(numbers.unary::<_, Float64Type>(one))
}

fn seen((count, rows): &mut (u64, Vec<u64>), place: i64) {
    *count += 1;
    if rows.len() < FINDING_ROWS_MAX {
        rows.push(u64::try_from(place).unwrap_or(0));
    }
}

impl Judged {
    fn findings(self, schema: &Schema) -> Vec<Finding> {
        let column = self.key.first().map(|&place| schema.field(place).name().clone()).unwrap_or_default();
        let names: Vec<&str> = self.key.iter().map(|&place| schema.field(place).name().as_str()).collect();
        let key = names.join(", ");
        let finding = |rule: &str, (count, mut rows): (u64, Vec<u64>), message: String| {
            rows.sort_unstable();
            (count > 0).then(|| Finding::on_column(rule, Severity::Blocking, &column, count, rows, message))
        };
        let repeated = format!("The file has rows with a key ({key}) that came before in it: which one holds?");
        let empty = format!("The file has rows without a value in the key ({key}).");
        let taken = format!(
            "Rows of the current version have the key ({key}) of rows that are to be added: to replace them, the mode is \
             upsert."
        );
        let ambiguous =
            format!("The current version has rows that share a key ({key}): it does not tell its rows apart.");
        [
            finding("merge_key_repeated", self.repeated, repeated),
            finding("merge_key_empty", self.empty, empty),
            finding("merge_key_taken", (self.taken, Vec::new()), taken),
            finding("merge_key_ambiguous", (self.ambiguous, Vec::new()), ambiguous),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// The columns of a file, in its order, with the types of the current version; or what of them does not agree.
fn in_types_of(file: &Schema, current: &Schema) -> Result<SchemaRef, String> {
    let lacks = |of: &Schema, in_: &Schema| {
        of.fields().iter().find(|column| in_.index_of(column.name()).is_err()).map(|column| column.name().clone())
    };
    if let Some(name) = lacks(current, file) {
        return Err(format!(
            "The file does not have the column {name} of the current version: add it, or replace all rows."
        ));
    }
    if let Some(name) = lacks(file, current) {
        return Err(format!("The current version does not have the column {name}: leave it out, or replace all rows."));
    }
    let typed = |column: &Arc<Column>| {
        let data_type = current.field_with_name(column.name()).map(|known| known.data_type().clone());
        let data_type = data_type.unwrap_or_else(|_| column.data_type().clone());
        column.as_ref().clone().with_data_type(data_type).with_nullable(true)
    };
    let columns: Vec<Column> = file.fields().iter().map(typed).collect();
    Ok(Arc::new(Schema::new_with_metadata(columns, file.metadata().clone())))
}

/// The rows of a file of the current version, with the columns in the order of `schema`.
fn rows_of(
    file: &Path,
    schema: &SchemaRef,
) -> Result<impl Iterator<Item = Result<RecordBatch, PublishError>> + use<>, PublishError> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(file)?)?.with_batch_size(BATCH_ROWS).build()?;
    let schema = schema.clone();
    Ok(reader.map(move |batch| {
        let batch = batch?;
        let column = |column: &Arc<Column>| {
            let found = batch.column_by_name(column.name()).cloned();
            found.unwrap_or_else(|| new_null_array(column.data_type(), batch.num_rows()))
        };
        Ok(RecordBatch::try_new(schema.clone(), schema.fields().iter().map(column).collect())?)
    }))
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(0)
}

#[cfg(test)]
mod tests;
