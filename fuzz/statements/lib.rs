//! The parts of the server that read a stranger's text, compiled by themselves: no engine, no store, no network.

#[path = "../../crates/query/src"]
mod query {
    pub mod gate;
}

#[allow(dead_code, reason = "a server also writes handles")]
#[path = "../../crates/serve/src/flight"]
mod flight {
    use portico_model::problem::{Problem, ProblemKind};

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
}

pub use flight::handle;
pub use query::gate;
