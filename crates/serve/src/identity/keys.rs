//! What the provider says of itself: its addresses and its keys, read when needed, not too often.

use std::sync::Arc;

use openidconnect::IssuerUrl;
use openidconnect::core::CoreProviderMetadata;
use portico_model::problem::Problem;
use tokio::sync::Mutex;
use url::Url;

use super::{Fetch, FetchError, Fetched, failed, is_safe, unavailable};

/// How long it is believed, in milliseconds: a key that the provider takes back is not used longer than this.
const FRESH_MS: i64 = 60 * 60 * 1000;
/// How long it is not read again because of a key that is not known after it was, in milliseconds: tokens with made-up
/// keys are no way to have us ask the provider all the time.
const AGAIN_MS: i64 = 60 * 1000;
/// How long after it began an attempt to read it that failed stands for those who come meanwhile, in milliseconds: as long
/// as the provider may take, so that they do not wait one after the other.
const FAILED_MS: i64 = 10 * 1000;

pub(super) struct Keys {
    issuer: IssuerUrl,
    fetch: Fetch,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    read: Option<Read>,
    /// When the last attempt to read began, if it failed.
    failed_ms: Option<i64>,
}

#[derive(Clone)]
struct Read {
    metadata: Arc<CoreProviderMetadata>,
    at_ms: i64,
    /// When it was read because of a key that was not known.
    again_ms: Option<i64>,
}

impl Keys {
    pub(super) fn new(issuer: &str, fetch: Fetch) -> Result<Self, String> {
        let issuer = IssuerUrl::new(issuer.to_owned()).map_err(|_| "the issuer is not a URL".to_owned())?;
        Ok(Self { issuer, fetch, state: Mutex::default() })
    }

    /// The client that asks the provider.
    pub(super) fn client(&self) -> impl Fn(http::Request<Vec<u8>>) -> Fetched + Send + Sync + 'static {
        let fetch = Arc::clone(&self.fetch);
        move |request| {
            // Addresses that the provider names are held to the same rule as its own.
            let safe = Url::parse(&request.uri().to_string()).is_ok_and(|url| is_safe(&url));
            if safe { fetch(request) } else { Box::pin(async { Err(FetchError("an address without TLS".to_owned())) }) }
        }
    }

    /// What the provider said within the last hour.
    pub(super) async fn known(&self, now_ms: i64) -> Result<Arc<CoreProviderMetadata>, Problem> {
        let mut state = self.state.lock().await;
        if let Some(read) = state.read.as_ref()
            && now_ms.saturating_sub(read.at_ms) < FRESH_MS
        {
            return Ok(Arc::clone(&read.metadata));
        }
        let again_ms = state.read.as_ref().and_then(|read| read.again_ms);
        self.read_again(&mut state, (now_ms, again_ms)).await
    }

    /// What it says now, if that may be something else than `known`.
    pub(super) async fn newer(
        &self,
        known: &Arc<CoreProviderMetadata>,
        now_ms: i64,
    ) -> Result<Option<Arc<CoreProviderMetadata>>, Problem> {
        let mut state = self.state.lock().await;
        if let Some(read) = state.read.as_ref() {
            // Somebody else has asked meanwhile.
            if !Arc::ptr_eq(&read.metadata, known) {
                return Ok(Some(Arc::clone(&read.metadata)));
            }
            if read.again_ms.is_some_and(|again_ms| now_ms.saturating_sub(again_ms) < AGAIN_MS) {
                return Ok(None);
            }
        }
        self.read_again(&mut state, (now_ms, Some(now_ms))).await.map(Some)
    }

    async fn read_again(
        &self,
        state: &mut State,
        (now_ms, again_ms): (i64, Option<i64>),
    ) -> Result<Arc<CoreProviderMetadata>, Problem> {
        if state.failed_ms.is_some_and(|failed_ms| now_ms.saturating_sub(failed_ms) < FAILED_MS) {
            return Err(unavailable());
        }
        let client = self.client();
        let metadata = CoreProviderMetadata::discover_async(self.issuer.clone(), &client).await;
        let metadata = Arc::new(metadata.map_err(|error| {
            state.failed_ms = Some(now_ms);
            failed(&error)
        })?);
        // People are sent there with what the answer is made for.
        if !is_safe(metadata.authorization_endpoint().url()) {
            state.failed_ms = Some(now_ms);
            return Err(failed(&FetchError("an authorization endpoint without TLS".to_owned())));
        }
        *state =
            State { read: Some(Read { metadata: Arc::clone(&metadata), at_ms: now_ms, again_ms }), failed_ms: None };
        Ok(metadata)
    }
}
