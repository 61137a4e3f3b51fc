//! The catalog as the world sees it: documents that the API writes as JSON and that pages show.
//!
//! Handlers and pages call the same functions, so that both say the same. Nothing here names a path of storage, a
//! person who decided, or a finding of the screening.

mod calendar;
mod changes;
mod dataset;
mod frequency;
mod search;
mod version;

use chrono::{DateTime, SecondsFormat};

pub(crate) use calendar::{CalendarDocument, CalendarEntry, CalendarKind, calendar};
pub(crate) use changes::changes;
pub(crate) use dataset::{ColumnDocument, DatasetDocument, VersionEntry, dataset, dataset_at, license_url, versions};
pub(crate) use search::{DatasetEntry, Facet, PAGE_MAX, SearchDocument, SearchRequest, search};
pub(crate) use version::{DownloadDocument, version};

/// A time as the API writes it: RFC 3339 in UTC, to the second.
pub(crate) fn timestamp(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(timestamp(1_700_000_000_999), "2023-11-14T22:13:20Z");
    }
}
