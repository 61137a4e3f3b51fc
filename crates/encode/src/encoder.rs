//! One answer on its way into bytes.

use std::fmt;

use arrow::array::RecordBatch;
use arrow_schema::SchemaRef;
use portico_model::format::{Compression, FileKind, Format};
use portico_model::order::{Envelope, OutputOptions};

use crate::EncodeError;
use crate::compress::Compressor;
use crate::formats::{self, Form};

/// Makes the encoder of one answer.
///
/// `schema` is that of every batch to come; its field metadata mark geometry columns. `envelope` is what
/// the `json` document says besides its rows.
///
/// # Errors
/// Whatever can be known before the first row: [`EncodeError::NoGeometry`], [`EncodeError::TooManyColumns`],
/// and [`EncodeError::NotOffered`] for Flight and for compression around a format that compresses itself.
/// [`EncodeError::Io`] when a workbook's temporary file cannot be made.
pub fn encoder(
    kind: FileKind,
    schema: &SchemaRef,
    options: &OutputOptions,
    envelope: &Envelope,
) -> Result<Encoder, EncodeError> {
    let packed = matches!(kind.format, Format::Arrow | Format::Parquet | Format::Xlsx);
    if packed && kind.compression != Compression::None {
        return Err(EncodeError::NotOffered(kind));
    }
    let form: Box<dyn Form> = match kind.format {
        Format::Csv => Box::new(formats::csv::Csv::new(schema, options, b',')),
        Format::Tsv => Box::new(formats::csv::Csv::new(schema, options, b'\t')),
        Format::Json => Box::new(formats::json::Json::document(schema, envelope)),
        Format::Objects => Box::new(formats::json::Json::objects(schema)),
        Format::Ndjson => Box::new(formats::json::Json::lines(schema)),
        Format::Arrow => Box::new(formats::arrow::ArrowStream::new(schema, options)?),
        Format::Parquet => Box::new(formats::parquet::Parquet::new(schema)?),
        Format::Geojson => Box::new(formats::geojson::Geojson::new(schema)?),
        Format::Xlsx => Box::new(formats::xlsx::Xlsx::new(schema)?),
        Format::Table => Box::new(formats::table::Table::new(schema, options)),
        Format::Flight => return Err(EncodeError::NotOffered(kind)),
    };
    Ok(Encoder {
        form,
        columns: schema.fields().len(),
        compressor: Compressor::new(kind.compression)?,
        plain: Vec::new(),
        rows: 0,
        state: State::New,
    })
}

/// Writes one answer in one format: [`begin`](Self::begin), [`write`](Self::write) per batch, then
/// [`finish`](Self::finish), or [`finish_part`](Self::finish_part) until it says that it is done.
///
/// Bytes are appended to the caller's `out`, who takes them away when it likes. What an encoder keeps to
/// itself is bounded: a block for a compressor, a row group for Parquet, a window of rows for a table, a
/// batch for Arrow. A workbook waits in a temporary file. After an error the encoder is of no further use.
///
/// The same rows give the same bytes, however they are cut into batches.
pub struct Encoder {
    form: Box<dyn Form>,
    columns: usize,
    compressor: Option<Compressor>,
    /// What waits to be compressed.
    plain: Vec<u8>,
    rows: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Open,
    /// The form has written its end; some of its bytes may still be on disk.
    Ending,
    Done,
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("columns", &self.columns).field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl Encoder {
    /// Appends what comes before the first row.
    ///
    /// # Errors
    /// When the format's library or the compressor fails.
    pub fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.state != State::New {
            return Ok(());
        }
        self.state = State::Open;
        self.through(out, |form, out| form.begin(out))
    }

    /// Appends the rows of a batch, or keeps them until there are enough. All of a batch's bytes may be
    /// appended at once: a caller that has very large batches slices them first.
    ///
    /// # Errors
    /// [`EncodeError::Columns`] for a batch of another shape, [`EncodeError::Geometry`],
    /// [`EncodeError::TooManyRows`], [`EncodeError::CellTooLong`], or a failure of the format's library.
    pub fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.begin(out)?;
        if batch.num_columns() != self.columns {
            return Err(EncodeError::Columns);
        }
        if batch.num_rows() == 0 {
            return Ok(());
        }
        self.rows += u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
        self.through(out, |form, out| form.write(batch, out))
    }

    /// Appends the end, all of it: for a workbook that is the whole file. `elapsed_ms` is what the `json`
    /// document says of the time taken, in milliseconds.
    ///
    /// # Errors
    /// When the format's library, the compressor or the temporary file fails.
    pub fn finish(&mut self, elapsed_ms: u64, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        while !self.finish_part(elapsed_ms, out)? {}
        Ok(())
    }

    /// Appends a part of the end, of some MiB at most, and says whether that was all; if not, the caller
    /// sends it and asks again.
    ///
    /// # Errors
    /// As [`finish`](Self::finish).
    pub fn finish_part(&mut self, elapsed_ms: u64, out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        self.begin(out)?;
        if self.state == State::Open {
            self.state = State::Ending;
            self.through(out, |form, out| form.finish(elapsed_ms, out))?;
        }
        if self.state == State::Ending && !self.form.more(out)? {
            self.state = State::Done;
            if let Some(compressor) = self.compressor.take() {
                compressor.finish(&mut self.plain, out)?;
            }
        }
        Ok(self.state == State::Done)
    }

    /// Rows written so far.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Lets the form write, through the compressor if there is one.
    fn through(
        &mut self,
        out: &mut Vec<u8>,
        write: impl FnOnce(&mut dyn Form, &mut Vec<u8>) -> Result<(), EncodeError>,
    ) -> Result<(), EncodeError> {
        match &mut self.compressor {
            None => write(self.form.as_mut(), out),
            Some(compressor) => {
                write(self.form.as_mut(), &mut self.plain)?;
                compressor.push(&mut self.plain, out)
            }
        }
    }
}
