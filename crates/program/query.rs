//! `portico query`: one question, its answer on standard output.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use futures::StreamExt as _;
use portico_model::format::{Compression, FileKind, Format};
use portico_model::order::{OutputOptions, Work};
use portico_model::policy::Principal;
use portico_query::answer::{AnswerChunk, Ask, Caller};

use crate::args::Query;
use crate::config::Config;
use crate::parts;

/// Asks a server, or the portal's own files.
pub(crate) async fn run(query: Query) -> anyhow::Result<ExitCode> {
    let Some(format) = Format::parse(&query.format) else {
        bail!(
            "there is no format {}: use csv, tsv, json, objects, ndjson, arrow, parquet, geojson, xlsx or table",
            query.format
        );
    };
    match &query.server {
        Some(server) => ask_server(server, &query.sql, format).await,
        None => ask_here(&query, format).await,
    }
}

async fn ask_server(server: &str, sql: &str, format: Format) -> anyhow::Result<ExitCode> {
    let mut url = url::Url::parse(server).context("--server wants a URL such as https://data.example.gov")?;
    url.set_path("/sql");
    url.query_pairs_mut().append_pair("format", format.as_str());
    let request = reqwest::Client::new().post(url).header("content-type", "application/sql").body(sql.to_owned());
    let answer = request.send().await.context("the server does not answer")?;
    if !answer.status().is_success() {
        let document = answer.bytes().await.unwrap_or_default();
        let problem: serde_json::Value = serde_json::from_slice(&document).unwrap_or_default();
        let text = |key: &str| problem.get(key).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned();
        bail!("{}: {}", text("title"), text("detail"));
    }
    let mut out = std::io::stdout().lock();
    let mut body = answer.bytes_stream();
    while let Some(chunk) = body.next().await {
        out.write_all(&chunk.context("the answer broke off: what was printed is not complete")?)?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

async fn ask_here(query: &Query, format: Format) -> anyhow::Result<ExitCode> {
    let mut config = Config::load(query.portal.config.as_deref(), query.portal.data.as_deref())?;
    // One question needs one worker.
    config.limits.query.workers = 1;
    config.limits.query.spare_workers = 0;
    let store = parts::open_existing_store(&config).await?;
    let scratch = parts::Scratch::open(&config)?;
    let questions = parts::open_questions(&config, &store, &scratch).await?;
    let ask = Ask {
        sql: query.sql.clone(),
        parameters: Default::default(),
        kind: FileKind { format, compression: Compression::None },
        options: OutputOptions::default(),
        caller: Caller { address_block: "command line".to_owned(), principal: Principal::Anonymous },
        timeout_ms: None,
        work: Work::Answer,
        text_bytes_max: config.limits.statement.text_bytes,
        now_ms: parts::now_ms(),
        part: None,
    };
    let question = questions.gate(&ask).await?;
    let mut answer = questions.answer(question).await?;
    let mut out = std::io::stdout().lock();
    while let Some(chunk) = answer.body.next().await {
        match chunk.context("the answer broke off: what was printed is not complete")? {
            AnswerChunk::Bytes(bytes) => out.write_all(&bytes)?,
            AnswerChunk::Message(_) | AnswerChunk::Tail(_) => {}
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
