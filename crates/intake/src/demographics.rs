//! By which groups of people a table can be told apart: columns of race, ethnicity and gender, how much of them is known,
//! and how large the groups are. Groups that are too small are named without their size.
//!
//! A column is told by the data dictionary (`demographic`), else by its name. One with more different values than
//! [`GROUPS_MAX`] is no column of groups.

use std::collections::BTreeMap;

use arrow::array::{AsArray, RecordBatch};
use arrow::compute::cast;
use arrow_schema::{DataType, Schema};
use portico_model::finding::Finding;
use portico_model::profile::{GroupProfile, TableProfile};

use crate::dictionary::{Demographic, Dictionary, fold};
use crate::names::SOURCE_NAME_KEY;
use crate::profile::convert::count;
use crate::profile::hash;
use crate::screen::{ClassActions, grouped};

/// Different values of a column of groups.
pub const GROUPS_MAX: usize = 100;
/// Characters of a group's name that are shown.
const NAME_CHARACTERS_MAX: usize = 100;
/// Spellings that say that nothing is known, folded.
const UNKNOWN: &[&str] = &[
    "unknown",
    "unk",
    "u",
    "not_known",
    "not_reported",
    "not_specified",
    "not_provided",
    "declined",
    "declined_to_answer",
    "refused",
    "prefer_not_to_say",
    "na",
    "n_a",
    "none",
    "missing",
    "undetermined",
    "not_applicable",
    "no_answer",
];
/// Words of names that tell what a column says of people.
const WORDS: &[(Demographic, &[&str])] = &[
    (Demographic::Race, &["race", "races", "racial"]),
    (Demographic::Ethnicity, &["ethnicity", "ethnic", "hispanic", "latino", "latinx", "ethnicities"]),
    (Demographic::Gender, &["gender", "sex", "genders"]),
];
/// Words beside them that tell something else: a race is run, and an offender's sex offence is none.
const NOT: &[&str] =
    &["offender", "offense", "offence", "contest", "election", "ballot", "distance", "course", "date", "id", "count"];

/// Counts the groups of every column that has some.
pub struct Demographics {
    columns: Vec<Column>,
    rows_min: u64,
}

struct Column {
    place: usize,
    name: String,
    demographic: Demographic,
    groups: BTreeMap<String, u64>,
    unknown: u64,
    too_many: bool,
    /// The hash of the value before, and its group: columns of few values repeat themselves.
    last: Option<(u64, String)>,
    last_rows: u64,
}

impl Demographics {
    /// For tables of this schema, in which a group has at least `rows_min` rows to be shown.
    #[must_use]
    pub fn new(schema: &Schema, dictionary: Option<&Dictionary>, rows_min: u64) -> Self {
        let column = |(place, field): (usize, &std::sync::Arc<arrow_schema::Field>)| {
            let source = field.metadata().get(SOURCE_NAME_KEY).map_or(field.name(), |source| source);
            let said = dictionary.and_then(|said| said.field(source).or_else(|| said.field(field.name())));
            let demographic =
                said.and_then(|said| said.demographic).or_else(|| told(source)).or_else(|| told(field.name()))?;
            let is_grouping =
                matches!(field.data_type(), DataType::Utf8 | DataType::Boolean) || field.data_type().is_integer();
            is_grouping.then(|| Column {
                place,
                name: field.name().clone(),
                demographic,
                groups: BTreeMap::new(),
                unknown: 0,
                too_many: false,
                last: None,
                last_rows: 0,
            })
        };
        Self { columns: schema.fields().iter().enumerate().filter_map(column).collect(), rows_min }
    }

    /// Adds rows.
    pub fn push(&mut self, batch: &RecordBatch) {
        for column in &mut self.columns {
            let Some(array) = batch.columns().get(column.place) else { continue };
            let Ok(texts) = cast(array, &DataType::Utf8) else { continue };
            for text in texts.as_string::<i32>() {
                column.add(text);
            }
        }
    }

    /// Puts the groups into the profile, takes from its columns what would tell the sizes of small ones, and says which
    /// columns have some.
    #[must_use]
    pub fn finish(self, profile: &mut TableProfile, actions: ClassActions) -> Vec<Finding> {
        let mut findings = Vec::new();
        for mut column in self.columns {
            column.close();
            if column.too_many {
                continue;
            }
            let groups = column.finish(self.rows_min);
            if let Some(shown) = profile.columns.iter_mut().find(|shown| shown.name == groups.column) {
                let is_shown = |value: &str| {
                    groups.groups.iter().any(|(name, size)| size.is_some() && value.trim().starts_with(name.as_str()))
                };
                shown.top_values.retain(|(value, rows)| *rows >= self.rows_min && is_shown(value));
            }
            if let Some(severity) = actions.groups.severity().filter(|_| groups.small > 0) {
                let message = format!(
                    "{} groups of the column ({}) have fewer than {} rows: join them into larger ones, or suppress them.",
                    grouped(groups.small),
                    groups.demographic,
                    self.rows_min
                );
                findings.push(Finding::on_column(
                    "small_group",
                    severity,
                    &groups.column,
                    groups.small,
                    Vec::new(),
                    message,
                ));
            }
            profile.groups.push(groups);
        }
        findings
    }
}

impl Column {
    fn add(&mut self, text: Option<&str>) {
        let Some(text) = text else {
            self.unknown += 1;
            return;
        };
        let seen = hash::of_bytes(text.as_bytes(), 0);
        if self.last.as_ref().is_some_and(|(last, _)| *last == seen) {
            self.last_rows += 1;
            return;
        }
        self.close();
        let name = text.trim();
        if name.is_empty() || UNKNOWN.contains(&fold(name).as_str()) {
            self.unknown += 1;
            return;
        }
        let name: String = name.chars().take(NAME_CHARACTERS_MAX).collect();
        self.last = Some((seen, name));
        self.last_rows = 1;
    }

    /// Counts the rows of the value before.
    fn close(&mut self) {
        let Some((_, name)) = self.last.take() else { return };
        if let Some(rows) = self.groups.get_mut(&name) {
            *rows += self.last_rows;
        } else if self.groups.len() < GROUPS_MAX {
            self.groups.insert(name, self.last_rows);
        } else {
            self.too_many = true;
        }
    }

    fn finish(self, rows_min: u64) -> GroupProfile {
        let known: u64 = self.groups.values().sum();
        let mut groups: Vec<(String, u64)> = self.groups.into_iter().collect();
        groups.sort_by(|left, right| right.1.cmp(&left.1).then_with(|| left.0.cmp(&right.0)));
        let small = count(groups.iter().filter(|(_, rows)| *rows < rows_min).count());
        // One alone is all rows less the others; so are several whose rows together are too few.
        let mut hidden: u64 = groups.iter().map(|(_, rows)| *rows).filter(|rows| *rows < rows_min).sum();
        let mut hide = small;
        for (_, rows) in groups.iter().rev().filter(|(_, rows)| *rows >= rows_min) {
            if hide == 0 || (hide > 1 && hidden >= rows_min) {
                break;
            }
            hide += 1;
            hidden += rows;
        }
        let shown = groups.len() - usize::try_from(hide).unwrap_or(0).min(groups.len());
        let is_shown = |rows: u64| rows == 0 || rows >= rows_min;
        let named = groups.into_iter().enumerate().map(|(place, (name, rows))| (name, (place < shown).then_some(rows)));
        GroupProfile {
            column: self.name,
            demographic: match self.demographic {
                Demographic::Race => "race",
                Demographic::Ethnicity => "ethnicity",
                Demographic::Gender => "gender",
            }
            .to_owned(),
            known: (is_shown(known) && is_shown(self.unknown)).then_some(known),
            groups: named.collect(),
            small,
            rows_min,
        }
    }
}

/// What a name says of people.
fn told(name: &str) -> Option<Demographic> {
    let folded = fold(name);
    let words: Vec<&str> = folded.split('_').collect();
    if words.iter().any(|word| NOT.contains(word)) {
        return None;
    }
    WORDS
        .iter()
        .find(|(_, telling)| words.iter().any(|word| telling.contains(word)))
        .map(|(demographic, _)| *demographic)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};

    use super::*;
    use crate::profile::Profiler;

    fn profiled(name: &str, values: &[(&str, usize)]) -> (TableProfile, Vec<Finding>) {
        let rows: Vec<Option<&str>> = values
            .iter()
            .flat_map(|(value, rows)| std::iter::repeat_n((!value.is_empty()).then_some(*value), *rows))
            .collect();
        let array: ArrayRef = Arc::new(StringArray::from(rows));
        let batch = RecordBatch::try_from_iter_with_nullable([(name, array, true)]).unwrap();
        let mut profiler = Profiler::new(&batch.schema(), 1 << 20);
        let mut demographics = Demographics::new(&batch.schema(), None, 5);
        profiler.push(&batch);
        demographics.push(&batch);
        let mut profile = profiler.finish();
        let findings = demographics.finish(&mut profile, ClassActions::default());
        (profile, findings)
    }

    #[test]
    fn groups_are_counted_and_small_ones_are_not_told() {
        let (profile, findings) =
            profiled("driver_race", &[("White", 40), ("Black", 30), ("Asian", 8), ("Samoan", 2), ("", 10)]);
        let groups = &profile.groups[0];
        assert_eq!((groups.demographic.as_str(), groups.known, groups.small), ("race", Some(80), 1));
        // One more is not told either, or the one would be what is left.
        let sizes: Vec<(&str, Option<u64>)> = groups.groups.iter().map(|(name, rows)| (name.as_str(), *rows)).collect();
        assert_eq!(sizes, [("White", Some(40)), ("Black", Some(30)), ("Asian", None), ("Samoan", None)]);
        let top: Vec<&str> = profile.columns[0].top_values.iter().map(|(value, _)| value.as_str()).collect();
        assert_eq!(top, ["White", "Black"]);
        assert_eq!((findings[0].rule.as_str(), findings[0].count), ("small_group", 1));
    }

    #[test]
    fn what_says_that_nothing_is_known_is_no_group() {
        let (profile, findings) = profiled("Sex", &[("F", 50), ("M", 40), ("Unknown", 7)]);
        assert_eq!((profile.groups[0].known, profile.groups[0].groups.len()), (Some(90), 2));
        assert!(findings.is_empty());
    }

    #[test]
    fn other_columns_are_not_groups() {
        for name in ["race_date", "sex_offender", "species", "race_id", "trace"] {
            assert!(profiled(name, &[("a", 3)]).0.groups.is_empty(), "{name}");
        }
    }
}
