//! Sources: where a dataset's data come from, and the standing approval of what they bring.
//!
//! ```text
//! declare (steward, open data team) ─▶ approve (CIO, somebody else) ─▶ read in its cycle, or when asked ─▶ refresh
//!    another declaration has the next number, and wants an approval of its own
//! ```

use portico_intake::options::ReadOptions;
use portico_model::dataset::DatasetMetadata;
use portico_model::name::DatasetName;
use portico_model::policy::{Action, Decision, Grant, Principal, SourceFacts, Subject, decide};
use portico_store::{Place, RefreshRecord, RunRecord, SourceRecord};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::cycle::Cycle;
use crate::decisions::denied;
use crate::error::PublishError;
use crate::publisher::{Publisher, from_json, json};

/// How the names of files end whose rows may be put one below the other.
const UNITED: [&str; 3] = [".csv", ".tsv", ".txt"];
/// Per cent that a tolerance may be.
const PERCENT_MAX: u32 = 100_000;

/// Where a dataset's data come from, how they are read, when, and how much they may differ from those before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    /// The place.
    pub from: Origin,
    /// How the file is read, as for a revision.
    #[serde(default)]
    pub reading: ReadOptions,
    /// When it is read; only when somebody asks, if absent.
    #[serde(default)]
    pub cycle: Option<Cycle>,
    /// What may differ from the current version and be released all the same.
    #[serde(default)]
    pub tolerance: Tolerance,
}

/// A place that data come from. Files that people bring need no source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Origin {
    /// A URL.
    Https {
        /// The URL, without user and password.
        url: String,
    },
    /// A directory that files are dropped into.
    Directory {
        /// The name that the operator has given it in `sources.directories`.
        directory: String,
        /// The file's name; one `*` stands for anything, and of several files the last in the order of names is read.
        file: String,
        /// Whether all files of such a name are read, one below the other, as one table: CSV with the same header.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        union: bool,
    },
    /// An object in a bucket.
    Object {
        /// The name that the operator has given the bucket, with a prefix in it, in `sources.objects`.
        place: String,
        /// The object's path below the prefix.
        path: String,
    },
    /// A query to a database.
    Postgresql {
        /// The name that the operator has given it in `sources.databases`.
        database: String,
        /// One statement that gives rows. Without an order the same rows may come as another file.
        query: String,
    },
}

/// What may differ from the current version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Tolerance {
    /// Rows that may be missing, in per cent of the current version's.
    pub fewer_rows_percent: u32,
    /// Rows that may be added, in per cent of the current version's.
    pub more_rows_percent: u32,
    /// By how many per cent of all rows the nulls of a column may grow.
    pub more_nulls_percent: u32,
    /// Hours after which people are told that nothing came to a good end; never if absent.
    pub late_hours: Option<u32>,
}

impl Default for Tolerance {
    fn default() -> Self {
        Self { fewer_rows_percent: 10, more_rows_percent: 50, more_nulls_percent: 5, late_hours: None }
    }
}

impl Tolerance {
    /// Whether nothing came to a good end for too long, since `since_ms`.
    pub(crate) fn is_late(&self, since_ms: i64, now_ms: i64) -> bool {
        let late_ms = self.late_hours.map(|hours| i64::from(hours).saturating_mul(3_600_000));
        late_ms.is_some_and(|late_ms| now_ms.saturating_sub(since_ms) > late_ms)
    }
}

/// A dataset's source with all that is known of it.
#[derive(Clone, Debug)]
pub struct Source {
    /// The newest declaration: who, when, and the standing approval.
    pub record: SourceRecord,
    /// What it says.
    pub declaration: Declaration,
    /// When it is read next.
    pub refresh: RefreshRecord,
    /// How it went, newest first.
    pub runs: Vec<RunRecord>,
}

impl Publisher {
    /// Says where a dataset's data come from, from now on. Nothing is read before it is approved.
    ///
    /// # Errors
    /// [`PublishError::BadSource`] for what makes no sense or is not allowed; [`PublishError::UnknownDataset`],
    /// [`PublishError::Denied`].
    pub async fn declare_source(
        &self,
        principal: &Principal,
        dataset: &DatasetName,
        declaration: &Declaration,
        now_ms: i64,
    ) -> Result<Source, PublishError> {
        let metadata = self.dataset(principal, dataset, now_ms).await?.metadata;
        let grant = self.permit_dataset(principal, Action::DeclareSource, &metadata, now_ms)?;
        self.check_declaration(declaration)?;
        let text = json(declaration)?;
        let bytes_max = self.sources.limits.declaration_bytes;
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > bytes_max {
            return Err(PublishError::BadSource(format!(
                "the declaration is over {bytes_max} bytes (limits.sources.declaration_bytes)"
            )));
        }
        let digest = hex(&Sha256::digest(text.as_bytes()));
        // Rows that go on from those before are not to be brought again because something else is said of them.
        let before = self.known_source(dataset).await.ok().map(|source| source.declaration.from);
        let goes_on = !declaration.reading.mode.replaces() && before.as_ref() == Some(&declaration.from);
        let said = (digest.as_str(), text.as_str(), goes_on);
        self.store.catalog.declare_source(dataset, said, grant.principal(), now_ms).await?;
        self.known_source(dataset).await
    }

    /// A dataset's source.
    ///
    /// # Errors
    /// [`PublishError::UnknownSource`], [`PublishError::UnknownDataset`], [`PublishError::Denied`].
    pub async fn source(
        &self,
        principal: &Principal,
        dataset: &DatasetName,
        now_ms: i64,
    ) -> Result<Source, PublishError> {
        self.dataset(principal, dataset, now_ms).await?;
        self.known_source(dataset).await
    }

    /// Consents for good to what a declaration brings, as long as it is like what is public: `digest` is the one that was
    /// looked at. A named place counts as what it stands for now: pointed elsewhere, the source is approved again.
    ///
    /// # Errors
    /// [`PublishError::SourceChanged`] when it is another by now; [`PublishError::Denied`] for one's own declaration where
    /// duties are separate.
    pub async fn approve_source(
        &self,
        principal: &Principal,
        dataset: &DatasetName,
        digest: &str,
        now_ms: i64,
    ) -> Result<Source, PublishError> {
        let metadata = self.dataset(principal, dataset, now_ms).await?.metadata;
        let found = self.known_source(dataset).await;
        let declared_by = found.as_ref().ok().map(|source| source.record.declared_by.clone());
        let grant = self.permit_source(principal, &metadata, declared_by, now_ms)?;
        let Source { record, declaration, .. } = found?;
        if record.digest != digest {
            return Err(PublishError::SourceChanged);
        }
        // Read at once for the first time: whoever has just approved it is there to see how it goes.
        let next_ms = declaration.cycle.is_some().then_some(now_ms);
        let place = self.sources.places.stands_for(&declaration.from);
        let said = (digest, place.as_deref());
        self.store.catalog.approve_source(dataset, said, grant.principal(), (next_ms, now_ms)).await?;
        self.known_source(dataset).await
    }

    /// Has a source read as soon as somebody comes to it, whatever its cycle says.
    ///
    /// # Errors
    /// [`PublishError::BadSource`] while it is not approved or rests; those of [`Publisher::source`].
    pub async fn run_source(
        &self,
        principal: &Principal,
        dataset: &DatasetName,
        now_ms: i64,
    ) -> Result<Source, PublishError> {
        let (grant, source) = self.permit_run(principal, dataset, now_ms).await?;
        if source.record.approved_by.is_none() {
            return Err(PublishError::BadSource("the source is not approved yet".to_owned()));
        }
        if source.refresh.paused {
            return Err(PublishError::BadSource("the source rests; have it go on first".to_owned()));
        }
        self.store.catalog.set_refresh(dataset, (false, Some(now_ms)), grant.principal(), now_ms).await?;
        self.known_source(dataset).await
    }

    /// Lets a source rest, or go on. What is under way comes to its end.
    ///
    /// # Errors
    /// Those of [`Publisher::source`].
    pub async fn pause_source(
        &self,
        principal: &Principal,
        dataset: &DatasetName,
        paused: bool,
        now_ms: i64,
    ) -> Result<Source, PublishError> {
        let (grant, source) = self.permit_run(principal, dataset, now_ms).await?;
        if source.refresh.paused == paused {
            return Ok(source);
        }
        let next_ms = match (&source.declaration.cycle, &source.record.approved_by) {
            (Some(cycle), Some(_)) if !paused => cycle.next_ms(dataset, now_ms)?,
            _ => None,
        };
        self.store.catalog.set_refresh(dataset, (paused, next_ms), grant.principal(), now_ms).await?;
        self.known_source(dataset).await
    }

    async fn permit_run(
        &self,
        principal: &Principal,
        dataset: &DatasetName,
        now_ms: i64,
    ) -> Result<(Grant, Source), PublishError> {
        let metadata = self.dataset(principal, dataset, now_ms).await?.metadata;
        let grant = self.permit_dataset(principal, Action::RunSource, &metadata, now_ms)?;
        Ok((grant, self.known_source(dataset).await?))
    }

    fn permit_source(
        &self,
        principal: &Principal,
        metadata: &DatasetMetadata,
        declared_by: Option<String>,
        now_ms: i64,
    ) -> Result<Grant, PublishError> {
        let barred = if self.separate_duties { declared_by.into_iter().collect() } else { Vec::new() };
        let (dataset, department) = (metadata.name.clone(), metadata.department.clone());
        let subject = Subject::Source(SourceFacts { dataset, department, barred });
        match decide(principal, Action::ApproveSource, &subject, now_ms) {
            Decision::Granted(grant) => Ok(grant),
            Decision::Denied(denial) => Err(denied(principal, Action::ApproveSource, denial)),
            Decision::Hidden | Decision::Withdrawn => Err(PublishError::UnknownDataset(metadata.name.clone())),
        }
    }

    pub(crate) async fn known_source(&self, dataset: &DatasetName) -> Result<Source, PublishError> {
        let catalog = &self.store.catalog;
        let unknown = || PublishError::UnknownSource(dataset.clone());
        let record = catalog.source(dataset).await?.ok_or_else(unknown)?;
        let refresh = catalog.refresh(dataset).await?.ok_or_else(unknown)?;
        let history = i64::try_from(self.sources.limits.history).unwrap_or(i64::MAX);
        let runs = catalog.runs(dataset, history).await?;
        let declaration = from_json(&record.declaration_json)?;
        Ok(Source { record, declaration, refresh, runs })
    }

    fn check_declaration(&self, declaration: &Declaration) -> Result<(), PublishError> {
        let bad = |what: &str| Err(PublishError::BadSource(what.to_owned()));
        match &declaration.from {
            Origin::Https { url } => drop(self.sources.fetcher.check(url)?),
            Origin::Directory { directory, file, union } => {
                if !self.sources.places.directories.contains_key(directory) {
                    return bad("the directory is none of sources.directories");
                }
                let plain = !file.is_empty() && !file.starts_with('.') && !file.contains(['/', '\\', '\0']);
                if !plain || file.matches('*').count() > 1 {
                    return bad("file is the name of a file, in which one * may stand for anything");
                }
                if *union && !UNITED.iter().any(|ending| file.to_lowercase().ends_with(ending)) {
                    return bad("a union is one of CSV files: file ends with .csv, .tsv or .txt");
                }
                if *union && (!declaration.reading.mode.replaces() || declaration.reading.header == Some(false)) {
                    return bad("a union reads all files each time, under their header: mode is replace");
                }
            }
            Origin::Postgresql { database, query } => {
                if !self.sources.places.databases.contains_key(database) {
                    return bad("the database is none of sources.databases");
                }
                if query.trim().is_empty() || query.contains('\0') {
                    return bad(
                        "query is one statement that gives rows, such as SELECT id, species FROM trees ORDER BY id",
                    );
                }
            }
            Origin::Object { place, path } => {
                if !self.sources.places.objects.contains_key(place) {
                    return bad("the place is none of sources.objects");
                }
                if !Place::is_path(path) {
                    return bad("path is the path of an object, such as exports/trees.csv");
                }
            }
        }
        let Tolerance { fewer_rows_percent, more_rows_percent, more_nulls_percent, late_hours } =
            &declaration.tolerance;
        if *fewer_rows_percent > 100 || *more_nulls_percent > 100 || *more_rows_percent > PERCENT_MAX {
            return bad("a tolerance is a number of per cent");
        }
        if late_hours.is_some_and(|hours| hours == 0 || hours > 24 * 366) {
            return bad("late_hours is from an hour to a year");
        }
        declaration.cycle.as_ref().map_or(Ok(()), Cycle::check)
    }
}

impl Declaration {
    /// Whether files are read one after the other, each once.
    pub(crate) fn reads_in_turn(&self) -> bool {
        matches!(self.from, Origin::Directory { .. }) && !self.reading.mode.replaces()
    }

    /// How a file of this name is read.
    pub(crate) fn options(&self, file_name: &str) -> ReadOptions {
        let mut options = self.reading.clone();
        if options.file_name.is_empty() {
            file_name.clone_into(&mut options.file_name);
        }
        if matches!(self.from, Origin::Postgresql { .. }) {
            // Written by ourselves: nothing is to be guessed.
            options.delimiter = Some(b',');
            options.encoding = Some("utf-8".to_owned());
            options.header = Some(true);
        }
        options
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
