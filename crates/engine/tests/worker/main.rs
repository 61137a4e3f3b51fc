//! The worker as the server sees it: orders in, messages out, over a channel in memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::string_slice,
    reason = "what a test's helpers do not expect is the test's failure"
)]

mod alike;
mod answers;
mod bounds;
mod city;
mod functions;
mod guards;
mod limits;
mod moving;
mod overflow;
mod parts;
mod plans;
mod statements;
mod stored;
mod subqueries;
