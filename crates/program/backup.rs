//! `portico backup` and `portico restore`: the portal into another storage, and back.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context as _;
use portico_model::name::DatasetName;
use portico_model::policy::VersionState;
use portico_store::{CopyEvent, CopySummary, Rested, Storage, Store};

use crate::args::{Backup, Place, Restore};
use crate::config::Config;
use crate::{parts, scrub};

/// Names of datasets that are read at a time.
const NAMES: i64 = 500;

/// Copies catalog and files; what is in the place already is not copied again.
pub(crate) async fn backup(backup: Backup) -> anyhow::Result<ExitCode> {
    let config = Config::load(backup.portal.config.as_deref(), backup.portal.data.as_deref())?;
    let store = parts::open_existing_store(&config).await?;
    let place = open(&backup.place)?;
    let bar = scrub::bytes_bar("backing up");
    let done = store.backup(&place, parts::now_ms(), &mut |event| count(&bar, event)).await;
    bar.finish_and_clear();
    let done = done.context("the backup is not complete; doing it again goes on where it stopped")?;
    println!("backup {}: {}", done.stamp, said(&done));
    for file in &done.left_out {
        println!(
            "left out {file}: it was gone or another when its turn came; its revision is screened again or discarded"
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Fills an empty portal, then reads all of it.
pub(crate) async fn restore(restore: Restore) -> anyhow::Result<ExitCode> {
    let config = Config::load(restore.portal.config.as_deref(), restore.portal.data.as_deref())?;
    let place = open(&restore.place)?;
    let store = parts::open_store_to_fill(&config).await?;
    store.storage.self_test().await.context("a portal would not be safe on this storage")?;
    let bar = scrub::bytes_bar("restoring");
    let operator = parts::operator();
    let by = (operator.name(), parts::now_ms());
    let done = store.restore(&place, restore.at.as_deref(), by, &mut |event| count(&bar, event)).await;
    bar.finish_and_clear();
    let done = done.context("nothing is restored; doing it again goes on where it stopped")?;
    println!("restored {}: {}", done.copy.stamp, said(&done.copy));
    say_what_waits(&store, &done.rested).await?;
    let seen = scrub::scrub_store(&store).await?;
    if seen.wrong == 0 {
        println!("scrubbed: all of it is as it was promised");
        return Ok(ExitCode::SUCCESS);
    }
    println!("{} things are wrong: docs/operations.md says what to do", seen.wrong);
    Ok(ExitCode::from(scrub::WRONG))
}

/// Says what rests since the restore, and what is public again: what was undone since the backup is to be undone once more.
async fn say_what_waits(store: &Store, rested: &Rested) -> anyhow::Result<()> {
    for dataset in &rested.sources {
        println!("paused the source of {dataset}: portico source resume {dataset}");
    }
    for (revision, dataset) in &rested.releases {
        println!("{revision} of {dataset} is not released at its time: schedule it anew, or take it off the calendar");
    }
    println!("public as of the backup; withdraw again what was withdrawn since it was made:");
    let mut after = String::new();
    loop {
        let names = store.catalog.dataset_names(&after, NAMES).await?;
        for name in &names {
            let versions = store.catalog.versions(&DatasetName::parse(name)?).await?;
            let public = versions.iter().rev().filter(|version| version.state == VersionState::Released);
            let public: Vec<String> = public.map(|version| format!("{name}@{}", version.version)).collect();
            if !public.is_empty() {
                println!("  {}", public.join(" "));
            }
        }
        match names.into_iter().next_back() {
            Some(last) => after = last,
            None => return Ok(()),
        }
    }
}

fn count(bar: &indicatif::ProgressBar, event: CopyEvent) {
    match event {
        CopyEvent::Total(bytes) => bar.set_length(bytes),
        CopyEvent::Copied(bytes) | CopyEvent::Kept(bytes) => bar.inc(bytes),
    }
}

fn said(done: &CopySummary) -> String {
    let kept = done.files.saturating_sub(done.copied_files);
    format!(
        "{} rows of the catalog, {} files of {} bytes ({} copied, {} bytes; {kept} were there)",
        done.rows, done.files, done.bytes, done.copied_files, done.copied_bytes
    )
}

/// A directory, or a URL as the configuration has them for the storage.
fn open(place: &Place) -> anyhow::Result<Storage> {
    let url = if place.place.contains("://") {
        place.place.clone()
    } else {
        let path = std::path::absolute(&place.place).with_context(|| format!("{} is no path", place.place))?;
        let url = url::Url::from_directory_path(&path);
        url.map_err(|()| anyhow::anyhow!("{} is no path", place.place))?.to_string()
    };
    let mut options = BTreeMap::new();
    for option in &place.options {
        let (key, value) = option.split_once('=').with_context(|| format!("--option {option}: want KEY=VALUE"))?;
        options.insert(key.to_owned(), value.to_owned());
    }
    let mut said = crate::config::Storage { url, options };
    said.read_environment(crate::config::environment);
    Storage::open(&said.url, &said.options).with_context(|| format!("the backup {} cannot be opened", place.place))
}
