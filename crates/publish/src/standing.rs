//! What a source brings is released by its standing approval, or held for people, with the reasons.

use portico_model::policy::{Action, Principal, VersionState};
use portico_model::revision::RevisionState;
use portico_store::{Review, RevisionRecord, SourceRecord};

use crate::drift::differences;
use crate::error::PublishError;
use crate::publisher::Publisher;
use crate::revision::Revision;
use crate::source::Declaration;

/// Said of a source whose place the operator has pointed elsewhere; where that is, is not for everybody who reads it.
const REPOINTED: &str =
    "the place that it names is another one than the one that was approved: the source is to be approved again";

/// Said of what comes after a version that people have withdrawn: what was wrong with that one may be wrong with this one.
const WITHDRAWN: &str =
    "the newest version was withdrawn: what comes after it by the same way is looked at before it is public";

impl Publisher {
    /// Why people have to look at it before it is released.
    pub(crate) async fn reasons(
        &self,
        source: &SourceRecord,
        declaration: &Declaration,
        record: &RevisionRecord,
    ) -> Result<Vec<String>, PublishError> {
        let catalog = &self.store.catalog;
        let mut reasons = Vec::new();
        let now = catalog.source(&source.dataset).await?;
        let place = self.sources.places.stands_for(&declaration.from);
        match now.filter(|now| now.number == source.number && now.approved_by.is_some()) {
            None => reasons.push("the source has no standing approval".to_owned()),
            Some(now) if now.place != place => reasons.push(REPOINTED.to_owned()),
            Some(_) => {}
        }
        let revision = Revision::of(record.clone())?;
        if revision.options != declaration.options(&record.file_name) {
            reasons.push("somebody has said otherwise how it is read".to_owned());
        }
        if revision.metadata.steward_email.trim().is_empty() {
            reasons.push("the dataset has no steward".to_owned());
        }
        let (newest, _) = catalog.versions_page(&source.dataset, 0, 1).await?;
        if newest.iter().any(|newest| newest.state != VersionState::Released) {
            reasons.push(WITHDRAWN.to_owned());
        }
        match (catalog.current_version(&source.dataset).await?, record.prepared()?, &record.profile) {
            (None, _, _) => reasons.push("there is no current version to compare it with".to_owned()),
            (Some(current), Some(prepared), Some(profile)) => {
                reasons.extend(differences(&current, (&prepared, profile, &record.findings), &declaration.tolerance));
            }
            (Some(_), _, _) => reasons.push("it was not screened to the end".to_owned()),
        }
        Ok(reasons)
    }

    /// The standing approval, given for exactly what was screened.
    pub(crate) async fn approve_standing(
        &self,
        principal: &Principal,
        source: &SourceRecord,
        record: RevisionRecord,
        now_ms: i64,
    ) -> Result<RevisionRecord, PublishError> {
        let grant = self.permit(principal, Action::Approve, &record, now_ms).await?;
        let approved = RevisionRecord {
            state: RevisionState::Approved,
            approved_by: source.approved_by.clone(),
            approved_digest: record.digest.clone(),
            ..record.clone()
        };
        self.store.catalog.update_revision(record.state, &approved, grant.principal(), now_ms).await?;
        Ok(approved)
    }

    pub(crate) async fn hold(
        &self,
        principal: &Principal,
        record: RevisionRecord,
        reasons: Vec<String>,
        now_ms: i64,
    ) -> Result<RevisionRecord, PublishError> {
        let grant = self.permit(principal, Action::Submit, &record, now_ms).await?;
        let review = Review { submitted_by: Some(grant.principal().to_owned()), held: reasons, ..Review::default() };
        let held = RevisionRecord { state: RevisionState::InReview, review, ..record.clone() };
        self.store.catalog.update_revision(record.state, &held, grant.principal(), now_ms).await?;
        Ok(held)
    }
}
