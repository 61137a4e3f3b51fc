//! The buttons on the page of a revision: each takes the same step as the staff API, and leads back to the page.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::Response;
use http::{StatusCode, header};
use portico_model::problem::{Problem, ProblemKind};
use portico_publish::PublishError;

use crate::http::cache::CachePolicy;
use crate::http::parameters::Parameters;
use crate::http::reply::Reply;
use crate::http::staff::asker::Member;
use crate::http::staff::form::Form;
use crate::http::staff::revisions::{known, released, screened};
use crate::problem::{Refusal, problem_of_publish};
use crate::site::Site;

/// `POST /staff/revisions/{id}/{step}`.
pub(crate) async fn step(
    State(site): State<Arc<Site>>,
    Path((id, step)): Path<(String, String)>,
    Form { member, fields, .. }: Form,
) -> Result<Response, Refusal> {
    let id = known(&id)?;
    take(&site, &member, (id, &step), fields).await?;
    let place = format!("/staff/revisions/{id}");
    Ok(Reply::new(StatusCode::SEE_OTHER).header(header::LOCATION, place).cache(CachePolicy::Private).empty())
}

async fn take(site: &Site, member: &Member, (id, step): (&str, &str), mut fields: Parameters) -> Result<(), Refusal> {
    let (publisher, principal, now_ms) = (&site.staff.publisher, &member.principal, site.now_ms());
    let failed = |error: PublishError| Refusal::from(problem_of_publish(&error));
    let mut text = |name: &str| fields.take(name).unwrap_or_default();
    match step {
        "screen" => {
            fields.finish("csrf")?;
            screened(site, member, id).await.map(drop)
        }
        "submit" => {
            fields.finish("csrf")?;
            publisher.submit(principal, id, now_ms).await.map(drop).map_err(failed)
        }
        "recommend" => {
            let (digest, remark) = (digest(text("digest"))?, text("remark"));
            fields.finish("csrf, digest, remark")?;
            publisher.recommend(principal, id, (&digest, &remark), now_ms).await.map(drop).map_err(failed)
        }
        "return" => {
            let reason = text("reason");
            fields.finish("csrf, reason")?;
            publisher.give_back(principal, id, &reason, now_ms).await.map(drop).map_err(failed)
        }
        "approve" => {
            let digest = digest(text("digest"))?;
            fields.finish("csrf, digest")?;
            publisher.approve(principal, id, &digest, now_ms).await.map(drop).map_err(failed)
        }
        "release" => {
            fields.finish("csrf")?;
            released(site, member, id).await.map(drop)
        }
        "discard" => {
            fields.finish("csrf")?;
            publisher.discard(principal, id, now_ms).await.map(drop).map_err(failed)
        }
        _ => Err(Problem::not_found("step of that name").into()),
    }
}

/// What was looked at: a judgement is about it and nothing else.
fn digest(said: String) -> Result<String, Refusal> {
    if said.is_empty() {
        return Err(Refusal::new(ProblemKind::InvalidRequest, "The form does not say what was looked at: digest."));
    }
    Ok(said)
}
