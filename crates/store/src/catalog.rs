//! The records: datasets, versions, revisions, tokens and the audit log, in SQLite or PostgreSQL with one set of queries.
//!
//! A writing transaction begins by updating the one row that ends the audit chain. That makes writers take turns
//! on both databases alike, so that everything a transaction reads stays true until it commits, and every write
//! is audited where it happens. A catalog has a few writes a minute; nobody waits.

use std::sync::Arc;

use moka::sync::Cache;
use portico_model::name::{DatasetName, VersionNumber};
use sqlx::{Any, AnyPool};

use crate::error::StoreError;

mod audit;
mod change;
mod connect;
mod datasets;
mod dump;
mod edits;
mod integrity;
mod interruption;
mod inventory;
mod keys;
mod lease;
mod links;
mod pages;
mod purges;
mod records;
mod refreshes;
mod releases;
mod reports;
mod rested;
mod revisions;
mod schedules;
mod seals;
mod search;
mod sessions;
mod shelf;
mod sources;
mod tokens;
mod uses;
mod versions;
mod waits;
mod wipe;
mod withdrawals;

pub use audit::AuditEntry;
pub(crate) use dump::DumpedRow;
pub use edits::{Carried, MetadataEdit};
pub use interruption::{CatalogMoment, Interrupt};
pub use links::LinkRecord;
pub use pages::{PageRecord, PageText};
pub use purges::{Erasure, PurgeRecord, PurgeReport, RemovedFile};
pub use records::{DatasetRecord, Prepared, ReleaseRecord, Review, RevisionRecord, VersionRecord, VersionSummary};
pub use refreshes::{NoticeRecord, RefreshRecord, RunRecord};
pub use reports::{CommentRecord, CommentState, ReportRecord, ReportSection};
pub use rested::Rested;
pub use schedules::ScheduleRecord;
pub use search::{DatasetFilter, Facets};
pub use sessions::{SessionOrigin, SessionRecord};
pub use sources::SourceRecord;
pub use tokens::TokenRecord;
pub use uses::{UseCount, month_of};

/// Memory for version records, in bytes of their JSON: a thousand versions of a hundred columns.
const VERSION_CACHE_BYTES: u64 = 64 * 1024 * 1024;

/// The catalog behind one URL. Cheap to clone; clones share connections and cache.
#[derive(Clone, Debug)]
pub struct Catalog {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    kind: connect::Kind,
    pool: AnyPool,
    waits: waits::Waits,
    /// The database's file, where it is one.
    file: Option<std::path::PathBuf>,
    /// The same, once it was read besides the database.
    raw: std::sync::OnceLock<Arc<std::fs::File>>,
    /// One writer at a time within this process: fairer than waiting in the database.
    writing: Arc<tokio::sync::Mutex<()>>,
    versions: Cache<(DatasetName, VersionNumber), Arc<records::Immutable>>,
    interruption: interruption::Interruption,
}

type Transaction = sqlx::Transaction<'static, Any>;

impl Catalog {
    /// Opens the catalog at `url` and brings its tables up to date: `sqlite:///path/to/file` (made if absent),
    /// `sqlite::memory:` or `postgres://user:password@host/database`. SQLite runs with a write-ahead log that is
    /// synced at every commit.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for another kind of URL, [`StoreError::Unavailable`] when the database cannot be
    /// reached, [`StoreError::Unsupported`] when its tables were made by a newer release of this program.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        Self::open_waiting(url, waits::Waits::default()).await
    }

    async fn open_waiting(url: &str, waits: waits::Waits) -> Result<Self, StoreError> {
        let (kind, pool) = connect::open(url, waits).await?;
        let file = connect::file(url, kind);
        let weigh = |_: &(DatasetName, VersionNumber), record: &Arc<records::Immutable>| record.json_bytes;
        let versions = Cache::builder().weigher(weigh).max_capacity(VERSION_CACHE_BYTES).build();
        let writing = Arc::new(tokio::sync::Mutex::new(()));
        let interruption = interruption::Interruption::default();
        Ok(Self {
            inner: Arc::new(Inner {
                kind,
                pool,
                waits,
                file,
                raw: Default::default(),
                writing,
                versions,
                interruption,
            }),
        })
    }

    /// Asks the database a trivial question, for health checks.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it does not answer.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query("SELECT seq FROM audit_end WHERE id = 1").fetch_one(self.pool()).await?;
        Ok(())
    }

    /// Closes all connections, once the questions under way are answered.
    pub async fn close(&self) {
        self.inner.pool.close().await;
    }
}
