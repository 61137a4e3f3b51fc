//! The site: the parts that every request is answered from.

use std::sync::Arc;

use portico_model::limits::Limits;
use portico_query::questions::Questions;
use portico_store::Store;

use crate::client::TrustedProxies;
use crate::staff::Staff;

/// Milliseconds since the Unix epoch, UTC, whenever asked: the program gives the real clock, tests a fixed one.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// Everything that answering a request needs. Nothing in it is kept between requests but caches.
pub struct Site {
    /// The catalog and the stored files.
    pub store: Store,
    /// Where questions and exports are answered.
    pub questions: Questions,
    /// Where staff bring data in.
    pub staff: Staff,
    /// The operator's limits.
    pub limits: Limits,
    /// What the operator calls the portal and where it is.
    pub settings: SiteSettings,
    /// The time.
    pub clock: Clock,
}

impl Site {
    /// The time now, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        (self.clock)()
    }

    /// A URL of this site for a path that begins with `/`: absolute where the public URL is configured, otherwise a
    /// reference that resolves against the request's own. The `Host` header has no say in it, so that a cache
    /// cannot be poisoned with one.
    #[must_use]
    pub fn url(&self, path: &str) -> String {
        match &self.settings.public_url {
            Some(base) => format!("{}{path}", base.trim_end_matches('/')),
            None => path.to_owned(),
        }
    }
}

/// What the operator says of the portal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteSettings {
    /// The portal's name, on every page.
    pub title: String,
    /// The URL that the public uses, such as `https://data.example.gov`, without a path's trailing slash.
    /// Without one, links are relative to the request.
    pub public_url: Option<String>,
    /// The proxies whose word is taken for who the client is.
    pub trusted_proxies: TrustedProxies,
}

impl Default for SiteSettings {
    fn default() -> Self {
        Self { title: "Open data".to_owned(), public_url: None, trusted_proxies: TrustedProxies::default() }
    }
}
