//! The figures of a table before and after.

use portico_model::profile::{ColumnProfile, TableProfile};
use serde::{Deserialize, Serialize};

/// A figure before and after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figure<T> {
    /// Of the current version; `None` when it has none.
    pub before: Option<T>,
    /// Of the revision.
    pub after: Option<T>,
    /// By which share of the former it grows; negative when it shrinks, `None` when it was 0 or nothing.
    pub relative_change: Option<f64>,
}

/// Figures before and after.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StatisticsDifference {
    /// Rows.
    pub rows: Figure<u64>,
    /// Rows that repeat another; beyond some millions of rows an estimate.
    pub duplicate_rows: Figure<u64>,
    /// One a column, those of the revision first.
    pub columns: Vec<ColumnFigures>,
}

/// Figures of a column before and after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ColumnFigures {
    /// Its published name.
    pub column: String,
    /// Null values.
    pub nulls: Figure<u64>,
    /// Different values that are not null.
    pub distinct: Figure<u64>,
    /// Whether the numbers of different values are exact; else they are estimates within about 2 %.
    pub distinct_exact: bool,
    /// Smallest value.
    pub min: Bound,
    /// Largest value.
    pub max: Bound,
    /// Mean of a column of numbers.
    pub mean: Figure<f64>,
}

/// The end of a range before and after, as a CSV export would print it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bound {
    /// Of the current version.
    pub before: Option<String>,
    /// Of the revision.
    pub after: Option<String>,
}

impl StatisticsDifference {
    pub(super) fn of(before: Option<&TableProfile>, after: &TableProfile) -> Self {
        let columns =
            |profile: Option<&TableProfile>| profile.map(|profile| profile.columns.clone()).unwrap_or_default();
        let (old, new) = (columns(before), &after.columns);
        let was = |name: &str| old.iter().find(|column| column.name == name);
        let gone = old.iter().filter(|column| !new.iter().any(|other| other.name == column.name));
        let kept = new.iter().map(|column| ColumnFigures::of(was(&column.name), Some(column)));
        Self {
            rows: Figure::counts(before.map(|profile| profile.rows), Some(after.rows)),
            duplicate_rows: Figure::counts(before.map(|profile| profile.duplicate_rows), Some(after.duplicate_rows)),
            columns: kept.chain(gone.map(|column| ColumnFigures::of(Some(column), None))).collect(),
        }
    }
}

impl ColumnFigures {
    fn of(before: Option<&ColumnProfile>, after: Option<&ColumnProfile>) -> Self {
        let counts = |figure: fn(&ColumnProfile) -> u64| Figure::counts(before.map(figure), after.map(figure));
        let bound = |value: fn(&ColumnProfile) -> Option<String>| Bound {
            before: before.and_then(value),
            after: after.and_then(value),
        };
        let finite =
            |column: Option<&ColumnProfile>| column.and_then(|column| column.mean).filter(|mean| mean.is_finite());
        let (old, new) = (finite(before), finite(after));
        let both = [before, after];
        Self {
            column: both.into_iter().rev().flatten().map(|column| column.name.clone()).next().unwrap_or_default(),
            nulls: counts(|column| column.nulls),
            distinct: counts(|column| column.distinct),
            distinct_exact: both.into_iter().flatten().all(|column| column.distinct_exact),
            min: bound(|column| column.min.clone()),
            max: bound(|column| column.max.clone()),
            mean: Figure { before: old, after: new, relative_change: relative(old, new) },
        }
    }
}

impl Figure<u64> {
    fn counts(before: Option<u64>, after: Option<u64>) -> Self {
        let float = |count: u64| {
            let (high, low) =
                (u32::try_from(count >> 32).unwrap_or(0), u32::try_from(count & 0xffff_ffff).unwrap_or(0));
            f64::from(high) * 4_294_967_296.0 + f64::from(low)
        };
        Self { before, after, relative_change: relative(before.map(float), after.map(float)) }
    }
}

fn relative(before: Option<f64>, after: Option<f64>) -> Option<f64> {
    let (before, after) = (before?, after?);
    let change = (after - before) / before.abs();
    change.is_finite().then_some(change)
}
