//! SQL over HTTP.
//!
//! ```text
//! GET, HEAD /sql?q=…      POST /sql      GET, HEAD /sql/explain?q=…      DELETE /sql/{query_id}
//! ```

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use portico_model::format::Format;
use portico_model::name::{DatasetName, VersionNumber};
use portico_model::order::Work;
use portico_model::problem::Problem;
use portico_query::answer::{Ask, Caller, Question};
use serde::Serialize;

use crate::http::asker::Asker;
use crate::http::cache::CachePolicy;
use crate::http::conditional::{self, Condition};
use crate::http::negotiate::{self, Coding};
use crate::http::parameters::Parameters;
use crate::http::reply::{self, Reply};
use crate::http::sql_request::SqlRequest;
use crate::http::{body, names, options, sql_answer, terms};
use crate::problem::Refusal;
use crate::rates::Meter;
use crate::site::Site;

const X_QUERY_ID: HeaderName = HeaderName::from_static("x-portico-query-id");
const X_VERSIONS: HeaderName = HeaderName::from_static("x-portico-versions");

/// `GET` and `HEAD /sql`.
pub(crate) async fn get_sql(
    State(site): State<Arc<Site>>,
    Asker(caller): Asker,
    meter: Meter,
    method: Method,
    headers: HeaderMap,
    query: Parameters,
) -> Result<Response, Refusal> {
    let request = SqlRequest::from_query(&headers, query)?;
    let text_bytes_max = site.limits.statement.text_bytes_get;
    let question = site.questions.gate(&ask(&site, caller, &request, text_bytes_max, Work::Answer)).await?;
    respond(&site, &headers, &request, (question, &meter), method == Method::HEAD).await
}

/// `POST /sql`.
pub(crate) async fn post_sql(
    State(site): State<Arc<Site>>,
    Asker(caller): Asker,
    meter: Meter,
    headers: HeaderMap,
    query: Parameters,
    body: Body,
) -> Result<Response, Refusal> {
    let body = body::read(&headers, body, &site.limits.http).await?;
    let request = SqlRequest::from_body(&headers, query, &body)?;
    let text_bytes_max = site.limits.statement.text_bytes;
    let question = site.questions.gate(&ask(&site, caller, &request, text_bytes_max, Work::Answer)).await?;
    respond(&site, &headers, &request, (question, &meter), false).await
}

/// What `/sql/explain` answers.
#[derive(Serialize)]
struct ExplainDocument {
    query_id: String,
    /// The statement on the versions that it would use.
    sql: String,
    versions: std::collections::BTreeMap<String, u32>,
    plan: Plan,
    estimate: Estimate,
}

#[derive(Serialize)]
struct Plan {
    logical: String,
    physical: String,
}

/// What running the statement would read, after pruning by statistics.
#[derive(Serialize)]
struct Estimate {
    files: u64,
    row_groups: u64,
    bytes: u64,
}

/// `GET /sql/explain`.
pub(crate) async fn explain(
    State(site): State<Arc<Site>>,
    Asker(caller): Asker,
    meter: Meter,
    headers: HeaderMap,
    query: Parameters,
) -> Result<Response, Refusal> {
    // The plan is JSON whatever the answer would be.
    let request = SqlRequest::from_query(&HeaderMap::new(), query)?;
    let text_bytes_max = site.limits.statement.text_bytes_get;
    let question = site.questions.gate(&ask(&site, caller, &request, text_bytes_max, Work::Explain)).await?;
    let answer = meter.answer(&site, question).await?;
    let Some(explanation) = answer.head.explanation else { return Err(Problem::internal().into()) };
    let document = ExplainDocument {
        query_id: answer.query_id,
        sql: answer.pinned_sql,
        versions: answer.versions,
        plan: Plan { logical: explanation.logical_plan, physical: explanation.physical_plan },
        estimate: Estimate { files: explanation.files, row_groups: explanation.row_groups, bytes: explanation.bytes },
    };
    reply::json(&headers, &document, CachePolicy::Never)
}

/// `DELETE /sql/{query_id}`: only the caller that asked cancels, everyone else hears that there is no such query.
pub(crate) async fn cancel(
    State(site): State<Arc<Site>>,
    Asker(caller): Asker,
    Path(query_id): Path<String>,
    query: Parameters,
) -> Result<Response, Refusal> {
    query.finish("")?;
    if site.questions.cancel(&query_id, &caller) {
        Ok(Reply::new(StatusCode::NO_CONTENT).cache(CachePolicy::Never).empty())
    } else {
        Err(Problem::not_found("running query of yours with that id").into())
    }
}

fn ask(site: &Site, caller: Caller, request: &SqlRequest, text_bytes_max: u64, work: Work) -> Ask {
    Ask {
        sql: request.sql.clone(),
        parameters: request.parameters.clone(),
        kind: request.kind,
        options: request.options.clone(),
        caller,
        timeout_ms: request.timeout_ms,
        work,
        text_bytes_max,
        now_ms: site.now_ms(),
        part: None,
    }
}

/// From the gated question to the response: `304`, the headers alone, or the answer.
async fn respond(
    site: &Site,
    headers: &HeaderMap,
    request: &SqlRequest,
    (question, meter): (Question, &Meter),
    head_only: bool,
) -> Result<Response, Refusal> {
    let coding = coding(request.kind.format, headers);
    let datasets = question.versions.keys().filter_map(|name| DatasetName::from_sql_name(name.split('@').next()?).ok());
    let links = &terms::links(site, datasets.collect::<Vec<_>>()).await?;
    let etag = question.cacheable.then(|| tag(&question.etag, coding));
    if let Some(etag) = &etag
        && conditional::evaluate(headers, etag, None)? == Condition::NotModified
    {
        return Ok(describe(site, request, (&question, links), StatusCode::NOT_MODIFIED)
            .header(header::ETAG, etag)
            .empty());
    }
    let reply = describe(site, request, (&question, links), StatusCode::OK)
        .header_opt(header::ETAG, etag)
        .header(header::CONTENT_TYPE, request.kind.content_type())
        .header(header::CONTENT_DISPOSITION, names::disposition(!request.download, &file_name(request.kind.format)))
        .header_opt(header::CONTENT_ENCODING, coding.name());
    if head_only {
        return Ok(reply.head(None));
    }
    let answer = meter.answer(site, question).await?;
    sql_answer::deliver(reply, answer.body, coding).await
}

/// The headers that an answer and its `304` share.
fn describe(site: &Site, request: &SqlRequest, (question, links): (&Question, &[String]), status: StatusCode) -> Reply {
    let policy = if question.cacheable { CachePolicy::Revalidate } else { CachePolicy::Never };
    // A dataset that is read in several versions has their numbers in its names already.
    let version = |(name, version): (&String, &VersionNumber)| {
        if name.contains('@') { name.clone() } else { format!("{name}@{version}") }
    };
    let versions: Vec<String> = question.versions.iter().map(version).collect();
    let link = citation(site, request, question).map(|url| names::link(&url, "cite-as"));
    Reply::new(status)
        .header(X_QUERY_ID, &question.query_id)
        .header_opt(X_VERSIONS, (!versions.is_empty()).then(|| versions.join(", ")))
        .header_opt(header::LINK, link.filter(|_| question.cacheable))
        .headers(header::LINK, links)
        .header(header::VARY, if request.format_named { "accept-encoding" } else { "accept, accept-encoding" })
        .cache(policy)
}

/// The permanent URL of the same question on the same versions.
fn citation(site: &Site, request: &SqlRequest, question: &Question) -> Option<String> {
    let parameters: Vec<(String, String)> = request.parameter_pairs()?;
    let mut pairs = vec![("q", question.pinned_sql.as_str()), ("format", request.kind.format.as_str())];
    pairs.extend(options::pairs(&request.options));
    pairs.extend(parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let url = site.url(&names::with_query("/sql", pairs));
    (url.len() <= names::LINK_BYTES_MAX).then_some(url)
}

/// Columnar files and workbooks are compressed inside, or meant for readers that do not unpack.
fn coding(format: Format, headers: &HeaderMap) -> Coding {
    match format {
        Format::Arrow | Format::Parquet | Format::Xlsx | Format::Flight => Coding::Identity,
        Format::Csv
        | Format::Tsv
        | Format::Json
        | Format::Objects
        | Format::Ndjson
        | Format::Geojson
        | Format::Table => negotiate::coding(headers),
    }
}

/// A content coding is another representation, and has its own strong tag.
fn tag(etag: &str, coding: Coding) -> String {
    match coding.name() {
        None => format!("\"{etag}\""),
        Some(name) => format!("\"{etag}-{name}\""),
    }
}

fn file_name(format: Format) -> String {
    match format {
        Format::Table => "answer.txt".to_owned(),
        Format::Objects => "answer.json".to_owned(),
        other => format!("answer.{other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_coding_has_its_own_tag() {
        assert_eq!(tag("abc", Coding::Identity), "\"abc\"");
        assert_eq!(tag("abc", Coding::Gzip), "\"abc-gzip\"");
    }

    #[test]
    fn columnar_answers_are_not_compressed_again() {
        let headers = HeaderMap::from_iter([(header::ACCEPT_ENCODING, "gzip".parse().unwrap())]);
        assert_eq!(coding(Format::Csv, &headers), Coding::Gzip);
        for format in [Format::Arrow, Format::Parquet, Format::Xlsx] {
            assert_eq!(coding(format, &headers), Coding::Identity);
        }
    }
}
