//! `portico scrub`: reads everything that the catalog promises, and says what is not so.

use std::process::ExitCode;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use portico_store::{ScrubEvent, Scrubbed, Store};

use crate::args::Scrub;
use crate::config::Config;
use crate::parts;

/// Nothing wrong is 0, something is 2; errors are 1 by way of `main`: then nothing is known.
pub(crate) const WRONG: u8 = 2;

/// Scrubs, with a bar on a terminal and a line for each thing that is wrong.
pub(crate) async fn run(scrub: Scrub) -> anyhow::Result<ExitCode> {
    let config = Config::load(scrub.portal.config.as_deref(), scrub.portal.data.as_deref())?;
    let store = parts::open_existing_store(&config).await?;
    let seen = scrub_store(&store).await?;
    println!(
        "read {} files, {} bytes, of {} versions of {} datasets, and {} rows of the audit log",
        seen.files, seen.bytes, seen.versions, seen.datasets, seen.audit_rows
    );
    if seen.wrong == 0 {
        println!("all of it is as it was promised");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} things are wrong: docs/operations.md says what to do", seen.wrong);
    Ok(ExitCode::from(WRONG))
}

/// The scrub itself, for who wants its figures.
pub(crate) async fn scrub_store(store: &Store) -> anyhow::Result<Scrubbed> {
    let bar = bytes_bar("reading");
    let mut said = |event: ScrubEvent| match event {
        ScrubEvent::Total(bytes) => bar.set_length(bytes),
        ScrubEvent::Read(bytes) => bar.inc(bytes),
        ScrubEvent::Wrong(wrong) => bar.suspend(|| println!("WRONG {}: {}", wrong.about, wrong.how)),
    };
    let seen = store.scrub(&mut said).await;
    bar.finish_and_clear();
    Ok(seen?)
}

/// A bar that counts bytes, on standard error, where that is a terminal.
pub(crate) fn bytes_bar(verb: &'static str) -> ProgressBar {
    let bar = ProgressBar::new(0).with_message(verb);
    if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
