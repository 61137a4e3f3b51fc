//! What strangers try on a web server, by the rows of the list: each is refused or ignored, and says nothing.

use axum::body::Body;
use http::{Method, Request, StatusCode};

use crate::testing::{Answered, World};

async fn refused(world: &World, uri: &str, statuses: &[u16]) -> Answered {
    let answer = world.get(uri).await;
    assert!(statuses.contains(&answer.status.as_u16()), "{uri}: {}", answer.status);
    assert_eq!(answer.header("content-type"), "application/problem+json", "{uri}");
    let kept = if uri.starts_with("/staff/") { "private, no-store" } else { "no-store" };
    assert_eq!(answer.header("cache-control"), kept, "{uri}");
    for absent in ["etag", "last-modified", "location", "content-location", "content-disposition"] {
        assert!(!answer.headers.contains_key(absent), "{uri} {absent}");
    }
    answer
}

/// H01
#[tokio::test]
async fn paths_lead_nowhere_but_where_routes_are() {
    let world = World::new().await;
    let forms = [
        "../../etc/passwd",
        "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "..%2f..%2fetc%2fpasswd",
        "..%5c..%5cetc%5cpasswd",
        "%252e%252e%252fetc",
        "....//....//etc/passwd",
        "%00",
        "street-trees%00.csv",
        "%c0%ae%c0%ae/etc/passwd",
        "%ff%fe",
        "street-trees;a=b",
        "street-trees.csv;a=b",
        "street-trees%2ecsv%2f..",
        "./street-trees.csv/.",
        "street-trees/",
        "street-trees.csv/",
        "street-trees.csv%20",
        "street-trees.csv%0a",
        "%2e",
        "~root",
        "street-trees.csv~",
        "street-trees.csv.bak",
        "street-trees/versions/../1.csv",
        "street-trees/versions/1/parts/..%2f..%2fx.parquet",
        "street-trees/versions/1/parts/0.parquet/",
    ];
    for form in forms {
        for prefix in ["/datasets/", "/assets/", "/api/datasets/", "/sql/", "/"] {
            let uri = format!("{prefix}{form}");
            refused(&world, &uri, &[400, 404, 405]).await;
        }
    }
}

/// H02
#[tokio::test]
async fn names_that_are_none_are_unknown() {
    let world = World::new().await;
    let long = "a".repeat(10_000);
    let names = [
        long.as_str(),
        "STREET-TREES",
        "street%2dtrees%20",
        "str%D0%B5et-trees",
        "_delta_log",
        ".well-known",
        "con",
        "-",
        "0",
    ];
    for name in names {
        for uri in [format!("/datasets/{name}"), format!("/datasets/{name}.csv"), format!("/api/datasets/{name}")] {
            refused(&world, &uri, &[404]).await;
        }
    }
}

/// H04, H05
#[tokio::test]
async fn nothing_leads_to_another_site_and_nothing_is_debugged() {
    let world = World::new().await;
    for uri in ["//evil.example/foo/", "//evil.example", "/%5cevil.example", "/%2f%2fevil.example", "/.//evil.example"]
    {
        refused(&world, uri, &[404]).await;
    }
    for query in
        ["next=https://evil.example", "next=//evil.example", "_trace=1", "debug=1", "_context=1", "callback=alert(1)"]
    {
        for path in ["/", "/api/datasets", "/datasets/street-trees.csv", "/datasets/street-trees", "/docs/problems"] {
            refused(&world, &format!("{path}?{query}"), &[400]).await;
        }
    }
}

/// H14
#[tokio::test]
async fn many_ranges_are_one_file() {
    let world = World::new().await;
    let uri = "/datasets/street-trees/versions/1.parquet";
    let whole = world.get(uri).await;
    let ask = async |range: &str, more: &[(&str, &str)]| {
        let headers: Vec<(&str, &str)> = [("range", range)].into_iter().chain(more.iter().copied()).collect();
        world.ask(Method::GET, uri, &headers).await
    };
    let bomb = format!("bytes={}", vec!["0-0,1-1,0-"; 700].join(","));
    for range in [bomb.as_str(), "bytes=0-,0-", "bytes=0-1,1-2,2-3", "bytes=-1,-1", "lines=1-2", "bytes=9-1", "bytes=x"]
    {
        let answer = ask(range, &[]).await;
        assert_eq!((answer.status, &answer.body), (StatusCode::OK, &whole.body), "{range}");
    }
    for (range, status) in
        [("bytes=-99999999999999999999", 206), ("bytes=0-0", 206), ("bytes=99999999-", 416), ("bytes=-0", 416)]
    {
        let answer = ask(range, &[]).await;
        assert_eq!(answer.status.as_u16(), status, "{range}");
        assert!(!answer.header("content-type").starts_with("multipart"), "{range}");
    }
    let stale = ask("bytes=0-0", &[("if-range", "\"stale\"")]).await;
    assert_eq!((stale.status, stale.body), (StatusCode::OK, whole.body));
}

/// H17, H32
#[tokio::test]
async fn only_plain_statements_are_read() {
    let world = World::new().await;
    let post = async |headers: &[(&str, &str)], body: Vec<u8>| {
        let mut request = Request::builder().method(Method::POST).uri("/sql");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        world.send(request.body(Body::from(body)).unwrap()).await.status.as_u16()
    };
    let sql = || b"SELECT 1".to_vec();
    for coding in ["gzip", "gzip, gzip", "br", "zstd", "deflate", "identity, gzip", "x"] {
        assert_eq!(
            post(&[("content-type", "application/sql"), ("content-encoding", coding)], sql()).await,
            415,
            "{coding}"
        );
    }
    let types = [
        ("application/sql", 200),
        ("text/plain", 200),
        ("text/plain; charset=utf-8", 200),
        ("Application/SQL", 200),
        ("text/plain; charset=utf-16", 415),
        ("text/plain; charset=x", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/octet-stream", 415),
        ("text/html", 415),
        ("", 415),
    ];
    for (content_type, status) in types {
        assert_eq!(post(&[("content-type", content_type)], sql()).await, status, "{content_type}");
    }
    assert_eq!(post(&[], sql()).await, 415);
    let utf16 = "SELECT 1".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(post(&[("content-type", "application/sql")], utf16).await, 400);
    assert_eq!(post(&[("content-type", "application/sql")], vec![0xff, 0xfe]).await, 400);
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)).into_bytes();
    assert_eq!(post(&[("content-type", "application/json")], deep).await, 400);
}

/// H19
#[tokio::test]
async fn what_is_accepted_is_a_format_or_a_refusal() {
    let world = World::new().await;
    let long = vec!["a/b"; 5_000].join(",");
    for accept in [
        "*/*;q=",
        "*/*;q=x",
        ";;;",
        "text/html;level",
        "/",
        "*",
        "application/*;q=2",
        "\"",
        long.as_str(),
        ",,,,",
        "*/*;q=0",
    ] {
        let answer = world.ask(Method::GET, "/sql?q=SELECT+1", &[("accept", accept)]).await;
        assert!([200, 406].contains(&answer.status.as_u16()), "{accept}: {}", answer.status);
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    for query in [
        "format=../../x",
        "format=html",
        "format=jsonp",
        "format=",
        "format=csv&callback=alert(1)",
        "callback=alert(1)",
    ] {
        refused(&world, &format!("/sql?q=SELECT+1&{query}"), &[400]).await;
    }
    for extension in ["html", "js", "svg", "exe", "csv.exe", "csv.gz.gz", "CSV", "php"] {
        refused(&world, &format!("/datasets/street-trees.{extension}"), &[404]).await;
    }
}

/// H20
#[tokio::test]
async fn a_file_name_is_ours() {
    let world = World::new().await;
    for name in ["x%0d%0aSet-Cookie:a=b", "%22;x=", "%e2%80%ae.exe", "../x"] {
        refused(&world, &format!("/datasets/street-trees.csv?filename={name}"), &[400]).await;
        refused(&world, &format!("/sql?q=SELECT+1&filename={name}"), &[400]).await;
    }
    let file = world.get("/datasets/street-trees.csv?null=NA").await;
    assert_eq!(file.header("content-disposition"), "attachment; filename=\"street-trees-v2.csv\"");
    let hostile = world.get("/datasets/street-trees.csv?where=species%3D'%0d%0aX-Evil:1'").await;
    assert!(!hostile.headers.contains_key("x-evil"));
    assert!(hostile.headers.values().all(|value| !value.as_bytes().contains(&b'\n')));
}

/// H26
#[tokio::test]
async fn a_private_page_is_not_dressed_as_a_file() {
    let world = World::new().await;
    for uri in [
        "/staff/me/x.css",
        "/staff%2Fme.png",
        "/staff/..%2fme.js",
        "/api/limits/x.css",
        "/sql/x.css?q=SELECT+1",
        "/api/limits;x.css",
        "/api/limits%0a.css",
    ] {
        refused(&world, uri, &[404, 405]).await;
    }
}

/// H28
#[tokio::test]
async fn conditions_tell_nothing_of_what_is_hidden() {
    let world = World::new().await;
    let known = world.get("/datasets/street-trees/versions/2.csv").await;
    let tag = known.header("etag");
    let conditions = [
        ("if-none-match", "*"),
        ("if-none-match", tag),
        ("if-match", "*"),
        ("if-modified-since", "Fri, 01 Jan 2100 00:00:00 GMT"),
        ("if-unmodified-since", "Mon, 01 Jan 1990 00:00:00 GMT"),
        ("range", "bytes=0-0"),
    ];
    let forms = [
        "/datasets/{}.csv",
        "/datasets/{}/versions/1.csv",
        "/datasets/{}/versions/1/parts/0.parquet",
        "/datasets/{}",
        "/api/datasets/{}",
        "/api/datasets/{}/versions/1",
    ];
    for form in forms {
        for condition in conditions {
            let mut answers = Vec::new();
            for name in ["secret-plan", "no-such-thing"] {
                let answer = world.ask(Method::GET, &form.replace("{}", name), &[condition]).await;
                assert_eq!(answer.status, StatusCode::NOT_FOUND, "{form} {condition:?}");
                assert!(!answer.headers.contains_key("etag") && !answer.headers.contains_key("last-modified"));
                assert!(!answer.headers.contains_key("content-range") && !answer.headers.contains_key("accept-ranges"));
                let id = answer.header("x-request-id").to_owned();
                answers.push(answer.text().replace(&id, "ID").replace(name, "NAME"));
            }
            assert_eq!(answers[0], answers[1], "{form} {condition:?}");
        }
    }
}

/// H29
#[tokio::test]
async fn numbers_find_nobody_elses_questions() {
    let world = World::new().await;
    for id in ["1", "0", "-1", "01hf7yat000000000000000000", "%00", "null", "*"] {
        let answer = world.ask(Method::DELETE, &format!("/sql/{id}"), &[]).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{id}");
        for uri in [format!("/jobs/{id}"), format!("/exports/{id}"), format!("/queries/{id}")] {
            refused(&world, &uri, &[404]).await;
        }
    }
}

/// H31
#[tokio::test]
async fn methods_are_those_of_the_route() {
    let world = World::new().await;
    let long = "A".repeat(10_000);
    for method in ["PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "get", "GeT", "CONNECT", "X", long.as_str()] {
        for uri in ["/", "/datasets/street-trees.csv", "/api/datasets", "/sql", "/healthz"] {
            let answer = world.ask(Method::from_bytes(method.as_bytes()).unwrap(), uri, &[("x-trace", "secret")]).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {uri}");
            assert!(!answer.header("allow").is_empty() && !answer.text().contains("secret"), "{method} {uri}");
        }
    }
    for uri in ["/", "/datasets/street-trees.csv", "/api/datasets", "/sql?q=SELECT+1"] {
        let head = world.ask(Method::HEAD, uri, &[]).await;
        assert_eq!((head.status, head.text()), (StatusCode::OK, ""), "{uri}");
    }
}

/// H34, H35
#[tokio::test]
async fn searches_and_pages_are_plain() {
    let world = World::new().await;
    let words = [
        "%25",
        "_",
        "'",
        "''",
        "%22",
        "%22%22%22",
        "*",
        "tree*",
        "NEAR(a+b)",
        "a+AND",
        "a+OR+b",
        "NOT",
        "-a",
        "%5e",
        "(",
        ")",
        "a:b",
        "species:x",
        "%00x",
        "%5c",
        "'+OR+1=1--",
        "%F0%9F%8C%B3",
        "{}",
        "[a-z]",
        "$1",
        "?1",
        "%e2%80%ae",
        "+++",
        ";",
    ];
    for word in words {
        for path in ["/api/datasets", "/"] {
            let answer = world.get(&format!("{path}?q={word}")).await;
            assert!([200, 400].contains(&answer.status.as_u16()), "{word}: {}", answer.status);
            assert!(answer.status == StatusCode::OK || word.contains("%00"), "{word}");
        }
    }
    let all = world.get("/api/datasets").await.json()["total"].clone();
    for word in ["%25", "*", "%5c_"] {
        let found = world.get(&format!("/api/datasets?q={word}")).await.json()["total"].clone();
        assert_ne!((word, found), (word, all.clone()), "a search for {word} is not a search for everything");
    }
    let long = "x".repeat(10_000);
    refused(&world, &format!("/api/datasets?q={long}"), &[400]).await;
    let forged = [
        "limit=1000000000",
        "offset=-1",
        "page=-1",
        "page=0",
        "page=1e9",
        "page=99999999999999999999",
        "cursor=eyJpZCI6MX0",
        "page=1&page=2",
        "page=%31%00",
    ];
    for query in forged {
        refused(&world, &format!("/api/datasets?{query}"), &[400]).await;
    }
    let file = ["limit=-1", "limit=99999999999999999999", "offset=-1", "limit=1&limit=2", "offset=x"];
    for query in file {
        refused(&world, &format!("/datasets/street-trees.csv?{query}"), &[400]).await;
    }
}

/// H10
#[tokio::test]
async fn an_address_has_an_end() {
    let world = World::new().await;
    let long = format!("/sql?q=SELECT+'{}'", "x".repeat(60_000));
    let answer = refused(&world, &long, &[414]).await;
    assert_eq!(answer.json()["code"], "uri_too_long");
    let fits = format!("/sql?q=SELECT+'{}'", "x".repeat(15_000));
    assert_eq!(world.get(&fits).await.status, StatusCode::OK);
}
