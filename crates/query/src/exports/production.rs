//! Productions: exports that are being made, one per key however many ask, with the readers that follow them.
//!
//! A production goes on while somebody reads or waits for it, and for [`GRACE`] after the last one left: whoever
//! resumes a transfer finds it further on, a small export is finished for the next reader, and a large one that
//! nobody wants any more stops costing a worker. Nothing is kept of one that did not finish.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use portico_model::name::VersionRef;
use portico_model::problem::{Problem, ProblemKind};
use portico_store::SpooledFile;
use tokio::sync::watch;

use super::kept::Kept;
use super::key::ExportKey;
use super::spool::{Finished, Progress, ProgressState, SpoolFile, SpoolWriter};
use crate::answer::{AnswerChunk, Question};
use crate::questions::versions_of;
use crate::runner::Runner;

/// How long a production goes on without readers.
pub(super) const GRACE: Duration = Duration::from_secs(60);

/// All productions of this server.
#[derive(Clone, Debug)]
pub(crate) struct Productions {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    dir: PathBuf,
    grace: Duration,
    number: AtomicU64,
    /// Bytes of all files that are being made or read.
    bytes: Arc<AtomicU64>,
    under_way: Mutex<HashMap<String, Arc<Production>>>,
    /// Finished ones, wherever they were made.
    kept: Kept,
}

/// One export that is being made.
#[derive(Debug)]
pub(super) struct Production {
    pub(super) file: SpoolFile,
    readers: watch::Sender<usize>,
}

/// A reader's place at a production: as long as it is held, the production goes on.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) production: Arc<Production>,
    /// Whether this reader's question is the one that runs.
    pub(super) leads: bool,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.production.readers.send_modify(|readers| *readers = readers.saturating_sub(1));
    }
}

impl Seat {
    fn take(production: &Arc<Production>, leads: bool) -> Self {
        production.readers.send_modify(|readers| *readers += 1);
        Self { production: Arc::clone(production), leads }
    }

    /// Waits until the file satisfies `enough` or has ended; a failure before the first byte is its problem.
    pub(super) async fn wait(&self, enough: impl Fn(&Progress) -> bool) -> Result<Progress, Problem> {
        let mut progress = self.production.file.progress();
        let broken = || Problem::new(ProblemKind::Unavailable, "The export was broken off. Try again.");
        let seen = progress.wait_for(|seen| seen.state != ProgressState::Growing || enough(seen)).await;
        let seen = seen.map_err(|_| broken())?.clone();
        match seen.state {
            ProgressState::Failed(problem) => Err(problem),
            ProgressState::Growing | ProgressState::Complete(_) => Ok(seen),
        }
    }
}

impl Productions {
    /// Productions in `dir`, which is emptied of what an earlier run left.
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self::with_grace(dir, GRACE)
    }

    pub(crate) fn with_grace(dir: PathBuf, grace: Duration) -> Self {
        sweep(&dir);
        let (number, bytes) = (AtomicU64::new(0), Arc::default());
        let shared = Shared { dir, grace, number, bytes, under_way: Mutex::default(), kept: Kept::default() };
        Self { shared: Arc::new(shared) }
    }

    /// A seat at the production of `key`, which is started if there is none.
    pub(super) fn join(&self, runner: &Arc<Runner>, key: &ExportKey, question: &Question) -> Result<Seat, Problem> {
        let mut under_way = self.shared.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(production) = under_way.get(key.as_str()) {
            metrics::counter!("portico_exports_total", "source" => "joined").increment(1);
            return Ok(Seat::take(production, false));
        }
        let number = self.shared.number.fetch_add(1, Ordering::Relaxed);
        let path = self.shared.dir.join(format!("{}-{number}.part", key.as_str()));
        let (file, writer) = SpoolFile::create(&path, &self.shared.bytes).map_err(|error| {
            tracing::error!(%error, "a spool file could not be made");
            Problem::internal()
        })?;
        let production = Arc::new(Production { file, readers: watch::Sender::new(0) });
        let seat = Seat::take(&production, true);
        under_way.insert(key.as_str().to_owned(), Arc::clone(&production));
        metrics::counter!("portico_exports_total", "source" => "produced").increment(1);
        let run = Run { shared: Arc::clone(&self.shared), runner: Arc::clone(runner), key: key.clone(), production };
        tokio::spawn(run.make(writer, question.clone()));
        Ok(seat)
    }
}

/// The making of one export.
struct Run {
    shared: Arc<Shared>,
    runner: Arc<Runner>,
    key: ExportKey,
    production: Arc<Production>,
}

impl Drop for Run {
    fn drop(&mut self) {
        // For a task that was ended from outside; an end that was told before stands.
        self.production
            .file
            .end(Err(Problem::new(ProblemKind::Unavailable, "The server is stopping. Try again in a moment.")));
        self.forget();
    }
}

impl Run {
    async fn make(self, writer: SpoolWriter, question: Question) {
        let production = Arc::clone(&self.production);
        let (shared, key) = (Arc::clone(&self.shared), self.key.clone());
        let outcome = tokio::select! {
            outcome = self.produce(writer, &question) => outcome,
            () = abandoned(&shared, &production, &key) => {
                Err(Problem::new(ProblemKind::QueryCancelled, "Nobody waited for the export any more."))
            }
        };
        match outcome {
            Ok(finished) => {
                let written = production.file.progress().borrow().written;
                let spooled = SpooledFile {
                    bytes: written,
                    sha256: finished.sha256.clone(),
                    blocks: None,
                    rows: Some(finished.rows),
                    content_type: question.ask.kind.content_type(),
                    created_ms: question.ask.now_ms,
                };
                production.file.end(Ok(finished));
                self.keep(spooled, &versions_of(&question.pinned.tables)).await;
            }
            Err(problem) => {
                metrics::counter!("portico_exports_total", "source" => "failed").increment(1);
                production.file.end(Err(problem));
            }
        }
    }

    async fn produce(&self, mut writer: SpoolWriter, question: &Question) -> Result<Finished, Problem> {
        let limits = self.runner.limits.query.clone();
        let versions = versions_of(&question.pinned.tables);
        let (mut answer, turn) = self.runner.run(question).await?;
        loop {
            let next = answer.feed.next().await?;
            self.runner.watch.check(&versions).await?;
            let bytes = match next {
                AnswerChunk::Bytes(bytes) => bytes,
                AnswerChunk::Tail(tail) => {
                    drop(turn);
                    return Ok(Finished { rows: tail.rows, sha256: writer.sha256() });
                }
                AnswerChunk::Message(_) => return Err(Problem::internal()),
            };
            let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let (own, total) = self.production.file.count(length);
            if own > limits.answer_bytes.min(limits.spool_bytes) {
                return Err(too_large(limits.answer_bytes.min(limits.spool_bytes)));
            }
            if total > limits.spool_bytes {
                return Err(spool_is_full());
            }
            let (back, written) = writer.append(bytes).await.map_err(|error| {
                tracing::error!(%error, "a spool file could not be written");
                spool_is_full()
            })?;
            writer = back;
            metrics::counter!("portico_answer_bytes_total").increment(length);
            self.production.file.advance(written);
        }
    }

    /// Puts a complete export where every server finds it; readers have it whether or not that works.
    async fn keep(&self, spooled: SpooledFile, versions: &[VersionRef]) {
        let storage = &self.runner.store.storage;
        let bytes = spooled.bytes;
        if let Err(error) = storage.spool_put(self.key.as_str(), self.production.file.path(), spooled).await {
            tracing::warn!(%error, "an export could not be kept");
            return;
        }
        // Kept a moment after the withdrawal, it would lie there although nobody may read it.
        if self.runner.watch.look(versions).await.is_err() {
            if let Err(error) = storage.spool_remove(self.key.as_str()).await {
                tracing::warn!(%error, "an export of a withdrawn version stays until it is evicted");
            }
            return;
        }
        self.shared.kept.put(storage, &self.runner.limits.query, (self.key.as_str(), bytes)).await;
    }

    fn forget(&self) {
        let mut under_way = self.shared.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = under_way.get(self.key.as_str()).is_some_and(|other| Arc::ptr_eq(other, &self.production));
        if ours {
            under_way.remove(self.key.as_str());
        }
    }
}

/// Returns once nobody has read for the grace time; from then on nobody can join.
async fn abandoned(shared: &Shared, production: &Arc<Production>, key: &ExportKey) {
    let mut readers = production.readers.subscribe();
    loop {
        // The sender lives in the production, so neither wait can fail.
        let _ = readers.wait_for(|readers| *readers == 0).await;
        if tokio::time::timeout(shared.grace, readers.wait_for(|readers| *readers > 0)).await.is_ok() {
            continue;
        }
        let mut under_way = shared.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if *production.readers.borrow() == 0 {
            under_way.remove(key.as_str());
            return;
        }
    }
}

fn too_large(limit_bytes: u64) -> Problem {
    Problem::new(
        ProblemKind::AnswerTooLarge,
        format!(
            "The export is larger than the {} MiB that one may have. Ask for fewer columns or rows, or take the \
             stored Parquet file.",
            limit_bytes / (1024 * 1024)
        ),
    )
}

fn spool_is_full() -> Problem {
    Problem::new(ProblemKind::Unavailable, "There is no room for another export now. Try again later.").retry_after(30)
}

/// Removes what an earlier run left half-made.
fn sweep(dir: &std::path::Path) {
    use std::os::unix::fs::DirBuilderExt;
    if let Err(error) = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir) {
        tracing::error!(%error, "the spool directory could not be made");
        return;
    }
    let Ok(entries) = std::fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "part") {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
