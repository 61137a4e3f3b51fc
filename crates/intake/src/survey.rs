//! The two passes: [`survey`] reads every row once and decides the types, [`Survey::batches`] reads them again.

use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use portico_model::finding::Finding;
use portico_model::limits::IntakeLimits;
use serde::{Deserialize, Serialize};

use crate::cell::Rows;
use crate::columnar::ColumnarColumn;
use crate::csv::CsvPlan;
use crate::detect::{Content, Packing};
use crate::error::IntakeError;
use crate::json::JsonPlan;
use crate::options::ReadOptions;
use crate::spool::Spool;
use crate::unpack::{self, Material};

mod batches;
mod columns;
mod first_pass;
mod typed;

pub use batches::Batches;
use columns::ColumnPlan;

/// What a file is, as it was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceDescription {
    /// `csv`, `tsv`, `delimited`, `lines`, `ndjson`, `json`, `geojson`, `xlsx`, `parquet` or `arrow`.
    pub format: String,
    /// What it was packed with: `gzip`, `zstd` or `zip`.
    pub packing: Option<String>,
    /// The text's encoding.
    pub encoding: Option<String>,
    /// The character between fields.
    pub delimiter: Option<char>,
    /// Whether the first full row holds the column names.
    pub header: Option<bool>,
    /// Rows before the header that were passed over.
    pub preamble_rows: u64,
    /// The sheet of a workbook.
    pub sheet: Option<String>,
    /// Bytes of the file as it came.
    pub bytes: u64,
    /// Bytes after unpacking.
    pub unpacked_bytes: u64,
}

/// A file that has been read once: its schema, its size and what there is to say of it. Temporary files go with it
/// and with the [`Batches`] that it gave.
#[derive(Debug)]
pub struct Survey {
    /// The columns under their published names; all of them may be null. A column's name in the file is in its
    /// metadata under [`crate::names::SOURCE_NAME_KEY`]; a geometry has `ARROW:extension:name` = `geoarrow.wkb`.
    pub schema: SchemaRef,
    /// Data rows.
    pub rows: u64,
    /// What was seen, file first, then column by column. Nothing was lost that no finding tells.
    pub findings: Vec<Finding>,
    /// What the file is.
    pub source: SourceDescription,
    material: Arc<Material>,
    input: Input,
    limits: IntakeLimits,
}

/// How the second pass reads.
#[derive(Clone, Debug)]
enum Input {
    Text(TextPlan, Arc<[ColumnPlan]>),
    Columnar(Arc<[ColumnarColumn]>),
}

/// How rows of a text format are read: the same in both passes.
#[derive(Clone, Debug)]
enum TextPlan {
    Csv(Box<CsvPlan>),
    Json(Box<JsonPlan>),
    Sheet {
        spool: Spool,
        names: Vec<String>,
        /// Rows before the first data row.
        skip: u64,
    },
}

impl TextPlan {
    fn rows(&self, material: &Material) -> Result<Box<dyn Rows>, IntakeError> {
        Ok(match self {
            Self::Csv(plan) => Box::new(plan.rows(material)?),
            Self::Json(plan) => Box::new(plan.rows(material)?),
            Self::Sheet { spool, names, skip } => {
                let mut rows = spool.rows(names.clone())?;
                for _ in 0..*skip {
                    rows.advance()?;
                }
                Box::new(rows)
            }
        })
    }
}

/// Reads a file once, all rows of it: finds format, encoding and layout, types the columns and gathers findings.
///
/// `scratch` takes temporary files for archives and workbooks. `progress` is told how much of the file has been read, in
/// bytes of the file as it came; it is called often and never with less than before. Memory is bounded by the limits of
/// a row and a batch, whatever the length of the file.
///
/// # Errors
/// When the file is no table that can be read, is damaged, or is over a limit; see [`IntakeError`].
pub fn survey(
    file: &Path,
    options: &ReadOptions,
    limits: &IntakeLimits,
    scratch: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Survey, IntakeError> {
    let mut told = 0;
    let mut progress = |bytes: u64| {
        told = bytes.max(told);
        progress(told);
    };
    let material = Arc::new(unpack::material(file, options, limits, scratch, &mut progress)?);
    let mut source = SourceDescription {
        packing: material.packing.map(packing_name),
        bytes: material.packed_bytes,
        unpacked_bytes: material.bytes,
        ..SourceDescription::default()
    };
    if options.sheet.is_some() && material.content != Content::Workbook {
        let reason = "the file is no workbook, so it has no sheets".to_owned();
        return Err(IntakeError::Option { option: "sheet", reason });
    }
    let run = first_pass::Run { material: &material, options, limits };
    let done = match material.content {
        Content::Parquet | Content::ArrowFile | Content::ArrowStream => {
            source.format = if material.content == Content::Parquet { "parquet" } else { "arrow" }.to_owned();
            typed::first_pass(&run, &mut progress)?
        }
        Content::Workbook => first_pass::workbook(&run, scratch, &mut source, &mut progress)?,
        Content::Text => first_pass::text(&run, &mut source, &mut progress)?,
        Content::Refused(what, hint) => return Err(IntakeError::Unsupported { what, hint }),
        Content::Encrypted(what) => return Err(IntakeError::Encrypted(what)),
        Content::Packed(_) => {
            return Err(IntakeError::Unsupported { what: "an archive", hint: "unpack it first" });
        }
    };
    progress(material.packed_bytes);
    let Done { schema, rows, findings, input } = done;
    Ok(Survey { schema, rows, findings, source, input, material, limits: limits.clone() })
}

/// What the first pass of a format yields.
struct Done {
    schema: SchemaRef,
    rows: u64,
    findings: Vec<Finding>,
    input: Input,
}

fn packing_name(packing: Packing) -> String {
    match packing {
        Packing::Gzip => "gzip",
        Packing::Zstd => "zstd",
        Packing::Zip => "zip",
    }
    .to_owned()
}

impl Survey {
    /// Reads the file a second time, as batches of at most 8,192 rows of [`Survey::schema`].
    ///
    /// # Errors
    /// When the file cannot be opened again.
    pub fn batches(&self) -> Result<Batches, IntakeError> {
        Batches::new(self)
    }
}
