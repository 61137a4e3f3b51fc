//! Actions: prepared statements, and the parts of sessions that a server without sessions can answer.

use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::sql::{
    ActionClosePreparedStatementRequest, ActionCreatePreparedStatementRequest, ActionCreatePreparedStatementResult,
    Any, ProstMessageExt as _,
};
use arrow_flight::{Action, ActionType, IpcMessage, Result as ActionResult, SchemaAsIpc};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use portico_model::problem::{Problem, ProblemKind};
use prost::Message as _;

use super::session::Visitor;
use super::statements::{self, Statement};
use super::{answers, bad, handle};
use crate::site::Site;

/// `CloseSessionResult { status: CLOSED }`: there is nothing to close, and now it is closed.
const SESSION_CLOSED: &[u8] = &[0x08, 0x01];
/// `CancelFlightInfoResult { status: NOT_CANCELLABLE }` and Flight SQL's older `CancelQuery` likewise.
const NOT_CANCELLABLE: &[u8] = &[0x08, 0x03];

/// What can be done.
pub(super) fn list() -> Vec<ActionType> {
    let action =
        |name: &str, description: &str| ActionType { r#type: name.to_owned(), description: description.to_owned() };
    vec![
        action("CreatePreparedStatement", "Plans a statement and answers its schemas and its handle."),
        action("ClosePreparedStatement", "Forgets a statement; nothing was kept."),
        action("CancelFlightInfo", "A question stops when its stream is closed; there is nothing else to cancel."),
        action("CloseSession", "Ends a session; nothing was kept."),
    ]
}

/// Does one.
pub(super) async fn run(site: &Site, visitor: &Visitor, action: Action) -> Result<Vec<ActionResult>, Problem> {
    let result = |body: Bytes| vec![ActionResult { body }];
    match action.r#type.as_str() {
        "CreatePreparedStatement" => prepare(site, visitor, &action.body).await.map(result),
        "ClosePreparedStatement" => {
            unpack::<ActionClosePreparedStatementRequest>(&action.body)?;
            Ok(Vec::new())
        }
        "CloseSession" => Ok(result(Bytes::from_static(SESSION_CLOSED))),
        "CancelFlightInfo" | "CancelQuery" => Ok(result(Bytes::from_static(NOT_CANCELLABLE))),
        "SetSessionOptions" | "GetSessionOptions" => {
            Err(Problem::new(ProblemKind::InvalidRequest, "There are no session options: every call stands by itself."))
        }
        "BeginTransaction" | "EndTransaction" | "BeginSavepoint" | "EndSavepoint" | "CreatePreparedSubstraitPlan" => {
            Err(Problem::new(
                ProblemKind::StatementNotAllowed,
                "Portico answers read-only queries: there are no transactions and no Substrait plans.",
            ))
        }
        _ => Err(bad("There is no such action; ListActions lists them.")),
    }
}

async fn prepare(site: &Site, visitor: &Visitor, body: &[u8]) -> Result<Bytes, Problem> {
    let request: ActionCreatePreparedStatementRequest = unpack(body)?;
    let statement = Statement::of(request.query);
    let described = statements::describe(site, visitor, &statement).await?;
    let schema = answers::plain(&described.schema);
    let IpcMessage(dataset_schema) =
        SchemaAsIpc::new(&schema, &IpcWriteOptions::default()).try_into().map_err(answers::internal)?;
    let parameter_schema = match &described.head.parameters_ipc_base64 {
        Some(text) => parameters(STANDARD.decode(text).map_err(answers::internal)?)?,
        None => Bytes::new(),
    };
    let prepared_statement_handle = handle::write(&statement)?;
    let result = ActionCreatePreparedStatementResult { prepared_statement_handle, dataset_schema, parameter_schema };
    Ok(result.as_any().encode_to_vec().into())
}

/// The worker's schema message is framed as Flight SQL wants it; nothing for a statement without parameters.
fn parameters(message: Vec<u8>) -> Result<Bytes, Problem> {
    let schema = arrow::ipc::convert::try_schema_from_ipc_buffer(&message).map_err(answers::internal)?;
    Ok(if schema.fields().is_empty() { Bytes::new() } else { message.into() })
}

fn unpack<M: prost::Message + arrow_flight::sql::ProstMessageExt + Default>(body: &[u8]) -> Result<M, Problem> {
    let any = Any::decode(body).map_err(|_| bad("The action's body cannot be read."))?;
    any.unpack().ok().flatten().ok_or_else(|| bad("The action's body is not the message it should be."))
}
