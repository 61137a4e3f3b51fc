//! What changed from one version to another, as far as manifests and profiles tell.

use std::collections::BTreeMap;
use std::sync::Arc;

use portico_model::name::VersionNumber;
use portico_model::policy::Principal;
use portico_model::problem::ProblemKind;
use portico_model::profile::ColumnProfile;
use portico_store::VersionRecord;
use serde::Serialize;

use crate::catalog::timestamp;
use crate::catalog::version::{FieldDocument, fields};
use crate::problem::Refusal;
use crate::released;
use crate::site::Site;

/// What the comparison is made of, so that nobody reads more into it.
const COVERS: &str = "Counts, sizes, columns, types and column figures of both versions. Single rows are not compared: \
     equal figures do not prove equal rows.";

/// The difference between two versions.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ChangesDocument {
    pub(crate) dataset: String,
    pub(crate) from: Side,
    pub(crate) to: Side,
    /// Rows of `to` less rows of `from`.
    pub(crate) rows_difference: i64,
    /// Whether both versions are made of the very same stored files.
    pub(crate) same_files: bool,
    pub(crate) columns: ColumnChanges,
    /// Columns in both whose figures differ.
    pub(crate) figures: Vec<FigureChanges>,
    pub(crate) covers: &'static str,
}

/// One of the two versions.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Side {
    pub(crate) version: VersionNumber,
    pub(crate) released: String,
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
}

/// What became of the columns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ColumnChanges {
    pub(crate) added: Vec<FieldDocument>,
    pub(crate) removed: Vec<FieldDocument>,
    pub(crate) retyped: Vec<Retyped>,
    pub(crate) unchanged: usize,
}

/// A column whose type changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Retyped {
    pub(crate) name: String,
    pub(crate) from: String,
    pub(crate) to: String,
}

/// The figures of one column that differ, each before and after.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FigureChanges {
    pub(crate) column: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) nulls: Option<Pair<u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) distinct: Option<Pair<u64>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) min: Option<Pair<Option<String>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max: Option<Pair<Option<String>>>,
}

/// A figure before and after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Pair<T> {
    pub(crate) from: T,
    pub(crate) to: T,
}

/// Compares two versions; `to` is the current one and `from` the one before it unless named.
///
/// # Errors
/// As [`released::open`]; `InvalidRequest` when there is no version to begin from.
pub(crate) async fn changes(
    site: &Arc<Site>,
    principal: &Principal,
    name: &str,
    (from, to): (Option<VersionNumber>, Option<VersionNumber>),
) -> Result<ChangesDocument, Refusal> {
    let to = released::open(site, principal, name, to).await?.record;
    let from = match from.or_else(|| to.version.version.checked_sub(1).filter(|version| *version > 0)) {
        Some(from) => released::open(site, principal, name, Some(from)).await?.record,
        None => {
            let detail = "There is no version before the first; name one with from=.";
            return Err(Refusal::new(ProblemKind::InvalidRequest, detail));
        }
    };
    Ok(compare(&from, &to))
}

fn compare(from: &VersionRecord, to: &VersionRecord) -> ChangesDocument {
    let difference = i128::from(to.manifest.rows) - i128::from(from.manifest.rows);
    let digests = |record: &VersionRecord| -> Vec<String> {
        record.manifest.files.iter().map(|file| file.sha256.clone()).collect()
    };
    ChangesDocument {
        dataset: to.version.dataset.to_string(),
        from: side(from),
        to: side(to),
        rows_difference: i64::try_from(difference).unwrap_or(if difference < 0 { i64::MIN } else { i64::MAX }),
        same_files: digests(from) == digests(to),
        columns: compare_columns(&fields(&from.manifest.schema), &fields(&to.manifest.schema)),
        figures: compare_figures(&from.profile.columns, &to.profile.columns),
        covers: COVERS,
    }
}

fn side(record: &VersionRecord) -> Side {
    Side {
        version: record.version.version,
        released: timestamp(record.released_ms),
        rows: record.manifest.rows,
        bytes: record.manifest.bytes,
    }
}

fn compare_columns(from: &[FieldDocument], to: &[FieldDocument]) -> ColumnChanges {
    let before: BTreeMap<&str, &FieldDocument> = from.iter().map(|field| (field.name.as_str(), field)).collect();
    let mut changes = ColumnChanges {
        removed: from.iter().filter(|old| !to.iter().any(|new| new.name == old.name)).cloned().collect(),
        ..ColumnChanges::default()
    };
    for new in to {
        match before.get(new.name.as_str()) {
            None => changes.added.push(new.clone()),
            Some(old) if old.data_type == new.data_type => changes.unchanged += 1,
            Some(old) => changes.retyped.push(Retyped {
                name: new.name.clone(),
                from: old.data_type.clone(),
                to: new.data_type.clone(),
            }),
        }
    }
    changes
}

fn compare_figures(from: &[ColumnProfile], to: &[ColumnProfile]) -> Vec<FigureChanges> {
    let before: BTreeMap<&str, &ColumnProfile> = from.iter().map(|column| (column.name.as_str(), column)).collect();
    let compared = to.iter().filter_map(|new| {
        let old = before.get(new.name.as_str())?;
        let changes = FigureChanges {
            column: new.name.clone(),
            nulls: pair(&old.nulls, &new.nulls),
            distinct: pair(&old.distinct, &new.distinct),
            min: pair(&old.min, &new.min),
            max: pair(&old.max, &new.max),
        };
        let FigureChanges { nulls, distinct, min, max, .. } = &changes;
        (nulls.is_some() || distinct.is_some() || min.is_some() || max.is_some()).then_some(changes)
    });
    compared.collect()
}

fn pair<T: PartialEq + Clone>(from: &T, to: &T) -> Option<Pair<T>> {
    (from != to).then(|| Pair { from: from.clone(), to: to.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(name: &str, data_type: &str) -> FieldDocument {
        FieldDocument { name: name.to_owned(), data_type: data_type.to_owned() }
    }

    #[test]
    fn columns_come_go_and_change_type() {
        let from = [field("a", "int64"), field("b", "text"), field("c", "date")];
        let to = [field("c", "date"), field("a", "text"), field("d", "boolean")];
        let changes = compare_columns(&from, &to);
        assert_eq!(changes.added, [field("d", "boolean")]);
        assert_eq!(changes.removed, [field("b", "text")]);
        assert_eq!(changes.retyped, [Retyped { name: "a".into(), from: "int64".into(), to: "text".into() }]);
        assert_eq!(changes.unchanged, 1);
    }

    #[test]
    fn only_figures_that_differ_are_told() {
        let column = |nulls: u64, max: &str| ColumnProfile {
            name: "a".to_owned(),
            nulls,
            max: Some(max.to_owned()),
            ..ColumnProfile::default()
        };
        assert!(compare_figures(&[column(1, "9")], &[column(1, "9")]).is_empty());
        let changes = compare_figures(&[column(1, "9")], &[column(2, "9")]);
        assert_eq!(changes[0].nulls, Some(Pair { from: 1, to: 2 }));
        assert!(changes[0].max.is_none() && changes[0].distinct.is_none());
    }
}
