//! Every route, asked by everybody: whoever may not, is refused, and a route that nobody thought of fails here.

use std::collections::BTreeSet;

use axum::body::Body;
use http::{Method, Request, StatusCode};
use portico_model::dataset::DatasetMetadata;
use portico_model::name::DatasetName;
use portico_model::policy::{Action, Principal, Role, Scope};
use portico_model::revision::RevisionState;
use portico_publish::TokenRequest;
use portico_store::{Review, RevisionRecord, StagedFile};

use crate::router;
use crate::testing::{Answered, NOW_MS, World};

/// A revision that is given up: every step is refused, by its state at last.
pub(super) const REVISION: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
const UNKNOWN: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAW";

/// Who may ask: anyone, any browser, any holder of a token, or the roles that have an action among their duties.
pub(super) enum Who {
    Anyone,
    /// Whoever signs in: what is refused is refused for other reasons than who it is. `tests/signin.rs` has them.
    Browser,
    Member,
    May(Action),
}

/// The expectation, one line for each route and method.
pub(super) fn expected(pattern: &str, method: &str) -> Option<Who> {
    use Action::{
        AnswerRequests, Approve, ApproveSource, AskPurge, DeclareSource, Describe, Discard, EditPages, KeepInventory,
        ManageTokens, Preview, PublishReport, ReadAudit, Recommend, Release, Return, RunSource, Schedule, Screen, See,
        Stage, Submit, Withdraw, WriteReport,
    };
    Some(match (method, pattern) {
        ("GET", "/" | "/docs/problems" | "/assets/{leaf}" | "/datasets/{leaf}") => Who::Anyone,
        ("GET", "/datasets/{name}/versions/{leaf}" | "/datasets/{name}/versions/{version}/parts/{leaf}") => Who::Anyone,
        ("GET" | "POST", "/sql") | ("GET", "/sql/explain") | ("DELETE", "/sql/{query_id}") => Who::Anyone,
        ("GET", "/api/datasets" | "/api/datasets/{name}" | "/api/datasets/{name}/versions") => Who::Anyone,
        ("GET", "/calendar" | "/calendar.ics" | "/api/calendar") => Who::Anyone,
        ("GET", "/api/datasets/{name}/versions/{version}" | "/api/datasets/{name}/changes") => Who::Anyone,
        ("GET" | "POST", "/api/requests" | "/requests") => Who::Anyone,
        ("GET", "/api/usage" | "/api/reports" | "/api/reports/{year}" | "/reports/{year}") => Who::Anyone,
        ("POST", "/api/reports/{year}/comments") => Who::Anyone,
        ("GET", "/api/limits" | "/openapi.json" | "/robots.txt" | "/healthz" | "/readyz") => Who::Anyone,
        ("GET", "/principles" | "/terms" | "/licences" | "/handbook" | "/api/pages" | "/api/pages/{name}") => {
            Who::Anyone
        }
        ("GET" | "PUT" | "DELETE", "/api/staff/pages/{name}") => Who::May(EditPages),
        ("GET" | "POST", "/staff/pages/{name}") | ("GET", "/staff/pages") => Who::May(EditPages),
        ("GET", "/api/staff/whoami" | "/api/staff/datasets" | "/api/staff/inventory") => Who::Member,
        ("GET", "/api/staff/datasets/{name}/metadata") => Who::May(See),
        ("PUT", "/api/staff/datasets/{name}/metadata") => Who::May(Describe),
        ("POST", "/api/staff/datasets/{name}/metadata/approve") => Who::May(Approve),
        ("POST", "/api/staff/datasets/{name}/metadata/decline") => Who::May(Return),
        ("POST", "/api/staff/inventory/import") => Who::May(KeepInventory),
        ("PUT", "/api/staff/inventory/datasets/{name}") => Who::May(KeepInventory),
        ("POST", "/api/staff/inventory/publish") => Who::May(Stage),
        ("GET", "/api/staff/requests") | ("PUT", "/api/staff/requests/{id}") => Who::May(AnswerRequests),
        ("GET", "/api/staff/audit") => Who::May(ReadAudit),
        ("GET", "/api/staff/datasets/{name}" | "/api/staff/datasets/{name}/revisions") => Who::May(See),
        ("POST", "/api/staff/datasets/{name}/revisions") => Who::May(Stage),
        ("POST", "/api/staff/datasets/{name}/versions/{version}/withdraw") => Who::May(Withdraw),
        ("POST", "/api/staff/datasets/{name}/versions/{version}/purge") => Who::May(AskPurge),
        ("GET", "/api/staff/datasets/{name}/versions/{version}/affected") => Who::May(See),
        ("GET", "/api/staff/datasets/{name}/purges") => Who::May(See),
        ("GET", "/api/staff/datasets/{name}/source") => Who::May(See),
        ("PUT", "/api/staff/datasets/{name}/source") => Who::May(DeclareSource),
        ("POST", "/api/staff/datasets/{name}/source/approve") => Who::May(ApproveSource),
        ("POST", "/api/staff/datasets/{name}/source/run" | "/api/staff/datasets/{name}/source/pause") => {
            Who::May(RunSource)
        }
        ("GET", "/api/staff/revisions/{id}") => Who::May(See),
        ("GET", "/api/staff/revisions/{id}/rows" | "/api/staff/revisions/{id}/preview") => Who::May(Preview),
        ("GET", "/api/staff/revisions/{id}/difference") => Who::May(Preview),
        ("PUT", "/api/staff/revisions/{id}/proposal") => Who::May(Stage),
        ("POST", "/api/staff/revisions/{id}/screen") => Who::May(Screen),
        ("POST", "/api/staff/revisions/{id}/submit") => Who::May(Submit),
        ("POST", "/api/staff/revisions/{id}/review") => Who::May(Recommend),
        ("POST", "/api/staff/revisions/{id}/approve") => Who::May(Approve),
        ("POST", "/api/staff/revisions/{id}/schedule" | "/api/staff/revisions/{id}/unschedule") => Who::May(Schedule),
        ("GET", "/api/staff/schedules") => Who::Member,
        ("POST", "/api/staff/revisions/{id}/release") => Who::May(Release),
        ("POST", "/api/staff/revisions/{id}/discard") => Who::May(Discard),
        ("GET", "/api/staff/reports" | "/api/staff/reports/{year}/comments") => Who::May(WriteReport),
        ("POST", "/api/staff/reports/{year}/draft" | "/api/staff/comments/{id}/moderate") => Who::May(WriteReport),
        ("POST", "/api/staff/reports/{year}/publish") => Who::May(PublishReport),
        ("GET", "/staff") => Who::Anyone,
        ("GET", "/staff/signin/provider" | "/staff/signin/callback") => Who::Browser,
        ("GET" | "POST", "/staff/signin/link") => Who::Browser,
        ("GET", "/staff/revisions") | ("POST", "/staff/signout") => Who::Member,
        ("GET", "/staff/revisions/{id}") => Who::May(See),
        ("POST", "/staff/revisions/{id}/{step}") => Who::May(Submit),
        ("POST", "/api/staff/links") | ("GET" | "DELETE", "/api/staff/sessions") => Who::May(ManageTokens),
        ("DELETE", "/api/staff/sessions/{id}") => Who::May(ManageTokens),
        ("GET" | "POST", "/api/staff/tokens") | ("DELETE", "/api/staff/tokens/{id}") => Who::May(ManageTokens),
        _ => return None,
    })
}

/// A path of the route that leads to something.
pub(super) fn concrete(pattern: &str) -> String {
    [
        ("/pages/{name}", "/pages/terms"),
        ("{leaf}", "street-trees"),
        ("{name}", "street-trees"),
        ("{version}", "7"),
        ("{year}", "2025"),
        ("{id}", REVISION),
        ("{query_id}", "x"),
        ("{step}", "submit"),
    ]
    .into_iter()
    .fold(pattern.to_owned(), |path, (part, value)| path.replace(part, value))
}

/// A body that the step reads.
pub(super) fn body(pattern: &str) -> &'static str {
    if pattern.starts_with("/staff") {
        return "";
    }
    if pattern == "/api/staff/pages/{name}" {
        return r#"{"title":"Terms","text":"As it is.","version":0}"#;
    }
    match pattern.rsplit('/').next().unwrap() {
        "review" => r#"{"recommend":{"digest":"d"}}"#,
        "approve" => r#"{"digest":"d"}"#,
        "links" => r#"{"name":"eve","roles":["cio"],"scope":"all"}"#,
        "pause" => r#"{"paused":true}"#,
        "source" => r#"{"from":{"kind":"https","url":"https://files.example/trees.csv"}}"#,
        "withdraw" | "decline" | "unschedule" => r#"{"reason":"wrong"}"#,
        "import" => "name,title\nbenches,Benches\n",
        "schedule" => r#"{"release_at":"2024-01-01T09:00"}"#,
        "purge" => r#"{"reason":"wrong","confirm":"street-trees@7"}"#,
        "moderate" => r#"{"accept":true}"#,
        "tokens" => r#"{"name":"eve","roles":["cio"],"scope":"all","days":1}"#,
        _ => "{}",
    }
}

/// A world with a revision of the contributor's, and a token for each role whose holder is named after it.
pub(super) struct Staffed {
    pub(super) world: World,
    pub(super) tokens: Vec<(Role, String)>,
}

impl Staffed {
    pub(super) async fn new() -> Self {
        Self::of(World::new().await).await
    }

    /// The same in a world that is there.
    pub(super) async fn of(world: World) -> Self {
        let catalog = &world.site.store.catalog;
        let record = RevisionRecord {
            id: REVISION.into(),
            dataset: DatasetName::parse("street-trees").unwrap(),
            state: RevisionState::Staged,
            staged: StagedFile { path: "p".into(), sha256: "0".repeat(64), bytes: 1 },
            file_name: "f.csv".into(),
            options_json: "{}".into(),
            metadata_json: r#"{"name":"street-trees","title":"t"}"#.into(),
            prepared_json: None,
            findings: Vec::new(),
            profile: None,
            digest: Some("d".into()),
            created_ms: NOW_MS,
            created_by: "contributor".into(),
            approved_by: None,
            approved_digest: None,
            version: None,
            review: Review::default(),
        };
        catalog.insert_revision(&record).await.unwrap();
        let discarded = RevisionRecord { state: RevisionState::Discarded, ..record };
        catalog.update_revision(RevisionState::Staged, &discarded, "s", NOW_MS).await.unwrap();
        let mut tokens = Vec::new();
        for role in Role::ALL {
            tokens.push((role, token(&world, role, Scope::All).await));
        }
        Self { world, tokens }
    }

    pub(super) async fn ask(&self, method: &str, pattern: &str, token: Option<&str>) -> Answered {
        self.send(method, &concrete(pattern), pattern, token).await
    }

    async fn send(&self, method: &str, uri: &str, pattern: &str, token: Option<&str>) -> Answered {
        let (uri, kind) = address(method, uri, pattern);
        let mut request = Request::builder().method(method).uri(uri);
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let sent = if matches!(method, "POST" | "PUT") { body(pattern) } else { "" };
        if matches!(method, "POST" | "PUT") {
            request = request.header("content-type", kind);
        }
        self.world.send(request.body(Body::from(sent)).unwrap()).await
    }
}

/// A route's address with what its query has to say, and the kind of body that it reads.
pub(super) fn address(method: &str, uri: &str, pattern: &str) -> (String, &'static str) {
    match (method, pattern) {
        ("POST", "/api/staff/datasets/{name}/revisions") => {
            (format!("{uri}?file_name=f.csv"), "application/octet-stream")
        }
        ("POST", "/api/staff/inventory/import") => (uri.to_owned(), "application/octet-stream"),
        ("DELETE", "/api/staff/sessions") => (format!("{uri}?name=eve"), ""),
        ("POST", pattern) if pattern.starts_with("/staff") => (uri.to_owned(), "application/x-www-form-urlencoded"),
        _ => (uri.to_owned(), "application/json"),
    }
}

pub(super) async fn token(world: &World, role: Role, scope: Scope) -> String {
    let request = TokenRequest { name: role.as_str().into(), roles: vec![role], scope, days: 1 };
    let operator = Principal::operator("operator");
    let made = world.site.staff.publisher.create_token(&operator, request, 1, NOW_MS).await.unwrap();
    made.0.reveal().to_owned()
}

/// Every route with every method that it answers.
pub(super) async fn routes(world: &World) -> Vec<(&'static str, String)> {
    let mut routes = Vec::new();
    for (pattern, _) in router::documented() {
        let refused = world.ask(Method::PATCH, &pattern.replace(['{', '}'], ""), &[]).await;
        assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED, "{pattern}");
        for method in refused.header("allow").split(',').map(str::trim) {
            if !matches!(method, "HEAD" | "OPTIONS") {
                routes.push((pattern, method.to_owned()));
            }
        }
    }
    routes
}

#[tokio::test]
async fn every_route_refuses_whoever_may_not() {
    let staffed = Staffed::new().await;
    let mut cells = 0;
    for (pattern, method) in routes(&staffed.world).await {
        let Some(who) = expected(pattern, &method) else { panic!("who may {method} {pattern}? Nobody has said so") };
        if matches!(who, Who::Browser) {
            continue;
        }
        let anonymous = staffed.ask(&method, pattern, None).await;
        let open = matches!(who, Who::Anyone);
        assert_eq!(anonymous.status == StatusCode::UNAUTHORIZED, !open, "{method} {pattern}: {}", anonymous.status);
        for (role, token) in &staffed.tokens {
            cells += 1;
            let answer = staffed.ask(&method, pattern, Some(token)).await;
            let may = match who {
                Who::Anyone | Who::Browser | Who::Member => true,
                Who::May(action) => action.roles().contains(role),
            };
            let told = format!("{method} {pattern} as {}: {} {}", role.as_str(), answer.status, answer.text());
            assert_eq!(answer.status == StatusCode::FORBIDDEN, !may, "{told}");
            assert_ne!(answer.status, StatusCode::UNAUTHORIZED, "{told}");
            assert!(!answer.status.is_server_error(), "{told}");
            if let (Who::May(action), false) = (&who, may) {
                assert!(action.roles().iter().all(|role| answer.text().contains(role.as_str())), "{told}");
            }
        }
    }
    assert!(cells > 150, "{cells}");
}

#[tokio::test]
async fn what_is_out_of_scope_is_not_told_from_what_is_not_there() {
    let staffed = Staffed::new().await;
    let elsewhere = Scope::Only { departments: vec!["Water".into()], datasets: Vec::new() };
    let nameless = |answer: &Answered| {
        let mut problem = answer.json();
        problem["instance"] = serde_json::Value::Null;
        problem.to_string().replace("street-trees", "NAME").replace("never-was", "NAME")
    };
    for role in [Role::Contributor, Role::Steward, Role::OpenData, Role::Cio] {
        let token = token(&staffed.world, role, elsewhere.clone()).await;
        for (pattern, method) in routes(&staffed.world).await {
            // What concerns the portal as a whole is in nobody's scope.
            let whole = ["/tokens/", "/sessions/", "/reports/", "/comments/", "/requests/", "/pages/"]
                .iter()
                .any(|part| pattern.contains(part));
            if !pattern.starts_with("/api/staff/") || !pattern.contains('{') || whole {
                continue;
            }
            let known = staffed.ask(&method, pattern, Some(&token)).await;
            let uri = pattern.replace("{name}", "never-was").replace("{id}", UNKNOWN).replace("{version}", "7");
            let unknown = staffed.send(&method, &uri, pattern, Some(&token)).await;
            assert_eq!(known.status, StatusCode::NOT_FOUND, "{method} {pattern}: {}", known.text());
            assert_eq!(nameless(&known), nameless(&unknown), "{method} {pattern}");
        }
    }
}

#[tokio::test]
async fn no_token_and_a_bad_one_are_the_same_answer() {
    let staffed = Staffed::new().await;
    let (_, good) = &staffed.tokens[0];
    let nameless = |answer: Answered| {
        let mut problem = answer.json();
        problem["instance"] = serde_json::Value::Null;
        (answer.status, answer.header("www-authenticate").to_owned(), problem.to_string())
    };
    let none = nameless(staffed.ask("GET", "/api/staff/whoami", None).await);
    assert_eq!((none.0, none.1.as_str()), (StatusCode::UNAUTHORIZED, "Bearer"));
    let other = format!("portico_{}", "0".repeat(72));
    let mut cut = good.clone();
    cut.pop();
    for bad in [&cut, &good.to_uppercase(), &other, "x", ""] {
        assert_eq!(nameless(staffed.ask("GET", "/api/staff/whoami", Some(bad)).await), none, "{bad}");
    }
    let twice = [("authorization", format!("Bearer {good}")), ("authorization", format!("Bearer {good}"))];
    let twice: Vec<_> = twice.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(nameless(staffed.world.ask(Method::GET, "/api/staff/whoami", &twice).await), none);
}

#[tokio::test]
async fn nothing_for_staff_is_cached_or_open_to_other_sites() {
    let staffed = Staffed::new().await;
    let (_, cio) = &staffed.tokens[3];
    for token in [None, Some(cio.as_str())] {
        for uri in ["/api/staff/whoami", "/api/staff/nothing/here", "/api/staff/datasets/street-trees"] {
            let answer = staffed.send("GET", uri, uri, token).await;
            assert_eq!(answer.header("cache-control"), "private, no-store", "{uri}");
            assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin", "{uri}");
            assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("access-control")), "{uri}");
        }
    }
    let preflight = staffed.world.ask(Method::OPTIONS, "/api/staff/tokens", &[("origin", "https://x.example")]).await;
    assert_eq!(preflight.status, StatusCode::NO_CONTENT);
    assert!(!preflight.headers.keys().any(|name| name.as_str().starts_with("access-control")));
}

#[tokio::test]
async fn what_another_site_can_send_changes_nothing() {
    let staffed = Staffed::new().await;
    let bearer = |role: Role| format!("Bearer {}", staffed.tokens.iter().find(|(held, _)| *held == role).unwrap().1);
    let steps: BTreeSet<_> = routes(&staffed.world)
        .await
        .into_iter()
        .filter(|(pattern, method)| pattern.starts_with("/api/staff/") && method != "GET")
        .collect();
    assert!(steps.len() >= 10);
    for (pattern, method) in steps {
        let uri = pattern.replace("{name}", "street-trees").replace("{id}", REVISION).replace("{version}", "7");
        let uri = uri.replace("{year}", "2025");
        let uri = if pattern.ends_with("/revisions") { format!("{uri}?file_name=f.csv") } else { uri };
        let role = if pattern.contains("/tokens") { Role::Admin } else { Role::Cio };
        let ask = async |headers: &[(&str, &str)]| {
            let mut request = Request::builder().method(method.as_str()).uri(&uri).header("host", "data.example");
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            staffed.world.send(request.body(Body::from(body(pattern))).unwrap()).await.status
        };
        let bearer = bearer(role);
        let json = ("content-type", "application/json");
        for foreign in [
            ("origin", "https://evil.example"),
            ("origin", "null"),
            ("origin", "https://data.example:444"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            let status = ask(&[("authorization", &bearer), json, foreign]).await;
            assert_eq!(status, StatusCode::FORBIDDEN, "{method} {pattern} {foreign:?}");
        }
        assert_eq!(ask(&[json, ("cookie", "token=x")]).await, StatusCode::UNAUTHORIZED, "{method} {pattern}");
        if method != "DELETE" {
            for form in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
                let status = ask(&[("authorization", &bearer), ("content-type", form)]).await;
                assert_eq!(status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{method} {pattern} {form}");
            }
        }
    }
    // Nothing of it has been done.
    assert_eq!(staffed.world.site.store.catalog.tokens().await.unwrap().len(), Role::ALL.len());
}

#[tokio::test]
async fn a_new_dataset_needs_a_department_of_the_token() {
    let staffed = Staffed::new().await;
    let parks = Scope::Only { departments: vec!["Parks".into()], datasets: Vec::new() };
    let steward = token(&staffed.world, Role::Steward, parks).await;
    let stage = async |name: &str, more: &str| {
        let uri = format!("/api/staff/datasets/{name}/revisions?file_name=b.csv{more}");
        let request = Request::post(uri)
            .header("authorization", format!("Bearer {steward}"))
            .header("content-type", "application/octet-stream");
        staffed.world.send(request.body(Body::from("a\n1\n")).unwrap()).await
    };
    assert_eq!(stage("benches", "").await.status, StatusCode::NOT_FOUND);
    assert_eq!(stage("benches", "&department=Water").await.status, StatusCode::NOT_FOUND);
    let staged = stage("benches", "&department=Parks").await;
    assert_eq!(staged.status, StatusCode::CREATED, "{}", staged.text());
    assert!(staged.header("location").ends_with(staged.json()["id"].as_str().unwrap()));
    // One's own dataset is not given away, nor another's taken.
    assert_eq!(stage("benches", "&department=Water").await.status, StatusCode::NOT_FOUND);
    assert_eq!(stage("street-trees", "&department=Parks").await.status, StatusCode::NOT_FOUND);
    let name = DatasetName::parse("street-trees").unwrap();
    let kept = staffed.world.site.store.catalog.dataset(&name).await.unwrap().unwrap();
    assert_eq!(kept.metadata.department, DatasetMetadata::named(name).department);
}
