//! One-time links: each signs one person in, once. The catalog has their digests, never the links.

use portico_model::policy::{Role, Scope};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::Catalog;
use super::audit::What;
use super::change::Change;
use super::records;
use super::seals::{self, link_columns};
use super::sessions::{self, SessionRecord};
use crate::error::StoreError;

/// How long a link that is over is kept, in milliseconds: a day. The audit log keeps it for ever.
const KEPT_MS: i64 = 24 * 60 * 60 * 1000;

/// A link, as far as anybody but its holder knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkRecord {
    /// Names it in the audit log; a ULID.
    pub id: String,
    /// Whom it signs in: the name in the audit log.
    pub name: String,
    /// What they may do then.
    pub roles: Vec<Role>,
    /// For which part of the portal.
    pub scope: Scope,
    /// When it was made, in milliseconds since the epoch.
    pub created_ms: i64,
    /// Who made it.
    pub created_by: String,
    /// From when on it is not good any more, in milliseconds since the epoch.
    pub expires_ms: i64,
    /// When it was used.
    pub used_ms: Option<i64>,
}

/// What of a link never changes, as the database keeps it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    name: String,
    roles: Vec<Role>,
    scope: Scope,
    created_ms: i64,
    created_by: String,
}

impl LinkRecord {
    /// Whether it is good at a moment.
    #[must_use]
    pub const fn is_good(&self, now_ms: i64) -> bool {
        self.used_ms.is_none() && now_ms < self.expires_ms
    }
}

impl Catalog {
    /// Keeps a new link by its digest (SHA-256, lower-case hex). Who made it and when are in the record.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the id or the digest is taken.
    pub async fn insert_link(&self, link: &LinkRecord, sha256: &str) -> Result<(), StoreError> {
        let kept = Kept {
            name: records::plain(&link.name),
            roles: link.roles.clone(),
            scope: link.scope.clone(),
            created_ms: link.created_ms,
            created_by: records::plain(&link.created_by),
        };
        let mut change = self.change().await?;
        sqlx::query("DELETE FROM link WHERE expires_ms < $1")
            .bind(link.created_ms.saturating_sub(KEPT_MS))
            .execute(&mut *change.transaction)
            .await?;
        sqlx::query("INSERT INTO link (id, sha256, record, expires_ms) VALUES ($1, $2, $3, $4)")
            .bind(link.id.as_str())
            .bind(sha256)
            .bind(records::to_json(&kept)?)
            .bind(link.expires_ms)
            .execute(&mut *change.transaction)
            .await?;
        seals::seal_link(&mut change.transaction, &link.id).await?;
        let detail = json!({
            "link": link.id, "for": link.name, "roles": link.roles, "scope": link.scope, "expires_ms": link.expires_ms,
        });
        change.audit(&link.created_by, link.created_ms, what("link.created"), detail).await?;
        change.commit().await
    }

    /// The link with a digest, good or not.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when its row is damaged, [`StoreError::Unavailable`] when the database does not answer.
    pub async fn link(&self, sha256: &str) -> Result<Option<LinkRecord>, StoreError> {
        let row = sqlx::query(concat!("SELECT ", link_columns!(), " FROM link WHERE sha256 = $1"))
            .bind(sha256)
            .fetch_optional(self.pool())
            .await?;
        identified(row.as_ref(), sha256)
    }

    /// Uses a link up and begins the session that it gives, both or neither. `None` when it is not good any more: of
    /// two who use it at once, one is let in.
    ///
    /// # Errors
    /// As [`Catalog::link`].
    pub async fn use_link(
        &self,
        sha256: &str,
        now_ms: i64,
        (session, session_sha256): (impl FnOnce(&LinkRecord) -> SessionRecord + Send, &str),
    ) -> Result<Option<SessionRecord>, StoreError> {
        // What a change reads stays as it is until it ends, so that nobody else can use the link meanwhile.
        let mut change = self.change().await?;
        let row = sqlx::query(concat!("SELECT ", link_columns!(), " FROM link WHERE sha256 = $1"))
            .bind(sha256)
            .fetch_optional(&mut *change.transaction)
            .await?;
        let Some(link) = identified(row.as_ref(), sha256)?.filter(|link| link.is_good(now_ms)) else {
            return Ok(None);
        };
        sqlx::query("UPDATE link SET used_ms = $1 WHERE id = $2")
            .bind(now_ms)
            .bind(link.id.as_str())
            .execute(&mut *change.transaction)
            .await?;
        seals::seal_link(&mut change.transaction, &link.id).await?;
        let session = session(&link);
        sessions::begin(&mut change, &session, session_sha256).await?;
        change.commit().await?;
        Ok(Some(session))
    }
}

/// Uses up, as a part of a change, every good link that is for somebody or that they have made; every one at all without a
/// name. There are few: each is good for minutes.
pub(super) async fn use_up(
    change: &mut Change,
    name: Option<&str>,
    principal: &str,
    now_ms: i64,
) -> Result<(), StoreError> {
    let rows = sqlx::query(concat!(
        "SELECT ",
        link_columns!(),
        " FROM link WHERE used_ms IS NULL AND expires_ms > $1 ORDER BY id"
    ))
    .bind(now_ms)
    .fetch_all(&mut *change.transaction)
    .await?;
    let name = name.map(records::plain);
    let concerns = |link: &LinkRecord| name.as_ref().is_none_or(|name| link.name == *name || link.created_by == *name);
    for row in &rows {
        let link = match from_row(row) {
            Ok(link) if concerns(&link) => link,
            Ok(_) => continue,
            // It lets nobody in.
            Err(error) => {
                tracing::error!(%error, "a link's row is damaged and passed over");
                continue;
            }
        };
        sqlx::query("UPDATE link SET used_ms = $1 WHERE id = $2")
            .bind(now_ms)
            .bind(link.id.as_str())
            .execute(&mut *change.transaction)
            .await?;
        seals::seal_link(&mut change.transaction, &link.id).await?;
        change.audit(principal, now_ms, what("link.revoked"), json!({ "link": link.id, "for": link.name })).await?;
    }
    Ok(())
}

/// The link of a row that was looked up by digest: a damaged index may have led to another.
fn identified(row: Option<&AnyRow>, sha256: &str) -> Result<Option<LinkRecord>, StoreError> {
    let Some(row) = row else { return Ok(None) };
    if row.try_get::<String, _>("sha256")? != sha256 {
        return Err(StoreError::corrupt("a catalog row", "an index leads to another row"));
    }
    from_row(row).map(Some)
}

fn from_row(row: &AnyRow) -> Result<LinkRecord, StoreError> {
    seals::check(&seals::LINK, row)?;
    let kept: Kept = records::from_json(&row.try_get::<String, _>("record")?)?;
    Ok(LinkRecord {
        id: row.try_get("id")?,
        name: kept.name,
        roles: kept.roles,
        scope: kept.scope,
        created_ms: kept.created_ms,
        created_by: kept.created_by,
        expires_ms: row.try_get("expires_ms")?,
        used_ms: row.try_get("used_ms")?,
    })
}

fn what(action: &'static str) -> What<'static> {
    What { action, dataset: None, revision: None, version: None }
}
