//! April and May: nobody approves their own work, an approval is for what was seen and nothing else, and a budget is public
//! at the second that was set.

use http::StatusCode;
use portico_model::policy::VersionState;
use serde_json::{Value, json};

use super::{City, id, winter};
use crate::calendar::{BUDGET, tells};

/// The trees as the deputy has them: one felled, two planted, one that is no oak, and remarks.
fn recounted() -> String {
    let text = winter::survey(33);
    let mut lines = text.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned());
    let head = lines.next().unwrap() + ",remarks\n";
    let rows = lines.filter(|line| !line.starts_with("0004,")).map(|line| match line.strip_prefix("0000,Oak") {
        Some(rest) => format!("0000,Yew{rest},beside Mr Miller of canary lane\n"),
        None => line + ",\n",
    });
    head + &rows.collect::<String>()
}

/// The CIO sees what would change, before anybody has handed it in.
async fn the_preview_shows_what_would_change(city: &City, screened: &Value) {
    let people = &city.people;
    let path = format!("revisions/{}/difference", id(screened));
    assert_eq!(city.refused(&people.acme, "GET", &path, Value::Null).await.0, 404);
    assert_eq!(city.refused(&people.eve, "GET", &path, Value::Null).await.0, 404);
    let difference = city.fine(&people.cy, "GET", &path, Value::Null).await;
    let rows = &difference["rows"];
    let counts = json!([rows["before"], rows["after"], rows["added"], rows["removed"], rows["changed"]]);
    assert_eq!(counts, json!([31, 32, 2, 1, 1]), "{difference}");
    let yew = json!({ "key": { "tree_id": "0000" }, "before": { "species": "Oak" }, "after": { "species": "Yew" } });
    assert_eq!(rows["changed_rows"], json!([yew]));
    assert_eq!(rows["removed_rows"][0]["tree_id"], "0004");
    assert_eq!(difference["schema"]["added"][0]["column"], "remarks");
    assert_eq!((&difference["digest"], &difference["current_version"]), (&screened["digest"], &json!(1)));
    assert!(!difference.to_string().contains(winter::CANARY));
    let preview = city.fine(&people.cy, "GET", &format!("revisions/{}/preview", id(screened)), Value::Null).await;
    assert_eq!((&preview["rows"], &preview["digest"]), (&json!(32), &screened["digest"]));
    assert_eq!(preview["columns"].as_array().unwrap().len(), 5);
}

pub(super) async fn april_nobody_approves_their_own_work(city: &City) {
    city.on("2026-04-07T09:00Z");
    let people = &city.people;
    let keepers = city.world.rows("SELECT tree_id, keeper FROM street_trees WHERE tree_id = '0001'").await;
    let staged = city.staged(&people.bo, "street-trees", recounted().as_bytes()).await;
    let screened = city.amended(&people.bo, &staged, "primary_key = [\"tree_id\"]\n").await;
    assert_eq!(screened["state"], "screened", "{}", screened["findings"]);
    the_preview_shows_what_would_change(city, &screened).await;
    let digest = json!({ "digest": screened["digest"] });
    // What was decided of the keepers holds without being said again, and one keeper has one name.
    let rows = city.fine(&people.ana, "GET", &format!("revisions/{}/rows", id(&screened)), Value::Null).await;
    let pseudonym = keepers.trim().rsplit_once(',').unwrap().1;
    assert!(rows.to_string().contains(pseudonym) && !rows.to_string().contains(winter::CANARY));

    city.step(&people.bo, id(&screened), "submit", Value::Null).await;
    city.step(&people.ana, id(&screened), "review", json!({ "recommend": digest })).await;
    let own = city.step_refused(&people.bo, id(&screened), "approve", digest.clone()).await;
    assert_eq!(own, (403, "forbidden".into()), "a designee of the CIO, and whose work it is");
    assert_eq!(city.step_refused(&people.ana, id(&screened), "approve", digest.clone()).await.0, 403);
    let other = json!({ "digest": "0".repeat(64) });
    assert_eq!(city.step_refused(&people.cy, id(&screened), "approve", other).await, (409, "conflict".into()));
    let approved = city.step(&people.cy, id(&screened), "approve", digest).await;
    assert_eq!((approved["state"].as_str(), approved["approved_by"].as_str()), (Some("approved"), Some("cy")));
    // What is approved is changed by nobody any more.
    let proposal = json!({ "options": screened["options"], "metadata": screened["metadata"] });
    let late = city.refused(&people.bo, "PUT", &format!("revisions/{}/proposal", id(&screened)), proposal).await;
    assert_eq!(late, (409, "conflict".into()));
    assert_eq!(city.world.rows("SELECT count(*) FROM street_trees").await, "31\n");
}

pub(super) async fn april_an_approval_is_void_when_what_is_public_has_changed(city: &City) {
    city.on("2026-04-20T09:00Z");
    let people = &city.people;
    let listed = city.fine(&people.bo, "GET", "datasets/street-trees/revisions", Value::Null).await;
    let approved = &listed["revisions"][0];
    assert_eq!(approved["state"], "approved");
    // The steward finds a name in the remarks, and leaves them out of what she releases first.
    let staged = city.staged(&people.ana, "street-trees", (recounted() + "0040,Yew,2025-04-01,,\n").as_bytes()).await;
    let dropped = "[[field]]\nname = \"remarks\"\ntreatment = \"drop\"\nreason = \"they name neighbours\"\n";
    let screened = city.amended(&people.ana, &staged, dropped).await;
    city.step(&people.ana, id(&screened), "submit", Value::Null).await;
    city.step(&people.bo, id(&screened), "review", json!({ "recommend": { "digest": screened["digest"] } })).await;
    // The digest that was consented to in the morning is that of another file.
    let morning = json!({ "digest": approved["digest"] });
    assert_eq!(city.step_refused(&people.cy, id(&screened), "approve", morning).await, (409, "conflict".into()));
    city.step(&people.cy, id(&screened), "approve", json!({ "digest": screened["digest"] })).await;
    assert_eq!(city.step(&people.odette, id(&screened), "release", Value::Null).await["version"], 2);

    let void = city.step_refused(&people.odette, id(approved), "release", Value::Null).await;
    assert_eq!(void, (409, "conflict".into()), "it shows remarks, which are not public any more");
    let at = json!({ "release_at": "2026-04-21T09:00Z" });
    assert_eq!(city.step_refused(&people.odette, id(approved), "schedule", at).await, (409, "conflict".into()));
    let download = city.world.get("/datasets/street-trees.csv").await.text();
    assert!(download.starts_with("tree_id,species,planted,keeper\n") && !download.contains("Miller"));
    assert_eq!(city.world.rows("SELECT count(*) FROM street_trees WHERE species = 'Yew'").await, "2\n");
    // What came before can be asked for by its number, for ever.
    assert_eq!(city.world.rows("SELECT count(*) FROM \"street_trees@1\" WHERE species = 'Yew'").await, "0\n");

    // It is given up, and comes again without them.
    city.step(&people.bo, id(approved), "discard", Value::Null).await;
    let again = city.screened(&people.bo, "street-trees", recounted().as_bytes()).await;
    assert_eq!(again["state"], "blocked");
    assert!(again["findings"].to_string().contains("column_returned"), "{}", again["findings"]);
    city.step(&people.bo, id(&again), "discard", Value::Null).await;
}

pub(super) async fn may_an_embargoed_budget_is_public_at_its_second(city: &City) {
    city.on("2026-05-04T09:00Z");
    let people = &city.people;
    let screened = city.screened(&people.ana, "budget", BUDGET).await;
    city.approved(&people.ana, &screened).await;
    let at = json!({ "release_at": "2026-05-15T09:00 America/New_York" });
    assert_eq!(city.step_refused(&people.ana, id(&screened), "schedule", at.clone()).await.0, 403);
    assert_eq!(city.step(&people.odette, id(&screened), "schedule", at).await["state"], "scheduled");
    let release_ms = city.world.publisher.moment("2026-05-15T13:00:00Z").unwrap();

    let clock = city.background();
    for early_ms in [release_ms - 86_400_000, release_ms - 1] {
        city.world.set_clock(early_ms);
        let due = clock.release_due(early_ms).await.unwrap();
        assert_eq!((due.released.len(), due.failed.len(), due.next_ms), (0, 0, Some(release_ms)));
        assert_eq!(tells(&city.world).await, [""; 0], "nobody knows that there is a budget");
        let by_hand = city.step_refused(&people.odette, id(&screened), "release", Value::Null).await;
        assert_eq!(by_hand, (409, "conflict".into()));
    }
    city.world.set_clock(release_ms);
    let due = clock.release_due(release_ms).await.unwrap();
    assert_eq!((due.released.len(), due.next_ms), (1, None));
    assert!(tells(&city.world).await.len() >= 9, "{:?}", tells(&city.world).await);
    assert_eq!(city.world.rows("SELECT sum(amount) FROM budget").await, "30\n");
    assert_eq!(city.world.get("/datasets/budget.csv").await.status, StatusCode::OK);
    let version = city.current("budget").await;
    assert_eq!((version.released_ms, version.state), (release_ms, VersionState::Released));
    assert_eq!(version.approved_by, "cy");
    assert!(clock.release_due(release_ms + 1).await.unwrap().released.is_empty(), "once");
}
