//! Tokens: what a member of staff shows to the server. The catalog has their digests, never the tokens.

use portico_model::policy::{Role, Scope};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sqlx::Row;
use sqlx::any::AnyRow;

use super::Catalog;
use super::audit::What;
use super::links;
use super::records;
use super::seals::{self, token_columns};
use crate::error::StoreError;

/// Tokens that a list has at most, the newest: those of a state's whole staff for some years.
const LISTED: i64 = 10_000;

/// A token, as far as anybody but its holder knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRecord {
    /// Names it, in lists and in the audit log; a ULID.
    pub id: String,
    /// Who holds it: the name in the audit log.
    pub name: String,
    /// What the holder may do.
    pub roles: Vec<Role>,
    /// For which part of the portal.
    pub scope: Scope,
    /// When it was made, in milliseconds since the epoch.
    pub created_ms: i64,
    /// Who made it.
    pub created_by: String,
    /// From when on it is not good any more, in milliseconds since the epoch.
    pub expires_ms: i64,
    /// When it was revoked.
    pub revoked_ms: Option<i64>,
    /// When it was used last, to the hour or so.
    pub last_used_ms: Option<i64>,
}

/// What of a token never changes, as the database keeps it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    name: String,
    roles: Vec<Role>,
    scope: Scope,
    created_ms: i64,
    created_by: String,
    expires_ms: i64,
}

impl TokenRecord {
    /// Whether it is good at a moment.
    #[must_use]
    pub const fn is_good(&self, now_ms: i64) -> bool {
        self.revoked_ms.is_none() && now_ms < self.expires_ms
    }
}

impl Catalog {
    /// Keeps a new token by its digest (SHA-256, lower-case hex). Who made it and when are in the record.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the id or the digest is taken.
    pub async fn insert_token(&self, token: &TokenRecord, sha256: &str) -> Result<(), StoreError> {
        let kept = Kept {
            name: records::plain(&token.name),
            roles: token.roles.clone(),
            scope: token.scope.clone(),
            created_ms: token.created_ms,
            created_by: records::plain(&token.created_by),
            expires_ms: token.expires_ms,
        };
        let mut change = self.change().await?;
        sqlx::query("INSERT INTO token (id, sha256, record) VALUES ($1, $2, $3)")
            .bind(token.id.as_str())
            .bind(sha256)
            .bind(records::to_json(&kept)?)
            .execute(&mut *change.transaction)
            .await?;
        seals::seal_token(&mut change.transaction, &token.id).await?;
        let detail = json!({
            "token": token.id, "for": token.name, "roles": token.roles, "scope": token.scope,
            "expires_ms": token.expires_ms,
        });
        change.audit(&token.created_by, token.created_ms, what("token.created"), detail).await?;
        change.commit().await
    }

    /// The token with a digest, good or not.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when its row is damaged, [`StoreError::Unavailable`] when the database does not answer.
    pub async fn token(&self, sha256: &str) -> Result<Option<TokenRecord>, StoreError> {
        let row = sqlx::query(concat!("SELECT ", token_columns!(), " FROM token WHERE sha256 = $1"))
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

    /// All tokens, newest first.
    ///
    /// # Errors
    /// As [`Catalog::token`].
    pub async fn tokens(&self) -> Result<Vec<TokenRecord>, StoreError> {
        let rows = sqlx::query(concat!("SELECT ", token_columns!(), " FROM token ORDER BY id DESC LIMIT $1"))
            .bind(LISTED)
            .fetch_all(self.pool())
            .await?;
        rows.iter().map(from_row).collect()
    }

    /// Ends a token, and uses up the sign-in links that are for its holder or that they have made. Doing it again changes
    /// nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] when there is no such token.
    pub async fn revoke_token(&self, id: &str, principal: &str, now_ms: i64) -> Result<TokenRecord, StoreError> {
        let mut change = self.change().await?;
        let found = sqlx::query(concat!("SELECT ", token_columns!(), " FROM token WHERE id = $1"))
            .bind(id)
            .fetch_optional(&mut *change.transaction)
            .await?;
        let token = from_row(&found.ok_or(StoreError::not_found("token"))?)?;
        if token.revoked_ms.is_some() {
            return Ok(token);
        }
        sqlx::query("UPDATE token SET revoked_ms = $1 WHERE id = $2")
            .bind(now_ms)
            .bind(id)
            .execute(&mut *change.transaction)
            .await?;
        seals::seal_token(&mut change.transaction, id).await?;
        let detail = json!({ "token": id, "for": token.name });
        change.audit(principal, now_ms, what("token.revoked"), detail).await?;
        links::use_up(&mut change, Some(&token.name), principal, now_ms).await?;
        change.commit().await?;
        Ok(TokenRecord { revoked_ms: Some(now_ms), ..token })
    }

    /// Notes that a token was used. This is no act of its holder, and is not in the audit log.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the database does not answer.
    pub async fn touch_token(&self, id: &str, now_ms: i64) -> Result<(), StoreError> {
        let _turn = self.turn().await?;
        sqlx::query("UPDATE token SET last_used_ms = $1 WHERE id = $2 AND (last_used_ms IS NULL OR last_used_ms < $1)")
            .bind(now_ms)
            .bind(id)
            .execute(self.pool())
            .await?;
        Ok(())
    }
}

fn from_row(row: &AnyRow) -> Result<TokenRecord, StoreError> {
    seals::check(&seals::TOKEN, row)?;
    let kept: Kept = records::from_json(&row.try_get::<String, _>("record")?)?;
    Ok(TokenRecord {
        id: row.try_get("id")?,
        name: kept.name,
        roles: kept.roles,
        scope: kept.scope,
        created_ms: kept.created_ms,
        created_by: kept.created_by,
        expires_ms: kept.expires_ms,
        revoked_ms: row.try_get("revoked_ms")?,
        last_used_ms: row.try_get("last_used_ms")?,
    })
}

fn what(action: &'static str) -> What<'static> {
    What { action, dataset: None, revision: None, version: None }
}
