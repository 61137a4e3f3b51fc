//! Withdrawals while something is read: every answer under way looks, at most every so often, whether the versions that it
//! is made from may still be read, and breaks off if not. The catalog is asked once for all of them, whichever server the
//! withdrawal came through.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use portico_model::name::VersionRef;
use portico_model::problem::{Problem, ProblemKind};
use portico_store::Catalog;
use tokio::time::Instant;

/// How long answers go on while the catalog cannot be asked: beyond it nobody knows what may still be read.
const BLIND_MAX: Duration = Duration::from_secs(30);

/// What was withdrawn, as this server knows it. Cheap to clone; clones share what is known.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    catalog: Catalog,
    every: Duration,
    seen: Arc<tokio::sync::Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    /// The last row of the audit log that was looked at.
    sequence: i64,
    withdrawn: HashSet<VersionRef>,
    /// When the catalog answered last, and when it was asked last.
    answered: Option<Instant>,
    asked: Option<Instant>,
}

impl Watch {
    /// Looks every so often.
    pub(crate) fn new(catalog: Catalog, every: Duration) -> Self {
        Self { catalog, every, seen: Arc::default() }
    }

    /// Whether all versions may be read, as of a moment ago.
    ///
    /// # Errors
    /// `Withdrawn`; `Unavailable` when the catalog has not answered for half a minute.
    pub(crate) async fn check(&self, versions: &[VersionRef]) -> Result<(), Problem> {
        self.checked(versions, self.every).await
    }

    /// Whether all versions may be read now.
    ///
    /// # Errors
    /// As [`Watch::check`].
    pub(crate) async fn look(&self, versions: &[VersionRef]) -> Result<(), Problem> {
        self.checked(versions, Duration::ZERO).await
    }

    async fn checked(&self, versions: &[VersionRef], every: Duration) -> Result<(), Problem> {
        if versions.is_empty() {
            return Ok(());
        }
        let mut seen = self.seen.lock().await;
        if seen.asked.is_none_or(|asked| asked.elapsed() >= every) {
            // The time before the question: what is withdrawn while it is answered is found by the next one.
            let now = Instant::now();
            seen.asked = Some(now);
            match self.catalog.withdrawn_after(seen.sequence).await {
                Ok((sequence, withdrawn)) => {
                    seen.sequence = sequence;
                    seen.withdrawn.extend(withdrawn);
                    seen.answered = Some(now);
                }
                Err(error) => tracing::warn!(%error, "whether versions under way were withdrawn cannot be asked"),
            }
        }
        if let Some(version) = versions.iter().find(|version| seen.withdrawn.contains(*version)) {
            let VersionRef { dataset, version } = version;
            let detail = format!("Version {version} of \"{dataset}\" was withdrawn while it was read.");
            return Err(Problem::new(ProblemKind::Withdrawn, detail));
        }
        if seen.answered.is_none_or(|answered| answered.elapsed() > BLIND_MAX) {
            return Err(Problem::new(ProblemKind::Unavailable, "The catalog does not answer. Try again in a moment."));
        }
        Ok(())
    }

    /// The same stream, which fails instead of giving out another piece once one of the versions is withdrawn.
    pub(crate) fn over<T: Send + 'static>(
        &self,
        versions: Vec<VersionRef>,
        body: BoxStream<'static, Result<T, Problem>>,
    ) -> BoxStream<'static, Result<T, Problem>> {
        if versions.is_empty() {
            return body;
        }
        let state = Some((self.clone(), versions, body));
        stream::unfold(state, |state| async move {
            let (watch, versions, mut body) = state?;
            match body.next().await? {
                Ok(piece) => match watch.check(&versions).await {
                    Ok(()) => Some((Ok(piece), Some((watch, versions, body)))),
                    Err(problem) => Some((Err(problem), None)),
                },
                Err(problem) => Some((Err(problem), None)),
            }
        })
        .boxed()
    }
}
