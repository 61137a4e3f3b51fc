//! A whole server in one process: memory storage, an SQLite catalog in memory, a clock that the test sets, the real engine on
//! an in-process channel, the real router.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::body::Body;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use portico_engine::WorkerSettings;
use portico_intake::dictionary::Dictionary;
use portico_intake::options::ReadOptions;
use portico_model::dataset::{DatasetMetadata, Requirement};
use portico_model::limits::Limits;
use portico_model::name::{DatasetName, VersionRef};
use portico_model::policy::Principal;
use portico_publish::{Publisher, Revision, StageRequest};
use portico_query::questions::Questions;
use portico_query::workers::{Launcher, Workers};
use portico_serve::{Site, SiteSettings, Staff};
use portico_store::{Catalog, Storage, Store};
use tower::ServiceExt as _;

/// 2026-01-02T03:04:05Z, until a test says otherwise.
pub(crate) const NOW_MS: i64 = 1_767_323_045_000;

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) publisher: Publisher,
    pub(crate) operator: Principal,
    pub(crate) questions: Questions,
    router: axum::Router,
    clock: Arc<AtomicI64>,
    scratch: tempfile::TempDir,
}

/// An answer with its body read to the end.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(Limits::default()).await
    }

    pub(crate) async fn with(limits: Limits) -> Self {
        let storage = Storage::open("memory:///", &BTreeMap::new()).unwrap();
        let store = Store { storage, catalog: Catalog::open("sqlite::memory:").await.unwrap() };
        Self::over(store, limits).await
    }

    /// A server of a town in which one person may do it all, or not.
    pub(crate) async fn with_separate_duties(separate: bool) -> Self {
        let storage = Storage::open("memory:///", &BTreeMap::new()).unwrap();
        let store = Store { storage, catalog: Catalog::open("sqlite::memory:").await.unwrap() };
        Self::built(store, Limits::default(), separate).await
    }

    /// A server over a store that is there already.
    pub(crate) async fn over(store: Store, limits: Limits) -> Self {
        Self::built(store, limits, true).await
    }

    async fn built(store: Store, limits: Limits, separate: bool) -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let directory = |name: &str| {
            let path = scratch.path().join(name);
            std::fs::create_dir(&path).unwrap();
            path
        };
        let settings = WorkerSettings {
            scratch: directory("worker"),
            threads: 2,
            footer_cache_bytes: 1 << 20,
            memory_bytes: 0,
            spill_bytes: 0,
        };
        let connect = portico_engine::in_process(settings).unwrap();
        let launcher = Launcher::Connect(Arc::new(move || {
            let channel = connect();
            Box::pin(async { Ok(channel.await) })
        }));
        let workers = Workers::start(launcher, &limits.query);
        assert!(workers.wait_ready(std::time::Duration::from_secs(30)).await);
        let questions = Questions::new(store.clone(), workers, limits.clone(), directory("spool"));
        let program = env!("CARGO_BIN_EXE_portico").into();
        let publisher = Publisher::new(store.clone(), limits.intake.clone(), program, directory("intake"));
        // Most tables of the tests have columns that nobody describes.
        let required = [Requirement::Steward, Requirement::License, Requirement::Description];
        let publisher = publisher.with_separate_duties(separate).requiring(&required);
        let clock = Arc::new(AtomicI64::new(NOW_MS));
        let time = Arc::clone(&clock);
        let staff = Staff::new(publisher.clone(), &limits.staff);
        let site = Site {
            store: store.clone(),
            questions: questions.clone(),
            staff,
            limits,
            settings: SiteSettings {
                title: "Test".to_owned(),
                public_url: Some("https://data.example".to_owned()),
                ..SiteSettings::default()
            },
            clock: Arc::new(move || time.load(Ordering::SeqCst)),
        };
        let router = portico_serve::router(Arc::new(site));
        Self { store, publisher, operator: Principal::operator("operator"), questions, router, clock, scratch }
    }

    /// What the server's clock shows from now on, in milliseconds since 1970.
    pub(crate) fn set_clock(&self, now_ms: i64) {
        self.clock.store(now_ms, Ordering::SeqCst);
    }

    /// Where the server keeps what it works with.
    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Where files lie while they are read.
    pub(crate) fn intake(&self) -> PathBuf {
        self.scratch.path().join("intake")
    }

    /// The road in as far as it goes by itself.
    pub(crate) async fn screen(&self, dataset: &str, file_name: &str, bytes: &[u8], dictionary: &str) -> Revision {
        let staged = self.stage(dataset, file_name, bytes, dictionary).await;
        self.publisher.screen(&self.operator, &staged.id, NOW_MS, |_| {}).await.unwrap()
    }

    /// The first step of the road in.
    pub(crate) async fn stage(&self, dataset: &str, file_name: &str, bytes: &[u8], dictionary: &str) -> Revision {
        let path = self.scratch.path().join("upload");
        std::fs::File::create(&path).unwrap().write_all(bytes).unwrap();
        let metadata = DatasetMetadata {
            title: format!("The {dataset}"),
            description: format!("What the city knows of {dataset}"),
            steward_email: "steward@city.example".to_owned(),
            license: "CC0-1.0".to_owned(),
            ..DatasetMetadata::named(DatasetName::parse(dataset).unwrap())
        };
        let dictionary = (!dictionary.is_empty()).then(|| Dictionary::from_toml(dictionary).unwrap());
        let options = ReadOptions { dictionary, ..ReadOptions::named(file_name) };
        let request = StageRequest { metadata, file: path, options };
        self.publisher.stage(&self.operator, request, NOW_MS).await.unwrap()
    }

    /// The whole road in; the file must not be blocked.
    pub(crate) async fn publish(&self, dataset: &str, file_name: &str, bytes: &[u8]) -> VersionRef {
        let screened = self.screen(dataset, file_name, bytes, "").await;
        self.release(&screened).await
    }

    pub(crate) async fn release(&self, screened: &Revision) -> VersionRef {
        let digest = screened.digest.clone().unwrap();
        self.publisher.approve(&self.operator, &screened.id, &digest, NOW_MS).await.unwrap();
        self.publisher.release(&self.operator, &screened.id, NOW_MS).await.unwrap()
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> Reply {
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = answer.into_parts();
        let body = body.collect().await.unwrap().to_bytes().to_vec();
        if head.status.is_client_error() || head.status.is_server_error() {
            crate::hygiene::check(&String::from_utf8_lossy(&body));
        }
        Reply { status: head.status, headers: head.headers, body }
    }

    /// As [`World::get_with`], for answers that may break: `None` when the body does.
    pub(crate) async fn try_get(&self, path: &str, headers: &[(&str, &str)]) -> Option<(StatusCode, Vec<u8>)> {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = self.router.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        let (head, body) = answer.into_parts();
        Some((head.status, body.collect().await.ok()?.to_bytes().to_vec()))
    }

    /// Status and text of an answer whose problem the test judges itself.
    pub(crate) async fn send_unjudged(&self, request: Request<Body>) -> (u16, String) {
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
        (status, String::from_utf8_lossy(&body).into_owned())
    }

    /// The router itself, for a client that speaks gRPC.
    pub(crate) fn router(&self) -> axum::Router {
        self.router.clone()
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.get_with(path, &[]).await
    }

    pub(crate) async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    pub(crate) async fn sql(&self, sql: &str, format: &str) -> Reply {
        let request = Request::post(format!("/sql?format={format}")).header("content-type", "application/sql");
        self.send(request.body(Body::from(sql.to_owned())).unwrap()).await
    }

    /// The answer's rows as CSV without the header.
    pub(crate) async fn rows(&self, sql: &str) -> String {
        let reply = self.sql(sql, "csv").await;
        assert_eq!(reply.status, StatusCode::OK, "{sql}: {}", reply.text());
        reply.text().split_once('\n').unwrap().1.to_owned()
    }
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).unwrap()
    }

    /// The text of a body that may be a file of bytes.
    pub(crate) fn text_lossy(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// The code of the problem that the reply is.
    pub(crate) fn problem(&self) -> String {
        assert_eq!(self.header("content-type"), "application/problem+json", "{}", self.text());
        self.json()["type"].as_str().unwrap().rsplit(['#', '/']).next().unwrap().to_owned()
    }
}
