//! What is said to see what a release would make public.

use clap::Args;

use super::{Named, Reach};

/// `portico preview`
#[derive(Debug, Args)]
pub(crate) struct Preview {
    /// The dataset's name: the newest of its revisions that is screened and not decided
    pub(crate) dataset: String,
    /// Another revision of it, by its id
    #[arg(long, value_name = "ID")]
    pub(crate) revision: Option<String>,
    /// As one JSON document, for programs
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// `portico revision rows`
#[derive(Debug, Args)]
pub(crate) struct Rows {
    #[command(flatten)]
    pub(crate) named: Named,
    /// Leave out so many rows before the first one
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) offset: u64,
    /// All rows to the end
    #[arg(long)]
    pub(crate) all: bool,
}
