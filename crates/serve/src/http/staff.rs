//! The staff API: every step of the road in, as JSON, for whoever shows a token.
//!
//! ```text
//! GET  /api/staff/whoami        GET /api/staff/datasets[/{name}[/revisions]]     GET /api/staff/audit
//! POST /api/staff/datasets/{name}/revisions      (the file's bytes)     POST …/versions/{version}/withdraw
//! GET  /api/staff/revisions/{id}[/rows]          PUT /api/staff/revisions/{id}/proposal
//! POST /api/staff/revisions/{id}/screen  submit  review  approve  release  discard
//! GET, PUT /api/staff/datasets/{name}/source     POST …/source/approve  run  pause
//! GET, POST /api/staff/tokens                    DELETE /api/staff/tokens/{id}
//! ```
//!
//! A handler asks who shows which token before it reads anything else, and the publisher asks policy about each step.

pub(crate) mod asker;
pub(crate) mod datasets;
mod documents;
mod json;
pub(crate) mod revisions;
pub(crate) mod sources;
pub(crate) mod tokens;
pub(crate) mod upload;

/// What every path of it begins with: nothing below it is for other sites, or for caches.
pub(crate) const PREFIX: &str = "/api/staff/";
