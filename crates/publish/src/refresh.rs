//! Refreshes: a source that is due is read, compared with what is public, and released or held for people.
//!
//! ```text
//! due ─▶ take it ─▶ fetch ─▶ the same bytes? ─▶ stage ─▶ screen ─▶ like the current version? ─▶ release
//!        one at a      │        nothing new                │ blocks            │ differs
//!        time          └─ fails: again, later and later    └───────────────────┴──▶ held: people decide
//! ```
//!
//! The old version is public until the new one is. A run that died anywhere is done again: what it had staged is found
//! by its bytes, and goes on from where it stood. What people have to be told is written with the end of the run.

use std::path::Path;
use std::time::{Duration, Instant};

use portico_model::finding::Finding;
use portico_model::name::{DatasetName, VersionNumber};
use portico_model::policy::Principal;
use portico_model::revision::RevisionState;
use portico_store::{PlacedFile, RefreshRecord, RevisionRecord, RunRecord, SourceRecord};
use ulid::Ulid;

use crate::cycle::wait_ms;
use crate::database;
use crate::drop_place::{self, Turn};
use crate::error::PublishError;
use crate::fetch::{Conditions, Fetched};
use crate::publisher::{Publisher, StageRequest, from_json};
use crate::settings::Sources;
use crate::source::{Declaration, Origin};

/// Sources that are looked at when others are quicker to take the first.
const LOOKED_AT: i64 = 16;
/// How long a source is kept from others without a word of whoever reads it, in milliseconds.
const HELD_MS: i64 = 5 * 60_000;
/// How often whoever reads it says so.
const WORD: Duration = Duration::from_secs(60);

/// A run that came to an end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refreshed {
    /// The dataset.
    pub dataset: DatasetName,
    /// How it went.
    pub run: RunRecord,
}

/// What a run found.
struct Outcome {
    name: &'static str,
    reasons: Vec<String>,
    revision: Option<String>,
    version: Option<VersionNumber>,
    conditions: Conditions,
}

impl Outcome {
    fn unchanged(conditions: Conditions) -> Self {
        Self { name: "unchanged", reasons: Vec::new(), revision: None, version: None, conditions }
    }

    fn waiting(conditions: Conditions) -> Self {
        let reasons = vec!["what it brought before waits for people".to_owned()];
        Self { name: "waiting", reasons, revision: None, version: None, conditions }
    }

    fn failed(error: &PublishError) -> Self {
        let conditions = Conditions::default();
        Self { name: "failed", reasons: vec![error.to_string()], revision: None, version: None, conditions }
    }
}

impl Publisher {
    /// Reads the source that is overdue for the longest, if there is one that nobody else reads, and brings what it gives
    /// as far as it goes by itself. That a run failed is an answer, and no error. A source whose rows are damaged is passed
    /// over, and stays where it is.
    ///
    /// # Errors
    /// [`PublishError::Store`] when the catalog does not answer: the run is done again when its time is over.
    pub async fn refresh_due(&self, now_ms: i64) -> Result<Option<Refreshed>, PublishError> {
        for dataset in self.store.catalog.due_refreshes(now_ms, LOOKED_AT).await? {
            match self.refresh(&dataset, now_ms).await {
                Ok(Some(refreshed)) => return Ok(Some(refreshed)),
                Ok(None) => {}
                // Nobody may have heard of the dataset yet: the scrub names it.
                Err(error) if error.is_damage() => tracing::error!(?error, "a source is passed over: portico scrub"),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The same with one dataset's source. Answers nothing when it is not due, or somebody else reads it.
    ///
    /// # Errors
    /// Those of [`Publisher::refresh_due`].
    pub async fn refresh(&self, dataset: &DatasetName, now_ms: i64) -> Result<Option<Refreshed>, PublishError> {
        let id = Ulid::new().to_string();
        let catalog = &self.store.catalog;
        let Some(before) = catalog.begin_refresh(dataset, &id, (now_ms, HELD_MS)).await? else { return Ok(None) };
        let Some(source) = catalog.source(dataset).await? else { return Ok(None) };
        let time = Duration::from_millis(self.sources.limits.run_ms);
        let begun = Instant::now();
        let ran = {
            let mut run = std::pin::pin!(tokio::time::timeout(time, self.run(&source, &before, now_ms)));
            loop {
                tokio::select! {
                    ran = &mut run => break ran,
                    () = tokio::time::sleep(WORD) => {}
                }
                let passed = i64::try_from(begun.elapsed().as_millis()).unwrap_or(i64::MAX);
                let until_ms = now_ms.saturating_add(passed).saturating_add(HELD_MS);
                if !catalog.hold_refresh(dataset, &id, until_ms).await? {
                    tracing::warn!(run = id, "somebody else reads the source by now");
                    return Ok(None);
                }
            }
        };
        let ran = ran.unwrap_or_else(|_| Err(PublishError::BadSource(TOO_SLOW.to_owned())));
        self.end(&source, before, (id, ran), now_ms).await.map(Some)
    }

    /// All of a run but its record.
    async fn run(&self, source: &SourceRecord, before: &RefreshRecord, now_ms: i64) -> Result<Outcome, PublishError> {
        let declaration: Declaration = from_json(&source.declaration_json)?;
        let principal = Principal::source(&source.dataset, source.number);
        if let Some(outcome) = self.finish_before(&principal, source, (&declaration, before), now_ms).await? {
            return Ok(outcome);
        }
        let scratch = self.scratch("refresh-")?;
        let file = scratch.path().join("file");
        let (name, fetched) = self.fetch_source(&declaration, before, &file, now_ms).await?;
        let Fetched::File { sha256, conditions } = fetched else {
            return self.unchanged(&principal, source, known(before)).await;
        };
        let options = declaration.options(&name);
        let goes_on = !options.mode.replaces();
        let record = match self.brought_before(&principal, source, (&sha256, goes_on), now_ms).await? {
            Before::Told => return self.unchanged(&principal, source, conditions).await,
            Before::Open(record) => *record,
            Before::Nothing => {
                let dataset = self.store.catalog.dataset(&source.dataset).await?;
                let unknown = || PublishError::UnknownDataset(source.dataset.clone());
                let metadata = dataset.ok_or_else(unknown)?.metadata;
                let request = StageRequest { metadata, file, options };
                let staged = self.stage(&principal, request, now_ms).await?;
                self.record(&staged.id).await?
            }
        };
        let outcome = self.go_on(&principal, source, (&declaration, record), now_ms).await?;
        Ok(Outcome { conditions, ..outcome })
    }

    /// The source is as it was; what it brought may still wait for people, and with it the public.
    async fn unchanged(
        &self,
        principal: &Principal,
        source: &SourceRecord,
        conditions: Conditions,
    ) -> Result<Outcome, PublishError> {
        let catalog = &self.store.catalog;
        let own = |record: &RevisionRecord| record.created_by == principal.name();
        // Most of the time nothing waits: then there is nothing to look for.
        if catalog.undecided_revisions(&source.dataset).await?.iter().any(own) {
            let newest = catalog.newest_revision(&source.dataset, own).await?;
            if newest.as_ref().is_some_and(RevisionRecord::is_open) {
                return Ok(Outcome::waiting(conditions));
            }
        }
        Ok(Outcome::unchanged(conditions))
    }

    async fn fetch_source(
        &self,
        declaration: &Declaration,
        before: &RefreshRecord,
        into: &Path,
        now_ms: i64,
    ) -> Result<(String, Fetched), PublishError> {
        match &declaration.from {
            Origin::Https { url } => {
                let fetched = self.sources.fetcher.fetch(url, &known(before), into).await?;
                Ok((file_name(url), fetched))
            }
            Origin::Object { place, path } => {
                let gone = || PublishError::BadSource("the place is none of sources.objects".to_owned());
                let place = self.sources.places.objects.get(place).ok_or_else(gone)?;
                let into = (into, self.sources.limits.fetch_bytes);
                let fetched = match place.fetch(path, before.etag.as_deref(), into).await? {
                    None => Fetched::Unchanged,
                    Some(PlacedFile { sha256, etag }) => {
                        Fetched::File { sha256, conditions: Conditions { etag, last_modified: None } }
                    }
                };
                Ok((path.rsplit('/').next().unwrap_or_default().to_owned(), fetched))
            }
            Origin::Postgresql { database, query } => {
                let gone = || PublishError::BadSource("the database is none of sources.databases".to_owned());
                let place = self.sources.places.databases.get(database).ok_or_else(gone)?;
                let Sources { fetcher, limits, .. } = &self.sources;
                let fetched = database::fetch(fetcher, (place, query), limits, into).await?;
                Ok((database::FILE_NAME.to_owned(), fetched))
            }
            Origin::Directory { directory, file, union } => {
                let place = self.sources.places.directories.get(directory);
                let gone = || PublishError::BadSource("the directory is none of sources.directories".to_owned());
                let place = place.ok_or_else(gone)?.clone();
                let (pattern, into) = (file.clone(), into.to_owned());
                let bytes_max = self.sources.limits.fetch_bytes;
                let turn = match declaration.reading.mode.replaces() {
                    true => Turn::Last,
                    false => Turn::Next(before.etag.clone()),
                };
                let union = *union;
                let copying = move || match union {
                    true => drop_place::unite(&place, &pattern, (&into, bytes_max), now_ms),
                    false => drop_place::copy(&place, (&pattern, &turn), (&into, bytes_max), now_ms),
                };
                let copied = tokio::task::spawn_blocking(copying).await;
                copied.map_err(|error| PublishError::Write(error.into()))?
            }
        }
    }

    /// What became of these bytes when this declaration brought them before. Others that it brought, and that nobody has
    /// decided on, give way to them.
    async fn brought_before(
        &self,
        principal: &Principal,
        source: &SourceRecord,
        (sha256, goes_on): (&str, bool),
        now_ms: i64,
    ) -> Result<Before, PublishError> {
        use RevisionState::{Blocked, InReview, Screened, Staged};
        let catalog = &self.store.catalog;
        // What goes on from the rows that it brought before was brought before, whichever declaration brought it.
        let own = |record: &RevisionRecord| match goes_on {
            true => Principal::is_source(&record.created_by),
            false => record.created_by == principal.name(),
        };
        let newest = catalog.newest_revision(&source.dataset, own).await?;
        if let Some(newest) = newest.filter(|newest| newest.staged.sha256 == sha256) {
            let runs = catalog.runs(&source.dataset, i64::MAX).await?;
            let told = runs.iter().any(|run| run.revision.as_deref() == Some(newest.id.as_str()));
            // What people were told of is theirs, whatever they make of it.
            return Ok(if told { Before::Told } else { Before::Open(Box::new(newest)) });
        }
        for older in catalog.undecided_revisions(&source.dataset).await?.iter().filter(|record| own(record)) {
            if matches!(older.state, Staged | Screened | Blocked | InReview) {
                self.discard(principal, &older.id, now_ms).await?;
            }
        }
        Ok(Before::Nothing)
    }

    /// Where rows go on from those before, nothing is fetched while something that was brought before is not public: what
    /// waits for people is waited for, and what a run left half done comes to its end first.
    async fn finish_before(
        &self,
        principal: &Principal,
        source: &SourceRecord,
        (declaration, before): (&Declaration, &RefreshRecord),
        now_ms: i64,
    ) -> Result<Option<Outcome>, PublishError> {
        if declaration.reading.mode.replaces() {
            return Ok(None);
        }
        let records = self.store.catalog.undecided_revisions(&source.dataset).await?;
        let brought = |record: &RevisionRecord| record.is_open() && Principal::is_source(&record.created_by);
        let Some(record) = records.into_iter().rev().find(brought) else { return Ok(None) };
        let runs = self.store.catalog.runs(&source.dataset, i64::MAX).await?;
        let told = runs.iter().any(|run| run.revision.as_deref() == Some(record.id.as_str()));
        if told || record.created_by != principal.name() {
            return Ok(Some(Outcome::waiting(known(before))));
        }
        let mut conditions = known(before);
        if matches!(declaration.from, Origin::Directory { .. }) {
            conditions.etag = Some(record.file_name.clone());
        }
        let outcome = self.go_on(principal, source, (declaration, record), now_ms).await?;
        Ok(Some(Outcome { conditions, ..outcome }))
    }

    /// From wherever the revision stands to a release, or to where people have to decide.
    async fn go_on(
        &self,
        principal: &Principal,
        source: &SourceRecord,
        (declaration, record): (&Declaration, RevisionRecord),
        now_ms: i64,
    ) -> Result<Outcome, PublishError> {
        let id = record.id.clone();
        // Half done, and another version may have come in between: its rows are to be among these.
        let stale = record.state == RevisionState::Screened && !declaration.reading.mode.replaces();
        if record.state == RevisionState::Staged || stale {
            self.screen(principal, &id, now_ms, |_| {}).await?;
        }
        let mut record = self.record(&id).await?;
        if record.state == RevisionState::Screened {
            let reasons = self.reasons(source, declaration, &record).await?;
            record = match reasons.is_empty() {
                true => self.approve_standing(principal, source, record, now_ms).await?,
                false => self.hold(principal, record, reasons, now_ms).await?,
            };
        }
        let outcome = |name, reasons, version| {
            let revision = Some(id.clone());
            Outcome { name, reasons, revision, version, conditions: Conditions::default() }
        };
        Ok(match record.state {
            RevisionState::Approved | RevisionState::Released => {
                let version = self.release(principal, &id, now_ms).await?;
                outcome("released", Vec::new(), Some(version.version))
            }
            RevisionState::Blocked => {
                let blocking = record.findings.iter().filter(|finding| Finding::blocks(finding)).count();
                outcome(
                    "held",
                    vec![format!("screening found what may not be released: {blocking} findings block it")],
                    None,
                )
            }
            _ => outcome("held", record.review.held, None),
        })
    }

    /// Writes down how a run went, when the next one is, and what people have to be told.
    async fn end(
        &self,
        source: &SourceRecord,
        before: RefreshRecord,
        (id, ran): (String, Result<Outcome, PublishError>),
        now_ms: i64,
    ) -> Result<Refreshed, PublishError> {
        let dataset = source.dataset.clone();
        let declaration: Declaration = from_json(&source.declaration_json)?;
        let scheduled = match &declaration.cycle {
            Some(cycle) => cycle.next_ms(&dataset, now_ms)?,
            None => None,
        };
        let (mut after, outcome) = match ran {
            Ok(outcome) => (succeeded(before, &outcome, (scheduled, now_ms)), outcome),
            Err(error) => {
                // Nobody may have heard of the dataset yet, in logs either: the run is in its source's history.
                tracing::warn!(run = id, ?error, "a refresh failed");
                (self.failed(before, (scheduled, now_ms)), Outcome::failed(&error))
            }
        };
        let since = after.succeeded_ms.or(source.approved_ms).unwrap_or(now_ms);
        let is_late = declaration.tolerance.is_late(since, now_ms);
        let gave_up = outcome.name == "failed" && after.failures == 0;
        if outcome.name == "released" && declaration.reads_in_turn() {
            // The next file, if there is one.
            after.next_ms = Some(now_ms);
        }
        let kinds = [("held", outcome.name == "held"), ("failed", gave_up), ("late", is_late && !after.told_late)];
        after.told_late |= is_late;
        let Outcome { name, reasons, revision, version, .. } = outcome;
        let outcome = name.to_owned();
        let run = RunRecord { id, number: source.number, started_ms: now_ms, outcome, reasons, revision, version };
        let mut notices = Vec::new();
        for (kind, _) in kinds.into_iter().filter(|(_, happened)| *happened) {
            notices.extend(self.notices(&dataset, (kind, run.revision.as_deref(), &run.reasons), now_ms).await?);
        }
        let keep = i64::try_from(self.sources.limits.history).unwrap_or(i64::MAX);
        let principal = Principal::source(&dataset, source.number);
        self.store.catalog.end_refresh(&after, &run, &notices, (keep, principal.name(), now_ms)).await?;
        Ok(Refreshed { dataset, run })
    }

    /// What is known of a source after a run that failed: it is tried again later and later, and in the end only at the next
    /// time of its cycle.
    fn failed(&self, before: RefreshRecord, (scheduled, now_ms): (Option<i64>, i64)) -> RefreshRecord {
        let limits = &self.sources.limits;
        let failures = before.failures.saturating_add(1);
        if u64::from(failures) >= limits.attempts {
            return RefreshRecord { failures: 0, next_ms: scheduled, ..before };
        }
        let wait = wait_ms(&before.dataset, failures, (limits.retry_ms, limits.retry_max_ms), now_ms);
        let next_ms = scheduled.into_iter().chain([now_ms.saturating_add(wait)]).min();
        RefreshRecord { failures, next_ms, ..before }
    }
}

/// What is known of a source after a run that came to its end. One that is held is no success: the public waits.
fn succeeded(before: RefreshRecord, outcome: &Outcome, (scheduled, now_ms): (Option<i64>, i64)) -> RefreshRecord {
    let held = matches!(outcome.name, "held" | "waiting");
    let Conditions { etag, last_modified } = outcome.conditions.clone();
    RefreshRecord {
        etag,
        last_modified,
        failures: 0,
        succeeded_ms: if held { before.succeeded_ms } else { Some(now_ms) },
        told_late: held && before.told_late,
        next_ms: scheduled,
        ..before
    }
}

/// What a source called the bytes that were read last.
fn known(before: &RefreshRecord) -> Conditions {
    Conditions { etag: before.etag.clone(), last_modified: before.last_modified.clone() }
}

/// Said of a run that did not come to its end in time.
const TOO_SLOW: &str = "the run took too long (limits.sources.run_ms)";

/// What became of the same bytes before.
enum Before {
    /// They were never brought, or others came after them.
    Nothing,
    /// They are on their way, or at its end without anybody knowing.
    Open(Box<RevisionRecord>),
    /// They came to the end of their way.
    Told,
}

/// The last part of a URL's path.
fn file_name(url: &str) -> String {
    let url = url::Url::parse(url).ok();
    let last = url.as_ref().and_then(|url| url.path_segments()?.next_back());
    last.unwrap_or_default().to_owned()
}
