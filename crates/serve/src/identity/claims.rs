//! What an ID token has to be to be believed (OpenID Connect Core 1.0 §3.1.3.7, RFC 8725).

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use openidconnect::core::{CoreIdToken, CoreIdTokenVerifier, CoreJsonWebKeySet, CoreJwsSigningAlgorithm};
use openidconnect::{ClaimsVerificationError, ClientId, IssuerUrl, Nonce, SignatureVerificationError};
use serde_json::{Map, Value};

/// How far the provider's clock may be from ours, in milliseconds.
const SKEW_MS: i64 = 60 * 1000;
/// How old an ID token may be when it comes, in milliseconds: it was made for the code that has just been changed for it.
const AGE_MS: i64 = 10 * 60 * 1000;

/// Signatures with a key that is the provider's alone. A shared secret signs nothing here, and `none` is no signature.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// What an ID token is checked against.
pub(super) struct Checks {
    pub(super) client_id: String,
    pub(super) issuer: IssuerUrl,
    pub(super) keys: CoreJsonWebKeySet,
}

/// Why an ID token is not believed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Bad {
    /// No known key of that name has signed it, yet.
    #[error("the ID token is signed with no key that the provider lists")]
    UnknownKey,
    #[error("{0}")]
    Token(#[from] ClaimsVerificationError),
    #[error("{0}")]
    Claim(&'static str),
}

/// The claims of an ID token that is good.
pub(super) fn verified(
    token: &CoreIdToken,
    checks: &Checks,
    nonce: &Nonce,
    now_ms: i64,
) -> Result<Map<String, Value>, Bad> {
    let time = |ms: i64| DateTime::<Utc>::from_timestamp_millis(ms).unwrap_or_default();
    let (earliest, latest) = (time(now_ms.saturating_sub(AGE_MS)), time(now_ms.saturating_add(SKEW_MS)));
    let issued = move |issued: DateTime<Utc>| {
        if earliest <= issued && issued <= latest { Ok(()) } else { Err("it was not issued just now".to_owned()) }
    };
    let client_id = ClientId::new(checks.client_id.clone());
    let verifier = CoreIdTokenVerifier::new_public_client(client_id, checks.issuer.clone(), checks.keys.clone())
        .set_allowed_algs(ALGORITHMS)
        .set_other_audience_verifier_fn(|_| false)
        .set_time_fn(move || time(now_ms.saturating_sub(SKEW_MS)))
        .set_issue_time_verifier_fn(issued);
    token.claims(&verifier, nonce).map_err(|error| match error {
        ClaimsVerificationError::SignatureVerification(
            SignatureVerificationError::NoMatchingKey
            | SignatureVerificationError::AmbiguousKeyId(_)
            | SignatureVerificationError::CryptoError(_),
        ) => Bad::UnknownKey,
        other => Bad::Token(other),
    })?;
    // The very bytes that were signed.
    let text = token.to_string();
    let payload = text.split('.').nth(1).and_then(|part| BASE64_URL_SAFE_NO_PAD.decode(part).ok());
    let claims: Option<Map<String, Value>> = payload.and_then(|payload| serde_json::from_slice(&payload).ok());
    let claims = claims.ok_or(Bad::Claim("the ID token's claims cannot be read"))?;
    let party = claims.get("azp");
    if party.is_some_and(|party| party.as_str() != Some(&checks.client_id)) {
        return Err(Bad::Claim("the ID token was made for another client"));
    }
    let begins = claims.get("nbf").map(|time| time.as_i64().unwrap_or(i64::MAX));
    if begins.is_some_and(|begins| begins > latest.timestamp()) {
        return Err(Bad::Claim("the ID token is not good yet"));
    }
    Ok(claims)
}
