//! The audit log, in pages, with all that its hashes are made from: whoever has the rows can check the chain.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use portico_store::AuditEntry;
use serde::Serialize;
use serde_json::Value;

use super::asker::Member;
use super::datasets::{failed, known};
use super::json;
use crate::catalog::timestamp;
use crate::http::parameters::Parameters;
use crate::problem::Refusal;
use crate::site::Site;

/// Rows of the audit log in one answer, unless fewer are asked for.
const ROWS_MAX: i64 = 1_000;

#[derive(Serialize)]
struct Entry {
    sequence: i64,
    at: String,
    principal: String,
    action: String,
    dataset: Option<String>,
    revision: Option<String>,
    version: Option<i64>,
    detail: Value,
    /// The hash of the row before.
    previous: String,
    /// The text whose SHA-256, after that of `previous`, is `hash`.
    hashed: String,
    hash: String,
}

#[derive(Serialize)]
struct Head {
    sequence: i64,
    hash: String,
}

#[derive(Serialize)]
struct Audit {
    entries: Vec<Entry>,
    /// What to ask with as `after` for the next page; none when this is the last.
    next: Option<i64>,
    /// The end of the whole log; only for whoever reads all of it.
    head: Option<Head>,
}

/// `GET /api/staff/audit`: rows of the audit log, oldest first.
pub(crate) async fn audit(
    State(site): State<Arc<Site>>,
    member: Member,
    mut query: Parameters,
) -> Result<Response, Refusal> {
    let dataset = query.take_filled("dataset").map(|name| known(&name)).transpose()?;
    let after: i64 = query.take_number("after")?.unwrap_or(0);
    let limit = query.take_number("limit")?.unwrap_or(ROWS_MAX).min(ROWS_MAX);
    query.finish("dataset, after, limit")?;
    let (publisher, now_ms) = (&site.staff.publisher, site.now_ms());
    let rows = publisher.audit(&member.principal, dataset.as_ref(), (after, limit), now_ms).await.map_err(failed)?;
    let full = i64::try_from(rows.len()).is_ok_and(|count| count == limit && count > 0);
    let next = rows.last().map(|row| row.sequence).filter(|_| full);
    let head = match dataset {
        Some(_) => None,
        None => {
            let (sequence, hash) = publisher.audit_head(&member.principal, now_ms).await.map_err(failed)?;
            Some(Head { sequence, hash })
        }
    };
    json::answer(StatusCode::OK, &Audit { entries: rows.into_iter().map(entry).collect(), next, head })
}

fn entry(row: AuditEntry) -> Entry {
    Entry {
        sequence: row.sequence,
        at: timestamp(row.at_ms),
        hashed: row.hashed(),
        principal: row.principal,
        action: row.action,
        dataset: row.dataset,
        revision: row.revision,
        version: row.version,
        detail: serde_json::from_str(&row.detail).unwrap_or_default(),
        previous: row.previous,
        hash: row.hash,
    }
}
