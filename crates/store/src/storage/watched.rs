//! A store that tells what it was asked for, and takes the parts of an upload only when it is told to.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::FutureExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetRange, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};
use tokio::sync::Semaphore;

#[derive(Debug)]
pub(super) struct Watched {
    inner: Box<dyn ObjectStore>,
    ranges: Mutex<Vec<Range<u64>>>,
    parts: Arc<Parts>,
}

/// The parts of all uploads.
#[derive(Debug)]
pub(super) struct Parts {
    /// How many more may go on.
    pub(super) gate: Semaphore,
    under_way: AtomicUsize,
    most: AtomicUsize,
}

impl Watched {
    pub(super) fn new(inner: impl ObjectStore) -> Self {
        let parts = Parts { gate: Semaphore::new(0), under_way: AtomicUsize::new(0), most: AtomicUsize::new(0) };
        Self { inner: Box::new(inner), ranges: Mutex::default(), parts: Arc::new(parts) }
    }

    /// The ranges that were asked for.
    pub(super) fn ranges(&self) -> Vec<Range<u64>> {
        self.ranges.lock().unwrap().clone()
    }

    pub(super) fn parts(&self) -> &Parts {
        &self.parts
    }
}

impl Parts {
    /// The most bytes that were under way at once.
    pub(super) fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

impl fmt::Display for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watched")
    }
}

#[async_trait]
impl ObjectStore for Watched {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let inner = self.inner.put_multipart_opts(location, options).await?;
        Ok(Box::new(HeldUpload { inner, parts: Arc::clone(&self.parts) }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if let Some(GetRange::Bounded(range)) = &options.range {
            self.ranges.lock().unwrap().push(range.clone());
        }
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

#[derive(Debug)]
struct HeldUpload {
    inner: Box<dyn MultipartUpload>,
    parts: Arc<Parts>,
}

#[async_trait]
impl MultipartUpload for HeldUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let bytes = data.content_length();
        let parts = Arc::clone(&self.parts);
        let now = parts.under_way.fetch_add(bytes, Ordering::SeqCst) + bytes;
        parts.most.fetch_max(now, Ordering::SeqCst);
        // A copy, as a network makes one: what was lent comes back when this part is through.
        let put = self.inner.put_part(data.iter().flat_map(|bytes| bytes.to_vec()).collect::<Vec<u8>>().into());
        async move {
            parts.gate.acquire().await.unwrap().forget();
            let outcome = put.await;
            parts.under_way.fetch_sub(bytes, Ordering::SeqCst);
            drop(data);
            outcome
        }
        .boxed()
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
