//! Datasets that the portal makes of its own records, through the same road as everybody's: staged, screened, released.

use std::io::Write as _;

use portico_intake::dictionary::{Dictionary, Field, FieldType};
use portico_intake::options::ReadOptions;
use portico_model::dataset::DatasetMetadata;
use portico_model::name::{DatasetName, VersionRef};
use portico_model::policy::{Action, Principal};
use portico_model::revision::RevisionState;
use portico_store::{RevisionRecord, StoreError};
use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::error::PublishError;
use crate::publisher::{Publisher, StageRequest};

/// The name in the audit log of the portal itself.
pub(crate) const PORTAL: &str = "portico";

/// What is said of such a dataset when it is made; afterwards its staff may say otherwise.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OwnDataset {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) description: &'static str,
    pub(crate) update_frequency: &'static str,
    /// Every column with what it means, and whether it is text, whatever its values look like this time.
    pub(crate) columns: &'static [(&'static str, &'static str, bool)],
}

impl Publisher {
    /// Who answers for the datasets that the portal makes itself: an e-mail address. Without one it makes none.
    #[must_use]
    pub fn with_own_steward(self, email: &str) -> Self {
        Self { own_steward: Some(email.trim().to_owned()).filter(|email| !email.is_empty()), ..self }
    }

    /// Releases rows as the next version of a dataset of the portal's own, unless the current one was made of the same
    /// rows. What was interrupted goes on.
    ///
    /// # Errors
    /// [`PublishError::WrongState`] when screening blocks it: staff have to look at it. A conflict when somebody else's
    /// dataset has the name.
    pub(crate) async fn release_own(
        &self,
        own: OwnDataset,
        rows: &[impl Serialize],
        now_ms: i64,
    ) -> Result<Option<VersionRef>, PublishError> {
        let Some(steward) = self.own_steward.clone().filter(|_| !rows.is_empty()) else { return Ok(None) };
        let name = DatasetName::parse(own.name).map_err(|error| PublishError::Write(error.into()))?;
        let mut text = Vec::new();
        for row in rows {
            serde_json::to_writer(&mut text, row).map_err(|error| PublishError::Write(error.into()))?;
            text.push(b'\n');
        }
        let sha256: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
        let catalog = &self.store.catalog;
        if catalog.first_revision(&name).await?.is_some_and(|first| !made_here(&first)) {
            let what = format!("the dataset {name} is not the portal's own: give it another name");
            return Err(StoreError::Conflict { what }.into());
        }
        let dataset = catalog.dataset(&name).await?;
        if let Some(current) = dataset.as_ref().and_then(|dataset| dataset.current) {
            let shown = catalog.revision_of(&name, current).await?;
            if shown.is_some_and(|revision| revision.staged.sha256 == sha256) {
                return Ok(None);
            }
        }
        let metadata = match dataset {
            Some(dataset) => dataset.metadata,
            None => DatasetMetadata {
                title: own.title.to_owned(),
                description: own.description.to_owned(),
                steward_email: steward,
                license: "CC0-1.0".to_owned(),
                update_frequency: own.update_frequency.to_owned(),
                ..DatasetMetadata::named(name)
            },
        };
        let scratch = self.scratch("own-")?;
        let file = scratch.path().join("rows.ndjson");
        std::fs::File::create(&file)?.write_all(&text)?;
        let field = |(name, description, is_text): &(&str, &str, bool)| Field {
            name: (*name).to_owned(),
            description: (*description).to_owned(),
            data_type: is_text.then_some(FieldType::Text),
            ..Field::default()
        };
        let dictionary = Dictionary { fields: own.columns.iter().map(field).collect(), ..Dictionary::default() };
        let options = ReadOptions { dictionary: Some(dictionary), ..ReadOptions::named("rows.ndjson") };
        let request = StageRequest { metadata, file, options };
        self.through(request, now_ms).await.map(Some)
    }

    /// Whether there is a dataset of that name which the portal has made itself.
    pub(crate) async fn is_own(&self, name: &DatasetName) -> Result<bool, PublishError> {
        Ok(self.store.catalog.first_revision(name).await?.as_ref().is_some_and(made_here))
    }

    /// The whole road, as one person goes it.
    async fn through(&self, request: StageRequest, now_ms: i64) -> Result<VersionRef, PublishError> {
        let portal = Principal::operator(PORTAL);
        let mut revision = self.stage(&portal, request, now_ms).await?;
        if revision.state == RevisionState::Staged {
            revision = self.screen(&portal, &revision.id, now_ms, |_| {}).await?;
        }
        if revision.state == RevisionState::Blocked {
            return Err(PublishError::WrongState { state: revision.state, action: Action::Approve });
        }
        let digest = revision.digest.clone().unwrap_or_default();
        if revision.state != RevisionState::Approved {
            revision = self.approve(&portal, &revision.id, &digest, now_ms).await?;
        }
        self.release(&portal, &revision.id, now_ms).await
    }
}

/// Whether the first of a dataset's revisions was the portal's.
fn made_here(first: &RevisionRecord) -> bool {
    first.created_by == PORTAL
}
