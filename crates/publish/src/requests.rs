//! Requests: what the public asks to have published. Whatever a stranger writes is read by staff before anybody sees it.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use portico_intake::screen::Screener;
use portico_model::data_request::{DataRequest, RequestStatus};
use portico_model::finding::{Finding, Severity};
use portico_model::limits::RequestLimits;
use portico_model::name::DatasetName;
use portico_model::policy::{Action, Decision, Principal, Subject, decide};
use portico_model::problem::{Problem, ProblemKind};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

use crate::decisions::permit_portal;
use crate::error::PublishError;
use crate::publisher::Publisher;

/// When to try again while too many wait to be read, in seconds: staff come to work.
const RETRY_S: u64 = 3_600;

/// What a stranger writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Wish {
    /// What is asked for, in a line.
    pub title: String,
    /// More about it, and what it is for.
    pub details: String,
    /// The department that has it, as far as is known.
    pub department: String,
    /// An e-mail address for the answer, if one is wanted.
    pub contact: String,
}

/// What staff say of a request. What is not said stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestAnswer {
    /// Where it stands from now on.
    pub status: Option<RequestStatus>,
    /// What the public is told.
    pub answer: Option<String>,
    /// The dataset of the inventory that it is about; an empty text for none.
    pub dataset: Option<String>,
    /// Whether the public sees it.
    pub shown: Option<bool>,
    /// The line without what does not belong there.
    pub title: Option<String>,
    /// The details without what does not belong there.
    pub details: Option<String>,
    /// The department that it is for; an empty text for none that is known.
    pub department: Option<String>,
    /// Whether the address for the answer is to be forgotten.
    pub delete_contact: bool,
}

impl Publisher {
    /// Takes a request of the public. Nobody sees it before staff have read it. Sent twice, it is one.
    ///
    /// # Errors
    /// [`PublishError::BadRequest`] with everything that is wrong; [`PublishError::Refused`] when too many wait to be read.
    pub async fn receive_request(
        &self,
        principal: &Principal,
        wish: Wish,
        limits: &RequestLimits,
        now_ms: i64,
    ) -> Result<DataRequest, PublishError> {
        let Decision::Granted(_) = decide(principal, Action::AskForData, &Subject::Portal, now_ms) else {
            return Err(PublishError::BadRequest(vec!["requests are not taken".to_owned()]));
        };
        let mut request = DataRequest {
            id: Ulid::from_parts(u64::try_from(now_ms).unwrap_or_default(), Ulid::new().random()).to_string(),
            title: plain(&wish.title),
            details: plain(&wish.details),
            department: plain(&wish.department),
            contact: wish.contact.trim().to_owned(),
            status: RequestStatus::Received,
            answer: String::new(),
            dataset: None,
            shown: false,
            findings: Vec::new(),
            received_ms: now_ms,
            updated_ms: now_ms,
        };
        check(&request, limits)?;
        let known = self.store.catalog.data_requests().await?;
        let unread = known.iter().filter(|known| known.updated_ms == known.received_ms);
        let says = |one: &DataRequest| [&one.title, &one.details, &one.department, &one.contact].map(String::clone);
        // First, so that whoever guesses what somebody has asked for is told nothing else.
        if u64::try_from(unread.clone().count()).unwrap_or(u64::MAX) >= limits.unread {
            let full = Problem::new(ProblemKind::Unavailable, "Many requests wait to be read. Try again another day.");
            return Err(PublishError::Refused(full.retry_after(RETRY_S)));
        }
        let same = unread.into_iter().find(|known| says(known) == says(&request));
        if let Some(same) = same {
            return Ok(same.clone());
        }
        request.findings = self.screened(&request);
        self.store.catalog.put_data_request(None, &request, principal.name(), now_ms).await?;
        Ok(request)
    }

    /// What the public sees: requests that staff have decided to show, newest first, without anybody's address, without
    /// what screening said of them, and without the name of a dataset that the public does not know of.
    ///
    /// # Errors
    /// Those of the catalog.
    pub async fn shown_requests(&self) -> Result<Vec<DataRequest>, PublishError> {
        let mut requests = self.store.catalog.data_requests().await?;
        requests.retain(|request| request.shown);
        let named: BTreeSet<DatasetName> = requests.iter().filter_map(|request| request.dataset.clone()).collect();
        let mut known = BTreeSet::new();
        for name in named {
            if self.is_known(&name).await? {
                known.insert(name);
            }
        }
        for request in &mut requests {
            request.contact.clear();
            request.findings.clear();
            request.dataset = request.dataset.take().filter(|name| known.contains(name));
        }
        Ok(requests)
    }

    /// All requests, newest first, for whoever answers them.
    ///
    /// # Errors
    /// [`PublishError::Denied`].
    pub async fn requests(&self, principal: &Principal, now_ms: i64) -> Result<Vec<DataRequest>, PublishError> {
        permit_portal(principal, Action::AnswerRequests, now_ms)?;
        Ok(self.store.catalog.data_requests().await?)
    }

    /// Says where a request stands, what the public is told, whether it is shown, and takes out of its text what does not
    /// belong there. Saying it again changes nothing.
    ///
    /// # Errors
    /// [`PublishError::Denied`]; [`PublishError::UnknownRequest`]; [`PublishError::BadRequest`] when it is declined without
    /// an answer, or names a dataset that the inventory does not have; [`PublishError::NotShown`] when the text to be
    /// shown has personal data in it.
    pub async fn answer_request(
        &self,
        principal: &Principal,
        id: &str,
        said: RequestAnswer,
        limits: &RequestLimits,
        now_ms: i64,
    ) -> Result<DataRequest, PublishError> {
        let grant = permit_portal(principal, Action::AnswerRequests, now_ms)?;
        let before = self.store.catalog.data_request(id).await?;
        let before = before.ok_or_else(|| PublishError::UnknownRequest(id.to_owned()))?;
        let mut request = before.clone();
        request.status = said.status.unwrap_or(request.status);
        request.shown = said.shown.unwrap_or(request.shown);
        for (field, text) in [
            (&mut request.answer, said.answer),
            (&mut request.title, said.title),
            (&mut request.details, said.details),
            (&mut request.department, said.department),
        ] {
            if let Some(text) = text {
                *field = plain(&text);
            }
        }
        if said.delete_contact {
            request.contact.clear();
        }
        if let Some(name) = said.dataset {
            request.dataset = self.held(&name).await?;
        }
        check(&request, limits)?;
        if request.status == RequestStatus::Declined && request.answer.is_empty() {
            let reason = "what is declined wants the reason, as the answer that the public is told".to_owned();
            return Err(PublishError::BadRequest(vec![reason]));
        }
        request.findings = self.screened(&request);
        if request.shown && self.blocked(&request) {
            return Err(PublishError::NotShown(request.findings));
        }
        if request != before {
            request.updated_ms = now_ms.max(request.received_ms.saturating_add(1));
            self.store.catalog.put_data_request(Some(&before), &request, grant.principal(), now_ms).await?;
        }
        Ok(request)
    }

    /// Whether the public may know that there is a dataset of the name: it is released, or listed under its own name.
    async fn is_known(&self, name: &DatasetName) -> Result<bool, PublishError> {
        let record = self.store.catalog.dataset(name).await?;
        if record.is_some_and(|record| record.current.is_some()) {
            return Ok(true);
        }
        let entry = self.store.catalog.inventory_entry(name).await?;
        Ok(entry.is_some_and(|entry| entry.listed && entry.public_title.is_empty()))
    }

    /// A dataset that the inventory or the portal has.
    async fn held(&self, name: &str) -> Result<Option<DatasetName>, PublishError> {
        if name.is_empty() {
            return Ok(None);
        }
        let unknown = || PublishError::BadRequest(vec![format!("the inventory has no dataset {name}")]);
        let parsed = DatasetName::parse(name).map_err(|_| unknown())?;
        let entered = self.store.catalog.inventory_entry(&parsed).await?.is_some();
        if entered || self.store.catalog.dataset(&parsed).await?.is_some() { Ok(Some(parsed)) } else { Err(unknown()) }
    }

    /// The rules that the text meets, each once.
    fn screened(&self, request: &DataRequest) -> Vec<String> {
        let found = self.findings(request).into_iter().filter(|finding| finding.severity != Severity::Info);
        let mut rules: Vec<String> = found.map(|finding| finding.rule).collect();
        rules.sort_unstable();
        rules.dedup();
        rules
    }

    fn blocked(&self, request: &DataRequest) -> bool {
        self.findings(request).iter().any(Finding::blocks)
    }

    /// What the screening of files would say of the text that the public is to read.
    fn findings(&self, request: &DataRequest) -> Vec<Finding> {
        let text =
            [&request.title, &request.details, &request.department, &request.answer].map(String::as_str).join("\n");
        let column: ArrayRef = Arc::new(StringArray::from(vec![text]));
        let Ok(batch) = RecordBatch::try_from_iter([("text", column)]) else { return Vec::new() };
        let mut screener = Screener::new(&batch.schema(), None, self.jail.rules());
        screener.push(&batch, 1);
        screener.finish()
    }
}

fn check(request: &DataRequest, limits: &RequestLimits) -> Result<(), PublishError> {
    let mut faults = Vec::new();
    if request.title.is_empty() {
        faults.push("title says what is asked for, in a line".to_owned());
    }
    let texts = [
        ("title", &request.title, limits.title_chars),
        ("department", &request.department, limits.title_chars),
        ("contact", &request.contact, limits.title_chars),
        ("details", &request.details, limits.details_chars),
        ("answer", &request.answer, limits.details_chars),
    ];
    for (field, text, most) in texts {
        if u64::try_from(text.chars().count()).unwrap_or(u64::MAX) > most {
            faults.push(format!("{field} has more than {most} characters"));
        }
    }
    if !request.contact.is_empty() && !portico_model::dataset::is_address(&request.contact) {
        faults.push("contact wants an e-mail address, or nothing".to_owned());
    }
    if faults.is_empty() { Ok(()) } else { Err(PublishError::BadRequest(faults)) }
}

/// Text without control characters but for the ends of lines, and without spaces around it.
fn plain(text: &str) -> String {
    let kept = text.replace("\r\n", "\n");
    let kept: String = kept.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect();
    kept.trim().to_owned()
}
