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
//! Files come from outside: they are read in a process of their own (`reader`), within limits, and never here.
//!
//! What it deliberately does not do: it answers no questions, knows no wire, and asks no clock.

mod affected;
mod background;
mod classes;
mod compare;
mod decisions;
mod difference;
mod error;
mod inherited;
mod layout;
mod ordered;
mod own;
mod preview;
mod publisher;
mod purge;
mod reader;
mod release;
mod report;
mod returned;
mod revision;
mod rows;
mod schedule;
mod screening;
mod sort;
mod sweep;
mod times;
mod tokens;
mod usage;

pub use affected::{Affected, AffectedBy, Suspicion};
pub use difference::{
    Bound, Change, ChangedRow, ColumnDifference, ColumnFigures, Difference, Figure, NamedType, RowDifference,
    SchemaDifference, StatisticsDifference,
};
pub use error::PublishError;
pub use portico_intake::options::ReadOptions;
pub use preview::{Preview, PublicColumn};
pub use publisher::{Amendment, Publisher, StageRequest};
pub use purge::Purge;
pub use reader::read_staged;
pub use report::COMMENT_MS;
pub use revision::Revision;
pub use rows::Rows;
pub use schedule::{Due, Scheduled};
pub use screening::Progress;
pub use sweep::Swept;
pub use tokens::{TokenRequest, TokenText};
pub use usage::UsageRow;
