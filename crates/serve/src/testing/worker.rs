//! A worker in this process that speaks the protocol of workers and answers by what a statement mentions: `'first'`
//! fails before any byte, `'later'` after a long beginning, `'long'` is long; anything else is a small table.

use std::io;
use std::sync::Arc;

use arrow::ipc::writer::IpcWriteOptions;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaAsIpc, SchemaResult, Ticket,
};
use arrow_schema::{DataType, Field, Schema};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::stream::{self, BoxStream, StreamExt};
use hyper_util::rt::TokioIo;
use portico_model::order::{AnswerColumn, AnswerHead, AnswerTail, Explanation, Work, WorkOrder};
use portico_model::problem::{Problem, ProblemKind};
use portico_query::workers::Launcher;
use tonic::transport::{Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};

type Messages<T> = BoxStream<'static, Result<T, Status>>;

/// The bytes of every small answer, whatever its format.
pub(super) const SMALL: &str = "a\n1\n2\n";

/// What a worker says that every answer took.
pub(crate) const ELAPSED_MS: u64 = 700;

/// The bytes of a long answer.
pub(super) const LONG_BYTES: usize = 300_000;

/// Connections to workers in this process, each through a pipe of its own.
pub(super) fn launcher() -> Launcher {
    Launcher::Connect(Arc::new(|| {
        Box::pin(async {
            let (near, far) = tokio::io::duplex(1 << 20);
            let incoming = stream::iter([Ok::<_, io::Error>(far)]);
            tokio::spawn(
                Server::builder().add_service(FlightServiceServer::new(Scripted)).serve_with_incoming(incoming),
            );
            let mut near = Some(near);
            let connector = tower::service_fn(move |_| {
                let near = near.take().map(TokioIo::new).ok_or_else(|| io::Error::other("used before"));
                async move { near }
            });
            Ok(Endpoint::from_static("http://worker").connect_with_connector(connector).await?)
        })
    }))
}

struct Scripted;

fn bytes(body: Vec<u8>) -> Result<FlightData, Status> {
    Ok(FlightData { data_body: body.into(), ..FlightData::default() })
}

fn note(note: &impl serde::Serialize) -> Result<FlightData, Status> {
    Ok(FlightData { app_metadata: serde_json::to_vec(note).unwrap().into(), ..FlightData::default() })
}

fn failure() -> Result<FlightData, Status> {
    let problem = Problem::new(ProblemKind::QueryFailed, "Division by zero.");
    let details = serde_json::to_vec(&problem).unwrap().into();
    Err(Status::with_details(tonic::Code::InvalidArgument, "query_failed", details))
}

fn head(order: &WorkOrder) -> AnswerHead {
    let schema = Schema::new(vec![Field::new("a", DataType::Int64, true)]);
    let message = FlightData::from(SchemaAsIpc::new(&schema, &IpcWriteOptions::default()));
    let explanation = Explanation { logical_plan: "TableScan".into(), files: 1, bytes: 9, ..Explanation::default() };
    AnswerHead {
        columns: vec![AnswerColumn { name: "a".into(), data_type: "int64".into() }],
        schema_ipc_base64: BASE64_STANDARD.encode(&message.data_header),
        parameters_ipc_base64: None,
        explanation: (order.work == Work::Explain).then_some(explanation),
    }
}

fn script(order: &WorkOrder) -> Vec<Result<FlightData, Status>> {
    let tail = AnswerTail { rows: 2, elapsed_ms: ELAPSED_MS, ..AnswerTail::default() };
    let long = || bytes(vec![b'x'; LONG_BYTES / 3]);
    if order.sql.contains("'first'") {
        vec![note(&head(order)), failure()]
    } else if order.sql.contains("'later'") {
        vec![note(&head(order)), long(), long(), failure()]
    } else if order.sql.contains("'long'") {
        vec![note(&head(order)), long(), long(), long(), note(&tail)]
    } else {
        vec![note(&head(order)), bytes(SMALL.into()), note(&tail)]
    }
}

#[tonic::async_trait]
impl FlightService for Scripted {
    type HandshakeStream = Messages<HandshakeResponse>;
    type ListFlightsStream = Messages<FlightInfo>;
    type DoGetStream = Messages<FlightData>;
    type DoPutStream = Messages<PutResult>;
    type DoExchangeStream = Messages<FlightData>;
    type DoActionStream = Messages<arrow_flight::Result>;
    type ListActionsStream = Messages<ActionType>;

    async fn do_get(&self, request: Request<Ticket>) -> Result<Response<Self::DoGetStream>, Status> {
        let order: WorkOrder = serde_json::from_slice(&request.into_inner().ticket).unwrap();
        Ok(Response::new(stream::iter(script(&order)).boxed()))
    }

    async fn do_action(&self, _: Request<Action>) -> Result<Response<Self::DoActionStream>, Status> {
        Ok(Response::new(stream::empty().boxed()))
    }

    async fn handshake(
        &self,
        _: Request<Streaming<HandshakeRequest>>,
    ) -> Result<Response<Self::HandshakeStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_flights(&self, _: Request<Criteria>) -> Result<Response<Self::ListFlightsStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<FlightInfo>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn poll_flight_info(&self, _: Request<FlightDescriptor>) -> Result<Response<PollInfo>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_schema(&self, _: Request<FlightDescriptor>) -> Result<Response<SchemaResult>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn do_put(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoPutStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn do_exchange(&self, _: Request<Streaming<FlightData>>) -> Result<Response<Self::DoExchangeStream>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn list_actions(&self, _: Request<Empty>) -> Result<Response<Self::ListActionsStream>, Status> {
        Err(Status::unimplemented(""))
    }
}
