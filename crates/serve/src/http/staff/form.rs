//! The forms of the pages for staff. What a form says is not read before it is known that a page of ours has sent it.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use http::{HeaderMap, header};
use portico_model::problem::ProblemKind;

use super::asker::{self, Member};
use super::origin;
use crate::http::body;
use crate::http::parameters::Parameters;
use crate::problem::Refusal;
use crate::site::Site;

/// The hidden field with the text of the session.
const CSRF: &str = "csrf";

/// A form that a page of somebody's session has sent.
#[derive(Debug)]
pub(crate) struct Form {
    pub(crate) member: Member,
    pub(crate) parts: http::request::Parts,
    pub(crate) fields: Parameters,
}

impl FromRequest<Arc<Site>> for Form {
    type Rejection = Refusal;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        let member = asker::shown(&parts, site).await?.ok_or_else(asker::unknown)?;
        member.check_origin(&parts)?;
        let mut fields = read(site, &parts.headers, body).await?;
        member.check_csrf(fields.take(CSRF).as_deref())?;
        Ok(Self { member, parts, fields })
    }
}

/// A form that somebody who is not signed in has sent from a page of ours.
#[derive(Debug)]
pub(crate) struct OpenForm {
    pub(crate) parts: http::request::Parts,
    pub(crate) fields: Parameters,
}

impl FromRequest<Arc<Site>> for OpenForm {
    type Rejection = Refusal;

    async fn from_request(request: Request, site: &Arc<Site>) -> Result<Self, Refusal> {
        let (parts, body) = request.into_parts();
        origin::check_browser(&parts)?;
        let fields = read(site, &parts.headers, body).await?;
        Ok(Self { parts, fields })
    }
}

async fn read(site: &Site, headers: &HeaderMap, body: Body) -> Result<Parameters, Refusal> {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let said = types.next().and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = said.split(';').next().unwrap_or_default().trim();
    if types.next().is_some() || !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        let detail = "A form is sent as application/x-www-form-urlencoded.";
        return Err(Refusal::new(ProblemKind::UnsupportedMediaType, detail));
    }
    let bytes = body::read(headers, body, &site.limits.http).await?;
    let text = std::str::from_utf8(&bytes)
        .map_err(|_| Refusal::new(ProblemKind::InvalidRequest, "The form is not percent-encoded UTF-8."))?;
    Parameters::parse(text)
}
