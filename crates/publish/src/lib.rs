//! The road in, as steps: stage, screen, submit, recommend, approve, schedule, release, sweep. The only crate that writes.
//!
//! ```text
//! file ─▶ stage ─▶ screen ──────────────────────────▶ submit ─▶ recommend ─▶ approve ─▶ release
//!         staging   intake: survey, batches              │       or return    by digest   released storage,
//!                   profile · screening · dictionary     │       by a steward              Delta commit,
//!                   sort ─▶ Parquet, back into staging   │                                 catalog row last
//!                   first rows, for who has to judge     └── each step asks model::policy::decide
//! ```
//!
//! Screening writes the very files that a release will publish, into staging, and digests them together with
//! the findings: approval is bound to that digest, so what is released is byte for byte what was seen.
//! Every step may be repeated after a crash: a step that was done is recognised, a step that was half done
//! leaves files that no catalog row names, and [`Publisher::sweep`] removes those.
//!
//! A dataset's source ([`Declaration`]) goes the same road by itself: [`Publisher::refresh_due`] reads what is due and
//! releases it under a standing approval, or holds it for people.
//!
//! Files come from outside: they are read in a process of their own (`reader`), within limits, and never here.
//!
//! What it deliberately does not do: it answers no questions, knows no wire, and asks no clock.

mod affected;
mod appended;
mod background;
mod carry;
mod classes;
mod compare;
mod cycle;
mod database;
mod decisions;
mod difference;
mod drift;
mod drop_place;
mod edits;
mod error;
mod fetch;
mod inherited;
mod inventory;
mod layout;
mod lease;
mod links;
mod merge;
mod metadata;
mod notices;
mod ordered;
mod own;
mod pages;
mod pieces;
mod preview;
mod publisher;
mod purge;
mod reader;
mod refresh;
mod release;
mod report;
mod requests;
mod returned;
mod revision;
mod rows;
mod schedule;
mod screening;
mod sessions;
mod settings;
mod sort;
mod source;
mod standing;
mod sweep;
mod times;
mod tokens;
mod transform;
mod usage;
mod work;

pub use affected::{Affected, AffectedBy, Suspicion};
pub use cycle::Cycle;
pub use difference::{
    Bound, ChangedField, ChangedRow, ColumnDifference, ColumnFigures, Difference, Figure, NamedType, RowDifference,
    SchemaDifference, StatisticsDifference,
};
pub use edits::Edited;
pub use error::PublishError;
pub use fetch::{Conditions, FetchError, Fetched, Fetcher};
pub use inventory::{Change, Import, InventoryLine, LineError, Republished};
pub use links::{LinkRequest, LinkText};
pub use metadata::{MetadataDefaults, proposed};
pub use notices::NoticeSettings;
pub use pages::{Page, PageName, PageVersion};
pub use portico_intake::options::{Mode, ReadOptions};
pub use preview::{Preview, PublicColumn};
pub use publisher::{Amendment, Publisher, StageRequest};
pub use purge::Purge;
pub use reader::read_staged;
pub use refresh::Refreshed;
pub use report::COMMENT_MS;
pub use requests::{RequestAnswer, Wish};
pub use revision::Revision;
pub use rows::Rows;
pub use schedule::{Due, Scheduled};
pub use screening::Progress;
pub use sessions::{Holder, SessionLife, SessionText};
pub use settings::{FetchSettings, Places, Sources};
pub use source::{Declaration, Origin, Source, Tolerance};
pub use sweep::Swept;
pub use tokens::{TokenRequest, TokenText, random_secret};
pub use transform::{Compiled, Compute, Expressions};
pub use usage::UsageRow;
