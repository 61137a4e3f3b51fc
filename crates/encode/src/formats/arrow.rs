//! Arrow IPC stream.

use arrow::array::RecordBatch;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::SchemaRef;
use portico_model::order::{IpcCompression, OutputOptions};

use super::Form;
use super::chunks::Chunks;
use crate::EncodeError;

/// Rows of a batch in the stream: few enough to keep a reader's first batch near, enough to keep its
/// overhead small.
const BATCH_ROWS: usize = 16_384;

/// Writes an IPC stream. Bodies are as they are in memory, unless the client asked for compression: readers
/// in a browser cannot inflate them.
pub(crate) struct ArrowStream {
    chunks: Chunks,
    writer: StreamWriter<Vec<u8>>,
}

impl ArrowStream {
    pub(crate) fn new(schema: &SchemaRef, options: &OutputOptions) -> Result<Self, EncodeError> {
        let compression = match options.ipc_compression {
            IpcCompression::None => None,
            IpcCompression::Lz4 => Some(CompressionType::LZ4_FRAME),
            IpcCompression::Zstd => Some(CompressionType::ZSTD),
        };
        let chunks = Chunks::new(schema, BATCH_ROWS, |_| true);
        let options = IpcWriteOptions::default().try_with_compression(compression)?;
        let writer = StreamWriter::try_new_with_options(Vec::new(), chunks.schema(), options)?;
        Ok(Self { chunks, writer })
    }

    fn pass(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        while let Some(batch) = self.chunks.next() {
            self.writer.write(&batch)?;
            out.append(self.writer.get_mut());
        }
        Ok(())
    }
}

impl Form for ArrowStream {
    fn begin(&mut self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        out.append(self.writer.get_mut());
        Ok(())
    }

    fn write(&mut self, batch: &RecordBatch, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.chunks.push(batch)?;
        self.pass(out)
    }

    fn finish(&mut self, _elapsed_ms: u64, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.chunks.finish()?;
        self.pass(out)?;
        self.writer.finish()?;
        out.append(self.writer.get_mut());
        Ok(())
    }
}
