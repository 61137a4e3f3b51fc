//! The one way by which anything is fetched for somebody else, or told to somebody else, over HTTP.
//!
//! ```text
//! URL ─▶ is its form allowed? ─▶ resolve the name, once ─▶ is every address the internet's? ─▶ connect to these
//!  ▲      scheme, port, no                                  or is the host the operator's       addresses alone
//!  │      numbers, no password                              exception?
//!  └──────────────────────────── redirection: from the beginning, at most so often ◀──────────────────┘
//! ```
//!
//! A name is looked up once, and the connection goes where that said: nobody answers the check with one address and the
//! connection with another. No proxy of the environment is used, no compressed transfer is unpacked, and no word of an
//! answer that is not the file gets into an error.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use portico_model::limits::SourceLimits;
use portico_model::problem::ProblemKind;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response, StatusCode, header};
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;
use url::{Host, Url};

use crate::settings::FetchSettings;

mod addresses;
#[cfg(test)]
mod tests;

/// Bytes of a tag or a date that is kept to be sent back.
const CONDITION_BYTES: usize = 512;
/// What the server calls itself.
const AGENT: &str = concat!("portico/", env!("CARGO_PKG_VERSION"));

/// Looks up a host's addresses.
type Lookup = Arc<dyn Fn(String, u16) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// Fetches, within the operator's rules. Cheap to clone.
#[derive(Clone)]
pub struct Fetcher {
    settings: Arc<FetchSettings>,
    limits: SourceLimits,
    lookup: Lookup,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// Why nothing was fetched. Texts name no host and quote no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The address is none that is fetched from.
    #[error("nothing is fetched from this address: {0}")]
    Address(&'static str),
    /// The host is not the internet's, and no exception of the operator's.
    #[error("nothing is fetched from this host: it is not on the internet, and sources.fetch.hosts does not name it")]
    Internal,
    /// The server said so.
    #[error("the server answers with status {0}")]
    Status(u16),
    /// It goes from one address to the next.
    #[error("the server redirects more than {0} times (limits.sources.redirects)")]
    Redirects(u64),
    /// It is too large.
    #[error("the file is over the limit of {0} bytes (limits.sources.fetch_bytes)")]
    TooLarge(u64),
    /// It has too many rows.
    #[error("the query has more than {0} rows (limits.sources.query_rows)")]
    TooManyRows(u64),
    /// It took too long.
    #[error("the file did not come in time (limits.sources.fetch_ms)")]
    TooSlow,
    /// The server cannot be found or reached, or broke off.
    #[error("the server cannot be reached, or broke off")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The file cannot be kept.
    #[error("the file cannot be kept")]
    Local(#[from] std::io::Error),
}

impl FetchError {
    /// The kind of problem that whoever asked has.
    #[must_use]
    pub fn kind(&self) -> ProblemKind {
        match self {
            Self::Address(_) | Self::Internal | Self::Redirects(_) => ProblemKind::InvalidRequest,
            Self::TooLarge(_) | Self::TooManyRows(_) => ProblemKind::TooLarge,
            Self::Status(_) | Self::TooSlow | Self::Unreachable(_) => ProblemKind::Unavailable,
            Self::Local(_) => ProblemKind::Internal,
        }
    }
}

/// What the server called the bytes that were fetched last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Conditions {
    /// Its entity tag.
    pub etag: Option<String>,
    /// Its date of the last change.
    pub last_modified: Option<String>,
}

/// What came of fetching.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fetched {
    /// The server says that the bytes are those of the conditions.
    Unchanged,
    /// A file.
    File {
        /// SHA-256 of its bytes, lower-case hex.
        sha256: String,
        /// What the server calls them.
        conditions: Conditions,
    },
}

impl Fetcher {
    /// A fetcher by the operator's rules, which asks the system for addresses.
    #[must_use]
    pub fn new(settings: FetchSettings, limits: SourceLimits) -> Self {
        Self { settings: Arc::new(settings), limits, lookup: Arc::new(system_lookup) }
    }

    /// The same, with other answers to where a host is.
    #[must_use]
    pub fn with_lookup(
        self,
        lookup: impl Fn(String, u16) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> + Send + Sync + 'static,
    ) -> Self {
        Self { lookup: Arc::new(lookup), ..self }
    }

    /// Whether a URL has a form that is fetched from, and the URL. Where its host is, is not looked up.
    ///
    /// # Errors
    /// [`FetchError::Address`] with the reason.
    pub fn check(&self, url: &str) -> Result<Url, FetchError> {
        let url = Url::parse(url).map_err(|_| FetchError::Address("it is no URL"))?;
        match url.scheme() {
            "https" => {}
            "http" if self.settings.allow_http => {}
            _ => {
                return Err(FetchError::Address(
                    "it does not begin with https:// (or http://, with sources.fetch.allow_http)",
                ));
            }
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(FetchError::Address("it has a user or a password in it"));
        }
        if !url.port_or_known_default().is_some_and(|port| self.settings.ports.contains(&port)) {
            return Err(FetchError::Address("its port is none of sources.fetch.ports"));
        }
        match url.host() {
            Some(Host::Domain(name)) if !name.trim_end_matches('.').is_empty() => Ok(url),
            Some(Host::Ipv4(_) | Host::Ipv6(_)) if url.host_str().is_some_and(|host| self.is_excepted(host)) => Ok(url),
            _ => Err(FetchError::Address("it has no host with a name")),
        }
    }

    /// Fetches a URL into a file, which is made or replaced. It is on its way for `limits.sources.fetch_ms` at most.
    ///
    /// # Errors
    /// Those of [`FetchError`]; the file is not to be used then.
    pub async fn fetch(&self, url: &str, before: &Conditions, into: &Path) -> Result<Fetched, FetchError> {
        let time = Duration::from_millis(self.limits.fetch_ms);
        tokio::time::timeout(time, self.fetch_in_time(url, before, into)).await.map_err(|_| FetchError::TooSlow)?
    }

    /// Tells a URL something. Nothing of the answer is read but its status, and no redirection is followed.
    ///
    /// # Errors
    /// Those of [`FetchError`].
    pub async fn tell(&self, url: &str, headers: &[(&'static str, String)], body: String) -> Result<(), FetchError> {
        let url = self.check(url)?;
        let client = self.client(&url).await?;
        let request = client.post(url).header(header::CONTENT_TYPE, "application/json").body(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
        let time = Duration::from_millis(self.limits.idle_ms);
        let answer = tokio::time::timeout(time, request.send()).await.map_err(|_| FetchError::TooSlow)?;
        let status = answer.map_err(unreachable)?.status();
        if status.is_success() { Ok(()) } else { Err(FetchError::Status(status.as_u16())) }
    }

    async fn fetch_in_time(&self, url: &str, before: &Conditions, into: &Path) -> Result<Fetched, FetchError> {
        let mut url = self.check(url)?;
        for _ in 0..=self.limits.redirects {
            let answer = self.ask(&url, before).await?;
            let status = answer.status();
            if status == StatusCode::NOT_MODIFIED && *before != Conditions::default() {
                return Ok(Fetched::Unchanged);
            }
            if matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
                url = self.redirected(&url, &answer)?;
                continue;
            }
            if status != StatusCode::OK {
                return Err(FetchError::Status(status.as_u16()));
            }
            return self.save(answer, into).await;
        }
        Err(FetchError::Redirects(self.limits.redirects))
    }

    async fn ask(&self, url: &Url, before: &Conditions) -> Result<Response, FetchError> {
        let mut request = self.client(url).await?.get(url.clone()).header(header::ACCEPT_ENCODING, "identity");
        if let Some(etag) = &before.etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        } else if let Some(date) = &before.last_modified {
            request = request.header(header::IF_MODIFIED_SINCE, date);
        }
        request.send().await.map_err(unreachable)
    }

    fn redirected(&self, from: &Url, answer: &Response) -> Result<Url, FetchError> {
        let nowhere = || FetchError::Address("the server redirects to no URL");
        let place = answer.headers().get(header::LOCATION).and_then(|place| place.to_str().ok()).ok_or_else(nowhere)?;
        let next = from.join(place).map_err(|_| nowhere())?;
        if from.scheme() == "https" && next.scheme() != "https" {
            return Err(FetchError::Address("the server redirects from https to something else"));
        }
        let next = self.check(next.as_str())?;
        // The operator has named inner hosts for those who declare sources, and not for servers of others.
        let is_named = |url: &Url| url.host_str().is_some_and(|host| self.is_excepted(host));
        if is_named(&next) && !is_named(from) { Err(FetchError::Internal) } else { Ok(next) }
    }

    /// A client that connects to the addresses of this URL's host and to nothing else.
    async fn client(&self, url: &Url) -> Result<Client, FetchError> {
        let host = url.host_str().ok_or(FetchError::Address("it has no host with a name"))?;
        let port = url.port_or_known_default().unwrap_or_default();
        let addresses = match url.host() {
            Some(Host::Ipv4(address)) => vec![SocketAddr::from((address, port))],
            Some(Host::Ipv6(address)) => vec![SocketAddr::from((address, port))],
            _ => self.look_up(host, port).await?,
        };
        self.check_addresses(host, &addresses)?;
        Client::builder()
            .no_proxy()
            .user_agent(AGENT)
            .redirect(reqwest::redirect::Policy::none())
            .referer(false)
            .connect_timeout(Duration::from_millis(self.limits.connect_ms))
            .read_timeout(Duration::from_millis(self.limits.idle_ms))
            .dns_resolver(Arc::new(Pinned(addresses)))
            .build()
            .map_err(unreachable)
    }

    /// The addresses of a host that something other than HTTP is spoken with, by the same rules.
    pub(crate) async fn addresses(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, FetchError> {
        let addresses = self.look_up(host, port).await?;
        self.check_addresses(host, &addresses)?;
        Ok(addresses)
    }

    async fn look_up(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, FetchError> {
        let time = Duration::from_millis(self.limits.connect_ms);
        let found = tokio::time::timeout(time, (self.lookup)(host.to_owned(), port)).await;
        found.map_err(|_| FetchError::TooSlow)?.map_err(|error| FetchError::Unreachable(error.into()))
    }

    fn check_addresses(&self, host: &str, addresses: &[SocketAddr]) -> Result<(), FetchError> {
        if addresses.is_empty() {
            return Err(FetchError::Unreachable("the host has no address".into()));
        }
        // One bad address is enough: whoever runs that name is up to something.
        if !self.is_excepted(host) && !addresses.iter().all(|address| addresses::is_public(address.ip())) {
            return Err(FetchError::Internal);
        }
        Ok(())
    }

    /// Whether the operator has named the host: then its addresses do not matter.
    fn is_excepted(&self, host: &str) -> bool {
        let plain = |host: &str| host.trim_end_matches('.').to_ascii_lowercase();
        self.settings.hosts.iter().any(|excepted| plain(excepted) == plain(host))
    }

    async fn save(&self, mut answer: Response, into: &Path) -> Result<Fetched, FetchError> {
        if answer.headers().get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
            return Err(FetchError::Address("the server sends it compressed, which was not asked for"));
        }
        let bytes_max = self.limits.fetch_bytes;
        let announced = answer.content_length();
        if announced.is_some_and(|bytes| bytes > bytes_max) {
            return Err(FetchError::TooLarge(bytes_max));
        }
        let kept = |name| {
            let value = answer.headers().get(name)?.to_str().ok()?;
            (value.len() <= CONDITION_BYTES).then(|| value.to_owned())
        };
        let conditions = Conditions { etag: kept(header::ETAG), last_modified: kept(header::LAST_MODIFIED) };
        let mut file = tokio::fs::File::create(into).await?;
        let mut hash = Sha256::new();
        let mut read = 0_u64;
        while let Some(chunk) = answer.chunk().await.map_err(unreachable)? {
            read = read.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            if read > bytes_max {
                return Err(FetchError::TooLarge(bytes_max));
            }
            hash.update(&chunk);
            file.write_all(&chunk).await?;
        }
        file.flush().await?;
        if announced.is_some_and(|announced| announced != read) {
            return Err(FetchError::Unreachable("the file ended early".into()));
        }
        Ok(Fetched::File { sha256: crate::source::hex(&hash.finalize()), conditions })
    }
}

fn system_lookup(host: String, port: u16) -> BoxFuture<'static, std::io::Result<Vec<SocketAddr>>> {
    Box::pin(async move { Ok(tokio::net::lookup_host((host.as_str(), port)).await?.collect()) })
}

/// Answers to every name with the addresses that were checked.
struct Pinned(Vec<SocketAddr>);

impl Resolve for Pinned {
    fn resolve(&self, _: Name) -> Resolving {
        let addresses: Addrs = Box::new(self.0.clone().into_iter());
        Box::pin(async move { Ok(addresses) })
    }
}

/// The URL stays out of errors: it may hold a key.
fn unreachable(error: reqwest::Error) -> FetchError {
    FetchError::Unreachable(error.without_url().into())
}
