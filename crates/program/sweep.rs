//! `portico sweep`: removes files that no release needs.

use std::process::ExitCode;

use crate::args::Sweep;
use crate::config::Config;
use crate::parts;

/// Prints what goes, or would go.
pub(crate) async fn run(sweep: Sweep) -> anyhow::Result<ExitCode> {
    let config = Config::load(sweep.portal.config.as_deref(), sweep.portal.data.as_deref())?;
    let store = parts::open_existing_store(&config).await?;
    let scratch = parts::Scratch::open(&config)?;
    let publisher = parts::open_publisher(&config, &store, &scratch)?;
    let swept = publisher.sweep(sweep.dry_run, parts::now_ms()).await?;
    let verb = if sweep.dry_run { "would remove" } else { "removed" };
    println!("{verb} {} files, {} bytes", swept.files, swept.bytes);
    if swept.busy > 0 {
        println!("passed over {} datasets that a release is at work on", swept.busy);
    }
    Ok(ExitCode::SUCCESS)
}
