//! Exports: answers delivered as files, the same bytes every time.
//!
//! ```text
//!   whole version, Parquet, one stored file ───▶ that file, by range              no worker
//!   made before, by any server ────────────────▶ spooled in storage, by range     no worker
//!   being made ────────────────────────────────▶ the growing file, followed       somebody else's worker
//!   otherwise ─────────────────────────────────▶ made now, once for all who ask   one worker, once
//! ```
//!
//! An export that is made costs one worker for as long as the worker needs, however slowly its readers read, and
//! the server holds no more of it than the pieces on their way.

mod kept;
pub(crate) mod key;
mod parallel;
pub(crate) mod production;
pub(crate) mod spool;
mod ticket;

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use portico_model::format::{FileKind, Format};
use portico_model::manifest::{Manifest, ReleasedFile};
use portico_model::name::{DatasetName, VersionNumber, VersionRef};
use portico_model::order::{OutputOptions, Work};
use portico_model::problem::{Problem, ProblemKind};

pub use parallel::{FlightEndpoint, FlightPlan, FlightRequest};
pub use ticket::ExportTicket;

use self::key::{ExportKey, canonical, file_name, tag};
use self::production::Seat;
use self::spool::{Progress, ProgressState};
use crate::answer::{Ask, Caller, PinnedTable, Question};
use crate::gate::{self, ExportSelect};
use crate::questions::{Questions, versions_of};
use crate::resolve;
use crate::runner::{check_grant, store_problem};

/// How often an export is tried again under one's own name after the one that it had joined failed before its
/// first byte for a reason of its own caller's.
const OWN_TRIES: usize = 2;

/// How long the first bytes of an export wait for its last ones: most are complete by then, and a file of known
/// length is worth more to its reader than this delay.
const MOMENT: Duration = Duration::from_millis(25);

/// What is to be exported.
#[derive(Clone, Debug)]
pub struct ExportRequest {
    /// The dataset.
    pub dataset: DatasetName,
    /// The version; `None` is the current one.
    pub version: Option<VersionNumber>,
    /// Format and compression.
    pub kind: FileKind,
    /// The columns, in this order; none means all.
    pub select: Vec<String>,
    /// A SQL condition.
    pub filter: Option<String>,
    /// `a desc, b`; `None` keeps the stored order.
    pub order: Option<String>,
    /// Rows at most.
    pub limit: Option<u64>,
    /// Rows to leave out at the beginning.
    pub offset: Option<u64>,
    /// How text formats are spelt.
    pub options: OutputOptions,
    /// Who asks.
    pub caller: Caller,
    /// Milliseconds since the epoch.
    pub now_ms: i64,
}

/// A file that can be read, in whole or in part. Nothing is made before it is read or waited for.
pub struct Export {
    /// Which version of which dataset it holds.
    pub version: VersionRef,
    /// Format and compression.
    pub kind: FileKind,
    /// Opaque strong tag of the bytes, without quotes: it changes with the version, the request and nothing else.
    pub etag: String,
    /// When the version was released, in milliseconds since the epoch.
    pub last_modified_ms: i64,
    /// Its rows, where they are known.
    pub rows: Option<u64>,
    /// Its size in bytes, where it is known; after [`Export::ready`] it is.
    pub length: Option<u64>,
    /// SHA-256 of its bytes in lower-case hex, where it is known; after [`Export::ready`] it is.
    pub sha256: Option<String>,
    /// A file name for people: `building-permits-v3.csv`.
    pub file_name: String,
    source: Source,
    /// Everything that it is made from.
    versions: Vec<VersionRef>,
    /// Whether reading its beginning counts as a use: of a version in parts the first does.
    counts: bool,
    now_ms: i64,
    questions: Questions,
}

type Bytestream = BoxStream<'static, Result<Bytes, Problem>>;

enum Source {
    /// A stored file itself.
    Stored(Box<ReleasedFile>),
    /// A finished export in the storage.
    Spooled(ExportKey),
    /// To be made, or being made.
    Made(Box<Made>),
}

struct Made {
    key: ExportKey,
    question: Question,
    /// Held from the first wait on, so that what was waited for is still there when it is read.
    seat: Option<Arc<Seat>>,
}

impl Questions {
    /// Finds an export, or prepares to make it. Nothing runs yet, so that a client that has the file already is
    /// told so by the tag.
    ///
    /// # Errors
    /// `NotFound` and `Withdrawn` for the version, `UnknownColumn`, whatever the gate refuses of filter and order,
    /// `NotAcceptable` for a format that the dataset cannot have, `AnswerTooLarge` for more rows than it can hold.
    pub async fn export(&self, request: &ExportRequest) -> Result<Export, Problem> {
        let table = self.readable(&request.dataset, request.version, &request.caller, request.now_ms).await?;
        let manifest = Arc::clone(&table.record.manifest);
        if let Some(file) = whole_file(request, &manifest) {
            check_grant(&table)?;
            metrics::counter!("portico_exports_total", "source" => "stored").increment(1);
            let name = file_name(&manifest.version, request.kind);
            return Ok(self.stored(&table, file.clone(), request.kind, (name, request.now_ms)));
        }
        let request = &ExportRequest { select: columns_of(&request.select, &manifest)?, ..request.clone() };
        check_form(request, &manifest)?;
        let question = self.export_question(request, &manifest).await?;
        let files: Vec<&str> = manifest.files.iter().map(|file| file.sha256.as_str()).collect();
        let key = ExportKey::new(&question.pinned.sql, &files, request.kind, &request.options);
        let mut export = Export {
            counts: true,
            now_ms: request.now_ms,
            versions: versions_of(&question.pinned.tables),
            version: manifest.version.clone(),
            kind: request.kind,
            etag: key.tag(),
            last_modified_ms: table.record.released_ms,
            rows: known_rows(request, &manifest),
            length: None,
            sha256: None,
            file_name: file_name(&manifest.version, request.kind),
            source: Source::Made(Box::new(Made { key: key.clone(), question, seat: None })),
            questions: self.clone(),
        };
        let spooled = self.runner.store.storage.spool_get(key.as_str()).await;
        if let Some(spooled) = spooled.map_err(|error| store_problem(&error))? {
            metrics::counter!("portico_exports_total", "source" => "spooled").increment(1);
            export.rows = spooled.rows.or(export.rows);
            export.length = Some(spooled.bytes);
            export.sha256 = Some(spooled.sha256);
            export.source = Source::Spooled(key);
        }
        Ok(export)
    }

    /// One stored file of a version, by its index in the manifest.
    ///
    /// # Errors
    /// `NotFound` for the version and for an index that it has not, `Withdrawn`.
    pub async fn part(
        &self,
        dataset: &DatasetName,
        version: VersionNumber,
        index: usize,
        caller: &Caller,
        now_ms: i64,
    ) -> Result<Export, Problem> {
        let table = self.readable(dataset, Some(version), caller, now_ms).await?;
        check_grant(&table)?;
        let manifest = &table.record.manifest;
        let file = manifest.files.get(index).ok_or_else(|| Problem::not_found("such part of the version"))?;
        let kind = FileKind { format: Format::Parquet, compression: portico_model::format::Compression::None };
        let name = format!("{}-v{}-part-{index}.parquet", manifest.version.dataset, manifest.version.version);
        Ok(Export { counts: index == 0, ..self.stored(&table, file.clone(), kind, (name, now_ms)) })
    }

    /// The version and the proof that the caller may read it.
    pub(crate) async fn readable(
        &self,
        dataset: &DatasetName,
        version: Option<VersionNumber>,
        caller: &Caller,
        now_ms: i64,
    ) -> Result<PinnedTable, Problem> {
        resolve::version(&self.runner.store, dataset, version, &caller.principal, now_ms).await
    }

    fn stored(
        &self,
        table: &PinnedTable,
        file: ReleasedFile,
        kind: FileKind,
        (file_name, now_ms): (String, i64),
    ) -> Export {
        Export {
            counts: true,
            now_ms,
            versions: vec![table.record.version.clone()],
            version: table.record.manifest.version.clone(),
            kind,
            // The bytes are known, so their own digest is the best tag there is.
            etag: tag(&file.sha256),
            last_modified_ms: table.record.released_ms,
            rows: Some(file.rows),
            length: Some(file.bytes),
            sha256: Some(file.sha256.clone()),
            file_name,
            source: Source::Stored(Box::new(file)),
            questions: self.clone(),
        }
    }

    /// The question whose answer is the export: it goes through the gate like any other. The columns are spelt as
    /// [`columns_of`] gives them.
    pub(crate) async fn export_question(
        &self,
        request: &ExportRequest,
        manifest: &Manifest,
    ) -> Result<Question, Problem> {
        let limits = &self.runner.limits.statement;
        let filter = request.filter.as_deref().map(|text| gate::parse_filter(text, limits)).transpose()?;
        let order = request.order.as_deref().map(|text| gate::parse_order(text, limits)).transpose()?;
        let tie_break: Vec<String> = manifest.schema.fields().iter().map(|field| field.name().clone()).collect();
        let sql = gate::export_select(&ExportSelect {
            version: &manifest.version,
            columns: &request.select,
            filter: filter.as_ref(),
            order: order.as_ref(),
            tie_break: &tie_break,
            limit: request.limit,
            offset: request.offset,
        })?;
        let ask = Ask {
            sql,
            parameters: Default::default(),
            kind: request.kind,
            options: canonical(request.kind, &request.options),
            caller: request.caller.clone(),
            timeout_ms: None,
            work: Work::Answer,
            text_bytes_max: u64::MAX,
            now_ms: request.now_ms,
            part: None,
        };
        self.prepare(&ask, true).await
    }
}

impl Export {
    /// Waits until the file is complete, so that its length and digest are known. Dropping the future is fine: an
    /// export that was begun goes on for a minute. Holding the export keeps what was waited for.
    ///
    /// # Errors
    /// Whatever ended the making of it.
    pub async fn ready(&mut self) -> Result<(), Problem> {
        let Source::Made(made) = &mut self.source else { return Ok(()) };
        let (seat, progress) = joined(&self.questions, made, |_| false).await?;
        made.seat = Some(seat);
        self.learn(progress);
        Ok(())
    }

    /// Reads the file, or the part `range` of it. Comes back when there is something to read: what goes wrong
    /// before is a problem, an `Err` in the stream means that the transfer is to be broken.
    ///
    /// A range of an export that is still being made is read as far as the file will reach. An export that is
    /// complete within a moment has its length and digest afterwards, as after [`Export::ready`].
    ///
    /// # Errors
    /// `RangeNotSatisfiable` for a range outside a file of known length; whatever ended the making of it.
    pub async fn read(
        &mut self,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes, Problem>>, Problem> {
        if let (Some(range), Some(length)) = (&range, self.length)
            && (range.is_empty() || range.end > length)
        {
            return Err(Problem::new(
                ProblemKind::RangeNotSatisfiable,
                format!("The range lies outside the file, which has {length} bytes."),
            ));
        }
        if self.counts && range.as_ref().is_none_or(|range| range.start == 0) {
            self.questions.runner.uses.download(&self.version, self.kind, self.now_ms);
        }
        let storage = &self.questions.runner.store.storage;
        let stream = match &mut self.source {
            Source::Stored(file) => storage.read_released(file, range).await,
            Source::Spooled(key) => storage.spool_read(key.as_str(), range).await,
            Source::Made(made) => {
                let start = range.as_ref().map_or(0, |range| range.start);
                let (seat, _) = joined(&self.questions, made, |seen| seen.written > start).await?;
                made.seat = Some(Arc::clone(&seat));
                // What fails within the moment is still a problem: nothing was sent.
                if let Ok(complete) = tokio::time::timeout(MOMENT, seat.wait(|_| false)).await {
                    self.learn(complete?);
                }
                let production = Arc::clone(&seat.production);
                return Ok(self.watched(production.file.follow(range, seat)));
            }
        };
        let stream = stream.map_err(|error| store_problem(&error))?;
        Ok(self.watched(stream.map(|read| read.map_err(|error| store_problem(&error))).boxed()))
    }

    /// Breaks off when something that it is made from is withdrawn.
    fn watched(&self, stream: Bytestream) -> Bytestream {
        self.questions.runner.watch.over(self.versions.clone(), stream)
    }

    /// Takes over what is known of a complete file.
    fn learn(&mut self, progress: Progress) {
        if let ProgressState::Complete(finished) = progress.state {
            self.rows = Some(finished.rows);
            self.length = Some(progress.written);
            self.sha256 = Some(finished.sha256);
        }
    }
}

/// Joins the production, or starts it, and waits until it satisfies `enough` or is complete.
async fn joined(
    questions: &Questions,
    made: &mut Made,
    enough: impl Fn(&Progress) -> bool,
) -> Result<(Arc<Seat>, Progress), Problem> {
    let mut tries = 0;
    loop {
        let seat = match made.seat.take() {
            Some(seat) => seat,
            None => Arc::new(questions.productions.join(&questions.runner, &made.key, &made.question)?),
        };
        match seat.wait(&enough).await {
            Ok(progress) => return Ok((seat, progress)),
            // Somebody else's limits, or somebody else's leaving, are no reason to refuse this caller.
            Err(problem)
                if !seat.leads
                    && tries < OWN_TRIES
                    && matches!(problem.kind, ProblemKind::TooManyRequests | ProblemKind::QueryCancelled) =>
            {
                tries += 1;
            }
            Err(problem) => return Err(problem),
        }
    }
}

/// The one stored file that is the whole export, if there is one.
fn whole_file<'a>(request: &ExportRequest, manifest: &'a Manifest) -> Option<&'a ReleasedFile> {
    let everything = request.select.is_empty()
        && request.filter.is_none()
        && request.order.is_none()
        && request.limit.is_none()
        && request.offset.is_none_or(|offset| offset == 0);
    match manifest.files.as_slice() {
        [file] if everything && request.kind.format == Format::Parquet => Some(file),
        _ => None,
    }
}

/// The rows of an export that no condition makes unknown.
fn known_rows(request: &ExportRequest, manifest: &Manifest) -> Option<u64> {
    if request.filter.is_some() {
        return None;
    }
    let rest = manifest.rows.saturating_sub(request.offset.unwrap_or(0));
    Some(request.limit.map_or(rest, |limit| rest.min(limit)))
}

/// Whether the format can hold the rows at all, before anything runs.
fn check_form(request: &ExportRequest, manifest: &Manifest) -> Result<(), Problem> {
    match request.kind.format {
        Format::Geojson => {
            let schema = selected(&request.select, manifest);
            let geographic =
                portico_encode::geometry_field(&schema).is_some() || portico_encode::lat_lon_fields(&schema).is_some();
            if geographic {
                return Ok(());
            }
            Err(Problem::new(
                ProblemKind::NotAcceptable,
                "GeoJSON needs a geometry column, or columns of latitude and longitude.",
            ))
        }
        Format::Xlsx => {
            // One row is the header.
            let rows_max = portico_encode::XLSX_ROWS_MAX.saturating_sub(1);
            match known_rows(request, manifest) {
                Some(rows) if rows > rows_max => Err(Problem::new(
                    ProblemKind::AnswerTooLarge,
                    format!(
                        "A worksheet holds {rows_max} rows, and this has {rows}. Filter it, or take CSV or Parquet."
                    ),
                )),
                _ => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

/// The schema of the selected columns; unknown ones are left out here and refused elsewhere.
fn selected(select: &[String], manifest: &Manifest) -> arrow_schema::Schema {
    if select.is_empty() {
        return manifest.schema.as_ref().clone();
    }
    let fields = select.iter().filter_map(|name| manifest.schema.field_with_name(name).ok().cloned());
    arrow_schema::Schema::new(fields.collect::<Vec<_>>())
}

/// The columns that a selection names, spelt as the version spells them: as in SQL, case does not count where it
/// tells no columns apart, and a name may stand in double quotes.
fn columns_of(select: &[String], manifest: &Manifest) -> Result<Vec<String>, Problem> {
    let mut columns: Vec<String> = Vec::with_capacity(select.len());
    for asked in select {
        let name = asked.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(asked);
        let fields = manifest.schema.fields();
        let exact = fields.iter().find(|field| field.name() == name);
        let same = |field: &&Arc<arrow_schema::Field>| field.name().eq_ignore_ascii_case(name);
        let Some(field) = exact.or_else(|| fields.iter().find(same)) else {
            let detail = format!("{} has no column {}.", manifest.version.dataset, gate::quoted(name));
            return Err(Problem::new(ProblemKind::UnknownColumn, detail));
        };
        if columns.contains(field.name()) {
            let detail = format!("The column \"{}\" is selected twice.", field.name());
            return Err(Problem::new(ProblemKind::InvalidRequest, detail));
        }
        columns.push(field.name().clone());
    }
    Ok(columns)
}
