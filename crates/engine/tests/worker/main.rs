//! The worker as the server sees it: orders in, messages out, over a channel in memory.

mod answers;
mod city;
mod limits;
mod plans;
mod stored;
