//! Remedies: what makes a column or a row fit for the public, declared with the data dictionary and applied before
//! anything is profiled, screened or written.
//!
//! ```text
//! batch as read ─▶ rows that a rule drops are left out ─▶ columns: dropped, or made coarser ─▶ batch that may be public
//! ```
//!
//! A remedy changes the data, so that a finding which it answers is gone because there is nothing to find any more.
//! What was there before reaches no file, no profile and no finding.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

mod apply;
mod convert;
mod pseudonym;
mod rows;

pub use apply::{Remedies, RemedyError};
pub use pseudonym::{PSEUDONYM_DIGITS, PseudonymKey};
pub(crate) use rows::as_text;

/// Decimals that coordinates and numbers may keep.
pub const DECIMALS_MAX: u8 = 15;
/// Widest band of numbers.
pub const BAND_MAX: u32 = 1_000_000_000;
/// Most characters of a text that may stay.
pub const PREFIX_MAX: u32 = 1_000;
/// Rules on rows that a dictionary may have.
pub const ROW_RULES_MAX: usize = 100;
/// Bytes of one of them.
pub const ROW_RULE_BYTES_MAX: usize = 1_000;

/// What is done to the values of a column. Written `year`, `month`, `round:3`, `bands:10`, `prefix:3`, `pseudonym`,
/// `redact` and `empty`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Remedy {
    /// Dates and times become their year, a whole number.
    Year,
    /// Dates and times become year and month, as text: `2024-03`.
    Month,
    /// Numbers and coordinates keep so many decimals.
    Round(u8),
    /// Numbers become bands of this width, as text: `20 to 29`. Fractions are cut off first, as ages are.
    Bands(u32),
    /// Texts keep so many characters from the left, as ZIP codes of five digits become areas of three.
    Prefix(u32),
    /// Values become pseudonyms under the dataset's secret key: the same for the same value, in every version.
    Pseudonym,
    /// What the screening rules find in texts becomes `[redacted: …]`.
    Redact,
    /// Values become null; the column stays.
    Empty,
}

impl Remedy {
    /// Whether what this remedy leaves tells no more than what the other leaves.
    #[must_use]
    pub const fn covers(self, other: Self) -> bool {
        match (self, other) {
            (Self::Empty, _) | (Self::Year, Self::Year | Self::Month) | (Self::Month, Self::Month) => true,
            (Self::Round(mine), Self::Round(its)) => mine <= its,
            (Self::Bands(mine), Self::Bands(its)) => its > 0 && mine.is_multiple_of(its),
            (Self::Prefix(mine), Self::Prefix(its)) => mine <= its,
            (Self::Pseudonym, Self::Pseudonym) | (Self::Redact, Self::Redact) => true,
            _ => false,
        }
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Year => f.write_str("year"),
            Self::Month => f.write_str("month"),
            Self::Round(decimals) => write!(f, "round:{decimals}"),
            Self::Bands(width) => write!(f, "bands:{width}"),
            Self::Prefix(characters) => write!(f, "prefix:{characters}"),
            Self::Pseudonym => f.write_str("pseudonym"),
            Self::Redact => f.write_str("redact"),
            Self::Empty => f.write_str("empty"),
        }
    }
}

impl FromStr for Remedy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (name, number) = text.split_once(':').map_or((text, None), |(name, number)| (name, Some(number.trim())));
        let number = |most: u32, least: u32| {
            let number = number.and_then(|number| number.parse::<u32>().ok());
            number.filter(|number| (least..=most).contains(number)).ok_or_else(|| {
                format!("{name} wants a whole number from {least} to {most} after a colon, such as {name}:3")
            })
        };
        match (name, text.contains(':')) {
            ("year", false) => Ok(Self::Year),
            ("month", false) => Ok(Self::Month),
            ("pseudonym", false) => Ok(Self::Pseudonym),
            ("redact", false) => Ok(Self::Redact),
            ("empty", false) => Ok(Self::Empty),
            ("round", _) => {
                let decimals = number(u32::from(DECIMALS_MAX), 0)?;
                Ok(Self::Round(u8::try_from(decimals).unwrap_or(DECIMALS_MAX)))
            }
            ("bands", _) => Ok(Self::Bands(number(BAND_MAX, 1)?)),
            ("prefix", _) => Ok(Self::Prefix(number(PREFIX_MAX, 1)?)),
            _ => Err(format!(
                "there is no remedy {text:?}; it is one of year, month, round:N, bands:N, prefix:N, pseudonym, redact, empty"
            )),
        }
    }
}

impl From<Remedy> for String {
    fn from(remedy: Remedy) -> Self {
        remedy.to_string()
    }
}

impl TryFrom<String> for Remedy {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// Which rows are left out. Written `status=sealed` (the value, whatever its case), `closed=` (null) and
/// `notes~us_ssn` (a value in which that screening rule finds something).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct RowRule {
    /// The column, by its name in the file or its published name; it may be one that is dropped.
    pub column: String,
    /// What its value is in rows that are left out.
    pub when: When,
}

/// What the value of a column is in rows that are left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// This, but for case and spaces around it.
    Is(String),
    /// Null.
    Null,
    /// Something in which this screening rule finds what it looks for.
    Found(String),
}

impl fmt::Display for RowRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.when {
            When::Is(value) => write!(f, "{}={value}", self.column),
            When::Null => write!(f, "{}=", self.column),
            When::Found(rule) => write!(f, "{}~{rule}", self.column),
        }
    }
}

impl FromStr for RowRule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || "a rule on rows is COLUMN=VALUE, COLUMN= (no value) or COLUMN~RULE (what a screening rule finds)";
        if text.len() > ROW_RULE_BYTES_MAX {
            return Err(format!("a rule on rows has at most {ROW_RULE_BYTES_MAX} bytes"));
        }
        let place = text.find(['=', '~']).ok_or_else(wrong)?;
        let (column, rest) = text.split_at_checked(place).ok_or_else(wrong)?;
        let value = rest.get(1..).unwrap_or_default().trim();
        let column = column.trim().to_owned();
        let when = match (rest.starts_with('~'), value.is_empty()) {
            _ if column.is_empty() => return Err(wrong().to_owned()),
            (true, true) => return Err(wrong().to_owned()),
            (true, false) => When::Found(value.to_owned()),
            (false, true) => When::Null,
            (false, false) => When::Is(value.to_owned()),
        };
        Ok(Self { column, when })
    }
}

impl From<RowRule> for String {
    fn from(rule: RowRule) -> Self {
        rule.to_string()
    }
}

impl TryFrom<String> for RowRule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

#[cfg(test)]
mod tests;
