//! Every route, in one list, and the layers around them.
//!
//! ```text
//! request ─▶ identify (client) ─▶ observe (id, log, figures) ─▶ finish (problems, headers) ─▶ admit (rates) ─┐
//!                   routes ◀─ everything else ─┬─ panics caught ◀────────────────────────────────────────────┘
//!                   Flight ◀─ calls of Flight ─┘
//! ```

use std::any::Any;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Path, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, post, put};
use portico_model::problem::Problem;
use tower::ServiceExt;
use tower_http::catch_panic::CatchPanicLayer;

use crate::client::identify;
use crate::finish::{self, finish, is_grpc};
use crate::flight;
use crate::http::asker::{Asker, Visit};
use crate::http::downloads::{self, Named, Wanted};
use crate::http::{calendar, datasets, names, own_pages, parts, records, requests, service, sql, staff};
use crate::observe::observe;
use crate::pages;
use crate::problem::{Refusal, problem_of_status};
use crate::rates::{Gate, Rates, admit};
use crate::site::Site;

/// One route: its pattern, the paths that it stands for in the API's description, and what answers.
struct Route {
    pattern: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "a test compares it with the description"))]
    documented: &'static [&'static str],
    answers: MethodRouter<Arc<Site>>,
    /// What `OPTIONS` answers; a test compares it with what the framework finds.
    methods: &'static str,
}

fn route(pattern: &'static str, documented: &'static [&'static str], answers: MethodRouter<Arc<Site>>) -> Route {
    Route { pattern, documented, answers, methods: "GET, HEAD, OPTIONS" }
}

impl Route {
    fn with_methods(self, methods: &'static str) -> Self {
        Self { methods, ..self }
    }
}

/// The whole site: HTTP and gRPC (Flight) on one router, for [`run`](crate::accept::run) or for a test.
pub fn router(site: Arc<Site>) -> Router {
    let http = routes().into_iter().fold(Router::new(), |router, route| {
        let methods = route.methods;
        router.route(route.pattern, route.answers.options(move || async move { finish::options(methods) }))
    });
    let http = http.fallback(nothing).with_state(Arc::clone(&site));
    compose(http, grpc(&site), site)
}

/// Patterns, and the paths of the API's description that each stands for.
#[cfg(test)]
pub(crate) fn documented() -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    routes().into_iter().map(|route| (route.pattern, route.documented))
}

fn routes() -> Vec<Route> {
    let mut routes = data_routes();
    routes.extend(api_routes());
    routes.extend(page_routes());
    routes.extend(staff_routes());
    routes.extend(signin_routes());
    routes.extend(record_routes());
    routes.extend(source_routes());
    routes
}

/// Files and questions.
fn data_routes() -> Vec<Route> {
    vec![
        route("/datasets/{leaf}", &["/datasets/{name}", "/datasets/{name}.{ext}"], get(dataset_leaf)),
        route(
            "/datasets/{name}/versions/{leaf}",
            &["/datasets/{name}/versions/{version}", "/datasets/{name}/versions/{version}.{ext}"],
            get(version_leaf),
        ),
        route(
            "/datasets/{name}/versions/{version}/parts/{leaf}",
            &["/datasets/{name}/versions/{version}/parts/{index}.parquet"],
            get(parts::part),
        ),
        route("/sql", &["/sql"], get(sql::get_sql).post(sql::post_sql)).with_methods("GET, HEAD, POST, OPTIONS"),
        route("/sql/explain", &["/sql/explain"], get(sql::explain)),
        route("/sql/{query_id}", &["/sql/{query_id}"], delete(sql::cancel)).with_methods("DELETE, OPTIONS"),
    ]
}

/// The catalog and what the service says of itself, for programs.
fn api_routes() -> Vec<Route> {
    vec![
        route("/api/datasets", &["/api/datasets"], get(datasets::search)),
        route("/api/datasets/{name}", &["/api/datasets/{name}"], get(datasets::dataset)),
        route("/api/datasets/{name}/versions", &["/api/datasets/{name}/versions"], get(datasets::versions)),
        route(
            "/api/datasets/{name}/versions/{version}",
            &["/api/datasets/{name}/versions/{version}"],
            get(datasets::version),
        ),
        route("/api/datasets/{name}/changes", &["/api/datasets/{name}/changes"], get(datasets::changes)),
        route("/api/requests", &["/api/requests"], get(requests::list).post(requests::receive))
            .with_methods("GET, HEAD, POST, OPTIONS"),
        route("/api/calendar", &["/api/calendar"], get(calendar::json)),
        route("/calendar.ics", &["/calendar.ics"], get(calendar::ics)),
        route("/api/usage", &["/api/usage"], get(records::usage)),
        route("/api/reports", &["/api/reports"], get(records::reports)),
        route("/api/reports/{year}", &["/api/reports/{year}"], get(records::report)),
        route("/api/reports/{year}/comments", &["/api/reports/{year}/comments"], post(records::comment))
            .with_methods("POST, OPTIONS"),
        route("/api/pages", &["/api/pages"], get(own_pages::list)),
        route("/api/pages/{name}", &["/api/pages/{name}"], get(own_pages::show)),
        route("/api/limits", &["/api/limits"], get(service::limits)),
        route("/openapi.json", &["/openapi.json"], get(service::openapi)),
        route("/robots.txt", &["/robots.txt"], get(service::robots)),
        route("/healthz", &["/healthz"], get(service::healthz)),
        route("/readyz", &["/readyz"], get(service::readyz)),
    ]
}

/// Pages for people.
fn page_routes() -> Vec<Route> {
    vec![
        route("/", &["/"], get(pages::list)),
        route("/requests", &["/requests"], get(pages::requests).post(requests::receive_form))
            .with_methods("GET, HEAD, POST, OPTIONS"),
        route("/calendar", &["/calendar"], get(pages::calendar)),
        route("/reports/{year}", &["/reports/{year}"], get(records::page)),
        route("/principles", &["/principles"], get(pages::principles)),
        route("/terms", &["/terms"], get(pages::terms)),
        route("/licences", &["/licences"], get(pages::licences)),
        route("/handbook", &["/handbook"], get(pages::handbook)),
        route("/docs/problems", &["/docs/problems"], get(pages::problems)),
        route("/assets/{leaf}", &["/assets/{file}"], get(pages::asset)),
    ]
}

/// The road in. Every handler asks for a token first.
fn staff_routes() -> Vec<Route> {
    use staff::{audit, datasets, preview, purge, reports, revisions, schedules, tokens, upload};
    let read =
        |pattern: &'static str, documented: &'static [&'static str], answers| route(pattern, documented, answers);
    let step = |pattern: &'static str, documented: &'static [&'static str], answers| {
        route(pattern, documented, answers).with_methods("POST, OPTIONS")
    };
    vec![
        read("/api/staff/whoami", &["/api/staff/whoami"], get(datasets::whoami)),
        read("/api/staff/audit", &["/api/staff/audit"], get(audit::audit)),
        read("/api/staff/datasets", &["/api/staff/datasets"], get(datasets::list)),
        read("/api/staff/datasets/{name}", &["/api/staff/datasets/{name}"], get(datasets::show)),
        route(
            "/api/staff/datasets/{name}/revisions",
            &["/api/staff/datasets/{name}/revisions"],
            get(datasets::revisions).post(upload::stage),
        )
        .with_methods("GET, HEAD, POST, OPTIONS"),
        step(
            "/api/staff/datasets/{name}/versions/{version}/withdraw",
            &["/api/staff/datasets/{name}/versions/{version}/withdraw"],
            post(datasets::withdraw),
        ),
        step(
            "/api/staff/datasets/{name}/versions/{version}/purge",
            &["/api/staff/datasets/{name}/versions/{version}/purge"],
            post(purge::purge),
        ),
        read(
            "/api/staff/datasets/{name}/versions/{version}/affected",
            &["/api/staff/datasets/{name}/versions/{version}/affected"],
            get(purge::affected),
        ),
        read("/api/staff/datasets/{name}/purges", &["/api/staff/datasets/{name}/purges"], get(purge::list)),
        read("/api/staff/revisions/{id}", &["/api/staff/revisions/{id}"], get(revisions::show)),
        read("/api/staff/revisions/{id}/rows", &["/api/staff/revisions/{id}/rows"], get(preview::rows)),
        read("/api/staff/revisions/{id}/preview", &["/api/staff/revisions/{id}/preview"], get(preview::preview)),
        read(
            "/api/staff/revisions/{id}/difference",
            &["/api/staff/revisions/{id}/difference"],
            get(preview::difference),
        ),
        route("/api/staff/revisions/{id}/proposal", &["/api/staff/revisions/{id}/proposal"], put(revisions::propose))
            .with_methods("PUT, OPTIONS"),
        step("/api/staff/revisions/{id}/screen", &["/api/staff/revisions/{id}/screen"], post(revisions::screen)),
        step("/api/staff/revisions/{id}/submit", &["/api/staff/revisions/{id}/submit"], post(revisions::submit)),
        step("/api/staff/revisions/{id}/review", &["/api/staff/revisions/{id}/review"], post(revisions::review)),
        step("/api/staff/revisions/{id}/approve", &["/api/staff/revisions/{id}/approve"], post(revisions::approve)),
        step("/api/staff/revisions/{id}/schedule", &["/api/staff/revisions/{id}/schedule"], post(schedules::schedule)),
        step(
            "/api/staff/revisions/{id}/unschedule",
            &["/api/staff/revisions/{id}/unschedule"],
            post(schedules::unschedule),
        ),
        read("/api/staff/schedules", &["/api/staff/schedules"], get(schedules::list)),
        step("/api/staff/revisions/{id}/release", &["/api/staff/revisions/{id}/release"], post(revisions::release)),
        step("/api/staff/revisions/{id}/discard", &["/api/staff/revisions/{id}/discard"], post(revisions::discard)),
        read("/api/staff/reports", &["/api/staff/reports"], get(reports::list)),
        step("/api/staff/reports/{year}/draft", &["/api/staff/reports/{year}/draft"], post(reports::draft)),
        step("/api/staff/reports/{year}/publish", &["/api/staff/reports/{year}/publish"], post(reports::publish)),
        read("/api/staff/reports/{year}/comments", &["/api/staff/reports/{year}/comments"], get(reports::comments)),
        step("/api/staff/comments/{id}/moderate", &["/api/staff/comments/{id}/moderate"], post(reports::moderate)),
        route("/api/staff/tokens", &["/api/staff/tokens"], get(tokens::list).post(tokens::create))
            .with_methods("GET, HEAD, POST, OPTIONS"),
        route("/api/staff/tokens/{id}", &["/api/staff/tokens/{id}"], delete(tokens::revoke))
            .with_methods("DELETE, OPTIONS"),
    ]
}

/// Who may come in, and the pages of those who have.
fn signin_routes() -> Vec<Route> {
    use pages::staff as page;
    use staff::{sessions, signin};
    let form = |pattern: &'static str, documented: &'static [&'static str], answers| {
        route(pattern, documented, answers).with_methods("POST, OPTIONS")
    };
    vec![
        form("/api/staff/links", &["/api/staff/links"], post(sessions::link)),
        route("/api/staff/sessions", &["/api/staff/sessions"], get(sessions::list).delete(sessions::end_all))
            .with_methods("GET, HEAD, DELETE, OPTIONS"),
        route("/api/staff/sessions/{id}", &["/api/staff/sessions/{id}"], delete(sessions::end))
            .with_methods("DELETE, OPTIONS"),
        route("/staff", &["/staff"], get(page::home)),
        route("/staff/signin/provider", &["/staff/signin/provider"], get(signin::provider)),
        route("/staff/signin/callback", &["/staff/signin/callback"], get(signin::callback)),
        route("/staff/signin/link", &["/staff/signin/link"], get(page::link).post(signin::use_link))
            .with_methods("GET, HEAD, POST, OPTIONS"),
        form("/staff/signout", &["/staff/signout"], post(signin::sign_out)),
        route("/staff/pages", &["/staff/pages"], get(page::pages)),
        route("/staff/pages/{name}", &["/staff/pages/{name}"], get(page::page).post(page::write))
            .with_methods("GET, HEAD, POST, OPTIONS"),
        route("/staff/revisions", &["/staff/revisions"], get(page::list)),
        route("/staff/revisions/{id}", &["/staff/revisions/{id}"], get(page::show)),
        form("/staff/revisions/{id}/{step}", &["/staff/revisions/{id}/{step}"], post(page::step)),
    ]
}

/// What staff know of datasets besides their data. Every handler asks for a token first.
fn record_routes() -> Vec<Route> {
    use staff::{inventory, metadata, pages, requests};
    let step = |pattern: &'static str, documented: &'static [&'static str], answers| {
        route(pattern, documented, answers).with_methods("POST, OPTIONS")
    };
    vec![
        route(
            "/api/staff/datasets/{name}/metadata",
            &["/api/staff/datasets/{name}/metadata"],
            get(metadata::show).put(metadata::edit),
        )
        .with_methods("GET, HEAD, PUT, OPTIONS"),
        step(
            "/api/staff/datasets/{name}/metadata/approve",
            &["/api/staff/datasets/{name}/metadata/approve"],
            post(metadata::approve),
        ),
        step(
            "/api/staff/datasets/{name}/metadata/decline",
            &["/api/staff/datasets/{name}/metadata/decline"],
            post(metadata::decline),
        ),
        route("/api/staff/inventory", &["/api/staff/inventory"], get(inventory::list)),
        step("/api/staff/inventory/import", &["/api/staff/inventory/import"], post(inventory::import)),
        step("/api/staff/inventory/publish", &["/api/staff/inventory/publish"], post(inventory::publish)),
        route("/api/staff/inventory/datasets/{name}", &["/api/staff/inventory/datasets/{name}"], put(inventory::set))
            .with_methods("PUT, OPTIONS"),
        route("/api/staff/requests", &["/api/staff/requests"], get(requests::list)),
        route(
            "/api/staff/pages/{name}",
            &["/api/staff/pages/{name}"],
            get(pages::show).put(pages::write).delete(pages::reset),
        )
        .with_methods("GET, HEAD, PUT, DELETE, OPTIONS"),
        route("/api/staff/requests/{id}", &["/api/staff/requests/{id}"], put(requests::answer))
            .with_methods("PUT, OPTIONS"),
    ]
}

/// The part of the road in that a dataset's source has.
fn source_routes() -> Vec<Route> {
    use staff::sources;
    vec![
        route(
            "/api/staff/datasets/{name}/source",
            &["/api/staff/datasets/{name}/source"],
            get(sources::show).put(sources::declare),
        )
        .with_methods("GET, HEAD, PUT, OPTIONS"),
        route(
            "/api/staff/datasets/{name}/source/approve",
            &["/api/staff/datasets/{name}/source/approve"],
            post(sources::approve),
        )
        .with_methods("POST, OPTIONS"),
        route("/api/staff/datasets/{name}/source/run", &["/api/staff/datasets/{name}/source/run"], post(sources::run))
            .with_methods("POST, OPTIONS"),
        route(
            "/api/staff/datasets/{name}/source/pause",
            &["/api/staff/datasets/{name}/source/pause"],
            post(sources::pause),
        )
        .with_methods("POST, OPTIONS"),
    ]
}

/// `/datasets/building-permits` is a page, `/datasets/building-permits.csv.gz` a file.
async fn dataset_leaf(
    State(site): State<Arc<Site>>,
    Asker(caller): Asker,
    Path(leaf): Path<String>,
    visit: Visit,
) -> Result<Response, Refusal> {
    if !leaf.contains('.') {
        return pages::dataset(&site, &caller.principal, (&leaf, None), visit).await;
    }
    let (dataset, kind) = names::split_file(&leaf).ok_or_else(no_file)?;
    let Visit { method, headers, query, .. } = visit;
    let wanted = Wanted { caller, method, headers, query };
    downloads::download(&site, Named { dataset, version: None, kind }, wanted).await
}

/// `/datasets/building-permits/versions/3` is a page, `…/3.csv.gz` a file.
async fn version_leaf(
    State(site): State<Arc<Site>>,
    Asker(caller): Asker,
    Path((name, leaf)): Path<(String, String)>,
    visit: Visit,
) -> Result<Response, Refusal> {
    if !leaf.contains('.') {
        let number = names::version_number(&leaf).ok_or_else(|| Problem::not_found("version of that number"))?;
        return pages::dataset(&site, &caller.principal, (&name, Some(number)), visit).await;
    }
    let (version, kind) = names::split_version(&leaf).ok_or_else(no_file)?;
    let dataset = portico_model::name::DatasetName::parse(&name).map_err(|_| no_file())?;
    let Visit { method, headers, query, .. } = visit;
    let wanted = Wanted { caller, method, headers, query };
    downloads::download(&site, Named { dataset, version: Some(version), kind }, wanted).await
}

fn no_file() -> Refusal {
    Problem::not_found("dataset of that name in that format").into()
}

async fn nothing() -> Refusal {
    problem_of_status(http::StatusCode::NOT_FOUND).into()
}

/// The service that answers gRPC.
fn grpc(site: &Arc<Site>) -> Router {
    tonic::service::Routes::new(flight::service(Arc::clone(site))).into_axum_router()
}

/// Puts HTTP and gRPC behind one door, with the layers that both have.
fn compose(http: Router, grpc: Router, site: Arc<Site>) -> Router {
    let gate = Gate { site: Arc::clone(&site), rates: Arc::new(Rates::new(&site.limits)) };
    http.layer(from_fn_with_state(grpc, calls))
        .layer(CatchPanicLayer::custom(caught))
        .layer(from_fn_with_state(gate, admit))
        .layer(from_fn_with_state(Arc::clone(&site), finish))
        .layer(from_fn_with_state(Arc::clone(&site), observe))
        .layer(from_fn_with_state(site, identify))
}

/// A call of Flight goes to Flight; everything else is HTTP, whatever content type it claims.
async fn calls(State(grpc): State<Router>, request: Request, next: Next) -> Response {
    if is_grpc(&request) {
        // A router never fails: its error type has no value.
        return grpc.oneshot(request).await.into_response();
    }
    next.run(request).await
}

/// A panic is a fault of ours: its text goes to the log, never to the client.
fn caught(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    tracing::error!(panic = text, "a handler panicked");
    Refusal::from(Problem::internal()).into_response()
}
