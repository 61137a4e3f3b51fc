//! One file per format.

use ::arrow::array::RecordBatch;

use crate::EncodeError;

pub(crate) mod arrow;
pub(crate) mod chunks;
pub(crate) mod csv;
pub(crate) mod geojson;
pub(crate) mod json;
pub(crate) mod parquet;
pub(crate) mod table;
pub(crate) mod xlsx;

/// A format's way to write an answer. Batches have the columns that it was made for, and at least one row.
pub(crate) trait Form: Send {
    /// Appends what comes before the first row.
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Appends rows, or keeps a bounded number of them for later.
    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Appends what comes after the last row.
    fn finish(&mut self, elapsed_ms: u64, out: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// After `finish`: appends another part of a file that was made on disk, and says whether there was one.
    fn more(&mut self, _out: &mut Vec<u8>) -> Result<bool, EncodeError> {
        Ok(false)
    }
}
