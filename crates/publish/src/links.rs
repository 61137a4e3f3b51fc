//! One-time links: how somebody signs in where there is no identity provider. Whoever runs the server, or an
//! administrator, makes one and hands it over; it is good for minutes, and once.

use std::fmt;

use portico_model::policy::{Action, Principal};
use portico_store::{LinkRecord, SessionOrigin, SessionRecord};
use sha2::{Digest as _, Sha256};
use ulid::Ulid;

use crate::decisions::permit_portal;
use crate::error::PublishError;
use crate::publisher::Publisher;
use crate::sessions::{Holder, SessionLife, SessionText, session_of};
use crate::tokens::{check_holder, hex, random_secret, shown_secret};

const MINUTE_MS: i64 = 60 * 1000;

/// The secret of a link. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct LinkText(String);

/// What a link is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRequest {
    /// Whom it is to sign in.
    pub holder: Holder,
    /// How many minutes it is to be good for: the operator's limit.
    pub minutes: u64,
}

impl LinkText {
    /// The text itself, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Reads what somebody shows; `None` for what cannot be a link.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        shown_secret(text).map(Self)
    }

    fn sha256(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes()))
    }
}

impl fmt::Debug for LinkText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LinkText(…)")
    }
}

impl Publisher {
    /// Makes a link. Its text is in the answer and nowhere else.
    ///
    /// # Errors
    /// [`PublishError::Denied`]; [`PublishError::BadToken`] for a holder that makes no sense.
    pub async fn create_link(
        &self,
        principal: &Principal,
        request: LinkRequest,
        now_ms: i64,
    ) -> Result<(LinkText, LinkRecord), PublishError> {
        let grant = permit_portal(principal, Action::ManageTokens, now_ms)?;
        let LinkRequest { holder: Holder { name, roles, scope }, minutes } = request;
        check_holder(&name, &roles, &scope)?;
        let text = LinkText(random_secret()?);
        let life_ms = i64::try_from(minutes).unwrap_or(i64::MAX).saturating_mul(MINUTE_MS);
        let record = LinkRecord {
            id: Ulid::new().to_string(),
            name,
            roles,
            scope,
            created_ms: now_ms,
            created_by: grant.principal().to_owned(),
            expires_ms: now_ms.saturating_add(life_ms),
            used_ms: None,
        };
        self.store.catalog.insert_link(&record, &text.sha256()).await?;
        Ok((text, record))
    }

    /// The link that somebody shows, if it is good; it is not used up by being looked at.
    ///
    /// # Errors
    /// Those of the catalog.
    pub async fn link(&self, shown: &LinkText, now_ms: i64) -> Result<Option<LinkRecord>, PublishError> {
        let found = self.store.catalog.link(&shown.sha256()).await?;
        Ok(found.filter(|link| link.is_good(now_ms)))
    }

    /// Uses a link up and begins a session. `None` when it is not good any more.
    ///
    /// # Errors
    /// Those of the catalog.
    pub async fn use_link(
        &self,
        shown: &LinkText,
        life: SessionLife,
        now_ms: i64,
    ) -> Result<Option<(SessionText, SessionRecord)>, PublishError> {
        let text = SessionText::new()?;
        let begin = move |link: &LinkRecord| {
            let holder = Holder { name: link.name.clone(), roles: link.roles.clone(), scope: link.scope.clone() };
            session_of(holder, SessionOrigin::Link(link.id.clone()), life, now_ms)
        };
        let begun = self.store.catalog.use_link(&shown.sha256(), now_ms, (begin, &text.sha256())).await?;
        Ok(begun.map(|session| (text, session)))
    }
}
