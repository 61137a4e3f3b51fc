//! Every way in for SQL, each with statements that nobody may ask: one gate refuses them all.

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::{
    ActionCreatePreparedStatementRequest, Any, CommandPreparedStatementQuery, CommandStatementQuery, ProstMessageExt,
    TicketStatementQuery,
};
use arrow_flight::{Action, FlightDescriptor, Ticket};
use axum::body::Body;
use http::Request;
use portico_model::name::DatasetName;
use portico_query::exports::ExportTicket;
use portico_query::gate;
use prost::Message as _;
use tonic::Status;

use crate::world::World;

/// Nobody may ask these, however they come in.
const FORBIDDEN: [&str; 10] = [
    "DROP TABLE street_trees",
    "COPY street_trees TO 'x.csv'",
    "SET statement_timeout = 1",
    "INSERT INTO street_trees VALUES (1)",
    "CREATE TABLE t AS SELECT 1",
    "EXPLAIN ANALYZE SELECT 1",
    "SELECT 1 INTO t",
    "SELECT 1; DELETE FROM street_trees",
    "SELECT * FROM street_trees FOR UPDATE",
    "WITH RECURSIVE r AS (SELECT 1 UNION ALL SELECT * FROM r) SELECT * FROM r",
];

/// Ways in for a whole statement.
#[derive(Clone, Copy, Debug)]
enum Statement {
    Get,
    Head,
    Post,
    PostText,
    PostJson,
    Explain,
    InfoOfText,
    InfoOfQuery,
    InfoOfPrepared,
    SchemaOfQuery,
    TicketOfText,
    TicketOfQuery,
    TicketOfPrepared,
    Prepare,
}

/// Ways in for a part of one.
#[derive(Clone, Copy, Debug)]
enum Part {
    Where,
    WhereOfVersion,
    Order,
    ExportCommand,
    ExportTicket,
}

/// `portico.v1.ExportCommand` as a client of the proto file writes it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct ExportCommand {
    #[prost(string, tag = "1")]
    dataset: String,
    #[prost(string, tag = "4")]
    filter: String,
}

/// A handle that a client made up.
fn handle(sql: &str) -> Vec<u8> {
    let mut handle = vec![1];
    serde_json::to_writer(&mut handle, &serde_json::json!({ "sql": sql })).unwrap();
    handle
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// The code of a problem over Flight.
fn code(status: &Status) -> String {
    let code = status.metadata().get(portico_serve::PROBLEM_CODE_METADATA);
    code.map_or_else(|| format!("{status:?}"), |code| code.to_str().unwrap().to_owned())
}

async fn over_http(world: &World, request: Request<Body>) -> String {
    let is_head = request.method() == http::Method::HEAD;
    let reply = world.send(request).await;
    assert!(reply.status.is_client_error(), "{}", reply.status);
    if is_head { "statement_not_allowed".to_owned() } else { reply.problem() }
}

async fn ask(world: &World, entry: Statement, sql: &str) -> String {
    let mut flight = FlightServiceClient::new(world.router());
    let post =
        |kind: &str, body: String| Request::post("/sql").header("content-type", kind).body(Body::from(body)).unwrap();
    let get = |path: &str| Request::get(format!("{path}?q={}", encoded(sql))).body(Body::empty()).unwrap();
    let query = CommandStatementQuery { query: sql.to_owned(), transaction_id: None }.as_any().encode_to_vec();
    let prepared = CommandPreparedStatementQuery { prepared_statement_handle: handle(sql).into() };
    let prepared = prepared.as_any().encode_to_vec();
    let ticket = TicketStatementQuery { statement_handle: handle(sql).into() }.as_any().encode_to_vec();
    let refused = match entry {
        Statement::Get => return over_http(world, get("/sql")).await,
        Statement::Head => {
            let mut request = get("/sql");
            *request.method_mut() = http::Method::HEAD;
            return over_http(world, request).await;
        }
        Statement::Explain => return over_http(world, get("/sql/explain")).await,
        Statement::Post => return over_http(world, post("application/sql", sql.to_owned())).await,
        Statement::PostText => return over_http(world, post("text/plain", sql.to_owned())).await,
        Statement::PostJson => {
            let body = serde_json::json!({ "sql": sql }).to_string();
            return over_http(world, post("application/json", body)).await;
        }
        Statement::InfoOfText => flight.get_flight_info(FlightDescriptor::new_cmd(sql.to_owned())).await.err(),
        Statement::InfoOfQuery => flight.get_flight_info(FlightDescriptor::new_cmd(query)).await.err(),
        Statement::InfoOfPrepared => flight.get_flight_info(FlightDescriptor::new_cmd(prepared)).await.err(),
        Statement::SchemaOfQuery => flight.get_schema(FlightDescriptor::new_cmd(query)).await.err(),
        Statement::TicketOfText => flight.do_get(Ticket::new(sql.to_owned())).await.err(),
        Statement::TicketOfQuery => flight.do_get(Ticket::new(ticket)).await.err(),
        Statement::TicketOfPrepared => flight.do_get(Ticket::new(prepared)).await.err(),
        Statement::Prepare => {
            let request = ActionCreatePreparedStatementRequest { query: sql.to_owned(), transaction_id: None };
            flight.do_action(Action::new("CreatePreparedStatement", request.as_any().encode_to_vec())).await.err()
        }
    };
    code(&refused.unwrap_or_else(|| panic!("{entry:?} answered {sql}")))
}

async fn ask_part(world: &World, entry: Part, text: &str) -> String {
    let get = |path: &str| Request::get(format!("{path}={}", encoded(text))).body(Body::empty()).unwrap();
    let mut flight = FlightServiceClient::new(world.router());
    match entry {
        Part::Where => over_http(world, get("/datasets/street-trees.csv?where")).await,
        Part::WhereOfVersion => over_http(world, get("/datasets/street-trees/versions/1.ndjson?where")).await,
        Part::Order => over_http(world, get("/datasets/street-trees.csv?order")).await,
        Part::ExportCommand => {
            let command = ExportCommand { dataset: "street-trees".to_owned(), filter: text.to_owned() };
            let any = Any {
                type_url: "type.googleapis.com/portico.v1.ExportCommand".to_owned(),
                value: command.encode_to_vec().into(),
            };
            let refused = flight.get_flight_info(FlightDescriptor::new_cmd(any.encode_to_vec())).await.err();
            code(&refused.unwrap_or_else(|| panic!("{entry:?} answered {text}")))
        }
        Part::ExportTicket => {
            let dataset = DatasetName::parse("street-trees").unwrap();
            let filter = Some(text.to_owned());
            let ticket = ExportTicket { dataset, version: 1, columns: Vec::new(), filter, limit: None, part: None };
            let refused = flight.do_get(Ticket::new(ticket.to_bytes().unwrap())).await.err();
            code(&refused.unwrap_or_else(|| panic!("{entry:?} answered {text}")))
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_way_in_leads_around_the_gate() {
    use Statement as S;
    let world = World::new().await;
    world.publish("street-trees", "trees.csv", b"tree_id,species\n1,Elm\n").await;
    for sql in FORBIDDEN {
        for entry in [
            S::Get,
            S::Head,
            S::Post,
            S::PostText,
            S::PostJson,
            S::Explain,
            S::InfoOfText,
            S::InfoOfQuery,
            S::InfoOfPrepared,
            S::SchemaOfQuery,
            S::TicketOfText,
            S::TicketOfQuery,
            S::TicketOfPrepared,
            S::Prepare,
        ] {
            let before = gate::passes();
            assert_eq!(ask(&world, entry, sql).await, "statement_not_allowed", "{entry:?}: {sql}");
            assert!(gate::passes() > before, "{entry:?} went around the gate with {sql}");
        }
        for entry in [Part::Where, Part::WhereOfVersion, Part::Order, Part::ExportCommand, Part::ExportTicket] {
            for text in [sql.to_owned(), format!("species = 'Elm'; {sql}"), format!("species IN ({sql})")] {
                let before = gate::passes();
                let code = ask_part(&world, entry, &text).await;
                assert!(["statement_not_allowed", "invalid_sql"].contains(&code.as_str()), "{entry:?}: {text}: {code}");
                assert!(gate::passes() > before, "{entry:?} went around the gate with {text}");
            }
        }
    }
}
