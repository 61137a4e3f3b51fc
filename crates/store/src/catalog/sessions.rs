//! Sessions: who is signed in at a browser. The catalog has the digests of what browsers show, never that itself.

use portico_model::policy::{Role, Scope};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::Catalog;
use super::audit::What;
use super::change::Change;
use super::links;
use super::records;
use super::seals::{self, session_columns};
use crate::error::StoreError;

/// Sessions that a list has at most, the newest.
const LISTED: i64 = 10_000;
/// How long a session that is over is kept for the lists, in milliseconds: 30 days. The audit log keeps it for ever.
const KEPT_MS: i64 = 30 * 24 * 60 * 60 * 1000;

/// A session, as far as anybody but its browser knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRecord {
    /// Names it, in lists and in the audit log; a ULID.
    pub id: String,
    /// Who is signed in: the name in the audit log.
    pub name: String,
    /// What they may do.
    pub roles: Vec<Role>,
    /// For which part of the portal.
    pub scope: Scope,
    /// How they signed in.
    pub origin: SessionOrigin,
    /// When, in milliseconds since the epoch.
    pub created_ms: i64,
    /// From when on it is over, whatever happens, in milliseconds since the epoch.
    pub expires_ms: i64,
    /// How long it may lie unused, in milliseconds.
    pub idle_ms: i64,
    /// When it was used last, to the minute or so.
    pub used_ms: i64,
    /// When it was ended.
    pub ended_ms: Option<i64>,
}

/// How somebody signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionOrigin {
    /// By a one-time link: its id.
    Link(String),
    /// At the identity provider: its own name for the person.
    Provider(String),
}

/// What of a session never changes, as the database keeps it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    roles: Vec<Role>,
    scope: Scope,
    origin: SessionOrigin,
    created_ms: i64,
    expires_ms: i64,
    idle_ms: i64,
}

impl SessionRecord {
    /// Whether it is good at a moment.
    #[must_use]
    pub const fn is_good(&self, now_ms: i64) -> bool {
        let idle = now_ms >= self.used_ms.saturating_add(self.idle_ms);
        self.ended_ms.is_none() && now_ms < self.expires_ms && !idle
    }
}

impl Catalog {
    /// Keeps a new session by its digest (SHA-256, lower-case hex).
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the id or the digest is taken.
    pub async fn insert_session(&self, session: &SessionRecord, sha256: &str) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        begin(&mut change, session, sha256).await?;
        change.commit().await
    }

    /// The session with a digest, good or not.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when its row is damaged, [`StoreError::Unavailable`] when the database does not answer.
    pub async fn session(&self, sha256: &str) -> Result<Option<SessionRecord>, StoreError> {
        let row = sqlx::query(concat!("SELECT ", session_columns!(), " FROM session WHERE sha256 = $1"))
            .bind(sha256)
            .fetch_optional(self.pool())
            .await?;
        let Some(row) = row else { return Ok(None) };
        // A damaged index may have led to another.
        if row.try_get::<String, _>("sha256")? != sha256 {
            return Err(StoreError::corrupt("a catalog row", "an index leads to another row"));
        }
        from_row(&row).map(Some)
    }

    /// All sessions that are kept, newest first. Damaged rows let nobody in, and are left out.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn sessions(&self) -> Result<Vec<SessionRecord>, StoreError> {
        let rows = sqlx::query(concat!("SELECT ", session_columns!(), " FROM session ORDER BY id DESC LIMIT $1"))
            .bind(LISTED)
            .fetch_all(self.pool())
            .await?;
        Ok(rows.iter().filter_map(readable).collect())
    }

    /// Ends a session. Doing it again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such session.
    pub async fn end_session(&self, id: &str, principal: &str, now_ms: i64) -> Result<SessionRecord, StoreError> {
        let mut change = self.change().await?;
        let found = sqlx::query(concat!("SELECT ", session_columns!(), " FROM session WHERE id = $1"))
            .bind(id)
            .fetch_optional(&mut *change.transaction)
            .await?;
        let session = from_row(&found.ok_or(StoreError::not_found("session"))?)?;
        if session.ended_ms.is_some() {
            return Ok(session);
        }
        let ended = end(&mut change, session, principal, now_ms).await?;
        change.commit().await?;
        Ok(ended)
    }

    /// Ends every session of a person that is not over yet, and says which they were. Links that are for them or that they
    /// have made are used up. Damaged rows let nobody in, and are passed over.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn end_sessions_of(
        &self,
        name: &str,
        principal: &str,
        now_ms: i64,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        self.end_those_of(Some(name), principal, now_ms).await
    }

    /// Ends every session of everybody that is not over yet, and says which they were. All links are used up. Damaged rows let
    /// nobody in, and are passed over.
    ///
    /// # Errors
    /// As [`Catalog::end_sessions_of`].
    pub async fn end_all_sessions(&self, principal: &str, now_ms: i64) -> Result<Vec<SessionRecord>, StoreError> {
        self.end_those_of(None, principal, now_ms).await
    }

    async fn end_those_of(
        &self,
        name: Option<&str>,
        principal: &str,
        now_ms: i64,
    ) -> Result<Vec<SessionRecord>, StoreError> {
        let mut change = self.change().await?;
        let rows =
            sqlx::query(concat!("SELECT ", session_columns!(), " FROM session WHERE ended_ms IS NULL ORDER BY id"))
                .fetch_all(&mut *change.transaction)
                .await?;
        let wanted = name.map(records::plain);
        let is_theirs = |session: &SessionRecord| wanted.as_ref().is_none_or(|name| session.name == *name);
        let mut ended = Vec::new();
        for session in rows.iter().filter_map(readable).filter(is_theirs) {
            if session.is_good(now_ms) {
                ended.push(end(&mut change, session, principal, now_ms).await?);
            }
        }
        links::use_up(&mut change, name, principal, now_ms).await?;
        change.commit().await?;
        Ok(ended)
    }

    /// Notes that a session was used. This is no act of its holder, and is not in the audit log.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn touch_session(&self, id: &str, now_ms: i64) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        sqlx::query("UPDATE session SET used_ms = $1 WHERE id = $2 AND used_ms < $1")
            .bind(now_ms)
            .bind(id)
            .execute(&mut *change.transaction)
            .await?;
        seals::seal_session(&mut change.transaction, id).await?;
        change.commit().await
    }
}

/// Writes a new session as a part of a change, and removes those that are over for long.
pub(super) async fn begin(change: &mut Change, session: &SessionRecord, sha256: &str) -> Result<(), StoreError> {
    let kept = Kept {
        roles: session.roles.clone(),
        scope: session.scope.clone(),
        origin: session.origin.clone(),
        created_ms: session.created_ms,
        expires_ms: session.expires_ms,
        idle_ms: session.idle_ms,
    };
    let name = records::plain(&session.name);
    sqlx::query("DELETE FROM session WHERE used_ms < $1")
        .bind(session.created_ms.saturating_sub(KEPT_MS))
        .execute(&mut *change.transaction)
        .await?;
    sqlx::query("INSERT INTO session (id, sha256, name, record, used_ms) VALUES ($1, $2, $3, $4, $5)")
        .bind(session.id.as_str())
        .bind(sha256)
        .bind(name.as_str())
        .bind(records::to_json(&kept)?)
        .bind(session.created_ms)
        .execute(&mut *change.transaction)
        .await?;
    seals::seal_session(&mut change.transaction, &session.id).await?;
    let detail = json!({
        "session": session.id, "roles": session.roles, "scope": session.scope, "by": session.origin,
        "expires_ms": session.expires_ms,
    });
    change.audit(&name, session.created_ms, what("session.started"), detail).await
}

async fn end(
    change: &mut Change,
    session: SessionRecord,
    principal: &str,
    now_ms: i64,
) -> Result<SessionRecord, StoreError> {
    sqlx::query("UPDATE session SET ended_ms = $1 WHERE id = $2")
        .bind(now_ms)
        .bind(session.id.as_str())
        .execute(&mut *change.transaction)
        .await?;
    seals::seal_session(&mut change.transaction, &session.id).await?;
    let detail = json!({ "session": session.id, "of": session.name });
    change.audit(principal, now_ms, what("session.ended"), detail).await?;
    Ok(SessionRecord { ended_ms: Some(now_ms), ..session })
}

/// A session of many: one damaged row is no reason to do without the others.
fn readable(row: &AnyRow) -> Option<SessionRecord> {
    from_row(row).inspect_err(|error| tracing::error!(%error, "a session's row is damaged and passed over")).ok()
}

fn from_row(row: &AnyRow) -> Result<SessionRecord, StoreError> {
    seals::check(&seals::SESSION, row)?;
    let kept: Kept = records::from_json(&row.try_get::<String, _>("record")?)?;
    Ok(SessionRecord {
        id: row.try_get("id")?,
        name: row.try_get("name")?,
        roles: kept.roles,
        scope: kept.scope,
        origin: kept.origin,
        created_ms: kept.created_ms,
        expires_ms: kept.expires_ms,
        idle_ms: kept.idle_ms,
        used_ms: row.try_get("used_ms")?,
        ended_ms: row.try_get("ended_ms")?,
    })
}

fn what(action: &'static str) -> What<'static> {
    What { action, dataset: None, revision: None, version: None }
}
