//! A portal in memory with a fixed clock: `street-trees` in two versions, `secret-plan` without any.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema};
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use portico_model::blocks::BlockDigests;
use portico_model::dataset::{ColumnDescription, DatasetMetadata};
use portico_model::limits::Limits;
use portico_model::manifest::{Manifest, ReleasedFile};
use portico_model::name::{DatasetName, VersionRef};
use portico_model::policy::VersionState;
use portico_model::profile::{ColumnProfile, TableProfile};
use portico_model::revision::RevisionState;
use portico_publish::Publisher;
use portico_query::questions::Questions;
use portico_query::workers::Workers;
use portico_store::{Catalog, ReleaseRecord, RevisionRecord, StagedFile, Storage, Store, VersionRecord};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tower::ServiceExt;

use super::{hygiene, worker};
use crate::accept::Peer;
use crate::router::router;
use crate::site::{Clock, Site, SiteSettings};
use crate::staff::Staff;

/// 2023-11-14T22:13:20Z
pub(crate) const NOW_MS: i64 = 1_700_000_000_000;

/// Everything that a test needs; the directory goes when it does.
pub(crate) struct World {
    pub(crate) site: Arc<Site>,
    pub(crate) router: Router,
    _spool: TempDir,
}

/// A response that has been read to its end.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// `None` when the transfer broke.
    pub(crate) body: Option<Bytes>,
}

impl Answered {
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(self.body.as_ref().unwrap()).unwrap()
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(self.body.as_ref().unwrap()).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(SiteSettings::default(), DatasetMetadata::named(DatasetName::parse("street-trees").unwrap())).await
    }

    /// A world whose one dataset has these metadata.
    pub(crate) async fn with(settings: SiteSettings, metadata: DatasetMetadata) -> Self {
        Self::built(settings, metadata, Limits::default(), Arc::new(|| NOW_MS)).await
    }

    /// A world with these limits and this clock.
    pub(crate) async fn built(settings: SiteSettings, metadata: DatasetMetadata, limits: Limits, clock: Clock) -> Self {
        Self::with_staff(settings, metadata, limits, (clock, |staff| staff)).await
    }

    /// A world whose staff sign in otherwise.
    pub(crate) async fn with_staff(
        settings: SiteSettings,
        mut metadata: DatasetMetadata,
        mut limits: Limits,
        (clock, with): (Clock, impl FnOnce(Staff) -> Staff),
    ) -> Self {
        let storage = Storage::open("memory://", &BTreeMap::new()).unwrap();
        let store = Store { storage, catalog: Catalog::open("sqlite::memory:").await.unwrap() };
        limits.query.workers = 2;
        let workers = Workers::start(worker::launcher(), &limits.query);
        let spool = tempfile::tempdir().unwrap();
        let questions = Questions::new(store.clone(), workers, limits.clone(), spool.path().join("spool"));
        let publisher = Publisher::new(store.clone(), limits.intake.clone(), "/none".into(), spool.path().to_owned());
        let staff = with(Staff::new(publisher, &limits.staff));
        let site = Site { store, questions, staff, limits, settings, clock };
        let site = Arc::new(site);
        metadata.columns.push(ColumnDescription {
            name: "species".into(),
            title: "Species".into(),
            description: "What grows there".into(),
            ..ColumnDescription::default()
        });
        let hidden = DatasetMetadata::named(DatasetName::parse("secret-plan").unwrap());
        site.store.catalog.put_dataset(&hidden, "s", NOW_MS).await.unwrap();
        release(&site.store, &metadata, 1, b"the first file").await;
        release(&site.store, &metadata, 2, b"the second file").await;
        Self { router: router(Arc::clone(&site)), site, _spool: spool }
    }

    /// Sends a request and reads the answer.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answered {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = axum::body::to_bytes(body, 1 << 24).await.ok();
        if parts.status.is_client_error() || parts.status.is_server_error() {
            hygiene::check(&String::from_utf8_lossy(body.as_deref().unwrap_or_default()));
        }
        Answered { status: parts.status, headers: parts.headers, body }
    }

    /// A request without a body.
    pub(crate) async fn ask(&self, method: Method, uri: &str, headers: &[(&str, &str)]) -> Answered {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::empty()).unwrap()).await
    }

    /// A `GET` over a connection from this address.
    pub(crate) async fn ask_from(&self, address: &str, uri: &str, headers: &[(&str, &str)]) -> Answered {
        let mut request = Request::builder().uri(uri).header("host", "data.example");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer { address: address.parse().unwrap(), tls: false });
        self.send(request).await
    }

    /// A `GET` over a connection from this address whose answer nobody has read yet.
    pub(crate) async fn begin_from(&self, address: &str, uri: &str) -> Response {
        let mut request = Request::builder().uri(uri).header("host", "data.example").body(Body::empty()).unwrap();
        request.extensions_mut().insert(Peer { address: address.parse().unwrap(), tls: false });
        self.router.clone().oneshot(request).await.unwrap()
    }

    pub(crate) async fn get(&self, uri: &str) -> Answered {
        self.ask(Method::GET, uri, &[]).await
    }

    pub(crate) async fn withdraw(&self, version: u32, reason: &str) {
        let version = VersionRef { dataset: DatasetName::parse("street-trees").unwrap(), version };
        self.site.store.catalog.withdraw(&version, reason, "s", NOW_MS).await.unwrap();
    }
}

async fn release(store: &Store, metadata: &DatasetMetadata, number: u32, content: &[u8]) {
    let dataset = store.catalog.put_dataset(metadata, "s", NOW_MS).await.unwrap();
    let local = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(local.path(), content).unwrap();
    let path = store.storage.put_released(&dataset.root, &format!("v{number}"), local.path()).await.unwrap();
    let file = ReleasedFile {
        path,
        sha256: Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect(),
        bytes: u64::try_from(content.len()).unwrap(),
        blocks: Some(BlockDigests::of(content)),
        rows: 1000 * u64::from(number),
        row_groups: vec![1000 * u64::from(number)],
        columns: Vec::new(),
    };
    let version = VersionRef { dataset: metadata.name.clone(), version: number };
    let schema = vec![Field::new("species", DataType::Utf8, true), Field::new("height", DataType::Int64, true)];
    let manifest = Manifest {
        version: version.clone(),
        schema: Arc::new(Schema::new(schema)),
        rows: file.rows,
        bytes: file.bytes,
        files: vec![file],
        sort_key: vec!["species".into()],
    };
    let record = VersionRecord {
        delta_version: i64::from(number),
        state: VersionState::Released,
        released_ms: NOW_MS,
        profile: Arc::new(profile(manifest.rows)),
        manifest: Arc::new(manifest),
        findings: Arc::default(),
        approved_by: "cio-of-the-city".into(),
        withdrawn_reason: None,
        version,
    };
    let revision_id = approved(store, metadata, number).await;
    let release = ReleaseRecord { revision_id, version: record, metadata: metadata.clone() };
    store.catalog.release(&release, "o", NOW_MS).await.unwrap();
}

fn profile(rows: u64) -> TableProfile {
    let column = |name: &str, data_type: &str, max: &str| ColumnProfile {
        name: name.into(),
        data_type: data_type.into(),
        nulls: rows / 4,
        distinct: 12,
        distinct_exact: true,
        min: Some("<b>ash</b>".into()),
        max: Some(max.into()),
        ..ColumnProfile::default()
    };
    let columns = vec![column("species", "text", "yew"), column("height", "int64", "31")];
    TableProfile { rows, duplicate_rows: 0, duplicate_rows_exact: true, columns, groups: Vec::new() }
}

async fn approved(store: &Store, metadata: &DatasetMetadata, number: u32) -> String {
    let dataset = &metadata.name;
    let mut revision = RevisionRecord {
        id: format!("{dataset}-{number}"),
        dataset: dataset.clone(),
        state: RevisionState::Staged,
        staged: StagedFile { path: "p".into(), sha256: "0".repeat(64), bytes: 1 },
        file_name: "f.csv".into(),
        options_json: "{}".into(),
        metadata_json: serde_json::to_string(metadata).unwrap(),
        prepared_json: None,
        findings: Vec::new(),
        profile: None,
        digest: Some("d".into()),
        created_ms: NOW_MS,
        created_by: "s".into(),
        approved_by: Some("c".into()),
        approved_digest: Some("d".into()),
        version: None,
        review: portico_store::Review::default(),
    };
    store.catalog.insert_revision(&revision).await.unwrap();
    let steps = [(RevisionState::Staged, RevisionState::Screened), (RevisionState::Screened, RevisionState::Approved)];
    for (from, to) in steps {
        revision.state = to;
        store.catalog.update_revision(from, &revision, "s", NOW_MS).await.unwrap();
    }
    revision.id
}
