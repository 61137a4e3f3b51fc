//! The inventory: every dataset that the government holds, published or not, and why not.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::name::DatasetName;

/// The highest priority that a person gives.
pub const PRIORITY_MAX: u8 = 5;

/// How far a dataset is on its way to the public.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InventoryStatus {
    /// Nobody has looked yet whether it may be published.
    #[default]
    Held,
    /// Somebody looks.
    UnderReview,
    /// It is to be published.
    Planned,
    /// It is published.
    Published,
    /// It is not to be published, for a reason.
    NotPublished,
    /// It is not kept any more.
    Retired,
}

impl InventoryStatus {
    /// Every one.
    pub const ALL: [Self; 6] =
        [Self::Held, Self::UnderReview, Self::Planned, Self::Published, Self::NotPublished, Self::Retired];

    /// The name in the API, in files and in the published inventory.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::UnderReview => "under_review",
            Self::Planned => "planned",
            Self::Published => "published",
            Self::NotPublished => "not_published",
            Self::Retired => "retired",
        }
    }

    /// The inverse of [`InventoryStatus::as_str`]; case, spaces and hyphens do not matter.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let plain = text.trim().to_lowercase().replace([' ', '-'], "_");
        Self::ALL.into_iter().find(|status| status.as_str() == plain)
    }
}

/// One dataset of the inventory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InventoryEntry {
    /// The name that it has, or would have, on the portal.
    pub name: DatasetName,
    /// A title for people.
    pub title: String,
    /// The title that the public may read, where the real one says too much: then the public sees no more of the entry
    /// than this, the department, the status and the reason.
    #[serde(default)]
    pub public_title: String,
    /// What it is.
    #[serde(default)]
    pub description: String,
    /// The department that holds it.
    #[serde(default)]
    pub department: String,
    /// The steward's name.
    #[serde(default)]
    pub steward_name: String,
    /// The steward's e-mail address.
    #[serde(default)]
    pub steward_email: String,
    /// The system that it lies in.
    #[serde(default)]
    pub source_system: String,
    /// `public`, or the category of restricted data that is in it.
    #[serde(default)]
    pub classification: String,
    /// How far it is.
    #[serde(default)]
    pub status: InventoryStatus,
    /// Why it is not published.
    #[serde(default)]
    pub reason: String,
    /// The law or rule that the reason rests on.
    #[serde(default)]
    pub citation: String,
    /// How important it is to publish it, from 0 to [`PRIORITY_MAX`], by the programme's own judgement.
    #[serde(default)]
    pub priority: u8,
    /// Public-records requests for it in the last year.
    #[serde(default)]
    pub records_requests: u32,
    /// The day by which it is to be published, `YYYY-MM-DD`; empty when nobody said.
    #[serde(default)]
    pub planned: String,
    /// Whether the published inventory has it.
    #[serde(default)]
    pub listed: bool,
    /// When it was entered, in milliseconds since the epoch.
    #[serde(default)]
    pub created_ms: i64,
    /// When it was changed last, in milliseconds since the epoch.
    #[serde(default)]
    pub updated_ms: i64,
    /// How often it was said anew: 1 when it is entered, 0 for what nobody has entered. Whoever says something of an entry
    /// says it of the version that they have seen.
    #[serde(default)]
    pub version: u32,
}

impl InventoryEntry {
    /// An entry that says nothing but a name, which is the title too, and is not listed.
    #[must_use]
    pub fn named(name: DatasetName) -> Self {
        Self {
            title: name.to_string(),
            name,
            public_title: String::new(),
            description: String::new(),
            department: String::new(),
            steward_name: String::new(),
            steward_email: String::new(),
            source_system: String::new(),
            classification: String::new(),
            status: InventoryStatus::Held,
            reason: String::new(),
            citation: String::new(),
            priority: 0,
            records_requests: 0,
            planned: String::new(),
            listed: false,
            created_ms: 0,
            updated_ms: 0,
            version: 0,
        }
    }

    /// The same entry with some of its fields said otherwise; the name and the dates are not for saying, and
    /// `version` says which one they are said of.
    ///
    /// # Errors
    /// What is wrong, for whoever said it: a field that there is not, or that holds something else.
    pub fn saying(&self, said: &Map<String, Value>) -> Result<Self, String> {
        let Ok(Value::Object(mut whole)) = serde_json::to_value(self) else { return Ok(self.clone()) };
        for (field, value) in said {
            if matches!(field.as_str(), "name" | "created_ms" | "updated_ms") || !whole.contains_key(field) {
                let fields: Vec<&str> =
                    whole.keys().map(String::as_str).filter(|key| *key != "name" && !key.ends_with("_ms")).collect();
                return Err(format!("an entry of the inventory has the fields {}", fields.join(", ")));
            }
            whole.insert(field.clone(), value.clone());
        }
        let read: Self = serde_json::from_value(Value::Object(whole)).map_err(|error| error.to_string())?;
        Ok(read)
    }

    /// Whether it says the same as another, whenever it was said.
    #[must_use]
    pub fn says_as(&self, other: &Self) -> bool {
        let timeless = |entry: &Self| Self { created_ms: 0, updated_ms: 0, version: 0, ..entry.clone() };
        timeless(self) == timeless(other)
    }

    /// How urgent it is to publish it: 10 for each point of priority, 5 for each request of the public that is not answered,
    /// 3 for each public-records request. What is published, retired or not to be published waits for nobody.
    #[must_use]
    pub fn urgency(&self, requests: u32) -> u32 {
        use InventoryStatus::{Held, NotPublished, Planned, Published, Retired, UnderReview};
        match self.status {
            Published | NotPublished | Retired => 0,
            Held | UnderReview | Planned => u32::from(self.priority)
                .saturating_mul(10)
                .saturating_add(requests.saturating_mul(5))
                .saturating_add(self.records_requests.saturating_mul(3)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_most_comes_first_and_what_is_decided_last() {
        let mut entry = InventoryEntry::named(DatasetName::parse("trees").unwrap());
        assert_eq!(entry.urgency(0), 0);
        (entry.priority, entry.records_requests) = (2, 4);
        assert_eq!(entry.urgency(3), 20 + 15 + 12);
        for status in [InventoryStatus::Published, InventoryStatus::NotPublished, InventoryStatus::Retired] {
            assert_eq!(InventoryEntry { status, ..entry.clone() }.urgency(3), 0);
        }
        assert_eq!(entry.urgency(u32::MAX), u32::MAX);
    }

    #[test]
    fn statuses_are_read_as_people_write_them() {
        for status in InventoryStatus::ALL {
            assert_eq!(InventoryStatus::parse(status.as_str()), Some(status));
            assert_eq!(serde_json::to_string(&status).unwrap(), format!("\"{}\"", status.as_str()));
        }
        assert_eq!(InventoryStatus::parse(" Not published"), Some(InventoryStatus::NotPublished));
        assert_eq!(InventoryStatus::parse("Under-Review"), Some(InventoryStatus::UnderReview));
        assert_eq!(InventoryStatus::parse("open"), None);
    }
}
