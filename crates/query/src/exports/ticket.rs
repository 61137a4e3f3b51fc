//! Tickets of downloads over Flight, as bytes and back. They come back from strangers.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use portico_model::name::{DatasetName, VersionNumber};
use portico_model::order::TablePart;
use portico_model::problem::{Problem, ProblemKind};
use serde::{Deserialize, Serialize};

/// What a ticket begins with; no SQL statement and no protobuf message of Flight SQL does.
const TICKET_PREFIX: &[u8] = b"portico-export-1:";

/// What a ticket says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportTicket {
    /// The dataset.
    pub dataset: DatasetName,
    /// The version.
    pub version: VersionNumber,
    /// The columns, in this order; none means all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// A SQL condition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Rows at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// Some row groups of one file; `None` is everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<TablePart>,
}

impl ExportTicket {
    /// The ticket as bytes.
    ///
    /// # Errors
    /// `Internal` when it cannot be written, which plain data always can.
    pub fn to_bytes(&self) -> Result<Bytes, Problem> {
        let json = serde_json::to_vec(self).map_err(|_| Problem::internal())?;
        Ok([TICKET_PREFIX, URL_SAFE_NO_PAD.encode(json).as_bytes()].concat().into())
    }

    /// Reads a ticket; `None` for bytes that are something else, such as SQL.
    ///
    /// # Errors
    /// `InvalidRequest` for a ticket that was damaged.
    pub fn parse(bytes: &[u8]) -> Result<Option<Self>, Problem> {
        let Some(encoded) = bytes.strip_prefix(TICKET_PREFIX) else { return Ok(None) };
        let json = URL_SAFE_NO_PAD.decode(encoded).ok();
        let ticket = json.and_then(|json| serde_json::from_slice(&json).ok());
        ticket.map(Some).ok_or_else(|| {
            Problem::new(ProblemKind::InvalidRequest, "The ticket is damaged. Ask GetFlightInfo for a new one.")
        })
    }
}
