//! The inventory: every dataset that the government holds, published or not.
//!
//! ```text
//! a file or a person ─▶ entries ─┐
//!                     datasets ──┼─▶ lines, by urgency, for staff
//!     requests of the public ────┘        └─▶ what may be told ─▶ the dataset `inventory`, by the real road
//! ```

use std::collections::{BTreeMap, HashMap};

use portico_model::inventory::{InventoryEntry, InventoryStatus};
use portico_model::name::{DatasetName, VersionNumber};
use portico_model::policy::{Action, Principal};
use portico_store::{DatasetRecord, StoreError};
use serde::Serialize;

use crate::error::PublishError;
use crate::publisher::Publisher;

mod import;
mod public;
mod refresh;

pub use import::{Change, Import, LineError};
pub use refresh::Republished;

/// One line of the inventory, as staff see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InventoryLine {
    /// What is known of the dataset. Its status is the portal's own where the dataset is public here.
    #[serde(flatten)]
    pub entry: InventoryEntry,
    /// Whether somebody has entered it; otherwise it is there because the portal has a dataset of the name.
    pub entered: bool,
    /// The version that is public.
    pub current_version: Option<VersionNumber>,
    /// Requests of the public that wait for it.
    pub requests: u32,
    /// How urgent it is to publish it (`docs/staff.md`).
    pub urgency: u32,
}

impl Publisher {
    /// The inventory, as far as it is in the principal's scope; the most urgent first.
    ///
    /// # Errors
    /// Those of the catalog.
    pub async fn inventory(&self, principal: &Principal, now_ms: i64) -> Result<Vec<InventoryLine>, PublishError> {
        let seen = |(mut line, record): (InventoryLine, Option<DatasetRecord>)| {
            if let Some(record) = record {
                line.entry = whole(line.entry, &record);
            }
            line
        };
        let mut lines: Vec<InventoryLine> = self.lines().await?.into_iter().map(seen).collect();
        lines.retain(|line| self.permit_entry(principal, Action::See, &line.entry, now_ms).is_ok());
        lines.sort_by(|left, right| {
            right.urgency.cmp(&left.urgency).then_with(|| left.entry.name.cmp(&right.entry.name))
        });
        Ok(lines)
    }

    /// Enters a dataset, or says otherwise what is known of it. Answers whether anything was changed.
    ///
    /// # Errors
    /// [`PublishError::BadEntry`]; [`PublishError::EntryChanged`] when the entry is at another version than the one that it was made
    /// from; [`PublishError::UnknownDataset`] when what it is or would be is not in the principal's
    /// scope; [`PublishError::Denied`].
    pub async fn set_inventory(
        &self,
        principal: &Principal,
        entry: &InventoryEntry,
        now_ms: i64,
    ) -> Result<bool, PublishError> {
        let grant = self.permit_change(principal, entry, now_ms).await?;
        let faults = import::faults(entry);
        if !faults.is_empty() {
            return Err(PublishError::BadEntry(faults));
        }
        Ok(self.put_entries(std::slice::from_ref(entry), grant.principal(), now_ms).await? > 0)
    }

    /// Writes entries that were made from what the inventory said; answers how many said something else.
    async fn put_entries(&self, entries: &[InventoryEntry], principal: &str, now_ms: i64) -> Result<u64, PublishError> {
        match self.store.catalog.put_inventory(entries, principal, now_ms).await {
            Err(StoreError::Conflict { .. }) => Err(PublishError::EntryChanged),
            done => Ok(done?),
        }
    }

    /// One entry, to be changed. It holds what somebody has said and nothing of what the portal knows of its own dataset by
    /// itself: that would stay, and stay listed, when the dataset says something else or is public no more.
    ///
    /// # Errors
    /// [`PublishError::UnknownDataset`] for what is not in the principal's scope.
    pub async fn inventory_entry(
        &self,
        principal: &Principal,
        name: &DatasetName,
        now_ms: i64,
    ) -> Result<Option<InventoryEntry>, PublishError> {
        let entry = match self.store.catalog.inventory_entry(name).await? {
            Some(entry) => entry,
            None => match self.store.catalog.dataset(name).await? {
                Some(record) => unsaid(&record),
                None => return Ok(None),
            },
        };
        self.permit_entry(principal, Action::See, &entry, now_ms)?;
        Ok(Some(entry))
    }

    /// What it is, what it would be, and the portal's own dataset of the name have to be in the principal's scope.
    async fn permit_change(
        &self,
        principal: &Principal,
        entry: &InventoryEntry,
        now_ms: i64,
    ) -> Result<portico_model::policy::Grant, PublishError> {
        if let Some(before) = self.store.catalog.inventory_entry(&entry.name).await? {
            self.permit_entry(principal, Action::KeepInventory, &before, now_ms)?;
        }
        if let Some(record) = self.store.catalog.dataset(&entry.name).await? {
            self.permit_dataset(principal, Action::KeepInventory, &record.metadata, now_ms)?;
        }
        self.permit_entry(principal, Action::KeepInventory, entry, now_ms)
    }

    fn permit_entry(
        &self,
        principal: &Principal,
        action: Action,
        entry: &InventoryEntry,
        now_ms: i64,
    ) -> Result<portico_model::policy::Grant, PublishError> {
        let mut metadata = portico_model::dataset::DatasetMetadata::named(entry.name.clone());
        metadata.department.clone_from(&entry.department);
        self.permit_dataset(principal, action, &metadata, now_ms)
    }

    /// Every line, with the portal's own dataset where it has one, by name.
    async fn lines(&self) -> Result<Vec<(InventoryLine, Option<DatasetRecord>)>, PublishError> {
        let mut datasets: BTreeMap<DatasetName, DatasetRecord> = BTreeMap::new();
        for record in self.datasets(&Principal::operator("portico"), 0).await? {
            datasets.insert(record.metadata.name.clone(), record);
        }
        let mut requests: HashMap<DatasetName, u32> = HashMap::new();
        for request in self.store.catalog.data_requests().await? {
            if let Some(name) = request.dataset.filter(|_| request.status.is_open()) {
                let count = requests.entry(name).or_default();
                *count = count.saturating_add(1);
            }
        }
        let line = |entry: InventoryEntry, entered: bool, record: Option<&DatasetRecord>| {
            let current_version = record.and_then(|record| record.current);
            let status = if current_version.is_some() { InventoryStatus::Published } else { entry.status };
            let entry = InventoryEntry { status, ..entry };
            let waiting = requests.get(&entry.name).copied().unwrap_or_default();
            let urgency = entry.urgency(waiting);
            InventoryLine { entry, entered, current_version, requests: waiting, urgency }
        };
        let mut lines = Vec::new();
        for entry in self.store.catalog.inventory().await? {
            let record = datasets.remove(&entry.name);
            lines.push((line(entry, true, record.as_ref()), record));
        }
        for record in datasets.into_values() {
            lines.push((line(implied(&record), false, Some(&record)), Some(record)));
        }
        lines.sort_by(|(left, _), (right, _)| left.entry.name.cmp(&right.entry.name));
        Ok(lines)
    }
}

/// What staff see of an entry whose dataset the portal has: of one that is public, what the public reads; of another, what
/// nobody has said. What is public is listed.
fn whole(entry: InventoryEntry, record: &DatasetRecord) -> InventoryEntry {
    let public = record.current.is_some();
    let known = implied(record);
    let of = |said: String, known: String| if said.is_empty() { known } else { said };
    let untitled = entry.title.is_empty() || entry.title == entry.name.as_str();
    let entry = InventoryEntry {
        title: if untitled { known.title.clone() } else { entry.title },
        description: of(entry.description, known.description.clone()),
        department: of(entry.department, known.department.clone()),
        steward_name: of(entry.steward_name, known.steward_name.clone()),
        steward_email: of(entry.steward_email, known.steward_email.clone()),
        source_system: of(entry.source_system, known.source_system.clone()),
        listed: entry.listed || public,
        ..entry
    };
    if public { described(entry, record) } else { entry }
}

/// An entry with what the dataset says of itself in place of what was said before it was public.
fn described(entry: InventoryEntry, record: &DatasetRecord) -> InventoryEntry {
    let InventoryEntry { title, description, department, steward_name, steward_email, source_system, .. } =
        implied(record);
    let source_system = if source_system.is_empty() { entry.source_system.clone() } else { source_system };
    InventoryEntry { title, description, department, steward_name, steward_email, source_system, ..entry }
}

/// The entry of a dataset that nobody has entered, before anything is said of it.
fn unsaid(record: &DatasetRecord) -> InventoryEntry {
    // The department says in whose scope it is.
    let department = record.metadata.department.clone();
    InventoryEntry { department, ..InventoryEntry::named(record.metadata.name.clone()) }
}

/// What the portal knows of a dataset that nobody has entered. It is listed by being public, and not before.
fn implied(record: &DatasetRecord) -> InventoryEntry {
    let metadata = &record.metadata;
    InventoryEntry {
        title: metadata.title.clone(),
        description: metadata.description.clone(),
        department: metadata.department.clone(),
        steward_name: metadata.steward_name.clone(),
        steward_email: metadata.steward_email.clone(),
        source_system: metadata.source.clone(),
        listed: record.current.is_some(),
        created_ms: record.created_ms,
        updated_ms: record.updated_ms,
        ..InventoryEntry::named(metadata.name.clone())
    }
}
