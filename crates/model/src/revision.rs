//! Revisions: proposed changes to a dataset, and the states they go through.

use serde::{Deserialize, Serialize};

/// Where a revision stands. Terminal states are `Released` and `Discarded`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RevisionState {
    /// Its bytes lie in staging.
    Staged,
    /// Profiled and screened; nothing blocks.
    Screened,
    /// Profiled and screened; findings stop it until a person decides.
    Blocked,
    /// Consented to, bound to the digest of what was seen.
    Approved,
    /// Public as a version.
    Released,
    /// Given up.
    Discarded,
}

impl RevisionState {
    /// Every state, in the order of a revision's life.
    pub const ALL: [Self; 6] =
        [Self::Staged, Self::Screened, Self::Blocked, Self::Approved, Self::Released, Self::Discarded];

    /// The name in the catalog and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Screened => "screened",
            Self::Blocked => "blocked",
            Self::Approved => "approved",
            Self::Released => "released",
            Self::Discarded => "discarded",
        }
    }

    /// The inverse of [`RevisionState::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether a revision may go from this state to `next`. Screening again is always allowed before approval.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Staged => matches!(next, Self::Screened | Self::Blocked | Self::Discarded),
            Self::Screened | Self::Blocked => {
                matches!(next, Self::Screened | Self::Blocked | Self::Discarded)
                    || (matches!(self, Self::Screened) && matches!(next, Self::Approved))
            }
            Self::Approved => matches!(next, Self::Released | Self::Discarded),
            Self::Released | Self::Discarded => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_approved_revisions_are_released() {
        for state in RevisionState::ALL {
            assert_eq!(state.may_become(RevisionState::Released), state == RevisionState::Approved);
            assert_eq!(RevisionState::parse(state.as_str()), Some(state));
        }
        assert!(!RevisionState::Blocked.may_become(RevisionState::Approved));
    }
}
