//! The bytes of an answer: a file's in any format, or Arrow messages for Flight.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow_flight::FlightData;
use bytes::Bytes;
use portico_encode::{EncodeError, Encoder, encoder};
use portico_model::format::Format;
use portico_model::order::{IpcCompression, Output};
use portico_model::problem::{Problem, ProblemKind};

use crate::problem;

/// Bytes of a message at most; larger runs of encoded bytes are cut.
const CHUNK_BYTES: usize = 1024 * 1024;

/// What is being written, with the bytes that have not been sent yet.
pub(super) enum Body {
    /// A format of [`portico_encode`].
    File {
        /// The encoder.
        encoder: Box<Encoder>,
        /// Bytes not sent yet.
        bytes: Vec<u8>,
    },
    /// Arrow IPC messages, framed by Flight.
    Messages(Box<Messages>),
}

/// Record batches as IPC messages.
pub(super) struct Messages {
    options: IpcWriteOptions,
    generator: IpcDataGenerator,
    dictionaries: DictionaryTracker,
    context: IpcWriteContext,
    ready: Vec<FlightData>,
}

impl Body {
    /// The body of an answer with `schema`.
    pub(super) fn new(output: &Output, schema: &SchemaRef) -> Result<Self, Problem> {
        if output.kind.format == Format::Flight {
            return Ok(Self::Messages(Box::new(Messages::new(output.options.ipc_compression)?)));
        }
        let mut encoder = encoder(output.kind, schema, &output.options, &output.envelope).map_err(of_encode)?;
        let mut bytes = Vec::new();
        encoder.begin(&mut bytes).map_err(of_encode)?;
        Ok(Self::File { encoder: Box::new(encoder), bytes })
    }

    /// Encodes rows.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<(), Problem> {
        match self {
            Self::File { encoder, bytes } => encoder.write(batch, bytes).map_err(of_encode),
            Self::Messages(messages) => messages.write(batch).map_err(|error| problem::internal(&error)),
        }
    }

    /// Encodes some of what comes after the last row and says whether that was all.
    pub(super) fn finish_part(&mut self, elapsed_ms: u64) -> Result<bool, Problem> {
        match self {
            Self::File { encoder, bytes } => encoder.finish_part(elapsed_ms, bytes).map_err(of_encode),
            Self::Messages(_) => Ok(true),
        }
    }

    /// Bytes that have not been taken yet.
    pub(super) fn waiting_bytes(&self) -> usize {
        match self {
            Self::File { bytes, .. } => bytes.len(),
            Self::Messages(messages) => messages.ready.iter().map(|message| message.data_body.len() + 1).sum(),
        }
    }

    /// Takes the bytes encoded so far, as messages.
    pub(super) fn take(&mut self) -> Vec<FlightData> {
        match self {
            Self::File { bytes, .. } => {
                let mut rest = Bytes::from(std::mem::take(bytes));
                let mut messages = Vec::with_capacity(rest.len().div_ceil(CHUNK_BYTES));
                while !rest.is_empty() {
                    let chunk = rest.split_to(rest.len().min(CHUNK_BYTES));
                    messages.push(FlightData { data_body: chunk, ..FlightData::default() });
                }
                messages
            }
            Self::Messages(messages) => std::mem::take(&mut messages.ready),
        }
    }
}

impl Messages {
    fn new(compression: IpcCompression) -> Result<Self, Problem> {
        let compression = match compression {
            IpcCompression::None => None,
            IpcCompression::Lz4 => Some(CompressionType::LZ4_FRAME),
            IpcCompression::Zstd => Some(CompressionType::ZSTD),
        };
        let options = IpcWriteOptions::default().try_with_compression(compression);
        Ok(Self {
            options: options.map_err(|error| problem::internal(&error))?,
            generator: IpcDataGenerator::default(),
            dictionaries: DictionaryTracker::new(false),
            context: IpcWriteContext::default(),
            ready: Vec::new(),
        })
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        let (dictionaries, encoded) =
            self.generator.encode(batch, &mut self.dictionaries, &self.options, &mut self.context)?;
        self.ready.extend(dictionaries.into_iter().map(FlightData::from));
        self.ready.push(FlightData::from(encoded));
        Ok(())
    }
}

fn of_encode(error: EncodeError) -> Problem {
    match error.kind() {
        ProblemKind::Internal => problem::internal(&error),
        kind => Problem::new(kind, format!("The answer cannot be written: {error}.")),
    }
}
