//! The audit log can be checked by whoever has its rows, and tampering is named with its row.

use std::path::Path;
use std::process::{Command, Output};

use axum::body::Body;
use http::{Request, StatusCode};
use portico_model::policy::{Role, Scope};
use portico_publish::TokenRequest;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::world::{NOW_MS, World};

fn portico(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portico")).current_dir(directory).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The chain, checked with nothing but a digest.
fn follows(rows: &[Value]) -> bool {
    let mut previous = "0".repeat(64);
    rows.iter().all(|row| {
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        let digest = Sha256::digest(format!("{}{}", text("previous"), text("hashed")));
        let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        let fits = text("previous") == previous && text("hash") == digest;
        previous = digest;
        fits
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_comes_in_pages_that_others_can_check() {
    let world = World::new().await;
    world.publish("trees", "f.csv", b"tree_id,species\n1,Oak\n").await;
    let request = TokenRequest { name: "ad".into(), roles: vec![Role::Admin], scope: Scope::All, days: 1 };
    let token = world.publisher.create_token(&world.operator, request, 1, NOW_MS).await.unwrap().0;
    let get = async |path: &str| {
        let request = Request::get(path).header("authorization", format!("Bearer {}", token.reveal()));
        let reply = world.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(reply.status, StatusCode::OK, "{}", reply.text());
        reply.json()
    };
    let (mut rows, mut after) = (Vec::new(), 0);
    let head = loop {
        let page = get(&format!("/api/staff/audit?after={after}&limit=2")).await;
        rows.extend(page["entries"].as_array().unwrap().clone());
        match page["next"].as_i64() {
            Some(next) => after = next,
            None => break page["head"].clone(),
        }
    };
    assert!(rows.len() > 5, "{rows:?}");
    assert!(follows(&rows));
    assert_eq!((&head["sequence"], &head["hash"]), (&rows.last().unwrap()["sequence"], &rows.last().unwrap()["hash"]));
    let hashed: Value = serde_json::from_str(rows[0]["hashed"].as_str().unwrap()).unwrap();
    assert_eq!((&hashed[2], &hashed[3]), (&rows[0]["principal"], &rows[0]["action"]));
    rows[2]["hashed"] = rows[2]["hashed"].as_str().unwrap().replace("operator", "somebody").into();
    assert!(!follows(&rows));
    assert_eq!(get("/api/staff/audit?dataset=trees").await["head"], Value::Null);
}

#[test]
fn verify_names_the_row_that_was_changed_and_the_note_that_was_not_kept() {
    let place = tempfile::tempdir().unwrap();
    std::fs::write(place.path().join("t.csv"), "a,b\n1,x\n2,y\n").unwrap();
    let dictionary = "[[field]]\nname = \"a\"\ndescription = \"A\"\n[[field]]\nname = \"b\"\ndescription = \"B\"\n";
    std::fs::write(place.path().join("t.toml"), dictionary).unwrap();
    let publish = "publish t.csv --dataset t --data p --steward-email s@city.example --license CC0-1.0 --description T --schema t.toml";
    let published = portico(place.path(), &publish.split(' ').collect::<Vec<_>>());
    assert!(published.status.success(), "{}", said(&published));
    let verified = portico(place.path(), &["audit", "verify", "--data", "p"]);
    let text = said(&verified);
    assert!(verified.status.success() && text.contains("every link holds"), "{text}");
    let note = text.lines().find_map(|line| line.strip_prefix("note elsewhere: ")).unwrap().to_owned();
    let exported = portico(place.path(), &["audit", "export", "--data", "p"]);
    let rows: Vec<Value> = said(&exported).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(follows(&rows) && rows.len() > 3);
    let csv = portico(place.path(), &["audit", "export", "--from", "2", "--to", "3", "--format", "csv", "--data", "p"]);
    assert_eq!(said(&csv).lines().count(), 3);
    let noted = ["audit", "verify", "--data", "p", "--noted"];
    assert!(portico(place.path(), &[&noted[..], &[&note]].concat()).status.success());
    let other = format!("2:{}", "0".repeat(64));
    let refused = portico(place.path(), &[&noted[..], &[&other]].concat());
    assert!(!refused.status.success() && said(&refused).contains("row 2 is another"), "{}", said(&refused));
    let late = format!("9999:{}", "0".repeat(64));
    assert!(!portico(place.path(), &[&noted[..], &[&late]].concat()).status.success());
}
