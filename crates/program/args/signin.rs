//! What is said of signing in at a browser.

use clap::{Args, Subcommand};

use super::Reach;

/// `portico token link`
#[derive(Debug, Args)]
pub(crate) struct Link {
    /// Whom it is to sign in: one name for each person, such as ana.lopez
    pub(crate) name: String,
    /// contributor, steward, open-data, cio or admin; may be given several times
    #[arg(long = "role", value_name = "ROLE", required = true)]
    pub(crate) roles: Vec<String>,
    /// For the datasets of a department; may be given several times
    #[arg(long = "department", value_name = "NAME")]
    pub(crate) departments: Vec<String>,
    /// For one dataset; may be given several times
    #[arg(long = "dataset", value_name = "NAME")]
    pub(crate) datasets: Vec<String>,
    /// For every dataset, and the portal as a whole
    #[arg(long, conflicts_with_all = ["departments", "datasets"])]
    pub(crate) everywhere: bool,
    /// Where browsers find the portal, such as https://data.example.gov; otherwise --server, server.public_url or
    /// server.listen
    #[arg(long, value_name = "URL")]
    pub(crate) at: Option<String>,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// `portico session`
#[derive(Debug, Args)]
pub(crate) struct Session {
    #[command(subcommand)]
    pub(crate) step: SessionStep,
}

/// What to do with sessions.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionStep {
    /// List the sessions of the last month: who, what for, until when
    List {
        #[command(flatten)]
        reach: Reach,
    },
    /// End a session at once, or all sessions of a person or of everybody
    #[command(group = clap::ArgGroup::new("which").required(true).args(["id", "of", "all"]))]
    Revoke {
        /// The session's id, as `list` prints it
        id: Option<String>,
        /// All sessions of this person
        #[arg(long, value_name = "NAME")]
        of: Option<String>,
        /// All sessions of everybody
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        reach: Reach,
    },
}
