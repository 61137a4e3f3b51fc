//! `portico audit`: the log of who did what, checked link by link, or written out for whoever wants to check it.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use portico_store::AuditEntry;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::args::{Audit, AuditFormat, AuditStep};
use crate::parts;
use crate::road::Road;

/// Rows read at a time.
const PAGE: i64 = 1_000;

/// A row with all that its hash is made from.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    sequence: i64,
    previous: String,
    /// A JSON array: number, milliseconds since the epoch, who, what, dataset, revision, version, more as JSON.
    hashed: String,
    hash: String,
}

impl From<AuditEntry> for Row {
    fn from(entry: AuditEntry) -> Self {
        Self { sequence: entry.sequence, hashed: entry.hashed(), previous: entry.previous, hash: entry.hash }
    }
}

/// Checks or exports the audit log.
pub(crate) async fn run(audit: Audit) -> anyhow::Result<ExitCode> {
    match audit.step {
        AuditStep::Verify { noted, reach } => {
            let noted = noted.as_deref().map(note).transpose()?;
            verify(&Road::open(&reach).await?, noted.as_ref()).await?;
        }
        AuditStep::Export { from, to, format, reach } => {
            export(&Road::open(&reach).await?, from, to.unwrap_or(i64::MAX), format).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn verify(road: &Road, noted: Option<&(i64, String)>) -> anyhow::Result<()> {
    let head = head(road).await?;
    let (mut last, mut hash) = (0_i64, "0".repeat(64));
    while last < head.0 {
        let page = page(road, last, PAGE).await?;
        if page.is_empty() {
            bail!("the log ends after row {last}, and should go on to row {}", head.0);
        }
        for row in page.into_iter().take_while(|row| row.sequence <= head.0) {
            check(&row, last, &hash)?;
            if let Some((number, noted)) = noted
                && *number == row.sequence
                && *noted != row.hash
            {
                bail!("row {number} is another than the one that was noted: the log was written anew");
            }
            (last, hash) = (row.sequence, row.hash);
        }
    }
    if hash != head.1 {
        bail!("the last row is not the one that the log says it ends with");
    }
    if let Some((number, _)) = noted
        && *number > last
    {
        bail!("row {number} was noted, and the log ends with row {last}");
    }
    println!("{last} rows, every link holds");
    println!("note elsewhere: {last}:{hash}");
    Ok(())
}

/// Whether a row follows another.
fn check(row: &Row, last: i64, hash: &str) -> anyhow::Result<()> {
    let number = row.sequence;
    if number != last.saturating_add(1) {
        bail!("after row {last} comes row {number}: what was between is missing");
    }
    if row.previous != hash {
        bail!("row {number} does not follow row {last}: one of them was changed");
    }
    let digest = Sha256::new().chain_update(&row.previous).chain_update(&row.hashed).finalize();
    let expected: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let said: Vec<serde_json::Value> = serde_json::from_str(&row.hashed).unwrap_or_default();
    if row.hash != expected || said.first().and_then(serde_json::Value::as_i64) != Some(number) {
        bail!("row {number} was changed: its hash does not fit what it says");
    }
    Ok(())
}

async fn export(road: &Road, from: i64, to: i64, format: AuditFormat) -> anyhow::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    if format == AuditFormat::Csv {
        writeln!(out, "sequence,previous,hashed,hash")?;
    }
    let mut after = from.saturating_sub(1).max(0);
    loop {
        let page = page(road, after, PAGE).await?;
        let Some(last) = page.last().map(|row| row.sequence) else { break };
        for row in page.iter().take_while(|row| row.sequence <= to) {
            match format {
                AuditFormat::Ndjson => writeln!(out, "{}", serde_json::to_string(row)?)?,
                // A JSON array begins with a bracket, which no spreadsheet computes.
                AuditFormat::Csv => writeln!(
                    out,
                    "{},{},\"{}\",{}",
                    row.sequence,
                    row.previous,
                    row.hashed.replace('"', "\"\""),
                    row.hash
                )?,
            }
        }
        if last >= to {
            break;
        }
        after = last;
    }
    Ok(out.flush()?)
}

async fn page(road: &Road, after: i64, limit: i64) -> anyhow::Result<Vec<Row>> {
    #[derive(Deserialize)]
    struct Page {
        entries: Vec<Row>,
    }

    match road {
        Road::Here(open) => {
            let found = open.publisher.audit(&parts::operator(), None, (after, limit), parts::now_ms()).await?;
            Ok(found.into_iter().map(Row::from).collect())
        }
        Road::There(remote) => {
            let (after, limit) = (after.to_string(), limit.to_string());
            Ok(remote.get_with::<Page>(&["audit"], &[("after", &after), ("limit", &limit)]).await?.entries)
        }
    }
}

async fn head(road: &Road) -> anyhow::Result<(i64, String)> {
    #[derive(Deserialize)]
    struct Head {
        sequence: i64,
        hash: String,
    }
    #[derive(Deserialize)]
    struct Page {
        head: Head,
    }

    match road {
        Road::Here(open) => Ok(open.publisher.audit_head(&parts::operator(), parts::now_ms()).await?),
        Road::There(remote) => {
            let Page { head } = remote.get_with(&["audit"], &[("limit", "1")]).await?;
            Ok((head.sequence, head.hash))
        }
    }
}

/// A row that was noted: `NUMBER:HASH`.
fn note(text: &str) -> anyhow::Result<(i64, String)> {
    let parts = text.split_once(':').and_then(|(number, hash)| Some((number.parse().ok()?, hash.to_owned())));
    parts.context("--noted wants what `verify` printed, such as 1234:9f86d0…")
}
