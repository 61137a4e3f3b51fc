//! The command line: what the user said, as plain values.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

mod inventory;
mod metadata;
mod page;
mod preview;
mod reading;
mod records;
mod schedule;
mod signin;
mod source;

pub(crate) use inventory::{Inventory, InventoryStep, Request, RequestStep};
pub(crate) use metadata::{EditStep, Metadata};
pub(crate) use page::{Page, PageStep};
pub(crate) use preview::{Preview, Rows};
pub(crate) use reading::Reading;
pub(crate) use records::{AfterWithdrawal, Audit, AuditFormat, AuditStep, Report, ReportStep};
pub(crate) use schedule::Schedule;
pub(crate) use signin::{Link, Session, SessionStep};
pub(crate) use source::{SourceArgs, SourceStep};

/// Publish a government's data as immutable versions, and answer anyone's questions about them.
#[derive(Debug, Parser)]
#[command(name = "portico", version, about, after_help = "Try it: portico demo")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Publish the datasets of a small sample city through the real road in, then serve them
    Demo(Demo),
    /// Serve an existing portal
    Serve(Serve),
    /// Stage, screen and release a file as the next version of a dataset
    Publish(Box<Publish>),
    /// List datasets, or show one
    Dataset(Dataset),
    /// The steps of the road in, one by one
    Revision(Revision),
    /// Every dataset that the government holds, published or not
    Inventory(Inventory),
    /// What the public asks to have published
    Request(Request),
    /// Show what a release would make public, and what it would change of what is public now
    Preview(Preview),
    /// Have the clock release an approved revision at a time, or list what waits for its time
    Schedule(Box<Schedule>),
    /// Where a dataset's data come from, and when they are read again
    Source(SourceArgs),
    /// What members of staff show to a server
    Token(Token),
    /// Who is signed in at a browser
    Session(Session),
    /// Check or export the log of who did what
    Audit(Audit),
    /// The annual report: draft it, publish it, read what the public says
    Report(Report),
    /// The portal's own pages: principles, terms, licences, handbook
    Page(Page),
    /// Ask one question and print the answer
    Query(Query),
    /// Show the effective configuration, try storage, catalog and a worker, say what is wrong
    Check(Check),
    /// Remove files that no release needs any more
    Sweep(Sweep),
    /// Read every file and row that the portal rests on, and say what is damaged or missing
    Scrub(Scrub),
    /// Copy the catalog and every file that it names to another place; what is there is not copied again
    Backup(Backup),
    /// Fill an empty portal from a backup, then read all of it
    Restore(Restore),
    /// Print completions for a shell
    Completions {
        /// bash, zsh, fish, elvish or powershell
        shell: clap_complete::Shell,
    },
    /// Answer the server's questions; started by the server
    #[command(hide = true)]
    Worker(Worker),
    /// Read one staged file; started by whatever screens it
    #[command(hide = true)]
    Reader(Reader),
}

/// Where the portal is.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Portal {
    /// Configuration file
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Keep everything (files and catalog) under this directory
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
}

/// `portico demo`
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,
    /// Keep the portal in this directory; otherwise in a temporary one that goes when the server stops
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// Make this many service requests instead of the sample's 60,000
    #[arg(long, value_name = "N")]
    pub(crate) rows: Option<u64>,
    /// Write the sample city's files into a directory and stop
    #[arg(long, value_name = "DIR", conflicts_with_all = ["data", "rows"])]
    pub(crate) write_samples: Option<PathBuf>,
}

/// `portico serve`
#[derive(Debug, Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    pub(crate) portal: Portal,
    /// Address to listen on
    #[arg(long)]
    pub(crate) listen: Option<SocketAddr>,
}

/// Where a step is done: on the portal's own storage and catalog, or by a running server.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Reach {
    #[command(flatten)]
    pub(crate) portal: Portal,
    /// Have a running server do it, such as https://data.example.gov, with the token in PORTICO_TOKEN
    #[arg(long, value_name = "URL", conflicts_with_all = ["config", "data"])]
    pub(crate) server: Option<String>,
    /// The token itself; others on this machine may see it, so that PORTICO_TOKEN or a file is better
    #[arg(long, value_name = "TOKEN", requires = "server")]
    pub(crate) token: Option<String>,
    /// File that holds the token
    #[arg(long, value_name = "FILE", requires = "server", conflicts_with = "token")]
    pub(crate) token_file: Option<PathBuf>,
}

/// `portico publish`
#[derive(Debug, Args)]
pub(crate) struct Publish {
    #[command(flatten)]
    pub(crate) propose: Propose,
    #[command(flatten)]
    pub(crate) portal: Portal,
    /// Read, screen and print the findings; keep nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Screen by the rules of this file instead of those of the configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,
    /// Draft a data dictionary of the file's columns, for somebody to say what they mean; keep nothing else
    #[arg(long, value_name = "FILE", conflicts_with = "dry_run")]
    pub(crate) write_dictionary: Option<PathBuf>,
}

/// A file that is to become a version, and what is said of it.
#[derive(Debug, Args)]
pub(crate) struct Propose {
    /// A file, or a URL to fetch it from: CSV, TSV, NDJSON, JSON, Parquet, Arrow, XLSX, GeoJSON; gz, zst, zip
    pub(crate) source: String,
    /// The dataset's name, such as building-permits
    #[arg(long, value_name = "NAME")]
    pub(crate) dataset: String,
    #[command(flatten)]
    pub(crate) metadata: Metadata,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// `portico dataset`
#[derive(Debug, Args)]
pub(crate) struct Dataset {
    #[command(subcommand)]
    pub(crate) step: DatasetStep,
}

/// What to do with datasets.
#[derive(Debug, Subcommand)]
pub(crate) enum DatasetStep {
    /// List datasets, unreleased ones too
    List {
        #[command(flatten)]
        reach: Reach,
    },
    /// Show a dataset's metadata and versions
    Show {
        /// The dataset's name
        name: String,
        #[command(flatten)]
        reach: Reach,
    },
    #[command(flatten)]
    Edit(EditStep),
    /// Stop answering from a version; its record stays, with the public reason
    Withdraw {
        /// The dataset's name
        name: String,
        /// The version's number
        version: u32,
        /// What the public is told
        #[arg(long)]
        reason: String,
        /// The column that is the trouble: other versions that have it are listed
        #[arg(long)]
        column: Option<String>,
        #[command(flatten)]
        reach: Reach,
    },
    #[command(flatten)]
    After(AfterWithdrawal),
}

/// `portico revision`
#[derive(Debug, Args)]
pub(crate) struct Revision {
    #[command(subcommand)]
    pub(crate) step: RevisionStep,
}

/// A revision.
#[derive(Clone, Debug, Args)]
pub(crate) struct Named {
    /// The revision's id
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// `portico revision stage`
#[derive(Debug, Args)]
pub(crate) struct Stage {
    #[command(flatten)]
    pub(crate) propose: Propose,
    #[command(flatten)]
    pub(crate) reach: Reach,
}

/// One step of the road in.
#[derive(Debug, Subcommand)]
pub(crate) enum RevisionStep {
    /// List a dataset's revisions
    List {
        /// The dataset's name
        dataset: String,
        #[command(flatten)]
        reach: Reach,
    },
    /// Put a file into staging
    Stage(Box<Stage>),
    /// Say otherwise how a staged file is read: drop a column, make it coarser, declare it public; then screen it again
    Amend {
        #[command(flatten)]
        named: Named,
        #[command(flatten)]
        metadata: Box<Metadata>,
        #[command(flatten)]
        reading: Box<Reading>,
    },
    /// Read, profile and screen a staged revision
    Screen(Named),
    /// Show a revision with its findings
    Show(Named),
    /// Show rows of exactly what would be public, the first ones unless said otherwise, one JSON object a line
    Rows(Rows),
    /// Hand a screened revision in for review
    Submit(Named),
    /// Recommend a revision as fit for release, or return it with a reason
    #[command(group = clap::ArgGroup::new("judgement").required(true).args(["recommend", "give_back"]))]
    Review {
        #[command(flatten)]
        named: Named,
        /// It is fit for release: the digest that `show` printed
        #[arg(long, value_name = "DIGEST")]
        recommend: Option<String>,
        /// A word to whoever approves it
        #[arg(long, requires = "recommend")]
        remark: Option<String>,
        /// It is to be corrected: why
        #[arg(long = "return", value_name = "REASON")]
        give_back: Option<String>,
    },
    /// Consent to the release of exactly what was screened
    Approve {
        #[command(flatten)]
        named: Named,
        /// The digest that `show` printed
        #[arg(long)]
        digest: String,
    },
    /// Make an approved revision public as the next version
    Release(Named),
    /// Give a revision up
    Discard(Named),
}

/// `portico token`
#[derive(Debug, Args)]
pub(crate) struct Token {
    #[command(subcommand)]
    pub(crate) step: TokenStep,
}

/// What to do with tokens.
#[derive(Debug, Subcommand)]
pub(crate) enum TokenStep {
    /// Make a token and print it, this once
    Create {
        /// Who is to hold it: one name for each person, such as ana.lopez
        name: String,
        /// contributor, steward, open-data, cio or admin; may be given several times
        #[arg(long = "role", value_name = "ROLE", required = true)]
        roles: Vec<String>,
        /// For the datasets of a department; may be given several times
        #[arg(long = "department", value_name = "NAME")]
        departments: Vec<String>,
        /// For one dataset; may be given several times
        #[arg(long = "dataset", value_name = "NAME")]
        datasets: Vec<String>,
        /// For every dataset, and the portal as a whole
        #[arg(long, conflicts_with_all = ["departments", "datasets"])]
        everywhere: bool,
        /// How many days it is good for
        #[arg(long, default_value_t = 90)]
        days: u64,
        #[command(flatten)]
        reach: Reach,
    },
    /// Make a one-time link that signs somebody in at a browser, and print it
    Link(Box<Link>),
    /// List tokens: who holds them, what for, until when
    List {
        #[command(flatten)]
        reach: Reach,
    },
    /// End a token at once
    Revoke {
        /// The token's id, as `list` prints it
        id: String,
        #[command(flatten)]
        reach: Reach,
    },
}

/// `portico query`
#[derive(Debug, Args)]
pub(crate) struct Query {
    /// One SELECT
    pub(crate) sql: String,
    /// csv, tsv, json, objects, ndjson, arrow, parquet, geojson, xlsx or table
    #[arg(long, default_value = "table")]
    pub(crate) format: String,
    /// Ask a running server, such as https://data.example.gov
    #[arg(long, value_name = "URL", conflicts_with_all = ["config", "data"])]
    pub(crate) server: Option<String>,
    #[command(flatten)]
    pub(crate) portal: Portal,
}

/// `portico check`
#[derive(Debug, Args)]
pub(crate) struct Check {
    #[command(flatten)]
    pub(crate) portal: Portal,
}

/// `portico sweep`
#[derive(Debug, Args)]
pub(crate) struct Sweep {
    #[command(flatten)]
    pub(crate) portal: Portal,
    /// Only say what would go
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// `portico scrub`
#[derive(Debug, Args)]
pub(crate) struct Scrub {
    #[command(flatten)]
    pub(crate) portal: Portal,
}

/// Where backups are.
#[derive(Clone, Debug, Args)]
pub(crate) struct Place {
    /// A directory, or file:///…, s3://bucket/prefix, gs://…, az://…
    #[arg(value_name = "DIR|URL")]
    pub(crate) place: String,
    /// An option of that store, such as endpoint=…; may be given several times. Secrets come from the environment
    #[arg(long = "option", value_name = "KEY=VALUE")]
    pub(crate) options: Vec<String>,
}

/// `portico backup`
#[derive(Debug, Args)]
pub(crate) struct Backup {
    #[command(flatten)]
    pub(crate) place: Place,
    #[command(flatten)]
    pub(crate) portal: Portal,
}

/// `portico restore`
#[derive(Debug, Args)]
pub(crate) struct Restore {
    #[command(flatten)]
    pub(crate) place: Place,
    /// The backup to restore, as `backup` printed it, such as 20260102T030405000Z; otherwise the newest
    #[arg(long, value_name = "STAMP")]
    pub(crate) at: Option<String>,
    #[command(flatten)]
    pub(crate) portal: Portal,
}

/// `portico worker`
#[derive(Debug, Args)]
pub(crate) struct Worker {
    /// Socket to serve on
    #[arg(long)]
    pub(crate) socket: PathBuf,
    /// Directory for spill files
    #[arg(long)]
    pub(crate) scratch: PathBuf,
    /// Directory of the released files, all that it may read; without it they come by URL and it may connect
    #[arg(long)]
    pub(crate) released: Option<PathBuf>,
    /// Memory of the process, in bytes
    #[arg(long)]
    pub(crate) memory: u64,
    /// Bytes of spill files
    #[arg(long)]
    pub(crate) spill: u64,
    /// Threads that compute
    #[arg(long)]
    pub(crate) threads: usize,
    /// Log filter
    #[arg(long, default_value = "warn")]
    pub(crate) log: String,
}

/// `portico reader`
#[derive(Debug, Args)]
pub(crate) struct Reader {
    /// Directory with the staged file, the only one that is written
    #[arg(long)]
    pub(crate) scratch: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Arguments::command().debug_assert();
    }
}
