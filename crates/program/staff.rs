//! `portico dataset` and `portico revision`: the steps of the road in, one by one.

use std::process::ExitCode;

use anyhow::Context as _;
use portico_model::finding::Finding;
use portico_model::name::DatasetName;
use portico_publish::{Publisher, Revision as Seen};
use portico_store::{DatasetFilter, Store};

use crate::args::{Dataset, DatasetStep, Portal, Revision, RevisionStep};
use crate::config::{Config, Screening};
use crate::parts::{self, Scratch};
use crate::publish;

/// Datasets that a listing reads at a time.
const PAGE: u64 = 500;

/// Lists datasets or shows one.
pub(crate) async fn dataset(dataset: Dataset) -> anyhow::Result<ExitCode> {
    match dataset.step {
        DatasetStep::List { portal } => list(&open(&portal).await?.store).await?,
        DatasetStep::Show { name, portal } => show(&open(&portal).await?.store, &name).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// One step on one revision.
pub(crate) async fn revision(revision: Revision) -> anyhow::Result<ExitCode> {
    let (operator, now) = (parts::operator(), parts::now_ms());
    match revision.step {
        RevisionStep::List { dataset, portal } => {
            let name = DatasetName::parse(&dataset)?;
            for seen in open(&portal).await?.publisher.revisions(&operator, &name, now).await? {
                print_line(&seen);
            }
        }
        RevisionStep::Stage(said) => {
            let open = open_or_make(&said.portal, true).await?;
            let file = publish::fetch(&said.source, &open.scratch, open.config.limits.intake.file_bytes).await?;
            let request = publish::request(&said, &open.store, file).await?;
            print_line(&open.publisher.stage(&operator, request, now).await?);
        }
        RevisionStep::Screen { id, rules, portal } => {
            let mut open = open(&portal).await?;
            if let Some(rules) = rules {
                open.publisher = open.publisher.with_rules(Screening { rules }.read()?);
            }
            let seen = open.publisher.screen(&operator, &id, now, |_| {}).await?;
            print_whole(&seen);
            if seen.findings.iter().any(Finding::blocks) {
                return Ok(ExitCode::from(publish::BLOCKED));
            }
        }
        RevisionStep::Show { id, portal } => {
            print_whole(&open(&portal).await?.publisher.revision(&operator, &id, now).await?)
        }
        RevisionStep::Approve { id, digest, portal } => {
            print_line(&open(&portal).await?.publisher.approve(&operator, &id, &digest, now).await?);
        }
        RevisionStep::Release { id, portal } => {
            let open = open(&portal).await?;
            open.store.storage.self_test().await.context("a release would not be safe on this storage")?;
            println!("released {}", open.publisher.release(&operator, &id, now).await?);
        }
        RevisionStep::Discard { id, portal } => {
            print_line(&open(&portal).await?.publisher.discard(&operator, &id, now).await?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

struct Open {
    config: Config,
    store: Store,
    publisher: Publisher,
    scratch: Scratch,
}

async fn open(portal: &Portal) -> anyhow::Result<Open> {
    open_or_make(portal, false).await
}

async fn open_or_make(portal: &Portal, make: bool) -> anyhow::Result<Open> {
    let config = Config::load(portal.config.as_deref(), portal.data.as_deref())?;
    let store = if make { parts::open_store(&config).await? } else { parts::open_existing_store(&config).await? };
    let scratch = Scratch::open(&config)?;
    let publisher = parts::open_publisher(&config, &store, &scratch)?;
    Ok(Open { config, store, publisher, scratch })
}

async fn list(store: &Store) -> anyhow::Result<()> {
    let mut offset = 0;
    loop {
        let filter = DatasetFilter { include_unreleased: true, offset, limit: PAGE, ..DatasetFilter::default() };
        let (page, total) = store.catalog.datasets(&filter).await?;
        for record in &page {
            let current =
                record.current.map_or_else(|| "not released".to_owned(), |version| format!("version {version}"));
            println!("{:40} {current:14} {}", record.metadata.name.as_str(), record.metadata.title);
        }
        offset += PAGE;
        if page.is_empty() || offset >= total {
            return Ok(());
        }
    }
}

async fn show(store: &Store, name: &str) -> anyhow::Result<()> {
    let name = DatasetName::parse(name)?;
    let record = store.catalog.dataset(&name).await?.with_context(|| format!("there is no dataset {name}"))?;
    let metadata = &record.metadata;
    println!("{name}\n  title       {}\n  department  {}", metadata.title, metadata.department);
    println!(
        "  steward     {} <{}>\n  licence     {}",
        metadata.steward_name, metadata.steward_email, metadata.license
    );
    for version in store.catalog.versions(&name).await? {
        let current = if record.current == Some(version.version) { " (current)" } else { "" };
        println!("  version {:4} {:>12} rows {:>14} bytes{current}", version.version, version.rows, version.bytes);
    }
    Ok(())
}

fn print_line(seen: &Seen) {
    let version = seen.version.as_ref().map(|version| format!(" as {version}")).unwrap_or_default();
    println!("{} {} {}{version}", seen.id, seen.dataset, seen.state.as_str());
}

fn print_whole(seen: &Seen) {
    print_line(seen);
    publish::print_findings(&seen.findings);
    if let Some(digest) = &seen.digest {
        println!("digest {digest}");
    }
}
