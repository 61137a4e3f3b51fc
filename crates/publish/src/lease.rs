//! A dataset's lease in the hands of somebody who works for longer than a moment.

use std::time::Instant;

use portico_model::name::DatasetName;
use portico_store::{Catalog, StoreError};

use crate::release::LEASE_MS;

/// A lease that was taken, from then until it is given back.
pub(crate) struct Held<'a> {
    catalog: &'a Catalog,
    dataset: &'a DatasetName,
    holder: String,
    /// When it was taken: by the caller's clock, and by one that only goes on.
    taken: (i64, Instant),
}

impl<'a> Held<'a> {
    /// Takes the lease on a dataset; answers a conflict while somebody else has it.
    pub(crate) async fn take(
        catalog: &'a Catalog,
        dataset: &'a DatasetName,
        holder: String,
        now_ms: i64,
    ) -> Result<Self, StoreError> {
        let taken = (now_ms, Instant::now());
        catalog.lease(dataset, &holder, now_ms, LEASE_MS).await?;
        Ok(Self { catalog, dataset, holder, taken })
    }

    pub(crate) fn holder(&self) -> &str {
        &self.holder
    }

    /// Goes on holding it. To be asked before each step that must not be taken beside another writer: whoever was stopped
    /// for longer than the lease lasts hears of a conflict when somebody else had it since.
    pub(crate) async fn renew(&self) -> Result<(), StoreError> {
        let (taken_ms, since) = self.taken;
        let elapsed_ms = i64::try_from(since.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.catalog.renew(self.dataset, &self.holder, taken_ms.saturating_add(elapsed_ms), LEASE_MS).await
    }

    /// Gives it back. Where that fails it runs out by itself.
    pub(crate) async fn end(self) {
        if let Err(error) = self.catalog.end_lease(self.dataset, &self.holder).await {
            tracing::warn!(%error, "the dataset's lease has to run out by itself");
        }
    }
}
