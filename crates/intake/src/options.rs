//! How a person wants a file to be read. Everything is detected unless it is said here.

use serde::{Deserialize, Serialize};

use crate::dictionary::Dictionary;

/// What the rows of a file are to those of the current version.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// They are all that there is.
    #[default]
    Replace,
    /// They come after them; with a key, none of them may be there already.
    Append,
    /// They take the place of those with the same key, and are added where there is none.
    Upsert,
}

impl Mode {
    /// Whether the current version's rows are no part of the next one.
    #[must_use]
    pub fn replaces(&self) -> bool {
        *self == Self::Replace
    }
}

/// What the person who brings a file says of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadOptions {
    /// The file's name: only its extension counts, and only where the content does not decide.
    pub file_name: String,
    /// The byte between fields of delimited text.
    pub delimiter: Option<u8>,
    /// The text's encoding, by a label of the WHATWG Encoding Standard such as `windows-1252`.
    pub encoding: Option<String>,
    /// Whether the first row holds the column names: `Some(true)` takes the very first row that is not blank,
    /// `None` the first full row.
    pub header: Option<bool>,
    /// The sheet of a workbook; otherwise the first visible one that is not empty.
    pub sheet: Option<String>,
    /// Spellings of null besides the empty field.
    pub null_values: Vec<String>,
    /// What the steward says of the columns.
    pub dictionary: Option<Dictionary>,
    /// Columns that somebody named by hand, for this file: one that the file does not have is a slip, not a choice.
    pub named_columns: Vec<String>,
    /// What the rows are to those of the current version.
    #[serde(skip_serializing_if = "Mode::replaces")]
    pub mode: Mode,
    /// The columns by which a row is known again, by their published names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
}

impl ReadOptions {
    /// Options that say nothing but the file's name.
    #[must_use]
    pub fn named(file_name: &str) -> Self {
        Self { file_name: file_name.to_owned(), ..Self::default() }
    }

    /// The columns by which a row is known again: those of the dictionary's primary key where rows are to take others'
    /// places and nothing is said.
    #[must_use]
    pub fn merge_key(&self) -> &[String] {
        let primary = self.dictionary.as_ref().map(|dictionary| dictionary.primary_key.as_slice()).unwrap_or_default();
        if self.key.is_empty() && self.mode == Mode::Upsert { primary } else { &self.key }
    }

    /// The file name's extensions in lower case, innermost last: `a.csv.gz` has `gz`, then `csv`.
    pub(crate) fn extensions(&self) -> impl Iterator<Item = String> + '_ {
        let base = self.file_name.rsplit(['/', '\\']).next().unwrap_or_default();
        let mut parts = base.rsplit('.').collect::<Vec<_>>();
        parts.pop();
        parts.into_iter().map(str::to_ascii_lowercase)
    }

    /// The extension that tells the format: the last one, past one of compression.
    pub(crate) fn extension(&self) -> String {
        let packed = ["gz", "gzip", "zst", "zstd", "zip"];
        self.extensions().find(|extension| !packed.contains(&extension.as_str())).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_extension_looks_past_compression() {
        let check = |name: &str, expect: &str| assert_eq!(ReadOptions::named(name).extension(), expect, "{name}");
        check("a.csv", "csv");
        check("dir.d/A.CSV.GZ", "csv");
        check("table.zip", "");
        check("noextension", "");
        check("b.geojson", "geojson");
        check(".hidden", "hidden");
    }
}
