//! Edits of metadata and the revisions that are under way: what an edit has changed is said of them, too, or their release
//! would take it back.

use portico_intake::options::ReadOptions;
use portico_model::dataset::{ColumnDescription, DatasetMetadata};
use portico_model::name::DatasetName;
use portico_model::policy::Principal;
use portico_model::revision::RevisionState;
use portico_store::{Carried, MetadataEdit, Review, RevisionRecord, StoreError};
use serde_json::{Map, Value};

use crate::error::PublishError;
use crate::publisher::{Publisher, from_json, json};
use crate::release::digest;

/// Said of a refresh whose release an edit has stopped.
const EDITED: &str = "the dataset's metadata were edited while it was on its way";

/// A revision that says what an edit has changed from `before` to `after`, and what that was; nothing where it says so
/// already. Whatever people have said of it before was said of something else: it waits for a recommendation and an approval.
pub(crate) fn carried(
    record: &RevisionRecord,
    before: &DatasetMetadata,
    after: &DatasetMetadata,
) -> Result<Option<Carried>, PublishError> {
    let own: DatasetMetadata = from_json(&record.metadata_json)?;
    let (metadata, fields) = say(&own, before, after)?;
    if fields.is_empty() {
        return Ok(None);
    }
    let consented = matches!(record.state, RevisionState::Approved | RevisionState::Scheduled);
    let mut review = Review { recommended_by: None, remark: None, ..record.review.clone() };
    if consented && Principal::is_source(&record.created_by) {
        review.held.push(EDITED.to_owned());
    }
    let mut revision = RevisionRecord {
        state: if consented { RevisionState::InReview } else { record.state },
        metadata_json: json(&metadata)?,
        approved_by: None,
        approved_digest: None,
        review,
        ..record.clone()
    };
    if let Some(prepared) = &revision.prepared_json {
        revision.digest = Some(digest(&revision, prepared, &revision.findings)?);
    }
    Ok(Some(Carried { revision, fields }))
}

/// The same for the catalog, which asks it of each revision in the transaction of the edit.
pub(crate) fn carrying<'a>(
    before: &'a DatasetMetadata,
    after: &'a DatasetMetadata,
) -> impl Fn(&RevisionRecord) -> Result<Option<Carried>, StoreError> + Send + Sync + 'a {
    move |record: &RevisionRecord| {
        carried(record, before, after)
            .map_err(|error| StoreError::Corrupt { what: "a revision", source: Box::new(error) })
    }
}

/// What is said of columns by a dictionary that is not the one of before: what the old one said stands in the metadata, where
/// it may have been edited.
pub(crate) fn said_anew(options: &ReadOptions, before: &ReadOptions) -> ReadOptions {
    let mut options = options.clone();
    if let (Some(now), Some(before)) = (&mut options.dictionary, &before.dictionary) {
        now.fields.retain(|field| !before.fields.contains(field));
    }
    options
}

impl Publisher {
    /// The latest edit of a dataset, to be compared with [`Publisher::catch_up`].
    pub(crate) async fn edit_before(&self, dataset: &DatasetName) -> Result<Option<MetadataEdit>, PublishError> {
        Ok(self.store.catalog.edit(dataset).await?)
    }

    /// A revision that was just written, with what was edited while it was made: `before` is the latest edit from then.
    pub(crate) async fn catch_up(
        &self,
        record: RevisionRecord,
        before: Option<&MetadataEdit>,
        now_ms: i64,
    ) -> Result<RevisionRecord, PublishError> {
        let latest = self.store.catalog.edit(&record.dataset).await?;
        let Some(edit) = latest.filter(|edit| Some(edit) != before && edit.is_approved()) else { return Ok(record) };
        let Some(Carried { revision, .. }) = carried(&record, &edit.before, &edit.after)? else { return Ok(record) };
        let principal = edit.decided_by.as_deref().unwrap_or_default();
        self.store.catalog.update_revision(record.state, &revision, principal, now_ms).await?;
        Ok(revision)
    }
}

/// Metadata with what was changed from `before` to `after`, and which fields were changed by it; of columns, those that were
/// changed.
fn say(
    own: &DatasetMetadata,
    before: &DatasetMetadata,
    after: &DatasetMetadata,
) -> Result<(DatasetMetadata, Vec<String>), PublishError> {
    let fields = |metadata: &DatasetMetadata| match serde_json::to_value(metadata) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Ok(Map::new()),
        Err(error) => Err(PublishError::Write(error.into())),
    };
    let (mut said, before_said, after_said) = (fields(own)?, fields(before)?, fields(after)?);
    let mut changed = Vec::new();
    for (field, value) in after_said {
        if field == "columns" || before_said.get(&field) == Some(&value) || said.get(&field) == Some(&value) {
            continue;
        }
        changed.push(field.clone());
        said.insert(field, value);
    }
    let mut metadata: DatasetMetadata =
        serde_json::from_value(Value::Object(said)).map_err(|error| PublishError::Write(error.into()))?;
    for name in before.columns.iter().chain(&after.columns).map(|column| &column.name) {
        let of = |columns: &[ColumnDescription]| columns.iter().find(|column| column.name == *name).cloned();
        let (was, is) = (of(&before.columns), of(&after.columns));
        if was == is || of(&metadata.columns) == is {
            continue;
        }
        match (metadata.columns.iter().position(|column| column.name == *name), is) {
            (Some(place), Some(is)) => {
                if let Some(column) = metadata.columns.get_mut(place) {
                    *column = is;
                }
            }
            (Some(place), None) => drop(metadata.columns.remove(place)),
            (None, Some(is)) => metadata.columns.push(is),
            (None, None) => {}
        }
        changed.push(format!("columns.{name}"));
    }
    Ok((metadata, changed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, description: &str) -> ColumnDescription {
        ColumnDescription { name: name.into(), description: description.into(), ..ColumnDescription::default() }
    }

    #[test]
    fn what_was_edited_is_carried_and_nothing_else() {
        let name = DatasetName::parse("trees").unwrap();
        let before = DatasetMetadata {
            description: "Trees".into(),
            accuracy: "unknown".into(),
            columns: vec![column("id", "The tag"), column("species", "What grows"), column("old", "Gone soon")],
            ..DatasetMetadata::named(name)
        };
        let after = DatasetMetadata {
            accuracy: "surveyed".into(),
            columns: vec![column("id", "The number on the tag"), column("species", "What grows")],
            ..before.clone()
        };
        let own = DatasetMetadata {
            title: "Street Trees".into(),
            accuracy: "guessed".into(),
            columns: vec![column("old", "Gone soon"), column("id", "The tag"), column("height", "Metres")],
            ..before.clone()
        };
        let (said, fields) = say(&own, &before, &after).unwrap();
        assert_eq!(fields, ["accuracy", "columns.id", "columns.old"]);
        assert_eq!((said.title.as_str(), said.accuracy.as_str()), ("Street Trees", "surveyed"));
        assert_eq!(said.columns, [column("id", "The number on the tag"), column("height", "Metres")]);
        assert_eq!(say(&said, &before, &after).unwrap(), (said, Vec::new()));
    }
}
