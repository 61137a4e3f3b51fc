//! The manifest of a version: its files, their digests, sizes and statistics.

use arrow_schema::SchemaRef;
use serde::{Deserialize, Serialize};

use crate::blocks::BlockDigests;
use crate::name::VersionRef;

/// Everything a reader needs to know of a version without opening a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Which version of which dataset.
    pub version: VersionRef,
    /// The Arrow schema that every file has, without file-specific metadata.
    pub schema: SchemaRef,
    /// Rows in all files.
    pub rows: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// The stored files in the order of the rows.
    pub files: Vec<ReleasedFile>,
    /// Columns that the rows are sorted by, ascending with nulls first, over the whole version.
    pub sort_key: Vec<String>,
}

/// One stored Parquet file of a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReleasedFile {
    /// Where it lies in the released storage: our own opaque path, never derived from a name.
    pub path: String,
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// The digest of each of its blocks; `None` for what was released before there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blocks: Option<BlockDigests>,
    /// Its rows.
    pub rows: u64,
    /// Rows of each row group, in order.
    pub row_groups: Vec<u64>,
    /// Statistics by column, in schema order; empty when the file has none.
    pub columns: Vec<ColumnStatistics>,
}

/// Exact statistics of one column in one file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ColumnStatistics {
    /// Null values.
    pub nulls: u64,
    /// Smallest value, where the type has an order and the value is kept whole.
    pub min: Option<StatisticValue>,
    /// Largest value, likewise.
    pub max: Option<StatisticValue>,
}

/// A value in a manifest's statistics, in the column's own unit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatisticValue {
    /// Boolean columns.
    Bool(bool),
    /// Integers, dates (days), times and timestamps (the column's unit since the epoch).
    Int(i64),
    /// Floats; never NaN.
    Float(f64),
    /// Decimals: the unscaled value as text, since JSON numbers are too small.
    Decimal(String),
    /// Text.
    Text(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_from_before_there_were_blocks_reads_and_is_written_as_it_was() {
        let before = r#"{"path":"p","sha256":"0","bytes":1,"rows":2,"row_groups":[2],"columns":[]}"#;
        let file: ReleasedFile = serde_json::from_str(before).unwrap();
        assert_eq!(file.blocks, None);
        assert_eq!(serde_json::to_string(&file).unwrap(), before);
        let with = ReleasedFile { blocks: Some(BlockDigests::of(b"a")), ..file };
        let again: ReleasedFile = serde_json::from_str(&serde_json::to_string(&with).unwrap()).unwrap();
        assert_eq!(again, with);
    }
}
