//! Notices: what people are told of refreshes, by e-mail and by webhook. They are written with what they tell of and sent
//! afterwards; whoever is told twice by a crash knows it by the notice's id. There is never a value of the data in them.

use lettre::message::{Mailbox, header};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use portico_model::name::DatasetName;
use portico_store::NoticeRecord;
use ring::hmac;
use serde_json::json;
use ulid::Ulid;

use crate::error::PublishError;
use crate::publisher::{Publisher, from_json};
use crate::source::{Declaration, hex};

/// How long somebody may be at sending before another one does, in milliseconds.
const TAKEN_MS: i64 = 5 * 60_000;
/// Wait before the second try, in milliseconds; twice as long each time.
const AGAIN_MS: i64 = 60_000;
/// How long a mail server may take.
const MAIL: std::time::Duration = std::time::Duration::from_secs(60);

/// Said of a source that is late because it rests.
const PAUSED: &str = "the source is paused: it is not read before somebody has it go on (portico source resume)";
/// Said of a source that is late because it has no cycle.
const UNASKED: &str = "the source is read when somebody asks, and nobody has (portico source run)";

/// How people are told.
#[derive(Clone, Default)]
pub struct NoticeSettings {
    /// The mail server, as a URL with its user and password: `smtps://user:password@mail.example.gov` or
    /// `smtp://mail.example.gov:587?tls=required`. Empty: no e-mail.
    pub mail_url: String,
    /// The address that e-mail comes from.
    pub mail_from: String,
    /// Where notices are posted as JSON. Empty: nowhere.
    pub webhook_url: String,
    /// The key of the signatures of what is posted.
    pub webhook_secret: String,
    /// The portal's own address, for links in e-mail.
    pub public_url: String,
}

impl std::fmt::Debug for NoticeSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NoticeSettings").finish_non_exhaustive()
    }
}

/// Why a notice was not sent.
#[derive(Debug, thiserror::Error)]
enum SendError {
    #[error("an address is none")]
    Address(#[source] lettre::address::AddressError),
    #[error("the message cannot be made")]
    Message(#[from] lettre::error::Error),
    #[error("the mail server did not take it")]
    Mail(#[from] lettre::transport::smtp::Error),
    #[error("the mail server took too long")]
    Slow,
    #[error("the webhook did not take it")]
    Webhook(#[from] crate::fetch::FetchError),
}

impl Publisher {
    /// What has to be written for people to be told of a run.
    pub(crate) async fn notices(
        &self,
        dataset: &DatasetName,
        (kind, revision, reasons): (&str, Option<&str>, &[String]),
        now_ms: i64,
    ) -> Result<Vec<NoticeRecord>, PublishError> {
        let settings = &self.sources.notices;
        let steward = self.store.catalog.dataset(dataset).await?.map(|record| record.metadata.steward_email);
        let steward = steward.filter(|address| !address.trim().is_empty() && !settings.mail_url.is_empty());
        let webhook = (!settings.webhook_url.is_empty()).then(String::new);
        let ways = steward.map(|to| ("mail", to)).into_iter().chain(webhook.map(|to| ("webhook", to)));
        let notice = |(way, to): (&str, String)| NoticeRecord {
            id: Ulid::new().to_string(),
            created_ms: now_ms,
            way: way.to_owned(),
            to,
            kind: kind.to_owned(),
            dataset: dataset.clone(),
            revision: revision.map(str::to_owned),
            reasons: reasons.to_vec(),
            attempts: 0,
        };
        Ok(ways.map(notice).collect())
    }

    /// Writes down that people have to be told of sources that are late and are not read at all: those that are paused, and
    /// those that nobody asks for. Answers how many there are that nobody was told of yet.
    ///
    /// # Errors
    /// [`PublishError::Store`] when the catalog does not answer.
    pub async fn note_late(&self, now_ms: i64) -> Result<u64, PublishError> {
        let mut noted = 0_u64;
        for dataset in self.store.catalog.resting_refreshes().await? {
            match self.note_late_source(&dataset, now_ms).await {
                Ok(was_noted) => noted = noted.saturating_add(u64::from(was_noted)),
                // Nobody may have heard of the dataset yet: the scrub names it.
                Err(error) if error.is_damage() => tracing::error!(?error, "a source is passed over: portico scrub"),
                Err(error) => return Err(error),
            }
        }
        Ok(noted)
    }

    /// The same for one source that rests. Answers whether it is late and nobody was told of it yet.
    async fn note_late_source(&self, dataset: &DatasetName, now_ms: i64) -> Result<bool, PublishError> {
        let catalog = &self.store.catalog;
        let Some(refresh) = catalog.refresh(dataset).await?.filter(|refresh| refresh.next_ms.is_none()) else {
            return Ok(false);
        };
        let Some(source) = catalog.source(dataset).await? else { return Ok(false) };
        let declaration: Declaration = from_json(&source.declaration_json)?;
        let since = refresh.succeeded_ms.or(source.approved_ms);
        if refresh.told_late || !since.is_some_and(|since| declaration.tolerance.is_late(since, now_ms)) {
            return Ok(false);
        }
        let reason = if refresh.paused { PAUSED } else { UNASKED };
        let notices = self.notices(dataset, ("late", None, &[reason.to_owned()]), now_ms).await?;
        Ok(catalog.note_late(&refresh, &notices).await?)
    }

    /// Sends the notices that are due. Answers how many were sent; those that were not are tried again, less and less
    /// often, and given up in the end.
    ///
    /// # Errors
    /// [`PublishError::Store`] when the catalog does not answer.
    pub async fn send_notices(&self, now_ms: i64) -> Result<u64, PublishError> {
        let mut sent = 0_u64;
        for notice in self.store.catalog.take_notices(now_ms, TAKEN_MS).await? {
            let outcome = match notice.way.as_str() {
                "mail" => self.send_mail(&notice).await,
                _ => self.post(&notice).await,
            };
            let Err(error) = outcome else {
                self.store.catalog.end_notice(&notice.id).await?;
                sent = sent.saturating_add(1);
                continue;
            };
            let attempts = notice.attempts.saturating_add(1);
            tracing::warn!(notice = %notice.id, way = %notice.way, attempts, ?error, "a notice was not sent");
            if u64::from(attempts) >= self.sources.limits.notice_attempts {
                self.store.catalog.end_notice(&notice.id).await?;
                continue;
            }
            let wait = AGAIN_MS.saturating_mul(1_i64.checked_shl(attempts.saturating_sub(1)).unwrap_or(i64::MAX));
            let again = NoticeRecord { attempts, ..notice };
            self.store.catalog.put_off_notice(&again, now_ms.saturating_add(wait)).await?;
        }
        Ok(sent)
    }

    async fn send_mail(&self, notice: &NoticeRecord) -> Result<(), SendError> {
        let settings = &self.sources.notices;
        let address = |text: &str| -> Result<Mailbox, SendError> {
            Ok(Mailbox::new(None, text.trim().parse().map_err(SendError::Address)?))
        };
        let host = settings.mail_from.rsplit('@').next().unwrap_or_default();
        let message = Message::builder()
            .from(address(&settings.mail_from)?)
            .to(address(&notice.to)?)
            // The same for every try: mail programs show it once.
            .message_id(Some(format!("<{}@{host}>", notice.id)))
            .subject(subject(notice))
            .header(header::ContentType::TEXT_PLAIN)
            .body(text(notice, &settings.public_url))?;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&settings.mail_url)?.build();
        let sent = tokio::time::timeout(MAIL, transport.send(message)).await.map_err(|_| SendError::Slow)?;
        Ok(sent.map(drop)?)
    }

    async fn post(&self, notice: &NoticeRecord) -> Result<(), SendError> {
        let settings = &self.sources.notices;
        let body = json!({
            "id": notice.id,
            "at_ms": notice.created_ms,
            "kind": notice.kind,
            "dataset": notice.dataset,
            "revision": notice.revision,
            "reasons": notice.reasons,
        })
        .to_string();
        let key = hmac::Key::new(hmac::HMAC_SHA256, settings.webhook_secret.as_bytes());
        let signature = hex(hmac::sign(&key, body.as_bytes()).as_ref());
        let headers = [("idempotency-key", notice.id.clone()), ("portico-signature", format!("sha256={signature}"))];
        Ok(self.sources.fetcher.tell(&settings.webhook_url, &headers, body).await?)
    }
}

fn subject(notice: &NoticeRecord) -> String {
    let what = match notice.kind.as_str() {
        "held" => "a refresh waits for you",
        "late" => "no refresh came to a good end for too long",
        _ => "a refresh failed",
    };
    format!("{}: {what}", notice.dataset)
}

fn text(notice: &NoticeRecord, public_url: &str) -> String {
    let mut text = format!("{}.\n", subject(notice));
    for reason in &notice.reasons {
        text.push_str(&format!("- {reason}\n"));
    }
    if let Some(revision) = &notice.revision {
        text.push_str(&format!("\nRevision {revision}: portico revision show {revision}\n"));
    }
    if !public_url.is_empty() {
        text.push_str(&format!("The version that is public goes on being served: {public_url}\n"));
    }
    text
}
