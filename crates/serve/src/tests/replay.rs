//! A cache between us and a reader: what it does not key by changes no byte, and what is private does not lie in it.

use http::Method;

use crate::testing::{Answered, World};

/// Addresses of every kind of answer that a cache may keep, and of some that it may not.
const URLS: [&str; 22] = [
    "/",
    "/?q=tree&page=1",
    "/datasets/street-trees",
    "/datasets/street-trees/versions/1",
    "/datasets/street-trees.csv",
    "/datasets/street-trees.parquet",
    "/datasets/street-trees/versions/1.parquet",
    "/datasets/street-trees/versions/1/parts/0.parquet",
    "/datasets/secret-plan",
    "/datasets/secret-plan.csv",
    "/sql?q=SELECT+*+FROM+street_trees&format=csv",
    "/sql?q=SELEC&format=csv",
    "/api/datasets",
    "/api/datasets/street-trees",
    "/api/datasets/street-trees/versions",
    "/api/datasets/street-trees/versions/1",
    "/api/limits",
    "/openapi.json",
    "/robots.txt",
    "/docs/problems",
    "/no/such/page",
    "/healthz",
];

/// Headers that no answer says it varies by.
const UNKEYED: [(&str, &str); 32] = [
    ("x-forwarded-host", "evil.example"),
    ("x-forwarded-for", "192.0.2.1"),
    ("x-forwarded-proto", "https"),
    ("x-forwarded-scheme", "https"),
    ("x-forwarded-port", "4444"),
    ("x-forwarded-prefix", "/evil"),
    ("x-forwarded-server", "evil.example"),
    ("forwarded", "for=192.0.2.1;host=evil.example;proto=https"),
    ("x-real-ip", "192.0.2.1"),
    ("x-client-ip", "192.0.2.1"),
    ("true-client-ip", "192.0.2.1"),
    ("cf-connecting-ip", "192.0.2.1"),
    ("x-original-url", "/api/limits"),
    ("x-original-host", "evil.example"),
    ("x-rewrite-url", "/api/limits"),
    ("x-host", "evil.example"),
    ("x-http-method-override", "DELETE"),
    ("x-http-method", "DELETE"),
    ("x-method-override", "PUT"),
    ("x-request-id", "mine"),
    ("x-correlation-id", "mine"),
    ("x-debug", "1"),
    ("x-requested-with", "XMLHttpRequest"),
    ("cookie", "session=1; lang=de"),
    ("origin", "https://evil.example"),
    ("referer", "https://evil.example/<script>"),
    ("user-agent", "<script>alert(1)</script>"),
    ("accept-language", "de"),
    ("accept-charset", "utf-16"),
    ("via", "1.1 evil"),
    ("upgrade-insecure-requests", "1"),
    ("te", "trailers"),
];

/// Everything of an answer but the names that each request and each question has of its own.
fn kept(answer: &Answered) -> (u16, Vec<(String, String)>, String) {
    let own = [answer.header("x-request-id"), answer.header("x-portico-query-id")];
    let mut body = String::from_utf8_lossy(answer.body.as_deref().unwrap_or_default()).into_owned();
    for id in own.into_iter().filter(|id| !id.is_empty()) {
        body = body.replace(id, "ID");
    }
    let mut headers: Vec<_> = answer
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "x-request-id" | "x-portico-query-id"))
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .collect();
    headers.sort();
    (answer.status.as_u16(), headers, body)
}

#[tokio::test]
async fn unkeyed_headers_change_no_byte() {
    let world = World::new().await;
    for url in URLS {
        // The first makes the file, and does not know its length yet.
        world.get(url).await;
        let plain = world.get(url).await;
        for header in UNKEYED {
            let changed = world.ask(Method::GET, url, &[header]).await;
            assert_eq!(kept(&changed), kept(&plain), "{url} {header:?}");
            assert_ne!(changed.header("x-request-id"), "mine");
        }
        let all = world.ask_from("203.0.113.5", url, &UNKEYED).await;
        let few = world.ask_from("203.0.113.5", url, &[]).await;
        assert_eq!(kept(&all), kept(&few), "{url}");
    }
}

#[tokio::test]
async fn every_answer_says_how_long_it_may_be_kept() {
    let world = World::new().await;
    for url in URLS {
        for accept in ["*/*", "text/html"] {
            let plain = world.ask(Method::GET, url, &[("accept", accept)]).await;
            let policy = plain.header("cache-control");
            let known = ["public, max-age=31536000, immutable", "public, no-cache", "no-store"];
            assert!(known.contains(&policy), "{url}: {policy}");
            assert!(plain.status.is_success() || policy == "no-store", "{url}");
            let credential = [("accept", accept), ("authorization", "Bearer x")];
            let private = world.ask(Method::GET, url, &credential).await;
            assert_eq!(private.header("cache-control"), "private, no-store", "{url}");
            assert!(private.headers.get_all("vary").iter().any(|value| value == "authorization"), "{url}");
            assert!(!private.headers.contains_key("set-cookie"));
        }
    }
}

#[tokio::test]
async fn every_answer_protects_its_reader() {
    let world = World::new().await;
    for url in URLS {
        let answer = world.ask(Method::GET, url, &[("accept", "text/html")]).await;
        let expect = [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("cross-origin-resource-policy", "cross-origin"),
            ("cross-origin-opener-policy", "same-origin"),
            ("access-control-allow-origin", "*"),
            ("x-permitted-cross-domain-policies", "none"),
        ];
        for (name, value) in expect {
            assert_eq!(answer.header(name), value, "{url} {name}");
        }
        assert!(answer.header("permissions-policy").contains("geolocation=()"), "{url}");
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{url}: {policy}");
        assert!(policy.contains("frame-ancestors 'none'"), "{url}: {policy}");
        for absent in ["access-control-allow-credentials", "server", "x-powered-by", "location", "set-cookie"] {
            assert!(!answer.headers.contains_key(absent), "{url} {absent}");
        }
        if answer.header("content-type").starts_with("text/html") {
            let page = answer.text();
            assert!(!page.contains("<script") && !page.contains(" style=") && !page.contains(" onclick"), "{url}");
        }
    }
}
