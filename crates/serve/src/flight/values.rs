//! Bound values as a stranger sends them: an Arrow IPC stream. Its reader takes every length in it at its word, and asks
//! for that much memory before it looks for the bytes; so the lengths are compared with what is there first.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, set_hook, take_hook};
use std::sync::Once;

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::{Message, root_as_message};

/// A message's length follows this marker; before format version 0.15 there was none.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// The first batch of a stream that is whole and not compressed; `None` for anything else.
pub(super) fn read(ipc: &[u8]) -> Option<RecordBatch> {
    if !is_whole(ipc) {
        return None;
    }
    quietly(|| StreamReader::try_new(ipc, None).ok().and_then(|mut reader| reader.next().and_then(Result::ok)))
        .flatten()
}

thread_local! {
    /// Whether this thread reads what a stranger sent.
    static QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Reads what a stranger sent with a reader that may panic on what it does not expect; `None` when it did. That is no
/// fault to report: as often as somebody asks for it, it would be written to the log.
pub(super) fn quietly<T>(read: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(report_others);
    QUIET.set(true);
    // Whatever the reader has left half-done goes with it.
    let outcome = catch_unwind(AssertUnwindSafe(read));
    QUIET.set(false);
    if outcome.is_err() {
        metrics::counter!("portico_flight_values_damaged_total").increment(1);
    }
    outcome.ok()
}

/// From now on, whatever reports panics hears of those that are not over a stranger's bytes.
fn report_others() {
    let report = take_hook();
    set_hook(Box::new(move |panic| {
        if !QUIET.get() {
            report(panic);
        }
    }));
}

/// Whether a message's body is stored as it is: what a compressed buffer says of its size cannot be known to be true.
/// A header that is not there, or does not read, says nothing: the reader refuses it.
pub(super) fn is_plain(header: &[u8]) -> bool {
    root_as_message(header).ok().as_ref().is_none_or(has_plain_body)
}

fn has_plain_body(message: &Message<'_>) -> bool {
    let dictionary = || message.header_as_dictionary_batch()?.data();
    let batch = message.header_as_record_batch().or_else(dictionary);
    batch.is_none_or(|batch| batch.compression().is_none())
}

/// Whether every message up to the end of the stream lies within the bytes, and is plain.
fn is_whole(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        match message(rest) {
            Some(Some(after)) => rest = after,
            Some(None) => return true,
            None => return false,
        }
    }
    true
}

/// What follows the first message: nothing after the mark of the end. `None` when the message is not possible.
fn message(bytes: &[u8]) -> Option<Option<&[u8]>> {
    let bytes = bytes.strip_prefix(&CONTINUATION).unwrap_or(bytes);
    let (length, bytes) = bytes.split_first_chunk::<4>()?;
    let length = usize::try_from(i32::from_le_bytes(*length)).ok()?;
    if length == 0 {
        return Some(None);
    }
    let (header, bytes) = bytes.split_at_checked(length)?;
    let message = root_as_message(header).ok().filter(has_plain_body)?;
    let body = usize::try_from(message.bodyLength()).ok()?;
    bytes.get(body..).map(Some)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use arrow::array::{ArrayRef, DictionaryArray, Int64Array, StringArray};
    use arrow::datatypes::Int32Type;
    use arrow::ipc::CompressionType;
    use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

    use super::*;

    fn batch() -> RecordBatch {
        let kinds: DictionaryArray<Int32Type> = ["oak"].into_iter().collect();
        let columns: [(&str, ArrayRef); 3] = [
            ("0", Arc::new(Int64Array::from(vec![7]))),
            ("1", Arc::new(StringArray::from(vec!["x".repeat(1_000)]))),
            ("2", Arc::new(kinds)),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    }

    fn stream(compression: Option<CompressionType>) -> Vec<u8> {
        let options = IpcWriteOptions::default().try_with_compression(compression).unwrap();
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch().schema(), options).unwrap();
        writer.write(&batch()).unwrap();
        writer.into_inner().unwrap()
    }

    #[test]
    fn plain_values_are_read() {
        assert_eq!(read(&stream(None)), Some(batch()));
        assert_eq!(read(b""), None);
    }

    #[test]
    fn a_panic_over_values_is_not_reported() {
        const TEXT: &str = "a panic of this test";
        let reported = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&reported);
        set_hook(Box::new(move |panic| {
            count.fetch_add(u64::from(panic.payload_as_str() == Some(TEXT)), Ordering::Relaxed);
        }));
        report_others();
        assert_eq!(quietly(|| -> u8 { panic!("{TEXT}") }), None);
        assert_eq!((quietly(|| 7), reported.load(Ordering::Relaxed)), (Some(7), 0));
        assert!(catch_unwind(|| panic!("{TEXT}")).is_err());
        assert_eq!(reported.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn no_length_is_taken_at_its_word() {
        let plain = stream(None);
        let (mut refused, step) = (0, 4);
        for place in (0..plain.len() - 8).step_by(step) {
            // More than there are addresses: a reader that asks for it ends the process.
            let mut claims = plain.clone();
            claims[place..place + 8].copy_from_slice(&(1_u64 << 48).to_le_bytes());
            refused += usize::from(read(&claims).is_none());
        }
        assert!(refused > 20, "{refused} of {}", plain.len() / step);
    }

    #[test]
    fn what_is_compressed_or_cut_short_is_not_given_to_the_reader() {
        assert!(!is_whole(&stream(Some(CompressionType::LZ4_FRAME))));
        assert!(!is_whole(&stream(Some(CompressionType::ZSTD))));
        let plain = stream(None);
        // The mark of the end has eight bytes.
        for length in (plain.len() - 1_000)..(plain.len() - 8) {
            assert!(!is_whole(&plain[..length]), "{length}");
        }
        for bad in [&b"\xff\xff\xff\xff\xff\xff\xff\x7f"[..], b"\xff\xff\xff\xff\xff\xff\xff\xff", b"\x10\0\0"] {
            assert!(!is_whole(bad) && read(bad).is_none(), "{bad:?}");
        }
    }
}
