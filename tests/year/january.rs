//! January: the department says what it holds, the public says what it wants, and what is not for the public stays unknown.

use axum::body::Body;
use http::{Request, StatusCode};
use portico_model::dataset::MetadataPatch;
use portico_model::policy::{Principal, Role, Scope};
use portico_publish::Republished;
use serde_json::{Value, json};

use super::{City, id};

/// What the department holds, as it brings it; of two lines strangers are told less or nothing.
const INVENTORY: &str = "\
name,title,public_title,department,source_system,status,reason,citation,priority,listed
street-trees,Street Trees,,Parks,TreeBook,planned,,,3,true
permits,Felling Permits,,Parks,PermitDesk,planned,,,2,true
burials,canary-burials by name,Burials,Parks,GraveBook,not_published,names of the bereaved,NCGS 132-1.10,0,true
informants,canary-informants,,Parks,,held,,,0,false
";

const LINES: &str = "SELECT title, status, citation FROM inventory ORDER BY 1";

fn odette() -> Principal {
    let roles = vec![Role::OpenData, Role::Steward];
    Principal::Staff { name: "odette".to_owned(), roles, scope: Scope::All }
}

/// The first release of the inventory goes the whole road; from then on it keeps itself.
pub(super) async fn january_the_inventory_comes_as_a_file_and_is_public_itself(city: &City) {
    let now_ms = city.on("2026-01-12T09:00Z");
    let (people, publisher) = (&city.people, &city.world.publisher);
    let dry = city.fine(&people.odette, "POST", "inventory/import?dry_run=true", INVENTORY.into()).await;
    assert_eq!((&dry["done"], dry["entered"].as_array().unwrap().len()), (&json!(false), 4));
    assert_eq!(city.refused(&people.acme, "POST", "inventory/import", INVENTORY.into()).await.0, 403);
    assert_eq!(city.fine(&people.odette, "POST", "inventory/import", INVENTORY.into()).await["done"], true);
    let again = city.fine(&people.odette, "POST", "inventory/import", INVENTORY.into()).await;
    assert_eq!(again["same"], 4, "once is enough");
    // Another department's steward has other lines.
    assert_eq!(city.fine(&people.eve, "GET", "inventory", Value::Null).await["datasets"], json!([]));
    assert_eq!(city.world.get("/datasets/inventory.csv").await.status, StatusCode::NOT_FOUND);

    let steward = MetadataPatch {
        steward_email: Some("odette@city.example".into()),
        department: Some("City Manager".into()),
        ..MetadataPatch::default()
    };
    let staged = publisher.stage_inventory(&odette(), &steward, now_ms).await.unwrap();
    let screened = publisher.screen(&odette(), &staged.id, now_ms, |_| {}).await.unwrap();
    let digest = screened.digest.unwrap();
    publisher.submit(&odette(), &staged.id, now_ms).await.unwrap();
    publisher.recommend(&odette(), &staged.id, (&digest, ""), now_ms).await.unwrap();
    city.step(&people.cy, &staged.id, "approve", json!({ "digest": digest })).await;
    city.step(&people.odette, &staged.id, "release", Value::Null).await;
    let lines = "Burials,not_published,NCGS 132-1.10\nFelling Permits,planned,\nStreet Trees,planned,\n";
    assert_eq!(city.world.rows(LINES).await, lines);
    let download = city.world.get("/datasets/inventory.csv").await.text();
    assert!(download.contains("TreeBook") && !download.contains("canary-"), "{download}");
}

/// Asked for by strangers, read by staff, shown with an answer.
pub(super) async fn january_a_stranger_asks_for_the_trees(city: &City) {
    city.on("2026-01-20T20:00Z");
    let people = &city.people;
    let wish =
        json!({ "title": "Where do the trees stand?", "details": "For my thesis", "contact": "me@home.example" });
    let request = Request::post("/api/requests").header("content-type", "application/json");
    let received = city.world.send(request.body(Body::from(wish.to_string())).unwrap()).await;
    assert_eq!(received.status, StatusCode::CREATED, "{}", received.text());
    let public = async || city.world.get("/api/requests").await.text() + &city.world.get("/requests").await.text();
    assert!(!public().await.contains("the trees stand"), "nobody has read it yet");
    let waiting = city.fine(&people.odette, "GET", "requests", Value::Null).await;
    let path = format!("requests/{}", id(&waiting["requests"][0]));
    let answer = json!({ "status": "planned", "dataset": "street-trees", "shown": true, "answer": "In March" });
    assert_eq!(city.refused(&people.acme, "PUT", &path, answer.clone()).await.0, 403);
    city.fine(&people.odette, "PUT", &path, answer).await;
    let seen = public().await;
    assert!(seen.contains("the trees stand") && seen.contains("In March") && !seen.contains("home.example"), "{seen}");
    // What is wanted goes to the top of the list.
    let lines = city.fine(&people.odette, "GET", "inventory", Value::Null).await["datasets"].clone();
    assert_eq!((&lines[0]["name"], &lines[0]["requests"]), (&json!("street-trees"), &json!(1)));
}

/// The day after the trees are public.
pub(super) async fn march_the_inventory_says_that_the_trees_are_there(city: &City) {
    let now_ms = city.on("2026-03-31T04:00Z");
    let refreshed = city.world.publisher.refresh_inventory(now_ms).await.unwrap();
    assert!(matches!(&refreshed, Republished::Released(version) if version.version == 2), "{refreshed:?}");
    let published = "SELECT name, published_on FROM inventory WHERE status = 'published'";
    assert_eq!(city.world.rows(published).await, "street-trees,2026-03-30\n");
    let again = city.world.publisher.refresh_inventory(now_ms + 1).await.unwrap();
    assert_eq!(again, Republished::Same);
}
