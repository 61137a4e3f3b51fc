//! What of the inventory the public may read: the rows of the dataset `inventory`.

use portico_intake::dictionary::Dictionary;
use portico_intake::options::ReadOptions;
use portico_model::dataset::{DatasetMetadata, MetadataPatch};
use portico_model::inventory::{InventoryEntry, InventoryStatus};
use portico_model::name::DatasetName;
use portico_store::DatasetRecord;

use super::{InventoryLine, described, implied};
use crate::error::PublishError;
use crate::publisher::Publisher;

/// The dataset's name.
pub(super) const NAME: &str = "inventory";
/// The file's name, as the revisions show it.
const FILE: &str = "inventory.csv";
/// The dictionary.
const COLUMNS: &str = include_str!("columns.toml");

const HEADER: [&str; 15] = [
    "name",
    "title",
    "description",
    "department",
    "steward",
    "contact",
    "source_system",
    "classification",
    "status",
    "reason",
    "citation",
    "priority",
    "planned",
    "published_on",
    "entered_on",
];

/// The dataset of the inventory.
pub(super) fn name() -> Result<DatasetName, PublishError> {
    DatasetName::parse(NAME).map_err(|error| PublishError::Write(error.into()))
}

/// What is said of the dataset itself, unless somebody says otherwise.
pub(super) fn metadata(said: &MetadataPatch) -> Result<DatasetMetadata, PublishError> {
    let mut metadata = DatasetMetadata {
        title: "Inventory of Datasets".to_owned(),
        description:
            "Every dataset that the government holds and lists, published or not: who answers for it, how far it \
                      is on its way to the public, and why not, where it is not to be published."
                .to_owned(),
        license: "CC0-1.0".to_owned(),
        keywords: ["inventory", "catalog", "open data"].map(str::to_owned).to_vec(),
        update_frequency: "irregular".to_owned(),
        source: "The portal's own records".to_owned(),
        collection_method: "Departments enter their datasets; the portal adds what it has published.".to_owned(),
        completeness:
            "Datasets that departments have not entered are missing, and those whose very existence may not be \
                       told."
                .to_owned(),
        ..DatasetMetadata::named(name()?)
    };
    said.apply(&mut metadata);
    Ok(metadata)
}

/// How its file is read.
pub(super) fn options() -> Result<ReadOptions, PublishError> {
    let dictionary = Dictionary::from_toml(COLUMNS).map_err(|error| PublishError::Write(error.into()))?;
    Ok(ReadOptions { dictionary: Some(dictionary), ..ReadOptions::named(FILE) })
}

impl Publisher {
    /// The rows as CSV: the same entries make the same bytes. The inventory itself is not in it: it would have to be
    /// published again for having been published.
    pub(super) async fn public_inventory(&self) -> Result<Vec<u8>, PublishError> {
        let mut out = csv::Writer::from_writer(Vec::new());
        let failed = |error: csv::Error| PublishError::Write(error.into());
        out.write_record(HEADER).map_err(failed)?;
        let own = name()?;
        for (line, record) in self.lines().await? {
            if line.entry.name == own {
                continue;
            }
            if let Some(row) = self.row(line, record.as_ref()).await? {
                out.write_record(row).map_err(failed)?;
            }
        }
        out.into_inner().map_err(|error| PublishError::Write(error.error().to_string().into()))
    }

    /// What the public may know of one dataset, if it may know of it.
    async fn row(
        &self,
        line: InventoryLine,
        record: Option<&DatasetRecord>,
    ) -> Result<Option<[String; 15]>, PublishError> {
        let public = record.filter(|record| record.current.is_some());
        let entry = match (public, line.entry.listed) {
            // What is public is public; what its entry says besides is not, unless it is listed.
            (Some(record), false) => InventoryEntry { status: InventoryStatus::Published, ..implied(record) },
            // A dataset that is public says itself what it is, and says it otherwise when that is approved.
            (Some(record), true) => described(line.entry, record),
            (None, true) => line.entry,
            (None, false) => return Ok(None),
        };
        if public.is_none() && !entry.public_title.is_empty() {
            let InventoryEntry { public_title, department, classification, status, reason, citation, .. } = entry;
            let status = status.as_str().to_owned();
            let mut row: [String; 15] = Default::default();
            for (place, text) in
                [(1, public_title), (3, department), (7, classification), (8, status), (9, reason), (10, citation)]
            {
                if let Some(cell) = row.get_mut(place) {
                    *cell = text;
                }
            }
            return Ok(Some(row));
        }
        let first = match public {
            Some(record) => {
                let versions = self.store.catalog.versions(&record.metadata.name).await?;
                versions.last().map(|version| day(version.released_ms)).unwrap_or_default()
            }
            None => String::new(),
        };
        Ok(Some([
            entry.name.to_string(),
            entry.title,
            entry.description,
            entry.department,
            entry.steward_name,
            entry.steward_email,
            entry.source_system,
            entry.classification,
            entry.status.as_str().to_owned(),
            entry.reason,
            entry.citation,
            entry.priority.to_string(),
            entry.planned,
            first,
            day(entry.created_ms),
        ]))
    }
}

fn day(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms).unwrap_or_default().format("%Y-%m-%d").to_string()
}
