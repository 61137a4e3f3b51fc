//! An answer on its way out: problems while nothing has left, a broken transfer afterwards.

use std::time::Duration;

use axum::response::Response;
use bytes::{Bytes, BytesMut};
use futures::stream::{self, BoxStream, StreamExt};
use portico_model::problem::{Problem, ProblemKind};
use portico_query::answer::AnswerChunk;
use tokio::time::{Instant, timeout_at};

use crate::http::compress;
use crate::http::negotiate::Coding;
use crate::http::reply::{ByteStream, Reply};
use crate::problem::Refusal;

/// An answer up to this size is held until it is complete: it leaves with its length, and what fails on its last
/// row is still a problem document.
const HELD_BYTES_MAX: usize = 64 * 1024;

/// How long the rest of a small answer is waited for.
const HELD_TIME: Duration = Duration::from_millis(5);

/// Sends an answer.
///
/// # Errors
/// What the answer failed with before its first byte left.
pub(crate) async fn deliver(
    reply: Reply,
    body: BoxStream<'static, Result<AnswerChunk, Problem>>,
    coding: Coding,
) -> Result<Response, Refusal> {
    let mut stream = bytes_of(body);
    let mut held = BytesMut::new();
    // The first bytes may take as long as the limits let them.
    match stream.next().await {
        None => return Ok(reply.bytes(compress::whole(Bytes::new(), coding)?)),
        Some(first) => held.extend_from_slice(&first?),
    }
    let until = Instant::now() + HELD_TIME;
    while held.len() <= HELD_BYTES_MAX {
        match timeout_at(until, stream.next()).await {
            Ok(Some(more)) => held.extend_from_slice(&more?),
            Ok(None) => return Ok(reply.bytes(compress::whole(held.freeze(), coding)?)),
            Err(_) => break,
        }
    }
    let first = held.freeze();
    let whole = stream::once(async { Ok(first) }).chain(stream).boxed();
    Ok(reply.stream(compress::stream(whole, coding)?, None))
}

/// The bytes of an answer: they end well only when the answer's tail was there.
fn bytes_of(body: BoxStream<'static, Result<AnswerChunk, Problem>>) -> ByteStream {
    stream::unfold(Some(body), |body| async move {
        let mut body = body?;
        match body.next().await {
            Some(Ok(AnswerChunk::Bytes(bytes))) => Some((Ok(bytes), Some(body))),
            Some(Ok(AnswerChunk::Tail(_))) => None,
            Some(Err(problem)) => Some((Err(problem), None)),
            Some(Ok(AnswerChunk::Message(_))) | None => {
                Some((Err(Problem::new(ProblemKind::Internal, "The answer ended early.")), None))
            }
        }
    })
    .boxed()
}

#[cfg(test)]
mod tests {
    use http::{StatusCode, header};
    use portico_model::order::AnswerTail;

    use super::*;

    fn bytes(text: &'static str) -> Result<AnswerChunk, Problem> {
        Ok(AnswerChunk::Bytes(Bytes::from_static(text.as_bytes())))
    }

    fn tail() -> Result<AnswerChunk, Problem> {
        Ok(AnswerChunk::Tail(AnswerTail::default()))
    }

    async fn check(chunks: Vec<Result<AnswerChunk, Problem>>) -> Result<Response, Refusal> {
        deliver(Reply::new(StatusCode::OK), stream::iter(chunks).boxed(), Coding::Identity).await
    }

    async fn text(response: Response) -> Option<Bytes> {
        axum::body::to_bytes(response.into_body(), 1 << 20).await.ok()
    }

    #[tokio::test]
    async fn a_small_answer_has_a_length() {
        let response = check(vec![bytes("a,b\n"), bytes("1,2\n"), tail()]).await.unwrap();
        assert_eq!(response.headers()[header::CONTENT_LENGTH], "8");
        assert_eq!(text(response).await.unwrap(), "a,b\n1,2\n");
        let empty = check(vec![tail()]).await.unwrap();
        assert_eq!(empty.headers()[header::CONTENT_LENGTH], "0");
    }

    #[tokio::test]
    async fn a_failure_before_anything_left_is_a_problem() {
        let failed = || Err(Problem::new(ProblemKind::QueryFailed, "Division by zero."));
        assert_eq!(check(vec![failed()]).await.unwrap_err().kind(), ProblemKind::QueryFailed);
        assert_eq!(check(vec![bytes("a\n"), failed()]).await.unwrap_err().kind(), ProblemKind::QueryFailed);
        // Without a tail the answer is not complete, however it looks.
        assert_eq!(check(vec![bytes("a\n")]).await.unwrap_err().kind(), ProblemKind::Internal);
    }

    #[tokio::test]
    async fn a_failure_later_breaks_the_transfer() {
        let long: &'static str = Box::leak("x".repeat(HELD_BYTES_MAX + 1).into_boxed_str());
        let failed = Err(Problem::new(ProblemKind::QueryTimeout, "Too slow."));
        let response = check(vec![bytes(long), failed]).await.unwrap();
        assert!(!response.headers().contains_key(header::CONTENT_LENGTH));
        assert!(text(response).await.is_none());
        let response = check(vec![bytes(long), bytes("end"), tail()]).await.unwrap();
        assert_eq!(text(response).await.unwrap().len(), HELD_BYTES_MAX + 4);
    }
}
