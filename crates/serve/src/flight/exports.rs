//! Plain Flight: the catalog as flights, and versions as endpoints that a client may pull in parallel.

use std::sync::Arc;

use arrow_flight::{FlightData, FlightDescriptor, FlightInfo};
use portico_model::name::{DatasetName, VersionNumber};
use portico_model::problem::Problem;
use portico_query::exports::{ExportTicket, FlightRequest};

use super::command::ExportCommand;
use super::session::Visitor;
use super::{Flow, answers, bad, metadata};
use crate::http::names;
use crate::site::Site;

/// What a path looks like, for those whose does not.
pub(super) const PATH: &str = "A flight's path is [name] or [name, \"versions\", \"3\"].";

/// `[name]` or `[name, "versions", "3"]`.
pub(super) async fn info_of_path(
    site: &Arc<Site>,
    visitor: &Visitor,
    descriptor: FlightDescriptor,
) -> Result<FlightInfo, Problem> {
    let path: Vec<&str> = descriptor.path.iter().map(String::as_str).collect();
    let (name, version) = match path.as_slice() {
        [name] => (*name, None),
        [name, "versions", number] => (*name, Some(version_number(number)?)),
        _ => return Err(bad(PATH)),
    };
    let export = ExportCommand { dataset: name.to_owned(), version: version.unwrap_or(0), ..Default::default() };
    plan(site, visitor, descriptor, export).await
}

/// One endpoint's rows.
pub(super) async fn get(site: &Site, visitor: &Visitor, ticket: &ExportTicket) -> Result<Flow<FlightData>, Problem> {
    let answer = site.questions.answer_ticket(ticket, &visitor.caller, &visitor.options, site.now_ms()).await?;
    Ok(answers::flow(answer))
}

/// Every published dataset as a flight of its current version.
pub(super) async fn list(site: &Arc<Site>, visitor: &Visitor) -> Result<Vec<FlightInfo>, Problem> {
    let mut infos = Vec::new();
    for name in metadata::names(site).await? {
        let descriptor = FlightDescriptor::new_path(vec![name.to_string()]);
        let export = ExportCommand { dataset: name.to_string(), ..Default::default() };
        match plan(site, visitor, descriptor, export).await {
            Ok(info) => infos.push(info),
            // Withdrawn between the listing and here.
            Err(problem) => tracing::debug!(code = problem.kind.code(), "a dataset is left out of the flights"),
        }
    }
    Ok(infos)
}

/// A version as endpoints.
pub(super) async fn plan(
    site: &Arc<Site>,
    visitor: &Visitor,
    descriptor: FlightDescriptor,
    export: ExportCommand,
) -> Result<FlightInfo, Problem> {
    let columns_max = site.limits.intake.columns;
    if u64::try_from(export.columns.len()).unwrap_or(u64::MAX) > columns_max {
        return Err(bad(&format!("No dataset has more than {columns_max} columns.")));
    }
    let dataset = DatasetName::parse(&export.dataset).map_err(|_| Problem::not_found("dataset of that name"))?;
    let request = FlightRequest {
        dataset,
        version: (export.version != 0).then_some(export.version),
        columns: export.columns,
        filter: Some(export.filter).filter(|filter| !filter.is_empty()),
        limit: (export.limit != 0).then_some(export.limit),
        caller: visitor.caller.clone(),
        now_ms: site.now_ms(),
    };
    let plan = site.questions.plan_flight(&request).await?;
    let endpoints = plan.endpoints.into_iter().map(|endpoint| (endpoint.ticket, endpoint.rows)).collect();
    answers::info(descriptor, &answers::plain(&plan.schema), endpoints, (plan.rows, plan.bytes))
}

fn version_number(text: &str) -> Result<VersionNumber, Problem> {
    names::version_number(text).ok_or_else(|| Problem::not_found("version of that number"))
}
