//! The steps of the road in that people take: submit, recommend or return, approve, discard, withdraw; and what they
//! look at to decide. Each asks policy first, and is refused in the same words whether a thing is hidden or not there.

use portico_model::dataset::DatasetMetadata;
use portico_model::name::{DatasetName, VersionRef};
use portico_model::policy::{Action, Decision, Denial, Grant, Principal, RevisionFacts, Subject, decide};
use portico_model::revision::RevisionState;
use portico_store::{AuditEntry, DatasetFilter, DatasetRecord, Review, RevisionRecord};

use crate::error::PublishError;
use crate::publisher::Publisher;
use crate::revision::Revision;

/// Characters of a reason or a remark: a page.
pub(crate) const TEXT_CHARS_MAX: usize = 4_000;
/// Datasets that are read at a time.
const PAGE: u64 = 500;

impl Publisher {
    /// Hands a screened revision in for review.
    ///
    /// # Errors
    /// [`PublishError::Incomplete`] when something is missing that a release needs;
    /// [`PublishError::WrongState`] when findings block it or it is not screened.
    pub async fn submit(&self, principal: &Principal, id: &str, now_ms: i64) -> Result<Revision, PublishError> {
        let (record, grant) = self.open(principal, Action::Submit, id, now_ms).await?;
        if record.state == RevisionState::InReview {
            return Revision::of(record);
        }
        self.check_complete(&record)?;
        let review = Review { submitted_by: Some(grant.principal().to_owned()), ..Review::default() };
        self.become_state(RevisionState::InReview, RevisionRecord { review, ..record }, &grant, now_ms).await
    }

    /// Recommends a revision as fit for release, on the strength of what was screened: `digest` is the one that was
    /// looked at.
    ///
    /// # Errors
    /// [`PublishError::DigestChanged`] when it is another by now; [`PublishError::WrongState`] when it is not in review.
    pub async fn recommend(
        &self,
        principal: &Principal,
        id: &str,
        (digest, remark): (&str, &str),
        now_ms: i64,
    ) -> Result<Revision, PublishError> {
        let (record, grant) = self.open(principal, Action::Recommend, id, now_ms).await?;
        if record.digest.as_deref() != Some(digest) {
            return Err(PublishError::DigestChanged);
        }
        if record.review.recommended_by.is_some() {
            return Revision::of(record);
        }
        let remark = if remark.trim().is_empty() { None } else { Some(text("the remark", remark)?) };
        let review = Review { recommended_by: Some(grant.principal().to_owned()), remark, ..record.review.clone() };
        self.become_state(RevisionState::InReview, RevisionRecord { review, ..record }, &grant, now_ms).await
    }

    /// Gives a revision back to whoever works on it, with the reason.
    ///
    /// # Errors
    /// [`PublishError::BadText`] without a reason; [`PublishError::WrongState`] when it is not in review.
    pub async fn give_back(
        &self,
        principal: &Principal,
        id: &str,
        reason: &str,
        now_ms: i64,
    ) -> Result<Revision, PublishError> {
        let reason = text("the reason", reason)?;
        let (record, grant) = self.open(principal, Action::Return, id, now_ms).await?;
        if record.state == RevisionState::Returned {
            return Revision::of(record);
        }
        let review = Review {
            recommended_by: None,
            remark: None,
            returned_by: Some(grant.principal().to_owned()),
            returned_reason: Some(reason),
            ..record.review.clone()
        };
        self.become_state(RevisionState::Returned, RevisionRecord { review, ..record }, &grant, now_ms).await
    }

    /// Consents to the release of exactly what was screened: `digest` is the one that was looked at.
    ///
    /// # Errors
    /// [`PublishError::DigestChanged`] when it is another by now; [`PublishError::WrongState`] when findings block or
    /// nobody has recommended it; [`PublishError::Incomplete`] when something is missing that a release needs;
    /// [`PublishError::Denied`] for one's own work where duties are separate.
    pub async fn approve(
        &self,
        principal: &Principal,
        id: &str,
        digest: &str,
        now_ms: i64,
    ) -> Result<Revision, PublishError> {
        let (record, grant) = self.open(principal, Action::Approve, id, now_ms).await?;
        if record.digest.as_deref() != Some(digest) {
            return Err(PublishError::DigestChanged);
        }
        if matches!(record.state, RevisionState::Approved | RevisionState::Scheduled) {
            return Revision::of(record);
        }
        self.check_complete(&record)?;
        let approved_by = Some(grant.principal().to_owned());
        let approved = RevisionRecord { approved_by, approved_digest: Some(digest.to_owned()), ..record };
        self.become_state(RevisionState::Approved, approved, &grant, now_ms).await
    }

    /// Gives a revision up and removes its bytes.
    ///
    /// # Errors
    /// [`PublishError::WrongState`] when it is released already.
    pub async fn discard(&self, principal: &Principal, id: &str, now_ms: i64) -> Result<Revision, PublishError> {
        let (record, grant) = self.open(principal, Action::Discard, id, now_ms).await?;
        if record.state == RevisionState::Discarded {
            return Revision::of(record);
        }
        let discarded = self.become_state(RevisionState::Discarded, record.clone(), &grant, now_ms).await?;
        self.clean(&record).await;
        Ok(discarded)
    }

    /// Stops answering from a version, and then from versions of the dataset `usage` that name its columns; its record stays,
    /// with the public reason. Where the counts of use cannot be read, that is logged; doing it again goes on.
    ///
    /// # Errors
    /// [`PublishError::UnknownDataset`], [`PublishError::BadText`] without a reason, and the catalog's own when there is
    /// no such version.
    pub async fn withdraw(
        &self,
        principal: &Principal,
        version: &VersionRef,
        reason: &str,
        now_ms: i64,
    ) -> Result<(), PublishError> {
        let record = self.dataset(principal, &version.dataset, now_ms).await?;
        let grant = self.permit_dataset(principal, Action::Withdraw, &record.metadata, now_ms)?;
        let reason = text("the public reason", reason)?;
        self.store.catalog.withdraw(version, &reason, grant.principal(), now_ms).await?;
        // Afterwards, and whatever comes of it: a leak is stopped even where the counts of use cannot be read.
        if let Err(error) = self.withdraw_use_of(version, now_ms).await {
            let error: &dyn std::error::Error = &error;
            tracing::error!(error, "versions of usage may name columns of what was withdrawn: withdraw it once more");
        }
        Ok(())
    }

    /// One revision, for whoever works on it.
    ///
    /// # Errors
    /// [`PublishError::UnknownRevision`], [`PublishError::Denied`].
    pub async fn revision(&self, principal: &Principal, id: &str, now_ms: i64) -> Result<Revision, PublishError> {
        Revision::of(self.open(principal, Action::See, id, now_ms).await?.0)
    }

    /// The revisions of a dataset that the principal may see, newest first.
    ///
    /// # Errors
    /// [`PublishError::UnknownDataset`], [`PublishError::Denied`].
    pub async fn revisions(
        &self,
        principal: &Principal,
        dataset: &DatasetName,
        now_ms: i64,
    ) -> Result<Vec<Revision>, PublishError> {
        let department = self.dataset(principal, dataset, now_ms).await?.metadata.department;
        let mut seen = Vec::new();
        for record in self.store.catalog.revisions(dataset).await? {
            let subject = Subject::Revision(self.facts(&record, department.clone()));
            if matches!(decide(principal, Action::See, &subject, now_ms), Decision::Granted(_)) {
                seen.push(Revision::of(record)?);
            }
        }
        Ok(seen)
    }

    /// One dataset on the road in, released or not.
    ///
    /// # Errors
    /// [`PublishError::UnknownDataset`] when there is none in the principal's scope.
    pub async fn dataset(
        &self,
        principal: &Principal,
        name: &DatasetName,
        now_ms: i64,
    ) -> Result<DatasetRecord, PublishError> {
        let unknown = || PublishError::UnknownDataset(name.clone());
        let record = self.store.catalog.dataset(name).await?.ok_or_else(unknown)?;
        self.permit_dataset(principal, Action::See, &record.metadata, now_ms)?;
        Ok(record)
    }

    /// All datasets in the principal's scope, by name.
    ///
    /// # Errors
    /// Those of the catalog.
    pub async fn datasets(&self, principal: &Principal, now_ms: i64) -> Result<Vec<DatasetRecord>, PublishError> {
        let mut seen = Vec::new();
        let mut offset = 0;
        loop {
            let filter = DatasetFilter { include_unreleased: true, offset, limit: PAGE, ..DatasetFilter::default() };
            let (page, total) = self.store.catalog.datasets(&filter).await?;
            let last = page.is_empty() || offset.saturating_add(PAGE) >= total;
            let mine =
                |record: &DatasetRecord| self.permit_dataset(principal, Action::See, &record.metadata, now_ms).is_ok();
            seen.extend(page.into_iter().filter(mine));
            if last {
                return Ok(seen);
            }
            offset = offset.saturating_add(PAGE);
        }
    }

    /// Rows of the audit log after number `after`, oldest first, of one dataset or of all.
    ///
    /// # Errors
    /// [`PublishError::UnknownDataset`], [`PublishError::Denied`].
    pub async fn audit(
        &self,
        principal: &Principal,
        dataset: Option<&DatasetName>,
        (after, limit): (i64, i64),
        now_ms: i64,
    ) -> Result<Vec<AuditEntry>, PublishError> {
        match dataset {
            Some(name) => {
                let unknown = || PublishError::UnknownDataset(name.clone());
                let record = self.store.catalog.dataset(name).await?.ok_or_else(unknown)?;
                self.permit_dataset(principal, Action::ReadAudit, &record.metadata, now_ms)?;
            }
            None => drop(permit_portal(principal, Action::ReadAudit, now_ms)?),
        }
        Ok(self.store.catalog.audit(dataset, after, limit).await?)
    }

    /// The number and the hash of the audit log's last row.
    ///
    /// # Errors
    /// [`PublishError::Denied`].
    pub async fn audit_head(&self, principal: &Principal, now_ms: i64) -> Result<(i64, String), PublishError> {
        permit_portal(principal, Action::ReadAudit, now_ms)?;
        Ok(self.store.catalog.audit_head().await?)
    }

    /// Whether a dataset may be proposed to be as these metadata say, before its file is there.
    ///
    /// # Errors
    /// Those of [`Publisher::stage`].
    pub async fn may_stage(
        &self,
        principal: &Principal,
        proposed: &DatasetMetadata,
        now_ms: i64,
    ) -> Result<(), PublishError> {
        self.permit_proposal(principal, proposed, now_ms).await.map(drop)
    }

    async fn open(
        &self,
        principal: &Principal,
        action: Action,
        id: &str,
        now_ms: i64,
    ) -> Result<(RevisionRecord, Grant), PublishError> {
        let record = self.record(id).await?;
        let grant = self.permit(principal, action, &record, now_ms).await?;
        Ok((record, grant))
    }

    async fn become_state(
        &self,
        state: RevisionState,
        record: RevisionRecord,
        grant: &Grant,
        now_ms: i64,
    ) -> Result<Revision, PublishError> {
        let (before, updated) = (record.state, RevisionRecord { state, ..record });
        self.store.catalog.update_revision(before, &updated, grant.principal(), now_ms).await?;
        Revision::of(updated)
    }

    /// Asks policy about a revision.
    pub(crate) async fn permit(
        &self,
        principal: &Principal,
        action: Action,
        record: &RevisionRecord,
        now_ms: i64,
    ) -> Result<Grant, PublishError> {
        let dataset = self.store.catalog.dataset(&record.dataset).await?;
        let department = dataset.map(|dataset| dataset.metadata.department).unwrap_or_default();
        let mut facts = self.facts(record, department);
        if record.state == RevisionState::Scheduled {
            let schedule = self.store.catalog.schedule_of(&record.id).await?;
            facts.release_at_ms = schedule.map(|schedule| schedule.release_at_ms);
        }
        let subject = Subject::Revision(facts);
        match decide(principal, action, &subject, now_ms) {
            Decision::Granted(grant) => Ok(grant),
            Decision::Denied(Denial::State) => Err(PublishError::WrongState { state: record.state, action }),
            Decision::Denied(denial) => Err(denied(principal, action, denial)),
            Decision::Hidden | Decision::Withdrawn => Err(PublishError::UnknownRevision(record.id.clone())),
        }
    }

    pub(crate) fn facts(&self, record: &RevisionRecord, department: String) -> RevisionFacts {
        let took_part = std::iter::once(&record.created_by).chain(&record.review.submitted_by);
        RevisionFacts {
            dataset: record.dataset.clone(),
            department,
            state: record.state,
            recommended: record.review.recommended_by.is_some(),
            release_at_ms: None,
            staged_by: record.created_by.clone(),
            barred: if self.separate_duties { took_part.cloned().collect() } else { Vec::new() },
        }
    }

    pub(crate) fn permit_dataset(
        &self,
        principal: &Principal,
        action: Action,
        metadata: &DatasetMetadata,
        now_ms: i64,
    ) -> Result<Grant, PublishError> {
        let department = metadata.department.clone();
        match decide(principal, action, &Subject::Dataset { dataset: metadata.name.clone(), department }, now_ms) {
            Decision::Granted(grant) => Ok(grant),
            Decision::Denied(denial) => Err(denied(principal, action, denial)),
            Decision::Hidden | Decision::Withdrawn => Err(PublishError::UnknownDataset(metadata.name.clone())),
        }
    }

    /// Whether a dataset may be proposed to be as these metadata say: both what it is and what it would be have to be in
    /// the principal's scope.
    pub(crate) async fn permit_proposal(
        &self,
        principal: &Principal,
        proposed: &DatasetMetadata,
        now_ms: i64,
    ) -> Result<Grant, PublishError> {
        if let Some(record) = self.store.catalog.dataset(&proposed.name).await? {
            self.permit_dataset(principal, Action::Stage, &record.metadata, now_ms)?;
        }
        self.permit_dataset(principal, Action::Stage, proposed, now_ms)
    }
}

/// Asks policy about the portal as a whole.
pub(crate) fn permit_portal(principal: &Principal, action: Action, now_ms: i64) -> Result<Grant, PublishError> {
    match decide(principal, action, &Subject::Portal, now_ms) {
        Decision::Granted(grant) => Ok(grant),
        Decision::Denied(denial) => Err(denied(principal, action, denial)),
        Decision::Hidden | Decision::Withdrawn => Err(denied(principal, action, Denial::Role(action.roles()))),
    }
}

pub(crate) fn denied(principal: &Principal, action: Action, denial: Denial) -> PublishError {
    PublishError::Denied { principal: principal.name().to_owned(), action, denial }
}

/// What a person wrote, within its limit.
pub(crate) fn text(what: &'static str, said: &str) -> Result<String, PublishError> {
    let said = said.trim();
    if said.is_empty() || said.chars().count() > TEXT_CHARS_MAX {
        return Err(PublishError::BadText { what, chars_max: TEXT_CHARS_MAX });
    }
    Ok(said.to_owned())
}
