//! Arrow Flight and Flight SQL on the same port and through the same gate as HTTP.
//!
//! ```text
//! GetFlightInfo ─┬─ path [name, "versions", n], ExportCommand ─▶ endpoints (row groups), each a pinned ticket
//!                ├─ statement, prepared statement             ─▶ schema without running, one pinned ticket
//!                └─ GetTables, GetSqlInfo, …                  ─▶ the command itself as ticket
//! DoGet         ─── export ticket · statement · metadata · plain SQL ─▶ IPC messages as the worker made them
//! ```
//!
//! Nothing is kept between calls: tickets and prepared statements carry their own state, so that any replica can
//! answer. What they carry goes through the gate and the policy again, whoever made it up.

use std::pin::Pin;
use std::sync::Arc;

use arrow_flight::flight_descriptor::DescriptorType;
use arrow_flight::flight_service_server::{FlightService, FlightServiceServer};
use arrow_flight::sql::Command;
use arrow_flight::{
    Action, ActionType, Criteria, Empty, FlightData, FlightDescriptor, FlightInfo, HandshakeRequest, HandshakeResponse,
    PollInfo, PutResult, SchemaResult, Ticket,
};
use futures::{Stream, StreamExt, stream};
use portico_model::problem::{Problem, ProblemKind};
use tonic::{Request, Response, Status, Streaming};

use crate::problem::grpc_status;
use crate::site::Site;
use command::Asked;
use session::Visitor;

mod actions;
mod answers;
mod command;
mod exports;
mod handle;
mod metadata;
mod put;
mod session;
mod stage;
mod statements;
mod values;

/// A request message: tickets and prepared statements with bound parameters.
const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Parts of a flight's path: its name, `versions`, a number.
const PATH_PARTS_MAX: usize = 3;

type Reply<T> = Result<Response<T>, Status>;
type Flow<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// The Flight service of a site.
pub(crate) fn service(site: Arc<Site>) -> FlightServiceServer<Flights> {
    FlightServiceServer::new(Flights { site }).max_decoding_message_size(REQUEST_BYTES_MAX)
}

/// Flight over a site.
pub(crate) struct Flights {
    site: Arc<Site>,
}

impl Flights {
    /// Who calls; a token that is shown has to be good, even where none is needed.
    async fn visitor<T>(&self, request: &Request<T>) -> Result<Visitor, Status> {
        let (visitor, shown) = Visitor::of(request).map_err(|problem| grpc_status(&problem))?;
        visitor.identified(&self.site, shown).await.map_err(|problem| grpc_status(&problem))
    }

    async fn info(&self, visitor: &Visitor, descriptor: FlightDescriptor) -> Result<FlightInfo, Problem> {
        if descriptor.path.len() > PATH_PARTS_MAX {
            return Err(bad(exports::PATH));
        }
        if descriptor.r#type() == DescriptorType::Path {
            return exports::info_of_path(&self.site, visitor, descriptor).await;
        }
        let command = match command::read(&descriptor.cmd)? {
            Asked::Sql(sql) => {
                return statements::info(&self.site, visitor, descriptor, statements::Statement::of(sql)).await;
            }
            Asked::Export(export) => return exports::plan(&self.site, visitor, descriptor, export).await,
            Asked::FlightSql(command) => command,
        };
        match command {
            Command::CommandStatementQuery(query) => {
                statements::info(&self.site, visitor, descriptor, statements::Statement::of(query.query)).await
            }
            Command::CommandPreparedStatementQuery(prepared) => {
                let statement = handle::parse(&prepared.prepared_statement_handle)?;
                statements::info(&self.site, visitor, descriptor, statement).await
            }
            other => metadata::info(&self.site, visitor, descriptor, other).await,
        }
    }

    async fn get(&self, visitor: &Visitor, ticket: Ticket) -> Result<Flow<FlightData>, Problem> {
        if let Some(export) = portico_query::exports::ExportTicket::parse(&ticket.ticket)? {
            return exports::get(&self.site, visitor, &export).await;
        }
        let command = match command::read(&ticket.ticket)? {
            Asked::Sql(sql) => return statements::get(&self.site, visitor, statements::Statement::of(sql)).await,
            Asked::Export(_) => {
                return Err(bad("An ExportCommand is no ticket: GetFlightInfo answers with its tickets."));
            }
            Asked::FlightSql(command) => command,
        };
        match command {
            Command::TicketStatementQuery(query) => {
                statements::get(&self.site, visitor, handle::parse(&query.statement_handle)?).await
            }
            Command::CommandPreparedStatementQuery(prepared) => {
                statements::get(&self.site, visitor, handle::parse(&prepared.prepared_statement_handle)?).await
            }
            other => metadata::get(&self.site, visitor, other).await,
        }
    }
}

#[tonic::async_trait]
impl FlightService for Flights {
    type HandshakeStream = Flow<HandshakeResponse>;
    type ListFlightsStream = Flow<FlightInfo>;
    type DoGetStream = Flow<FlightData>;
    type DoPutStream = Flow<PutResult>;
    type DoExchangeStream = Flow<FlightData>;
    type DoActionStream = Flow<arrow_flight::Result>;
    type ListActionsStream = Flow<ActionType>;

    async fn handshake(&self, request: Request<Streaming<HandshakeRequest>>) -> Reply<Self::HandshakeStream> {
        session::handshake(&request)
    }

    async fn list_flights(&self, request: Request<Criteria>) -> Reply<Self::ListFlightsStream> {
        let visitor = self.visitor(&request).await?;
        let infos = exports::list(&self.site, &visitor).await.map_err(|problem| grpc_status(&problem))?;
        Ok(Response::new(stream::iter(infos.into_iter().map(Ok)).boxed()))
    }

    async fn get_flight_info(&self, request: Request<FlightDescriptor>) -> Reply<FlightInfo> {
        let visitor = self.visitor(&request).await?;
        let info = self.info(&visitor, request.into_inner()).await;
        info.map(Response::new).map_err(|problem| grpc_status(&problem))
    }

    async fn poll_flight_info(&self, _request: Request<FlightDescriptor>) -> Reply<PollInfo> {
        Err(Status::unimplemented("PollFlightInfo is not offered: GetFlightInfo answers at once"))
    }

    async fn get_schema(&self, request: Request<FlightDescriptor>) -> Reply<SchemaResult> {
        let visitor = self.visitor(&request).await?;
        let info = self.info(&visitor, request.into_inner()).await.map_err(|problem| grpc_status(&problem))?;
        Ok(Response::new(SchemaResult { schema: info.schema }))
    }

    async fn do_get(&self, request: Request<Ticket>) -> Reply<Self::DoGetStream> {
        let visitor = self.visitor(&request).await?;
        let flow = self.get(&visitor, request.into_inner()).await;
        flow.map(Response::new).map_err(|problem| grpc_status(&problem))
    }

    async fn do_put(&self, request: Request<Streaming<FlightData>>) -> Reply<Self::DoPutStream> {
        let visitor = self.visitor(&request).await?;
        put::put(&self.site, &visitor, request.into_inner())
            .await
            .map(Response::new)
            .map_err(|problem| grpc_status(&problem))
    }

    async fn do_exchange(&self, _request: Request<Streaming<FlightData>>) -> Reply<Self::DoExchangeStream> {
        Err(Status::unimplemented("DoExchange is not offered: ask with GetFlightInfo and DoGet"))
    }

    async fn do_action(&self, request: Request<Action>) -> Reply<Self::DoActionStream> {
        let visitor = self.visitor(&request).await?;
        let results = actions::run(&self.site, &visitor, request.into_inner()).await;
        let results = results.map_err(|problem| grpc_status(&problem))?;
        Ok(Response::new(stream::iter(results.into_iter().map(Ok)).boxed()))
    }

    async fn list_actions(&self, _request: Request<Empty>) -> Reply<Self::ListActionsStream> {
        Ok(Response::new(stream::iter(actions::list().into_iter().map(Ok)).boxed()))
    }
}

fn bad(detail: &str) -> Problem {
    Problem::new(ProblemKind::InvalidRequest, detail)
}
