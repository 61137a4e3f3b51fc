//! The first rows of what would be public, for whoever has to judge it.
//!
//! They are read back from the very file that a release would publish, by the reader that wrote it and in its limits, and
//! spelt as the public would get them. The server only passes them on.

use std::fs::File;
use std::path::Path;

use arrow::datatypes::SchemaRef;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use portico_encode::encoder;
use portico_model::format::{Compression, FileKind, Format};
use portico_model::limits::IntakeLimits;
use portico_model::order::{Envelope, OutputOptions};
use portico_model::policy::{Action, Principal};
use portico_model::problem::{Problem, ProblemKind};
use serde::de::IgnoredAny;

use crate::error::PublishError;
use crate::publisher::Publisher;

/// The name of the file in a reader's scratch directory: one JSON object a line.
pub(crate) const PREVIEW: &str = "preview.ndjson";

/// The first rows of a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// The digest of the screening that they belong to.
    pub digest: String,
    /// Rows in all.
    pub total: u64,
    /// Columns, in order.
    pub columns: Vec<String>,
    /// The first rows, each a JSON object.
    pub rows: Vec<String>,
}

impl Publisher {
    /// The first rows of what a release would make public, in the order in which they would be.
    ///
    /// # Errors
    /// [`PublishError::WrongState`] before it is screened and after it is decided.
    pub async fn first_rows(&self, principal: &Principal, id: &str, now_ms: i64) -> Result<Rows, PublishError> {
        let record = self.record(id).await?;
        self.permit(principal, Action::Preview, &record, now_ms).await?;
        let missing = || PublishError::WrongState { state: record.state, action: Action::Preview };
        let prepared = record.prepared()?.ok_or_else(missing)?;
        let preview = prepared.preview.ok_or_else(missing)?;
        if preview.bytes > self.limits.preview_bytes {
            return Err(too_large());
        }
        let scratch = self.scratch("preview-")?;
        let local = scratch.path().join(PREVIEW);
        self.store.storage.fetch_staged(&preview, &local).await?;
        let text = tokio::fs::read_to_string(&local).await?;
        // The reader of a hostile file wrote this.
        let is_row = |line: &str| line.starts_with('{') && serde_json::from_str::<IgnoredAny>(line).is_ok();
        if !text.lines().all(is_row) {
            return Err(PublishError::Write("the preview is no JSON".into()));
        }
        Ok(Rows {
            digest: record.digest.unwrap_or_default(),
            total: prepared.rows,
            columns: prepared.schema.fields().iter().map(|field| field.name().clone()).collect(),
            rows: text.lines().map(str::to_owned).collect(),
        })
    }
}

/// Writes the first rows of a prepared file into `scratch`. Runs in a reader.
pub(crate) fn write(file: &str, schema: &SchemaRef, limits: &IntakeLimits, scratch: &Path) -> Result<(), PublishError> {
    let rows = usize::try_from(limits.preview_rows).unwrap_or(usize::MAX);
    let bytes_max = usize::try_from(limits.preview_bytes).unwrap_or(usize::MAX);
    let open = ParquetRecordBatchReaderBuilder::try_new(File::open(scratch.join(file))?)?;
    let kind = FileKind { format: Format::Ndjson, compression: Compression::None };
    let failed = |error: portico_encode::EncodeError| PublishError::Write(error.into());
    let mut lines = encoder(kind, schema, &OutputOptions::default(), &Envelope::default()).map_err(failed)?;
    let mut text = Vec::new();
    for batch in open.with_limit(rows).with_batch_size(1).build()? {
        let before = text.len();
        lines.write(&batch?, &mut text).map_err(failed)?;
        if text.len() > bytes_max {
            text.truncate(before);
            break;
        }
    }
    Ok(std::fs::write(scratch.join(PREVIEW), text)?)
}

fn too_large() -> PublishError {
    PublishError::Refused(Problem::new(ProblemKind::TooLarge, "the preview is larger than limits.intake.preview_bytes"))
}
