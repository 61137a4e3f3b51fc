//! What a release would make public and what it would change, seen by whoever has to judge it and by nobody else.

use std::fmt::Write as _;

use axum::body::Body;
use http::{Request, StatusCode};
use portico_model::limits::{IntakeLimits, Limits};
use portico_model::policy::{Principal, Role, Scope};
use portico_publish::TokenRequest;
use serde_json::{Value, json};

use crate::world::{NOW_MS, Reply, World};

const FIRST: &[u8] = b"tree_id,species,height,owner\n1,Oak,10.5,zyxowner1\n2,Ash,7.25,zyxowner2\n3,Elm,4.5,zyxowner3\n";
/// 3 goes, 4 comes, 2 grows; `height` goes, `street` comes; rows and columns in another order.
const SECOND: &[u8] =
    b"species,tree_id,street,owner\nFir,4,Main,zyxowner4\nAsh tree,2,Elm St,zyxowner2\nOak,1,Main,zyxowner1\n";

const DROPS: &str = "[[field]]\nname = \"owner\"\ntreatment = \"drop\"\nreason = \"private\"\n";

fn keyed() -> String {
    format!("primary_key = [\"tree_id\"]\n{DROPS}[[field]]\nname = \"species\"\ntitle = \"Kind of tree\"\n")
}

async fn token(world: &World, name: &str, role: Role) -> String {
    let request = TokenRequest { name: name.to_owned(), roles: vec![role], scope: Scope::All, days: 1 };
    world.publisher.create_token(&world.operator, request, 1, NOW_MS).await.unwrap().0.reveal().to_owned()
}

async fn ask(world: &World, token: Option<&str>, path: &str) -> Reply {
    let mut request = Request::get(format!("/api/staff/{path}"));
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    world.send(request.body(Body::empty()).unwrap()).await
}

async fn difference(world: &World, id: &str) -> Value {
    json!(world.publisher.difference(&world.operator, id, NOW_MS).await.unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_release_is_all_new_and_a_second_is_compared_by_the_key_declared_since() {
    let world = World::new().await;
    let first = world.screen("trees", "t.csv", FIRST, DROPS).await;
    let found = difference(&world, &first.id).await;
    assert_eq!(found["current_version"], Value::Null);
    assert_eq!((&found["rows"]["added"], &found["rows"]["removed"]), (&json!(3), &json!(0)));
    assert_eq!(found["schema"]["added"].as_array().unwrap().len(), 3);
    assert_eq!(found["statistics"]["rows"], json!({ "before": null, "after": 3, "relative_change": null }));
    world.release(&first).await;

    let second = world.screen("trees", "t.csv", SECOND, &keyed()).await;
    let found = difference(&world, &second.id).await;
    assert_eq!(found["current_version"], 1);
    assert_eq!(found["digest"].as_str(), second.digest.as_deref());
    assert_eq!(found["schema"]["added"], json!([{ "column": "street", "type": "text" }]));
    assert_eq!(found["schema"]["removed"][0]["column"], "height");
    assert_eq!(found["schema"]["reordered"], true);
    let rows = &found["rows"];
    assert_eq!((&rows["key"], &rows["compared"]), (&json!(["tree_id"]), &json!(["tree_id", "species"])));
    assert_eq!(
        [&rows["unchanged"], &rows["added"], &rows["removed"], &rows["changed"]],
        [&json!(1), &json!(1), &json!(1), &json!(1)]
    );
    assert_eq!(rows["changed_cells"], json!({ "species": 1 }));
    let changed =
        json!({ "key": { "tree_id": "2" }, "before": { "species": "Ash" }, "after": { "species": "Ash tree" } });
    assert_eq!(rows["changed_rows"], json!([changed]));
    assert_eq!(rows["added_rows"], json!([{ "tree_id": "4", "species": "Fir" }]));
    assert_eq!(found["statistics"]["columns"][1]["max"], json!({ "before": "3", "after": "4" }));
    assert!(!found.to_string().contains("zyxowner"), "{found}");

    let seen = json!(world.publisher.look(&world.operator, &second.id, NOW_MS).await.unwrap());
    assert_eq!((&seen["rows"], &seen["current_version"]), (&json!(3), &json!(1)));
    assert_eq!(seen["columns"][2]["name"], "street");
    assert!(!seen.to_string().contains("zyxowner"), "{seen}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_rows_in_another_order_are_no_difference() {
    let world = World::new().await;
    let first = world.screen("t", "t.csv", b"a,b\n1,x\n2,y\n2,y\n", "").await;
    world.release(&first).await;
    let second = world.screen("t", "t.csv", b"b,a\ny,2\nx,1\ny,2\n", "").await;
    let found = difference(&world, &second.id).await;
    let rows = &found["rows"];
    assert_eq!([&rows["unchanged"], &rows["added"], &rows["removed"]], [&json!(3), &json!(0), &json!(0)]);
    assert!(rows["remark"].as_str().unwrap().starts_with("no primary key is declared"));
    assert!(rows["key"].as_array().unwrap().is_empty());
    assert_eq!((&found["schema"]["changed"], &found["metadata"]), (&json!([]), &json!([])));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_version_is_nothing_to_compare_with() {
    let world = World::new().await;
    let mut versions = Vec::new();
    for rows in ["a,b\n1,x\n", "a,b\n1,x\n2,zyxgone\n"] {
        let screened = world.screen("t", "t.csv", rows.as_bytes(), "").await;
        versions.push(world.release(&screened).await);
    }
    let third = world.screen("t", "t.csv", b"a,b\n1,x\n3,y\n", "").await;
    assert_eq!(difference(&world, &third.id).await["rows"]["removed"], 1);
    world.publisher.withdraw(&world.operator, &versions[1], "wrong", NOW_MS).await.unwrap();
    let found = difference(&world, &third.id).await;
    assert_eq!((&found["current_version"], &found["rows"]["removed"]), (&json!(1), &json!(0)));
    assert!(!found.to_string().contains("zyxgone"), "{found}");
    world.publisher.withdraw(&world.operator, &versions[0], "wrong", NOW_MS).await.unwrap();
    let found = difference(&world, &third.id).await;
    assert_eq!((&found["current_version"], &found["rows"]["added"]), (&Value::Null, &json!(2)));
    assert_eq!(found["statistics"]["rows"]["before"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_whoever_may_see_the_rows_sees_the_difference_and_no_cache_keeps_it() {
    let world = World::new().await;
    let first = world.screen("trees", "t.csv", FIRST, DROPS).await;
    world.release(&first).await;
    let id = world.screen("trees", "t.csv", SECOND, &keyed()).await.id;
    let contractor = token(&world, "acme", Role::Contributor).await;
    let admin = token(&world, "root", Role::Admin).await;
    let steward = token(&world, "ana", Role::Steward).await;
    for look in ["preview", "difference", "rows", "rows?offset=1"] {
        let path = format!("revisions/{id}/{look}");
        let refused = [
            (None, StatusCode::UNAUTHORIZED),
            (Some(&contractor), StatusCode::NOT_FOUND),
            (Some(&admin), StatusCode::FORBIDDEN),
        ];
        for (token, status) in refused {
            let reply = ask(&world, token.map(String::as_str), &path).await;
            assert_eq!(reply.status, status, "{look}: {}", reply.text());
            for secret in ["Fir", "Ash", "street", "Main"] {
                assert!(!reply.text().contains(secret), "{look}: {}", reply.text());
            }
        }
        let reply = ask(&world, Some(&steward), &path).await;
        assert_eq!(reply.status, StatusCode::OK, "{look}: {}", reply.text());
        assert_eq!(reply.header("cache-control"), "private, no-store", "{look}");
        assert!(reply.text().contains("street") && !reply.text().contains("zyxowner"), "{look}: {}", reply.text());
    }
    // To the public there is nothing of it.
    for path in ["/datasets/trees", "/api/datasets/trees", "/api/datasets/trees/changes", "/datasets/trees.csv"] {
        let text = world.get(path).await.text();
        assert!(!text.contains("Fir") && !text.contains("street"), "{path}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_are_read_page_by_page_as_the_public_would_get_them() {
    let limits = IntakeLimits { preview_rows: 4, ..IntakeLimits::default() };
    let world = World::with(Limits { intake: limits, ..Limits::default() }).await;
    let mut file = String::from("n,name\n");
    for row in 0..10 {
        writeln!(file, "{row},row {row}").unwrap();
    }
    let id = world.screen("t", "t.csv", file.as_bytes(), "").await.id;
    let steward = token(&world, "ana", Role::Steward).await;
    let (mut offset, mut rows, mut pages) = (0, Vec::new(), 0);
    loop {
        let page = ask(&world, Some(&steward), &format!("revisions/{id}/rows?offset={offset}")).await.json();
        assert_eq!((&page["offset"], &page["rows_in_all"]), (&json!(offset), &json!(10)));
        rows.extend(page["rows"].as_array().unwrap().clone());
        pages += 1;
        let Some(next) = page["next_offset"].as_u64() else { break };
        offset = next;
    }
    assert_eq!((pages, rows.len()), (3, 10));
    assert_eq!(rows[9], json!({ "n": 9, "name": "row 9" }));
    let beyond = ask(&world, Some(&steward), &format!("revisions/{id}/rows?offset=99")).await.json();
    assert_eq!((&beyond["rows"], &beyond["next_offset"]), (&json!([]), &Value::Null));
    let bad = ask(&world, Some(&steward), &format!("revisions/{id}/rows?offset=-1")).await;
    assert_eq!(bad.problem(), "invalid_request");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_staged_file_that_is_lost_is_said_to_be_and_screening_brings_it_back() {
    let world = World::new().await;
    world.publish("t", "t.csv", b"a\n1\n").await;
    let screened = world.screen("t", "t.csv", b"a\n1\n2\n", "").await;
    let record = world.store.catalog.revision(&screened.id).await.unwrap().unwrap();
    let prepared = record.prepared().unwrap().unwrap();
    world.store.storage.remove_staged(&prepared.files[0].0).await.unwrap();
    world.store.storage.remove_staged(&prepared.preview.unwrap()).await.unwrap();
    let steward = token(&world, "ana", Role::Steward).await;
    for look in ["difference", "rows", "rows?offset=1"] {
        let reply = ask(&world, Some(&steward), &format!("revisions/{}/{look}", screened.id)).await;
        assert_eq!((reply.status, reply.problem().as_str()), (StatusCode::CONFLICT, "conflict"), "{look}");
        assert!(reply.text().contains("screen it again"), "{}", reply.text());
    }
    world.publisher.screen(&world.operator, &screened.id, NOW_MS, |_| {}).await.unwrap();
    assert_eq!(difference(&world, &screened.id).await["rows"]["added"], 1);
    // Nothing of it stays on the server's disk.
    assert_eq!(std::fs::read_dir(world.intake()).unwrap().count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_nothing_to_see_before_screening_and_after_the_release() {
    let world = World::new().await;
    let staged = world.stage("t", "t.csv", b"a\n1\n", "").await;
    let operator = Principal::operator("operator");
    let refused = async |id: &str| {
        let looked = world.publisher.look(&operator, id, NOW_MS).await.map(drop);
        let compared = world.publisher.difference(&operator, id, NOW_MS).await.map(drop);
        [looked, compared].map(|outcome| outcome.unwrap_err().to_string())
    };
    assert!(refused(&staged.id).await.iter().all(|text| text.contains("once it is screened")));
    let screened = world.publisher.screen(&operator, &staged.id, NOW_MS, |_| {}).await.unwrap();
    world.release(&screened).await;
    assert!(refused(&staged.id).await.iter().all(|text| text.contains("until it is decided")));
}
