//! Signing in at the government's identity provider: OpenID Connect, authorization code with PKCE.
//!
//! ```text
//! /staff/signin/provider ─▶ attempt: a random text in a cookie ─▶ state, nonce and verifier are digests of it
//!        provider: the person signs in ─▶ /staff/signin/callback?code&state ─▶ the state fits the cookie?
//!        code + verifier ─▶ token endpoint ─▶ ID token ─▶ signature, issuer, audience, times, nonce ─▶ groups ─▶ duties
//! ```
//!
//! Nothing is kept between the two requests but the cookie, so that any replica may answer the second one.

mod attempt;
mod claims;
mod duties;
mod keys;

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod, CoreProviderMetadata};
use openidconnect::{
    AuthType, AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet, EndpointSet,
    Nonce, PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, Scope as Asked, TokenResponse as _,
};
use portico_model::problem::{Problem, ProblemKind};
use url::Url;

pub(crate) use attempt::Attempt;
pub use duties::Duty;
pub(crate) use duties::Person;
use keys::Keys;

/// Sends one request to the provider, within the limits of whoever made it: the program has a client for it, tests have
/// a provider in memory.
pub type Fetch = Arc<dyn Fn(http::Request<Vec<u8>>) -> Fetched + Send + Sync>;

/// What the provider will answer.
type Fetched = BoxFuture<'static, Result<http::Response<Vec<u8>>, FetchError>>;

/// Why the provider did not answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct FetchError(pub String);

/// What the operator says of the identity provider.
#[derive(Clone)]
pub struct ProviderSettings {
    /// Its issuer identifier, as it is in its ID tokens.
    pub issuer: String,
    /// What it calls the portal.
    pub client_id: String,
    /// The portal's secret there; none for a public client.
    pub client_secret: Option<String>,
    /// Where the public finds the portal, such as `https://data.example.gov`.
    pub public_url: String,
    /// What is asked for besides `openid`.
    pub scopes: Vec<String>,
    /// The claim that names a person in the audit log.
    pub name_claim: String,
    /// The claim that lists a person's groups.
    pub groups_claim: String,
    /// What groups mean here, the most important first.
    pub duties: Vec<Duty>,
}

impl fmt::Debug for ProviderSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderSettings").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

/// The identity provider.
pub struct Provider {
    settings: ProviderSettings,
    redirect: RedirectUrl,
    keys: Keys,
}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Provider").field(&self.settings).finish()
    }
}

/// The provider as the portal speaks to it: where people are sent is known, where codes are changed it may have said.
type Spoken =
    CoreClient<EndpointSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointMaybeSet, EndpointMaybeSet>;

/// What the provider sends a person back with.
#[derive(Debug)]
pub(crate) struct Returned {
    pub(crate) code: String,
    pub(crate) state: String,
    /// RFC 9207: who answers.
    pub(crate) issuer: Option<String>,
}

impl Provider {
    /// A provider. It is asked for its addresses and keys when somebody signs in first.
    ///
    /// # Errors
    /// With what is wrong with the settings.
    pub fn new(settings: ProviderSettings, fetch: Fetch) -> Result<Self, String> {
        let issuer = Url::parse(&settings.issuer).map_err(|_| "the issuer is not a URL".to_owned())?;
        if !is_safe(&issuer) {
            return Err("the issuer begins with https://".to_owned());
        }
        let callback = format!("{}/staff/signin/callback", settings.public_url.trim_end_matches('/'));
        let redirect = RedirectUrl::new(callback).map_err(|_| "the portal's public URL is not a URL".to_owned())?;
        if !is_safe(redirect.url()) {
            return Err(
                "server.public_url begins with https:// where people sign in, except on this machine".to_owned()
            );
        }
        if settings.client_id.is_empty() || settings.duties.is_empty() {
            return Err("a client id and at least one group are needed".to_owned());
        }
        for duty in &settings.duties {
            duty.check()?;
        }
        let keys = Keys::new(&settings.issuer, fetch)?;
        Ok(Self { settings, redirect, keys })
    }

    /// Asks the provider for its addresses and keys, to see whether it answers.
    ///
    /// # Errors
    /// `Unavailable` when it does not.
    pub async fn ask(&self, now_ms: i64) -> Result<(), Problem> {
        self.keys.known(now_ms).await.map(drop)
    }

    /// Where to send a person for an attempt to sign in.
    ///
    /// # Errors
    /// `Unavailable` when the provider does not say where that is.
    pub(crate) async fn begin(&self, attempt: &Attempt, now_ms: i64) -> Result<Url, Problem> {
        let known = self.keys.known(now_ms).await?;
        let client = self.speak(&known);
        let verifier = PkceCodeVerifier::new(attempt.verifier());
        let (state, nonce) = (attempt.state(), attempt.nonce());
        let flow = CoreAuthenticationFlow::AuthorizationCode;
        let scopes = self.settings.scopes.iter().map(|scope| Asked::new(scope.clone()));
        let (url, _, _) = client
            .authorize_url(flow, move || CsrfToken::new(state), move || Nonce::new(nonce))
            .add_scopes(scopes)
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .url();
        Ok(url)
    }

    /// Who it is that the provider sends back for an attempt.
    ///
    /// # Errors
    /// `InvalidRequest` for an answer to another attempt, `Forbidden` for an ID token that is not good and for a person
    /// without duties here, `Unavailable` when the provider does not answer.
    pub(crate) async fn end(&self, attempt: &Attempt, returned: Returned, now_ms: i64) -> Result<Person, Problem> {
        if !attempt.fits(&returned.state, now_ms) {
            return Err(not_begun_here());
        }
        if returned.issuer.is_some_and(|issuer| issuer != self.settings.issuer) {
            return Err(refused("another provider answers than was asked"));
        }
        let known = self.keys.known(now_ms).await?;
        let client = self.speak(&known);
        let request = client.exchange_code(AuthorizationCode::new(returned.code)).map_err(|error| failed(&error))?;
        let request = request.set_pkce_verifier(PkceCodeVerifier::new(attempt.verifier()));
        let answer = request.request_async(&self.keys.client()).await.map_err(|error| match error {
            openidconnect::RequestTokenError::ServerResponse(said) => {
                refused(&format!("the code was not taken: {}", said.error()))
            }
            other => failed(&other),
        })?;
        let token = answer.id_token().ok_or_else(|| refused("no ID token came with the code"))?;
        let nonce = Nonce::new(attempt.nonce());
        let claims = match claims::verified(token, &self.checks(&known), &nonce, now_ms) {
            // The provider has a new key, perhaps with the name of the old one. It is asked again, not too often.
            Err(claims::Bad::UnknownKey) => match self.keys.newer(&known, now_ms).await? {
                Some(newer) => claims::verified(token, &self.checks(&newer), &nonce, now_ms),
                None => Err(claims::Bad::UnknownKey),
            },
            other => other,
        };
        let claims = claims.map_err(|bad| refused(&bad.to_string()))?;
        Person::of(&claims, &self.settings)
    }

    fn speak(&self, metadata: &CoreProviderMetadata) -> Spoken {
        let secret = self.settings.client_secret.clone().map(ClientSecret::new);
        let id = ClientId::new(self.settings.client_id.clone());
        let client = CoreClient::from_provider_metadata(metadata.clone(), id, secret);
        let methods = metadata.token_endpoint_auth_methods_supported();
        let basic = methods.is_none_or(|methods| methods.contains(&CoreClientAuthMethod::ClientSecretBasic));
        let client = client.set_auth_type(if basic { AuthType::BasicAuth } else { AuthType::RequestBody });
        client.set_redirect_uri(self.redirect.clone())
    }

    fn checks(&self, metadata: &CoreProviderMetadata) -> claims::Checks {
        claims::Checks {
            client_id: self.settings.client_id.clone(),
            issuer: metadata.issuer().clone(),
            keys: metadata.jwks().clone(),
        }
    }
}

/// Whether nobody on the way can read or change what is said to an address: TLS, or this very machine.
pub(crate) fn is_safe(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_here(url))
}

/// Whether an address is one of this very machine.
pub(crate) fn is_here(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

pub(crate) fn not_begun_here() -> Problem {
    let detail = "This sign-in was not begun in this browser, or too long ago. Begin again at /staff.";
    Problem::new(ProblemKind::InvalidRequest, detail)
}

/// An answer that is not believed. What exactly is wrong with it is for the log: it concerns the operator.
fn refused(why: &str) -> Problem {
    tracing::warn!(why, "a sign-in at the identity provider is refused");
    let detail =
        "The identity provider's answer is not good. Begin again at /staff; if it happens again, tell the operator.";
    Problem::new(ProblemKind::Forbidden, detail)
}

fn failed(error: &(dyn std::error::Error + 'static)) -> Problem {
    tracing::error!(error, "the identity provider cannot be asked");
    unavailable()
}

fn unavailable() -> Problem {
    Problem::new(ProblemKind::Unavailable, "The identity provider does not answer right now.")
}
