//! Nothing that must not be public is, anywhere: a portal full of tokens is asked whatever a stranger can ask, in every
//! format, and what comes back is searched for them; and two portals that differ in nothing else answer the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::sync::{LazyLock, Mutex};

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt as _;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use portico_model::limits::Limits;
use portico_model::name::DatasetName;
use portico_model::policy::VersionState;
use portico_store::{Catalog, Storage, Store};
use tower::ServiceExt as _;

mod crawl;
mod flights;
mod portal;
mod search;

use crate::world::World;
use crawl::Crawled;
use portal::{PUBLIC_CELL, PUBLIC_COLUMN, PUBLIC_TITLE, Secrets};
use search::Tokens;

/// What the program notes while it serves, as it would be on standard error.
static LOG: LazyLock<Mutex<Vec<u8>>> = LazyLock::new(Mutex::default);
/// The figures of this process.
static FIGURES: LazyLock<Option<PrometheusHandle>> = LazyLock::new(|| PrometheusBuilder::new().install_recorder().ok());

struct Log;

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        LOG.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Keeps the log from now on, with more in it than is written by default.
fn listen() {
    let filter = tracing_subscriber::EnvFilter::new("info,portico=debug,delta_kernel=off,buoyant_kernel=off,sqlx=warn");
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(|| Log).try_init();
    LazyLock::force(&FIGURES);
}

/// A portal on disk: what is on disk can be searched.
async fn world(directory: &Path) -> World {
    let storage = Storage::open(&format!("file://{}/storage", directory.display()), &BTreeMap::new()).unwrap();
    let catalog = Catalog::open(&format!("sqlite://{}/catalog.sqlite", directory.display())).await.unwrap();
    let mut limits = Limits::default();
    // The clock stands still, and a stranger who asks this much would have to wait.
    limits.http.requests_burst = 100_000;
    limits.query.work_burst_ms = 10_000_000;
    limits.requests.per_address_hour = 0;
    World::over(Store { storage, catalog }, limits).await
}

/// Everything that was asked and came back.
async fn crawled(world: &World, secrets: &[&Secrets]) -> Vec<Crawled> {
    let openapi = world.get("/openapi.json").await.json();
    let mut asks = crawl::asks(secrets);
    asks.extend(crawl::staff_asks(&openapi, secrets));
    let mut all = crawl::crawl(world, &asks).await;
    all.extend(flights::crawl(world, secrets).await);
    for (method, template) in crawl::operations(&openapi) {
        // What HEAD answers is the beginning of what GET does.
        let by = if method == "HEAD" { "GET" } else { method };
        let mut routes = all.iter().filter_map(|one| one.route.as_ref()).filter(|(asked, _)| *asked == by);
        assert!(routes.any(|(_, path)| crawl::stands_for(&template, path)), "{method} {template} is not asked");
    }
    all
}

/// The files of the released area, by their paths.
fn released(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut open = vec![directory.join("storage/released")];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                files
                    .push((path.strip_prefix(directory).unwrap().display().to_string(), std::fs::read(&path).unwrap()));
            }
        }
    }
    files
}

/// The paths of files that only versions have which were withdrawn and not purged.
async fn withdrawn_files(world: &World) -> Vec<String> {
    let mut files = Vec::new();
    for name in ["trees", "permits", "usage", "inventory"].map(|name| DatasetName::parse(name).unwrap()) {
        for summary in world.store.catalog.versions(&name).await.unwrap() {
            if summary.state == VersionState::Withdrawn {
                let record = world.store.catalog.version(&name, summary.version).await.unwrap().unwrap();
                files.extend(record.manifest.files.iter().map(|file| file.path.clone()));
            }
        }
    }
    files
}

async fn figures() -> Vec<u8> {
    let Some(handle) = FIGURES.as_ref() else { return Vec::new() };
    let request = Request::get("/metrics").body(Body::empty()).unwrap();
    let answer = portico_serve::metrics_router(handle.clone()).oneshot(request).await.unwrap();
    answer.into_body().collect().await.unwrap().to_bytes().to_vec()
}

/// Tokens that an answer says and its request did not.
fn told(tokens: &Tokens, one: &Crawled) -> BTreeSet<String> {
    let head: String = one.head.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
    let mut found = tokens.found(head.as_bytes());
    found.extend(tokens.found(&one.body));
    found.retain(|token| !one.asked.contains(token.as_str()));
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_restricted_is_anywhere_that_the_public_looks() {
    listen();
    let place = tempfile::tempdir().unwrap();
    let world = world(place.path()).await;
    let secrets = Secrets::of('a');
    portal::build(&world, &secrets, false).await;
    let tokens = Tokens::new(secrets.texts(), secrets.counts());
    let all = crawled(&world, &[&secrets]).await;
    let mut leaks = Vec::new();
    for one in &all {
        let found = told(&tokens, one);
        if !found.is_empty() {
            leaks.push(format!("{} → {}: {found:?}", one.asked, one.status));
        }
    }
    // The files of a version that was withdrawn and not purged stay where they are, and nobody is led to them.
    let kept = withdrawn_files(&world).await;
    assert_eq!(kept.len(), 3, "{kept:?}");
    // The log keeps figures of all versions; of what was purged, those of the dataset `usage` name the columns.
    let told_in_log = ["zqawithdrawn", "zqagone", "zqaerasedcolumn"];
    for (path, bytes) in released(place.path()) {
        let mut found =
            if kept.iter().any(|file| path.ends_with(file)) { BTreeSet::new() } else { tokens.found(&bytes) };
        let count = |token: &String| [0, 4].iter().any(|nth| *token == secrets.counts()[*nth].to_string());
        if path.contains("_delta_log") {
            found.retain(|token| !count(token) && !told_in_log.iter().any(|prefix| token.starts_with(prefix)));
        }
        if !found.is_empty() {
            leaks.push(format!("{path}: {found:?}"));
        }
    }
    let log = LOG.lock().unwrap().clone();
    for (what, bytes) in [("log", log), ("figures", figures().await)] {
        assert!(bytes.len() > 1_000, "{what}: {}", String::from_utf8_lossy(&bytes));
        let found = tokens.found(&bytes);
        if !found.is_empty() {
            leaks.push(format!("{what}: {found:?}"));
        }
    }
    assert!(leaks.is_empty(), "{} of {}:\n{}", leaks.len(), all.len(), leaks.join("\n"));

    // The same search, of the same answers, for what is public.
    let public = Tokens::new([PUBLIC_CELL, PUBLIC_COLUMN, PUBLIC_TITLE].map(str::to_owned), []);
    let blind: Vec<&str> = all
        .iter()
        .filter(|one| one.shows && !told(&public, one).contains(PUBLIC_CELL))
        .map(|one| &*one.asked)
        .collect();
    assert!(blind.is_empty(), "public cells are not seen in:\n{}", blind.join("\n"));
    let showing = all.iter().filter(|one| one.shows).count();
    println!("{} answers, {showing} of them with data, {} tokens", all.len(), secrets.texts().len());
    assert!(showing > 60 && all.len() > 500, "{showing} of {}", all.len());
    let stored = released(place.path());
    for suffix in [".parquet", ".json"] {
        let seen =
            stored.iter().any(|(path, bytes)| path.ends_with(suffix) && public.found(bytes).contains(PUBLIC_CELL));
        assert!(seen, "public cells are not seen in stored {suffix}");
    }
}

/// Status, headers and body of an answer.
type Settled = (String, Vec<(String, String)>, Vec<u8>);

/// An answer without what is made anew for each request or each portal, or measured, whatever the data are.
fn settled(one: &Crawled) -> Settled {
    let (mut head, mut body) = (one.head.clone(), one.body.clone());
    for (name, value) in &mut head {
        // Random beside the time, and told again in problems: 26 characters of a ULID.
        if name == "x-request-id" || name == "x-portico-query-id" {
            assert_eq!(value.len(), 26, "{value}");
            body = replaced(&body, value.as_bytes(), b"an id");
            *value = "an id".to_owned();
        }
    }
    let without = |head: &mut Vec<(String, String)>, what: &str| head.retain(|(name, _)| name != what);
    let again = |body: &[u8], pattern: &str, by: &str| {
        let pattern = regex::bytes::Regex::new(pattern).unwrap();
        pattern.replace_all(body, by.as_bytes()).into_owned()
    };
    match one.route.as_ref().map_or("", |(_, path)| path.as_str()) {
        "/sql" => {
            // How long it took; and a length is told when the whole answer was ready within a few milliseconds.
            body = again(&body, r#""elapsed_ms":\d+\}\n$"#, "");
            without(&mut head, "content-length");
        }
        // The question's id, which is random, is in the body that the tag is of.
        "/sql/explain" => {
            body = again(&body, r#""query_id":"[0-9a-z]{26}""#, "");
            without(&mut head, "etag");
        }
        // A line of an announced release is named after its revision, whose id is random.
        "/api/calendar" | "/calendar.ics" => {
            body = again(&body, r#"(UID:|"id":")[0-9a-f]+"#, "");
            without(&mut head, "etag");
        }
        // Of requests, the random part of their ids; the part that is their time stays.
        "/api/requests" => {
            body = again(&body, r#"("id":"[0-9A-Z]{10})[0-9A-Z]{16}""#, "$1\"");
            without(&mut head, "etag");
        }
        // The new comment's own id.
        "/api/reports/2026/comments" => body = again(&body, r#""id":"[0-9A-Z]{26}""#, ""),
        _ => {}
    }
    head.sort();
    (one.status.clone(), head, body)
}

fn replaced(bytes: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut from = 0;
    for at in memchr::memmem::find_iter(bytes, what) {
        out.extend_from_slice(&bytes[from..at]);
        out.extend_from_slice(by);
        from = at + what.len();
    }
    out.extend_from_slice(&bytes[from..]);
    out
}

/// Whether a request names the dataset that one portal has released, withdrawn and purged, and the other never had. What was
/// public has a public reason ever after, and an address that says it.
fn names_the_withdrawn(one: &Crawled) -> bool {
    ["parking-fines", "parking_fines"].iter().any(|name| one.asked.contains(name))
}

#[tokio::test(flavor = "multi_thread")]
async fn portals_that_differ_in_what_is_restricted_answer_the_same() {
    listen();
    let (one, other) = (Secrets::of('a'), Secrets::of('b'));
    let places = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let worlds = [world(places[0].path()).await, world(places[1].path()).await];
    tokio::join!(portal::build(&worlds[0], &one, false), portal::build(&worlds[1], &other, true));
    let secrets = [&one, &other];
    let (first, second) = tokio::join!(crawled(&worlds[0], &secrets), crawled(&worlds[1], &secrets));
    assert_eq!(first.len(), second.len());
    let (mut same, mut differ) = (0, Vec::new());
    for (left, right) in first.iter().zip(&second) {
        assert_eq!(left.asked, right.asked);
        if names_the_withdrawn(left) {
            let told = |one: &Crawled| ["404", "NotFound"].contains(&one.status.as_str());
            assert!(told(left) || left.status == right.status, "{}: {}", left.asked, left.status);
            continue;
        }
        let (left_bytes, right_bytes) = (settled(left), settled(right));
        if left_bytes == right_bytes {
            same += 1;
        } else {
            differ.push(difference(&left.asked, &left_bytes, &right_bytes));
        }
    }
    assert!(differ.is_empty(), "{} differ, {same} do not:\n{}", differ.len(), differ.join("\n"));
    println!("{same} answers are the same");
    assert!(same > 1_000, "{same}");
}

/// Where two answers part.
fn difference(asked: &str, left: &Settled, right: &Settled) -> String {
    if (&left.0, &left.1) != (&right.0, &right.1) {
        let only = |these: &[(String, String)], those: &[(String, String)]| {
            these.iter().filter(|pair| !those.contains(pair)).map(|pair| format!("{pair:?}")).collect::<String>()
        };
        return format!("{asked}: {} {} / {} {}", left.0, only(&left.1, &right.1), right.0, only(&right.1, &left.1));
    }
    let at = left.2.iter().zip(&right.2).take_while(|(left, right)| left == right).count();
    let around = |bytes: &[u8]| {
        let from = at.saturating_sub(60).min(bytes.len());
        String::from_utf8_lossy(&bytes[from..(at + 60).min(bytes.len())]).into_owned()
    };
    format!(
        "{asked}: at byte {at} of {} / {}: {:?} / {:?}",
        left.2.len(),
        right.2.len(),
        around(&left.2),
        around(&right.2)
    )
}
