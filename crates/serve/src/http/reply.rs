//! Building responses: headers that cannot be injected into, small documents with a tag, bodies of a known length.

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use portico_model::problem::{Problem, ProblemKind};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::http::cache::CachePolicy;
use crate::http::conditional::{self, Condition};
use crate::problem::Refusal;

/// The bytes of an answer on their way; an error breaks the transfer.
pub(crate) type ByteStream = BoxStream<'static, Result<Bytes, Problem>>;

/// A response with its headers, built one by one.
#[derive(Debug)]
pub(crate) struct Reply(Response);

impl Reply {
    pub(crate) fn new(status: StatusCode) -> Self {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = status;
        Self(response)
    }

    /// Sets a header. A value that a header cannot hold (a line break, say) is left out and logged: no text of a
    /// dataset can end a header and begin another.
    pub(crate) fn header(mut self, name: HeaderName, value: impl AsRef<[u8]>) -> Self {
        match HeaderValue::from_bytes(value.as_ref()) {
            Ok(value) => {
                self.0.headers_mut().append(name, value);
            }
            Err(_) => tracing::error!(header = %name, "a header's value cannot be sent"),
        }
        self
    }

    /// Sets a header when there is a value.
    pub(crate) fn header_opt(self, name: HeaderName, value: Option<impl AsRef<[u8]>>) -> Self {
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    /// Sets a header once for each value.
    pub(crate) fn headers(self, name: HeaderName, values: &[String]) -> Self {
        values.iter().fold(self, |reply, value| reply.header(name.clone(), value))
    }

    /// Sets the policy for caches.
    pub(crate) fn cache(self, policy: CachePolicy) -> Self {
        self.header(header::CACHE_CONTROL, policy.header())
    }

    /// Ends with these bytes.
    pub(crate) fn bytes(mut self, bytes: impl Into<Bytes>) -> Response {
        let bytes: Bytes = bytes.into();
        self.0.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(bytes.len()));
        *self.0.body_mut() = Body::from(bytes);
        self.0
    }

    /// Ends with a stream; with a length, a stream that is shorter or longer breaks the transfer.
    pub(crate) fn stream(mut self, stream: ByteStream, length: Option<u64>) -> Response {
        let stream = match length {
            Some(length) => {
                self.0.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
                exactly(stream, length)
            }
            None => stream,
        };
        *self.0.body_mut() = Body::from_stream(stream);
        self.0
    }

    /// Ends with a length but no bytes, for `HEAD`.
    pub(crate) fn head(mut self, length: Option<u64>) -> Response {
        if let Some(length) = length {
            self.0.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        self.0
    }

    /// Ends without a body.
    pub(crate) fn empty(self) -> Response {
        self.0
    }
}

/// Passes a stream on and fails unless it holds exactly `length` bytes.
fn exactly(stream: ByteStream, length: u64) -> ByteStream {
    let wrong = |what| Err(Problem::new(ProblemKind::Internal, what));
    let state = (stream, length, false);
    Box::pin(stream::unfold(state, move |(mut stream, left, ended)| async move {
        if ended {
            return None;
        }
        match stream.next().await {
            Some(Ok(bytes)) => {
                let size = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
                match left.checked_sub(size) {
                    Some(left) => Some((Ok(bytes), (stream, left, false))),
                    None => Some((wrong("The file is longer than announced."), (stream, 0, true))),
                }
            }
            Some(Err(problem)) => Some((Err(problem), (stream, left, true))),
            None if left > 0 => Some((wrong("The file is shorter than announced."), (stream, 0, true))),
            None => None,
        }
    }))
}

/// Waits for the first bytes, so that what fails before them is still a problem document.
///
/// # Errors
/// What the stream failed with.
pub(crate) async fn begun(mut stream: ByteStream) -> Result<ByteStream, Refusal> {
    match stream.next().await {
        Some(Ok(first)) => Ok(stream::once(async { Ok(first) }).chain(stream).boxed()),
        Some(Err(problem)) => Err(problem.into()),
        None => Ok(stream::empty().boxed()),
    }
}

/// Answers a small document: a strong tag over its bytes, `304` when the client has it.
///
/// # Errors
/// `PreconditionFailed` as in [`conditional::evaluate`].
pub(crate) fn document(
    request: &HeaderMap,
    content_type: &str,
    body: impl Into<Bytes>,
    policy: CachePolicy,
) -> Result<Response, Refusal> {
    let body: Bytes = body.into();
    let etag = format!("\"{}\"", short_digest(&body));
    let condition = conditional::evaluate(request, &etag, None)?;
    let status = if condition == Condition::NotModified { StatusCode::NOT_MODIFIED } else { StatusCode::OK };
    let reply = Reply::new(status).header(header::ETAG, etag).cache(policy);
    Ok(match condition {
        Condition::NotModified => reply.empty(),
        Condition::Proceed => reply.header(header::CONTENT_TYPE, content_type).bytes(body),
    })
}

/// Answers a value as JSON, as [`document`] does.
///
/// # Errors
/// As [`document`]; `Internal` when the value cannot be written.
pub(crate) fn json<T: Serialize>(request: &HeaderMap, value: &T, policy: CachePolicy) -> Result<Response, Refusal> {
    let body = serde_json::to_vec(value).map_err(|_| Problem::internal())?;
    document(request, "application/json", body, policy)
}

/// The first half of a SHA-256, in hex: enough to tell documents apart.
pub(crate) fn short_digest(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunks(parts: &'static [&'static str]) -> ByteStream {
        stream::iter(parts.iter().map(|part| Ok(Bytes::from_static(part.as_bytes())))).boxed()
    }

    #[tokio::test]
    async fn a_body_of_another_length_breaks() {
        let outcome = |parts, length| async move {
            let body = Reply::new(StatusCode::OK).stream(chunks(parts), Some(length)).into_body();
            axum::body::to_bytes(body, 100).await.ok()
        };
        assert_eq!(outcome(&["ab", "c"], 3).await.unwrap(), "abc");
        assert!(outcome(&["ab", "c"], 2).await.is_none());
        assert!(outcome(&["ab", "c"], 4).await.is_none());
    }

    #[tokio::test]
    async fn a_failure_before_the_first_byte_is_a_problem() {
        let failed = stream::once(async { Err(Problem::new(ProblemKind::QueryTimeout, "Too slow.")) }).boxed();
        assert_eq!(begun(failed).await.err().unwrap().kind(), ProblemKind::QueryTimeout);
        let whole: Vec<_> = begun(chunks(&["a", "b"])).await.unwrap().collect().await;
        assert_eq!(whole.len(), 2);
    }

    #[test]
    fn no_value_ends_a_header() {
        let response = Reply::new(StatusCode::OK).header(header::LINK, "a\r\nx-evil: 1").empty();
        assert!(response.headers().is_empty());
    }

    #[test]
    fn an_unchanged_document_is_not_sent_again() {
        let first = document(&HeaderMap::new(), "text/plain", "hello", CachePolicy::Revalidate).unwrap();
        let again = HeaderMap::from_iter([(header::IF_NONE_MATCH, first.headers()[header::ETAG].clone())]);
        let second = document(&again, "text/plain", "hello", CachePolicy::Revalidate).unwrap();
        assert_eq!(second.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(second.headers()[header::CACHE_CONTROL], "public, no-cache");
        let changed = document(&again, "text/plain", "hullo", CachePolicy::Revalidate).unwrap();
        assert_eq!(changed.status(), StatusCode::OK);
    }
}
