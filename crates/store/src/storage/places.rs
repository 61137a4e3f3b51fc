//! Places outside of the portal: a bucket, and a prefix in it, that files are read from and nothing is written to.

use std::collections::BTreeMap;
use std::path::Path as FsPath;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{GetOptions, ObjectStore};
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

use super::{backend, hex};
use crate::error::StoreError;

/// A bucket, and a prefix in it, below which files may be read. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Place {
    store: Arc<dyn ObjectStore>,
    stands_for: String,
}

/// A file that was read from a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedFile {
    /// SHA-256 of its bytes, lower-case hex.
    pub sha256: String,
    /// What the place calls these bytes.
    pub etag: Option<String>,
}

impl Place {
    /// Opens `s3://bucket/prefix`, `gs://…` or `az://…`, with options as those of [`Storage::open`](super::Storage::open).
    /// Nothing is read yet.
    ///
    /// # Errors
    /// [`StoreError::Invalid`] for a URL or option that is not understood, and for directories of this machine.
    pub fn open(url: &str, options: &BTreeMap<String, String>) -> Result<Self, StoreError> {
        if url.starts_with("file:") || url.starts_with("memory:") {
            return Err(StoreError::invalid("a place for objects starts with s3://, gs:// or az://"));
        }
        // Not all options: another key opens the same place.
        let where_from = |key: &str| ["endpoint", "account_name", "region"].iter().any(|part| key.contains(part));
        let mut hash = Sha256::new();
        hash.update(url.trim_end_matches('/').as_bytes());
        for (key, value) in options.iter().filter(|(key, _)| where_from(&key.to_lowercase())) {
            hash.update(format!("\0{key}={value}").as_bytes());
        }
        Ok(Self { store: backend::open(url, options)?.store, stands_for: hex(&hash.finalize()) })
    }

    /// A place over an object store that somebody else has built.
    pub fn over(store: Arc<dyn ObjectStore>) -> Self {
        Self { store, stands_for: String::new() }
    }

    /// A digest of where it is, which tells nothing of it: two that differ are two places.
    #[must_use]
    pub fn stands_for(&self) -> &str {
        &self.stands_for
    }

    /// Whether a text is the path of an object below the prefix.
    #[must_use]
    pub fn is_path(text: &str) -> bool {
        !text.is_empty() && !text.starts_with('/') && Path::parse(text).is_ok()
    }

    /// Reads an object into a local file, which is made or replaced. Answers nothing when the place still calls its bytes
    /// `etag`.
    ///
    /// # Errors
    /// [`StoreError::NotFound`], [`StoreError::Invalid`] for a path that is none or more than `bytes_max`,
    /// [`StoreError::Unavailable`].
    pub async fn fetch(
        &self,
        path: &str,
        etag: Option<&str>,
        (into, bytes_max): (&FsPath, u64),
    ) -> Result<Option<PlacedFile>, StoreError> {
        let path = Path::parse(path).map_err(|error| StoreError::invalid_since("the path is not plain", error))?;
        let options = GetOptions { if_none_match: etag.map(str::to_owned), ..GetOptions::default() };
        let got = match self.store.get_opts(&path, options).await {
            Err(object_store::Error::NotModified { .. }) => return Ok(None),
            got => got.map_err(|error| StoreError::object("object", error))?,
        };
        let too_large = || StoreError::invalid(format!("the object has more than {bytes_max} bytes"));
        if got.meta.size > bytes_max {
            return Err(too_large());
        }
        let etag = got.meta.e_tag.clone();
        let mut file = tokio::fs::File::create(into).await.map_err(StoreError::local_file)?;
        let (mut hash, mut read) = (Sha256::new(), 0_u64);
        let mut chunks = got.into_stream();
        while let Some(chunk) = chunks.try_next().await.map_err(|error| StoreError::object("object", error))? {
            read = read.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            if read > bytes_max {
                return Err(too_large());
            }
            hash.update(&chunk);
            file.write_all(&chunk).await.map_err(StoreError::local_file)?;
        }
        file.flush().await.map_err(StoreError::local_file)?;
        Ok(Some(PlacedFile { sha256: hex(&hash.finalize()), etag }))
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;
    use object_store::{ObjectStoreExt, PutPayload};

    use super::*;

    #[tokio::test]
    async fn an_object_is_read_once_and_never_above_its_limit() {
        let memory = Arc::new(InMemory::new());
        memory.put(&Path::from("out/trees.csv"), PutPayload::from_static(b"a\n1\n")).await.unwrap();
        let place = Place::over(memory);
        let scratch = tempfile::tempdir().unwrap();
        let into = scratch.path().join("file");
        let first = place.fetch("out/trees.csv", None, (&into, 4)).await.unwrap().unwrap();
        assert_eq!(std::fs::read(&into).unwrap(), b"a\n1\n");
        let again = place.fetch("out/trees.csv", first.etag.as_deref(), (&into, 4)).await.unwrap();
        assert_eq!(again, None);
        assert!(matches!(place.fetch("out/trees.csv", None, (&into, 3)).await, Err(StoreError::Invalid { .. })));
        assert!(matches!(place.fetch("out/none.csv", None, (&into, 3)).await, Err(StoreError::NotFound { .. })));
        for bad in ["../x", "a/../x", "", "/x", "a//b"] {
            assert!(!Place::is_path(bad), "{bad}");
        }
        assert!(Place::open("file:///etc", &BTreeMap::new()).is_err());
    }
}
