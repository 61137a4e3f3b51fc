//! Staging: the file's bytes as the request's body, streamed to a capped file of our own.

use std::path::Path as FsPath;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::response::Response;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use portico_model::dataset::DatasetMetadata;
use portico_model::limits::StaffLimits;
use portico_model::name::DatasetName;
use portico_model::policy::Principal;
use portico_model::problem::{Problem, ProblemKind};
use portico_publish::{PublishError, ReadOptions, Revision, StageRequest};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

use super::asker::Member;
use super::datasets::known;
use super::documents::RevisionDocument;
use super::json;
use crate::http::parameters::Parameters;
use crate::problem::{Refusal, problem_of_publish};
use crate::site::Site;

/// What may stand in the query string.
const KNOWN: &str = "file_name, title, description, department, steward_name, steward_email, license";
/// Bytes of a file's name and of each text about the dataset.
const TEXT_BYTES_MAX: usize = 4_000;

/// `POST /api/staff/datasets/{name}/revisions?file_name=…`: what is not said of the dataset stays as it is.
pub(crate) async fn stage(
    State(site): State<Arc<Site>>,
    member: Member,
    Path(name): Path<String>,
    mut query: Parameters,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let file_name =
        query.take_filled("file_name").ok_or_else(|| invalid("The file's name is missing: ?file_name=…"))?;
    let mut said = Said::default();
    for field in Said::FIELDS {
        if let Some(text) = query.take_filled(field) {
            said.0.push((field, text));
        }
    }
    query.finish(KNOWN)?;
    check_headers(&headers, &site.limits.staff)?;
    let proposal = Proposal::new(&site, &member.principal, (&name, &file_name), said).await?;
    let bytes = body.into_data_stream().map(|chunk| chunk.map_err(|_| broken_off()));
    let revision = proposal.receive(&site, bytes).await?;
    let place = format!("/api/staff/revisions/{}", revision.id);
    let mut response = json::answer(StatusCode::CREATED, &RevisionDocument::of(revision))?;
    if let Ok(place) = HeaderValue::from_str(&site.url(&place)) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    Ok(response)
}

/// What is said of a dataset with its file.
#[derive(Debug, Default)]
pub(crate) struct Said(pub(crate) Vec<(&'static str, String)>);

impl Said {
    /// The texts that may be said.
    const FIELDS: [&'static str; 6] =
        ["title", "description", "department", "steward_name", "steward_email", "license"];
}

/// A file that somebody may stage, before its first byte has come.
pub(crate) struct Proposal<'a> {
    principal: &'a Principal,
    name: DatasetName,
    said: Said,
    file_name: String,
}

impl<'a> Proposal<'a> {
    /// Asks policy before anything is received.
    pub(crate) async fn new(
        site: &Site,
        principal: &'a Principal,
        (name, file_name): (&str, &str),
        said: Said,
    ) -> Result<Self, Refusal> {
        let name = known(name)?;
        if file_name.len() > TEXT_BYTES_MAX || file_name.chars().any(char::is_control) {
            return Err(invalid("The file's name is too long, or no name."));
        }
        if let Some((field, _)) = said.0.iter().find(|(_, text)| text.len() > TEXT_BYTES_MAX) {
            return Err(invalid(&format!("{field} has more than {TEXT_BYTES_MAX} bytes.")));
        }
        let proposal = Self { principal, name, said, file_name: file_name.to_owned() };
        let metadata = proposal.metadata(site).await?;
        site.staff.publisher.may_stage(principal, &metadata, site.now_ms()).await.map_err(failed)?;
        Ok(proposal)
    }

    /// What the dataset would be, by what is known of it now.
    async fn metadata(&self, site: &Site) -> Result<DatasetMetadata, Refusal> {
        let known = site.store.catalog.dataset(&self.name).await?;
        let mut metadata = known.map_or_else(|| DatasetMetadata::named(self.name.clone()), |record| record.metadata);
        for (field, text) in &self.said.0 {
            text.clone_into(match *field {
                "title" => &mut metadata.title,
                "description" => &mut metadata.description,
                "department" => &mut metadata.department,
                "steward_name" => &mut metadata.steward_name,
                "steward_email" => &mut metadata.steward_email,
                _ => &mut metadata.license,
            });
        }
        Ok(metadata)
    }

    /// Receives the file and puts it into staging.
    pub(crate) async fn receive(
        self,
        site: &Site,
        bytes: impl Stream<Item = Result<Bytes, Problem>>,
    ) -> Result<Revision, Refusal> {
        let _place = site.staff.upload()?;
        let scratch = site.staff.publisher.scratch("upload-").map_err(failed)?;
        let file = scratch.path().join("file");
        save(&file, bytes, &site.limits.staff).await?;
        let base = self.file_name.rsplit(['/', '\\']).next().unwrap_or_default();
        // It took its time to come: what was edited meanwhile is not to be taken back.
        let metadata = self.metadata(site).await?;
        let request = StageRequest { metadata, file, options: ReadOptions::named(base) };
        site.staff.publisher.stage(self.principal, request, site.now_ms()).await.map_err(failed)
    }
}

fn check_headers(headers: &HeaderMap, limits: &StaffLimits) -> Result<(), Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    if kind != Some(b"application/octet-stream") {
        let detail = "A file is sent as application/octet-stream, whatever it holds.";
        return Err(Refusal::new(ProblemKind::UnsupportedMediaType, detail));
    }
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        let detail = "Send the file without Content-Encoding; a compressed file (.gz, .zst, .zip) is sent as it is.";
        return Err(Refusal::new(ProblemKind::UnsupportedMediaType, detail));
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > limits.upload_bytes) {
        return Err(too_large(limits).into());
    }
    Ok(())
}

/// Writes what comes into a file of at most `limits.upload_bytes`.
async fn save(
    file: &FsPath,
    bytes: impl Stream<Item = Result<Bytes, Problem>>,
    limits: &StaffLimits,
) -> Result<(), Refusal> {
    let full = |error: std::io::Error| {
        tracing::error!(%error, "an upload could not be written");
        Problem::new(ProblemKind::Unavailable, "The server has no room for the file right now.")
    };
    let mut file = tokio::fs::File::create(file).await.map_err(full)?;
    let mut bytes = std::pin::pin!(bytes);
    let idle = Duration::from_millis(limits.upload_idle_ms);
    let mut received = 0_u64;
    loop {
        let Ok(chunk) = timeout(idle, bytes.next()).await else {
            return Err(invalid("Nothing came for too long: the upload was given up."));
        };
        let Some(chunk) = chunk.transpose()? else { break };
        received = received.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if received > limits.upload_bytes {
            return Err(too_large(limits).into());
        }
        file.write_all(&chunk).await.map_err(full)?;
    }
    file.flush().await.map_err(full)?;
    Ok(())
}

/// What is said of an upload that ends before its end.
pub(crate) fn broken_off() -> Problem {
    Problem::new(ProblemKind::InvalidRequest, "The file did not arrive whole.")
}

fn too_large(limits: &StaffLimits) -> Problem {
    let detail = format!("The file is over the limit of {} bytes (limits.staff.upload_bytes).", limits.upload_bytes);
    Problem::new(ProblemKind::TooLarge, detail)
}

fn invalid(detail: &str) -> Refusal {
    Refusal::new(ProblemKind::InvalidRequest, detail)
}

fn failed(error: PublishError) -> Refusal {
    problem_of_publish(&error).into()
}
