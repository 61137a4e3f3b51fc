//! The revisions that wait, and all that is known of one, with the steps that the reader may take.

use std::sync::Arc;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use portico_model::finding::{Finding, Severity};
use portico_model::policy::Action;
use portico_model::revision::RevisionState;
use portico_publish::{PublishError, Revision, Rows};
use portico_store::ScheduleRecord;
use serde_json::{Map, Value};

use super::answer;
use crate::catalog::timestamp;
use crate::http::parameters::Parameters;
use crate::http::staff::asker::Member;
use crate::http::staff::revisions::known;
use crate::pages::Frame;
use crate::pages::text::{day, grouped, short, size};
use crate::problem::{Refusal, problem_of_publish};
use crate::site::Site;

/// Rows on the page; the API has all that staff may look at.
const ROWS_MAX: usize = 20;
/// Characters of a cell on the page.
const CELL_MAX: usize = 80;

#[derive(Template)]
#[template(path = "staff_revisions.html")]
struct ListPage {
    frame: Frame,
    revisions: Vec<Line>,
}

struct Line {
    id: String,
    dataset: String,
    state: String,
    staged_by: String,
    staged: String,
    staged_day: String,
    findings: String,
}

#[derive(Template)]
#[template(path = "staff_revision.html")]
struct RevisionPage {
    frame: Frame,
    csrf: String,
    id: String,
    dataset: String,
    title: String,
    state: String,
    file: String,
    staged: String,
    staged_by: String,
    /// What people said of it so far.
    said: Vec<String>,
    digest: String,
    findings: Vec<FindingLine>,
    figures: String,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    /// How many rows there are in all; empty where none may be looked at.
    rows_of: String,
    may: Steps,
}

struct FindingLine {
    severity: &'static str,
    rule: String,
    column: String,
    count: String,
    message: String,
}

/// The steps that the reader may take.
struct Steps {
    screen: bool,
    submit: bool,
    recommend: bool,
    give_back: bool,
    approve: bool,
    release: bool,
    discard: bool,
}

impl Steps {
    fn of(actions: &[Action]) -> Self {
        let may = |action| actions.contains(&action);
        Self {
            screen: may(Action::Screen),
            submit: may(Action::Submit),
            recommend: may(Action::Recommend),
            give_back: may(Action::Return),
            approve: may(Action::Approve),
            release: may(Action::Release),
            discard: may(Action::Discard),
        }
    }

    fn none(&self) -> bool {
        let Self { screen, submit, recommend, give_back, approve, release, discard } = self;
        ![screen, submit, recommend, give_back, approve, release, discard].into_iter().any(|may| *may)
    }
}

/// `GET /staff/revisions`.
pub(crate) async fn list(
    State(site): State<Arc<Site>>,
    member: Member,
    query: Parameters,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let found = site.staff.publisher.open_revisions(&member.principal, site.now_ms()).await;
    let found = found.map_err(|error| problem_of_publish(&error))?;
    answer(&ListPage { frame: Frame::of(&site), revisions: found.into_iter().map(line).collect() })
}

/// `GET /staff/revisions/{id}`.
pub(crate) async fn show(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(id): Path<String>,
    query: Parameters,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let (id, now_ms, publisher) = (known(&id)?, site.now_ms(), &site.staff.publisher);
    let failed = |error: PublishError| problem_of_publish(&error);
    let revision = publisher.revision(&member.principal, id, now_ms).await.map_err(failed)?;
    let steps = publisher.steps(&member.principal, id, now_ms).await.map_err(failed)?;
    let rows = match steps.contains(&Action::Preview) {
        true => Some(publisher.first_rows(&member.principal, id, now_ms).await.map_err(failed)?),
        false => None,
    };
    let waits = match revision.state == RevisionState::Scheduled {
        true => publisher.scheduled(&member.principal, now_ms).await.map_err(failed)?,
        false => Vec::new(),
    };
    let waits = waits.into_iter().find(|waits| waits.revision.id == id);
    let mut page = page(&site, &member, revision, (&steps, rows));
    page.said.extend(waits.into_iter().flat_map(|waits| waiting(waits.schedule)));
    answer(&page)
}

/// When it is to be released, who said so, and what has come in between.
fn waiting(schedule: ScheduleRecord) -> Vec<String> {
    let ScheduleRecord { release_at_ms, scheduled_by, announced, failure, .. } = schedule;
    let known = if announced { "The public is told of it." } else { "The public is not told of it before." };
    let mut said = vec![format!("To be released at {}, says {scheduled_by}. {known}", timestamp(release_at_ms))];
    said.extend(failure.map(|failure| format!("It is late: {failure}")));
    said
}

fn line(revision: Revision) -> Line {
    let staged = timestamp(revision.created_ms);
    let blocking = revision.findings.iter().filter(|finding| finding.blocks()).count();
    let findings = match (blocking, revision.findings.len()) {
        (_, 0) => String::new(),
        (0, all) => format!("{all}"),
        (blocking, all) => format!("{all}, of which {blocking} stop it"),
    };
    Line {
        id: revision.id,
        dataset: revision.dataset.to_string(),
        state: spoken(revision.state.as_str()),
        staged_by: revision.created_by,
        staged_day: day(&staged),
        staged,
        findings,
    }
}

fn page(site: &Site, member: &Member, revision: Revision, (steps, rows): (&[Action], Option<Rows>)) -> RevisionPage {
    let (columns, cells) = rows.as_ref().map(table).unwrap_or_default();
    let rows_of = rows.map(|rows| grouped(rows.total)).unwrap_or_default();
    let figures = revision
        .profile
        .as_ref()
        .map(|profile| format!("{} rows in {} columns", grouped(profile.rows), profile.columns.len()));
    RevisionPage {
        frame: Frame::of(site),
        csrf: member.csrf().to_owned(),
        dataset: revision.dataset.to_string(),
        title: revision.metadata.title.clone(),
        state: spoken(revision.state.as_str()),
        file: format!("{}, {}", revision.file_name, size(revision.file_bytes)),
        staged: timestamp(revision.created_ms),
        said: said(&revision),
        digest: revision.digest.clone().unwrap_or_default(),
        findings: revision.findings.iter().map(finding).collect(),
        figures: figures.unwrap_or_default(),
        columns,
        rows: cells,
        rows_of,
        may: Steps::of(steps),
        staged_by: revision.created_by,
        id: revision.id,
    }
}

fn said(revision: &Revision) -> Vec<String> {
    let review = &revision.review;
    let mut said = Vec::new();
    if let Some(name) = &review.submitted_by {
        said.push(format!("Submitted by {name}."));
    }
    if let Some(name) = &review.recommended_by {
        let remark = review.remark.as_ref().map(|remark| format!(" {remark}")).unwrap_or_default();
        said.push(format!("Recommended by {name}.{remark}"));
    }
    if let (Some(name), Some(reason)) = (&review.returned_by, &review.returned_reason) {
        said.push(format!("Returned by {name}: {reason}"));
    }
    if let Some(name) = &revision.approved_by {
        said.push(format!("Approved by {name}."));
    }
    said
}

fn finding(finding: &Finding) -> FindingLine {
    FindingLine {
        severity: match finding.severity {
            Severity::Blocking => "stops the release",
            Severity::Warning => "warning",
            Severity::Info => "note",
        },
        rule: finding.rule.clone(),
        column: finding.column.clone().unwrap_or_default(),
        count: grouped(finding.count),
        message: finding.message.clone(),
    }
}

/// The first rows as cells. They are JSON already, spelt as the public would get them.
fn table(rows: &Rows) -> (Vec<String>, Vec<Vec<String>>) {
    let row = |text: &String| {
        let values: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
        rows.columns.iter().map(|column| values.get(column).map(cell).unwrap_or_default()).collect()
    };
    (rows.columns.clone(), rows.rows.iter().take(ROWS_MAX).map(row).collect())
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => short(text, CELL_MAX),
        other => short(&other.to_string(), CELL_MAX),
    }
}

/// A state as people say it.
fn spoken(state: &str) -> String {
    state.replace('_', " ")
}
