//! What every route has in common, and the API's description.

use std::collections::BTreeSet;

use http::{Method, StatusCode};

use crate::http::service::OPENAPI;
use crate::router;
use crate::testing::World;

#[tokio::test]
async fn the_description_lists_exactly_the_routes() {
    let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap();
    let world = World::new().await;
    let mut described = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let mut methods: BTreeSet<String> =
            operations.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        if methods.contains("GET") {
            // The description says in words that HEAD goes wherever GET goes.
            methods.insert("HEAD".into());
        }
        described.insert((path.clone(), methods));
    }
    let mut served = BTreeSet::new();
    for (pattern, documented) in router::documented() {
        let uri = pattern.replace("{leaf}", "x").replace(['{', '}'], "");
        let refused = world.ask(Method::PATCH, &uri, &[]).await;
        assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED, "{pattern}");
        let mut methods: BTreeSet<String> =
            refused.header("allow").split(',').map(|method| method.trim().to_owned()).collect();
        let options = world.ask(Method::OPTIONS, &uri, &[]).await;
        let allowed: BTreeSet<String> = options.header("allow").split(", ").map(str::to_owned).collect();
        assert_eq!(methods, allowed, "{pattern}");
        assert!(methods.remove("OPTIONS"), "{pattern}");
        served.extend(documented.iter().map(|path| ((*path).to_owned(), methods.clone())));
    }
    assert_eq!(described, served);
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let world = World::new().await;
    let unknown = world.get("/no/such/path").await;
    assert_eq!((unknown.status, unknown.json()["code"].as_str()), (StatusCode::NOT_FOUND, Some("not_found")));
    for method in ["PUT", "TRACE", "PROPFIND", "get"] {
        let refused = world.ask(Method::from_bytes(method.as_bytes()).unwrap(), "/sql", &[]).await;
        assert_eq!(refused.status, StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(refused.json()["code"], "method_not_allowed");
        assert_eq!(refused.header("allow"), "GET,HEAD,POST,OPTIONS");
    }
    let head = world.ask(Method::HEAD, "/no/such/path", &[]).await;
    assert_eq!((head.status, head.text()), (StatusCode::NOT_FOUND, ""));
    assert_ne!(head.header("content-length"), "0");
}

#[tokio::test]
async fn other_sites_may_read_the_data() {
    let world = World::new().await;
    let preflight = world.ask(Method::OPTIONS, "/sql", &[("origin", "https://x.example")]).await;
    assert_eq!(preflight.status, StatusCode::NO_CONTENT);
    assert_eq!(preflight.header("access-control-allow-methods"), "GET, HEAD, POST, OPTIONS");
    assert_eq!(preflight.header("access-control-allow-origin"), "*");
    assert_eq!(preflight.header("access-control-allow-credentials"), "");
    assert_eq!(world.ask(Method::OPTIONS, "/nowhere", &[]).await.status, StatusCode::NOT_FOUND);
    let file = world.get("/datasets/street-trees.csv").await;
    assert!(file.header("access-control-expose-headers").contains("content-range"));
    assert!(file.header("content-security-policy").contains("sandbox"));
}

#[tokio::test]
async fn grpc_goes_through_its_own_door() {
    let world = World::new().await;
    let claims = [("content-type", "application/grpc")];
    let call = world.ask(Method::POST, "/arrow.flight.protocol.FlightService/Nothing", &claims).await;
    assert_eq!((call.status, call.header("grpc-status")), (StatusCode::OK, "12"));
    assert_eq!((call.header("cache-control"), call.header("x-content-type-options")), ("no-store", "nosniff"));
    assert_eq!(call.header("x-request-id").len(), 26);
}

#[tokio::test]
async fn a_content_type_makes_no_other_answer() {
    let world = World::new().await;
    let claims = [("content-type", "application/grpc")];
    for path in ["/", "/datasets/street-trees.csv", "/robots.txt", "/staff", "/api/staff/whoami", "/nowhere"] {
        let (plain, claimed) = (world.get(path).await, world.ask(Method::GET, path, &claims).await);
        assert_eq!((claimed.status, claimed.header("grpc-status")), (plain.status, ""), "{path}");
        for name in ["cache-control", "vary", "content-type", "x-content-type-options", "content-security-policy"] {
            assert_eq!(claimed.header(name), plain.header(name), "{path} {name}");
        }
    }
    for path in ["/sql", "/no.such.Service/Call"] {
        let posted = world.ask(Method::POST, path, &claims).await;
        assert!(
            posted.status.is_client_error() && posted.header("grpc-status").is_empty(),
            "{path}: {}",
            posted.status
        );
        assert_eq!(posted.header("cache-control"), "no-store", "{path}");
    }
}
