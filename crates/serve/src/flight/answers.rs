//! Answers as Flight streams, and small batches of our own.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::{FlightData, FlightDescriptor, FlightEndpoint, FlightInfo, Ticket};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use portico_model::problem::Problem;
use portico_query::answer::{Answer, AnswerChunk};

use super::Flow;
use crate::problem::grpc_status;

/// The worker's IPC messages as they come; a failure ends the stream with its status, never quietly.
pub(super) fn flow(answer: Answer) -> Flow<FlightData> {
    answer
        .body
        .filter_map(async |chunk| match chunk {
            Ok(AnswerChunk::Message(message)) => Some(Ok(message)),
            Ok(AnswerChunk::Bytes(_) | AnswerChunk::Tail(_)) => None,
            Err(problem) => Some(Err(grpc_status(&problem))),
        })
        .boxed()
}

/// A batch of ours as a stream.
pub(super) fn flow_of_batch(batch: RecordBatch) -> Flow<FlightData> {
    FlightDataEncoderBuilder::new()
        .with_schema(batch.schema())
        .build(stream::iter([Ok(batch)]))
        .map_err(|_| grpc_status(&Problem::internal()))
        .boxed()
}

/// A description of a stream, with its endpoints (ticket and rows) in order.
pub(super) fn info(
    descriptor: FlightDescriptor,
    schema: &Schema,
    endpoints: Vec<(Bytes, Option<u64>)>,
    totals: (Option<u64>, Option<u64>),
) -> Result<FlightInfo, Problem> {
    let count = |value: Option<u64>| value.and_then(|value| i64::try_from(value).ok()).unwrap_or(-1);
    let mut info = FlightInfo::new()
        .try_with_schema(schema)
        .map_err(|_| Problem::internal())?
        .with_descriptor(descriptor)
        .with_total_records(count(totals.0))
        .with_total_bytes(count(totals.1))
        .with_ordered(true);
    for (ticket, _rows) in endpoints {
        info = info.with_endpoint(FlightEndpoint::new().with_ticket(Ticket { ticket }));
    }
    Ok(info)
}

/// The schema as clients get it: views are sent as plain text and bytes, which every client reads.
pub(super) fn plain(schema: &Schema) -> SchemaRef {
    use arrow::datatypes::DataType;
    let fields = schema.fields().iter().map(|field| {
        let data_type = match field.data_type() {
            DataType::Utf8View => DataType::Utf8,
            DataType::BinaryView => DataType::Binary,
            _ => return Arc::clone(field),
        };
        Arc::new(field.as_ref().clone().with_data_type(data_type))
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

/// A status for an error of Arrow's on data of ours.
pub(super) fn internal<E>(_error: E) -> Problem {
    Problem::internal()
}
