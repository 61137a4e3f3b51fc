//! The release calendar: what the public may know of what is coming, and what is late.
//!
//! A scheduled release is on it when staff have announced it; one that they have not does not exist here. A dataset that says
//! how often it is refreshed is on it with the time at which the next version is expected.

use portico_model::dataset::DatasetMetadata;
use portico_model::name::VersionNumber;
use portico_model::problem::Problem;
use portico_store::{DatasetFilter, DatasetRecord, ScheduleRecord};
use serde::Serialize;

use super::frequency::Period;
use crate::catalog::timestamp;
use crate::http::reply::short_digest;
use crate::problem::Refusal;
use crate::site::Site;

/// Datasets that are read at a time.
const PAGE: u64 = 500;

/// What is coming and what is late, by time.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CalendarDocument {
    pub(crate) entries: Vec<CalendarEntry>,
}

/// One line of the calendar.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CalendarEntry {
    /// Names the line; stays when its time is moved.
    pub(crate) id: String,
    pub(crate) kind: CalendarKind,
    pub(crate) dataset: String,
    pub(crate) title: String,
    pub(crate) department: String,
    /// When it is to be public.
    pub(crate) expected: String,
    /// Whether that has passed.
    pub(crate) late: bool,
    /// The dataset's page, where it is public already.
    pub(crate) url: Option<String>,
    #[serde(skip)]
    pub(crate) expected_ms: i64,
    /// When this was said.
    #[serde(skip)]
    pub(crate) said_ms: i64,
}

/// Why something is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CalendarKind {
    /// It is ready, and released at that time.
    Release,
    /// The dataset is refreshed that often.
    Refresh,
}

/// The calendar as it is now.
///
/// # Errors
/// Those of the catalog.
pub(crate) async fn calendar(site: &Site) -> Result<CalendarDocument, Refusal> {
    let now_ms = site.now_ms();
    let mut entries = Vec::new();
    for schedule in site.store.catalog.schedules().await? {
        if schedule.announced {
            entries.extend(release(site, &schedule, now_ms).await?);
        }
    }
    let mut offset = 0;
    loop {
        let filter = DatasetFilter { offset, limit: PAGE, ..DatasetFilter::default() };
        let (page, total) = site.store.catalog.datasets(&filter).await?;
        let last = page.is_empty() || offset.saturating_add(PAGE) >= total;
        for dataset in page {
            entries.extend(refresh(site, &dataset, now_ms).await?);
        }
        if last {
            break;
        }
        offset = offset.saturating_add(PAGE);
    }
    entries.sort_by(|a, b| (a.expected_ms, &a.dataset, &a.id).cmp(&(b.expected_ms, &b.dataset, &b.id)));
    Ok(CalendarDocument { entries })
}

/// A release that staff have announced.
async fn release(site: &Site, schedule: &ScheduleRecord, now_ms: i64) -> Result<Option<CalendarEntry>, Refusal> {
    let catalog = &site.store.catalog;
    let Some(dataset) = catalog.dataset(&schedule.dataset).await? else { return Ok(None) };
    // A public dataset is called as it is now: what a revision would call it is not public yet.
    let metadata = match dataset.current {
        Some(_) => dataset.metadata,
        None => {
            let Some(revision) = catalog.revision(&schedule.revision).await? else { return Ok(None) };
            serde_json::from_str::<DatasetMetadata>(&revision.metadata_json).map_err(|_| Problem::internal())?
        }
    };
    let id = short_digest(format!("release {}", schedule.revision).as_bytes());
    let moments = Moments { expected_ms: schedule.release_at_ms, said_ms: schedule.scheduled_ms, now_ms };
    Ok(Some(entry(site, (CalendarKind::Release, id), metadata, dataset.current, moments)))
}

/// The next version of a dataset that is refreshed again and again.
async fn refresh(site: &Site, dataset: &DatasetRecord, now_ms: i64) -> Result<Option<CalendarEntry>, Refusal> {
    let (Some(current), Some(period)) = (dataset.current, Period::parse(&dataset.metadata.update_frequency)) else {
        return Ok(None);
    };
    let version = site.store.catalog.version(&dataset.metadata.name, current).await?;
    let Some(released_ms) = version.map(|version| version.released_ms) else { return Ok(None) };
    let Some(expected_ms) = period.after(released_ms) else { return Ok(None) };
    let id = short_digest(format!("refresh {} {current}", dataset.metadata.name).as_bytes());
    let moments = Moments { expected_ms, said_ms: released_ms, now_ms };
    Ok(Some(entry(site, (CalendarKind::Refresh, id), dataset.metadata.clone(), dataset.current, moments)))
}

struct Moments {
    expected_ms: i64,
    said_ms: i64,
    now_ms: i64,
}

fn entry(
    site: &Site,
    (kind, id): (CalendarKind, String),
    metadata: DatasetMetadata,
    current: Option<VersionNumber>,
    Moments { expected_ms, said_ms, now_ms }: Moments,
) -> CalendarEntry {
    CalendarEntry {
        id,
        kind,
        url: current.map(|_| site.url(&format!("/datasets/{}", metadata.name))),
        dataset: metadata.name.to_string(),
        title: metadata.title,
        department: metadata.department,
        expected: timestamp(expected_ms),
        late: expected_ms < now_ms,
        expected_ms,
        said_ms,
    }
}
