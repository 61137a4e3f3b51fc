//! Who calls: by address, and by an `authorization` header where there is one.

use arrow_flight::HandshakeResponse;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::{StreamExt as _, stream};
use portico_model::order::{IpcCompression, OutputOptions};
use portico_model::policy::Principal;
use portico_model::problem::{Problem, ProblemKind};
use portico_publish::TokenText;
use portico_query::answer::Caller;
use tonic::{Request, Response, Status};

use super::{Flow, Reply};
use crate::accept::address_block;
use crate::client::Client;
use crate::http::staff::asker;
use crate::problem::grpc_status;
use crate::rates::Meter;
use crate::site::Site;

/// The name, and the bearer token, of somebody who does not want to be anybody: clients that cannot leave the
/// handshake out send it with any password.
const ANONYMOUS: &str = "anonymous";

/// A caller and how it wants its batches.
pub(super) struct Visitor {
    pub(super) caller: Caller,
    pub(super) options: OutputOptions,
    pub(super) meter: Meter,
    /// Whoever showed a token. Reading is the same for everybody; the road in is theirs.
    pub(super) staff: Option<Principal>,
}

impl Visitor {
    /// Reads a call's connection and headers. A credential that cannot be known is refused, never taken for none; one
    /// that can be is for [`Visitor::identified`].
    pub(super) fn of<T>(request: &Request<T>) -> Result<(Self, Option<String>), Problem> {
        let shown = match header(request, "authorization").filter(|header| !is_anonymous(header)) {
            None => None,
            Some(header) => Some(token(header).ok_or_else(not_valid)?),
        };
        let ipc_compression = match header(request, "x-portico-ipc-compression") {
            None => IpcCompression::None,
            Some("lz4") => IpcCompression::Lz4,
            Some("zstd") => IpcCompression::Zstd,
            Some(_) => return Err(super::bad("x-portico-ipc-compression is lz4 or zstd.")),
        };
        let client = request.extensions().get::<Client>();
        let address_block = client.map_or_else(|| "local".to_owned(), |client| address_block(client.address));
        let visitor = Self {
            caller: Caller { address_block, principal: Principal::Anonymous },
            options: OutputOptions { ipc_compression, ..OutputOptions::default() },
            meter: request.extensions().get::<Meter>().cloned().unwrap_or_default(),
            staff: None,
        };
        Ok((visitor, shown))
    }

    /// The same visitor, with the holder of the token that was shown.
    pub(super) async fn identified(self, site: &Site, shown: Option<String>) -> Result<Self, Problem> {
        let Some(shown) = shown else { return Ok(self) };
        let member = asker::identify(site, &shown).await?.ok_or_else(not_valid)?;
        Ok(Self { staff: Some(member.principal), ..self })
    }
}

fn not_valid() -> Problem {
    let detail = "The credential is not valid. Reading needs none: leave the authorization header out.";
    Problem::new(ProblemKind::Unauthenticated, detail)
}

/// The text of a bearer that can be a token.
fn token(header: &str) -> Option<String> {
    let (scheme, text) = header.split_once(' ')?;
    let text = text.trim();
    (scheme.eq_ignore_ascii_case("bearer") && TokenText::parse(text).is_some()).then(|| text.to_owned())
}

/// `authorization: Basic` with the name `anonymous`, or no credential at all, gives the anonymous bearer.
pub(super) fn handshake<T>(request: &Request<T>) -> Reply<Flow<HandshakeResponse>> {
    if header(request, "authorization").is_some_and(|header| !is_anonymous(header)) {
        let detail = "There is no such user. Reading needs none: connect without a user name, or as anonymous.";
        return Err(grpc_status(&Problem::new(ProblemKind::Unauthenticated, detail)));
    }
    let answer = HandshakeResponse { protocol_version: 0, payload: ANONYMOUS.into() };
    let mut response = Response::new(stream::iter([Ok::<_, Status>(answer)]).boxed());
    response.metadata_mut().insert("authorization", tonic::metadata::MetadataValue::from_static("Bearer anonymous"));
    Ok(response)
}

fn header<'a, T>(request: &'a Request<T>, name: &str) -> Option<&'a str> {
    request.metadata().get(name).map(|value| value.to_str().unwrap_or("?"))
}

fn is_anonymous(header: &str) -> bool {
    let Some((scheme, credential)) = header.split_once(' ') else { return false };
    match scheme.to_ascii_lowercase().as_str() {
        // Some clients send the header with an empty token, spelt as their language spells it, when they have none.
        "bearer" => matches!(credential, ANONYMOUS | "" | "None"),
        "basic" => STANDARD.decode(credential).is_ok_and(|pair| {
            let name = pair.split(|byte| *byte == b':').next().unwrap_or_default();
            name == ANONYMOUS.as_bytes() || name.is_empty()
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: Option<&'static str>, allowed: bool) {
        let mut request = Request::new(());
        if let Some(header) = header {
            request.metadata_mut().insert("authorization", header.parse().unwrap());
        }
        assert_eq!(Visitor::of(&request).is_ok(), allowed, "{header:?}");
        assert_eq!(handshake(&request).is_ok(), allowed, "{header:?}");
    }

    #[test]
    fn an_unknown_credential_is_refused_and_not_taken_for_none() {
        check(None, true);
        check(Some("Bearer anonymous"), true);
        check(Some("Bearer None"), true);
        check(Some("Basic YW5vbnltb3VzOng="), true);
        check(Some("Basic cm9vdDp4"), false);
        check(Some("Bearer anything"), false);
        check(Some("nonsense"), false);
    }
}
