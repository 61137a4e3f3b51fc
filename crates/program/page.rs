//! `portico page`: the portal's own pages, here or by a server.

use std::process::ExitCode;

use anyhow::Context as _;
use portico_publish::PageName;
use portico_store::PageText;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::args::{Page, PageStep};
use crate::parts;
use crate::road::Road;

/// A page as the staff API tells it.
#[derive(Deserialize)]
struct Told {
    title: String,
    text: String,
    version: i64,
    history: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    version: i64,
    title: String,
    default: bool,
    updated_at: Option<String>,
    updated_by: Option<String>,
}

/// Shows, writes or resets a page.
pub(crate) async fn run(page: Page) -> anyhow::Result<ExitCode> {
    match page.step {
        PageStep::History { name, reach } => {
            for line in read(&Road::open(&reach).await?, &name, None).await?.history {
                let at = line.updated_at.unwrap_or_else(|| "at first".to_owned());
                let by = line.updated_by.unwrap_or_default();
                let default = if line.default { " (the text of a new portal)" } else { "" };
                println!("{:>4} {at} {by} {}{default}", line.version, line.title);
            }
        }
        PageStep::Show { name, version, reach } => {
            let told = read(&Road::open(&reach).await?, &name, version).await?;
            eprintln!("{name} version {}: {}", told.version, told.title);
            println!("{}", told.text.trim_end());
        }
        PageStep::Set { name, file, title, version, reach } => {
            let road = Road::open(&reach).await?;
            let text = std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let title = match title {
                Some(title) => title,
                None => read(&road, &name, None).await?.title,
            };
            let told = write(&road, &name, version, Some(PageText { title, text })).await?;
            println!("{name} has version {}: {}", told.version, told.title);
        }
        PageStep::Reset { name, version, reach } => {
            let told = write(&Road::open(&reach).await?, &name, version, None).await?;
            println!("{name} has version {}: {}", told.version, told.title);
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn known(name: &str) -> anyhow::Result<PageName> {
    let names = PageName::ALL.map(PageName::as_str).join(", ");
    PageName::parse(name).with_context(|| format!("there is no page {name:?}; there are {names}"))
}

async fn read(road: &Road, name: &str, version: Option<i64>) -> anyhow::Result<Told> {
    let page = known(name)?;
    match road {
        Road::Here(open) => {
            let history = open.publisher.page_history(&parts::operator(), page, parts::now_ms()).await?;
            let wanted = |page: &&portico_publish::Page| version.is_none_or(|version| page.version.number == version);
            let shown = history.iter().find(wanted).context("the page has no such version")?;
            let (said, version) = (shown.said.clone(), shown.version.number);
            let line = |page: &portico_publish::Page| Line {
                version: page.version.number,
                title: page.version.title.clone(),
                default: page.version.is_default,
                updated_at: page.version.at_ms.map(moment),
                updated_by: page.version.by.clone(),
            };
            Ok(Told { title: said.title, text: said.text, version, history: history.iter().map(line).collect() })
        }
        Road::There(remote) => match version {
            Some(version) => remote.get_with(&["pages", page.as_str()], &[("version", &version.to_string())]).await,
            None => remote.get(&["pages", page.as_str()]).await,
        },
    }
}

async fn write(road: &Road, name: &str, version: i64, said: Option<PageText>) -> anyhow::Result<Told> {
    let page = known(name)?;
    match road {
        Road::Here(open) => {
            let (publisher, limits) = (&open.publisher, &open.config.limits.pages);
            publisher.write_page(&parts::operator(), (page, version), said, limits, parts::now_ms()).await?;
            read(road, name, None).await
        }
        Road::There(remote) => match said {
            Some(PageText { title, text }) => {
                let body = json!({ "title": title, "text": text, "version": version });
                remote.say(Method::PUT, &["pages", page.as_str()], &body).await
            }
            None => remote.delete(&["pages", page.as_str()], &[("version", &version.to_string())]).await,
        },
    }
}

fn moment(at_ms: i64) -> String {
    let at = chrono::DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
    at.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
