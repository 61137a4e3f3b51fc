//! An object store in memory that does not always do what it is asked, or does it and does not say so.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};

/// What becomes of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is done.
    Fine,
    /// It is not done, and fails.
    Before,
    /// It is done, and fails: the answer got lost.
    After,
    /// It is not done, and is said to be in conflict with another.
    Conflict,
    /// A read breaks off in the middle, a listing lacks its last entry; anything else fails.
    Short,
}

/// Asked before each operation, with its name; may never answer, as for a process that has died.
pub(super) type Fates = Arc<dyn Fn(String) -> BoxFuture<'static, Fate> + Send + Sync>;

/// The store.
pub(super) struct Troubled {
    inner: Arc<InMemory>,
    fates: Fates,
}

impl Troubled {
    pub(super) fn new(inner: Arc<InMemory>, fates: Fates) -> Self {
        Self { inner, fates }
    }

    async fn fate(&self, operation: &str, location: Option<&Path>) -> Fate {
        let area = location.map(|path| path.parts().map(|part| part.as_ref().to_owned()).collect::<Vec<_>>());
        let log = area.as_ref().is_some_and(|parts| parts.iter().any(|part| part == "_delta_log"));
        let area = if log {
            "delta log".to_owned()
        } else {
            area.and_then(|mut parts| (!parts.is_empty()).then(|| parts.remove(0))).unwrap_or_default()
        };
        (self.fates)(format!("{operation} {area}")).await
    }

    async fn run<T>(&self, operation: &str, location: &Path, work: impl Future<Output = Result<T>>) -> Result<T> {
        match self.fate(operation, Some(location)).await {
            Fate::Fine => work.await,
            Fate::After => {
                work.await?;
                Err(broken())
            }
            Fate::Conflict => {
                Err(object_store::Error::AlreadyExists { path: location.to_string(), source: "409 Conflict".into() })
            }
            Fate::Before | Fate::Short => Err(broken()),
        }
    }
}

fn broken() -> object_store::Error {
    object_store::Error::Generic { store: "Troubled", source: "the line was cut".into() }
}

impl fmt::Display for Troubled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Troubled")
    }
}

impl fmt::Debug for Troubled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Troubled")
    }
}

/// The listing, or part of it.
fn listed(store: &Troubled, found: BoxStream<'static, Result<ObjectMeta>>) -> BoxStream<'static, Result<ObjectMeta>> {
    let fates = Arc::clone(&store.fates);
    let listing = async move {
        let fate = fates("list".to_owned()).await;
        if !matches!(fate, Fate::Fine | Fate::Short) {
            return Err(broken());
        }
        let mut all: Vec<ObjectMeta> = found.try_collect().await?;
        all.sort_by(|one, other| one.location.cmp(&other.location));
        if fate == Fate::Short {
            all.pop();
        }
        Ok(stream::iter(all.into_iter().map(Ok)))
    };
    stream::once(listing).try_flatten().boxed()
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl ObjectStore for Troubled {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let name = if options.mode == PutMode::Create { "create" } else { "put" };
        self.run(name, location, self.inner.put_opts(location, payload, options)).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.run("multipart", location, self.inner.put_multipart_opts(location, options)).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        match self.fate("get", Some(location)).await {
            Fate::Fine => self.inner.get_opts(location, options).await,
            Fate::Short if !options.head => {
                let found = self.inner.get_opts(location, options).await?;
                let (meta, range, attributes) = (found.meta.clone(), found.range.clone(), found.attributes.clone());
                let bytes = found.bytes().await?;
                let half = bytes.slice(..bytes.len() / 2);
                let payload = GetResultPayload::Stream(stream::iter([Ok(half), Err(broken())]).boxed());
                Ok(GetResult { payload, meta, range, attributes })
            }
            _ => Err(broken()),
        }
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.run("get", location, self.inner.get_ranges(location, ranges)).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let (fates, inner) = (Arc::clone(&self.fates), Arc::clone(&self.inner));
        let delete = move |location: Result<Path>| {
            let (fates, inner) = (Arc::clone(&fates), Arc::clone(&inner));
            async move {
                let location = location?;
                let fate = fates("delete".to_owned()).await;
                if matches!(fate, Fate::Fine | Fate::After) {
                    let one = stream::once(async move { Ok(location) }).boxed();
                    let mut deleted = inner.delete_stream(one).try_collect::<Vec<_>>().await?;
                    if fate == Fate::Fine {
                        return Ok(deleted.remove(0));
                    }
                }
                Err(broken())
            }
        };
        locations.then(delete).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        listed(self, self.inner.list(prefix))
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        listed(self, self.inner.list_with_offset(prefix, offset))
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.run("list", &Path::default(), self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.run("copy to", to, self.inner.copy_opts(from, to, options)).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.run("rename to", to, self.inner.rename_opts(from, to, options)).await
    }
}
