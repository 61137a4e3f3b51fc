//! What strangers provoke: every refusal is a problem with a documented code, and none says how we are made or what is
//! in the data. `tests/refusals.txt` is the list.

use std::collections::BTreeSet;

use axum::body::Body;
use futures::StreamExt as _;
use http::Request;
use portico_model::problem::ProblemKind;

use crate::hygiene;
use crate::world::World;

const TREES: &[u8] = b"species,height,planted,lat,lon,note\n\
ash,10,2001-02-03,40.7,-74.0,=1+1\n\
oak,20,2002-03-04,40.8,-74.1,-5\n\
yew,,2003-04-05,40.9,-74.2,\"a, \"\"b\"\"\"\n\
SECRET-BOB,9223372036854775807,2004-05-06,41.0,-74.3,@SUM(A1)\n";

/// Statements that a line of text does not hold.
const ODD: [&str; 7] =
    ["", " ", "\n\n", "SELECT \u{202e}1", "SELECT '\u{0}'", "\u{feff}SELECT ?", "SELECT \u{1f333} FROM \u{0}trees"];

/// Query strings of a download.
const DOWNLOADS: [&str; 33] = [
    "where=nothing%20%3D%201",
    "where=1",
    "where=height",
    "where=species%20%3E%201",
    "where=(select%20true)",
    "where=sum(height)%20%3E%201",
    "where=1%3D1)%20union%20select%201",
    "where=1%3D1%20--",
    "where=cast(species%20as%20int)%20%3E%200",
    "where=1/0%3D1",
    "where='open",
    "where=regexp_like(species,'(')",
    "where=nothing(1)",
    "where=$1",
    "where=",
    "order=nothing",
    "order=1",
    "order=height%20sideways",
    "order=height%20desc,",
    "order=(select%201)",
    "select=nothing",
    "select=*",
    "select=height,height",
    "select=sum(height)",
    "limit=x",
    "limit=-1",
    "offset=-1",
    "null=%0a",
    "bom=1",
    "excel=1",
    "nothing=1",
    "where=%ff",
    "limit=1&limit=2",
];

/// Statements with values bound to them.
const BOUND: [(&str, &str); 16] = [
    ("SELECT * FROM trees WHERE height > $1", "[\"SECRET-BOB\"]"),
    ("SELECT * FROM trees WHERE planted > $1", "[\"SECRET-BOB\"]"),
    ("SELECT * FROM trees WHERE planted > $1", "[5]"),
    ("SELECT * FROM trees WHERE planted > $1", "[true]"),
    ("SELECT * FROM trees WHERE height > $1", "[]"),
    ("SELECT * FROM trees WHERE height > $1", "[1, 2]"),
    ("SELECT * FROM trees WHERE height > $a", "{\"b\": 1}"),
    ("SELECT * FROM trees LIMIT $1", "[\"x\"]"),
    ("SELECT * FROM trees LIMIT $1", "[-1]"),
    ("SELECT date_trunc($1, planted) FROM trees", "[\"SECRET-BOB\"]"),
    ("SELECT regexp_like(species, $1) FROM trees", "[\"(SECRET\"]"),
    ("SELECT $1 + $2", "[\"a\", 1]"),
    ("SELECT abs($1)", "[\"a\"]"),
    ("SELECT $1", "[[1]]"),
    ("SELECT $1", "[{\"a\": 1}]"),
    ("SELECT $1", "\"x\""),
];

/// What must have been provoked: a list that provokes less tests less.
const CODES: [&str; 7] = [
    "invalid_sql",
    "unknown_column",
    "function_not_allowed",
    "statement_not_allowed",
    "invalid_parameter",
    "not_found",
    "query_failed",
];

/// What was asked, and what came of it.
struct Refusal {
    asked: String,
    status: u16,
    body: String,
}

impl Refusal {
    /// The code of the problem, if there is one, and what is wrong with it.
    fn judge(&self) -> (Option<String>, Vec<String>) {
        if self.status < 400 {
            return (None, Vec::new());
        }
        let fault = |what: &str| format!("{}\n      {} {what}: {}", self.asked, self.status, self.body);
        let Ok(problem) = serde_json::from_str::<serde_json::Value>(&self.body) else {
            return (None, vec![fault("is no problem document")]);
        };
        let code = problem["code"].as_str().unwrap_or_default().to_owned();
        let mut faults = Vec::new();
        // The names that were asked for may be told back.
        let quotes = |c: char| c.is_whitespace() || "\"'(=".contains(c);
        if let Some(found) = hygiene::leak(&self.body)
            && !self.asked.contains(found.trim_start_matches(quotes))
        {
            faults.push(fault(&format!("says {found:?}")));
        }
        // What was asked may be told back; what is in the data may not.
        if self.body.contains("SECRET") && !self.asked.contains("SECRET") {
            faults.push(fault("tells a value of the data"));
        }
        let known = ProblemKind::ALL.iter().find(|kind| kind.code() == code);
        if self.status >= 500 || known.is_none_or(|kind| *kind == ProblemKind::Internal) {
            faults.push(fault("is our own fault, or no documented problem"));
        }
        (Some(code), faults)
    }
}

/// Asks all, a few at once; answers the codes that came back.
async fn provoke(world: &World, requests: Vec<(String, Request<Body>)>) -> BTreeSet<String> {
    let asked = requests.len();
    let refusals = futures::stream::iter(requests).map(async |(asked, request)| {
        let (status, body) = world.send_unjudged(request).await;
        Refusal { asked, status, body }
    });
    let judged: Vec<_> = refusals.buffer_unordered(4).map(|refusal| refusal.judge()).collect().await;
    let faults: Vec<&String> = judged.iter().flat_map(|(_, faults)| faults).collect();
    let refused = judged.iter().filter(|(code, _)| code.is_some()).count();
    println!("{asked} asked, {refused} refused");
    assert!(
        faults.is_empty(),
        "{} faults:\n{}",
        faults.len(),
        faults.into_iter().cloned().collect::<Vec<_>>().join("\n")
    );
    judged.into_iter().filter_map(|(code, _)| code).collect()
}

async fn world() -> World {
    let world = World::new().await;
    world.publish("trees", "trees.csv", TREES).await;
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_statement_provokes_what_is_not_documented() {
    let lines = include_str!("refusals.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let formats = ["csv", "arrow", "json", "parquet"].into_iter().cycle();
    let ask = |(sql, format): (&str, &str)| {
        let request = Request::post(format!("/sql?format={format}")).header("content-type", "application/sql");
        (format!("{format}: {sql}"), request.body(Body::from(sql.to_owned())).unwrap())
    };
    let requests: Vec<_> = lines.chain(ODD).zip(formats).map(ask).collect();
    assert!(requests.len() > 400, "{}", requests.len());
    let codes = provoke(&world().await, requests).await;
    for code in CODES {
        assert!(codes.contains(code), "nothing provoked {code}: {codes:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_download_or_bound_value_provokes_what_is_not_documented() {
    let download = |query: &&str| {
        (format!("where: {query}"), Request::get(format!("/datasets/trees.csv?{query}")).body(Body::empty()).unwrap())
    };
    let bound = |(sql, params): &(&str, &str)| {
        let body = format!("{{\"sql\": {sql:?}, \"params\": {params}}}");
        let request = Request::post("/sql").header("content-type", "application/json").body(Body::from(body)).unwrap();
        (format!("{sql} with {params}"), request)
    };
    let requests = DOWNLOADS.iter().map(download).chain(BOUND.iter().map(bound)).collect();
    let codes = provoke(&world().await, requests).await;
    assert!(codes.contains("invalid_parameter") && codes.contains("invalid_request"), "{codes:?}");
}
