//! The inventory and the requests of the public on the command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Metadata, Reach};

/// `portico inventory`
#[derive(Debug, Args)]
pub(crate) struct Inventory {
    #[command(subcommand)]
    pub(crate) step: InventoryStep,
}

/// What to do with the inventory.
#[derive(Debug, Subcommand)]
pub(crate) enum InventoryStep {
    /// List what the government holds, the most urgent first
    List {
        #[command(flatten)]
        reach: Reach,
    },
    /// Enter the datasets of a CSV file; the same file again changes nothing
    Import {
        /// CSV with a header; docs/staff.md lists the columns
        file: PathBuf,
        /// Only say what would change
        #[arg(long)]
        dry_run: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Enter a dataset, or say otherwise what is known of it
    Set {
        /// The dataset's name
        name: String,
        /// A field and what it is to say, such as status=planned or listed=true; may be given several times
        #[arg(long = "field", value_name = "FIELD=TEXT", required = true)]
        fields: Vec<String>,
        #[command(flatten)]
        reach: Reach,
    },
    /// Bring the inventory in as the dataset `inventory`; what is released of it once is kept up to date by the server
    Publish {
        #[command(flatten)]
        metadata: Box<Metadata>,
        #[command(flatten)]
        reach: Reach,
    },
    /// Bring the published inventory up to date now, on the portal's own storage and catalog
    Refresh {
        #[command(flatten)]
        portal: super::Portal,
    },
}

/// `portico request`
#[derive(Debug, Args)]
pub(crate) struct Request {
    #[command(subcommand)]
    pub(crate) step: RequestStep,
}

/// What to do with requests of the public.
#[derive(Debug, Subcommand)]
pub(crate) enum RequestStep {
    /// List requests, newest first, shown ones and others
    List {
        #[command(flatten)]
        reach: Reach,
    },
    /// Say where a request stands and what the public is told
    Answer {
        /// The request's id
        id: String,
        /// received, under_review, planned, published or declined
        #[arg(long)]
        status: Option<String>,
        /// What the public is told; required to decline
        #[arg(long)]
        answer: Option<String>,
        /// The dataset of the inventory that it is about; empty for none
        #[arg(long)]
        dataset: Option<String>,
        /// Show it to the public
        #[arg(long, conflicts_with = "hide")]
        show: bool,
        /// Show it no more
        #[arg(long)]
        hide: bool,
        /// The line without what does not belong there
        #[arg(long)]
        title: Option<String>,
        /// The details without what does not belong there
        #[arg(long)]
        details: Option<String>,
        /// The department that it is for; empty for none that is known
        #[arg(long)]
        department: Option<String>,
        /// Forget the address of whoever asked
        #[arg(long)]
        delete_contact: bool,
        #[command(flatten)]
        reach: Reach,
    },
}
