//! Tokens: made here, shown once, known again by their digest.
//!
//! `portico_` and 72 hexadecimal digits: 256 random bits, then 32 that check them, so that a token that was typed or cut
//! wrongly is told from one that is not known, and a program that looks for lost secrets finds this one. A random text of
//! that length needs no slow hash: nobody tries them out.

use std::fmt;

use portico_model::policy::{Action, Principal, Role, Scope};
use portico_store::TokenRecord;
use rand::TryRngCore as _;
use rand::rngs::OsRng;
use sha2::{Digest as _, Sha256};
use ulid::Ulid;

use crate::decisions::permit_portal;
use crate::error::PublishError;
use crate::publisher::Publisher;

const PREFIX: &str = "portico_";
const SECRET_DIGITS: usize = 64;
const CHECK_DIGITS: usize = 8;
/// How coarse the time of a token's last use is.
const USED_MS: i64 = 60 * 60 * 1000;
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
/// Characters of a holder's name.
const NAME_CHARS_MAX: usize = 100;
/// Departments and datasets of a token.
const SCOPE_MAX: usize = 200;

/// A token's text. Its `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenText(String);

/// What a token is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRequest {
    /// Who is to hold it: one name for each person, such as `ana.lopez` or an e-mail address.
    pub name: String,
    /// The roles; at least one.
    pub roles: Vec<Role>,
    /// For which part of the portal.
    pub scope: Scope,
    /// How many days it is good for.
    pub days: u64,
}

impl TokenText {
    /// The text itself, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Reads what somebody shows; `None` for what cannot be a token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX)?;
        let (secret, check) = digits.split_at_checked(SECRET_DIGITS)?;
        (digits.len() == SECRET_DIGITS + CHECK_DIGITS && check == checked(secret)).then(|| Self(text.to_owned()))
    }

    fn new() -> Result<Self, PublishError> {
        let secret = random_secret()?;
        let check = checked(&secret);
        Ok(Self(format!("{PREFIX}{secret}{check}")))
    }

    fn sha256(&self) -> String {
        hex(&Sha256::digest(self.0.as_bytes()))
    }
}

impl fmt::Debug for TokenText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenText(…)")
    }
}

fn checked(secret: &str) -> String {
    let mut digits = hex(&Sha256::digest(format!("portico token {secret}").as_bytes()));
    digits.truncate(CHECK_DIGITS);
    digits
}

/// 256 random bits of the operating system, as hexadecimal digits.
///
/// # Errors
/// [`PublishError::Write`] when it gives none.
pub fn random_secret() -> Result<String, PublishError> {
    let mut random = [0_u8; SECRET_DIGITS / 2];
    OsRng.try_fill_bytes(&mut random).map_err(|error| PublishError::Write(error.into()))?;
    Ok(hex(&random))
}

/// What somebody shows, if it can be a secret of ours.
pub(crate) fn shown_secret(shown: &str) -> Option<String> {
    let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    (shown.len() == SECRET_DIGITS && shown.bytes().all(digit)).then(|| shown.to_owned())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Publisher {
    /// Makes a token. Its text is in the answer and nowhere else.
    ///
    /// # Errors
    /// [`PublishError::Denied`]; [`PublishError::BadToken`] for a request that makes no sense. `days_max` is the
    /// operator's limit.
    pub async fn create_token(
        &self,
        principal: &Principal,
        request: TokenRequest,
        days_max: u64,
        now_ms: i64,
    ) -> Result<(TokenText, TokenRecord), PublishError> {
        let grant = permit_portal(principal, Action::ManageTokens, now_ms)?;
        check(&request, days_max)?;
        let text = TokenText::new()?;
        let mut roles = request.roles;
        roles.sort_unstable();
        roles.dedup();
        let life_ms = i64::try_from(request.days).unwrap_or(i64::MAX).saturating_mul(DAY_MS);
        let record = TokenRecord {
            id: Ulid::new().to_string(),
            name: request.name,
            roles,
            scope: request.scope,
            created_ms: now_ms,
            created_by: grant.principal().to_owned(),
            expires_ms: now_ms.saturating_add(life_ms),
            revoked_ms: None,
            last_used_ms: None,
        };
        self.store.catalog.insert_token(&record, &text.sha256()).await?;
        Ok((text, record))
    }

    /// All tokens, newest first.
    ///
    /// # Errors
    /// [`PublishError::Denied`].
    pub async fn tokens(&self, principal: &Principal, now_ms: i64) -> Result<Vec<TokenRecord>, PublishError> {
        permit_portal(principal, Action::ManageTokens, now_ms)?;
        Ok(self.store.catalog.tokens().await?)
    }

    /// Ends a token at once.
    ///
    /// # Errors
    /// [`PublishError::Denied`]; the catalog's own when there is no such token.
    pub async fn revoke_token(
        &self,
        principal: &Principal,
        id: &str,
        now_ms: i64,
    ) -> Result<TokenRecord, PublishError> {
        let grant = permit_portal(principal, Action::ManageTokens, now_ms)?;
        Ok(self.store.catalog.revoke_token(id, grant.principal(), now_ms).await?)
    }

    /// The token that somebody shows, if it is good; whoever shows another learns nothing from the answer.
    ///
    /// # Errors
    /// Those of the catalog.
    pub async fn identify(&self, shown: &str, now_ms: i64) -> Result<Option<TokenRecord>, PublishError> {
        let Some(text) = TokenText::parse(shown) else { return Ok(None) };
        let found = self.store.catalog.token(&text.sha256()).await?;
        let Some(token) = found.filter(|token| token.is_good(now_ms)) else { return Ok(None) };
        if token.last_used_ms.is_none_or(|used| now_ms.saturating_sub(used) >= USED_MS)
            && let Err(error) = self.store.catalog.touch_token(&token.id, now_ms).await
        {
            tracing::warn!(%error, "the use of a token could not be noted");
        }
        Ok(Some(token))
    }
}

fn check(request: &TokenRequest, days_max: u64) -> Result<(), PublishError> {
    check_holder(&request.name, &request.roles, &request.scope)?;
    if request.days == 0 || request.days > days_max {
        return Err(PublishError::BadToken(format!(
            "a token is good for 1 to {days_max} days (limits.staff.token_days)"
        )));
    }
    Ok(())
}

/// Whether this can be somebody who works on the road in.
pub(crate) fn check_holder(name: &str, roles: &[Role], scope: &Scope) -> Result<(), PublishError> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-+@".contains(c);
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(plain) || name == "anonymous" {
        let wanted = "a name has 1 to 100 lower-case letters, digits and . _ - + @, such as ana.lopez";
        return Err(PublishError::BadToken(wanted.to_owned()));
    }
    if roles.is_empty() {
        let wanted = "a role is needed: contributor, steward, open-data, cio or admin".to_owned();
        return Err(PublishError::BadToken(wanted));
    }
    if let Scope::Only { departments, datasets } = scope {
        let count = departments.len().saturating_add(datasets.len());
        let blank = departments.iter().any(|department| department.trim().is_empty() || department.len() > 500);
        if count == 0 || count > SCOPE_MAX || blank {
            let wanted = format!("a scope is everything, or 1 to {SCOPE_MAX} departments and datasets");
            return Err(PublishError::BadToken(wanted));
        }
        if roles.contains(&Role::Admin) {
            return Err(PublishError::BadToken("an admin is there for the whole portal".to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_shape_and_not_shown() {
        let text = TokenText::new().unwrap();
        assert_eq!(TokenText::parse(text.reveal()), Some(text.clone()));
        assert_ne!(TokenText::new().unwrap(), text);
        assert_eq!(text.reveal().len(), 80);
        assert!(!format!("{text:?}").contains(text.reveal()));
        let mut wrong = text.reveal().to_owned();
        let last = if wrong.ends_with('0') { '1' } else { '0' };
        wrong.pop();
        wrong.push(last);
        let (late, long) = (text.reveal().replacen('p', "", 1), format!("{}0", text.reveal()));
        for bad in ["", "portico_", &wrong, &late, &long, "portico_é"] {
            assert!(TokenText::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn requests_that_make_no_sense_are_refused() {
        let good = TokenRequest { name: "ana".into(), roles: vec![Role::Cio], scope: Scope::All, days: 30 };
        check(&good, 30).unwrap();
        let nobody = Scope::Only { departments: Vec::new(), datasets: Vec::new() };
        let parks = Scope::Only { departments: vec!["Parks".into()], datasets: Vec::new() };
        for bad in [
            TokenRequest { name: "Ana".into(), ..good.clone() },
            TokenRequest { name: "anonymous".into(), ..good.clone() },
            TokenRequest { name: "a\nb".into(), ..good.clone() },
            TokenRequest { roles: Vec::new(), ..good.clone() },
            TokenRequest { days: 31, ..good.clone() },
            TokenRequest { days: 0, ..good.clone() },
            TokenRequest { scope: nobody, ..good.clone() },
            TokenRequest { scope: parks, roles: vec![Role::Steward, Role::Admin], ..good.clone() },
        ] {
            assert!(check(&bad, 30).is_err(), "{bad:?}");
        }
    }
}
