//! Looks at the messages of an Arrow IPC file before it is read: its reader holds one batch whole, and takes every
//! length in it at its word.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use arrow::ipc::{Block, Message, RecordBatch};
use portico_model::limits::IntakeLimits;

use crate::cell::narrow;
use crate::detect::Content;
use crate::error::IntakeError;

/// Bytes of a message without its body, and of a file's footer.
const METADATA_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// A message's length follows this marker; before format version 0.15 there was none.
const CONTINUATION: u32 = 0xFFFF_FFFF;
/// A file begins and ends with this mark.
const MARK: &[u8; 6] = b"ARROW1";

/// Refuses a file whose lengths lead outside of it, or that has a batch larger than the memory limit; and a stream that
/// is not exactly one, from its schema to the mark of its end.
pub(crate) fn check_bodies(file: File, content: Content, limits: &IntakeLimits) -> Result<(), IntakeError> {
    let mut reader = BufReader::new(file);
    let end = reader.seek(SeekFrom::End(0))?;
    if content == Content::ArrowFile {
        let blocks = footer_blocks(&mut reader, end)?;
        for (at, metadata, body) in blocks {
            let last = at.checked_add(metadata).and_then(|at| at.checked_add(body));
            if last.is_none_or(|last| last > end) {
                return Err(broken("a block lies outside of the file"));
            }
            if metadata > METADATA_BYTES_MAX || body > limits.memory_bytes {
                return Err(IntakeError::over("a batch has more bytes", "memory_bytes", limits.memory_bytes));
            }
            check_message(&mut reader, at, end, Some((at + metadata, body)), limits)?;
        }
        return Ok(());
    }
    // A stream that ends before its mark may have lost any number of batches: its reader would not know.
    let mut at = 0;
    while let Some(next) = check_message(&mut reader, at, end, None, limits)? {
        at = next;
    }
    if reader.stream_position()? == end {
        return Ok(());
    }
    Err(IntakeError::NotATable("it holds several streams, or something after its end; bring one stream".to_owned()))
}

fn broken(reason: &str) -> IntakeError {
    IntakeError::corrupt("Arrow IPC", reason)
}

fn cut_short(_: std::io::Error) -> IntakeError {
    broken("it ends before it is complete")
}

/// Where the batches of a file are, as its footer says: place, bytes of metadata, bytes of the body.
fn footer_blocks(reader: &mut (impl Read + Seek), end: u64) -> Result<Vec<(u64, u64, u64)>, IntakeError> {
    let tail = end.checked_sub(10).ok_or_else(|| broken("it ends before it is complete"))?;
    reader.seek(SeekFrom::Start(tail))?;
    let length = u64::from(number(reader).map_err(cut_short)?);
    let mut mark = [0; 6];
    reader.read_exact(&mut mark).map_err(cut_short)?;
    let start = tail.checked_sub(length).filter(|_| mark == *MARK && length <= METADATA_BYTES_MAX);
    let start = start.ok_or_else(|| broken("it ends before it is complete"))?;
    reader.seek(SeekFrom::Start(start))?;
    let mut bytes = vec![0; narrow(length)];
    reader.read_exact(&mut bytes).map_err(cut_short)?;
    let footer = arrow::ipc::root_as_footer(&bytes).map_err(|_| broken("its footer cannot be read"))?;
    let lists = [footer.dictionaries(), footer.recordBatches()];
    let place = |block: &Block| {
        let number = |number: i64| u64::try_from(number).ok();
        Some((number(block.offset())?, number(block.metaDataLength().into())?, number(block.bodyLength())?))
    };
    let blocks = lists.iter().flatten().flatten();
    blocks.map(|block| place(block).ok_or_else(|| broken("a block lies outside of the file"))).collect()
}

/// Looks at the message at a place; where the next one is, or `None` at the mark that ends a stream. In a file it is the block that
/// says where the body is, and not the message.
fn check_message(
    reader: &mut (impl Read + Seek),
    at: u64,
    end: u64,
    block: Option<(u64, u64)>,
    limits: &IntakeLimits,
) -> Result<Option<u64>, IntakeError> {
    reader.seek(SeekFrom::Start(at))?;
    let mut length = number(reader).map_err(cut_short)?;
    let mut header = 4;
    if length == CONTINUATION {
        length = number(reader).map_err(cut_short)?;
        header = 8;
    }
    if length == 0 {
        return Ok(None);
    }
    let length = u64::from(length);
    if length > METADATA_BYTES_MAX || at + header + length > end {
        return Err(broken("the length of a message is not possible"));
    }
    let mut metadata = vec![0; narrow(length)];
    reader.read_exact(&mut metadata).map_err(cut_short)?;
    let message = arrow::ipc::root_as_message(&metadata).map_err(|_| broken("a message cannot be read"))?;
    let body = u64::try_from(message.bodyLength()).map_err(|_| broken("the length of a message is not possible"))?;
    if body > limits.memory_bytes {
        return Err(IntakeError::over("a batch has more bytes", "memory_bytes", limits.memory_bytes));
    }
    let (start, body) = block.unwrap_or((at + header + length, body));
    if let Some(batch) = batch_of(&message) {
        check_compressed(reader, start, body, &batch, limits)?;
    }
    Ok(Some(start.saturating_add(body)))
}

fn batch_of<'a>(message: &Message<'a>) -> Option<RecordBatch<'a>> {
    message.header_as_record_batch().or_else(|| message.header_as_dictionary_batch()?.data())
}

/// A compressed buffer begins with its length when unpacked, which its reader allocates before it unpacks.
fn check_compressed(
    reader: &mut (impl Read + Seek),
    start: u64,
    body: u64,
    batch: &RecordBatch<'_>,
    limits: &IntakeLimits,
) -> Result<(), IntakeError> {
    if batch.compression().is_none() {
        return Ok(());
    }
    let mut unpacked = 0_u64;
    for buffer in batch.buffers().into_iter().flatten() {
        let place = (u64::try_from(buffer.offset()), u64::try_from(buffer.length()));
        let (Ok(offset), Ok(length)) = place else { return Err(broken("a buffer lies outside of its batch")) };
        if offset.checked_add(length).is_none_or(|last| last > body) {
            return Err(broken("a buffer lies outside of its batch"));
        }
        if length < 8 {
            continue;
        }
        reader.seek(SeekFrom::Start(start.saturating_add(offset)))?;
        let mut claimed = [0; 8];
        reader.read_exact(&mut claimed).map_err(cut_short)?;
        // Minus one: the buffer is not compressed after all.
        let claimed = match i64::from_le_bytes(claimed) {
            -1 => length,
            claimed => u64::try_from(claimed).map_err(|_| broken("the length of a buffer is not possible"))?,
        };
        unpacked = unpacked.saturating_add(claimed);
        if unpacked > limits.memory_bytes {
            return Err(IntakeError::over("a batch has more bytes", "memory_bytes", limits.memory_bytes));
        }
    }
    Ok(())
}

fn number(reader: &mut impl Read) -> std::io::Result<u32> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}
