//! What the operator said: one TOML file, a few flags, secrets from the environment.
//!
//! Unknown keys are refused. `portico.example.toml` in the repository shows every key with its default; a
//! test compares it with the types here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use portico_intake::screen::RuleSet;
use portico_model::dataset::Requirement;
use portico_model::limits::Limits;
use portico_publish::{FetchSettings, MetadataDefaults};
use portico_store::Database;
use serde::{Deserialize, Serialize};

use crate::identity::Identity;

/// The whole configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Where the server listens and what it calls itself.
    pub(crate) server: Server,
    /// Where released and staged bytes are kept.
    pub(crate) storage: Storage,
    /// Where the catalog is kept.
    pub(crate) catalog: Catalog,
    /// Rules of the road in.
    pub(crate) publishing: Publishing,
    /// What is looked for in files.
    pub(crate) screening: Screening,
    /// What is fetched from elsewhere.
    pub(crate) sources: SourceSettings,
    /// How stewards are told of refreshes.
    pub(crate) notices: Notices,
    /// How staff sign in at their browsers.
    pub(crate) identity: Identity,
    /// Every limit.
    pub(crate) limits: Limits,
}

/// What is fetched from elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SourceSettings {
    /// URLs.
    pub(crate) fetch: FetchSettings,
    /// Directories of this machine that files are dropped into, by the names that declarations give them.
    pub(crate) directories: BTreeMap<String, PathBuf>,
    /// Buckets with prefixes, by the names that declarations give them: `url` and `options` as those of the storage.
    pub(crate) objects: BTreeMap<String, Storage>,
    /// PostgreSQL databases, by the names that declarations give them.
    pub(crate) databases: BTreeMap<String, Database>,
}

/// How stewards are told of refreshes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Notices {
    /// The mail server. `PORTICO_MAIL_URL` in the environment goes before it.
    pub(crate) mail_url: String,
    /// The address that e-mail comes from.
    pub(crate) mail_from: String,
    /// Where notices are posted as JSON, signed with `PORTICO_WEBHOOK_SECRET` of the environment.
    pub(crate) webhook_url: String,
    /// The key of the signatures.
    #[serde(skip)]
    pub(crate) webhook_secret: String,
}

/// Rules of the road in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Publishing {
    /// Whether a revision is approved by somebody other than whoever staged or submitted it. A small town in which one
    /// person does it all says false: then whoever holds the roles may approve their own work, and the audit log shows
    /// it. The command line on the server itself is not bound by it.
    pub(crate) separation_of_duties: bool,
    /// What a release is refused without: steward, license, description and dictionary (what every column means). A town
    /// that releases with less says here with what.
    pub(crate) require: Vec<Requirement>,
    /// What is said of datasets that nobody has said otherwise of; an empty text says nothing.
    pub(crate) defaults: MetadataDefaults,
    /// E-mail address of whoever answers for the datasets that the portal makes of its own records, such as `usage` and
    /// `report-comments`; without one it makes none.
    pub(crate) own_steward: String,
    /// The time zone that times of releases are in where people do not say one, such as `America/New_York`.
    pub(crate) time_zone: String,
}

impl Default for Publishing {
    fn default() -> Self {
        Self {
            separation_of_duties: true,
            require: Requirement::ALL.to_vec(),
            defaults: MetadataDefaults::default(),
            own_steward: String::new(),
            time_zone: "UTC".to_owned(),
        }
    }
}

/// What is looked for in files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Screening {
    /// File of screening rules; the built-in ones of North Carolina if empty.
    pub(crate) rules: PathBuf,
}

impl Screening {
    /// The rules of the file.
    pub(crate) fn read(&self) -> anyhow::Result<RuleSet> {
        if self.rules.as_os_str().is_empty() {
            return Ok(RuleSet::default());
        }
        let shown = self.rules.display();
        let text = std::fs::read_to_string(&self.rules).with_context(|| format!("cannot read {shown}"))?;
        RuleSet::from_toml(&text).with_context(|| format!("{shown} holds no screening rules"))
    }
}

/// Where the server listens and what it calls itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Server {
    /// Address of HTTP and gRPC.
    pub(crate) listen: SocketAddr,
    /// Networks of proxies before this server: only their `X-Forwarded-For`, `Forwarded`, `X-Forwarded-Proto` and
    /// `X-Forwarded-Host` are believed.
    pub(crate) trusted_proxies: Vec<String>,
    /// A second address for the same, where a firewall wants gRPC apart. None by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grpc_listen: Option<SocketAddr>,
    /// Address of `/metrics`; not public. None by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) metrics_listen: Option<SocketAddr>,
    /// The portal's title.
    pub(crate) title: String,
    /// The address that the public uses, such as `https://data.example.gov`; taken from the request if empty.
    pub(crate) public_url: String,
    /// PEM file of the certificate chain; with `tls_key` the server speaks TLS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls_certificate: Option<PathBuf>,
    /// PEM file of the private key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tls_key: Option<PathBuf>,
    /// Directory for workers, spills and running exports; a temporary one if empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scratch: Option<PathBuf>,
}

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            trusted_proxies: Vec::new(),
            grpc_listen: None,
            metrics_listen: None,
            title: "Open Data Portal".to_owned(),
            public_url: String::new(),
            tls_certificate: None,
            tls_key: None,
            scratch: None,
        }
    }
}

/// Where released and staged bytes are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Storage {
    /// `file:///…`, `s3://bucket/prefix`, `gs://…`, `az://…` or `memory://`.
    pub(crate) url: String,
    /// Options of the store, such as `endpoint`, `region` or `allow_http`; keys are the store's own.
    /// Secrets come from the environment (`AWS_…`, `GOOGLE_…`, `AZURE_…`).
    pub(crate) options: BTreeMap<String, String>,
}

impl Default for Storage {
    fn default() -> Self {
        Self { url: "file:///var/lib/portico/storage".to_owned(), options: BTreeMap::new() }
    }
}

impl Storage {
    /// Adds the secrets that the environment has for this kind of storage.
    pub(crate) fn read_environment(&mut self, variable: impl Fn(&str) -> Option<String>) {
        let scheme = self.url.split(':').next().unwrap_or_default();
        let secrets: &[&str] = match scheme {
            "s3" | "s3a" => &[
                "AWS_ACCESS_KEY_ID",
                "AWS_SECRET_ACCESS_KEY",
                "AWS_SESSION_TOKEN",
                "AWS_REGION",
                "AWS_ENDPOINT",
                "AWS_ALLOW_HTTP",
            ],
            "gs" => &["GOOGLE_SERVICE_ACCOUNT", "GOOGLE_SERVICE_ACCOUNT_KEY", "GOOGLE_APPLICATION_CREDENTIALS"],
            "az" | "abfs" | "abfss" => {
                &["AZURE_STORAGE_ACCOUNT_NAME", "AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_KEY"]
            }
            _ => &[],
        };
        for name in secrets {
            if let Some(value) = variable(name) {
                self.options.entry(name.to_lowercase()).or_insert(value);
            }
        }
    }
}

/// Where the catalog is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Catalog {
    /// `sqlite:///path/to/file` or `postgres://…`. `PORTICO_CATALOG_URL` in the environment goes before it.
    pub(crate) url: String,
}

impl Default for Catalog {
    fn default() -> Self {
        Self { url: "sqlite:///var/lib/portico/catalog.sqlite".to_owned() }
    }
}

impl Config {
    /// Reads a file; without one, a data directory gives an embedded portal; without either, the defaults.
    pub(crate) fn load(file: Option<&Path>, data: Option<&Path>) -> anyhow::Result<Self> {
        let mut config = match file {
            Some(file) => {
                let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
                toml::from_str(&text).with_context(|| format!("{} is not a configuration", file.display()))?
            }
            None => Self::default(),
        };
        if let Some(data) = data {
            config.embed(data)?;
        }
        config.read_environment(environment)?;
        config.check()?;
        Ok(config)
    }

    /// Keeps everything under one directory: local files and SQLite. It is made when the first of them is.
    pub(crate) fn embed(&mut self, data: &Path) -> anyhow::Result<()> {
        let data = std::path::absolute(data).with_context(|| format!("cannot use {}", data.display()))?;
        let url = |name: &str| match url::Url::from_file_path(data.join(name)) {
            Ok(url) => Ok(url),
            Err(()) => bail!("{} is not a directory that a URL can name", data.display()),
        };
        self.storage = Storage { url: url("storage")?.to_string(), options: BTreeMap::new() };
        self.catalog = Catalog { url: format!("sqlite://{}", data.join("catalog.sqlite").display()) };
        Ok(())
    }

    fn read_environment(&mut self, variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<()> {
        if let Some(url) = variable("PORTICO_CATALOG_URL") {
            self.catalog.url = url;
        }
        if let Some(url) = variable("PORTICO_MAIL_URL") {
            self.notices.mail_url = url;
        }
        if let Some(secret) = variable("PORTICO_WEBHOOK_SECRET") {
            self.notices.webhook_secret = secret;
        }
        for database in self.sources.databases.values_mut() {
            if let Some(password) = database.password_env.as_deref().and_then(&variable) {
                database.password = password;
            }
        }
        for place in self.sources.objects.values_mut() {
            place.read_environment(&variable);
        }
        if let (Some(oidc), Some(secret)) = (&mut self.identity.oidc, variable("PORTICO_OIDC_CLIENT_SECRET")) {
            oidc.client_secret = Some(secret);
        }
        self.storage.read_environment(variable);
        Ok(())
    }

    /// All faults at once.
    fn check(&self) -> anyhow::Result<()> {
        let mut faults = Vec::new();
        if !self.server.public_url.is_empty() && url::Url::parse(&self.server.public_url).is_err() {
            faults.push("server.public_url is not a URL".to_owned());
        }
        if let Err(text) = portico_serve::TrustedProxies::parse(&self.server.trusted_proxies) {
            faults.push(format!("server.trusted_proxies: {text:?} is no network such as 10.0.0.0/8"));
        }
        if self.server.tls_certificate.is_some() != self.server.tls_key.is_some() {
            faults.push("server.tls_certificate and server.tls_key go together".to_owned());
        }
        if !["sqlite:", "postgres:", "postgresql:"].iter().any(|scheme| self.catalog.url.starts_with(scheme)) {
            faults.push("catalog.url begins with sqlite: or postgres:".to_owned());
        }
        let notices = &self.notices;
        if !notices.mail_url.is_empty() && !notices.mail_from.contains('@') {
            faults.push("notices.mail_from is an e-mail address when there is a mail_url".to_owned());
        }
        if !notices.webhook_url.is_empty() && notices.webhook_secret.is_empty() {
            faults.push("notices.webhook_url wants PORTICO_WEBHOOK_SECRET in the environment".to_owned());
        }
        if self.identity.oidc.is_some() && self.server.public_url.is_empty() {
            faults.push("identity.oidc wants server.public_url, to which the provider sends people back".to_owned());
        }
        for (name, database) in &self.sources.databases {
            if database.password_env.is_some() && database.password_file.is_some() {
                faults.push(format!("sources.databases.{name} has a password_env or a password_file, not both"));
            }
            if database.password_env.is_some() && database.password.is_empty() {
                faults.push(format!("sources.databases.{name}: the environment does not have its password_env"));
            }
        }
        let query = &self.limits.query;
        if query.pool_memory_bytes > query.worker_memory_bytes {
            faults.push("limits.query.pool_memory_bytes is larger than worker_memory_bytes".to_owned());
        }
        if faults.is_empty() { Ok(()) } else { bail!("the configuration has faults:\n  {}", faults.join("\n  ")) }
    }

    /// The effective configuration as TOML, with secrets hidden.
    pub(crate) fn shown(&self) -> anyhow::Result<String> {
        let mut shown = self.clone();
        let places = shown.sources.objects.values_mut().chain([&mut shown.storage]);
        for (name, value) in places.flat_map(|place| &mut place.options) {
            if ["secret", "key", "token", "password", "sas"].iter().any(|word| name.contains(word)) {
                "(hidden)".clone_into(value);
            }
        }
        for shown in [&mut shown.catalog.url, &mut shown.notices.mail_url] {
            if let Ok(mut url) = url::Url::parse(shown)
                && url.password().is_some()
                && url.set_password(Some("hidden")).is_ok()
            {
                *shown = url.to_string();
            }
        }
        // What follows the host of a webhook is what lets post to it.
        if let Ok(url) = url::Url::parse(&shown.notices.webhook_url) {
            shown.notices.webhook_url = format!("{}/(hidden)", url.origin().ascii_serialization());
        }
        Ok(toml::to_string_pretty(&shown)?)
    }
}

/// The one place where the environment is read.
#[allow(clippy::disallowed_methods, reason = "the program is the one that reads the environment")]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_file_shows_every_default() {
        let example: Config = toml::from_str(include_str!("../../portico.example.toml")).unwrap();
        assert_eq!(example, Config::default());
        let shown: toml::Table = toml::from_str(include_str!("../../portico.example.toml")).unwrap();
        let all: toml::Table = toml::from_str(&toml::to_string(&Config::default()).unwrap()).unwrap();
        assert_eq!(shown, all, "portico.example.toml lacks a key or has one too many");
    }

    #[test]
    fn unknown_keys_are_refused_and_secrets_hidden() {
        assert!(toml::from_str::<Config>("[server]\nlisten_on = 'x'").is_err());
        let mut config = Config::default();
        config.storage.url = "s3://bucket/x".to_owned();
        config.catalog.url = "postgres://portico:open-sesame@db/portico".to_owned();
        config.read_environment(|name| (name == "AWS_SECRET_ACCESS_KEY").then(|| "open-sesame".to_owned())).unwrap();
        assert_eq!(config.storage.options["aws_secret_access_key"], "open-sesame");
        config.notices.webhook_url = "https://chat.example/hooks/open-sesame?token=open-sesame".to_owned();
        let shown = config.shown().unwrap();
        assert!(shown.contains("https://chat.example/(hidden)") && !shown.contains("open-sesame"), "{shown}");
    }
}
