//! The inventory, and what the public asks for.

use portico_model::data_request::DataRequest;
use portico_model::inventory::InventoryEntry;
use portico_model::name::DatasetName;
use serde_json::{Value, json};

use super::Catalog;
use super::audit::What;
use super::shelf::{DATA_REQUEST, INVENTORY};
use crate::error::StoreError;

impl Catalog {
    /// Every entry of the inventory, by name.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] when a row is damaged, [`StoreError::Unavailable`] when the database does not answer.
    pub async fn inventory(&self) -> Result<Vec<InventoryEntry>, StoreError> {
        let mut entries: Vec<InventoryEntry> = INVENTORY.all(self).await?;
        entries.sort_by(|left, right| left.name.cmp(&right.name));
        Ok(entries)
    }

    /// One entry of the inventory.
    ///
    /// # Errors
    /// As [`Catalog::inventory`].
    pub async fn inventory_entry(&self, name: &DatasetName) -> Result<Option<InventoryEntry>, StoreError> {
        INVENTORY.get(self, name.as_str()).await
    }

    /// Enters datasets, or says otherwise what is known of them, all or none; each has its row in the audit log. An entry
    /// that says what is there already changes nothing. Each is made from the version that it names, and has the next one
    /// afterwards. Answers how many were changed.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when an entry is at another version by now; [`StoreError::Unavailable`] when the database does not answer; doing it again is safe.
    pub async fn put_inventory(
        &self,
        entries: &[InventoryEntry],
        principal: &str,
        now_ms: i64,
    ) -> Result<u64, StoreError> {
        let mut change = self.change().await?;
        let mut changed = 0_u64;
        for entry in entries {
            let before: Option<InventoryEntry> = INVENTORY.find(&mut change, entry.name.as_str()).await?;
            if before.as_ref().is_some_and(|before| before.says_as(entry)) {
                continue;
            }
            if before.as_ref().map_or(0, |before| before.version) != entry.version {
                let name = &entry.name;
                return Err(StoreError::conflict(format!(
                    "the inventory's entry of {name} was changed meanwhile: look at it again, and say anew what is to change"
                )));
            }
            let created_ms = before.as_ref().map_or(now_ms, |before| before.created_ms);
            let version = entry.version.saturating_add(1);
            let entry = InventoryEntry { created_ms, updated_ms: now_ms, version, ..entry.clone() };
            INVENTORY.put(&mut change, entry.name.as_str(), &entry).await?;
            let action = if before.is_some() { "inventory.changed" } else { "inventory.entered" };
            let what = What { action, dataset: Some(&entry.name), revision: None, version: None };
            let detail = json!({ "status": entry.status, "listed": entry.listed, "reason": entry.reason });
            change.audit(principal, now_ms, what, detail).await?;
            changed = changed.saturating_add(1);
        }
        if changed > 0 {
            change.commit().await?;
        }
        Ok(changed)
    }

    /// Every data request, newest first.
    ///
    /// # Errors
    /// As [`Catalog::inventory`].
    pub async fn data_requests(&self) -> Result<Vec<DataRequest>, StoreError> {
        let mut requests: Vec<DataRequest> = DATA_REQUEST.all(self).await?;
        requests.sort_by(|left, right| right.id.cmp(&left.id));
        Ok(requests)
    }

    /// One data request.
    ///
    /// # Errors
    /// As [`Catalog::inventory`].
    pub async fn data_request(&self, id: &str) -> Result<Option<DataRequest>, StoreError> {
        DATA_REQUEST.get(self, id).await
    }

    /// Keeps a new data request, or what staff say of it. The audit log has its id and status and which texts
    /// were corrected, and nothing of them.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when the record is another than `before` by now.
    pub async fn put_data_request(
        &self,
        before: Option<&DataRequest>,
        request: &DataRequest,
        principal: &str,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let mut change = self.change().await?;
        let found: Option<DataRequest> = DATA_REQUEST.find(&mut change, &request.id).await?;
        if found.as_ref() != before {
            return Err(StoreError::conflict("somebody else has answered it meanwhile"));
        }
        if before == Some(request) {
            return Ok(());
        }
        DATA_REQUEST.put(&mut change, &request.id, request).await?;
        let action = if before.is_some() { "request.answered" } else { "request.received" };
        let what = What { action, dataset: request.dataset.as_ref(), revision: None, version: None };
        let gone = before.is_some_and(|before| !before.contact.is_empty() && request.contact.is_empty());
        let texts = |one: &DataRequest| {
            [("title", one.title.clone()), ("details", one.details.clone()), ("department", one.department.clone())]
        };
        let pairs = before.into_iter().flat_map(|before| texts(before).into_iter().zip(texts(request)));
        let corrected: Vec<&str> = pairs.filter(|(was, is)| was != is).map(|((field, _), _)| field).collect();
        let detail: Value = json!({
            "request": request.id, "status": request.status, "shown": request.shown, "contact_deleted": gone,
            "corrected": corrected,
        });
        change.audit(principal, now_ms, what, detail).await?;
        change.commit().await
    }
}
