//! What the publisher and a reader say to each other: JSON, each message after its length (four bytes, big-endian).

use std::io::{Error, ErrorKind, Read, Write};

use portico_intake::options::ReadOptions;
use portico_intake::remedy::PseudonymKey;
use portico_intake::screen::RuleSet;
use portico_model::limits::IntakeLimits;
use portico_model::problem::Problem;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::compare::Comparison;
use crate::difference::RowDifference;
use crate::rows::Page;
use crate::screening::{Progress, Screened};

/// Bytes of a message: statistics of some thousands of columns in some hundreds of files.
const MESSAGE_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// Read at a time: a length is only a claim until the bytes are there.
const CHUNK_BYTES: u64 = 64 * 1024;

/// How a file is to be read, and what a reader has to know of the dataset for that.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Asked {
    pub(crate) options: ReadOptions,
    /// The key of the dataset's pseudonyms, if the options want any.
    pub(crate) key: Option<PseudonymKey>,
    /// Names of the current version's files in the scratch directory, if classes are to be compared.
    pub(crate) current: Vec<String>,
}

impl From<ReadOptions> for Asked {
    fn from(options: ReadOptions) -> Self {
        Self { options, ..Self::default() }
    }
}

/// What a reader is to do.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Task {
    /// Read the staged file and screen it by these rules.
    Screen(Box<Asked>, RuleSet),
    /// Compare what would be public with what is.
    Compare(Comparison),
    /// Spell some rows of what would be public.
    Spell(Page),
}

/// An order.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) task: Task,
    pub(super) limits: IntakeLimits,
    /// Processor time, in milliseconds.
    pub(super) cpu_ms: u64,
}

/// What a reader says: progress any number of times, then one of the others, once.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Said {
    Progress(Progress),
    Screened(Box<Screened>),
    Compared(Box<RowDifference>),
    /// So many rows are spelt.
    Spelt(u64),
    /// The file is no table, or over a limit.
    Refused(Problem),
    /// A fault of ours, such as a full disk: for the operator's eyes.
    Failed(String),
}

/// Writes a message.
pub(super) fn write(to: &mut impl Write, message: &impl Serialize) -> std::io::Result<()> {
    to.write_all(&encode(message)?)?;
    to.flush()
}

/// A message as bytes.
pub(super) fn encode(message: &impl Serialize) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = u32::try_from(bytes.len() - 4).ok().filter(|length| *length <= MESSAGE_BYTES_MAX);
    let length = length.ok_or_else(|| Error::new(ErrorKind::FileTooLarge, "the message is too long"))?;
    if let Some(place) = bytes.first_chunk_mut() {
        *place = length.to_be_bytes();
    }
    Ok(bytes)
}

/// Reads a message.
pub(super) fn read<T: DeserializeOwned>(from: &mut impl Read) -> std::io::Result<T> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let length = checked(length)?;
    let mut bytes = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut bytes)?;
    Ok(serde_json::from_slice(&bytes)?)
}

/// Reads a message of somebody who is not trusted; `None` at the end of the stream.
pub(super) async fn receive<T: DeserializeOwned>(from: &mut (impl AsyncRead + Unpin)) -> std::io::Result<Option<T>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length).await {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        outcome => outcome?,
    };
    let mut left = u64::from(checked(length)?);
    let mut bytes = Vec::new();
    while left > 0 {
        let read = (&mut *from).take(left.min(CHUNK_BYTES)).read_to_end(&mut bytes).await?;
        if read == 0 {
            return Ok(None);
        }
        left -= u64::try_from(read).unwrap_or(left).min(left);
    }
    Ok(Some(serde_json::from_slice(&bytes)?))
}

fn checked(length: [u8; 4]) -> std::io::Result<u32> {
    let length = Some(u32::from_be_bytes(length)).filter(|length| *length <= MESSAGE_BYTES_MAX);
    length.ok_or_else(|| Error::new(ErrorKind::InvalidData, "a message is longer than it may be"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn messages_come_through_and_lies_do_not() {
        let said = encode(&Said::Progress(Progress::Writing(3, 9))).unwrap();
        let mut stream = [said.clone(), said.clone()].concat();
        stream.truncate(stream.len() - 1);
        let mut stream = stream.as_slice();
        let first = receive(&mut stream).await.unwrap();
        assert!(matches!(first, Some(Said::Progress(Progress::Writing(3, 9)))));
        assert!(receive::<Said>(&mut stream).await.unwrap().is_none());
        assert!(matches!(read::<Said>(&mut said.as_slice()).unwrap(), Said::Progress(_)));
        for lie in [&b"\xff\xff\xff\xff{}"[..], b"\0\0\0\x02[]", b"\0\0\0\x01\xff", b"thread panicked"] {
            assert!(receive::<Said>(&mut &*lie).await.is_err(), "{lie:?}");
        }
    }
}
