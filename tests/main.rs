//! The whole server in one process: real router, real gate, real engine, no ports, no sleeps; and the rules that
//! the repository keeps for itself.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::as_conversions,
    reason = "tests say no by failing"
)]
#![allow(clippy::print_stdout, reason = "tests say what they skip")]

mod calendar;
mod canary;
mod command;
mod confinement;
mod crossing;
mod durable;
mod entries;
mod hygiene;
mod inventory;
mod jail;
mod pages;
mod policy;
mod preview;
mod records;
mod refusals;
mod remedies;
mod roads;
mod sources;
mod staff;
mod supply;
mod tidy;
mod transform;
mod world;
mod year;
