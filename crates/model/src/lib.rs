//! The words and rules of Portico: names, versions, findings, revisions, policy, problems and limits.
//!
//! Everything here is pure and synchronous. There is no I/O, no clock and no async: time comes in as an
//! argument (milliseconds since the Unix epoch, UTC), and every other crate depends on this one.
//!
//! ```
//! use portico_model::name::DatasetName;
//!
//! let name = DatasetName::parse("building-permits").unwrap();
//! assert_eq!(name.sql_name(), "building_permits");
//! assert_eq!(DatasetName::from_sql_name("building_permits").unwrap(), name);
//! ```
//!
//! What it deliberately does not do: it knows no HTTP status, no storage path and no SQL.

pub mod blocks;
pub mod data_request;
pub mod dataset;
pub mod finding;
pub mod format;
pub mod inventory;
pub mod limits;
pub mod manifest;
pub mod name;
pub mod order;
pub mod policy;
pub mod problem;
pub mod profile;
pub mod revision;
pub mod wkb;
