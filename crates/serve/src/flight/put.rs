//! DoPut: the values of a prepared statement, a revision of staff, and refusals of everything that would change data.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::error::FlightError;
use arrow_flight::sql::{Any, Command, DoPutPreparedStatementResult};
use arrow_flight::{FlightData, PutResult};
use futures::{FutureExt as _, StreamExt as _, TryStreamExt as _, stream};
use portico_model::problem::{Problem, ProblemKind};
use prost::Message as _;
use tonic::Streaming;

use super::session::Visitor;
use super::statements::{Statement, to_ipc};
use super::{Flow, bad, command, handle, stage, values};
use crate::http::staff::asker;
use crate::site::Site;

/// Bytes of bound values: a row of parameters, not a table.
const VALUES_BYTES_MAX: usize = 1024 * 1024;
/// What a message of them takes beyond its bytes.
const MESSAGE_BYTES: usize = 256;

/// Reads the command of the first message and decides; of a refused call nothing more is read.
pub(super) async fn put(
    site: &Arc<Site>,
    visitor: &Visitor,
    mut messages: Streaming<FlightData>,
) -> Result<Flow<PutResult>, Problem> {
    let first = messages.message().await.map_err(|_| bad("The upload broke off."))?;
    let first = first.ok_or_else(|| bad("DoPut wants a command in its first message."))?;
    let descriptor = first.flight_descriptor.as_ref().ok_or_else(|| bad("DoPut wants a descriptor with a command."))?;
    let any = Any::decode(&*descriptor.cmd).map_err(|_| bad("The command of DoPut cannot be read."))?;
    if stage::is_stage(&any) {
        let staff = visitor.staff.as_ref().ok_or_else(asker::unknown)?;
        return stage::stage(site, staff, &any, (first, messages)).await;
    }
    match command::flight_sql(any)? {
        Command::CommandPreparedStatementQuery(prepared) => {
            let statement = handle::parse(&prepared.prepared_statement_handle)?;
            bind(statement, first, messages).await
        }
        _ => Err(Problem::new(
            ProblemKind::StatementNotAllowed,
            "Portico answers read-only queries: updates, ingestion and Substrait plans are refused.",
        )),
    }
}

/// Puts the values into the statement's handle and answers with the new handle.
async fn bind(
    statement: Statement,
    mut first: FlightData,
    mut messages: Streaming<FlightData>,
) -> Result<Flow<PutResult>, Problem> {
    let unreadable = || Problem::new(ProblemKind::InvalidParameter, "The bound values cannot be read.");
    // The statement came with it, and has a limit of its own.
    first.flight_descriptor = None;
    let (mut values, mut bytes, mut next) = (Vec::new(), 0, Some(first));
    while let Some(message) = next {
        bytes += message.encoded_len() + MESSAGE_BYTES;
        if bytes > VALUES_BYTES_MAX || !values::is_plain(&message.data_header) {
            return Err(unreadable());
        }
        values.push(Ok::<_, FlightError>(message));
        next = messages.message().await.map_err(|_| unreadable())?;
    }
    // All of them are there, so that nothing is waited for.
    let read = || {
        let batches = FlightRecordBatchStream::new_from_flight_data(stream::iter(values));
        batches.try_collect::<Vec<RecordBatch>>().now_or_never()
    };
    let batches = values::quietly(read).flatten().and_then(Result::ok).ok_or_else(unreadable)?;
    let mut rows = batches.into_iter().filter(|batch| batch.num_rows() > 0);
    let bound = match (rows.next(), rows.next()) {
        (None, _) => Statement { parameters_ipc: None, ..statement },
        (Some(batch), None) if batch.num_rows() == 1 => {
            Statement { parameters_ipc: Some(to_ipc(&batch)?), ..statement }
        }
        _ => {
            let detail = "Bind one row of values; a statement is asked once for each row.";
            return Err(Problem::new(ProblemKind::InvalidParameter, detail));
        }
    };
    let result = DoPutPreparedStatementResult { prepared_statement_handle: Some(handle::write(&bound)?) };
    let message = PutResult { app_metadata: result.encode_to_vec().into() };
    Ok(stream::iter([Ok(message)]).boxed())
}
