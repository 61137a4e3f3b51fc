//! What is said of a dataset on the command line, with new data and without.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Reach;

/// What a person says of a dataset.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Metadata {
    /// Any of the metadata in a file: TOML, or JSON; what the flags say goes before it (docs/metadata.md lists the keys)
    #[arg(long, value_name = "FILE")]
    pub(crate) metadata: Option<PathBuf>,
    /// Title for people
    #[arg(long)]
    pub(crate) title: Option<String>,
    /// What the data are, in a few sentences
    #[arg(long)]
    pub(crate) description: Option<String>,
    /// The department that is responsible
    #[arg(long)]
    pub(crate) department: Option<String>,
    /// The steward's name
    #[arg(long)]
    pub(crate) steward_name: Option<String>,
    /// The steward's e-mail address; a release needs one
    #[arg(long)]
    pub(crate) steward_email: Option<String>,
    /// SPDX identifier of the licence, such as CC0-1.0
    #[arg(long)]
    pub(crate) license: Option<String>,
    /// A word to find it by; may be given several times
    #[arg(long = "keyword", value_name = "WORD")]
    pub(crate) keywords: Vec<String>,
}

/// What to do with metadata that come without new data.
#[derive(Debug, Subcommand)]
pub(crate) enum EditStep {
    /// Say otherwise what is known of a dataset; what is public waits for somebody else to approve it
    Describe {
        /// The dataset's name
        name: String,
        #[command(flatten)]
        metadata: Box<Metadata>,
        #[command(flatten)]
        reach: Reach,
    },
    /// Make an edit of public metadata so
    ApproveEdit {
        /// The dataset's name
        name: String,
        /// The digest that `describe` printed
        #[arg(long)]
        digest: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// Give an edit of public metadata back
    DeclineEdit {
        /// The dataset's name
        name: String,
        /// Why
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        reach: Reach,
    },
}
