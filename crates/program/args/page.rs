//! The command line of the portal's own pages.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Reach;

/// `portico page`
#[derive(Debug, Args)]
pub(crate) struct Page {
    #[command(subcommand)]
    pub(crate) step: PageStep,
}

/// What to do with a page.
#[derive(Debug, Subcommand)]
pub(crate) enum PageStep {
    /// List what a page has said, newest first
    History {
        /// principles, terms, licences or handbook
        name: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// Print a page's Markdown; its version goes to standard error
    Show {
        /// principles, terms, licences or handbook
        name: String,
        /// As it was; otherwise as it is
        #[arg(long, value_name = "NUMBER")]
        version: Option<i64>,
        #[command(flatten)]
        reach: Reach,
    },
    /// Have a page say something else; it is public at once
    Set {
        /// principles, terms, licences or handbook
        name: String,
        /// A file with the text, in Markdown
        #[arg(long, value_name = "FILE")]
        file: PathBuf,
        /// The heading; otherwise it stays
        #[arg(long)]
        title: Option<String>,
        /// The version that it takes the place of, as `show` says it: nobody else's change is lost
        #[arg(long, value_name = "NUMBER")]
        version: i64,
        #[command(flatten)]
        reach: Reach,
    },
    /// Give a page back the text of a new portal
    Reset {
        /// principles, terms, licences or handbook
        name: String,
        /// The version that it takes the place of, as `show` says it
        #[arg(long, value_name = "NUMBER")]
        version: i64,
        #[command(flatten)]
        reach: Reach,
    },
}
