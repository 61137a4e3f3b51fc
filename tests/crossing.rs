//! Two people at once: what one has said is not taken back by another who has not seen it.

use portico_model::dataset::MetadataPatch;
use portico_model::name::DatasetName;
use portico_model::policy::{Principal, Role, Scope};
use portico_model::revision::RevisionState;
use portico_publish::{Edited, PublishError};
use serde_json::{Value, json};

use crate::inventory::Member;
use crate::world::{NOW_MS, World};

const TREES: &[u8] = b"tree_id,species\n0001,Oak\n0002,Ash\n";
const MORE: &[u8] = b"tree_id,species\n0001,Oak\n0002,Ash\n0003,Elm\n";
const BEFORE_MS: i64 = NOW_MS - 60_000;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_changes_an_entry_that_was_changed_meanwhile_looks_at_it_again() {
    let world = World::new().await;
    let (odette, ana) =
        (Member::new(&world, "odette", Role::OpenData).await, Member::new(&world, "ana", Role::Steward).await);
    let path = "inventory/datasets/informants";
    let entered = odette.fine("PUT", path, json!({ "listed": true, "version": 0 })).await;
    assert_eq!((&entered["changed"], &entered["entry"]["version"]), (&json!(true), &json!(1)));
    let hidden = odette.fine("PUT", path, json!({ "listed": false, "version": 1 })).await;
    assert_eq!(hidden["entry"]["version"], 2);
    // Ana has the page of before, on which it is listed.
    let whole = json!({ "listed": true, "description": "Who they are", "version": 1 });
    assert_eq!(ana.refused("PUT", path, whole.clone()).await, (409, "conflict".into()));
    assert!(ana.ask("PUT", path, whole).await.text().contains("ook at it again"));
    let line = odette.fine("GET", "inventory", Value::Null).await["datasets"][0].clone();
    assert_eq!((&line["listed"], &line["description"], &line["version"]), (&json!(false), &json!(""), &json!(2)));
    // A retry of what was done is no conflict; nor is what says nothing of a version, or a file.
    let again = odette.fine("PUT", path, json!({ "listed": false, "version": 1 })).await;
    assert_eq!((&again["changed"], &again["entry"]["version"]), (&json!(false), &json!(2)));
    assert_eq!(ana.fine("PUT", path, json!({ "priority": 2 })).await["entry"]["version"], 3);
    let import = odette.fine("POST", "inventory/import", "name,priority\ninformants,3\n".into()).await;
    assert_eq!((&import["done"], import["changed"].as_array().unwrap().len()), (&json!(true), 1));
    assert_eq!(ana.refused("PUT", path, json!({ "version": -1 })).await, (400, "invalid_request".into()));
}

/// What an edit of one person changes, approved by another.
async fn edit(world: &World, said: MetadataPatch, now_ms: i64) {
    let name = DatasetName::parse("street-trees").unwrap();
    let ana = Principal::Staff { name: "ana".into(), roles: vec![Role::Steward], scope: Scope::All };
    let Edited::Proposed(edit) = world.publisher.edit(&ana, &name, &said, now_ms).await.unwrap() else {
        panic!("it is said at once")
    };
    world.publisher.approve_edit(&world.operator, &name, &edit.digest, now_ms).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_approved_edit_outlives_the_revisions_that_were_staged_before_it() {
    let world = World::new().await;
    let (publisher, operator) = (&world.publisher, &world.operator);
    world.publish("street-trees", "trees.csv", TREES).await;
    let dictionary = "[[field]]\nname = 'species'\ndescription = 'What grows'\n[[field]]\nname = 'tree_id'\ndescription = 'The tag'\n";
    let staged = world.stage("street-trees", "more.csv", MORE, dictionary).await;
    let approved = world.screen("street-trees", "approved.csv", MORE, dictionary).await;
    let seen = approved.digest.clone().unwrap();
    publisher.approve(operator, &approved.id, &seen, BEFORE_MS).await.unwrap();
    let scheduled = world.screen("street-trees", "scheduled.csv", MORE, dictionary).await;
    publisher.approve(operator, &scheduled.id, &scheduled.digest.clone().unwrap(), BEFORE_MS).await.unwrap();
    publisher.schedule(operator, &scheduled.id, (NOW_MS, None), BEFORE_MS).await.unwrap();

    let column = json!([{ "name": "species", "description": "What grows there, as seen from the street" }]);
    let said = json!({ "accuracy": "surveyed", "columns": column });
    edit(&world, serde_json::from_value(said).unwrap(), BEFORE_MS).await;
    // Nobody has consented to what these are now; what is screened is not screened again.
    for (id, state) in [
        (&staged.id, RevisionState::Staged),
        (&approved.id, RevisionState::InReview),
        (&scheduled.id, RevisionState::InReview),
    ] {
        let now = publisher.revision(operator, id, BEFORE_MS).await.unwrap();
        assert_eq!((now.state, now.metadata.accuracy.as_str()), (state, "surveyed"));
        assert!(now.metadata.columns.iter().any(|column| column.description.ends_with("from the street")));
        assert!(now.metadata.columns.iter().any(|column| column.description == "The tag"));
        let refused = publisher.release(operator, id, NOW_MS).await.unwrap_err();
        assert!(matches!(refused, PublishError::WrongState { .. }), "{refused}");
    }
    assert!(publisher.release_due(NOW_MS).await.unwrap().released.is_empty());
    let late = publisher.approve(operator, &approved.id, &seen, NOW_MS).await.unwrap_err();
    assert!(matches!(late, PublishError::DigestChanged), "{late}");
    let log = world.store.catalog.audit(None, 0, 100).await.unwrap();
    let told: Vec<_> = log.iter().filter(|entry| entry.action == "revision.edited").collect();
    assert_eq!(told.len(), 3);
    let of = |id: &str| told.iter().find(|entry| entry.revision.as_deref() == Some(id)).unwrap().detail.clone();
    assert!(of(&scheduled.id).contains("\"was\":\"scheduled\"") && of(&scheduled.id).contains("columns.species"));
    assert!(of(&approved.id).contains(&seen), "{}", of(&approved.id));
    world.store.catalog.verify_audit().await.unwrap();

    // Read otherwise, by the dictionary that says what was edited since, it still does not take the edit back.
    let mut options = publisher.revision(operator, &staged.id, NOW_MS).await.unwrap().options;
    let fields = &mut options.dictionary.as_mut().unwrap().fields;
    fields.iter_mut().find(|field| field.name == "tree_id").unwrap().description = "The number on the tag".to_owned();
    let amendment = portico_publish::Amendment { metadata: None, options: Some(options) };
    let amended = publisher.amend(operator, &staged.id, amendment, NOW_MS).await.unwrap();
    let described = |name: &str| amended.metadata.columns.iter().find(|column| column.name == name).unwrap().clone();
    assert_eq!(described("tree_id").description, "The number on the tag");
    assert!(described("species").description.ends_with("from the street"));
    let now = publisher.revision(operator, &approved.id, NOW_MS).await.unwrap();
    world.release(&now).await;
    let public = world.get("/api/datasets/street-trees").await.json();
    assert_eq!((&public["assessment"]["accuracy"], &public["current_version"]), (&json!("surveyed"), &json!(2)));
    assert!(public["columns"].to_string().contains("from the street"), "{}", public["columns"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_a_dataset_before_its_first_release_outlives_it() {
    let world = World::new().await;
    let screened = world.screen("street-trees", "trees.csv", TREES, "").await;
    let seen = screened.digest.clone().unwrap();
    world.publisher.approve(&world.operator, &screened.id, &seen, BEFORE_MS).await.unwrap();
    let said: MetadataPatch = serde_json::from_value(json!({ "accuracy": "surveyed" })).unwrap();
    let name = DatasetName::parse("street-trees").unwrap();
    world.publisher.edit(&world.operator, &name, &said, BEFORE_MS).await.unwrap();
    let now = world.publisher.revision(&world.operator, &screened.id, NOW_MS).await.unwrap();
    assert_eq!((now.state, now.digest == Some(seen)), (RevisionState::InReview, false));
    world.release(&now).await;
    assert_eq!(world.get("/api/datasets/street-trees").await.json()["assessment"]["accuracy"], "surveyed");
}
