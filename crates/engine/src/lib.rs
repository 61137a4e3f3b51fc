//! Answers one gated question over one set of released versions: the only crate that links DataFusion.
//!
//! It runs inside `portico worker`, a process without credentials that is killed when it oversteps. A worker
//! hears [`WorkOrder`](portico_model::order::WorkOrder)s over Arrow Flight on a Unix socket and sends back the
//! bytes that go out to the client; the server forwards them and encodes nothing.
//!
//! ```text
//! ticket ─▶ service ─▶ plan (own thread, 64 MiB of stack)            ─▶ run ─▶ output ─▶ FlightData
//!                      parse · gate · parameters · optimise · physical        pump │ encode
//!                         │                                                        ▼
//!                      session: only the tables of the order            files ◀── footers (cached by digest)
//! ```
//!
//! The worker plans only the text that the server's gate printed, over tables that the order names, and checks
//! the plan again (`gate`): two independent checks. What a client may read of an error is decided in one place
//! (`problem`): it names the input and the fix, never a path, a host or a value of the data.
//!
//! A second, smaller door: `expressions` computes what a data dictionary derives from the rows of a file. It runs inside
//! `portico reader`, without any of the above.
//!
//! What it deliberately does not do: it knows no catalog, no principals and no HTTP; it never writes outside its
//! scratch directory; it does not queue (the server sends one question at a time).

mod alike;
mod cases;
mod confine;
mod error;
mod explain;
mod expressions;
mod files;
mod footers;
mod frames;
mod functions;
mod gate;
mod guards;
mod headers;
mod inside;
mod laterals;
mod output;
mod parameters;
mod plan;
mod problem;
mod projections;
mod pushdown;
mod run;
mod service;
mod session;
mod settings;
mod socket;
mod statistics;
mod subqueries;
mod table;
mod verify;

pub use confine::Reach;
pub use error::EngineError;
pub use expressions::Expression;
pub use inside::in_process;
pub use service::{MESSAGE_BYTES_MAX, Worker, service};
pub use settings::WorkerSettings;
pub use socket::serve_unix;
