//! What the tests of this crate stand on: a small city in memory, a scripted worker, requests without a port.

mod worker;
mod world;

pub(crate) use world::{Answered, World};
