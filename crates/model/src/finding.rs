//! Findings: what the automatic checks saw. Wrong data is not an error, it is a finding.

use serde::{Deserialize, Serialize};

/// How many row numbers a finding names at most: enough to look, too few to rebuild a column.
pub const FINDING_ROWS_MAX: usize = 10;

/// What a finding means for the release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A decision that was taken, for the record.
    Info,
    /// Worth a steward's look; the release may go on.
    Warning,
    /// Stops the release until a person has decided.
    Blocking,
}

/// One result of one check. Carries counts and row numbers, never a value of the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The rule's stable code, such as `type_widened` or `us_ssn`; each is listed in the docs.
    pub rule: String,
    /// What it means for the release.
    pub severity: Severity,
    /// The column concerned, by its published name; `None` for the file as a whole.
    pub column: Option<String>,
    /// How many values or rows are concerned.
    pub count: u64,
    /// The first data rows concerned, from 1 (the header is not counted), at most [`FINDING_ROWS_MAX`].
    pub rows: Vec<u64>,
    /// One sentence for a steward: what was seen and what to do. Never holds a value of the data.
    pub message: String,
}

impl Finding {
    /// A finding on the whole file, without rows.
    #[must_use]
    pub fn on_file(rule: &str, severity: Severity, message: impl Into<String>) -> Self {
        Self { rule: rule.to_owned(), severity, column: None, count: 1, rows: Vec::new(), message: message.into() }
    }

    /// A finding on one column.
    #[must_use]
    pub fn on_column(
        rule: &str,
        severity: Severity,
        column: &str,
        count: u64,
        rows: Vec<u64>,
        message: impl Into<String>,
    ) -> Self {
        let mut rows = rows;
        rows.truncate(FINDING_ROWS_MAX);
        Self { rule: rule.to_owned(), severity, column: Some(column.to_owned()), count, rows, message: message.into() }
    }

    /// Whether this finding stops the release.
    #[must_use]
    pub fn blocks(&self) -> bool {
        self.severity == Severity::Blocking
    }
}
