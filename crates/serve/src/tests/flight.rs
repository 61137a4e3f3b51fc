//! Calls of Flight as they come over the wire, message by message.

use arrow_flight::sql::{CommandGetTables, ProstMessageExt as _};
use arrow_flight::{FlightDescriptor, Ticket};
use axum::body::Body;
use http::Request;
use prost::Message as _;

use crate::testing::{Answered, World};

/// A call with these bytes as its body.
async fn raw(world: &World, call: &str, body: Vec<u8>) -> Answered {
    let request = Request::post(format!("/arrow.flight.protocol.FlightService/{call}"));
    let request = request.header("content-type", "application/grpc").header("te", "trailers");
    world.send(request.body(Body::from(body)).unwrap()).await
}

/// A call with one message.
async fn call(world: &World, call: &str, message: Vec<u8>) -> Answered {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    raw(world, call, [&[0], &length[..], &message].concat()).await
}

/// Whether an answer holds this text.
fn holds(answer: &Answered, text: &str) -> bool {
    let body = answer.body.as_deref().unwrap_or_default();
    body.windows(text.len()).any(|bytes| bytes == text.as_bytes())
}

async fn tables(world: &World, command: CommandGetTables) -> Answered {
    call(world, "DoGet", Ticket::new(command.as_any().encode_to_vec()).encode_to_vec()).await
}

#[tokio::test]
async fn types_of_tables_are_few() {
    let world = World::new().await;
    let of = |types: &[&str]| CommandGetTables {
        table_types: types.iter().map(ToString::to_string).collect(),
        ..CommandGetTables::default()
    };
    for (types, expect) in
        [(&[][..], true), (&["TABLE"], true), (&["VIEW", "TABLE"], true), (&["VIEW"], false), (&[""; 100], false)]
    {
        let answer = tables(&world, of(types)).await;
        assert_eq!((answer.header("grpc-status"), holds(&answer, "street_trees")), ("", expect), "{types:?}");
    }
    assert_eq!(tables(&world, of(&[""; 101])).await.header("grpc-status"), "3");
    let long = CommandGetTables { table_name_filter_pattern: Some("%".repeat(1 << 20)), ..of(&[]) };
    assert_eq!(tables(&world, long).await.header("grpc-status"), "3");
}

#[tokio::test]
async fn flights_have_short_paths_and_plain_numbers() {
    let world = World::new().await;
    let mut statuses = Vec::new();
    for parts in [
        &["street-trees", "versions", "1"][..],
        &["street-trees", "versions", "01"],
        &["street-trees", "versions", "+1"],
        &["street-trees", "versions", "0"],
    ] {
        let path = FlightDescriptor::new_path(parts.iter().map(ToString::to_string).collect());
        statuses.push(call(&world, "GetFlightInfo", path.encode_to_vec()).await.header("grpc-status").to_owned());
    }
    assert_eq!(statuses, ["", "5", "5", "5"]);
    let long = FlightDescriptor { path: vec![String::new(); 1_000], ..FlightDescriptor::new_cmd("select 1") };
    assert_eq!(call(&world, "GetFlightInfo", long.encode_to_vec()).await.header("grpc-status"), "3");
}

#[tokio::test]
async fn a_message_that_does_not_decode_is_its_senders_fault() {
    let world = World::new().await;
    let broken = call(&world, "GetFlightInfo", b"\x1a\x01\xff".to_vec()).await;
    let missing = raw(&world, "GetFlightInfo", Vec::new()).await;
    for answer in [broken, missing] {
        assert_eq!((answer.header("grpc-status"), answer.header("x-portico-problem")), ("3", "invalid_request"));
        assert_eq!(answer.header("grpc-message"), "invalid_request:%20The%20call's%20message%20cannot%20be%20read.");
    }
}
