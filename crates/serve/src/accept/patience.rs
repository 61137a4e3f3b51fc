//! How long the pieces of a request's body are waited for.
//!
//! Handlers that read a whole body have a limit of their own for all of it; this one holds for every body, gRPC
//! calls included, and only for the time between two pieces.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

/// A body that fails when its next piece does not come in time.
#[derive(Debug)]
pub(super) struct PatientBody<B> {
    body: B,
    gap: Duration,
    /// Runs while a piece is waited for.
    alarm: Option<Pin<Box<Sleep>>>,
}

impl<B> PatientBody<B> {
    pub(super) fn new(body: B, gap: Duration) -> Self {
        Self { body, gap, alarm: None }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for PatientBody<B>
where
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Data = Bytes;
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if let Poll::Ready(piece) = Pin::new(&mut self.body).poll_frame(cx) {
            self.alarm = None;
            return Poll::Ready(piece.map(|piece| piece.map_err(Into::into)));
        }
        let gap = self.gap;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep(gap)));
        match alarm.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::TimedOut).into()))),
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream};
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    #[tokio::test]
    async fn a_piece_that_does_not_come_ends_the_body() {
        let piece = || Ok::<_, io::Error>(Frame::data(Bytes::from_static(b"x")));
        let halted = StreamBody::new(stream::iter([piece()]).chain(stream::pending()).boxed());
        let mut body = PatientBody::new(halted, Duration::from_millis(5));
        assert!(body.frame().await.unwrap().is_ok());
        assert!(body.frame().await.unwrap().is_err());
        let whole = StreamBody::new(stream::iter([piece(), piece()]).boxed());
        assert_eq!(PatientBody::new(whole, Duration::from_millis(5)).collect().await.unwrap().to_bytes(), "xx");
    }
}
