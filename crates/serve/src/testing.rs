//! What the tests of this crate stand on: a small city in memory, a scripted worker, requests without a port.

mod hygiene;
mod worker;
mod world;

pub(crate) use worker::ELAPSED_MS;
pub(crate) use world::{Answered, NOW_MS, World};
