//! What the government holds, and what is said of it: metadata that are whole, the inventory.

use axum::body::Body;
use http::{Request, StatusCode};
use portico_intake::dictionary::Dictionary;
use portico_intake::options::ReadOptions;
use portico_model::dataset::{DatasetMetadata, Lack, MetadataPatch, Requirement};
use portico_model::name::DatasetName;
use portico_model::policy::{Principal, Role, Scope};
use portico_publish::{MetadataDefaults, PublishError, Republished, StageRequest, TokenRequest};
use serde_json::{Value, json};

use crate::world::{NOW_MS, Reply, World};

mod requests;

const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const TREES: &[u8] = b"tree_id,species\n0001,Oak\n0002,Ash\n";

/// Somebody with a token for everything.
pub(crate) struct Member<'a> {
    pub(crate) world: &'a World,
    pub(crate) token: String,
}

impl<'a> Member<'a> {
    pub(crate) async fn new(world: &'a World, name: &str, role: Role) -> Self {
        let request = TokenRequest { name: name.to_owned(), roles: vec![role], scope: Scope::All, days: 30 };
        let made = world.publisher.create_token(&world.operator, request, 30, NOW_MS).await.unwrap();
        Self { world, token: made.0.reveal().to_owned() }
    }

    pub(crate) async fn ask(&self, method: &str, path: &str, body: Value) -> Reply {
        let request = Request::builder().method(method).uri(format!("/api/staff/{path}"));
        let request = request.header("authorization", format!("Bearer {}", self.token));
        let request = match body {
            Value::Null => request.body(Body::empty()),
            Value::String(csv) => request.header("content-type", "application/octet-stream").body(Body::from(csv)),
            body => request.header("content-type", "application/json").body(Body::from(body.to_string())),
        };
        self.world.send(request.unwrap()).await
    }

    pub(crate) async fn fine(&self, method: &str, path: &str, body: Value) -> Value {
        let reply = self.ask(method, path, body).await;
        assert!(reply.status.is_success(), "{method} {path}: {} {}", reply.status, reply.text());
        reply.json()
    }

    pub(crate) async fn refused(&self, method: &str, path: &str, body: Value) -> (u16, String) {
        let reply = self.ask(method, path, body).await;
        (reply.status.as_u16(), reply.problem())
    }
}

fn names(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|entry| entry["name"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_lacks_nothing_that_it_needs() {
    let world = World::new().await;
    let publisher = world.publisher.clone().requiring(&Requirement::ALL);
    let file = world.intake().join("trees.csv");
    std::fs::write(&file, TREES).unwrap();
    let stage = async |metadata: DatasetMetadata, dictionary: &str| {
        let dictionary = portico_intake::dictionary::Dictionary::from_toml(dictionary).unwrap();
        let options = portico_publish::ReadOptions { dictionary: Some(dictionary), ..Default::default() };
        let request = StageRequest { metadata, file: file.clone(), options };
        publisher.stage(&world.operator, request, NOW_MS).await
    };
    let name = DatasetName::parse("trees").unwrap();
    let bare = stage(DatasetMetadata::named(name.clone()), "").await.unwrap();
    let bare = publisher.screen(&world.operator, &bare.id, NOW_MS, |_| {}).await.unwrap();
    let digest = bare.digest.clone().unwrap();
    let submitted = publisher.submit(&world.operator, &bare.id, NOW_MS).await.unwrap_err();
    let approved = publisher.approve(&world.operator, &bare.id, &digest, NOW_MS).await.unwrap_err();
    for error in [submitted, approved] {
        let PublishError::Incomplete(lacking) = &error else { panic!("{error}") };
        assert_eq!(lacking.len(), 4);
        assert!(error.to_string().contains("what tree_id, species mean"), "{error}");
    }
    // Approved where less was required, and released where more is.
    let lenient = world.publisher.clone().requiring(&[]);
    lenient.approve(&world.operator, &bare.id, &digest, NOW_MS).await.unwrap();
    let released = publisher.release(&world.operator, &bare.id, NOW_MS).await.unwrap_err();
    assert!(matches!(released, PublishError::Incomplete(_)), "{released}");
    assert_eq!(world.get("/datasets/trees.csv").await.status, StatusCode::NOT_FOUND);

    let whole = DatasetMetadata {
        description: "Trees of the city".into(),
        steward_email: "ana@city.example".into(),
        license: "CC0-1.0".into(),
        ..DatasetMetadata::named(name)
    };
    let odd = DatasetMetadata { license: "ours".into(), languages: vec!["english".into()], ..whole.clone() };
    let odd = stage(odd, "").await.unwrap_err();
    assert!(matches!(&odd, PublishError::BadMetadata(faults) if faults.len() == 2), "{odd}");
    let dictionary = "[[field]]\nname = 'Tree Id'\ndescription = 'The number on the tag'\n[[field]]\nname = 'species'\n\
                      description = 'What grows'\nunit = 'kind'\ncodes = { Oak = 'Quercus', Ash = 'Fraxinus' }\n";
    let described = stage(whole, dictionary).await.unwrap();
    let described = publisher.screen(&world.operator, &described.id, NOW_MS, |_| {}).await.unwrap();
    let digest = described.digest.clone().unwrap();
    publisher.approve(&world.operator, &described.id, &digest, NOW_MS).await.unwrap();
    publisher.release(&world.operator, &described.id, NOW_MS).await.unwrap();
    let document = world.get("/api/datasets/trees").await.json();
    assert_eq!(document["columns"][1]["codes"], json!({ "Oak": "Quercus", "Ash": "Fraxinus" }));
    assert_eq!(document["columns"][0]["description"], "The number on the tag");
    // 5 of 10 for a short description, 6 for the address, 10 for the licence, 16 for the dictionary.
    assert_eq!(document["metadata_completeness"]["score"], 5 + 6 + 10 + 16);
    assert!(world.get("/datasets/trees").await.text().contains("37 of 100"));
}

#[tokio::test(flavor = "multi_thread")]
async fn public_metadata_are_edited_by_two_people() {
    let world = World::new().await;
    let ana = Member::new(&world, "ana", Role::Steward).await;
    let cy = Member::new(&world, "cy", Role::Cio).await;
    let both = TokenRequest { name: "bo".into(), roles: vec![Role::Steward, Role::Cio], scope: Scope::All, days: 1 };
    let made = world.publisher.create_token(&world.operator, both, 30, NOW_MS).await.unwrap();
    let bo = Member { world: &world, token: made.0.reveal().to_owned() };

    // Of what is not public yet, it is said at once.
    world.stage("street-trees", "trees.csv", TREES, "").await;
    let path = "datasets/street-trees/metadata";
    let said = ana.ask("PUT", path, json!({ "update_frequency": "R/P1M" })).await;
    assert_eq!((said.status, &said.json()["metadata"]["update_frequency"]), (StatusCode::OK, &json!("R/P1M")));
    world.publish("street-trees", "trees.csv", TREES).await;

    let proposed = ana.ask("PUT", path, json!({ "accuracy": "surveyed", "languages": ["en-US"] })).await;
    assert_eq!(proposed.status, StatusCode::ACCEPTED, "{}", proposed.text());
    let digest = proposed.json()["edit"]["digest"].as_str().unwrap().to_owned();
    let public = async || world.get("/api/datasets/street-trees").await.json()["assessment"]["accuracy"].clone();
    assert_eq!(public().await, "");
    assert_eq!(ana.refused("PUT", path, json!({ "license": "" })).await, (422, "metadata_incomplete".into()));
    assert_eq!(ana.refused("PUT", path, json!({ "license": "ours" })).await, (400, "invalid_request".into()));
    assert_eq!(ana.refused("PUT", path, json!({ "licence": "CC0-1.0" })).await, (400, "invalid_request".into()));
    let approve = format!("{path}/approve");
    assert_eq!(ana.refused("POST", &approve, json!({ "digest": digest })).await, (403, "forbidden".into()));
    assert_eq!(cy.refused("POST", &approve, json!({ "digest": "another" })).await, (409, "conflict".into()));
    cy.fine("POST", &approve, json!({ "digest": digest })).await;
    assert_eq!(public().await, "surveyed");
    // Done twice it is done once, and no data have changed.
    cy.fine("POST", &approve, json!({ "digest": digest })).await;
    assert_eq!(world.get("/api/datasets/street-trees").await.json()["current_version"], 1);

    // Nobody approves their own; what is declined stays out, and what was changed meanwhile is looked at again.
    let own = bo.fine("PUT", path, json!({ "accuracy": "mine" })).await;
    let digest = own["edit"]["digest"].clone();
    assert_eq!(bo.refused("POST", &approve, json!({ "digest": digest })).await, (403, "forbidden".into()));
    let declined = cy.fine("POST", &format!("{path}/decline"), json!({ "reason": "who says so?" })).await;
    assert_eq!((&declined["edit"]["state"], &declined["edit"]["decided_by"]), (&json!("declined"), &json!("cy")));
    assert_eq!(cy.refused("POST", &approve, json!({ "digest": digest })).await, (409, "conflict".into()));
    let waiting = ana.fine("PUT", path, json!({ "source": "survey" })).await["edit"]["digest"].clone();
    world.publish("street-trees", "trees.csv", b"tree_id,species\n0001,Elm\n").await;
    assert_eq!(cy.refused("POST", &approve, json!({ "digest": waiting })).await, (409, "conflict".into()));
    assert_eq!(public().await, "");
    let audit = cy.fine("GET", "audit?dataset=street-trees", Value::Null).await;
    let told = audit["entries"].to_string();
    for action in ["metadata.proposed", "metadata.approved", "metadata.declined"] {
        assert!(told.contains(action), "{action}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_inventory_comes_as_a_file() {
    let world = World::new().await;
    let odette = Member::new(&world, "odette", Role::OpenData).await;
    let csv = "Name,Title,Department,Status,Reason,Citation,Priority,Listed\n\
               potholes,Potholes,Public Works,planned,,,4,yes\n\
               ,Salaries of Staff,Finance,not published,personnel files,NCGS 160A-168,0,true\n\
               informants,Informants,Police,held,,,0,no\n";
    let dry = odette.fine("POST", "inventory/import?dry_run=true", csv.into()).await;
    assert_eq!((dry["done"].as_bool(), dry["entered"].as_array().unwrap().len()), (Some(false), 3));
    assert_eq!(names(&odette.fine("GET", "inventory", Value::Null).await["datasets"]), Vec::<&str>::new());
    let done = odette.fine("POST", "inventory/import", csv.into()).await;
    assert_eq!(done["entered"], json!(["potholes", "salaries-of-staff", "informants"]));
    let again = odette.fine("POST", "inventory/import", csv.into()).await;
    assert_eq!((again["same"].as_u64(), again["entered"].as_array().unwrap().len()), (Some(3), 0));

    let wrong = "name,status,priority,listed,reason\nBad Name,held,1,no,\nx,open,1,no,\ny,held,9,no,\nz,held,1,perhaps,\n\
                 w,not_published,1,no,secret\npotholes,planned,5,yes,\npotholes,planned,5,yes,\n";
    let errors = odette.fine("POST", "inventory/import", wrong.into()).await;
    let lines: Vec<_> =
        errors["errors"].as_array().unwrap().iter().map(|error| error["line"].as_u64().unwrap()).collect();
    assert_eq!((lines, &errors["done"]), (vec![2, 3, 4, 5, 6, 8], &json!(false)), "{errors}");
    // What would have changed is told, and has not.
    assert_eq!(errors["changed"][0], json!({ "name": "potholes", "field": "priority", "before": "4", "after": "5" }));
    for (csv, part) in [("name,colour\nx,red\n", "colour"), ("name\n", "no rows"), ("name,Name\nx,y\n", "twice")] {
        let refused = odette.ask("POST", "inventory/import", csv.into()).await;
        assert_eq!(refused.problem(), "invalid_request");
        assert!(refused.text().contains(part), "{}", refused.text());
    }

    // What is asked for most is at the top, and what the portal has is there without being entered.
    world.publish("street-trees", "trees.csv", TREES).await;
    let list = odette.fine("GET", "inventory", Value::Null).await["datasets"].clone();
    assert_eq!(names(&list), ["potholes", "informants", "salaries-of-staff", "street-trees"]);
    assert_eq!((list[0]["urgency"].as_u64(), list[3]["status"].as_str()), (Some(40), Some("published")));
    let set = json!({ "records_requests": 20 });
    assert_eq!(odette.fine("PUT", "inventory/datasets/informants", set.clone()).await["changed"], true);
    assert_eq!(odette.fine("PUT", "inventory/datasets/informants", set).await["changed"], false);
    let list = odette.fine("GET", "inventory", Value::Null).await["datasets"].clone();
    assert_eq!((names(&list)[0], list[0]["urgency"].as_u64()), ("informants", Some(60)));
    for said in [
        json!({ "name": "x" }),
        json!({ "colour": 1 }),
        json!({ "priority": 6 }),
        json!({ "priority": "x" }),
        json!({ "planned": "2026-02-31" }),
        json!({ "planned": "2026-2-3" }),
    ] {
        let refused = odette.refused("PUT", "inventory/datasets/informants", said.clone()).await;
        assert_eq!(refused, (400, "invalid_request".into()), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_steward_keeps_the_inventory_of_the_department_alone() {
    let world = World::new().await;
    let parks = Scope::Only { departments: vec!["Parks".into()], datasets: Vec::new() };
    let ana = Principal::Staff { name: "ana".into(), roles: vec![Role::Steward], scope: parks };
    let csv = "name,title,department\nbenches,Benches,Parks\nmains,Water Mains,Water\n";
    let import = world.publisher.import_inventory(&ana, csv.as_bytes(), false, NOW_MS).await.unwrap();
    assert_eq!((import.done, import.errors.len(), import.errors[0].line), (false, 1, 3));
    world.publisher.import_inventory(&world.operator, csv.as_bytes(), false, NOW_MS).await.unwrap();
    let seen = world.publisher.inventory(&ana, NOW_MS).await.unwrap();
    assert_eq!(seen.iter().map(|line| line.entry.name.as_str()).collect::<Vec<_>>(), ["benches"]);
    // Neither taken from another department nor given away.
    for csv in ["name,department\nmains,Parks\n", "name,department\nbenches,Water\n"] {
        let import = world.publisher.import_inventory(&ana, csv.as_bytes(), false, NOW_MS).await.unwrap();
        assert_eq!((import.done, import.errors.len()), (false, 1), "{csv}");
    }
    let cio = Principal::Staff { name: "cy".into(), roles: vec![Role::Cio], scope: Scope::All };
    let denied = world.publisher.import_inventory(&cio, csv.as_bytes(), false, NOW_MS).await.unwrap_err();
    assert!(matches!(denied, PublishError::Denied { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inventory_is_a_dataset_that_keeps_itself() {
    let world = World::new().await;
    let publisher = &world.publisher;
    let csv = "name,title,public_title,department,source_system,status,reason,citation,listed\n\
               potholes,Potholes,,Public Works,WorkOrders,planned,,,true\n\
               canary-name,Canary title,Police records,Police,Canary system,not_published,investigations,NCGS 132-1.4,true\n\
               canary-hidden,Canary hidden,,Police,,held,,,false\n";
    publisher.import_inventory(&world.operator, csv.as_bytes(), false, NOW_MS).await.unwrap();
    world.stage("canary-staged", "trees.csv", TREES, "").await;
    assert_eq!(publisher.refresh_inventory(NOW_MS).await.unwrap(), Republished::NotBegun);

    // The first release goes the whole road.
    let steward = MetadataPatch {
        steward_email: Some("odette@city.example".into()),
        department: Some("City Manager".into()),
        ..MetadataPatch::default()
    };
    let all = Scope::All;
    let odette =
        Principal::Staff { name: "odette".into(), roles: vec![Role::OpenData, Role::Steward], scope: all.clone() };
    let cy = Principal::Staff { name: "cy".into(), roles: vec![Role::Cio], scope: all };
    let publisher = &publisher.clone().requiring(&Requirement::ALL);
    let staged = publisher.stage_inventory(&odette, &steward, NOW_MS).await.unwrap();
    let screened = publisher.screen(&odette, &staged.id, NOW_MS, |_| {}).await.unwrap();
    assert!(!screened.findings.iter().any(portico_model::finding::Finding::blocks), "{:?}", screened.findings);
    assert_eq!(publisher.refresh_inventory(NOW_MS).await.unwrap(), Republished::Waits(staged.id.clone()));
    let digest = screened.digest.unwrap();
    publisher.submit(&odette, &staged.id, NOW_MS).await.unwrap();
    publisher.recommend(&odette, &staged.id, (&digest, ""), NOW_MS).await.unwrap();
    publisher.approve(&cy, &staged.id, &digest, NOW_MS).await.unwrap();
    publisher.release(&odette, &staged.id, NOW_MS).await.unwrap();
    let rows = "select title, department, status, citation from inventory order by 1";
    let police = "Police records,Police,not_published,NCGS 132-1.4\n";
    assert_eq!(world.rows(rows).await, format!("{police}Potholes,Public Works,planned,\n"));
    let whole = world.get("/datasets/inventory.csv").await.text();
    assert!(!whole.to_lowercase().contains("canary") && whole.contains("WorkOrders"), "{whole}");

    // From then on it keeps itself: nothing new, nothing done.
    assert_eq!(publisher.refresh_inventory(NOW_MS + 1).await.unwrap(), Republished::Same);
    world.publish("street-trees", "trees.csv", TREES).await;
    let Republished::Released(second) = publisher.refresh_inventory(NOW_MS + DAY_MS).await.unwrap() else { panic!() };
    assert_eq!(second.version, 2);
    assert_eq!(publisher.refresh_inventory(NOW_MS + 2 * DAY_MS).await.unwrap(), Republished::Same);
    let published = "select name, published_on from inventory where status = 'published'";
    assert_eq!(world.rows(published).await, "street-trees,2026-01-02\n");
    let record = world.store.catalog.current_version(&second.dataset).await.unwrap().unwrap();
    assert_eq!(record.approved_by, "portico for cy");

    // What is found in it waits for people, and the old version goes on.
    let leak = "name,title,listed\ncalls,SSN 219-09-1234 and more,true\n";
    publisher.import_inventory(&world.operator, leak.as_bytes(), false, NOW_MS).await.unwrap();
    let waits = publisher.refresh_inventory(NOW_MS + 3 * DAY_MS).await.unwrap();
    assert!(matches!(waits, Republished::Waits(_)), "{waits:?}");
    assert_eq!(publisher.refresh_inventory(NOW_MS + 3 * DAY_MS).await.unwrap(), waits);
    let mended = "name,title,listed\ncalls,Calls,true\n";
    publisher.import_inventory(&world.operator, mended.as_bytes(), false, NOW_MS).await.unwrap();
    let third = publisher.refresh_inventory(NOW_MS + 4 * DAY_MS).await.unwrap();
    assert!(matches!(&third, Republished::Released(version) if version.version == 3), "{third:?}");
    // Withdrawing all of it ends the standing approval.
    for version in 1..=3 {
        let version = portico_model::name::VersionRef { version, ..second.clone() };
        publisher.withdraw(&cy, &version, "not now", NOW_MS).await.unwrap();
    }
    assert_eq!(publisher.refresh_inventory(NOW_MS + 5 * DAY_MS).await.unwrap(), Republished::NotBegun);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_public_stays_listed_when_a_file_says_more_of_it() {
    let world = World::new().await;
    let publisher = &world.publisher;
    world.publish("street-trees", "trees.csv", TREES).await;
    let csv = "name,priority\nstreet-trees,3\n";
    publisher.import_inventory(&world.operator, csv.as_bytes(), false, NOW_MS).await.unwrap();
    let lines = publisher.inventory(&world.operator, NOW_MS).await.unwrap();
    let entry = &lines.iter().find(|line| line.entry.name.as_str() == "street-trees").unwrap().entry;
    assert_eq!((entry.listed, entry.priority, entry.title.as_str()), (true, 3, "The street-trees"));
    assert_eq!(entry.steward_email, "steward@city.example");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_word_on_a_public_dataset_keeps_nothing_of_what_it_says() {
    let world = World::new().await;
    let publisher = &world.publisher;
    let version = world.publish("street-trees", "trees.csv", TREES).await;
    let name = DatasetName::parse("street-trees").unwrap();
    let entry = publisher.inventory_entry(&world.operator, &name, NOW_MS).await.unwrap().unwrap();
    let urgent = portico_model::inventory::InventoryEntry { priority: 4, ..entry };
    publisher.set_inventory(&world.operator, &urgent, NOW_MS).await.unwrap();
    let public = async || {
        let scratch = tempfile::tempdir().unwrap();
        let file = publisher.inventory_file(&MetadataPatch::default(), scratch.path()).await.unwrap().file;
        std::fs::read_to_string(file).unwrap()
    };
    assert!(public().await.contains("The street-trees"));
    // The dataset says something else, and then is no more: so it is with its line.
    let said = MetadataPatch { title: Some("Trees of streets".to_owned()), ..MetadataPatch::default() };
    let edited = publisher.edit(&world.operator, &name, &said, NOW_MS).await.unwrap();
    let portico_publish::Edited::Proposed(edit) = edited else { panic!("{edited:?}") };
    publisher.approve_edit(&world.operator, &name, &edit.digest, NOW_MS).await.unwrap();
    let changed = public().await;
    assert!(changed.contains("Trees of streets") && !changed.contains("The street-trees"), "{changed}");
    publisher.withdraw(&world.operator, &version, "It named people.", NOW_MS).await.unwrap();
    let gone = public().await;
    assert!(!gone.contains("rees"), "{gone}");
    // Staff go on seeing what they have.
    let lines = publisher.inventory(&world.operator, NOW_MS).await.unwrap();
    let line = lines.iter().find(|line| line.entry.name == name).unwrap();
    assert_eq!((line.entry.listed, line.entry.priority, &*line.entry.title), (false, 4, "Trees of streets"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_says_what_nobody_has_said_of_a_dataset() {
    let world = World::new().await;
    let defaults = MetadataDefaults {
        license: "CC0-1.0".to_owned(),
        steward_email: "data@city.example".to_owned(),
        steward_name: "Open Data Team".to_owned(),
        ..MetadataDefaults::default()
    };
    let bare = world.publisher.clone().requiring(&Requirement::ALL);
    let kind = bare.clone().with_defaults(defaults);
    let operator = &world.operator;
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("defaults.csv");
    std::fs::write(&file, TREES).unwrap();
    let request = |dataset: &str, steward_name: &str, steward_email: &str| {
        let dictionary = "[[field]]\nname = \"tree_id\"\ndescription = \"Number\"\n\
                          [[field]]\nname = \"species\"\ndescription = \"Kind\"\n";
        let metadata = DatasetMetadata {
            description: "Trees".to_owned(),
            steward_name: steward_name.to_owned(),
            steward_email: steward_email.to_owned(),
            ..DatasetMetadata::named(DatasetName::parse(dataset).unwrap())
        };
        let dictionary = Some(Dictionary::from_toml(dictionary).unwrap());
        let options = ReadOptions { dictionary, ..ReadOptions::named("trees.csv") };
        StageRequest { metadata, file: file.clone(), options }
    };
    let staged = bare.stage(operator, request("bare", "", ""), NOW_MS).await.unwrap();
    let screened = bare.screen(operator, &staged.id, NOW_MS, |_| {}).await.unwrap();
    let refused = bare.approve(operator, &staged.id, &screened.digest.unwrap(), NOW_MS).await.unwrap_err();
    assert!(
        matches!(&refused, PublishError::Incomplete(lacks) if lacks == &[Lack::Steward, Lack::License]),
        "{refused}"
    );
    let text = refused.to_string();
    assert!(text.contains("--steward-email") && text.contains("--license"), "{text}");

    for (dataset, said, name) in [("kind", ("", ""), "Open Data Team"), ("own", ("Ana", "ana@city.example"), "Ana")] {
        let staged = kind.stage(operator, request(dataset, said.0, said.1), NOW_MS).await.unwrap();
        let screened = kind.screen(operator, &staged.id, NOW_MS, |_| {}).await.unwrap();
        kind.approve(operator, &staged.id, &screened.digest.unwrap(), NOW_MS).await.unwrap();
        kind.release(operator, &staged.id, NOW_MS).await.unwrap();
        let public = world.get(&format!("/api/datasets/{dataset}")).await.json();
        assert_eq!((&public["license"]["id"], &public["steward"]["name"]), (&json!("CC0-1.0"), &json!(name)));
    }
    let anonymous = request("nameless", "", "ana@city.example");
    let staged = kind.stage(operator, anonymous, NOW_MS).await.unwrap();
    assert_eq!(staged.metadata.steward_name, "", "somebody else's name does not go with an address");
}
