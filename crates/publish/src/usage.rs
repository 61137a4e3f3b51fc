//! Use as the public sees it: by month, without small numbers; and the dataset `usage` that is made of it.

use portico_model::name::VersionRef;
use portico_store::{UseCount, month_of};
use serde::Serialize;

use crate::error::PublishError;
use crate::own::OwnDataset;
use crate::publisher::Publisher;

/// Below this a number is not told: it may be one person, who can be known by what was asked.
const TOLD_FROM: u64 = 10;

const USAGE: OwnDataset = OwnDataset {
    name: "usage",
    title: "Use of this portal",
    description: "How often each version was downloaded and asked, by month, protocol and format, and how often a question \
                  named each column. Nothing of who asked is kept; numbers below ten are not told.",
    update_frequency: "R/P1M",
    texts: &["month", "uses"],
};

/// A count as the public sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UsageRow {
    /// `2026-01`.
    pub month: String,
    /// The dataset.
    pub dataset: String,
    /// The version.
    pub version: u32,
    /// `download`, `sql` or `flight`.
    pub protocol: String,
    /// The format of the answer.
    pub format: String,
    /// The column that a question named; none for the version as a whole.
    pub column_name: Option<String>,
    /// The number, or `<10`.
    pub uses: String,
    /// The number, or 1 where it is not told.
    pub uses_at_least: u64,
}

impl From<UseCount> for UsageRow {
    fn from(count: UseCount) -> Self {
        Self {
            month: count.month,
            dataset: count.dataset.to_string(),
            version: count.version,
            protocol: count.protocol,
            format: count.format,
            column_name: Some(count.column).filter(|column| !column.is_empty()),
            uses: told(count.uses),
            uses_at_least: if count.uses < TOLD_FROM { 1 } else { count.uses },
        }
    }
}

/// A number as it is told.
pub(crate) fn told(uses: u64) -> String {
    if uses < TOLD_FROM { format!("<{TOLD_FROM}") } else { uses.to_string() }
}

impl Publisher {
    /// Releases the counts of all months that are over as the dataset `usage`, if there are new ones.
    ///
    /// # Errors
    /// Those of the road in.
    pub async fn refresh_usage(&self, now_ms: i64) -> Result<Option<VersionRef>, PublishError> {
        let this_month = month_of(now_ms);
        let mut counts = self.store.catalog.uses("0000-00", &this_month, false).await?;
        counts.retain(|count| count.month < this_month);
        let rows: Vec<UsageRow> = counts.into_iter().map(UsageRow::from).collect();
        self.release_own(USAGE, &rows, now_ms).await
    }
}
