//! What a reader has to know of a dataset besides the file: the key of its pseudonyms, and the current version.

use std::path::Path;

use futures::StreamExt as _;
use portico_intake::options::ReadOptions;
use portico_intake::remedy::{PseudonymKey, Remedy};
use portico_model::name::{DatasetName, VersionNumber};
use portico_store::VersionRecord;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use tokio::io::AsyncWriteExt as _;

use crate::error::PublishError;
use crate::publisher::Publisher;

impl Publisher {
    /// The key of the dataset's pseudonyms, if the options want any. The first time it is made, on behalf of a principal;
    /// without one it is made for this once and not kept.
    pub(crate) async fn pseudonym_key(
        &self,
        dataset: &DatasetName,
        options: &ReadOptions,
        principal: Option<&str>,
        now_ms: i64,
    ) -> Result<Option<PseudonymKey>, PublishError> {
        let fields = options.dictionary.as_ref().map(|dictionary| dictionary.fields.as_slice()).unwrap_or_default();
        if !fields.iter().any(|field| field.remedy == Some(Remedy::Pseudonym)) {
            return Ok(None);
        }
        let mut bits = [0; 32];
        OsRng.try_fill_bytes(&mut bits).map_err(|error| PublishError::Write(error.into()))?;
        let fresh = PseudonymKey::new(bits);
        let text = match (self.store.catalog.dataset_key(dataset).await?, principal) {
            (Some(text), _) => text,
            (None, Some(principal)) => {
                self.store.catalog.make_dataset_key(dataset, &String::from(fresh), principal, now_ms).await?
            }
            (None, None) => return Ok(Some(fresh)),
        };
        PseudonymKey::try_from(text).map(Some).map_err(|error| PublishError::Write(error.into()))
    }

    /// Puts the files of the current version into `scratch` where classes are to be compared with it or the file goes on from
    /// it, and names them; with the version's number, 0 if there is none.
    pub(crate) async fn fetch_current(
        &self,
        dataset: &DatasetName,
        options: &ReadOptions,
        scratch: &Path,
    ) -> Result<(Vec<String>, VersionNumber), PublishError> {
        let compares = options.dictionary.as_ref().is_some_and(|dictionary| dictionary.classes.is_some());
        let compares = compares || !options.mode.replaces();
        let known = self.store.catalog.dataset(dataset).await?.is_some();
        if !compares || !known {
            return Ok((Vec::new(), 0));
        }
        let Some(current) = self.store.catalog.current_version(dataset).await? else { return Ok((Vec::new(), 0)) };
        Ok((self.fetch_version(&current, scratch).await?, current.version.version))
    }

    /// Puts the files of a version into `scratch`, and names them.
    pub(crate) async fn fetch_version(
        &self,
        version: &VersionRecord,
        scratch: &Path,
    ) -> Result<Vec<String>, PublishError> {
        let mut names = Vec::with_capacity(version.manifest.files.len());
        for (place, file) in version.manifest.files.iter().enumerate() {
            let name = format!("current-{place:05}.parquet");
            let mut local = tokio::fs::File::create(scratch.join(&name)).await?;
            let mut chunks = self.store.storage.read_released(file, None).await?;
            while let Some(chunk) = chunks.next().await {
                local.write_all(&chunk?).await?;
            }
            local.flush().await?;
            names.push(name);
        }
        Ok(names)
    }
}
