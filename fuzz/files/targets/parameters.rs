//! Bound values of a statement as a client sends them: an Arrow stream of which the first batch is read. The server
//! survives a panic of the reader; it does not survive one that asks for all memory or never ends.

#![no_main]

use arrow::ipc::reader::StreamReader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: {
    // A panic is caught below, as in the server: it is not a finding.
    std::panic::set_hook(Box::new(|_| ()));
}, |bytes: &[u8]| {
    let _ = std::panic::catch_unwind(|| {
        StreamReader::try_new(bytes, None).ok().and_then(|mut reader| reader.next().and_then(Result::ok))
    });
});
