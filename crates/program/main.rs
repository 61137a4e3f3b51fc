//! `portico`: publishes a government's data and answers questions about it.
//!
//! The program reads the command line, the configuration and the environment, builds the parts and runs one
//! command. Everything it knows of the outside comes in here, the time included.

#![allow(clippy::print_stdout, reason = "a command line program answers on standard output")]

mod args;
mod audit;
mod backup;
mod calendar;
mod check;
mod city;
mod config;
mod demo;
mod describe;
mod identity;
mod inventory;
mod page;
mod parts;
mod preview;
mod publish;
mod purge;
mod query;
mod reader;
mod records;
mod remedies;
mod remote;
mod report;
mod road;
mod scratch;
mod scrub;
mod serve;
mod session;
mod source;
mod staff;
mod sweep;
mod token;
mod worker;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser as _};

use args::{Arguments, Command};

/// Faster than the system's allocator for Arrow's large, short-lived buffers.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Threads that wait for files. Each keeps some of the memory that it read into, so that their number is part of what
/// the server needs; a disk does not get faster by more of them.
const BLOCKING_THREADS: usize = 32;

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return answer(&error),
    };
    // The limits and the runtime of a worker or a reader are its own.
    match &arguments.command {
        Command::Worker(worker) => return finish(worker::run(worker).map(|()| ExitCode::SUCCESS)),
        Command::Reader(reader) => {
            return finish(reader::run(reader).map(|()| ExitCode::SUCCESS));
        }
        _ => {}
    }
    start_log(&arguments);
    let runtime =
        match tokio::runtime::Builder::new_multi_thread().max_blocking_threads(BLOCKING_THREADS).enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return finish(Err(error.into())),
        };
    let outcome = runtime.block_on(run(arguments));
    // A task that hangs in a file system call must not keep the process.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    finish(outcome)
}

/// Help and the version are answers; all else is an error like any other, since 2 says that findings block.
fn answer(error: &clap::Error) -> ExitCode {
    // Where it cannot be printed, nobody is there to read it.
    let _ = error.print();
    if error.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Demo(demo) => demo::run(demo).await,
        Command::Serve(serve) => serve::run(serve).await,
        Command::Publish(publish) => interruptible(publish::run(*publish)).await,
        Command::Dataset(dataset) => staff::dataset(dataset).await,
        Command::Revision(revision) => interruptible(staff::revision(revision)).await,
        Command::Inventory(said) => interruptible(inventory::run(said)).await,
        Command::Request(said) => inventory::requests(said).await,
        Command::Preview(said) => interruptible(preview::run(said)).await,
        Command::Schedule(schedule) => calendar::run(*schedule).await,
        Command::Source(said) => interruptible(source::run(said)).await,
        Command::Token(said) => token::run(said).await,
        Command::Session(said) => session::run(said).await,
        Command::Audit(said) => audit::run(said).await,
        Command::Report(said) => report::run(said).await,
        Command::Page(said) => page::run(said).await,
        Command::Query(query) => query::run(query).await,
        Command::Check(check) => check::run(check).await,
        Command::Sweep(sweep) => sweep::run(sweep).await,
        Command::Scrub(scrub) => scrub::run(scrub).await,
        Command::Backup(said) => backup::backup(said).await,
        Command::Restore(said) => backup::restore(said).await,
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "portico", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Command::Worker(_) | Command::Reader(_) => Ok(ExitCode::SUCCESS),
    }
}

/// Ends a step of the road in at Ctrl-C, with its reader and its temporary files. Every step may be done again.
async fn interruptible(step: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    tokio::select! {
        outcome = step => outcome,
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
    }
}

fn finish(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    match outcome {
        Ok(code) => code,
        Err(error) => {
            // The chain, since an error's text never repeats its source's.
            eprintln!("portico: {error:#}");
            if lacks_metadata(&error) { ExitCode::from(publish::BLOCKED) } else { ExitCode::FAILURE }
        }
    }
}

/// Whether a release was refused for what is missing, here or by a server.
fn lacks_metadata(error: &anyhow::Error) -> bool {
    let here = error.downcast_ref::<portico_publish::PublishError>().map(portico_publish::PublishError::kind);
    let there = error.downcast_ref::<remote::Told>().and_then(|told| told.kind);
    here.or(there) == Some(portico_model::problem::ProblemKind::MetadataIncomplete)
}

/// Logs go to standard error: lines for people on a terminal, JSON for machines elsewhere.
fn start_log(arguments: &Arguments) {
    use std::io::IsTerminal as _;
    use tracing_subscriber::EnvFilter;

    let quiet = !matches!(arguments.command, Command::Serve(_));
    // The Delta kernel logs a table that does not exist yet as an error: a first release is none.
    let default =
        if quiet { "warn,delta_kernel=off,buoyant_kernel=off" } else { "info,delta_kernel=off,buoyant_kernel=off" };
    let wanted = config::environment("PORTICO_LOG").unwrap_or_else(|| default.to_owned());
    let filter = EnvFilter::try_new(&wanted).unwrap_or_else(|_| EnvFilter::new(default));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() || quiet {
        log.with_target(false).init();
    } else {
        log.json().init();
    }
}
