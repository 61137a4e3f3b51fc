//! The parts of the server that read a stranger's text, compiled by themselves: no engine, no store, no network.

#[path = "../../crates/query/src"]
mod query {
    #[allow(unused_imports, reason = "other parts of the server use more of it")]
    pub mod gate;

    pub mod exports {
        pub mod ticket;
    }
}

#[allow(dead_code, reason = "a server also writes handles")]
#[path = "../../crates/serve/src/flight"]
mod flight {
    use arrow_flight::FlightDescriptor;
    use arrow_flight::sql::Command;
    use portico_model::problem::{Problem, ProblemKind};
    use prost::Message as _;

    use crate::query::exports::ticket::ExportTicket;
    use command::Asked;

    mod command;
    mod handle;

    /// What the handle is read into, as beside it in the server.
    mod statements {
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(super) struct Statement {
            pub(super) sql: String,
            pub(super) parameters_ipc: Option<Vec<u8>>,
        }
    }

    fn bad(detail: &str) -> Problem {
        Problem::new(ProblemKind::InvalidRequest, detail)
    }

    /// Reads a handle; one that is read is written and read again as the same.
    pub fn handle(bytes: &[u8]) {
        let Ok(statement) = handle::parse(bytes) else { return };
        let again = handle::write(&statement).and_then(|bytes| handle::parse(&bytes));
        assert_eq!(again.ok(), Some(statement));
    }

    /// Reads a ticket as DoGet does, and as the descriptor of GetFlightInfo.
    pub fn ticket(bytes: &[u8]) {
        match ExportTicket::parse(bytes) {
            Ok(Some(ticket)) => {
                let again = ticket.to_bytes().and_then(|bytes| ExportTicket::parse(&bytes));
                assert_eq!(again.ok().flatten(), Some(ticket));
            }
            Ok(None) => asked(bytes),
            Err(_) => {}
        }
        if let Ok(descriptor) = FlightDescriptor::decode(bytes) {
            asked(&descriptor.cmd);
        }
    }

    fn asked(bytes: &[u8]) {
        match command::read(bytes) {
            Ok(Asked::FlightSql(Command::TicketStatementQuery(query))) => handle(&query.statement_handle),
            Ok(Asked::FlightSql(Command::CommandPreparedStatementQuery(query))) => {
                handle(&query.prepared_statement_handle);
            }
            Ok(Asked::Sql(sql)) => assert_eq!(sql.as_bytes(), bytes),
            Ok(Asked::Export(_) | Asked::FlightSql(_)) | Err(_) => {}
        }
    }
}

pub use flight::{handle, ticket};
pub use query::gate;
