//! Looks at the messages of an Arrow IPC file before it is read: its reader holds one batch whole.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use portico_model::limits::IntakeLimits;

use crate::cell::narrow;
use crate::detect::Content;
use crate::error::IntakeError;

/// Bytes of a message without its body.
const METADATA_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// A message's length follows this marker; before format version 0.15 there was none.
const CONTINUATION: u32 = 0xFFFF_FFFF;

/// Refuses a file with a batch that is larger than the memory limit.
pub(crate) fn check_bodies(file: File, content: Content, limits: &IntakeLimits) -> Result<(), IntakeError> {
    let mut reader = BufReader::new(file);
    let end = reader.seek(SeekFrom::End(0))?;
    let mut at = if content == Content::ArrowFile { 8 } else { 0 };
    let broken = |_| IntakeError::corrupt("Arrow IPC", "it ends before it is complete");
    while at + 8 <= end {
        reader.seek(SeekFrom::Start(at))?;
        let mut length = number(&mut reader).map_err(broken)?;
        let mut header = 4;
        if length == CONTINUATION {
            length = number(&mut reader).map_err(broken)?;
            header = 8;
        }
        if length == 0 {
            return Ok(());
        }
        if length > METADATA_BYTES_MAX || at + header + u64::from(length) > end {
            return Err(IntakeError::corrupt("Arrow IPC", "the length of a message is not possible"));
        }
        let mut metadata = vec![0; narrow(u64::from(length))];
        reader.read_exact(&mut metadata).map_err(broken)?;
        let message = arrow::ipc::root_as_message(&metadata)
            .map_err(|_| IntakeError::corrupt("Arrow IPC", "a message cannot be read"))?;
        let body = u64::try_from(message.bodyLength())
            .map_err(|_| IntakeError::corrupt("Arrow IPC", "the length of a message is not possible"))?;
        if body > limits.memory_bytes {
            return Err(IntakeError::over("a batch has more bytes", "memory_bytes", limits.memory_bytes));
        }
        at = at.saturating_add(header + u64::from(length)).saturating_add(body);
    }
    Ok(())
}

fn number(reader: &mut impl Read) -> std::io::Result<u32> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}
