//! Metadata without new data: an edit of what is public waits for somebody else to approve it, as a revision does.
//!
//! ```text
//! nothing public yet ─▶ said at once        public ─▶ proposed ─▶ approved by digest: said at once, no new version
//!                                                        └─────▶ declined, or replaced by another edit
//! ```

use portico_model::dataset::{DatasetMetadata, MetadataPatch, Requirement};
use portico_model::name::DatasetName;
use portico_model::policy::{Action, Decision, Grant, Principal, Subject, decide};
use portico_store::{DatasetRecord, MetadataEdit};
use sha2::{Digest as _, Sha256};

use crate::carry::carrying;
use crate::decisions::{denied, text};
use crate::error::PublishError;
use crate::metadata::checked;
use crate::publisher::{Publisher, json};

/// What became of an edit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edited {
    /// The dataset says it from now on; nothing of it is public, or nothing was changed.
    Said(Box<DatasetMetadata>),
    /// It waits for approval.
    Proposed(Box<MetadataEdit>),
}

impl Publisher {
    /// Says otherwise what is known of a dataset. Of a dataset that was never released that is so at once; of one that is
    /// public it waits for approval, and an edit that waited before is replaced by it.
    ///
    /// # Errors
    /// [`PublishError::Denied`]; [`PublishError::UnknownDataset`] when what it is or would be is not in the principal's
    /// scope; [`PublishError::BadMetadata`]; [`PublishError::Incomplete`] when a release would be without something that it
    /// needs.
    pub async fn edit(
        &self,
        principal: &Principal,
        name: &DatasetName,
        said: &MetadataPatch,
        now_ms: i64,
    ) -> Result<Edited, PublishError> {
        let record = self.described(principal, name, now_ms).await?;
        let mut after = record.metadata.clone();
        said.apply(&mut after);
        let after = checked(after)?;
        let grant = self.permit_dataset(principal, Action::Describe, &after, now_ms)?;
        if after == record.metadata {
            if self.store.catalog.edit(name).await?.is_some_and(|edit| edit.waits()) {
                self.store.catalog.decline_edit(name, "taken back", grant.principal(), now_ms).await?;
            }
            return Ok(Edited::Said(Box::new(after)));
        }
        let versions = self.store.catalog.versions(name).await?;
        let Some(current) = record.current.or(versions.first().map(|version| version.version)) else {
            let carry = carrying(&record.metadata, &after);
            let said = (&record.metadata, &after);
            self.store.catalog.describe_dataset(said, carry, grant.principal(), now_ms).await?;
            return Ok(Edited::Said(Box::new(after)));
        };
        self.keeps_complete(&record.metadata, &after, name, current).await?;
        let edit = MetadataEdit {
            digest: digest(&record.metadata, &after)?,
            before: record.metadata,
            after,
            proposed_by: grant.principal().to_owned(),
            proposed_ms: now_ms,
            decided_by: None,
            declined_reason: None,
        };
        let waiting = self.store.catalog.edit(name).await?.filter(MetadataEdit::waits);
        if let Some(same) = waiting.filter(|waiting| waiting.digest == edit.digest) {
            return Ok(Edited::Proposed(Box::new(same)));
        }
        self.store.catalog.propose_edit(&edit).await?;
        Ok(Edited::Proposed(Box::new(edit)))
    }

    /// The latest edit of a dataset that is public, whether it waits for approval or is decided.
    ///
    /// # Errors
    /// [`PublishError::UnknownDataset`], [`PublishError::Denied`].
    pub async fn latest_edit(
        &self,
        principal: &Principal,
        name: &DatasetName,
        now_ms: i64,
    ) -> Result<Option<MetadataEdit>, PublishError> {
        self.dataset(principal, name, now_ms).await?;
        Ok(self.store.catalog.edit(name).await?)
    }

    /// Makes an edit public: `digest` is that of the edit that was looked at. Done twice it is done once. What it changes is
    /// said of the revisions that are under way, too; those that were approved or scheduled are in review again.
    ///
    /// # Errors
    /// [`PublishError::Denied`] for one's own work where duties are separate; [`PublishError::DigestChanged`] when another
    /// edit waits; the catalog's conflict when the metadata are others by now.
    pub async fn approve_edit(
        &self,
        principal: &Principal,
        name: &DatasetName,
        digest_seen: &str,
        now_ms: i64,
    ) -> Result<DatasetMetadata, PublishError> {
        let record = self.seen(name).await?;
        let latest = self.store.catalog.edit(name).await?;
        let barred = match &latest {
            Some(edit) if self.separate_duties => vec![edit.proposed_by.clone()],
            _ => Vec::new(),
        };
        let grant = permit_edit(principal, Action::Approve, &record.metadata, barred, now_ms)?;
        let edit = latest.filter(|edit| edit.digest == digest_seen).ok_or(PublishError::DigestChanged)?;
        if !edit.waits() && edit.declined_reason.is_none() && record.metadata == edit.after {
            return Ok(edit.after);
        }
        let carry = carrying(&edit.before, &edit.after);
        self.store.catalog.apply_edit(&edit, carry, grant.principal(), now_ms).await?;
        // What was scheduled may be scheduled no more.
        self.rescheduled.notify_one();
        Ok(edit.after)
    }

    /// Gives an edit back with the reason.
    ///
    /// # Errors
    /// [`PublishError::BadText`] without a reason; the catalog's own when none waits.
    pub async fn decline_edit(
        &self,
        principal: &Principal,
        name: &DatasetName,
        reason: &str,
        now_ms: i64,
    ) -> Result<(), PublishError> {
        let record = self.seen(name).await?;
        let grant = permit_edit(principal, Action::Return, &record.metadata, Vec::new(), now_ms)?;
        let reason = text("the reason", reason)?;
        Ok(self.store.catalog.decline_edit(name, &reason, grant.principal(), now_ms).await?)
    }

    /// A dataset that the principal may describe.
    async fn described(
        &self,
        principal: &Principal,
        name: &DatasetName,
        now_ms: i64,
    ) -> Result<DatasetRecord, PublishError> {
        let record = self.seen(name).await?;
        self.permit_dataset(principal, Action::Describe, &record.metadata, now_ms)?;
        Ok(record)
    }

    async fn seen(&self, name: &DatasetName) -> Result<DatasetRecord, PublishError> {
        let unknown = || PublishError::UnknownDataset(name.clone());
        self.store.catalog.dataset(name).await?.ok_or_else(unknown)
    }

    /// An edit takes nothing away that a release needs. What was missing before it is none of its business.
    async fn keeps_complete(
        &self,
        before: &DatasetMetadata,
        after: &DatasetMetadata,
        name: &DatasetName,
        version: u32,
    ) -> Result<(), PublishError> {
        let Some(record) = self.store.catalog.version(name, version).await? else { return Ok(()) };
        let fields = record.manifest.schema.fields();
        let columns: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
        let lacked = before.lacking(&Requirement::ALL, Some(&columns));
        let mut lacking = after.lacking(&self.required, Some(&columns));
        lacking.retain(|lack| !lacked.contains(lack));
        if lacking.is_empty() { Ok(()) } else { Err(PublishError::Incomplete(lacking)) }
    }
}

fn permit_edit(
    principal: &Principal,
    action: Action,
    metadata: &DatasetMetadata,
    barred: Vec<String>,
    now_ms: i64,
) -> Result<Grant, PublishError> {
    let (dataset, department) = (metadata.name.clone(), metadata.department.clone());
    match decide(principal, action, &Subject::Edit { dataset, department, barred }, now_ms) {
        Decision::Granted(grant) => Ok(grant),
        Decision::Denied(denial) => Err(denied(principal, action, denial)),
        Decision::Hidden | Decision::Withdrawn => Err(PublishError::UnknownDataset(metadata.name.clone())),
    }
}

/// What an approval of an edit is bound to: what is said, and instead of what.
fn digest(before: &DatasetMetadata, after: &DatasetMetadata) -> Result<String, PublishError> {
    let mut hash = Sha256::new();
    for part in [json(before)?, json(after)?] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
