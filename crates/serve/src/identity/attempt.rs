//! One attempt to sign in at the provider: a random text that the browser keeps in a cookie for some minutes.
//!
//! The state that comes back with the answer, the nonce that the ID token has to hold and the verifier without which the
//! code is worth nothing are all digests of it. Whoever sends somebody the answer to an attempt of their own, or steals an
//! answer, does not have the text that it was for. The digests tell nothing of the text, nor of each other.

use sha2::{Digest, Sha256};

/// How long an attempt may take, in milliseconds: a password, a second factor, a telephone in the other room.
const LIFE_MS: i64 = 10 * 60 * 1000;
/// How far the clocks of two replicas may be from each other, in milliseconds: one begins, the other may end.
const SKEW_MS: i64 = 60 * 1000;
/// Digits of the random part.
const DIGITS: usize = 64;

/// An attempt. Its `Debug` does not show it.
#[derive(Clone)]
pub(crate) struct Attempt {
    text: String,
    begun_ms: i64,
}

impl Attempt {
    /// An attempt that begins now; `random` are 256 random bits in hexadecimal digits.
    pub(crate) fn new(random: &str, now_ms: i64) -> Self {
        Self { text: format!("{now_ms}.{random}"), begun_ms: now_ms }
    }

    /// Reads the cookie. The time in it is its browser's word, but another time makes another state.
    pub(crate) fn parse(cookie: &str) -> Option<Self> {
        let (time, random) = cookie.split_once('.')?;
        let plain = random.len() == DIGITS && random.bytes().all(|byte| byte.is_ascii_hexdigit());
        Some(Self { text: cookie.to_owned(), begun_ms: time.parse().ok().filter(|_| plain)? })
    }

    /// What the cookie holds.
    pub(crate) fn cookie(&self) -> &str {
        &self.text
    }

    /// How long the browser keeps it, in seconds.
    pub(crate) const fn life_s() -> i64 {
        LIFE_MS / 1000
    }

    /// Whether an answer with a state is one to this attempt, and comes in time.
    pub(crate) fn fits(&self, state: &str, now_ms: i64) -> bool {
        state == self.state() && self.is_good(now_ms)
    }

    const fn is_good(&self, now_ms: i64) -> bool {
        self.begun_ms <= now_ms.saturating_add(SKEW_MS) && now_ms < self.begun_ms.saturating_add(LIFE_MS)
    }

    pub(super) fn state(&self) -> String {
        self.digest("state")
    }

    pub(super) fn nonce(&self) -> String {
        self.digest("nonce")
    }

    pub(super) fn verifier(&self) -> String {
        self.digest("verifier")
    }

    fn digest(&self, of: &str) -> String {
        let digest = Sha256::digest(format!("portico {of} {}", self.text).as_bytes());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Attempt(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_has_its_own_time_and_digests() {
        let random = "ab".repeat(32);
        let attempt = Attempt::new(&random, 5_000);
        let read = Attempt::parse(attempt.cookie()).unwrap();
        assert_eq!(
            (read.state(), read.nonce(), read.verifier()),
            (attempt.state(), attempt.nonce(), attempt.verifier())
        );
        assert!(attempt.state() != attempt.nonce() && attempt.nonce() != attempt.verifier());
        assert!(read.is_good(5_000) && !read.is_good(5_000 + LIFE_MS));
        // A replica whose clock is behind may end it.
        assert!(read.is_good(5_000 - SKEW_MS) && !read.is_good(4_999 - SKEW_MS));
        assert!(read.fits(&attempt.state(), 5_000) && !read.fits(&attempt.nonce(), 5_000));
        assert_ne!(Attempt::new(&random, 6_000).state(), attempt.state());
        assert_eq!(attempt.verifier().len(), 64);
        for bad in ["", ".", "5000", "x.ab", &format!("5000.{}", "g".repeat(64)), &format!("5000.{random}0")] {
            assert!(Attempt::parse(bad).is_none(), "{bad}");
        }
    }
}
