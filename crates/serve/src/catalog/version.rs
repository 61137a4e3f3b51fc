//! One version: its release record and its manifest.

use std::sync::Arc;

use arrow_schema::Schema;
use portico_encode::{geometry_field, lat_lon_fields, type_name};
use portico_model::format::{FileKind, Format};
use portico_model::name::VersionNumber;
use portico_model::policy::Principal;
use portico_store::VersionRecord;
use serde::Serialize;

use super::dataset::{self, License};
use crate::catalog::timestamp;
use crate::http::downloads::version_path;
use crate::problem::Refusal;
use crate::released;
use crate::site::Site;

/// Rows of a worksheet besides the header row, and columns: the limits of the format.
const XLSX_ROWS_MAX: u64 = 1_048_575;
const XLSX_COLUMNS_MAX: usize = 16_384;

/// A version's release record and manifest.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct VersionDocument {
    pub(crate) dataset: String,
    pub(crate) version: VersionNumber,
    pub(crate) released: String,
    /// Whether it is the dataset's current version.
    pub(crate) current: bool,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) license: License,
    /// Terms of use besides the licence: the dataset's own, a text or a URL; otherwise where the portal's are.
    pub(crate) terms: String,
    /// Columns that the rows are sorted by.
    pub(crate) sort_key: Vec<String>,
    pub(crate) schema: Vec<FieldDocument>,
    pub(crate) files: Vec<FileDocument>,
    pub(crate) downloads: Vec<DownloadDocument>,
    pub(crate) url: String,
}

/// One column of a schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct FieldDocument {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) data_type: String,
}

/// One stored file.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FileDocument {
    pub(crate) url: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    /// Rows of each row group.
    pub(crate) row_groups: Vec<u64>,
}

/// One format that the version can be had in.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct DownloadDocument {
    pub(crate) format: String,
    pub(crate) media_type: String,
    pub(crate) url: String,
}

/// Describes a version.
///
/// # Errors
/// As [`released::open`].
pub(crate) async fn version(
    site: &Arc<Site>,
    principal: &Principal,
    name: &str,
    number: VersionNumber,
) -> Result<VersionDocument, Refusal> {
    let opened = released::open(site, principal, name, Some(number)).await?;
    let record = &opened.record;
    let (name, number) = (&record.version.dataset, record.version.version);
    let files = record.manifest.files.iter().enumerate().map(|(i, file)| FileDocument {
        url: site.url(&format!("/datasets/{name}/versions/{number}/parts/{i}.parquet")),
        rows: file.rows,
        bytes: file.bytes,
        sha256: file.sha256.clone(),
        row_groups: file.row_groups.clone(),
    });
    Ok(VersionDocument {
        dataset: name.to_string(),
        version: number,
        released: timestamp(record.released_ms),
        current: Some(number) == opened.current,
        rows: record.manifest.rows,
        bytes: record.manifest.bytes,
        license: License::of(&opened.dataset.metadata),
        terms: dataset::terms(site, &opened.dataset.metadata),
        sort_key: record.manifest.sort_key.clone(),
        schema: fields(&record.manifest.schema),
        files: files.collect(),
        downloads: downloads(site, record),
        url: site.url(&format!("/datasets/{name}/versions/{number}")),
    })
}

/// The columns of a schema with their public type names.
pub(super) fn fields(schema: &Schema) -> Vec<FieldDocument> {
    let field = |field: &Arc<arrow_schema::Field>| FieldDocument {
        name: field.name().clone(),
        data_type: type_name(field.data_type(), Some(field)),
    };
    schema.fields().iter().map(field).collect()
}

/// The formats that a version can be had in, pinned to it.
pub(crate) fn downloads(site: &Site, record: &VersionRecord) -> Vec<DownloadDocument> {
    kinds(&record.manifest.schema, record.manifest.rows)
        .map(|kind| DownloadDocument {
            format: kind.extension(),
            media_type: kind.content_type(),
            url: site.url(&version_path(&record.version.dataset, record.version.version, kind)),
        })
        .collect()
}

/// The kinds of file that a table of this schema and size fits into.
pub(super) fn kinds(schema: &Schema, rows: u64) -> impl Iterator<Item = FileKind> {
    let places = geometry_field(schema).is_some() || lat_lon_fields(schema).is_some();
    let sheet = rows <= XLSX_ROWS_MAX && schema.fields().len() <= XLSX_COLUMNS_MAX;
    FileKind::EXTENSIONS.into_iter().filter_map(FileKind::from_extension).filter(move |kind| match kind.format {
        Format::Geojson => places,
        Format::Xlsx => sheet,
        _ => true,
    })
}

#[cfg(test)]
mod tests {
    use arrow_schema::{DataType, Field};

    use super::*;

    fn extensions(columns: &[(&str, DataType)], rows: u64) -> Vec<String> {
        let fields: Vec<Field> = columns.iter().map(|(name, kind)| Field::new(*name, kind.clone(), true)).collect();
        kinds(&Schema::new(fields), rows).map(FileKind::extension).collect()
    }

    #[test]
    fn places_come_as_geojson_and_small_tables_as_workbooks() {
        let plain = extensions(&[("a", DataType::Utf8)], 10);
        assert!(plain.contains(&"xlsx".to_owned()) && !plain.contains(&"geojson".to_owned()));
        let places = extensions(&[("latitude", DataType::Float64), ("longitude", DataType::Float64)], 2_000_000);
        assert!(!places.contains(&"xlsx".to_owned()) && places.contains(&"geojson".to_owned()));
    }
}
