//! `portico dataset` and `portico revision`: the steps of the road in, one by one.

use std::process::ExitCode;

use anyhow::Context as _;
use portico_model::dataset::DatasetMetadata;
use portico_model::finding::Finding;
use portico_model::name::DatasetName;
use portico_store::Store;
use serde::Deserialize;

use crate::args::{AfterWithdrawal, Dataset, DatasetStep, Named, Revision, RevisionStep};
use crate::describe;
use crate::parts;
use crate::preview;
use crate::publish;
use crate::purge;
use crate::road::{Road, Seen, Step};

/// Lists datasets, shows one, or withdraws a version.
pub(crate) async fn dataset(dataset: Dataset) -> anyhow::Result<ExitCode> {
    match dataset.step {
        DatasetStep::List { reach } => list(&Road::open(&reach).await?).await?,
        DatasetStep::Show { name, reach } => show(&Road::open(&reach).await?, &name).await?,
        DatasetStep::Edit(step) => describe::run(step).await?,
        DatasetStep::Withdraw { name, version, reason, column, reach } => {
            let affected = Road::open(&reach).await?.withdraw(&name, version, (&reason, column)).await?;
            println!("withdrawn {name}@{version}");
            purge::print_affected(&name, &affected);
        }
        DatasetStep::After(AfterWithdrawal::Affected { name, version, column, screen, reach }) => {
            let affected = Road::open(&reach).await?.affected(&name, version, (column, screen)).await?;
            purge::print_affected(&name, &affected);
        }
        DatasetStep::After(AfterWithdrawal::Purge { name, version, reason, confirm, reach }) => {
            purge::print_purge(&Road::open(&reach).await?.purge(&name, version, (&reason, &confirm)).await?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// One step on one revision.
pub(crate) async fn revision(revision: Revision) -> anyhow::Result<ExitCode> {
    match revision.step {
        RevisionStep::List { dataset, reach } => {
            for seen in Road::open(&reach).await?.list(&dataset).await? {
                print_line(&seen);
            }
        }
        RevisionStep::Stage(stage) => print_line(&Road::open_or_make(&stage.reach).await?.stage(&stage).await?),
        RevisionStep::Amend { named: Named { id, reach }, metadata, reading } => {
            print_line(&Road::open(&reach).await?.amend(&id, &metadata, &reading).await?);
        }
        RevisionStep::Screen(Named { id, reach }) => {
            let seen = Road::open(&reach).await?.step(Step::Screen, &id).await?;
            print_whole(&seen);
            if seen.findings.iter().any(Finding::blocks) {
                return Ok(ExitCode::from(publish::BLOCKED));
            }
        }
        RevisionStep::Show(Named { id, reach }) => print_whole(&Road::open(&reach).await?.show(&id).await?),
        RevisionStep::Rows(rows) => preview::print_rows(rows).await?,
        RevisionStep::Submit(Named { id, reach }) => {
            print_line(&Road::open(&reach).await?.step(Step::Submit, &id).await?);
        }
        RevisionStep::Review { named: Named { id, reach }, recommend, remark, give_back } => {
            let road = Road::open(&reach).await?;
            print_line(&match (recommend, give_back) {
                (Some(digest), _) => road.recommend(&id, &digest, remark.as_deref().unwrap_or_default()).await?,
                (None, reason) => road.give_back(&id, reason.as_deref().unwrap_or_default()).await?,
            });
        }
        RevisionStep::Approve { named: Named { id, reach }, digest } => {
            print_line(&Road::open(&reach).await?.approve(&id, &digest).await?);
        }
        RevisionStep::Release(Named { id, reach }) => {
            let seen = Road::open(&reach).await?.step(Step::Release, &id).await?;
            println!("released {}@{}", seen.dataset, seen.version.unwrap_or_default());
        }
        RevisionStep::Discard(Named { id, reach }) => {
            print_line(&Road::open(&reach).await?.step(Step::Discard, &id).await?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A dataset as the staff API tells it.
#[derive(Deserialize)]
struct Told {
    metadata: DatasetMetadata,
    current_version: Option<u32>,
}

async fn list(road: &Road) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct List {
        datasets: Vec<Told>,
    }

    let datasets = match road {
        Road::Here(open) => {
            let found = open.publisher.datasets(&parts::operator(), parts::now_ms()).await?;
            let told = |record: portico_store::DatasetRecord| Told {
                metadata: record.metadata,
                current_version: record.current,
            };
            found.into_iter().map(told).collect()
        }
        Road::There(remote) => remote.get::<List>(&["datasets"]).await?.datasets,
    };
    for Told { metadata, current_version } in datasets {
        let current = current_version.map_or_else(|| "not released".to_owned(), |version| format!("version {version}"));
        println!("{:40} {current:14} {}", metadata.name.as_str(), metadata.title);
    }
    Ok(())
}

async fn show(road: &Road, name: &str) -> anyhow::Result<()> {
    match road {
        Road::Here(open) => show_here(&open.store, name).await,
        Road::There(remote) => {
            let Told { metadata, current_version } = remote.get(&["datasets", name]).await?;
            print_metadata(&metadata);
            match current_version {
                Some(version) => println!("  version {version:4} (current)"),
                None => println!("  not released"),
            }
            Ok(())
        }
    }
}

async fn show_here(store: &Store, name: &str) -> anyhow::Result<()> {
    let name = DatasetName::parse(name)?;
    let record = store.catalog.dataset(&name).await?.with_context(|| format!("there is no dataset {name}"))?;
    print_metadata(&record.metadata);
    if let Some(current) = store.catalog.current_version(&name).await? {
        let fields = current.manifest.schema.fields();
        let columns: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
        describe::print_completeness(&record.metadata, &columns);
    }
    for version in store.catalog.versions(&name).await? {
        let current = if record.current == Some(version.version) { " (current)" } else { "" };
        println!("  version {:4} {:>12} rows {:>14} bytes{current}", version.version, version.rows, version.bytes);
    }
    Ok(())
}

fn print_metadata(metadata: &DatasetMetadata) {
    println!("{}\n  title       {}\n  department  {}", metadata.name, metadata.title, metadata.department);
    println!(
        "  steward     {} <{}>\n  licence     {}",
        metadata.steward_name, metadata.steward_email, metadata.license
    );
}

fn print_line(seen: &Seen) {
    let version = seen.version.map(|version| format!(" as {}@{version}", seen.dataset)).unwrap_or_default();
    let recommended = seen.recommended_by.as_ref().filter(|_| seen.state == "in_review");
    let recommended = recommended.map(|name| format!(", recommended by {name}")).unwrap_or_default();
    println!("{} {} {}{recommended}{version}", seen.id, seen.dataset, seen.state);
}

fn print_whole(seen: &Seen) {
    print_line(seen);
    println!("staged by {}", seen.staged_by);
    if let (Some(name), Some(reason)) = (&seen.returned_by, &seen.returned_reason) {
        println!("returned by {name}: {reason}");
    }
    if let Some(name) = &seen.approved_by {
        println!("approved by {name}");
    }
    publish::print_findings(&seen.findings);
    if let Some(digest) = &seen.digest {
        println!("digest {digest}");
    }
}
