//! `portico inventory` and `portico request`: what the government holds, and what the public asks for.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use portico_model::data_request::{DataRequest, RequestStatus};
use portico_model::inventory::InventoryEntry;
use portico_model::name::DatasetName;
use portico_publish::{Import, InventoryLine, Republished, RequestAnswer};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::args::{Inventory, InventoryStep, Portal, Reach, Request, RequestStep};
use crate::parts;
use crate::publish::{self, Outcome};
use crate::road::{Road, Seen};

/// Lists, imports, sets, publishes.
pub(crate) async fn run(inventory: Inventory) -> anyhow::Result<ExitCode> {
    match inventory.step {
        InventoryStep::List { reach } => list(&reach).await?,
        InventoryStep::Import { file, dry_run, reach } => return import(&reach, &file, dry_run).await,
        InventoryStep::Set { name, fields, reach } => set(&reach, &name, &fields).await?,
        InventoryStep::Publish { metadata, reach } => return bring_in(&reach, &metadata).await,
        InventoryStep::Refresh { portal } => refresh(portal).await?,
    }
    Ok(ExitCode::SUCCESS)
}

/// A line as it is printed; it is read from the staff API, too.
#[derive(Deserialize)]
struct Line {
    name: String,
    title: String,
    department: String,
    status: String,
    urgency: u32,
    requests: u32,
}

impl From<InventoryLine> for Line {
    fn from(line: InventoryLine) -> Self {
        let InventoryLine { entry, requests, urgency, .. } = line;
        let InventoryEntry { name, title, department, status, .. } = entry;
        Self { name: name.to_string(), title, department, status: status.as_str().to_owned(), urgency, requests }
    }
}

async fn list(reach: &Reach) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct List {
        datasets: Vec<Line>,
    }

    let lines: Vec<Line> = match Road::open(reach).await? {
        Road::Here(open) => {
            open.publisher.inventory(&parts::operator(), parts::now_ms()).await?.into_iter().map(Line::from).collect()
        }
        Road::There(remote) => remote.get::<List>(&["inventory"]).await?.datasets,
    };
    for Line { name, title, department, status, urgency, requests } in lines {
        println!("{urgency:4} {name:40} {status:14} {requests:3} requests  {department}: {title}");
    }
    Ok(())
}

async fn import(reach: &Reach, file: &std::path::Path, dry_run: bool) -> anyhow::Result<ExitCode> {
    let import: Import = match Road::open_or_make(reach).await? {
        Road::Here(open) => {
            let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            open.publisher.import_inventory(&parts::operator(), &bytes, dry_run, parts::now_ms()).await?
        }
        Road::There(remote) => {
            let query = [("dry_run", if dry_run { "true" } else { "false" })];
            remote.upload(&["inventory", "import"], &query, file).await?
        }
    };
    for name in &import.entered {
        println!("new      {name}");
    }
    for change in &import.changed {
        println!("changed  {} {}: {:?} -> {:?}", change.name, change.field, change.before, change.after);
    }
    for error in &import.errors {
        println!("line {}: {}", error.line, error.error);
    }
    if !import.errors.is_empty() {
        bail!("{} lines have errors: nothing was entered", import.errors.len());
    }
    let done = if import.done { "entered" } else { "would be entered" };
    println!(
        "{} {done}, {} fields changed, {} rows are known",
        import.entered.len(),
        import.changed.len(),
        import.same
    );
    Ok(ExitCode::SUCCESS)
}

async fn set(reach: &Reach, name: &str, fields: &[String]) -> anyhow::Result<()> {
    let mut said = Map::new();
    for field in fields {
        let Some((field, text)) = field.split_once('=') else {
            bail!("--field wants FIELD=TEXT, such as status=planned")
        };
        let value = match field {
            "priority" | "records_requests" | "version" => {
                json!(text.parse::<u32>().with_context(|| format!("{field} is a number"))?)
            }
            "listed" => json!(text.parse::<bool>().context("listed is true or false")?),
            _ => json!(text),
        };
        said.insert(field.to_owned(), value);
    }
    let changed = match Road::open_or_make(reach).await? {
        Road::Here(open) => {
            let (operator, now_ms, name) = (parts::operator(), parts::now_ms(), DatasetName::parse(name)?);
            let before = open.publisher.inventory_entry(&operator, &name, now_ms).await?;
            let before = before.unwrap_or_else(|| InventoryEntry::named(name));
            let entry = before.saying(&said).map_err(anyhow::Error::msg)?;
            open.publisher.set_inventory(&operator, &entry, now_ms).await?
        }
        Road::There(remote) => {
            let path = ["inventory", "datasets", name];
            let told: Value = remote.say(Method::PUT, &path, &Value::Object(said)).await?;
            told.get("changed").and_then(Value::as_bool).unwrap_or(false)
        }
    };
    println!("{name} {}", if changed { "changed" } else { "says that already" });
    Ok(())
}

/// The whole road at once for whoever does it all; the first step of it by a server.
async fn bring_in(reach: &Reach, metadata: &crate::args::Metadata) -> anyhow::Result<ExitCode> {
    let said = publish::said(metadata)?;
    match Road::open(reach).await? {
        Road::Here(open) => {
            let scratch = open.publisher.scratch("inventory-")?;
            let request = open.publisher.inventory_file(&said, scratch.path()).await?;
            match publish::road_in(&open.publisher, request).await? {
                Outcome::Released(version, findings) => {
                    publish::print_findings(&findings);
                    println!("released {version}");
                    Ok(ExitCode::SUCCESS)
                }
                Outcome::Blocked(revision) => {
                    publish::print_findings(&revision.findings);
                    println!("blocked: revision {} stays in staging", revision.id);
                    Ok(ExitCode::from(publish::BLOCKED))
                }
            }
        }
        Road::There(remote) => {
            let staged: Seen = remote.say(Method::POST, &["inventory", "publish"], &json!(said)).await?;
            println!("{} {} {}: go on with portico revision screen", staged.id, staged.dataset, staged.state);
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn refresh(portal: Portal) -> anyhow::Result<()> {
    let reach = Reach { portal, ..Reach::default() };
    let Road::Here(open) = Road::open(&reach).await? else { bail!("a server refreshes its inventory by itself") };
    match open.publisher.refresh_inventory(parts::now_ms()).await? {
        Republished::NotBegun => println!("nobody has published the inventory yet: portico inventory publish"),
        Republished::Same => println!("the published inventory is up to date"),
        Republished::Waits(id) => println!("revision {id} waits for people: portico revision show {id}"),
        Republished::Released(version) => println!("released {version}"),
    }
    Ok(())
}

/// A request as it is printed; it is read from the staff API, too.
#[derive(Deserialize)]
struct Asked {
    id: String,
    title: String,
    status: RequestStatus,
    shown: bool,
    findings: Vec<String>,
}

impl From<DataRequest> for Asked {
    fn from(request: DataRequest) -> Self {
        let DataRequest { id, title, status, shown, findings, .. } = request;
        Self { id, title, status, shown, findings }
    }
}

/// Lists requests, or answers one.
pub(crate) async fn requests(request: Request) -> anyhow::Result<ExitCode> {
    #[derive(Deserialize)]
    struct List {
        requests: Vec<Asked>,
    }

    let asked: Vec<Asked> = match request.step {
        RequestStep::List { reach } => match Road::open(&reach).await? {
            Road::Here(open) => {
                let found = open.publisher.requests(&parts::operator(), parts::now_ms()).await?;
                found.into_iter().map(Asked::from).collect()
            }
            Road::There(remote) => remote.get::<List>(&["requests"]).await?.requests,
        },
        RequestStep::Answer {
            id,
            status,
            answer,
            dataset,
            show,
            hide,
            title,
            details,
            department,
            delete_contact,
            reach,
        } => {
            let status = status.map(|text| {
                let names = || RequestStatus::ALL.map(RequestStatus::as_str).join(", ");
                RequestStatus::parse(&text).with_context(|| format!("--status wants one of {}", names()))
            });
            let shown = if show || hide { Some(show) } else { None };
            let status = status.transpose()?;
            let said = RequestAnswer { status, answer, dataset, shown, title, details, department, delete_contact };
            vec![answer_one(&reach, &id, said).await?]
        }
    };
    for Asked { id, title, status, shown, findings } in asked {
        let shown = if shown { "shown" } else { "not shown" };
        let findings = if findings.is_empty() { String::new() } else { format!(" [{}]", findings.join(", ")) };
        println!("{id} {:12} {shown:9} {title}{findings}", status.as_str());
    }
    Ok(ExitCode::SUCCESS)
}

async fn answer_one(reach: &Reach, id: &str, said: RequestAnswer) -> anyhow::Result<Asked> {
    match Road::open(reach).await? {
        Road::Here(open) => {
            let limits = &open.config.limits.requests;
            Ok(open.publisher.answer_request(&parts::operator(), id, said, limits, parts::now_ms()).await?.into())
        }
        Road::There(remote) => remote.say(Method::PUT, &["requests", id], &json!(said)).await,
    }
}
