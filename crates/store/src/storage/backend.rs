//! From a URL and options to an object store and the way workers reach its files.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::signer::Signer;
use object_store::{ObjectStore, ObjectStoreScheme};
use url::Url;

use super::Reach;
use super::durable::DurableDirectory;
use crate::error::StoreError;

/// Names that come from the environment: those that a client does not know are of no concern here.
const ENVIRONMENT_PREFIXES: [&str; 4] = ["aws_", "google_", "gcp_", "azure_"];

/// Opened files remembered; beyond it the oldest are looked at again.
const OPENED_MAX: u64 = 65_536;

/// What [`open`] found behind a URL.
pub(super) struct Opened {
    /// The store, rooted at the URL's path.
    pub(super) store: Arc<dyn ObjectStore>,
    /// How workers read it.
    pub(super) reach: Reach,
}

/// Opens the store behind a URL.
pub(super) fn open(url: &str, options: &BTreeMap<String, String>) -> Result<Opened, StoreError> {
    let url = Url::parse(url).map_err(|error| StoreError::invalid_since("the storage URL is not a URL", error))?;
    if url.scheme() == "memory" {
        return Ok(Opened { store: Arc::new(InMemory::new()), reach: copies()? });
    }
    if url.scheme() == "file" {
        return directory(&url);
    }
    let (scheme, prefix) = ObjectStoreScheme::parse(&url).map_err(|_| unknown_scheme())?;
    let prefix = Path::parse(prefix).map_err(|_| StoreError::invalid("the storage URL's path is not plain"))?;
    match scheme {
        ObjectStoreScheme::AmazonS3 => {
            let mut builder = AmazonS3Builder::new().with_url(url.as_str());
            for (key, value) in known::<AmazonS3ConfigKey>(options)? {
                builder = builder.with_config(key, value);
            }
            cloud(Arc::new(builder.build().map_err(not_built)?), prefix)
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let mut builder = GoogleCloudStorageBuilder::new().with_url(url.as_str());
            for (key, value) in known::<GoogleConfigKey>(options)? {
                builder = builder.with_config(key, value);
            }
            cloud(Arc::new(builder.build().map_err(not_built)?), prefix)
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let mut builder = MicrosoftAzureBuilder::new().with_url(url.as_str());
            for (key, value) in known::<AzureConfigKey>(options)? {
                builder = builder.with_config(key, value);
            }
            cloud(Arc::new(builder.build().map_err(not_built)?), prefix)
        }
        _ => Err(unknown_scheme()),
    }
}

/// Workers read copies in a temporary directory.
pub(super) fn copies() -> Result<Reach, StoreError> {
    let directory = tempfile::Builder::new().prefix("portico-").tempdir().map_err(StoreError::local_file)?;
    Ok(Reach::Copies(directory, tokio::sync::Mutex::new(())))
}

fn directory(url: &Url) -> Result<Opened, StoreError> {
    let root: PathBuf = url
        .to_file_path()
        .map_err(|()| StoreError::invalid("a file URL names a directory of this machine: file:///var/lib/portico"))?;
    let store = DurableDirectory::open(&root)?;
    let reach = Reach::Directory(store.root().to_owned());
    Ok(Opened { store: Arc::new(store), reach })
}

fn cloud<S: ObjectStore + Signer>(store: Arc<S>, prefix: Path) -> Result<Opened, StoreError> {
    let signer: Arc<dyn Signer> = Arc::<S>::clone(&store);
    let store: Arc<dyn ObjectStore> = store;
    Ok(Opened {
        store: Arc::new(PrefixStore::new(store, prefix.clone())),
        reach: Reach::Signed { signer, prefix, opened: moka::future::Cache::new(OPENED_MAX) },
    })
}

/// The options as a client's own keys. Unknown ones are refused: a misspelt `allow_http` would otherwise show as
/// a connection that fails.
fn known<K: FromStr>(options: &BTreeMap<String, String>) -> Result<Vec<(K, String)>, StoreError> {
    let mut found = Vec::new();
    for (name, value) in options {
        let lower = name.to_ascii_lowercase();
        match lower.parse::<K>() {
            Ok(key) => found.push((key, value.clone())),
            Err(_) if ENVIRONMENT_PREFIXES.iter().any(|prefix| lower.starts_with(prefix)) => {}
            Err(_) => return Err(StoreError::invalid(format!("the storage has no option {name:?}"))),
        }
    }
    Ok(found)
}

fn not_built(error: object_store::Error) -> StoreError {
    StoreError::invalid_since("the storage's URL and options do not fit together", error)
}

fn unknown_scheme() -> StoreError {
    StoreError::invalid("a storage URL starts with file://, s3://, gs://, az:// or memory://")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn misspelt_options_and_unknown_schemes_are_refused() {
        for (url, pairs) in [
            ("s3://bucket/prefix", vec![("regoin", "eu-central-1")]),
            ("http://example.com/", vec![]),
            ("ftp://example.com/", vec![]),
            ("/var/lib", vec![]),
            ("file://host/var", vec![]),
        ] {
            let result = open(url, &options(&pairs));
            assert!(matches!(result, Err(StoreError::Invalid { .. })), "{url}");
        }
    }

    #[test]
    fn each_cloud_is_opened_without_asking_it() {
        let s3 = options(&[
            ("region", "us-east-1"),
            ("access_key_id", "a"),
            ("secret_access_key", "b"),
            ("AWS_PAGER", "less"),
        ]);
        let az = options(&[("account_name", "a"), ("account_key", "a2V5")]);
        for (url, options) in [("s3://bucket/some/prefix", &s3), ("az://container/prefix", &az)] {
            let opened = open(url, options);
            assert!(matches!(opened, Ok(Opened { reach: Reach::Signed { .. }, .. })), "{url}: {:?}", opened.err());
        }
    }
}
