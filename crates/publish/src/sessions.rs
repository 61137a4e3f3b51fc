//! Sessions: somebody signed in at a browser, until they sign out, it lies unused, or its time is over.
//!
//! A browser shows 256 random bits in a cookie; the catalog has their digest. A session is always a new one: what a browser
//! showed before somebody signed in is never made into it.

use std::fmt;

use portico_model::policy::{Action, Principal, Role, Scope};
use portico_store::{SessionOrigin, SessionRecord, StoreError};
use sha2::{Digest as _, Sha256};
use ulid::Ulid;

use crate::decisions::permit_portal;
use crate::error::PublishError;
use crate::publisher::Publisher;
use crate::tokens::{check_holder, hex, random_secret, shown_secret};

/// How coarse the time of a session's last use is, in milliseconds.
const USED_MS: i64 = 60 * 1000;
const MINUTE_MS: i64 = 60 * 1000;
const HOUR_MS: i64 = 60 * MINUTE_MS;

/// What a browser shows for a session. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionText(String);

/// Somebody who may sign in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// The name in the audit log: one for each person, the same as in their tokens.
    pub name: String,
    /// All roles held; at least one.
    pub roles: Vec<Role>,
    /// For which part of the portal.
    pub scope: Scope,
}

/// How long sessions live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionLife {
    /// Hours from signing in, whatever happens.
    pub hours: u64,
    /// Minutes that one may lie unused.
    pub idle_minutes: u64,
}

impl SessionText {
    /// The text itself, for the cookie.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Reads what a browser shows; `None` for what cannot be a session.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        shown_secret(text).map(Self)
    }

    /// What the pages of this session say with every step, so that it is known to be one of theirs. It tells nothing of
    /// the session's own text.
    #[must_use]
    pub fn form_token(&self) -> String {
        hex(&Sha256::digest(format!("portico form {}", self.0).as_bytes()))
    }

    pub(crate) fn new() -> Result<Self, PublishError> {
        random_secret().map(Self)
    }

    pub(crate) fn sha256(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes()))
    }
}

impl fmt::Debug for SessionText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionText(…)")
    }
}

impl Publisher {
    /// Begins a session for somebody whom an identity provider has vouched for; `subject` is its own name for them.
    ///
    /// # Errors
    /// [`PublishError::BadToken`] for a name that cannot stand in the audit log; those of the catalog.
    pub async fn begin_session(
        &self,
        holder: Holder,
        subject: String,
        life: SessionLife,
        now_ms: i64,
    ) -> Result<(SessionText, SessionRecord), PublishError> {
        check_holder(&holder.name, &holder.roles, &holder.scope)?;
        let text = SessionText::new()?;
        let session = session_of(holder, SessionOrigin::Provider(subject), life, now_ms);
        self.store.catalog.insert_session(&session, &text.sha256()).await?;
        Ok((text, session))
    }

    /// The session that a browser shows, if it is good.
    ///
    /// # Errors
    /// Those of the catalog.
    pub async fn session(&self, shown: &SessionText, now_ms: i64) -> Result<Option<SessionRecord>, PublishError> {
        let found = self.store.catalog.session(&shown.sha256()).await?;
        let Some(session) = found.filter(|session| session.is_good(now_ms)) else { return Ok(None) };
        if now_ms.saturating_sub(session.used_ms) >= USED_MS
            && let Err(error) = self.store.catalog.touch_session(&session.id, now_ms).await
        {
            tracing::warn!(%error, "the use of a session could not be noted");
        }
        Ok(Some(session))
    }

    /// All sessions of the last month, newest first.
    ///
    /// # Errors
    /// [`PublishError::Denied`].
    pub async fn sessions(&self, principal: &Principal, now_ms: i64) -> Result<Vec<SessionRecord>, PublishError> {
        permit_portal(principal, Action::ManageTokens, now_ms)?;
        Ok(self.store.catalog.sessions().await?)
    }

    /// Ends a session at once.
    ///
    /// # Errors
    /// [`PublishError::Denied`]; the catalog's own when there is no such session.
    pub async fn end_session(
        &self,
        principal: &Principal,
        id: &str,
        now_ms: i64,
    ) -> Result<SessionRecord, PublishError> {
        // Who may not end any does not learn which there are.
        let grant = permit_portal(principal, Action::ManageTokens, now_ms)?;
        if Ulid::from_string(id).map(|ulid| ulid.to_string()).ok().as_deref() != Some(id) {
            return Err(StoreError::NotFound { what: "session" }.into());
        }
        Ok(self.store.catalog.end_session(id, grant.principal(), now_ms).await?)
    }

    /// Ends every session of a person at once, and uses up the links that are for them or that they have made. Everybody may
    /// end their own.
    ///
    /// # Errors
    /// [`PublishError::Denied`].
    pub async fn end_sessions_of(
        &self,
        principal: &Principal,
        name: &str,
        now_ms: i64,
    ) -> Result<Vec<SessionRecord>, PublishError> {
        let own = matches!(principal, Principal::Staff { name: own, .. } if own == name);
        if !own {
            permit_portal(principal, Action::ManageTokens, now_ms)?;
        }
        Ok(self.store.catalog.end_sessions_of(name, principal.name(), now_ms).await?)
    }

    /// Ends every session of everybody at once, the asker's own among them, and uses up all links.
    ///
    /// # Errors
    /// [`PublishError::Denied`].
    pub async fn end_all_sessions(
        &self,
        principal: &Principal,
        now_ms: i64,
    ) -> Result<Vec<SessionRecord>, PublishError> {
        let grant = permit_portal(principal, Action::ManageTokens, now_ms)?;
        Ok(self.store.catalog.end_all_sessions(grant.principal(), now_ms).await?)
    }

    /// Signs out: ends the session whose text the browser shows.
    ///
    /// # Errors
    /// Those of the catalog.
    pub async fn sign_out(&self, session: &SessionRecord, now_ms: i64) -> Result<(), PublishError> {
        self.store.catalog.end_session(&session.id, &session.name, now_ms).await?;
        Ok(())
    }
}

/// A session that begins now.
pub(crate) fn session_of(holder: Holder, origin: SessionOrigin, life: SessionLife, now_ms: i64) -> SessionRecord {
    let Holder { name, mut roles, scope } = holder;
    roles.sort_unstable();
    roles.dedup();
    let spell = |count: u64, unit: i64| i64::try_from(count).unwrap_or(i64::MAX).saturating_mul(unit);
    SessionRecord {
        id: Ulid::new().to_string(),
        name,
        roles,
        scope,
        origin,
        created_ms: now_ms,
        expires_ms: now_ms.saturating_add(spell(life.hours, HOUR_MS)),
        idle_ms: spell(life.idle_minutes, MINUTE_MS),
        used_ms: now_ms,
        ended_ms: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_shown_to_nobody() {
        let text = SessionText::new().unwrap();
        assert_eq!(SessionText::parse(text.reveal()), Some(text.clone()));
        assert_ne!(SessionText::new().unwrap(), text);
        assert!(!format!("{text:?}").contains(text.reveal()));
        assert_ne!(text.form_token(), text.sha256());
        let (short, upper) = (text.reveal().replacen(|_| true, "", 1), "A".repeat(64));
        for bad in ["", &short, &upper, &"g".repeat(64), &format!("{}0", text.reveal())] {
            assert!(SessionText::parse(bad).is_none(), "{bad}");
        }
    }
}
