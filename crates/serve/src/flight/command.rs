//! What the bytes of a ticket or of a descriptor's command say: a message of Flight SQL, one of ours, or SQL itself.

use arrow_flight::sql::{Any, Command};
use portico_model::problem::Problem;
use prost::Message as _;

use super::bad;

/// What is asked for.
#[derive(Debug)]
pub(super) enum Asked {
    /// Plain SQL, as simple clients send it.
    Sql(String),
    /// A download with columns, condition and limit.
    Export(ExportCommand),
    /// One of the commands of Flight SQL.
    FlightSql(Command),
}

/// `portico.v1.ExportCommand` of `proto/portico/v1/flight.proto`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(super) struct ExportCommand {
    #[prost(string, tag = "1")]
    pub(super) dataset: String,
    #[prost(uint32, tag = "2")]
    pub(super) version: u32,
    #[prost(string, repeated, tag = "3")]
    pub(super) columns: Vec<String>,
    #[prost(string, tag = "4")]
    pub(super) filter: String,
    #[prost(uint64, tag = "5")]
    pub(super) limit: u64,
}

/// Reads what a stranger sent.
pub(super) fn read(bytes: &[u8]) -> Result<Asked, Problem> {
    // Plain SQL may happen to decode as a message (`EXPLAIN ANALYZE SELECT 1` does), but as one without a type.
    let Some(any) = Any::decode(bytes).ok().filter(|any| !any.type_url.is_empty()) else {
        let text = std::str::from_utf8(bytes).map(str::to_owned);
        return text.map(Asked::Sql).map_err(|_| bad("Neither a Flight SQL message nor SQL text in UTF-8."));
    };
    if any.type_url.rsplit('/').next() == Some("portico.v1.ExportCommand") {
        let export = ExportCommand::decode(&*any.value).map_err(|_| bad("The ExportCommand is damaged."))?;
        return Ok(Asked::Export(export));
    }
    flight_sql(any).map(Asked::FlightSql)
}

/// A command of Flight SQL.
pub(super) fn flight_sql(any: Any) -> Result<Command, Problem> {
    Command::try_from(any).map_err(|_| bad("The command is not one of Flight SQL."))
}

#[cfg(test)]
mod tests {
    use arrow_flight::sql::{CommandStatementQuery, ProstMessageExt as _};

    use super::*;

    #[test]
    fn messages_are_told_from_text() {
        let query = CommandStatementQuery { query: "select 1".into(), transaction_id: None };
        let asked = read(&query.as_any().encode_to_vec());
        assert!(matches!(asked, Ok(Asked::FlightSql(Command::CommandStatementQuery(read))) if read == query));
        let export = ExportCommand { dataset: "parks".into(), limit: 3, ..ExportCommand::default() };
        let type_url = "type.googleapis.com/portico.v1.ExportCommand".to_owned();
        let any = Any { type_url: type_url.clone(), value: export.encode_to_vec().into() };
        assert!(matches!(read(&any.encode_to_vec()), Ok(Asked::Export(read)) if read == export));
        for sql in ["select 1", "EXPLAIN ANALYZE SELECT 1", ""] {
            assert!(matches!(read(sql.as_bytes()), Ok(Asked::Sql(read)) if read == sql), "{sql}");
        }
        let damaged = Any { type_url, value: b"\x0a\xff".to_vec().into() };
        for bad in [b"\xff\xfe".to_vec(), damaged.encode_to_vec()] {
            assert!(read(&bad).is_err(), "{bad:?}");
        }
    }
}
