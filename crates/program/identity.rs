//! `[identity]`: how staff sign in at their browsers, and the client that speaks to the provider.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use portico_model::name::DatasetName;
use portico_model::policy::{Role, Scope};
use portico_serve::{Duty, Fetch, FetchError, Provider, ProviderSettings};
use serde::{Deserialize, Serialize};

use crate::config::Config;

/// How long the provider may take for an answer.
const ANSWER: Duration = Duration::from_secs(10);
/// Bytes of the longest answer: keys, an ID token with thousands of groups.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// How staff sign in at their browsers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Identity {
    /// The government's OpenID Connect provider. None by default: then there are one-time links.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) oidc: Option<Oidc>,
}

/// An OpenID Connect provider.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Oidc {
    /// Its issuer identifier: `/.well-known/openid-configuration` is found below it.
    pub(crate) issuer: String,
    /// What it calls the portal.
    pub(crate) client_id: String,
    /// File that holds the portal's secret there; `PORTICO_OIDC_CLIENT_SECRET` in the environment goes before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_secret_file: Option<PathBuf>,
    #[serde(skip)]
    pub(crate) client_secret: Option<String>,
    /// What is asked for besides `openid`.
    #[serde(default = "scopes")]
    pub(crate) scopes: Vec<String>,
    /// The claim that names a person in the audit log.
    #[serde(default = "name_claim")]
    pub(crate) name_claim: String,
    /// The claim that lists a person's groups.
    #[serde(default = "groups_claim")]
    pub(crate) groups_claim: String,
    /// What groups mean here, the most important first.
    pub(crate) map: Vec<Mapped>,
}

impl std::fmt::Debug for Oidc {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Oidc").field("issuer", &self.issuer).field("client_id", &self.client_id).finish_non_exhaustive()
    }
}

/// What a group means here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mapped {
    /// The group, as the provider's claim has it.
    pub(crate) group: String,
    /// The roles that its members have.
    pub(crate) roles: Vec<Role>,
    /// For every dataset, and the portal as a whole.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) everywhere: bool,
    /// For the datasets of these departments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) departments: Vec<String>,
    /// For these datasets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) datasets: Vec<DatasetName>,
}

fn scopes() -> Vec<String> {
    vec!["email".to_owned(), "profile".to_owned()]
}

fn name_claim() -> String {
    "email".to_owned()
}

fn groups_claim() -> String {
    "groups".to_owned()
}

/// The provider that the configuration names, if it names one.
pub(crate) fn provider(config: &Config) -> anyhow::Result<Option<Provider>> {
    let Some(oidc) = &config.identity.oidc else { return Ok(None) };
    let secret = match (&oidc.client_secret, &oidc.client_secret_file) {
        (Some(secret), _) => Some(secret.clone()),
        (None, Some(file)) => {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            Some(text.trim().to_owned())
        }
        (None, None) => None,
    };
    let settings = ProviderSettings {
        issuer: oidc.issuer.clone(),
        client_id: oidc.client_id.clone(),
        client_secret: secret.filter(|secret| !secret.is_empty()),
        public_url: config.server.public_url.clone(),
        scopes: oidc.scopes.clone(),
        name_claim: oidc.name_claim.clone(),
        groups_claim: oidc.groups_claim.clone(),
        duties: oidc.map.iter().map(duty).collect::<anyhow::Result<_>>()?,
    };
    match Provider::new(settings, fetch()?) {
        Ok(provider) => Ok(Some(provider)),
        Err(why) => bail!("identity.oidc: {why}"),
    }
}

fn duty(mapped: &Mapped) -> anyhow::Result<Duty> {
    let Mapped { group, roles, everywhere, departments, datasets } = mapped.clone();
    if everywhere && !(departments.is_empty() && datasets.is_empty()) {
        bail!("identity.oidc.map: the group {group} is everywhere, so it needs no departments and datasets");
    }
    let scope = if everywhere { Scope::All } else { Scope::Only { departments, datasets } };
    Ok(Duty { group, roles, scope })
}

/// The client that speaks to the provider: it follows no redirection, and waits and reads within limits.
fn fetch() -> anyhow::Result<Fetch> {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).timeout(ANSWER).build()?;
    Ok(Arc::new(move |request| {
        let client = client.clone();
        Box::pin(async move { send(&client, request).await })
    }))
}

async fn send(
    client: &reqwest::Client,
    request: http::Request<Vec<u8>>,
) -> Result<http::Response<Vec<u8>>, FetchError> {
    let failed = |error: reqwest::Error| FetchError(format!("{:#}", anyhow::Error::from(error.without_url())));
    let request = reqwest::Request::try_from(request).map_err(failed)?;
    let mut answer = client.execute(request).await.map_err(failed)?;
    let (status, headers) = (answer.status(), answer.headers().clone());
    let mut body = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if body.len().saturating_add(chunk.len()) > ANSWER_BYTES_MAX {
            return Err(FetchError("the answer is too long".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    let mut response = http::Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: &str = r#"
        server.public_url = "https://data.example.gov"
        [identity.oidc]
        issuer = "https://login.example.gov"
        client_id = "portico"
        [[identity.oidc.map]]
        group = "team"
        roles = ["open-data", "admin"]
        everywhere = true
        [[identity.oidc.map]]
        group = "parks"
        roles = ["steward"]
        departments = ["Parks"]
        datasets = ["street-trees"]
    "#;

    #[test]
    fn what_the_operator_says_becomes_a_provider() {
        let config: Config = toml::from_str(SAID).unwrap();
        assert!(provider(&config).unwrap().is_some());
        assert!(provider(&Config::default()).unwrap().is_none());
        let here: Config =
            toml::from_str(&SAID.replacen("https://data.example.gov", "http://localhost:8080", 1)).unwrap();
        assert!(provider(&here).unwrap().is_some());
        for (good, bad, told) in [
            ("everywhere = true", "", "is for nothing"),
            ("everywhere = true", "departments = [\"Parks\"]", "role admin"),
            ("everywhere = true", "everywhere = true\ndepartments = [\"Parks\"]", "needs no departments"),
            ("https://login", "http://login", "https://"),
            ("https://data", "http://data", "server.public_url begins with https://"),
            ("roles = [\"steward\"]", "roles = []", "at least one role"),
        ] {
            let config: Config = toml::from_str(&SAID.replacen(good, bad, 1)).unwrap();
            let why = provider(&config).unwrap_err().to_string();
            assert!(why.contains(told), "{bad}: {why}");
        }
        assert!(toml::from_str::<Config>(&SAID.replace("\"steward\"", "\"king\"")).is_err());
        assert!(toml::from_str::<Config>(&SAID.replace("client_id", "secret = \"x\"\nclient_id")).is_err());
    }

    #[test]
    fn the_secret_is_not_shown() {
        let mut config: Config = toml::from_str(SAID).unwrap();
        config.identity.oidc.as_mut().unwrap().client_secret = Some("open-sesame".to_owned());
        assert!(!config.shown().unwrap().contains("open-sesame") && !format!("{config:?}").contains("open-sesame"));
    }
}
