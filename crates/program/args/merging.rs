//! What a file's rows are to those that are public.

use clap::Args;
use portico_publish::{Mode, ReadOptions};

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
