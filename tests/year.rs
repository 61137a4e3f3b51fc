//! A year in the life of the parks department, told in its order on a clock that the test sets: what staff do, and what a
//! stranger sees of it at that moment by page, file and SQL.

mod autumn;
mod january;
mod next_winter;
mod spring;
mod summer;
mod winter;

use std::path::Path;
use std::process::Command;

use axum::body::Body;
use http::Request;
use portico_intake::dictionary::Dictionary;
use portico_model::name::DatasetName;
use portico_model::policy::{Role, Scope};
use portico_publish::{Publisher, TokenRequest};
use portico_store::VersionRecord;
use serde_json::{Value, json};

use crate::records::purge::on_disk;
use crate::records::withdraw::limits;
use crate::world::{Reply, World};

/// The longest that a token is good for, in days.
const TOKEN_DAYS: u64 = 366;

#[tokio::test(flavor = "multi_thread")]
async fn a_department_lives_through_a_year() {
    let mut city = City::founded("2026-01-05T08:00Z").await;
    january::january_the_inventory_comes_as_a_file_and_is_public_itself(&city).await;
    january::january_a_stranger_asks_for_the_trees(&city).await;
    winter::february_a_contractor_stages_what_must_not_be_public(&city).await;
    winter::march_the_steward_finds_a_remedy_and_the_cio_sends_it_back(&city).await;
    winter::march_the_first_version_is_public(&city).await;
    january::march_the_inventory_says_that_the_trees_are_there(&city).await;
    spring::april_nobody_approves_their_own_work(&city).await;
    spring::april_an_approval_is_void_when_what_is_public_has_changed(&city).await;
    spring::may_an_embargoed_budget_is_public_at_its_second(&city).await;
    summer::june_to_august_twelve_weeks_of_visits_of_which_one_drifts_and_one_collapses(&city).await;
    autumn::september_permits_are_withdrawn_under_fifty_downloads(&city).await;
    autumn::october_two_people_purge_them_and_every_byte_is_searched(&city).await;
    next_winter::january_tokens_are_a_year_old_and_use_is_told(&mut city).await;
    next_winter::january_the_report_is_frozen(&city).await;
    next_winter::february_comments_close_on_day_thirty(&city).await;
    next_winter::the_books_are_right(&city).await;
}

/// A city with a portal on disk and the people who work on it.
struct City {
    place: tempfile::TempDir,
    world: World,
    people: People,
}

/// Somebody with a token.
struct Person {
    token: String,
}

/// Those who have part in the year.
struct People {
    /// A contractor of the parks'.
    acme: Person,
    /// The steward of the parks.
    ana: Person,
    /// Her deputy, whom the CIO has named a designee as well.
    bo: Person,
    /// The steward of another department.
    eve: Person,
    /// The open data team.
    odette: Person,
    /// The CIO.
    cy: Person,
}

impl City {
    /// A portal without data, whose first administrator gives everybody a token.
    async fn founded(at: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let world = World::over(on_disk(place.path()).await, limits()).await;
        let now_ms = world.publisher.moment(at).unwrap();
        world.set_clock(now_ms);
        let people = hire(&world, now_ms).await;
        Self { place, world, people }
    }

    /// What the clock shows from now on.
    fn on(&self, at: &str) -> i64 {
        let now_ms = self.world.publisher.moment(at).unwrap();
        self.world.set_clock(now_ms);
        now_ms
    }

    /// What works in the background of a server.
    fn background(&self) -> Publisher {
        self.world.publisher.clone().with_own_steward("records@city.example")
    }

    async fn ask(&self, who: &Person, method: &str, path: &str, body: Value) -> Reply {
        ask(&self.world, &who.token, method, path, body).await
    }

    /// What somebody asks for and gets.
    async fn fine(&self, who: &Person, method: &str, path: &str, body: Value) -> Value {
        let reply = self.ask(who, method, path, body).await;
        assert!(reply.status.is_success(), "{method} {path}: {} {}", reply.status, reply.text());
        reply.json()
    }

    /// The status and the code of what somebody does not get.
    async fn refused(&self, who: &Person, method: &str, path: &str, body: Value) -> (u16, String) {
        let reply = self.ask(who, method, path, body).await;
        (reply.status.as_u16(), reply.problem())
    }

    /// A step on a revision.
    async fn step(&self, who: &Person, id: &str, step: &str, body: Value) -> Value {
        self.fine(who, "POST", &format!("revisions/{id}/{step}"), body).await
    }

    async fn step_refused(&self, who: &Person, id: &str, step: &str, body: Value) -> (u16, String) {
        self.refused(who, "POST", &format!("revisions/{id}/{step}"), body).await
    }

    /// A file of the parks', staged and not looked at.
    async fn staged(&self, who: &Person, dataset: &str, bytes: &[u8]) -> Value {
        let path = format!(
            "/api/staff/datasets/{dataset}/revisions?file_name={dataset}.csv&department=Parks&title=The+{dataset}\
             &description=What+the+parks+know&license=CC0-1.0&steward_email=ana%40city.example"
        );
        let request = Request::post(path)
            .header("authorization", format!("Bearer {}", who.token))
            .header("content-type", "application/octet-stream");
        let reply = self.world.send(request.body(Body::from(bytes.to_vec())).unwrap()).await;
        assert_eq!(reply.status, 201, "{}", reply.text());
        reply.json()
    }

    async fn screened(&self, who: &Person, dataset: &str, bytes: &[u8]) -> Value {
        let staged = self.staged(who, dataset, bytes).await;
        self.step(who, id(&staged), "screen", Value::Null).await
    }

    /// Says otherwise how a revision's file is read, and has it read again.
    async fn amended(&self, who: &Person, revision: &Value, dictionary: &str) -> Value {
        let known = self.fine(who, "GET", &format!("revisions/{}", id(revision)), Value::Null).await;
        let mut options = known["options"].clone();
        options["dictionary"] = serde_json::to_value(Dictionary::from_toml(dictionary).unwrap()).unwrap();
        let path = format!("revisions/{}/proposal", id(revision));
        self.fine(who, "PUT", &path, json!({ "options": options })).await;
        self.step(who, id(revision), "screen", Value::Null).await
    }

    /// Handed in by one, recommended by the steward, approved by the CIO.
    async fn approved(&self, by: &Person, screened: &Value) {
        let digest = &screened["digest"];
        self.step(by, id(screened), "submit", Value::Null).await;
        self.step(&self.people.ana, id(screened), "review", json!({ "recommend": { "digest": digest } })).await;
        self.step(&self.people.cy, id(screened), "approve", json!({ "digest": digest })).await;
    }

    /// The version that strangers get.
    async fn current(&self, dataset: &str) -> VersionRecord {
        let name = DatasetName::parse(dataset).unwrap();
        self.world.store.catalog.current_version(&name).await.unwrap().unwrap()
    }

    /// The program itself on the portal's own storage and catalog.
    fn portico(&self, arguments: &[&str]) -> (bool, String) {
        let data = ["--data", self.place.path().to_str().unwrap()];
        let output = Command::new(env!("CARGO_BIN_EXE_portico")).args(arguments).args(data).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    /// Where a server keeps what it works with: uploads, spools, the files of readers and workers.
    fn scratch(&self) -> &Path {
        self.world.scratch()
    }
}

/// The first administrator makes everybody's tokens.
async fn hire(world: &World, now_ms: i64) -> People {
    let request = TokenRequest { name: "root".into(), roles: vec![Role::Admin], scope: Scope::All, days: TOKEN_DAYS };
    let root = world.publisher.create_token(&world.operator, request, TOKEN_DAYS, now_ms).await.unwrap().0;
    let token = async |name: &str, roles: Value, scope: Value| {
        let wanted = json!({ "name": name, "roles": roles, "scope": scope, "days": TOKEN_DAYS });
        let made = ask(world, root.reveal(), "POST", "tokens", wanted).await;
        assert_eq!(made.status, 201, "{}", made.text());
        Person { token: made.json()["text"].as_str().unwrap().to_owned() }
    };
    let parks = json!({ "only": { "departments": ["Parks"] } });
    People {
        acme: token("acme", json!(["contributor"]), parks.clone()).await,
        ana: token("ana", json!(["steward"]), parks.clone()).await,
        bo: token("bo", json!(["steward", "cio"]), parks).await,
        eve: token("eve", json!(["steward"]), json!({ "only": { "departments": ["Water"] } })).await,
        odette: token("odette", json!(["open-data"]), json!("all")).await,
        cy: token("cy", json!(["cio"]), json!("all")).await,
    }
}

async fn ask(world: &World, token: &str, method: &str, path: &str, body: Value) -> Reply {
    let request = Request::builder().method(method).uri(format!("/api/staff/{path}"));
    let request = request.header("authorization", format!("Bearer {token}"));
    let request = match body {
        Value::Null => request.body(Body::empty()),
        Value::String(file) => request.header("content-type", "application/octet-stream").body(Body::from(file)),
        body => request.header("content-type", "application/json").body(Body::from(body.to_string())),
    };
    world.send(request.unwrap()).await
}

fn id(revision: &Value) -> &str {
    revision["id"].as_str().unwrap()
}
