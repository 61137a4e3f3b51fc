//! The staff API: every step of the road in, as JSON, for whoever shows a token or is signed in at a browser; and
//! signing in and out.
//!
//! ```text
//! GET  /api/staff/whoami        GET /api/staff/datasets[/{name}[/revisions]]     GET /api/staff/audit
//! POST /api/staff/datasets/{name}/revisions      (the file's bytes)     POST …/versions/{version}/withdraw  purge
//! GET  …/versions/{version}/affected             GET …/purges
//! GET  /api/staff/revisions/{id}[/rows|preview|difference]                       PUT /api/staff/revisions/{id}/proposal
//! POST /api/staff/revisions/{id}/screen  submit  review  approve  schedule  unschedule  release  discard
//! GET, PUT /api/staff/datasets/{name}/metadata   POST …/metadata/approve  decline
//! GET  /api/staff/inventory     PUT /api/staff/inventory/datasets/{name}        POST /api/staff/inventory/import  publish
//! GET  /api/staff/requests      PUT /api/staff/requests/{id}
//! GET, PUT, DELETE /api/staff/pages/{name}
//! GET, PUT /api/staff/datasets/{name}/source     POST …/source/approve  run  pause
//! GET  /api/staff/schedules
//! GET  /api/staff/reports      POST …/{year}/draft  publish      GET …/{year}/comments      POST /api/staff/comments/{id}/moderate
//! GET, POST /api/staff/tokens                    DELETE /api/staff/tokens/{id}
//! POST /api/staff/links      GET, DELETE /api/staff/sessions      DELETE /api/staff/sessions/{id}
//! GET /staff/signin/provider   callback          POST /staff/signin/link         POST /staff/signout
//! ```
//!
//! A handler asks who shows which token before it reads anything else, and the publisher asks policy about each step.
//! The pages under `/staff` are in `pages::staff`.

pub(crate) mod asker;
pub(crate) mod audit;
pub(crate) mod cookies;
pub(crate) mod datasets;
mod documents;
pub(crate) mod form;
pub(crate) mod inventory;
pub(crate) mod json;
pub(crate) mod metadata;
pub(crate) mod origin;
pub(crate) mod pages;
pub(crate) mod preview;
pub(crate) mod purge;
pub(crate) mod reports;
pub(crate) mod requests;
pub(crate) mod revisions;
pub(crate) mod schedules;
pub(crate) mod sessions;
pub(crate) mod signin;
pub(crate) mod sources;
pub(crate) mod tokens;
pub(crate) mod upload;

/// What every path of the API for staff begins with.
const API: &str = "/api/staff/";

/// Whether a path is for staff: nothing of it is for other sites, or for caches.
pub(crate) fn is_for_staff(path: &str) -> bool {
    path.starts_with(API) || path == "/staff" || path.starts_with("/staff/")
}
