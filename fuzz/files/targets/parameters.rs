//! Bound values of a statement as a client sends them: an Arrow stream of which the first batch is read. The server
//! survives a panic of the reader; it does not survive one that asks for all memory or never ends.

#![no_main]

use libfuzzer_sys::fuzz_target;

/// The server's own reading of them, compiled by itself.
#[path = "../../../crates/serve/src/flight/values.rs"]
mod values;

fuzz_target!(init: {
    // A panic is caught below, as in the server: it is not a finding.
    std::panic::set_hook(Box::new(|_| ()));
}, |bytes: &[u8]| {
    values::is_plain(bytes);
    values::read(bytes);
});
