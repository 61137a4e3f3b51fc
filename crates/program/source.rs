//! `portico source`: where a dataset's data come from, on the portal itself or by a server; and the loop of a server
//! that reads what is due.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use portico_model::name::DatasetName;
use portico_publish::{Declaration, Publisher, Source};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::args::{SourceArgs, SourceStep};
use crate::parts;
use crate::publish;
use crate::road::Road;

/// How often a server looks which sources are due and which notices are to be sent.
const LOOK: Duration = Duration::from_secs(10);

/// A source as far as it is printed; it is read from the staff API's documents, too.
#[derive(Debug, Deserialize)]
struct Seen {
    dataset: String,
    number: u32,
    digest: String,
    declaration: Value,
    declared_by: String,
    approved_by: Option<String>,
    paused: bool,
    next: Option<String>,
    failures: u32,
    runs: Vec<SeenRun>,
}

#[derive(Debug, Deserialize)]
struct SeenRun {
    started: String,
    outcome: String,
    reasons: Vec<String>,
    revision: Option<String>,
    version: Option<u32>,
}

impl Seen {
    fn of(source: Source) -> anyhow::Result<Self> {
        let run = |run: portico_store::RunRecord| SeenRun {
            started: timestamp(run.started_ms),
            outcome: run.outcome,
            reasons: run.reasons,
            revision: run.revision,
            version: run.version,
        };
        Ok(Self {
            dataset: source.record.dataset.to_string(),
            number: source.record.number,
            digest: source.record.digest,
            declaration: serde_json::to_value(&source.declaration)?,
            declared_by: source.record.declared_by,
            approved_by: source.record.approved_by,
            paused: source.refresh.paused,
            next: source.refresh.next_ms.map(timestamp),
            failures: source.refresh.failures,
            runs: source.runs.into_iter().map(run).collect(),
        })
    }
}

/// One step on a source.
pub(crate) async fn run(said: SourceArgs) -> anyhow::Result<ExitCode> {
    match said.step {
        SourceStep::Set { name, declaration, reading, reach } => {
            let text = std::fs::read_to_string(&declaration)
                .with_context(|| format!("cannot read {}", declaration.display()))?;
            let json = declaration.extension().is_some_and(|extension| extension == "json");
            let parsed: anyhow::Result<Declaration> = if json {
                serde_json::from_str(&text).map_err(Into::into)
            } else {
                toml::from_str(&text).map_err(Into::into)
            };
            let mut declared =
                parsed.with_context(|| format!("{} is no declaration of a source", declaration.display()))?;
            declared.reading = publish::amended(declared.reading, &reading)?;
            let road = Road::open(&reach).await?;
            print(&match &road {
                Road::Here(open) => {
                    let name = DatasetName::parse(&name)?;
                    let (operator, now_ms) = (parts::operator(), parts::now_ms());
                    Seen::of(open.publisher.declare_source(&operator, &name, &declared, now_ms).await?)?
                }
                Road::There(remote) => {
                    let body = serde_json::to_value(&declared)?;
                    remote.say(Method::PUT, &["datasets", &name, "source"], &body).await?
                }
            });
        }
        SourceStep::Show { name, reach } => {
            print(&match &Road::open(&reach).await? {
                Road::Here(open) => {
                    let name = DatasetName::parse(&name)?;
                    Seen::of(open.publisher.source(&parts::operator(), &name, parts::now_ms()).await?)?
                }
                Road::There(remote) => remote.get(&["datasets", &name, "source"]).await?,
            });
        }
        SourceStep::Approve { name, digest, reach } => {
            print(&match &Road::open(&reach).await? {
                Road::Here(open) => {
                    let name = DatasetName::parse(&name)?;
                    let (operator, now_ms) = (parts::operator(), parts::now_ms());
                    Seen::of(open.publisher.approve_source(&operator, &name, &digest, now_ms).await?)?
                }
                Road::There(remote) => {
                    let path = ["datasets", &name, "source", "approve"];
                    remote.say(Method::POST, &path, &json!({ "digest": digest })).await?
                }
            });
        }
        SourceStep::Run { name, reach } => return run_now(&Road::open(&reach).await?, &name).await,
        SourceStep::Pause { name, reach } => print(&pause(&Road::open(&reach).await?, &name, true).await?),
        SourceStep::Resume { name, reach } => print(&pause(&Road::open(&reach).await?, &name, false).await?),
    }
    Ok(ExitCode::SUCCESS)
}

/// On the portal itself it is read here and now; a server comes to it by itself.
async fn run_now(road: &Road, name: &str) -> anyhow::Result<ExitCode> {
    let open = match road {
        Road::There(remote) => {
            print(&remote.say(Method::POST, &["datasets", name, "source", "run"], &json!({})).await?);
            return Ok(ExitCode::SUCCESS);
        }
        Road::Here(open) => open,
    };
    let name = DatasetName::parse(name)?;
    let operator = parts::operator();
    open.store.storage.self_test().await.context("a release would not be safe on this storage")?;
    open.publisher.run_source(&operator, &name, parts::now_ms()).await?;
    let ran = open.publisher.refresh(&name, parts::now_ms()).await?;
    let ran = ran.context("a server is reading the source already: portico source show tells how it goes")?;
    print(&Seen::of(open.publisher.source(&operator, &name, parts::now_ms()).await?)?);
    let good = matches!(ran.run.outcome.as_str(), "released" | "unchanged");
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(publish::BLOCKED) })
}

async fn pause(road: &Road, name: &str, paused: bool) -> anyhow::Result<Seen> {
    match road {
        Road::Here(open) => {
            let name = DatasetName::parse(name)?;
            Seen::of(open.publisher.pause_source(&parts::operator(), &name, paused, parts::now_ms()).await?)
        }
        Road::There(remote) => {
            remote.say(Method::POST, &["datasets", name, "source", "pause"], &json!({ "paused": paused })).await
        }
    }
}

/// Reads what is due and sends what people have to be told, until the server stops. Whatever goes wrong is tried again.
pub(crate) async fn keep_fresh(publisher: Publisher, runs: u64, stopped: impl Future<Output = ()>) {
    let mut stopped = std::pin::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => return,
            () = once(&publisher, runs) => {}
        }
        tokio::select! {
            () = &mut stopped => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

async fn once(publisher: &Publisher, runs: u64) {
    for _ in 0..runs {
        match publisher.refresh_due(parts::now_ms()).await {
            Ok(None) => break,
            Ok(Some(done)) => {
                // Reasons name columns, and nobody may have heard of the dataset: both are in its source's history.
                let (run, outcome, reasons) = (&done.run.id, &done.run.outcome, done.run.reasons.len());
                tracing::info!(run, outcome, reasons, "a source was read");
            }
            Err(error) => {
                tracing::error!(?error, "a source could not be read");
                break;
            }
        }
    }
    if let Err(error) = publisher.note_late(parts::now_ms()).await {
        tracing::error!(?error, "it could not be noted which sources are late");
    }
    if let Err(error) = publisher.send_notices(parts::now_ms()).await {
        tracing::error!(?error, "notices could not be sent");
    }
}

fn timestamp(at_ms: i64) -> String {
    let at = chrono::DateTime::<chrono::Utc>::from_timestamp_millis(at_ms).unwrap_or_default();
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

fn print(seen: &Seen) {
    println!("{} source {}, declared by {}", seen.dataset, seen.number, seen.declared_by);
    match &seen.approved_by {
        Some(name) => println!("approved by {name}"),
        None => println!("not approved"),
    }
    match (&seen.next, seen.paused) {
        (_, true) => println!("paused"),
        (Some(next), false) => println!("next {next}"),
        (None, false) => println!("read when somebody asks"),
    }
    if seen.failures > 0 {
        println!("failed {} times in a row", seen.failures);
    }
    println!("{}", seen.declaration);
    println!("digest {}", seen.digest);
    for run in &seen.runs {
        let version = run.version.map(|version| format!(" version {version}")).unwrap_or_default();
        let revision = run.revision.as_ref().map(|id| format!(" revision {id}")).unwrap_or_default();
        println!("{} {}{version}{revision}", run.started, run.outcome);
        for reason in &run.reasons {
            println!("  {reason}");
        }
    }
}
