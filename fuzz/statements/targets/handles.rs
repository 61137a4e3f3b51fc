//! Handles of prepared statements, which clients may make up.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| portico_fuzz_statements::handle(bytes));
