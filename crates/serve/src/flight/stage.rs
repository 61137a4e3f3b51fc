//! DoPut with `portico.v1.StageCommand`: a revision as Arrow batches.
//!
//! The messages are written down as the Arrow IPC stream that they are, and not looked into: like every file that comes
//! from outside, it is read by a process of its own when it is screened.

use std::sync::Arc;

use arrow_flight::sql::Any;
use arrow_flight::{FlightData, PutResult};
use bytes::{BufMut as _, Bytes, BytesMut};
use futures::{StreamExt as _, stream};
use portico_model::policy::Principal;
use portico_model::problem::Problem;
use prost::Message as _;
use tonic::Streaming;

use super::{Flow, bad};
use crate::http::staff::upload::{Proposal, Said, broken_off};
use crate::problem::Refusal;
use crate::site::Site;

/// The name that a stream of batches is staged under.
const FILE_NAME: &str = "batches.arrows";
/// What begins each message of an IPC stream, and, with no length behind it, ends it.
const CONTINUATION: u32 = 0xFFFF_FFFF;
/// Headers and bodies of messages end at a multiple of so many bytes.
const ALIGNMENT: usize = 8;

/// `portico.v1.StageCommand` of `proto/portico/v1/flight.proto`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct StageCommand {
    #[prost(string, tag = "1")]
    dataset: String,
    #[prost(string, tag = "2")]
    department: String,
    #[prost(string, tag = "3")]
    title: String,
    #[prost(string, tag = "4")]
    description: String,
    #[prost(string, tag = "5")]
    steward_name: String,
    #[prost(string, tag = "6")]
    steward_email: String,
    #[prost(string, tag = "7")]
    license: String,
}

/// `portico.v1.StageResult`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct StageResult {
    #[prost(string, tag = "1")]
    revision: String,
    #[prost(string, tag = "2")]
    state: String,
}

/// Whether a command is a `StageCommand`.
pub(super) fn is_stage(any: &Any) -> bool {
    any.type_url.rsplit('/').next() == Some("portico.v1.StageCommand")
}

/// Puts the batches into staging; the answer names the revision.
pub(super) async fn stage(
    site: &Arc<Site>,
    staff: &Principal,
    any: &Any,
    (first, messages): (FlightData, Streaming<FlightData>),
) -> Result<Flow<PutResult>, Problem> {
    let command = StageCommand::decode(&*any.value).map_err(|_| bad("The StageCommand is damaged."))?;
    let texts = [
        ("department", command.department),
        ("title", command.title),
        ("description", command.description),
        ("steward_name", command.steward_name),
        ("steward_email", command.steward_email),
        ("license", command.license),
    ];
    let said = Said(texts.into_iter().filter(|(_, text)| !text.trim().is_empty()).collect());
    let proposal =
        Proposal::new(site, staff, (&command.dataset, FILE_NAME), said).await.map_err(Refusal::into_problem)?;
    let begun = stream::once(async { Ok(first) });
    let messages = messages.map(|message| message.map_err(|_| broken_off()));
    let end = stream::once(async { Ok(Bytes::from_static(b"\xFF\xFF\xFF\xFF\0\0\0\0")) });
    let bytes = begun.chain(messages).map(|message| message.and_then(|message| framed(&message))).chain(end);
    let revision = proposal.receive(site, bytes).await.map_err(Refusal::into_problem)?;
    let result = StageResult { revision: revision.id, state: revision.state.as_str().to_owned() };
    let message = PutResult { app_metadata: result.encode_to_vec().into() };
    Ok(stream::iter([Ok(message)]).boxed())
}

/// One message as it stands in an IPC stream: the length of its header, the header, the body.
fn framed(message: &FlightData) -> Result<Bytes, Problem> {
    if message.data_header.is_empty() {
        // The command may come alone, before the schema.
        return Ok(Bytes::new());
    }
    let padded = |length: usize| length.next_multiple_of(ALIGNMENT);
    let header = padded(message.data_header.len());
    let length = u32::try_from(header).map_err(|_| bad("A message's header is too long."))?;
    let mut bytes = BytesMut::with_capacity(header + padded(message.data_body.len()) + ALIGNMENT);
    bytes.put_u32_le(CONTINUATION);
    bytes.put_u32_le(length);
    for part in [&message.data_header, &message.data_body] {
        bytes.put_slice(part);
        bytes.put_bytes(0, padded(part.len()) - part.len());
    }
    Ok(bytes.freeze())
}
