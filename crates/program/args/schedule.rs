//! What is said of a release at a time that was set.

use clap::Args;

use super::Reach;

/// `portico schedule`
#[derive(Debug, Args)]
pub(crate) struct Schedule {
    /// The revision's id
    #[arg(required_unless_present = "list", conflicts_with = "list")]
    pub(crate) revision: Option<String>,
    /// When: 2026-12-01T09:00 on the portal's clocks, 2026-12-01T09:00-05:00, or "2026-12-01T09:00 America/New_York"
    #[arg(long, value_name = "TIME", required_unless_present_any = ["list", "cancel"])]
    pub(crate) at: Option<String>,
    /// Tell the public of it on the release calendar; so it is unless said otherwise, where the dataset is public already
    #[arg(long, requires = "at")]
    pub(crate) announce: bool,
    /// Tell nobody before
    #[arg(long, requires = "at", conflicts_with = "announce")]
    pub(crate) quiet: bool,
    /// Take it off the calendar
    #[arg(long, requires = "reason", conflicts_with_all = ["at", "list"])]
    pub(crate) cancel: bool,
    /// Why it is taken off the calendar
    #[arg(long, value_name = "WHY", requires = "cancel")]
    pub(crate) reason: Option<String>,
    /// List what waits for its time, late ones first
    #[arg(long, conflicts_with = "at")]
    pub(crate) list: bool,
    #[command(flatten)]
    pub(crate) reach: Reach,
}
