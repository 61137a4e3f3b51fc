//! The road in as a government goes it: several people, each with a token and a part of the work.

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_flight::encode::FlightDataEncoderBuilder;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::sql::Any;
use arrow_flight::{FlightData, FlightDescriptor, PutResult};
use axum::body::Body;
use futures::TryStreamExt as _;
use http::{Request, StatusCode};
use portico_model::limits::Limits;
use portico_model::policy::{Principal, Role, Scope};
use portico_publish::TokenRequest;
use prost::Message as _;
use serde_json::{Value, json};
use tonic::Status;

use crate::world::{NOW_MS, Reply, World};

const TREES: &[u8] = b"tree_id,species,planted\n0001,Oak,2001-05-04\n0002,Ash,1999-01-31\n";
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// Somebody with a token.
struct Member<'a> {
    world: &'a World,
    token: String,
}

impl<'a> Member<'a> {
    async fn new(world: &'a World, name: &str, roles: &[Role], department: Option<&str>) -> Self {
        let scope = match department {
            None => Scope::All,
            Some(name) => Scope::Only { departments: vec![name.to_owned()], datasets: Vec::new() },
        };
        let request = TokenRequest { name: name.to_owned(), roles: roles.to_vec(), scope, days: 30 };
        let made = world.publisher.create_token(&world.operator, request, 30, NOW_MS).await.unwrap();
        Self { world, token: made.0.reveal().to_owned() }
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> Reply {
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/staff/{path}"))
            .header("authorization", format!("Bearer {}", self.token));
        let request = match body {
            Value::Null => request.body(Body::empty()),
            body => request.header("content-type", "application/json").body(Body::from(body.to_string())),
        };
        self.world.send(request.unwrap()).await
    }

    async fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, Value::Null).await
    }

    /// A step on a revision, which must go well.
    async fn step(&self, id: &str, step: &str, body: Value) -> Value {
        let reply = self.ask("POST", &format!("revisions/{id}/{step}"), body).await;
        assert_eq!(reply.status, StatusCode::OK, "{step}: {}", reply.text());
        reply.json()
    }

    /// The status and code of a step that must not go well.
    async fn refused(&self, id: &str, step: &str, body: Value) -> (u16, String) {
        let reply = self.ask("POST", &format!("revisions/{id}/{step}"), body).await;
        (reply.status.as_u16(), reply.problem())
    }

    async fn upload(&self, dataset: &str, query: &str, bytes: &[u8]) -> Reply {
        let request = Request::post(format!("/api/staff/datasets/{dataset}/revisions?{query}"))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/octet-stream");
        self.world.send(request.body(Body::from(bytes.to_vec())).unwrap()).await
    }

    /// Stages a file of the parks' and screens it.
    async fn screened(&self, dataset: &str, bytes: &[u8]) -> Value {
        let query = "file_name=f.csv&department=Parks&title=Trees&description=Trees&license=CC0-1.0\
                     &steward_email=ana%40city.example";
        let staged = self.upload(dataset, query, bytes).await;
        assert_eq!(staged.status, StatusCode::CREATED, "{}", staged.text());
        self.step(staged.json()["id"].as_str().unwrap(), "screen", Value::Null).await
    }
}

fn id(revision: &Value) -> &str {
    revision["id"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_department_publishes_and_every_step_has_its_person() {
    let world = World::new().await;
    let contractor = Member::new(&world, "acme", &[Role::Contributor], Some("Parks")).await;
    let ana = Member::new(&world, "ana", &[Role::Steward], Some("Parks")).await;
    let cy = Member::new(&world, "cy", &[Role::Cio], None).await;
    let odette = Member::new(&world, "odette", &[Role::OpenData], None).await;

    let screened = contractor.screened("street-trees", TREES).await;
    let (id, digest) = (id(&screened), screened["digest"].as_str().unwrap());
    assert_eq!((screened["state"].as_str(), screened["staged_by"].as_str()), (Some("screened"), Some("acme")));
    // What would be public, and nothing public yet.
    let rows = ana.get(&format!("revisions/{id}/rows")).await.json();
    assert_eq!(rows["rows"][0], json!({ "tree_id": "0002", "species": "Ash", "planted": "1999-01-31" }));
    assert_eq!((rows["rows_in_all"].as_u64(), rows["digest"].as_str()), (Some(2), Some(digest)));
    assert_eq!(world.get("/datasets/street-trees.csv").await.status, StatusCode::NOT_FOUND);

    let recommend = json!({ "recommend": { "digest": digest, "remark": "fit" } });
    let approve = json!({ "digest": digest });
    assert_eq!(cy.refused(id, "approve", approve.clone()).await, (409, "conflict".into()));
    contractor.step(id, "submit", Value::Null).await;
    assert_eq!(contractor.refused(id, "review", recommend.clone()).await, (403, "forbidden".into()));
    assert_eq!(contractor.refused(id, "approve", approve.clone()).await, (403, "forbidden".into()));
    // Nobody approves what no steward has recommended.
    assert_eq!(cy.refused(id, "approve", approve.clone()).await, (409, "conflict".into()));
    ana.step(id, "review", recommend).await;
    assert_eq!(ana.refused(id, "approve", approve.clone()).await, (403, "forbidden".into()));
    assert_eq!(cy.refused(id, "approve", json!({ "digest": "another" })).await, (409, "conflict".into()));
    cy.step(id, "approve", approve).await;
    assert_eq!(ana.refused(id, "release", Value::Null).await, (403, "forbidden".into()));
    let released = odette.step(id, "release", Value::Null).await;
    assert_eq!((released["version"].as_u64(), released["state"].as_str()), (Some(1), Some("released")));
    // Again is the same.
    assert_eq!(odette.step(id, "release", Value::Null).await["version"], 1);
    assert!(world.get("/datasets/street-trees.csv").await.text().contains("0002,Ash,1999-01-31"));

    let audit = ana.get("audit?dataset=street-trees").await.json();
    let told: Vec<_> = audit["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| format!("{} {}", entry["principal"].as_str().unwrap(), entry["action"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            "acme dataset.created",
            "acme revision.staged",
            "acme revision.screened",
            "acme revision.submitted",
            "ana revision.recommended",
            "cy revision.approved",
            "odette version.released",
        ]
    );
    assert!(!audit.to_string().contains("portico_") && !audit.to_string().contains("Ash"));

    let withdraw = "datasets/street-trees/versions/1/withdraw";
    assert_eq!(ana.ask("POST", withdraw, json!({ "reason": "wrong" })).await.status, StatusCode::FORBIDDEN);
    assert_eq!(odette.ask("POST", withdraw, json!({ "reason": " " })).await.problem(), "invalid_request");
    assert_eq!(odette.ask("POST", withdraw, json!({ "reason": "wrong" })).await.status, StatusCode::OK);
    assert_eq!(world.get("/datasets/street-trees/versions/1.csv").await.status, StatusCode::GONE);
}

#[tokio::test(flavor = "multi_thread")]
async fn approval_is_not_by_whoever_staged_it_unless_a_small_town_says_so() {
    for separate in [true, false] {
        let world = World::with_separate_duties(separate).await;
        let all = Member::new(&world, "bo", &Role::ALL, None).await;
        let screened = all.screened("street-trees", TREES).await;
        let (id, digest) = (id(&screened), &screened["digest"]);
        all.step(id, "submit", Value::Null).await;
        all.step(id, "review", json!({ "recommend": { "digest": digest } })).await;
        let approve = json!({ "digest": digest });
        if !separate {
            all.step(id, "approve", approve).await;
            continue;
        }
        assert_eq!(all.refused(id, "approve", approve.clone()).await, (403, "forbidden".into()));
        // Another token of the same person is the same person.
        let again = Member::new(&world, "bo", &[Role::Cio], None).await;
        assert_eq!(again.refused(id, "approve", approve.clone()).await, (403, "forbidden".into()));
        Member::new(&world, "cy", &[Role::Cio], None).await.step(id, "approve", approve).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_file_goes_on_once_somebody_has_decided_on_its_columns() {
    let world = World::new().await;
    let ana = Member::new(&world, "ana", &[Role::Steward], Some("Parks")).await;
    let blocked = ana.screened("owners", b"name,ssn\nA,219-09-9999\nB,457-55-5462\nC,078-05-1121\n").await;
    let id = id(&blocked);
    assert_eq!((blocked["state"].as_str(), blocked["blocked"].as_bool()), (Some("blocked"), Some(true)));
    assert_eq!(ana.refused(id, "submit", Value::Null).await, (422, "release_blocked".into()));
    let mut options = blocked["options"].clone();
    options["dictionary"] = json!({ "fields": [{ "name": "ssn", "treatment": { "drop": { "reason": "personal" } } }] });
    let amended = ana.ask("PUT", &format!("revisions/{id}/proposal"), json!({ "options": options })).await.json();
    assert_eq!((amended["state"].as_str(), amended["digest"].as_str()), (Some("staged"), None));
    let screened = ana.step(id, "screen", Value::Null).await;
    assert_eq!(screened["state"], "screened");
    let rows = ana.get(&format!("revisions/{id}/rows")).await.json();
    assert_eq!(rows["rows"], json!([{ "name": "A" }, { "name": "B" }, { "name": "C" }]));
    ana.step(id, "submit", Value::Null).await;
    // What is handed in stays as it is.
    let late = ana.ask("PUT", &format!("revisions/{id}/proposal"), json!({ "options": options })).await;
    assert_eq!(late.problem(), "conflict");
    // Not to another department, either.
    let discarded = ana.step(id, "discard", Value::Null).await;
    assert_eq!(discarded["state"], "discarded");
    assert_eq!(ana.get(&format!("revisions/{id}/rows")).await.problem(), "conflict");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_returned_comes_back_corrected() {
    let world = World::new().await;
    let acme = Member::new(&world, "acme", &[Role::Contributor], Some("Parks")).await;
    let ana = Member::new(&world, "ana", &[Role::Steward], Some("Parks")).await;
    let cy = Member::new(&world, "cy", &[Role::Cio], None).await;
    let first = acme.screened("street-trees", TREES).await;
    let digest = json!({ "recommend": { "digest": first["digest"] } });
    acme.step(id(&first), "submit", Value::Null).await;
    ana.step(id(&first), "review", digest.clone()).await;
    assert_eq!(
        cy.refused(id(&first), "review", json!({ "return": { "reason": "" } })).await,
        (400, "invalid_request".into())
    );
    let returned = cy.step(id(&first), "review", json!({ "return": { "reason": "the ash is dead" } })).await;
    assert_eq!(
        (returned["state"].as_str(), returned["returned_by"].as_str(), returned["returned_reason"].as_str()),
        (Some("returned"), Some("cy"), Some("the ash is dead"))
    );
    // The recommendation is gone with it.
    acme.step(id(&first), "submit", Value::Null).await;
    assert_eq!(cy.refused(id(&first), "approve", json!({ "digest": first["digest"] })).await, (409, "conflict".into()));
    cy.step(id(&first), "review", json!({ "return": { "reason": "the ash is dead" } })).await;
    let second = acme.screened("street-trees", b"tree_id,species,planted\n0001,Oak,2001-05-04\n").await;
    assert_ne!(id(&second), id(&first));
    assert_eq!(ana.get(&format!("revisions/{}", id(&first))).await.json()["state"], "superseded");
    let listed = acme.get("datasets/street-trees/revisions").await.json();
    assert_eq!(listed["revisions"].as_array().unwrap().len(), 2);
    // Another contractor sees nothing of it.
    let other = Member::new(&world, "other", &[Role::Contributor], Some("Parks")).await;
    assert_eq!(other.get("datasets/street-trees/revisions").await.json()["revisions"], json!([]));
    assert_eq!(other.get(&format!("revisions/{}", id(&first))).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_ends_when_it_is_revoked_and_when_it_is_old() {
    let world = World::new().await;
    let admin = Member::new(&world, "root", &[Role::Admin], None).await;
    let wanted =
        json!({ "name": "ana", "roles": ["steward"], "scope": { "only": { "departments": ["Parks"] } }, "days": 1 });
    let made = admin.ask("POST", "tokens", wanted).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    let made = made.json();
    let ana = Member { world: &world, token: made["text"].as_str().unwrap().to_owned() };
    let who = ana.get("whoami").await.json();
    assert_eq!((who["name"].as_str(), who["roles"].clone()), (Some("ana"), json!(["steward"])));
    let listed = admin.get("tokens").await;
    assert!(!listed.text().contains(&ana.token) && listed.text().contains("\"last_used\":\"2026-01-02T03:04:05Z\""));
    assert_eq!(ana.ask("POST", "tokens", json!({})).await.problem(), "invalid_request");
    assert_eq!(ana.get("tokens").await.problem(), "forbidden");
    let path = format!("tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(ana.ask("DELETE", &path, Value::Null).await.problem(), "forbidden");
    assert_eq!(admin.ask("DELETE", &path, Value::Null).await.status, StatusCode::OK);
    assert_eq!(admin.ask("DELETE", &path, Value::Null).await.status, StatusCode::OK);
    assert_eq!(ana.get("whoami").await.status, StatusCode::UNAUTHORIZED);

    let old = |days: u64| TokenRequest { name: "bo".into(), roles: vec![Role::Cio], scope: Scope::All, days };
    for (days, good) in [(2, true), (1, false)] {
        let (text, _) = world.publisher.create_token(&world.operator, old(days), 30, NOW_MS - DAY_MS).await.unwrap();
        let bo = Member { world: &world, token: text.reveal().to_owned() };
        assert_eq!(bo.get("whoami").await.status == StatusCode::OK, good, "{days}");
    }
    // An administrator of the server has no say in the data.
    let screened = Member::new(&world, "ana", &[Role::Steward], None).await.screened("t", TREES).await;
    for what in ["", "/rows"] {
        assert_eq!(admin.get(&format!("revisions/{}{what}", id(&screened))).await.problem(), "forbidden");
    }
    assert_eq!(admin.get("audit?dataset=t").await.status, StatusCode::OK);
    assert!(world.store.catalog.verify_audit().await.unwrap() > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_is_kept_within_its_limits_and_leaves_nothing() {
    let mut limits = Limits::default();
    limits.staff.upload_bytes = 100;
    let world = World::with(limits).await;
    let ana = Member::new(&world, "ana", &[Role::Steward], None).await;
    let large = vec![b'x'; 101];
    assert_eq!(ana.upload("t", "file_name=t.csv", &large).await.problem(), "too_large");
    // Without a length that is told before.
    let chunks =
        futures::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(bytes::Bytes::from_static(b"0123456789"))));
    let upload = |body: Body, coding: &str| {
        let request = Request::post("/api/staff/datasets/t/revisions?file_name=t.csv")
            .header("authorization", format!("Bearer {}", ana.token))
            .header("content-encoding", coding)
            .header("content-type", "application/octet-stream");
        world.send(request.body(body).unwrap())
    };
    assert_eq!(upload(Body::from_stream(chunks), "identity").await.problem(), "too_large");
    assert_eq!(upload(Body::from("a\n1\n"), "gzip").await.problem(), "unsupported_media_type");
    let broken = futures::stream::iter([Ok(bytes::Bytes::from_static(b"a\n")), Err(std::io::Error::other("gone"))]);
    assert_eq!(upload(Body::from_stream(broken), "identity").await.problem(), "invalid_request");
    assert_eq!(ana.upload("t", "file=t.csv", b"a\n1\n").await.problem(), "invalid_request");
    assert_eq!(std::fs::read_dir(world.intake()).unwrap().count(), 0);
    assert_eq!(world.store.storage.list_staged().await.unwrap().len(), 0);
    assert!(
        world.store.catalog.dataset(&portico_model::name::DatasetName::parse("t").unwrap()).await.unwrap().is_none()
    );
}

/// `portico.v1.StageCommand` as a client of the proto file writes it.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct StageCommand {
    #[prost(string, tag = "1")]
    dataset: String,
    #[prost(string, tag = "2")]
    department: String,
}

/// `portico.v1.StageResult`.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct StageResult {
    #[prost(string, tag = "1")]
    revision: String,
    #[prost(string, tag = "2")]
    state: String,
}

async fn put(world: &World, token: Option<&str>, dataset: &str) -> Result<StageResult, Status> {
    let species: ArrayRef = std::sync::Arc::new(StringArray::from(vec![Some("Oak"), None]));
    let height: ArrayRef = std::sync::Arc::new(Int64Array::from(vec![7, 9]));
    let batch = RecordBatch::try_from_iter([("species", species), ("height", height)]).unwrap();
    let command = StageCommand { dataset: dataset.to_owned(), department: "Parks".to_owned() };
    let any =
        Any { type_url: "type.googleapis.com/portico.v1.StageCommand".into(), value: command.encode_to_vec().into() };
    let batches = futures::stream::iter([Ok(batch.clone()), Ok(batch)]);
    let mut messages: Vec<FlightData> = FlightDataEncoderBuilder::new().build(batches).try_collect().await.unwrap();
    messages[0].flight_descriptor = Some(FlightDescriptor::new_cmd(any.encode_to_vec()));
    let mut request = tonic::Request::new(futures::stream::iter(messages));
    if let Some(token) = token {
        request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    let mut client = FlightServiceClient::new(world.router());
    let results: Vec<PutResult> = client.do_put(request).await?.into_inner().try_collect().await?;
    Ok(StageResult::decode(&*results[0].app_metadata).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_over_flight_become_a_revision_like_any_file() {
    let world = World::new().await;
    let ana = Member::new(&world, "ana", &[Role::Steward], Some("Parks")).await;
    let cy = Member::new(&world, "cy", &[Role::Cio], None).await;
    assert_eq!(put(&world, None, "trees").await.unwrap_err().code(), tonic::Code::Unauthenticated);
    let made_up = format!("portico_{}", "0".repeat(72));
    assert_eq!(put(&world, Some(&made_up), "trees").await.unwrap_err().code(), tonic::Code::Unauthenticated);
    assert_eq!(put(&world, Some(&cy.token), "trees").await.unwrap_err().code(), tonic::Code::PermissionDenied);
    let staged = put(&world, Some(&ana.token), "trees").await.unwrap();
    assert_eq!(staged.state, "staged");
    let screened = ana.step(&staged.revision, "screen", Value::Null).await;
    assert_eq!((screened["state"].as_str(), screened["profile"]["rows"].as_u64()), (Some("screened"), Some(4)));
    let rows = ana.get(&format!("revisions/{}/rows", staged.revision)).await.json();
    assert_eq!(rows["rows"][1], json!({ "species": null, "height": 9 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_goes_the_whole_road_alone() {
    let world = World::new().await;
    let screened = world.screen("street-trees", "trees.csv", TREES, "").await;
    assert_eq!(world.release(&screened).await.version, 1);
    let seen = world.publisher.revision(&world.operator, &screened.id, NOW_MS).await.unwrap();
    assert_eq!((seen.created_by.as_str(), seen.approved_by.as_deref()), ("operator", Some("operator")));
    let anyone = world.publisher.revision(&Principal::Anonymous, &screened.id, NOW_MS).await.unwrap_err();
    assert_eq!(anyone.kind(), portico_model::problem::ProblemKind::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_scheduled_by_whoever_may_release_and_nobody_releases_it_early() {
    let world = World::new().await;
    let ana = Member::new(&world, "ana", &[Role::Steward], Some("Parks")).await;
    let cy = Member::new(&world, "cy", &[Role::Cio], None).await;
    let odette = Member::new(&world, "odette", &[Role::OpenData], None).await;
    let elsewhere = Member::new(&world, "eve", &[Role::OpenData], Some("Water")).await;
    let screened = ana.screened("street-trees", TREES).await;
    let (id, digest) = (id(&screened), &screened["digest"]);
    let at = |text: &str| json!({ "release_at": text });
    let nine = at("2026-01-03T09:00 America/New_York");
    assert_eq!(odette.refused(id, "schedule", nine.clone()).await, (409, "conflict".into()));
    ana.step(id, "submit", Value::Null).await;
    ana.step(id, "review", json!({ "recommend": { "digest": digest } })).await;
    cy.step(id, "approve", json!({ "digest": digest })).await;
    assert_eq!(ana.refused(id, "schedule", nine.clone()).await, (403, "forbidden".into()));
    assert_eq!(elsewhere.refused(id, "schedule", nine.clone()).await, (404, "not_found".into()));
    for bad in
        ["2026-01-02T03:04:05Z", "2025-01-03T09:00", "2036-01-03T09:00", "2026-03-08T02:30 America/New_York", "soon"]
    {
        assert_eq!(odette.refused(id, "schedule", at(bad)).await, (400, "invalid_request".into()), "{bad}");
    }
    assert_eq!(odette.step(id, "schedule", nine.clone()).await["state"], "scheduled");
    assert_eq!(odette.step(id, "schedule", nine).await["state"], "scheduled");
    let listed = ana.get("schedules").await.json();
    let first = &listed["schedules"][0];
    assert_eq!((first["revision"].as_str(), first["release_at"].as_str()), (Some(id), Some("2026-01-03T14:00:00Z")));
    assert_eq!((first["announced"].as_bool(), first["scheduled_by"].as_str()), (Some(false), Some("odette")));
    assert_eq!(elsewhere.get("schedules").await.json()["schedules"], json!([]));
    assert_eq!(odette.refused(id, "release", Value::Null).await, (409, "conflict".into()));
    // What was seen before still is, and nothing of it changes any more.
    assert_eq!(ana.get(&format!("revisions/{id}/rows")).await.json()["rows_in_all"], 2);
    assert_eq!(ana.step(id, "screen", Value::Null).await["state"], "scheduled");
    let proposal = json!({ "metadata": screened["metadata"], "options": screened["options"] });
    assert_eq!(ana.ask("PUT", &format!("revisions/{id}/proposal"), proposal).await.problem(), "conflict");
    assert_eq!(cy.step(id, "approve", json!({ "digest": digest })).await["state"], "scheduled");
    assert_eq!(odette.refused(id, "unschedule", json!({ "reason": "" })).await, (400, "invalid_request".into()));
    assert_eq!(odette.step(id, "unschedule", json!({ "reason": "early" })).await["state"], "approved");
    assert_eq!(odette.step(id, "release", Value::Null).await["version"], 1);
}
