//! `portico source` on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Reach, Reading};

/// `portico source`
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    #[command(subcommand)]
    pub(crate) step: SourceStep,
}

/// What to do with a dataset's source.
#[derive(Debug, Subcommand)]
pub(crate) enum SourceStep {
    /// Declare where the data come from, from now on
    Set {
        /// The dataset's name
        name: String,
        /// The declaration: TOML, or JSON in a file that ends in .json
        #[arg(long, value_name = "FILE")]
        declaration: PathBuf,
        #[command(flatten)]
        reading: Box<Reading>,
        #[command(flatten)]
        reach: Reach,
    },
    /// Show the source, when it is read next, and how it went
    Show {
        /// The dataset's name
        name: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// Consent for good to what it brings, as long as it is like what is public
    Approve {
        /// The dataset's name
        name: String,
        /// The digest that `show` printed
        #[arg(long)]
        digest: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// Read it now
    Run {
        /// The dataset's name
        name: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// Let it rest
    Pause {
        /// The dataset's name
        name: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// Have it go on
    Resume {
        /// The dataset's name
        name: String,
        #[command(flatten)]
        reach: Reach,
    },
}
