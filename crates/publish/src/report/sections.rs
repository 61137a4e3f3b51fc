//! The tables of an annual report, each with the words from which somebody else could make it again.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeZone as _, Utc};
use portico_intake::dictionary::Treatment;
use portico_intake::options::ReadOptions;
use portico_model::name::DatasetName;
use portico_model::policy::VersionState;
use portico_store::{DatasetFilter, DatasetRecord, ReportSection, RevisionRecord, VersionSummary};

use crate::error::PublishError;
use crate::publisher::{Publisher, from_json};
use crate::usage::told;

/// Datasets and audit rows read at a time.
const PAGE: u64 = 500;
/// Datasets in the table of those that are used most.
const TOP: usize = 20;

/// Extensions that are counted by their names. Any other may be a part of a name that only staff know.
const EXTENSIONS: [&str; 16] = [
    "csv", "tsv", "tab", "txt", "json", "ndjson", "jsonl", "geojson", "xlsx", "xlsm", "parquet", "arrow", "arrows",
    "feather", "gz", "zip",
];

/// A dataset with all that its year is told by.
struct Told {
    dataset: DatasetRecord,
    versions: Vec<VersionSummary>,
    /// Released in the year.
    released: Vec<RevisionRecord>,
}

/// The first moment of a year and of the next, in milliseconds since the epoch.
fn bounds(year: i64) -> (i64, i64) {
    let first = |year: i64| {
        let year = i32::try_from(year).unwrap_or(1970);
        Utc.with_ymd_and_hms(year, 1, 1, 0, 0, 0).single().unwrap_or_default().timestamp_millis()
    };
    (first(year), first(year.saturating_add(1)))
}

/// A day as ISO 8601 writes it.
pub(super) fn day(at_ms: i64) -> String {
    DateTime::from_timestamp_millis(at_ms).unwrap_or_default().format("%Y-%m-%d").to_string()
}

impl Publisher {
    /// The tables, as the records are now.
    pub(super) async fn report_sections(&self, year: i64, now_ms: i64) -> Result<Vec<ReportSection>, PublishError> {
        let (from_ms, to_ms) = bounds(year);
        let told = self.told(from_ms, to_ms).await?;
        Ok(vec![
            by_department(&told, year),
            by_format(&told, year),
            completeness(&told),
            schedule(&told, to_ms.min(now_ms)),
            self.restricted(&told, year)?,
            self.withdrawals(year, (from_ms, to_ms)).await?,
            self.use_by_protocol(year).await?,
            self.most_used(year).await?,
            self.requests_of(year, (from_ms, to_ms)).await?,
        ])
    }

    async fn told(&self, from_ms: i64, to_ms: i64) -> Result<Vec<Told>, PublishError> {
        let catalog = &self.store.catalog;
        let (mut told, mut offset) = (Vec::new(), 0);
        loop {
            let filter = DatasetFilter { include_unreleased: true, offset, limit: PAGE, ..DatasetFilter::default() };
            let (page, total) = catalog.datasets(&filter).await?;
            let last = page.is_empty() || offset.saturating_add(PAGE) >= total;
            for dataset in page {
                let versions = catalog.versions(&dataset.metadata.name).await?;
                let in_year = |version: &&VersionSummary| (from_ms..to_ms).contains(&version.released_ms);
                let numbers: Vec<u32> = versions.iter().filter(in_year).map(|version| version.version).collect();
                let mut released = Vec::new();
                if !numbers.is_empty() {
                    released = catalog.revisions(&dataset.metadata.name).await?;
                    released.retain(|revision| revision.version.is_some_and(|version| numbers.contains(&version)));
                }
                told.push(Told { dataset, versions, released });
            }
            if last {
                return Ok(told);
            }
            offset = offset.saturating_add(PAGE);
        }
    }

    async fn withdrawals(&self, year: i64, (from_ms, to_ms): (i64, i64)) -> Result<ReportSection, PublishError> {
        let catalog = &self.store.catalog;
        let (mut after, mut rows) = (0, Vec::new());
        loop {
            let page = catalog.audit(None, after, i64::try_from(PAGE).unwrap_or(i64::MAX)).await?;
            let Some(last) = page.last() else { break };
            after = last.sequence;
            for entry in page {
                if entry.action != "version.withdrawn" || !(from_ms..to_ms).contains(&entry.at_ms) {
                    continue;
                }
                let (dataset, version) = (entry.dataset.unwrap_or_default(), entry.version.unwrap_or_default());
                let name = DatasetName::parse(&dataset).ok();
                let number = u32::try_from(version).unwrap_or_default();
                let record = match name {
                    Some(name) => catalog.version(&name, number).await?,
                    None => None,
                };
                let reason = record.as_ref().and_then(|record| record.withdrawn_reason.clone()).unwrap_or_default();
                let purged = record.is_some_and(|record| record.state == VersionState::Purged);
                let state = if purged { "purged" } else { "withdrawn" };
                rows.push(vec![day(entry.at_ms), dataset, version.to_string(), state.to_owned(), reason]);
            }
        }
        Ok(section(
            "Withdrawals",
            &format!(
                "Rows of the audit log with the action version.withdrawn in {year} (UTC), with the public reason."
            ),
            &["Day", "Dataset", "Version", "State", "Reason"],
            rows,
        ))
    }

    async fn use_by_protocol(&self, year: i64) -> Result<ReportSection, PublishError> {
        let mut sums: BTreeMap<(String, String), u64> = BTreeMap::new();
        for count in self.store.catalog.uses(&format!("{year:04}-01"), &format!("{year:04}-12"), true).await? {
            if count.column.is_empty() {
                let sum = sums.entry((count.protocol, count.format)).or_default();
                *sum = sum.saturating_add(count.uses);
            }
        }
        let rows = sums.into_iter().map(|((protocol, format), uses)| vec![protocol, format, told(uses)]).collect();
        Ok(section(
            "Use",
            "SELECT protocol, format, sum(uses) FROM use_count WHERE name = '' AND month BETWEEN 'YEAR-01' AND 'YEAR-12' \
             GROUP BY protocol, format ORDER BY protocol, format. Numbers below ten are not told.",
            &["Protocol", "Format", "Uses"],
            rows,
        ))
    }

    async fn most_used(&self, year: i64) -> Result<ReportSection, PublishError> {
        let mut sums: BTreeMap<DatasetName, u64> = BTreeMap::new();
        for count in self.store.catalog.uses(&format!("{year:04}-01"), &format!("{year:04}-12"), false).await? {
            if count.column.is_empty() {
                let sum = sums.entry(count.dataset).or_default();
                *sum = sum.saturating_add(count.uses);
            }
        }
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
        let rows = sums.into_iter().take(TOP).map(|(name, uses)| vec![name.to_string(), told(uses)]).collect();
        Ok(section(
            "Most used datasets",
            "SELECT dataset, sum(uses) FROM use_count WHERE name = '' AND month BETWEEN 'YEAR-01' AND 'YEAR-12', of versions \
             that are public, GROUP BY dataset ORDER BY 2 DESC, 1 LIMIT 20. Numbers below ten are not told.",
            &["Dataset", "Uses"],
            rows,
        ))
    }

    /// Columns that were left out, by what they were classified as. Their names are nobody's business.
    fn restricted(&self, told: &[Told], year: i64) -> Result<ReportSection, PublishError> {
        let categories = self.jail.rules().categories();
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for revision in told.iter().flat_map(|one| &one.released) {
            let options: ReadOptions = from_json(&revision.options_json)?;
            for field in options.dictionary.map(|dictionary| dictionary.fields).unwrap_or_default() {
                let public = matches!(field.treatment, Treatment::Public { .. });
                let reason = match (&field.treatment, &field.classification) {
                    // What staff call it otherwise are words of theirs.
                    (_, Some(said)) if !public => {
                        let known = categories.iter().find(|category| category.id == *said);
                        known.map_or("another classification", |category| category.id.as_str())
                    }
                    (Treatment::Drop { .. }, None) => "left out without a classification",
                    _ => continue,
                };
                *counts.entry(reason).or_default() += 1;
            }
        }
        let rows = counts.into_iter().map(|(reason, count)| vec![reason.to_owned(), count.to_string()]).collect();
        Ok(section(
            "Restricted columns left out",
            &format!(
                "Columns that the data dictionaries of versions released in {year} (UTC) left out, by their classification; a column \
                 counts once for each version."
            ),
            &["Classification", "Columns"],
            rows,
        ))
    }
}

pub(super) fn section(title: &str, definition: &str, columns: &[&str], rows: Vec<Vec<String>>) -> ReportSection {
    ReportSection {
        title: title.to_owned(),
        definition: definition.to_owned(),
        columns: columns.iter().map(|&column| column.to_owned()).collect(),
        rows,
    }
}

fn by_department(told: &[Told], year: i64) -> ReportSection {
    let mut counts: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    // A department of which nothing has been public yet may be one that nobody is to hear of.
    for one in told.iter().filter(|one| !one.versions.is_empty()) {
        let count = counts.entry(one.dataset.metadata.department.as_str()).or_default();
        count.0 += u64::from(one.dataset.current.is_some());
        count.1 += u64::try_from(one.released.len()).unwrap_or_default();
        let current = one.versions.iter().find(|version| Some(version.version) == one.dataset.current);
        count.2 = count.2.saturating_add(current.map_or(0, |version| version.rows));
    }
    let named = |name: &str| if name.is_empty() { "no department" } else { name }.to_owned();
    let rows = counts
        .into_iter()
        .map(|(name, (public, released, rows))| {
            vec![named(name), public.to_string(), released.to_string(), rows.to_string()]
        })
        .collect();
    section(
        "Supply by department",
        &format!(
            "The catalog at the time of the draft, of departments that have released something: datasets with a current version \
             and the rows of it, and versions released in {year} (UTC), withdrawn since or not."
        ),
        &["Department", "Public datasets", "Versions released", "Rows"],
        rows,
    )
}

fn by_format(told: &[Told], year: i64) -> ReportSection {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for revision in told.iter().flat_map(|one| &one.released) {
        let extension = revision.file_name.rsplit_once('.').map_or("", |(_, extension)| extension);
        let known = EXTENSIONS.iter().find(|known| known.eq_ignore_ascii_case(extension));
        *counts.entry(known.copied().unwrap_or("another")).or_default() += 1;
    }
    let rows = counts.into_iter().map(|(format, count)| vec![format.to_owned(), count.to_string()]).collect();
    section(
        "Files that departments brought",
        &format!(
            "Revisions that became versions in {year} (UTC), by the last extension of their file. The public gets every version \
             as CSV, JSON, NDJSON, Parquet and Arrow."
        ),
        &["Format", "Versions"],
        rows,
    )
}

fn completeness(told: &[Told]) -> ReportSection {
    let public: Vec<&DatasetRecord> =
        told.iter().map(|one| &one.dataset).filter(|dataset| dataset.current.is_some()).collect();
    let row = |what: &str, has: &dyn Fn(&DatasetRecord) -> bool| {
        let count = public.iter().filter(|dataset| has(dataset)).count();
        vec![what.to_owned(), count.to_string(), public.len().to_string()]
    };
    let rows = vec![
        row("a description", &|dataset| !dataset.metadata.description.trim().is_empty()),
        row("a department", &|dataset| !dataset.metadata.department.trim().is_empty()),
        row("a steward", &|dataset| !dataset.metadata.steward_email.trim().is_empty()),
        row("a licence", &|dataset| !dataset.metadata.license.trim().is_empty()),
        row("keywords", &|dataset| !dataset.metadata.keywords.is_empty()),
        row("an update frequency", &|dataset| !dataset.metadata.update_frequency.trim().is_empty()),
        row("a dictionary of columns", &|dataset| {
            dataset.metadata.columns.iter().any(|column| !column.description.trim().is_empty())
        }),
    ];
    section(
        "Completeness of metadata",
        "Datasets with a current version whose metadata have the field filled in, of all of them.",
        &["Has", "Datasets", "Of"],
        rows,
    )
}

fn schedule(told: &[Told], at_ms: i64) -> ReportSection {
    let (mut kept, mut late, mut without) = (0_u64, 0_u64, 0_u64);
    for one in told.iter().filter(|one| one.dataset.current.is_some()) {
        let newest =
            one.versions.iter().filter(|version| version.released_ms < at_ms).map(|version| version.released_ms);
        match (period_ms(&one.dataset.metadata.update_frequency), newest.max()) {
            (Some(period_ms), Some(newest)) if at_ms.saturating_sub(newest) <= period_ms => kept += 1,
            (Some(_), Some(_)) => late += 1,
            _ => without += 1,
        }
    }
    let row = |what: &str, count: u64| vec![what.to_owned(), count.to_string()];
    section(
        "On schedule",
        "Datasets with a current version whose newest version was no older than their update frequency (R/P…) at the end of the \
         year, or at the time of the draft if that was earlier.",
        &["State", "Datasets"],
        vec![row("on schedule", kept), row("late", late), row("no schedule", without)],
    )
}

/// The length of an ISO 8601 repeating interval of one unit, such as `R/P1M`, in milliseconds; months and years at their
/// longest.
fn period_ms(frequency: &str) -> Option<i64> {
    let period = frequency.trim().strip_prefix("R/P").or_else(|| frequency.trim().strip_prefix('P'))?;
    let unit = period.chars().last()?;
    let number: i64 = period.strip_suffix(unit)?.parse().ok()?;
    let days = match unit {
        'D' => 1,
        'W' => 7,
        'M' => 31,
        'Y' => 366,
        _ => return None,
    };
    number.checked_mul(days)?.checked_mul(24 * 60 * 60 * 1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn years_begin_and_end_to_the_millisecond() {
        let (from_ms, to_ms) = bounds(2026);
        assert_eq!((day(from_ms), day(from_ms - 1)), ("2026-01-01".to_owned(), "2025-12-31".to_owned()));
        assert_eq!((day(to_ms), day(to_ms - 1)), ("2027-01-01".to_owned(), "2026-12-31".to_owned()));
        let day_ms = 24 * 60 * 60 * 1000;
        assert_eq!((period_ms("R/P1M"), period_ms("R/P2W")), (Some(31 * day_ms), Some(14 * day_ms)));
        assert_eq!((period_ms("irregular"), period_ms("R/PT1H"), period_ms("")), (None, None, None));
    }
}
