//! The command line: what the user said, as plain values.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

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

/// `portico publish`
#[derive(Debug, Args)]
pub(crate) struct Publish {
    #[command(flatten)]
    pub(crate) propose: Propose,
    /// Read, screen and print the findings; keep nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Screen by the rules of this file instead of those of the configuration
    #[arg(long, value_name = "FILE")]
    pub(crate) rules: Option<PathBuf>,
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
    pub(crate) portal: Portal,
    #[command(flatten)]
    pub(crate) metadata: Metadata,
    #[command(flatten)]
    pub(crate) reading: Reading,
}

/// What a person says of a dataset.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Metadata {
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
    /// The steward's e-mail address; a first release needs one
    #[arg(long)]
    pub(crate) steward_email: Option<String>,
    /// SPDX identifier of the licence, such as CC0-1.0
    #[arg(long)]
    pub(crate) license: Option<String>,
    /// A word to find it by; may be given several times
    #[arg(long = "keyword", value_name = "WORD")]
    pub(crate) keywords: Vec<String>,
}

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
        portal: Portal,
    },
    /// Show a dataset's metadata and versions
    Show {
        /// The dataset's name
        name: String,
        #[command(flatten)]
        portal: Portal,
    },
}

/// `portico revision`
#[derive(Debug, Args)]
pub(crate) struct Revision {
    #[command(subcommand)]
    pub(crate) step: RevisionStep,
}

/// One step of the road in.
#[derive(Debug, Subcommand)]
pub(crate) enum RevisionStep {
    /// List a dataset's revisions
    List {
        /// The dataset's name
        dataset: String,
        #[command(flatten)]
        portal: Portal,
    },
    /// Put a file into staging
    Stage(Box<Propose>),
    /// Read, profile and screen a staged revision
    Screen {
        /// The revision's id
        id: String,
        /// Screen by the rules of this file instead of those of the configuration
        #[arg(long, value_name = "FILE")]
        rules: Option<PathBuf>,
        #[command(flatten)]
        portal: Portal,
    },
    /// Show a revision with its findings
    Show {
        /// The revision's id
        id: String,
        #[command(flatten)]
        portal: Portal,
    },
    /// Consent to the release of exactly what was screened
    Approve {
        /// The revision's id
        id: String,
        /// The digest that `show` printed
        #[arg(long)]
        digest: String,
        #[command(flatten)]
        portal: Portal,
    },
    /// Make an approved revision public as the next version
    Release {
        /// The revision's id
        id: String,
        #[command(flatten)]
        portal: Portal,
    },
    /// Give a revision up
    Discard {
        /// The revision's id
        id: String,
        #[command(flatten)]
        portal: Portal,
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
