//! Constraints on the values of one column.

use std::collections::HashSet;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time64MicrosecondType, TimestampMicrosecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_schema::DataType;
use portico_model::finding::{Finding, Severity};
use regex::Regex;

use super::limits::{Limit, parse};
use crate::dictionary::{Field, pattern};
use crate::profile::convert;
use crate::screen::tally::Tally;

/// What one column must hold, and what broke it.
pub(super) struct ColumnCheck {
    name: String,
    required: bool,
    minimum: Option<(Limit, bool)>,
    maximum: Option<(Limit, bool)>,
    allowed: Allowed,
    lengths: Option<(u64, u64)>,
    pattern: Option<Regex>,
    whole: bool,
    tallies: [Tally; CODES.len()],
}

enum Allowed {
    All,
    Texts(HashSet<String>),
    Numbers(HashSet<i128>),
    Floats(Vec<f64>),
    Truths(Vec<bool>),
}

const REQUIRED: usize = 0;
const ALLOWED: usize = 1;
const MINIMUM: usize = 2;
const MAXIMUM: usize = 3;
const LENGTH: usize = 4;
const PATTERN: usize = 5;

/// The code of each check, and what its violations are.
const CODES: [(&str, &str); 6] = [
    ("constraint_required", "have no value, and the data dictionary requires one"),
    ("constraint_allowed", "have a value that is not among those the data dictionary allows"),
    ("constraint_minimum", "have a value below the minimum of the data dictionary"),
    ("constraint_maximum", "have a value above the maximum of the data dictionary"),
    ("constraint_length", "have a text shorter or longer than the data dictionary allows"),
    ("constraint_pattern", "have a value that does not match the pattern of the data dictionary"),
];

impl ColumnCheck {
    /// The checks of a column; `None` when there are none. What cannot be checked on the column's type is a finding.
    pub(super) fn new(column: &arrow_schema::Field, said: &Field, findings: &mut Vec<Finding>) -> Option<Self> {
        let data_type = column.data_type();
        let mut unusable = |what: &str| {
            let message = format!(
                "The data dictionary's {what} cannot be checked on a column of type {}: correct it, or declare the type.",
                crate::profile::print::type_name(column)
            );
            findings.push(Finding::on_column(
                "constraint_unusable",
                Severity::Blocking,
                column.name(),
                1,
                Vec::new(),
                message,
            ));
        };
        let mut limit = |text: &Option<String>, exclusive: bool, what: &str| {
            let text = text.as_ref()?;
            let limit = parse(text, data_type, said);
            if limit.is_none() {
                unusable(what);
            }
            limit.map(|limit| (limit, exclusive))
        };
        let minimum = limit(&said.minimum, said.minimum_exclusive, "minimum");
        let maximum = limit(&said.maximum, said.maximum_exclusive, "maximum");
        let (text, whole) = (*data_type == DataType::Utf8, data_type.is_integer());
        let allowed = allowed(data_type, said).unwrap_or_else(|| {
            unusable("list of allowed values");
            Allowed::All
        });
        let mut lengths = (said.length_min.is_some() || said.length_max.is_some())
            .then(|| (said.length_min.unwrap_or(0), said.length_max.unwrap_or(u64::MAX)));
        if lengths.is_some() && !text {
            unusable("length");
            lengths = None;
        }
        let mut regex = said.pattern.as_deref().and_then(|text| pattern(text).ok());
        if regex.is_some() && !text && !whole {
            unusable("pattern");
            regex = None;
        }
        let idle = !said.required
            && minimum.is_none()
            && maximum.is_none()
            && matches!(allowed, Allowed::All)
            && lengths.is_none()
            && regex.is_none();
        (!idle).then(|| Self {
            name: column.name().clone(),
            required: said.required,
            minimum,
            maximum,
            allowed,
            lengths,
            pattern: regex,
            whole,
            tallies: Default::default(),
        })
    }

    pub(super) fn push(&mut self, array: &ArrayRef, first_row: u64) {
        if self.required && array.logical_null_count() > 0 {
            let nulls = array.logical_nulls();
            for (row, place) in (first_row..).zip(0..array.len()) {
                if nulls.as_ref().is_some_and(|nulls| nulls.is_null(place)) {
                    self.count(REQUIRED, row);
                }
            }
        }
        if let Some(texts) = array.as_string_opt::<i32>() {
            for (row, text) in (first_row..).zip(texts) {
                if let Some(text) = text {
                    self.text(text, row);
                }
            }
        } else if let Some(truths) = array.as_boolean_opt() {
            for (row, truth) in (first_row..).zip(truths) {
                if let (Some(truth), Allowed::Truths(allowed)) = (truth, &self.allowed)
                    && !allowed.contains(&truth)
                {
                    self.count(ALLOWED, row);
                }
            }
        } else {
            self.push_numbers(array, first_row);
        }
    }

    fn push_numbers(&mut self, array: &ArrayRef, first_row: u64) {
        macro_rules! whole {
            ($($kind:ty),*) => {
                $(if let Some(array) = array.as_primitive_opt::<$kind>() {
                    return self.each::<$kind>(array.iter(), first_row, i128::from);
                })*
            };
        }
        whole!(Int64Type, Int32Type, Int16Type, Int8Type, UInt64Type, UInt32Type, UInt16Type, UInt8Type);
        whole!(Decimal128Type, Date32Type, Time64MicrosecondType, TimestampMicrosecondType);
        if let Some(array) = array.as_primitive_opt::<Float64Type>() {
            self.floats(array.iter(), first_row);
        } else if let Some(array) = array.as_primitive_opt::<Float32Type>() {
            self.floats(array.iter().map(|value| value.map(f64::from)), first_row);
        }
    }

    fn each<T: ArrowPrimitiveType>(
        &mut self,
        values: impl Iterator<Item = Option<T::Native>>,
        first_row: u64,
        wide: impl Fn(T::Native) -> i128,
    ) {
        for (row, value) in (first_row..).zip(values) {
            let Some(value) = value.map(&wide) else { continue };
            let below = |limit: &Limit| match limit {
                Limit::Exact(limit) => value.cmp(limit),
                Limit::Float(limit) => convert::float_of_wide(value).total_cmp(limit),
            };
            self.compare(below, row);
            if let Allowed::Numbers(allowed) = &self.allowed
                && !allowed.contains(&value)
            {
                self.count(ALLOWED, row);
            }
            if self.whole
                && let Some(pattern) = &self.pattern
                && !pattern.is_match(&value.to_string())
            {
                self.count(PATTERN, row);
            }
        }
    }

    fn floats(&mut self, values: impl Iterator<Item = Option<f64>>, first_row: u64) {
        for (row, value) in (first_row..).zip(values) {
            let Some(value) = value else { continue };
            let below = |limit: &Limit| match limit {
                Limit::Exact(limit) => value.total_cmp(&convert::float_of_wide(*limit)),
                Limit::Float(limit) => value.total_cmp(limit),
            };
            self.compare(below, row);
            if let Allowed::Floats(allowed) = &self.allowed
                && !allowed.contains(&value)
            {
                self.count(ALLOWED, row);
            }
        }
    }

    fn compare(&mut self, against: impl Fn(&Limit) -> std::cmp::Ordering, row: u64) {
        if let Some((limit, exclusive)) = &self.minimum {
            let order = against(limit);
            if order.is_lt() || (*exclusive && order.is_eq()) {
                self.count(MINIMUM, row);
            }
        }
        if let Some((limit, exclusive)) = &self.maximum {
            let order = against(limit);
            if order.is_gt() || (*exclusive && order.is_eq()) {
                self.count(MAXIMUM, row);
            }
        }
    }

    fn text(&mut self, text: &str, row: u64) {
        if let Allowed::Texts(allowed) = &self.allowed
            && !allowed.contains(text)
        {
            self.count(ALLOWED, row);
        }
        if let Some((shortest, longest)) = self.lengths {
            let characters = convert::count(text.chars().count());
            if !(shortest..=longest).contains(&characters) {
                self.count(LENGTH, row);
            }
        }
        if let Some(pattern) = &self.pattern
            && !pattern.is_match(text)
        {
            self.count(PATTERN, row);
        }
    }

    fn count(&mut self, check: usize, row: u64) {
        if let Some(tally) = self.tallies.get_mut(check) {
            tally.add(row);
        }
    }

    pub(super) fn finish(self, findings: &mut Vec<Finding>) {
        for ((code, what), tally) in CODES.iter().zip(self.tallies) {
            if tally.count > 0 {
                let message = format!("{} rows {what}.", tally.count);
                findings.push(Finding::on_column(
                    code,
                    Severity::Blocking,
                    &self.name,
                    tally.count,
                    tally.rows,
                    message,
                ));
            }
        }
    }
}

/// The allowed values in the column's type; those that are no value of it cannot come. `None` when none is.
fn allowed(data_type: &DataType, said: &Field) -> Option<Allowed> {
    if said.allowed.is_empty() {
        return Some(Allowed::All);
    }
    let limits = || said.allowed.iter().filter_map(|text| parse(text, data_type, said));
    match data_type {
        DataType::Utf8 => Some(Allowed::Texts(said.allowed.iter().cloned().collect())),
        DataType::Boolean => {
            let truths: Vec<bool> = said.allowed.iter().filter_map(|text| truth(text, said)).collect();
            (!truths.is_empty()).then_some(Allowed::Truths(truths))
        }
        DataType::Float32 | DataType::Float64 => {
            let floats: Vec<f64> =
                limits().filter_map(|limit| if let Limit::Float(float) = limit { Some(float) } else { None }).collect();
            (!floats.is_empty()).then_some(Allowed::Floats(floats))
        }
        _ => {
            let numbers: HashSet<i128> = limits()
                .filter_map(|limit| if let Limit::Exact(number) = limit { Some(number) } else { None })
                .collect();
            (!numbers.is_empty()).then_some(Allowed::Numbers(numbers))
        }
    }
}

fn truth(text: &str, said: &Field) -> Option<bool> {
    let is_in = |spellings: &[String]| spellings.iter().any(|spelling| spelling == text);
    match text.to_ascii_lowercase().as_str() {
        _ if is_in(&said.true_values) => Some(true),
        _ if is_in(&said.false_values) => Some(false),
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}
