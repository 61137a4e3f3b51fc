//! Ranged GETs on signed URLs (RFC 9110 §14).

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use object_store::{OBJECT_STORE_COALESCE_DEFAULT, coalesce_ranges};
use reqwest::header::RANGE;
use reqwest::{Client, StatusCode};

use super::FileError;
use crate::error::EngineError;

/// Tries of one range: object storage asks its clients to repeat what fails with 5xx.
const TRIES: u32 = 4;
/// Wait before the second try; it doubles with each.
const FIRST_WAIT: Duration = Duration::from_millis(100);

/// The client for signed URLs: no redirects, no proxies from the environment, bounded waits.
pub(crate) fn client() -> Result<Client, EngineError> {
    Ok(Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .connect_timeout(Duration::from_secs(5))
        .read_timeout(Duration::from_secs(30))
        .build()?)
}

/// Reads ranges; those that lie close together in one request.
pub(super) async fn read(client: &Client, url: &str, ranges: &[Range<u64>]) -> Result<Vec<Bytes>, FileError> {
    coalesce_ranges(ranges, |range| read_one(client, url, range), OBJECT_STORE_COALESCE_DEFAULT).await
}

async fn read_one(client: &Client, url: &str, range: Range<u64>) -> Result<Bytes, FileError> {
    if range.is_empty() {
        return Ok(Bytes::new());
    }
    let mut wait = FIRST_WAIT;
    let mut last = FileError::Unreachable;
    for attempt in 0..TRIES {
        if attempt > 0 {
            tokio::time::sleep(wait).await;
            wait *= 2;
        }
        match attempt_one(client, url, &range).await {
            Ok(bytes) => return Ok(bytes),
            Err(error @ (FileError::Unreachable | FileError::Remote(500..))) => last = error,
            Err(error) => return Err(error),
        }
    }
    Err(last)
}

async fn attempt_one(client: &Client, url: &str, range: &Range<u64>) -> Result<Bytes, FileError> {
    // The URL is a credential: errors of the client, which quote it, go no further.
    let request = client.get(url).header(RANGE, format!("bytes={}-{}", range.start, range.end - 1));
    let response = request.send().await.map_err(|_| FileError::Unreachable)?;
    match response.status() {
        StatusCode::PARTIAL_CONTENT => {}
        StatusCode::NOT_FOUND => return Err(FileError::Missing),
        status => return Err(FileError::Remote(status.as_u16())),
    }
    let bytes = response.bytes().await.map_err(|_| FileError::Unreachable)?;
    let expected = range.end - range.start;
    if u64::try_from(bytes.len()) == Ok(expected) { Ok(bytes) } else { Err(FileError::Corrupt) }
}
