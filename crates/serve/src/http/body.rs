//! Reading a request's body: as a whole, within the operator's limits of size and time, never decompressed.

use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use http::{HeaderMap, header};
use portico_model::limits::HttpLimits;
use portico_model::problem::ProblemKind;
use tokio::time::timeout;

use crate::problem::Refusal;

/// Reads a body of at most `limits.body_bytes` within `limits.body_ms`.
///
/// # Errors
/// `TooLarge`, `UnsupportedMediaType` for a compressed body (a bomb is small until it is opened), and
/// `InvalidRequest` when it does not arrive whole and in time.
pub(crate) async fn read(headers: &HeaderMap, body: Body, limits: &HttpLimits) -> Result<Bytes, Refusal> {
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        let detail = "Send the body without Content-Encoding: compressed requests are not read here.";
        return Err(Refusal::new(ProblemKind::UnsupportedMediaType, detail));
    }
    let too_large = || {
        let detail = format!("The body is over the limit of {} bytes.", limits.body_bytes);
        Refusal::new(ProblemKind::TooLarge, detail)
    };
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limits.body_bytes) {
        return Err(too_large());
    }
    let maximum = usize::try_from(limits.body_bytes).unwrap_or(usize::MAX);
    let collect = async {
        let mut stream = body.into_data_stream();
        let mut whole = BytesMut::new();
        while let Some(chunk) = stream.next().await {
            let chunk = chunk.map_err(|_| broken("The body did not arrive whole."))?;
            if whole.len().saturating_add(chunk.len()) > maximum {
                return Err(too_large());
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole.freeze())
    };
    match timeout(Duration::from_millis(limits.body_ms), collect).await {
        Ok(outcome) => outcome,
        Err(_) => Err(broken("The body took too long to arrive.")),
    }
}

fn broken(detail: &str) -> Refusal {
    Refusal::new(ProblemKind::InvalidRequest, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_before_it_is_read() {
        let limits = HttpLimits { body_bytes: 4, ..HttpLimits::default() };
        let refused = async |headers, body: &'static str| {
            read(&headers, Body::from(body), &limits).await.err().map(|refusal| refusal.kind())
        };
        assert_eq!(refused(HeaderMap::new(), "four").await, None);
        assert_eq!(refused(HeaderMap::new(), "fives").await, Some(ProblemKind::TooLarge));
        let announced = HeaderMap::from_iter([(header::CONTENT_LENGTH, "5".parse().unwrap())]);
        assert_eq!(refused(announced, "").await, Some(ProblemKind::TooLarge));
        let packed = HeaderMap::from_iter([(header::CONTENT_ENCODING, "gzip".parse().unwrap())]);
        assert_eq!(refused(packed, "x").await, Some(ProblemKind::UnsupportedMediaType));
    }

    #[tokio::test]
    async fn a_body_that_never_ends_is_given_up() {
        let never = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
        let limits = HttpLimits { body_ms: 5, ..HttpLimits::default() };
        let refusal = read(&HeaderMap::new(), never, &limits).await.unwrap_err();
        assert_eq!(refusal.detail(), "The body took too long to arrive.");
    }
}
