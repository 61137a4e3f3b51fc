//! The server's side of a question: gated, pinned to versions, queued, sent to a worker, delivered or spooled.
//!
//! It sits between `serve`, which knows the wire, and the workers, which know the engine: a stranger's statement
//! is parsed and judged here, but never planned or run here.
//!
//! ```text
//!   Ask ──▶ gate ──▶ resolve ──▶ Question ──▶ queue ──▶ worker ──▶ Answer        (streams while it runs)
//!            ▲                      ╎ etag known, nothing run yet
//!   Export ──┘                      └──▶ production ──▶ spool ──▶ Export         (the same bytes every time)
//!   request ──────────────────────────▶ stored file ────────────▶ Export         (no worker at all)
//! ```
//!
//! What it deliberately does not do: it links no query engine, knows no HTTP status, reads no clock but for
//! durations, and keeps nothing between requests but what can be made again.

pub mod answer;
pub mod exports;
pub mod gate;
mod information;
mod judging;
mod priority;
pub mod questions;
pub mod queue;
mod resolve;
mod runner;
mod uses;
mod watch;
pub mod workers;

#[cfg(test)]
mod tests;

pub use answer::{Answer, AnswerChunk, Ask, Caller, Question};
pub use exports::{Export, ExportRequest, ExportTicket, FlightEndpoint, FlightPlan, FlightRequest};
pub use questions::Questions;
pub use workers::{Launcher, Workers};
