//! Who asks: the first beat of every handler.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, Method, header};
use portico_model::policy::Principal;
use portico_query::answer::Caller;

use crate::accept::address_block;
use crate::client::Client;
use crate::http::parameters::Parameters;
use crate::problem::Refusal;

/// The caller of a request: the block of its client's address.
#[derive(Clone, Debug)]
pub(crate) struct Asker(pub(crate) Caller);

impl<S: Sync> FromRequestParts<S> for Asker {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        // Without a connection, as in a test, everyone is the same caller.
        let client = parts.extensions.get::<Client>();
        let block = client.map_or_else(|| "local".to_owned(), |client| address_block(client.address));
        Ok(Self(Caller { address_block: block, principal: Principal::Anonymous }))
    }
}

/// A request without a body, for handlers that decide by the path what to do with it.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) query: Parameters,
    /// Whether it came over TLS.
    pub(crate) tls: bool,
    /// The host that it was sent to.
    pub(crate) host: Option<String>,
}

impl<S: Sync> FromRequestParts<S> for Visit {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let client = parts.extensions.get::<Client>().cloned();
        let named = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok().map(str::to_owned));
        Ok(Self {
            query: Parameters::from_request_parts(parts, state).await?,
            method: parts.method.clone(),
            headers: parts.headers.clone(),
            tls: client.as_ref().is_some_and(|client| client.tls),
            host: client.and_then(|client| client.host).or(named),
        })
    }
}
