//! The staff API: every step of the road in, as JSON, for whoever shows a token.
//!
//! ```text
//! GET  /api/staff/whoami        GET /api/staff/datasets[/{name}[/revisions]]     GET /api/staff/audit
//! POST /api/staff/datasets/{name}/revisions      (the file's bytes)     POST …/versions/{version}/withdraw  purge
//! GET  …/versions/{version}/affected             GET …/purges
//! GET  /api/staff/revisions/{id}[/rows|preview|difference]                       PUT /api/staff/revisions/{id}/proposal
//! POST /api/staff/revisions/{id}/screen  submit  review  approve  schedule  unschedule  release  discard
//! GET  /api/staff/schedules
//! GET  /api/staff/reports      POST …/{year}/draft  publish      GET …/{year}/comments      POST /api/staff/comments/{id}/moderate
//! GET, POST /api/staff/tokens                    DELETE /api/staff/tokens/{id}
//! ```
//!
//! A handler asks who shows which token before it reads anything else, and the publisher asks policy about each step.

pub(crate) mod asker;
pub(crate) mod audit;
pub(crate) mod datasets;
mod documents;
pub(crate) mod json;
pub(crate) mod preview;
pub(crate) mod purge;
pub(crate) mod reports;
pub(crate) mod revisions;
pub(crate) mod schedules;
pub(crate) mod tokens;
pub(crate) mod upload;

/// What every path of it begins with: nothing below it is for other sites, or for caches.
pub(crate) const PREFIX: &str = "/api/staff/";
