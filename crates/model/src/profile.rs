//! The profile of a version: what its columns hold, in figures.

use serde::{Deserialize, Serialize};

/// The figures of a whole table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TableProfile {
    /// Rows.
    pub rows: u64,
    /// Rows that repeat an earlier row in every column.
    pub duplicate_rows: u64,
    /// Whether `duplicate_rows` was counted exactly; beyond some millions of rows it is an estimate.
    pub duplicate_rows_exact: bool,
    /// One profile a column, in schema order.
    pub columns: Vec<ColumnProfile>,
    /// The groups of columns that tell people apart by race, ethnicity or gender.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupProfile>,
}

/// By which groups of people a table can be told apart, and how large they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupProfile {
    /// The column's published name.
    pub column: String,
    /// What it says of people: `race`, `ethnicity` or `gender`.
    pub demographic: String,
    /// Rows that say something; the others are null or say that it is not known. `None` where either are too few to show.
    pub known: Option<u64>,
    /// The groups, largest first, with their rows; `None` for those that are too small to show, and for one more where a
    /// single one could be had by subtraction.
    pub groups: Vec<(String, Option<u64>)>,
    /// Groups of fewer rows than a group must have.
    pub small: u64,
    /// Rows that a group must have.
    pub rows_min: u64,
}

/// The figures of one column. Values are printed as a CSV export would print them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ColumnProfile {
    /// The column's published name.
    pub name: String,
    /// The type's public name, such as `int64`, `decimal(10,2)` or `text`.
    pub data_type: String,
    /// Null values.
    pub nulls: u64,
    /// Different values that are not null.
    pub distinct: u64,
    /// Whether `distinct` is exact; past a bound it is an estimate within about 2 %.
    pub distinct_exact: bool,
    /// Smallest value; text compares by bytes, long text is cut.
    pub min: Option<String>,
    /// Largest value.
    pub max: Option<String>,
    /// Mean of a numeric column.
    pub mean: Option<f64>,
    /// Population standard deviation of a numeric column.
    pub std: Option<f64>,
    /// Quantiles at 0.05, 0.25, 0.5, 0.75, 0.95 of a numeric or temporal column, estimated.
    pub quantiles: Vec<f64>,
    /// The most frequent values with their counts, most frequent first.
    pub top_values: Vec<(String, u64)>,
    /// Ten bins of equal width between min and max of a numeric column: counts.
    pub histogram: Vec<u64>,
    /// Shortest text, in characters.
    pub length_min: Option<u64>,
    /// Longest text, in characters.
    pub length_max: Option<u64>,
}
