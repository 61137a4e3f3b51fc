//! All that a stranger may ask over Arrow Flight and Flight SQL.

use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, Any, CommandGetCatalogs, CommandGetDbSchemas, CommandGetPrimaryKeys,
    CommandGetSqlInfo, CommandGetTableTypes, CommandGetTables, CommandGetXdbcTypeInfo, CommandStatementQuery,
    ProstMessageExt,
};
use arrow_flight::{Action, Criteria, Empty, FlightData, FlightDescriptor, HandshakeRequest, Ticket};
use futures::{StreamExt as _, TryStreamExt as _};
use prost::Message;
use tonic::{Request, Response, Status};

use super::crawl::Crawled;
use super::portal::{GONE, PUBLIC, Secrets};
use super::search;
use crate::world::World;

type Client = FlightServiceClient<axum::Router>;

/// `portico.v1.ExportCommand` as a client of the proto file writes it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct ExportCommand {
    #[prost(string, tag = "1")]
    dataset: String,
    #[prost(uint32, tag = "2")]
    version: u32,
    #[prost(string, tag = "4")]
    filter: String,
}

/// Asks all of it, in order.
pub(crate) async fn crawl(world: &World, secrets: &[&Secrets]) -> Vec<Crawled> {
    let mut client = FlightServiceClient::new(world.router()).max_decoding_message_size(64 << 20);
    let mut all = calls(&mut client).await;
    for (asked, descriptor, shows) in descriptors(secrets) {
        let schema = client.get_schema(descriptor.clone()).await;
        all.push(one(format!("GetSchema {asked}"), schema, |schema| schema.encode_to_vec()));
        let info = client.get_flight_info(descriptor).await;
        let tickets: Vec<Ticket> =
            info.iter().flat_map(|info| &info.get_ref().endpoint).filter_map(|end| end.ticket.clone()).collect();
        all.push(one(format!("GetFlightInfo {asked}"), info, |info| {
            [format!("{info:?}").into_bytes(), info.encode_to_vec()].concat()
        }));
        for ticket in tickets {
            all.push(Crawled { shows, ..pull(&mut client, format!("DoGet {asked}"), ticket).await });
        }
    }
    for ticket in ["", "SELECT * FROM staged", "\u{1}{\"sql\":\"SELECT * FROM zqx\"}"] {
        all.push(pull(&mut client, format!("DoGet {ticket:?}"), Ticket::new(ticket.to_owned())).await);
    }
    all
}

/// Calls that take nothing, or nothing of ours.
async fn calls(client: &mut Client) -> Vec<Crawled> {
    let mut all = Vec::new();
    let listed = client.list_flights(Criteria::default()).await;
    all.push(many("ListFlights".to_owned(), listed).await);
    all.push(many("ListActions".to_owned(), client.list_actions(Empty {}).await).await);
    let hands = client.handshake(futures::stream::iter([HandshakeRequest::default()])).await;
    all.push(many("Handshake".to_owned(), hands).await);
    let nothing = futures::stream::iter([FlightData::default()]);
    all.push(many("DoPut".to_owned(), client.do_put(nothing.clone()).await).await);
    all.push(many("DoExchange".to_owned(), client.do_exchange(nothing).await).await);
    let polled = client.poll_flight_info(FlightDescriptor::new_path(vec!["trees".to_owned()])).await;
    all.push(one("PollFlightInfo".to_owned(), polled, Message::encode_to_vec));
    for sql in ["SELECT * FROM trees", "SELECT * FROM zqnothing", "SELECT statu FROM trees WHERE id = $1"] {
        let request = ActionCreatePreparedStatementRequest { query: sql.to_owned(), transaction_id: None };
        let action = Action::new("CreatePreparedStatement", request.as_any().encode_to_vec());
        all.push(many(format!("Prepare {sql}"), client.do_action(action).await).await);
    }
    for action in ["CloseSession", "CancelFlightInfo", "GetSessionOptions", "BeginTransaction", "nothing"] {
        all.push(many(format!("DoAction {action}"), client.do_action(Action::new(action, "")).await).await);
    }
    all
}

/// Descriptors with what they are, and whether their data have to hold public cells.
fn descriptors(secrets: &[&Secrets]) -> Vec<(String, FlightDescriptor, bool)> {
    let mut all = Vec::new();
    let hidden: Vec<String> = secrets.iter().flat_map(|secrets| secrets.hidden()).collect();
    let hidden = hidden.iter().map(String::as_str).chain(GONE).chain(["never-was"]);
    for (name, public) in PUBLIC.into_iter().map(|name| (name, true)).chain(hidden.map(|name| (name, false))) {
        all.push((format!("path {name}"), FlightDescriptor::new_path(vec![name.to_owned()]), public));
        for version in ["1", "2", "4"] {
            let path = vec![name.to_owned(), "versions".to_owned(), version.to_owned()];
            all.push((format!("path {name} {version}"), FlightDescriptor::new_path(path), public && version == "1"));
        }
        let command = ExportCommand { dataset: name.to_owned(), version: 0, filter: "1 = 1".to_owned() };
        let type_url = "type.googleapis.com/portico.v1.ExportCommand".to_owned();
        let any = Any { type_url, value: command.encode_to_vec().into() };
        all.push((format!("export {name}"), FlightDescriptor::new_cmd(any.encode_to_vec()), public));
        let query = format!("SELECT * FROM {}", name.replace('-', "_"));
        let query = CommandStatementQuery { query, transaction_id: None }.as_any().encode_to_vec();
        all.push((format!("query {name}"), FlightDescriptor::new_cmd(query), public));
    }
    for column in secrets.iter().flat_map(|secrets| secrets.near_columns()) {
        let sql = format!("SELECT {column} FROM trees");
        all.push((sql.clone(), FlightDescriptor::new_cmd(sql), false));
    }
    let tables = CommandGetTables { include_schema: true, ..CommandGetTables::default() };
    let keys = CommandGetPrimaryKeys { table: "trees".to_owned(), ..CommandGetPrimaryKeys::default() };
    for (asked, command) in [
        ("GetTables", tables.as_any()),
        ("GetDbSchemas", CommandGetDbSchemas::default().as_any()),
        ("GetCatalogs", CommandGetCatalogs {}.as_any()),
        ("GetTableTypes", CommandGetTableTypes {}.as_any()),
        ("GetSqlInfo", CommandGetSqlInfo { info: Vec::new() }.as_any()),
        ("GetXdbcTypeInfo", CommandGetXdbcTypeInfo { data_type: None }.as_any()),
        ("GetPrimaryKeys", keys.as_any()),
    ] {
        all.push((asked.to_owned(), FlightDescriptor::new_cmd(command.encode_to_vec()), false));
    }
    all
}

fn refused(asked: String, status: &Status) -> Crawled {
    let head = status.metadata().clone().into_headers();
    let head =
        head.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    Crawled {
        asked,
        route: None,
        shows: false,
        status: format!("{:?}", status.code()),
        head: head.collect(),
        body: [status.message().as_bytes(), status.details()].join(&b'\n'),
    }
}

fn answered(asked: String, head: &tonic::metadata::MetadataMap, body: Vec<u8>) -> Crawled {
    let head = head.clone().into_headers();
    let head =
        head.iter().map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()));
    Crawled { asked, route: None, shows: false, status: "Ok".to_owned(), head: head.collect(), body }
}

fn one<T>(asked: String, reply: Result<Response<T>, Status>, bytes: impl Fn(&T) -> Vec<u8>) -> Crawled {
    match reply {
        Ok(reply) => answered(asked, reply.metadata(), bytes(reply.get_ref())),
        Err(status) => refused(asked, &status),
    }
}

async fn many<T: Message + std::fmt::Debug>(
    asked: String,
    reply: Result<Response<tonic::Streaming<T>>, Status>,
) -> Crawled {
    let (head, mut stream) = match reply {
        Ok(reply) => (reply.metadata().clone(), reply.into_inner()),
        Err(status) => return refused(asked, &status),
    };
    let mut body = Vec::new();
    while let Some(message) = stream.next().await {
        match message {
            Ok(message) => body.extend([format!("{message:?}").into_bytes(), message.encode_to_vec()].concat()),
            Err(status) => return refused(asked, &status),
        }
    }
    answered(asked, &head, body)
}

/// Data, as their messages are, and the cells that they hold.
async fn pull(client: &mut Client, asked: String, ticket: Ticket) -> Crawled {
    let reply = match client.do_get(Request::new(ticket)).await {
        Ok(reply) => reply,
        Err(status) => return refused(asked, &status),
    };
    let head = reply.metadata().clone();
    let messages: Vec<FlightData> = match reply.into_inner().try_collect().await {
        Ok(messages) => messages,
        Err(status) => return refused(asked, &status),
    };
    let mut body: Vec<u8> = messages.iter().flat_map(Message::encode_to_vec).collect();
    let messages = futures::stream::iter(messages.into_iter().map(Ok));
    let mut batches = FlightRecordBatchStream::new_from_flight_data(messages);
    while let Some(batch) = batches.next().await {
        let batch = batch.unwrap();
        body.extend(search::text(&batch));
    }
    answered(asked, &head, body)
}
