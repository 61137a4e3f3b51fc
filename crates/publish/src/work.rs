//! What there is to do, for somebody in particular: the revisions that wait, and the steps that this person may take.

use std::collections::HashMap;

use portico_model::name::DatasetName;
use portico_model::policy::{Action, Decision, Principal, Subject, decide};
use portico_model::revision::RevisionState;
use portico_store::RevisionRecord;

use crate::error::PublishError;
use crate::publisher::Publisher;
use crate::revision::Revision;

/// Revisions that are looked through, the newest: what a government has under way.
const OPEN_MAX: i64 = 500;

impl Publisher {
    /// The revisions that nobody has decided yet and that the principal may see, newest first.
    ///
    /// # Errors
    /// Those of the catalog.
    pub async fn open_revisions(&self, principal: &Principal, now_ms: i64) -> Result<Vec<Revision>, PublishError> {
        let mut departments: HashMap<DatasetName, String> = HashMap::new();
        let mut seen = Vec::new();
        for record in self.store.catalog.open_revisions(OPEN_MAX).await? {
            let department = match departments.get(&record.dataset) {
                Some(department) => department.clone(),
                None => {
                    let department = self.department(&record.dataset).await?;
                    departments.insert(record.dataset.clone(), department.clone());
                    department
                }
            };
            if self.grants(principal, Action::See, (&record, &department), now_ms) {
                seen.push(Revision::of(record)?);
            }
        }
        Ok(seen)
    }

    /// The steps that the principal may take on a revision and that would change something, in the order of the road;
    /// with [`Action::Preview`] where there are rows to look at.
    ///
    /// # Errors
    /// [`PublishError::UnknownRevision`], [`PublishError::Denied`].
    pub async fn steps(&self, principal: &Principal, id: &str, now_ms: i64) -> Result<Vec<Action>, PublishError> {
        const ROAD: [Action; 8] = [
            Action::Screen,
            Action::Preview,
            Action::Submit,
            Action::Recommend,
            Action::Return,
            Action::Approve,
            Action::Release,
            Action::Discard,
        ];
        let record = self.record(id).await?;
        self.permit(principal, Action::See, &record, now_ms).await?;
        let department = self.department(&record.dataset).await?;
        let may = |action: &Action| {
            !is_done(*action, &record) && self.grants(principal, *action, (&record, &department), now_ms)
        };
        Ok(ROAD.into_iter().filter(may).collect())
    }

    async fn department(&self, dataset: &DatasetName) -> Result<String, PublishError> {
        let record = self.store.catalog.dataset(dataset).await?;
        Ok(record.map(|record| record.metadata.department).unwrap_or_default())
    }

    fn grants(
        &self,
        principal: &Principal,
        action: Action,
        (record, department): (&RevisionRecord, &str),
        now_ms: i64,
    ) -> bool {
        let subject = Subject::Revision(self.facts(record, department.to_owned()));
        matches!(decide(principal, action, &subject, now_ms), Decision::Granted(_))
    }
}

/// Whether a step was done already: it may be repeated, and nothing would come of it.
fn is_done(action: Action, record: &RevisionRecord) -> bool {
    use RevisionState::{Approved, Discarded, InReview, Released, Returned, Scheduled};
    match action {
        Action::Screen | Action::Submit => matches!(record.state, InReview | Approved | Scheduled),
        Action::Recommend => record.review.recommended_by.is_some(),
        Action::Return => record.state == Returned,
        Action::Approve => matches!(record.state, Approved | Scheduled),
        Action::Release => record.state == Released,
        Action::Discard => record.state == Discarded,
        Action::Read
        | Action::See
        | Action::Stage
        | Action::Schedule
        | Action::Withdraw
        | Action::Describe
        | Action::KeepInventory
        | Action::DeclareSource
        | Action::ApproveSource
        | Action::RunSource
        | Action::AskForData
        | Action::AnswerRequests
        | Action::AskPurge
        | Action::ConfirmPurge
        | Action::WriteReport
        | Action::PublishReport
        | Action::EditPages
        | Action::Preview
        | Action::ReadAudit
        | Action::ManageTokens => false,
    }
}
