//! Signing in at an identity provider: one in memory, whose answers can be wrong in every way.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use http::StatusCode;
use openidconnect::core::{CoreEdDsaPrivateSigningKey, CoreHmacKey, CoreJwsSigningAlgorithm};
use openidconnect::{JsonWebKeyId, PrivateSigningKey as _};
use portico_model::dataset::DatasetMetadata;
use portico_model::limits::Limits;
use portico_model::name::DatasetName;
use portico_model::policy::{Role, Scope};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::sessions::{cookie, send};
use crate::identity::{Duty, Fetch, FetchError, Provider, ProviderSettings};
use crate::site::SiteSettings;
use crate::staff::Staff;
use crate::testing::{Answered, NOW_MS, World};

const ISSUER: &str = "https://login.example";
const SECRET: &str = "the secret of the portal";
const NOW_S: i64 = NOW_MS / 1000;

/// A key pair, made of a seed.
fn key(seed: u8) -> CoreEdDsaPrivateSigningKey {
    let mut der = vec![0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
    der.extend([seed; 32]);
    let body = BASE64_STANDARD.encode(der);
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, Some(JsonWebKeyId::new(format!("key-{seed}")))).unwrap()
}

/// How an ID token is signed.
#[derive(Clone, Copy)]
enum Signed {
    By(u8),
    /// By one key, with the name of another.
    ByAs(u8, u8),
    WithSecret,
    Not,
}

/// What the provider would say.
struct Says {
    /// Keys that it lists.
    keys: Vec<u8>,
    signed: Signed,
    claims: Value,
    id_token: bool,
    answers: bool,
    issuer: &'static str,
    /// Where it has people sent.
    authorize: &'static str,
    /// Whether all its keys have the name of the first.
    one_name: bool,
    /// The authorization request that it has seen.
    asked: Option<Url>,
    /// How often its keys were read.
    read: u32,
}

impl Says {
    fn token(&self) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let (algorithm, kid) = match self.signed {
            Signed::By(seed) | Signed::ByAs(_, seed) => ("EdDSA", Some(format!("key-{seed}"))),
            Signed::WithSecret => ("HS256", None),
            Signed::Not => ("none", None),
        };
        let input = format!("{}.{}", part(&json!({ "alg": algorithm, "kid": kid })), part(&self.claims));
        let signature = match self.signed {
            Signed::By(seed) | Signed::ByAs(seed, _) => {
                key(seed).sign(&CoreJwsSigningAlgorithm::EdDsa, input.as_bytes()).unwrap()
            }
            Signed::WithSecret => {
                CoreHmacKey::new(SECRET).sign(&CoreJwsSigningAlgorithm::HmacSha256, input.as_bytes()).unwrap()
            }
            Signed::Not => Vec::new(),
        };
        format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
    }

    fn answer(&mut self, request: &http::Request<Vec<u8>>) -> (u16, Value) {
        match request.uri().path() {
            "/.well-known/openid-configuration" => (
                200,
                json!({
                    "issuer": self.issuer, "authorization_endpoint": self.authorize,
                    "token_endpoint": format!("{ISSUER}/token"), "jwks_uri": format!("{ISSUER}/keys"),
                    "response_types_supported": ["code"], "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["EdDSA"],
                }),
            ),
            "/keys" => {
                self.read += 1;
                let listed = |seed: &u8| {
                    let mut key = serde_json::to_value(key(*seed).as_verification_key()).unwrap();
                    if self.one_name {
                        key["kid"] = "key-1".into();
                    }
                    key
                };
                (200, json!({ "keys": self.keys.iter().map(listed).collect::<Vec<_>>() }))
            }
            _ => self.exchange(request),
        }
    }

    /// The code is worth something only with the verifier that the request was made for, and the portal's secret.
    fn exchange(&self, request: &http::Request<Vec<u8>>) -> (u16, Value) {
        let field = |name: &str, of: &[u8]| {
            url::form_urlencoded::parse(of).find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
        };
        let asked = self.asked.as_ref().unwrap().query().unwrap().as_bytes();
        let verifier = field("code_verifier", request.body()).unwrap_or_default();
        let basic = request.headers()["authorization"].to_str().unwrap().strip_prefix("Basic ").unwrap();
        let told = String::from_utf8(BASE64_STANDARD.decode(basic).unwrap()).unwrap();
        let good = field("code_challenge_method", asked).as_deref() == Some("S256")
            && field("code_challenge", asked) == Some(BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(verifier)))
            && field("redirect_uri", asked) == field("redirect_uri", request.body())
            && field("code", request.body()).as_deref() == Some("code")
            && told.replace('+', "%20") == format!("portico:{}", SECRET.replace(' ', "%20"));
        if !good {
            return (400, json!({ "error": "invalid_grant" }));
        }
        let mut answer = json!({ "access_token": "x", "token_type": "Bearer" });
        if self.id_token {
            answer["id_token"] = self.token().into();
        }
        (200, answer)
    }
}

/// A portal and its provider.
struct City {
    world: World,
    clock: Arc<AtomicI64>,
    says: Arc<Mutex<Says>>,
}

impl City {
    async fn new() -> Self {
        Self::within(Limits::default()).await
    }

    async fn within(limits: Limits) -> Self {
        let says = Says {
            keys: vec![1],
            signed: Signed::By(1),
            claims: Value::Null,
            id_token: true,
            answers: true,
            issuer: ISSUER,
            authorize: "https://login.example/authorize",
            one_name: false,
            asked: None,
            read: 0,
        };
        let says = Arc::new(Mutex::new(says));
        let heard = Arc::clone(&says);
        let fetch: Fetch = Arc::new(move |request| {
            let mut says = heard.lock().unwrap();
            let (status, body) = says.answer(&request);
            let answer = http::Response::builder().status(status).header("content-type", "application/json");
            let answer = answer.body(body.to_string().into_bytes()).unwrap();
            let answers = says.answers;
            Box::pin(async move { if answers { Ok(answer) } else { Err(FetchError("no route".to_owned())) } })
        });
        let parks = Scope::Only { departments: vec!["Parks".into()], datasets: Vec::new() };
        let settings = ProviderSettings {
            issuer: ISSUER.into(),
            client_id: "portico".into(),
            client_secret: Some(SECRET.into()),
            public_url: "https://data.example/".into(),
            scopes: vec!["email".into()],
            name_claim: "email".into(),
            groups_claim: "groups".into(),
            duties: vec![
                Duty { group: "cios".into(), roles: vec![Role::Cio], scope: Scope::All },
                Duty { group: "parks".into(), roles: vec![Role::Steward], scope: parks },
            ],
        };
        let provider = Provider::new(settings, fetch).unwrap();
        let metadata = DatasetMetadata::named(DatasetName::parse("street-trees").unwrap());
        let with = |staff: Staff| staff.with_provider(provider);
        let clock = Arc::new(AtomicI64::new(NOW_MS));
        let read = Arc::clone(&clock);
        let read = Arc::new(move || read.load(Ordering::SeqCst));
        let world = World::with_staff(SiteSettings::default(), metadata, limits, (read, with)).await;
        Self { world, clock, says }
    }

    /// Begins to sign in; answers the cookie and the state.
    async fn begin(&self) -> (String, String) {
        let sent = send(&self.world, "GET", "/staff/signin/provider", &[], "").await;
        assert_eq!(sent.status, StatusCode::SEE_OTHER, "{}", sent.text());
        let url = Url::parse(sent.header("location")).unwrap();
        assert!(url.as_str().starts_with("https://login.example/authorize?"));
        let said = |name: &str| url.query_pairs().find(|(own, _)| own == name).unwrap().1.into_owned();
        assert_eq!((said("response_type").as_str(), said("scope").as_str()), ("code", "openid email"));
        assert_eq!(said("redirect_uri"), "https://data.example/staff/signin/callback");
        let line = sent.headers["set-cookie"].to_str().unwrap();
        assert!(line.ends_with("; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=600"), "{line}");
        let attempt = cookie(&sent, "__Host-portico-attempt").unwrap();
        let mut says = self.says.lock().unwrap();
        says.claims = json!({
            "iss": ISSUER, "aud": "portico", "sub": "u-1", "exp": NOW_S + 300, "iat": NOW_S, "nonce": said("nonce"),
            "email": "Ana.Lopez@city.example", "email_verified": true, "groups": ["staff", "parks"],
        });
        let state = said("state");
        says.asked = Some(url);
        (format!("__Host-portico-attempt={attempt}"), state)
    }

    async fn back(&self, cookie: &str, query: &str) -> Answered {
        send(&self.world, "GET", &format!("/staff/signin/callback?{query}"), &[("cookie", cookie)], "").await
    }

    /// Goes the whole way, after `change` has changed what the provider says.
    async fn sign_in(&self, change: impl FnOnce(&mut Says)) -> Answered {
        let (cookie, state) = self.begin().await;
        change(&mut self.says.lock().unwrap());
        self.back(&cookie, &format!("code=code&state={state}&session_state=x")).await
    }

    async fn refused(&self, change: impl FnOnce(&mut Says)) -> (u16, String) {
        let answer = self.sign_in(change).await;
        assert_eq!(cookie(&answer, "__Host-portico"), None);
        (answer.status.as_u16(), answer.json()["detail"].as_str().unwrap().to_owned())
    }
}

#[tokio::test]
async fn whoever_is_in_a_group_signs_in_with_its_duties() {
    let city = City::new().await;
    let signed_in = city.sign_in(|_| {}).await;
    assert_eq!((signed_in.status, signed_in.header("location")), (StatusCode::SEE_OTHER, "/staff"));
    assert_eq!(cookie(&signed_in, "__Host-portico-attempt").as_deref(), Some(""));
    let shown = format!("__Host-portico={}", cookie(&signed_in, "__Host-portico").unwrap());
    let who = send(&city.world, "GET", "/api/staff/whoami", &[("cookie", &shown)], "").await.json();
    assert_eq!((who["name"].as_str(), &who["roles"]), (Some("ana.lopez@city.example"), &json!(["steward"])));
    assert_eq!(who["scope"], json!({ "only": { "departments": ["Parks"], "datasets": [] } }));
    let kept = city.world.site.store.catalog.sessions().await.unwrap();
    assert_eq!(kept[0].origin, portico_store::SessionOrigin::Provider("u-1".into()));
    // Within the skew of clocks, and with the one audience in a list.
    let late = city.sign_in(|says| {
        says.claims["exp"] = (NOW_S - 30).into();
        says.claims["iat"] = (NOW_S + 30).into();
        says.claims["nbf"] = (NOW_S + 30).into();
        says.claims["aud"] = json!(["portico"]);
        says.claims["azp"] = "portico".into();
    });
    assert_eq!(late.await.status, StatusCode::SEE_OTHER);
}

/// What the provider says otherwise.
type Change = Box<dyn FnOnce(&mut Says)>;

#[tokio::test]
async fn an_id_token_that_is_not_good_signs_nobody_in() {
    let set = |name: &'static str, value: Value| move |says: &mut Says| says.claims[name] = value;
    let city = City::new().await;
    let checks: Vec<(&str, Change)> = vec![
        ("no signature", Box::new(|says| says.signed = Signed::Not)),
        ("a shared secret", Box::new(|says| says.signed = Signed::WithSecret)),
        ("another's key", Box::new(|says| says.signed = Signed::ByAs(2, 1))),
        ("a key that is not listed", Box::new(|says| says.signed = Signed::By(2))),
        ("another issuer", Box::new(set("iss", "https://login.example.evil.example".into()))),
        ("another audience", Box::new(set("aud", "other".into()))),
        ("one audience more", Box::new(set("aud", json!(["portico", "other"])))),
        ("another party", Box::new(set("azp", "other".into()))),
        ("another nonce", Box::new(set("nonce", "x".into()))),
        ("no nonce", Box::new(|says| drop(says.claims.as_object_mut().unwrap().remove("nonce")))),
        ("too old", Box::new(set("exp", (NOW_S - 61).into()))),
        ("made long ago", Box::new(set("iat", (NOW_S - 700).into()))),
        ("made in the future", Box::new(set("iat", (NOW_S + 61).into()))),
        ("not good yet", Box::new(set("nbf", (NOW_S + 61).into()))),
        ("no ID token", Box::new(|says| says.id_token = false)),
    ];
    for (what, change) in checks {
        let (status, detail) = city.refused(change).await;
        assert!(status == 403 && detail.contains("not good"), "{what}: {status} {detail}");
        let mut says = city.says.lock().unwrap();
        (says.signed, says.id_token) = (Signed::By(1), true);
    }
    assert_eq!(city.sign_in(|_| {}).await.status, StatusCode::SEE_OTHER);
}

#[tokio::test]
async fn whoever_has_no_duties_here_is_refused() {
    let city = City::new().await;
    let set = |name: &'static str, value: Value| move |says: &mut Says| says.claims[name] = value;
    for (change, told) in [
        (set("groups", json!([])), "in no group"),
        (set("groups", json!(["Parks", "admins"])), "in no group"),
        (set("groups", json!({ "parks": true })), "in no group"),
        (set("groups", Value::Null), "in no group"),
        (set("email_verified", false.into()), "verified"),
        (set("email_verified", Value::Null), "verified"),
        (set("email", Value::Null), "your name"),
        (set("email", "ana\u{202e} lopez@x".into()), "cannot be used"),
    ] {
        let (status, detail) = city.refused(change).await;
        assert!(status == 403 && detail.contains(told), "{told}: {status} {detail}");
    }
    assert!(city.world.site.store.catalog.sessions().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_answer_is_for_the_browser_that_asked() {
    let city = City::new().await;
    let (victim, state_of_victim) = city.begin().await;
    let (attacker, state) = city.begin().await;
    let good = format!("code=code&state={state}");
    for (cookie, query) in [
        // Signing somebody in as somebody else: the answer comes to a browser that did not ask for it.
        ("", good.as_str()),
        (&victim, &good),
        ("__Host-portico-attempt=x", &good),
        (&attacker, "code=code&state="),
        (&attacker, "code=code"),
        (&attacker, &format!("state={state}")),
        (&attacker, &format!("code=code&state={state}&state={state}")),
        (&attacker, ""),
        // Who has begun nothing has us write nothing down, either.
        (&attacker, "error=access_denied"),
        ("", &format!("error=access_denied&state={state}")),
        (&victim, &format!("error=access_denied&state={state}")),
    ] {
        let answer = city.back(cookie, query).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{query}: {}", answer.text());
    }
    // A stolen code is worth nothing with another verifier.
    let stolen = city.back(&victim, &format!("code=code&state={state_of_victim}")).await;
    assert_eq!(stolen.status, StatusCode::FORBIDDEN);
    let denied = format!("error=access_denied&error_description=%3Cb%3E&state={state}");
    for query in [format!("{good}&iss=https://evil.example"), denied] {
        let answer = city.back(&attacker, &query).await;
        assert_eq!(answer.status, StatusCode::FORBIDDEN, "{query}");
        assert!(!answer.text().contains("access_denied") && !answer.text().contains("<b>"));
    }
    let good = city.back(&attacker, &format!("{good}&iss=https://login.example")).await;
    assert_eq!(good.status, StatusCode::SEE_OTHER, "{}", good.text());
    // An attempt has its time.
    let (late, state) = city.begin().await;
    city.clock.store(NOW_MS + 10 * 60 * 1000, Ordering::SeqCst);
    assert_eq!(city.back(&late, &format!("code=code&state={state}")).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn new_keys_are_read_and_not_too_often() {
    let city = City::new().await;
    assert_eq!(city.sign_in(|_| {}).await.status, StatusCode::SEE_OTHER);
    assert_eq!(city.sign_in(|_| {}).await.status, StatusCode::SEE_OTHER);
    let read = || city.says.lock().unwrap().read;
    assert_eq!(read(), 1);
    let rotate = |says: &mut Says| (says.keys, says.signed) = (vec![2], Signed::By(2));
    for _ in 0..3 {
        assert_eq!(city.sign_in(rotate).await.status, StatusCode::SEE_OTHER);
    }
    assert_eq!(read(), 2);
    // The old key is not believed any more, and whoever comes with it has nobody ask again for a minute.
    let old = |says: &mut Says| says.signed = Signed::By(1);
    assert_eq!((city.refused(old).await.0, city.refused(old).await.0, read()), (403, 403, 2));
    city.clock.store(NOW_MS + 61_000, Ordering::SeqCst);
    assert_eq!((city.refused(old).await.0, city.refused(old).await.0, read()), (403, 403, 3));
    // What was said is believed for an hour.
    assert_eq!(city.sign_in(rotate).await.status, StatusCode::SEE_OTHER);
    assert_eq!(read(), 3);
}

#[tokio::test]
async fn a_new_key_with_the_name_of_the_old_one_is_read() {
    for keys in [vec![2], vec![1, 2]] {
        let city = City::new().await;
        city.says.lock().unwrap().one_name = true;
        assert_eq!(city.sign_in(|_| {}).await.status, StatusCode::SEE_OTHER);
        let read = || city.says.lock().unwrap().read;
        let alone = keys.len() == 1;
        let signed_in = city.sign_in(|says| (says.keys, says.signed) = (keys, Signed::ByAs(2, 1))).await;
        assert_eq!((signed_in.status == StatusCode::SEE_OTHER, read()), (alone, 2));
        // Two keys of one name are none; the next time there is one again.
        city.clock.store(NOW_MS + 61_000, Ordering::SeqCst);
        let then = city.sign_in(|says| (says.keys, says.signed) = (vec![3], Signed::ByAs(3, 1))).await;
        assert_eq!((then.status, read()), (StatusCode::SEE_OTHER, 3));
    }
}

#[tokio::test]
async fn people_are_sent_to_no_address_without_tls() {
    let city = City::new().await;
    city.says.lock().unwrap().authorize = "http://login.example/authorize";
    let sent = send(&city.world, "GET", "/staff/signin/provider", &[], "").await;
    assert_eq!((sent.status, cookie(&sent, "__Host-portico-attempt")), (StatusCode::SERVICE_UNAVAILABLE, None));
}

#[tokio::test]
async fn so_many_exchanges_with_the_provider_are_under_way() {
    let mut limits = Limits::default();
    limits.staff.signins = 0;
    let city = City::within(limits).await;
    let sent = send(&city.world, "GET", "/staff/signin/provider", &[], "").await;
    assert_eq!((sent.status, sent.header("retry-after")), (StatusCode::SERVICE_UNAVAILABLE, "10"));
    assert_eq!(city.says.lock().unwrap().read, 0);
}

#[tokio::test]
async fn a_provider_that_does_not_answer_is_not_our_fault() {
    let city = City::new().await;
    assert_eq!(city.refused(|says| says.answers = false).await.0, 503);
    city.says.lock().unwrap().answers = true;
    assert_eq!(city.sign_in(|_| {}).await.status, StatusCode::SEE_OTHER);
    let other = City::new().await;
    other.says.lock().unwrap().issuer = "https://evil.example";
    let ask = || send(&other.world, "GET", "/staff/signin/provider", &[], "");
    let refused = ask().await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!refused.text().contains("evil"));
    // Those who come at that time do not wait for it one after the other.
    other.says.lock().unwrap().issuer = ISSUER;
    assert_eq!(ask().await.status, StatusCode::SERVICE_UNAVAILABLE);
    other.clock.store(NOW_MS + 10_000, Ordering::SeqCst);
    assert_eq!(ask().await.status, StatusCode::SEE_OTHER);
    // Where there is none, there is no way to one.
    let none = World::new().await;
    for uri in ["/staff/signin/provider", "/staff/signin/callback?code=x&state=y"] {
        assert_eq!(send(&none, "GET", uri, &[], "").await.status, StatusCode::NOT_FOUND);
    }
    let page = send(&none, "GET", "/staff", &[], "").await;
    assert!(page.text().contains("portico token link") && !page.text().contains("/staff/signin/provider"));
    assert!(send(&city.world, "GET", "/staff", &[], "").await.text().contains("/staff/signin/provider"));
}
