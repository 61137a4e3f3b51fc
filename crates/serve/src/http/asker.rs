//! Who asks: the first beat of every handler.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, Method};
use portico_model::policy::Principal;
use portico_query::answer::Caller;

use crate::accept::{Peer, address_block};
use crate::http::parameters::Parameters;
use crate::problem::Refusal;

/// The caller of a request: the block of the connection's own address. Headers that name another address are not
/// believed, so that nobody gets a second share of the limits by inventing one.
#[derive(Clone, Debug)]
pub(crate) struct Asker(pub(crate) Caller);

impl<S: Sync> FromRequestParts<S> for Asker {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        // Without a connection, as in a test, everyone is the same caller.
        let block = parts.extensions.get::<Peer>().map_or_else(|| "local".to_owned(), |p| address_block(p.address));
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
}

impl<S: Sync> FromRequestParts<S> for Visit {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        Ok(Self {
            query: Parameters::from_request_parts(parts, state).await?,
            method: parts.method.clone(),
            headers: parts.headers.clone(),
            tls: parts.extensions.get::<Peer>().is_some_and(|peer| peer.tls),
        })
    }
}
