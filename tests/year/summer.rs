//! June to August: visits to the parks come by themselves every week. Ten of twelve weeks are like the one before; in one the
//! columns have drifted, in one the rows have collapsed, and strangers read the week before until people have decided.

use std::time::{Duration, UNIX_EPOCH};

use http::StatusCode;
use portico_model::name::DatasetName;
use portico_model::policy::{Principal, Role, Scope};
use portico_model::revision::RevisionState;
use portico_publish::{
    Cycle, Declaration, FetchSettings, Fetcher, NoticeSettings, Origin, Places, Publisher, ReadOptions, Sources,
    Tolerance,
};
use serde_json::{Value, json};

use super::{City, id};

const HOUR_MS: i64 = 60 * 60 * 1000;
const WEEK_MS: i64 = 7 * 24 * HOUR_MS;
const WEEKS: u64 = 12;
/// The week in which a column has another name, and that in which most rows are missing.
const DRIFTS: u64 = 5;
const COLLAPSES: u64 = 8;

fn dataset() -> DatasetName {
    DatasetName::parse("park-visits").unwrap()
}

/// What the turnstiles have counted until the end of a week.
fn visits(week: u64) -> String {
    let rows = if week == COLLAPSES { 10 } else { 100 + 10 * week };
    let visitors = if week == DRIFTS { "people" } else { "visitors" };
    let mut text = format!("visit_id,park,{visitors}\n");
    for row in 0..rows {
        text.push_str(&format!(
            "{row:05},{},{}\n",
            ["River", "Hill"][usize::try_from(row % 2).unwrap()],
            20 + row % 50
        ));
    }
    text
}

/// Every Monday at three in the morning, from a directory that the turnstiles write to.
fn weekly() -> Declaration {
    Declaration {
        from: Origin::Directory { directory: "turnstiles".to_owned(), file: "visits*.csv".to_owned(), union: false },
        reading: ReadOptions::default(),
        cycle: Some(Cycle { cron: "0 3 * * 1".to_owned(), time_zone: "America/New_York".to_owned(), jitter_s: 0 }),
        tolerance: Tolerance::default(),
    }
}

fn steward() -> Principal {
    let parks = Scope::Only { departments: vec!["Parks".to_owned()], datasets: Vec::new() };
    Principal::Staff { name: "ana".to_owned(), roles: vec![Role::Steward], scope: parks }
}

/// The parks' turnstiles: where they write to, and the server that reads it.
struct Turnstiles<'a> {
    city: &'a City,
    place: tempfile::TempDir,
    publisher: Publisher,
}

impl<'a> Turnstiles<'a> {
    fn new(city: &'a City) -> Self {
        let place = tempfile::tempdir().unwrap();
        let directories = [("turnstiles".to_owned(), place.path().to_owned())].into();
        let sources = Sources {
            fetcher: Fetcher::new(FetchSettings::default(), Default::default()),
            places: Places { directories, ..Places::default() },
            notices: NoticeSettings::default(),
            limits: Default::default(),
        };
        Self { city, place, publisher: city.world.publisher.clone().with_sources(sources) }
    }

    /// They write an hour before somebody looks.
    fn write(&self, week: u64, now_ms: i64) {
        let path = self.place.path().join("visits.csv");
        std::fs::write(&path, visits(week)).unwrap();
        let at = UNIX_EPOCH + Duration::from_millis(u64::try_from(now_ms - HOUR_MS).unwrap());
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
    }

    async fn next_ms(&self) -> i64 {
        self.publisher.source(&steward(), &dataset(), 0).await.unwrap().refresh.next_ms.unwrap()
    }

    /// What strangers read by every road: rows, one number.
    async fn public_rows(&self) -> u64 {
        let rows: u64 = self.city.world.rows("SELECT count(*) FROM park_visits").await.trim().parse().unwrap();
        let download = self.city.world.get("/datasets/park-visits.csv").await;
        assert_eq!(download.status, StatusCode::OK);
        let text = download.text();
        assert!(text.starts_with("visit_id,park,visitors\n"));
        assert_eq!(u64::try_from(text.lines().count()).unwrap(), rows + 1);
        assert_eq!(self.city.world.get("/api/datasets/park-visits").await.json()["rows"], rows);
        rows
    }
}

pub(super) async fn june_to_august_twelve_weeks_of_visits_of_which_one_drifts_and_one_collapses(city: &City) {
    let mut now_ms = city.on("2026-06-01T12:00Z");
    let people = &city.people;
    let first = city.screened(&people.ana, "park-visits", visits(0).as_bytes()).await;
    city.approved(&people.ana, &first).await;
    city.step(&people.odette, id(&first), "release", Value::Null).await;

    let turnstiles = Turnstiles::new(city);
    let publisher = &turnstiles.publisher;
    let source = publisher.declare_source(&steward(), &dataset(), &weekly(), now_ms).await.unwrap();
    turnstiles.write(1, now_ms);
    assert!(publisher.refresh_due(now_ms + WEEK_MS).await.unwrap().is_none(), "nobody has approved it");
    let own = publisher.approve_source(&steward(), &dataset(), &source.record.digest, now_ms).await;
    assert!(own.is_err(), "not by whoever declared it");
    let cio = Principal::Staff { name: "cy".to_owned(), roles: vec![Role::Cio], scope: Scope::All };
    publisher.approve_source(&cio, &dataset(), &source.record.digest, now_ms).await.unwrap();

    let mut public = 100;
    for week in 1..=WEEKS {
        if week > 1 {
            now_ms = turnstiles.next_ms().await;
            assert!(publisher.refresh_due(now_ms - 1).await.unwrap().is_none(), "week {week}: not before its time");
        }
        city.world.set_clock(now_ms);
        turnstiles.write(week, now_ms);
        let run = publisher.refresh_due(now_ms).await.unwrap().unwrap().run;
        let held = [DRIFTS, COLLAPSES].contains(&week);
        assert_eq!(run.outcome, if held { "held" } else { "released" }, "week {week}: {:?}", run.reasons);
        if held {
            people_decide(city, week, &run.revision.unwrap(), &run.reasons).await;
        } else {
            public = 100 + 10 * week;
        }
        assert_eq!(turnstiles.public_rows().await, public, "week {week}");
        assert!(publisher.refresh_due(now_ms).await.unwrap().is_none(), "once a week");
    }
    // Three in the morning on the clocks of New York, twelve weeks on.
    assert_eq!(now_ms, city.on("2026-08-17T07:00Z"));
    assert_eq!(city.current("park-visits").await.version.version, 11);
    let runs = publisher.source(&steward(), &dataset(), now_ms).await.unwrap().runs;
    let count = |outcome: &str| runs.iter().filter(|run| run.outcome == outcome).count();
    assert_eq!((runs.len(), count("released"), count("held")), (12, 10, 2));
}

/// What is held waits for people with its reasons, and they send it back.
async fn people_decide(city: &City, week: u64, revision: &str, reasons: &[String]) {
    let why = if week == DRIFTS { "column visitors is gone" } else { "it has 10 rows, the current version 170" };
    assert!(reasons.iter().any(|reason| reason == why), "week {week}: {reasons:?}");
    let path = format!("revisions/{revision}");
    let seen = city.fine(&city.people.ana, "GET", &path, Value::Null).await;
    assert_eq!((&seen["state"], &seen["held"]), (&json!(RevisionState::InReview.as_str()), &json!(reasons)));
    let reason = json!({ "return": { "reason": "the turnstiles were mended" } });
    assert_eq!(city.step(&city.people.ana, revision, "review", reason).await["state"], "returned");
}
