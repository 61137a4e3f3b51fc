//! What the server asks of a worker, and what it hears back: plain data, carried as JSON in a Flight ticket.
//!
//! A worker knows no catalog, no names but those in the order, and no credentials of ours: the order names
//! the files of the pinned versions and how to read each.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::format::FileKind;
use crate::manifest::Manifest;
use crate::name::VersionNumber;

/// One piece of work for one worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkOrder {
    /// The question's id, for logs on both sides.
    pub question_id: String,
    /// What to do.
    pub work: Work,
    /// The statement as the gate printed it from its syntax tree; the worker plans this text and no other.
    pub sql: String,
    /// The released versions that the statement may name.
    pub tables: Vec<OrderTable>,
    /// Small tables of ours, such as `information_schema.tables`.
    pub virtual_tables: Vec<VirtualTable>,
    /// Values for `$1` (key `1`) or `$name` (key `name`).
    pub parameters: BTreeMap<String, ParameterValue>,
    /// Keep the rows in stored order (exports): the plan runs in one partition, in file order.
    pub stored_order: bool,
    /// The form of the answer.
    pub output: Output,
    /// The limits of this piece of work.
    pub limits: WorkLimits,
}

/// What a worker is to do with the statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Run it and send the encoded answer.
    Answer,
    /// Plan it and send only the schema of its answer and of its parameters.
    Describe,
    /// Plan it and send the plan as text with an estimate of what it would read.
    Explain,
}

/// One version that a statement names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OrderTable {
    /// The identifier in the gated statement: `building_permits@3`.
    pub name: String,
    /// The version's manifest.
    pub manifest: Manifest,
    /// How to read each file, in the order of the manifest.
    pub access: Vec<FileAccess>,
    /// Read only these row groups, for one endpoint of a parallel download; `None` reads all.
    pub part: Option<TablePart>,
}

/// Some row groups of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TablePart {
    /// Index of the file in the manifest.
    pub file: usize,
    /// First row group.
    pub row_group_start: usize,
    /// One past the last row group.
    pub row_group_end: usize,
}

/// How a worker reads a released file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileAccess {
    /// An absolute path on this machine.
    Path(String),
    /// A URL that carries its own permission, for `GET` with ranges.
    Url(String),
}

/// A table whose rows are in the order itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualTable {
    /// The identifier in the gated statement.
    pub name: String,
    /// An Arrow IPC stream, base64.
    pub ipc_base64: String,
}

/// The value of a statement's parameter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ParameterValue {
    /// SQL NULL.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A double.
    Float(f64),
    /// Text; read as the type that its place in the statement asks for.
    Text(String),
    /// What a URL says, which has no type of its own: text where its place in the statement asks for text, else
    /// `null`, `true`, `false` or a number where it is spelt like one, else text.
    Bare(String),
    /// One row of one column as an Arrow IPC stream, base64: a value bound by Flight SQL, type and all.
    Arrow(String),
}

/// The form of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Output {
    /// Format and compression.
    pub kind: FileKind,
    /// How text formats are spelt.
    pub options: OutputOptions,
    /// What the `json` document says besides its rows.
    pub envelope: Envelope,
}

/// How text formats are spelt; other formats ignore it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OutputOptions {
    /// Write a header row (CSV, TSV).
    pub header: bool,
    /// How CSV and TSV spell null.
    pub null: String,
    /// Begin CSV and TSV with a byte order mark, for Excel.
    pub bom: bool,
    /// Prefix text cells that a spreadsheet would run as a formula (`excel=safe`).
    pub excel_safe: bool,
    /// Compress Arrow IPC bodies, only where the client asked for it.
    pub ipc_compression: IpcCompression,
}

impl Default for OutputOptions {
    fn default() -> Self {
        Self { header: true, null: String::new(), bom: false, excel_safe: false, ipc_compression: IpcCompression::None }
    }
}

/// Compression of Arrow IPC bodies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpcCompression {
    /// None: what browser readers need.
    #[default]
    None,
    /// LZ4 frames.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// What the `json` document says besides its rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// The question's public id.
    pub query_id: String,
    /// The version used of each dataset, by SQL name.
    pub versions: BTreeMap<String, VersionNumber>,
}

/// The limits of one piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkLimits {
    /// Wall time until the first bytes of the answer, in milliseconds.
    pub first_byte_ms: u64,
    /// Wall time in all, in milliseconds.
    pub total_ms: u64,
    /// Memory that operators may reserve, in bytes; the process has a hard limit above it.
    pub memory_bytes: u64,
    /// Bytes of spill files.
    pub spill_bytes: u64,
    /// Bytes of the encoded answer.
    pub answer_bytes: u64,
    /// Rows of the answer; over it the answer fails, it is never cut.
    pub answer_rows: u64,
    /// Bytes of one row where rows are not cut, which is over Flight.
    pub row_bytes: u64,
}

/// What a message may have beside a row, in bytes: what frames it, of 20,000 columns at most.
const FRAME_BYTES: u64 = 8 * 1024 * 1024;

/// Bytes of a worker's message at most, with the description of the columns or one row of [`WorkLimits::row_bytes`] in
/// it. Who reads longer ones does not speak with a worker of ours.
#[must_use]
pub const fn message_bytes_max(row_bytes: u64) -> u64 {
    row_bytes.saturating_add(FRAME_BYTES)
}

/// The first message of a worker's answer, in `app_metadata`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AnswerHead {
    /// The answer's columns.
    pub columns: Vec<AnswerColumn>,
    /// The Arrow schema of the answer as an IPC schema message, base64.
    pub schema_ipc_base64: String,
    /// The schema of the parameters, likewise, for `Describe`.
    pub parameters_ipc_base64: Option<String>,
    /// For `Explain`: the plan and the estimate.
    pub explanation: Option<Explanation>,
}

/// One column of an answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerColumn {
    /// Its name.
    pub name: String,
    /// Its type's public name.
    #[serde(rename = "type")]
    pub data_type: String,
}

/// A plan, and what running it would read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// The optimised logical plan, without paths.
    pub logical_plan: String,
    /// The physical plan, without paths.
    pub physical_plan: String,
    /// Files after pruning by statistics.
    pub files: u64,
    /// Row groups after pruning by statistics.
    pub row_groups: u64,
    /// Compressed bytes of the columns needed in those row groups.
    pub bytes: u64,
}

/// The last message of a worker's answer, in `app_metadata`: without it an answer is not complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerTail {
    /// Rows of the answer.
    pub rows: u64,
    /// Bytes of the encoded answer.
    pub bytes: u64,
    /// Wall time in the worker, in milliseconds.
    pub elapsed_ms: u64,
}

/// What a worker says of itself when it is pinged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerReport {
    /// Questions whose work has not ended.
    pub running: u64,
    /// What confines it; nothing, for a worker inside another process.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub measures: Vec<Measure>,
}

/// One measure that confines a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measure {
    /// What it is for, in words for the operator.
    pub what: String,
    /// Whether it is in force.
    pub state: MeasureState,
}

/// Whether a measure is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MeasureState {
    /// It is.
    InForce,
    /// The kernel keeps a part of it.
    InPart,
    /// The kernel does not offer it.
    NotOffered,
    /// The configuration needs what it would take away.
    NotNeeded,
    /// It is for the operator to take, and was not taken.
    NotSet,
}

impl Measure {
    /// A measure and its state.
    #[must_use]
    pub fn new(what: &str, state: MeasureState) -> Self {
        Self { what: what.to_owned(), state }
    }
}

impl std::fmt::Display for Measure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match self.state {
            MeasureState::InForce => "in force",
            MeasureState::InPart => "in force as far as this kernel offers it",
            MeasureState::NotOffered => "not offered by this kernel",
            MeasureState::NotNeeded => "not in force: the storage is remote",
            MeasureState::NotSet => "not available: set one where the server is started",
        };
        write!(f, "{}: {state}", self.what)
    }
}
