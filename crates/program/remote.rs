//! A server's staff API, as the command line uses it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use portico_model::problem::ProblemKind;
use reqwest::{Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use crate::args::Reach;
use crate::config::environment;

/// How long a server may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(15);

/// A server and the token for it. It is never printed.
pub(crate) struct Remote {
    base: Url,
    token: String,
    client: reqwest::Client,
}

impl Remote {
    /// The server that the command line names, if it names one.
    pub(crate) fn of(reach: &Reach) -> anyhow::Result<Option<Self>> {
        let Some(server) = &reach.server else { return Ok(None) };
        let base = Url::parse(server).context("--server wants a URL such as https://data.example.gov")?;
        if !matches!(base.scheme(), "http" | "https") || base.host_str().is_none() {
            bail!("--server wants a URL such as https://data.example.gov");
        }
        let token = token(reach)?;
        if base.scheme() == "http" && !is_this_machine(&base) {
            tracing::warn!("the token goes to the server unencrypted: anyone on the way can read it");
        }
        // A token is for the server that was named, and follows no redirection.
        let client =
            reqwest::Client::builder().connect_timeout(CONNECT).redirect(reqwest::redirect::Policy::none()).build()?;
        Ok(Some(Self { base, token, client }))
    }

    /// Asks for something; `path` goes on after `/api/staff/`.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> anyhow::Result<T> {
        self.send(self.request(Method::GET, path)?).await
    }

    /// Asks for something with a query string.
    pub(crate) async fn get_with<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> anyhow::Result<T> {
        self.send(self.request(Method::GET, path)?.query(query)).await
    }

    /// Says something, as JSON.
    pub(crate) async fn say<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &[&str],
        body: &Value,
    ) -> anyhow::Result<T> {
        let request = self.request(method, path)?.header("content-type", "application/json").body(body.to_string());
        self.send(request).await
    }

    /// Ends what a query names.
    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &[&str], query: &[(&str, &str)]) -> anyhow::Result<T> {
        self.send(self.request(Method::DELETE, path)?.query(query)).await
    }

    /// Sends a file.
    pub(crate) async fn upload<T: DeserializeOwned>(
        &self,
        path: &[&str],
        query: &[(&str, &str)],
        file: &Path,
    ) -> anyhow::Result<T> {
        let file = tokio::fs::File::open(file).await.context("the file cannot be read")?;
        let length = file.metadata().await?.len();
        let request = self.request(Method::POST, path)?.query(query);
        let request = request.header("content-type", "application/octet-stream").header("content-length", length);
        self.send(request.body(reqwest::Body::from(file))).await
    }

    fn request(&self, method: Method, path: &[&str]) -> anyhow::Result<RequestBuilder> {
        let mut url = self.base.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => drop(segments.pop_if_empty().extend(["api", "staff"]).extend(path)),
            Err(()) => bail!("--server wants a URL such as https://data.example.gov"),
        }
        Ok(self.client.request(method, url).bearer_auth(&self.token))
    }

    async fn send<T: DeserializeOwned>(&self, request: RequestBuilder) -> anyhow::Result<T> {
        let answer = request.send().await.map_err(reqwest::Error::without_url).context("the server does not answer")?;
        if !answer.status().is_success() {
            return Err(problem(answer).await);
        }
        let body = answer.bytes().await.map_err(reqwest::Error::without_url).context("the answer broke off")?;
        serde_json::from_slice(&body).context("the server's answer is not that of a portal of this release")
    }
}

/// A problem that the server has told.
#[derive(Debug)]
pub(crate) struct Told {
    /// The kind of problem, if it is one that this release knows.
    pub(crate) kind: Option<ProblemKind>,
    text: String,
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Told {}

/// What the server says is wrong.
async fn problem(answer: Response) -> anyhow::Error {
    let status = answer.status();
    let document = answer.bytes().await.unwrap_or_default();
    let problem: Value = serde_json::from_slice(&document).unwrap_or_default();
    let text = |key: &str| problem.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let code = text("type");
    let code = code.rsplit(['#', '/']).next().unwrap_or_default();
    let kind = ProblemKind::ALL.iter().copied().find(|kind| kind.code() == code);
    let text = match (text("title"), text("detail")) {
        (title, _) if title.is_empty() => format!("the server answers {status}, and does not say why"),
        (title, detail) => format!("{title}: {detail}"),
    };
    Told { kind, text }.into()
}

fn token(reach: &Reach) -> anyhow::Result<String> {
    let found = match (&reach.token, &reach.token_file) {
        (Some(token), _) => Some(token.clone()),
        (None, Some(file)) => {
            Some(std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?)
        }
        (None, None) => environment("PORTICO_TOKEN"),
    };
    let token = found.unwrap_or_default().trim().to_owned();
    if token.is_empty() {
        bail!("--server wants a token: PORTICO_TOKEN in the environment, --token-file FILE or --token TOKEN");
    }
    if portico_publish::TokenText::parse(&token).is_none() {
        bail!("that is no token: one begins with portico_ and has 80 characters; was it cut?");
    }
    Ok(token)
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}
