//! `portico preview`: what a release would make public, and what it would change of what is public now.

use std::fmt::Display;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use portico_publish::{ColumnFigures, Difference, Figure, Preview, Rows, SchemaDifference};
use serde_json::{Map, Value, json};

use crate::args;
use crate::parts;
use crate::publish;
use crate::road::{Road, Seen};

/// States in which there is something to see.
const STATES: [&str; 6] = ["screened", "blocked", "in_review", "returned", "approved", "scheduled"];

/// Prints both, as text or as JSON.
pub(crate) async fn run(said: args::Preview) -> anyhow::Result<ExitCode> {
    let road = Road::open(&said.reach).await?;
    let revisions = road.list(&said.dataset).await?;
    let id = chosen(&said, &revisions)?;
    let (operator, now_ms) = (parts::operator(), parts::now_ms());
    let (preview, difference): (Preview, Difference) = match &road {
        Road::Here(open) => {
            (open.publisher.look(&operator, id, now_ms).await?, open.publisher.difference(&operator, id, now_ms).await?)
        }
        Road::There(remote) => {
            (remote.get(&["revisions", id, "preview"]).await?, remote.get(&["revisions", id, "difference"]).await?)
        }
    };
    if preview.digest != difference.digest {
        bail!("the revision changed while it was looked at: ask again");
    }
    if said.json {
        println!("{}", json!({ "preview": preview, "difference": difference }));
    } else {
        print_preview(&preview);
        print_difference(&difference);
        publish::print_findings(&preview.findings);
        println!("digest {}", preview.digest);
    }
    Ok(ExitCode::SUCCESS)
}

/// The revision that is meant. Lists are newest first.
fn chosen<'a>(said: &args::Preview, revisions: &'a [Seen]) -> anyhow::Result<&'a str> {
    let found = match &said.revision {
        Some(id) => revisions.iter().find(|seen| seen.id == *id),
        None => revisions.iter().find(|seen| STATES.contains(&seen.state.as_str())),
    };
    let found = found.map(|seen| seen.id.as_str());
    found.with_context(|| match &said.revision {
        Some(id) => format!("{} has no revision {id}", said.dataset),
        None => format!("{} has no revision that is screened and not decided", said.dataset),
    })
}

/// Prints rows of exactly what would be public.
pub(crate) async fn print_rows(said: args::Rows) -> anyhow::Result<()> {
    let road = Road::open(&said.named.reach).await?;
    let mut next = Some(said.offset);
    while let Some(offset) = next {
        let (rows, after) = page(&road, &said.named.id, offset).await?;
        for row in rows {
            println!("{row}");
        }
        next = after.filter(|_| said.all);
    }
    Ok(())
}

/// Some rows, and the offset of what comes after them.
async fn page(road: &Road, id: &str, offset: u64) -> anyhow::Result<(Vec<String>, Option<u64>)> {
    match road {
        Road::Here(open) => {
            let (operator, now_ms) = (parts::operator(), parts::now_ms());
            let Rows { rows, next, .. } = match offset {
                0 => open.publisher.first_rows(&operator, id, now_ms).await?,
                _ => open.publisher.rows_from(&operator, id, offset, now_ms).await?,
            };
            Ok((rows, next))
        }
        Road::There(remote) => {
            let offset = offset.to_string();
            let document: Value = remote.get_with(&["revisions", id, "rows"], &[("offset", offset.as_str())]).await?;
            let rows = document.get("rows").and_then(Value::as_array).context("the answer has no rows")?;
            let next = document.get("next_offset").and_then(Value::as_u64);
            Ok((rows.iter().map(ToString::to_string).collect(), next))
        }
    }
}

fn print_preview(preview: &Preview) {
    let public = preview
        .current_version
        .map_or("nothing is public".to_owned(), |version| format!("public is version {version}"));
    println!("{} {} {}, {public}", preview.revision, preview.dataset, preview.state.as_str());
    println!("would be public: {} rows, {} columns, {} bytes", preview.rows, preview.columns.len(), preview.bytes);
    for column in &preview.columns {
        println!("  {:32} {:16} {}", column.name, column.data_type, column.title);
    }
    let metadata = &preview.metadata;
    println!("  title       {}\n  department  {}", metadata.title, metadata.department);
    println!(
        "  steward     {} <{}>\n  licence     {}",
        metadata.steward_name, metadata.steward_email, metadata.license
    );
}

fn print_difference(difference: &Difference) {
    let Some(version) = difference.current_version else {
        println!("first release: all of it is new");
        return;
    };
    println!("compared with version {version}:");
    print_schema(&difference.schema);
    for change in &difference.metadata {
        println!("  ~ {}: {} -> {}", change.what, change.before, change.after);
    }
    let rows = &difference.rows;
    println!(
        "  rows {} -> {}: {} unchanged, {} added, {} removed, {} changed",
        rows.before, rows.after, rows.unchanged, rows.added, rows.removed, rows.changed
    );
    if !rows.key.is_empty() {
        println!("  key {}", rows.key.join(", "));
    }
    if let Some(remark) = &rows.remark {
        println!("  note: {remark}");
    }
    for (column, cells) in &rows.changed_cells {
        println!("  {column}: {cells} cells changed");
    }
    for row in &rows.added_rows {
        println!("  + {}", object(row));
    }
    for row in &rows.removed_rows {
        println!("  - {}", object(row));
    }
    for row in &rows.changed_rows {
        println!("  ~ {} {} -> {}", object(&row.key), object(&row.before), object(&row.after));
    }
    let shown = [rows.added_rows.len(), rows.removed_rows.len(), rows.changed_rows.len()];
    let hidden =
        [rows.added, rows.removed, rows.changed].iter().zip(shown).any(|(all, shown)| u64::try_from(shown) != Ok(*all));
    if hidden {
        println!("  (at most {} rows of each kind are shown: limits.intake.difference_rows)", rows.shown_max);
    }
    for column in &difference.statistics.columns {
        print_figures(column);
    }
}

fn print_schema(schema: &SchemaDifference) {
    for column in &schema.added {
        println!("  + column {} {}", column.column, column.data_type);
    }
    for column in &schema.removed {
        println!("  - column {} {}", column.column, column.data_type);
    }
    for column in &schema.changed {
        for change in &column.changes {
            println!("  ~ column {} {}: {} -> {}", column.column, change.what, change.before, change.after);
        }
    }
    if schema.reordered {
        println!("  ~ the columns come in another order");
    }
}

/// The figures of a column that are others than before.
fn print_figures(column: &ColumnFigures) {
    let mut told = Vec::new();
    told.extend(figure("nulls", &column.nulls));
    told.extend(figure(if column.distinct_exact { "distinct" } else { "distinct about" }, &column.distinct));
    told.extend(figure("mean", &column.mean));
    for (name, bound) in [("min", &column.min), ("max", &column.max)] {
        if bound.before != bound.after {
            let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
            told.push(format!("{name} {} -> {}", text(&bound.before), text(&bound.after)));
        }
    }
    if !told.is_empty() {
        println!("  {}: {}", column.column, told.join(", "));
    }
}

fn figure<T: Copy + PartialEq + Display>(name: &str, figure: &Figure<T>) -> Option<String> {
    if figure.before == figure.after {
        return None;
    }
    let text = |value: Option<T>| value.map_or_else(|| "none".to_owned(), |value| value.to_string());
    let relative = figure.relative_change.map(|share| format!(" ({:+.1} %)", share * 100.0)).unwrap_or_default();
    Some(format!("{name} {} -> {}{relative}", text(figure.before), text(figure.after)))
}

fn object(row: &Map<String, Value>) -> String {
    Value::Object(row.clone()).to_string()
}
