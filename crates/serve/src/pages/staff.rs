//! Pages for staff: who is signed in, how to sign in, and what there is to do.
//!
//! ```text
//! GET /staff     GET /staff/signin/link     GET /staff/revisions[/{id}]     POST /staff/revisions/{id}/{step}
//! GET /staff/pages     GET, POST /staff/pages/{name}
//! ```
//!
//! They call the same functions as the staff API and show nothing that it does not tell. They have no scripts, and lie in
//! no cache.

mod pages;
mod revisions;
mod steps;

use std::sync::Arc;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, header};
use portico_model::policy::{Action, Role, Scope};
use portico_model::problem::Problem;
use portico_publish::LinkText;

pub(crate) use pages::{page, pages, write};
pub(crate) use revisions::{list, show};
pub(crate) use steps::step;

use super::{Frame, POLICY};
use crate::catalog::timestamp;
use crate::http::cache::CachePolicy;
use crate::http::parameters::Parameters;
use crate::http::reply::Reply;
use crate::http::staff::asker::{Credential, Somebody};
use crate::http::staff::signin::used_up;
use crate::problem::{Refusal, problem_of_publish};
use crate::site::Site;

#[derive(Template)]
#[template(path = "staff_signin.html")]
struct SigninPage {
    frame: Frame,
    provider: bool,
}

#[derive(Template)]
#[template(path = "staff_home.html")]
struct HomePage {
    frame: Frame,
    name: String,
    roles: Vec<RoleLine>,
    scope: String,
    expires: String,
    csrf: String,
    /// Whether there is a session to end: whoever shows a token has none.
    session: bool,
    /// Whether revisions concern this person.
    revisions: bool,
    /// Whether this person writes the portal's pages.
    pages: bool,
}

struct RoleLine {
    name: &'static str,
    duty: &'static str,
}

#[derive(Template)]
#[template(path = "staff_link.html")]
struct LinkPage {
    frame: Frame,
    name: String,
    roles: String,
    scope: String,
    link: String,
    expires: String,
}

/// `GET /staff`: who is signed in, or how to sign in.
pub(crate) async fn home(
    State(site): State<Arc<Site>>,
    Somebody(somebody): Somebody,
    query: Parameters,
) -> Result<Response, Refusal> {
    query.finish("")?;
    let Some(member) = somebody else {
        return answer(&SigninPage { frame: Frame::of(&site), provider: site.staff.provider.is_some() });
    };
    let role = |role: &Role| RoleLine { name: role.as_str(), duty: duty(*role) };
    answer(&HomePage {
        frame: Frame::of(&site),
        roles: member.roles.iter().map(role).collect(),
        scope: scope(&member.scope),
        expires: timestamp(member.expires_ms()),
        csrf: member.csrf().to_owned(),
        session: matches!(member.credential, Credential::Session { .. }),
        revisions: member.roles.iter().any(|role| Action::See.roles().contains(role)),
        pages: member.roles.iter().any(|role| Action::EditPages.roles().contains(role)),
        name: member.name,
    })
}

/// `GET /staff/signin/link?link=…`: a page with a button. Programs that look at links before people do use nothing up.
pub(crate) async fn link(State(site): State<Arc<Site>>, mut query: Parameters) -> Result<Response, Refusal> {
    let shown = query.take("link");
    query.finish("link")?;
    let text = shown.as_deref().and_then(LinkText::parse).ok_or_else(used_up)?;
    let found = site.staff.publisher.link(&text, site.now_ms()).await.map_err(|error| problem_of_publish(&error))?;
    let link = found.ok_or_else(used_up)?;
    answer(&LinkPage {
        frame: Frame::of(&site),
        roles: link.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(", "),
        scope: scope(&link.scope),
        link: text.reveal().to_owned(),
        expires: timestamp(link.expires_ms),
        name: link.name,
    })
}

const fn duty(role: Role) -> &'static str {
    match role {
        Role::Contributor => "hands data in",
        Role::Steward => "answers for datasets: recommends them or gives them back",
        Role::OpenData => "releases what is approved",
        Role::Cio => "approves releases",
        Role::Admin => "gives tokens and sign-in links, and ends sessions",
    }
}

fn scope(scope: &Scope) -> String {
    match scope {
        Scope::All => "everything".to_owned(),
        Scope::Only { departments, datasets } => {
            let departments = departments.iter().map(|name| format!("department {name}"));
            let datasets = datasets.iter().map(|name| format!("dataset {name}"));
            departments.chain(datasets).collect::<Vec<_>>().join(", ")
        }
    }
}

/// Renders a page for the one who asked.
fn answer(page: &impl Template) -> Result<Response, Refusal> {
    let html = page.render().map_err(|error| {
        tracing::error!(%error, "a page could not be rendered");
        Problem::internal()
    })?;
    let reply = Reply::new(StatusCode::OK).header(header::CONTENT_TYPE, "text/html; charset=utf-8");
    Ok(reply.header(header::CONTENT_SECURITY_POLICY, POLICY).cache(CachePolicy::Private).bytes(html))
}
