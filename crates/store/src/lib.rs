//! Object storage and the catalog: the only place where datasets, versions and their bytes are kept.
//!
//! ```text
//!            publish (writes)                                query, serve (read)
//!               │                                                  │
//!   put_staged  │ put_released   commit_version   release          │ dataset, version, access, read_released
//!      ▼        │      ▼               ▼             ▼             ▼
//!  ┌─ Storage ──┴─────────────────────────────┐  ┌─ Catalog ──────────────────────────────┐
//!  │ staging/   a revision's bytes, private   │  │ dataset   name → root, current version │
//!  │ released/  ROOT/FILE.parquet, write-once │  │ version   manifest, profile, findings  │
//!  │            ROOT/_delta_log/…             │  │ revision  states on the road in        │
//!  │ spool/     finished exports              │  │ audit     a chain of hashes            │
//!  └── directory, S3, GCS, Azure or memory ───┘  └── SQLite or PostgreSQL ────────────────┘
//!         1. data files   2. Delta commit              3. one transaction moves the pointer
//! ```
//!
//! Data first, pointer last: what no catalog row names does not exist, and every step may be done again after
//! a crash. A version's record never changes, so that it is kept in memory; the pointer is read every time.
//!
//! ```
//! # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
//! use std::collections::BTreeMap;
//!
//! use portico_model::dataset::DatasetMetadata;
//! use portico_model::name::DatasetName;
//! use portico_store::{Catalog, Storage, Store};
//!
//! let storage = Storage::open("memory:///", &BTreeMap::new()).unwrap();
//! storage.self_test().await.unwrap();
//! let store = Store { storage, catalog: Catalog::open("sqlite::memory:").await.unwrap() };
//!
//! let name = DatasetName::parse("trees").unwrap();
//! let dataset = store.catalog.put_dataset(&DatasetMetadata::named(name), "steward", 1_700_000_000_000).await.unwrap();
//! assert_eq!(dataset.current, None);
//! # });
//! ```
//!
//! What it deliberately does not do: it decides no policy, reads no Parquet, knows no HTTP, keeps no clock and
//! writes no checkpoints of the Delta log; files older than their last use are found here and removed by
//! `publish`.

mod backup;
mod catalog;
mod databases;
mod error;
mod scrub;
mod search;
mod storage;

pub use backup::{CopyEvent, CopySummary, Restored};
pub use catalog::{
    AuditEntry, Carried, Catalog, CatalogMoment, CommentRecord, CommentState, DatasetFilter, DatasetRecord, Erasure,
    Facets, Interrupt, LinkRecord, MetadataEdit, NoticeRecord, PageRecord, PageText, Prepared, PurgeRecord,
    PurgeReport, RefreshRecord, ReleaseRecord, RemovedFile, ReportRecord, ReportSection, Rested, Review,
    RevisionRecord, RunRecord, ScheduleRecord, SessionOrigin, SessionRecord, SourceRecord, TokenRecord, UseCount,
    VersionRecord, VersionSummary, month_of,
};
pub use databases::{Database, DatabaseError};
pub use error::{Cause, StoreError};
pub use scrub::{ScrubEvent, Scrubbed, Wrong};
pub use search::{Needles, Searched};
pub use storage::{
    Buffers, DeltaCommit, DeltaFile, Place, PlacedFile, SpooledFile, StagedFile, Storage, StoredObject, buffer_bytes,
};

/// Both halves, which belong together: a catalog names files of one storage.
#[derive(Clone, Debug)]
pub struct Store {
    /// The bytes.
    pub storage: Storage,
    /// The records.
    pub catalog: Catalog,
}
