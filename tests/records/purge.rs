//! A purge leaves nothing: every byte of storage, catalog and log is searched for canaries in every encoding.

use std::collections::BTreeMap;
use std::path::Path;

use axum::body::Body;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use http::{Request, StatusCode};
use portico_model::dataset::DatasetMetadata;
use portico_model::limits::Limits;
use portico_model::name::{DatasetName, VersionRef};
use portico_model::policy::{Principal, Role, Scope};
use portico_publish::{PublishError, TokenRequest};
use portico_store::{Catalog, ScrubEvent, Storage, Store};
use serde_json::json;

use crate::world::{NOW_MS, World};

/// Stand in cells, names and counts of the leak and nowhere else. Row counts are canaries, too.
const CELLS: [&str; 3] = ["canary-alpha-5521", "canary-omega-9923", "Zürich-canary-77"];
const COLUMN: &str = "canary_column_name";
const ROWS: usize = 31_337;

/// A portal on disk: what is on disk can be searched.
pub(crate) async fn on_disk(directory: &Path) -> Store {
    let storage = Storage::open(&format!("file://{}/storage", directory.display()), &BTreeMap::new()).unwrap();
    let catalog = Catalog::open(&format!("sqlite://{}/catalog.sqlite", directory.display())).await.unwrap();
    Store { storage, catalog }
}

fn leak() -> Vec<u8> {
    let mut text = format!("tree_id,{COLUMN},species\n");
    for row in 0..ROWS {
        text.push_str(&format!("{row:05},{},Oak\n", CELLS[row % CELLS.len()]));
    }
    text.into_bytes()
}

/// A text in the encodings that it may hide in.
pub(crate) fn forms(text: &str) -> Vec<Vec<u8>> {
    let plain = text.as_bytes();
    let hex: String = plain.iter().map(|byte| format!("{byte:02x}")).collect();
    let units: Vec<u16> = text.encode_utf16().collect();
    let mut forms = vec![
        plain.to_vec(),
        hex.to_uppercase().into_bytes(),
        hex.into_bytes(),
        units.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        units.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
    ];
    for before in 0..3 {
        let encoded = BASE64_STANDARD_NO_PAD.encode([&vec![b'x'; before], plain].concat());
        forms.push(encoded.as_bytes()[(before * 8_usize).div_ceil(6)..(before + plain.len()) * 8 / 6].to_vec());
    }
    forms
}

/// The files that hold a canary.
fn found(directory: &Path) -> Vec<String> {
    let texts = CELLS.iter().copied().chain([COLUMN]);
    let mut needles: Vec<Vec<u8>> = texts.flat_map(forms).collect();
    // As numbers stand in JSON: the digits alone stand in some digest.
    needles.extend([format!(":{ROWS}").into_bytes(), format!("[{ROWS}").into_bytes()]);
    holding(directory, &needles)
}

/// Every file below a directory that holds one of these bytes, uncompressed; Parquet is unpacked.
pub(crate) fn holding(directory: &Path, needles: &[Vec<u8>]) -> Vec<String> {
    let mut found = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(next) = directories.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
                continue;
            }
            let mut bytes = std::fs::read(&path).unwrap();
            if path.extension().is_some_and(|extension| extension == "parquet") {
                bytes.extend(unpacked(&path));
            }
            if needles.iter().any(|needle| memchr::memmem::find(&bytes, needle).is_some()) {
                found.push(path.strip_prefix(directory).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

/// A Parquet file as text.
fn unpacked(path: &Path) -> Vec<u8> {
    let file = std::fs::File::open(path).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let mut text = Vec::new();
    for batch in reader.build().unwrap() {
        text.extend(format!("{:?}", batch.unwrap()).into_bytes());
    }
    text
}

async fn wrong(store: &Store) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut said = |event| {
        if let ScrubEvent::Wrong(found) = event {
            wrong.push(format!("{}: {}", found.about, found.how));
        }
    };
    store.scrub(&mut said).await.unwrap();
    wrong
}

/// Three versions, of which the second leaks; with exports of it, and a revision of it that was given up.
async fn leaked(world: &World) -> VersionRef {
    world.publish("trees", "f.csv", b"tree_id,species\n00001,Oak\n00002,Ash\n").await;
    let given_up = world.screen("trees", "g.csv", &[&leak()[..], b"x,y,z\n"].concat(), "").await;
    world.publisher.discard(&world.operator, &given_up.id, NOW_MS).await.unwrap();
    let screened = world.screen("trees", "canary-alpha-5521.csv", &leak(), "").await;
    let version = world.release(&screened).await;
    assert_eq!(version.version, 2);
    for path in ["/datasets/trees.csv", "/datasets/trees.ndjson", "/datasets/trees.csv?select=tree_id&limit=5"] {
        assert_eq!(world.get(path).await.status, StatusCode::OK, "{path}");
    }
    // They are kept when their readers have them already.
    while world.store.storage.spool_list().await.unwrap().len() < 3 {
        tokio::task::yield_now().await;
    }
    version
}

#[tokio::test(flavor = "multi_thread")]
async fn a_purged_version_is_found_nowhere_and_the_others_are_as_they_were() {
    let place = tempfile::tempdir().unwrap();
    let store = on_disk(place.path()).await;
    let world = World::over(store.clone(), Limits::default()).await;
    let version = leaked(&world).await;
    world.publish("trees", "f.csv", b"tree_id,species,height\n00001,Oak,3\n00002,Ash,4\n00003,Elm,5\n").await;
    let before = found(place.path());
    assert!(before.iter().any(|path| path.contains("_delta_log")), "{before:?}");
    assert!(before.iter().any(|path| path.ends_with(".parquet")), "{before:?}");
    assert!(before.iter().any(|path| path.starts_with("catalog.sqlite")), "{before:?}");

    let (publisher, operator) = (&world.publisher, &world.operator);
    let confirm = ("It holds canaries.", "trees@2");
    let early = publisher.purge(operator, &version, confirm, NOW_MS).await.unwrap_err();
    assert!(matches!(early, PublishError::Store(_)), "{early:?}");
    publisher.withdraw(operator, &version, "It named people.", NOW_MS).await.unwrap();
    let careless = publisher.purge(operator, &version, ("It holds canaries.", "yes"), NOW_MS).await.unwrap_err();
    assert!(matches!(careless, PublishError::Unconfirmed(_)), "{careless:?}");
    let purge = publisher.purge(operator, &version, confirm, NOW_MS).await.unwrap();

    assert_eq!(found(place.path()), [""; 0]);
    let report = purge.record.report.clone().unwrap();
    assert_eq!((report.files.len(), report.revisions, report.staged_files), (1, 2, 0), "{report:?}");
    assert!(report.exports >= 2 && report.log_entries >= 2 && report.texts >= 3, "{report:?}");
    assert!(report.searched.values().all(|found| *found == 0) && report.searched.len() == 6, "{report:?}");
    assert_eq!(wrong(&store).await, [""; 0]);
    // Again is the same.
    assert_eq!(publisher.purge(operator, &version, confirm, NOW_MS + 1).await.unwrap().record, purge.record);

    let gone = world.get("/datasets/trees/versions/2.csv").await;
    assert_eq!((gone.status, gone.text().contains("It named people.")), (StatusCode::GONE, true));
    let versions = world.get("/api/datasets/trees/versions").await.text();
    assert!(versions.contains("purged") && !versions.contains(&ROWS.to_string()), "{versions}");
    assert_eq!(world.rows("SELECT count(*) FROM trees").await, "3\n");
    assert_eq!(world.rows("SELECT count(*) FROM \"trees@1\"").await, "2\n");
    // And the road goes on.
    let next = world.publish("trees", "f.csv", b"tree_id,species,height\n00009,Oak,3\n").await;
    assert_eq!(next.version, 4);
    assert_eq!(wrong(&store).await, [""; 0]);
    let kept = Storage::open(&format!("file://{}/backup", place.path().display()), &BTreeMap::new()).unwrap();
    store.backup(&kept, NOW_MS, &mut |_| {}).await.unwrap();
    assert_eq!(found(place.path()), [""; 0]);
    assert!(store.catalog.verify_audit().await.unwrap() > 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_only_version_and_the_newest_are_purged_and_the_dataset_goes_on() {
    let place = tempfile::tempdir().unwrap();
    let store = on_disk(place.path()).await;
    let world = World::over(store.clone(), Limits::default()).await;
    let (publisher, operator) = (&world.publisher, &world.operator);
    let purge = async |version: &VersionRef| {
        publisher.withdraw(operator, version, "It named people.", NOW_MS).await.unwrap();
        let confirm = version.to_string();
        publisher.purge(operator, version, ("It holds canaries.", &confirm), NOW_MS).await.unwrap();
    };
    let first = world.publish("trees", "f.csv", &leak()).await;
    purge(&first).await;
    assert_eq!(found(place.path()), [""; 0]);
    assert_eq!(wrong(&store).await, [""; 0]);
    world.publish("trees", "f.csv", b"tree_id,species\n00001,Oak\n").await;
    let third = world.publish("trees", "f.csv", &leak()).await;
    assert_eq!(third.version, 3);
    purge(&third).await;
    assert_eq!(found(place.path()), [""; 0]);
    assert_eq!(world.rows("SELECT count(*) FROM trees").await, "1\n");
    assert_eq!(wrong(&store).await, [""; 0]);
    let name = DatasetName::parse("trees").unwrap();
    let metadata = store.catalog.dataset(&name).await.unwrap().unwrap().metadata;
    let expected = DatasetMetadata {
        title: "The trees".into(),
        steward_email: "steward@city.example".into(),
        ..DatasetMetadata::named(name)
    };
    assert_eq!(metadata.columns, expected.columns);
    assert_eq!((metadata.title, metadata.steward_email), (expected.title, expected.steward_email));
    assert_eq!(world.publish("trees", "f.csv", b"tree_id,species\n00001,Ash\n").await.version, 4);
    assert_eq!(wrong(&store).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_asks_and_another_confirms() {
    let world = World::new().await;
    let version = world.publish("trees", "f.csv", &leak()).await;
    world.publisher.withdraw(&world.operator, &version, "It named people.", NOW_MS).await.unwrap();
    let member = async |name: &str, role| {
        let request = TokenRequest { name: name.into(), roles: vec![role], scope: Scope::All, days: 1 };
        let made = world.publisher.create_token(&world.operator, request, 1, NOW_MS).await.unwrap();
        made.0.reveal().to_owned()
    };
    let (odette, cy, bo) =
        (member("odette", Role::OpenData).await, member("cy", Role::Cio).await, member("bo", Role::Cio).await);
    let steward = member("ana", Role::Steward).await;
    let ask = async |token: &str, body: serde_json::Value| {
        let request = Request::post("/api/staff/datasets/trees/versions/1/purge")
            .header("authorization", format!("Bearer {token}"))
            .header("content-type", "application/json");
        world.send(request.body(Body::from(body.to_string())).unwrap()).await
    };
    let body = json!({ "reason": "It holds canaries.", "confirm": "trees@1" });
    assert_eq!(ask(&steward, body.clone()).await.status, StatusCode::FORBIDDEN);
    assert_eq!(ask(&cy, json!({ "reason": "", "confirm": "trees@1" })).await.problem(), "invalid_request");
    assert_eq!(ask(&cy, json!({ "reason": "x", "confirm": "trees@2" })).await.problem(), "invalid_request");
    for _ in 0..2 {
        let asked = ask(&cy, body.clone()).await;
        assert_eq!((asked.status, asked.json()["state"].as_str()), (StatusCode::ACCEPTED, Some("asked")));
    }
    // The open data team asks, and does not confirm.
    assert_eq!(ask(&odette, body.clone()).await.status, StatusCode::FORBIDDEN);
    let request = Request::get("/api/staff/datasets/trees/purges").header("authorization", format!("Bearer {steward}"));
    let listed = world.send(request.body(Body::empty()).unwrap()).await.json();
    assert_eq!(listed["purges"][0]["asked_by"], "cy");
    let done = ask(&bo, json!({ "confirm": "trees@1" })).await;
    assert_eq!(done.status, StatusCode::OK, "{}", done.text());
    let done = done.json();
    assert_eq!((done["state"].as_str(), done["confirmed_by"].as_str()), (Some("purged"), Some("bo")));
    assert!(done["out_of_reach"].as_array().unwrap().len() >= 4);
    assert_eq!(ask(&cy, body).await.json()["state"], "purged");
    let audit = world.store.catalog.audit(Some(&version.dataset), 0, 100).await.unwrap();
    let told: Vec<_> = audit.iter().map(|row| (row.principal.as_str(), row.action.as_str())).collect();
    let expected = [
        ("cy", "version.purge_asked"),
        ("bo", "version.purge_confirmed"),
        ("bo", "version.purged"),
        ("bo", "version.purge_proved"),
    ];
    assert_eq!(told[told.len() - 4..], expected);
    let stranger = Principal::Anonymous;
    assert!(world.publisher.purge(&stranger, &version, ("x", "trees@1"), NOW_MS).await.is_err());
}
