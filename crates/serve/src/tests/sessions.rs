//! Sessions at a browser: as good as a token where a page of ours asks, and worth nothing to anybody else.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::body::Body;
use http::{Method, Request, StatusCode};
use portico_model::dataset::DatasetMetadata;
use portico_model::limits::Limits;
use portico_model::name::DatasetName;
use portico_model::policy::{Principal, Role, Scope};
use portico_publish::{Holder, LinkRequest, LinkText};

use super::staff::{Staffed, Who, address, body, concrete, expected, routes, token};
use crate::accept::Peer;
use crate::site::SiteSettings;
use crate::testing::{Answered, NOW_MS, World};

const HOST: &str = "data.example";
const OWN: (&str, &str) = ("origin", "https://data.example");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const MINUTE_MS: i64 = 60_000;

/// Sends a request over TLS, as a browser with these headers.
pub(super) async fn send(world: &World, method: &str, uri: &str, headers: &[(&str, &str)], sent: &str) -> Answered {
    let mut request = Request::builder().method(method).uri(uri).header("host", HOST);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::from(sent.to_owned())).unwrap();
    request.extensions_mut().insert(Peer { address: "203.0.113.5".parse().unwrap(), tls: true });
    world.send(request).await
}

/// The value that an answer sets a cookie to.
pub(super) fn cookie(answer: &Answered, name: &str) -> Option<String> {
    let lines = answer.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
    let pair = lines.filter_map(|line| line.split(';').next()?.split_once('=')).find(|(own, _)| *own == name);
    pair.map(|(_, value)| value.to_owned())
}

async fn link(world: &World, role: Role) -> LinkText {
    let holder = Holder { name: role.as_str().into(), roles: vec![role], scope: Scope::All };
    let operator = Principal::operator("operator");
    let request = LinkRequest { holder, minutes: 15 };
    world.site.staff.publisher.create_link(&operator, request, world.site.now_ms()).await.unwrap().0
}

async fn press(world: &World, link: &LinkText, headers: &[(&str, &str)]) -> Answered {
    let headers: Vec<_> = [OWN, FORM].iter().chain(headers).copied().collect();
    send(world, "POST", "/staff/signin/link", &headers, &format!("link={}", link.reveal())).await
}

/// Somebody signed in at a browser.
struct Browser {
    cookie: String,
    csrf: String,
}

impl Browser {
    async fn new(world: &World, role: Role) -> Self {
        let link = link(world, role).await;
        Self::of(world, &press(world, &link, &[]).await).await
    }

    async fn of(world: &World, answer: &Answered) -> Self {
        let cookie = format!("__Host-portico={}", cookie(answer, "__Host-portico").unwrap());
        let who = send(world, "GET", "/api/staff/whoami", &[("cookie", &cookie)], "").await.json();
        Self { cookie, csrf: who["csrf"].as_str().unwrap().to_owned() }
    }

    /// A request as one of our pages makes it.
    async fn ask(&self, world: &World, method: &str, pattern: &str) -> Answered {
        self.ask_with(world, method, pattern, &[OWN], true).await
    }

    async fn ask_with(
        &self,
        world: &World,
        method: &str,
        pattern: &str,
        more: &[(&str, &str)],
        with_csrf: bool,
    ) -> Answered {
        let (uri, kind) = address(method, &concrete(pattern), pattern);
        let mut sent = if matches!(method, "POST" | "PUT") { body(pattern).to_owned() } else { String::new() };
        let mut headers = vec![("cookie", self.cookie.as_str())];
        if !more.iter().any(|(name, _)| *name == "content-type") {
            headers.push(("content-type", kind));
        }
        headers.extend(more);
        if with_csrf && pattern.starts_with("/staff") {
            sent = format!("csrf={}", self.csrf);
        } else if with_csrf {
            headers.push(("x-portico-csrf", &self.csrf));
        }
        send(world, method, &uri, &headers, &sent).await
    }
}

/// Every route of staff but those of signing in, with its method.
async fn staff_routes(world: &World) -> Vec<(&'static str, String)> {
    let signed_in = |(pattern, method): &(&str, String)| {
        let open = matches!(expected(pattern, method), Some(Who::Browser));
        (pattern.starts_with("/api/staff/") || pattern.starts_with("/staff")) && !open
    };
    routes(world).await.into_iter().filter(signed_in).collect()
}

#[tokio::test]
async fn a_link_is_looked_at_often_and_used_once() {
    let world = World::new().await;
    let link = link(&world, Role::Steward).await;
    let uri = format!("/staff/signin/link?link={}", link.reveal());
    for method in ["GET", "HEAD", "GET"] {
        let page = send(&world, method, &uri, &[], "").await;
        assert_eq!((page.status, page.headers.contains_key("set-cookie")), (StatusCode::OK, false), "{method}");
        assert!(method == "HEAD" || page.text().contains("Sign in as steward"), "{}", page.text());
    }
    let signed_in = press(&world, &link, &[]).await;
    assert_eq!((signed_in.status, signed_in.header("location")), (StatusCode::SEE_OTHER, "/staff"));
    let set: Vec<_> = signed_in.headers.get_all("set-cookie").iter().map(|line| line.to_str().unwrap()).collect();
    assert!(set[0].starts_with("__Host-portico=") && set[0].ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure"));
    let home = Browser::of(&world, &signed_in).await.ask(&world, "GET", "/staff").await;
    assert!(home.text().contains("<strong>steward</strong>") && home.text().contains("everything"));
    for again in [press(&world, &link, &[]).await, send(&world, "GET", &uri, &[], "").await] {
        assert_eq!((again.status, cookie(&again, "__Host-portico")), (StatusCode::NOT_FOUND, None));
    }
    let made_up = LinkText::parse(&"a".repeat(64)).unwrap();
    assert_eq!(press(&world, &made_up, &[]).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn of_two_who_use_a_link_at_once_one_is_let_in() {
    let world = World::new().await;
    for _ in 0..10 {
        let link = link(&world, Role::Cio).await;
        let all = futures::future::join_all((0..4).map(|_| press(&world, &link, &[]))).await;
        let let_in = all.iter().filter(|answer| answer.status == StatusCode::SEE_OTHER).count();
        assert_eq!(let_in, 1);
        assert!(
            all.iter().all(|answer| answer.status == StatusCode::SEE_OTHER || answer.status == StatusCode::NOT_FOUND)
        );
    }
    assert_eq!(world.site.store.catalog.sessions().await.unwrap().len(), 10);
    world.site.store.catalog.verify_audit().await.unwrap();
}

#[tokio::test]
async fn no_other_site_signs_anybody_in() {
    let world = World::new().await;
    let link = link(&world, Role::Steward).await;
    let sent = format!("link={}", link.reveal());
    for headers in [
        vec![FORM],
        vec![FORM, ("origin", "https://evil.example")],
        vec![FORM, ("origin", "null")],
        vec![FORM, ("origin", "http://data.example")],
        vec![FORM, ("sec-fetch-site", "cross-site")],
        vec![FORM, OWN, ("sec-fetch-site", "same-site")],
        vec![FORM, OWN, ("sec-fetch-site", "none")],
    ] {
        let refused = send(&world, "POST", "/staff/signin/link", &headers, &sent).await;
        assert_eq!(refused.status, StatusCode::FORBIDDEN, "{headers:?}");
    }
    let text = send(&world, "POST", "/staff/signin/link", &[OWN, ("content-type", "text/plain")], &sent).await;
    assert_eq!(text.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    // Nobody's cookie goes over a line that others read.
    let mut plain = Request::post("/staff/signin/link").header("host", HOST).header("origin", "http://data.example");
    plain = plain.header(FORM.0, FORM.1);
    let mut plain = plain.body(Body::from(sent)).unwrap();
    plain.extensions_mut().insert(Peer { address: "203.0.113.5".parse().unwrap(), tls: false });
    let plain = world.send(plain).await;
    assert_eq!(plain.status, StatusCode::FORBIDDEN);
    assert!(plain.text().contains("https"));
    // After all that it is still good.
    assert_eq!(press(&world, &link, &[("sec-fetch-site", "same-origin")]).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn whoever_signs_in_gets_a_session_of_their_own() {
    let world = World::new().await;
    let planted = "ab".repeat(32);
    let shown = format!("__Host-portico={planted}");
    let first = press(&world, &link(&world, Role::Steward).await, &[("cookie", &shown)]).await;
    assert_ne!(cookie(&first, "__Host-portico").unwrap(), planted);
    let who = send(&world, "GET", "/api/staff/whoami", &[("cookie", &shown)], "").await;
    assert_eq!(who.status, StatusCode::UNAUTHORIZED);
    // Signing in again ends what was there before, and the new one is another.
    let before = Browser::of(&world, &first).await;
    let second = press(&world, &link(&world, Role::Cio).await, &[("cookie", &before.cookie)]).await;
    let after = Browser::of(&world, &second).await;
    assert_ne!((&after.cookie, &after.csrf), (&before.cookie, &before.csrf));
    assert_eq!(before.ask(&world, "GET", "/api/staff/whoami").await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(after.ask(&world, "GET", "/api/staff/whoami").await.json()["name"], "cio");
}

#[tokio::test]
async fn a_session_may_what_a_token_of_the_same_roles_may() {
    let staffed = Staffed::new().await;
    let world = &staffed.world;
    let mut cells = 0;
    for (role, token) in &staffed.tokens {
        for (pattern, method) in staff_routes(world).await {
            if pattern == "/staff/signout" {
                continue;
            }
            cells += 1;
            let browser = Browser::new(world, *role).await;
            let session = browser.ask(world, &method, pattern).await;
            let token = staffed.ask(&method, pattern, Some(token)).await;
            let told = format!("{method} {pattern} as {}: {} {}", role.as_str(), session.status, session.text());
            assert_eq!(session.status, token.status, "{told}");
            assert!(!session.status.is_server_error(), "{told}");
        }
    }
    assert!(cells > 100, "{cells}");
}

/// F37
#[tokio::test]
async fn a_browser_does_nothing_that_no_page_of_ours_asked_for() {
    let staffed = Staffed::new().await;
    let world = &staffed.world;
    let mut refused = 0;
    for (pattern, method) in staff_routes(world).await {
        if method == "GET" {
            continue;
        }
        let role =
            if pattern.contains("/revisions") || pattern.contains("/versions") { Role::Steward } else { Role::Admin };
        let browser = Browser::new(world, role).await;
        let foreign: [&[(&str, &str)]; 9] = [
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("origin", "http://data.example")],
            &[("origin", "https://data.example:444")],
            &[("origin", "https://data.example.evil.example")],
            &[OWN, ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
            &[],
        ];
        for headers in foreign {
            let answer = browser.ask_with(world, &method, pattern, headers, true).await;
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {pattern} {headers:?}");
            refused += 1;
        }
        // Without the text of the session, or with another's.
        let other = Browser { cookie: browser.cookie.clone(), csrf: Browser::new(world, role).await.csrf };
        for answer in [
            browser.ask_with(world, &method, pattern, &[OWN], false).await,
            other.ask(world, &method, pattern).await,
            Browser { cookie: browser.cookie.clone(), csrf: String::new() }.ask(world, &method, pattern).await,
        ] {
            assert_eq!(answer.status, StatusCode::FORBIDDEN, "{method} {pattern}");
            refused += 1;
        }
        if method != "DELETE" {
            for kind in ["text/plain", "multipart/form-data; boundary=x"] {
                let answer = browser.ask_with(world, &method, pattern, &[OWN, ("content-type", kind)], true).await;
                assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{method} {pattern} {kind}");
                refused += 1;
            }
        }
        // A session that nobody has begun, and two that do not agree.
        let cookies = [format!("__Host-portico={}", "0".repeat(64)), format!("{0}; {0}", browser.cookie)];
        for cookie in cookies {
            let made_up = Browser { cookie, csrf: browser.csrf.clone() };
            assert_eq!(
                made_up.ask(world, &method, pattern).await.status,
                StatusCode::UNAUTHORIZED,
                "{method} {pattern}"
            );
            refused += 1;
        }
        // Nor does an address do what a form does.
        if !routes(world).await.contains(&(pattern, "GET".to_owned())) {
            let answer = browser.ask(world, "GET", pattern).await;
            assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{pattern}");
            refused += 1;
        }
    }
    assert!(refused > 200, "{refused}");
    let catalog = &world.site.store.catalog;
    assert_eq!(catalog.tokens().await.unwrap().len(), Role::ALL.len());
    assert!(catalog.sessions().await.unwrap().iter().all(|session| session.ended_ms.is_none()));
}

#[tokio::test]
async fn what_is_ended_is_refused_at_once() {
    let world = World::new().await;
    let publisher = &world.site.staff.publisher;
    let operator = Principal::operator("operator");
    let who = async |browser: &Browser| browser.ask(&world, "GET", "/api/staff/whoami").await.status;
    let (one, two, admin) = (
        Browser::new(&world, Role::Steward).await,
        Browser::new(&world, Role::Steward).await,
        Browser::new(&world, Role::Admin).await,
    );
    let id = one.ask(&world, "GET", "/api/staff/whoami").await.json()["session"].as_str().unwrap().to_owned();
    assert_eq!(two.ask(&world, "GET", "/api/staff/sessions").await.status, StatusCode::FORBIDDEN);
    let headers = [("cookie", admin.cookie.as_str()), OWN, ("x-portico-csrf", &admin.csrf)];
    let ended = send(&world, "DELETE", &format!("/api/staff/sessions/{id}"), &headers, "").await;
    assert_eq!((ended.status, ended.json()["good"].as_bool()), (StatusCode::OK, Some(false)));
    assert_eq!((who(&one).await, who(&two).await), (StatusCode::UNAUTHORIZED, StatusCode::OK));
    // All of a person's, by themselves or by an administrator; not by anybody else.
    let headers = [("cookie", two.cookie.as_str()), OWN, ("x-portico-csrf", &two.csrf)];
    let others = send(&world, "DELETE", "/api/staff/sessions?name=admin", &headers, "").await;
    assert_eq!(others.status, StatusCode::FORBIDDEN);
    let own = send(&world, "DELETE", "/api/staff/sessions?name=steward", &headers, "").await;
    assert_eq!(own.json()["sessions"].as_array().unwrap().len(), 1);
    assert_eq!(who(&two).await, StatusCode::UNAUTHORIZED);
    // Everybody's, by an administrator alone; and one says whose.
    let (other, admin) = (Browser::new(&world, Role::Steward).await, Browser::new(&world, Role::Admin).await);
    let all = "/api/staff/sessions?all=true";
    let headers = [("cookie", other.cookie.as_str()), OWN, ("x-portico-csrf", &other.csrf)];
    assert_eq!(send(&world, "DELETE", all, &headers, "").await.status, StatusCode::FORBIDDEN);
    let headers = [("cookie", admin.cookie.as_str()), OWN, ("x-portico-csrf", &admin.csrf)];
    for unsaid in ["", "?all=false", "?all=true&name=steward", "?all=perhaps"] {
        let answer = send(&world, "DELETE", &format!("/api/staff/sessions{unsaid}"), &headers, "").await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{unsaid}");
    }
    assert_eq!((who(&other).await, who(&admin).await), (StatusCode::OK, StatusCode::OK));
    let ended = send(&world, "DELETE", all, &headers, "").await;
    assert!(ended.json()["sessions"].as_array().unwrap().len() >= 2);
    assert_eq!((who(&other).await, who(&admin).await), (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED));
    // Signing out, here and everywhere.
    let (here, there) = (Browser::new(&world, Role::Cio).await, Browser::new(&world, Role::Cio).await);
    let out = here.ask(&world, "POST", "/staff/signout").await;
    assert_eq!((out.status, cookie(&out, "__Host-portico").as_deref()), (StatusCode::SEE_OTHER, Some("")));
    assert_eq!((who(&here).await, who(&there).await), (StatusCode::UNAUTHORIZED, StatusCode::OK));
    let third = Browser::new(&world, Role::Cio).await;
    let sent = format!("csrf={}&everywhere=true", there.csrf);
    let headers = [("cookie", there.cookie.as_str()), OWN, FORM];
    assert_eq!(send(&world, "POST", "/staff/signout", &headers, &sent).await.status, StatusCode::SEE_OTHER);
    assert_eq!((who(&there).await, who(&third).await), (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED));
    // A token, too.
    let text = token(&world, Role::Steward, Scope::All).await;
    let bearer = format!("Bearer {text}");
    let shown = [("authorization", bearer.as_str())];
    assert_eq!(send(&world, "GET", "/api/staff/whoami", &shown, "").await.status, StatusCode::OK);
    let id = publisher.tokens(&operator, NOW_MS).await.unwrap()[0].id.clone();
    publisher.revoke_token(&operator, &id, NOW_MS).await.unwrap();
    assert_eq!(send(&world, "GET", "/api/staff/whoami", &shown, "").await.status, StatusCode::UNAUTHORIZED);
    // A bad token is not made good by a good session.
    let mixed = [("authorization", bearer.as_str()), ("cookie", admin.cookie.as_str())];
    assert_eq!(send(&world, "GET", "/api/staff/whoami", &mixed, "").await.status, StatusCode::UNAUTHORIZED);
    world.site.store.catalog.verify_audit().await.unwrap();
}

#[tokio::test]
async fn a_session_ends_by_itself() {
    let clock = Arc::new(AtomicI64::new(NOW_MS));
    let read = Arc::clone(&clock);
    let metadata = DatasetMetadata::named(DatasetName::parse("street-trees").unwrap());
    let read = Arc::new(move || read.load(Ordering::SeqCst));
    let world = World::built(SiteSettings::default(), metadata, Limits::default(), read).await;
    let at = |minutes: i64| clock.store(NOW_MS + minutes * MINUTE_MS, Ordering::SeqCst);
    let who = async |browser: &Browser| browser.ask(&world, "GET", "/api/staff/whoami").await.status;
    let (used, unused) = (Browser::new(&world, Role::Steward).await, Browser::new(&world, Role::Steward).await);
    for minute in (30..8 * 60).step_by(30) {
        at(minute);
        assert_eq!(who(&used).await, StatusCode::OK, "{minute}");
    }
    assert_eq!(who(&unused).await, StatusCode::UNAUTHORIZED);
    at(8 * 60);
    assert_eq!(who(&used).await, StatusCode::UNAUTHORIZED);
    let late = link(&world, Role::Steward).await;
    at(8 * 60 + 15);
    assert_eq!(press(&world, &late, &[]).await.status, StatusCode::NOT_FOUND);
}

/// F38
#[tokio::test]
async fn nothing_for_staff_lies_in_a_cache_or_is_shown_by_another_site() {
    let staffed = Staffed::new().await;
    let world = &staffed.world;
    let browser = Browser::new(world, Role::Steward).await;
    let unused = link(world, Role::Steward).await;
    let mut asked = 0;
    for (pattern, method) in routes(world).await {
        if !(pattern.starts_with("/api/staff/") || pattern.starts_with("/staff")) || pattern == "/staff/signout" {
            continue;
        }
        let link = format!("{pattern}?link={}", unused.reveal());
        let uri = if pattern == "/staff/signin/link" && method == "GET" { link.as_str() } else { pattern };
        let answers = [
            browser.ask(world, &method, uri).await,
            send(world, &method, &concrete(uri), &[("accept", "text/html")], "").await,
            staffed.ask(&method, uri, Some(&staffed.tokens[1].1)).await,
            staffed.ask(&method, uri, Some("bad")).await,
        ];
        for answer in answers {
            asked += 1;
            let told = format!("{method} {uri}: {}", answer.status);
            assert_eq!(answer.header("cache-control"), "private, no-store", "{told}");
            let vary: Vec<_> = answer.headers.get_all("vary").iter().map(|vary| vary.to_str().unwrap()).collect();
            assert!(vary.contains(&"cookie") && vary.contains(&"authorization"), "{told}");
            for (name, value) in [
                ("cross-origin-resource-policy", "same-origin"),
                ("cross-origin-opener-policy", "same-origin"),
                ("x-content-type-options", "nosniff"),
                ("x-frame-options", "DENY"),
                ("referrer-policy", "same-origin"),
            ] {
                assert_eq!(answer.header(name), value, "{told} {name}");
            }
            assert!(!answer.headers.keys().any(|name| name.as_str().starts_with("access-control")), "{told}");
            assert!(!answer.headers.contains_key("etag"), "{told}");
            let policy = answer.header("content-security-policy");
            assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{told}: {policy}");
            assert!(policy.contains("frame-ancestors 'none'"), "{told}: {policy}");
            if answer.header("content-type").starts_with("text/html") {
                assert!(policy.contains("form-action 'self'") && !policy.contains("http"), "{told}: {policy}");
                let page = answer.text();
                for absent in
                    ["<script", " style=", " onclick", "src=\"http", "href=\"http", "action=\"http", "<iframe"]
                {
                    assert!(!page.contains(absent), "{told} {absent}");
                }
            }
        }
    }
    assert!(asked > 100, "{asked}");
}

/// F25
#[tokio::test]
async fn what_is_public_is_the_same_for_whoever_is_signed_in() {
    let world = World::new().await;
    let browser = Browser::new(&world, Role::Admin).await;
    let own = |answer: &Answered| {
        let mut headers: Vec<_> = answer.headers.iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
        headers.retain(|line| !line.starts_with("x-request-id") && !line.starts_with("x-portico-query-id"));
        let id = answer.header("x-request-id").to_owned();
        (answer.status, headers, String::from_utf8_lossy(answer.body.as_deref().unwrap_or_default()).replace(&id, "ID"))
    };
    for uri in [
        "/",
        "/datasets/street-trees",
        "/datasets/street-trees.csv",
        "/datasets/secret-plan",
        "/api/datasets",
        "/docs/problems",
    ] {
        send(&world, "GET", uri, &[], "").await;
        let nobody = send(&world, "GET", uri, &[], "").await;
        let member = send(&world, "GET", uri, &[("cookie", &browser.cookie)], "").await;
        assert_eq!(own(&member), own(&nobody), "{uri}");
        assert!(!member.headers.contains_key("set-cookie") && !member.header("vary").contains("cookie"), "{uri}");
    }
    let preflight = world.ask(Method::OPTIONS, "/staff/signout", &[("origin", "https://evil.example")]).await;
    assert!(!preflight.headers.keys().any(|name| name.as_str().starts_with("access-control")));
}
