//! Withdrawal and what follows it: which other versions are affected, and the purge, here or by a server.

use portico_model::name::{DatasetName, VersionRef};
use portico_publish::{Affected, Purge, Suspicion};
use reqwest::Method;
use serde_json::{Value, json};

use crate::parts;
use crate::road::Road;

impl Road {
    /// Withdraws a version; answers the others that hold the same.
    pub(crate) async fn withdraw(
        &self,
        name: &str,
        version: u32,
        (reason, column): (&str, Option<String>),
    ) -> anyhow::Result<Value> {
        match self {
            Self::Here(open) => {
                let version = VersionRef { dataset: DatasetName::parse(name)?, version };
                let (operator, now_ms) = (parts::operator(), parts::now_ms());
                open.publisher.withdraw(&operator, &version, reason, now_ms).await?;
                let suspicion = Suspicion { column, screen: false };
                listed(&open.publisher.affected(&operator, &version, &suspicion, now_ms).await?)
            }
            Self::There(remote) => {
                let path = ["datasets", name, "versions", &version.to_string(), "withdraw"];
                remote.say(Method::POST, &path, &json!({ "reason": reason, "column": column })).await
            }
        }
    }

    /// The other versions that hold what one should not.
    pub(crate) async fn affected(
        &self,
        name: &str,
        version: u32,
        (column, screen): (Option<String>, bool),
    ) -> anyhow::Result<Value> {
        match self {
            Self::Here(open) => {
                let version = VersionRef { dataset: DatasetName::parse(name)?, version };
                let suspicion = Suspicion { column, screen };
                listed(&open.publisher.affected(&parts::operator(), &version, &suspicion, parts::now_ms()).await?)
            }
            Self::There(remote) => {
                let version = version.to_string();
                let path = ["datasets", name, "versions", &version, "affected"];
                let screen = screen.to_string();
                let mut query = vec![("screen", screen.as_str())];
                query.extend(column.as_deref().map(|column| ("column", column)));
                remote.get_with(&path, &query).await
            }
        }
    }

    /// Asks for a purge, or confirms one and has it done.
    pub(crate) async fn purge(
        &self,
        name: &str,
        version: u32,
        (reason, confirm): (&str, &str),
    ) -> anyhow::Result<Value> {
        match self {
            Self::Here(open) => {
                let version = VersionRef { dataset: DatasetName::parse(name)?, version };
                let said = (reason, confirm);
                let purge = open.publisher.purge(&parts::operator(), &version, said, parts::now_ms()).await?;
                let Purge { record, out_of_reach } = purge;
                let state = if record.done_ms.is_some() { "purged" } else { "asked" };
                let mut told = serde_json::to_value(&record)?;
                if let Some(told) = told.as_object_mut() {
                    told.insert("state".to_owned(), json!(state));
                    told.insert("dataset".to_owned(), json!(version.dataset));
                    told.insert("version".to_owned(), json!(version.version));
                    told.insert("out_of_reach".to_owned(), json!(out_of_reach));
                }
                Ok(told)
            }
            Self::There(remote) => {
                let path = ["datasets", name, "versions", &version.to_string(), "purge"];
                remote.say(Method::POST, &path, &json!({ "reason": reason, "confirm": confirm })).await
            }
        }
    }
}

fn listed(affected: &[Affected]) -> anyhow::Result<Value> {
    Ok(json!({ "affected": affected }))
}

/// Says which other versions hold the same, and what to do.
pub(crate) fn print_affected(name: &str, told: &Value) {
    let affected = told.get("affected").and_then(Value::as_array).cloned().unwrap_or_default();
    if affected.is_empty() {
        println!("no other version shows the same");
    }
    for version in &affected {
        let number = version.get("version").and_then(Value::as_u64).unwrap_or_default();
        let public = version.get("public").and_then(Value::as_bool).unwrap_or_default();
        let state = if public { "public" } else { "withdrawn" };
        let by = version.get("by").and_then(Value::as_array).cloned().unwrap_or_default();
        let by: Vec<String> = by.iter().map(reason).collect();
        println!("also {name}@{number} ({state}): {}", by.join("; "));
    }
}

/// How it is known.
fn reason(by: &Value) -> String {
    let text = |key: &str| by.get(key).and_then(Value::as_str).unwrap_or_default();
    let count = by.get("count").and_then(Value::as_u64).unwrap_or_default();
    match text("what") {
        "column" => format!("has the column {}", text("column")),
        "figures" => format!("its column {} has the same figures", text("column")),
        "finding" => format!("{} in {} when it was screened, {count}", text("rule"), text("column")),
        _ => format!("{} in {} as read now, {count}", text("rule"), text("column")),
    }
}

/// Says how far a purge is, and what it came to.
pub(crate) fn print_purge(told: &Value) {
    let text = |key: &str| told.get(key).and_then(Value::as_str).unwrap_or_default();
    let version = told.get("version").and_then(Value::as_u64).unwrap_or_default();
    let name = format!("{}@{version}", text("dataset"));
    if text("state") != "purged" {
        println!("asked for: another person confirms the purge of {name} by the same command");
        return;
    }
    println!("purged {name}; asked by {}, confirmed by {}", text("asked_by"), text("confirmed_by"));
    let report = told.get("report").cloned().unwrap_or_default();
    let number = |key: &str| report.get(key).and_then(Value::as_u64).unwrap_or_default();
    for file in report.get("files").and_then(Value::as_array).into_iter().flatten() {
        let sha256 = file.get("sha256").and_then(Value::as_str).unwrap_or_default();
        let bytes = file.get("bytes").and_then(Value::as_u64).unwrap_or_default();
        println!("  removed file {sha256} of {bytes} bytes");
    }
    println!("  removed {} files in staging and {} exports", number("staged_files"), number("exports"));
    println!("  rewrote {} entries of the Delta log, emptied {} revisions", number("log_entries"), number("revisions"));
    println!(
        "  searched for {} texts of its statistics, in UTF-8, UTF-16, hex and base64 ({} more stand in versions that stay)",
        number("texts"),
        number("shared_texts"),
    );
    for (place, found) in report.get("searched").and_then(Value::as_object).into_iter().flatten() {
        println!("    {place}: found {found}");
    }
    for revision in report.get("open_revisions").and_then(Value::as_array).into_iter().flatten() {
        println!("  revision {} is open and may hold the same", revision.as_str().unwrap_or_default());
    }
    for place in told.get("out_of_reach").and_then(Value::as_array).into_iter().flatten() {
        println!("  out of reach: {}", place.as_str().unwrap_or_default());
    }
}
