//! Columns that were left out before and are in the file again.
//!
//! A release without a column is a decision about that column. Whoever brings the next file may not know of it, or bring
//! no dictionary: then the decision stands, and the column blocks until somebody decides anew.

use arrow::datatypes::{Field, Schema};
use portico_intake::dictionary::{Dictionary, Treatment, means_column};
use portico_intake::options::ReadOptions;
use portico_model::finding::{Finding, Severity};
use portico_model::name::{DatasetName, VersionNumber};
use portico_model::policy::VersionState;
use portico_store::Catalog;

use crate::error::PublishError;
use crate::publisher::from_json;

/// What one earlier release did with the columns of its file.
#[derive(PartialEq)]
pub(crate) struct Decision {
    /// Its columns are public.
    pub(crate) public: bool,
    pub(crate) schema: Schema,
    pub(crate) dictionary: Dictionary,
}

/// A blocking finding for each column of `schema` that the newest release to know it left out, unless `options` declare it
/// public. Columns that are dropped again are not in `schema`.
pub(crate) async fn returned(
    catalog: &Catalog,
    dataset: &DatasetName,
    options: &ReadOptions,
    schema: &Schema,
) -> Result<Vec<Finding>, PublishError> {
    let decisions = decisions(catalog, dataset, schema).await?;
    let declared = |column: &Field| {
        let fields = options.dictionary.as_ref().map(|dictionary| dictionary.fields.as_slice()).unwrap_or_default();
        let public = |treatment: &Treatment| matches!(treatment, Treatment::Public { .. });
        fields.iter().any(|field| public(&field.treatment) && means_column(&field.name, column))
    };
    let back = schema.fields().iter().filter(|column| left_out(&decisions, column) && !declared(column));
    let message = "an earlier release left this column out; drop it again, or declare it public with a reason";
    Ok(back
        .map(|column| Finding::on_column("column_returned", Severity::Blocking, column.name(), 1, Vec::new(), message))
        .collect())
}

/// What earlier releases did, newest first: the newest, and those before it as long as a column of `schema` is known to none
/// that is public. What an hourly source does every time is there once.
pub(crate) async fn decisions(
    catalog: &Catalog,
    dataset: &DatasetName,
    schema: &Schema,
) -> Result<Vec<Decision>, PublishError> {
    let mut decisions: Vec<Decision> = Vec::new();
    for summary in catalog.versions(dataset).await? {
        let known = |column: &Field| {
            let shows = |decision: &Decision| decision.schema.field_with_name(column.name()).is_ok();
            decisions.iter().any(|decision| decision.public && shows(decision))
        };
        if !decisions.is_empty() && schema.fields().iter().all(|column| known(column)) {
            break;
        }
        let public = summary.state == VersionState::Released;
        if let Some(decision) = decision(catalog, dataset, (summary.version, public)).await?
            && !decisions.contains(&decision)
        {
            decisions.push(decision);
        }
    }
    Ok(decisions)
}

/// What the release did that made a version.
pub(crate) async fn decision(
    catalog: &Catalog,
    dataset: &DatasetName,
    (version, public): (VersionNumber, bool),
) -> Result<Option<Decision>, PublishError> {
    let Some(revision) = catalog.revision_of(dataset, version).await? else { return Ok(None) };
    let options: ReadOptions = from_json(&revision.options_json)?;
    // Of a purged version nothing is left but what it did not show.
    let schema = match revision.prepared()? {
        Some(prepared) => prepared.schema.as_ref().clone(),
        None if public => return Err(PublishError::DigestChanged),
        None => Schema::empty(),
    };
    Ok(Some(Decision { public, schema, dictionary: options.dictionary.unwrap_or_default() }))
}

/// Whether the newest release that knows the column left it out. What a withdrawn version showed is no precedent.
fn left_out(decisions: &[Decision], column: &Field) -> bool {
    for decision in decisions {
        if decision.dictionary.drops(column) {
            return true;
        }
        if decision.public && decision.schema.field_with_name(column.name()).is_ok() {
            return false;
        }
    }
    false
}
