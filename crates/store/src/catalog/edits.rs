//! Edits: other metadata of a dataset that is public, until somebody approves or declines them.

use portico_model::dataset::DatasetMetadata;
use portico_model::name::DatasetName;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::audit::What;
use super::change::Change;
use super::records::RevisionRecord;
use super::shelf::METADATA_EDIT;
use super::{Catalog, datasets, revisions};
use crate::error::StoreError;

/// What somebody would have said of a dataset instead of what is public.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetadataEdit {
    /// The dataset's metadata when the edit was proposed: it is for nothing else.
    pub before: DatasetMetadata,
    /// What they would be.
    pub after: DatasetMetadata,
    /// SHA-256 of both, lower-case hex: what approval is bound to.
    pub digest: String,
    /// Who proposed it.
    pub proposed_by: String,
    /// When, in milliseconds since the epoch.
    pub proposed_ms: i64,
    /// Who approved or declined it.
    #[serde(default)]
    pub decided_by: Option<String>,
    /// Why it was declined; none if it was approved.
    #[serde(default)]
    pub declined_reason: Option<String>,
}

/// A revision that says what an edit has changed, and which fields that are.
#[derive(Clone, Debug)]
pub struct Carried {
    /// The revision as it is from now on; who consented to it before has not consented to this.
    pub revision: RevisionRecord,
    /// The fields.
    pub fields: Vec<String>,
}

impl MetadataEdit {
    /// Whether it was approved, and is said from then on.
    #[must_use]
    pub const fn is_approved(&self) -> bool {
        self.decided_by.is_some() && self.declined_reason.is_none()
    }

    /// Whether it still waits for a decision.
    #[must_use]
    pub const fn waits(&self) -> bool {
        self.decided_by.is_none()
    }
}

impl Catalog {
    /// The latest edit of a dataset, whether it waits or is decided.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when its row is damaged, [`StoreError::Unavailable`] when the database does not answer.
    pub async fn edit(&self, dataset: &DatasetName) -> Result<Option<MetadataEdit>, StoreError> {
        METADATA_EDIT.get(self, dataset.as_str()).await
    }

    /// The latest edit of every dataset, in no order.
    ///
    /// # Errors
    /// As [`Catalog::edit`].
    pub async fn edits(&self) -> Result<Vec<MetadataEdit>, StoreError> {
        METADATA_EDIT.all(self).await
    }

    /// Has an edit wait for approval, in place of the one that does.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such dataset, [`StoreError::Conflict`] when its metadata are others by now.
    pub async fn propose_edit(&self, edit: &MetadataEdit) -> Result<(), StoreError> {
        let name = &edit.after.name;
        let mut change = self.change().await?;
        let record = datasets::find(&mut change, name).await?.ok_or(StoreError::not_found("dataset"))?;
        if record.metadata != edit.before {
            return Err(changed());
        }
        METADATA_EDIT.put(&mut change, name.as_str(), edit).await?;
        let detail = json!({ "digest": edit.digest });
        change.audit(&edit.proposed_by, edit.proposed_ms, what("metadata.proposed", name), detail).await?;
        change.commit().await
    }

    /// Makes an edit public, and has `carry` say it of every revision that is under way: none of them takes it back.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when it is not the one that waits, or the dataset's metadata are others by now.
    pub async fn apply_edit(
        &self,
        edit: &MetadataEdit,
        carry: impl Fn(&RevisionRecord) -> Result<Option<Carried>, StoreError> + Send + Sync,
        principal: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let name = &edit.after.name;
        let mut change = self.change().await?;
        let waiting: Option<MetadataEdit> = METADATA_EDIT.find(&mut change, name.as_str()).await?;
        let record = datasets::find(&mut change, name).await?.ok_or(StoreError::not_found("dataset"))?;
        if waiting.as_ref() != Some(edit) || !edit.waits() || record.metadata != edit.before {
            return Err(changed());
        }
        datasets::describe(&mut change, &edit.after, now_ms).await?;
        let decided = MetadataEdit { decided_by: Some(principal.to_owned()), ..edit.clone() };
        METADATA_EDIT.put(&mut change, name.as_str(), &decided).await?;
        let detail = json!({ "digest": edit.digest, "proposed_by": edit.proposed_by });
        change.audit(principal, now_ms, what("metadata.approved", name), detail).await?;
        carry_on(&mut change, name, carry, (principal, now_ms)).await?;
        change.commit().await
    }

    /// Gives a dataset of which nothing was released other metadata, at once, and has `carry` say it of every revision that is
    /// under way.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such dataset; [`StoreError::Conflict`] when its metadata are not `before`
    /// any more.
    pub async fn describe_dataset(
        &self,
        (before, after): (&DatasetMetadata, &DatasetMetadata),
        carry: impl Fn(&RevisionRecord) -> Result<Option<Carried>, StoreError> + Send + Sync,
        principal: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let name = &after.name;
        let mut change = self.change().await?;
        let record = datasets::find(&mut change, name).await?.ok_or(StoreError::not_found("dataset"))?;
        if record.metadata == *after {
            return Ok(());
        }
        if record.metadata != *before || record.current.is_some() {
            return Err(changed());
        }
        datasets::describe(&mut change, after, now_ms).await?;
        let detail = json!({ "title": after.title });
        change.audit(principal, now_ms, what("dataset.described", name), detail).await?;
        carry_on(&mut change, name, carry, (principal, now_ms)).await?;
        change.commit().await
    }

    /// Gives an edit up, with the reason. One that was declined before stays as it is.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when none waits.
    pub async fn decline_edit(
        &self,
        name: &DatasetName,
        reason: &str,
        principal: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        let waiting: Option<MetadataEdit> = METADATA_EDIT.find(&mut change, name.as_str()).await?;
        let edit = match waiting {
            Some(edit) if edit.declined_reason.is_some() => return Ok(()),
            Some(edit) if edit.waits() => edit,
            _ => return Err(StoreError::not_found("edit that waits for approval")),
        };
        let (decided_by, declined_reason) = (Some(principal.to_owned()), Some(reason.to_owned()));
        let decided = MetadataEdit { decided_by, declined_reason, ..edit.clone() };
        METADATA_EDIT.put(&mut change, name.as_str(), &decided).await?;
        let detail = json!({ "digest": edit.digest, "reason": reason });
        change.audit(principal, now_ms, what("metadata.declined", name), detail).await?;
        change.commit().await
    }
}

/// Has every revision under way say what was edited, each with its row in the audit log.
async fn carry_on(
    change: &mut Change,
    name: &DatasetName,
    carry: impl Fn(&RevisionRecord) -> Result<Option<Carried>, StoreError>,
    (principal, now_ms): (&str, i64),
) -> Result<(), StoreError> {
    for before in revisions::under_way(change, name).await? {
        let Some(Carried { revision, fields }) = carry(&before)? else { continue };
        revisions::write(change, &revision, now_ms).await?;
        let detail = json!({
            "fields": fields, "was": before.state, "digest": revision.digest, "voids_approval": before.approved_digest,
            "reason": "the dataset's metadata were edited: what was edited is said of this revision, too",
        });
        change.audit(principal, now_ms, revisions::what("revision.edited", &revision), detail).await?;
    }
    Ok(())
}

fn what<'a>(action: &'static str, name: &'a DatasetName) -> What<'a> {
    What { action, dataset: Some(name), revision: None, version: None }
}

fn changed() -> StoreError {
    StoreError::conflict("the metadata were changed meanwhile: look at them and propose the edit again")
}
