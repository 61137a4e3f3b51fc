//! Columns of text formats: what the first pass keeps of each, and what the second does with its cells.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use portico_model::finding::{FINDING_ROWS_MAX, Finding, Severity};

use crate::cell::{Cell, Kind, Tally};
use crate::declared::{Declared, Dressing, Nulls};
use crate::infer::Column;
use crate::infer::number::{Shape, shape};
use crate::names::{Published, SOURCE_NAME_KEY, is_identifier, published};
use crate::options::ReadOptions;
use crate::reading::Reading;

/// The field metadata that tells a geometry from other bytes.
const EXTENSION_NAME_KEY: &str = "ARROW:extension:name";
const EXTENSION_WKB: &str = "geoarrow.wkb";

/// How the second pass reads one column.
#[derive(Clone, Debug)]
pub(super) struct ColumnPlan {
    /// The cell of the row.
    pub(super) cell: usize,
    pub(super) reading: Reading,
    pub(super) nulls: Nulls,
    /// For numbers that the data dictionary says are dressed.
    pub(super) dressing: Option<Dressing>,
}

/// A column in the first pass.
pub(super) struct Observed {
    pub(super) nulls: Nulls,
    typing: Typing,
}

enum Typing {
    Inferred(Box<Column>, Option<Dressing>, Vec<u8>),
    Declared(Arc<Declared>, Tally),
}

impl Observed {
    pub(super) fn new(source: &str, options: &ReadOptions) -> Self {
        let dictionary = options.dictionary.as_ref();
        let field = dictionary.and_then(|dictionary| dictionary.field(source));
        let typing = match field.and_then(Declared::of) {
            Some(declared) => Typing::Declared(Arc::new(declared), Tally::default()),
            None => Typing::Inferred(Box::new(Column::new()), field.and_then(Dressing::of), Vec::new()),
        };
        Self { nulls: Nulls::new(&options.null_values, dictionary, field), typing }
    }

    /// Takes a value that is not null.
    pub(super) fn observe(&mut self, cell: Cell<'_>, row: u64) {
        match &mut self.typing {
            Typing::Inferred(column, None, _) => column.observe(cell, row),
            Typing::Inferred(column, Some(dressing), scratch) => {
                let bytes = dressing.undress(cell.bytes, scratch).filter(|bytes| is_bare(bytes)).unwrap_or(cell.bytes);
                column.observe(Cell { bytes, kind: Kind::Bare }, row);
            }
            Typing::Declared(declared, violations) => {
                if declared.value(cell).is_none() {
                    violations.add(row);
                }
            }
        }
    }
}

fn is_bare(bytes: &[u8]) -> bool {
    matches!(shape(bytes), Shape::Integer { .. } | Shape::Decimal { .. } | Shape::Exponent)
}

/// Decides the types. `geometry`: the column that holds geometries, whatever its cells say; it goes last.
pub(super) fn decide(
    observed: Vec<Observed>,
    sources: &[String],
    options: &ReadOptions,
    geometry: Option<usize>,
) -> (SchemaRef, Arc<[ColumnPlan]>, Vec<Finding>) {
    let names = published_names(sources, options);
    let mut findings = Vec::new();
    let mut columns = Vec::new();
    for (cell, ((observed, source), name)) in observed.into_iter().zip(sources).zip(&names).enumerate() {
        if name.renamed {
            findings.push(renamed(&name.name));
        }
        let identifier = is_identifier(source) || is_identifier(&name.name);
        let (mut reading, dressing) = match observed.typing {
            Typing::Inferred(column, dressing, _) => {
                let outcome = column.decide(identifier);
                let notes = outcome.notes.into_iter();
                findings.extend(notes.map(|note| {
                    Finding::on_column(
                        note.rule,
                        note.severity,
                        &name.name,
                        note.tally.count,
                        note.tally.rows,
                        note.message,
                    )
                }));
                let dressing = dressing.filter(|_| outcome.reading.is_number());
                (outcome.reading, dressing)
            }
            Typing::Declared(declared, violations) => {
                findings.extend(type_violation(&name.name, &declared, &violations));
                (Reading::Declared(declared), None)
            }
        };
        if geometry == Some(cell) && reading == Reading::Text {
            reading = Reading::Wkb;
        }
        let is_geometry = match &reading {
            Reading::Declared(declared) => declared.is_geometry(),
            other => *other == Reading::Wkb,
        };
        let field = field(&name.name, source, reading.data_type(), is_geometry);
        columns.push((geometry == Some(cell), field, ColumnPlan { cell, reading, nulls: observed.nulls, dressing }));
    }
    columns.sort_by_key(|(last, ..)| *last);
    let (fields, plans): (Vec<_>, Vec<_>) = columns.into_iter().map(|(_, field, plan)| (field, plan)).unzip();
    (Arc::new(Schema::new(fields)), plans.into(), findings)
}

/// The names that the columns are published under.
pub(super) fn published_names(sources: &[String], options: &ReadOptions) -> Vec<Published> {
    published(sources, |source| {
        options.dictionary.as_ref().and_then(|dictionary| dictionary.field(source)?.rename.as_deref())
    })
}

/// The finding on a name that people would not find by themselves.
pub(super) fn renamed(name: &str) -> Finding {
    let message = "the column's name in the file is empty, taken, or no plain name; it is published under this one";
    Finding::on_column("column_renamed", Severity::Info, name, 1, Vec::new(), message)
}

/// The finding on values that are not of the declared type.
pub(super) fn type_violation(name: &str, declared: &Declared, violations: &Tally) -> Option<Finding> {
    if violations.is_empty() {
        return None;
    }
    let mut rows = violations.rows.clone();
    rows.truncate(FINDING_ROWS_MAX);
    let message =
        format!("values are not of the declared type {}; correct them or the data dictionary", declared.type_name());
    Some(Finding::on_column("type_violation", Severity::Blocking, name, violations.count, rows, message))
}

/// A field of the published schema.
pub(super) fn field(name: &str, source: &str, data_type: DataType, geometry: bool) -> Field {
    let mut metadata = HashMap::from([(SOURCE_NAME_KEY.to_owned(), source.to_owned())]);
    if geometry {
        metadata.insert(EXTENSION_NAME_KEY.to_owned(), EXTENSION_WKB.to_owned());
    }
    Field::new(name, data_type, true).with_metadata(metadata)
}
