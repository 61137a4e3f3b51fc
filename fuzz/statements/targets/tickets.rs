//! Tickets and descriptors of Flight: downloads, commands of Flight SQL and of our own, plain SQL.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| portico_fuzz_statements::ticket(bytes));
