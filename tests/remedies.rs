//! Remedies from the file to the released bytes: what they take away is nowhere afterwards.

use std::collections::BTreeMap;

use futures::StreamExt as _;
use portico_intake::dictionary::{Dictionary, Treatment};
use portico_model::name::DatasetName;
use portico_model::policy::VersionState;
use portico_publish::{Amendment, Revision};
use portico_store::{Catalog, Storage, Store};

use crate::world::{NOW_MS, World};

/// A file in which every restricted value is a token that occurs nowhere else.
const DICTIONARY: &str = r#"
drop_rows = ["status=sealed"]
quasi_identifiers = ["zip", "born"]
k = 3
small_classes = "suppress"
[[field]]
name = "born"
type = "date"
remedy = "year"
[[field]]
name = "zip"
type = "text"
remedy = "prefix:3"
[[field]]
name = "owner"
remedy = "pseudonym"
[[field]]
name = "notes"
remedy = "redact"
[[field]]
name = "lat"
remedy = "round:1"
[[field]]
name = "age"
remedy = "bands:10"
[[field]]
name = "badge"
remedy = "empty"
[[field]]
name = "alias"
treatment = "drop"
reason = "restricted"
"#;

/// Tokens that no remedy may let through.
const TOKENS: &[&str] = &[
    "zyxowner",
    "zyxalias",
    "zyxbadge",
    "zyxsealed",
    "219-09-",
    "zyx.mail@",
    "1984-03-1",
    "1985-03-1",
    "1951-07-09",
    "277zq",
    "941zq",
    "35.99403",
];

fn file() -> Vec<u8> {
    let mut text = String::from("id,born,zip,owner,notes,lat,age,badge,alias,status\n");
    for row in 0..40 {
        text.push_str(&format!(
            "{row},198{y}-03-1{d},277zq{z},zyxowner{d},\"met zyx.mail@town{row}.example about 219-09-12{row:02} today\",35.99403{d},4{d},zyxbadge{row},zyxalias{row},open\n",
            d = row % 7,
            z = row % 2,
            y = if row < 37 { 4 } else { 5 },
        ));
    }
    text.push_str("98,1951-07-09,941zq7,zyxowner1,quiet,35.994039,75,zyxbadge98,zyxalias98,open\n");
    text.push_str("99,1984-03-11,277zq1,zyxowner2,zyxsealed note,35.994031,41,zyxbadge99,zyxalias99,Sealed\n");
    text.into_bytes()
}

/// Every byte of a released version, unpacked as far as its own format packs it.
pub(crate) async fn released_bytes(world: &World, dataset: &str) -> Vec<u8> {
    let name = DatasetName::parse(dataset).unwrap();
    let record = world.store.catalog.current_version(&name).await.unwrap().unwrap();
    assert_eq!(record.state, VersionState::Released);
    let mut all = serde_json::to_vec(&*record.manifest).unwrap();
    all.extend(serde_json::to_vec(&*record.profile).unwrap());
    all.extend(serde_json::to_vec(&*record.findings).unwrap());
    for file in &record.manifest.files {
        let mut chunks = world.store.storage.read_released(file, None).await.unwrap();
        let mut bytes = Vec::new();
        while let Some(chunk) = chunks.next().await {
            bytes.extend_from_slice(&chunk.unwrap());
        }
        all.extend(unpacked(&bytes));
        all.extend(bytes);
    }
    all
}

/// The pages of a Parquet file, dictionaries included, as they are before compression.
fn unpacked(bytes: &[u8]) -> Vec<u8> {
    use parquet::file::reader::{FileReader as _, SerializedFileReader};

    let reader = SerializedFileReader::new(bytes::Bytes::copy_from_slice(bytes)).unwrap();
    let mut all = Vec::new();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).unwrap();
        for column in 0..group.num_columns() {
            let mut pages = group.get_column_page_reader(column).unwrap();
            while let Some(page) = pages.get_next_page().unwrap() {
                all.extend_from_slice(page.buffer());
            }
        }
    }
    all
}

pub(crate) fn assert_absent(bytes: &[u8], tokens: &[&str], place: &str) {
    for token in tokens {
        let found = bytes.windows(token.len()).any(|window| window == token.as_bytes());
        assert!(!found, "{token} is in {place}");
    }
}

pub(crate) fn said(revision: &Revision) -> Vec<(&str, bool)> {
    revision.findings.iter().map(|finding| (finding.rule.as_str(), finding.blocks())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_what_remedies_take_away_is_released() {
    let world = World::new().await;
    let raw = world.screen("cases", "cases.csv", &file(), "").await;
    assert!(raw.findings.iter().any(|finding| finding.rule == "us_ssn" && finding.blocks()));

    let screened = world.screen("cases", "cases.csv", &file(), DICTIONARY).await;
    assert!(!screened.findings.iter().any(|finding| finding.blocks()), "{:?}", screened.findings);
    let rows = world.publisher.first_rows(&world.operator, &screened.id, NOW_MS).await.unwrap();
    assert_eq!(rows.total, 41);
    assert_absent(rows.rows.join("\n").as_bytes(), TOKENS, "the first rows");
    world.release(&screened).await;
    assert_absent(&released_bytes(&world, "cases").await, TOKENS, "the released bytes");
    for path in [
        "/datasets/cases.csv",
        "/datasets/cases.parquet",
        "/datasets/cases.json",
        "/api/datasets/cases",
        "/datasets/cases",
    ] {
        assert_absent(&world.get(path).await.body, TOKENS, path);
    }
    let rows = world.rows("select distinct born, zip, age, lat, badge from cases where id = 5").await;
    assert_eq!(rows, "1984,277,40 to 49,36.0,\n");
    let notes = world.rows("select notes from cases where id = 5").await;
    assert_eq!(notes, "met [redacted: email] about [redacted: ssn] today\n");
    // Seven owners before, seven pseudonyms now.
    assert_eq!(
        world.rows("select count(distinct owner), min(length(owner)), max(length(owner)) from cases").await,
        "7,33,33\n"
    );
    // One row is alone, and would be known for it: the three of 1985 went with it.
    assert_eq!(world.rows("select count(*), count(zip) from cases where born is null").await, "4,0\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn remedies_are_inherited_and_pseudonyms_stay_the_same() {
    let world = World::new().await;
    let dictionary =
        "[[field]]\nname = \"owner\"\nremedy = \"pseudonym\"\n[[field]]\nname = \"note\"\nremedy = \"redact\"\n";
    let first = world.screen("permits", "permits.csv", b"id,owner,note\n1,Ada,x\n2,Bob,y\n", dictionary).await;
    world.release(&first).await;
    let before = world.rows("select owner from permits where id = 1").await;
    // Somebody brings the next file and says nothing.
    let second =
        world.screen("permits", "permits.csv", b"id,owner,note\n7,Ada,mail jo@town.example\n8,Eve,z\n", "").await;
    assert!(second.findings.iter().any(|finding| finding.rule == "remedy_applied"), "{:?}", said(&second));
    world.release(&second).await;
    assert_eq!(world.rows("select owner from permits where id = 7").await, before);
    assert_eq!(world.rows("select note from permits where id = 7").await, "mail [redacted: email]\n");

    // The column is called otherwise: the remedy has lost it, and says so.
    let renamed = world.screen("permits", "permits.csv", b"id,owner_name,note\n7,Ada,x\n", "").await;
    assert!(said(&renamed).contains(&("remedy_without_column", true)), "{:?}", said(&renamed));

    // A weaker remedy is no remedy; a public column with a reason is a decision.
    let weaker = "[[field]]\nname = \"owner\"\nremedy = \"prefix:2\"\n";
    let weaker = world.screen("permits", "permits.csv", b"id,owner,note\n7,Ada,x\n", weaker).await;
    assert!(said(&weaker).contains(&("remedy_missing", true)), "{:?}", said(&weaker));
    let public =
        "[[field]]\nname = \"owner\"\ntreatment = \"public\"\nreason = \"owners are on record at the court\"\n";
    let public = world.screen("permits", "permits.csv", b"id,owner,note\n7,Ada,x\n", public).await;
    assert!(!public.findings.iter().any(|finding| finding.blocks()), "{:?}", said(&public));
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_on_rows_and_classes_are_inherited() {
    let world = World::new().await;
    let rows = |count: usize| {
        let mut text = String::from("id,zip,status\n");
        for id in 0..count {
            text.push_str(&format!("{id},2770{},open\n", id % 2));
        }
        text.push_str("98,27799,open\n99,27700,sealed\n");
        text.into_bytes()
    };
    let dictionary = "drop_rows = ['status=sealed']\nquasi_identifiers = ['zip']\nk = 4\nsmall_classes = 'drop_rows'\n\
        [[field]]\nname = 'zip'\ntype = 'text'\n";
    let first = world.screen("visits", "visits.csv", &rows(20), dictionary).await;
    world.release(&first).await;
    assert_eq!(world.rows("select count(*) from visits").await, "20\n");
    let types = "[[field]]\nname = 'zip'\ntype = 'text'\n";
    let second = world.screen("visits", "visits.csv", &rows(21), types).await;
    assert!(said(&second).contains(&("class_changed_little", false)), "{:?}", said(&second));
    world.release(&second).await;
    assert_eq!(world.rows("select count(*), count(distinct zip) from visits").await, "21,2\n");

    let loose = "quasi_identifiers = ['zip']\n[[field]]\nname = 'zip'\ntype = 'text'\n";
    let loose = world.screen("visits", "visits.csv", &rows(21), loose).await;
    let said = said(&loose);
    assert!(said.contains(&("remedy_missing", true)) && said.contains(&("small_class", true)), "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_amended_remedy_voids_the_digest_and_the_finding() {
    let world = World::new().await;
    let blocked = world.screen("notes", "notes.csv", b"id,note\n1,ssn 219-09-1234\n", "").await;
    assert!(said(&blocked).contains(&("us_ssn", true)));
    let mut options = blocked.options.clone();
    let mut dictionary = Dictionary::default();
    dictionary.fields.push(portico_intake::dictionary::Field {
        remedy: Some("redact".parse().unwrap()),
        treatment: Treatment::Auto,
        ..portico_intake::dictionary::Field::named("note")
    });
    options.dictionary = Some(dictionary);
    let amendment = Amendment { options: Some(options), ..Amendment::default() };
    world.publisher.amend(&world.operator, &blocked.id, amendment, NOW_MS).await.unwrap();
    let again = world.publisher.screen(&world.operator, &blocked.id, NOW_MS, |_| {}).await.unwrap();
    assert!(again.digest.is_some() && again.digest != blocked.digest);
    assert!(said(&again).contains(&("remedy_applied", false)), "{:?}", said(&again));
    assert!(!said(&again).iter().any(|(rule, blocks)| *blocks || *rule == "us_ssn"), "{:?}", said(&again));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_do_not_stand_in_the_order_of_what_was_taken_away() {
    let world = World::new().await;
    let mut text = String::from("owner,kind\n");
    for row in 0..200 {
        text.push_str(&format!("owner-{row:03},cat\n"));
    }
    let dictionary = "[[field]]\nname = 'owner'\nremedy = 'pseudonym'\n";
    world.release(&world.screen("pets", "pets.csv", text.as_bytes(), dictionary).await).await;
    let csv = world.get("/datasets/pets.csv").await.text();
    let pseudonyms: Vec<&str> = csv.lines().skip(1).collect();
    assert!(pseudonyms.is_sorted() && pseudonyms.len() == 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_key_is_kept_through_a_backup_and_shown_to_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let open = async |name: &str| {
        let path = directory.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        let storage = Storage::open(&format!("file://{}", path.display()), &BTreeMap::new()).unwrap();
        let catalog = Catalog::open(&format!("sqlite://{}/catalog.sqlite", path.display())).await.unwrap();
        Store { storage, catalog }
    };
    let store = open("here").await;
    let world = World::over(store.clone(), portico_model::limits::Limits::default()).await;
    let dictionary = "[[field]]\nname = 'owner'\nremedy = 'pseudonym'\n";
    world.release(&world.screen("pets", "pets.csv", b"owner\nAda\n", dictionary).await).await;
    let name = DatasetName::parse("pets").unwrap();
    let key = store.catalog.dataset_key(&name).await.unwrap().unwrap();
    assert_eq!(key.len(), 64);
    let audit = store.catalog.audit(None, 0, 1_000).await.unwrap();
    assert!(audit.iter().any(|entry| entry.action == "dataset.key_made"));
    assert_absent(format!("{audit:?}").as_bytes(), &[&key], "the audit log");
    assert_absent(&released_bytes(&world, "pets").await, &[&key], "the released bytes");
    assert_eq!(store.catalog.make_dataset_key(&name, &"0".repeat(64), "somebody", NOW_MS).await.unwrap(), key);
    let kept = Storage::open(&format!("file://{}/kept", directory.path().display()), &BTreeMap::new()).unwrap();
    store.backup(&kept, NOW_MS, &mut |_| {}).await.unwrap();
    let again = open("again").await;
    again.restore(&kept, None, ("operator", NOW_MS), &mut |_| {}).await.unwrap();
    assert_eq!(again.catalog.dataset_key(&name).await.unwrap().unwrap(), key);
}

#[tokio::test(flavor = "multi_thread")]
async fn small_counts_and_what_would_give_them_away_are_not_released() {
    let world = World::new().await;
    let file =
        b"district,year,cases,rate\nNorth,2023,3,0.1\nNorth,2024,4711,1.5\nNorth,2025,9001,2.9\nSouth,2023,50,0.7\n\
        South,2024,60,0.8\nSouth,2025,9002,2.9\n";
    let dictionary = "[counts]\ncolumn = 'cases'\nby = ['district', 'year']\nk = 5\nalso = ['rate']\n";
    let first = world.screen("illness", "illness.csv", file, dictionary).await;
    assert!(said(&first).contains(&("counts_suppressed", false)), "{:?}", said(&first));
    world.release(&first).await;
    let kept =
        world.rows("select district, year from illness where cases is not null and rate is not null order by 1").await;
    assert_eq!(kept, "North,2025\nSouth,2025\n");
    assert_absent(&released_bytes(&world, "illness").await, &["4711"], "the released bytes");
    // The next file's bringer knows nothing of it.
    let second = world.screen("illness", "illness.csv", &[&file[..], b"West,2025,8000,1.0\n"].concat(), "").await;
    assert!(said(&second).iter().any(|(rule, _)| rule.starts_with("counts_")), "{:?}", said(&second));
}
