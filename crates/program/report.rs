//! `portico report`: the annual report, here or by a server.

use std::process::ExitCode;

use anyhow::{Context as _, bail};
use portico_store::{CommentRecord, ReportRecord, ReportSection};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::args::{Report, ReportStep};
use crate::parts;
use crate::road::Road;

/// A report as the staff API tells it.
#[derive(Deserialize)]
struct Told {
    year: i64,
    state: String,
    comment_until: Option<String>,
    recommendations: String,
    sections: Vec<ReportSection>,
}

impl From<ReportRecord> for Told {
    fn from(report: ReportRecord) -> Self {
        let state = if report.opens_ms.is_some() { "published" } else { "draft" };
        Self {
            year: report.year,
            state: state.to_owned(),
            comment_until: report.closes_ms.map(moment),
            recommendations: report.recommendations,
            sections: report.sections,
        }
    }
}

/// A comment as the staff API tells it.
#[derive(Deserialize)]
struct Comment {
    id: String,
    at: String,
    name: String,
    text: String,
    state: String,
    findings: Vec<portico_model::finding::Finding>,
}

impl From<CommentRecord> for Comment {
    fn from(comment: CommentRecord) -> Self {
        Self {
            id: comment.id,
            at: moment(comment.at_ms),
            name: comment.name,
            text: comment.text,
            state: comment.state.as_str().to_owned(),
            findings: comment.findings,
        }
    }
}

fn moment(at_ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(at_ms)
        .unwrap_or_default()
        .to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// Drafts, shows or publishes a report; lists or judges comments.
pub(crate) async fn run(report: Report) -> anyhow::Result<ExitCode> {
    match report.step {
        ReportStep::Draft { year, recommendations, reach } => {
            let said = recommendations
                .map(|file| std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display())));
            print(&draft(&Road::open(&reach).await?, year, said.transpose()?).await?);
        }
        ReportStep::Show { year, reach } => print(&show(&Road::open(&reach).await?, year).await?),
        ReportStep::Publish { year, reach } => {
            let told = publish(&Road::open(&reach).await?, year).await?;
            println!("report {} is published: comment until {}", told.year, told.comment_until.unwrap_or_default());
        }
        ReportStep::Comments { year, reach } => {
            for comment in comments(&Road::open(&reach).await?, year).await? {
                print_comment(&comment);
            }
        }
        ReportStep::Moderate { id, accept: _, reject, reach } => {
            print_comment(&moderate(&Road::open(&reach).await?, &id, reject).await?);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn draft(road: &Road, year: i64, said: Option<String>) -> anyhow::Result<Told> {
    match road {
        Road::Here(open) => {
            Ok(open.publisher.draft_report(&parts::operator(), year, said.as_deref(), parts::now_ms()).await?.into())
        }
        Road::There(remote) => {
            let path = ["reports", &year.to_string(), "draft"];
            remote.say(Method::POST, &path, &json!({ "recommendations": said })).await
        }
    }
}

async fn show(road: &Road, year: i64) -> anyhow::Result<Told> {
    #[derive(Deserialize)]
    struct List {
        reports: Vec<Told>,
    }

    let reports = match road {
        Road::Here(open) => {
            let found = open.publisher.reports(&parts::operator(), parts::now_ms()).await?;
            found.into_iter().map(Told::from).collect()
        }
        Road::There(remote) => remote.get::<List>(&["reports"]).await?.reports,
    };
    let found = reports.into_iter().find(|report| report.year == year);
    found.with_context(|| format!("there is no report on {year}: portico report draft {year} makes one"))
}

async fn publish(road: &Road, year: i64) -> anyhow::Result<Told> {
    match road {
        Road::Here(open) => Ok(open.publisher.publish_report(&parts::operator(), year, parts::now_ms()).await?.into()),
        Road::There(remote) => remote.say(Method::POST, &["reports", &year.to_string(), "publish"], &json!({})).await,
    }
}

async fn comments(road: &Road, year: i64) -> anyhow::Result<Vec<Comment>> {
    #[derive(Deserialize)]
    struct List {
        comments: Vec<Comment>,
    }

    match road {
        Road::Here(open) => {
            let found = open.publisher.comments(&parts::operator(), year, parts::now_ms()).await?;
            Ok(found.into_iter().map(Comment::from).collect())
        }
        Road::There(remote) => Ok(remote.get::<List>(&["reports", &year.to_string(), "comments"]).await?.comments),
    }
}

async fn moderate(road: &Road, id: &str, reject: Option<String>) -> anyhow::Result<Comment> {
    if reject.as_deref().is_some_and(|reason| reason.trim().is_empty()) {
        bail!("--reject wants a reason");
    }
    match road {
        Road::Here(open) => {
            let said = reject.as_deref();
            Ok(open.publisher.moderate(&parts::operator(), id, said, parts::now_ms()).await?.into())
        }
        Road::There(remote) => {
            let said = match reject {
                Some(reason) => json!({ "reject": reason }),
                None => json!({ "accept": true }),
            };
            remote.say(Method::POST, &["comments", id, "moderate"], &said).await
        }
    }
}

fn print(report: &Told) {
    println!("report {} ({})", report.year, report.state);
    for section in &report.sections {
        println!("\n{}\n  {}", section.title, section.columns.join(" | "));
        for row in &section.rows {
            println!("  {}", row.join(" | "));
        }
    }
    if !report.recommendations.is_empty() {
        println!("\nRecommendations\n{}", report.recommendations);
    }
}

fn print_comment(comment: &Comment) {
    let name = if comment.name.is_empty() { "not signed" } else { &comment.name };
    println!("{} {} {} {name}", comment.id, comment.at, comment.state);
    for finding in &comment.findings {
        println!("  {}: {}", finding.rule, finding.message);
    }
    for line in comment.text.lines() {
        println!("  {line}");
    }
}
