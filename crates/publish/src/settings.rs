//! What the operator allows sources to be.

use std::collections::BTreeMap;
use std::path::PathBuf;

use portico_model::limits::SourceLimits;
use portico_store::Place;
use serde::{Deserialize, Serialize};

use crate::fetch::Fetcher;
use crate::notices::NoticeSettings;

/// Rules of everything that is fetched for somebody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FetchSettings {
    /// Whether `http://` is fetched from, too: then anybody on the way may change what is published.
    pub allow_http: bool,
    /// Ports that are connected to.
    pub ports: Vec<u16>,
    /// Hosts that may be inside: names, or addresses as a URL has them. All others have to be on the internet.
    pub hosts: Vec<String>,
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self { allow_http: false, ports: vec![443, 80], hosts: Vec::new() }
    }
}

/// A PostgreSQL database that queries may be put to.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseSettings {
    /// The host: on the internet, or one of `sources.fetch.hosts`.
    pub host: String,
    /// The port.
    #[serde(default = "postgresql_port")]
    pub port: u16,
    /// The database's name.
    pub database: String,
    /// The user, who may read what is to be published and nothing else.
    pub user: String,
    /// The environment variable that has the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_env: Option<String>,
    /// The file that has the password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// The password, from there.
    #[serde(skip)]
    pub password: String,
    /// Whether the server has to show a certificate for its host. Without, anybody on the way may read and change what is
    /// published.
    #[serde(default = "with_tls")]
    pub tls: bool,
    /// The authority of that certificate, as PEM; those of the internet if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

const fn postgresql_port() -> u16 {
    5432
}

const fn with_tls() -> bool {
    true
}

impl std::fmt::Debug for DatabaseSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { host, port, database, user, tls, .. } = self;
        let mut said = f.debug_struct("DatabaseSettings");
        said.field("host", host).field("port", port).field("database", database).field("user", user);
        said.field("tls", tls).finish_non_exhaustive()
    }
}

/// Where sources may be, beside what is fetched by URL: by the names that declarations give these places.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// Directories of this machine that files are dropped into.
    pub directories: BTreeMap<String, PathBuf>,
    /// Buckets, and prefixes in them.
    pub objects: BTreeMap<String, Place>,
    /// Databases.
    pub databases: BTreeMap<String, DatabaseSettings>,
}

/// What the road in needs for sources.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The one way to URLs.
    pub fetcher: Fetcher,
    /// What else the operator allows.
    pub places: Places,
    /// How people are told.
    pub notices: NoticeSettings,
    /// How much, how long and how often.
    pub limits: SourceLimits,
}

impl Default for Sources {
    fn default() -> Self {
        let limits = SourceLimits::default();
        let fetcher = Fetcher::new(FetchSettings::default(), limits.clone());
        Self { fetcher, places: Places::default(), notices: NoticeSettings::default(), limits }
    }
}
