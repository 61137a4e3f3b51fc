//! Faults on purpose: the catalog's side of the tests of what a crash leaves behind. Storage has the same by being
//! built over an object store that fails ([`crate::Storage::over`]).

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;

use super::{Catalog, Inner};
use crate::error::StoreError;

/// A moment in a writing transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CatalogMoment {
    /// It is about to begin.
    Begin,
    /// All is written; it is about to be committed.
    Commit,
    /// It is committed; the caller is about to hear of it.
    Committed,
}

/// Asked at every moment: goes on, fails, or never answers, which is how a process that has died looks.
pub type Interrupt = Arc<dyn Fn(CatalogMoment) -> BoxFuture<'static, Result<(), StoreError>> + Send + Sync>;

/// What an [`Inner`] asks, if anything.
#[derive(Clone, Default)]
pub(super) struct Interruption(Option<Interrupt>);

impl fmt::Debug for Interruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "interrupted" } else { "uninterrupted" })
    }
}

impl Interruption {
    pub(super) async fn at(&self, moment: CatalogMoment) -> Result<(), StoreError> {
        match &self.0 {
            Some(interrupt) => interrupt(moment).await,
            None => Ok(()),
        }
    }
}

impl Catalog {
    /// The same catalog, whose writing transactions ask `interrupt` on their way. For tests: no part of the program
    /// calls it.
    #[must_use]
    pub fn interrupted_by(&self, interrupt: Interrupt) -> Self {
        let Inner { kind, pool, waits, file, writing, versions, .. } = self.inner.as_ref();
        Self {
            inner: Arc::new(Inner {
                kind: *kind,
                pool: pool.clone(),
                waits: *waits,
                file: file.clone(),
                raw: std::sync::OnceLock::default(),
                writing: Arc::clone(writing),
                versions: versions.clone(),
                interruption: Interruption(Some(interrupt)),
            }),
        }
    }
}
