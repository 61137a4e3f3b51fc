//! Signing in and out at a browser. Whoever signs in gets a session of their own: what the browser showed before is ended,
//! and never made into it.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::response::Response;
use http::request::Parts;
use http::{StatusCode, header};
use portico_model::problem::{Problem, ProblemKind};
use portico_publish::{LinkText, PublishError, SessionText};
use portico_store::SessionRecord;

use super::asker::{self, Credential};
use super::cookies::{self, Channel};
use super::form::{Form, OpenForm};
use crate::http::cache::CachePolicy;
use crate::http::parameters::Parameters;
use crate::http::reply::Reply;
use crate::identity::{Attempt, Provider, Returned, not_begun_here};
use crate::problem::{Refusal, problem_of_publish};
use crate::site::Site;

/// Where everybody goes who has signed in or out.
const HOME: &str = "/staff";
/// Bytes of the longest code and state that are looked at.
const ANSWER_BYTES_MAX: usize = 8_192;

/// The page of this portal to which a one-time link leads.
#[must_use]
pub fn link_path(link: &LinkText) -> String {
    format!("/staff/signin/link?link={}", link.reveal())
}

/// A request by a browser that may hold a session.
pub(crate) struct Browser {
    channel: Channel,
    parts: Parts,
}

impl FromRequestParts<Arc<Site>> for Browser {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, site: &Arc<Site>) -> Result<Self, Refusal> {
        let channel = channel_of(parts, site).ok_or_else(cookies::unencrypted)?;
        Ok(Self { channel, parts: parts.clone() })
    }
}

/// `GET /staff/signin/provider`: sends the browser to the identity provider.
pub(crate) async fn provider(State(site): State<Arc<Site>>, browser: Browser) -> Result<Response, Refusal> {
    Parameters::parse(browser.parts.uri.query().unwrap_or_default())?.finish("")?;
    let random = portico_publish::random_secret().map_err(|error| problem_of_publish(&error))?;
    let attempt = Attempt::new(&random, site.now_ms());
    let provider = provider_of(&site)?;
    let place = site.staff.signin()?;
    let url = provider.begin(&attempt, site.now_ms()).await?;
    drop(place);
    let channel = browser.channel;
    let cookie = channel.set(channel.attempt(), attempt.cookie(), Some(Attempt::life_s()));
    Ok(goes_to(url.as_str()).header_opt(header::SET_COOKIE, cookie).empty())
}

/// `GET /staff/signin/callback`: the identity provider sends the browser back.
pub(crate) async fn callback(State(site): State<Arc<Site>>, browser: Browser) -> Result<Response, Refusal> {
    let provider = provider_of(&site)?;
    // Providers send more than is asked for; what is not known is not read.
    let mut query = Parameters::parse(browser.parts.uri.query().unwrap_or_default())?;
    let no_answer = || Refusal::new(ProblemKind::InvalidRequest, "This is where the identity provider sends people.");
    let mut take = |name: &str| query.take(name).filter(|text| text.len() <= ANSWER_BYTES_MAX);
    let (error, code, state, issuer) = (take("error"), take("code"), take("state"), take("iss"));
    let state = state.ok_or_else(no_answer)?;
    let shown = cookies::read(&browser.parts.headers, browser.channel.attempt()).and_then(Attempt::parse);
    // Nothing that anybody may send is logged, nor the provider asked about it, before it is known to be an answer.
    let attempt = shown.filter(|attempt| attempt.fits(&state, site.now_ms())).ok_or_else(not_begun_here)?;
    if let Some(error) = error {
        let error: String = error.chars().filter(char::is_ascii_graphic).take(60).collect();
        tracing::warn!(error, "the identity provider did not sign somebody in");
        let detail = "The identity provider did not sign you in. Begin again at /staff.";
        return Err(Refusal::new(ProblemKind::Forbidden, detail));
    }
    let returned = Returned { code: code.ok_or_else(no_answer)?, state, issuer };
    let place = site.staff.signin()?;
    let person = provider.end(&attempt, returned, site.now_ms()).await?;
    drop(place);
    let before = session_before(&site, &browser.parts).await;
    let life = site.staff.session_life;
    let begun = site.staff.publisher.begin_session(person.holder, person.subject, life, site.now_ms()).await;
    let (text, _) = begun.map_err(|error| match error {
        // What the provider calls the person is not what the person sent.
        PublishError::BadToken(why) => {
            Problem::new(ProblemKind::Forbidden, format!("Your name cannot be used: {why}."))
        }
        other => problem_of_publish(&other),
    })?;
    Ok(signed_in(&site, before, browser.channel, &text).await)
}

/// `POST /staff/signin/link`: the button on the link's page.
pub(crate) async fn use_link(
    State(site): State<Arc<Site>>,
    OpenForm { parts, mut fields }: OpenForm,
) -> Result<Response, Refusal> {
    let channel = channel_of(&parts, &site).ok_or_else(cookies::unencrypted)?;
    let link = fields.take("link");
    fields.finish("link")?;
    let link = link.as_deref().and_then(LinkText::parse).ok_or_else(used_up)?;
    let before = session_before(&site, &parts).await;
    let begun = site.staff.publisher.use_link(&link, site.staff.session_life, site.now_ms()).await;
    let (text, _) = begun.map_err(|error| problem_of_publish(&error))?.ok_or_else(used_up)?;
    Ok(signed_in(&site, before, channel, &text).await)
}

/// `POST /staff/signout`: ends this session, or all of the same person.
pub(crate) async fn sign_out(State(site): State<Arc<Site>>, form: Form) -> Result<Response, Refusal> {
    let Form { member, parts, mut fields } = form;
    let everywhere = fields.take_bool("everywhere")?.unwrap_or(false);
    fields.finish("everywhere")?;
    let (publisher, now_ms) = (&site.staff.publisher, site.now_ms());
    if let Credential::Session { record, .. } = &member.credential {
        publisher.sign_out(record, now_ms).await.map_err(|error| problem_of_publish(&error))?;
    }
    if everywhere {
        let ended = publisher.end_sessions_of(&member.principal, &member.name, now_ms).await;
        ended.map_err(|error| problem_of_publish(&error))?;
    }
    let cookie = channel_of(&parts, &site).and_then(|channel| channel.set(channel.session(), "", Some(0)));
    Ok(goes_to(HOME).header_opt(header::SET_COOKIE, cookie).empty())
}

/// What is said of a link that is no link, or not any more: one answer.
pub(crate) fn used_up() -> Refusal {
    let detail = "This link is no good: each is for one person, once, and for some minutes. Ask for another.";
    Refusal::new(ProblemKind::NotFound, detail)
}

/// The session that the browser showed until now. One that cannot be read lets nobody in, and keeps nobody from signing in.
async fn session_before(site: &Site, parts: &Parts) -> Option<SessionRecord> {
    // A token that is shown besides is none of the browser's.
    let mut before = parts.clone();
    before.headers.remove(header::AUTHORIZATION);
    let shown = asker::shown(&before, site).await.unwrap_or_else(|problem| {
        tracing::warn!(detail = problem.detail, "the session that a browser showed before signing in cannot be read");
        None
    });
    match shown?.credential {
        Credential::Session { record, .. } => Some(record),
        Credential::Token(_) => None,
    }
}

/// Gives the browser its session and takes everything else from it. By now the link is used up: nothing fails any more.
async fn signed_in(site: &Site, before: Option<SessionRecord>, channel: Channel, text: &SessionText) -> Response {
    if let Some(record) = before
        && let Err(error) = site.staff.publisher.sign_out(&record, site.now_ms()).await
    {
        tracing::warn!(%error, session = record.id, "the session before a sign-in could not be ended");
    }
    goes_to(HOME)
        .header_opt(header::SET_COOKIE, channel.set(channel.session(), text.reveal(), None))
        .header_opt(header::SET_COOKIE, channel.set(channel.attempt(), "", Some(0)))
        .empty()
}

fn goes_to(place: &str) -> Reply {
    Reply::new(StatusCode::SEE_OTHER).header(header::LOCATION, place).cache(CachePolicy::Private)
}

fn channel_of(parts: &Parts, site: &Site) -> Option<Channel> {
    Channel::of(parts, site.settings.public_url.as_deref())
}

fn provider_of(site: &Site) -> Result<&Provider, Refusal> {
    site.staff.provider.as_deref().ok_or_else(|| Problem::not_found("identity provider that people sign in at").into())
}
