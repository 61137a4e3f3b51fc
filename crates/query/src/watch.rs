//! Withdrawals while something is read: every answer under way looks, at most every so often, whether the versions that it
//! is made from may still be read, and breaks off if not. The catalog is asked once for all of them, whichever server the
//! withdrawal came through.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::stream::{self, BoxStream, StreamExt};
use portico_model::name::VersionRef;
use portico_model::problem::{Problem, ProblemKind};
use portico_store::Catalog;
use tokio::sync::OwnedMutexGuard;
use tokio::time::Instant;

/// How long answers go on while the catalog cannot be asked: beyond it nobody knows what may still be read.
const BLIND_MAX: Duration = Duration::from_secs(30);
/// How long one of them waits for the catalog: beyond it, it goes on with what is known.
const ASKED_MAX: Duration = Duration::from_secs(5);

/// What was withdrawn, as this server knows it. Cheap to clone; clones share what is known.
#[derive(Clone, Debug)]
pub(crate) struct Watch {
    catalog: Catalog,
    every: Duration,
    blind_max: Duration,
    asked_max: Duration,
    seen: Arc<Mutex<Seen>>,
    /// Whose turn it is to ask the catalog: one at a time, and nobody else waits for it who knows enough.
    asking: Arc<tokio::sync::Mutex<()>>,
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
        let (seen, asking) = Default::default();
        Self { catalog, every, blind_max: BLIND_MAX, asked_max: ASKED_MAX, seen, asking }
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
        if self.is_due(every) {
            match Arc::clone(&self.asking).try_lock_owned() {
                Ok(turn) => self.bounded(self.ask(turn)).await,
                // Somebody asks already.
                Err(_) if !every.is_zero() && !self.is_blind() => {}
                Err(_) => {
                    let turn = async {
                        let turn = Arc::clone(&self.asking).lock_owned().await;
                        if self.is_due(every) {
                            self.ask(turn).await;
                        }
                    };
                    self.bounded(turn).await;
                }
            }
        }
        if let Some(version) = self.withdrawn(versions) {
            let VersionRef { dataset, version } = version;
            let detail = format!("Version {version} of \"{dataset}\" was withdrawn while it was read.");
            return Err(Problem::new(ProblemKind::Withdrawn, detail));
        }
        if self.is_blind() {
            return Err(Problem::new(ProblemKind::Unavailable, "The catalog does not answer. Try again in a moment."));
        }
        Ok(())
    }

    /// Asks the catalog. It is asked to the end, whoever waits for that: the turn is over when it has answered or failed.
    async fn ask(&self, turn: OwnedMutexGuard<()>) {
        let watch = self.clone();
        let asking = tokio::spawn(async move {
            // The time before the question: what is withdrawn while it is answered is found by the next one.
            let now = Instant::now();
            let after = {
                let mut seen = watch.seen();
                seen.asked = Some(now);
                seen.sequence
            };
            match watch.catalog.withdrawn_after(after).await {
                Ok((sequence, withdrawn)) => {
                    let mut seen = watch.seen();
                    seen.sequence = sequence;
                    seen.withdrawn.extend(withdrawn);
                    seen.answered = Some(now);
                }
                Err(error) => tracing::warn!(%error, "whether versions under way were withdrawn cannot be asked"),
            }
            drop(turn);
        });
        if let Err(error) = asking.await {
            tracing::error!(%error, "whether versions under way were withdrawn was not asked to the end");
        }
    }

    async fn bounded(&self, asking: impl Future<Output = ()>) {
        if tokio::time::timeout(self.asked_max, asking).await.is_err() {
            tracing::warn!("the catalog does not say which versions were withdrawn");
        }
    }

    fn is_due(&self, every: Duration) -> bool {
        self.seen().asked.is_none_or(|asked| asked.elapsed() >= every)
    }

    fn is_blind(&self) -> bool {
        self.seen().answered.is_none_or(|answered| answered.elapsed() > self.blind_max)
    }

    fn withdrawn<'v>(&self, versions: &'v [VersionRef]) -> Option<&'v VersionRef> {
        let seen = self.seen();
        versions.iter().find(|version| seen.withdrawn.contains(*version))
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
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

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use portico_model::dataset::DatasetMetadata;
    use portico_model::name::DatasetName;

    use super::*;

    #[tokio::test]
    async fn a_catalog_that_does_not_answer_holds_nobody_who_knows_enough_and_stops_who_knows_too_little() {
        let catalog = Catalog::open("sqlite::memory:").await.unwrap();
        let trees = [VersionRef { dataset: DatasetName::parse("trees").unwrap(), version: 1 }];
        let watch = Watch::new(catalog.clone(), Duration::from_nanos(1));
        watch.check(&trees).await.unwrap();

        // A change that does not end has the only connection.
        let (held, holds) = tokio::sync::oneshot::channel();
        let held = Mutex::new(Some(held));
        let frozen = catalog.interrupted_by(Arc::new(move |moment| {
            if moment == portico_store::CatalogMoment::Commit {
                held.lock().unwrap().take().unwrap().send(()).unwrap();
                return futures::future::pending().boxed();
            }
            futures::future::ready(Ok(())).boxed()
        }));
        let metadata = DatasetMetadata::named(trees[0].dataset.clone());
        let change = tokio::spawn(async move { frozen.put_dataset(&metadata, "steward", 0).await });
        holds.await.unwrap();

        let mut asks = std::pin::pin!(watch.check(&trees));
        assert!(futures::poll!(&mut asks).is_pending(), "the catalog is asked");
        assert_eq!(watch.check(&trees).now_or_never(), Some(Ok(())), "others go on with what is known");
        let impatient = Watch { asked_max: Duration::from_millis(1), ..watch.clone() };
        assert_eq!(impatient.look(&trees).await, Ok(()), "what is known is new enough");
        let blind = Watch { blind_max: Duration::ZERO, ..impatient.clone() };
        let refused = blind.check(&trees).await.unwrap_err();
        assert_eq!(refused.kind, ProblemKind::Unavailable);

        change.abort();
        assert_eq!(asks.await, Ok(()));
        assert_eq!(watch.look(&trees).await, Ok(()));
    }
}
