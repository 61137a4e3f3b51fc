//! The report's table of what the public has asked for in a year, and what became of it.

use std::collections::BTreeMap;

use portico_model::data_request::{DataRequest, RequestStatus};
use portico_store::ReportSection;

use super::sections::section;
use crate::error::PublishError;
use crate::publisher::Publisher;

impl Publisher {
    /// Requests that came in the year, by where they stand now: numbers, and nothing of what anybody wrote.
    pub(super) async fn requests_of(
        &self,
        year: i64,
        (from_ms, to_ms): (i64, i64),
    ) -> Result<ReportSection, PublishError> {
        let mut requests = self.store.catalog.data_requests().await?;
        requests.retain(|request| (from_ms..to_ms).contains(&request.received_ms));
        Ok(table(&requests, year))
    }
}

fn table(requests: &[DataRequest], year: i64) -> ReportSection {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for request in requests {
        *counts.entry(request.status.as_str()).or_default() += 1;
    }
    let row = |what: &str, count: usize| vec![what.to_owned(), count.to_string()];
    let mut rows: Vec<Vec<String>> = RequestStatus::ALL
        .into_iter()
        .map(|status| row(&status.as_str().replace('_', " "), counts.get(status.as_str()).copied().unwrap_or_default()))
        .collect();
    let answered = requests.iter().filter(|request| !request.status.is_open()).count();
    rows.push(row("answered, of all", answered));
    rows.push(row("all", requests.len()));
    section(
        "Requests of the public",
        &format!(
            "Requests for data that came in {year} (UTC), by their status at the time of the draft. Answered are those that are \
             published or declined; each declined one has its reason at /requests, where staff have let it be shown."
        ),
        &["Status", "Requests"],
        rows,
    )
}
