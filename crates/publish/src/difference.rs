//! What a release would change: the schema, the metadata, the rows and the figures, beside the current public version.
//!
//! Rows are compared by a reader in its limits, since files of staging are not opened here. What is not public any more is
//! no version to compare with.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use portico_encode::type_name;
use portico_intake::dictionary::{Dictionary, means_column};
use portico_intake::options::ReadOptions;
use portico_model::dataset::DatasetMetadata;
use portico_model::name::{DatasetName, VersionNumber};
use portico_model::policy::{Action, Decision, Principal, Subject, decide};
use portico_model::problem::{Problem, ProblemKind};
use portico_store::{Prepared, RevisionRecord, StoreError, VersionRecord};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::compare::{Comparison, in_common};
use crate::error::PublishError;
use crate::publisher::{Publisher, from_json};
use crate::returned::decision;

mod statistics;

pub use statistics::{Bound, ColumnFigures, Figure, StatisticsDifference};

/// What a release would change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The revision.
    pub revision: String,
    /// The dataset.
    pub dataset: DatasetName,
    /// The digest of the screening that it belongs to, which an approval is bound to.
    pub digest: String,
    /// The current public version, which it is compared with; `None` when there is none.
    pub current_version: Option<VersionNumber>,
    /// Columns.
    pub schema: SchemaDifference,
    /// What is said of the dataset otherwise.
    pub metadata: Vec<ChangedField>,
    /// Rows.
    pub rows: RowDifference,
    /// Figures of the whole table and of each column.
    pub statistics: StatisticsDifference,
}

/// What becomes of the columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SchemaDifference {
    /// New columns with their types.
    pub added: Vec<NamedType>,
    /// Columns that are there no more.
    pub removed: Vec<NamedType>,
    /// Columns of which something is said otherwise.
    pub changed: Vec<ColumnDifference>,
    /// Whether the columns that stay come in another order.
    pub reordered: bool,
}

/// A column and its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedType {
    /// Its published name.
    pub column: String,
    /// The type's public name.
    #[serde(rename = "type")]
    pub data_type: String,
}

/// What is said otherwise of a column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnDifference {
    /// Its published name.
    pub column: String,
    /// Its `type`, `title`, `description`, `classification` or `remedy`.
    pub changes: Vec<ChangedField>,
}

/// Something that is said otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangedField {
    /// What.
    pub what: String,
    /// As it is; null for nothing.
    pub before: Value,
    /// As it would be.
    pub after: Value,
}

/// What becomes of the rows.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RowDifference {
    /// Rows of the current version.
    pub before: u64,
    /// Rows of the revision.
    pub after: u64,
    /// The columns that tell which row became which: the declared primary key. Empty when rows are told apart by all their
    /// values, and none is changed: it is removed, and another added.
    pub key: Vec<String>,
    /// Why there is no key, or what it does not tell.
    pub remark: Option<String>,
    /// The columns that were compared: those that both have, in types that are comparable.
    pub compared: Vec<String>,
    /// Rows that stay as they are.
    pub unchanged: u64,
    /// Rows that are new.
    pub added: u64,
    /// Rows that are there no more.
    pub removed: u64,
    /// Rows whose key stays and whose values do not.
    pub changed: u64,
    /// Keys that several rows of the current version have; what differs among them is added or removed.
    pub repeated_keys_before: u64,
    /// Keys that several rows of the revision have.
    pub repeated_keys_after: u64,
    /// How many cells of each column are others in changed rows.
    pub changed_cells: BTreeMap<String, u64>,
    /// How many rows of each kind are shown at most (`limits.intake.difference_rows`); where they are wide there are fewer.
    pub shown_max: u64,
    /// The first rows that are added, in the order of the key.
    pub added_rows: Vec<Map<String, Value>>,
    /// The first rows that are removed.
    pub removed_rows: Vec<Map<String, Value>>,
    /// The first rows that are changed.
    pub changed_rows: Vec<ChangedRow>,
}

/// A row that is changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChangedRow {
    /// Its key.
    pub key: Map<String, Value>,
    /// The cells that change, as they are.
    pub before: Map<String, Value>,
    /// The same cells as they would be.
    pub after: Map<String, Value>,
}

impl Publisher {
    /// What the release of a revision would change of what is public now.
    ///
    /// All rows of both are read, in a process of its own and within limits. Dropping the future ends it.
    ///
    /// # Errors
    /// [`PublishError::WrongState`] before it is screened and after it is decided; [`PublishError::StagedGone`] when its
    /// files are lost; [`PublishError::Refused`] when it cannot be done within limits, or what is public changed meanwhile.
    pub async fn difference(&self, principal: &Principal, id: &str, now_ms: i64) -> Result<Difference, PublishError> {
        let record = self.record(id).await?;
        self.permit(principal, Action::Preview, &record, now_ms).await?;
        let missing = || PublishError::WrongState { state: record.state, action: Action::Preview };
        let prepared = record.prepared()?.ok_or_else(missing)?;
        let profile = record.profile.as_ref().ok_or_else(missing)?;
        let metadata: DatasetMetadata = from_json(&record.metadata_json)?;
        let options: ReadOptions = from_json(&record.options_json)?;
        let current = self.public_version(principal, &record.dataset, now_ms).await?;
        let known = self.store.catalog.dataset(&record.dataset).await?.map(|dataset| dataset.metadata);
        let earlier = match &current {
            Some(version) => decision(&self.store.catalog, &record.dataset, (version.version.version, true)).await?,
            None => None,
        };
        let nothing = Dictionary::default();
        let said = options.dictionary.as_ref().unwrap_or(&nothing);
        let said_before = earlier.as_ref().map(|decision| &decision.dictionary);
        let known = known.filter(|_| current.is_some());
        let schema_before = current.as_ref().map(|version| Arc::clone(&version.manifest.schema));
        let before = Said { schema: schema_before.as_deref(), metadata: known.as_ref(), dictionary: said_before };
        let after = Said { schema: Some(&prepared.schema), metadata: Some(&metadata), dictionary: Some(said) };
        let rows = match &current {
            None => RowDifference { after: prepared.rows, added: prepared.rows, ..RowDifference::default() },
            Some(version) => self.compare_rows(&record, &prepared, version, [Some(said), said_before]).await?,
        };
        let now = self.public_version(principal, &record.dataset, now_ms).await?;
        if now.map(|version| version.version) != current.as_ref().map(|version| version.version.clone()) {
            let detail = "what is public of the dataset changed while it was compared: ask again";
            return Err(PublishError::Refused(Problem::new(ProblemKind::Conflict, detail)));
        }
        Ok(Difference {
            revision: record.id,
            dataset: record.dataset,
            digest: record.digest.unwrap_or_default(),
            current_version: current.as_ref().map(|version| version.version.version),
            schema: before.schema_to(&after),
            metadata: before.metadata_to(&after)?,
            rows: RowDifference { shown_max: self.limits.difference_rows, ..rows },
            statistics: StatisticsDifference::of(current.as_ref().map(|version| &*version.profile), profile),
        })
    }

    /// The version that the public reads now; one that was withdrawn is none.
    pub(crate) async fn public_version(
        &self,
        principal: &Principal,
        dataset: &DatasetName,
        now_ms: i64,
    ) -> Result<Option<VersionRecord>, PublishError> {
        let Some(current) = self.store.catalog.current_version(dataset).await? else { return Ok(None) };
        let version = Some((current.version.version, current.state));
        let subject = Subject::Version { dataset: dataset.clone(), version };
        let granted = matches!(decide(principal, Action::Read, &subject, now_ms), Decision::Granted(_));
        Ok(Some(current).filter(|_| granted))
    }

    async fn compare_rows(
        &self,
        record: &RevisionRecord,
        prepared: &Prepared,
        current: &VersionRecord,
        dictionaries: [Option<&Dictionary>; 2],
    ) -> Result<RowDifference, PublishError> {
        let (before, after) = (&current.manifest.schema, &prepared.schema);
        let (key, remark) = declared_key(dictionaries, before, after);
        let mut fields = Vec::new();
        let others = after.fields().iter().filter(|field| !key.contains(field.name()));
        let keys = key.iter().filter_map(|name| after.fields().iter().find(|field| field.name() == name));
        for field in keys.chain(others) {
            let Ok(was) = before.field_with_name(field.name()) else { continue };
            let Some(data_type) = in_common(was.data_type(), field.data_type()) else { continue };
            fields.push(field.as_ref().clone().with_data_type(data_type).with_nullable(true));
        }
        let compared: Vec<String> = fields.iter().map(|field| field.name().clone()).collect();
        let sizes = (current.manifest.rows, prepared.rows);
        let known =
            RowDifference { before: sizes.0, after: sizes.1, compared, key, remark, ..RowDifference::default() };
        if fields.is_empty() {
            let remark = Some("no column is in both versions: every row is another".to_owned());
            return Ok(RowDifference { added: sizes.1, removed: sizes.0, remark, ..known });
        }
        let scratch = self.scratch("difference-")?;
        let comparison = Comparison {
            before: self.fetch_version(current, scratch.path()).await?,
            after: self.fetch_prepared(record, prepared, scratch.path()).await?,
            schema: Arc::new(Schema::new(fields)),
            key: known.key.len(),
        };
        let bytes = prepared.files.iter().map(|(staged, _)| staged.bytes).sum::<u64>();
        let bytes = bytes.saturating_add(current.manifest.bytes);
        let found = self.jail.compare(comparison, bytes, sizes, &self.limits, scratch.path()).await?;
        Ok(RowDifference {
            before: known.before,
            after: known.after,
            key: known.key,
            remark: known.remark.or_else(|| repeated(&found)),
            compared: known.compared,
            ..found
        })
    }

    /// Puts the files that a release would publish into `scratch`, and names them.
    pub(crate) async fn fetch_prepared(
        &self,
        record: &RevisionRecord,
        prepared: &Prepared,
        scratch: &Path,
    ) -> Result<Vec<String>, PublishError> {
        let mut names = Vec::with_capacity(prepared.files.len());
        for (place, (staged, _)) in prepared.files.iter().enumerate() {
            let name = format!("prepared-{place:05}.parquet");
            if let Err(error) = self.store.storage.fetch_staged(staged, &scratch.join(&name)).await {
                return Err(self.lost(record, error).await);
            }
            names.push(name);
        }
        Ok(names)
    }

    /// Why a staged file cannot be had: somebody screens the revision anew, or it is lost.
    pub(crate) async fn lost(&self, record: &RevisionRecord, error: StoreError) -> PublishError {
        match self.record(&record.id).await {
            Ok(now) if now.digest != record.digest || now.state != record.state => PublishError::DigestChanged,
            _ if matches!(error, StoreError::NotFound { .. } | StoreError::Corrupt { .. }) => {
                tracing::error!(%error, revision = %record.id, "a staged file is lost");
                PublishError::StagedGone
            }
            _ => error.into(),
        }
    }
}

/// The key that the revision's dictionary declares, or the current version's, by published names; else why there is none.
fn declared_key(
    dictionaries: [Option<&Dictionary>; 2],
    before: &Schema,
    after: &Schema,
) -> (Vec<String>, Option<String>) {
    let Some(dictionary) = dictionaries.into_iter().flatten().find(|dictionary| !dictionary.primary_key.is_empty())
    else {
        return (Vec::new(), Some("no primary key is declared: rows are told apart by all their values".to_owned()));
    };
    let mut key = Vec::with_capacity(dictionary.primary_key.len());
    for name in &dictionary.primary_key {
        let renamed = dictionary.field(name).and_then(|field| field.rename.as_ref());
        let means = |field: &&Arc<Field>| Some(field.name()) == renamed || means_column(name, field);
        let Some(field) = after.fields().iter().find(means) else {
            let remark = format!(
                "the column {name} of the primary key would not be public: rows are told apart by all their values"
            );
            return (Vec::new(), Some(remark));
        };
        let was = before.field_with_name(field.name());
        if was.ok().and_then(|was| in_common(was.data_type(), field.data_type())).is_none() {
            let column = field.name();
            let remark = format!(
                "the current version has no column {column} to compare the primary key with: rows are told apart by all their values"
            );
            return (Vec::new(), Some(remark));
        }
        if !key.contains(field.name()) {
            key.push(field.name().clone());
        }
    }
    (key, None)
}

fn repeated(found: &RowDifference) -> Option<String> {
    (found.repeated_keys_before + found.repeated_keys_after > 0).then(|| {
        "the primary key does not tell all rows apart: where several have one key, rows are added or removed, not changed"
            .to_owned()
    })
}

/// What is said of a table.
#[derive(Clone, Copy)]
struct Said<'a> {
    schema: Option<&'a Schema>,
    metadata: Option<&'a DatasetMetadata>,
    dictionary: Option<&'a Dictionary>,
}

impl Said<'_> {
    fn schema_to(&self, after: &Self) -> SchemaDifference {
        let fields = |said: &Self| said.schema.map(|schema| schema.fields().clone()).unwrap_or_default();
        let (old, new) = (fields(self), fields(after));
        let named = |field: &Arc<Field>| NamedType {
            column: field.name().clone(),
            data_type: type_name(field.data_type(), Some(field)),
        };
        let names = |fields: &arrow::datatypes::Fields| fields.iter().map(|field| field.name().clone()).collect();
        let (in_old, in_new): (BTreeSet<String>, BTreeSet<String>) = (names(&old), names(&new));
        let mut difference = SchemaDifference {
            added: new.iter().filter(|field| !in_old.contains(field.name())).map(named).collect(),
            removed: old.iter().filter(|field| !in_new.contains(field.name())).map(named).collect(),
            ..SchemaDifference::default()
        };
        let staying: Vec<_> = old.iter().filter(|field| in_new.contains(field.name())).collect();
        let order = new.iter().filter(|field| in_old.contains(field.name()));
        difference.reordered = !staying.iter().map(|field| field.name()).eq(order.map(|field| field.name()));
        for was in staying {
            let Some(is) = new.iter().find(|field| field.name() == was.name()) else { continue };
            let changes = changes(&self.column(was), &after.column(is));
            if !changes.is_empty() {
                difference.changed.push(ColumnDifference { column: was.name().clone(), changes });
            }
        }
        difference
    }

    /// What is said of a column.
    fn column(&self, field: &Arc<Field>) -> Map<String, Value> {
        let columns = self.metadata.map(|metadata| metadata.columns.as_slice()).unwrap_or_default();
        let described = columns.iter().find(|column| column.name == *field.name());
        let fields = self.dictionary.map(|dictionary| dictionary.fields.as_slice()).unwrap_or_default();
        let meant = |said: &&portico_intake::dictionary::Field| {
            said.rename.as_ref() == Some(field.name()) || means_column(&said.name, field)
        };
        let said = fields.iter().find(meant);
        let text = |text: Option<&String>| {
            text.filter(|text| !text.is_empty()).map_or(Value::Null, |text| text.as_str().into())
        };
        let remedy = said.and_then(|said| said.remedy).map(|remedy| remedy.to_string());
        Map::from_iter([
            ("type".to_owned(), type_name(field.data_type(), Some(field)).into()),
            ("title".to_owned(), text(described.map(|column| &column.title))),
            ("description".to_owned(), text(described.map(|column| &column.description))),
            ("classification".to_owned(), text(said.and_then(|said| said.classification.as_ref()))),
            ("remedy".to_owned(), text(remedy.as_ref())),
        ])
    }

    fn metadata_to(&self, after: &Self) -> Result<Vec<ChangedField>, PublishError> {
        let fields = |said: &Self| -> Result<Map<String, Value>, PublishError> {
            let Some(metadata) = said.metadata else { return Ok(Map::new()) };
            let value = serde_json::to_value(metadata).map_err(|error| PublishError::Write(error.into()))?;
            let Value::Object(mut fields) = value else { return Ok(Map::new()) };
            // Columns are part of the schema.
            fields.retain(|name, value| name != "name" && name != "columns" && !is_empty(value));
            Ok(fields)
        };
        Ok(changes(&fields(self)?, &fields(after)?))
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

fn changes(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<ChangedField> {
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let value = |of: &Map<String, Value>, name: &str| of.get(name).cloned().unwrap_or_default();
    let changes = names.into_iter().map(|name| ChangedField {
        what: name.clone(),
        before: value(before, name),
        after: value(after, name),
    });
    changes.filter(|change| change.before != change.after).collect()
}
