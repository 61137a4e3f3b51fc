//! All that a stranger may ask over HTTP, of what is public, of what is gone, and of what nobody should have heard of.

use axum::body::Body;
use futures::StreamExt as _;
use http::Request;
use http_body_util::BodyExt as _;
use portico_model::format::FileKind;
use portico_serve::Peer;
use serde_json::json;
use tower::ServiceExt as _;

use super::portal::{GONE, PUBLIC, PUBLIC_COLUMN, Secrets};
use crate::world::World;

/// Requests under way at once.
const AT_ONCE: usize = 4;

/// Formats of answers to SQL.
const FORMATS: [&str; 9] = ["csv", "tsv", "json", "objects", "ndjson", "arrow", "parquet", "xlsx", "table"];

/// A request.
#[derive(Clone, Debug)]
pub(crate) struct Ask {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    /// Whether the answer has to hold public cells: the proof that they would be seen.
    pub(crate) shows: bool,
    /// Whether it comes over TLS: nobody signs in otherwise.
    pub(crate) tls: bool,
}

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Crawled {
    /// The request, as text.
    pub(crate) asked: String,
    /// Method and path without the query, of a request over HTTP.
    pub(crate) route: Option<(&'static str, String)>,
    pub(crate) shows: bool,
    pub(crate) status: String,
    pub(crate) head: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Ask {
    fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), headers: Vec::new(), body: String::new(), shows: false, tls: false }
    }

    fn sql(sql: &str, format: &str) -> Self {
        let headers = vec![("content-type", "application/sql".to_owned())];
        Self { method: "POST", headers, body: sql.to_owned(), ..Self::get(format!("/sql?format={format}")) }
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.headers.push((name, value.to_owned()));
        self
    }

    fn showing(self) -> Self {
        Self { shows: true, ..self }
    }

    fn by(self, method: &'static str) -> Self {
        Self { method, ..self }
    }

    fn request(&self) -> Request<Body> {
        let mut request = Request::builder().method(self.method).uri(&self.path);
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        let mut request = request.body(Body::from(self.body.clone())).unwrap();
        if self.tls {
            request.extensions_mut().insert(Peer { address: "203.0.113.5".parse().unwrap(), tls: true });
        }
        request
    }
}

/// Asks all of it, in order.
pub(crate) async fn crawl(world: &World, asks: &[Ask]) -> Vec<Crawled> {
    let answers = asks.iter().map(async |ask| {
        let answer = world.router().oneshot(ask.request()).await.unwrap();
        let (head, body) = answer.into_parts();
        let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        Crawled {
            asked: format!("{} {} {:?} {}", ask.method, ask.path, ask.headers, ask.body),
            route: Some((ask.method, ask.path.split('?').next().unwrap().to_owned())),
            shows: ask.shows,
            status: head.status.as_u16().to_string(),
            head: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default(),
        }
    });
    futures::stream::iter(answers).buffered(AT_ONCE).collect().await
}

/// Everything that is asked of a portal with these secrets.
pub(crate) fn asks(secrets: &[&Secrets]) -> Vec<Ask> {
    let mut asks = of_the_portal();
    for name in PUBLIC {
        asks.extend(of_public(name));
    }
    // The portal's own, of what was asked before: it holds no public cell.
    asks.extend(of_public("usage").into_iter().map(|ask| Ask { shows: false, ..ask }));
    asks.extend(of_public("inventory").into_iter().map(|ask| {
        let whole = ask.path.starts_with("/datasets/inventory.") && !ask.path.contains(PUBLIC_COLUMN);
        Ask { shows: ask.shows && whole, ..ask }
    }));
    asks.extend(wishes(secrets));
    asks.extend(at_a_browser(secrets));
    let hidden: Vec<String> = secrets.iter().flat_map(|secrets| secrets.hidden()).collect();
    for name in hidden.iter().map(String::as_str).chain(GONE).chain(["never-was"]) {
        asks.extend(of_hidden(name));
    }
    asks.extend(statements(secrets));
    for token in secrets.iter().flat_map(|secrets| secrets.texts()) {
        let token = token.replace(['@', '.'], "+");
        asks.push(Ask::get(format!("/api/datasets?q={token}")));
        if token.starts_with("zqadepartment") || token.starts_with("zqakeyword") {
            asks.push(Ask::get(format!("/api/datasets?department={token}")));
            asks.push(Ask::get(format!("/?keyword={token}")));
        }
    }
    asks
}

/// What concerns no dataset.
fn of_the_portal() -> Vec<Ask> {
    let mut asks: Vec<Ask> = [
        "/",
        "/?q=trees",
        "/api/datasets",
        "/api/datasets?page=2",
        "/api/datasets?format=geojson",
        "/api/datasets?department=Public+Works",
        "/calendar",
        "/calendar.ics",
        "/api/calendar",
        "/api/usage",
        "/api/usage?from=2025-01&to=2026-12",
        "/api/reports",
        "/api/reports/2026",
        "/api/reports/2025",
        "/reports/2026",
        "/reports/2025",
        "/principles",
        "/terms",
        "/licences",
        "/handbook",
        "/api/pages",
        "/api/pages/terms",
        "/api/pages/nothing",
        "/api/limits",
        "/openapi.json",
        "/robots.txt",
        "/healthz",
        "/readyz",
        "/docs/problems",
        "/assets/portico.css",
        "/assets/nothing",
        "/no/such/path",
        "/metrics",
        "/_delta_log",
        "/released/trees",
    ]
    .map(Ask::get)
    .into();
    let comment = Ask::get("/api/reports/2026/comments").by("POST").with("content-type", "application/json");
    for body in [r#"{"text": "Well done."}"#, "{}", ""] {
        asks.push(Ask { body: body.to_owned(), ..comment.clone() });
    }
    for path in ["/requests", "/api/requests"] {
        asks.push(Ask::get(path).showing());
        asks.push(Ask::get(path).by("POST").with("content-type", "application/json"));
    }
    asks.push(Ask::get("/sql/01arz3ndektsv4rrffq69g5fav").by("DELETE"));
    asks.push(Ask::get("/sql").by("PATCH"));
    asks
}

/// Strangers ask for what nobody has asked for, for what somebody has, and badly.
fn wishes(secrets: &[&Secrets]) -> Vec<Ask> {
    let wishes = secrets.iter().map(|secrets| secrets.wish());
    let wishes = wishes.chain([portico_publish::Wish { title: "Hydrants".to_owned(), ..Default::default() }]);
    let mut asks = Vec::new();
    for wish in wishes {
        let fields = [
            ("title", &wish.title),
            ("details", &wish.details),
            ("department", &wish.department),
            ("contact", &wish.contact),
        ];
        let form: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", value.replace('@', "%40"))).collect();
        let json = json!(fields.into_iter().collect::<std::collections::BTreeMap<_, _>>()).to_string();
        let post =
            |path: &str, kind: &str, body: String| Ask { body, ..Ask::get(path).by("POST").with("content-type", kind) };
        asks.push(post("/api/requests", "application/json", json));
        asks.push(post("/requests", "application/x-www-form-urlencoded", form.join("&")));
    }
    asks.extend(["/requests?received=true", "/api/requests", "/requests"].map(Ask::get));
    asks
}

/// Somebody tries links and cookies that were good once, and others that never were.
fn at_a_browser(secrets: &[&Secrets]) -> Vec<Ask> {
    let here = |path: String| Ask { tls: true, ..Ask::get(path) }.with("host", "data.example");
    let never = [String::new(), "0".repeat(63), "0123456789abcdef".repeat(4)];
    let mut asks = Vec::new();
    for link in secrets.iter().flat_map(|secrets| secrets.dead().links).chain(never.clone()) {
        let path = format!("/staff/signin/link?link={link}");
        asks.push(Ask::get(path.clone()));
        asks.push(here(path.clone()));
        asks.push(here(path).by("HEAD"));
        let pressed = here("/staff/signin/link".to_owned()).by("POST").with("origin", "https://data.example");
        let pressed = pressed.with("content-type", "application/x-www-form-urlencoded");
        asks.push(Ask { body: format!("link={link}"), ..pressed });
    }
    for session in secrets.iter().flat_map(|secrets| secrets.dead().sessions).chain(never) {
        for path in ["/staff", "/staff/revisions", "/api/staff/whoami", "/api/staff/sessions", "/api/staff/inventory"] {
            asks.push(here(path.to_owned()).with("cookie", &format!("__Host-portico={session}")));
        }
    }
    asks
}

fn of_public(name: &str) -> Vec<Ask> {
    let mut asks: Vec<Ask> = FileKind::EXTENSIONS
        .iter()
        .filter(|extension| **extension != "geojson" || name == "places")
        .flat_map(|extension| {
            [format!("/datasets/{name}.{extension}"), format!("/datasets/{name}/versions/1.{extension}")]
        })
        .map(|path| Ask::get(path).showing())
        .collect();
    asks.push(Ask::get(format!("/datasets/{name}.geojson")));
    for coding in ["gzip", "zstd"] {
        asks.push(Ask::get(format!("/datasets/{name}.csv")).with("accept-encoding", coding).showing());
        asks.push(Ask::get(format!("/datasets/{name}")).with("accept-encoding", coding));
    }
    for version in 1..=5 {
        for path in [
            format!("/datasets/{name}/versions/{version}"),
            format!("/api/datasets/{name}/versions/{version}"),
            format!("/datasets/{name}/versions/{version}.csv"),
            format!("/datasets/{name}/versions/{version}/parts/0.parquet"),
            format!("/datasets/{name}/versions/{version}/parts/1.parquet"),
            format!("/api/datasets/{name}/changes?from={version}"),
            format!("/api/datasets/{name}/changes?from=1&to={version}"),
        ] {
            asks.push(Ask::get(path));
        }
    }
    for path in [format!("/datasets/{name}"), format!("/api/datasets/{name}"), format!("/api/datasets/{name}/versions")]
    {
        asks.push(Ask::get(path.clone()));
        asks.push(Ask::get(path).with("accept", "text/html"));
    }
    asks.push(Ask::get(format!("/api/datasets/{name}/changes")));
    asks.push(Ask::get(format!("/datasets/{name}.csv?select={PUBLIC_COLUMN}&limit=2")).showing());
    asks.push(Ask::get(format!("/datasets/{name}.csv")).by("HEAD"));
    asks.push(Ask::get(format!("/datasets/{name}.parquet")).with("range", "bytes=-300"));
    for query in [
        "where=nothing%3D1",
        "where=1/0%3D1",
        "order=nothing",
        "select=nothing",
        "where=cast(zzpubliccolumn+as+int)%3E1",
    ] {
        asks.push(Ask::get(format!("/datasets/{name}.json?{query}")));
    }
    asks
}

/// The same of all that is not there, whatever the reason.
fn of_hidden(name: &str) -> Vec<Ask> {
    let mut asks: Vec<Ask> = [
        format!("/datasets/{name}"),
        format!("/datasets/{name}.csv"),
        format!("/datasets/{name}.parquet"),
        format!("/datasets/{name}.csv?where=id%3D1&limit=1"),
        format!("/datasets/{name}/versions/1"),
        format!("/datasets/{name}/versions/1.ndjson"),
        format!("/datasets/{name}/versions/1/parts/0.parquet"),
        format!("/api/datasets/{name}"),
        format!("/api/datasets/{name}/versions"),
        format!("/api/datasets/{name}/versions/1"),
        format!("/api/datasets/{name}/changes"),
        format!("/api/datasets/{name}/changes?from=1&to=2"),
    ]
    .map(Ask::get)
    .into();
    asks.push(Ask::get(format!("/datasets/{name}")).with("accept", "text/html"));
    let table = name.replace('-', "_");
    for sql in [format!("SELECT * FROM {table}"), format!("SELECT * FROM \"{name}@1\""), format!("DESCRIBE {table}")] {
        asks.push(Ask::sql(&sql, "json"));
    }
    asks.push(Ask::get(format!("/sql/explain?q=SELECT+*+FROM+{table}")));
    asks
}

fn statements(secrets: &[&Secrets]) -> Vec<Ask> {
    let mut asks: Vec<Ask> = FORMATS.iter().map(|format| Ask::sql("SELECT * FROM trees", format).showing()).collect();
    asks.push(Ask::sql("SELECT * FROM places", "geojson").showing());
    asks.push(Ask::get("/sql?q=SELECT+*+FROM+trees&format=csv").showing());
    asks.push(Ask::get("/sql/explain?q=SELECT+*+FROM+trees+WHERE+id+%3E+3"));
    let lines = include_str!("statements.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    asks.extend(
        lines.zip(["csv", "json", "arrow", "parquet"].into_iter().cycle()).map(|(sql, format)| Ask::sql(sql, format)),
    );
    for column in secrets.iter().flat_map(|secrets| secrets.near_columns()) {
        for sql in [
            format!("SELECT {column} FROM trees"),
            format!("SELECT t.{column} FROM trees t, places p"),
            format!("SELECT id FROM trees ORDER BY {column}"),
            format!("SELECT max({column}) FROM \"trees@1\""),
        ] {
            asks.push(Ask::sql(&sql, "json"));
        }
        asks.push(Ask::get(format!("/datasets/trees.csv?select={column}")));
        asks.push(Ask::get(format!("/datasets/places.csv?where={column}%3D1")));
    }
    asks
}

/// Every route of the description that is for staff, without a token and with one that is none.
pub(crate) fn staff_asks(openapi: &serde_json::Value, secrets: &[&Secrets]) -> Vec<Ask> {
    let mut asks = Vec::new();
    let mut names = vec!["trees".to_owned(), "never-was".to_owned()];
    names.extend(secrets.iter().flat_map(|secrets| secrets.hidden()).filter(|name| name.ends_with("held")));
    for (method, path) in operations(openapi) {
        if !path.starts_with("/api/staff/") && path.split('/').nth(1) != Some("staff") {
            continue;
        }
        let uri = path.replace("{step}", "approve").replace("{version}", "2").replace("{year}", "2026");
        let uri = uri.replace("{id}", "01ARZ3NDEKTSV4RRFFQ69G5FAV");
        for name in &names[..if uri.contains("{name}") { names.len() } else { 1 }] {
            let ask = Ask::get(uri.replace("{name}", name)).by(method);
            asks.push(ask.clone());
            asks.push(ask.with("authorization", &format!("Bearer portico_{}", "0".repeat(72))));
        }
    }
    asks
}

/// Methods and paths of the description.
pub(crate) fn operations(openapi: &serde_json::Value) -> Vec<(&'static str, String)> {
    let mut operations = Vec::new();
    for (path, methods) in openapi["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let known = ["GET", "HEAD", "POST", "PUT", "DELETE"];
            let method = known.into_iter().find(|known| known.eq_ignore_ascii_case(method)).unwrap();
            operations.push((method, path.clone()));
        }
    }
    operations
}

/// Whether a path is one that a template of the description stands for.
pub(crate) fn stands_for(template: &str, path: &str) -> bool {
    let mut pattern = "^".to_owned();
    for (number, part) in template.split(['{', '}']).enumerate() {
        pattern.push_str(&if number % 2 == 0 { regex::escape(part) } else { "[^/]+".to_owned() });
    }
    regex::Regex::new(&(pattern + "$")).unwrap().is_match(path)
}
