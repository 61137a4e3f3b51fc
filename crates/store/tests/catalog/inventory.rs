//! The inventory, requests of the public and edits of metadata: kept whole, sealed, and audited where they change.

use portico_model::data_request::{DataRequest, RequestStatus};
use portico_model::inventory::{InventoryEntry, InventoryStatus};
use portico_store::{MetadataEdit, StoreError};

use crate::sample::{NOW, metadata, name};
use crate::worlds;

fn request(id: &str) -> DataRequest {
    DataRequest {
        id: id.to_owned(),
        title: "Trees".to_owned(),
        details: String::new(),
        department: String::new(),
        contact: "ask@home.example".to_owned(),
        status: RequestStatus::Received,
        answer: String::new(),
        dataset: None,
        shown: false,
        findings: Vec::new(),
        received_ms: NOW,
        updated_ms: NOW,
    }
}

fn edit(text: &str) -> MetadataEdit {
    let before = metadata("trees");
    let mut after = before.clone();
    after.description = text.to_owned();
    MetadataEdit {
        before,
        after,
        digest: text.to_owned(),
        proposed_by: "ana".to_owned(),
        proposed_ms: NOW,
        decided_by: None,
        declined_reason: None,
    }
}

#[tokio::test]
async fn what_is_entered_again_changes_nothing() {
    for world in worlds().await {
        let catalog = &world.catalog;
        let entry = InventoryEntry { title: "Trees".to_owned(), ..InventoryEntry::named(name("trees")) };
        let other = InventoryEntry::named(name("benches"));
        assert_eq!(catalog.put_inventory(&[entry.clone(), other], "ana", NOW).await.unwrap(), 2);
        assert_eq!(catalog.put_inventory(std::slice::from_ref(&entry), "ana", NOW + 1).await.unwrap(), 0);
        let planned = InventoryEntry { status: InventoryStatus::Planned, version: 1, ..entry };
        assert_eq!(catalog.put_inventory(std::slice::from_ref(&planned), "ana", NOW + 2).await.unwrap(), 1);
        let seen = world.another().await.inventory().await.unwrap();
        let names: Vec<_> = seen.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["benches", "trees"], "{}", world.name);
        assert!(seen[1].says_as(&planned) && (seen[1].created_ms, seen[1].updated_ms) == (NOW, NOW + 2));
        let audit = catalog.audit(Some(&name("trees")), 0, 10).await.unwrap();
        let actions: Vec<&str> = audit.iter().map(|entry| entry.action.as_str()).collect();
        assert_eq!(actions, ["inventory.entered", "inventory.changed"]);
        catalog.verify_audit().await.unwrap();
    }
}

#[tokio::test]
async fn an_entry_is_changed_from_the_version_that_was_seen_and_from_no_other() {
    for world in worlds().await {
        let catalog = &world.catalog;
        let listed = InventoryEntry { listed: true, ..InventoryEntry::named(name("informants")) };
        catalog.put_inventory(std::slice::from_ref(&listed), "ana", NOW).await.unwrap();
        // Two people look at it; one hides it, the other says what it is.
        let seen = catalog.inventory_entry(&name("informants")).await.unwrap().unwrap();
        assert_eq!(seen.version, 1);
        let hidden = InventoryEntry { listed: false, ..seen.clone() };
        let told = InventoryEntry { description: "Who they are".to_owned(), ..seen };
        catalog.put_inventory(std::slice::from_ref(&hidden), "ana", NOW + 1).await.unwrap();
        let other = InventoryEntry::named(name("benches"));
        let refused = catalog.put_inventory(&[other, told.clone()], "odette", NOW + 2).await.unwrap_err();
        assert!(matches!(&refused, StoreError::Conflict { .. }), "{}: {refused}", world.name);
        assert!(refused.to_string().contains("look at it again"), "{refused}");
        let kept = world.another().await.inventory().await.unwrap();
        assert_eq!(kept.len(), 1, "all or none");
        assert!(kept[0].says_as(&hidden) && kept[0].version == 2);
        // The same again is no conflict, and from what is there now it can be said.
        assert_eq!(catalog.put_inventory(&[hidden], "ana", NOW + 3).await.unwrap(), 0);
        let told = InventoryEntry { description: told.description, ..kept[0].clone() };
        assert_eq!(catalog.put_inventory(&[told], "odette", NOW + 4).await.unwrap(), 1);
    }
}

#[tokio::test]
async fn a_request_is_answered_by_one_person_at_a_time_and_its_text_is_not_in_the_audit_log() {
    for world in worlds().await {
        let catalog = &world.catalog;
        let first = request("01A");
        catalog.put_data_request(None, &first, "anonymous", NOW).await.unwrap();
        let taken = catalog.put_data_request(None, &first, "anonymous", NOW).await;
        assert!(matches!(taken, Err(StoreError::Conflict { .. })), "{}", world.name);
        let shown = DataRequest { shown: true, contact: String::new(), updated_ms: NOW + 1, ..first.clone() };
        catalog.put_data_request(Some(&first), &shown, "odette", NOW + 1).await.unwrap();
        let late = DataRequest { status: RequestStatus::Planned, ..first.clone() };
        let refused = catalog.put_data_request(Some(&first), &late, "cy", NOW + 2).await;
        assert!(matches!(refused, Err(StoreError::Conflict { .. })));
        assert_eq!(world.another().await.data_requests().await.unwrap(), [shown]);
        let audit = catalog.audit(None, 0, 10).await.unwrap();
        assert_eq!(audit.len(), 2);
        assert!(audit.iter().all(|entry| !entry.detail.contains("Trees") && !entry.detail.contains("home.example")));
        assert!(audit[1].detail.contains("\"contact_deleted\":true"));
    }
}

#[tokio::test]
async fn an_edit_is_for_the_metadata_that_it_was_made_of() {
    for world in worlds().await {
        let catalog = &world.catalog;
        assert!(matches!(catalog.propose_edit(&edit("a")).await, Err(StoreError::NotFound { .. })));
        catalog.put_dataset(&metadata("trees"), "ana", NOW).await.unwrap();
        catalog.propose_edit(&edit("a")).await.unwrap();
        catalog.propose_edit(&edit("b")).await.unwrap();
        let stale = catalog.apply_edit(&edit("a"), |_| Ok(None), "cy", NOW).await;
        assert!(matches!(stale, Err(StoreError::Conflict { .. })), "{}", world.name);
        catalog.apply_edit(&edit("b"), |_| Ok(None), "cy", NOW).await.unwrap();
        let record = catalog.dataset(&name("trees")).await.unwrap().unwrap();
        assert_eq!(record.metadata.description, "b");
        let again = catalog.apply_edit(&edit("b"), |_| Ok(None), "cy", NOW).await;
        assert!(matches!(again, Err(StoreError::Conflict { .. })));
        assert!(matches!(catalog.propose_edit(&edit("c")).await, Err(StoreError::Conflict { .. })));
        let none = catalog.decline_edit(&name("trees"), "late", "cy", NOW).await;
        assert!(matches!(none, Err(StoreError::NotFound { .. })));
        catalog.verify_audit().await.unwrap();
    }
}

#[tokio::test]
async fn what_was_tampered_with_is_not_believed() {
    for world in worlds().await.into_iter().filter(|world| world.name != "memory") {
        let catalog = &world.catalog;
        catalog.put_dataset(&metadata("trees"), "ana", NOW).await.unwrap();
        catalog.propose_edit(&edit("a")).await.unwrap();
        catalog.put_inventory(&[InventoryEntry::named(name("trees"))], "ana", NOW).await.unwrap();
        catalog.put_data_request(None, &request("01A"), "anonymous", NOW).await.unwrap();
        for table in ["inventory", "data_request", "metadata_edit"] {
            world.tamper(&format!("UPDATE {table} SET record = replace(record, 'false', 'true')")).await;
            world.tamper(&format!("UPDATE {table} SET record = replace(record, 'ana', 'eve')")).await;
        }
        let another = world.another().await;
        assert!(matches!(another.inventory().await, Err(StoreError::Corrupt { .. })), "{}", world.name);
        assert!(matches!(another.data_requests().await, Err(StoreError::Corrupt { .. })));
        assert!(matches!(another.edit(&name("trees")).await, Err(StoreError::Corrupt { .. })));
    }
}
