//! All that a client sees: HTTP, Arrow Flight and pages on one port, and the accept loop in front of them.
//!
//! It sits on top of `query` (questions and exports) and `store` (the catalog and stored files), and is the only
//! crate that knows status codes, media types, HTML and the JSON of the API.
//!
//! ```text
//! connection ─▶ accept ─▶ router ─┬─▶ http      /sql, /datasets/…, /api/…      JSON, files, problems
//!                                 │    └ staff  /api/staff/…  with a token     every step of the road in ─▶ publish
//!                                 │             /staff/…      with a session   the same, as pages
//!                                 ├─▶ pages     /, /datasets/{name}            HTML
//!                                 └─▶ flight    application/grpc               Flight and Flight SQL
//!                                        │
//!                                        ▼
//!                              catalog, released (policy) ─▶ store
//!                              questions, exports         ─▶ query
//! ```
//!
//! What it deliberately does not do: it reads no configuration and no environment, asks no clock (time comes from
//! the [`Site`]), plans no SQL, and opens no file but those that it writes uploads into.

mod accept;
mod catalog;
mod client;
mod finish;
mod flight;
mod http;
mod identity;
mod observe;
mod pages;
mod problem;
mod rates;
mod released;
mod router;
mod site;
mod staff;

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use crate::http::service::{keep_metrics, metrics_router};
pub use crate::http::staff::signin::link_path;
pub use accept::{ConnectionSettings, Peer, TlsError, address_block, listen, run, tls_acceptor};
pub use client::TrustedProxies;
pub use identity::{Duty, Fetch, FetchError, Provider, ProviderSettings};
pub use observe::RequestId;
pub use problem::{PROBLEM_CODE_METADATA, PROBLEMS_PATH, grpc_code, grpc_status, http_status};
pub use router::router;
pub use site::{Clock, Site, SiteSettings};
pub use staff::Staff;
