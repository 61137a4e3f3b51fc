//! Uploaded bytes become typed Arrow batches, with findings on everything that was decided on the way.
//!
//! Intake is the first step of the road in. It is synchronous, knows no storage and no clock, and is told where it may
//! put temporary files. `publish` calls it; nothing here is ever released by itself.
//!
//! ```text
//!            unpack         read                       type                    second pass
//! file ─▶ gzip, zstd, ─▶ CSV, JSON, GeoJSON,   ─▶ all rows of a column ─▶ batches ─▶ Profiler, Screener,
//!         zip of one     XLSX, Parquet, Arrow      decide its type                   Checker ─▶ findings
//! ```
//!
//! Every file is read twice as a stream. The first pass ([`survey()`]) looks at all rows, never a sample, and decides the
//! types; the second ([`Survey::batches`]) yields batches of those types. Memory is bounded by a row and a batch.
//!
//! ```
//! use portico_intake::{ReadOptions, survey};
//! use portico_model::limits::IntakeLimits;
//!
//! let scratch = tempfile::tempdir().unwrap();
//! let file = scratch.path().join("votes.csv");
//! std::fs::write(&file, "Precinct,Vote Count\n01,250\n02,120\n").unwrap();
//!
//! let options = ReadOptions::named("votes.csv");
//! let survey = survey(&file, &options, &IntakeLimits::default(), scratch.path(), &mut |_| ()).unwrap();
//! assert_eq!(survey.rows, 2);
//! assert_eq!(survey.schema.field(1).name(), "vote_count");
//! assert_eq!(survey.findings[0].rule, "leading_zeros_kept");
//! let rows: usize = survey.batches().unwrap().map(|batch| batch.unwrap().num_rows()).sum();
//! assert_eq!(rows, 2);
//! ```
//!
//! What it deliberately does not do: it does not decide what may be released, it repairs no values, and it does not guess
//! where two readings are possible: the data dictionary ([`dictionary`]) says which.

pub mod check;
pub mod classes;
pub mod counts;
pub mod demographics;
pub mod dictionary;
pub mod error;
pub mod labels;
pub mod names;
pub mod options;
pub mod profile;
pub mod remedy;
pub mod screen;
pub mod survey;

mod cell;
mod columnar;
mod csv;
mod declared;
mod detect;
mod infer;
mod json;
mod reading;
mod runs;
mod spool;
mod text;
mod unpack;
mod xlsx;

pub use error::IntakeError;
pub use options::ReadOptions;
pub use survey::{Batches, SourceDescription, Survey, survey};
