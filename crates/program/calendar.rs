//! The release calendar: `portico schedule`, and the clock that releases what is due while the server runs.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::bail;
use portico_publish::{Publisher, Scheduled};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use crate::args::{Reach, Schedule};
use crate::parts;
use crate::road::{Road, Seen};

/// Longest time between two looks at the calendar: another server, or a command on the portal's own storage, may have
/// scheduled something.
const LOOK: Duration = Duration::from_secs(60);
/// Time before the next look when the catalog does not answer.
const AGAIN: Duration = Duration::from_secs(2);

/// A release that waits for its time, as the staff API tells it.
#[derive(Deserialize)]
struct Told {
    revision: String,
    dataset: String,
    release_at: String,
    announced: bool,
    late: bool,
    tries: u64,
    failure: Option<String>,
}

impl Told {
    fn of(scheduled: Scheduled, now_ms: i64) -> Self {
        let schedule = scheduled.schedule;
        Self {
            revision: schedule.revision,
            dataset: schedule.dataset.to_string(),
            release_at: instant(schedule.release_at_ms),
            announced: schedule.announced,
            late: schedule.release_at_ms < now_ms,
            tries: schedule.tries,
            failure: schedule.failure,
        }
    }
}

/// Schedules, lifts a schedule, or lists them.
pub(crate) async fn run(schedule: Schedule) -> anyhow::Result<ExitCode> {
    let Schedule { revision, at, announce, quiet, cancel, reason, list, reach } = schedule;
    match (revision, at) {
        (None, _) if list => print_list(&reach).await?,
        (Some(id), _) if cancel => {
            let seen = lift(&reach, &id, &reason.unwrap_or_default()).await?;
            println!("{} {} {}", seen.id, seen.dataset, seen.state);
        }
        (Some(id), Some(at)) => {
            let announced = (announce || quiet).then_some(announce);
            let seen = set(&reach, &id, &at, announced).await?;
            println!("{} {} {}", seen.id, seen.dataset, seen.state);
        }
        _ => bail!("name a revision with --at TIME or --cancel --reason WHY, or say --list"),
    }
    Ok(ExitCode::SUCCESS)
}

async fn set(reach: &Reach, id: &str, at: &str, announced: Option<bool>) -> anyhow::Result<Seen> {
    match Road::open(reach).await? {
        Road::Here(open) => {
            let release_at_ms = open.publisher.moment(at)?;
            let wanted = (release_at_ms, announced);
            Ok(open.publisher.schedule(&parts::operator(), id, wanted, parts::now_ms()).await?.into())
        }
        Road::There(remote) => {
            let wanted = json!({ "release_at": at, "announce": announced });
            remote.say(Method::POST, &["revisions", id, "schedule"], &wanted).await
        }
    }
}

async fn lift(reach: &Reach, id: &str, reason: &str) -> anyhow::Result<Seen> {
    match Road::open(reach).await? {
        Road::Here(open) => {
            Ok(open.publisher.unschedule(&parts::operator(), id, reason, parts::now_ms()).await?.into())
        }
        Road::There(remote) => {
            remote.say(Method::POST, &["revisions", id, "unschedule"], &json!({ "reason": reason })).await
        }
    }
}

async fn print_list(reach: &Reach) -> anyhow::Result<()> {
    #[derive(Deserialize)]
    struct List {
        schedules: Vec<Told>,
    }

    let told = match Road::open(reach).await? {
        Road::Here(open) => {
            let now_ms = parts::now_ms();
            let seen = open.publisher.scheduled(&parts::operator(), now_ms).await?;
            seen.into_iter().map(|scheduled| Told::of(scheduled, now_ms)).collect()
        }
        Road::There(remote) => remote.get::<List>(&["schedules"]).await?.schedules,
    };
    for Told { revision, dataset, release_at, announced, late, tries, failure } in told {
        let known = if announced { "announced" } else { "quiet" };
        let late = if late { format!(" late after {tries} tries") } else { String::new() };
        let failure = failure.map(|failure| format!(": {failure}")).unwrap_or_default();
        println!("{release_at} {revision} {dataset} {known}{late}{failure}");
    }
    Ok(())
}

/// Releases what is due, at its second, until the future is dropped. What is late when the server starts is released at
/// once.
pub(crate) async fn keep(publisher: Publisher) {
    loop {
        let wait = match publisher.release_due(parts::now_ms()).await {
            Ok(due) => {
                for version in due.released {
                    tracing::info!(%version, "released at its time");
                }
                for (revision, error) in due.failed {
                    let error: &dyn std::error::Error = &error;
                    tracing::error!(error, revision, "a release is late");
                }
                let until = |next_ms: i64| u64::try_from(next_ms.saturating_sub(parts::now_ms())).unwrap_or(0);
                due.next_ms.map_or(LOOK, |next_ms| Duration::from_millis(until(next_ms)).min(LOOK))
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                tracing::error!(error, "the release calendar cannot be read");
                AGAIN
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = publisher.rescheduled() => {}
        }
    }
}

fn instant(ms: i64) -> String {
    let moment = chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default();
    moment.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}
