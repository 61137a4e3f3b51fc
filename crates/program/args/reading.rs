//! How a file is read, and what its rows are to those that are public.

use std::path::PathBuf;

use clap::Args;
use portico_publish::{Mode, ReadOptions};

/// How a file is to be read, where it does not say so itself.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Reading {
    /// Data dictionary: TOML, or a Frictionless Table Schema as JSON
    #[arg(long, value_name = "FILE")]
    pub(crate) schema: Option<PathBuf>,
    /// Field separator of a text file, one character
    #[arg(long, value_name = "CHAR")]
    pub(crate) delimiter: Option<char>,
    /// Encoding of a text file, such as utf-8, utf-16le or windows-1252
    #[arg(long)]
    pub(crate) encoding: Option<String>,
    /// The first row is data, not names
    #[arg(long)]
    pub(crate) no_header: bool,
    /// Sheet of a workbook
    #[arg(long)]
    pub(crate) sheet: Option<String>,
    /// A spelling of null besides the empty field; may be given several times
    #[arg(long = "null", value_name = "TEXT")]
    pub(crate) null_values: Vec<String>,
    /// Leave a column out of the release; may be given several times
    #[arg(long = "drop", value_name = "COLUMN")]
    pub(crate) drop: Vec<String>,
    /// Declare a column public in spite of a finding: COLUMN=REASON; may be given several times
    #[arg(long = "public", value_name = "COLUMN=REASON")]
    pub(crate) public: Vec<String>,
    #[command(flatten)]
    pub(crate) remedies: crate::remedies::Remedies,
    #[command(flatten)]
    pub(crate) merging: Merging,
}

/// What the rows of a file are to those of the current version: they replace them all, unless it is said.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Merging {
    /// The rows come after those of the current version
    #[arg(long, conflicts_with = "upsert")]
    append: bool,
    /// The rows take the place of those with the same key, and are added where there is none
    #[arg(long)]
    upsert: bool,
    /// Columns by which a row is known again, in a file of --append or --upsert
    #[arg(long, value_name = "COLUMN,…", value_delimiter = ',')]
    key: Vec<String>,
}

impl Merging {
    /// What was said, or else what was known before.
    pub(crate) fn say(&self, before: &ReadOptions) -> (Mode, Vec<String>) {
        let mode = match (self.append, self.upsert) {
            (true, _) => Mode::Append,
            (_, true) => Mode::Upsert,
            _ => before.mode,
        };
        (mode, if self.key.is_empty() { before.key.clone() } else { self.key.clone() })
    }
}
