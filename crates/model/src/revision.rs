//! Revisions: proposed changes to a dataset, and the states they go through.

use serde::{Deserialize, Serialize};

/// Where a revision stands. Terminal states are `Released`, `Discarded` and `Superseded`.
///
/// ```text
/// staged ─▶ screened | blocked        screened ─▶ in_review ─▶ approved ─▶ released
///    ▲          │          │              ▲           │         │  ▲         ▲
///    └── read otherwise ◀──┘              └─ returned ◀┘        ▼  │         │ at its time
///                       superseded by the file ◀─┘             scheduled ────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevisionState {
    /// Its bytes lie in staging.
    Staged,
    /// Profiled and screened; nothing blocks.
    Screened,
    /// Profiled and screened; findings stop it until a person decides.
    Blocked,
    /// Handed in: the steward looks at it and recommends it or returns it.
    InReview,
    /// Given back with a reason: corrected, or replaced by another file.
    Returned,
    /// Consented to, bound to the digest of what was seen.
    Approved,
    /// Consented to, and to be released by the clock at a time that was set.
    Scheduled,
    /// Public as a version.
    Released,
    /// Given up.
    Discarded,
    /// Returned, and replaced by another revision.
    Superseded,
}

impl RevisionState {
    /// Every state, in the order of a revision's life.
    pub const ALL: [Self; 10] = [
        Self::Staged,
        Self::Screened,
        Self::Blocked,
        Self::InReview,
        Self::Returned,
        Self::Approved,
        Self::Scheduled,
        Self::Released,
        Self::Discarded,
        Self::Superseded,
    ];

    /// The name in the catalog and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Staged => "staged",
            Self::Screened => "screened",
            Self::Blocked => "blocked",
            Self::InReview => "in_review",
            Self::Returned => "returned",
            Self::Approved => "approved",
            Self::Scheduled => "scheduled",
            Self::Released => "released",
            Self::Discarded => "discarded",
            Self::Superseded => "superseded",
        }
    }

    /// The inverse of [`RevisionState::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether a revision may go from this state to `next`. Screening again, and reading the file otherwise, are
    /// allowed until it is handed in. From `Screened` to `Approved` goes only whoever does all the steps alone.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Staged => matches!(next, Self::Screened | Self::Blocked | Self::Discarded),
            Self::Screened => matches!(
                next,
                Self::Staged | Self::Screened | Self::Blocked | Self::InReview | Self::Approved | Self::Discarded
            ),
            Self::Blocked => matches!(next, Self::Staged | Self::Screened | Self::Blocked | Self::Discarded),
            Self::InReview => matches!(next, Self::InReview | Self::Returned | Self::Approved | Self::Discarded),
            Self::Returned => matches!(
                next,
                Self::Staged | Self::Screened | Self::Blocked | Self::InReview | Self::Discarded | Self::Superseded
            ),
            Self::Approved => matches!(next, Self::Scheduled | Self::Released | Self::Discarded),
            // To the same: at another time.
            Self::Scheduled => matches!(next, Self::Approved | Self::Scheduled | Self::Released | Self::Discarded),
            Self::Released | Self::Discarded | Self::Superseded => false,
        }
    }

    /// Whether its bytes in staging are still needed.
    #[must_use]
    pub const fn is_open(self) -> bool {
        !matches!(self, Self::Released | Self::Discarded | Self::Superseded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_approved_revisions_are_released() {
        for state in RevisionState::ALL {
            let approved = matches!(state, RevisionState::Approved | RevisionState::Scheduled);
            assert_eq!(state.may_become(RevisionState::Released), approved);
            assert_eq!(state.may_become(RevisionState::Scheduled), approved);
            assert_eq!(RevisionState::parse(state.as_str()), Some(state));
        }
        for state in [RevisionState::Staged, RevisionState::Blocked, RevisionState::Returned] {
            assert!(!state.may_become(RevisionState::Approved), "{state:?}");
        }
        // What was handed in is not touched before somebody has decided.
        assert!(!RevisionState::InReview.may_become(RevisionState::Screened));
    }
}
