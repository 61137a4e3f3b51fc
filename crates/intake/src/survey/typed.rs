//! The first pass over Parquet and Arrow IPC.

use std::sync::Arc;

use arrow::datatypes::Schema;
use portico_model::finding::{Finding, Severity};

use super::columns::{field, published_names, renamed, type_violation};
use super::first_pass::Run;
use super::{Done, Input};
use crate::cell::{Tally, narrow, wide};
use crate::columnar::{self, ColumnarColumn, Geo};
use crate::declared::{Declared, Nulls};
use crate::error::IntakeError;

/// Reads all rows, so that what cannot be read is known before anything is released.
pub(super) fn first_pass(run: &Run<'_>, progress: &mut dyn FnMut(u64)) -> Result<Done, IntakeError> {
    let limits = run.limits;
    let mut open = columnar::open(run.material, limits)?;
    if columnar::depth(&open.schema) > limits.depth {
        return Err(IntakeError::over("the columns are nested deeper", "depth", limits.depth));
    }
    let mut columns = columns_of(&open, run)?;
    if columns.is_empty() {
        return Err(IntakeError::Empty("it has no columns"));
    }
    if columns.len() > narrow(limits.columns) {
        return Err(IntakeError::over("the table has more columns", "columns", limits.columns));
    }
    let format = columnar::format_name(run.material.content);
    let mut rows = 0_u64;
    while let Some((count, flat)) = open.next_flat()? {
        if flat.len() != columns.len() {
            return Err(IntakeError::corrupt(format, "its batches have different columns"));
        }
        for (column, part) in columns.iter_mut().zip(&flat) {
            column.observe(&part.array, rows + 1, format, limits)?;
        }
        rows += wide(count);
        // How many bytes the reader has taken nobody knows; rows come evenly enough.
        progress(run.material.packed_bytes / 2);
    }
    let mut findings = about_file(&open.geo, rows);
    let sources = columns.iter().map(|column| column.source.clone()).collect::<Vec<_>>();
    let names = published_names(&sources, run.options);
    let mut fields = Vec::new();
    for (column, name) in columns.iter().zip(&names) {
        if name.renamed {
            findings.push(renamed(&name.name));
        }
        findings.extend(about_column(column, &name.name));
        let geometry = column.geometry || column.declared.as_ref().is_some_and(|declared| declared.is_geometry());
        fields.push(field(&name.name, &column.source, column.data_type(), geometry));
    }
    Ok(Done { schema: Arc::new(Schema::new(fields)), rows, findings, input: Input::Columnar(columns.into()) })
}

fn columns_of(open: &columnar::Open, run: &Run<'_>) -> Result<Vec<ColumnarColumn>, IntakeError> {
    let dictionary = run.options.dictionary.as_ref();
    let flat = columnar::flat_columns(&open.schema);
    let column = |flat: &columnar::Flat| {
        let field = dictionary.and_then(|dictionary| dictionary.field(&flat.name));
        let declared = field.and_then(Declared::of).map(Arc::new);
        let nulls = Nulls::new(&run.options.null_values, dictionary, field);
        ColumnarColumn::new(flat, open.geo.columns.contains(&flat.name), declared, nulls)
    };
    Ok(flat.iter().map(column).collect())
}

fn about_file(geo: &Geo, rows: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    if rows == 0 {
        findings.push(Finding::on_file("no_rows", Severity::Warning, "the file has columns, but no rows"));
    }
    if geo.foreign_crs {
        let message = "a geometry column is in a coordinate reference system other than WGS 84; convert it before it is \
                       published";
        findings.push(Finding::on_file("crs_not_wgs84", Severity::Warning, message));
    }
    if geo.foreign_encoding {
        let message = "a geometry column is not in WKB; it is read as the plain columns that it is made of";
        findings.push(Finding::on_file("geometry_encoding", Severity::Warning, message));
    }
    findings
}

fn about_column(column: &ColumnarColumn, name: &str) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut tell = |rule: &str, severity, tally: &Tally, message: &str| {
        if !tally.is_empty() {
            findings.push(Finding::on_column(rule, severity, name, tally.count, tally.rows.clone(), message));
        }
    };
    let all = Tally { count: column.values, rows: Vec::new() };
    if column.is_json() {
        tell("array_as_json_text", Severity::Info, &all, "lists and maps are kept as JSON text");
    }
    if column.is_shown() {
        tell("interval_as_text", Severity::Info, &all, "intervals and durations are kept as text");
    }
    if column.reads_as_text() && column.declared.is_none() {
        tell(
            "binary_read_as_text",
            Severity::Info,
            &all,
            "the column is binary by its type, but all of it is UTF-8 text",
        );
    }
    let finer = Tally { count: column.finer, rows: Vec::new() };
    tell("precision_reduced", Severity::Warning, &finer, "times are finer than a microsecond and are cut to it");
    let lost = "values do not fit any type that is released; they would be null";
    tell("value_out_of_range", Severity::Blocking, &column.lost, lost);
    let years = "dates or moments are before year 1 or after 9999; many programs cannot read or show them";
    tell("year_out_of_range", Severity::Warning, &column.beyond_years, years);
    let day = "times of day are before 00:00, or at 24:00 or later; many programs cannot read or show them";
    tell("time_out_of_day", Severity::Warning, &column.beyond_day, day);
    let bad = "geometries are not well-known binary; correct them, or leave the rows out";
    tell("invalid_geometry", Severity::Blocking, &column.bad_geometries, bad);
    let outside = "geometries reach beyond 180 degrees of longitude or 90 of latitude";
    tell("geometry_outside_wgs84", Severity::Warning, &column.outside, outside);
    if let Some(declared) = &column.declared {
        findings.extend(type_violation(name, declared, &column.violations));
    }
    findings
}
