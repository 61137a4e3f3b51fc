//! Names of datasets and their versions.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest name of a dataset, in bytes: a label of the domain name system, so that a name may become one.
pub const NAME_BYTES_MAX: usize = 63;

/// A dataset's name: `[a-z][a-z0-9-]{0,62}`, such as `building-permits`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DatasetName(String);

/// Why a text is not a dataset's name.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a dataset's name starts with a letter a-z and holds only a-z, 0-9 and '-', 63 characters at most")]
pub struct NameError;

impl DatasetName {
    /// Reads a name as it stands in a URL or on the command line.
    ///
    /// # Errors
    /// [`NameError`] for anything but `[a-z][a-z0-9-]{0,62}`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let mut bytes = text.bytes();
        let starts = bytes.next().is_some_and(|b| b.is_ascii_lowercase());
        let rest = bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if starts && rest && text.len() <= NAME_BYTES_MAX { Ok(Self(text.to_owned())) } else { Err(NameError) }
    }

    /// Reads the name as it stands in SQL, with underscores for hyphens.
    ///
    /// # Errors
    /// [`NameError`] when the text is no dataset's SQL name.
    pub fn from_sql_name(text: &str) -> Result<Self, NameError> {
        if text.contains('-') {
            return Err(NameError);
        }
        Self::parse(&text.replace('_', "-"))
    }

    /// The name in SQL: hyphens become underscores.
    #[must_use]
    pub fn sql_name(&self) -> String {
        self.0.replace('-', "_")
    }

    /// The name in URLs and metadata.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DatasetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for DatasetName {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl From<DatasetName> for String {
    fn from(name: DatasetName) -> Self {
        name.0
    }
}

/// A version's number within its dataset: 1, 2, 3 …
pub type VersionNumber = u32;

/// One immutable version of one dataset, written `building-permits@3`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VersionRef {
    /// The dataset.
    pub dataset: DatasetName,
    /// The version, from 1.
    pub version: VersionNumber,
}

impl fmt::Display for VersionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.dataset, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_slugs() {
        for good in ["a", "building-permits", "t2", &"a".repeat(63)] {
            assert!(DatasetName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "A", "2t", "-a", "a_b", "a.b", "../a", "a b", "é", &"a".repeat(64)] {
            assert_eq!(DatasetName::parse(bad), Err(NameError), "{bad}");
        }
    }

    #[test]
    fn sql_names_round_trip() {
        let name = DatasetName::parse("a-b-2").unwrap();
        assert_eq!(DatasetName::from_sql_name(&name.sql_name()), Ok(name));
        assert_eq!(DatasetName::from_sql_name("a-b"), Err(NameError));
    }
}
