//! Data requests: datasets that the public asks for.

use serde::{Deserialize, Serialize};

use crate::name::DatasetName;

/// Where a data request stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RequestStatus {
    /// It has come; nobody has looked yet.
    #[default]
    Received,
    /// Somebody looks whether it can be met.
    UnderReview,
    /// The data are to be published.
    Planned,
    /// They are published.
    Published,
    /// They are not to be published, for a reason.
    Declined,
}

impl RequestStatus {
    /// Every one, in the order of a request's life.
    pub const ALL: [Self; 5] = [Self::Received, Self::UnderReview, Self::Planned, Self::Published, Self::Declined];

    /// The name in the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::UnderReview => "under_review",
            Self::Planned => "planned",
            Self::Published => "published",
            Self::Declined => "declined",
        }
    }

    /// The inverse of [`RequestStatus::as_str`]; case, spaces and hyphens do not matter.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.trim().to_lowercase().replace([' ', '-'], "_");
        Self::ALL.into_iter().find(|status| status.as_str() == plain)
    }

    /// Whether somebody still waits.
    #[must_use]
    pub const fn is_open(self) -> bool {
        matches!(self, Self::Received | Self::UnderReview | Self::Planned)
    }
}

/// A dataset that somebody asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataRequest {
    /// Names it; a ULID.
    pub id: String,
    /// What is asked for, in a line. As staff have redacted it, where they have.
    pub title: String,
    /// More about it, and what it is for.
    #[serde(default)]
    pub details: String,
    /// The department that has it, as far as whoever asks knows.
    #[serde(default)]
    pub department: String,
    /// Where whoever asks wants to hear of it. Never shown to the public, and gone when staff delete it.
    #[serde(default)]
    pub contact: String,
    /// Where it stands.
    #[serde(default)]
    pub status: RequestStatus,
    /// What the public is told: required to decline.
    #[serde(default)]
    pub answer: String,
    /// The dataset of the inventory that it is about, once somebody has found that out.
    #[serde(default)]
    pub dataset: Option<DatasetName>,
    /// Whether the public sees it: nothing is shown before staff have read it.
    #[serde(default)]
    pub shown: bool,
    /// Screening rules that its text has met: such a text is not shown.
    #[serde(default)]
    pub findings: Vec<String>,
    /// When it came, in milliseconds since the epoch.
    pub received_ms: i64,
    /// When it was changed last, in milliseconds since the epoch.
    pub updated_ms: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_their_names() {
        for status in RequestStatus::ALL {
            assert_eq!(RequestStatus::parse(status.as_str()), Some(status));
            assert_eq!(serde_json::to_string(&status).unwrap(), format!("\"{}\"", status.as_str()));
        }
        assert!(RequestStatus::Planned.is_open() && !RequestStatus::Declined.is_open());
    }
}
