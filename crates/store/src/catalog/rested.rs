//! What a portal that came back from a backup does not do by itself. Since the backup was made people may have lifted a
//! schedule, paused a source or withdrawn what it brought, and none of it is known any more: what was to happen by the clock
//! waits until somebody says again that it shall.

use portico_model::name::DatasetName;
use serde_json::json;
use sqlx::Row as _;

use super::audit::What;
use super::change::Change;
use super::refreshes::{self, RefreshRecord};
use super::schedules::{self, ScheduleRecord};
use crate::error::StoreError;

/// Said of a scheduled release that waits since the restore.
const RESTORED: &str = "the portal was restored from a backup since: schedule it anew, or take it off the calendar";

/// What waits for people after a restore.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rested {
    /// The datasets whose sources are paused now.
    pub sources: Vec<DatasetName>,
    /// The scheduled revisions that are not released at their time, with their datasets.
    pub releases: Vec<(String, DatasetName)>,
}

/// Lets every source and every scheduled release rest, and says so in the audit log.
pub(super) async fn rest(
    change: &mut Change,
    (stamp, principal, now_ms): (&str, &str, i64),
) -> Result<Rested, StoreError> {
    let mut rested = Rested::default();
    let rows = sqlx::query("SELECT dataset FROM refresh ORDER BY dataset").fetch_all(&mut *change.transaction).await?;
    for row in &rows {
        let name: String = row.try_get(0)?;
        let name = DatasetName::parse(&name).map_err(|error| StoreError::corrupt("a catalog row", error))?;
        let Some(refresh) = refreshes::find(change, &name).await?.filter(|refresh| !refresh.paused) else { continue };
        refreshes::write(change, &RefreshRecord { paused: true, next_ms: None, ..refresh }).await?;
        rested.sources.push(name);
    }
    for schedule in schedules::waiting(change).await? {
        if schedule.next_try_ms.is_none() {
            continue;
        }
        rested.releases.push((schedule.revision.clone(), schedule.dataset.clone()));
        let failure = Some(RESTORED.to_owned());
        schedules::put(change, &ScheduleRecord { next_try_ms: None, failure, ..schedule }).await?;
    }
    let what = What { action: "portal.restored", dataset: None, revision: None, version: None };
    let releases: Vec<&str> = rested.releases.iter().map(|(revision, _)| revision.as_str()).collect();
    let detail = json!({ "backup": stamp, "paused": rested.sources, "waiting": releases });
    change.audit(principal, now_ms, what, detail).await?;
    Ok(rested)
}
