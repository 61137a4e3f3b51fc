//! The command line of a portal's records: the audit log and the annual report.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::Reach;

/// `portico report`
#[derive(Debug, Args)]
pub(crate) struct Report {
    #[command(subcommand)]
    pub(crate) step: ReportStep,
}

/// What to do with annual reports.
#[derive(Debug, Subcommand)]
pub(crate) enum ReportStep {
    /// Take a year's numbers from the records, in place of an earlier draft's
    Draft {
        /// The year
        year: i64,
        /// A file with what staff recommend, as plain text; what was said before stays without it
        #[arg(long, value_name = "FILE")]
        recommendations: Option<PathBuf>,
        #[command(flatten)]
        reach: Reach,
    },
    /// Show a report with its numbers, drafts too
    Show {
        /// The year
        year: i64,
        #[command(flatten)]
        reach: Reach,
    },
    /// Freeze a draft and open it to public comment for thirty days
    Publish {
        /// The year
        year: i64,
        #[command(flatten)]
        reach: Reach,
    },
    /// List what the public says of a report
    Comments {
        /// The year
        year: i64,
        #[command(flatten)]
        reach: Reach,
    },
    /// Make a comment public, or say why it is not
    #[command(group = clap::ArgGroup::new("word").required(true).args(["accept", "reject"]))]
    Moderate {
        /// The comment's id
        id: String,
        /// It is public from now on
        #[arg(long)]
        accept: bool,
        /// It is not: why
        #[arg(long, value_name = "REASON")]
        reject: Option<String>,
        #[command(flatten)]
        reach: Reach,
    },
}

/// `portico audit`
#[derive(Debug, Args)]
pub(crate) struct Audit {
    #[command(subcommand)]
    pub(crate) step: AuditStep,
}

/// What to do with the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditStep {
    /// Read all of it, check every link, and print its end, to be kept where nobody can change both
    Verify {
        /// A row that was noted earlier: it must be the same still
        #[arg(long, value_name = "NUMBER:HASH")]
        noted: Option<String>,
        #[command(flatten)]
        reach: Reach,
    },
    /// Write it to standard output, with all that its hashes are made from
    Export {
        /// The first row
        #[arg(long, default_value_t = 1)]
        from: i64,
        /// The last row; otherwise all that there are
        #[arg(long)]
        to: Option<i64>,
        #[arg(long, value_enum, default_value_t = AuditFormat::Ndjson)]
        format: AuditFormat,
        #[command(flatten)]
        reach: Reach,
    },
}

/// How the audit log is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum AuditFormat {
    /// One JSON object a line
    Ndjson,
    /// RFC 4180
    Csv,
}

/// What follows a withdrawal.
#[derive(Debug, Subcommand)]
pub(crate) enum AfterWithdrawal {
    /// List the other versions that hold the same as one that should not
    Affected {
        /// The dataset's name
        name: String,
        /// The version that is known to hold it
        #[arg(long)]
        version: u32,
        /// The column; otherwise whatever that version's findings warn of
        #[arg(long)]
        column: Option<String>,
        /// Read the files of the other versions and screen them by the rules of today
        #[arg(long)]
        screen: bool,
        #[command(flatten)]
        reach: Reach,
    },
    /// Remove a withdrawn version's bytes for good, and search for them: one person asks, another confirms
    Purge {
        /// The dataset's name
        name: String,
        /// The version's number
        version: u32,
        /// Why; who confirms may leave it out
        #[arg(long, default_value = "")]
        reason: String,
        /// The version, written out: it cannot be undone
        #[arg(long, value_name = "NAME@VERSION")]
        confirm: String,
        #[command(flatten)]
        reach: Reach,
    },
}
