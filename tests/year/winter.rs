//! February and March: a contractor's survey holds social security numbers, a remedy takes them out, and the first version
//! is what was left.

use std::fmt::Write as _;

use http::StatusCode;
use serde_json::{Value, json};

use super::{City, id};

/// Stand in the survey, and never outside.
pub(super) const CANARY: &str = "canary-keeper";

/// The remedy that the steward finds.
pub(super) const REMEDY: &str = "[[field]]\nname = \"keeper_ssn\"\ntreatment = \"drop\"\nreason = \"NCGS 132-1.10\"\n\
                                 [[field]]\nname = \"keeper\"\nremedy = \"pseudonym\"\n";

/// What the contractor has counted: a number of trees, and who keeps each.
pub(super) fn survey(trees: u32) -> String {
    let mut text = "tree_id,species,planted,keeper,keeper_ssn\n".to_owned();
    for tree in 0..trees {
        let (species, keeper) = (["Oak", "Ash", "Elm"][usize::try_from(tree % 3).unwrap()], tree % 7);
        let ssn = format!("{:03}-{:02}-{:04}", 212 + tree, 11 + tree, 1_000 + tree * 7);
        writeln!(text, "{tree:04},{species},20{:02}-04-0{},{CANARY}-{keeper},{ssn}", tree % 20, 1 + tree % 9).unwrap();
    }
    text
}

/// What a stranger asks for who would like to see the trees.
pub(super) const TREES: &[&str] = &[
    "/datasets/street-trees",
    "/datasets/street-trees.csv",
    "/datasets/street-trees.parquet",
    "/datasets/street-trees/versions/1.ndjson",
    "/api/datasets/street-trees",
    "/api/datasets/street-trees/versions",
    "/sql?q=SELECT+*+FROM+street_trees&format=csv",
];

pub(super) async fn february_a_contractor_stages_what_must_not_be_public(city: &City) {
    city.on("2026-02-03T09:00Z");
    let people = &city.people;
    let blocked = city.screened(&people.acme, "street-trees", survey(30).as_bytes()).await;
    let id = id(&blocked);
    assert_eq!((blocked["state"].as_str(), blocked["staged_by"].as_str()), (Some("blocked"), Some("acme")));
    let findings = blocked["findings"].as_array().unwrap();
    let found = findings.iter().find(|finding| finding["rule"] == "us_ssn").expect("every row was read");
    assert_eq!((&found["severity"], &found["column"]), (&json!("blocking"), &json!("keeper_ssn")));
    assert_eq!((found["count"].as_u64(), found["rows"][0].as_u64()), (Some(30), Some(1)));
    // A finding says where, and not what.
    let said = blocked["findings"].to_string();
    assert!(!said.contains("212-11-1000") && !said.contains(CANARY), "{said}");
    assert_eq!(city.step_refused(&people.acme, id, "submit", Value::Null).await, (422, "release_blocked".into()));
    // Another department knows nothing of it, the CIO passes nothing on, and strangers have heard of nothing.
    assert_eq!(city.refused(&people.eve, "GET", &format!("revisions/{id}"), Value::Null).await.0, 404);
    assert_eq!(city.step_refused(&people.cy, id, "approve", json!({ "digest": blocked["digest"] })).await.0, 422);
    for path in TREES {
        assert_eq!(city.world.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let private = city.world.get(&format!("/api/staff/revisions/{id}/rows")).await;
    assert_eq!(private.status, StatusCode::UNAUTHORIZED);
    assert!(!city.world.get("/api/datasets").await.text().contains("street-trees"));
}

pub(super) async fn march_the_steward_finds_a_remedy_and_the_cio_sends_it_back(city: &City) {
    city.on("2026-03-04T09:00Z");
    let people = &city.people;
    let listed = city.fine(&people.ana, "GET", "datasets/street-trees/revisions", Value::Null).await;
    let blocked = &listed["revisions"][0];
    let screened = city.amended(&people.ana, blocked, REMEDY).await;
    assert_eq!(screened["state"], "screened", "{}", screened["findings"]);
    let rows = city.fine(&people.ana, "GET", &format!("revisions/{}/rows", id(&screened)), Value::Null).await;
    assert_eq!(rows["columns"], json!(["tree_id", "species", "planted", "keeper"]));
    assert_eq!((rows["rows_in_all"].as_u64(), &rows["digest"]), (Some(30), &screened["digest"]));
    assert!(!rows.to_string().contains(CANARY) && !rows.to_string().contains("212-11-1000"));

    city.step(&people.acme, id(&screened), "submit", Value::Null).await;
    let recommend = json!({ "recommend": { "digest": screened["digest"], "remark": "the whole of the river park" } });
    assert_eq!(city.step_refused(&people.acme, id(&screened), "review", recommend.clone()).await.0, 403);
    let approve = json!({ "digest": screened["digest"] });
    assert_eq!(city.step_refused(&people.cy, id(&screened), "approve", approve.clone()).await.0, 409, "no steward yet");
    city.step(&people.ana, id(&screened), "review", recommend).await;
    let reason = json!({ "return": { "reason": "the tree at the bridge is missing" } });
    let returned = city.step(&people.cy, id(&screened), "review", reason).await;
    assert_eq!((returned["state"].as_str(), returned["returned_by"].as_str()), (Some("returned"), Some("cy")));
    assert_eq!(city.step_refused(&people.cy, id(&screened), "approve", approve).await.0, 409);
}

pub(super) async fn march_the_first_version_is_public(city: &City) {
    let released_ms = city.on("2026-03-30T10:00Z");
    let people = &city.people;
    let before = city.fine(&people.acme, "GET", "datasets/street-trees/revisions", Value::Null).await;
    let before = &before["revisions"][0];
    // The contractor adds the tree. It is another file: nothing that was said of the one before holds for it.
    let again = city.screened(&people.acme, "street-trees", survey(31).as_bytes()).await;
    assert_eq!(again["state"], "blocked");
    let path = format!("revisions/{}", id(before));
    assert_eq!(city.fine(&people.ana, "GET", &path, Value::Null).await["state"], "superseded");
    let screened = city.amended(&people.acme, &again, REMEDY).await;
    assert_ne!(screened["digest"], before["digest"]);
    city.approved(&people.acme, &screened).await;
    assert_eq!(city.step_refused(&people.ana, id(&screened), "release", Value::Null).await.0, 403);
    for path in TREES {
        assert_eq!(city.world.get(path).await.status, StatusCode::NOT_FOUND, "{path}");
    }
    let released = city.step(&people.odette, id(&screened), "release", Value::Null).await;
    assert_eq!(released["version"], 1);

    let download = city.world.get("/datasets/street-trees.csv").await.text();
    assert!(download.starts_with("tree_id,species,planted,keeper\n") && download.contains("0030,Oak,2010-04-04,"));
    assert_eq!(city.world.rows("SELECT count(*), count(DISTINCT keeper) FROM street_trees").await, "31,7\n");
    for path in TREES {
        let seen = city.world.get(path).await;
        assert_eq!(seen.status, StatusCode::OK, "{path}");
        let text = seen.text_lossy();
        assert!(!text.contains(CANARY) && !text.contains("212-11-1000") && !text.contains("keeper_ssn"), "{path}");
    }
    let version = city.current("street-trees").await;
    assert_eq!((version.released_ms, version.approved_by.as_str()), (released_ms, "cy"));
}
