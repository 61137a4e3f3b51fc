//! Use as the public sees it: by month, without small numbers; and the dataset `usage` that is made of it.

use portico_model::name::{DatasetName, VersionRef};
use portico_model::policy::VersionState;
use portico_store::{UseCount, month_of};
use serde::Serialize;

use crate::error::PublishError;
use crate::own::{OwnDataset, PORTAL};
use crate::publisher::Publisher;

/// Below this a number is not told: it may be one person, who can be known by what was asked.
const TOLD_FROM: u64 = 10;

const USAGE: OwnDataset = OwnDataset {
    name: "usage",
    title: "Use of this portal",
    description: "How often each version was downloaded and asked, by month, protocol and format, and how often a question \
                  named each column. Nothing of who asked is kept; numbers below ten are not told.",
    update_frequency: "R/P1M",
    columns: &[
        ("month", "The month, such as 2026-01, by UTC.", true),
        ("dataset", "The dataset's name.", false),
        ("version", "The number of the version.", false),
        ("protocol", "How it was asked for: download, sql or flight.", false),
        ("format", "The format of the answer.", false),
        ("column_name", "The column that a question named; none for the version as a whole.", false),
        ("uses", "How often; <10 where it is so seldom that it might be one person.", true),
        ("uses_at_least", "The same as a number; 1 where it is not told.", false),
    ],
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

    /// Withdraws the versions of `usage` that say what columns of another version were asked for: that version is withdrawn,
    /// and what its columns are called with it. Versions of `usage` that were released since are without it.
    pub(crate) async fn withdraw_use_of(&self, version: &VersionRef, now_ms: i64) -> Result<(), PublishError> {
        let catalog = &self.store.catalog;
        let usage = DatasetName::parse(USAGE.name).map_err(|error| PublishError::Write(error.into()))?;
        let withdrawn_ms = catalog.withdrawn_ms(version).await?;
        let Some(withdrawn_ms) = withdrawn_ms else { return Ok(()) };
        if !self.is_own(&usage).await? {
            return Ok(());
        }
        let mut counts = catalog.uses("0000-00", &month_of(now_ms), true).await?;
        counts.retain(|count| {
            !count.column.is_empty() && count.dataset == version.dataset && count.version == version.version
        });
        let Some(first) = counts.into_iter().map(|count| count.month).min() else { return Ok(()) };
        let tells = |released_ms: i64| month_of(released_ms) > first && released_ms <= withdrawn_ms;
        for summary in catalog.versions(&usage).await? {
            if summary.state == VersionState::Released && tells(summary.released_ms) {
                let told = VersionRef { dataset: usage.clone(), version: summary.version };
                let reason =
                    "It named columns of a version that has been withdrawn since; a newer one is without them.";
                catalog.withdraw(&told, reason, PORTAL, now_ms).await?;
            }
        }
        Ok(())
    }
}
