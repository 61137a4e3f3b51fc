//! The rows of what would be public, for whoever has to judge it.
//!
//! They are read back from the very files that a release would publish, by a reader in its limits, and spelt as the public
//! would get them: the first ones by the reader that wrote them, the others when somebody asks. The server only passes
//! them on.

use std::fs::File;
use std::path::Path;

use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use portico_encode::{EncodeError, encoder};
use portico_model::format::{Compression, FileKind, Format};
use portico_model::limits::IntakeLimits;
use portico_model::order::{Envelope, OutputOptions};
use portico_model::policy::{Action, Principal};
use portico_model::problem::{Problem, ProblemKind};
use portico_store::Prepared;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::error::PublishError;
use crate::publisher::Publisher;

/// The name of the file in a reader's scratch directory: one JSON object a line.
pub(crate) const PREVIEW: &str = "preview.ndjson";

/// Rows of a file in a reader's scratch directory.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Page {
    /// The file's name.
    pub(crate) file: String,
    /// Rows before the first one.
    pub(crate) skip: u64,
    /// Rows at most.
    pub(crate) rows: u64,
}

/// Some rows of a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows {
    /// The digest of the screening that they belong to.
    pub digest: String,
    /// Rows in all.
    pub total: u64,
    /// Columns, in order.
    pub columns: Vec<String>,
    /// How many rows come before these.
    pub offset: u64,
    /// The rows, each a JSON object.
    pub rows: Vec<String>,
    /// The offset of what comes after them; `None` at the end.
    pub next: Option<u64>,
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
        if let Err(error) = self.store.storage.fetch_staged(&preview, &local).await {
            return Err(self.lost(&record, error).await);
        }
        let prepared = Prepared { preview: Some(preview), ..prepared };
        spelt(&local, record.digest, &prepared, 0).await
    }

    /// Rows of what a release would make public from `offset` on, in the order in which they would be: as many as
    /// `limits.intake.preview_rows` and `preview_bytes` allow, or fewer where a file of the release ends.
    ///
    /// # Errors
    /// Those of [`Publisher::first_rows`]; [`PublishError::Refused`] when a single row has more bytes.
    pub async fn rows_from(
        &self,
        principal: &Principal,
        id: &str,
        offset: u64,
        now_ms: i64,
    ) -> Result<Rows, PublishError> {
        let record = self.record(id).await?;
        self.permit(principal, Action::Preview, &record, now_ms).await?;
        let missing = || PublishError::WrongState { state: record.state, action: Action::Preview };
        let prepared = record.prepared()?.ok_or_else(missing)?;
        let mut skip = offset;
        let mut files = prepared.files.iter();
        let holding = files.find(|(_, file)| match skip.checked_sub(file.rows) {
            Some(left) => {
                skip = left;
                false
            }
            None => true,
        });
        let scratch = self.scratch("preview-")?;
        let local = scratch.path().join(PREVIEW);
        match holding {
            None => tokio::fs::write(&local, "").await?,
            Some((staged, _)) => {
                let file = "prepared.parquet".to_owned();
                if let Err(error) = self.store.storage.fetch_staged(staged, &scratch.path().join(&file)).await {
                    return Err(self.lost(&record, error).await);
                }
                let page = Page { file, skip, rows: self.limits.preview_rows };
                self.jail.spell(page, staged.bytes, &self.limits, scratch.path()).await?;
            }
        }
        let rows = spelt(&local, record.digest.clone(), &prepared, offset).await?;
        if holding.is_some() && rows.rows.is_empty() {
            return Err(too_large());
        }
        Ok(rows)
    }
}

/// The rows that a reader has spelt.
async fn spelt(local: &Path, digest: Option<String>, prepared: &Prepared, offset: u64) -> Result<Rows, PublishError> {
    let text = tokio::fs::read_to_string(local).await?;
    // The reader of a hostile file wrote this.
    let is_row = |line: &str| line.starts_with('{') && serde_json::from_str::<IgnoredAny>(line).is_ok();
    if !text.lines().all(is_row) {
        return Err(PublishError::Write("the preview is no JSON".into()));
    }
    let rows: Vec<String> = text.lines().map(str::to_owned).collect();
    let next = offset.saturating_add(u64::try_from(rows.len()).unwrap_or(u64::MAX));
    Ok(Rows {
        digest: digest.unwrap_or_default(),
        total: prepared.rows,
        columns: prepared.schema.fields().iter().map(|field| field.name().clone()).collect(),
        offset,
        rows,
        next: Some(next).filter(|next| *next < prepared.rows),
    })
}

/// Writes rows of a prepared file into `scratch`, and says how many. Runs in a reader.
pub(crate) fn write(page: &Page, limits: &IntakeLimits, scratch: &Path) -> Result<u64, PublishError> {
    let size = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let bytes_max = size(limits.preview_bytes);
    let open = ParquetRecordBatchReaderBuilder::try_new(File::open(scratch.join(&page.file))?)?;
    let schema = open.schema().clone();
    let kind = FileKind { format: Format::Ndjson, compression: Compression::None };
    // What the file calls a geometry and is none could be read by nobody.
    let failed = |error: EncodeError| match error {
        EncodeError::Geometry(_) => PublishError::Refused(Problem::new(ProblemKind::InvalidRequest, error.to_string())),
        error => PublishError::Write(error.into()),
    };
    let mut lines = encoder(kind, &schema, &OutputOptions::default(), &Envelope::default()).map_err(failed)?;
    let mut text = Vec::new();
    let mut written = 0;
    for batch in open.with_offset(size(page.skip)).with_limit(size(page.rows)).with_batch_size(1).build()? {
        let before = text.len();
        lines.write(&batch?, &mut text).map_err(failed)?;
        if text.len() > bytes_max {
            text.truncate(before);
            break;
        }
        written += 1;
    }
    std::fs::write(scratch.join(PREVIEW), text)?;
    Ok(written)
}

fn too_large() -> PublishError {
    PublishError::Refused(Problem::new(ProblemKind::TooLarge, "the preview is larger than limits.intake.preview_bytes"))
}
