//! Limits of requests and of work, for whoever really asks.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::body::Body;
use http::{Request, StatusCode};
use portico_model::dataset::DatasetMetadata;
use portico_model::limits::Limits;
use portico_model::name::DatasetName;

use crate::accept::Peer;
use crate::client::TrustedProxies;
use crate::site::SiteSettings;
use crate::testing::{NOW_MS, World};

const BURST: usize = 2_000;

/// A world behind the proxies of 10.0.0.0/8, whose clock stands until it is moved.
async fn world(limits: Limits) -> (World, Arc<AtomicI64>) {
    let clock = Arc::new(AtomicI64::new(NOW_MS));
    let read = Arc::clone(&clock);
    let trusted_proxies = TrustedProxies::parse(&["10.0.0.0/8".to_owned()]).unwrap();
    let settings = SiteSettings { trusted_proxies, ..SiteSettings::default() };
    let metadata = DatasetMetadata::named(DatasetName::parse("street-trees").unwrap());
    let clock_of_world = Arc::new(move || read.load(Ordering::Relaxed));
    (World::built(settings, metadata, limits, clock_of_world).await, clock)
}

/// How many of `requests` from these peers, with these headers, are answered.
async fn answered(
    world: &World,
    requests: usize,
    from: impl Fn(usize) -> (String, Vec<(&'static str, String)>),
) -> usize {
    let mut answered = 0;
    for number in 0..requests {
        let (peer, headers) = from(number);
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let answer = world.ask_from(&peer, "/robots.txt", &headers).await;
        match answer.status {
            StatusCode::OK => answered += 1,
            refused => assert_eq!(refused, StatusCode::TOO_MANY_REQUESTS),
        }
    }
    answered
}

/// An address that looks invented, another for each number.
fn invented(number: usize) -> String {
    let bits = u32::try_from(number).unwrap().wrapping_mul(2_654_435_761);
    std::net::Ipv4Addr::from_bits(bits | 0x4000_0000).to_string()
}

#[tokio::test]
async fn invented_addresses_share_one_bucket() {
    let (world, _) = world(Limits::default()).await;
    let from = |number: usize| {
        let invented = invented(number);
        let headers = vec![
            ("x-forwarded-for", invented.clone()),
            ("x-real-ip", invented.clone()),
            ("forwarded", format!("for={invented}")),
        ];
        ("203.0.113.5".to_owned(), headers)
    };
    assert_eq!(answered(&world, 10_000, from).await, BURST);
}

#[tokio::test]
async fn each_client_of_a_trusted_proxy_has_its_own_bucket() {
    let (world, _) = world(Limits { http: small(20), ..Limits::default() }).await;
    let from = |number: usize| {
        let client = format!("{}, 203.0.113.{}, 10.1.1.1", invented(number), number % 100);
        ("10.0.0.7".to_owned(), vec![("x-forwarded-for", client)])
    };
    assert_eq!(answered(&world, 10_000, from).await, 100 * 20);
}

#[tokio::test]
async fn a_sweep_of_an_ipv6_network_is_one_bucket() {
    let (world, _) = world(Limits::default()).await;
    let from = |number: usize| (format!("2001:db8:1:2:{number:x}::{number:x}"), Vec::new());
    assert_eq!(answered(&world, 10_000, from).await, BURST);
    assert_eq!(world.ask_from("2001:db8:1:3::1", "/robots.txt", &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_refusal_says_when_to_come_back_and_time_gives_more() {
    let (world, clock) = world(Limits { http: small(20), ..Limits::default() }).await;
    let from = |_| ("203.0.113.5".to_owned(), Vec::new());
    assert_eq!(answered(&world, 30, from).await, 20);
    let refused = world.ask_from("203.0.113.5", "/robots.txt", &[]).await;
    assert_eq!((refused.header("retry-after"), refused.json()["code"].as_str()), ("1", Some("too_many_requests")));
    assert_eq!(refused.header("ratelimit"), "\"requests\";r=0;t=1");
    assert_eq!(refused.header("ratelimit-policy"), "\"requests\";q=20;w=2");
    assert_eq!(refused.header("cache-control"), "no-store");
    for probe in ["/healthz", "/readyz"] {
        assert_ne!(world.ask_from("203.0.113.5", probe, &[]).await.status, StatusCode::TOO_MANY_REQUESTS, "{probe}");
    }
    clock.fetch_add(1_000, Ordering::Relaxed);
    assert_eq!(answered(&world, 30, from).await, 10);
}

#[tokio::test]
async fn requests_under_way_have_a_share() {
    let mut limits = Limits::default();
    limits.http.requests_per_address = 2;
    let (world, _) = world(limits).await;
    let first = world.begin_from("203.0.113.5", "/robots.txt").await;
    let second = world.begin_from("203.0.113.5", "/robots.txt").await;
    let third = world.ask_from("203.0.113.5", "/robots.txt", &[]).await;
    assert_eq!((third.status, third.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "5"));
    assert_eq!(world.ask_from("203.0.113.6", "/robots.txt", &[]).await.status, StatusCode::OK);
    drop(first);
    assert_eq!(world.ask_from("203.0.113.5", "/robots.txt", &[]).await.status, StatusCode::OK);
    drop(second);
}

#[tokio::test]
async fn grpc_calls_are_counted_too() {
    let (world, _) = world(Limits { http: small(10), ..Limits::default() }).await;
    let mut refused = 0;
    for _ in 0..15 {
        let call = Request::post("/arrow.flight.protocol.FlightService/Nothing")
            .header("host", "data.example")
            .header("content-type", "application/grpc");
        let mut call = call.body(Body::empty()).unwrap();
        call.extensions_mut().insert(Peer { address: [203, 0, 113, 5].into(), tls: false });
        refused += usize::from(world.send(call).await.header("grpc-status") == "8");
    }
    assert_eq!(refused, 5);
}

#[tokio::test]
async fn work_is_counted_when_it_is_done_and_files_are_not_work() {
    let mut limits = Limits::default();
    (limits.query.work_ms_per_s, limits.query.work_burst_ms) = (1_000, 2 * crate::testing::ELAPSED_MS);
    let (world, clock) = world(limits).await;
    let ask = async |uri: &str| world.ask_from("203.0.113.5", uri, &[]).await;
    assert_eq!(ask("/sql?q=SELECT+1").await.status, StatusCode::OK);
    assert_eq!(ask("/sql?q=SELECT+2").await.status, StatusCode::OK);
    let refused = ask("/sql?q=SELECT+3").await;
    assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1"));
    assert_eq!(ask("/sql/explain?q=SELECT+3").await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(ask("/datasets/street-trees.csv").await.status, StatusCode::OK);
    assert_eq!(world.ask_from("203.0.113.6", "/sql?q=SELECT+3", &[]).await.status, StatusCode::OK);
    clock.fetch_add(1_000, Ordering::Relaxed);
    assert_eq!(ask("/sql?q=SELECT+3").await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_proxy_says_scheme_and_host() {
    let (world, _) = world(Limits::default()).await;
    let said =
        [("x-forwarded-for", "203.0.113.5"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "data.city.example")];
    let page = world.ask_from("10.0.0.7", "/datasets/street-trees", &said).await;
    assert!(page.text().contains("https://data.city.example/datasets/street-trees.csv"));
    assert!(!page.header("strict-transport-security").is_empty());
    let stranger = world.ask_from("203.0.113.5", "/datasets/street-trees", &said).await;
    assert!(stranger.text().contains("http://data.example/datasets/street-trees.csv"));
    assert!(stranger.header("strict-transport-security").is_empty() && !stranger.text().contains("city.example"));
}

fn small(burst: u64) -> portico_model::limits::HttpLimits {
    portico_model::limits::HttpLimits { requests_per_s: 10, requests_burst: burst, ..Limits::default().http }
}

#[tokio::test]
async fn an_address_asks_for_so_many_datasets_an_hour() {
    let mut limits = Limits::default();
    limits.requests.per_address_hour = 2;
    let (world, clock) = world(limits).await;
    let ask = async |address: &str, title: usize| {
        let body = format!("{{\"title\":\"wish {title}\"}}");
        let mut request = Request::post("/api/requests")
            .header("host", "data.example")
            .header("content-type", "application/json")
            .body(Body::from(body))
            .unwrap();
        request.extensions_mut().insert(Peer { address: address.parse().unwrap(), tls: false });
        world.send(request).await
    };
    for title in 0..2 {
        assert_eq!(ask("203.0.113.5", title).await.status, StatusCode::CREATED);
    }
    clock.fetch_add(1_800_000, Ordering::Relaxed);
    let refused = ask("203.0.113.5", 3).await;
    assert_eq!((refused.status, refused.header("retry-after")), (StatusCode::TOO_MANY_REQUESTS, "1800"));
    assert_eq!(ask("203.0.113.6", 4).await.status, StatusCode::CREATED);
    clock.fetch_add(1_800_000, Ordering::Relaxed);
    assert_eq!(ask("203.0.113.5", 5).await.status, StatusCode::CREATED);
    assert_eq!(world.site.staff.publisher.shown_requests().await.unwrap(), []);
}

#[tokio::test]
async fn requests_that_nobody_reads_have_an_end() {
    let mut limits = Limits::default();
    limits.requests.unread = 1;
    let (world, _) = world(limits).await;
    let ask = async |title: &str| {
        let request = Request::post("/api/requests").header("content-type", "application/json");
        world.send(request.body(Body::from(format!("{{\"title\":\"{title}\"}}"))).unwrap()).await
    };
    assert_eq!(ask("one").await.status, StatusCode::CREATED);
    let full = ask("two").await;
    assert_eq!((full.status, full.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "3600"));
}
