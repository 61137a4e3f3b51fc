//! The road out against workers that do as the statement tells them, in this process and in processes of their own.

mod answers;
mod exports;
mod fake;
mod portal;
mod processes;
mod resolve;
mod silence;
mod turns;
mod workers;
