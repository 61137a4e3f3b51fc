//! Our own tables about the published datasets: `information_schema.schemata`, `tables` and `columns`.
//!
//! They hold what the caller may read and nothing else: current released versions, no paths, no settings. They are
//! made only for a statement that names them, and travel to the worker within the order.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow_schema::{DataType, Field, TimeUnit};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt, TryStreamExt};
use portico_encode::type_name;
use portico_model::dataset::DatasetMetadata;
use portico_model::order::VirtualTable;
use portico_model::policy::{Decision, Principal};
use portico_model::problem::{Problem, ProblemKind};
use portico_store::{DatasetFilter, DatasetRecord, Store, VersionRecord};

use crate::gate::{CATALOG, Gated, INFORMATION_SCHEMA, InformationTable, SCHEMA};
use crate::resolve;
use crate::runner::store_problem;

/// Datasets read from the catalog at once.
const PAGE: u64 = 500;
/// Versions looked up at the same time.
const LOOKUPS: usize = 8;
/// Datasets that the tables list; beyond it the search of the catalog is the better tool.
const DATASETS_MAX: u64 = 20_000;
/// Columns that the table of columns lists.
const COLUMNS_MAX: usize = 500_000;
/// Bytes of one table on its way to the worker.
const TABLE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A dataset that the caller may read, with its current version.
struct Listed {
    metadata: DatasetMetadata,
    version: VersionRecord,
}

/// Makes the tables that a statement names. `described` is the version of DESCRIBE.
///
/// # Errors
/// `Unavailable` when the catalog does not answer, `QueryTooComplex` when there is more than these tables list.
pub(crate) async fn tables(
    store: &Store,
    gated: &Gated,
    described: Option<&VersionRecord>,
    principal: &Principal,
    now_ms: i64,
) -> Result<Vec<VirtualTable>, Problem> {
    let wanted = |table: &InformationTable| gated.information.contains(table);
    let listed = match described {
        Some(version) => vec![described_dataset(store, version).await?],
        None if wanted(&InformationTable::Tables) || wanted(&InformationTable::Columns) => {
            published(store, principal, now_ms).await?
        }
        None => Vec::new(),
    };
    gated.information.iter().map(|table| virtual_table(*table, &listed)).collect()
}

async fn described_dataset(store: &Store, version: &VersionRecord) -> Result<Listed, Problem> {
    let name = &version.version.dataset;
    let record = store.catalog.dataset(name).await.map_err(|error| store_problem(&error))?;
    let metadata = record.map_or_else(|| DatasetMetadata::named(name.clone()), |record| record.metadata);
    Ok(Listed { metadata, version: version.clone() })
}

/// Everything that the caller may read, by name.
async fn published(store: &Store, principal: &Principal, now_ms: i64) -> Result<Vec<Listed>, Problem> {
    let mut listed = Vec::new();
    let mut filter = DatasetFilter { limit: PAGE, ..DatasetFilter::default() };
    loop {
        let (page, total) = store.catalog.datasets(&filter).await.map_err(|error| store_problem(&error))?;
        if total > DATASETS_MAX {
            return Err(too_much("datasets", total, DATASETS_MAX));
        }
        let got = u64::try_from(page.len()).unwrap_or(PAGE);
        let lookups = page.into_iter().map(|record| current(store, record, principal, now_ms));
        let found: Vec<Option<Listed>> = futures::stream::iter(lookups).buffered(LOOKUPS).try_collect().await?;
        listed.extend(found.into_iter().flatten());
        filter.offset = filter.offset.saturating_add(got);
        if got < PAGE {
            return Ok(listed);
        }
    }
}

async fn current(
    store: &Store,
    record: DatasetRecord,
    principal: &Principal,
    now_ms: i64,
) -> Result<Option<Listed>, Problem> {
    let name = &record.metadata.name;
    let version = store.catalog.current_version(name).await.map_err(|error| store_problem(&error))?;
    Ok(match (resolve::grant(name, version.as_ref(), principal, now_ms), version) {
        (Decision::Granted(_), Some(version)) => Some(Listed { metadata: record.metadata, version }),
        (Decision::Granted(_), None) | (Decision::Denied(_) | Decision::Hidden | Decision::Withdrawn, _) => None,
    })
}

fn virtual_table(table: InformationTable, listed: &[Listed]) -> Result<VirtualTable, Problem> {
    let batch = match table {
        InformationTable::Schemata => schemata(),
        InformationTable::Tables => dataset_rows(listed),
        InformationTable::Columns => {
            let columns: usize = listed.iter().map(|dataset| dataset.version.manifest.schema.fields().len()).sum();
            if columns > COLUMNS_MAX {
                return Err(too_much("columns", count(columns), count(COLUMNS_MAX)));
            }
            column_rows(listed)
        }
    };
    let bytes = batch.and_then(|batch| ipc(&batch)).map_err(|error| {
        tracing::error!(%error, "an information table could not be made");
        Problem::internal()
    })?;
    if bytes.len() > TABLE_BYTES_MAX {
        return Err(too_much("bytes of descriptions", count(bytes.len()), count(TABLE_BYTES_MAX)));
    }
    Ok(VirtualTable { name: table.identifier().to_owned(), ipc_base64: STANDARD.encode(bytes) })
}

fn too_much(what: &str, seen: u64, limit: u64) -> Problem {
    let detail =
        format!("There are {seen} {what}; information_schema lists up to {limit}. Search the catalog instead.");
    Problem::new(ProblemKind::QueryTooComplex, detail)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

fn schemata() -> Result<RecordBatch, ArrowError> {
    let schemas = [SCHEMA, INFORMATION_SCHEMA];
    batch([
        ("catalog_name", text(schemas.iter().map(|_| Some(CATALOG)))),
        ("schema_name", text(schemas.iter().map(|name| Some(*name)))),
    ])
}

fn dataset_rows(listed: &[Listed]) -> Result<RecordBatch, ArrowError> {
    batch([
        ("table_catalog", text(listed.iter().map(|_| Some(CATALOG)))),
        ("table_schema", text(listed.iter().map(|_| Some(SCHEMA)))),
        ("table_name", text(listed.iter().map(|dataset| Some(dataset.metadata.name.sql_name())))),
        ("table_type", text(listed.iter().map(|_| Some("BASE TABLE")))),
        ("table_title", text(listed.iter().map(|dataset| filled(&dataset.metadata.title)))),
        ("table_description", text(listed.iter().map(|dataset| filled(&dataset.metadata.description)))),
        ("table_version", integers(listed.iter().map(|dataset| i64::from(dataset.version.version.version)))),
        ("table_rows", integers(listed.iter().map(|dataset| integer(dataset.version.manifest.rows)))),
    ])
}

fn column_rows(listed: &[Listed]) -> Result<RecordBatch, ArrowError> {
    let columns: Vec<Column<'_>> = listed.iter().flat_map(columns_of).collect();
    let of = |value: fn(&Column<'_>) -> Option<String>| text(columns.iter().map(value));
    batch([
        ("table_catalog", of(|_| Some(CATALOG.to_owned()))),
        ("table_schema", of(|_| Some(SCHEMA.to_owned()))),
        ("table_name", of(|column| Some(column.dataset.metadata.name.sql_name()))),
        ("column_name", of(|column| Some(column.field.name().clone()))),
        ("ordinal_position", integers(columns.iter().map(|column| column.position))),
        ("column_default", of(|_| None)),
        ("is_nullable", of(|column| Some(if column.field.is_nullable() { "YES" } else { "NO" }.to_owned()))),
        ("data_type", of(|column| Some(sql_type(column.field)))),
        ("column_type", of(|column| Some(type_name(column.field.data_type(), Some(column.field))))),
        ("column_title", of(|column| column.described(|description| &description.title))),
        ("column_description", of(|column| column.described(|description| &description.description))),
    ])
}

/// One row of the table of columns.
struct Column<'a> {
    dataset: &'a Listed,
    field: &'a Field,
    position: i64,
}

impl Column<'_> {
    /// A text of the data dictionary; `None` where it says nothing.
    fn described(&self, part: fn(&portico_model::dataset::ColumnDescription) -> &String) -> Option<String> {
        let mut descriptions = self.dataset.metadata.columns.iter();
        let description = descriptions.find(|description| description.name == *self.field.name())?;
        filled(part(description)).map(str::to_owned)
    }
}

fn columns_of(dataset: &Listed) -> impl Iterator<Item = Column<'_>> {
    let fields = dataset.version.manifest.schema.fields().iter();
    fields.zip(1_i64..).map(move |(field, position)| Column { dataset, field, position })
}

/// A column's type as CAST knows it.
fn sql_type(field: &Field) -> String {
    let name = match field.data_type() {
        DataType::Boolean => "BOOLEAN",
        DataType::Int8 => "TINYINT",
        DataType::Int16 => "SMALLINT",
        DataType::Int32 => "INTEGER",
        DataType::Int64 => "BIGINT",
        DataType::UInt8 => "TINYINT UNSIGNED",
        DataType::UInt16 => "SMALLINT UNSIGNED",
        DataType::UInt32 => "INTEGER UNSIGNED",
        DataType::UInt64 => "BIGINT UNSIGNED",
        DataType::Float32 => "REAL",
        DataType::Float64 => "DOUBLE PRECISION",
        DataType::Decimal128(precision, scale) => return format!("DECIMAL({precision},{scale})"),
        DataType::Utf8 => "VARCHAR",
        DataType::Binary => "BYTEA",
        DataType::Date32 => "DATE",
        DataType::Time64(_) => "TIME",
        DataType::Timestamp(TimeUnit::Microsecond, None) => "TIMESTAMP",
        DataType::Timestamp(TimeUnit::Microsecond, Some(_)) => "TIMESTAMP WITH TIME ZONE",
        // Nothing else is released today; if it is some day, its public name is better than nothing.
        other => return type_name(other, Some(field)).to_uppercase(),
    };
    name.to_owned()
}

fn filled(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn text<T: AsRef<str>>(values: impl Iterator<Item = Option<T>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}

fn integers(values: impl Iterator<Item = i64>) -> ArrayRef {
    Arc::new(values.collect::<Int64Array>())
}

/// A batch whose columns may all hold nulls, so that its schema does not depend on what it holds.
fn batch<const N: usize>(columns: [(&str, ArrayRef); N]) -> Result<RecordBatch, ArrowError> {
    RecordBatch::try_from_iter_with_nullable(columns.map(|(name, values)| (name, values, true)))
}

fn ipc(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    writer.into_inner()
}
